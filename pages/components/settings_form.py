"""Form generated from the settings of a class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from aecore.glossary import TERMS, terms_in
from aecore.settings import Setting, list_settings
from pages.app import state
from pages.app.controls import whole_number
from pages.app.text import define

if TYPE_CHECKING:
    from pydantic import BaseModel


def settings_form(
    kind: type[BaseModel],
    defaults: Mapping[str, Any],
    prefix: str = "",
    title: str = "",
    advanced: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """Widgets for the settings of a class, filled with `defaults`, kept in the address.

    Nothing is validated here, so that all problems are reported together and typed text stays.

    Arguments
        advanced: whether to show the advanced settings, or the others.
    """
    return {
        setting.name: _widget(
            setting,
            defaults.get(setting.name, setting.default),
            label=f"{title}: {setting.label.lower()}" if title else setting.label,
            key=prefix + setting.name,
            help=help_of(setting),
            **options,
        )
        for setting in list_settings(kind)
        if setting.advanced == advanced
    }


def help_of(setting: Setting) -> str:
    """What a setting is, what is allowed, and the terms in that."""
    about = f"`{setting.name}`: {setting.description} Give {setting.meant}."
    terms = terms_in(f"{setting.label}: {setting.description}")
    others = (term for term in terms if TERMS[term] != setting.description)
    return "\n\n".join(filter(None, (about, define(*others))))


def as_typed(setting: Setting, value: Any) -> Any:
    """Value of a setting in the form that its widget holds."""
    return ", ".join(map(str, value)) if setting.kind == "widths" else value


def _widget(setting: Setting, default: Any, **common: Any) -> Any:
    default = as_typed(setting, default)
    if setting.kind == "whole number":
        return whole_number(value=int(default), step=1, **common)
    if setting.kind == "choice":
        key = common["key"]
        if stranger := state.follow_address(key, setting.choices, default, omitted=default):
            state.note_unknown(setting.label, stranger)
        return st.selectbox(
            options=setting.choices,
            format_func=setting.shown,
            on_change=state.keep,
            args=(key, default),
            **common,
        )
    common["bind"] = "query-params"
    if setting.kind == "switch":
        return st.checkbox(value=default, **common)
    if setting.kind == "widths":
        return st.text_input(value=default, placeholder="none", **common)
    step = float(default) / 10 or 0.1
    return st.number_input(value=float(default), step=step, format="%g", **common)
