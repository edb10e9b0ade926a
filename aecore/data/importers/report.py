"""What was understood of a file: a report for people and programs."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Kind = Literal[
    "number", "category", "date", "text", "constant", "empty", "duplicate", "identifier", "link"
]
Role = Literal["feature", "label", "split", "metadata", "left out"]


class ColumnReport(BaseModel):
    """One column of a file."""

    model_config = ConfigDict(frozen=True)

    name: str
    kind: Kind
    role: Role
    missing: int = 0
    """Rows without a value."""
    distinct: int | None = None
    """Number of different values; None where they were not counted."""
    low: float | None = None
    high: float | None = None
    duplicate_of: str | None = None


class Doubt(BaseModel):
    """What was decided and could be decided otherwise."""

    model_config = ConfigDict(frozen=True)

    sentence: str
    """What was decided."""
    setting: str
    """Field of `Choices` that decides it otherwise."""
    alternatives: tuple[str, ...] = ()
    """Values of that field that are possible instead."""


class Report(BaseModel):
    """What was understood of a file, under given choices."""

    model_config = ConfigDict(frozen=True)

    file: str
    format: str
    modality: str
    n_samples: int
    """Rows or images in the file that can be read."""
    n_train: int
    n_test: int
    shape: tuple[int, ...]
    """Shape of one sample as it would be stored; empty where there are problems."""
    label: str | None
    """Column of the labels."""
    classes: dict[str, int]
    """Number of samples of each class; empty where labels are numbers, or there are none."""
    label_range: tuple[float, float] | None = None
    """Of labels that are numbers."""
    columns: tuple[ColumnReport, ...]
    duplicate_rows: int | None = None
    """Rows that repeat an earlier one; None of images."""
    sizes: dict[str, int] = {}
    """Number of images of each size, as "height x width"; the most frequent 50."""
    channels: int | None = None
    """Of images: 1 if all are grey, else 3."""
    problems: tuple[str, ...] = ()
    """What must be solved before the file can be stored."""
    doubts: tuple[Doubt, ...] = ()
    notes: tuple[str, ...] = ()
    """What else was decided and left out."""

    @property
    def decisions(self) -> list[str]:
        """Everything that was decided and left out, as sentences."""
        return [*(doubt.sentence for doubt in self.doubts), *self.notes]
