"""Exact k-nearest-neighbour graph, shared by t-SNE, UMAP and the measures of a map."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np


class Neighbors(NamedTuple):
    """Nearest neighbours of each sample, itself excluded, nearest first."""

    indices: np.ndarray
    """(n, k) integers."""
    distances: np.ndarray
    """(n, k) float32, in the requested metric."""


Metric = Literal["euclidean", "cosine", "manhattan"]


def nearest(x: np.ndarray, k: int, metric: Metric = "euclidean") -> Neighbors:
    """Find the exact k nearest neighbours of every sample within `x`.

    Arguments
        x: (n, n_features).
        k: neighbours; less than n.
        metric: Euclidean ||a - b||, cosine 1 - a.b / (||a|| ||b||) or Manhattan sum |a - b|.

    Raises `ValueError` where k is not less than n.
    """
    if not 1 <= k < len(x):
        raise ValueError(f"k = {k} neighbours must be from 1 to {len(x) - 1} for {len(x)} samples.")
    from sklearn.neighbors import NearestNeighbors

    # In two or three dimensions a tree is exact and much faster; in hundreds, brute force is. The
    # cosine is no metric that a tree could use.
    search = "brute" if x.shape[1] > 15 or metric == "cosine" else "kd_tree"
    model = NearestNeighbors(n_neighbors=k, algorithm=search, metric=metric).fit(x)
    distances, indices = model.kneighbors()
    return Neighbors(indices, distances.astype(np.float32))
