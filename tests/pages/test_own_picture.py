"""A drawing on the maps: the message of the canvas, its code, its places and its neighbours."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Listener, run_config
from PIL import Image
from playwright.sync_api import Page, expect
from streamlit.testing.v1 import AppTest
from test_browser import serving, stock
from test_pages import ROOT, opened, shipped_runs  # noqa: F401

from aecore import data, latent
from aecore.models import inference
from aecore.projections import components
from aecore.runs import store
from aecore.runs.train import Train
from pages.components import own_picture

DIGITS = data.get("digits")
MAP = ROOT / "pages" / "latent_map.py"


def as_message(picture: np.ndarray) -> str:
    """Data URL of a grey picture in [0, 1]."""
    buffer = io.BytesIO()
    Image.fromarray((picture * 255).astype(np.uint8)).save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def drawn(at: AppTest, message: Any) -> AppTest:
    at.session_state[own_picture.COMPONENT] = {"drawn": message}
    return at.run()


def marks(at: AppTest) -> dict[str, Any]:
    """Data of the component that marks samples and places."""
    found = [json.loads(each.proto.json) for each in at.get("bidi_component") if each.proto.json]
    (one,) = [each for each in found if each and "places" in each]
    return one


def sevens() -> np.ndarray:
    """A seven, drawn by lines, of 196 x 196."""
    picture = np.zeros((196, 196))
    picture[40:52, 50:140] = 1
    for row in range(50, 160):
        middle = int(140 - 50 * (row - 50) / 110)
        picture[row, middle - 6 : middle + 6] = 1
    return picture


@pytest.mark.usefixtures("shipped_runs")
def test_a_drawing_is_placed_by_its_code_and_by_its_principal_coordinates() -> None:
    at = drawn(opened(MAP, run="digits-ae"), as_message(sevens()))
    assert not at.exception and not at.error
    run = store.load("digits-ae")
    found = marks(at)
    assert set(found["places"]) == {"bottleneck", "pca"} and len(found["rows"]) == 5
    typical = DIGITS.test.x[:500].reshape(-1, 8, 8)
    picture = Image.fromarray((sevens() * 255).astype(np.uint8))
    x = data.fit(picture, DIGITS.shape, crop=True, fill=data.filled(typical))[None]
    codes = inference.encode(run.model(), x)
    np.testing.assert_allclose(
        found["places"]["bottleneck"], latent.plane_of_run(run).project(codes)[0], atol=1e-4
    )
    np.testing.assert_allclose(
        found["places"]["pca"], components(DIGITS).encode(x, 2)[0], atol=1e-4
    )
    distances = np.linalg.norm(run.codes["codes"] - codes, axis=1)
    assert sorted(found["rows"]) == sorted(distances.argsort()[:5].tolist())
    assert any("Nearest test samples by code" in each.value for each in at.caption)


@pytest.mark.usefixtures("shipped_runs")
@pytest.mark.parametrize(
    "message", ["", 3, "data:image/gif;base64,xx", "data:image/png;base64," + "A" * 200_001, ["a"]]
)
def test_what_is_no_drawing_is_ignored(message: Any) -> None:
    at = drawn(opened(MAP, run="digits-ae"), message)
    assert not at.exception and not at.error
    assert marks(at) == {"rows": [], "places": {}}


@pytest.mark.usefixtures("shipped_runs")
@pytest.mark.parametrize("content", ["%%%", base64.b64encode(b"no picture").decode()])
def test_a_drawing_that_cannot_be_read_is_a_sentence(content: str) -> None:
    at = drawn(opened(MAP, run="digits-ae"), f"data:image/png;base64,{content}")
    assert not at.exception
    assert any(
        "cannot be read" in each.value or "is not a picture" in each.value for each in at.error
    )


def test_a_conditioned_model_is_asked_for_a_class() -> None:
    Train(run_config("digits", "cvae", epochs=1), "own", resumable=False).run(Listener())
    at = drawn(opened(MAP, run="own"), as_message(sevens()))
    assert not at.exception and not at.error
    assert at.selectbox(key="own-label").options == list(DIGITS.label_names)
    assert len(marks(at)["rows"]) == 5


def test_tables_have_nothing_to_draw() -> None:
    Train(run_config(epochs=1), "own", resumable=False).run(Listener())
    at = opened(MAP, run="own")
    assert not at.exception
    assert not [each for each in at.get("bidi_component") if each.proto.json]


@pytest.mark.browser
def test_a_drawing_on_the_start_page_lands_on_the_maps(page: Page, tmp_path: Path) -> None:
    stock(tmp_path)
    for name in ("mnist-ae", "mnist-vae"):  # their data may not be on this machine
        (tmp_path / name / "manifest.json").unlink(missing_ok=True)
    with serving(tmp_path) as address:
        page.goto(address)
        page.wait_for_selector(".loupe[data-ready]")
        canvas = page.locator(".drawing canvas")
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        page.mouse.move(box["x"] + 40, box["y"] + 30)
        page.mouse.down()
        page.mouse.move(box["x"] + 110, box["y"] + 30, steps=5)
        page.mouse.move(box["x"] + 70, box["y"] + 130, steps=5)
        page.mouse.up()
        expect(page.get_by_text("Nearest test samples by code")).to_be_visible()
        marked = "() => document.querySelector('.loupe').loupe.marks"
        page.wait_for_function(f"() => ({marked})().rows.length === 5")
        assert set(page.evaluate(marked)["places"]) == {"bottleneck", "pca"}
        page.get_by_role("button", name="Clear").click()
        page.wait_for_function(f"() => ({marked})().rows.length === 0")
