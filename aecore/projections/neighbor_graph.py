"""Exact nearest-neighbour graph of a dataset, computed once and stored."""

from __future__ import annotations

import numpy as np

from aecore.artifacts import Array, Artifact
from aecore.data import TEST_SPLIT, Dataset, Subset
from aecore.neighbors import Metric, Neighbors, nearest
from aecore.projections.base import GRAPH_NEIGHBORS, folder


def graph(
    dataset: Dataset, k: int, subset: Subset = TEST_SPLIT, metric: Metric = "euclidean"
) -> Neighbors:
    """The k nearest neighbours among the samples, from a stored graph if it has enough."""
    most = min(GRAPH_NEIGHBORS, subset.count(dataset) - 1)
    if k > most:
        return nearest(subset.samples(dataset).x, k, metric)
    stored = graph_artifact(dataset, subset, metric)
    if (neighbors := stored.load_intact()) is None:
        neighbors = nearest(subset.samples(dataset).x, most, metric)
        stored.save(neighbors)
    return Neighbors(neighbors.indices[:, :k].astype(np.int64), neighbors.distances[:, :k])


def graph_artifact(
    dataset: Dataset, subset: Subset = TEST_SPLIT, metric: Metric = "euclidean"
) -> Artifact[Neighbors]:
    """Artifact of the nearest neighbours of each sample, at most `GRAPH_NEIGHBORS`."""
    n = subset.count(dataset)
    k = min(GRAPH_NEIGHBORS, n - 1)
    name = "neighbors" if metric == "euclidean" else f"neighbors-{metric}"
    return Artifact(
        path=folder(dataset, dataset.fingerprint, subset) / f"{name}.safetensors",
        expected=lambda facts: {
            "indices": Array((n, k), "i", 0, n - 1),
            "distances": Array((n, k), low=0),
        },
        dump=lambda neighbors: (
            {"indices": neighbors.indices.astype(np.int32), "distances": neighbors.distances},
            {},
        ),
        build=lambda arrays, facts: Neighbors(arrays["indices"], arrays["distances"]),
    )
