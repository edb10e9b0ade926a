"""Reconstructions: originals beside reconstructions by runs and PCA, with their errors."""

from __future__ import annotations

import streamlit as st

from pages.app import frame
from pages.components import job_status, pickers
from pages.views.reconstructions import comparison

with frame.page("Reconstructions") as header:
    run = pickers.pick_run(header)
    if run is None:
        st.stop()
    if not job_status.ensure_ready(run, "Reconstruction"):
        st.stop()
    runs = [run, *pickers.pinned(run, header)]
    comparison.show(runs)
