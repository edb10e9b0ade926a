"""Posterior usage of the dimensions of a code."""

from __future__ import annotations

import streamlit as st

from aecore import latent
from aecore.plots import figures
from aecore.runs import store
from pages.app import models
from pages.app.text import plain
from pages.components import downloads
from pages.views.generate import common

MOST_PANELS = 6


def show(run: store.Run) -> None:
    """Show the usage of dimensions by a posterior; for a point code only their variance."""
    codes = run.codes["codes"]
    if not run.capabilities.posterior:
        st.info(
            f"{plain(run.name)} encodes to points, not to Gaussians, so there is no "
            "posterior to hold against a prior. These are its test codes.",
            icon=":material/info:",
        )
        ranked = latent.importance(codes)
        mean = codes.mean(axis=0)
        common.listed(ranked, "variance", {"mean": mean[ranked.order]})
        downloads.downloads(f"{run.name}-health", mean=mean, variance=codes.var(axis=0))
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
    d = len(usage.kl)
    with st.container(horizontal=True, gap="large"):
        st.metric("Active units", f"{usage.active} of {d}", width="content")
        st.metric("KL, all dimensions", f"{usage.kl.sum():.2f} nats", width="content")
    st.caption(
        "The aggregate posterior is the mixture of the posteriors of all test samples. Under the "
        "prior each of its dimensions has mean 0 and variance 1; the further it is from that, the "
        "less draws from the prior resemble the codes that the decoder was trained on."
    )
    ranked = latent.importance(codes, spread)
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
        "The number above a panel is the KL of the aggregate posterior to the prior in that "
        "dimension alone, a part of the KL in the table. The rest of it is what the dimension says "
        "of a sample."
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
        f"{run.name}-health",
        kl=usage.kl,
        mean=usage.mean,
        variance=usage.variance,
        used=usage.used,
    )
