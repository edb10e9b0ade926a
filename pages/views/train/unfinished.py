"""Unfinished trainings: resume or discard them."""

from __future__ import annotations

import streamlit as st

from aecore.runs import store
from aecore.runs.train import Resume
from pages.app import cache, controls, state
from pages.app.text import plain


def offer() -> None:
    """List the unfinished trainings: resume, discard, or in use by another process."""
    busy = {job.task.reserves for job in cache.jobs().all() if job.active}
    unfinished, damaged = store.checkpoints()
    unfinished = [run for run in unfinished if run.name not in busy]
    if unfinished or damaged:
        st.caption("Stopped before the end, or trained elsewhere")
    for run in unfinished:
        with st.container(horizontal=True, vertical_alignment="center", border=True):
            epochs = f"{run.epochs_done} of {run.config.training.epochs} epochs"
            done = f"**{plain(run.name)}**: {epochs}"
            if run.owner:
                owner = plain(str(run.owner))
                st.markdown(f"{done}; it is being trained by another process ({owner}).")
                continue
            st.markdown(done)
            if controls.button("Resume", ":material/resume:", key=f"resume-{run.name}"):
                state.remember_job(cache.jobs().submit(Resume.of(run.name)).id)
                st.rerun()
            offer_to_discard(run.name)
    for run in damaged:
        with st.container(horizontal=True, vertical_alignment="center", border=True):
            name, reason = plain(run.name), plain(run.reason)
            st.markdown(f"**{name}** cannot be resumed, its checkpoint is damaged: {reason}")
            offer_to_discard(run.name)


def offer_to_discard(name: str) -> None:
    """Button that deletes a checkpoint, behind a question."""
    with st.popover("Discard", icon=":material/delete:"):
        st.markdown(f"What **{plain(name)}** has learned so far is deleted for good.")
        if controls.button("Delete it", ":material/delete:", key=f"discard-{name}"):
            store.discard(name)
            st.rerun()
