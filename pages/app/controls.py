"""Buttons and fields that several pages use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from pages.app import state


def again(label: str, key: str) -> bool:
    """A button for what a job should have left behind and is not there."""
    return st.button(label, key=key, icon=":material/refresh:")


def button(label: str, icon: str, **options: Any) -> bool:
    """A button that starts or ends something; returns whether it was pressed.

    The second press of a double click does not count.
    """
    pressed = st.button(label, icon=icon, **options) and not state.double_click(label)
    if pressed:
        state.answer_press(label)
    return pressed


def one_of(title: str, options: Sequence[str], key: str, **more: Any) -> str:
    """One of a few, the first unless told, kept in the address."""
    chosen = st.segmented_control(
        title, options, default=options[0], required=True, key=key, bind="query-params", **more
    )
    return chosen or options[0]  # an address may hold the key without a value


def whole_number(
    label: str, key: str, low: int | None = None, high: int | None = None, **options: Any
) -> int | None:
    """A field for a whole number, the lowest unless told, that is kept in the address."""
    state.refuse_infinite(key)
    return st.number_input(label, low, high, key=key, bind="query-params", **options)
