"""Workbench of a page: a toolbar line, and a canvas beside a panel that scrolls by itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import streamlit as st

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator


def toolbar() -> DeltaGenerator:
    """Line of a page's controls, with their labels beside them."""
    st.html(STYLE)
    return st.container(
        key="toolbar", horizontal=True, vertical_alignment="center", horizontal_alignment="left"
    )


def split(panel: Literal["left", "right"], width: int) -> tuple[DeltaGenerator, DeltaGenerator]:
    """Canvas, and a panel at one side of it; below each other in a narrow window.

    Arguments
        width: of the panel, in pixels.
    """
    st.html(STYLE)
    with st.container(key="workbench", horizontal=True, wrap=False):
        if panel == "left":
            side = st.container(key="panel", width=width)
        canvas = st.container(key="canvas")
        if panel == "right":
            side = st.container(key="panel", width=width)
    return canvas, side


STYLE = Path(__file__).with_suffix(".css")
