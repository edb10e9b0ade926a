"""Job list at the bottom of the menu, with progress."""

from __future__ import annotations

import streamlit as st

from aecore.jobs import Job
from aecore.runs.train import Training
from pages.app import cache
from pages.app.controls import button
from pages.app.text import duration, plain


def job_list() -> None:
    """Show waiting and running jobs in the menu; the page reruns when one ends."""
    active = [job.id for job in cache.jobs().all() if job.active]

    def body() -> None:
        current = [job for job in cache.jobs().all() if job.active]
        if [job.id for job in current] != active:
            st.rerun()
        if current:
            st.caption("Jobs")
        for job in reversed(current):
            progress(job)
            if button("Cancel", ":material/stop_circle:", key=f"cancel-{job.id}"):
                cache.jobs().cancel(job)

    st.fragment(run_every=0.8 if active else None)(body)()


def progress(job: Job) -> None:
    """Progress bar of a job: stage, share done, and remaining time."""
    if job.state == "queued":
        before = cache.jobs().place(job)
        place = f"{before} before it" if before else "next"
        st.progress(0.0, text=f"**{plain(job.task.title)}**: waiting, {place}")
        if trouble := cache.jobs().trouble:
            st.warning(plain(trouble), icon=":material/warning:")
        return
    text = f"**{plain(job.task.title)}**: {plain(job.what)}"
    if isinstance(job.task, Training) and job.log.history:
        epochs = job.task.config.training.epochs
        text += f", epoch {job.log.history[-1]['epoch']} of {epochs} done"
    if job.seconds_left is not None and job.total > 1:
        text += f", {duration(job.seconds_left)} left"
    st.progress(min(job.done / job.total, 1.0), text=text)
