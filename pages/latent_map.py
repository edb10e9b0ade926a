"""Latent map: the bottleneck beside PCA, t-SNE and UMAP of the same samples, linked."""

from __future__ import annotations

import streamlit as st

from pages.app import frame
from pages.components import maps, own_picture, pickers
from pages.views.latent_map import selection

with frame.page("Latent map") as header:
    run = pickers.pick_run(header)
    if run is None:
        st.stop()
    with header:
        view = maps.ask(run)
        if own_picture.applies(run):
            with st.container(width="content"):  # or else it would take what the run needs
                own_picture.draw(run, menu=True)
    maps.prepare(view)
    maps.offer_missing(view)
    selection.show(view)
    maps.metrics_table(view)
