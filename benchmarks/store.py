"""Benchmark of a store of many runs: the page Start, the other pages, and the list of runs.

    python -m benchmarks.store                5,000 runs
    python -m benchmarks.store --runs 500     another number of them

The runs are the shipped ones under other names, dates, seeds and measures, with hard links to their
arrays; one in ten has a description. Each measurement is in a process of its own, and says seconds
of wall clock, seconds of processor, and the peak of its memory:

`start`   the page Start: its first script run, as of a server that has just started; the next;
          a search; and one after ten seconds, when the store is looked through again. With an
          index, without one, with `--runs` and with the shipped runs alone. `prepared` is the first
          script run of a server that had a few seconds, as a browser takes to start.
`pages`   the first and the next script run of pages with a picker of runs.
`runs`    `latent-loupe runs`, with an index and without.
`sent`    bytes that a browser is sent: opening Start, a search, ticking a row, and opening
          Reconstructions and choosing another number of samples there; thumbnails asked for.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "models_store"
LINKED = ("weights.safetensors", "codes.safetensors", "history.json")
PAGES = ("reconstructions", "latent_map", "what_if", "generate")
SEARCH = "variational digits"


def stock(folder: Path, n: int) -> None:
    """Fill a folder with the shipped runs and copies of them, n runs in all."""
    shutil.copytree(SHIPPED, folder)
    sources = sorted(path for path in folder.iterdir() if (path / "manifest.json").is_file())
    drawn = random.Random(0)
    for number in range(n - len(sources)):
        source = sources[number % len(sources)]
        config = json.loads((source / "config.json").read_text())
        manifest = json.loads((source / "manifest.json").read_text())
        config["training"]["seed"] = number
        content = json.dumps(config).encode()
        manifest["files"]["config.json"] = len(content), hashlib.sha256(content).hexdigest()
        created = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=37 * number)
        manifest["created"] = created.isoformat()
        for name in ("test_mse", "pca_mse"):
            manifest["metrics"][name] *= drawn.uniform(0.8, 1.1)
        settings = f"{config['dataset']}-{config['variant']}-{config['model']['latent_dim']}d"
        run = folder / (f"{settings}-{number:06x}" if number % 2 else f"trial-{number:05}")
        run.mkdir()
        (run / "config.json").write_bytes(content)
        (run / "manifest.json").write_text(json.dumps(manifest))
        for file in LINKED:
            os.link(source / file, run / file)
        if number % 10 == 0:
            about = {"note": f"Note {number}", "tags": [f"tag {number % 7}"]}
            (run / "description.json").write_text(json.dumps(about))
    for path in folder.rglob("*.json"):
        os.utime(path, (created.timestamp(), created.timestamp()))  # as of runs of some age


# --- In a process of its own --------------------------------------------------------------------


def timed(call: Callable[[], Any]) -> dict[str, float]:
    """Seconds of wall clock and of processor that a call takes, and the peak of memory so far."""
    wall, processor = time.perf_counter(), time.process_time()
    call()
    return {
        "wall_s": round(time.perf_counter() - wall, 3),
        "processor_s": round(time.process_time() - processor, 3),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def script(path: str, prepared: bool = False) -> dict:
    """Measure script runs of a page; of Start a search, too."""
    from streamlit.testing.v1 import AppTest

    import app  # noqa: F401  # as the server does, which begins to prepare

    if prepared:
        time.sleep(5)
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=300)
    if path != "app.py":
        at.switch_page(str(ROOT / path))

    def run() -> None:
        at.run()
        if at.exception:
            raise SystemExit(at.exception[0].message)

    measured = {"first": timed(run), "next": timed(run)}
    if path == "app.py":
        at.text_input(key="find").set_value(SEARCH)
        measured["search"] = timed(run)
        time.sleep(11)
        at.text_input(key="find").set_value("")
        measured["search_after_10_s"] = timed(run)
    return measured


def alone(store: Path, *arguments: str) -> Any:
    """What a script of this module says in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.store", *arguments]
    environment = os.environ | {"AECORE_STORE": str(store)}
    output = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(output.stdout.splitlines()[-1])


def list_runs() -> dict:
    """Measure the list of runs as the command line prints it."""
    command = [sys.executable, "-m", "aecore", "runs"]
    wall = time.perf_counter()
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "wall_s": round(time.perf_counter() - wall, 3),
        "processor_s": round(used.ru_utime + used.ru_stime, 3),
        "peak_mb": used.ru_maxrss // 1024,
    }


# --- Measurements -------------------------------------------------------------------------------


def forget(store: Path) -> None:
    """Remove the index."""
    shutil.rmtree(store / "_index", ignore_errors=True)


def start(store: Path) -> dict:
    """Measure the page Start."""
    few = store.with_name("few")
    shutil.copytree(SHIPPED, few)
    forget(store)
    measured = {"without_index": alone(store, "--script", "app.py")}
    measured["with_index"] = alone(store, "--script", "app.py")
    measured["prepared"] = alone(store, "--script", "app.py", "--prepared")
    measured["shipped_runs"] = alone(few, "--script", "app.py")
    return measured


def pages(store: Path) -> dict:
    """Measure pages with a picker of runs."""
    return {page: alone(store, "--script", f"pages/{page}.py") for page in PAGES}


def runs(store: Path) -> dict:
    """Measure the list of runs on the command line."""
    forget(store)
    return {kind: alone(store, "--list") for kind in ("without_index", "with_index")}


def sent(store: Path) -> dict:
    """Measure what a browser is sent."""
    from playwright.sync_api import sync_playwright

    sys.path.insert(0, str(ROOT / "tests"))
    import chromium
    from streamlit_server import server

    from benchmarks.pages import DASHBOARD, FLAGS

    received, thumbnails = [0], [0]
    measured = {}
    with sync_playwright() as playwright, server(DASHBOARD, ROOT, AECORE_STORE=str(store)) as at:
        browser = playwright.chromium.launch(executable_path=chromium.find(), args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})

        def count(content: str | bytes) -> None:
            received[0] += len(content)

        page.on("websocket", lambda socket: socket.on("framereceived", count))
        page.on("request", lambda request: thumbnails.append("/thumbnails/" in request.url))

        def after(name: str) -> None:
            page.wait_for_timeout(4_000)
            measured[name] = {"kb": received[0] // 1000, "thumbnails": sum(thumbnails)}
            received[0] = 0
            thumbnails.clear()

        page.goto(at)
        grid = page.get_by_test_id("stDataFrame")
        grid.wait_for(timeout=60_000)
        grid.scroll_into_view_if_needed()
        after("start")
        page.get_by_role("textbox", name="Search runs").fill(SEARCH)
        page.keyboard.press("Enter")
        after("search")
        grid.click(position={"x": 20, "y": 60})
        after("tick")
        page.goto(f"{at}/reconstructions?run=digits-ae")
        page.wait_for_selector("[data-testid=stImage] img", timeout=60_000)
        after("reconstructions")
        page.get_by_role("button", name="View").click()
        page.get_by_role("slider", name="Samples").focus()
        page.keyboard.press("ArrowRight")
        after("samples")
        browser.close()
    return measured


KINDS = {"start": start, "pages": pages, "runs": runs, "sent": sent}


def main() -> None:
    """Run the requested measurements, and print them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []], default=[])
    parser.add_argument("--runs", type=int, default=5_000)
    parser.add_argument("--script", help="for the processes of their own")
    parser.add_argument("--prepared", action="store_true", help="for the same")
    parser.add_argument("--list", action="store_true", help="for the same")
    asked = parser.parse_args()
    if asked.script:
        print(json.dumps(script(asked.script, asked.prepared)))
    elif asked.list:
        print(json.dumps(list_runs()))
    else:
        with tempfile.TemporaryDirectory() as folder:
            store = Path(folder) / "many"
            stock(store, asked.runs)
            found = {kind: KINDS[kind](store) for kind in asked.kinds or KINDS}
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
