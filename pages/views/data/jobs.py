"""Files that are being stored by a job, and how those ended that failed."""

from __future__ import annotations

import streamlit as st

from aecore.data.importers import StoreFile
from pages.app import cache, job_list
from pages.app.text import plain


def show() -> None:
    """Show the progress of each job that stores a file, and the reasons of the last that failed."""
    stored = [job for job in cache.jobs().all() if isinstance(job.task, StoreFile)]
    for job in stored:
        if job.active:
            st.fragment(run_every=0.8)(job_list.progress)(job)
            job_list.offer_to_cancel(job, "data")
    if stored and stored[0].error:
        name = plain(stored[0].task.name)
        reasons = "\n".join(f"- {plain(each)}" for each in stored[0].error.split("\n"))
        st.error(f"*{name}* was not stored:\n{reasons}", icon=":material/error:")
