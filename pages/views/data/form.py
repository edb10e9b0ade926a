"""Choices in reading a file as a dataset, and the button that stores it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
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
from pages.views.data.upload import LIKE, UPLOADS

OF_TABLES = ("missing", "categories", "scale", "log", "decimal")
OF_IMAGES = ("size", "fit", "colour", "background")
FIRST = ("label", "missing", "scale", "size", "fit", "colour")
"""What is asked at once; the rest stands behind *More choices*."""
OF_SPLIT = ("test_share", "split_by", "seed")
OF_COLUMNS = ("drop", "keep", "metadata")
"""What is chosen column by column in the report."""
LABELS = {"": "guess", NO_LABEL: "no label", AT_RANDOM: "at random"}


def ask(file: cache.File, like: str = "") -> Choices:
    """Fields of the choices; a press on *Store* stores the file and empties them.

    Arguments
        like: the dataset as which a second file is prepared; then only the split is asked for.
    """
    columns = list(map(str, file.content.table.columns))
    other = OF_TABLES if file.content.pictures is not None else OF_IMAGES
    settings = [
        each
        for each in list_settings(Choices)
        if (each.name in OF_SPLIT if like else each.name not in (*other, *OF_COLUMNS))
    ]
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
    own = {} if like else roles.choices(file, given["label"])
    choices = importers.check(given | more | own)
    with st.container(key="submit"):
        refused = st.container()
        if st.button("Store", type="primary", icon=":material/save:", width="stretch"):
            try:
                _store(file, choices, name, title or file.path.stem, licence, source, like)
            except InvalidRequest as error:
                with refused:
                    frame.show_error(error)
            else:
                state.put({UPLOADS: state.value(UPLOADS, 0) + 1})
                state.drop([LIKE])
                st.rerun()
    return choices


def _store(
    file: cache.File,
    choices: Choices,
    name: str,
    title: str,
    licence: str,
    source: str,
    like: str,
) -> None:
    """Store a file, a large one by a job."""
    about = (title, licence, source)
    if not file.content.part:
        with st.spinner("Storing the dataset"):
            importers.save(file.path, choices, name, *about, file.content, like)
        state.put_query({"dataset": name})
        return
    if cache.understood(file, choices, like).problems:
        raise InvalidRequest(cache.understood(file, choices, like).problems)
    task = importers.StoreFile("", name, choices, *about, like)
    task.check()
    path = str(file.path.absolute())
    if file.folder is not None:  # an upload, which would go before the job begins
        path = importers.incoming(file.path)
    cache.jobs().submit(replace(task, path=path))


def free_name(file: str, others: Sequence[str] = ()) -> str:
    """A name for the dataset, made of that of its file, which none has, and none of others.

    >>> free_name("My Table (2).csv")
    'my-table-2'
    """
    plain = unicodedata.normalize("NFKD", file.lower().split(".")[0]).encode("ascii", "ignore")
    stem = re.sub(r"[^a-z0-9]+", "-", plain.decode()).strip("-")[:26] or "data"
    taken, number, name = {*names(), *others}, 2, stem
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
