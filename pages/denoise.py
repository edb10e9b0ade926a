"""Denoise: noise on test images, and its removal by runs and classical filters."""

from __future__ import annotations

import streamlit as st

from pages.app import frame
from pages.components import job_status, pickers
from pages.components.run_facts import run_facts
from pages.views.denoise import comparison, curves

with frame.page("Denoise"):
    run = pickers.pick_run()
    if run is None:
        st.stop()
    st.caption(run_facts(run))
    if not comparison.applies(run) or not job_status.ensure_ready(run):
        st.stop()
    runs = [run, *pickers.pinned(run)]
    asked = comparison.ask()
    comparison.show(runs, asked)
    curves.show(runs, asked)
