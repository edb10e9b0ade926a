"""Kinds of columns: numbers, categories, dates, text, and what only identifies rows."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import numpy as np

from aecore.data.importers.plan import Plan, Seen
from aecore.data.importers.report import Doubt
from aecore.data.metadata import LINK
from aecore.data.preparation import MOST_CATEGORIES, as_numbers, as_text, is_numeric
from aecore.errors import shown

if TYPE_CHECKING:
    import pandas

IDENTIFIER = re.compile(r"(.*[ _.-])?(id|index|nr|number|key|uuid)|unnamed.*|column 1", re.I)
DATE = r"\d{4}-\d\d?-\d\d?|\d{1,2}[./]\d{1,2}[./]\d{2,4}"
DATE_FORMATS = ("ISO8601", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y")
SAMPLE = 1_000
"""Texts of which few are numbers are not looked at further."""
MOSTLY = 0.9
"""Share of readable numbers from which on a column of text is a column of numbers with faults."""


def columns_of(draft: Plan) -> list[Seen]:
    """Each column with its kind, except those to be left out."""
    table, choices = draft.content.table, draft.choices
    seen: list[Seen] = []
    digests: dict[bytes, str] = {}
    for position, title in enumerate(table.columns):
        if str(title) in choices.drop:
            continue
        column = _seen(str(title), table.iloc[:, position], draft)
        if column.kind in ("number", "category", "identifier"):
            digest = _digest(column)
            if digest in digests and str(title) not in choices.keep:
                column.kind, column.duplicate_of = "duplicate", digests[digest]
            digests.setdefault(digest, str(title))
        seen.append(column)
    return seen


def _digest(column: Seen) -> bytes:
    if is_numeric(column.values):
        values = np.ascontiguousarray(column.values.to_numpy())
    else:
        import pandas

        values = pandas.util.hash_array(as_text(column.values).to_numpy(object))
    return hashlib.blake2b(values.data, digest_size=16, person=column.kind[:8].encode()).digest()


def _seen(name: str, values: pandas.Series, draft: Plan) -> Seen:
    kind = getattr(values.dtype, "kind", "O")
    if kind == "M":
        return Seen(name, values, "date", values.isna().to_numpy(bool))
    if kind == "b":
        missing = np.zeros(len(values), bool)
        n = values.nunique()
        return Seen(name, values, "category" if n > 1 else "constant", missing, distinct=n)
    if kind in "fiu":
        return _seen_number(name, values, draft)
    text = as_text(values)
    missing = text.isna().to_numpy(bool)
    if missing.all():
        return Seen(name, values, "empty", missing, distinct=0)
    column = _seen_text(name, text, missing, draft)
    column.values = values
    return column


def _seen_number(name: str, values: pandas.Series, draft: Plan, comma: bool = False) -> Seen:
    numbers = as_numbers(values, comma)
    missing = np.isnan(numbers) if is_numeric(values) else as_text(values).isna().to_numpy(bool)
    present = numbers[~np.isnan(numbers)]
    if not len(present):
        return Seen(name, values, "empty", missing, distinct=0)
    low, high = float(present.min()), float(present.max())
    column = Seen(
        name, values, "number", missing, comma,
        low=low if np.isfinite(low) else None, high=high if np.isfinite(high) else None,
    )  # fmt: skip
    # Whole numbers of 64 bits, which some identifiers are, are not told apart in double precision.
    whole = values.to_numpy() if getattr(values.dtype, "kind", "O") in "iu" else present
    if whole.min() == whole.max():
        column.kind, column.distinct = "constant", 1
    elif name not in draft.choices.keep and _identifies(name, whole, missing):
        column.kind = "identifier"
    return column


def _identifies(name: str, present: np.ndarray, missing: np.ndarray) -> bool:
    """Whether numbers count the rows, or are all different under the name of an identifier."""
    whole = np.isfinite(present) & (present == np.rint(present))
    if missing.any() or len(present) < 3 or not whole.all():
        return False
    if (np.diff(present) == 1).all() and present[0] in (0, 1):
        return True
    return bool(IDENTIFIER.fullmatch(name)) and len(np.unique(present)) == len(present)


def _seen_text(name: str, text: pandas.Series, missing: np.ndarray, draft: Plan) -> Seen:
    """Kind of a column of text: numbers, dates, a category or text."""
    import pandas

    present = text[~missing]
    # Labels are classes where a single one is no number.
    least = 1.0 if name == draft.choices.label else MOSTLY
    if max(_shares_of_numbers(present.iloc[:: len(present) // SAMPLE + 1])) >= MOSTLY / 2:
        shares = _shares_of_numbers(present)
        if max(shares) >= least:
            return _seen_number(name, text, draft, _decimal_comma(name, present, shares, draft))
    n = int(present.nunique())
    if n == 1:
        return Seen(name, text, "constant", missing, distinct=1)
    if present.iloc[:SAMPLE].str.fullmatch(LINK).mean() >= MOSTLY:
        return Seen(name, text, "link", missing, distinct=n)
    if re.match(DATE, str(present.iloc[0])):
        for form in DATE_FORMATS:
            dates = pandas.to_datetime(present, errors="coerce", format=form)
            if dates.notna().mean() >= MOSTLY:
                return Seen(name, text, "date", missing, date_format=form, distinct=n)
    if n <= MOST_CATEGORIES and (n < len(present) or len(present) <= 3):
        return Seen(name, text, "category", missing, distinct=n)
    if n == len(present):
        return Seen(name, text, "identifier", missing, distinct=n)
    return Seen(name, text, "text", missing, distinct=n)


def _shares_of_numbers(text: pandas.Series) -> list[float]:
    """Shares of a text that are numbers, with decimal points and with decimal commas."""
    return [float((~np.isnan(as_numbers(text, comma))).mean()) for comma in (False, True)]


def _decimal_comma(name: str, present: pandas.Series, shares: list[float], draft: Plan) -> bool:
    """Whether numbers in text have decimal commas; what is not certain is a doubt."""
    with_sign = present[present.str.contains(r"[.,]", regex=True)]
    if draft.choices.decimal != "guess" or not len(with_sign):
        return draft.choices.decimal == "comma"
    comma = shares[1] > shares[0] if shares[0] != shares[1] else draft.content.decimal_comma
    if not present.str.contains(",", regex=False).any():
        return comma and shares[1] > shares[0]
    example = str(present[present.str.contains(",", regex=False)].iloc[0])
    number = as_numbers(present[present == example].head(1), comma)[0]
    draft.doubts.append(
        Doubt(
            sentence=f"In column {shown(name)} '{example[:40]}' was read as {number:g}.",
            setting="decimal",
            alternatives=("point",) if comma else ("comma",),
        )
    )
    return comma
