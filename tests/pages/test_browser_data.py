"""Browser test of the page Data, in headless Chromium."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from test_browser import serving
from test_data_page import images, table

pytestmark = pytest.mark.browser


def test_from_a_dropped_table_to_its_map(page: Page, tmp_path: Path) -> None:
    (tmp_path / "plants.csv").write_bytes(table(300))
    with serving(tmp_path, OMP_NUM_THREADS="1") as address:
        page.goto(f"{address}/data")
        page.set_input_files("input[type=file]", tmp_path / "plants.csv")
        expect(page.get_by_text("of 300 samples, each of 2 features")).to_be_visible()
        page.get_by_role("button", name="Store", exact=True).click()
        page.get_by_role("link", name="Train on it").click()
        page.get_by_role("button", name="Train", exact=True).click()
        expect(page.get_by_text("is trained and stored")).to_be_visible(timeout=180_000)
        page.get_by_role("link", name="Latent map").last.click()
        page.wait_for_selector(".loupe[data-ready]")
        expect(page.locator(".loupe")).to_contain_text("Bottleneck")


def test_images_are_shown_once_they_are_stored(page: Page, tmp_path: Path) -> None:
    (tmp_path / "shades.zip").write_bytes(images())
    with serving(tmp_path) as address:
        page.goto(f"{address}/data")
        page.set_input_files("input[type=file]", tmp_path / "shades.zip")
        expect(page.get_by_text("a/broken.png is left out")).to_be_visible()
        page.get_by_role("button", name="Store", exact=True).click()
        expect(page.get_by_role("heading", name="shades")).to_be_visible()
        expect(page.get_by_test_id("stImage").locator("img")).to_be_visible()
