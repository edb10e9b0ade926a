"""The catalogue of datasets by name: the built-in ones, and those that a person stored."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from aecore.data import stored
from aecore.data.builtin import DATASETS
from aecore.data.dataset import Dataset, Samples
from aecore.errors import Damaged, Faults, unknown

if TYPE_CHECKING:
    from aecore.data.spec import DataSpec


def names() -> list[str]:
    """The names of all datasets: the built-in ones, then the stored ones."""
    return [*DATASETS, *(name for name in stored.names() if name not in DATASETS)]


def get(name: str) -> Dataset:
    """The dataset called `name`.

    Raises `Faults` with the nearest name where there is none, or where its card is damaged.
    """
    if name in DATASETS:
        return DATASETS[name]
    found = stored.entry(name) if isinstance(name, str) else None
    if found is None:
        raise Faults(unknown("dataset", name, names()))
    return _stored(found)


@lru_cache(maxsize=8)
def _stored(entry: stored.Entry) -> Dataset:
    """A stored dataset; cached, since it holds the arrays that were read."""
    return Dataset(
        entry.card.spec, lambda split: Samples(*stored.read(entry, split)), entry.card.digests
    )


def entries() -> tuple[list[Dataset], list[str]]:
    """All datasets that can be used, and what is wrong with the damaged ones, in sentences."""
    usable, damaged = [], []
    for name in names():
        try:
            usable.append(get(name))
        except Damaged as error:
            damaged += error.faults
    return usable, damaged


def add(spec: DataSpec, train: stored.Split, test: stored.Split) -> Dataset:
    """Store a dataset in the catalogue, for every process that uses this store.

    Arguments
        train, test: features (n, n_features), and labels (n,): class numbers, or numbers where
            `spec.label_names` is empty.

    Raises `Faults` with every reason why it cannot be stored, such as a name that is taken.
    """
    return _stored(stored.add(spec, train, test, reserved=DATASETS))
