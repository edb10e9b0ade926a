"""Frame of every page: title, menu, jobs, and error messages."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import streamlit as st

from aecore.errors import InvalidRequest
from pages.app import cache, state
from pages.app.job_list import job_list
from pages.app.text import plain

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
def page(title: str) -> Iterator[None]:
    """Context of a page: title, menu, job list; errors are shown as sentences."""
    # An icon of our own: Streamlit would fetch a named one from another server.
    icon = str(Path(__file__).with_name("icon.png"))
    st.set_page_config(f"{title} · Latent Loupe", icon, layout="wide", initial_sidebar_state=220)
    with st.sidebar:
        st.markdown("### :material/search: Latent Loupe")
        for path, label, icon in MENU:
            st.page_link(path, label=label, icon=icon, query_params=state.run_for_links())
        job_list()
    with guarded():
        yield
    cache.freeze_gc("the pages")


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
