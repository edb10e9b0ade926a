"""Code drift of noisy test samples on a run's map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from aecore import latent
from aecore.applications import denoising
from aecore.applications.denoising import NOISES
from aecore.plots import figures
from pages.app import cache, models
from pages.app.text import explain
from pages.components import downloads

if TYPE_CHECKING:
    from aecore.runs import store
    from pages.views.denoise.request import NoiseRequest, SampleSelection


FLIPS = (
    " A cross, with its level, is where a code first comes nearest to the mean of another class "
    f"than without noise, in the whole code space; means are of up to {denoising.MEANS_OF:,} "
    "training samples."
)


def show(run: store.Run, asked: NoiseRequest, chosen: SampleSelection) -> None:
    """Show the path of each code with rising noise, and where its nearest class changes."""
    dataset, noise = run.dataset, NOISES[asked.noise]
    latent.refuse_unless_finite(run, run.codes["codes"])
    levels = np.array([0, *noise.steps])
    names = dataset.label_names
    identity = cache.identity(run)
    means = models.class_means(*identity) if names else None
    drift = denoising.drift(
        models.encoder(*identity),
        chosen.clean,
        chosen.labels,
        means,
        dataset.shape,
        asked.noise,
        levels,
        asked.seed,
        asked.clip,
    )
    places = latent.plane_of_run(run).project(drift.codes)
    st.plotly_chart(
        figures.drift_map(
            run.codes["plane"],
            run.codes["labels"],
            names,
            places,
            chosen.labels,
            levels,
            [f"#{number}" for number in chosen.numbers],
            drift.nearest,
            drift.flips,
            height=340,
        ),
        key="drift",
        config=figures.MODEBAR,
        alt=f"Map of the test codes of {run.name} with the paths of {len(chosen.numbers)} codes "
        f"from no noise to level {levels[-1]:g}",
    )
    sentences = (
        "A line is the path of one sample's code from no noise (dot, with the sample's number) to "
        f"the highest noise level, {levels[-1]:g} ({noise.unit}), with one seed."
        + (FLIPS if names else "")
    )
    st.caption(sentences, help=explain(sentences), width="content")
    downloads.downloads(
        f"{run.name}-drift-{asked.noise}",
        None,
        numbers=chosen.numbers,
        levels=levels,
        codes=drift.codes,
        nearest_class=drift.nearest,
        flips=drift.flips,
    )
