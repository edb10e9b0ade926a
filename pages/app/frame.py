"""Frame of every page: header with menu, jobs and help, and error messages."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import streamlit as st

from aecore.errors import InvalidRequest
from aecore.glossary import TERMS, in_labels
from pages.app import cache, server, state, tour
from pages.app.job_list import job_list
from pages.app.text import plain

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator


class Entry(NamedTuple):
    """Entry of the menu."""

    path: str
    title: str
    icon: str
    about: str
    """What the page shows."""
    of_run: bool = False
    """Whether it shows one run, which a link to it carries."""


MENU = (
    Entry(
        "app.py",
        "Start",
        ":material/search:",
        "Four maps of one run, linked: the code of an autoencoder beside PCA, t-SNE and UMAP of "
        "the same samples. The table below lists all runs: tick one to open, describe or delete "
        "it.",
    ),
    Entry(
        "pages/data.py",
        "Data",
        ":material/database:",
        "All datasets, with some samples of the chosen one. A file of your own on the left becomes "
        "one: the report on the right says what was understood of it, before anything is stored.",
    ),
    Entry(
        "pages/train.py",
        "Train",
        ":material/model_training:",
        "Trains an autoencoder with the settings on the left. Its loss, its map and its "
        "reconstructions of test samples follow on the right, epoch by epoch.",
    ),
    Entry(
        "pages/what_if.py",
        "What if",
        ":material/alt_route:",
        "Trains again with other settings, several at once: a sweep. Ask on the left what should "
        "differ; on the right follow the trials, and see which setting matters and how much.",
        of_run=True,
    ),
    Entry(
        "pages/latent_map.py",
        "Latent map",
        ":material/scatter_plot:",
        "The code of a run beside PCA, t-SNE and UMAP of the same samples. Point at a sample to "
        "see it in every map, and click anywhere in the code to decode that place.",
        of_run=True,
    ),
    Entry(
        "pages/reconstructions.py",
        "Reconstructions",
        ":material/compare:",
        "Samples above their reconstructions by a run, by further runs and by PCA. The number "
        "under a reconstruction is its mean squared error.",
        of_run=True,
    ),
    Entry(
        "pages/denoise.py",
        "Denoise",
        ":material/blur_on:",
        "Noise on test images, and its removal by runs and by classical filters. The curves beside "
        "them say how good each is at every level of noise.",
        of_run=True,
    ),
    Entry(
        "pages/generate.py",
        "Generate",
        ":material/auto_awesome:",
        "Images decoded from codes that belong to no sample: drawn at random, on a grid, along "
        "paths between samples, or changed in one dimension. It also says how far to trust them.",
        of_run=True,
    ),
    Entry(
        "pages/recipes.py",
        "Recipes",
        ":material/science:",
        "Experiments of papers and tutorials, each run again on this machine. The published figure "
        "stands beside the reproduced one.",
    ),
)


def entry(title: str) -> Entry:
    """Entry of the menu by its title."""
    return next(each for each in MENU if each.title == title)


OF_A_RUN = tuple(each for each in MENU if each.of_run)

log = logging.getLogger(__name__)


@contextmanager
def page(title: str) -> Iterator[DeltaGenerator]:
    """Context of a page: header with menu, jobs and help; errors are shown as sentences.

    Yields the part of the header that is the page's own, for the run and the controls of its view.
    """
    # An icon of our own: Streamlit would fetch a named one from another server.
    icon = str(Path(__file__).with_name("icon.png"))
    st.set_page_config(f"{title} · Latent Loupe", icon, layout="wide")
    for asset in ("frame.css", "history.html"):
        st.html(Path(__file__).with_name(asset), unsafe_allow_javascript=True)
    if state.presenting():
        st.html(Path(__file__).with_name("present.html"), unsafe_allow_javascript=True)
    current = entry(title)
    state.enter(current.path)
    cache.sweeper()  # which goes on with the sweeps of a server that was stopped
    runs = state.runs_for_links()
    with _row("header"):
        st.title(title, anchor=False)
        _theme()(key="theme", on_changed_change=lambda: None)
        with _row("menu", gap="xxsmall"):
            for each in MENU:
                name = "Latent Loupe" if each is MENU[0] else each.title
                label = f"**{name}**" if each is current else name
                link(each, runs, label, help=each.title)
        room = _row("room")
        with _row("job_list"):
            job_list()
        with st.popover("About this page", icon=":material/help:", type="tertiary", key="help"):
            st.markdown(f"{current.about} [Guide to the pages]({server.GUIDE})")
            glossary()
            if current is not MENU[0]:  # which offers it itself
                tour.offer(current.path)
            st.button(
                "Present",
                icon=":material/slideshow:",
                on_click=state.present,
                args=(True,),
                type="tertiary",
                help="Larger type and no menu, for a projector. F: full screen; 1 to 4: one map; "
                "arrow keys: the steps of the tour.",
            )
        if state.presenting():
            st.button(
                "Stop presenting",
                icon=":material/cancel_presentation:",
                on_click=state.present,
                args=(False,),
                type="tertiary",
            )
    with guarded(st.container(key="notes")):
        state.repeat_notes()
        tour.bar(current.path)
        yield room
        state.forget_notes()
    cache.freeze_gc("the pages")


@cache.once
def _theme() -> Any:
    """Component that has the page drawn anew when its theme changes, which Streamlit does not.

    What is drawn by the server, such as the text in pictures, is in the colours of the theme.
    """
    return st.components.v2.component("theme", js=THEME)


THEME = """
export default function ({ setTriggerValue }) {
  const app = document.querySelector(".stApp");
  const theme = () => getComputedStyle(app).colorScheme;
  let drawn = theme();
  const changes = new MutationObserver(() => {
    if (theme() !== drawn) setTriggerValue("changed", (drawn = theme()));
  });
  changes.observe(app, { attributes: true, attributeFilter: ["class"] });
  return () => changes.disconnect();
}
"""


@st.fragment
def glossary() -> None:
    """Search field of the glossary; a fragment, so that a term draws nothing else anew."""
    term = st.selectbox("Glossary", list(TERMS), None, key="term", placeholder="Look up a term")
    if term is not None:
        st.markdown(plain(TERMS[term]))


def _row(key: str, gap: Literal["xxsmall", "small"] = "small") -> DeltaGenerator:
    return st.container(key=key, horizontal=True, wrap=False, vertical_alignment="center", gap=gap)


def link(
    entry: Entry, runs: Mapping[str, str | list[str]], label: str = "", **options: Any
) -> None:
    """Link to a page; it carries the runs to the pages of a run alone.

    What a page does not read would be taken out of its address again, which adds to the history.
    """
    query = (dict(runs) if entry.of_run else {}) | state.mode_for_links()
    st.page_link(
        entry.path, label=label or entry.title, icon=entry.icon, query_params=query, **options
    )


@contextmanager
def guarded(notes: DeltaGenerator | None = None) -> Iterator[None]:
    """Context that shows an error as a sentence and continues after it.

    What was computed once and is damaged is named when it is read, and the rest is shown.

    Arguments
        notes: where such notes are shown; None for wherever they are made.
    """
    place = notes or st
    with state.noting(lambda text: place.warning(plain(text), icon=":material/broken_image:")):
        try:
            yield
        except Exception as error:
            failed(error)


def failed(error: Exception) -> bool:
    """Show the problems of a request, or any other error as one sentence.

    Returns True, for the server, which asks this of what is raised outside of `guarded`, such as in
    a callback, and would otherwise show more.
    """
    if isinstance(error, InvalidRequest):
        show_error(error)
        return True
    log.error("a page failed", exc_info=error)
    st.error(
        f"This could not be shown: {type(error).__name__}. The server's log says where. "
        "Reload the page, or choose another run.",
        icon=":material/error:",
    )
    return True


def show_error(error: InvalidRequest) -> None:
    """Show every problem of a request, with settings named as their fields are."""
    problems = map(plain, map(in_labels, error.problems))
    st.error("\n".join(f"- {problem}" for problem in problems), icon=":material/error:")
