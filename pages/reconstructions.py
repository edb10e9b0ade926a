"""Reconstructions: originals, what runs and PCA make of them, and where they are wrong."""

from __future__ import annotations

import streamlit as st

from pages.shared import own_image, parts, rows

with parts.page("Reconstructions"):
    st.title("Reconstructions")
    run = parts.pick_run()
    if run is None:
        st.stop()
    st.caption(parts.run_facts(run))
    if not rows.ready(run):
        st.stop()
    runs = [run, *rows.pinned(run)]
    rows.show(runs)
    own_image.offer(runs)
