"""Data: the datasets, and files of one's own that become datasets, or runs."""

from __future__ import annotations

import streamlit as st

from pages.app import controls, frame
from pages.components import workbench
from pages.views.data import catalogue, form, jobs, made_elsewhere, report, upload

PANEL = 380  # pixels

with frame.page("Data"):
    canvas, panel = workbench.split("left", PANEL)
    file = choices = None
    with panel:
        kind = controls.one_of(
            "Add",
            made_elsewhere.KINDS,
            "add",
            help="A file as a dataset, a model that was made elsewhere, or codes alone.",
        )
    if kind != made_elsewhere.DATASET:
        made_elsewhere.show(kind, canvas, panel)
        st.stop()
    with panel, frame.guarded():
        like = upload.like()
        file = upload.ask(like)
        choices = form.ask(file, like) if file is not None else None
    with canvas, frame.guarded():
        jobs.show()
        if file is None or choices is None:
            catalogue.show()
        else:
            report.show(file, choices, like)
