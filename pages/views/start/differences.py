"""Comparison of ticked runs: the settings and measures in which they differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from aecore import metrics
from aecore.settings import list_settings
from pages.app.text import explain, plain
from pages.components import pickers

if TYPE_CHECKING:
    from pydantic import BaseModel

    from aecore.runs import store
    from aecore.settings import Setting

MOST_COMPARED = 4


def offer(runs: Sequence[store.Run], titles: Mapping[str, str]) -> None:
    """Show how up to four runs can be compared."""
    if len(runs) > MOST_COMPARED:
        st.caption(f"Up to {MOST_COMPARED} runs can be compared: untick some.")
        return
    if st.button(f"Compare these {len(runs)} runs", icon=":material/difference:"):
        show(runs, titles)
    if len({run.manifest.fingerprint for run in runs}) == 1:
        pickers.link_to_comparison(
            [run.name for run in runs],
            "Compare their maps",
            "Compare their reconstructions",
            only_bottlenecks=len(runs) > 2,
        )


@st.dialog("Where the runs differ", width="large")
def show(runs: Sequence[store.Run], titles: Mapping[str, str]) -> None:
    """Table of the settings and measures in which runs differ."""
    facts = {run.name: every_fact(run) for run in runs}
    names = list(dict.fromkeys(name for each in facts.values() for name in each))
    differing = [name for name in names if len({each.get(name) for each in facts.values()}) > 1]
    st.table(
        {"": differing}
        | {
            plain(titles[run.name]): [facts[run.name].get(name, "none") for name in differing]
            for run in runs
        },
        hide_index=True,
    )
    said = "Measures are of the test split; none: not a setting of the variant, or not measured."
    if len({run.manifest.fingerprint for run in runs}) > 1:
        said += " These runs are of different data, so their measures cannot be compared."
    st.caption(said, help=explain(*differing))


def every_fact(run: store.Run) -> dict[str, str]:
    """Settings and measures of a run, by their labels."""
    facts = {"Dataset": run.spec.title, "Variant": run.variant_title}
    facts |= {setting.label: setting.shown(value) for setting, value in settings_of(run)}
    for name, value in run.manifest.metrics.items():
        if value is not None and name in metrics.DEFINITIONS:
            facts[metrics.DEFINITIONS[name][0]] = f"{value:.4g}"
    if run.trained:
        facts["Seconds of training"] = f"{run.manifest.seconds:.1f}"
    return {plain(name): plain(value) for name, value in facts.items()}


def settings_of(run: store.Run) -> Iterator[tuple[Setting, Any]]:
    """Every setting of a run, and its value; of training, unless it was made elsewhere."""
    parts: list[BaseModel] = [run.config.model]
    if run.capabilities.trainable:
        parts.append(run.config.training)
    for values in parts:
        for setting in list_settings(type(values)):
            yield setting, getattr(values, setting.name)
