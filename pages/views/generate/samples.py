"""Codes drawn at random."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from aecore import latent
from aecore.plots import images
from pages.app import cache, controls, models
from pages.components import job_status
from pages.views.generate import common, quality

if TYPE_CHECKING:
    from aecore.runs import store


def show(run: store.Run) -> None:
    """Codes drawn at random, decoded, and the training samples whose codes are nearest."""
    dataset, d = run.dataset, run.config.model.latent_dim
    prior = run.capabilities.prior
    sources = ["prior", "mixture of Gaussians"]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        told = common.label(run)
        # A name for each default, so that a run without a prior begins with what suits it.
        source = controls.one_of(
            "Source",
            sources if prior else sources[::-1],
            f"source_{'prior' if prior else 'codes'}",
            help="The prior N(0, I), or a mixture with full covariances fitted on training codes.",
        )
        count = common.slider("Samples", 1, 16, 8, "count")
        temperature = common.slider(
            "Temperature", 0.0, 2.0, 1.0, "temperature", help="Times the standard deviation."
        )
        seed = controls.whole_number("Seed", "draw", 0, 2**31 - 1, width=120)
    known = common.training_codes(run)
    if source == "prior":
        made = latent.from_prior(count, d, temperature, seed)
        if not prior:
            st.caption(common.NO_PRIOR)
    elif known is None:
        return
    else:
        mixture = fitted(run)
        if mixture is None:
            return
        made = mixture.draw(count, temperature, seed)
    decoded = models.generated(run, made, told)
    lines, beside, away = [], {}, []
    if known is not None:
        nearest, distances = models.training_places(run).nearest(made)
        numbers = known["train_rows"][nearest]
        beside = {"nearest training sample": numbers, "distance": distances}
        away = [f"{distance:.2g}" for distance in distances]
        originals = common.shaped(dataset, dataset.train.x[numbers])
        title = "nearest training sample, by code"
        lines.append(images.Row(title, originals, [f"#{number}" for number in numbers]))
        away_said = "The number under a sample" if dataset.traits.pictures else "The distance"
        st.caption(
            f"{away_said} is how far its code is from the nearest training code, whose sample is "
            "shown, too: where the two differ, the sample is no copy. The median distance is "
            f"{np.median(distances):.3g}.{common.told_class(run, told)}"
        )
    lines.insert(0, images.Row(f"drawn from the {source}", common.shaped(dataset, decoded), away))
    common.pictures(run, "sample", lines, beside, codes=made, decoded=decoded)
    if known is not None and not dataset.traits.pictures:
        st.caption("The nearest training sample of each, by code:")
        common.table(dataset, originals, {"training sample": numbers})
    if known is not None:
        quality.show(run)


def fitted(run: store.Run) -> latent.Mixture | None:
    """The mixture of the training codes; where it is not there yet, sees to it and says so."""
    found, jobs = cache.artifact(latent.mixture_artifact(run)), cache.jobs()
    if found is None:
        job = jobs.find(latent.FitMixture(run.name))
        hint = "A mixture of Gaussians is fitted to the training codes once: seconds."
        if job is None or job_status.offer(
            [job], hint, "Fit the mixture", ":material/bubble_chart:"
        ):
            jobs.submit(latent.FitMixture(run.name))
            st.rerun()
    return found
