"""Train: settings of a new training, live view, unfinished trainings."""

from __future__ import annotations

import streamlit as st

from aecore import data
from pages.app import frame
from pages.app.text import plain
from pages.components import workbench
from pages.views.train import form, monitor, unfinished

PANEL = 380  # pixels

with frame.page("Train"):
    usable, damaged = data.entries()
    for sentence in damaged:
        st.warning(plain(sentence), icon=":material/folder_off:")
    canvas, panel = workbench.split("left", PANEL)
    with panel:
        form.ask({entry.name: entry for entry in usable})
    with canvas:
        monitor.watch()
        unfinished.offer()
