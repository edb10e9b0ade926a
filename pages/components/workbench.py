"""Workbench of a page: a toolbar line, and a canvas beside a panel."""

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


def split(panel: Literal["left", "right"]) -> tuple[DeltaGenerator, DeltaGenerator]:
    """Canvas, and a panel at one side of it; below each other in a narrow window."""
    st.html(STYLE)
    with st.container(key=f"split-{panel}"):
        first, second = st.container(key=_KEYS[panel][0]), st.container(key=_KEYS[panel][1])
    return (second, first) if panel == "left" else (first, second)


STYLE = Path(__file__).with_suffix(".css")
_KEYS = {"left": ("side", "stage"), "right": ("stage", "side")}
