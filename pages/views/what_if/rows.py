"""Rows of the form of a sweep: the settings that differ, and their values or ranges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import streamlit as st

from pages.app import state
from pages.app.text import plain
from pages.components.settings_form import as_typed, help_of

if TYPE_CHECKING:
    from aecore.runs.what_ifs import WhatIf
    from aecore.settings import Setting
    from aecore.training import RunConfig

ROWS = "what_if_rows"
RANGE, VALUES = "Range", "Values"
PERSIST: dict[str, Any] = {"persist_state": "session"}


class Row(NamedTuple):
    """A setting, and its values as typed or its range."""

    setting: str
    values: str | None
    span: dict[str, Any] | None


def ask(known: Mapping[str, Setting], config: RunConfig, search: str) -> list[Row]:
    """Show the rows, and a button that adds one."""
    rows = [
        row
        for number in state.value(ROWS, [])
        if (row := ask_row(number, known, config, search)) is not None
    ]
    st.button("Add a setting", icon=":material/add:", on_click=add, args=(known, config))
    return rows


def fill(what: WhatIf) -> None:
    """Fill a row with a usual what-if; a button's callback."""
    rows = state.value(ROWS, [])
    same = (n for n in rows if state.value(f"vary-{n}") == what.setting)
    number = next(same, None) or _new_row(what.setting)
    state.put({f"values-{number}": what.values, f"given-{number}": VALUES})


def add(known: Mapping[str, Setting], config: RunConfig) -> None:
    """Append a row of a setting that has none; a button's callback."""
    used = {state.value(f"vary-{n}") for n in state.value(ROWS, [])}
    number = _new_row(next((name for name in known if name not in used), next(iter(known))))
    refill(number, known, config)


def refill(number: int, known: Mapping[str, Setting], config: RunConfig) -> None:
    """Begin the values of a row with the present one of its setting; a callback."""
    setting = known[state.value(f"vary-{number}")]
    state.put({f"values-{number}": f"{as_typed(setting, present(config, setting.name))}"})


def present(config: RunConfig, name: str) -> Any:
    """Value of a setting that the trials differ from."""
    return getattr(config.training if hasattr(config.training, name) else config.model, name)


def _new_row(setting: str) -> int:
    rows = state.value(ROWS, [])
    number = max(rows, default=0) + 1
    state.put({ROWS: [*rows, number], f"vary-{number}": setting})
    return number


def remove(number: int) -> None:
    """Remove a row; a button's callback."""
    state.put({ROWS: [each for each in state.value(ROWS, []) if each != number]})


def ask_row(
    number: int, known: Mapping[str, Setting], config: RunConfig, search: str
) -> Row | None:
    """Input fields of a row; None, and none, where the variant has no such setting.

    It is there again where the variant has.
    """
    if state.value(f"vary-{number}") not in known:
        return None
    with st.container(key=f"row-{number}", gap="xxsmall"):
        with st.container(horizontal=True, vertical_alignment="center", wrap=False, gap="xsmall"):
            name = st.selectbox(
                "Setting",
                list(known),
                format_func=lambda each: known[each].label,
                key=f"vary-{number}",
                on_change=refill,
                args=(number, known, config),
                label_visibility="collapsed",
                **PERSIST,
            )
            setting = known[name]
            drawn = search != "grid" and setting.kind in ("number", "whole number")
            ranged = drawn and name != "seed" and ask_given(number) == RANGE
            values = None
            if not ranged:
                values = st.text_input(
                    f"Values of {setting.label}",
                    key=f"values-{number}",
                    placeholder="256,128; 128" if setting.kind == "widths" else "values",
                    label_visibility="collapsed",
                    **PERSIST,
                )
            st.button(
                "",
                icon=":material/delete:",
                key=f"remove-{number}",
                on_click=remove,
                args=(number,),
                help=f"Take {setting.label} out",
                type="tertiary",
            )
        span = ask_span(number, setting) if ranged else None
        now = present(config, name)
        shown = setting.shown(now)
        also = "" if setting.kind != "choice" else f" (`{now}`)"
        st.caption(f"It is {plain(shown)}{also} now.", help=help_of(setting))
    return Row(name, values, span)


def ask_given(number: int) -> str:
    """Whether a setting has a range or values."""
    key = f"given-{number}"
    state.put({key: state.value(key) or RANGE})
    return st.selectbox(
        "Given by", (RANGE, VALUES), key=key, label_visibility="collapsed", width=105, **PERSIST
    )


def ask_span(number: int, setting: Setting) -> dict[str, Any]:
    """Range of a setting, as typed."""
    with st.container(horizontal=True, vertical_alignment="center", wrap=False, gap="xsmall"):
        low, high = (
            st.text_input(
                f"{end} of {setting.label}",
                key=f"{end}-{number}",
                placeholder=end,
                label_visibility="collapsed",
                **PERSIST,
            )
            for end in ("low", "high")
        )
        log = st.checkbox(
            "Log", key=f"log-{number}", help="Equal ratios are equally likely.", **PERSIST
        )
    return {"low": low, "high": high, "log": log}
