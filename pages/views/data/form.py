"""Choices in reading a file as a dataset, and the button that stores it."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import streamlit as st

from aecore.data import importers, names
from aecore.data.importers import Choices
from aecore.data.importers.choices import AT_RANDOM, NO_LABEL
from aecore.errors import InvalidRequest
from aecore.settings import Setting, list_settings
from pages.app import cache, frame, state
from pages.components.settings_form import help_of
from pages.views.data import roles
from pages.views.data.upload import UPLOADS

OF_TABLES = ("missing", "categories", "scale", "log", "decimal")
OF_IMAGES = ("size", "fit", "colour", "background")
FIRST = ("label", "missing", "scale", "size", "fit", "colour")
"""What is asked at once; the rest stands behind *More choices*."""
OF_COLUMNS = ("drop", "keep", "metadata")
"""What is chosen column by column in the report."""
LABELS = {"": "guess", NO_LABEL: "no label", AT_RANDOM: "at random"}


def ask(file: cache.File) -> Choices:
    """Fields of the choices; a press on *Store* stores the file and empties them."""
    columns = list(map(str, file.content.table.columns))
    other = OF_TABLES if file.content.pictures is not None else OF_IMAGES
    hidden = (*other, *OF_COLUMNS)
    settings = [each for each in list_settings(Choices) if each.name not in hidden]
    given = {
        each.name: _widget(each, columns, file.number) for each in settings if each.name in FIRST
    }
    with st.expander("More choices", icon=":material/tune:"):
        more = {
            each.name: _widget(each, columns, file.number)
            for each in settings
            if each.name not in FIRST
        }
        title, source, licence = (
            st.text_input(label, key=f"{key}-{file.number}", placeholder=example, max_chars=500)
            for label, key, example in (
                ("Title", "title", file.path.stem),
                ("Source", "source", "where the data come from"),
                ("Licence", "licence", "such as CC BY 4.0"),
            )
        )
    name = st.text_input(
        "Name of the dataset",
        free_name(file.path.name),
        key=f"name-{file.number}",
        max_chars=30,
        help="Lower-case letters, digits and hyphens.",
    )
    choices = importers.check(given | more | roles.choices(file, given["label"]))
    with st.container(key="submit"):
        refused = st.container()
        if st.button("Store", type="primary", icon=":material/save:", width="stretch"):
            try:
                with st.spinner("Storing the dataset"):
                    importers.save(file.path, choices, name, title, licence, source, file.content)
            except InvalidRequest as error:
                with refused:
                    frame.show_error(error)
            else:
                state.put({UPLOADS: state.value(UPLOADS, 0) + 1})
                state.put_query({"dataset": name})
                st.rerun()
    return choices


def free_name(file: str) -> str:
    """A name for the dataset, made of that of its file, which none has.

    >>> free_name("My Table (2).csv")
    'my-table-2'
    """
    plain = unicodedata.normalize("NFKD", file.lower().split(".")[0]).encode("ascii", "ignore")
    stem = re.sub(r"[^a-z0-9]+", "-", plain.decode()).strip("-")[:26] or "data"
    taken, number, name = names(), 2, stem
    while name in taken:
        name, number = f"{stem}-{number}", number + 1
    return name


def _widget(setting: Setting, columns: list[str], number: str) -> Any:
    """Field of one choice; columns are chosen by their names."""
    common = {"key": f"{setting.name}-{number}", "help": help_of(setting)}
    if setting.name in ("label", "split_by"):
        own = ["", NO_LABEL if setting.name == "label" else AT_RANDOM]
        return st.selectbox(
            setting.label,
            [*own, *columns],
            format_func=lambda each: LABELS.get(each, each),
            **common,
        )
    if setting.kind == "names":
        return st.multiselect(setting.label, columns, **common)
    if setting.kind == "choice":
        return st.selectbox(setting.label, setting.choices, format_func=setting.shown, **common)
    if setting.kind == "widths":
        return st.text_input(setting.label, placeholder="their own", **common)
    if setting.kind == "whole number":
        return st.number_input(setting.label, 0, value=setting.default, step=1, **common)
    return st.number_input(setting.label, 0.01, 0.99, setting.default, 0.05, **common)
