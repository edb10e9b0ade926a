"""Registry of the views of the page Generate."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from aecore import latent
from aecore.runs import store
from pages.app import cache, controls, frame, models
from pages.views.generate import arithmetic, grid, health, paths, samples, traversal

VIEWS: dict[str, Callable[[store.Run], None]] = {
    "Grid": grid.show,
    "Samples": samples.show,
    "Path": paths.show,
    "Traversal": traversal.show,
    "Arithmetic": arithmetic.show,
    "Health": health.show,
}


@st.fragment
def show(run: store.Run) -> None:
    """Show the chosen view; a fragment, so that a slider redraws nothing else."""
    with frame.guarded():
        latent.refuse_unless_finite(run, run.codes["codes"])
        view = controls.one_of("View", list(VIEWS), "view")
        with st.spinner("Loading torch, scikit-learn and the model, a few seconds the first time"):
            models.load(run)
        cache.freeze_gc("what generates")
        VIEWS[view](run)
