"""Audit of every page by axe-core, in both themes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser
from test_browser import serving, stock

from pages.app import frame

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("store")
    stock(folder)
    with serving(folder) as found:
        yield found


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("entry", frame.MENU, ids=lambda entry: entry.title)
def test_no_serious_fault_is_found(
    browser: Browser, address: str, entry: frame.Entry, theme: str
) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=theme)
    page = context.new_page()
    page.set_default_timeout(60_000)
    query = "?run=digits-vae" if entry.of_run else ""
    path = "" if entry.path == "app.py" else entry.path.removeprefix("pages/").removesuffix(".py")
    page.goto(f"{address}/{path}{query}")
    page.locator("h1").first.wait_for(state="attached")
    page.wait_for_function("() => !document.querySelector('[data-testid=stSpinner], .stSkeleton')")
    page.wait_for_timeout(3_000)
    found = Axe().run(page).response
    serious = [
        f"{fault['id']}: {node['target']} {node['failureSummary']}"
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]
    assert not serious
    assert len(found["passes"]) > 20  # it has looked at a page
    context.close()
