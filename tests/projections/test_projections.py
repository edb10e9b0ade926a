"""Projections: PCA against scikit-learn, t-SNE and UMAP by trustworthiness, storage."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA

from aecore import artifacts, data, metrics, projections
from aecore.data import Dataset, Samples, Subset
from aecore.errors import Cancelled, Damaged, InvalidRequest
from aecore.neighbors import Neighbors, nearest
from aecore.projections import (
    PROJECTIONS,
    PCAProjection,
    Projection,
    TSNEProjection,
    UMAPProjection,
)
from aecore.runs import store

IRIS, DIGITS = data.get("iris"), data.get("digits")


def refuse(*args: object, **options: object) -> None:
    raise AssertionError("computed again")


def ignore(what: str, done: float, total: float) -> None:
    """Ignore progress."""


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

    other = IRIS.derived(read)
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
    facts, each = projections.measure(dataset, Subset(), found.plane)
    assert found.metrics == found.metrics | facts
    for key, values in each.items():
        assert values.shape == (dataset.n_test,) and values.dtype == np.float32
        np.testing.assert_array_equal(getattr(found, key), values)
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
    found = projections.compute(data.get("tilted-ring"), PCAProjection())
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
    assert projections.map_artifact("iris", IRIS.fingerprint, projection).load() is None


@pytest.mark.parametrize("name", PROJECTIONS)
def test_a_projection_says_what_it_is_and_where_it_is_from(name: str) -> None:
    kind = projections.get(name)
    assert kind.name == name and kind.title and kind.source and kind.__doc__


def test_an_unknown_projection_gets_the_nearest_one() -> None:
    with pytest.raises(InvalidRequest, match="did you mean 'tsne'"):
        projections.get("t-sne")


# --- Settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", data.DATASETS)
@pytest.mark.parametrize("name", PROJECTIONS)
def test_defaults_suit_every_dataset(name: str, dataset: str) -> None:
    n = data.get(dataset).n_test
    kind = PROJECTIONS[name]
    assert kind(**kind.defaults(n)).problems(n) == []


@pytest.mark.parametrize(
    ("projection", "said"),
    [
        (TSNEProjection(perplexity=17), "perplexity = 17 needs more samples: give at most 16."),
        (UMAPProjection(n_neighbors=50), "n_neighbors = 50 needs more samples: give at most 49."),
    ],
)
def test_settings_that_need_more_samples_are_faults(projection: Projection, said: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        projections.compute(IRIS, projection)
    assert error.value.problems == [said]


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [
        (TSNEProjection, {"perplexity": 5}, {"perplexity": 6}),
        (TSNEProjection, {"perplexity": 30}, {"perplexity": 30.00001}),
        (TSNEProjection, {"seed": 1}, {"seed": 2}),
        (TSNEProjection, {"metric": "euclidean"}, {"metric": "cosine"}),
        (UMAPProjection, {"metric": "cosine"}, {"metric": "manhattan"}),
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
    assert projections.map_artifact("iris", IRIS.fingerprint, projection).load() is None
    first = projections.compute(IRIS, projection)
    monkeypatch.setattr(PCAProjection, "place", refuse)
    monkeypatch.setattr("aecore.projections.maps.measure", refuse)
    second = projections.compute(IRIS, projection)
    for name in ("plane", "trustworthiness", "continuity"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert first.metrics == second.metrics
    assert (
        projections.map_artifact("iris", IRIS.fingerprint, projection).load().metrics
        == first.metrics
    )


def test_maps_of_other_data_or_settings_are_others() -> None:
    projections.compute(IRIS, PCAProjection())
    assert projections.map_artifact("iris", "0" * 64, PCAProjection()).load() is None
    assert projections.map_artifact("wine", IRIS.fingerprint, PCAProjection()).load() is None
    assert projections.map_artifact("iris", IRIS.fingerprint, TSNEProjection()).load() is None


def test_a_damaged_map_is_named_and_computed_anew() -> None:
    whole = projections.compute(IRIS, PCAProjection())
    (path,) = projections.folder("iris", IRIS.fingerprint).glob("pca*")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(Damaged, match=f"{re.escape(str(path))} is damaged .*: compute it again"):
        projections.map_artifact("iris", IRIS.fingerprint, PCAProjection()).load()
    again = projections.compute(IRIS, PCAProjection())
    np.testing.assert_array_equal(again.plane, whole.plane)
    assert projections.map_artifact("iris", IRIS.fingerprint, PCAProjection()).load() is not None


@pytest.mark.parametrize("k", [1, 15, 49])
def test_the_stored_graph_is_the_exact_one(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = nearest(IRIS.test.x, k)
    projections.graph(IRIS, 10)
    monkeypatch.setattr("aecore.projections.neighbor_graph.nearest", refuse)
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
    assert projections.components_artifact(IRIS).path.is_file()
    monkeypatch.setattr("sklearn.decomposition.PCA.fit", refuse)
    second = projections.components(IRIS)
    np.testing.assert_array_equal(first.components, second.components)
    np.testing.assert_array_equal(first.mean, second.mean)


def test_maps_lie_in_the_store() -> None:
    assert store.root() in projections.folder("iris", IRIS.fingerprint).parents


def test_a_file_of_the_plane_alone_is_computed_again() -> None:
    path = projections.folder("iris", IRIS.fingerprint) / "pca.safetensors"
    artifacts.write_arrays(path, {"plane": np.zeros((50, 2), np.float32)}, {"trustworthiness": 1})
    assert projections.map_artifact("iris", IRIS.fingerprint, PCAProjection()).load() is None
    assert projections.compute(IRIS, PCAProjection()).plane.any()
    assert projections.map_artifact("iris", IRIS.fingerprint, PCAProjection()).load() is not None


# --- Metrics of the data and subsets ------------------------------------------------------------


@pytest.mark.parametrize("metric", ["cosine", "manhattan"])
def test_each_metric_has_a_stored_graph_of_its_own(
    metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = nearest(IRIS.test.x, 12, metric)
    projections.graph(IRIS, 12)
    projections.graph(IRIS, 12, metric=metric)
    monkeypatch.setattr("aecore.projections.neighbor_graph.nearest", refuse)
    found = projections.graph(IRIS, 12, metric=metric)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.distances, expected.distances)
    assert not np.array_equal(projections.graph(IRIS, 12).distances, expected.distances)
    names = {path.name for path in projections.folder("iris", IRIS.fingerprint).iterdir()}
    assert names == {"neighbors.safetensors", f"neighbors-{metric}.safetensors"}


@pytest.mark.parametrize("kind", [TSNEProjection, UMAPProjection])
def test_another_metric_gives_another_map(kind: type[Projection]) -> None:
    settings = kind.defaults(IRIS.n_test)
    first, other = (
        kind(**settings, metric=metric).place(IRIS, ignore) for metric in ("euclidean", "cosine")
    )
    assert not np.allclose(first, other, atol=1e-3)


def test_the_fuzzy_graph_is_umap_learns() -> None:
    from umap.umap_ import fuzzy_simplicial_set

    twins = np.vstack([IRIS.test.x, IRIS.test.x[:9], np.repeat(IRIS.test.x[:1], 12, axis=0)])
    for x in (IRIS.test.x, twins):
        neighbors = nearest(x, 9)
        own = np.arange(len(x))[:, None]
        expected, _, _ = fuzzy_simplicial_set(
            x,
            10,
            None,
            "euclidean",
            knn_indices=np.hstack([own, neighbors.indices]),
            knn_dists=np.hstack([np.zeros((len(x), 1), np.float32), neighbors.distances]),
        )
        found = projections.fuzzy_graph(neighbors).toarray()
        np.testing.assert_allclose(found, expected.toarray(), atol=1e-4)


def test_umap_counts_a_sample_among_its_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Neighbors] = []

    def stop(neighbors: Neighbors) -> None:
        seen.append(neighbors)
        raise Cancelled

    monkeypatch.setattr("aecore.projections.umap.fuzzy_graph", stop)
    with pytest.raises(Cancelled):
        UMAPProjection(n_neighbors=10, metric="cosine").place(IRIS, ignore)
    expected = nearest(IRIS.test.x, 9, "cosine")
    np.testing.assert_array_equal(seen[0].indices, expected.indices)
    np.testing.assert_array_equal(seen[0].distances, expected.distances)


@pytest.mark.parametrize("name", PROJECTIONS)
@pytest.mark.parametrize("split", ["train", "all"])
def test_every_projection_shows_other_samples_in_a_folder_of_their_own(
    name: str, split: str
) -> None:
    subset, kind = Subset(split=split, limit=60), PROJECTIONS[name]
    projection = kind(**kind.defaults(60))
    found = projections.compute(IRIS, projection, subset=subset)
    assert found.plane.shape == (60, 2) and np.isfinite(found.plane).all()
    assert projections.map_artifact("iris", IRIS.fingerprint, projection).load() is None
    again = projections.map_artifact("iris", IRIS.fingerprint, projection, subset).load()
    np.testing.assert_array_equal(found.plane, again.plane)
    place = projections.folder("iris", IRIS.fingerprint)
    assert projections.folder("iris", IRIS.fingerprint, subset) == place / subset.key


def test_the_whole_test_split_has_one_folder_however_it_is_asked_for() -> None:
    place = projections.folder("iris", IRIS.fingerprint)
    for subset in (Subset(limit=50), Subset(limit=99, seed=3)):
        assert projections.folder("iris", IRIS.fingerprint, subset) == place
    assert projections.folder("iris", IRIS.fingerprint, Subset(limit=49)) != place


def test_pca_of_a_subset_is_fitted_on_the_training_split() -> None:
    subset = Subset(split="all", limit=70)
    plane = PCAProjection().place(IRIS, ignore, subset)
    x = np.vstack([IRIS.test.x, IRIS.train.x])[subset.rows(IRIS)]
    expected = PCA(2, svd_solver="full").fit(IRIS.train.x).transform(x)
    np.testing.assert_allclose(np.abs(plane), np.abs(expected), atol=1e-4)


# --- How good a map is --------------------------------------------------------------------------


def test_only_test_samples_are_measured_where_there_are_any() -> None:
    subset = Subset(split="all", limit=120)
    rows = subset.rows(IRIS)
    plane = np.random.default_rng(0).normal(size=(120, 2))
    facts, each = projections.measure(IRIS, subset, plane)
    test = rows < 50
    x, labels = IRIS.test.x[rows[test]], IRIS.test.labels[rows[test]]
    expected = metrics.preservation(x, plane[test])
    for name, values in expected._asdict().items():
        np.testing.assert_allclose(each[name][test], values, rtol=1e-6)
        assert np.isnan(each[name][~test]).all()
        assert facts[name] == pytest.approx(values.mean())
    assert facts["knn_accuracy"] == metrics.knn_accuracy(plane[test], labels)
    assert "knn_balanced" not in facts  # its classes are as large as each other, about
    assert facts["spearman"] == metrics.spearman(x, plane[test])
    assert facts["silhouette"] == metrics.silhouette(plane[test], labels)
    assert facts["measured"] == test.sum()


def test_of_training_samples_all_are_measured() -> None:
    subset = Subset(split="train", limit=80)
    plane = np.random.default_rng(0).normal(size=(80, 2))
    facts, each = projections.measure(IRIS, subset, plane)
    assert facts["measured"] == 80
    assert np.isfinite(each["trustworthiness"]).all()


def test_of_very_many_samples_a_choice_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aecore.projections.maps.MEASURED", 30)
    facts, each = projections.measure(IRIS, Subset(), IRIS.test.x[:, :2])
    assert facts["measured"] == 30 == np.isfinite(each["continuity"]).sum()


def test_a_map_with_coordinates_that_are_not_finite_is_a_fault() -> None:
    plane = np.zeros((50, 2))
    plane[7] = np.inf
    with pytest.raises(InvalidRequest, match="not finite"):
        projections.measure(IRIS, Subset(), plane)


RANDOM = np.random.default_rng(0)
FEW = {f"{n} samples": RANDOM.normal(size=(n, 4)) for n in (1, 2, 3, 7, 24, 25)}
ODD = {
    "constant": np.ones((30, 4)),
    "one feature varies": np.hstack([RANDOM.normal(size=(30, 1)), np.ones((30, 3))]),
    "one feature": RANDOM.normal(size=(30, 1)),
    "twins": np.repeat(RANDOM.normal(size=(10, 4)), 4, axis=0),
}


@pytest.mark.parametrize("name", PROJECTIONS)
@pytest.mark.parametrize("what", [*FEW, *ODD])
def test_odd_data_give_figures_or_a_fault(what: str, name: str) -> None:
    x = (FEW | ODD)[what].astype(np.float32)
    odd = IRIS.derived(
        lambda split: Samples(x.copy(), np.zeros(len(x), np.int64)),
        name="odd",
        shape=(x.shape[1],),
        n_train=len(x),
        n_test=len(x),
        feature_names=(),
    )
    projection = small(PROJECTIONS[name], odd)
    if projection.problems(len(x)):
        with pytest.raises(InvalidRequest, match="at least"):
            projections.compute(odd, projection)
        return
    found = projections.compute(odd, projection)
    assert found.plane.shape == (len(x), 2)
    assert np.isfinite(found.plane).all()
    assert found.metrics["silhouette"] is None  # of one class
    measurable = len(x) >= 25
    for key in ("trustworthiness", "continuity"):
        assert (found.metrics[key] is not None) == measurable
        assert np.isfinite(getattr(found, key)).all() == measurable
    if what != "constant" and name == "tsne":
        assert np.ptp(found.plane) > 0.1, "drawn into one point"


@pytest.mark.parametrize("name", ["digits", "mnist", "shapes"])
@pytest.mark.parametrize("projection", [PCAProjection(), TSNEProjection(), UMAPProjection()])
def test_the_shipped_maps_are_found(
    name: str, projection: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = Path(__file__).parents[2] / "models_store"
    monkeypatch.setenv("AECORE_STORE", str(shipped))
    (folder,) = (shipped / "_maps").glob(f"{name}-*")
    found = projections.map_artifact(name, folder.name.removeprefix(f"{name}-"), projection).load()
    assert found is not None and len(found.plane) == data.get(name).n_test
    assert found.metrics["trustworthiness"] == pytest.approx(found.trustworthiness.mean())


def test_of_imbalanced_classes_the_accuracy_is_balanced_too() -> None:
    """A class of few samples in the midst of the other, which the plain figure does not show."""
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], [90, 10])
    x = random.normal(size=(100, 4)).astype(np.float32)
    dataset = IRIS.derived(lambda split: Samples(x, labels), n_train=100, n_test=100)
    facts, _ = projections.measure(dataset, Subset(), x[:, :2])
    assert facts["knn_accuracy"] == pytest.approx(0.9, abs=0.05)
    assert facts["knn_balanced"] == pytest.approx(0.5, abs=0.1)


def test_components_of_a_large_split_are_those_of_scikit_learn() -> None:
    digits = data.get("digits")
    whole = projections.components(digits)
    chunks = projections.pca._fitted_in_chunks(digits.train.x)
    np.testing.assert_allclose(chunks.mean, whole.mean, atol=1e-6)
    # Of pixels that are always 0 any direction is a component.
    np.testing.assert_allclose(chunks.components[:40], whole.components[:40], atol=2e-4)
