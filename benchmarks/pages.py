"""Benchmark of the pages against a bare Streamlit page, in real Chromium.

    python -m benchmarks.pages            every measurement, as one JSON document
    python -m benchmarks.pages paint      only one of: paint, slider, training, watched, sweep

`paint`     from the start of the server to the first paint: `make run` with four maps of digits,
            and with the page Start, against an empty app. Runs alternate.
`slider`    from a key pressed on a slider to the new picture: the page Reconstructions with torch
            loaded, against a bare page with the same slider and pictures of the same size.
`training`  from a widget's change to its answer, while MNIST (or digits) trains and while idle.
`watched`   an epoch of MNIST (or digits) while a browser shows its live map, and while none does;
            three epochs each by turns in one training, the first of them not counted.
`sweep`     from the press on Start of a sweep of digits, its workers warm, to the first small map.

Needs `make test` to have run once. Timings are noisy: what counts are the ratios of medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
import chromium  # noqa: E402
from streamlit_server import server  # noqa: E402

DASHBOARD = ["make", "-s", "run"]
EMPTY = "import streamlit as st\nst.title('Empty')\n"
BARE_SLIDER = """
import io
import numpy as np, streamlit as st
from PIL import Image

count = st.slider("Samples", 4, 16, 10)
pixels = np.random.default_rng(count).integers(0, 255, ({height}, {width}, 4), np.uint8)
pixels = pixels // 128 * 128
buffer = io.BytesIO()
Image.fromarray(pixels[:: 8, :: 8].repeat(8, 0).repeat(8, 1)).save(buffer, "PNG", compress_level=1)
st.image(buffer.getvalue())
"""
IMAGE = "document.querySelector('[data-testid=stImage] img')"
FOUR_MAPS = "document.querySelector('.loupe[data-ready]')"
FLAGS = ["--no-sandbox", "--enable-unsafe-swiftshader", "--disable-background-networking"]


def app(script: str) -> list[str]:
    """Command that serves one script with the project's server settings."""
    path = Path(tempfile.mkdtemp()) / "bare.py"
    path.write_text(script)
    return [sys.executable, "-m", "streamlit", "run", str(path)]


def paint(browser: Browser, repeats: int = 7) -> dict:
    """Measure seconds from the start of the server to the first paint."""

    def once(command: list[str], painted: str, path: str = "") -> float:
        started = time.perf_counter()
        with server(command, ROOT) as address, browser.new_context() as context:
            page = context.new_page()
            page.goto(f"{address}/{path}")
            page.wait_for_function(painted, polling="raf", timeout=60_000)
            return time.perf_counter() - started

    empty, digits, start = [], [], []
    for _ in range(repeats):
        empty.append(once(app(EMPTY), "document.querySelector('h1')"))
        digits.append(once(DASHBOARD, FOUR_MAPS, "latent_map?run=digits-ae"))
        start.append(once(DASHBOARD, FOUR_MAPS))
    return {
        "digits": compared("empty_app", empty, "four_maps", digits),
        "start": compared("empty_app", empty, "four_maps", start),
    }


def slider(browser: Browser) -> dict:
    """Measure seconds from a key on a slider to the new picture."""
    bare, ours = alternating(browser, "reconstructions", "Samples", BARE_SLIDER, "View")
    return compared("bare_page", bare, "reconstructions", ours)


def alternating(
    browser: Browser, path: str, name: str, bare_script: str, opens: str = "", repeats: int = 13
) -> tuple[list[float], list[float]]:
    """Measure seconds from a key on a slider to the new picture, alternating with a bare page.

    It goes from its lowest value up, so that no picture is one that was shown before.

    Arguments
        path: of our page, with its query.
        name: of the slider, on both.
        opens: button of our page that shows the slider, if there is one.
        bare_script: with `{width}` and `{height}` for the size of our picture.
    """
    with dashboard() as address, browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{address}/{path}")
        page.wait_for_selector("[data-testid=stImage] img", timeout=120_000)
        if opens:
            page.get_by_role("button", name=opens).click()
        page.wait_for_timeout(2_000)
        width, height = page.evaluate(f"[{IMAGE}.naturalWidth, {IMAGE}.naturalHeight]")
        with server(app(bare_script.format(width=width, height=height)), ROOT) as bare:
            other = context.new_page()
            other.goto(bare)
            other.wait_for_selector("[data-testid=stImage] img", timeout=60_000)
            times: tuple[list[float], list[float]] = ([], [])
            for turn in range(repeats):
                for tab, found in zip((other, page), times, strict=True):
                    tab.bring_to_front()
                    found.append(move_slider(tab, "ArrowRight" if turn else "Home", name))
    return times[0][2:], times[1][2:]


def move_slider(page: Page, key: str, name: str) -> float:
    """Press a key on a slider; return seconds until the new picture is complete."""
    before = page.evaluate(f"{IMAGE}.src")
    page.get_by_role("slider", name=name).focus()
    started = time.perf_counter()
    page.keyboard.press(key)
    page.wait_for_function(
        f"old => {IMAGE} && {IMAGE}.src !== old && {IMAGE}.complete", arg=before, polling="raf"
    )
    elapsed = time.perf_counter() - started
    page.wait_for_timeout(400)
    return elapsed


def training(browser: Browser, repeats: int = 8) -> dict:
    """Measure seconds from a widget's change to its answer, idle and while a job trains."""
    from aecore import data

    trained = "mnist" if data.is_available("mnist") else "digits"
    with dashboard() as address, browser.new_context() as context:
        tabs = {name: context.new_page() for name in ("reconstructions", "latent_map", "train")}
        for name, tab in tabs.items():
            tab.goto(f"{address}/{name}")
        tabs["reconstructions"].wait_for_selector("[data-testid=stImage] img", timeout=60_000)
        tabs["reconstructions"].get_by_role("button", name="View").click()
        tabs["latent_map"].wait_for_function(FOUR_MAPS, timeout=60_000)
        answers: dict[str, Callable[[int], float]] = {
            "slider": lambda turn: move_slider(
                tabs["reconstructions"], ("ArrowLeft", "ArrowRight")[turn % 2], "Samples"
            ),
            "run": lambda turn: choose(
                tabs["latent_map"],
                "Run",
                *(("digits-vae", "60 epochs"), ("digits-ae", "40 epochs"))[turn % 2],
            ),
            "dataset": lambda turn: choose(
                tabs["train"],
                "Dataset",
                *(
                    ("Iris, 4 measurements of 150 flowers", "100 samples to train on"),
                    ("Handwritten digits, 8 x 8", "1,437 samples to train on"),
                )[turn % 2],
            ),
        }

        def measure() -> dict[str, list[float]]:
            found: dict[str, list[float]] = {}
            for name, answer in answers.items():
                tab = {"slider": "reconstructions", "run": "latent_map", "dataset": "train"}[name]
                tabs[tab].bring_to_front()
                found[name] = [answer(turn) for turn in range(repeats)][2:]
            return found

        idle = measure()
        worker = context.new_page()
        worker.goto(f"{address}/train?dataset={trained}&epochs=2000")
        worker.get_by_role("button", name="Train", exact=True).click()
        worker.get_by_text("epoch 1 of").first.wait_for(timeout=120_000)
        busy = measure()
        worker.bring_to_front()
        worker.get_by_role("button", name="Cancel").first.click()
        worker.get_by_text("was cancelled").wait_for(timeout=30_000)
    return {name: compared("idle", idle[name], "training", busy[name]) for name in answers}


def watched(browser: Browser, turns: int = 5) -> dict:
    """Measure seconds of an epoch with and without a browser on the training's live map."""
    from aecore import data
    from aecore.runs import store

    each = 3 if data.is_available("mnist") else 30
    what = "dataset=mnist&preset=mnist-published" if each == 3 else "dataset=digits"
    epochs = each * 2 * turns + 1
    with tempfile.TemporaryDirectory() as folder:
        os.environ["AECORE_STORE"] = folder
        with dashboard() as address, browser.new_context() as context:
            page = context.new_page()
            live = f"{address}/train?{what}&epochs={epochs}&name=watched"
            page.goto(live)
            page.get_by_role("button", name="Train", exact=True).click()
            for phase in range(2 * turns):
                wait_for_epoch(each * phase + 1)
                page.goto("about:blank" if phase % 2 else live)
            page.goto(live)
            page.get_by_text("is trained and stored").wait_for(timeout=600_000)
        seconds = [entry["seconds"] for entry in store.load("watched").history[1:]]
    del os.environ["AECORE_STORE"]
    counted = [at for at in range(len(seconds)) if at % each]
    alone, shown = ([seconds[at] for at in counted if at // each % 2 == odd] for odd in (1, 0))
    return compared("no_browser", alone, "live_map_open", shown)


def sweep(browser: Browser, repeats: int = 5) -> dict:
    """Measure seconds from the press that starts a sweep to the first thumbnail of a trial."""
    found = []
    with (
        tempfile.TemporaryDirectory() as folder,
        server(DASHBOARD, ROOT, AECORE_STORE=folder) as address,
        browser.new_context() as context,
    ):
        page = context.new_page()
        for turn in range(repeats + 1):
            page.goto(f"{address}/what_if?dataset=digits&variant=ae")
            page.get_by_role("button", name="Seeds", exact=True).click()
            values = page.get_by_role("textbox", name="Values of Seed")
            values.fill(", ".join(str(10 * turn + seed) for seed in range(4)))
            values.press("Enter")
            page.get_by_text("4 trainings").wait_for()
            page.wait_for_timeout(1_000)
            started = time.perf_counter()
            page.get_by_role("button", name="Start", exact=True).click()
            rows = page.get_by_test_id("stDataFrame").locator("tbody tr")
            thumbnail = rows.filter(has_text="running").filter(has_text="data:image/png").first
            thumbnail.wait_for(state="attached", timeout=120_000)
            found.append(time.perf_counter() - started)
            page.get_by_text("4 of 4 trained").wait_for(timeout=120_000)
    return {"s": [round(each, 2) for each in found[1:]], "first_sweep_s": round(found[0], 2)}


def wait_for_epoch(number: int) -> None:
    """Wait until the only training in the store has completed so many epochs."""
    from aecore.runs import store

    deadline = time.monotonic() + 600
    while not any(run.epochs_done >= number for run in store.unfinished()):
        if time.monotonic() > deadline:
            raise SystemExit(f"Epoch {number} was not reached within ten minutes.")
        time.sleep(0.05)


def choose(page: Page, label: str, option: str, answer: str) -> float:
    """Choose an option of a select box; return seconds until the page shows the answer."""
    page.get_by_role("combobox", name=label).click()
    target = page.get_by_role("option", name=option, exact=True)
    target.wait_for()
    started = time.perf_counter()
    target.click()
    page.wait_for_function(
        "text => document.body.innerText.includes(text)", arg=answer, polling="raf"
    )
    elapsed = time.perf_counter() - started
    page.wait_for_timeout(400)
    return elapsed


@contextmanager
def dashboard() -> Iterator[str]:
    with server(DASHBOARD, ROOT) as address:
        yield address


def compared(base_name: str, base: list[float], name: str, values: list[float]) -> dict:
    """Medians and ranges of two series, and their ratio."""

    def facts(times: list[float]) -> dict:
        return {
            "median_s": round(statistics.median(times), 4),
            "from_s": round(min(times), 4),
            "to_s": round(max(times), 4),
            "n": len(times),
        }

    ratio = statistics.median(values) / statistics.median(base)
    return {base_name: facts(base), name: facts(values), "ratio": round(ratio, 3)}


def measure(kinds: dict[str, Callable[[Browser], dict]], usual: list[str], about: str) -> None:
    """Run the requested measurements, or the default ones, and print them as JSON."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("kinds", nargs="*", choices=[*kinds, []], default=[])
    asked = parser.parse_args().kinds or usual
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.find(), args=FLAGS)
        print(json.dumps({kind: kinds[kind](browser) for kind in asked}, indent=1))
        browser.close()


if __name__ == "__main__":
    KINDS = {each.__name__: each for each in (paint, slider, training, watched, sweep)}
    measure(KINDS, list(KINDS), __doc__)
