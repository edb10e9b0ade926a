"""Reconstructions: originals, the autoencoder's and PCA's answers, and where they are wrong."""

from __future__ import annotations

import streamlit as st

from pages.shared import parts, rows

with parts.page("Reconstructions"):
    st.title("Reconstructions")
    run = parts.pick_run()
    if run is None:
        st.stop()
    st.caption(parts.run_facts(run) + ".")
    found = rows.fetched(run)
    if found is None:
        st.stop()
    rows.show(run, found)
    rows.summary(run, found)
