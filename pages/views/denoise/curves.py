"""Denoising curves: PSNR of runs and classical filters against the noise level."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from aecore.applications import denoising
from aecore.applications.denoising import BASELINES, NOISES, NOTHING
from aecore.plots import figures
from pages.app import cache, frame
from pages.app.text import define, plain
from pages.components import downloads, job_status
from pages.views.denoise.request import NOISY, NoiseRequest

if TYPE_CHECKING:
    from aecore.runs import store

TRAINED = "trained at this level"


def show(runs: Sequence[store.Run], asked: NoiseRequest) -> None:
    """Show PSNR against the level, computed once per run by a job."""
    curves = {run.name: cache.artifact(denoising.curve_artifact(run, *asked.kind)) for run in runs}
    missing = [name for name, stored in curves.items() if stored is None]
    jobs = cache.jobs()
    if missing:
        hint = (
            f"{denoising.MEASURED} test images at {len(NOISES[asked.noise].levels)} levels are "
            f"denoised by {plain(', '.join(map(cache.title, missing)))} and every filter: seconds "
            "for a run, and a minute or two before the first if the filters are not tuned yet."
        )
        newest = [jobs.find(denoising.MeasureDenoising(name, *asked.kind)) for name in missing]
        if job_status.offer(newest, hint, "Compute the curve", ":material/show_chart:"):
            for name in missing:
                jobs.submit(denoising.MeasureDenoising(name, *asked.kind))
            st.rerun()
    complete = [run for run in runs if curves[run.name] is not None]
    if complete:
        with frame.guarded():
            as_curve(complete, asked, curves)


def as_curve(runs: Sequence[store.Run], asked: NoiseRequest, curves: dict[str, Any]) -> None:
    """Show the curves, the winner at each level, and the level at which codes change class."""
    measured = curves[runs[0].name][0]
    own = {run.name: curves[run.name][0].runs[run.name] for run in runs}
    titled = {cache.title(name): line for name, line in own.items()}
    classical = {BASELINES[name].title: line for name, line in measured.baselines.items()}
    others = {NOISY: measured.noisy, **classical}
    trained = {cache.title(run.name): trained_at(run, asked) for run in runs}
    levels = {title: level for title, level in trained.items() if level is not None}
    st.html(Path(__file__).with_suffix(".css"))
    figure = figures.level_curves(
        measured.levels,
        titled | others,
        f"noise level: {NOISES[asked.noise].unit}",
        "mean PSNR in dB",
        dotted=tuple(others),
        faint=NOISY,
        # There is no room for a name beside a line, and one needs none.
        marks={
            TRAINED if len(levels) == 1 else f"{title}, {TRAINED}": level
            for title, level in levels.items()
        },
    )
    st.plotly_chart(
        figure,
        key="denoising-curve",
        config=figures.MODEBAR,
        alt=f"Mean PSNR of test images against the level of noise: {', '.join(titled | others)}",
    )
    opponents = {NOTHING: measured.noisy, **classical}
    verdicts = [
        denoising.verdict(measured.levels, line, opponents, plain(name))
        for name, line in titled.items()
    ]
    st.markdown("  \n".join(verdicts), help=define("PSNR", "Noise level", "Classical filter"))
    downloads.downloads(
        f"{runs[0].name}-curve-{asked.noise}",
        None,
        levels=measured.levels,
        names=np.array([*own, *others]),
        psnr=np.stack([*own.values(), *others.values()]),
    )
    drifts = [
        drifted(plain(cache.title(run.name)), measured.levels, curves[run.name][1]) for run in runs
    ]
    if sentences := "  \n".join(filter(None, drifts)):
        st.caption(sentences, help=define("Code", "Class mean"))


def trained_at(run: store.Run, asked: NoiseRequest) -> float | None:
    """Level at which a run was trained on this noise; None if it was not."""
    corruption = run.capabilities.corruption
    if corruption is None or (corruption.noise, corruption.clip) != asked.kind:
        return None
    return corruption.level


def drifted(name: str, levels: np.ndarray, flipped: np.ndarray | None) -> str:
    """Level from which the codes of half of the samples are nearest to another class's mean."""
    if flipped is None:
        return ""
    half = np.flatnonzero(flipped >= 0.5)
    sentence = (
        f"Codes of {name}: at the highest level, {levels[-1]:g}, {flipped[-1]:.0%} of "
        f"{denoising.MEASURED} test samples at most come nearest to the mean of another class than "
        "without noise"
    )
    return sentence + (f"; half of all by level {levels[half[0]]:g}." if len(half) else ".")
