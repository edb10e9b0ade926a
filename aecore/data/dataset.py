"""Datasets: a specification, and the arrays of both splits, read on demand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from aecore.data.spec import DataSpec
from aecore.errors import InvalidRequest

if TYPE_CHECKING:
    from aecore.data.modalities import Modality
    from aecore.data.preparation import Preparation


class Samples(NamedTuple):
    """One split of a dataset."""

    x: np.ndarray
    """Features, (n, n_features) float32."""
    labels: np.ndarray
    """Class numbers, (n,) int64; or a position along a curve, (n,) float32."""


SplitReader = Callable[[str], Samples]
"""Turns "train" or "test" into that split."""


class Column(NamedTuple):
    """What is known of each sample of a split beside its features and label."""

    values: np.ndarray
    """Numbers, (n,) float32, NaN where unknown; of a category, (n,) int64 positions in `names`; of
    dates, (n,) float64 seconds since 1970; of texts and links, (n,) strings, "" where unknown."""
    names: tuple[str, ...] = ()
    """Of a category's values; empty for numbers."""
    colors: tuple[str, ...] = ()
    """Of a category's values, "#rrggbb", where they have colours of their own."""
    kind: Literal["", "date", "text", "link"] = ""
    """What the values are, where they are neither numbers nor a category."""

    def plain(self) -> np.ndarray:
        """Values as they are read: names of categories, dates, texts, numbers, (n,)."""
        if self.names:
            return np.array(self.names, object)[self.values]
        if self.kind != "date":
            return self.values
        known = np.isfinite(self.values)
        dates = np.full(len(self.values), np.datetime64("NaT", "s"))
        dates[known] = self.values[known].astype("datetime64[s]")
        return dates


ColumnReader = Callable[[str], Mapping[str, Column]]
"""Turns "train" or "test" into the columns of that split by their names."""


def _no_columns(split: str) -> Mapping[str, Column]:
    return {}


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset: its specification, and its arrays, read on demand."""

    spec: DataSpec
    read: SplitReader = field(repr=False)
    digests: tuple[str, ...] = ()
    """Known SHA-256 of the decoded files; empty where the arrays themselves are hashed."""
    columns: ColumnReader = field(default=_no_columns, repr=False)
    """Columns of "train" or "test", such as the factors that an image was drawn from; no part of
    the fingerprint."""
    preparation: Preparation | None = None
    """How the features came from a file; None where there was none."""
    missing: str = ""
    """Why there are no arrays, in a sentence; empty where there are."""

    @classmethod
    def without_arrays(cls, spec: DataSpec, reason: str) -> Dataset:
        """Dataset of a specification alone; access to its arrays raises the reason."""

        def refuse(split: str) -> Samples:
            raise InvalidRequest(reason)

        return cls(spec, refuse, missing=reason)

    def derived(self, read: SplitReader | None = None, **changes: Any) -> Dataset:
        """Copy of a dataset with other arrays, a changed specification, or both."""
        facts = dict(self.spec) | {"fingerprint": None} | changes
        if read is None:
            return replace(self, spec=DataSpec(**facts))
        return Dataset(DataSpec(**facts), read)

    def in_units(self, features: np.ndarray) -> dict[str, np.ndarray]:
        """Columns of features (n, n_features) by name, in the units of the file they came from.

        Features of other datasets are as they are, each a column.
        """
        from aecore.data.preparation import undo

        if self.preparation is not None and self.preparation.columns:
            return undo(self.preparation, features)
        return dict(zip(self.spec.column_names, features.T, strict=True))

    def feature_units(self, features: np.ndarray) -> np.ndarray:
        """Features (n, n_features), those of numbers in the units of the file they came from."""
        from aecore.data.preparation import undo_numbers

        known = self.preparation is not None and self.preparation.columns
        return undo_numbers(self.preparation, features) if known and self.preparation else features

    @property
    def standardised(self) -> bool:
        """Whether `in_units` gives features without units, of mean 0 in the training split."""
        known = self.preparation is not None and bool(self.preparation.columns)
        return self.value_range is None and not known

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def title(self) -> str:
        return self.spec.title

    @property
    def modality(self) -> str:
        return self.spec.modality

    @property
    def traits(self) -> type[Modality]:
        """The modality's traits."""
        return self.spec.traits

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample: (height, width[, channels]) of an image, else (n_features,)."""
        return self.spec.shape

    @property
    def n_features(self) -> int:
        return self.spec.n_features

    @property
    def n_train(self) -> int:
        return self.spec.n_train

    @property
    def n_test(self) -> int:
        return self.spec.n_test

    @property
    def value_range(self) -> tuple[float, float] | None:
        """Smallest and largest possible value; None if the features are standardised."""
        return self.spec.value_range

    @property
    def in_unit_range(self) -> bool:
        """Whether all values lie in [0, 1]."""
        return self.spec.in_unit_range

    @property
    def n_classes(self) -> int:
        """Number of classes; 0 if the labels are not classes."""
        return self.spec.n_classes

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the classes; empty if the labels are positions on a curve."""
        return self.spec.label_names

    @property
    def feature_names(self) -> tuple[str, ...]:
        return self.spec.feature_names

    @cached_property
    def train(self) -> Samples:
        """The training split: features (n_train, n_features) float32, and labels."""
        return read_only(self.read("train"))

    @cached_property
    def test(self) -> Samples:
        """The test split: features (n_test, n_features) float32, and labels."""
        return read_only(self.read("test"))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 that changes when any value, label or the split changes."""
        if self.spec.fingerprint:
            return self.spec.fingerprint
        total = hashlib.sha256(f"{self.name} {self.shape} {self.n_train} {self.n_test}".encode())
        for digest in self.digests:
            total.update(digest.encode())
        if not self.digests:
            for array in (*self.train, *self.test):
                # Rounding hides the last bits, in which processors' sines and cosines differ.
                total.update((np.round(array, 4) + 0.0).astype(np.float32).tobytes())
        return total.hexdigest()

    def described(self) -> DataSpec:
        """The specification with its fingerprint, which may require reading the arrays."""
        return self.spec.model_copy(update={"fingerprint": self.fingerprint})


ROUNDING = 1e-6
"""How far outside of [0, 1] a value is still taken for its bound: some steps of float32 at 1."""


def without_rounding(x: np.ndarray) -> np.ndarray:
    """Clip values that rounding carried out of [0, 1] to its bounds; leave all others.

    Scaling reaches 1.0000000000000002 where 1 is meant.

    >>> without_rounding(np.array([-1e-16, 0.5, 1 + 2.3e-16, 1.1]))
    array([0. , 0.5, 1. , 1.1])
    """
    bounded = x.clip(0, 1)
    return np.where(np.abs(x - bounded) <= ROUNDING, bounded, x)


def read_only(samples: Samples) -> Samples:
    for array in samples:
        array.flags.writeable = False
    return samples
