"""Selection of a run, and of runs to compare it with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from aecore.errors import InvalidRequest
from aecore.runs import store
from pages.app import cache, frame, state
from pages.app.text import plain
from pages.components.job_status import _refuse_unless_answering
from pages.components.run_facts import facts_popover

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

DEFAULT_RUN = "digits-ae"


def pick_run(header: DeltaGenerator) -> store.Run | None:
    """Select box of the page's run, kept in the address; None, with a hint, if there is none.

    Arguments
        header: the part of the header that is the page's own. The facts of the run are beside it.
    """
    runs, broken = cache.runs()
    show_broken(broken)
    names = sorted(run.name for run in runs)
    if not names:
        st.info("There is no run yet.", icon=":material/info:")
        st.page_link("pages/train.py", label="Train the first", icon=":material/model_training:")
        return None
    default = DEFAULT_RUN if DEFAULT_RUN in names else names[0]
    stranger = state.follow_address(state.RUN, names, default)
    if stranger and stranger not in {each.name for each in broken}:  # which have been named
        show_unknown("run", stranger)
    titles = cache.titles()
    with header:
        name = st.selectbox(
            "Run",
            names,
            format_func=titles.__getitem__,
            key=state.RUN,
            on_change=state.keep,
            args=(state.RUN,),
            label_visibility="collapsed",
            width=300,
        )
        run = cache.run(name)
        facts_popover(run)
    return run


def pick_entry(
    label: str,
    key: str,
    titles: Mapping[str, str],
    default: str,
    changed: Callable[[str], None],
    help: str = "",
) -> str:
    """Select box of an entry of a registry: its title is shown, its name is in the address.

    Arguments
        titles: by the names of the entries.
        changed: the callback, which is given the key.
    """
    if stranger := state.follow_address(key, list(titles), default):
        show_unknown(label.lower(), stranger)
    return st.selectbox(
        label,
        list(titles),
        format_func=titles.__getitem__,
        key=key,
        on_change=changed,
        args=(key,),
        help=help or None,
    )


def show_unknown(kind: str, name: str) -> None:
    """Report an unknown name in the address."""
    shown = name if len(name) <= state.LONG else f"{name[: state.LONG]}…"
    st.warning(f"There is no {kind} called '{plain(shown)}'; this is another one.")


def show_broken(broken: list[store.Broken]) -> None:
    """Report the folders of the store that are not readable runs."""
    for run in broken[:MOST_SAID]:
        st.warning(
            f"The folder '{plain(run.name)}' is not a complete run and is left out: "
            f"{plain(run.reason.rstrip('.'))}. Restore it or delete it from "
            f"{plain(str(store.root()))}.",
            icon=":material/folder_off:",
        )
    if further := ", ".join(f"'{plain(run.name)}'" for run in broken[MOST_SAID:]):
        st.warning(
            f"Further folders are not complete runs, and `python -m aecore runs` says why: "
            f"{further}.",
            icon=":material/folder_off:",
        )


MOST_SAID = 5
"""Folders and files of which each gets a sentence."""
MOST_PINS = 4
"""Runs whose reconstructions are shown beside those of the run."""
MOST_MAPS = 3
"""Runs whose bottlenecks are laid upon that of the run."""


def pick_beside(run: store.Run, key: str, most: int, help: str) -> list[store.Run]:
    """Multiselect of runs of the same samples to compare with, kept in the address by name."""
    usable, dataset = {other.name: other for other in cache.comparable(run)}, run.config.dataset
    titles = cache.titles()
    stranger = state.follow_address(key, list(usable), [], most=most)
    if stranger and stranger not in titles:  # of another dataset: a link carried it along
        state.note_unknown("Compare with", stranger)
    chosen = st.multiselect(
        "Compare with",
        list(usable),
        format_func=titles.__getitem__,
        key=key,
        on_change=state.keep,
        args=(key,),
        max_selections=most,
        disabled=not usable,
        placeholder="Compare with …" if usable else f"There is no other run of {dataset}",
        help=help,
        label_visibility="collapsed",
        width=320,
    )
    return [usable[name] for name in chosen]


def pinned(run: store.Run, header: DeltaGenerator) -> list[store.Run]:
    """Multiselect of runs of the same data to show beside this one.

    Arguments
        header: the part of the header that is the page's own.
    """
    dataset, titles = run.config.dataset, cache.titles()
    with header:
        chosen = pick_beside(
            run,
            state.PINS,
            MOST_PINS,
            f"Up to {MOST_PINS} further runs of {plain(dataset)}, a row each.",
        )
    same_name = {other.name for other in cache.runs()[0] if other.config.dataset == dataset}
    usable = {other.name for other in cache.comparable(run)}
    if left_out := sorted(same_name - usable - {run.name}):
        st.caption(
            f"Left out, because {plain(dataset)} was another when they were trained: "
            f"{plain(', '.join(titles[name] for name in left_out))}."
        )
    found = []
    for each in chosen:
        try:
            _refuse_unless_answering(each, each.dataset)
            found.append(each)
        except InvalidRequest as error:
            frame.show_error(error)
    if conditioned := [each.name for each in (run, *found) if each.capabilities.conditioned]:
        st.caption(
            f"{plain(', '.join(conditioned))} is given the true class of each sample, which "
            "the others are not."
        )
    return found


def link_to_comparison(
    names: Sequence[str], maps: str, reconstructions: str, only_bottlenecks: bool
) -> None:
    """Links to the maps and to the reconstructions of the first runs of the same samples.

    Arguments
        maps, reconstructions: labels of the links.
        only_bottlenecks: whether the other panes of the maps are off.
    """
    first, *others = names[: 1 + MOST_MAPS]
    panes = {"panes": ""} if only_bottlenecks else {}
    st.page_link(
        "pages/latent_map.py",
        label=maps,
        icon=":material/scatter_plot:",
        query_params={state.RUN: first, state.OTHER: others} | panes,
        width="content",
    )
    st.page_link(
        "pages/reconstructions.py",
        label=reconstructions,
        icon=":material/compare:",
        query_params={state.RUN: first, state.PINS: others},
        width="content",
    )
