"""Benchmark of the response times of the pages Denoise and Generate, in real Chromium.

    python -m benchmarks.playing            every measurement, as one JSON document
    python -m benchmarks.playing denoise    only one of: denoise, grid

`denoise`  the level dragged from end to end and back: pictures a second that the browser painted,
           and milliseconds from a value that is set to its picture.
`grid`     a latent grid of a VAE of MNIST (of digits where it is absent): from a key on the
           slider of its side to the new picture, against a bare Streamlit fragment with the same
           slider that shows one of two fixed images of that size. Turns alternate.

Needs `make test` to have run once. Timings are noisy: what counts are medians and ratios.
"""

from __future__ import annotations

import statistics

from playwright.sync_api import Browser

from aecore import data
from benchmarks.pages import alternating, compared, dashboard, measure

BARE_GRID = """
import io
import numpy as np, streamlit as st
from PIL import Image

@st.cache_data
def picture(seed):
    pixels = np.random.default_rng(seed).integers(0, 255, ({height}, {width}), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels // 32 * 32).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()

@st.fragment
def show():
    n = st.slider("Grid size", 1, 30, 20)
    st.image(picture(n % 2))

show()
"""
DRAG = """async seconds => {
  const slider = document.querySelector('.live').slider, { range, picture } = slider;
  const low = Number(range.min), high = Number(range.max), step = Number(range.step);
  const steps = Math.round((high - low) / step), began = performance.now();
  let shown = 0, last = picture.src;
  while (performance.now() - began < seconds * 1000) {
    const way = ((performance.now() - began) / 1000) % 2;  // there and back in two seconds
    range.value = low + Math.round(steps * (way < 1 ? way : 2 - way)) * step;
    range.dispatchEvent(new Event('input'));
    await new Promise(requestAnimationFrame);
    if (picture.src !== last && picture.complete) { shown++; last = picture.src; }
  }
  return shown / seconds;
}"""
ONE = """async value => {
  const { range, picture } = document.querySelector('.live').slider;
  const before = picture.src, began = performance.now();
  range.value = value;
  range.dispatchEvent(new Event('input'));
  while (picture.src === before || !picture.complete) await new Promise(requestAnimationFrame);
  return performance.now() - began;
}"""


def dataset_name() -> str:
    return "mnist" if data.is_available("mnist") else "digits"


def denoise(browser: Browser, repeats: int = 20) -> dict:
    """Measure pictures a second while the level is dragged, and milliseconds for one."""
    with dashboard() as address, browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{address}/denoise?run={dataset_name()}-ae")
        page.wait_for_function("document.querySelector('.live')?.slider", timeout=120_000)
        page.wait_for_timeout(2_000)
        page.evaluate(DRAG, 2)
        rates = [page.evaluate(DRAG, 4) for _ in range(3)]
        page.wait_for_timeout(1_000)
        single = []
        for turn in range(repeats):
            single.append(page.evaluate(ONE, (0.3, 0.7)[turn % 2]))
            page.wait_for_timeout(300)
    return {
        "run": f"{dataset_name()}-ae",
        "pictures_per_second": round(statistics.median(rates), 1),
        "ms_from_value_to_picture": round(statistics.median(single[2:]), 1),
        "from_ms": round(min(single[2:]), 1),
        "to_ms": round(max(single[2:]), 1),
        "n": len(single) - 2,
    }


def grid(browser: Browser) -> dict:
    """Measure seconds from a key on a slider to the new picture."""
    address = f"generate?run={dataset_name()}-vae&n=20"
    bare, ours = alternating(browser, address, "Grid size", BARE_GRID)
    return compared("bare_fragment", bare, "grid_of_20", ours)


if __name__ == "__main__":
    measure({"denoise": denoise, "grid": grid}, ["denoise", "grid"], __doc__)
