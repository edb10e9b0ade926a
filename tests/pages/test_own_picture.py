"""A drawing on the maps: the message of the canvas, its code, its places and its neighbours."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterator
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


def as_png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def as_message(picture: np.ndarray, opened: bool = False) -> dict[str, Any]:
    """Message of a grey picture in [0, 1]."""
    content = as_png(Image.fromarray((picture * 255).astype(np.uint8)))
    return {"content": base64.b64encode(content).decode(), "opened": opened}


def given(at: AppTest, message: Any) -> AppTest:
    at.session_state[own_picture.COMPONENT] = {"given": message}
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
    at = given(opened(MAP, run="digits-ae"), as_message(sevens()))
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
    "message",
    [
        *("", 3, ["a"], {"content": ""}, {"content": 3, "opened": True}),
        {"content": "A" * (20 * 2**20 + 1), "opened": True},
        {"content": "", "opened": False},
    ],
)
def test_what_is_no_drawing_is_ignored(message: Any) -> None:
    at = given(opened(MAP, run="digits-ae"), message)
    assert not at.exception and not at.error
    assert marks(at) == {"rows": [], "places": {}}


@pytest.mark.usefixtures("shipped_runs")
@pytest.mark.parametrize("content", ["%%%", base64.b64encode(b"no picture").decode(), ""])
def test_a_file_that_cannot_be_read_is_a_sentence_and_the_picture_before_it_stays(
    content: str,
) -> None:
    at = given(opened(MAP, run="digits-ae"), as_message(sevens()))
    before = marks(at)
    at = given(at, {"content": content, "opened": True})
    assert not at.exception
    assert any(
        "cannot be read" in each.value or "is not a picture" in each.value for each in at.error
    )
    assert marks(at) == before


@pytest.mark.usefixtures("shipped_runs")
def test_a_file_is_prepared_as_on_reconstructions() -> None:
    paper = 1 - sevens()
    at = given(opened(MAP, run="digits-ae"), as_message(paper, opened=True))
    assert not at.exception and not at.error
    choices = {toggle.label: toggle for toggle in at.toggle}
    assert choices["Invert"].value and choices["Crop to the drawing"].value
    drawn = marks(given(opened(MAP, run="digits-ae"), as_message(sevens())))["places"]
    for pane, place in marks(at)["places"].items():
        np.testing.assert_allclose(place, drawn[pane], atol=0.05)
    choices["Invert"].set_value(False)
    at.session_state[own_picture.COMPONENT] = {}  # an event happens once
    at.run()
    assert not np.allclose(marks(at)["places"]["bottleneck"], drawn["bottleneck"], atol=0.05)


@pytest.mark.parametrize("color", [True, False])
def test_nothing_is_cropped_for_photographs(color: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(split: str) -> data.Samples:
        x, labels = getattr(DIGITS, split)
        return data.Samples(np.repeat(x, 3, axis=1) if color else 0.5 + x / 2, labels)

    shape = (8, 8, 3) if color else (8, 8)
    photographs = DIGITS.derived(read, name="photographs", shape=shape)
    monkeypatch.setitem(data.DATASETS, "photographs", photographs)
    Train(run_config("photographs", epochs=1), "own", resumable=False).run(Listener())
    at = given(opened(MAP, run="own"), as_message(1 - sevens(), opened=True))
    assert not at.exception and not at.error
    assert not any(toggle.value for toggle in at.toggle if "crop" in toggle.key)
    assert not any(toggle.value for toggle in at.toggle if "invert" in toggle.key)
    x = data.fit(Image.fromarray(((1 - sevens()) * 255).astype(np.uint8)), shape)[None]
    codes = inference.encode(store.load("own").model(), x)
    plane = latent.plane_of_run(store.load("own")).project(codes)[0]
    np.testing.assert_allclose(marks(at)["places"]["bottleneck"], plane, atol=1e-4)


def test_a_conditioned_model_is_asked_for_a_class() -> None:
    Train(run_config("digits", "cvae", epochs=1), "own", resumable=False).run(Listener())
    at = given(opened(MAP, run="own"), as_message(sevens()))
    assert not at.exception and not at.error
    assert at.selectbox(key="own-class").options == list(DIGITS.label_names)
    assert len(marks(at)["rows"]) == 5


def test_tables_have_nothing_to_draw() -> None:
    Train(run_config(epochs=1), "own", resumable=False).run(Listener())
    at = opened(MAP, run="own")
    assert not at.exception
    assert not [each for each in at.get("bidi_component") if each.proto.json]


MARKED = "() => document.querySelector('.loupe').loupe.marks"


@pytest.fixture
def start(page: Page, tmp_path: Path) -> Iterator[Page]:
    """The start page of a server with runs of digits alone."""
    stock(tmp_path)
    for name in ("mnist-ae", "mnist-vae"):  # their data may not be on this machine
        (tmp_path / name / "manifest.json").unlink(missing_ok=True)
    with serving(tmp_path) as address:
        page.goto(address)
        page.wait_for_selector(".loupe[data-ready]")
        page.locator(".drawing canvas").scroll_into_view_if_needed()
        yield page


def stroke(page: Page) -> None:
    box = page.locator(".drawing canvas").bounding_box()
    page.mouse.move(box["x"] + 40, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 110, box["y"] + 30, steps=5)
    page.mouse.move(box["x"] + 70, box["y"] + 130, steps=5)
    page.mouse.up()


def places(page: Page) -> dict[str, list[float]]:
    """Places of the person's picture, once there are any."""
    page.wait_for_function(f"() => ({MARKED})().rows.length === 5")
    return page.evaluate(MARKED)["places"]


# Mean brightness of the canvas.
PIXELS = """() => {
  const canvas = document.querySelector(".drawing canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return (4 * data.reduce((sum, value, i) => sum + (i % 4 === 0 ? value : 0), 0)) / data.length;
}"""


@pytest.mark.browser
def test_a_drawing_on_the_start_page_lands_on_the_maps(start: Page) -> None:
    stroke(start)
    expect(start.get_by_text("Nearest test samples by code")).to_be_visible()
    assert set(places(start)) == {"bottleneck", "pca"}
    start.get_by_role("button", name="Clear").click()
    start.wait_for_function(f"() => ({MARKED})().rows.length === 0")


@pytest.mark.browser
def test_a_drawing_stays_on_the_maps_of_the_next_page(start: Page) -> None:
    stroke(start)
    before, bright = places(start), start.evaluate(PIXELS)
    start.get_by_role("link", name="Look at a map").click()
    start.wait_for_url("**/latent_map**")
    start.wait_for_selector(".loupe[data-ready][data-mode=all]")
    assert places(start) == before
    start.get_by_role("button", name="Draw").click()
    start.wait_for_function(f"(bright) => ({PIXELS})() > bright / 2", arg=bright)
    stroke(start)
    start.wait_for_function(
        f"(before) => ({MARKED})().places.pca[0] !== before", arg=before["pca"][0]
    )
    after = places(start)
    start.keyboard.press("Escape")
    expect(start.locator(".drawing")).to_have_count(0)
    start.wait_for_timeout(500)
    assert places(start) == after  # what the menu covered is seen


DROP = """([kind, name, content]) => {
  const bytes = Uint8Array.from(atob(content), (sign) => sign.charCodeAt(0));
  const files = new DataTransfer();
  files.items.add(new File([bytes], name, { type: name.endsWith("png") ? "image/png" : "" }));
  const canvas = document.querySelector(".drawing canvas");
  const event = kind === "drop"
    ? new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true })
    : new ClipboardEvent("paste", { clipboardData: files, bubbles: true, cancelable: true });
  canvas.dispatchEvent(event);
  return event.defaultPrevented;
}"""


@pytest.mark.browser
def test_a_file_is_opened_dropped_or_pasted_like_a_drawing(start: Page, tmp_path: Path) -> None:
    file = tmp_path / "seven.png"
    file.write_bytes(as_png(Image.fromarray(((1 - sevens()) * 255).astype(np.uint8))))
    content = base64.b64encode(file.read_bytes()).decode()
    found = []
    for kind in ("open", "drop", "paste"):
        if kind == "open":
            with start.expect_file_chooser() as chooser:
                start.get_by_role("button", name="Open a picture").click()
            chooser.value.set_files(file)
        else:
            assert start.evaluate(DROP, [kind, "seven.png", content])
        found.append(places(start))
        expect(start.get_by_role("img", name="Your picture as a sample of digits")).to_be_visible()
        expect(start.get_by_text(re.compile("Reconstruction error .* test image"))).to_be_visible()
        start.wait_for_function(f"() => ({PIXELS})() > 200")  # the paper is seen
        start.get_by_role("button", name="Clear").click()
        start.wait_for_function(f"() => ({MARKED})().rows.length === 0")
    assert found[0] == found[1] == found[2]


@pytest.mark.browser
def test_garbage_and_giants_are_sentences_and_the_drawing_stays(
    start: Page, tmp_path: Path
) -> None:
    # As large as a file may be: the message is not too long for the server.
    (tmp_path / "large.png").write_bytes(bytes(15 * 2**20))
    start.locator(".drawing input").set_input_files(tmp_path / "large.png")
    expect(start.get_by_text("This file is not a picture that can be read here")).to_be_visible()
    stroke(start)
    expect(start.get_by_text("This file is not a picture")).to_have_count(0)
    before, bright = places(start), start.evaluate(PIXELS)
    (tmp_path / "garbage.png").write_bytes(np.random.default_rng(0).bytes(5_000))
    (tmp_path / "giant.png").write_bytes(bytes(15 * 2**20 + 1))
    sentences = {
        "garbage": "This file is not a picture that can be read here",
        "giant": "giant.png has 16 MB, more than 15 MB",
    }
    for name, sentence in sentences.items():
        start.locator(".drawing input").set_input_files(tmp_path / f"{name}.png")
        expect(start.get_by_text(sentence)).to_be_visible()
        assert places(start) == before and start.evaluate(PIXELS) == bright
