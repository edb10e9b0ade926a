"""Quality measures of maps, reconstructions and generated samples; pure functions of arrays."""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import AfterValidator, FiniteFloat

from aecore import neighbors
from aecore.artifacts import ROUNDING

CHUNK = 250
IMBALANCED = 1.5
"""Ratio of the largest class to the smallest above which figures are balanced, too."""
ACTIVE = 0.01
"""The variance of a unit in use."""


def mean_squared_error(x: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
    """Mean over the features of (x - reconstruction)^2, one value per sample.

    Arguments
        x, reconstruction: (n, n_features), in the same units.
    """
    return np.square(x - reconstruction).mean(axis=1)


class Preservation(NamedTuple):
    """Trustworthiness and continuity of each sample on a map, 1 at best."""

    trustworthiness: np.ndarray
    """(n,) float64; low where neighbours on the map are far apart in the data."""
    continuity: np.ndarray
    """(n,) float64; low where neighbours in the data are far apart on the map."""


def preservation(x: np.ndarray, plane: np.ndarray, k: int = 12) -> Preservation:
    """Trustworthiness and continuity of each sample.

    T_i = 1 - 2 / (k (2n - 3k - 1)) sum_{j in U_i} (r(i, j) - k), where U_i are the k nearest
    samples of i on the map and r(i, j) >= 1 is the rank of j among the samples nearest to i in the
    data, counted only where r > k; continuity is the same with data and map exchanged (Venna &
    Kaski 2001). Of samples at one distance all have the smallest of their ranks.

    Arguments
        x: (n, n_features) the data, Euclidean.
        plane: (n, d) the map of the same samples.
        k: neighbours; less than n / 2.

    Raises `ValueError` where k is too large for n.
    """
    n = len(x)
    if not 1 <= k < n / 2:
        raise ValueError(f"k = {k} must be at least 1 and less than half of the {n} samples.")
    from threadpoolctl import threadpool_limits

    in_data, on_map = _Distances(x), _Distances(plane)
    all_near_on_map = neighbors.nearest(plane, k).indices  # by a tree, as maps have few dimensions

    def penalties(start: int) -> tuple[np.ndarray, np.ndarray]:
        data, drawn = in_data.rows(start), on_map.rows(start)
        near_on_map = all_near_on_map[start : start + CHUNK]
        near_in_data = np.argpartition(data, k)[:, :k]
        to_near_on_map = np.take_along_axis(data, near_on_map, axis=1)
        to_near_in_data = np.take_along_axis(drawn, near_in_data, axis=1)
        # Sorted rows give every rank by bisection, faster than counting for each neighbour.
        return _excess(data, to_near_on_map, k), _excess(drawn, to_near_in_data, k)

    # NumPy releases the GIL here; BLAS is limited to one thread to avoid oversubscription.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = list(pool.map(penalties, range(0, n, CHUNK)))
    most = k * (2 * n - 3 * k - 1) / 2
    return Preservation(*(1 - np.concatenate(part) / most for part in zip(*parts, strict=True)))


class _Distances:
    """Squared Euclidean distances within `x`, computed in chunks of rows."""

    def __init__(self, x: np.ndarray) -> None:
        # Near points of a wide map differ by less than their norms can show.
        self.direct = x.shape[1] <= 3
        # Far from the origin, rounding of the squares would exceed the differences.
        self.x = x if self.direct else x - x.mean(axis=0)
        self.norms = np.einsum("ij,ij->i", self.x, self.x)

    def rows(self, start: int) -> np.ndarray:
        """Distances of a chunk to all samples, up to a constant in each row; inf to itself."""
        own = self.x[start : start + CHUNK]
        if self.direct:
            distances = sum(np.square(own[:, i, None] - each) for i, each in enumerate(self.x.T))
        else:
            distances = (-2 * own) @ self.x.T
            distances += self.norms
        each = np.arange(len(own))
        distances[each, start + each] = np.inf
        return distances


def _excess(distances: np.ndarray, to_near: np.ndarray, k: int) -> np.ndarray:
    """Excess of the ranks of near samples over k, summed in each row; sorts `distances`."""
    distances.sort(axis=1)
    pairs = zip(distances, to_near, strict=True)
    before = np.stack([row.searchsorted(near) for row, near in pairs])
    return np.maximum(before + 1 - k, 0).sum(axis=1)


def trustworthiness(x: np.ndarray, embedding: np.ndarray, k: int = 12) -> float:
    """Trustworthiness of a map: how far its neighbours are neighbours in the data, 1 at best.

    The mean of T_i of `preservation` over all samples.
    """
    return float(preservation(x, embedding, k).trustworthiness.mean())


def spearman(x: np.ndarray, plane: np.ndarray, n: int = 1_000, seed: int = 0) -> float | None:
    """Spearman rank correlation of the pairwise distances in the data and on the map.

    Spearman's rho over all pairs among n samples, drawn with `seed` where there are more. None
    where it is not defined: with fewer than 3 samples, or where all distances are equal.

    Arguments
        x: (m, n_features); plane: (m, d) the map of the same samples. Both Euclidean.
    """
    from scipy.spatial.distance import pdist
    from scipy.stats import spearmanr

    chosen = subsample(len(x), n, seed)
    if len(chosen) < 3:
        return None
    in_data, on_map = pdist(x[chosen]), pdist(plane[chosen])
    if not (np.ptp(in_data) and np.ptp(on_map)):
        return None
    return float(spearmanr(in_data, on_map).statistic)


def silhouette(
    plane: np.ndarray, labels: np.ndarray, n: int = 2_000, seed: int = 0
) -> float | None:
    """Silhouette score: separation of the classes on the map, from -1 to 1.

    The mean of (b - a) / max(a, b), where a is the mean distance of a sample to its own class and b
    that to the nearest other class (Rousseeuw 1987), over n samples, drawn with `seed` where there
    are more. None where they are all of one class, or each of its own.

    Arguments
        plane: (m, d).
        labels: (m,) class numbers.
    """
    chosen = subsample(len(plane), n, seed)
    if not 2 <= len(np.unique(labels[chosen])) < len(chosen):
        return None
    from sklearn.metrics import silhouette_score

    return float(silhouette_score(plane[chosen], labels[chosen]))


def subsample(m: int, n: int, seed: int = 0) -> np.ndarray:
    """Draw a sorted random subset of indices: n of m samples, or all if m is not larger."""
    return np.sort(np.random.default_rng(seed).choice(m, min(m, n), replace=False))


def active_units(codes: np.ndarray) -> int:
    """Number of active units: dimensions of a code with a variance above 0.01 over the samples.

    Of a VAE's means, sum_j [Var_x(mu_j(x)) > 0.01] (Burda, Grosse & Salakhutdinov 2016).

    Arguments
        codes: (n, latent_dim).
    """
    return int((codes.var(axis=0) > ACTIVE).sum())


def knn_accuracy(embedding: np.ndarray, labels: np.ndarray, k: int = 10) -> float:
    """k-NN accuracy: share of samples whose label is the most frequent among their k nearest.

    The sample itself is left out; a tie goes to the smallest label.

    Arguments
        embedding: (n, d).
        labels: (n,) class numbers, integers from 0.
        k: neighbours, less than n.
    """
    return float(knn_agreement(embedding, labels, k).mean())


def knn_agreement(embedding: np.ndarray, labels: np.ndarray, k: int = 10) -> np.ndarray:
    """Whether the label of each sample is the most frequent among its k nearest, (n,) bool.

    Arguments as of `knn_accuracy`, which is its mean; its mean by class is balanced accuracy.
    """
    votes = labels[neighbors.nearest(embedding, k).indices]
    counts = (votes[:, :, None] == np.arange(labels.max() + 1)).sum(axis=1)
    return counts.argmax(axis=1) == labels


def is_imbalanced(labels: np.ndarray) -> bool:
    """Whether the largest of the classes that occur has over 1.5 times the samples of the smallest.

    Arguments
        labels: (n,) class numbers, integers from 0.
    """
    counts = np.unique(labels, return_counts=True)[1]
    return len(counts) > 1 and bool(counts.max() > IMBALANCED * counts.min())


def balanced(values: np.ndarray, labels: np.ndarray) -> float:
    """Balanced mean: the mean of the values of each class, and of these means, each counting once.

    1/C sum_c 1/n_c sum_{i in c} values_i; of hits and misses it is the balanced accuracy
    (Brodersen et al. 2010).

    Arguments
        values: (n,), one for each sample.
        labels: (n,) class numbers, integers from 0; classes that do not occur are left out.
    """
    _, of_class, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return float((np.bincount(of_class, values) / counts).mean())


def psnr(x: np.ndarray, reconstruction: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(1 / MSE) of each image, and the mean of these.

    Arguments
        x, reconstruction: (n, n_features), where the data lie in [0, 1].
    """
    errors = mean_squared_error(x.astype(np.float64), reconstruction)
    return float((-10 * np.log10(np.maximum(errors, 1e-12))).mean())


# --- Generated samples --------------------------------------------------------------------------


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Squared Fréchet distance between Gaussians fitted to two sets of vectors.

    ||m_a - m_b||^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)), with means m and covariances S: the squared
    Wasserstein-2 distance (Dowson & Landau 1982), which Heusel et al. (2017) take between codes of
    real and of generated images.

    Arguments
        a, b: (n, d) and (m, d), in the same units; n and m may be less than d, but not than 2.

    Raises `ValueError` where a set has fewer than two vectors and so no covariance.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError(f"A covariance needs two vectors or more, and got {len(a)} and {len(b)}.")
    away = a.mean(axis=0, dtype=np.float64) - b.mean(axis=0, dtype=np.float64)
    root_a, root_b = _covariance_root(a), _covariance_root(b)
    # With S = R^T R, the eigenvalues of S_a S_b are the squared singular values of R_a R_b^T: so
    # the root is found without squaring anything, and holds where covariances are singular.
    overlap = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    distance = away @ away + np.square(root_a).sum() + np.square(root_b).sum() - 2 * overlap
    return max(float(distance), 0.0)


def _covariance_root(x: np.ndarray) -> np.ndarray:
    """R with R^T R = S, the unbiased covariance of vectors (n, d), (min(n, d), d)."""
    centred = x - x.mean(axis=0, dtype=np.float64)
    return np.linalg.qr(centred, mode="r") / np.sqrt(len(x) - 1)


def nearest_distance(x: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Root-mean-square difference per feature of each sample to its nearest reference, (n,).

    min_j ||x_i - reference_j|| / sqrt(n_features), by exact search.

    Arguments
        x: (n, n_features); known: (m, n_features), in the same units.
    """
    return _to_nearest(x, reference) / np.sqrt(x.shape[1])


def coverage(real: np.ndarray, generated: np.ndarray, k: int = 5) -> float:
    """Coverage: share of real samples with a generated one within their k-th real neighbour.

    1/n sum_i [min_j ||real_i - generated_j|| <= NND_k(real_i)], where NND_k is the distance to the
    k-th nearest other real sample (Naeem, Oh, Uh, Choi & Yoo 2020, Reliable fidelity and diversity
    metrics for generative models). As many samples of the same distribution reach about 1 - 2^-k.

    Arguments
        real: (n, n_features); made: (m, n_features), in the same units.
        k: neighbours, less than n.

    Raises `ValueError` where k is not less than n.
    """
    reach = neighbors.nearest(real, k).distances[:, -1]
    return float((_to_nearest(real, generated).astype(np.float32) <= reach).mean())


def _to_nearest(x: np.ndarray, reference: np.ndarray) -> np.ndarray:
    from sklearn.neighbors import NearestNeighbors

    return NearestNeighbors(n_neighbors=1).fit(reference).kneighbors(x)[0][:, 0]


class Definition(NamedTuple):
    """Name, title and formula of a metric, for pages and documentation."""

    title: str
    text: str


DEFINITIONS = {
    "trustworthiness": Definition(
        "Trustworthiness",
        "1 - 2 / (n k (2n - 3k - 1)) times the sum, over each sample's k = 12 nearest on the "
        "map that are not among its k nearest in the data, of their rank there minus k. 1: no"
        " false neighbours; about 0.5: chance (Venna & Kaski 2001).",
    ),
    "continuity": Definition(
        "Continuity",
        "Trustworthiness with map and data exchanged: 1 where no neighbours in the data are torn "
        "apart on the map (Venna & Kaski 2001).",
    ),
    "knn_accuracy": Definition(
        "10-NN accuracy",
        "Share of samples whose label is the commonest among their ten nearest on the map, "
        "themselves left out. Empty where labels are positions.",
    ),
    "knn_balanced": Definition(
        "10-NN, balanced",
        "Mean over the classes of the 10-NN accuracy within each, so that a rare class counts as "
        "much as a common one (balanced accuracy, Brodersen et al. 2010). Measured where the "
        "largest class has over 1.5 times the samples of the smallest.",
    ),
    "spearman": Definition(
        "Spearman",
        "Rank correlation of all distances between 1,000 samples (seed 0) in the data and on "
        "the map: how far large distances can be read. 1: the same order.",
    ),
    "silhouette": Definition(
        "Silhouette",
        "Mean of (b - a) / max(a, b) over 2,000 samples (seed 0): a is the mean distance to "
        "the own class, b to the nearest other. 1: apart, 0: touching, below: mixed "
        "(Rousseeuw 1987).",
    ),
    "test_mse": Definition(
        "Test MSE",
        "Mean squared error per feature of reconstructing the test split; t-SNE and UMAP "
        "cannot reconstruct.",
    ),
    "negative_elbo": Definition(
        "Negative ELBO",
        "Cross-entropy plus KL divergence, both summed, in nats a test sample, from one draw "
        "of each posterior. Only for variational models with a Bernoulli likelihood.",
    ),
    "active_units": Definition(
        "Active units",
        "Dimensions of the code whose value varies by more than 0.01 over the test split "
        "(Burda, Grosse & Salakhutdinov 2016).",
    ),
}
"""Figures of a map or a run, on the test split, by their names in a manifest."""


MetricName = Literal[
    "test_mse",
    "test_squared_error",
    "test_loss",
    "pca_mse",
    "trustworthiness",
    "continuity",
    "knn_accuracy",
    "knn_balanced",
    "spearman",
    "silhouette",
    "measured",
]
RANGES: dict[MetricName, tuple[float, float]] = {
    **dict.fromkeys(("test_mse", "test_squared_error", "pca_mse", "measured"), (0, math.inf)),
    **dict.fromkeys(("trustworthiness", "continuity", "knn_accuracy", "knn_balanced"), (0, 1)),
    **dict.fromkeys(("spearman", "silhouette"), (-1, 1)),
}
"""Bounds of each metric; a loss has none."""


def possible(metrics: dict[MetricName, float | None]) -> dict[MetricName, float | None]:
    """Return the metrics; raises `ValueError` if one is outside of its range."""
    for name, value in metrics.items():
        low, high = RANGES.get(name, (-math.inf, math.inf))
        if value is not None and not low - ROUNDING <= value <= high + ROUNDING:
            raise ValueError(f"{name} = {value:g} is outside of {low:g} to {high:g}")
    return metrics


Metrics = Annotated[dict[MetricName, FiniteFloat | None], AfterValidator(possible)]
"""Metrics of a run or a map as they are stored, each within its range."""
