"""Neighbour graph against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from aecore import neighbors
from aecore.neighbors import nearest

METRICS = {
    "euclidean": lambda a, b: np.sqrt(((a - b) ** 2).sum()),
    "cosine": lambda a, b: 1 - a @ b / np.sqrt((a @ a) * (b @ b)),
    "manhattan": lambda a, b: np.abs(a - b).sum(),
}


@pytest.mark.parametrize("n_features", [3, 40])
@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_is_exact(metric: str, n_features: int) -> None:
    x = np.random.default_rng(0).normal(size=(50, n_features)).astype(np.float32)
    far = np.array([[METRICS[metric](a, b) for b in x.astype(float)] for a in x.astype(float)])
    np.fill_diagonal(far, np.inf)
    order = np.argsort(far, axis=1)[:, :9]
    found = nearest(x, 9, metric)
    np.testing.assert_array_equal(found.indices, order)
    np.testing.assert_allclose(found.distances, np.take_along_axis(far, order, 1), atol=1e-5)


# One width on each side of the switch from trees to brute force, and at it.
@pytest.mark.parametrize("n_features", [1, 2, 15, 16, 64])
@pytest.mark.parametrize("k", [1, 7, 59])
def test_neighbours_are_those_of_a_full_sort(n_features: int, k: int) -> None:
    x = np.random.default_rng(n_features).normal(size=(60, n_features)).astype(np.float32)
    distances = np.linalg.norm(x[:, None].astype(np.float64) - x[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    order = np.argsort(distances, axis=1)[:, :k]
    found = nearest(x, k)
    np.testing.assert_array_equal(found.indices, order)
    np.testing.assert_allclose(found.distances, np.take_along_axis(distances, order, 1), rtol=1e-5)
    assert found.distances.dtype == np.float32


@pytest.mark.parametrize("n_features", [2, 20])
def test_a_sample_is_not_its_own_neighbour_even_among_twins(n_features: int) -> None:
    x = np.repeat(np.arange(4)[:, None] * np.ones(n_features), 3, axis=0)
    indices, distances = nearest(x, 2)
    assert all(i not in row for i, row in enumerate(indices))
    np.testing.assert_allclose(distances, 0, atol=1e-6)
    assert (indices // 3 == np.arange(12)[:, None] // 3).all()


@pytest.mark.parametrize("k", [0, -1, 5, 6])
def test_more_neighbours_than_there_are_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match=f"k = {k} neighbours must be from 1 to 4"):
        nearest(np.zeros((5, 2)), k)


def test_distances_to_a_reference_are_those_of_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    from scipy.spatial.distance import cdist

    monkeypatch.setattr(neighbors, "BLOCK", 7)  # several blocks, the last one short
    rng = np.random.default_rng(0)
    x, reference = (rng.random((n, 5), np.float32) for n in (3, 20))
    x[0] = reference[9]
    found = neighbors.distances_to_nearest(x, reference)
    np.testing.assert_allclose(found, cdist(x, reference).min(axis=1), atol=1e-3)
