"""Denoise: noise added to test images, and who takes it away best, runs or classical filters."""

from __future__ import annotations

import streamlit as st

from pages.shared import denoised, denoising_curves, parts, rows

with parts.page("Denoise"):
    st.title("Denoise")
    run = parts.pick_run()
    if run is None:
        st.stop()
    st.caption(parts.run_facts(run))
    if not denoised.applies(run) or not rows.ready(run):
        st.stop()
    runs = [run, *rows.pinned(run)]
    asked = denoised.ask()
    denoised.show(runs, asked)
    denoising_curves.show(runs, asked)
