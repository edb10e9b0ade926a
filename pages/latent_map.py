"""Latent map: the bottleneck beside PCA, t-SNE and UMAP of the same samples, linked."""

from __future__ import annotations

import streamlit as st

from pages.shared import maps, parts, selection

with parts.page("Latent map"):
    st.title("Latent map")
    run = parts.pick_run()
    if run is None:
        st.stop()
    st.caption(parts.run_facts(run))
    view = maps.ask(run)
    maps.prepare(view)
    maps.offer_missing(view)
    selection.show(view)
    maps.metrics_table(view)
