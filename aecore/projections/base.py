"""Base class of projections: common settings, and the folder of their results."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from aecore import locations
from aecore.data import TEST_SPLIT, Dataset, Subset

if TYPE_CHECKING:
    import numpy as np

    from aecore.progress import Progress

GRAPH_NEIGHBORS = 90
"""Neighbours for a perplexity of 30; larger neighbourhoods need a new search."""


class Projection(BaseModel, ABC):
    """Base class of the settings of a two-dimensional projection."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    title: ClassVar[str]
    source: ClassVar[str]

    @property
    def key(self) -> str:
        """File name of the map of these settings."""
        # Every digit counts: two settings must never share a file.
        settings = [f"{name}{value}".removesuffix(".0") for name, value in self]
        return "-".join([self.name, *settings]).replace("_", "")

    @classmethod
    def defaults(cls, n: int) -> dict[str, Any]:
        """Default values of the settings that depend on the number of samples."""
        return {}

    def problems(self, n: int) -> list[str]:
        """Reasons why these settings are impossible for n samples."""
        return []

    @abstractmethod
    def place(
        self, dataset: Dataset, progress: Progress, subset: Subset = TEST_SPLIT
    ) -> np.ndarray:
        """Compute the map of the samples of `subset`, (n, 2)."""


def data_folder(dataset_name: str, fingerprint: str) -> Path:
    """Folder of the computed values of a dataset, which need not be in the catalogue any more."""
    return locations.store() / "_maps" / f"{dataset_name}-{fingerprint[:12]}"


def files_of(dataset_name: str, *computed: str) -> list[str]:
    """Patterns, below the store, of a stored dataset and of files that were computed of it.

    Arguments
        computed: patterns in its `data_folder`, of any fingerprint, which may not be known yet.
    """
    folder = f"_maps/{dataset_name}-{'?' * 12}"
    return [f"_datasets/{dataset_name}", *(f"{folder}/{each}" for each in computed)]


def folder(dataset: str | Dataset, fingerprint: str, subset: Subset = TEST_SPLIT) -> Path:
    """Folder of the maps of one subset of a dataset."""
    path = data_folder(dataset if isinstance(dataset, str) else dataset.name, fingerprint)
    return path if subset.whole_test(dataset) else path / subset.key
