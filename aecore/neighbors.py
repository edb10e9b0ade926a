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


BLOCK = 10_000
"""Samples of a reference that are compared at once."""

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


def distances_to_nearest(x: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Euclidean distance from each sample to the nearest of a reference, (n,).

    Arguments
        x: (n, n_features); reference: (m, n_features).
    """
    squares = np.full(len(x), np.inf, np.float32)
    own = np.einsum("ij,ij->i", x, x)
    for start in range(0, len(reference), BLOCK):
        block = reference[start : start + BLOCK]
        # ||a - b||^2 = ||a||^2 + ||b||^2 - 2 a.b, one product of matrices
        apart = np.einsum("ij,ij->i", block, block) - 2 * (x @ block.T)
        squares = np.minimum(squares, apart.min(axis=1))
    return np.sqrt((squares + own).clip(0))
