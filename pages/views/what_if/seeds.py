"""What the seeds of one combination of settings agree on: their maps and reconstructions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from aecore.data import Subset
from aecore.errors import InvalidRequest
from aecore.runs import findings
from pages.app import cache, frame
from pages.app.text import explain, plain
from pages.components import maps, pickers

if TYPE_CHECKING:
    from aecore.runs.sweeps import Plan, Result

LEAST = 2
"""Seeds that can be compared."""


def links(seeds: Sequence[Result]) -> None:
    """Links to the maps and the reconstructions of trials that differ in the seed alone."""
    names = [result.trial.name for result in seeds]
    pickers.link_to_comparison(
        names, "Maps of the seeds", "Reconstructions of the seeds", only_bottlenecks=True
    )


def best(plan: Plan, results: Sequence[Result], measure: str) -> None:
    """Show what the seeds of the best combination of settings agree on."""
    seeds = findings.best_seeds(results, measure)
    if not seeds:
        return
    st.markdown(plain(findings.seeds_in_words(plan, seeds, measure)))
    try:
        runs = [cache.run(result.trial.name) for result in seeds]
        sentence = maps.in_common(runs, Subset())
        st.markdown(plain(sentence), help=explain(sentence, "stability"))
    except InvalidRequest as error:  # one of them diverged
        frame.show_error(error)
    with st.container(horizontal=True):
        links(seeds)
