"""Registry of the views of the page Generate."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from aecore import latent
from pages.app import cache, controls, frame, models, state
from pages.components import job_status, workbench
from pages.views.generate import arithmetic, code_usage, grid, paths, samples, traversal

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from aecore.runs import store

USES = {
    "Grid": "A grid of decoded codes",
    "Samples": "Decoding of random codes",
    "Path": "A path of decoded codes",
    "Traversal": "A traversal of decoded codes",
    "Arithmetic": "Decoding of sums of codes",
}
"""What each view that decodes does, as the beginning of a sentence."""
VIEWS: dict[str, Callable[[store.Run, DeltaGenerator], None]] = {
    "Grid": grid.show,
    "Samples": samples.show,
    "Path": paths.show,
    "Traversal": traversal.show,
    "Arithmetic": arithmetic.show,
    "Code usage": code_usage.show,
}


@st.fragment
def show(run: store.Run) -> None:
    """Show the chosen view; a fragment, so that a slider redraws nothing else."""
    with frame.guarded():
        latent.refuse_unless_finite(run, run.codes["codes"])
        state.rename("view", "Health", "Code usage")  # as it was called in addresses of before
        toolbar = workbench.toolbar()
        with toolbar:
            view = controls.one_of("View", list(VIEWS), "view", label_visibility="collapsed")
        if view in USES and job_status.refused(run, USES[view], "decode"):
            return
        with st.spinner("Loading torch, scikit-learn and the model, a few seconds the first time"):
            models.load(run)
        cache.freeze_gc("what generates")
        # Each view in containers of its own: where a run of the script is broken off, as when a job
        # is queued, what the last view left in a common one would stay.
        with toolbar:
            own = st.container(key=f"controls-{view}", horizontal=True, vertical_alignment="center")
        with st.container(key=f"view-{view}"):
            VIEWS[view](run, own)
