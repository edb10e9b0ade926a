"""Data: the datasets, and files of one's own that become datasets."""

from __future__ import annotations

from pages.app import frame
from pages.components import workbench
from pages.views.data import catalogue, form, jobs, report, upload

PANEL = 380  # pixels

with frame.page("Data"):
    canvas, panel = workbench.split("left", PANEL)
    file = choices = None
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
