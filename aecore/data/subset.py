"""Subsets: selection of the samples of a dataset that a map shows."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from aecore.data.catalog import get
from aecore.data.dataset import Dataset, Samples, read_only
from aecore.settings import titles


class Subset(BaseModel):
    """A selection of samples of a dataset by split, limit and seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: Annotated[Literal["test", "train", "all"], titles(train="Training", all="Both")] = Field(
        "test", description="Which samples to show: those held out, those trained on, or both."
    )
    limit: int = Field(
        10_000,
        ge=10,
        le=100_000,
        title="Number of samples",
        description="At most so many samples, each class in proportion.",
    )
    seed: int = Field(
        0, ge=0, le=2**31 - 1, description="Fixes which samples are chosen where there are more."
    )

    @property
    def key(self) -> str:
        """Folder name of the subset."""
        return f"{self.split}-{self.limit}-seed{self.seed}"

    def whole_test(self, dataset: str | Dataset) -> bool:
        """Whether the subset is exactly the complete test split."""
        dataset = get(dataset) if isinstance(dataset, str) else dataset
        return self.split == "test" and self.limit >= dataset.n_test

    def count(self, dataset: Dataset) -> int:
        """Number of samples in the subset."""
        first, end = self._span(dataset)
        return min(self.limit, end - first)

    def rows(self, dataset: Dataset) -> np.ndarray:
        """Sorted row indices (n,) int64 into the test split followed by the training split.

        Row i >= n_test is training sample i - n_test. Where there are more than `limit`, each class
        keeps its share, rounded by the largest remainder; labels that are no classes are no strata.
        """
        first, end = self._span(dataset)
        if self.limit >= end - first:
            return np.arange(first, end)
        random = np.random.default_rng(self.seed)
        if not dataset.label_names:
            return first + np.sort(random.choice(end - first, self.limit, replace=False))
        splits = {"test": ("test",), "train": ("train",), "all": ("test", "train")}[self.split]
        labels = np.concatenate([getattr(dataset, split).labels for split in splits])
        counts = np.bincount(labels)
        shares = self.limit * counts / len(labels)
        quotas = shares.astype(np.int64)
        largest = np.argsort(quotas - shares, kind="stable")
        quotas[largest[: self.limit - quotas.sum()]] += 1
        members = (np.flatnonzero(labels == label) for label in range(len(counts)))
        chosen = [random.choice(m, q, replace=False) for m, q in zip(members, quotas, strict=True)]
        return first + np.sort(np.concatenate(chosen))

    def samples(self, dataset: Dataset) -> Samples:
        """The samples in the order of `rows`; whole splits are not copied."""
        rows, n = self.rows(dataset), dataset.n_test
        numbers = {"test": rows[rows < n], "train": rows[rows >= n] - n}
        parts = []
        for split, chosen in numbers.items():
            if len(chosen):
                whole = getattr(dataset, split)
                every = len(chosen) == len(whole.x)
                parts.append(whole if every else Samples(whole.x[chosen], whole.labels[chosen]))
        if len(parts) == 1:
            return read_only(parts[0])
        return read_only(Samples(*(np.concatenate(each) for each in zip(*parts, strict=True))))

    def _span(self, dataset: Dataset) -> tuple[int, int]:
        """First row of the split, and the row after its last."""
        first = dataset.n_test if self.split == "train" else 0
        return first, dataset.n_test + (0 if self.split == "test" else dataset.n_train)


TEST_SPLIT = Subset()
