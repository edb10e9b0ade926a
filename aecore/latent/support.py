"""Support of the code space: how densely training codes lie around a code."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from aecore.latent.paths import NEIGHBORS
from aecore.latent.reliability_map import reach


class Around(NamedTuple):
    """What lies around each of n codes."""

    distances: np.ndarray
    """(n,) to the nearest known code, in units of the code."""
    covered: np.ndarray
    """(n,) bool: whether the tenth nearest known code is no farther than `Places.limit`."""
    density: np.ndarray
    """(n,) in [0, 1]: 0 as sparse as at `Places.limit`, 1 as dense as at `Places.closest`."""


class Places:
    """Where known codes lie, made ready once for many questions; exact Euclidean search.

    Arguments
        codes: (m, d).
    """

    limit: float
    """The distance from a known code to its tenth nearest that 1 of 100 exceeds, measured on 1,000
    of them, drawn with seed 0; in units of the code."""
    closest: float
    """The one that 99 of 100 exceed; copies of one code, at no distance, do not count."""

    def __init__(self, codes: np.ndarray) -> None:
        from sklearn.neighbors import NearestNeighbors

        self._search = NearestNeighbors(n_neighbors=min(NEIGHBORS, len(codes))).fit(codes)
        nearest = reach(codes, 1_000)
        apart = nearest[nearest > 0]
        self.limit = float(np.percentile(nearest, 99))
        self.closest = float(np.percentile(apart, 1)) if len(apart) else self.limit

    def nearest(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rows of the known codes nearest to codes (n, d), and their distances, (n,) each."""
        distances, rows = self._search.kneighbors(codes, 1)
        return rows[:, 0], distances[:, 0]

    def around(self, codes: np.ndarray) -> Around:
        """How near known codes are to codes (n, d), and how dense they lie there.

        The density is that of k nearest neighbours, p(z) proportional to 1 / r(z)^d, with r the
        distance to the tenth nearest known code (Loftsgaarden & Quesenberry 1965, "A nonparametric
        estimate of a multivariate density function"), on a scale of its logarithm:
        log(limit / r) / log(limit / closest), clipped to [0, 1]; d cancels, so that it reads the
        same in any number of dimensions. Where no code ever lay, a decoder was never asked.
        """
        distances, _ = self._search.kneighbors(codes)
        # Copies of one code are at no distance, which has no logarithm.
        tiny = np.finfo(np.float64).tiny
        limit, closest, r = (
            -np.log(np.maximum(each, tiny)) for each in (self.limit, self.closest, distances[:, -1])
        )
        near = distances[:, -1] <= self.limit
        return Around(distances[:, 0], near, np.interp(r, [limit, closest], [0, 1]))
