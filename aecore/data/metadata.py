"""Columns of a file that are no features: stored beside them, they describe each sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from aecore.data.dataset import Column
from aecore.data.preparation import MOST_CATEGORIES, as_numbers, as_text, is_numeric
from aecore.data.spec import MOST_CLASSES, Name
from aecore.errors import printable

if TYPE_CHECKING:
    import pandas

MOST_METADATA = 200
"""Columns of metadata of a dataset."""
LONGEST_TEXT = 1_000
"""Characters that are stored of a text."""
MAX_TEXTS = 2**30
"""Bytes of all texts of a column and split."""
NO_VALUE = "no value"
"""Category of samples without one."""
LINK = r"https?://[^\s\"'<>\\]{1,900}"
"""Addresses that are shown as links: of the web, and without what could leave an attribute."""


class Metadata(BaseModel):
    """A column that describes samples: what its values are, and how they were read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(max_length=1_000)]
    """As in the file."""
    kind: Literal["number", "category", "date", "text", "link"]
    names: Annotated[tuple[Name, ...], Field(max_length=MOST_CLASSES)] = ()
    """Of a category's values."""
    decimal_comma: bool = False
    date_format: Annotated[str, Field(max_length=20)] = ""
    """Of dates that are text; empty where the file says that they are dates."""


def fit(
    name: str, values: pandas.Series, kind: str, decimal_comma: bool = False, date_format: str = ""
) -> Metadata:
    """How a column is stored, by the kind that it was understood as."""
    if kind == "duplicate":
        text = as_text(values)
        few = text.nunique() <= MOST_CATEGORIES
        kind = "number" if is_numeric(values) else "category" if few else "text"
    stored: dict[str, Literal["number", "category", "date", "link"]] = {
        "number": "number",
        "category": "category",
        "date": "date",
        "link": "link",
    }
    return Metadata(
        name=name,
        kind=stored.get(kind, "text"),
        decimal_comma=decimal_comma,
        date_format=date_format,
    )


def read(column: Metadata, values: pandas.Series) -> tuple[Metadata, np.ndarray]:
    """Values of a column (n,), and the column with the categories that it had not before.

    Numbers are float32 and NaN where there is none; categories are int64, the position among
    `names`; dates are seconds since 1970 as float64; texts and links are strings, "" for none.
    """
    import pandas

    if column.kind == "number":
        with np.errstate(over="ignore"):
            return column, as_numbers(values, column.decimal_comma).astype(np.float32)
    if column.kind == "date":
        dates = values
        if values.dtype.kind != "M":
            form = column.date_format or "ISO8601"
            dates = pandas.to_datetime(as_text(values), errors="coerce", format=form, utc=True)
        if getattr(dates.dtype, "tz", None) is not None:
            dates = dates.dt.tz_convert("UTC").dt.tz_localize(None)
        whole = dates.to_numpy("datetime64[ms]")
        seconds = whole.astype(np.int64) / 1_000
        return column, np.where(np.isnat(whole), np.nan, seconds)
    text = _clean(as_text(values))
    if column.kind != "category":
        return column, text
    text[text == ""] = NO_VALUE
    text = np.array([each[:100] for each in text], object)
    new = sorted({*text.tolist()} - {*column.names})
    column = column.model_copy(update={"names": (*column.names, *new)})
    numbers = {name: number for number, name in enumerate(column.names)}
    return column, np.array([numbers[each] for each in text], np.int64)


def _clean(text: pandas.Series) -> np.ndarray:
    """Texts as single printable lines of limited length, (n,) of strings."""
    plain = [
        "" if each is None or each != each else printable(" ".join(str(each).split()))
        for each in text
    ]
    return np.array([each[:LONGEST_TEXT] for each in plain], object)


def as_array(column: Metadata, values: np.ndarray) -> np.ndarray:
    """Values as they are stored: of texts, their bytes in UTF-8, each ended by a zero byte."""
    if column.kind not in ("text", "link"):
        return np.ascontiguousarray(values)
    content = "".join(f"{each}\0" for each in values).encode("utf-8", "replace")
    return np.frombuffer(content, np.uint8)


def from_array(column: Metadata, stored: np.ndarray, n: int) -> Column:
    """Column of n samples as it was stored; raises `ValueError` where it is not that."""
    values: np.ndarray = stored
    if column.kind in ("text", "link"):
        if stored.dtype != np.uint8 or stored.ndim != 1:
            raise ValueError(f"column '{column.name}' is no text")
        values = np.array(stored.tobytes().decode().split("\0")[:-1], object)
    wanted = {"number": np.float32, "category": np.int64, "date": np.float64}
    if values.shape != (n,) or values.dtype != wanted.get(column.kind, object):
        raise ValueError(f"column '{column.name}' is of type {values.dtype}, shape {values.shape}")
    if column.kind == "category" and n:
        if values.min() < 0 or values.max() >= len(column.names):
            raise ValueError(f"column '{column.name}' has values that are no category")
        return Column(values, column.names)
    kind: Literal["", "date", "text", "link"] = (
        column.kind if column.kind in ("date", "text", "link") else ""
    )
    return Column(values, kind=kind)


def arrays_of(
    columns: Sequence[Metadata], tables: dict[str, pandas.DataFrame]
) -> tuple[tuple[Metadata, ...], dict[str, list[np.ndarray]]]:
    """Values of each column in each split, and the columns with all their categories."""
    stored: dict[str, list[np.ndarray]] = {split: [] for split in tables}
    whole = []
    for column in columns:
        for split, table in tables.items():
            column, values = read(column, table[column.name])
            stored[split].append(values)
        whole.append(column)
    return tuple(whole), stored
