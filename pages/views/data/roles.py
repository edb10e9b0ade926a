"""What each column of a file is used as: shown in the report, and changed there."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import streamlit as st

from aecore.data.importers.choices import AT_RANDOM, NO_LABEL
from aecore.errors import printable
from pages.app import state
from pages.app.text import define

if TYPE_CHECKING:
    from aecore.data.importers import Report
    from pages.app import cache

ROLES = ("feature", "label", "metadata", "split", "left out")
CHOICES = {"feature": "keep", "metadata": "metadata", "left out": "drop"}
"""Field of `Choices` that gives a column its role."""
HEADINGS = {
    "name": "Column",
    "kind": "Holds",
    "missing": "Missing",
    "distinct": "Different values",
    "low": "Lowest",
    "high": "Highest",
    "duplicate_of": "Repeats",
}
ROLE = "Used as"


def choices(file: cache.File, label: str) -> dict[str, tuple[str, ...]]:
    """Choices of the columns that were given another role than they had by themselves."""
    given = state.value(f"roles-{file.number}", {})
    names = {printable(str(name)): str(name) for name in file.content.table.columns}
    return {
        field: tuple(
            names[shown] for shown, own in given.items() if own == role and names[shown] != label
        )
        for role, field in CHOICES.items()
    }


def show(file: cache.File, report: Report, editable: bool = True) -> None:
    """Table of the columns, in which the role of each is chosen."""
    st.markdown(
        "**Columns**",
        help="Press a cell of *Used as* to choose what a column is: a feature is learned, the "
        "label colours and divides the classes, metadata colour, filter and describe samples "
        "without being learned.\n\n" + define("Metadata", "Split"),
    )
    given = state.value(f"roles-{file.number}", {})
    columns = [
        {"name": each.name, "role": each.role} | each.model_dump(exclude={"name", "role"})
        for each in report.columns
    ]
    # Columns to be left out are not looked at; they stay in the table to be taken back.
    columns += [{"name": n, "role": r} for n, r in given.items() if r == "left out"]
    names = [str(each["name"]) for each in columns]
    own = [str(each["role"]) for each in columns]
    # A table of its own for each state, so that an edit is told once.
    version = hashlib.sha256(repr((names, own)).encode()).hexdigest()[:12]
    key = f"columns-{file.number}-{version}"
    shown: dict[str, list[Any]] = {"Column": names, ROLE: own}
    for field, heading in HEADINGS.items():
        values = [each.get(field) for each in columns]
        known = [each for each in values if each is not None]
        if field != "name" and (any(known) if field == "missing" else known):
            shown[heading] = values
    st.data_editor(
        shown,
        key=key,
        hide_index=True,
        disabled=[heading for heading in shown if heading != ROLE] if editable else True,
        column_config={
            ROLE: st.column_config.SelectboxColumn(
                options=[role for role in ROLES if report.modality != "image" or role != "feature"],
                required=True,
            )
        },
        on_change=_edited,
        args=(file, key, names, own),
        placeholder="",
    )


def _edited(file: cache.File, key: str, names: list[str], own: list[str]) -> None:
    """Take the roles that were changed in the table."""
    given = dict(state.value(f"roles-{file.number}", {}))
    for row, cells in state.value(key, {}).get("edited_rows", {}).items():
        if ROLE in cells:
            given |= _given(file, names[int(row)], own[int(row)], cells[ROLE])
    state.put({f"roles-{file.number}": {name: role for name, role in given.items() if role}})


def _given(file: cache.File, name: str, before: str, role: str) -> dict[str, str]:
    """Role of a column, "" where fields of the form say it; sets these."""
    for each, setting, none in (("label", "label", NO_LABEL), ("split", "split_by", AT_RANDOM)):
        if role == each:
            state.put({f"{setting}-{file.number}": name})
            return {name: ""}
        if before == each:
            state.put({f"{setting}-{file.number}": none})
    return {name: role}
