"""Latent map: the bottleneck beside PCA, t-SNE and UMAP of the same samples, linked."""

from __future__ import annotations

import streamlit as st

from pages.app import frame
from pages.components import maps, pickers
from pages.components.run_facts import run_facts
from pages.views.latent_map import selection

with frame.page("Latent map"):
    st.title("Latent map")
    run = pickers.pick_run()
    if run is None:
        st.stop()
    st.caption(run_facts(run))
    view = maps.ask(run)
    maps.prepare(view)
    maps.offer_missing(view)
    selection.show(view)
    maps.metrics_table(view)
