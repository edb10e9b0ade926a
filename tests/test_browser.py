"""The dashboard in a real headless Chromium, as a person meets it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import chromium
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[1]
SHIPPED = ("digits-ae", "digits-vae", "mnist-ae", "mnist-vae", "_maps", "_recipes")
PAGES = ("", "train", "latent_map", "reconstructions", "recipes")
expect.set_options(timeout=60_000)  # a loaded machine is slow, not wrong
SHOTS = ROOT / "test-results"
PAINTED = (
    "[...document.querySelectorAll('.js-plotly-plot')].filter("
    "plot => plot.querySelector('.scatterlayer .point, canvas')).length >= 4"
)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A fresh server with the shipped runs in a store of its own."""
    for name in SHIPPED:
        shutil.copytree(ROOT / "models_store" / name, folder / name)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (folder / ".server-log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}"],
        cwd=ROOT,
        env=os.environ | {"AECORE_STORE": str(folder)},
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=1)
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        log.close()
    said = (folder / ".server-log").read_text()
    assert "Traceback" not in said, said


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=chromium.find(),
            args=["--no-sandbox", "--enable-unsafe-swiftshader", "--disable-background-networking"],
        )
        yield found
        found.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("store")) as found:
        yield found


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A new person's window; it asks no other server for anything."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    found = context.new_page()
    strangers: list[str] = []
    found.on(
        "request",
        lambda request: (
            strangers.append(request.url)
            if not re.match(r"(http://127\.0\.0\.1|data:|blob:)", request.url)
            else None
        ),
    )
    found.set_default_timeout(60_000)
    yield found
    context.close()
    assert not strangers


def points(page: Page) -> list[int]:
    """How many points each chart holds."""
    return page.evaluate(
        "[...document.querySelectorAll('.js-plotly-plot')].map("
        "plot => plot._fullData.reduce((sum, trace) => sum + trace._length, 0))"
    )


def start_training(page: Page, address: str, epochs: int, **settings: str) -> None:
    query = "".join(f"&{name}={value}" for name, value in settings.items())
    page.goto(f"{address}/train?epochs={epochs}{query}")
    page.get_by_role("button", name="Train", exact=True).click()


def epochs_done(page: Page) -> int:
    text = page.get_by_text(re.compile(r"epoch \d+ of \d+ done")).first.inner_text()
    return int(re.search(r"epoch (\d+) of", text)[1])


def test_the_first_page_shows_four_maps_of_the_digits(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_function(PAINTED)
    assert points(page) == [360] * 4
    for card in ("digits-ae", "digits-vae", "mnist-ae", "mnist-vae"):
        expect(page.get_by_role("link", name=card)).to_be_visible()
    described = page.get_by_role("figure", name=re.compile("360 test samples of digits"))
    expect(described).to_have_count(4)


def test_a_card_opens_its_map_with_every_point(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("link", name="mnist-vae").click()
    page.wait_for_function(PAINTED)
    page.wait_for_url("**/latent_map?run=mnist-vae")
    assert points(page) == [10_000] * 4


def test_a_first_visitor_may_come_by_a_deep_link(page: Page, tmp_path: Path) -> None:
    with serving(tmp_path / "fresh") as address:
        page.goto(f"{address}/latent_map?run=digits-vae&tsne_perplexity=20")
        expect(page.get_by_role("combobox", name="Run")).to_have_value("digits-vae")
        expect(page.get_by_text("Compute t-SNE")).to_be_visible()
        expect(page.get_by_role("link", name="Start")).to_be_visible()


def test_a_small_model_trains_to_the_end_and_its_map_opens(page: Page, address: str) -> None:
    start_training(page, address, 5, name="tiny-one")
    expect(page.get_by_text("tiny-one is trained and stored")).to_be_visible()
    page.get_by_test_id("stMain").get_by_role("link", name="Latent map").click()
    page.wait_for_function(PAINTED)
    expect(page.get_by_role("combobox", name="Run")).to_have_value("tiny-one")
    assert points(page) == [360] * 4
    page.get_by_role("link", name="Reconstructions").first.click()
    expect(page.get_by_role("img", name=re.compile("8 test images of digits"))).to_be_visible()
    expect(page.get_by_role("combobox", name="Run")).to_have_value("tiny-one")
    page.go_back()
    expect(page.get_by_role("heading", name="Latent map")).to_be_visible()


def test_training_outlives_a_reload_and_a_page_change_and_can_be_cancelled(
    page: Page, address: str
) -> None:
    start_training(page, address, 5000)
    expect(page.get_by_text(re.compile(r"epoch \d+ of 5000 done")).first).to_be_visible()
    before = epochs_done(page)
    page.reload()
    expect(page.get_by_text(re.compile(r"epoch \d+ of 5000 done")).first).to_be_visible()
    assert epochs_done(page) >= before
    expect(page.get_by_role("figure", name=re.compile("Map of the codes"))).to_be_visible()
    page.get_by_role("link", name="Start").click()
    expect(page.get_by_role("heading", name="All runs")).to_be_visible()
    expect(page.get_by_text(re.compile(r"of 5000 done"))).to_be_visible()
    page.get_by_role("link", name="Train", exact=True).click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("ae on digits was cancelled")).to_be_visible()
    page.get_by_role("button", name="Discard").click()
    expect(page.get_by_role("button", name="Discard")).to_have_count(0)


def test_a_second_job_waits_and_says_its_place(page: Page, address: str) -> None:
    start_training(page, address, 5000)
    expect(page.get_by_text(re.compile(r"of 5000 done")).first).to_be_visible()
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.get_by_text("waiting, 1 before it").first).to_be_visible()
    for left in (1, 0):
        page.get_by_role("button", name="Cancel").last.click()
        expect(page.get_by_role("button", name="Cancel")).to_have_count(left)


def test_faults_are_told_together_and_the_form_keeps_them(page: Page, address: str) -> None:
    page.goto(f"{address}/train")
    page.get_by_role("spinbutton", name="Epochs").fill("0")
    page.get_by_role("textbox", name="Hidden").fill("512,abc")
    page.get_by_role("button", name="Train", exact=True).click()
    alert = page.get_by_role("alert").filter(has_text="epochs = 0")
    expect(alert).to_contain_text("hidden = '512,abc'")
    expect(page.get_by_role("textbox", name="Hidden")).to_have_value("512,abc")
    page.reload()
    expect(page.get_by_role("textbox", name="Hidden")).to_have_value("512,abc")


def test_a_variant_with_switches_trains_from_the_form(page: Page, address: str) -> None:
    page.goto(f"{address}/train?epochs=3&name=tied-one")
    page.get_by_text("More settings").click()
    page.get_by_text("Tied", exact=True).click()
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.get_by_text("tied-one is trained and stored")).to_be_visible()
    page.reload()
    page.get_by_text("More settings").click()
    expect(page.get_by_role("checkbox", name="Tied")).to_be_checked()


def test_convolutions_are_refused_for_a_table_and_train_on_images(page: Page, address: str) -> None:
    page.goto(f"{address}/train?dataset=wine&variant=conv&batch_size=16")
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="wine is none")).to_be_visible()
    page.goto(f"{address}/train?dataset=digits&variant=conv&epochs=2&name=conv-one")
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.get_by_text("conv-one is trained and stored")).to_be_visible()


def test_a_recipe_runs_and_the_list_chooses_another(page: Page, address: str) -> None:
    page.goto(f"{address}/recipes?recipe=linear-is-pca-3d")
    before = page.get_by_test_id("stMetricValue").first
    expect(before).to_have_text("0.04429")
    page.get_by_role("button", name="Run it again").click()
    expect(page.get_by_text(re.compile(r"start \d of 5")).first).to_be_visible()
    expect(page.get_by_role("button", name="Run it again")).to_be_visible()
    expect(page.get_by_text("It holds")).to_be_visible()
    page.get_by_text("manifold", exact=True).first.click()
    expect(page.get_by_role("heading", name="A surface that follows the roll")).to_be_visible()
    page.wait_for_url("**/recipes?recipe=manifold")
    page.reload()
    expect(page.get_by_role("heading", name="A surface that follows the roll")).to_be_visible()
    page.get_by_role("link", name="Start").click()
    expect(page.get_by_role("heading", name="All runs")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="A surface that follows the roll")).to_be_visible()


@pytest.mark.parametrize("width", [1440, 800])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_every_page_fits_its_window(
    browser: Browser, address: str, name: str, scheme: str, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 1400}, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{address}/{name}")
    page.wait_for_selector("h1", timeout=60_000)
    if name in ("", "latent_map"):
        page.wait_for_function(PAINTED, timeout=60_000)
    elif name == "reconstructions":
        page.wait_for_selector("[data-testid=stImage] img", timeout=60_000)
    page.wait_for_timeout(500)
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / f"{name or 'start'}-{scheme}-{width}.png")
    too_wide = page.evaluate(
        "[...document.querySelectorAll('[data-testid=stMain] *')].filter("
        "e => e.getBoundingClientRect().right > innerWidth + 1).length"
    )
    assert too_wide == 0
    assert page.get_by_role("alert").filter(has_text="Error").count() == 0
    context.close()
