"""What was understood of a file, and what would be stored of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from aecore.plots import figures
from pages.app import cache
from pages.app.text import define, plain
from pages.views.data import roles

if TYPE_CHECKING:
    from aecore.data.importers import Choices, Report

MOST_CLASSES = 40
"""Classes in the chart; the largest ones."""


def show(file: cache.File, choices: Choices, like: str = "") -> None:
    """Show the report: what it holds, what was decided, and each column."""
    with st.spinner("Looking at the file"):
        report = cache.understood(file, choices, like)
    st.subheader(plain(report.file), anchor=False)
    st.markdown(in_words(report), help=define("Split"))
    if report.problems:
        st.error("\n".join(f"- {plain(each)}" for each in report.problems), icon=":material/error:")
    if report.decisions:
        st.markdown("**What was decided**")
        st.markdown("\n".join(f"- {plain(each)}" for each in report.decisions))
    if report.classes:
        counts = sorted(report.classes.items(), key=lambda each: -each[1])[:MOST_CLASSES]
        shares = {name: count / sum(report.classes.values()) for name, count in counts}
        st.markdown(f"**Classes of {plain(report.label or 'the label')}**")
        st.plotly_chart(figures.bars(shares, "share of the samples"), key="classes")
    if report.sizes:
        st.markdown("**Sizes of the images**")
        st.dataframe(
            {"height x width": list(report.sizes), "images": list(report.sizes.values())},
            hide_index=True,
            width="content",
        )
    if report.columns:
        roles.show(file, report, editable=not like)


def in_words(report: Report) -> str:
    """What the file holds, in a sentence.

    >>> from aecore.data.importers import Report
    >>> in_words(Report(file="a.csv", format="CSV file", modality="table", n_samples=10, n_train=8,
    ...     n_test=2, shape=(3,), label="kind", classes={"a": 6, "b": 4}, columns=()))
    'A CSV file of 10 samples, each of 3 features, labelled by *kind* (2 classes): 8 to train on, \
2 to test on.'
    """
    shape = " x ".join(map(str, report.shape))
    noun = "pixels" if report.modality == "image" else f"feature{'s' * (report.shape != (1,))}"
    each = f", each of {shape} {noun}"
    label = "" if report.label is None else f", labelled by *{plain(report.label)}*"
    classes = f" ({len(report.classes):,} classes)" if report.classes else ""
    said = f"A {report.format} of {report.n_samples:,} samples"
    if not report.shape:
        return f"{said}."
    return (
        f"{said}{each}{label}{classes}: {report.n_train:,} to train on, {report.n_test:,} to "
        "test on."
    )
