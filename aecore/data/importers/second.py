"""A second file of the columns of a stored dataset: planned with the preparation of the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aecore.data.importers.formats import Content, in_list
from aecore.data.importers.plan import Labels, Plan, Seen
from aecore.data.importers.split import draw_split, split_column
from aecore.data.preparation import (
    Preparation,
    as_numbers,
    as_text,
    is_numeric,
    number_problems,
    places,
)
from aecore.data.spec import MOST_CLASSES
from aecore.errors import InvalidRequest, printable, shown, unknown

if TYPE_CHECKING:
    from aecore.data.importers.choices import Choices
    from aecore.data.preparation import Column
    from aecore.data.stored import Card, Entry

MOST_NEW = 5
"""New categories that a sentence names."""


def like(stored: Entry | None, name: str, names: list[str]) -> Card:
    """Card of the dataset whose preparation is applied; raises `InvalidRequest` without one."""
    if stored is None:
        raise InvalidRequest(unknown("stored dataset", name, names))
    if stored.card.preparation is None:
        raise InvalidRequest(
            f"'{name}' was stored from arrays and not from a file, so there is no preparation to "
            "apply: prepare the arrays as you did those, and store them by data.add."
        )
    return stored.card


def plan(content: Content, choices: Choices, card: Card) -> Plan:
    """Plan what would be stored of a second file; its `problems` say what prevents that."""
    preparation, name = card.preparation or Preparation(), card.spec.name
    draft = Plan(content, choices, notes=list(content.notes))
    if (preparation.picture is None) != (content.pictures is None):
        both = ("a table", "images") if preparation.picture else ("images", "a table")
        draft.problems.append(
            f"The file holds {both[0]} and '{name}' {both[1]}: give a file like its."
        )
        return draft
    titles = [str(each) for each in content.table.columns]
    split = split_column(draft, titles)
    rows = np.arange(len(content.table))
    for column in preparation.columns:
        if column.name not in titles:
            draft.problems.append(f"Column {shown(column.name)} is missing: add it.")
            continue
        rows = rows[~np.isin(rows, _feature(draft, column, name))]
    draft.problems = in_list(draft.problems, "columns")
    unlabelled = _labels(draft, card, titles)
    if len(unlabelled):
        draft.notes.append(
            f"{len(unlabelled):,} rows have no label and are left out "
            f"({places(unlabelled, content.lines)})."
        )
        rows = rows[~np.isin(rows, unlabelled)]
    _metadata(draft, card, titles)
    used = {each.name for each in draft.columns} | ({split.name} if split else set())
    if others := [each for each in titles if each not in used]:
        named = ", ".join(shown(each) for each in others[:MOST_NEW])
        draft.notes.append(f"'{name}' has no column such as {named}: left out."[:500])
    draw_split(draft, split, rows)
    decisions = [f"Prepared as '{name}' was.", *(doubt.sentence for doubt in draft.doubts)]
    decisions += draft.notes
    draft.preparation = preparation.model_copy(
        update={
            "label": draft.label.name if draft.label else "",
            "decisions": tuple(printable(each)[:500] for each in decisions[:1_000]),
        }
    )
    return draft


def _feature(draft: Plan, column: Column, name: str) -> np.ndarray:
    """Note a column of features; return the rows that are left out because they lack a value."""
    values, lines = draft.content.table[column.name], draft.content.lines
    text = None if is_numeric(values) else as_text(values)
    if column.kind == "number":
        numbers = as_numbers(values, column.decimal_comma)
        draft.problems += number_problems(column.name, values, numbers, column.log, lines)
        missing = np.isnan(numbers) if text is None else text.isna().to_numpy(bool)
    else:
        text = as_text(values)
        missing = text.isna().to_numpy(bool)
        strange = np.flatnonzero(~missing & ~text.isin(column.categories).to_numpy(bool))
        if len(strange):
            new = sorted({str(each) for each in text.iloc[strange]})
            named = ", ".join(shown(each) for each in new[:MOST_NEW])
            more = f" and {len(new) - MOST_NEW:,} more" if len(new) > MOST_NEW else ""
            draft.notes.append(
                f"Column {shown(column.name)} has categories that '{name}' has not, {named}{more}, "
                f"in {places(strange, lines)}: all its features are 0 there."[:500]
            )
    seen = Seen(column.name, values, column.kind, missing, column.decimal_comma, role="feature")
    draft.columns.append(seen)
    left = np.flatnonzero(missing) if column.fill is None else np.zeros(0, np.int64)
    if len(left):
        draft.notes.append(
            f"Rows without a value of {shown(column.name)} are left out ({places(left, lines)})."
        )
    return left


def _labels(draft: Plan, card: Card, titles: list[str]) -> np.ndarray:
    """Read the labels as classes of the first file, new ones after them; return rows without."""
    table, n = draft.content.table, len(draft.content.table)
    title = card.preparation.label if card.preparation else ""
    draft.labels = Labels(np.zeros(n, np.float32))
    if not title or title not in titles:
        if title:
            draft.notes.append(f"There is no column {shown(title)}: the samples have no labels.")
        return np.zeros(0, np.int64)
    values = table[title]
    numbers = as_numbers(values) if is_numeric(values) else None
    text = as_text(values)
    missing = text.isna().to_numpy(bool)
    draft.label = Seen(title, values, "category", missing, role="label")
    draft.columns.append(draft.label)
    if not card.spec.label_names:
        numbers = as_numbers(values)
        problems = number_problems(title, values, numbers, False, draft.content.lines)
        draft.problems += problems
        draft.labels = Labels(np.nan_to_num(numbers).astype(np.float32), missing=missing)
        return np.flatnonzero(np.isnan(numbers)) if not problems else np.zeros(0, np.int64)
    if numbers is not None:
        text = text.mask(~missing, [f"{each:.0f}" for each in np.nan_to_num(numbers)])
    classes = [printable(str(each))[:100] for each in text.where(~missing, "")]
    new = sorted({*np.array(classes, object)[~missing]} - {*card.spec.label_names})
    names = (*card.spec.label_names, *new)
    if new:
        named = ", ".join(map(shown, new[:MOST_NEW]))
        draft.notes.append(f"Classes that '{card.spec.name}' has not were added: {named}."[:500])
    if len(names) > MOST_CLASSES:
        draft.problems.append(
            f"label: there would be {len(names):,} classes: give up to {MOST_CLASSES:,}."
        )
    number = {each: at for at, each in enumerate(names)}
    codes = np.array([number.get(each, 0) for each in classes], np.int64)
    draft.labels = Labels(codes, names, missing)
    return np.flatnonzero(missing)


def _metadata(draft: Plan, card: Card, titles: list[str]) -> None:
    for column in card.columns:
        if column.name not in titles:
            draft.notes.append(f"There is no column {shown(column.name)} of metadata.")
            continue
        values = draft.content.table[column.name]
        missing = values.isna().to_numpy(bool)
        draft.columns.append(
            Seen(column.name, values, column.kind, missing, column.decimal_comma, role="metadata")
        )
        draft.metadata.append(column)
