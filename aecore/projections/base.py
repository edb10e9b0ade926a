"""Projections: the settings that all of them share, and the folder of what is computed."""

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
"""What a perplexity of 30 asks for; larger perplexities and neighbourhoods search anew."""


class Projection(BaseModel, ABC):
    """Settings of one way to a two-dimensional map."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    title: ClassVar[str]
    source: ClassVar[str]

    @property
    def key(self) -> str:
        """The file name of the map that these settings give."""
        # Every digit counts: two settings must never share a file.
        settings = [f"{name}{value}".removesuffix(".0") for name, value in self]
        return "-".join([self.name, *settings]).replace("_", "")

    @classmethod
    def defaults(cls, n: int) -> dict[str, Any]:
        """The settings whose sensible default depends on the number of samples."""
        return {}

    def faults(self, n: int) -> list[str]:
        """What makes these settings impossible for n samples."""
        return []

    @abstractmethod
    def place(
        self, dataset: Dataset, progress: Progress, subset: Subset = TEST_SPLIT
    ) -> np.ndarray:
        """The map of the samples of `subset`, (n, 2)."""


def data_folder(dataset_name: str, fingerprint: str) -> Path:
    """The folder of what was computed of a dataset, which need not be in the catalogue any more."""
    return locations.store() / "_maps" / f"{dataset_name}-{fingerprint[:12]}"


def folder(dataset: str | Dataset, fingerprint: str, subset: Subset = TEST_SPLIT) -> Path:
    """Where the maps of one choice of samples of a dataset are kept."""
    path = data_folder(dataset if isinstance(dataset, str) else dataset.name, fingerprint)
    return path if subset.whole_test(dataset) else path / subset.key
