"""How good the samples of a run are, in figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from aecore.applications import sample_quality
from pages.app import cache
from pages.components import downloads, job_status

if TYPE_CHECKING:
    from aecore.runs import store

FORMATS = {"nearest": "%.3f", "coverage": "percent", "frechet": "%.2f"}


def show(run: store.Run) -> None:
    """The figures of samples from each source beside those of real test samples, made by a job."""
    st.subheader("How good the samples are")
    jobs, dataset = cache.jobs(), run.dataset
    found = cache.artifact(sample_quality.quality_artifact(run))
    if found is None:
        n = min(sample_quality.MEASURED, run.manifest.n_test)
        judged = dataset.label_names and (
            ", between codes of a small classifier that is trained once for the dataset"
        )
        hint = f"{n:,} samples of each source are held against training samples{judged or ''}."
        known = [jobs.find(sample_quality.MeasureSamples(run.name))]
        if job_status.offer(known, hint, "Measure the samples", ":material/straighten:"):
            jobs.submit(sample_quality.MeasureSamples(run.name))
            st.rerun()
        return
    measured = [
        name for name in sample_quality.DEFINITIONS if getattr(found.rows[0], name) is not None
    ]
    columns = {"source": st.column_config.TextColumn("Samples of the")}
    for name in measured:
        title, text = sample_quality.DEFINITIONS[name]
        columns[name] = st.column_config.NumberColumn(title, format=FORMATS[name], help=text)
    st.dataframe(
        [{name: getattr(row, name) for name in columns} for row in found.rows],
        column_config=columns,
        hide_index=True,
        width="content",
        alt=f"Figures of samples of {run.name}",
    )
    judge = (
        ""
        if found.accuracy is None
        else f" The classifier names {found.accuracy:.1%} of the test split rightly; its Fréchet "
        "distance is no Inception FID."
    )
    told = (
        " Classes are told as often as they occur in training."
        if run.capabilities.conditioned
        else ""
    )
    st.caption(
        f"{found.n:,} samples of each source at temperature 1, seed {found.seed}, against "
        f"{found.n_ref:,} training samples, for coverage as many as were drawn; the last row is "
        f"how real test samples do. Point at the head of a column for its definition.{judge}{told}"
    )
    rows = {"source": np.array([row.source for row in found.rows])}
    rows |= {name: np.array([getattr(row, name) for row in found.rows]) for name in measured}
    downloads.downloads(f"{run.name}-quality", **rows)
