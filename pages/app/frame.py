"""Frame of every page: title, menu, jobs, and error messages."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from aecore.errors import InvalidRequest
from pages.app import cache, state
from pages.app.job_list import job_list
from pages.app.text import plain

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

MENU = (
    ("app.py", "Start", ":material/home:"),
    ("pages/train.py", "Train", ":material/model_training:"),
    ("pages/latent_map.py", "Latent map", ":material/scatter_plot:"),
    ("pages/reconstructions.py", "Reconstructions", ":material/compare:"),
    ("pages/denoise.py", "Denoise", ":material/blur_on:"),
    ("pages/generate.py", "Generate", ":material/auto_awesome:"),
    ("pages/recipes.py", "Recipes", ":material/science:"),
)
OF_A_RUN = MENU[2:4]

log = logging.getLogger(__name__)


@contextmanager
def page(title: str) -> Iterator[DeltaGenerator]:
    """Context of a page: header with menu and jobs; errors are shown as sentences.

    Yields the part of the header that is the page's own, for the run and the controls of its view.
    """
    # An icon of our own: Streamlit would fetch a named one from another server.
    icon = str(Path(__file__).with_name("icon.png"))
    st.set_page_config(f"{title} · Latent Loupe", icon, layout="wide")
    st.html(Path(__file__).with_name("frame.css"))
    with _row("header"):
        st.title(title, anchor=False)
        with _row("menu"):
            for path, label, icon in MENU:
                st.page_link(
                    path, label=label, icon=icon, query_params=state.run_for_links(), help=label
                )
        room = _row("room")
        with _row("job_list"):
            job_list()
    with guarded():
        yield room
    cache.freeze_gc("the pages")


def _row(key: str) -> DeltaGenerator:
    return st.container(key=key, horizontal=True, wrap=False, vertical_alignment="center")


@contextmanager
def guarded() -> Iterator[None]:
    """Context that shows an error as a sentence and continues after it.

    What was computed once and is damaged is named when it is read, and the rest is shown.
    """
    with state.noting(lambda text: st.warning(plain(text), icon=":material/broken_image:")):
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
    """Show every problem of a request."""
    st.error("\n".join(f"- {plain(fault)}" for fault in error.problems), icon=":material/error:")
