"""Browser tests of the dashboard, in headless Chromium."""

from __future__ import annotations

import io
import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas
import pytest
from conftest import Listener
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect
from skimage.measure import points_in_poly
from streamlit_server import server
from test_jobs import Elsewhere
from test_linked_maps import Shown, around, card_image, lasso, slide, typed

from aecore import data, latent
from aecore.data import Subset
from aecore.models import inference
from aecore.runs import store
from aecore.viewer import payload

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[2]
SHIPPED = ("digits-ae", "digits-vae", "mnist-ae", "mnist-vae", "_maps", "_recipes")
PAGES = ("", "train", "what_if", "latent_map", "reconstructions", "denoise", "generate", "recipes")
expect.set_options(timeout=60_000)  # a loaded machine is slow, not wrong
SHOTS = ROOT / "test-results"
DIGITS = data.get("digits")
LONG = 2_000  # epochs: more than a test needs, and over before the next one gives up waiting for it


def shipped_samples(name: str) -> payload.SampleTable:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AECORE_STORE", str(ROOT / "models_store"))
        return payload.shown(store.load(name), DIGITS, Subset())


DIGITS_SHOWN = shipped_samples("digits-ae")
READY = ".loupe[data-ready]"


@contextmanager
def serving(
    folder: Path, script: Path = ROOT / "app.py", start: Sequence[str] = (), **environment: str
) -> Iterator[str]:
    """A fresh server of a store.

    Arguments
        script: what it serves, from the folder that it is in.
        start: a command that starts it in a way of its own.
    """
    command = (*start, sys.executable, "-m", "streamlit", "run", script.name)
    environment = {"AECORE_STORE": str(folder), "STREAMLIT_SERVER_HEADLESS": "true"} | environment
    with (
        (folder / ".server-log").open("w") as log,
        server(command, script.parent, log, **environment) as address,
    ):
        yield address
    said = (folder / ".server-log").read_text()
    assert "Traceback" not in said, said


def stock(folder: Path, *analysed: str) -> None:
    """Copy the shipped runs and their artifacts into a store."""
    for name in SHIPPED:
        shutil.copytree(ROOT / "models_store" / name, folder / name, dirs_exist_ok=True)
    for name in analysed:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AECORE_STORE", str(folder))
            (folder / name / "latent.safetensors").unlink(missing_ok=True)
            latent.Analyse(name).run(Listener())


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("store")
    stock(folder, "digits-ae", "digits-vae")
    with serving(folder) as found:
        yield found


VAE = "Digits, variational autoencoder"  # as it is called in the list of runs


def opened(page: Page, address: str) -> Shown:
    """Open a page and wait until its linked maps are painted."""
    page.goto(address)
    page.wait_for_selector(READY)
    return Shown(page, DIGITS_SHOWN, DIGITS)


def points(page: Page) -> list[int]:
    """Number of points in each pane."""
    page.wait_for_selector(READY)
    return page.evaluate(
        """() => {
          const counts = {};
          for (const { xaxis, _length } of document.querySelector(".loupe-plot")._fullData) {
            counts[xaxis] = (counts[xaxis] ?? 0) + _length;
          }
          return Object.values(counts);
        }"""
    )


def finished(page: Page) -> None:
    """Wait until the server has drawn everything."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")


def taken(page: Page, kind: str) -> Path:
    """File downloaded by a button: what it gives is computed when it is pressed, and a script that
    runs again takes the one that it gave before away."""
    finished(page)
    with page.expect_download() as download:
        page.get_by_role("button", name=kind, exact=True).first.click()
    return download.value.path()


def start_training(page: Page, address: str, epochs: int, **settings: str) -> None:
    query = "".join(f"&{name}={value}" for name, value in settings.items())
    page.goto(f"{address}/train?epochs={epochs}{query}")
    page.get_by_role("button", name="Train", exact=True).click()


def jobs(page: Page) -> Locator:
    """Button in the header that says how many jobs there are."""
    return page.locator(".st-key-job_list button").first


def epochs_done(page: Page) -> int:
    text = page.get_by_text(re.compile(r"epoch \d+ of \d+ done")).first.inner_text()
    return int(re.search(r"epoch (\d+) of", text)[1])


def test_the_first_page_shows_four_maps_and_every_run(page: Page, address: str) -> None:
    page.goto(address)
    assert points(page) == [10_000] * 4
    described = page.get_by_role(
        "group", name=re.compile("10000 samples of mnist: Bottleneck, PCA")
    )
    expect(described).to_have_count(1)
    expect(page.get_by_test_id("stDataFrame")).to_have_count(1)


def test_the_first_page_opens_its_map_with_every_point(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_selector(READY)
    page.get_by_role("link", name="Look at a map").click()
    page.wait_for_url("**/latent_map?run=mnist-vae")
    page.get_by_role("group", name=re.compile("10000 samples of mnist")).wait_for()
    assert points(page) == [10_000] * 4


def test_a_first_visitor_may_come_by_a_deep_link(page: Page, tmp_path: Path) -> None:
    stock(tmp_path / "fresh")
    with serving(tmp_path / "fresh") as address:
        page.goto(f"{address}/latent_map?run=digits-vae&tsne_perplexity=20")
        expect(page.get_by_role("combobox", name="Run")).to_have_value(VAE)
        expect(page.get_by_text("Compute t-SNE")).to_be_visible()
        expect(page.get_by_role("link", name="Latent Loupe")).to_be_visible()


def test_a_small_model_trains_to_the_end_and_its_map_opens(page: Page, address: str) -> None:
    start_training(page, address, 5, name="tiny-one")
    expect(page.get_by_text("tiny-one is trained and stored")).to_be_visible()
    page.locator(".st-key-result").get_by_role("link", name="Latent map").click()
    expect(page.get_by_role("combobox", name="Run")).to_have_value("tiny-one")
    assert points(page) == [360] * 4
    page.get_by_role("link", name="Reconstructions").first.click()
    expect(page.get_by_role("img", name=re.compile("8 test images of digits"))).to_be_visible()
    expect(page.get_by_role("combobox", name="Run")).to_have_value("tiny-one")
    page.go_back()
    expect(page.get_by_role("heading", name="Latent map").first).to_be_visible()


def test_training_outlives_a_reload_and_a_page_change_and_can_be_cancelled(
    page: Page, address: str
) -> None:
    start_training(page, address, LONG)
    expect(page.get_by_text(re.compile(rf"epoch \d+ of {LONG} done")).first).to_be_visible()
    before = epochs_done(page)
    page.reload()
    expect(page.get_by_text(re.compile(rf"epoch \d+ of {LONG} done")).first).to_be_visible()
    assert epochs_done(page) >= before
    expect(page.locator(f"{READY}[data-mode=training]")).to_be_visible()
    expect(page.get_by_text(re.compile("360 test samples after epoch"))).to_be_visible()
    slider = page.get_by_role("slider", name="Epoch")
    slider.fill("0")
    expect(page.get_by_text(re.compile("Epoch 1 of .* test loss"))).to_be_visible()
    page.get_by_role("link", name="Latent Loupe").click()
    expect(page.get_by_role("heading", name="All runs")).to_be_visible()
    expect(jobs(page)).to_contain_text(re.compile(r"1 job · \d+ %"))
    jobs(page).click()
    expect(page.get_by_text(re.compile(f"of {LONG} done"))).to_be_visible()
    page.get_by_role("link", name="Train", exact=True).click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Plain autoencoder on digits was cancelled")).to_be_visible()
    page.get_by_role("button", name="Discard").click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_role("button", name="Discard")).to_have_count(0)


def test_a_double_click_trains_once(page: Page, tmp_path: Path) -> None:
    scheduler = Elsewhere(tmp_path)  # without a worker, so that every training waits
    with scheduler.running(), serving(tmp_path, AECORE_SCHEDULER=scheduler.address) as address:
        page.goto(f"{address}/train?dataset=iris&name=twice")
        button = page.get_by_role("button", name="Train", exact=True)
        for count, pause in enumerate((0, 0.2, 0.05), 1):
            box = button.bounding_box()
            place = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
            for _ in range(2):
                page.mouse.click(*place)
                time.sleep(pause)
            expect(jobs(page)).to_contain_text(f"{count} job")
            page.wait_for_timeout(2_000)
            expect(jobs(page)).to_contain_text(f"{count} job")
            expect(page.get_by_text(re.compile("being trained already|is taken"))).to_have_count(0)
            page.get_by_role("textbox", name="Name of the run").fill("")


def test_a_second_job_waits_and_says_its_place(page: Page, address: str) -> None:
    start_training(page, address, LONG)
    expect(page.get_by_text(re.compile(f"of {LONG} done")).first).to_be_visible()
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.get_by_text("waiting behind Plain autoencoder on digits")).to_be_visible()
    jobs(page).click()
    listed = page.get_by_test_id("stPopoverBody").get_by_role("button", name="Cancel")
    for left in (1, 0):
        page.wait_for_timeout(1_000)  # sooner, it would count as the second press of a double click
        listed.last.click()
        expect(listed).to_have_count(left)


def test_faults_are_told_together_and_the_form_keeps_them(page: Page, address: str) -> None:
    page.goto(f"{address}/train")
    page.get_by_role("spinbutton", name="Epochs").fill("0")
    page.get_by_role("textbox", name="Hidden").fill("512,abc")
    page.get_by_role("button", name="Train", exact=True).click()
    alert = page.get_by_role("alert").filter(has_text="Epochs: 0")
    expect(alert).to_contain_text("Hidden layers: '512,abc'")
    expect(page.get_by_role("textbox", name="Hidden")).to_have_value("512,abc")
    page.reload()
    expect(page.get_by_role("textbox", name="Hidden")).to_have_value("512,abc")


def test_a_variant_with_switches_trains_from_the_form(page: Page, address: str) -> None:
    page.goto(f"{address}/train?epochs=3&name=tied-one")
    page.get_by_text("More settings").click()
    page.get_by_text("Tied weights", exact=True).click()
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.get_by_text("tied-one is trained and stored")).to_be_visible()
    page.reload()
    page.get_by_text("More settings").click()
    expect(page.get_by_role("checkbox", name="Tied weights")).to_be_checked()


def test_runs_beside_the_run_follow_history_and_other_pages(page: Page, address: str) -> None:
    pinned = page.locator(".st-key-pins [data-tag]")
    page.goto(f"{address}/reconstructions?run=digits-ae")
    page.get_by_role("combobox", name="Compare with").click()
    page.get_by_role("option", name=VAE).click()
    page.wait_for_url("**/reconstructions?run=digits-ae&pins=digits-vae")
    expect(pinned).to_have_text(VAE)
    finished(page)
    page.go_back()
    page.wait_for_url("**/reconstructions?run=digits-ae")
    expect(pinned).to_have_count(0)
    page.go_forward()
    expect(pinned).to_have_text(VAE)
    finished(page)
    page.locator(".st-key-menu a[href*=denoise]").first.click()
    page.wait_for_url("**/denoise?run=digits-ae&pins=digits-vae")
    expect(pinned).to_have_text(VAE)


def test_a_choice_is_kept_while_another_page_is_open(page: Page, address: str) -> None:
    page.goto(f"{address}/train?dataset=digits&variant=ae&preset=defaults")
    page.get_by_role("combobox", name="Activation").first.click()
    page.get_by_role("option", name="Leaky ReLU").click()
    page.wait_for_url("**&activation=leaky-relu")
    finished(page)
    page.get_by_role("link", name="Recipes", exact=True).click()
    page.wait_for_url("**/recipes**")
    finished(page)
    page.get_by_role("link", name="Train", exact=True).click()
    expect(page.get_by_role("combobox", name="Activation").first).to_have_value("Leaky ReLU")
    expect(page).to_have_url(re.compile("activation=leaky-relu"))


def test_a_term_is_looked_up_in_the_help_of_a_page(page: Page, address: str) -> None:
    page.goto(f"{address}/recipes")
    page.locator(".st-key-help button").first.click()
    page.get_by_role("combobox", name="Glossary").fill("perplex")
    page.keyboard.press("Enter")
    expect(page.get_by_text("how many neighbours each sample has in t-SNE")).to_be_visible()


def test_convolutions_are_refused_for_a_table_and_train_on_images(page: Page, address: str) -> None:
    page.goto(f"{address}/train?dataset=wine&variant=conv&batch_size=16")
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="wine is none")).to_be_visible()
    page.goto(f"{address}/train?dataset=digits&variant=conv&epochs=2&name=conv-one")
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.get_by_text("conv-one is trained and stored")).to_be_visible()


def test_a_recipe_runs_and_the_list_chooses_another(page: Page, address: str) -> None:
    page.goto(f"{address}/recipes?recipe=linear-is-pca-3d")
    verdict = page.get_by_text(re.compile(r"Reproduced: target .*found 0\.04429 \(test MSE\)"))
    expect(verdict).to_be_visible()
    page.get_by_role("button", name="Run it again").click()
    expect(page.get_by_text(re.compile(r"start \d of 5")).first).to_be_visible()
    expect(page.get_by_role("button", name="Run it again")).to_be_visible()
    expect(verdict).to_be_visible()
    page.get_by_role("button", name="A surface fitted to the Swiss roll").click()
    expect(page.get_by_role("heading", name="A surface fitted to the Swiss roll")).to_be_visible()
    page.wait_for_url("**/recipes?recipe=manifold")
    page.reload()
    expect(page.get_by_role("heading", name="A surface fitted to the Swiss roll")).to_be_visible()
    page.get_by_role("link", name="Latent Loupe").click()
    expect(page.get_by_role("heading", name="All runs")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="A surface fitted to the Swiss roll")).to_be_visible()


def test_the_history_has_one_entry_for_a_page_with_its_choices(page: Page, address: str) -> None:
    def to(name: str) -> None:
        page.locator(".st-key-menu").get_by_role("link", name=name, exact=True).click()
        expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()
        settled()

    def settled() -> None:
        finished(page)
        page.wait_for_timeout(1_000)  # what the server adds to the address

    page.goto(f"{address}/reconstructions?run=digits-vae&order=best%20first")
    expect(page.get_by_role("img", name=re.compile("8 test images"))).to_be_visible()
    began = page.evaluate("history.length")
    for name in ("Train", "Recipes", "Generate"):
        to(name)
    assert page.evaluate("history.length") == began + 3
    assert page.url.endswith("/generate?run=digits-vae")
    for end in ("/recipes?recipe=linear-is-pca-3d", "/train", "run=digits-vae&order=best%20first"):
        page.go_back()
        page.wait_for_url(f"**{end}*" if end == "/train" else f"**{end}")
        settled()
    expect(page.get_by_role("combobox", name="Order")).to_have_value("best first")


def test_nothing_moves_while_a_model_trains_and_all_is_in_sight(
    browser: Browser, address: str
) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.add_init_script(
        """window.moved = 0;
        new PerformanceObserver((list) => {
          for (const { value, hadRecentInput } of list.getEntries())
            if (!hadRecentInput) window.moved += value;
        }).observe({ type: "layout-shift" });"""
    )
    page.goto(address)
    page.get_by_role("link", name="Train", exact=True).click()
    button = page.get_by_role("button", name="Train", exact=True)
    expect(button).to_be_in_viewport(ratio=1)
    page.evaluate("window.moved = 0")
    button.click()
    expect(page.get_by_text("is trained and stored")).to_be_in_viewport()
    page.wait_for_timeout(1_000)
    for seen in (".st-key-live_loss .js-plotly-plot", ".loupe-plot", "img[alt^='Test images']"):
        expect(page.locator(seen)).to_be_in_viewport(ratio=1)
    assert page.locator(".st-key-header").bounding_box()["height"] <= 44
    assert page.evaluate("window.moved") < 0.1
    context.close()


# --- Linked maps --------------------------------------------------------------------------------


def off_the_rings(shown: Shown, i: int) -> list[float]:
    """Pixels between a sample and the ring that should be around it, for every pane."""
    return shown.page.evaluate(
        """(i) => {
          const { loupe } = document.querySelector(".loupe");
          const { left, top } = loupe.plot.getBoundingClientRect();
          return [...document.querySelectorAll(".loupe-ring:not([hidden])")].map((ring, pane) => {
            const { x, y } = ring.getBoundingClientRect(), points = loupe.panes[pane];
            const [px, py] = loupe.figure.toPixels(pane)(points[2 * i], points[2 * i + 1]);
            return Math.hypot(x - left - px, y - top - py);
          });
        }""",
        i,
    )


def test_a_sample_is_lit_up_in_every_pane_without_asking_the_server(
    page: Page, address: str
) -> None:
    sent: list[object] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda data: sent.append(data)))
    shown = opened(page, f"{address}/latent_map?run=digits-ae")
    page.wait_for_timeout(1000)  # what belongs to the page's beginning is sent by now
    assert sent
    number, before = 17, len(sent)
    assert off_the_rings(shown, number) == []
    plane = page.evaluate("[...document.querySelector('.loupe').loupe.panes[2]]")
    page.mouse.move(*shown.place(2, *plane[2 * number : 2 * number + 2]))
    card = page.locator(".loupe-card")
    found = int(card.get_attribute("data-sample"))
    expect(card).to_contain_text(f"test #{found}")
    expect(card).to_contain_text(f"label {DIGITS.test.labels[found]}")
    distances = off_the_rings(shown, found)
    assert len(distances) >= 3 and max(distances) < 1  # one may be outside of the first view
    page.wait_for_function("document.querySelector('.loupe').loupe.sheets.pixels(0)")
    np.testing.assert_array_equal(card_image(shown, 0), np.rint(DIGITS.test.x[found] * 255))
    page.wait_for_timeout(500)
    assert len(sent) == before


def empty_place(shown: Shown, share: float) -> tuple[float, float]:
    """Screen position in the bottleneck, at a distance from its upper left corner."""
    plane = shown.samples.plane
    low, high = plane.min(0), plane.max(0)
    x, y = low[0] + share * (high[0] - low[0]), high[1] - share * (high[1] - low[1])
    return shown.place(0, x, y)


def test_dragging_in_the_bottleneck_decodes_every_place(page: Page, address: str) -> None:
    shown = opened(page, f"{address}/latent_map?run=digits-ae")
    inputs = [page.get_by_label(f"Place to decode, {name}") for name in "xy"]
    seen = []
    page.mouse.move(*empty_place(shown, 0.1))
    page.mouse.down()
    for share in (0.1, 0.5, 0.9):
        where = empty_place(shown, share)
        page.mouse.move(*where)
        wanted = shown.at(0, where)
        for field, value in zip(inputs, wanted, strict=True):
            expect(field).to_have_value(f"{float(f'{value:.4g}'):.15g}")
        seen.append(card_image(shown, 2))
    page.mouse.up()
    assert (seen[0] != seen[1]).any() and (seen[1] != seen[2]).any()
    expect(page.get_by_text("Nearest training sample: #")).to_be_visible()
    values = [float(field.input_value()) for field in inputs]
    typed(shown, 0, 0)
    assert (card_image(shown, 2) != seen[2]).any()
    typed(shown, *values)
    assert np.abs(card_image(shown, 2) - seen[2]).max() <= 2  # four digits of the place are shown


def test_a_lasso_is_counted_shown_and_downloaded(page: Page, address: str) -> None:
    shown = opened(page, f"{address}/latent_map?run=digits-ae")
    polygon = lasso(shown, 0, around(shown, 0))
    ids = np.flatnonzero(points_in_poly(DIGITS_SHOWN.plane.astype(float), polygon))
    assert len(ids) and shown.count() == len(ids)
    expect(page.get_by_text(f"{len(ids)} of 360 samples selected")).to_be_visible()
    expect(page.locator(".loupe-thumbnails button")).to_have_count(min(len(ids), 48))
    assert page.locator(".loupe-classes span").count() == len(set(DIGITS.test.labels[ids]))
    for kind, read in (("CSV", pandas.read_csv), ("Parquet", pandas.read_parquet)):
        finished(page)
        with page.expect_download() as download:
            page.get_by_role("button", name=kind, exact=True).click()
        assert download.value.suggested_filename.startswith(f"digits-ae-{len(ids)}-samples.")
        table = read(download.value.path())
        assert table["id"].tolist() == ids.tolist() and set(table["split"]) == {"test"}
        np.testing.assert_allclose(table["error"], DIGITS_SHOWN.error[ids], rtol=1e-5)
        np.testing.assert_allclose(table["bottleneck_x"], DIGITS_SHOWN.plane[ids, 0], rtol=1e-4)
        assert "tsne_x" in table and "umap_y" in table
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_role("button", name="CSV", exact=True)).to_have_count(0)


def test_a_selection_is_that_of_its_rule_where_other_samples_are_shown(
    page: Page, address: str
) -> None:
    shown = opened(page, f"{address}/latent_map?run=digits-ae&panes=PCA")
    field = page.get_by_placeholder("#38, or a label")
    field.fill("3")
    field.press("Enter")
    assert shown.count() == (DIGITS.test.labels == 3).sum()
    page.wait_for_url("**select=label*")
    page.get_by_role("button", name="Panes", exact=True).click()
    page.get_by_role("spinbutton", name=re.compile("number of samples", re.I)).fill("100")
    page.keyboard.press("Enter")
    page.get_by_role("group", name=re.compile("100 samples of digits")).wait_for()
    expect(page.get_by_text("10 of 100 samples selected")).to_be_visible()
    expect(page.get_by_text("select anew")).to_have_count(0)


def test_samples_are_found_by_number_and_label(page: Page, address: str) -> None:
    shown = opened(page, f"{address}/latent_map?run=digits-ae")
    field, said = page.get_by_placeholder("#38, or a label"), page.locator(".loupe-said")
    field.fill("#38")
    field.press("Enter")
    expect(said).to_have_text("Found test #38")
    expect(page.locator(".loupe-card")).to_contain_text("test #38")
    field.fill("nobody")
    field.press("Enter")
    expect(said).to_contain_text("Nothing here is called “nobody”: search for the number")
    field.fill("4")
    field.press("Enter")
    assert shown.count() == (DIGITS.test.labels == 4).sum()


def test_colour_legend_and_tool_outlive_a_reload(page: Page, address: str) -> None:
    shown = opened(page, f"{address}/latent_map?run=digits-ae")
    number = int(np.flatnonzero(DIGITS.test.labels == 3)[0])
    page.locator(".loupe-chip").nth(3).click()
    page.mouse.move(*shown.place(0, *DIGITS_SHOWN.plane[number]))
    found = page.locator(".loupe-card").get_attribute("data-sample")
    assert found is None or DIGITS.test.labels[int(found)] != 3
    page.get_by_label("Colour by").select_option("error")
    expect(page.locator(".loupe-legend > span").first).to_have_text("reconstruction error")
    page.get_by_role("button", name="Box", exact=True).click()
    page.reload()
    page.wait_for_selector(READY)
    expect(page.get_by_label("Colour by")).to_have_value("error")
    box = page.get_by_role("button", name="Box", exact=True)
    expect(box).to_have_attribute("aria-pressed", "true")
    page.get_by_label("Colour by").select_option("label")
    expect(page.locator(".loupe-chip").nth(3)).to_have_attribute("aria-pressed", "false")


def test_the_training_is_played_again(page: Page, address: str) -> None:
    opened(page, f"{address}/latent_map?run=digits-ae")
    output, overlay = page.locator(".loupe-motion output"), "document.querySelector('canvas')"
    before = page.evaluate(f"{overlay}.toDataURL()")
    slide(page, 0)
    expect(output).to_contain_text(re.compile(r"^Epoch 1 of 40, test loss [\d.]+$"))
    first = page.evaluate("document.querySelector('.loupe-overlay').toDataURL()")
    page.get_by_role("button", name="Play").click()
    expect(output).not_to_contain_text("Epoch 1 of")
    page.get_by_role("button", name="Pause").click()
    later = page.evaluate("document.querySelector('.loupe-overlay').toDataURL()")
    assert len({before, first, later}) == 3
    page.get_by_role("button", name="Final").click()
    expect(output).to_contain_text("Epoch 40 of 40")


def test_two_runs_are_compared(page: Page, address: str) -> None:
    shown = opened(page, f"{address}/latent_map?run=digits-ae")
    page.get_by_role("combobox", name="Compare with").click()
    page.get_by_role("option", name=VAE).click()
    page.keyboard.press("Escape")
    page.get_by_role("group", name=re.compile(f"Bottleneck, {VAE}, PCA")).wait_for()
    expect(page.locator(".loupe-titles b")).to_have_text(
        ["Bottleneck", VAE, "PCA", "t-SNE", "UMAP"]
    )
    assert points(page) == [360] * 5
    page.get_by_label("What moves").select_option("morph")
    slide(page, 0.5)
    expect(page.locator(".loupe-motion output")).to_contain_text("50 % of the way")
    page.get_by_role("button", name="biggest movers").click()
    assert shown.count() == 48
    page.get_by_role("button", name="Clear", exact=True).click()
    page.get_by_label("Colour by").select_option("moved")
    expect(page.locator(".loupe-legend > span").first).to_have_text(f"moved in {VAE}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1920, 1080), (800, 1000), (390, 844)])
def test_the_maps_are_on_the_first_screen(
    browser: Browser, address: str, width: int, height: int, scheme: str
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=width < 500
    )
    page = context.new_page()
    shown = opened(page, f"{address}/latent_map?run=digits-ae")
    page.wait_for_timeout(500)
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / f"maps-{scheme}-{width}.png")
    first, last, share = page.evaluate(
        """() => {
          const { figure, plot } = document.querySelector(".loupe").loupe;
          const { top } = plot.getBoundingClientRect(), box = figure.box(figure.drawn.at(-1));
          const areas = [".loupe-canvas", ".loupe-inspector"].map((name) => {
            const { width, height } = document.querySelector(name).getBoundingClientRect();
            return width * height;
          });
          return [top + figure.box(figure.drawn[0]).top, top + box.top + box.height,
            (areas[0] + areas[1]) / (innerWidth * innerHeight)];
        }"""
    )
    narrow = width < 820
    assert page.evaluate("document.querySelector('.loupe').loupe.figure.drawn.length") == (
        1 if narrow else 4
    )
    assert last < height and first <= (250 if narrow else 150)
    assert share >= (0.6 if narrow else 0.75)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if not narrow:
        lasso(shown, 0, around(shown, 0))
        page.locator(".loupe-thumbnails button").first.wait_for()
        for found in (
            page.locator(".loupe-picked h4"),
            page.locator(".loupe-classes"),
            page.locator(".loupe-thumbnails button").first,
            page.get_by_role("button", name="CSV", exact=True),
        ):
            box = found.bounding_box()
            assert box["y"] > 0 and box["y"] + box["height"] < height
    context.close()


def test_a_link_shows_another_browser_the_same_view(
    browser: Browser, page: Page, address: str
) -> None:
    state = "document.querySelector('.loupe').loupe.address.state()"
    shown = opened(page, f"{address}/latent_map?run=digits-ae")
    page.get_by_label("Colour by").select_option("error")
    page.get_by_label("Highest reconstruction error shown").fill("60")
    lasso(shown, 2, around(shown, 2))
    count = shown.count()
    page.keyboard.press("3")
    typed(shown, 0.5, -0.25)
    page.get_by_role("button", name="Copy link").click()
    # A script that runs again leaves the view in the address.
    expect(page.locator("[class*=st-key-export-]")).not_to_have_count(0)
    wanted = page.evaluate(state)
    assert {"colour", "hidden", "alone", "place", "select", "tool"} <= wanted.keys()
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    other = opened(context.new_page(), page.url)
    assert other.page.evaluate(state) == wanted
    assert other.count() == count > 0
    assert len(pandas.read_csv(taken(other.page, "CSV"))) == count
    context.close()


def differing(*pages: Page) -> float:
    """Share of pixels in which the panes of two browsers differ visibly."""
    first, second = (
        np.asarray(
            Image.open(io.BytesIO(each.locator(".loupe-figure").screenshot())).convert("RGB")
        )
        for each in pages
    )
    assert first.shape == second.shape
    return float((np.abs(first.astype(int) - second).max(axis=2) > 24).mean())


def test_a_link_shows_another_browser_the_same_picture(
    browser: Browser, page: Page, address: str
) -> None:
    shown = opened(page, f"{address}/latent_map?run=digits-ae&other=digits-vae")
    page.get_by_role("group", name=re.compile(f"Bottleneck, {VAE}, PCA")).wait_for()
    page.get_by_label("Background").select_option("density")
    page.get_by_label("Colour by").select_option("error")
    page.get_by_label("Highest reconstruction error shown").fill("70")
    page.get_by_role("button", name="Zoom in").click()
    typed(shown, 0.5, -0.25)
    page.get_by_role("button", name="biggest movers").click()
    for motion in (False, True):
        if motion:
            page.get_by_label("What moves").select_option("morph")
            slide(page, 0.4)
        page.get_by_role("button", name="Copy link").click()
        page.mouse.move(0, 0)
        context = browser.new_context(viewport=page.viewport_size)
        other = opened(context.new_page(), page.url).page
        other.wait_for_selector(".loupe-card[data-decoded]")
        for each in (page, other):
            finished(each)
            each.wait_for_timeout(1_000)  # images of WebGL are drawn with a delay
        assert differing(page, other) < 0.001
        # Any other view is another picture.
        if motion:
            slide(other, 0.45)
        else:
            other.get_by_label("Colour by").select_option("label")
        other.wait_for_timeout(1_000)
        assert differing(page, other) > 0.005
        context.close()


@pytest.fixture(scope="module")
def poor_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Server on a machine without MNIST, where no decoder is small enough for a browser."""
    folder = tmp_path_factory.mktemp("poor")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aecore.latent.decoder.MOST_WEIGHTS", 0)
        stock(folder, "digits-ae")
    for file in folder.glob("mnist-*/latent.safetensors"):
        file.unlink()
    for file in folder.glob("_maps/mnist-*/sheet-*"):
        file.unlink()
    home = tmp_path_factory.mktemp("home")
    nothing = {"HOME": str(home), "XDG_CACHE_HOME": str(home), "AECORE_DATA": str(home)}
    with serving(folder, **nothing) as found:
        yield found


def test_the_server_decodes_what_is_too_large_for_the_browser(
    page: Page, poor_address: str
) -> None:
    shown = opened(page, f"{poor_address}/latent_map?run=digits-ae")
    expect(page.get_by_text("This decoder is too large for the browser")).to_be_visible()
    decoded = page.locator(".loupe-card[data-decoded]")
    expect(decoded).to_have_count(0)
    page.mouse.click(*empty_place(shown, 0.3))
    expect(decoded).to_be_visible()
    x, y = (page.get_by_label(f"Place to decode, {name}") for name in "xy")
    x.fill("0.25")
    x.press("Tab")
    y.fill("-0.5")
    y.press("Tab")
    expect(page.locator('.loupe-card[data-decoded="0.25 -0.5"]')).to_be_visible()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AECORE_STORE", str(ROOT / "models_store"))
        run = store.load("digits-ae")
        code = latent.plane_of_run(run).embed(np.array([[0.25, -0.5]]))
        wanted = inference.decode(run.model(), code)[0]
    np.testing.assert_allclose(card_image(shown, 2), 255 * wanted.clip(0, 1), atol=1)
    picture = page.locator(".loupe-card canvas").nth(2).bounding_box()
    assert picture["y"] + picture["height"] < page.viewport_size["height"]
    # It outlives a script that runs again, and another browser asks for it by the address.
    page.get_by_label("Colour by").select_option("error")
    page.wait_for_url("**place=0.25%2C-0.5**")
    page.reload()
    expect(page.locator('.loupe-card[data-decoded="0.25 -0.5"]')).to_be_visible()


def test_a_run_opens_where_its_dataset_is_missing(page: Page, poor_address: str) -> None:
    if data.DEBIAN.joinpath("mnist").exists():
        pytest.skip("MNIST is installed for everybody on this machine.")
    page.goto(f"{poor_address}/latent_map?run=mnist-vae")
    assert points(page) == [10_000] * 4
    expect(page.get_by_text("mnist is not on this machine, so images")).to_be_visible()
    expect(page.get_by_role("button", name="Download mnist")).to_be_visible()
    # The model alone is enough to decode.
    page.wait_for_function("document.querySelector('.loupe').loupe?.facts.decodes")
    page.wait_for_selector(READY)
    shown = Shown(page, DIGITS_SHOWN, DIGITS)
    page.mouse.click(*shown.place(0, 0.0, 0.0))
    expect(page.get_by_label("Place to decode, x")).not_to_have_value("")
    assert len(set(card_image(shown, 2))) > 1


# --- Denoise ------------------------------------------------------------------------------------


def level(page: Page) -> Locator:
    """Slider of the level, after its picture is painted."""
    page.wait_for_function("document.querySelector('.live-picture')?.naturalWidth")
    return page.locator(".live input")


def picture(page: Page) -> str:
    return page.locator(".live-picture").get_attribute("src")


def test_the_level_of_noise_answers_while_it_is_dragged(page: Page, address: str) -> None:
    page.goto(f"{address}/denoise?run=digits-ae")
    box = level(page).bounding_box()
    seen = [picture(page)]

    def to(share: float) -> None:
        page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2)

    def changed() -> str:
        page.wait_for_function(
            "old => document.querySelector('.live-picture').src !== old", arg=seen[-1]
        )
        return picture(page)

    to(0.5)
    page.mouse.down()
    for share in (0.7, 0.8, 0.2):
        to(share)
        seen.append(changed())
    assert len(set(seen)) == 4
    assert "level_gaussian" not in page.url  # an address a level would fill the history
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"level_gaussian=0\.25"))
    expect(page.locator(".live output")).to_have_text("0.25")
    settled = picture(page)
    level(page).press("ArrowRight")
    expect(page).to_have_url(re.compile(r"level_gaussian=0\.3"))
    page.go_back()
    expect(level(page)).to_have_value("0.25")
    expect(page.locator(".live-picture")).to_have_attribute("src", settled)
    page.reload()
    expect(level(page)).to_have_value("0.25")
    expect(page.locator(".st-key-denoising-curve .js-plotly-plot")).to_be_visible()
    share, width, mark = page.evaluate(
        """() => {
          const { value, min, max } = document.querySelector(".live input");
          const curve = document.querySelector(".st-key-denoising-curve");
          const { left } = getComputedStyle(curve, "::after");
          return [(value - min) / (max - min), curve.clientWidth, parseFloat(left)];
        }"""
    )
    assert mark == pytest.approx(44 + share * (width - 52), abs=2) and share > 0.1
    page.get_by_role("link", name="Train a denoiser at this level, fully connected").click()
    expect(page.get_by_label("Noise level", exact=True)).to_have_value("0.25")
    page.locator(".st-key-menu").get_by_role("link", name="Denoise").click()
    expect(level(page)).to_have_value("0.25")


def test_pictures_are_drawn_in_the_colours_of_another_theme(page: Page, address: str) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto(f"{address}/reconstructions?run=digits-ae")
    picture = page.locator('[data-testid="stImage"] img').first
    expect(picture).to_be_visible()
    before = picture.get_attribute("src")
    page.emulate_media(color_scheme="light")
    expect(picture).not_to_have_attribute("src", before)


def test_what_the_address_asks_in_vain_is_said_below_the_header(page: Page, address: str) -> None:
    page.goto(f"{address}/denoise?run=digits-ae&pins=nothing")
    said = page.get_by_role("alert").filter(has_text="'nothing' in the address is no choice")
    expect(said).to_be_visible()
    box, header = said.bounding_box(), page.locator(".st-key-header").bounding_box()
    assert box["y"] >= header["y"] + header["height"] and box["width"] > 600


def test_a_level_is_kept_for_each_noise_and_taken_away_as_it_is_shown(
    page: Page, address: str
) -> None:
    page.goto(f"{address}/denoise?run=digits-ae&level_masking=0.9&samples=4")
    level(page).focus()
    page.keyboard.press("End")
    expect(page.locator(".live output")).to_have_text("1")
    page.get_by_role("combobox", name="Noise").click()
    page.get_by_role("option", name="Masking").click()
    expect(page.locator(".live output")).to_have_text("0.9")
    expect(level(page)).to_have_attribute("max", "0.9")
    with np.load(taken(page, "NPZ")) as arrays:
        assert arrays["level"] == 0.9
        assert arrays["names"][:2].tolist() == ["with noise", "digits-ae"]
        assert arrays["made"].shape == (5, 4, 64) and arrays["psnr"].shape == (5, 4)
        clean, noisy = arrays["clean"], arrays["made"][0]
    np.testing.assert_array_equal(clean, DIGITS.test.x[:4])
    assert set(np.unique(noisy[noisy != clean])) == {0}


def test_another_noise_while_an_answer_is_awaited_keeps_its_own_level(
    page: Page, address: str
) -> None:
    page.goto(f"{address}/denoise?run=digits-ae&level_masking=0.3")
    level(page)
    # What the script sends is held back, so that the noise changes before its answer is there.
    page.evaluate(
        """() => {
          const { slider } = document.querySelector(".live"), { range } = slider;
          slider.say = () => {};
          range.value = 0.9;
          range.dispatchEvent(new Event("input"));
        }"""
    )
    page.get_by_role("combobox", name="Noise").click()
    page.get_by_role("option", name="Masking").click()
    expect(level(page)).to_have_value("0.3")
    expect(page.locator(".live output")).to_have_text("0.3")
    page.get_by_role("combobox", name="Noise").click()
    page.get_by_role("option", name="Gaussian").click()
    expect(level(page)).to_have_value("0.5")


# --- Every page ---------------------------------------------------------------------------------


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
        page.wait_for_selector(READY, timeout=60_000)
    elif name == "reconstructions":
        page.wait_for_selector("[data-testid=stImage] img", timeout=60_000)
    elif name == "denoise":
        level(page)
    page.wait_for_timeout(500)
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / f"{name or 'start'}-{scheme}-{width}.png")
    # Plotly's handles for the pointer and the columns of a table reach out of what cuts them off.
    too_wide = page.evaluate(
        "[...document.querySelectorAll('[data-testid=stMain] *')].filter("
        "e => !e.closest('.loupe-plot svg, [data-testid=stDataFrame]') && "
        "e.getBoundingClientRect().right > innerWidth + 1).length"
    )
    assert too_wide == 0
    assert page.get_by_role("alert").filter(has_text="Error").count() == 0
    context.close()
