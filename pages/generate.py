"""Generate: decoding of new codes, which belong to no sample."""

from __future__ import annotations

import streamlit as st

from pages.app import frame
from pages.components import pickers
from pages.views.generate import views

with frame.page("Generate") as header:
    run = pickers.pick_run(header)
    if run is None:
        st.stop()
    views.show(run)
