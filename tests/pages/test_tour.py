"""Tour over the pages, and the mode for a projector."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from test_browser import serving, stock
from test_pages import ROOT, opened, shipped_runs  # noqa: F401

from pages.app import state, tour


@pytest.mark.usefixtures("shipped_runs")
@pytest.mark.parametrize("at", range(len(tour.STEPS)))
def test_every_step_opens_its_page_and_says_what_to_try(at: int, store_folder: Path) -> None:
    name = "digits-denoising"
    shutil.copytree(ROOT / "models_store" / name, store_folder / name, dirs_exist_ok=True)
    step = tour.STEPS[at]
    query = step.query | {state.TOUR: str(at + 1), state.PRESENT: "1"}
    page = opened(ROOT / step.path, **query)
    assert not page.exception and not page.error
    said = [each.value for each in page.markdown]
    assert any(f"{at + 1} of {len(tour.STEPS)} · {step.title}" in each for each in said)
    labels = {button.label for button in page.button}
    assert {"End", "Stop presenting"} <= labels
    labels |= {link.proto.label for link in page.main.get("page_link")}
    assert ("Back" in labels, "Next" in labels) == (at > 0, at + 1 < len(tour.STEPS))


@pytest.mark.usefixtures("shipped_runs")
@pytest.mark.parametrize("asked", ["0", "8", "-1", "one", "1.0", "", "\u0663"])
def test_what_is_no_step_is_no_tour(asked: str) -> None:
    page = opened(ROOT / "app.py", **{state.TOUR: asked})
    assert not page.exception and not page.error
    assert not any(" of 7 · " in each.value for each in page.markdown)
    assert state.TOUR not in page.query_params or not asked
    assert any(f"'{asked}' in the address" in each.value for each in page.warning) == bool(asked)


@pytest.mark.browser
def test_a_tour_is_walked_by_arrow_keys_while_presenting(page: Page, tmp_path: Path) -> None:
    stock(tmp_path)
    with serving(tmp_path) as address:
        page.goto(f"{address}/train?present=1&tour=7")
        expect(page.get_by_text("7 of 7")).to_be_visible()
        expect(page.get_by_role("link", name="Recipes")).to_be_hidden()
        page.wait_for_function("() => window.loupePresents")
        # A link is lost that is pressed while the first run of a page goes on.
        for _ in range(10):
            page.keyboard.press("ArrowLeft")
            page.wait_for_timeout(3_000)
            if page.get_by_text("6 of 7").is_visible():
                break
        expect(page.get_by_text("6 of 7")).to_be_visible()
        page.get_by_role("button", name="End", exact=True).click()
        expect(page.get_by_text("6 of 7")).to_have_count(0)
        page.wait_for_function("() => !location.search.includes('tour')")
        assert "present=1" in page.url
        page.get_by_role("button", name="Stop presenting").click()
        page.wait_for_function("() => !location.search.includes('present')")
        expect(page.get_by_role("link", name="Recipes").first).to_be_visible()


@pytest.mark.browser
def test_the_whole_tour_is_taken_by_the_enter_key_alone(page: Page, tmp_path: Path) -> None:
    stock(tmp_path)
    name = "digits-denoising"
    shutil.copytree(ROOT / "models_store" / name, tmp_path / name)
    with serving(tmp_path) as address:
        page.goto(f"{address}/?tour=1")
        for number, step in enumerate(tour.STEPS, start=1):
            expect(
                page.get_by_text(f"{number} of {len(tour.STEPS)} · {step.title}")
            ).to_be_visible()
            expect(page.locator('[data-test-script-state="notRunning"]')).to_be_attached()
            name = "End" if number == len(tour.STEPS) else "Next"
            focused = page.locator(".st-key-tour :is(a, button):focus-visible", has_text=name)
            expect(focused).to_be_in_viewport()
            # A link is lost that is pressed while a run of the page goes on.
            for _ in range(5):
                page.keyboard.press("Enter")
                with suppress(AssertionError):
                    expect(page.get_by_text(step.title)).to_have_count(0, timeout=15_000)
                    break
        expect(page.locator(".st-key-tour")).to_have_count(0)
        assert "/train" in page.url
