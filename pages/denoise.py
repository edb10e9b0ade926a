"""Denoise: noise on test images, and its removal by runs and classical filters."""

from __future__ import annotations

import streamlit as st

from pages.app import frame
from pages.components import job_status, pickers
from pages.views.denoise import comparison

with frame.page("Denoise") as header:
    run = pickers.pick_run(header)
    if run is None:
        st.stop()
    if not comparison.applies(run) or not job_status.ensure_ready(run, "Denoising"):
        st.stop()
    comparison.show([run, *pickers.pinned(run, header)])
