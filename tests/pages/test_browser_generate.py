"""Browser tests of the page Generate: picking, dragging, downloads."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from playwright.sync_api import Locator, Page, expect
from scipy.stats import norm
from test_browser import (
    DIGITS,
    DIGITS_SHOWN,
    READY,
    ROOT,
    finished,
    level,
    opened,
    picture,
    serving,
    stock,
    taken,
)
from test_linked_maps import Shown, around, isolated, lasso

from aecore.applications import sample_quality
from aecore.runs import store
from pages.views.generate.arithmetic import BY_NUMBER
from pages.views.generate.paths import MOST_PICKED, STOPS
from pages.views.generate.views import VIEWS

pytestmark = pytest.mark.browser
UNMEASURED = "digits-ae"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Server of a store in which the sample quality of one run was not measured."""
    folder = tmp_path_factory.mktemp("store")
    stock(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AECORE_STORE", str(folder))
        sample_quality.quality_artifact(store.load(UNMEASURED)).path.unlink()
    with serving(folder) as found:
        yield found


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the shipped runs."""
    monkeypatch.setenv("AECORE_STORE", str(ROOT / "models_store"))


def decode(run: store.Run, codes: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return run.model().decode(torch.tensor(codes, dtype=torch.float32)).numpy()


def decoded(page: Page) -> Locator:
    """Composed picture of a view."""
    return page.get_by_role("img", name=re.compile("mages decoded by"))


def errors(page: Page) -> Locator:
    return page.get_by_test_id("stAlertContentError")


def click_sample(shown: Shown, number: int) -> None:
    shown.page.locator(".loupe-plot").scroll_into_view_if_needed()
    shown.page.mouse.click(*shown.place(0, *shown.samples.plane[number]))


# --- Path ---------------------------------------------------------------------------------------


def marked_and_in_address(page: Page, text: str) -> None:
    page.wait_for_function(
        "(text) => document.querySelector('.loupe').loupe?.marks.rows.join(', ') === text && "
        "new URLSearchParams(location.search).get('stops') === text",
        arg=text,
    )


def test_what_is_picked_on_the_map_goes_into_the_path(page: Page, address: str) -> None:
    maps = opened(page, f"{address}/generate?run=digits-ae&view=Path&stops=2,+4")
    field, root = page.get_by_role("textbox", name=STOPS), page.locator(".loupe")
    root.evaluate("(root) => { root.dataset.known = 'yes'; }")
    first, second = isolated(maps)[:2]
    steps = (
        (first, f"2, 4, {first}"),
        (second, f"2, 4, {first}, {second}"),
        (first, f"2, 4, {second}"),
    )
    for number, text in steps:
        before = decoded(page).get_attribute("src")
        click_sample(maps, number)
        expect(field).to_have_value(text)
        marked_and_in_address(page, text)
        expect(decoded(page)).not_to_have_attribute("src", before)
    assert root.get_attribute("data-known") == "yes"  # the map was not made anew
    lasso(maps, 0, around(maps, 0))
    few = re.compile(f"{MOST_PICKED} of .* selected samples are taken")
    expect(page.get_by_text(few)).to_be_visible()
    expect(field).to_have_value(re.compile(rf"^\d+(, \d+){{{MOST_PICKED - 1}}}$"))
    numbers = field.input_value()
    marked_and_in_address(page, numbers)
    page.reload()
    expect(field).to_have_value(numbers)


def test_a_path_of_one_sample_is_mended_on_the_map(page: Page, address: str) -> None:
    maps = opened(page, f"{address}/generate?run=digits-ae&view=Path&stops=2")
    expect(errors(page)).to_contain_text("'2' names 1")
    expect(decoded(page)).to_have_count(0)
    number = isolated(maps)[0]
    click_sample(maps, number)
    expect(decoded(page)).to_be_visible()
    expect(errors(page)).to_have_count(0)
    expect(page.get_by_role("textbox", name=STOPS)).to_have_value(f"2, {number}")


# --- Traversal ----------------------------------------------------------------------------------


def test_a_dimension_is_moved_along_and_exchanged(page: Page, address: str) -> None:
    page.goto(f"{address}/generate?run=digits-vae&view=Traversal")
    slider, box = level(page), level(page).bounding_box()
    shown, track = page.locator(".live-picture"), page.locator(".live-track")
    along = page.get_by_role("combobox", name="Move along")
    seen, first, name = [picture(page)], track.get_attribute("src"), along.input_value()

    def decoded_there() -> str:
        place = float(slider.input_value())
        expect(shown).to_have_attribute("alt", re.compile(f"at {place:.2f} of {name}"))
        return picture(page)

    def to(share: float) -> None:
        page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2)

    to(0.5)
    page.mouse.down()
    for share in (0.75, 0.9, 0.2):
        to(share)
        seen.append(decoded_there())
        assert "place=" not in page.url  # an address a place would fill the history
    assert len(set(seen)) == 4
    page.mouse.up()
    place = slider.input_value()
    expect(page).to_have_url(re.compile(f"place={re.escape(place)}(&|$)"))
    slider.press("ArrowRight")
    expect(page).not_to_have_url(re.compile(f"place={re.escape(place)}(&|$)"))
    expect(track).to_have_attribute("src", first)
    page.go_back()
    expect(slider).to_have_value(place)
    expect(shown).to_have_attribute("src", seen[-1])
    along.click()
    page.get_by_role("option").last.click()
    expect(track).not_to_have_attribute("src", first)
    expect(along).not_to_have_value(name)
    expect(slider).to_have_value(place)
    page.go_back()
    expect(along).to_have_value(name)
    expect(track).to_have_attribute("src", first)


# --- Arithmetic ---------------------------------------------------------------------------------


def test_a_group_is_picked_and_its_sums_are_taken_away(
    page: Page, address: str, shipped: None
) -> None:
    steps = 5
    page.goto(f"{address}/generate?run=digits-ae&view=Arithmetic&sums={steps}")
    expect(decoded(page)).to_be_visible()
    expect(page.locator(READY)).to_have_count(0)
    page.get_by_role("combobox", name="A", exact=True).click()
    page.get_by_role("option", name=BY_NUMBER).click()
    page.wait_for_selector(READY)
    maps, field = Shown(page, DIGITS_SHOWN, DIGITS), page.get_by_role("textbox", name="Samples")
    expect(page.get_by_text("A: #1 (1)")).to_be_visible()
    finished(page)
    number, before = isolated(maps)[0], decoded(page).get_attribute("src")
    click_sample(maps, number)
    expect(field).to_have_value(f"1, {number}")
    expect(page.get_by_text(f"A: #1, #{number} (2)")).to_be_visible()
    expect(decoded(page)).not_to_have_attribute("src", before)
    with Image.open(taken(page, "WebP")) as moving:
        frames = [np.asarray(frame.convert("L")) for frame in ImageSequence.Iterator(moving)]
    assert len(frames) == 2 * steps - 2  # there and back
    for there, back in zip(frames[1 : steps - 1], frames[:0:-1], strict=False):
        np.testing.assert_array_equal(there, back)
    run = store.load("digits-ae")
    codes, labels = run.codes["codes"], run.codes["labels"]
    a, b, c = codes[[1, number]].mean(0), codes[labels == 0].mean(0), codes[labels == 2].mean(0)
    made = decode(run, c + np.linspace(0, 1.5, steps)[:, None] * (a - b))
    for frame, wanted in zip(frames, made, strict=False):
        side = len(frame) // 8
        pixels = frame[side // 2 :: side, side // 2 :: side] / 255
        np.testing.assert_allclose(pixels, wanted.reshape(8, 8), atol=0.51 / 255)


# --- Grid ---------------------------------------------------------------------------------------


def test_a_grid_is_taken_away_as_the_model_decodes_it(
    page: Page, address: str, shipped: None
) -> None:
    page.goto(f"{address}/generate?run=digits-vae&view=Grid&n=5")
    side = page.get_by_role("slider", name="Grid size")
    for _ in range(2):
        side.press("ArrowLeft")
    expect(decoded(page)).to_have_attribute("alt", re.compile("^9 images decoded by digits-vae"))
    values = norm.ppf([1 / 6, 3 / 6, 5 / 6])
    wanted = [(x, y) for y in values[::-1] for x in values]
    with np.load(taken(page, "NPZ")) as arrays:
        np.testing.assert_allclose(arrays["codes"], wanted, atol=1e-6)
        images = arrays["decoded"]
    direct = decode(store.load("digits-vae"), np.array(wanted))
    np.testing.assert_allclose(images, direct, atol=1e-5)


def test_a_click_on_the_grid_shows_a_picture_large(page: Page, address: str) -> None:
    page.goto(f"{address}/generate?run=digits-vae&view=Grid&n=5")
    expect(decoded(page)).to_be_visible()
    finished(page)
    box = decoded(page).bounding_box()
    for column, row in ((1, 2), (4, 0)):
        place = ((column + 0.5) / 5 * box["width"], (row + 0.5) / 5 * box["height"])
        decoded(page).click(position={"x": place[0], "y": place[1]})
        number = 5 * row + column + 1
        expect(page.get_by_role("img", name=f"Picture {number} of the grid")).to_be_visible()
        expect(page).to_have_url(re.compile(rf"cell={number}(&|$)"))


# --- Samples ------------------------------------------------------------------------------------


def test_samples_are_measured_on_the_page(page: Page, address: str) -> None:
    page.goto(f"{address}/generate?run={UNMEASURED}&view=Samples")
    expect(decoded(page)).to_be_visible()
    expect(page.get_by_text("no Inception FID")).to_have_count(0)
    page.get_by_role("button", name="Measure the samples").click()
    expect(page.get_by_text("no Inception FID")).to_be_visible()
    table = page.get_by_role("region", name=f"Figures of samples of {UNMEASURED}")
    expect(table).to_be_visible()
    expect(page.get_by_role("button", name="Measure the samples")).to_have_count(0)
    expect(errors(page)).to_have_count(0)


# --- All views ----------------------------------------------------------------------------------


def test_hurrying_through_the_views_and_back_breaks_nothing(page: Page, address: str) -> None:
    page.goto(f"{address}/generate?run=digits-vae&view={list(VIEWS)[-1]}")
    for name in [*VIEWS, *VIEWS, *reversed(VIEWS)]:
        page.get_by_role("radio", name=name, exact=True).click()
    expect(page.get_by_role("img", name=re.compile("^144 images decoded"))).to_be_visible()
    finished(page)
    expect(decoded(page)).to_have_count(1)  # none of another view is left
    expect(errors(page)).to_have_count(0)
