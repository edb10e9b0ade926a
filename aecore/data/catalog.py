"""Catalogue of datasets by name: built-in ones and stored ones."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from aecore.data import stored
from aecore.data.builtin import DATASETS
from aecore.data.dataset import Dataset, Samples
from aecore.errors import Damaged, InvalidRequest, unknown

if TYPE_CHECKING:
    from aecore.data.spec import DataSpec


def names() -> list[str]:
    """Names of all datasets: built-in ones first, then stored ones."""
    return [*DATASETS, *(name for name in stored.names() if name not in DATASETS)]


def get(name: str) -> Dataset:
    """Get a dataset by name.

    Raises `InvalidRequest` with the nearest name where there is none, or where its card is damaged.
    """
    if name in DATASETS:
        return DATASETS[name]
    entry = stored.entry(name) if isinstance(name, str) else None
    if entry is None:
        raise InvalidRequest(unknown("dataset", name, names()))
    return _stored(entry)


@lru_cache(maxsize=8)
def _stored(entry: stored.Entry) -> Dataset:
    """Load a stored dataset; cached, because it holds its arrays."""
    return Dataset(
        entry.card.spec,
        lambda split: Samples(*stored.read(entry, split)),
        entry.card.digests,
        lru_cache(maxsize=2)(lambda split: stored.read_columns(entry, split)),
        entry.card.preparation,
    )


def entries() -> tuple[list[Dataset], list[str]]:
    """All usable datasets, and the problems of damaged ones as sentences."""
    usable, damaged = [], []
    for name in names():
        try:
            usable.append(get(name))
        except Damaged as error:
            damaged += error.problems
    return usable, damaged


def add(spec: DataSpec, train: stored.Split, test: stored.Split) -> Dataset:
    """Store a dataset in the catalogue, for every process that uses this store.

    Arguments
        train, test: features (n, n_features), and labels (n,): class numbers, or numbers where
            `spec.label_names` is empty.

    Raises `InvalidRequest` with every reason why it cannot be stored, such as a name that is taken.
    """
    return _stored(stored.add(spec, train, test, reserved=DATASETS))
