"""Random samples from the prior or the mixture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from aecore import latent
from aecore.plots import images
from pages.app import cache, controls, models
from pages.app.text import define
from pages.components import job_status, workbench
from pages.views.generate import common, quality

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from aecore.runs import store


def show(run: store.Run, toolbar: DeltaGenerator) -> None:
    """Show decoded random codes, and the training samples with the nearest codes."""
    prior = run.capabilities.prior
    sources = ["prior", "mixture of Gaussians"]
    with toolbar:
        label = common.label(run)
        # A name for each default, so that a run without a prior begins with what suits it.
        source = controls.one_of(
            "Source",
            sources if prior else sources[::-1],
            f"source_{'prior' if prior else 'codes'}",
            help="Where random codes are drawn from.\n\n" + define("Prior", "Mixture of Gaussians"),
        )
        count = common.slider("Samples", 1, 16, 8, "count")
        temperature = common.slider(
            "Temperature",
            0.0,
            2.0,
            1.0,
            "temperature",
            help=define("Temperature"),
        )
        seed = controls.whole_number("Seed", "draw", 0, 2**31 - 1, width=170)
    canvas, panel = workbench.split("left", common.PANEL)
    with canvas:
        train = common.training_codes(run)
        codes = draw_codes(run, source, count, temperature, seed, train)
    if codes is None:
        return
    decoded = models.generated(run, codes, label)
    with canvas:
        rows(run, source, codes, decoded, label, train)
    with panel:  # after the pictures, which a browser draws in less time
        common.marked_map(run, codes)


def draw_codes(
    run: store.Run,
    source: str,
    count: int,
    temperature: float,
    seed: int,
    train: Mapping[str, np.ndarray] | None,
) -> np.ndarray | None:
    """Codes drawn from the source, (n, d); None if it is not known yet."""
    d, prior = run.config.model.latent_dim, run.capabilities.prior
    if source == "prior":
        if not prior:
            common.caption(common.NO_PRIOR)
        return latent.from_prior(count, d, temperature, seed)
    mixture = None if train is None else fitted(run)
    return None if mixture is None else mixture.draw(count, temperature, seed)


def rows(
    run: store.Run,
    source: str,
    codes: np.ndarray,
    decoded: np.ndarray,
    label: int,
    train: Mapping[str, np.ndarray] | None,
) -> None:
    """Show decoded codes above the training samples with the nearest codes, and their quality."""
    dataset = run.dataset
    lines, beside, away = [], {}, []
    if train is not None:
        nearest, distances = models.training_places(run).nearest(codes)
        numbers = train["train_rows"][nearest]
        beside = {"nearest training sample": numbers, "distance": distances}
        away = [f"{distance:.2g}" for distance in distances]
        originals = common.shaped(dataset, dataset.train.x[numbers])
        title = "nearest training sample, by code"
        lines.append(images.Row(title, originals, [f"#{number}" for number in numbers]))
    lines.insert(0, images.Row(f"drawn from the {source}", common.shaped(dataset, decoded), away))
    common.pictures(run, "sample", lines, beside, codes=codes, decoded=decoded)
    if train is not None:
        away_said = "The number under a sample" if dataset.traits.pictures else "The distance"
        common.caption(
            f"{away_said} is how far its code is from the nearest training code, whose sample is "
            "shown, too: where the two differ, the sample is no copy. The median distance is "
            f"{np.median(distances):.3g}.{common.class_sentence(run, label)}"
        )
    if train is not None and not dataset.traits.pictures:
        common.caption("The nearest training sample of each, by code:")
        common.table(dataset, originals, {"training sample": numbers})
    if train is not None:
        quality.show(run)


def fitted(run: store.Run) -> latent.Mixture | None:
    """Mixture of the training codes; if absent, queues its job and says so."""
    mixture, jobs = cache.artifact(latent.mixture_artifact(run)), cache.jobs()
    if mixture is None:
        job = jobs.find(latent.FitMixture(run.name))
        hint = "A mixture of Gaussians is fitted to the training codes once: seconds."
        if job is None or job_status.offer(
            [job], hint, "Fit the mixture", ":material/bubble_chart:"
        ):
            jobs.submit(latent.FitMixture(run.name))
            st.rerun()
    return mixture
