"""Comparison of runs and classical filters on noisy test images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

import numpy as np
import streamlit as st

from aecore.applications import denoising
from aecore.applications.denoising import BASELINES, NOISES
from aecore.models.variants import Noise as Trainable
from aecore.plots import images
from pages.app import cache, controls, frame, models, state
from pages.app.text import define, explain, plain
from pages.components import downloads, job_status, live_slider, workbench
from pages.views.denoise import curves, drift
from pages.views.denoise.request import NOISY, NoiseRequest, SampleSelection

if TYPE_CHECKING:
    from aecore.data import Dataset
    from aecore.runs import store

FILTERS = ("median", "total-variation", "pca")
"""Shown by default."""
DENOISERS = {"denoising": "fully connected", "conv-denoising": "convolutional"}
PANEL = 352  # pixels
TALL = 680  # points of a picture, so that it is in sight together with the slider
CELLS = 60, 72  # points of one image, at least and at most
CAPTION = 24  # points under each
TITLES = 128  # points left of them, so that they stand still while settings of filters change
PLACES = ["PSNR over all levels", "Where the codes go"]
UNDER = (
    "Outputs of runs and filters are clipped to [0, 1]; the noisy image is "
    "measured as it is. Each filter has the setting with the highest PSNR on "
    f"{denoising.TUNED_ON} training images under this noise; none was tuned on what is shown."
)


def applies(run: store.Run) -> bool:
    """Whether the run is one of images; otherwise says why the page is empty."""
    dataset = run.dataset
    if dataset.traits.pictures:
        return True
    st.info(
        f"{plain(dataset.name)} has no images: median, total variation and structural "
        "similarity need neighbouring pixels, so nothing here applies to it. Choose a run of "
        "images.",
        icon=":material/info:",
    )
    return False


@st.fragment
def show(runs: Sequence[store.Run]) -> None:
    """Show toolbar, comparison and panel; a fragment with one inside."""
    with frame.guarded():
        run, dataset = runs[0], runs[0].dataset
        with workbench.toolbar():
            noise = ask_noise()
            count = st.slider("Samples", 4, 16, 8, key="samples", bind="query-params", width=220)
            with st.popover("Filters", icon=":material/filter_alt:"):
                filters = st.multiselect(
                    "Classical filters",
                    list(BASELINES),
                    FILTERS,
                    format_func=lambda name: BASELINES[name].title,
                    key="filters",
                    bind="query-params",
                    width=300,
                    help=explain(*(each.title for each in BASELINES.values())),
                )
            with st.popover("Settings", icon=":material/tune:"):
                first = controls.whole_number("First test sample", "first", 0, dataset.n_test - 1)
                asked = ask_settings(noise)
        numbers = (first + np.arange(min(count, dataset.n_test))) % dataset.n_test
        chosen = SampleSelection(numbers, *(part[numbers] for part in dataset.test))
        canvas, panel = workbench.split("right", PANEL)
        with canvas:
            rows(runs, asked, chosen, filters)
            if filters:
                tune(dataset, asked)
        with panel, frame.guarded():
            place = controls.one_of("Panel", PLACES, "beside", label_visibility="collapsed")
            if place == PLACES[0]:
                curves.show(runs, asked)
            else:
                drift.show(run, asked, chosen)
        cache.freeze_gc("what denoises")


def ask_noise() -> str:
    """Select box of the kind of noise."""
    state.drop_unknown("noise_kind", "Noise", [noise.title for noise in NOISES.values()])
    return st.selectbox(
        "Noise",
        list(NOISES),
        format_func=lambda name: NOISES[name].title,
        key="noise_kind",
        bind="query-params",
        width=230,
        help="  \n".join(
            f"{noise.title}: its level is the {noise.unit}" for noise in NOISES.values()
        ),
    )


def ask_settings(noise: str) -> NoiseRequest:
    """Input fields of the seed and of clipping, where the noise has them."""
    seed = 0
    if noise != "blur":  # which is the same each time
        seed = controls.whole_number("Seed of the noise", "noise_seed", 0, 2**31 - 2)
    clip = noise == "gaussian" and st.toggle(
        "Clip to valid brightness",
        key="noise_clip",
        bind="query-params",
        help="x + noise is clipped to [0, 1], the range of the images. It makes the noise easier "
        "to remove.",
    )
    return NoiseRequest(noise, bool(clip), int(seed))


def tune(dataset: Dataset, asked: NoiseRequest) -> None:
    """Ensure that the filters are tuned for this noise, or show the progress."""
    data = dataset.name, dataset.fingerprint
    tuned = cache.artifact(denoising.tuned_artifact(*data, *asked.kind))
    if tuned is not None and tuned.complete(asked.noise):
        return
    hint = (
        "The best settings of the classical filters for this noise are looked for on training "
        "images, once. A level that was not tried yet has the settings of the nearest that was."
    )
    job = cache.jobs().find(denoising.TuneFilters(dataset.name, *asked.kind))
    if job is None or job_status.offer([job], hint, "Tune the filters", ":material/tune:"):
        cache.jobs().submit(denoising.TuneFilters(dataset.name, *asked.kind))
        st.rerun()


@st.fragment
def rows(
    runs: Sequence[store.Run], asked: NoiseRequest, chosen: SampleSelection, filters: Sequence[str]
) -> None:
    """Show the comparison at the slider's level, redrawn while it is dragged."""
    with frame.guarded():
        dataset, noise = runs[0].dataset, NOISES[asked.noise]
        key = f"level_{asked.noise}"  # each noise has its own range
        reach = live_slider.Range(
            f"Noise level: {noise.unit}", noise.least, noise.most, noise.step, noise.default
        )
        level = live_slider.value(key, reach)
        clean, shape = chosen.clean, dataset.shape
        noisy = denoising.corrupt(clean, shape, asked.noise, level, asked.seed, asked.clip)
        versions = {NOISY: noisy}
        for run in runs:
            identity = cache.identity(run)
            versions[run.name] = models.reconstruct(*identity, noisy, chosen.labels)[1].clip(0, 1)
        versions |= filtered(dataset, filters, noisy, asked, level)
        psnr = {name: denoising.psnr(clean, pixels) for name, pixels in versions.items()}
        ssim = {name: denoising.ssim(clean, pixels, shape) for name, pixels in versions.items()}
        lines = [
            images.Row(
                "clean", clean.reshape(-1, *shape), [f"#{number}" for number in chosen.numbers]
            )
        ]
        for name, pixels in versions.items():
            captions = [
                f"{one:.1f} · {two:.2f}" for one, two in zip(psnr[name], ssim[name], strict=True)
            ]
            lines.append(images.Row(cache.title(name), pixels.reshape(-1, *shape), captions))
        cell = int(np.clip(TALL // len(lines) - CAPTION, *CELLS))
        picture = cache.composed(lines, cell, TITLES)
        alt = (
            f"{len(clean)} test images of {dataset.name}, and under each {', '.join(versions)}, "
            "each with its PSNR in dB and its structural similarity"
        )
        live_slider.show(key, reach, picture, alt)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(
                "Under each image: PSNR in dB · SSIM",
                help=f"{define('PSNR', 'SSIM')}\n\n{UNDER}",
                width="content",
            )
            train(dataset, asked, level)
        downloads.downloads(
            f"{runs[0].name}-{asked.noise}",
            lambda: picture,
            level=np.array(level),
            numbers=chosen.numbers,
            clean=clean,
            names=np.array(list(versions)),
            made=np.stack(list(versions.values())),
            psnr=np.stack(list(psnr.values())),
            ssim=np.stack(list(ssim.values())),
        )


def filtered(
    dataset: Dataset, filters: Sequence[str], noisy: np.ndarray, asked: NoiseRequest, level: float
) -> dict[str, np.ndarray]:
    """Outputs of classical filters for noisy samples, each named with its best setting."""
    data = dataset.name, dataset.fingerprint
    tuned = cache.artifact(denoising.tuned_artifact(*data, *asked.kind))
    if tuned is None:
        return {}
    settings, tried = tuned.at(level)
    elsewhere = "" if tried == level else f", tuned at {tried:g}"
    outputs = {}
    for name in (name for name in filters if name in settings):
        title = f"{BASELINES[name].title}, {denoising.format_setting(settings[name])}{elsewhere}"
        pca = cache.components(*data)
        outputs[title] = BASELINES[name].denoise(noisy, dataset.shape, pca, settings[name])
    return outputs


def train(dataset: Dataset, asked: NoiseRequest, level: float) -> None:
    """Links to the form that trains a denoiser at this level."""
    if asked.noise not in get_args(Trainable):
        hint = "choose Gaussian, masking, or salt and pepper noise."
        st.caption(f"No variant trains on this noise: {hint}")
        return
    if level >= 1:
        st.caption("Denoisers are trained at levels below 1: choose a lower one to train at it.")
        return
    query = {"dataset": dataset.name, "noise": asked.noise, "level": f"{level:g}"}
    query |= {"clip": "true"} if asked.clip else {}
    for variant, kind in DENOISERS.items():
        st.page_link(
            "pages/train.py",
            label=f"Train a denoiser at this level, {kind}",
            icon=":material/model_training:",
            query_params={"variant": variant} | query,
        )
