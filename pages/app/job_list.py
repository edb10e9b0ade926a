"""Job list in the header, with progress."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from aecore.runs.train import Training
from pages.app import cache
from pages.app.controls import button
from pages.app.text import duration, plain

if TYPE_CHECKING:
    from aecore.jobs import Job


def job_list() -> None:
    """Popover of waiting and running jobs; the page reruns when one ends."""
    active = [job.id for job in cache.jobs().all() if job.active]

    def body() -> None:
        current = [job for job in cache.jobs().all() if job.active]
        if [job.id for job in current] != active:
            st.rerun()
        with st.popover(_label(current), icon=":material/pending_actions:", key="jobs"):
            if not current:
                st.caption("No job is running or waiting.")
            elif notice := cache.jobs().notice:
                st.warning(plain(notice), icon=":material/warning:")
            for job in reversed(current):
                progress(job)
                offer_to_cancel(job, "listed")

    st.fragment(run_every=0.8 if active else None)(body)()


def _label(current: Sequence[Job]) -> str:
    """Number of jobs, and how far the running one is."""
    if not current:
        return "Jobs"
    running = next((job for job in current if job.state != "queued"), None)
    share = f" · {min(running.done / running.total, 1.0):.0%}" if running else " · waiting"
    return f"{len(current)} job{'s' * (len(current) > 1)}{share.replace('%', ' %')}"


def offer_to_cancel(job: Job, where: str) -> None:
    """Button that cancels a job.

    Arguments
        where: a name for each place on a page that has one.
    """
    if button("Cancel", ":material/stop_circle:", key=f"cancel-{where}-{job.id}"):
        cache.jobs().cancel(job)


def called(job: Job) -> str:
    """Title of a job, with the name of the run that it writes, in Markdown."""
    name = f" ({plain(job.task.reserves)})" if job.task.reserves else ""
    return f"{plain(job.task.title)}{name}"


def progress(job: Job) -> None:
    """Progress bar of a job: stage, share done, and remaining time."""
    if job.state == "queued":
        before = cache.jobs().before(job)
        place = "to begin"
        if before:
            others = f" and {len(before) - 1} more" if len(before) > 1 else ""
            place = f"behind {called(before[-1])}{others}"
        st.progress(0.0, text=f"**{called(job)}**: waiting {place}")
        if trouble := cache.jobs().trouble:
            st.warning(plain(trouble), icon=":material/warning:")
        return
    text = f"**{called(job)}**: {plain(job.what)}"
    if isinstance(job.task, Training) and job.log.history:
        epochs = job.task.config.training.epochs
        text += f", epoch {job.log.history[-1]['epoch']} of {epochs} done"
    if job.seconds_left is not None and job.total > 1:
        text += f", {duration(job.seconds_left)} left"
    st.progress(min(job.done / job.total, 1.0), text=text)
