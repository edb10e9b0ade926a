"""Buttons and input fields shared by several pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from pages.app import state


def again(label: str, key: str) -> bool:
    """Button that runs a job again whose result is missing."""
    return st.button(label, key=key, icon=":material/refresh:")


def button(label: str, icon: str, **options: Any) -> bool:
    """Button that starts or ends something; returns whether it was pressed.

    The second press of a double click does not count.
    """
    pressed = st.button(label, icon=icon, **options) and not state.double_click(label)
    if pressed:
        state.answer_press(label)
    return pressed


def one_of(title: str, options: Sequence[str], key: str, **more: Any) -> str:
    """Select box of a few options, kept in the address; the first is the default."""
    state.drop_unknown(key, title, options)
    chosen = st.segmented_control(
        title, options, default=options[0], required=True, key=key, bind="query-params", **more
    )
    return chosen or options[0]  # an address may hold the key without a value


def whole_number(
    label: str, key: str, low: int | None = None, high: int | None = None, **options: Any
) -> int | None:
    """Number field for whole numbers, kept in the address; the lowest is the default."""
    state.refuse_infinite(key)
    return st.number_input(label, low, high, key=key, bind="query-params", **options)
