"""What the seeds of one combination of settings agree on: their maps and reconstructions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from aecore.data import Subset
from aecore.errors import InvalidRequest
from pages.app import cache, frame
from pages.app.text import explain, plain
from pages.components import maps, pickers

if TYPE_CHECKING:
    from aecore.runs.sweeps import Result

LEAST = 2
"""Seeds that can be compared."""


def links(seeds: Sequence[Result]) -> None:
    """Links to the maps and the reconstructions of trials that differ in the seed alone."""
    names = [result.trial.name for result in seeds]
    pickers.link_to_comparison(
        names, "Maps of the seeds", "Reconstructions of the seeds", only_bottlenecks=True
    )


def show(seeds: Sequence[Result]) -> None:
    """Show what the first seeds of a combination of settings agree on."""
    try:
        runs = [cache.run(result.trial.name) for result in seeds[: 1 + pickers.MOST_MAPS]]
        sentence = maps.in_common(runs, Subset())
        st.markdown(plain(sentence), help=explain(sentence, "stability"))
    except InvalidRequest as error:  # one of them diverged
        frame.show_error(error)
    with st.container(horizontal=True):
        links(seeds)
