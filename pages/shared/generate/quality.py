"""How good the samples of a run are, in figures."""

from __future__ import annotations

import streamlit as st

from aecore import quality, store
from pages.shared import cache, parts

FORMATS = {"nearest": "%.3f", "coverage": "percent", "frechet": "%.2f"}


def show(run: store.Run) -> None:
    """The figures of samples from each source beside those of real test samples, made by a job."""
    st.subheader("How good the samples are")
    found, jobs = cache.quality(run), cache.jobs()
    if found is None:
        hint = (
            f"{quality.MEASURED:,} samples of each source are held against training samples, "
            "between codes of a small classifier that is trained once for the dataset: seconds."
        )
        known = [jobs.find("quality", run.name)]
        if parts.offer(known, hint, "Measure the samples", ":material/straighten:"):
            jobs.sample_quality(run.name)
            st.rerun()
        return
    measured = [name for name in quality.DEFINITIONS if getattr(found.rows[0], name) is not None]
    columns = {"source": st.column_config.TextColumn("Samples of the")}
    for name in measured:
        title, text = quality.DEFINITIONS[name]
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
    st.caption(
        f"{found.n:,} samples of each source at temperature 1, seed {found.seed}, against "
        f"{found.n_ref:,} training samples; the last row, of real test samples, is what can be "
        f"reached. Point at the head of a column for its definition.{judge}"
    )
