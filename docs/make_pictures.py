"""Take the pictures of the documentation from the running dashboard.

    make pictures

Needs MNIST (`AECORE_DATA`) and Chromium. The runs that ship are copied, so that nothing is changed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks.pages import FLAGS, chromium, dashboard  # noqa: E402

WINDOW = {"width": 1440, "height": 900}
READY = ".loupe[data-ready]"
IMAGE = "[data-testid=stImage] img"
PICTURES = {
    # file: address, what the page has when it is ready
    "start": ("", READY),
    "data": ("data", "text=What was decided"),
    "latent_map": ("latent_map?run=mnist-vae", READY),
    "reconstructions": ("reconstructions?run=mnist-ae", IMAGE),
    "denoise": ("denoise?run=mnist-ae", ".live-picture[src]"),
    "generate": ("generate?run=mnist-vae", IMAGE),
    "recipes": ("recipes?recipe=manifold", ".st-key-canvas .js-plotly-plot"),
    "train": ("train?dataset=mnist&preset=mnist-map", READY),
    "what_if": ("what_if?dataset=digits&variant=ae&sweep=widths", "[data-testid=stDataFrame]"),
}
SWEEP = [sys.executable, "-m", "aecore", "sweep", "--dataset", "digits", "--variant", "ae"]
SWEEP += ["--set", "epochs=40", "--grid", "latent_dim=2,4,8", "--grid", "seed=0,1,2"]
SWEEP += ["--name", "widths"]


def main() -> None:
    """Take every picture, or those named on the command line."""
    asked = sys.argv[1:] or list(PICTURES)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        store = Path(folder) / "store"
        copy_shipped(store)
        os.environ["AECORE_STORE"] = str(store)
        if "what_if" in asked:
            subprocess.run(SWEEP, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        browser = playwright.chromium.launch(executable_path=chromium.find(), args=FLAGS)
        with dashboard() as address:
            for name in asked:
                path, ready = PICTURES[name]
                page = browser.new_page(viewport=WINDOW)
                page.set_default_timeout(120_000)
                page.goto(f"{address}/{path}")
                if name == "data":
                    page.set_input_files("input[type=file]", wine(Path(folder)))
                if name == "train":
                    page.get_by_role("button", name="Train", exact=True).click()
                    page.get_by_text("epoch 3 of").first.wait_for()
                page.wait_for_selector(ready)
                settled(page)
                page.screenshot(path=ROOT / "docs" / f"{name}.png")
                page.close()
                print(f"docs/{name}.png")
        browser.close()


def wine(folder: Path) -> Path:
    """The wines as the CSV file of a person, with some values missing."""
    from sklearn.datasets import load_wine

    table = load_wine(as_frame=True)
    rows = table.data.assign(cultivar=table.target_names[table.target])
    rows.loc[::20, "alcohol"] = None
    rows.to_csv(folder / "wines.csv", index=False)
    return folder / "wines.csv"


def copy_shipped(store: Path) -> None:
    """Copy the runs that ship, and none of one's own that lie beside them."""
    listed = ["git", "ls-files", "-z", "models_store"]
    tracked = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in tracked.rstrip("\0").split("\0"):
        copy = store / Path(name).relative_to("models_store")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy)


def settled(page: Page) -> None:
    """Wait until the page has drawn and computed everything except a training."""
    page.wait_for_function(
        "() => !document.querySelector('[data-testid=stSpinner], [data-stale=true]')"
    )
    page.wait_for_timeout(1_500)


if __name__ == "__main__":
    main()
