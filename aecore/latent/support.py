"""Support estimation in the latent space: density of reference codes near a code."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from aecore.latent.paths import NEIGHBORS
from aecore.latent.reliability_map import reach


class NeighborhoodDensity(NamedTuple):
    """Distance to the nearest reference code and local density, for each of n codes."""

    distances: np.ndarray
    """(n,) to the nearest reference code, in units of the code."""
    covered: np.ndarray
    """(n,) bool: whether the tenth nearest code is within `LatentSupport.sparse_radius`."""
    density: np.ndarray
    """(n,) in [0, 1]: 0 as sparse as at `LatentSupport.sparse_radius`, 1 as dense as at
    `LatentSupport.dense_radius`."""


class LatentSupport:
    """Exact Euclidean nearest-neighbour index over reference codes.

    Arguments
        codes: (m, d).
    """

    sparse_radius: float
    """The distance from a known code to its tenth nearest that 1 of 100 exceeds, measured on 1,000
    of them, drawn with seed 0; in units of the code."""
    dense_radius: float
    """The one that 99 of 100 exceed; copies of one code, at no distance, do not count."""

    def __init__(self, codes: np.ndarray) -> None:
        from sklearn.neighbors import NearestNeighbors

        self._search = NearestNeighbors(n_neighbors=min(NEIGHBORS, len(codes))).fit(codes)
        nearest = reach(codes, 1_000)
        apart = nearest[nearest > 0]
        self.sparse_radius = float(np.percentile(nearest, 99))
        self.dense_radius = float(np.percentile(apart, 1)) if len(apart) else self.sparse_radius

    def nearest(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Row of the nearest reference code of each code (n, d), and its distance, (n,) each."""
        distances, rows = self._search.kneighbors(codes, 1)
        return rows[:, 0], distances[:, 0]

    def around(self, codes: np.ndarray) -> NeighborhoodDensity:
        """Distance to, and density of, the reference codes at codes (n, d).

        The density is that of k nearest neighbours, p(z) proportional to 1 / r(z)^d, with r the
        distance to the tenth nearest known code (Loftsgaarden & Quesenberry 1965, "A nonparametric
        estimate of a multivariate density function"), on a scale of its logarithm:
        log(sparse / r) / log(sparse / dense), clipped to [0, 1]; d cancels, so that it reads the
        same in any number of dimensions. The decoder is untrained in regions without codes.
        """
        distances, _ = self._search.kneighbors(codes)
        # Copies of one code are at no distance, which has no logarithm.
        tiny = np.finfo(np.float64).tiny
        sparse, dense, r = (
            -np.log(np.maximum(each, tiny))
            for each in (self.sparse_radius, self.dense_radius, distances[:, -1])
        )
        near = distances[:, -1] <= self.sparse_radius
        return NeighborhoodDensity(distances[:, 0], near, np.interp(r, [sparse, dense], [0, 1]))
