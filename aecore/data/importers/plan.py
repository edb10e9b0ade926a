"""What would be stored of a file, as it is planned step by step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from aecore.data import metadata
from aecore.data.importers.report import ColumnReport, Doubt, Kind, Role
from aecore.data.preparation import Preparation
from aecore.errors import printable

if TYPE_CHECKING:
    import pandas

    from aecore.data.importers.choices import Choices
    from aecore.data.importers.formats import Content
    from aecore.data.metadata import Metadata


@dataclass
class Seen:
    """A column as it was understood."""

    name: str
    values: pandas.Series
    kind: Kind
    missing: np.ndarray
    """(n,) whether there is no value."""
    decimal_comma: bool = False
    date_format: str = ""
    distinct: int | None = None
    low: float | None = None
    high: float | None = None
    duplicate_of: str | None = None
    role: Role = "left out"

    def report(self) -> ColumnReport:
        return ColumnReport(
            name=printable(self.name),
            kind=self.kind,
            role=self.role,
            missing=int(self.missing.sum()),
            distinct=self.distinct,
            low=self.low,
            high=self.high,
            duplicate_of=self.duplicate_of,
        )


@dataclass
class Labels:
    """Labels of all rows."""

    values: np.ndarray
    """(n,) class numbers, int64, or numbers, float32."""
    names: tuple[str, ...] = ()
    missing: np.ndarray | None = None


@dataclass
class Plan:
    """What would be stored of a file."""

    content: Content
    choices: Choices
    columns: list[Seen] = field(default_factory=list)
    label: Seen | None = None
    labels: Labels = field(default_factory=lambda: Labels(np.zeros(0)))
    train: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    test: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    """Rows of each split."""
    metadata: list[Metadata] = field(default_factory=list)
    preparation: Preparation = field(default_factory=Preparation)
    problems: list[str] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def describes(self, name: str) -> bool:
        """Whether a column is metadata, as it was chosen or by the layout of the file."""
        own = name in self.content.metadata and name not in self.choices.keep
        return own or name in self.choices.metadata

    def described(self) -> tuple[tuple[Metadata, ...], dict[str, list[np.ndarray]]]:
        """Columns of metadata, with all their categories, and their values in each split."""
        known = self.content.table[[column.name for column in self.metadata]]
        parts = {"train": known.iloc[self.train], "test": known.iloc[self.test]}
        return metadata.arrays_of(self.metadata, parts)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        if self.preparation.picture:
            return self.preparation.picture.shape
        width = sum(column.width for column in self.preparation.columns)
        return (width,) if width else ()
