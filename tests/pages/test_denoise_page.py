"""Page Denoise without a browser: noise, comparison, curves and links."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Listener
from PIL import Image
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button
from test_pages import HEADER_LINKS, ROOT, idle_jobs, opened, shipped_runs  # noqa: F401
from test_reconstructions import faultless, said, trained

from aecore import data, metrics, models
from aecore.applications import denoising
from aecore.applications.denoising import BASELINES, NOISES
from aecore.plots import images
from aecore.runs import store
from pages.app import cache
from pages.app.text import plain
from pages.views.denoise import comparison, curves, drift
from pages.views.denoise.request import NoiseRequest

PAGE = ROOT / "pages" / "denoise.py"
CURVE, DRIFT = comparison.PLACES
pytestmark = pytest.mark.usefixtures("shipped_runs", "small_searches")


def links(at: AppTest) -> dict[str, str]:
    """Query of each link on the page, without those of the menu."""
    own = at.get("page_link")[HEADER_LINKS:]
    return {link.proto.label: link.proto.query_string for link in own}


def button(at: AppTest, label: str) -> Button:
    return next(button for button in at.button if button.label == label)


def components(at: AppTest) -> list[Any]:
    """Components of the page itself."""
    return [each for each in at.get("bidi_component") if each.key != "theme"]


def live(at: AppTest) -> dict[str, Any]:
    """Data sent to the slider of the level."""
    (component,) = components(at)
    return json.loads(component.proto.json)


def test_runs_and_filters_are_one_picture() -> None:
    at = faultless(opened(PAGE, run="digits-ae", pins="digits-vae"))
    alt = live(at)["alt"]
    assert alt.startswith(
        "8 test images of digits, and under each with noise, digits-ae, digits-vae,"
    )
    for name in ("Median, size ", "Total variation, weight ", "PCA, components "):
        assert name in alt
    (below,) = (each for each in at.caption if "PSNR" in each.value)
    assert "none was tuned on what is shown" in below.help


@pytest.mark.parametrize("noise", NOISES)
def test_every_noise_has_a_slider_of_its_own(noise: str) -> None:
    entry = NOISES[noise]
    query = {"run": "digits-ae", "noise_kind": entry.title}
    at = faultless(opened(PAGE, **query))
    sent = live(at)
    assert (sent["low"], sent["high"], sent["value"]) == (entry.least, entry.most, entry.default)
    assert entry.unit in sent["title"]
    assert bool(at.toggle) == (noise == "gaussian")
    most = live(faultless(opened(PAGE, **query, **{f"level_{noise}": f"{entry.most:g}"})))
    assert most["value"] == entry.most and most["picture"] != sent["picture"]


@pytest.mark.parametrize(
    ("asked", "level"), [("0.31", 0.3), ("7", 0.5), ("nan", 0.5), ("-1", 0.5), ("much", 0.5)]
)
def test_a_level_in_the_address_is_one_that_can_be_chosen(asked: str, level: float) -> None:
    assert live(faultless(opened(PAGE, run="digits-ae", level_gaussian=asked)))["value"] == level


def test_the_picture_is_a_png_of_the_width_that_is_told() -> None:
    sent = live(opened(PAGE, run="digits-ae", samples="4"))
    kind, content = sent["picture"].split(",")
    assert kind == "data:image/png;base64"
    assert Image.open(io.BytesIO(base64.b64decode(content))).width == images.SCALE * sent["width"]


def test_runs_are_given_the_noisy_images(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[str, np.ndarray] = {}
    monkeypatch.setattr(
        "pages.components.downloads.downloads",
        lambda name, png=None, **arrays: kept.update(arrays if "made" in arrays else {}),
    )
    faultless(opened(PAGE, run="digits-ae", samples="4", noise_seed="7"))
    clean, labels = (part[:4] for part in data.get("digits").test)
    noisy = denoising.corrupt(clean, (8, 8), "gaussian", float(kept["level"]), seed=7)
    model = store.load("digits-ae").model()
    denoised = models.inference.reconstruct(model, noisy, labels).clip(0, 1)
    assert kept["names"][:2].tolist() == ["with noise", "digits-ae"]
    np.testing.assert_allclose(kept["made"][0], noisy, atol=1e-6)
    np.testing.assert_allclose(kept["made"][1], denoised, atol=1e-5)
    np.testing.assert_allclose(kept["psnr"][1], denoising.psnr(clean, denoised), rtol=1e-4)


def test_seed_samples_and_filters_can_be_chosen() -> None:
    at = opened(PAGE, run="digits-ae", noise_seed="7", first="359", samples="4")
    assert at.number_input(key="noise_seed").value == 7
    at.multiselect(key="filters").set_value(list(BASELINES)).run()
    alt = live(faultless(at))["alt"]
    assert alt.startswith("4 test images")
    assert all(entry.title in alt for entry in BASELINES.values())
    at.multiselect(key="filters").set_value([]).run()
    assert "under each with noise, digits-ae, each with" in live(faultless(at))["alt"]


def test_the_setting_of_a_filter_is_the_tuned_one() -> None:
    at = faultless(opened(PAGE, run="digits-ae", level_gaussian="0.3"))
    digits = data.get("digits")
    clean = digits.train.x[metrics.subsample(digits.n_train, denoising.TUNED_ON)]
    noisy = denoising.corrupt(clean, digits.shape, "gaussian", 0.3, denoising.TUNED_WITH)
    pca = cache.components("digits", digits.fingerprint)
    for name in comparison.FILTERS:
        setting, _ = denoising.best(name, clean, noisy, digits.shape, pca)
        assert f"{BASELINES[name].title}, {denoising.format_setting(setting)}," in live(at)["alt"]


def test_filters_wait_for_their_tuning_and_take_the_nearest_level(store_folder: Path) -> None:
    for file in store_folder.glob("_maps/*/filters-gaussian.safetensors"):
        file.unlink()
    at = faultless(opened(PAGE, run="digits-ae", level_gaussian="0.3"))
    assert "are looked for on training images" in said(at)
    assert "Median" not in live(at)["alt"]
    (job,) = cache.jobs().all()
    assert job.task == denoising.TuneFilters("digits", "gaussian", False)
    with pytest.raises(KeyboardInterrupt):  # after the usual level
        job.task.run(Listener(lambda heard: stop_at(heard, 1)))
    at.run()
    assert ", tuned at 0.5," in live(faultless(at))["alt"]
    job.state = "cancelled"
    button(at.run(), "Tune the filters").click().run()
    assert len(cache.jobs().all()) == 2
    job.task.run(Listener())
    at.run()
    assert "tuned at" not in live(faultless(at))["alt"]
    assert "are looked for" not in said(at)


def stop_at(heard: Listener, done: int) -> Exception | None:
    return KeyboardInterrupt() if heard.heard[-1][1] >= done else None


def test_all_can_be_taken_away() -> None:
    at = faultless(opened(PAGE, run="digits-ae", noise_kind="Masking", beside=DRIFT))
    assert [each.proto.label for each in at.get("download_button")] == ["PNG", "NPZ", "NPZ"]


def test_the_panel_computes_what_it_shows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[str] = []
    for part in (curves, drift):
        monkeypatch.setattr(part, "show", lambda *_, name=part.__name__: computed.append(name))
    at = faultless(opened(PAGE, run="digits-ae"))
    assert computed == [curves.__name__]
    at.segmented_control(key="beside").set_value(DRIFT).run()
    assert computed[1:] == [drift.__name__]


def test_a_curve_ships_with_the_first_run() -> None:
    (chart,) = curve_charts(faultless(opened(PAGE, run="digits-ae")))
    assert "Digits, plain autoencoder, with noise, Median" in chart.proto.alt


@pytest.mark.parametrize(
    ("flipped", "wanted"),
    [
        ([0.1, 0.5, 0.9], "90% of 256 test samples at most come nearest to the mean of another"),
        ([0.1, 0.5, 0.9], "; half of all by level 0.2."),
        ([0.0, 0.1, 0.4], "40% of 256 test samples at most"),
    ],
)
def test_it_is_said_how_many_codes_flip(flipped: list[float], wanted: str) -> None:
    said = curves.drifted("a", np.array([0.1, 0.2, 0.3]), np.array(flipped))
    assert wanted in said and ("half" in said) == (flipped[-1] >= 0.5)


def test_a_run_may_be_called_like_a_page() -> None:
    trained("denoising", "digits", "denoising")
    denoising.MeasureDenoising("denoising", "gaussian", False).run(Listener())
    assert len(curve_charts(faultless(opened(PAGE, run="denoising")))) == 1


# --- Where codes go -----------------------------------------------------------------------------


def drawn(at: AppTest) -> dict[str, Any]:
    """Figure of the map, by its title."""
    charts = at.get("plotly_chart")
    (chart,) = (each for each in charts if each.proto.alt.startswith("Map of the test codes"))
    return json.loads(chart.proto.spec)


def test_the_paths_of_codes_are_drawn_on_the_map() -> None:
    at = faultless(opened(PAGE, run="digits-ae", samples="4", first="10", beside=DRIFT))
    ways = [trace for trace in drawn(at)["data"] if trace.get("mode") == "lines+markers"]
    assert len(ways) == 4
    codes = store.load("digits-ae").codes["plane"]
    for number, way in enumerate(ways, start=10):
        assert len(way["text"]) == 1 + len(NOISES["gaussian"].steps)
        assert way["text"][0].startswith(f"#{number}, level 0: nearest ")
        np.testing.assert_allclose(start(way), codes[number], atol=1e-5)
    assert "comes nearest to the mean of another class" in said(at)


def start(way: dict[str, Any]) -> list[float]:
    """First point of a line, in any of Plotly's encodings of numbers."""
    return [
        np.frombuffer(base64.b64decode(each["bdata"]), each["dtype"])[0]
        if isinstance(each, dict)
        else each[0]
        for each in (way["x"], way["y"])
    ]


@pytest.mark.parametrize("d", [1, 5])
def test_codes_of_any_width_go_somewhere(d: int) -> None:
    trained("own", "digits", latent_dim=d)
    assert drawn(faultless(opened(PAGE, run="own", beside=DRIFT)))["data"]


# --- A denoiser of one's own --------------------------------------------------------------------


def test_a_denoiser_can_be_trained_at_the_level_shown() -> None:
    at = faultless(opened(PAGE, run="digits-ae", noise_kind="Masking", level_masking="0.35"))
    query = links(at)["Train a denoiser at this level, fully connected"]
    assert query == "variant=denoising&dataset=digits&noise=masking&level=0.35"
    assert "Train a denoiser at this level, convolutional" in links(at)
    form = faultless(
        opened(ROOT / "pages" / "train.py", **dict(p.split("=") for p in query.split("&")))
    )
    assert form.selectbox(key="variant").value == "denoising"
    assert form.selectbox(key="dataset").value == "digits"
    assert form.selectbox(key="noise").value == "masking"
    assert form.number_input(key="level").value == 0.35


def test_clipped_noise_is_trained_clipped() -> None:
    at = opened(PAGE, run="digits-ae")
    at.toggle(key="noise_clip").set_value(True).run()
    assert all(query.endswith("clip=true") for query in links(faultless(at)).values())
    query = dict(part.split("=") for part in next(iter(links(at).values())).split("&"))
    assert faultless(opened(ROOT / "pages" / "train.py", **query)).checkbox(key="clip").value


@pytest.mark.parametrize("noise", ["block", "blur"])
def test_no_variant_trains_on_some_noises(noise: str) -> None:
    at = faultless(opened(PAGE, run="digits-ae", noise_kind=NOISES[noise].title))
    assert "No variant trains on this noise" in said(at)
    assert not links(at)


def curve_charts(at: AppTest) -> list[Any]:
    return [each for each in at.get("plotly_chart") if each.proto.alt.startswith("Mean PSNR")]


def test_a_curve_is_a_job_for_each_run_and_shown_when_it_is_done() -> None:
    at = faultless(opened(PAGE, run="digits-ae", pins="digits-vae", noise_kind="Masking"))
    assert not curve_charts(at)
    button(at, "Compute the curve").click().run()
    asked = [job.task for job in cache.jobs().all()]
    assert asked == [
        denoising.MeasureDenoising("digits-vae", "masking", False),
        denoising.MeasureDenoising("digits-ae", "masking", False),
    ]
    assert "Being computed: " in said(faultless(at))
    for job in cache.jobs().all():
        job.task.run(Listener())
        job.state = "done"
    at.run()
    (chart,) = curve_charts(faultless(at))
    titles = "Digits, plain autoencoder", "Digits, variational autoencoder"
    assert f"{', '.join(titles)}, with noise, Median, Total variation" in chart.proto.alt
    assert all(f"beats **{title}** by" in said(at) for title in titles)
    assert f"Codes of {titles[0]}: at the highest level, 0.9, " in said(at)
    assert "Compute the curve" not in [button.label for button in at.button]


def test_the_level_of_training_is_marked() -> None:
    run = trained("denoiser", "digits", "denoising", level=0.3, noise="masking")
    assert curves.trained_at(run, NoiseRequest("masking", False, 0)) == 0.3
    assert curves.trained_at(run, NoiseRequest("gaussian", False, 0)) is None
    denoising.MeasureDenoising("denoiser", "masking", False).run(Listener())
    at = faultless(opened(PAGE, run="denoiser", noise_kind="Masking"))
    assert "trained at this level" in curve_charts(at)[0].proto.spec


def test_a_failed_job_is_said() -> None:
    job = cache.jobs().submit(denoising.MeasureDenoising("digits-ae", "masking", False))
    job.state, job.error = "failed", "The worker process ended unexpectedly."
    at = opened(PAGE, run="digits-ae", noise_kind="Masking")
    assert not at.exception
    assert at.error[0].value == plain(job.error)
    assert button(at, "Compute the curve")


def test_tables_have_no_pictures_to_denoise() -> None:
    trained("iris", "iris")
    at = faultless(opened(PAGE, run="iris"))
    assert "iris has no images" in said(at)
    assert not components(at) and not at.slider


@pytest.mark.parametrize("variant", ["cvae", "vq-vae", "conv-denoising"])
def test_other_variants_are_shown(variant: str) -> None:
    from aecore.models.variants import VARIANTS

    if variant not in VARIANTS:
        pytest.skip(f"there is no {variant}")
    trained("another", "digits", variant)
    denoising.MeasureDenoising("another", "gaussian", False).run(Listener())
    at = faultless(opened(PAGE, run="another"))
    assert "with noise, another, " in live(at)["alt"]
    assert len(curve_charts(at)) == 1


def test_data_that_are_not_here_are_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aecore.data.is_available", lambda name: False)
    at = faultless(opened(PAGE, run="mnist-ae"))
    assert "mnist is not on this machine" in said(at)
    assert not components(at)
