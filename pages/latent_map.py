"""Latent map: the bottleneck beside PCA, t-SNE and UMAP of the same samples."""

from __future__ import annotations

import streamlit as st

from aecore import configs
from aecore.projections import PROJECTIONS
from pages.shared import maps, parts

with parts.page("Latent map"):
    st.title("Latent map")
    run = parts.pick_run()
    if run is None:
        st.stop()
    st.caption(parts.run_facts(run) + ".")

    chosen = {}
    with st.expander("Settings of the maps", icon=":material/tune:"):
        st.caption("t-SNE and UMAP are computed once for each setting and kept.")
        with st.container(horizontal=True):
            for name, kind in PROJECTIONS.items():
                defaults = kind.defaults(run.manifest.n_test)
                asked = parts.settings_form(kind, defaults, f"{name}_", kind.title, width=190)
                chosen[name] = asked
    projections = {
        name: configs.check_settings(PROJECTIONS[name], asked) for name, asked in chosen.items()
    }
    maps.panes(run, projections)
