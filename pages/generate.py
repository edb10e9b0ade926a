"""Generate: decoding of new codes, which belong to no sample."""

from __future__ import annotations

import streamlit as st

from pages.app import frame
from pages.components import pickers
from pages.components.run_facts import run_facts
from pages.views.generate import views

with frame.page("Generate"):
    run = pickers.pick_run()
    if run is None:
        st.stop()
    st.caption(run_facts(run))
    views.show(run)
