"""Noisy test images beside what runs and classical filters make of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, get_args

import numpy as np
import streamlit as st

from aecore import datasets, denoising, figures, images, store
from aecore.datasets import Dataset
from aecore.denoising import BASELINES, NOISES, NOTHING
from aecore.variants import Noise as Trainable
from pages.shared import cache, parts

FILTERS = ("median", "total-variation", "pca")
"""Shown unless told otherwise: the quick ones."""
DENOISERS = {"denoising": "fully connected", "conv-denoising": "convolutional"}
NOISY, TRAINED = "noisy", "trained at this level"


class Asked(NamedTuple):
    """The noise that is looked at, whatever its level."""

    noise: str
    clip: bool
    seed: int


def applies(run: store.Run) -> bool:
    """Whether the run is of images; otherwise says why there is nothing to see."""
    dataset = datasets.get(run.config.dataset)
    if dataset.kind == "image":
        return True
    st.info(
        f"{dataset.name} has no images: median, total variation and structural similarity need "
        "neighbouring pixels, so nothing here applies to it. Choose a run of images.",
        icon=":material/info:",
    )
    return False


def ask() -> Asked:
    """Which noise."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        noise = st.selectbox(
            "Noise",
            list(NOISES),
            format_func=lambda name: NOISES[name].title,
            key="noise_kind",
            bind="query-params",
            width=190,
        )
        seed = st.number_input(
            "Seed of the noise", 0, 2**31 - 2, key="noise_seed", bind="query-params", width=150
        )
        clip = noise == "gaussian" and st.toggle(
            "Cut off at 0 and 1",
            key="noise_clip",
            bind="query-params",
            help="What Gaussian noise pushes out of the range comes back to it, which makes it "
            "easier to take away.",
        )
    return Asked(noise, bool(clip), int(seed))


@st.fragment
def show(runs: Sequence[store.Run], asked: Asked) -> None:
    """One picture of all; a fragment, so that the level draws nothing else anew."""
    with parts.guarded():
        dataset, noise = datasets.get(runs[0].config.dataset), NOISES[asked.noise]
        most = min(16, dataset.n_test)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            level = st.slider(
                f"Level: {noise.unit}",
                noise.least,
                noise.most,
                noise.default,
                step=denoising.STEP,
                key=f"level_{asked.noise}",  # each noise has its own range
                bind="query-params",
                width=320,
            )
            count = min(
                st.slider("Samples", 4, 16, 8, key="samples", bind="query-params", width=200), most
            )
            first = st.number_input(
                "Begin with test sample",
                0,
                dataset.n_test - 1,
                key="first",
                bind="query-params",
                width=170,
            )
        chosen = st.multiselect(
            "Classical filters",
            list(BASELINES),
            [name for name in FILTERS if name in BASELINES],
            format_func=lambda name: BASELINES[name].title,
            key="filters",
            bind="query-params",
        )
        numbers = (first + np.arange(count)) % dataset.n_test
        clean, labels = (part[numbers] for part in dataset.test)
        noisy = denoising.corrupt(clean, dataset.shape, asked.noise, level, asked.seed, asked.clip)
        made = {NOISY: noisy}
        for run in runs:
            made[run.name] = cache.reconstruct(*cache.identity(run), noisy, labels)[1].clip(0, 1)
        made |= filtered(dataset, chosen, noisy, asked, level)
        as_picture(dataset, numbers, clean, made)
        train(dataset, asked, level)


def filtered(
    dataset: Dataset, chosen: Sequence[str], noisy: np.ndarray, asked: Asked, level: float
) -> dict[str, np.ndarray]:
    """What classical filters make of noisy samples, each named with its best setting."""
    data = dataset.name, dataset.fingerprint
    found = {}
    for name in chosen:
        setting = cache.tuned(*data, name, asked.noise, level, asked.clip)
        title = f"{BASELINES[name].title}, {denoising.told(setting)}"
        pca = cache.components(*data)
        found[title] = BASELINES[name].denoise(noisy, dataset.shape, pca, setting)
    return found


def as_picture(
    dataset: Dataset, numbers: np.ndarray, clean: np.ndarray, made: dict[str, np.ndarray]
) -> None:
    """Rows of images with PSNR and SSIM of each."""
    shape = (-1, *dataset.shape)
    lines = [images.Row("clean", clean.reshape(shape), [f"#{number}" for number in numbers])]
    for name, pixels in made.items():
        psnr = denoising.psnr(clean, pixels)
        ssim = denoising.ssim(clean, pixels, dataset.shape)
        captions = [f"{one:.1f} · {two:.2f}" for one, two in zip(psnr, ssim, strict=True)]
        lines.append(images.Row(name, pixels.reshape(shape), captions))
    # Many rows are shown smaller, so that they can be seen together.
    with st.container(width="stretch" if len(made) < 4 or len(numbers) > 10 else 820):
        st.image(
            images.compose(lines, st.context.theme.type or "light", cell=72),
            alt=f"{len(numbers)} test images of {dataset.name}, and under each {', '.join(made)}, "
            "each with its PSNR in dB and its structural similarity",
        )
    st.caption(
        "Under each image: PSNR in dB · structural similarity (1 is the same image). Runs and "
        "filters are cut off at 0 and 1. A filter has the setting with the highest PSNR on "
        f"{denoising.TUNED_ON} training images under this noise; none was tuned on what is shown."
    )


def train(dataset: Dataset, asked: Asked, level: float) -> None:
    """Links to the form that trains a denoiser at this level."""
    if asked.noise not in get_args(Trainable) or level >= 1:
        hint = "choose Gaussian, masking, or salt and pepper noise below level 1."
        st.caption(f"No variant trains on this noise: {hint}")
        return
    query = {"dataset": dataset.name, "noise": asked.noise, "level": f"{level:g}"}
    query |= {"clip": "true"} if asked.clip else {}
    with st.container(horizontal=True, vertical_alignment="center"):
        for variant, kind in DENOISERS.items():
            st.page_link(
                "pages/train.py",
                label=f"Train a denoiser at this level, {kind}",
                icon=":material/model_training:",
                query_params={"variant": variant} | query,
            )


# --- Over all levels ----------------------------------------------------------------------------


def curve(runs: Sequence[store.Run], asked: Asked) -> None:
    """PSNR against the level, computed once by a job for each run."""
    st.subheader("Over all levels")
    kind = asked.noise, asked.clip
    known = {run.name: cache.denoising_curve(run, *kind) for run in runs}
    missing = [name for name, found in known.items() if found is None]
    jobs = cache.jobs()
    newest = [job for name in missing if (job := jobs.find("denoise", name, *kind))]
    for job in newest:
        if job.error:
            st.error(parts.plain(job.error), icon=":material/error:")
    busy = any(job.active for job in newest)
    if busy:
        st.info(
            "The curve is being computed; the menu says how far it is, and this page shows it "
            "when it is done.",
            icon=":material/hourglass_top:",
        )
    elif missing:
        st.caption(
            f"{denoising.MEASURED} test images at {denoising.LEVELS} levels go through "
            f"{parts.plain(', '.join(missing))} and every filter: up to a minute for a run."
        )
        if st.button("Compute the curve", icon=":material/show_chart:", key="compute-curve"):
            for name in missing:
                jobs.denoise(name, *kind)
            st.rerun()
    found = [run for run in runs if known[run.name] is not None]
    if found:
        with parts.guarded():
            as_curve(found, asked, known)


def as_curve(runs: Sequence[store.Run], asked: Asked, known: dict[str, Any]) -> None:
    """The lines, who wins where, and from when on a code is taken for another class's."""
    measured = known[runs[0].name][0]
    own = {run.name: known[run.name][0].runs[run.name] for run in runs}
    classical = {BASELINES[name].title: line for name, line in measured.baselines.items()}
    others = {NOISY: measured.noisy, **classical}
    trained = [(run, trained_at(run, asked)) for run in runs]
    figure = figures.curves(
        measured.levels,
        own | others,
        f"level: {NOISES[asked.noise].unit}",
        "mean PSNR, dB",
        height=420,
        dotted=tuple(others),
        faint=NOISY,
        marks={f"{run.name}, {TRAINED}": level for run, level in trained if level is not None},
    )
    st.plotly_chart(
        figure,
        key="denoising-curve",
        config=figures.MODEBAR,
        alt=f"Mean PSNR of test images against the level of noise: {', '.join(own | others)}",
    )
    opponents = {NOTHING: measured.noisy, **classical}
    verdicts = [
        denoising.verdict(measured.levels, line, opponents, name) for name, line in own.items()
    ]
    st.markdown("  \n".join(verdicts))
    drifts = [drifted(run.name, measured.levels, known[run.name][1]) for run in runs]
    st.caption("  \n".join(filter(None, drifts)))


def trained_at(run: store.Run, asked: Asked) -> float | None:
    """The level at which a run was trained on this noise, if it was."""
    model = run.config.model
    if getattr(model, "noise", None) != asked.noise or getattr(model, "clip", False) != asked.clip:
        return None
    return model.level


def drifted(name: str, levels: np.ndarray, flipped: np.ndarray | None) -> str:
    """From which level on codes of half of the samples are nearest to another class's mean."""
    if flipped is None:
        return ""
    half = np.flatnonzero(flipped >= 0.5)
    told = f"Codes of {name}: under noise of up to {levels[-1]:g}, {flipped[-1]:.0%} of the "
    told += "samples come nearest to the mean of another class than without noise"
    return told + (f", half of them by level {levels[half[0]]:g}." if len(half) else ".")
