"""Sample quality of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from aecore.applications import sample_quality
from pages.app import cache
from pages.app.text import define
from pages.components import downloads, job_status

if TYPE_CHECKING:
    from aecore.runs import store

FORMATS = {"nearest": "%.3f", "coverage": "percent", "frechet": "%.2f"}


def show(run: store.Run) -> None:
    """Show the quality of samples from each source beside real test samples, measured by a job."""
    st.subheader("Quality of the samples")
    jobs, dataset = cache.jobs(), run.dataset
    quality = cache.artifact(sample_quality.quality_artifact(run))
    if quality is None:
        n = min(sample_quality.MEASURED, run.manifest.n_test)
        judged = dataset.label_names and (
            ", between codes of a small classifier that is trained once for the dataset"
        )
        hint = f"{n:,} samples of each source are compared with training samples{judged or ''}."
        newest = [jobs.find(sample_quality.MeasureSamples(run.name))]
        if job_status.offer(newest, hint, "Measure the samples", ":material/straighten:"):
            jobs.submit(sample_quality.MeasureSamples(run.name))
            st.rerun()
        return
    measured = [
        name for name in sample_quality.DEFINITIONS if getattr(quality.rows[0], name) is not None
    ]
    columns = {
        "source": st.column_config.TextColumn(
            "Samples of the", help=define("Prior", "Mixture of Gaussians")
        )
    }
    for name in measured:
        title, text = sample_quality.DEFINITIONS[name]
        columns[name] = st.column_config.NumberColumn(title, format=FORMATS[name], help=text)
    st.dataframe(
        [{name: getattr(row, name) for name in columns} for row in quality.rows],
        column_config=columns,
        hide_index=True,
        width="content",
        alt=f"Figures of samples of {run.name}",
    )
    judge = (
        ""
        if quality.accuracy is None
        else f" The classifier is right for {quality.accuracy:.1%} of the test split; its Fréchet "
        "distance is no Inception FID."
    )
    class_note = " Classes are as frequent as in training." if run.capabilities.conditioned else ""
    st.caption(
        f"{quality.n:,} samples of each source at temperature 1, seed {quality.seed}, against "
        f"{quality.n_ref:,} training samples, for coverage as many as were drawn; the last row is "
        f"how real test samples do. Point at the head of a column for its definition."
        f"{judge}{class_note}",
        help=define("Temperature", "Split"),
    )
    rows = {"source": np.array([row.source for row in quality.rows])}
    rows |= {name: np.array([getattr(row, name) for row in quality.rows]) for name in measured}
    downloads.downloads(f"{run.name}-quality", **rows)
