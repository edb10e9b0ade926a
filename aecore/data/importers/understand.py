"""From a file as read to a plan of what would be stored, and the report of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aecore.data import metadata
from aecore.data.importers.choices import AT_RANDOM, NO_LABEL, Choices
from aecore.data.importers.columns import columns_of
from aecore.data.importers.formats import Content, format_of, in_list
from aecore.data.importers.labels import choose_label, drop_unused_classes, read_labels
from aecore.data.importers.plan import Plan, Seen
from aecore.data.importers.report import Doubt, Report
from aecore.data.importers.split import draw_split, split_column
from aecore.data.metadata import MOST_METADATA
from aecore.data.preparation import (
    MOST_CATEGORIES,
    Column,
    PictureFit,
    Preparation,
    as_numbers,
    as_text,
    fit_category,
    fit_number,
    number_problems,
    places,
)
from aecore.data.spec import MOST_FEATURES
from aecore.errors import printable, shown, unknown

if TYPE_CHECKING:
    import pandas

MOSTLY_MISSING = 0.5
LARGEST_SIDE = 64
"""Longer side of images that are not all of one size, unless one is chosen."""
LARGEST_OWN_SIDE = 128
"""Longer side up to which images of one size stay as they are."""


def plan(content: Content, choices: Choices) -> Plan:
    """Plan what would be stored of a file; its `problems` say what prevents that."""
    draft = Plan(content, choices, notes=list(content.notes))
    names = [str(name) for name in content.table.columns]
    _refuse_unknown(draft, names)
    if draft.problems:
        return draft
    split = split_column(draft, names)
    draft.columns = columns_of(draft)
    choose_label(draft, split)
    read_labels(draft)
    rows = np.arange(len(content.table))
    if draft.labels.missing is not None and draft.labels.missing.any():
        rows = rows[~draft.labels.missing]
        left = np.flatnonzero(draft.labels.missing)
        draft.notes.append(
            f"{len(left):,} of {len(draft.labels.missing):,} rows have no label and are left out "
            f"({places(left, content.lines)})."
        )
    if content.pictures:
        features: list[Seen] = []
    else:
        features = _features(draft, split)
        rows = _without_missing(draft, features, rows)
    drop_unused_classes(draft.labels, rows)
    draw_split(draft, split, rows)
    if draft.problems:
        return draft
    _keep_metadata(draft, split)
    if content.pictures:
        _fit_pictures(draft)
    else:
        _fit_columns(draft, features)
    decisions = [*(doubt.sentence for doubt in draft.doubts), *draft.notes]
    draft.preparation = draft.preparation.model_copy(
        update={
            "label": draft.label.name if draft.label else "",
            "decisions": tuple(printable(each)[:500] for each in decisions[:1_000]),
        }
    )
    return draft


def report(draft: Plan, path: Path) -> Report:
    """Report of a plan."""
    content, labels = draft.content, draft.labels
    pictures = content.pictures
    classes: dict[str, int] = {}
    kept = np.concatenate([draft.train, draft.test])
    if labels.names and len(kept):
        counts = np.bincount(labels.values[kept], minlength=len(labels.names))
        classes = dict(zip(labels.names, counts.tolist(), strict=True))
    label_range = None
    if draft.label and not labels.names and len(kept):
        label_range = (float(labels.values[kept].min()), float(labels.values[kept].max()))
    sizes: Counter[str] = Counter()
    if pictures:
        sizes.update(f"{height} x {width}" for height, width in pictures.sizes.tolist())
    return Report(
        file=printable(path.name),
        format=format_of(path).name,
        modality="image" if pictures else "table",
        n_samples=len(content.table),
        n_train=len(draft.train),
        n_test=len(draft.test),
        shape=() if draft.problems else draft.shape,
        label=draft.label.name if draft.label else None,
        classes=classes,
        label_range=label_range,
        columns=tuple(column.report() for column in draft.columns),
        duplicate_rows=None if pictures else _repeated_rows(content.table),
        sizes=dict(sizes.most_common(50)),
        channels=None if pictures is None else 3 if pictures.colour else 1,
        problems=tuple(draft.problems),
        doubts=tuple(draft.doubts),
        notes=tuple(draft.notes),
    )


def _repeated_rows(table: pandas.DataFrame) -> int:
    import pandas

    if not len(table.columns):
        return 0
    hashes = pandas.util.hash_pandas_object(table, index=False).to_numpy()
    return len(hashes) - len(np.unique(hashes))


def _refuse_unknown(draft: Plan, names: list[str]) -> None:
    """Add a problem for each chosen column that there is not."""
    choices = draft.choices
    asked = {
        "label": [choices.label] if choices.label not in ("", NO_LABEL) else [],
        "split_by": [choices.split_by] if choices.split_by not in ("", AT_RANDOM) else [],
        "drop": choices.drop,
        "keep": choices.keep,
        "metadata": choices.metadata,
        "log": choices.log,
    }
    for setting, columns in asked.items():
        for name in columns:
            if name not in names:
                draft.problems.append(f"{setting}: {unknown('column', name, names[:50])}")
    used = {choices.label, choices.split_by, *choices.keep, *choices.log}
    for name in sorted(set(choices.drop) & (used | {*choices.metadata})):
        draft.problems.append(f"Column {shown(name)} is to be left out and to be used: choose one.")
    for name in sorted(set(choices.metadata) & used):
        draft.problems.append(
            f"Column {shown(name)} is to be metadata and to be used otherwise: choose one."
        )


# --- Features -----------------------------------------------------------------------------------


def _features(draft: Plan, split: Seen | None) -> list[Seen]:
    """Columns that become features; the others are noted with the reason."""
    choices, features = draft.choices, []
    left_out: dict[str, list[Seen]] = {}
    sentences: list[str] = []
    for column in draft.columns:
        if column is draft.label or (split and column.name == split.name):
            continue
        if draft.describes(column.name):
            continue
        reason = _reason_against(column, choices)
        if reason and column.name in choices.keep:
            draft.problems.append(
                f"keep: column {shown(column.name)} has {reason}: leave it out there."
            )
        elif reason:
            left_out.setdefault(reason, []).append(column)
        else:
            column.role = "feature"
            features.append(column)
            if column.kind == "number":
                draft.problems += number_problems(
                    column.name,
                    column.values,
                    as_numbers(column.values, column.decimal_comma),
                    column.name in choices.log,
                    draft.content.lines,
                )
    for reason, columns in left_out.items():
        listed = ", ".join(shown(column.name) for column in columns[:10])
        more = f" and {len(columns) - 10:,} more" if len(columns) > 10 else ""
        noun = "column" if len(columns) == 1 else "columns"
        beside = reason not in USELESS
        what = "Stored as metadata, not as features" if beside else "Left out"
        sentences.append(f"{what}: {noun} {listed}{more} ({reason}).")
        # A text that identifies rows cannot be used all the same.
        usable = [
            column.name
            for column in columns
            if column.kind != "identifier" or column.low is not None
        ]
        if reason in (IDENTIFIES, REPEATS, FEW) and usable:
            draft.doubts.append(
                Doubt(sentence=sentences[-1], setting="keep", alternatives=tuple(usable[:50]))
            )
        else:
            draft.notes.append(sentences[-1])
    draft.problems += [
        f"log: column {shown(column.name)} is no column of numbers: leave it out there."
        for column in draft.columns
        if column.name in choices.log and column.kind != "number"
    ]
    if not features and not draft.problems:
        why = " ".join(["No column can be a feature.", *sentences])
        draft.problems.append(f"{why} Give columns of numbers, or of few different texts.")
    draft.problems = in_list(draft.problems, "columns")
    return features


IDENTIFIES = "values that only identify rows"
REPEATS = "the values of an earlier column"
FEW = "no value in most rows"
USELESS = ("one value only", "no values", REPEATS)
"""Reasons against columns that do not describe samples, either."""


def _reason_against(column: Seen, choices: Choices) -> str:
    """Why a column is no feature; empty if it is one."""
    reasons = {
        "constant": "one value only",
        "empty": "no values",
        "date": "dates",
        "link": "addresses",
        "text": f"text of more than {MOST_CATEGORIES} different values",
        "identifier": IDENTIFIES,
        "duplicate": REPEATS,
    }
    if column.kind in reasons:
        return reasons[column.kind]
    if column.kind == "category" and choices.categories == "leave-out":
        return "categories"
    if column.missing.mean() > MOSTLY_MISSING and column.name not in choices.keep:
        return FEW
    return ""


def _keep_metadata(draft: Plan, split: Seen | None) -> None:
    """Give the columns that describe samples their role, and decide how they are stored."""
    useless = ("constant", "empty", "duplicate")
    columns = [
        column
        for column in draft.columns
        if column.role == "left out"
        and not (split and column.name == split.name)
        and (column.name in draft.choices.metadata or column.kind not in useless)
    ]
    if len(columns) > MOST_METADATA:
        draft.notes.append(
            f"Of {len(columns):,} columns of metadata the first {MOST_METADATA} are stored: leave "
            "others out to choose."
        )
    for column in columns[:MOST_METADATA]:
        column.role = "metadata"
        draft.metadata.append(
            metadata.fit(
                column.name, column.values, column.kind, column.decimal_comma, column.date_format
            )
        )
    if draft.content.pictures and columns:
        names = ", ".join(shown(column.name) for column in columns[:10])
        draft.notes.append(f"Stored as metadata: {names}."[:500])


def _without_missing(draft: Plan, features: Iterable[Seen], rows: np.ndarray) -> np.ndarray:
    """Rows that have all values, if rows without are to be left out."""
    if draft.choices.missing != "drop-rows":
        return rows
    missing = np.zeros(len(draft.content.table), bool)
    for column in features:
        missing |= column.missing
    kept = rows[~missing[rows]]
    if len(kept) < len(rows):
        left = rows[missing[rows]]
        draft.doubts.append(
            Doubt(
                sentence=f"{len(left):,} of {len(rows):,} rows have missing values and are left "
                f"out ({places(left, draft.content.lines)}).",
                setting="missing",
                alternatives=("mean", "median"),
            )
        )
    return kept


def _fit_columns(draft: Plan, features: list[Seen]) -> None:
    """Fit the preparation of each column on the training split."""
    choices = draft.choices
    fitted: list[Column] = []
    cut_off = 0
    for column in features:
        if column.kind == "category":
            train = as_text(column.values.iloc[draft.train])
            fitted.append(fit_category(column.name, train, missing=choices.missing))
            continue
        numbers = as_numbers(column.values, column.decimal_comma)
        number = fit_number(
            column.name,
            numbers[draft.train],
            missing=choices.missing,
            scale=choices.scale,
            log=column.name in choices.log,
            decimal_comma=column.decimal_comma,
        )
        fitted.append(number)
        if number.unit_range:
            test = np.log1p(numbers[draft.test]) if number.log else numbers[draft.test]
            cut_off += int(((test < number.offset) | (test > number.offset + number.scale)).sum())
    if cut_off:
        draft.notes.append(
            f"{cut_off:,} numbers of the test split are beyond the range of the training split and "
            "are cut off there."
        )
    draft.preparation = Preparation(columns=tuple(each for each in fitted if each.width))
    if not draft.shape:
        draft.problems.append("No column has values in the training split: choose another split.")


def _fit_pictures(draft: Plan) -> None:
    """Decide the size of the images."""
    choices, pictures = draft.choices, draft.content.pictures
    assert pictures is not None
    frequent = Counter(map(tuple, pictures.sizes.tolist())).most_common(1)[0][0]
    alike = bool((pictures.sizes == frequent).all())
    if choices.size:
        height, width = (choices.size * 2)[:2]
    else:
        longest = LARGEST_OWN_SIDE if alike else LARGEST_SIDE
        shrink = min(1.0, longest / max(frequent))
        height, width = (max(round(side * shrink), 1) for side in frequent)
        if not alike or shrink < 1:
            own = f"{frequent[0]} x {frequent[1]}"
            draft.doubts.append(
                Doubt(
                    sentence=f"{'All' if alike else 'Most'} images are of {own} pixels; they were "
                    f"made {height} x {width}.",
                    setting="size",
                    alternatives=(f"{frequent[0]},{frequent[1]}", "28,28", "32,32"),
                )
            )
    if pictures.colour and choices.colour == "grey":
        draft.doubts.append(
            Doubt(
                sentence="Images in colour were read in grey.",
                setting="colour",
                alternatives=("colour",),
            )
        )
    fit = PictureFit(
        height=height,
        width=width,
        pad=choices.fit == "pad",
        colour=choices.colour == "colour",
        background=choices.background,
    )
    if height * width * (3 if fit.colour else 1) > MOST_FEATURES:
        draft.problems.append(f"size = {height},{width} is too large: give a smaller one.")
    draft.preparation = Preparation(picture=fit)
