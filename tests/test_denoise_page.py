"""The page of denoising without a browser: noise, runs and filters, the curve, and the links."""

from __future__ import annotations

import pytest
from conftest import Listener
from streamlit.testing.v1 import AppTest
from test_pages import ROOT, idle_jobs, opened, shipped_runs  # noqa: F401
from test_reconstructions import alts, faultless, said, trained

from aecore import datasets, denoising, tasks
from aecore.denoising import BASELINES, NOISES
from pages.shared import cache, denoised, parts

PAGE = ROOT / "pages" / "denoise.py"
pytestmark = pytest.mark.usefixtures("shipped_runs")


def links(at: AppTest) -> dict[str, str]:
    return {link.proto.label: link.proto.query_string for link in at.main.get("page_link")}


def button(at: AppTest, label: str):
    return next(button for button in at.button if button.label == label)


def test_runs_and_filters_are_one_picture() -> None:
    at = faultless(opened(PAGE, run="digits-ae", pins="digits-vae"))
    (alt,) = alts(at)
    assert alt.startswith("8 test images of digits, and under each noisy, digits-ae, digits-vae,")
    for name in ("Median, size ", "Total variation, weight ", "PCA, components "):
        assert name in alt
    assert "none was tuned on what is shown" in said(at)


@pytest.mark.parametrize("noise", NOISES)
def test_every_noise_has_a_slider_of_its_own(noise: str) -> None:
    at = faultless(opened(PAGE, run="digits-ae", noise_kind=NOISES[noise].title))
    slider = at.slider(key=f"level_{noise}")
    assert (slider.min, slider.max, slider.value) == (
        NOISES[noise].least,
        NOISES[noise].most,
        NOISES[noise].default,
    )
    before = at.get("image")[0].proto.imgs[0].url
    slider.set_value(NOISES[noise].most).run()
    assert faultless(at).get("image")[0].proto.imgs[0].url != before
    assert bool(at.toggle) == (noise == "gaussian")


def test_seed_samples_and_filters_can_be_chosen() -> None:
    at = opened(PAGE, run="digits-ae", noise_seed="7", first="359", samples="4")
    assert at.number_input(key="noise_seed").value == 7
    at.multiselect(key="filters").set_value(list(BASELINES)).run()
    (alt,) = alts(faultless(at))
    assert alt.startswith("4 test images")
    assert all(entry.title in alt for entry in BASELINES.values())
    at.multiselect(key="filters").set_value([]).run()
    assert "under each noisy, digits-ae, each with" in alts(faultless(at))[0]


def test_the_setting_of_a_filter_is_the_tuned_one() -> None:
    at = faultless(opened(PAGE, run="digits-ae", level_gaussian="0.3"))
    digits = datasets.get("digits")
    pca = cache.components("digits", digits.fingerprint)
    for name in denoised.FILTERS:
        setting = denoising.tune(name, digits, pca, "gaussian", 0.3)
        assert f"{BASELINES[name].title}, {denoising.told(setting)}" in alts(at)[0]


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


def test_cut_off_noise_is_trained_cut_off() -> None:
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


def test_a_curve_is_a_job_for_each_run_and_shown_when_it_is_done() -> None:
    at = faultless(opened(PAGE, run="digits-ae", pins="digits-vae", noise_kind="Masking"))
    assert not at.get("plotly_chart")
    button(at, "Compute the curve").click().run()
    asked = [(job.kind, job.arguments) for job in cache.jobs().all()]
    assert asked == [
        ("denoise", ("digits-vae", "masking", False)),
        ("denoise", ("digits-ae", "masking", False)),
    ]
    assert "The curve is being computed" in said(faultless(at))
    for job in cache.jobs().all():
        job.task(*job.arguments, Listener())
        job.state = "done"
    at.run()
    (chart,) = faultless(at).get("plotly_chart")
    assert "digits-ae, digits-vae, noisy, Median, Total variation" in chart.proto.alt
    assert said(at).count("wins over **digits-ae**") and "**digits-vae**" in said(at)
    assert "Codes of digits-ae: under noise of up to 0.9, " in said(at)
    assert "Compute the curve" not in [button.label for button in at.button]


def test_the_level_of_training_is_marked() -> None:
    run = trained("denoiser", "digits", "denoising", level=0.3, noise="masking")
    assert denoised.trained_at(run, denoised.Asked("masking", False, 0)) == 0.3
    assert denoised.trained_at(run, denoised.Asked("gaussian", False, 0)) is None
    tasks.denoising_curve("denoiser", "masking", False, Listener())
    at = faultless(opened(PAGE, run="denoiser", noise_kind="Masking"))
    assert "denoiser, trained at this level" in at.get("plotly_chart")[0].proto.spec


def test_a_failed_job_is_said() -> None:
    job = cache.jobs().denoise("digits-ae", "gaussian", False)
    job.state, job.error = "failed", "The worker process ended unexpectedly."
    at = opened(PAGE, run="digits-ae")
    assert not at.exception
    assert at.error[0].value == parts.plain(job.error)
    assert button(at, "Compute the curve")


def test_tables_have_no_pictures_to_denoise() -> None:
    trained("iris", "iris")
    at = faultless(opened(PAGE, run="iris"))
    assert "iris has no images" in said(at)
    assert not at.get("image") and not at.slider


@pytest.mark.parametrize("variant", ["cvae", "vq-vae", "conv-denoising"])
def test_other_variants_are_shown(variant: str) -> None:
    from aecore.variants import VARIANTS

    if variant not in VARIANTS:
        pytest.skip(f"there is no {variant}")
    trained("another", "digits", variant)
    tasks.denoising_curve("another", "gaussian", False, Listener())
    at = faultless(opened(PAGE, run="another"))
    assert "noisy, another, " in alts(at)[0]
    assert len(at.get("plotly_chart")) == 1


def test_data_that_are_not_here_are_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "here", lambda name: False)
    at = faultless(opened(PAGE, run="mnist-ae"))
    assert "mnist is not on this machine" in said(at)
    assert not at.get("image")


def test_it_stands_in_the_menu_and_the_pages_of_a_run_stay() -> None:
    assert "Denoise" in [label for _, label, _ in parts.MENU]
    assert [label for _, label, _ in parts.OF_A_RUN] == ["Latent map", "Reconstructions"]
