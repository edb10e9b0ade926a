"""Live view of a training: progress, loss, map and reconstructions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from aecore import data
from aecore.plots import figures, images
from aecore.runs.train import Training
from aecore.training.history import facts_in_words
from aecore.viewer import payload
from pages.app import cache, frame, job_list, state
from pages.app.text import plain
from pages.components import maps

if TYPE_CHECKING:
    from aecore.jobs import Job


def watch() -> None:
    """Show the training in the address, or the newest one, refreshed while it runs."""
    jobs = cache.jobs()
    trainings = [job for job in jobs.all() if isinstance(job.task, Training)]
    job = jobs.get(state.shown_job()) or next(iter(trainings), None)
    if job is None:
        st.info(
            "Choose settings and press **Train**. The loss, the map and reconstructions of test "
            "samples will appear here, epoch by epoch.",
            icon=":material/info:",
        )
        return
    st.fragment(run_every=0.8 if job.active else None)(_show)(job)


def _show(job: Job) -> None:
    with frame.guarded():
        job = cache.jobs().snapshot(job)
        _head(job)
        if job.log.history:
            epochs = [entry["epoch"] for entry in job.log.history]
            splits = ("train", "test")
            curves = figures.curves(
                epochs,
                {split: [entry[split]["total"] for entry in job.log.history] for split in splits},
                "epoch",
                "loss per sample",
                height=240,
                dotted=("train",),
            )
            last = job.log.history[-1]
            st.plotly_chart(
                curves,
                key="live-loss",
                config=figures.MODEBAR,
                alt=f"Loss on the training and the test split over {len(epochs)} epochs; the last "
                f"test loss is {last['test']['total']:.4g}",
            )
            if facts := facts_in_words(last):
                st.caption(f"After epoch {last['epoch']}: {plain(facts)}")
        if job.log.view is not None:
            _view(job)


def _head(job: Job) -> None:
    if job.active:
        job_list.progress(job)
    elif job.state == "done":
        st.success(f"**{plain(job.run)}** is trained and stored.", icon=":material/check_circle:")
        with st.container(horizontal=True):
            for entry in frame.OF_A_RUN:
                frame.link(entry, {state.RUN: job.run})
        metrics = cache.run(job.run).manifest.metrics
        st.caption(
            f"test MSE **{metrics['test_mse']:.4f}**; PCA with as many components "
            f"**{metrics['pca_mse']:.4f}**"
        )
    elif job.state == "cancelled":
        st.info(f"{plain(job.task.title)} was cancelled.", icon=":material/stop_circle:")
    else:
        st.error(plain(job.error), icon=":material/error:")


def _view(job: Job) -> None:
    dataset = data.get(job.task.config.dataset)
    content = payload.training(dataset, job.log.view, job.log.planes, job.log.history)
    maps.mount(content, key="live-map")
    if dataset.traits.pictures:
        rows = [
            images.Row(title, np.reshape(job.log.view[key], (-1, *dataset.shape)))
            for title, key in (("test", "originals"), ("model", "reconstructions"))
        ]
        st.image(
            images.compose(rows, st.context.theme.type or "light", cell=44),
            alt="Test images above their reconstructions",
        )
