"""Generate: what the decoder makes of codes that belong to no sample."""

from __future__ import annotations

import streamlit as st

from pages.shared import parts
from pages.shared.generate import views

with parts.page("Generate"):
    st.title("Generate")
    run = parts.pick_run()
    if run is None:
        st.stop()
    st.caption(parts.run_facts(run))
    views.show(run)
