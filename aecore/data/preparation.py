"""Preparation of a file's columns as features: fitted on training rows, applied, and undone.

It is stored on the card of a dataset, so that a second file is prepared alike and features are
shown in the units of their columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from aecore.data.spec import MOST_NAMED_FEATURES, Side, Text
from aecore.errors import InvalidRequest, printable, shown

if TYPE_CHECKING:
    import pandas

MOST_CATEGORIES = 50
"""Distinct values of a text column up to which it is a category and not text."""
LARGEST = 1e30
"""Numbers beyond it are refused: their squares leave the range of double precision."""
BLOCK = 16
"""Features that are written at a time."""
NAMED_PLACES = 5
"""Lines that a sentence names."""
MISSING = ("", "?", "-", "\N{EN DASH}", ".")
"""Signs of a missing value beside those that pandas knows."""
ENGLISH = r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d*)?(?:[eE][+-]?\d+)?"
EUROPEAN = r"[+-]?(?:\d{1,3}(?:\.\d{3})+|\d+)?(?:,\d*)?(?:[eE][+-]?\d+)?"


class Column(BaseModel):
    """Preparation of one column."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(max_length=1_000)]
    """As in the file."""
    kind: Literal["number", "category"]
    categories: Annotated[tuple[str, ...], Field(max_length=MOST_CATEGORIES)] = ()
    """Values of the training split, each a feature that is 0 or 1."""
    decimal_comma: bool = False
    """Whether numbers that are text have decimal commas."""
    log: bool = False
    """Whether log(1 + x) is taken before scaling."""
    fill: FiniteFloat | str | None = None
    """Value in place of a missing one; None where rows without one are left out."""
    offset: FiniteFloat = 0.0
    scale: Annotated[FiniteFloat, Field(gt=0)] = 1.0
    """The feature is (x - offset) / scale."""
    unit_range: bool = False
    """Whether the feature is cut off at 0 and 1."""

    @property
    def width(self) -> int:
        """Number of features."""
        return len(self.categories) if self.kind == "category" else 1

    @property
    def feature_names(self) -> list[str]:
        """Names of its features."""
        if self.kind == "number":
            return [printable(self.name)[:100]]
        return [printable(f"{self.name} = {each}")[:100] for each in self.categories]


class PictureFit(BaseModel):
    """Preparation of images: their size, how they are fitted to it, and their colours."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    height: Side
    width: Side
    pad: bool = False
    """Whether proportions are preserved and the rest is background."""
    colour: bool = False
    background: Literal["white", "black"] = "white"
    """Colour under transparent pixels and beside images."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a sample."""
        return (self.height, self.width, 3) if self.colour else (self.height, self.width)


class Preparation(BaseModel):
    """How the features of a dataset came from a file, fitted on its training split alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: Annotated[tuple[Column, ...], Field(max_length=MOST_NAMED_FEATURES)] = ()
    picture: PictureFit | None = None
    label: Annotated[str, Field(max_length=1_000)] = ""
    """Column of the labels; empty if there is none."""
    decisions: Annotated[tuple[Text, ...], Field(max_length=1_000)] = ()
    """What was decided and left out, as sentences."""


# --- Values of a column -------------------------------------------------------------------------


def is_numeric(column: pandas.Series) -> bool:
    """Whether a column holds numbers already, neither text nor true and false."""
    return bool(getattr(column.dtype, "kind", "O") in "fiu")


def as_numbers(column: pandas.Series, decimal_comma: bool = False) -> np.ndarray:
    """Numbers (n,) float64 of a column; NaN where there is none or it cannot be read.

    Arguments
        decimal_comma: whether "1.234,5" is meant, and not "1,234.5".
    """
    import pandas

    if is_numeric(column):
        return column.to_numpy(np.float64, na_value=np.nan)
    if column.dtype.kind == "b":
        return column.to_numpy(np.float64)
    text = as_text(column)
    fits = text.str.fullmatch(EUROPEAN if decimal_comma else ENGLISH).fillna(False).astype(bool)
    if decimal_comma:
        plain = text.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
    else:
        plain = text.str.replace(",", "", regex=False)
    # What pandas reads beyond digits, such as inf, is read as well, and refused by its value.
    fits |= ~text.str.contains(",", regex=False).fillna(False).astype(bool) & (not decimal_comma)
    return np.asarray(
        pandas.to_numeric(plain.where(fits), errors="coerce").to_numpy(np.float64, na_value=np.nan)
    )


def as_text(column: pandas.Series) -> pandas.Series:
    """Text of a column without surrounding blanks; missing where there is none."""
    text = column.astype("str").str.strip()
    return text.mask(column.isna() | text.isin(MISSING))


def places(rows: np.ndarray, lines: np.ndarray | None) -> str:
    """Places of rows (numbers from 0) in a file, as words: its lines if they are known.

    >>> places(np.array([0, 4]), None)
    'rows 1 and 5'
    >>> places(np.arange(9), np.arange(2, 11))
    'lines 2, 3, 4, 5, 6 and 4 more'
    """
    numbers = rows + 1 if lines is None else lines[rows]
    noun = ("row" if lines is None else "line") + ("s" if len(rows) > 1 else "")
    named = [f"{number}" for number in numbers[:NAMED_PLACES]]
    if len(rows) > NAMED_PLACES:
        return f"{noun} {', '.join(named)} and {len(rows) - NAMED_PLACES:,} more"
    return (
        f"{noun} {', '.join(named[:-1])} and {named[-1]}"
        if len(named) > 1
        else (f"{noun} {named[0]}")
    )


def number_problems(
    name: str, column: pandas.Series, values: np.ndarray, log: bool, lines: np.ndarray | None = None
) -> list[str]:
    """Reasons why a column cannot be a feature, with the lines, as sentences.

    Arguments
        values: (n,) of `as_numbers`.
        lines: line of each row in its file.
    """
    problems = []
    checks = [("is infinite or above 1e30", np.abs(values) > LARGEST, "correct it")]
    if not is_numeric(column) and column.dtype.kind != "b":
        unreadable = np.isnan(values) & as_text(column).notna().to_numpy(bool)
        checks.append(("is no number", unreadable, "correct it"))
    if log:
        checks.append(
            ("is -1 or less, of which there is no log1p", values <= -1, "leave it out of log")
        )
    for what, wrong, advice in checks:
        rows = np.flatnonzero(wrong)
        if len(rows):
            example = printable(str(column.iloc[int(rows[0])]))[:40]
            problems.append(
                f"Column {shown(name)} {what} in {places(rows, lines)} ('{example}'): "
                f"{advice}, or drop the column."
            )
    return problems


# --- Fitting, applying, undoing -----------------------------------------------------------------


def fit_number(
    name: str, values: np.ndarray, *, missing: str, scale: str, log: bool, decimal_comma: bool
) -> Column:
    """Fit the preparation of a column of numbers.

    Arguments
        values: (n_train,) numbers of the training split, NaN where missing.
        missing: "drop-rows", "mean" or "median".
        scale: "standardise", "unit-range" or "none".
    """
    present = values[~np.isnan(values)]
    fill = None
    if missing != "drop-rows":
        fill = float(np.mean(present) if missing == "mean" else np.median(present))
        values = np.where(np.isnan(values), fill, values)
    else:
        values = present
    if log:
        values = np.log1p(values)
    offset, factor = 0.0, 1.0
    if scale == "standardise":
        offset, factor = float(np.mean(values)), float(np.std(values))
    elif scale == "unit-range":
        offset, factor = float(np.min(values)), float(np.ptp(values))
    if not factor > abs(offset) * 1e-12:  # constant in the training split, but for rounding
        factor = 1.0
    return Column(
        name=name,
        kind="number",
        decimal_comma=decimal_comma,
        log=log,
        fill=fill,
        offset=offset,
        scale=factor,
        unit_range=scale == "unit-range",
    )


def fit_category(name: str, values: pandas.Series, *, missing: str) -> Column:
    """Fit the preparation of a category: its values in the training split, one-hot.

    A missing one becomes the most frequent where `missing` is not "drop-rows".
    """
    counts = values.value_counts()
    categories = tuple(sorted(map(str, counts.index)))
    fill = None if missing == "drop-rows" or not categories else str(counts.index[0])
    return Column(name=name, kind="category", categories=categories, fill=fill)


def apply(
    preparation: Preparation,
    table: pandas.DataFrame,
    rows: np.ndarray | None = None,
    lines: np.ndarray | None = None,
) -> np.ndarray:
    """Prepare the rows of a table as features, (n, n_features) float32.

    Arguments
        table: columns by name, as a file was read.
        rows: which of its rows; all if None.
        lines: line of each row in its file, for the messages.

    Raises `InvalidRequest` with every missing column and every value that cannot be prepared.
    """
    absent = [column.name for column in preparation.columns if column.name not in table]
    problems = [f"Column {shown(name)} is missing: add it." for name in absent]
    n = len(table) if rows is None else len(rows)
    features = np.empty((n, sum(column.width for column in preparation.columns)), np.float32)
    block: list[np.ndarray] = []
    start, end = 0, 0
    for at, column in enumerate(preparation.columns, 1):
        values = np.zeros((column.width, n), np.float32)
        if column.name not in absent:
            part = table[column.name] if rows is None else table[column.name].iloc[rows]
            where = lines if lines is None or rows is None else lines[rows]
            prepare = _number_features if column.kind == "number" else _category_features
            values, wrong = prepare(column, part, where)
            problems += wrong
        block.append(values)
        end += column.width
        # Several at a time: single columns of a row-wise array are a cache line a value apart.
        if end - start >= BLOCK or at == len(preparation.columns):
            features[:, start:end] = np.concatenate(block).T
            block, start = [], end
    if problems:
        raise InvalidRequest(problems)
    return features


def _number_features(
    column: Column, part: pandas.Series, lines: np.ndarray | None
) -> tuple[np.ndarray, list[str]]:
    """Features (1, n) of a column, and its problems."""
    values = as_numbers(part, column.decimal_comma)
    problems = number_problems(column.name, part, values, column.log, lines)
    if column.fill is not None:
        values = np.where(np.isnan(values), float(column.fill), values)
    elif not problems:
        problems += _missing_problem(column, np.isnan(values), lines)
    with np.errstate(all="ignore"):  # values that are refused anyway
        if column.log:
            values = np.log1p(values)
        values = (values - column.offset) / column.scale
        if column.unit_range:
            values = values.clip(0, 1)
        return values[None].astype(np.float32), problems


def _category_features(
    column: Column, part: pandas.Series, lines: np.ndarray | None
) -> tuple[np.ndarray, list[str]]:
    """Features (n_categories, n) of a column, and its problems."""
    text = as_text(part)
    problems = []
    if column.fill is None:
        problems = _missing_problem(column, text.isna().to_numpy(bool), lines)
    else:
        text = text.fillna(str(column.fill))
    values = text.to_numpy(object)
    return np.stack([values == each for each in column.categories]).astype(np.float32), problems


def _missing_problem(column: Column, missing: np.ndarray, lines: np.ndarray | None) -> list[str]:
    rows = np.flatnonzero(missing)
    if not len(rows):
        return []
    return [
        f"Column {shown(column.name)} has no value in {places(rows, lines)}: leave these rows out."
    ]


def undo(preparation: Preparation, features: np.ndarray) -> dict[str, np.ndarray]:
    """Columns in their own units of features (n, n_features): numbers (n,), or categories (n,).

    A category is the one of its largest feature.
    """
    columns: dict[str, np.ndarray] = {}
    start = 0
    for column in preparation.columns:
        block = np.asarray(features[:, start : start + column.width], np.float64)
        start += column.width
        if column.kind == "category":
            columns[column.name] = np.array(column.categories, object)[block.argmax(axis=1)]
            continue
        columns[column.name] = _undone(column, block[:, 0])
    return columns


def undo_numbers(preparation: Preparation, features: np.ndarray) -> np.ndarray:
    """Features (n, n_features) as float64, those of numbers in their own units."""
    undone = np.array(features, np.float64)
    start = 0
    for column in preparation.columns:
        if column.kind == "number":
            undone[:, start] = _undone(column, undone[:, start])
        start += column.width
    return undone


def _undone(column: Column, values: np.ndarray) -> np.ndarray:
    """Numbers in their own units; decoders reach beyond what an exponential can hold."""
    values = values * column.scale + column.offset
    with np.errstate(over="ignore"):
        return np.expm1(values) if column.log else values
