"""How good a map or a reconstruction is: pure functions of arrays."""

from __future__ import annotations

import numpy as np

CHUNK = 500


def mean_squared_error(x: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
    """Mean over the features of (x - reconstruction)^2, one value a sample.

    Arguments
        x, reconstruction: (n, n_features), in the same units.
    """
    return np.square(x - reconstruction).mean(axis=1)


def trustworthiness(x: np.ndarray, embedding: np.ndarray, k: int = 12) -> float:
    """How far neighbours on the map are neighbours in the data: 1 is all, 0.5 about chance.

    T(k) = 1 - 2 / (n k (2n - 3k - 1)) sum_i sum_{j in U_k(i)} (r(i, j) - k), where U_k(i) are the
    k nearest samples of i on the map and r(i, j) >= 1 is the rank of j among the samples nearest
    to i in the data, counted only where r > k (Venna & Kaski 2001).

    Arguments
        x: (n, n_features) the data, Euclidean.
        embedding: (n, d) the map of the same samples.
        k: neighbours; less than n / 2.

    Raises `ValueError` where k is too large for n.
    """
    n = len(x)
    if not 1 <= k < n / 2:
        raise ValueError(f"k = {k} must be at least 1 and less than half of the {n} samples.")
    from aecore.neighbors import nearest

    on_map = nearest(embedding, k).indices
    x = x - x.mean(axis=0)  # far from the origin, squares would swallow the differences
    norms = np.einsum("ij,ij->i", x, x)
    penalty = 0
    for start in range(0, n, CHUNK):
        rows = slice(start, start + CHUNK)
        # The row's own |x_i|^2 would change no rank; leaving it out saves a pass.
        distances = norms - 2 * (x[rows] @ x.T)
        own = np.arange(start, start + len(distances))
        distances[own - start, own] = -np.inf
        for column in on_map[rows].T:
            to_neighbor = distances[own - start, column][:, None]
            ranks = np.count_nonzero(distances < to_neighbor, axis=1)
            penalty += np.maximum(ranks - k, 0).sum()
    return float(1 - penalty * 2 / (n * k * (2 * n - 3 * k - 1)))


def knn_accuracy(embedding: np.ndarray, labels: np.ndarray, k: int = 10) -> float:
    """Share of samples whose label is the most frequent among their k nearest on the map.

    The sample itself is left out; a tie goes to the smallest label.

    Arguments
        embedding: (n, d).
        labels: (n,) class numbers, integers from 0.
        k: neighbours, less than n.
    """
    from aecore.neighbors import nearest

    votes = labels[nearest(embedding, k).indices]
    counts = (votes[:, :, None] == np.arange(labels.max() + 1)).sum(axis=1)
    return float((counts.argmax(axis=1) == labels).mean())


def psnr(x: np.ndarray, reconstruction: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(1 / MSE) of each image, and the mean of these.

    Arguments
        x, reconstruction: (n, n_features), where the data lie in [0, 1].
    """
    errors = mean_squared_error(x.astype(np.float64), reconstruction)
    return float((-10 * np.log10(np.maximum(errors, 1e-12))).mean())
