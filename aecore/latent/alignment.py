"""Procrustes alignment of two bottlenecks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Comparison(NamedTuple):
    """Two planes of the same samples, the second aligned with the first."""

    aligned: np.ndarray
    """(n, 2), the second plane in the units of the first."""
    moved: np.ndarray
    """(n,), how far apart a sample's two places are, in root-mean-square radii of the first."""
    disparity: float
    """From 0, the same but for its place, size and turn, to 1, nothing in common."""


def compare(plane: np.ndarray, other: np.ndarray) -> Comparison:
    """Align a plane with another of the same samples by Procrustes analysis, and compare them.

    min_{s,R,t} sum_i ||s q_i R + t - p_i||^2, R orthogonal (Gower 1975); the disparity is this
    minimum divided by sum_i ||p_i - mean(p)||^2.

    Arguments
        plane, other: (n, 2), p and q.

    A plane whose points are all the same has radius 1 and disparity 0.
    """
    n = len(plane)
    p, q = plane.astype(np.float64), other.astype(np.float64)
    origin = p.mean(0) if n else np.zeros(2)
    p, q = p - origin, q - (q.mean(0) if n else 0)
    left, strengths, right = np.linalg.svd(q.T @ p)
    size_of_p, size_of_q = np.square(p).sum(), np.square(q).sum()
    scale = strengths.sum() / size_of_q if size_of_q else 0
    aligned = scale * q @ left @ right
    distances = np.linalg.norm(aligned - p, axis=1)
    return Comparison(
        aligned + origin,
        distances / (np.sqrt(size_of_p / n) if size_of_p else 1),
        float(np.square(distances).sum() / size_of_p) if size_of_p else 0.0,
    )
