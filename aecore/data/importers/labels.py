"""Choice and reading of the labels of a file."""

from __future__ import annotations

from collections import Counter

import numpy as np

from aecore.data.importers.choices import NO_LABEL
from aecore.data.importers.plan import Labels, Plan, Seen
from aecore.data.importers.report import Doubt
from aecore.data.preparation import as_numbers, as_text, is_numeric, number_problems
from aecore.data.spec import MOST_CLASSES
from aecore.errors import printable, shown

LABEL_NAMES = (
    "label", "labels", "class", "target", "y", "species", "category", "outcome", "diagnosis",
    "folder", "type", "classification",
)  # fmt: skip
MOST_NUMBERED_CLASSES = 100
"""Distinct whole numbers up to which a label is a class and not a quantity."""
MOST_GUESSED_CLASSES = 20
"""Distinct whole numbers up to which the last column is guessed to be the label."""


def choose_label(draft: Plan, split: Seen | None) -> None:
    """Choose the column of the labels: as asked, by the layout of the file, or by a guess."""
    choices = draft.choices
    by_name = {column.name: column for column in draft.columns}
    if split:
        by_name.pop(split.name, None)
    if choices.label:
        draft.label = by_name.get(choices.label)
        if draft.label is None and choices.label != NO_LABEL:
            draft.problems.append(
                f"label: column {shown(choices.label)} says which rows are for training: choose "
                "another."
            )
    else:
        known = draft.content.metadata
        draft.label = by_name.get(draft.content.label) or _guessed(
            [each for each in by_name.values() if not known or each.name in known],
            among_features=not (draft.content.pictures or known),
        )
        if draft.label and draft.label.kind in ("constant", "empty"):
            draft.label = None
        if draft.label is None:
            text = "No column looks like labels: the samples have none."
        else:
            text = f"The labels were taken from column {shown(draft.label.name)}."
        others = (
            column.name
            for column in by_name.values()
            if column is not draft.label and column.kind in ("category", "number")
        )
        alternatives = (*(() if draft.label is None else (NO_LABEL,)), *others)
        draft.doubts.append(Doubt(sentence=text, setting="label", alternatives=alternatives[:50]))
    if draft.label:
        draft.label.role = "label"


def _guessed(columns: list[Seen], among_features: bool) -> Seen | None:
    """The column that is named like a label, else the last or first one of few values."""
    named = [column.name.lower() for column in columns]
    for wanted in LABEL_NAMES:
        if wanted == "y" and "x" in named:  # coordinates
            continue
        for column in columns:
            if column.name.lower() == wanted and column.kind != "identifier":
                return column
    columns = [column for column in columns if column.kind in ("category", "number")]
    for at in (-1, 0):
        if len(columns) > among_features and _looks_like_classes(columns[at], whole=at == -1):
            return columns[at]
    return None


def _looks_like_classes(column: Seen, whole: bool) -> bool:
    if column.kind == "category":
        return True
    if not whole or column.kind != "number" or not is_numeric(column.values):
        return False
    numbers = as_numbers(column.values)
    numbers = numbers[~np.isnan(numbers)]
    if (numbers != np.rint(numbers)).any():
        return False
    n = len(np.unique(numbers))
    return n <= MOST_GUESSED_CLASSES and 2 * n <= len(numbers)


def read_labels(draft: Plan) -> None:
    """Read the labels: classes of text and of few whole numbers, else numbers."""
    n = len(draft.content.table)
    draft.labels = Labels(np.zeros(n, np.float32))
    if draft.label is None:
        return
    column = draft.label
    if column.missing.all():
        draft.problems.append(f"label: column {shown(column.name)} has no values: choose another.")
        return
    if is_numeric(column.values) or column.kind == "number":
        values = as_numbers(column.values, column.decimal_comma)
        problems = number_problems(column.name, column.values, values, False, draft.content.lines)
        if problems:
            draft.problems += problems
            return
        missing = np.isnan(values)
        unique = np.unique(values[~missing])
        if (unique != np.rint(unique)).any() or len(unique) > MOST_NUMBERED_CLASSES:
            draft.labels = Labels(np.nan_to_num(values).astype(np.float32), missing=missing)
            return
        names = [f"{number:.0f}" for number in unique]
        codes = np.searchsorted(unique, np.where(missing, unique[0], values))
    else:
        import pandas

        codes, classes = pandas.factorize(as_text(column.values), sort=True)
        missing, codes = codes < 0, codes.clip(0)
        names = [printable(str(each))[:100] for each in classes]
    column.distinct = len(names)
    if len(names) > MOST_CLASSES:
        draft.problems.append(
            f"label: column {shown(column.name)} has {len(names):,} different values: choose one "
            f"of up to {MOST_CLASSES:,}, or none."
        )
        return
    alike = [name for name, count in Counter(names).items() if count > 1]
    if alike:
        draft.problems.append(
            f"label: {len(alike):,} classes begin alike and differ after 100 characters, such as "
            f"{shown(alike[0])}: shorten them."
        )
        return
    draft.labels = Labels(codes.astype(np.int64), tuple(names), missing)


def drop_unused_classes(labels: Labels, rows: np.ndarray) -> None:
    """Number the classes anew where the rows that remain have not all of them."""
    used = np.unique(labels.values[rows]) if labels.names else np.zeros(0, np.int64)
    if len(used) < len(labels.names):
        labels.names = tuple(labels.names[at] for at in used.tolist())
        # Rows that are left out get any number.
        labels.values = np.searchsorted(used, labels.values).clip(0, max(len(used) - 1, 0))
