"""Map metrics against scikit-learn's, and image metrics against scikit-image's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist
from scipy.stats import rankdata
from skimage.metrics import peak_signal_noise_ratio
from sklearn import manifold
from sklearn.metrics import mean_squared_error, silhouette_samples
from sklearn.neighbors import KNeighborsClassifier

from aecore import metrics

RANDOM = np.random.default_rng(0)


def points(n: int, d: int) -> np.ndarray:
    return np.random.default_rng(n + d).normal(size=(n, d))


@pytest.mark.parametrize(
    ("n", "d", "k"), [(30, 2, 1), (60, 5, 12), (200, 20, 5), (200, 3, 99), (700, 10, 12)]
)
def test_trustworthiness_is_scikit_learns(n: int, d: int, k: int) -> None:
    x = points(n, d)
    for embedding in (x[:, :2] ** 3, points(n, 2), x @ points(d, 2), x[:, :1]):
        expected = manifold.trustworthiness(x, embedding, n_neighbors=k)
        assert metrics.trustworthiness(x, embedding, k) == pytest.approx(expected, abs=1e-6)


def test_trustworthiness_of_single_precision_is_the_same() -> None:
    x, embedding = points(300, 10).astype(np.float32), points(300, 2)
    expected = metrics.trustworthiness(x.astype(np.float64), embedding)
    assert metrics.trustworthiness(x, embedding) == pytest.approx(expected, abs=1e-5)
    beside = (x + 10).astype(np.float32)
    assert metrics.trustworthiness(beside, embedding) == pytest.approx(expected, abs=1e-4)


def test_trustworthiness_of_the_data_themselves_is_one() -> None:
    x = points(100, 4)
    assert metrics.trustworthiness(x, x) == 1
    assert metrics.trustworthiness(x, 5 - 3 * x) == 1


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, embedding = points(101, 4), points(101, 2)
    whole = metrics.trustworthiness(x, embedding)
    monkeypatch.setattr(metrics, "CHUNK", 7)
    assert metrics.trustworthiness(x, embedding) == whole


@pytest.mark.parametrize(("n", "d", "k"), [(30, 2, 1), (60, 5, 12), (90, 20, 30)])
def test_preservation_is_that_of_a_loop_over_samples(n: int, d: int, k: int) -> None:
    x, plane = points(n, d), points(n, 2)
    found = metrics.preservation(x, plane, k)
    for values, of, by in ((found.trustworthiness, x, plane), (found.continuity, plane, x)):
        assert values.shape == (n,) and values.dtype == np.float64
        for i in range(n):
            in_order, drawn = (np.argsort(np.linalg.norm(y - y[i], axis=1)) for y in (of, by))
            ranks = np.argsort(in_order)  # the sample itself has rank 0
            penalty = sum(max(ranks[j] - k, 0) for j in drawn[1 : k + 1])
            assert values[i] == pytest.approx(1 - 2 * penalty / (k * (2 * n - 3 * k - 1)))
        assert values.mean() == pytest.approx(manifold.trustworthiness(of, by, n_neighbors=k))


def test_continuity_is_trustworthiness_the_other_way_round() -> None:
    x, plane = points(80, 6), points(80, 2)
    there, back = metrics.preservation(x, plane), metrics.preservation(plane, x)
    np.testing.assert_array_equal(there.continuity, back.trustworthiness)
    np.testing.assert_array_equal(there.trustworthiness, back.continuity)
    assert metrics.trustworthiness(x, plane) == there.trustworthiness.mean()


@pytest.mark.parametrize("d", [2, 20])
def test_preservation_stays_within_bounds_among_twins_and_of_the_worst_map(d: int) -> None:
    twins, line = np.repeat(points(10, d), 5, axis=0), np.arange(50.0)[:, None]
    folded = np.where(line % 2, line + 1000, line)
    for x, plane in ((twins, points(50, 2)), (np.ones((50, d)), points(50, 2)), (line, folded)):
        for values in (*metrics.preservation(x, plane), *metrics.preservation(plane, x)):
            assert ((values >= 0) & (values <= 1)).all()
    assert metrics.trustworthiness(np.ones((50, d)), points(50, 2)) == 1  # all are equally near


def test_close_points_of_a_wide_map_are_told_apart() -> None:
    plane = (points(100, 2) * 0.1 + [300, -200]).astype(np.float32)
    plane = np.vstack([plane, plane - 600])
    expected = manifold.trustworthiness(points(200, 3), plane.astype(np.float64), n_neighbors=12)
    assert metrics.trustworthiness(points(200, 3), plane) == pytest.approx(expected, abs=1e-4)


def test_spearman_is_the_correlation_of_the_ranks_of_all_distances() -> None:
    x, plane = points(40, 5), points(40, 2)
    pairs = np.triu_indices(40, 1)
    ranks = [
        rankdata(np.linalg.norm(y[:, None] - y[None], axis=2)[pairs]) for y in (x, plane + x[:, :2])
    ]
    expected = np.corrcoef(*ranks)[0, 1]
    assert 0.2 < expected < 0.9
    assert metrics.spearman(x, plane + x[:, :2]) == pytest.approx(expected)
    assert metrics.spearman(x, 3 - 7 * x) == pytest.approx(1)
    some = metrics.spearman(x, plane, n=20, seed=1)
    assert some == metrics.spearman(x, plane, n=20, seed=1) != metrics.spearman(x, plane, n=20)


def test_spearman_is_none_where_it_is_not_defined() -> None:
    assert metrics.spearman(points(2, 3), points(2, 2)) is None
    assert metrics.spearman(points(9, 3), np.ones((9, 2))) is None
    assert metrics.spearman(np.ones((9, 3)), points(9, 2)) is None


def test_silhouette_is_the_mean_over_the_samples() -> None:
    plane, labels = points(60, 2), np.arange(60) % 3
    plane[labels == 1] += 5
    expected = silhouette_samples(plane, labels).mean()
    assert metrics.silhouette(plane, labels) == pytest.approx(expected)
    some = metrics.silhouette(plane, labels, n=20, seed=1)
    assert some == metrics.silhouette(plane, labels, n=20, seed=1) != expected


@pytest.mark.parametrize("labels", [np.zeros(9, int), np.arange(9)])
def test_silhouette_is_none_of_one_class_and_of_single_samples(labels: np.ndarray) -> None:
    assert metrics.silhouette(points(9, 2), labels) is None


def test_active_units_are_those_that_vary() -> None:
    codes = np.array([[5, 0.2, 0, -1], [5, 0, 0.19, 1]])  # variances 0, 0.01, 0.009, 1
    assert metrics.active_units(codes * [1, 1.01, 1, 1]) == 2
    assert metrics.active_units(np.zeros((3, 4))) == 0


@pytest.mark.parametrize("k", [0, 10, 11])
def test_too_many_neighbours_are_refused(k: int) -> None:
    with pytest.raises(ValueError, match=f"k = {k} must be at least 1 and less than half"):
        metrics.trustworthiness(points(20, 3), points(20, 2), k)


@pytest.mark.parametrize(("n", "d", "k"), [(40, 2, 1), (150, 2, 10), (150, 20, 4)])
def test_knn_accuracy_is_scikit_learns_leaving_one_out(n: int, d: int, k: int) -> None:
    embedding = points(n, d)
    labels = (embedding[:, 0] * 2 + RANDOM.normal(size=n)).round().astype(int)
    labels -= labels.min()
    # Asked for no sample in particular, it predicts each from the others.
    predicted = KNeighborsClassifier(k).fit(embedding, labels).predict(None)
    expected = (predicted == labels).mean()
    assert 0.1 < expected < 0.9
    assert metrics.knn_accuracy(embedding, labels, k) == pytest.approx(expected)


def test_a_tie_goes_to_the_smallest_label() -> None:
    embedding = np.array([[0.0], [1.0], [-1.1], [10.0], [10.5]])
    # The first point has one neighbour of class 2 and one of class 1.
    labels = np.array([1, 2, 1, 0, 0])
    assert metrics.knn_accuracy(embedding[:3], labels[:3], k=2) == pytest.approx(2 / 3)
    assert metrics.knn_accuracy(embedding, labels, k=1) == pytest.approx(3 / 5)


@pytest.mark.parametrize("counts", [(90, 9, 1), (60, 40), (30, 30, 30)])
def test_the_balanced_accuracy_is_scikit_learns(counts: tuple[int, ...]) -> None:
    from sklearn.metrics import balanced_accuracy_score

    labels = np.repeat(np.arange(len(counts)) * 2, counts)  # of which some do not occur
    embedding = points(len(labels), 2) + labels[:, None] / 4
    predicted = KNeighborsClassifier(5).fit(embedding, labels).predict(None)
    agreement = metrics.knn_agreement(embedding, labels, 5)
    expected = balanced_accuracy_score(labels, predicted)
    assert metrics.balanced(agreement, labels) == pytest.approx(expected)
    assert agreement.mean() == metrics.knn_accuracy(embedding, labels, 5)


@pytest.mark.parametrize(
    ("counts", "said"),
    [((3, 2), False), ((31, 20), True), ((10,), False), ((5, 0, 5), False), ((5, 0, 3), True)],
)
def test_classes_are_imbalanced_from_a_ratio_of_one_and_a_half(
    counts: tuple[int, ...], said: bool
) -> None:
    assert metrics.is_imbalanced(np.repeat(np.arange(len(counts)), counts)) is said


def test_mean_squared_error_is_one_value_a_sample() -> None:
    x, other = points(8, 5), points(8, 5) + 1
    expected = mean_squared_error(x.T, other.T, multioutput="raw_values")
    np.testing.assert_allclose(metrics.mean_squared_error(x, other), expected)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_psnr_is_the_mean_of_scikit_images(kind: type) -> None:
    random = np.random.default_rng(0)
    x = random.random((9, 12)).astype(kind)
    # Noise of another strength for each image, so that their mean is not that of one error.
    noise = np.linspace(0.01, 1, 9)[:, None] * random.normal(size=(9, 12))
    reconstruction = (x + noise).astype(kind)
    expected = [
        peak_signal_noise_ratio(image.reshape(3, 4), other.reshape(3, 4), data_range=1)
        for image, other in zip(x, reconstruction, strict=True)
    ]
    assert metrics.psnr(x, reconstruction) == pytest.approx(np.mean(expected), rel=1e-5)
    whole = peak_signal_noise_ratio(x, reconstruction, data_range=1)
    assert abs(metrics.psnr(x, reconstruction) - whole) > 1


def test_psnr_of_identical_images_is_finite_and_above_any_other() -> None:
    x = np.random.default_rng(0).random((5, 16)).astype(np.float32)
    same = metrics.psnr(x, x.copy())
    assert np.isfinite(same)
    assert same > metrics.psnr(x, x + np.float32(1e-5)) > 90


def test_psnr_of_a_single_step_in_eight_bits_is_known() -> None:
    x = np.zeros((2, 16), np.float32)
    assert metrics.psnr(x, x + 1 / 255) == pytest.approx(20 * np.log10(255), rel=1e-5)


@pytest.mark.parametrize(("n", "m", "d"), [(50, 80, 3), (300, 200, 20), (1000, 900, 64)])
def test_frechet_is_its_formula_with_scipys_root(n: int, m: int, d: int) -> None:
    a, b = points(n, d) @ points(d, d), 2 * points(m, d) + 1
    s_a, s_b = np.cov(a.T), np.cov(b.T)
    away = np.square(a.mean(axis=0) - b.mean(axis=0)).sum()
    expected = away + np.trace(s_a + s_b - 2 * sqrtm(s_a @ s_b).real)
    assert metrics.frechet(a, b) == pytest.approx(expected, rel=1e-8)
    assert metrics.frechet(b, a) == pytest.approx(expected, rel=1e-8)
    single = metrics.frechet(a.astype(np.float32), b.astype(np.float32))
    assert single == pytest.approx(expected, rel=1e-4)


def test_frechet_has_known_values() -> None:
    x = points(200, 10)
    assert metrics.frechet(x, x) == pytest.approx(0, abs=1e-6)
    shift = np.arange(10)
    assert metrics.frechet(x, x + shift) == pytest.approx(np.square(shift).sum())
    # Between N(0, S) and N(0, 9 S): tr(S) (1 - 3)^2.
    centred = x - x.mean(axis=0)
    assert metrics.frechet(centred, 3 * centred) == pytest.approx(4 * np.trace(np.cov(x.T)))


@pytest.mark.parametrize("n", [2, 5, 40])
def test_frechet_of_singular_covariances_is_finite_and_not_negative(n: int) -> None:
    few, flat = points(n, 20), points(300, 3) @ points(3, 20)
    for a, b in ((few, flat), (flat, few), (few, few), (few, np.ones((9, 20)))):
        found = metrics.frechet(a, b)
        assert np.isfinite(found) and found >= 0
    assert metrics.frechet(few, few) < 1e-6 < metrics.frechet(few, flat)
    with pytest.raises(ValueError, match="got 1 and 300"):
        metrics.frechet(few[:1], flat)


@pytest.mark.parametrize("d", [2, 40])
def test_nearest_distance_is_that_of_all_pairs(d: int) -> None:
    x, known = points(60, d).astype(np.float32), points(90, d).astype(np.float32)
    expected = np.sqrt(cdist(x, known, "sqeuclidean").min(axis=1) / d)
    np.testing.assert_allclose(metrics.nearest_distance(x, known), expected, rtol=1e-5)
    off_by_a_tenth = metrics.nearest_distance(known + 0.1, known[:1])[:1]
    np.testing.assert_allclose(off_by_a_tenth, 0.1, rtol=1e-5)


@pytest.mark.parametrize(("d", "k"), [(2, 1), (2, 5), (40, 5)])
def test_coverage_is_that_of_all_pairs(d: int, k: int) -> None:
    real, made = points(80, d), points(60, d) + 0.5
    reach = np.sort(cdist(real, real), axis=1)[:, k]  # the sample itself comes first
    expected = (cdist(real, made).min(axis=1) <= reach).mean()
    assert 0.05 < expected < 0.95
    assert metrics.coverage(real, made, k) == expected


def test_coverage_of_what_is_as_varied_and_of_what_is_not() -> None:
    real = points(400, 3)
    assert metrics.coverage(real, real) == 1
    assert metrics.coverage(real, np.zeros((400, 3))) < 0.1
    assert metrics.coverage(real, real + 100) == 0
    pairs = np.random.default_rng(0).normal(size=(20, 2, 400, 3))
    same = np.mean([metrics.coverage(*pair) for pair in pairs])
    assert same == pytest.approx(1 - 2**-5, abs=0.005)
