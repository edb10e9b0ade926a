"""Benchmark of the linked maps' response times, in real Chromium with software GL.

    python -m benchmarks.linked_maps            every measurement, as one JSON document
    python -m benchmarks.linked_maps hover      only some: paint, hover, decode, lasso, server, many

`paint`   from a click on the menu to four painted panes of 10,000 points (projections cached),
          against a click in a bare app that shows one `st.plotly_chart` of 10,000. Turn by turn,
          each in a browser of its own.
`hover`   from a move of the pointer to the frame with the sample's image and its lights in all
          panes, and how many messages went to the server meanwhile.
`decode`  frames a second while the pointer is dragged through the bottleneck of a 2-128-512-784
          decoder, and how far its pixels are from torch's.
`lasso`   from letting go of a lasso of about 1,000 points to the frame with thumbnails.
`server`  seconds that the page's script takes when it is opened for the second time.
`many`    from the address typed to four painted panes, and hover, with all 70,000 images.
          Their maps must have been computed before:
          python -m aecore project --dataset mnist --method tsne --split all --limit 70000

Needs MNIST (`AECORE_DATA`), the shipped runs in the store, and `make test` to have run once.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from playwright.sync_api import Browser, Locator, Page

from aecore import latent, training
from aecore.runs import store
from aecore.runs.train import Train
from benchmarks.pages import ROOT, app, compared, dashboard, measure, server

RUN = "mnist-vae"
DECODER_RUN = "benchmark-2-128-512-784"
READY = ".loupe[data-ready]"
BARE = """
import numpy as np, plotly.graph_objects as go, streamlit as st

if st.button("Show"):
    points = np.random.default_rng(0).normal(size=(10_000, 2)).astype(np.float32)
    st.plotly_chart(go.Figure(go.Scattergl(x=points[:, 0], y=points[:, 1], mode="markers")))
"""
MAPS = "document.querySelector('.loupe').loupe"
# Runs a callback after the frame in which everything so far is drawn.
AFTER_FRAME = "(then => requestAnimationFrame(() => setTimeout(then)))"


class Quiet:
    """Reporter that ignores all reports."""

    def progress(self, what: str, done: float, total: float) -> None:
        """Ignore progress."""

    def epoch(self, entry: dict, view: dict) -> None:
        """Ignore the epoch."""


@contextmanager
def opened(browser: Browser, address: str, path: str, settle: float = 2_000) -> Iterator[Page]:
    """Open a page in a window of its own, with its maps drawn."""
    with browser.new_context(viewport={"width": 1440, "height": 1200}) as context:
        page = context.new_page()
        page.goto(f"{address}/{path}")
        page.wait_for_selector(READY, timeout=120_000)
        page.wait_for_timeout(settle)  # images arrive, the page settles
        yield page


def paint(browser: Browser, repeats: int = 7) -> dict:
    """Measure seconds from a click to the painted maps, and to the painted bare chart."""
    with dashboard() as address, server(app(BARE), ROOT) as bare:
        with opened(browser, address, f"latent_map?run={RUN}"):
            pass  # what is cached on the server from now on
        ours, theirs = [], []
        for _ in range(repeats):
            with browser.new_context(viewport={"width": 1440, "height": 1200}) as context:
                page = context.new_page()
                page.goto(bare)
                button = page.get_by_role("button", name="Show")
                button.wait_for()
                page.wait_for_timeout(1_000)
                theirs.append(clicked(page, button, ".js-plotly-plot canvas"))
            with browser.new_context(viewport={"width": 1440, "height": 1200}) as context:
                page = context.new_page()
                page.goto(f"{address}/train?run={RUN}")
                link = page.get_by_role("link", name="Latent map").first
                link.wait_for()
                page.wait_for_timeout(1_000)
                ours.append(clicked(page, link, READY))
    return compared("bare_chart", theirs, "four_panes", ours)


def clicked(page: Page, target: Locator, appears: str) -> float:
    started = time.perf_counter()
    target.click()
    page.wait_for_function(
        "selector => document.querySelector(selector)", arg=appears, polling="raf", timeout=60_000
    )
    page.evaluate(f"new Promise({AFTER_FRAME})")
    return time.perf_counter() - started


def hover(browser: Browser, repeats: int = 60, path: str = f"latent_map?run={RUN}") -> dict:
    """Measure milliseconds from a pointer's move to the frame that shows its sample."""
    with dashboard() as address, opened(browser, address, path) as page:
        sent: list[str] = []
        watch_messages(page, sent)
        page.evaluate(
            f"""() => {{
              window.times = [];
              window.addEventListener("pointermove", (event) => {{
                const card = document.querySelector(".loupe-card");
                const before = card.dataset.sample;
                queueMicrotask(() => {AFTER_FRAME}(() => {{
                  if (card.dataset.sample !== before) {{
                    window.times.push(performance.now() - event.timeStamp);
                  }}
                }}));
              }}, true);
            }}"""
        )
        box = page.locator(".loupe-plot").bounding_box()
        random = np.random.default_rng(0)
        for _ in range(repeats):
            pane = int(random.integers(4))
            sample = int(random.integers(page.evaluate(f"{MAPS}.n")))
            x, y = page.evaluate(
                f"([pane, i]) => {MAPS}.figure.toPixels(pane)("
                f"{MAPS}.panes[pane][2 * i], {MAPS}.panes[pane][2 * i + 1])",
                [pane, sample],
            )
            page.mouse.move(box["x"] + x, box["y"] + y)
            page.wait_for_timeout(60)
        times = page.evaluate("window.times")
        image = page.evaluate(
            "(c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some("
            "(v, i) => i % 4 < 3 && v))(document.querySelector('.loupe-card canvas'))"
        )
        return {**milliseconds(times), "image_drawn": image, "messages": len(sent)}


def watch_messages(page: Page, sent: list[str]) -> None:
    """Record every message that the page sends to the server from now on."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.webSocketFrameSent", lambda event: sent.append(str(event)[:80]))


def decode(browser: Browser, seconds: float = 4) -> dict:
    """Measure frames a second of a drag, and the largest pixel difference to torch, in 255ths."""
    import torch

    run = decoder_run()
    with dashboard() as address, opened(browser, address, f"latent_map?run={run.name}") as page:
        sent: list[str] = []
        watch_messages(page, sent)
        box = page.locator(".loupe-plot").bounding_box()
        pane = page.evaluate(f"{MAPS}.figure.box(0)")
        middle = (
            box["x"] + pane["left"] + pane["width"] / 2,
            box["y"] + pane["top"] + pane["height"] / 2,
        )
        page.evaluate(
            """() => {
              window.frames_seen = [];
              new MutationObserver(() => window.frames_seen.push(performance.now())).observe(
                document.querySelector(".loupe-card"), { attributeFilter: ["data-decoded"] });
            }"""
        )
        page.mouse.move(*middle)
        page.mouse.down()
        started, step = time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            step += 1
            turn = step / 15
            page.mouse.move(middle[0] + 90 * np.cos(turn), middle[1] + 70 * np.sin(1.3 * turn))
        frames = page.evaluate("window.frames_seen")
        page.mouse.up()
        page.wait_for_timeout(300)
        worst = 0
        for turn in range(20):
            page.mouse.click(middle[0] + 100 * np.cos(turn), middle[1] + 70 * np.sin(turn))
            page.wait_for_timeout(100)
            place, pixels = page.evaluate(
                f"""() => {{
                  const canvas = document.querySelectorAll(".loupe-card canvas")[2];
                  const {{ data }} = canvas.getContext("2d").getImageData(0, 0, 28, 28);
                  return [{MAPS}.place, [...data].filter((_, i) => i % 4 === 0)];
                }}"""
            )
            with torch.inference_mode():
                expected = run.model().decode(torch.tensor([place])).numpy()[0] * 255
            worst = max(worst, float(np.abs(expected - np.array(pixels)).max()))
    gaps = np.diff(frames)
    return {
        "frames_a_second": round(1000 * (len(frames) - 1) / (frames[-1] - frames[0]), 1),
        "moves_a_second": round(step / seconds, 1),
        "median_gap_ms": round(float(np.median(gaps)), 1),
        "largest_difference_of_255": round(worst, 3),
        "messages_while_dragging": len([text for text in sent if "place" in text]),
    }


def decoder_run() -> store.Run:
    """Run with the decoder 2-128-512-784, trained for an epoch unless it exists."""
    if not (store.root() / DECODER_RUN).is_dir():
        config = training.RunConfig.check(
            {
                "dataset": "mnist",
                "variant": "ae",
                "model": {"hidden": "512,128", "latent_dim": 2},
                "training": {"epochs": 1, "batch_size": 128},
            }
        )
        Train(config, DECODER_RUN).run(Quiet())
        latent.Analyse(DECODER_RUN).run(Quiet())
    return store.load(DECODER_RUN)


def lasso(browser: Browser, repeats: int = 9) -> dict:
    """Measure milliseconds from the end of a lasso around 1,000 points to the thumbnails."""
    with dashboard() as address, opened(browser, address, f"latent_map?run={RUN}") as page:
        page.get_by_role("button", name="Lasso").click()
        page.evaluate(
            f"""() => {{
              window.times = [];
              window.addEventListener("pointerup", (event) => {{
                queueMicrotask(() => {AFTER_FRAME}(() => {{
                  if (document.querySelector(".loupe-thumbnails canvas")) {{
                    window.times.push(performance.now() - event.timeStamp);
                  }}
                }}));
              }}, true);
            }}"""
        )
        box = page.locator(".loupe-plot").bounding_box()
        counts = []
        for turn in range(repeats):
            for step, (x, y) in enumerate(circle(page, 2, turn * 1_000)):
                page.mouse.move(box["x"] + x, box["y"] + y)
                if step == 0:
                    page.mouse.down()
            page.mouse.up()
            page.wait_for_timeout(1_500)
            counts.append(int(page.locator(".loupe-picked").get_attribute("data-count")))
        return {**milliseconds(page.evaluate("window.times")), "points": counts}


def circle(page: Page, pane: int, sample: int, members: int = 1_000) -> list[list[float]]:
    """Pixels of a circle about a sample of a pane that contains a given number of others."""
    return page.evaluate(
        f"""([pane, sample, members]) => {{
          const maps = {MAPS}, points = maps.panes[pane];
          const [x, y] = [points[2 * sample], points[2 * sample + 1]];
          const distances = Float64Array.from({{ length: maps.n }}, (_, i) =>
            Math.hypot(points[2 * i] - x, points[2 * i + 1] - y)).sort();
          const radius = distances[members], toPixels = maps.figure.toPixels(pane);
          return Array.from({{ length: 49 }}, (_, i) => toPixels(
            x + radius * Math.cos(i * Math.PI / 24), y + radius * Math.sin(i * Math.PI / 24)));
        }}""",
        [pane, sample, members],
    )


def server_time(browser: Browser, repeats: int = 5) -> dict:
    """Measure seconds of the page's script when it is opened again in another session."""
    from streamlit.testing.v1 import AppTest

    times = []
    for _ in range(repeats + 1):
        at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
        at.switch_page(str(ROOT / "pages" / "latent_map.py"))
        at.query_params["run"] = RUN
        started = time.perf_counter()
        at.run()
        times.append(1000 * (time.perf_counter() - started))
        assert not at.exception and not at.error
    return {"first_ms": round(times[0]), **milliseconds(times[1:])}


def many(browser: Browser) -> dict:
    """Measure the maps and hover with the 70,000 images of both splits."""
    path = f"latent_map?run={RUN}&sample_split=all&sample_limit=70000"
    times = []
    with dashboard() as address:
        for _ in range(4):
            started = time.perf_counter()
            with opened(browser, address, path, settle=0) as page:
                page.evaluate(f"new Promise({AFTER_FRAME})")
                times.append(1000 * (time.perf_counter() - started))
                assert page.evaluate(f"[{MAPS}.n, {MAPS}.panes.length]") == [70_000, 4]
    painted = {"first_ms": round(times[0]), **milliseconds(times[1:])}
    return {"paint": painted, "hover": hover(browser, 30, path)}


def milliseconds(times: list[float]) -> dict:
    return {
        "median_ms": round(statistics.median(times), 1),
        "from_ms": round(min(times), 1),
        "to_ms": round(max(times), 1),
        "n": len(times),
    }


KINDS = {
    "paint": paint,
    "hover": hover,
    "decode": decode,
    "lasso": lasso,
    "server": server_time,
    "many": many,
}


if __name__ == "__main__":
    measure(KINDS, [kind for kind in KINDS if kind != "many"], __doc__)
