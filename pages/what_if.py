"""What if: sweeps of a run or of settings, their trials, and what they say."""

from __future__ import annotations

import streamlit as st

from aecore import data
from pages.app import cache, frame
from pages.app.text import plain
from pages.components import pickers, workbench
from pages.views.what_if import ask, trials

PANEL = 400  # pixels

with frame.page("What if"):
    usable, damaged = data.entries()
    for sentence in damaged:
        st.warning(plain(sentence), icon=":material/folder_off:")
    runs, broken = cache.runs()
    pickers.show_broken(broken)
    canvas, panel = workbench.split("left", PANEL)
    with panel:
        trainable = [run for run in runs if run.capabilities.trainable]
        ask.ask({entry.name: entry for entry in usable}, trainable)
    with canvas:
        trials.show()
