"""Maps: PCA against scikit-learn, t-SNE and UMAP by their trustworthiness, and what is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA

from aecore import datasets, projections, store
from aecore.datasets import Dataset, Samples
from aecore.errors import Cancelled, Faults
from aecore.neighbors import nearest
from aecore.projections import (
    PROJECTIONS,
    PCAProjection,
    Projection,
    TSNEProjection,
    UMAPProjection,
)

IRIS, DIGITS = datasets.get("iris"), datasets.get("digits")


def refuse(*args: object, **options: object) -> None:
    raise AssertionError("computed again")


def ignore(what: str, done: float, total: float) -> None:
    """Take no notice of progress."""


def small(kind: type[Projection], dataset: Dataset) -> Projection:
    return kind(**kind.defaults(dataset.n_test))


# --- PCA ----------------------------------------------------------------------------------------


def test_the_components_are_scikit_learns_signs_aside() -> None:
    ours, theirs = projections.components(DIGITS), PCA(svd_solver="full").fit(DIGITS.train.x)
    np.testing.assert_allclose(ours.mean, theirs.mean_, atol=1e-6)
    # The last components of digits have no variance, so that any basis of them will do.
    cosines = np.abs((ours.components[:40] * theirs.components_[:40]).sum(1))
    np.testing.assert_allclose(cosines, 1, atol=1e-3)
    np.testing.assert_allclose(ours.components @ ours.components.T, np.eye(64), atol=1e-5)


@pytest.mark.parametrize("k", [1, 2, 20, 64])
def test_the_error_of_k_components_is_scikit_learns(k: int) -> None:
    pca = PCA(k, svd_solver="full").fit(DIGITS.train.x)
    rebuilt = pca.inverse_transform(pca.transform(DIGITS.test.x))
    expected = np.square(DIGITS.test.x - rebuilt).mean()
    assert projections.pca_mse(DIGITS, k) == pytest.approx(expected, rel=1e-3, abs=1e-9)


def test_the_map_of_pca_is_scikit_learns_signs_aside() -> None:
    found = projections.compute(DIGITS, PCAProjection())
    expected = PCA(2, svd_solver="full").fit(DIGITS.train.x).transform(DIGITS.test.x)
    np.testing.assert_allclose(np.abs(found.plane), np.abs(expected), atol=1e-3)
    assert found.metrics["test_mse"] == projections.pca_mse(DIGITS, 2)


def test_pca_is_fitted_on_the_training_split_alone() -> None:
    def read(split: str) -> Samples:
        x, labels = IRIS.read(split)
        return Samples(x * 7 - 3 if split == "test" else x, labels)

    other = replace(IRIS, read=read)
    assert other.fingerprint != IRIS.fingerprint
    ours, theirs = projections.components(IRIS), projections.components(other)
    np.testing.assert_array_equal(ours.components, theirs.components)
    np.testing.assert_array_equal(ours.mean, theirs.mean)


def test_encoding_and_reconstructing_fit_together() -> None:
    pca, x = projections.components(IRIS), IRIS.test.x
    assert pca.encode(x, 3).shape == (50, 3)
    np.testing.assert_allclose(pca.encode(pca.reconstruct(x, 3), 3), pca.encode(x, 3), atol=1e-5)
    np.testing.assert_allclose(pca.reconstruct(x, 4), x, atol=1e-5)


# --- Every projection ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROJECTIONS)
@pytest.mark.parametrize("dataset", [IRIS, DIGITS], ids=lambda dataset: dataset.name)
def test_every_projection_makes_a_map_that_says_how_far_to_trust_it(
    name: str, dataset: Dataset
) -> None:
    heard: list[tuple[str, float, float]] = []
    projection = small(PROJECTIONS[name], dataset)
    found = projections.compute(dataset, projection, lambda *news: heard.append(news))
    assert found.plane.shape == (dataset.n_test, 2)
    assert found.plane.dtype == np.float32
    assert np.isfinite(found.plane).all()
    assert found.metrics == found.metrics | projections.describe(dataset, found.plane)
    floor = 0.8 if name == "pca" else 0.9
    assert found.metrics["trustworthiness"] > floor
    assert found.metrics["knn_accuracy"] > (0.5 if name == "pca" else 0.85)
    steps = [done for what, done, total in heard if total > 1 and 0 <= done <= total]
    if name != "pca":
        assert len(steps) > 1 and steps == sorted(steps)
    assert heard[-1][0] == f"Measuring {projection.title}"


@pytest.mark.parametrize("name", PROJECTIONS)
def test_every_projection_repeats(name: str) -> None:
    projection = small(PROJECTIONS[name], IRIS)
    first, again = (projection.place(IRIS, ignore) for _ in range(2))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("kind", [TSNEProjection, UMAPProjection])
def test_another_seed_gives_another_map(kind: type[Projection]) -> None:
    settings = kind.defaults(IRIS.n_test)
    first, other = (kind(**settings, seed=seed).place(IRIS, ignore) for seed in (0, 1))
    assert not np.allclose(first, other, atol=1e-3)


def test_a_map_of_points_on_a_curve_has_no_accuracy() -> None:
    found = projections.compute(datasets.get("tilted-ring"), PCAProjection())
    assert found.metrics["knn_accuracy"] is None
    assert found.metrics["trustworthiness"] > 0.9


@pytest.mark.parametrize("name", ["tsne", "umap"])
def test_a_projection_stops_at_its_next_sign_of_life(name: str) -> None:
    name_shown, heard = PROJECTIONS[name].title, []

    def cancel(what: str, done: float, total: float) -> None:
        heard.append(what)
        if what == name_shown:
            raise Cancelled

    projection = small(PROJECTIONS[name], IRIS)
    with pytest.raises(Cancelled):
        projections.compute(IRIS, projection, cancel)
    assert heard.count(name_shown) == 1
    assert projections.cached("iris", IRIS.fingerprint, projection) is None


@pytest.mark.parametrize("name", PROJECTIONS)
def test_a_projection_says_what_it_is_and_where_it_is_from(name: str) -> None:
    kind = projections.get(name)
    assert kind.name == name and kind.title and kind.source and kind.__doc__


def test_an_unknown_projection_gets_the_nearest_one() -> None:
    with pytest.raises(Faults, match="did you mean 'tsne'"):
        projections.get("t-sne")


# --- Settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", datasets.DATASETS)
@pytest.mark.parametrize("name", PROJECTIONS)
def test_defaults_suit_every_dataset(name: str, dataset: str) -> None:
    n = datasets.get(dataset).n_test
    kind = PROJECTIONS[name]
    assert kind(**kind.defaults(n)).faults(n) == []


@pytest.mark.parametrize(
    ("projection", "said"),
    [
        (TSNEProjection(perplexity=17), "perplexity = 17 needs more samples: give at most 16."),
        (UMAPProjection(n_neighbors=50), "n_neighbors = 50 needs more samples: give at most 49."),
    ],
)
def test_settings_that_need_more_samples_are_faults(projection: Projection, said: str) -> None:
    with pytest.raises(Faults) as error:
        projections.compute(IRIS, projection)
    assert error.value.faults == [said]


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [
        (TSNEProjection, {"perplexity": 5}, {"perplexity": 6}),
        (TSNEProjection, {"perplexity": 30}, {"perplexity": 30.00001}),
        (TSNEProjection, {"seed": 1}, {"seed": 2}),
        (TSNEProjection, {"seed": 1_234_567}, {"seed": 1_234_568}),
        (UMAPProjection, {"n_neighbors": 5}, {"n_neighbors": 6}),
        (UMAPProjection, {"min_dist": 0.1}, {"min_dist": 0.11}),
        (UMAPProjection, {"min_dist": 0.1}, {"min_dist": 0.10000001}),
        (UMAPProjection, {"seed": 2**31 - 1}, {"seed": 2**31 - 2}),
    ],
)
def test_every_setting_makes_a_file_of_its_own(
    kind: type[Projection], first: dict[str, Any], second: dict[str, Any]
) -> None:
    keys = {kind().key, kind(**first).key, kind(**second).key}
    assert len({kind(**first).key, kind(**second).key}) == 2
    assert all(set(key) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-+") for key in keys)


# --- What is kept -------------------------------------------------------------------------------


def test_a_map_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    projection = PCAProjection()
    assert projections.cached("iris", IRIS.fingerprint, projection) is None
    first = projections.compute(IRIS, projection)
    monkeypatch.setattr(PCAProjection, "place", refuse)
    monkeypatch.setattr(projections, "describe", refuse)
    second = projections.compute(IRIS, projection)
    np.testing.assert_array_equal(first.plane, second.plane)
    assert first.metrics == second.metrics
    assert projections.cached("iris", IRIS.fingerprint, projection).metrics == first.metrics


def test_maps_of_other_data_or_settings_are_others() -> None:
    projections.compute(IRIS, PCAProjection())
    assert projections.cached("iris", "0" * 64, PCAProjection()) is None
    assert projections.cached("wine", IRIS.fingerprint, PCAProjection()) is None
    assert projections.cached("iris", IRIS.fingerprint, TSNEProjection()) is None


def test_a_damaged_map_is_a_fault() -> None:
    projections.compute(IRIS, PCAProjection())
    (path,) = projections.folder("iris", IRIS.fingerprint).glob("pca*")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(Faults, match="not a readable safetensors file"):
        projections.compute(IRIS, PCAProjection())


@pytest.mark.parametrize("k", [1, 15, 49])
def test_the_stored_graph_is_the_exact_one(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = nearest(IRIS.test.x, k)
    projections.graph(IRIS, 10)
    monkeypatch.setattr(projections, "nearest", refuse)
    found = projections.graph(IRIS, k)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.distances, expected.distances)


def test_a_graph_of_more_neighbours_than_are_stored_is_searched_anew() -> None:
    projections.graph(DIGITS, 10)
    found = projections.graph(DIGITS, projections.GRAPH_NEIGHBORS + 1)
    assert found.indices.shape == (360, projections.GRAPH_NEIGHBORS + 1)


def test_the_components_are_read_back_as_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = projections.components(IRIS)
    assert projections.components_file(IRIS).is_file()
    monkeypatch.setattr("sklearn.decomposition.PCA.fit", refuse)
    second = projections.components(IRIS)
    np.testing.assert_array_equal(first.components, second.components)
    np.testing.assert_array_equal(first.mean, second.mean)


def test_maps_lie_in_the_store() -> None:
    assert store.root() in projections.folder("iris", IRIS.fingerprint).parents
