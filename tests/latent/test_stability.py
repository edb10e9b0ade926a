"""Stability of codes over several runs."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from aecore import latent
from aecore.latent import shared_neighbors


def draw(n: int, d: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


def neighbours(points: np.ndarray, i: int, k: int) -> set[int]:
    order = np.linalg.norm(points - points[i], axis=1).argsort().tolist()
    order.remove(i)
    return set(order[:k])


def test_stability_is_the_mean_of_shared_neighbours_over_all_pairs() -> None:
    codes = [draw(50, 3), draw(50, 3) + 0.3 * draw(50, 3, seed=2), draw(50, 5, seed=3)]
    found = latent.stability(codes, k=5)
    wanted = np.array(
        [
            [
                len(neighbours(codes[a], i, 5) & neighbours(codes[b], i, 5)) / 5
                for a, b in combinations(range(3), 2)
            ]
            for i in range(50)
        ]
    )
    assert 0.3 < wanted[:, 0].mean() < 0.9
    np.testing.assert_allclose(found.per_sample, wanted.mean(axis=1))
    np.testing.assert_allclose(found.kept[0, 1], wanted[:, 0])
    np.testing.assert_allclose(found.kept[2, 1], wanted[:, 2])
    assert found.mean == pytest.approx(wanted.mean()) and found.k == 5


def test_the_same_code_moved_turned_and_scaled_is_stable() -> None:
    code = draw(80, 2)
    turned = 7 * code @ np.array([[0.6, 0.8], [0.8, -0.6]]) + [100, -3]
    found = latent.stability([code, turned, code])
    assert (found.per_sample == 1).all() and found.mean == 1


def test_codes_with_nothing_in_common_keep_what_chance_does() -> None:
    found = latent.stability([draw(400, 2, seed) for seed in range(3)])
    assert found.chance == pytest.approx(12 / 399)
    assert found.mean == pytest.approx(found.chance, abs=0.01)


def test_of_many_wide_codes_a_part_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_neighbors, "MOST_OF_WIDE", 40)
    wide = latent.stability([draw(90, 3), draw(90, 3)])
    assert np.isfinite(wide.per_sample).sum() == 40 and wide.mean == 1
    assert wide.chance == pytest.approx(12 / 39)
    assert np.isfinite(latent.stability([draw(90, 2), draw(90, 1)]).per_sample).all()


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_little_is_stable(n: int) -> None:
    found = latent.stability([draw(n, 2), draw(n, 2, seed=1)])
    assert found.per_sample.tolist() == [1] * n and found.mean == found.chance == 1


def test_the_least_stable_classes_are_named() -> None:
    code = draw(90, 2)
    labels = np.arange(90) % 3
    other = np.where((labels == 1)[:, None], draw(90, 2, seed=1), code)
    found = latent.stability([code, other])
    share = found.per_sample[labels == 1].mean()
    said = latent.stability_in_words(found, "2 seeds", labels, ("zero", "one", "two"))
    assert said.startswith(
        f"Over 2 seeds a sample keeps {found.mean:.0%} of its 12 nearest neighbours in the code "
        "(13.5% would be chance); least stable are the classes one "
    )
    assert f"one ({share:.0%}) and " in said
    assert "classes" not in latent.stability_in_words(found, "2 seeds", labels, ())
