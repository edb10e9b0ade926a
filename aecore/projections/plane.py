"""Two-dimensional plane through codes of any width."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Plane(NamedTuple):
    """Affine plane in the latent space: projection to it, and embedding of its points."""

    mean: np.ndarray
    """(d,), the code at the picture's origin."""
    axes: np.ndarray
    """(2, d), orthonormal rows; the second is zero where d = 1."""

    def project(self, codes: np.ndarray) -> np.ndarray:
        """Project codes (n, d) to the plane: (codes - mean) axes^T, (n, 2)."""
        return (codes - self.mean) @ self.axes.T

    def embed(self, places: np.ndarray) -> np.ndarray:
        """Embed points (n, 2) of the plane in the latent space: mean + points axes, (n, d)."""
        return self.mean + places @ self.axes


def fit_plane(codes: np.ndarray) -> Plane:
    """Fit the plane of codes (n, d): the identity for d <= 2, else their first two components.

    The places are those of `plane_of`, whose heights for d = 1 mean nothing and are 0 here.
    """
    if codes.shape[1] <= 2:
        return _plane_as_it_is(codes.shape[1])
    from sklearn.decomposition import PCA

    fitted = PCA(2, svd_solver="covariance_eigh").fit(codes)
    return Plane(fitted.mean_, fitted.components_)


def _plane_as_it_is(d: int) -> Plane:
    return Plane(np.zeros(d, np.float32), np.eye(2, d, dtype=np.float32))


def plane_of(codes: np.ndarray, fitted_on: np.ndarray) -> np.ndarray:
    """Two-dimensional coordinates of codes, (n, 2).

    A code of two dimensions is drawn as it is. A wider one is projected onto the first two
    principal components of `fitted_on`; a narrower one is drawn along x, at heights that mean
    nothing (seed 0) and only keep points apart.
    """
    if codes.shape[1] == 2:
        return codes
    if codes.shape[1] == 1:
        heights = np.random.default_rng(0).uniform(-1, 1, (len(codes), 1))
        return np.hstack([codes, heights * codes.std() / 4]).astype(np.float32)
    return fit_plane(fitted_on).project(codes)
