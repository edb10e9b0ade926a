"""Live view of a training: progress, loss, map and reconstructions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from aecore import data
from aecore.plots import figures, images
from aecore.runs import stopping
from aecore.runs.train import Training
from aecore.training.history import facts_in_words
from aecore.viewer import payload
from pages.app import cache, frame, job_list, state
from pages.app.text import define, explain, plain
from pages.components import further, maps

if TYPE_CHECKING:
    from aecore.jobs import Job


def watch() -> None:
    """Show the training in the address, or the newest that waits or runs, refreshed meanwhile."""
    st.html(Path(__file__).with_name("train.css"))
    jobs = cache.jobs()
    trainings = [job for job in jobs.all() if isinstance(job.task, Training) and job.active]
    job = jobs.get(state.shown_job()) or next(iter(trainings), None)
    if job and job.active:
        state.remember_job(job.id)  # its end is shown as well
    if job and job.run and state.remember_run(job.run):
        st.rerun()  # the header above links to it
    st.fragment(run_every=0.8 if job and job.active else None)(_show)(job)


def _show(job: Job | None) -> None:
    with frame.guarded():
        job = job and cache.jobs().snapshot(job)
        with st.container(key="result", horizontal=True, vertical_alignment="center"):
            _head(job)
        left, right = st.columns([3, 2], gap="medium")
        # Both are as high from the start as they become, so that nothing moves.
        left, loss = left.container(key="live_map"), right.container(key="live_loss")
        if job is not None and job.log.history:
            with loss:
                _loss(job)
        if job is None or job.log.view is None:
            left.caption(
                "The map, the loss and reconstructions of test samples appear here, epoch by epoch."
            )
            return
        dataset = data.get(job.task.config.dataset)
        with left:
            content = payload.training(dataset, job.log.view, job.log.planes, job.log.history)
            maps.mount(content, key="live-map")
        if dataset.traits.pictures:
            shown = (("test", "originals"), ("model", "reconstructions"))
            lines = [
                images.Row(title, np.reshape(job.log.view[key], (-1, *dataset.shape)))
                for title, key in shown
            ]
            right.image(
                cache.composed(lines, 44),
                alt="Test images above their reconstructions",
            )


def _loss(job: Job) -> None:
    history = job.log.history
    epochs = [entry["epoch"] for entry in history]
    splits = [split for split in ("train", "test", "validation") if split in history[-1]]
    best = stopping.best_epoch(history)
    curves = figures.curves(
        epochs,
        {split: [entry[split]["total"] for entry in history] for split in splits},
        "epoch",
        "loss per sample",
        height=280,
        dotted=("train",),
        marks={f"best: {best}": best} if best else {},
    )
    last = history[-1]
    st.plotly_chart(
        curves,
        key="live-loss",
        config=figures.MODEBAR,
        alt=f"Loss on the training and the test split over {len(epochs)} epochs; the last "
        f"test loss is {last['test']['total']:.4g}"
        + (f"; the loss on the validation part is smallest in epoch {best}" if best else ""),
    )
    if job.run:
        run = cache.run(job.run)
        if how := stopping.in_words(run):
            st.caption(plain(how), help=define("Validation part", "Patience"))
        further.offer(run, here=True)
    if facts := facts_in_words(last):
        st.caption(f"After epoch {last['epoch']}: {plain(facts)}", help=explain(facts))


def _head(job: Job | None) -> None:
    """One line: how far the training is, or what came of it and where to look at it."""
    if job is None:
        st.caption("Choose settings and press **Train**.")
    elif job.active:
        job_list.progress(job)
        job_list.offer_to_cancel(job, "shown")
    elif job.state == "done":
        run = cache.run(job.run)
        metrics = run.manifest.metrics
        st.markdown(
            f":green[:material/check_circle:] **{plain(job.run)}** is trained and stored: "
            f"test MSE **{metrics['test_mse']:.4f}**, PCA **{metrics['pca_mse']:.4f}**",
            width="stretch",
            help=define("Test MSE", "PCA"),
        )
        for entry in frame.OF_A_RUN:
            frame.link(entry, {state.RUN: job.run})
    elif job.state == "cancelled":
        st.info(f"{plain(job.task.title)} was cancelled.", icon=":material/stop_circle:")
    else:
        st.error(plain(job.error), icon=":material/error:")
