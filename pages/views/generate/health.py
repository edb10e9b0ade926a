"""How a posterior uses its dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from aecore import latent
from aecore.plots import figures
from pages.app import models
from pages.app.text import plain
from pages.components import downloads
from pages.views.generate import common

if TYPE_CHECKING:
    from aecore.runs import store

MOST_PANELS = 6


def show(run: store.Run) -> None:
    """How a posterior uses its dimensions; of a point code only their spread."""
    codes = run.codes["codes"]
    if not run.capabilities.posterior:
        st.info(
            f"{plain(run.name)} encodes to points, not to Gaussians, so there is no "
            "posterior to hold against a prior. These are its test codes.",
            icon=":material/info:",
        )
        found = latent.importance(codes)
        mean = codes.mean(axis=0)
        common.listed(found, "variance", {"mean": mean[found.order]})
        downloads.downloads(f"{run.name}-health", mean=mean, variance=codes.var(axis=0))
        return
    spread = common.known_spread(run)
    if spread is None:
        # Without the data the posterior's widths cannot be had, and nobody is asked to wait.
        if common.training_codes(run) is None:
            return
        spread = common.known_spread(run)
    found = latent.health(codes, spread)
    if found.advice:
        st.warning(found.advice, icon=":material/heart_broken:")
    d = len(found.kl)
    with st.container(horizontal=True, gap="large"):
        st.metric("Active units", f"{found.active} of {d}", width="content")
        st.metric("KL, all dimensions", f"{found.kl.sum():.2f} nats", width="content")
    st.caption(
        "The aggregate posterior is the mixture of the posteriors of all test samples. Under the "
        "prior each of its dimensions has mean 0 and variance 1; the further it is from that, the "
        "less draws from the prior are like what the decoder has seen."
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
        "mean (prior 0)": found.mean,
        "variance (prior 1)": found.variance,
        "in use": found.used,
    }
    common.listed(
        ranked, "KL in nats", {name: each[ranked.order] for name, each in columns.items()}
    )
    downloads.downloads(
        f"{run.name}-health",
        kl=found.kl,
        mean=found.mean,
        variance=found.variance,
        used=found.used,
    )
