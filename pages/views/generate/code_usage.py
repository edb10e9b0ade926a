"""Posterior usage of the dimensions of a code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from aecore import latent
from aecore.plots import figures
from pages.app import models
from pages.app.text import define, plain
from pages.components import downloads, workbench
from pages.views.generate import common

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from aecore.runs import store

MOST_PANELS = 6
PANEL = 520  # pixels, for the whole table of dimensions
AGGREGATE = (
    "Under the prior each dimension has mean 0 and variance 1. The KL above a panel, "
    "KL(q(z) || p(z)) in that dimension alone, is a part of the KL in the table; the rest is what "
    "the dimension says of a sample."
)


def show(run: store.Run, toolbar: DeltaGenerator) -> None:
    """Show the usage of dimensions by a posterior; for a point code only their variance."""
    codes = run.codes["codes"]
    if not run.capabilities.posterior:
        st.info(
            f"{plain(run.name)} encodes to points, not to Gaussians, so there is no "
            "posterior to compare with a prior. These are its test codes.",
            icon=":material/info:",
        )
        ranked = latent.importance(codes)
        mean = codes.mean(axis=0)
        common.listed(ranked, "variance", {"mean": mean[ranked.order]})
        downloads.downloads(f"{run.name}-code-usage", mean=mean, variance=codes.var(axis=0))
        return
    spread = common.known_spread(run)
    if spread is None:
        # Without the data the posterior's widths cannot be computed, so no job is offered.
        if common.training_codes(run) is None:
            return
        spread = common.known_spread(run)
    usage = latent.health(codes, spread)
    if usage.advice:
        st.warning(usage.advice, icon=":material/heart_broken:")
    canvas, panel = workbench.split("left", PANEL)
    ranked = latent.importance(codes, spread)
    with panel:
        numbers(run, usage, ranked)
    with canvas:
        densities(run, ranked)


def numbers(run: store.Run, usage: latent.PosteriorUsage, ranked: latent.Importance) -> None:
    """Show how many dimensions are in use, and the figures of each."""
    with st.container(horizontal=True, gap="large"):
        st.metric(
            "Active units",
            f"{usage.active} of {len(usage.kl)}",
            width="content",
            help=define("Active units", "Posterior collapse"),
        )
        st.metric(
            "KL, all dimensions",
            f"{usage.kl.sum():.2f} nats",
            width="content",
            help="The mean over the test samples.\n\n" + define("KL divergence", "Nat"),
        )
    columns = {
        "mean (prior 0)": usage.mean,
        "variance (prior 1)": usage.variance,
        "in use": usage.used,
    }
    common.listed(
        ranked, "KL in nats", {name: each[ranked.order] for name, each in columns.items()}
    )
    downloads.downloads(
        f"{run.name}-code-usage",
        kl=usage.kl,
        mean=usage.mean,
        variance=usage.variance,
        used=usage.used,
    )


def densities(run: store.Run, ranked: latent.Importance) -> None:
    """Show the aggregate posterior over the prior in the most important dimensions."""
    shown = ranked.order[:MOST_PANELS]
    near = models.marginals(run, shown.tolist())
    st.plotly_chart(
        figures.marginals(
            near.z,
            near.density,
            near.prior,
            [
                f"dimension {number + 1}: {nats:.3f} nats"
                for number, nats in zip(shown, near.kl, strict=True)
            ],
        ),
        key="marginals",
        config=figures.MODEBAR,
        alt=f"The aggregate posterior of {run.name} over the prior in {len(shown)} dimensions",
    )
    st.caption(
        "Aggregate posterior and prior in each dimension, and the KL between the two.",
        help=f"{define('Aggregate posterior', 'Prior')}\n\n{AGGREGATE}",
        width="content",
    )
