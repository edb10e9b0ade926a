"""Browser test of the page What if, in headless Chromium."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from test_browser import serving

pytestmark = pytest.mark.browser


def test_a_sweep_is_planned_trained_and_compared(page: Page, tmp_path: Path) -> None:
    with serving(tmp_path, OMP_NUM_THREADS="1") as address:
        page.goto(f"{address}/what_if?dataset=digits&variant=ae")
        page.get_by_role("button", name="Seeds", exact=True).click()
        page.get_by_role("textbox", name="Values of Seed").fill("0, 1")
        page.get_by_role("textbox", name="Values of Seed").press("Enter")
        page.get_by_role("button", name="Add a setting").click()
        settings = page.get_by_role("combobox", name="Setting", exact=True)
        expect(settings).to_have_count(2)
        settings.last.click()
        page.get_by_role("option", name="Epochs", exact=True).click()
        page.get_by_role("textbox", name="Values of Epochs").fill("90")
        page.get_by_role("textbox", name="Values of Epochs").press("Enter")
        expect(page.get_by_text("2 trainings")).to_be_visible()
        page.get_by_role("button", name="Start", exact=True).click()
        # What the canvas shows, as text.
        rows = page.get_by_test_id("stDataFrame").locator("tbody tr")
        running = rows.filter(has_text="running")
        expect(running.filter(has_text="data:image/png").first).to_be_attached(timeout=180_000)
        expect(page.get_by_text("2 of 2 trained")).to_be_visible(timeout=180_000)
        expect(rows.filter(has_text="trained")).to_have_count(2)
        assert page.url.endswith("&sweep=digits-ae-sweep-1")
