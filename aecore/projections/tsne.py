"""t-SNE (van der Maaten & Hinton 2008) over the neighbour graph of a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from aecore.data import TEST_SPLIT, Dataset, Subset
from aecore.neighbors import Metric
from aecore.projections.base import Projection
from aecore.projections.neighbor_graph import graph
from aecore.projections.pca import _principal_plane

if TYPE_CHECKING:
    from aecore.progress import Progress


class TSNEProjection(Projection):
    """t-SNE: preserves neighbours of the data; distances between groups mean little."""

    name = "tsne"
    title = "t-SNE"
    source = "van der Maaten & Hinton (2008), Visualizing data using t-SNE"

    perplexity: float = Field(
        30, ge=2, le=200, description="About how many neighbours each sample has in t-SNE."
    )
    metric: Metric = Field(
        "euclidean",
        title="Distance",
        description="What counts as near in the data: distance, angle or sum of steps.",
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Fixes the random numbers.")

    @classmethod
    def defaults(cls, n: int) -> dict[str, Any]:
        return {"perplexity": max(2, min(30, (n - 1) // 3))}

    def problems(self, n: int) -> list[str]:
        most = (n - 1) // 3
        if most < 2:
            return [f"t-SNE needs at least 7 samples: here are {n}."]
        if self.perplexity > most:
            return [f"perplexity = {self.perplexity:g} needs more samples: give at most {most}."]
        return []

    def place(
        self, dataset: Dataset, progress: Progress, subset: Subset = TEST_SPLIT
    ) -> np.ndarray:
        from openTSNE import TSNEEmbedding, affinity, nearest_neighbors

        n = subset.count(dataset)
        neighbors = graph(dataset, int(3 * self.perplexity), subset, self.metric)
        affinities = affinity.PerplexityBasedNN(
            perplexity=self.perplexity,
            knn_index=nearest_neighbors.PrecomputedNeighbors(*neighbors),
        )
        start = _start(_principal_plane(dataset, subset), size=1e-4, noise=0.01, seed=self.seed)
        embedding = TSNEEmbedding(
            start.copy(),
            affinities,
            # Interpolation on a grid (Linderman and others 2019) costs the same for few samples as
            # for many. A grid of half of the usual density took half of the time, and the maps of
            # MNIST were as trustworthy.
            negative_gradient_method="bh" if n < 5_000 else "fft",
            ints_in_interval=2,
            # Threads that wait for each other cost small data more than they save.
            n_jobs=-1 if n >= 5_000 else 1,
            random_state=self.seed,
        )
        early, late = 250, 400

        def report(before: int) -> dict[str, Any]:
            def callback(iteration: int, error: float, embedding: np.ndarray) -> None:
                progress("t-SNE", before + iteration, early + late)

            return {"callbacks": callback, "callbacks_every_iters": 10}

        # Larger steps than n / 12 (Belkina and others 2019) lower the loss of large maps, but their
        # trustworthiness too; small maps need them to unfold.
        common = {"learning_rate": "auto" if n < 5_000 else n / 12, "inplace": True}
        # By 4, as in the source: the customary 12 made maps of MNIST a little less trustworthy.
        embedding.optimize(early, exaggeration=4, momentum=0.5, **common, **report(0))
        # Exaggeration may have collapsed few samples into one point, which would stay collapsed.
        embedding += start
        embedding.optimize(late, momentum=0.8, **common, **report(early))
        return np.asarray(embedding, np.float32)


def _start(plane: np.ndarray, size: float, noise: float, seed: int) -> np.ndarray:
    """Initialise a t-SNE optimisation: a map of the given size, with noise to separate duplicates.

    Arguments
        size: standard deviation along x.
        noise: standard deviation, as a share of `size`.
    """
    deviation = plane[:, 0].std()
    scaled = plane * (size / deviation) if deviation > 0 else np.zeros_like(plane)
    return scaled + np.random.RandomState(seed).normal(0, noise * size, plane.shape)
