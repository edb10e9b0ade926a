"""Specification of a dataset: its metadata without its arrays.

Models are built from it, and it is stored in each run, so that a run can be opened without its
dataset.
"""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    StringConstraints,
    model_validator,
)

from aecore.data.modalities import MODALITIES, Modality
from aecore.errors import unknown

DATASET_NAME = r"[A-Za-z0-9][A-Za-z0-9-]{0,29}"
"""The name is a part of paths, and of the names of runs."""
MOST_FEATURES = 2**24
MOST_SAMPLES = 10**8
MOST_CLASSES = 10_000
MOST_NAMED_FEATURES = 16_384


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has characters that cannot be printed")
    return text


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("has a name more than once")
    return names


Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, StringConstraints(max_length=500), AfterValidator(_printable)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(_printable)]
Count = Annotated[int, Field(ge=1, le=MOST_SAMPLES, strict=True)]
Side = Annotated[int, Field(ge=1, le=MOST_FEATURES, strict=True)]


class ImageSize(NamedTuple):
    """Height and width in pixels, and channels."""

    height: int
    width: int
    channels: int = 1

    def halved(self, times: int) -> ImageSize:
        """Size after halving both sides so many times, rounded up."""
        halves = 2**times
        return ImageSize(-(-self.height // halves), -(-self.width // halves), self.channels)


class DataSpec(BaseModel):
    """Specification of a dataset: modality, shape, range, names, counts and fingerprint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(pattern=f"^{DATASET_NAME}$")]
    title: Text
    modality: str
    """A name in `MODALITIES`."""
    shape: Annotated[tuple[Side, ...], Field(min_length=1, max_length=4)]
    """Shape of one sample: (height, width[, channels]) of an image, else (n_features,)."""
    n_train: Count
    n_test: Count
    value_range: tuple[FiniteFloat, FiniteFloat] | None = None
    """Smallest and largest possible value; None where the features are standardised."""
    label_names: Annotated[
        tuple[Name, ...], Field(max_length=MOST_CLASSES), AfterValidator(_distinct)
    ] = ()
    """Names of the classes; empty where the labels are positions on a curve, or there are none."""
    feature_names: Annotated[
        tuple[Name, ...], Field(max_length=MOST_NAMED_FEATURES), AfterValidator(_distinct)
    ] = ()
    """Names of the features; empty where they have none."""
    fingerprint: Sha256 | None = None
    """SHA-256 of the arrays; None where they have not been hashed yet."""
    source: Text = ""
    licence: Text = ""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.modality not in MODALITIES:
            raise ValueError(unknown("modality", self.modality, MODALITIES))
        problems = []
        if len(self.shape) not in (allowed := self.traits.dimensions):
            problems.append(
                f"shape = {self.shape} has {len(self.shape)} dimensions, and one "
                f"{self.traits.noun} has {' or '.join(map(str, allowed))}."
            )
        if self.n_features > MOST_FEATURES:
            problems.append(f"shape = {self.shape} has more than {MOST_FEATURES:,} features.")
        if self.feature_names and len(self.feature_names) != self.n_features:
            problems.append(
                f"{len(self.feature_names)} feature_names do not name {self.n_features} features."
            )
        if self.value_range and self.value_range[0] >= self.value_range[1]:
            problems.append(f"value_range = {self.value_range} is empty.")
        if problems:
            raise ValueError(" ".join(problems))
        return self

    @property
    def traits(self) -> type[Modality]:
        """The modality's traits."""
        return MODALITIES[self.modality]

    @property
    def n_features(self) -> int:
        """Number of features of one sample."""
        return math.prod(self.shape)

    @property
    def n_classes(self) -> int:
        """Number of classes; 0 if the labels are not classes."""
        return len(self.label_names)

    @property
    def column_names(self) -> tuple[str, ...]:
        """Name of each feature; numbers if the features have no names."""
        numbered = (f"feature {number}" for number in range(1, self.n_features + 1))
        return self.feature_names or tuple(numbered)

    @property
    def in_unit_range(self) -> bool:
        """Whether all values lie in [0, 1], so that they can be modelled as probabilities."""
        return self.value_range == (0, 1)

    def agrees(self, other: DataSpec) -> bool:
        """Whether two specifications agree in modality, shape, split and classes."""
        facts = ("modality", "shape", "n_train", "n_test", "label_names")
        return all(getattr(self, fact) == getattr(other, fact) for fact in facts)


def _displayable(spec: DataSpec) -> DataSpec:
    if problems := list(spec.traits.display_problems(spec.shape, spec.value_range)):
        raise ValueError(" ".join(problems))
    return spec


StoredSpec = Annotated[DataSpec, AfterValidator(_displayable)]
"""A specification in a file: the pages can show its samples."""
