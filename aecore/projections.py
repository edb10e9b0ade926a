"""PCA, t-SNE and UMAP of a dataset's samples, each computed once and kept on disk.

What is shown is the test split unless another `Subset` is asked for. PCA is fitted on the training
split and applied to what is shown. t-SNE and UMAP place the samples themselves, from one exact
neighbour graph for each metric; they are fitted on what they show.

    models_store/_maps/<dataset>-<fingerprint>/<projection>.safetensors
                                               neighbors.safetensors
                                               components.safetensors
                                               <subset>/<projection>.safetensors
                                                        neighbors-cosine.safetensors
"""

from __future__ import annotations

import contextlib
import re
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from aecore import datasets, locations, metrics
from aecore.artifacts import SHARE, Array, Artifact
from aecore.datasets import TEST_SPLIT, Dataset, Subset
from aecore.errors import Faults, unknown
from aecore.neighbors import Metric, Neighbors, nearest
from aecore.progress import Progress, no_progress

GRAPH_NEIGHBORS = 90
"""What a perplexity of 30 asks for; larger perplexities and neighbourhoods search anew."""

MEASURED = 10_000
"""A map is measured on no more samples than this."""
NEIGHBORHOOD = 12
"""What trustworthiness and continuity look at; they need more than twice as many samples."""
VOTERS = 10
"""Neighbours that vote on a sample's label."""

CHUNK = 2_000
"""Samples that are worked on at a time."""

class PCA(NamedTuple):
    """Principal components of a training split (Pearson 1901; Hotelling 1933)."""

    mean: np.ndarray
    """(n_features,)."""
    components: np.ndarray
    """(min(n, n_features), n_features), orthonormal rows, largest variance first."""

    def encode(self, x: np.ndarray, k: int) -> np.ndarray:
        """The first k coordinates of samples: (x - mean) W_k^T, (n, k)."""
        return (x - self.mean) @ self.components[:k].T

    def reconstruct(self, x: np.ndarray, k: int) -> np.ndarray:
        """Samples projected onto the first k components: mean + (x - mean) W_k^T W_k."""
        return self.mean + self.encode(x, k) @ self.components[:k]

    def errors(self, x: np.ndarray, k: int) -> np.ndarray:
        """Mean over the features of the squared error of `reconstruct`, (n,).

        What k orthonormal directions W leave over: (|x - mean|^2 - |W (x - mean)|^2) / n_features.
        """
        parts = []
        for centred in self._centred(x):
            code = centred @ self.components[:k].T
            total = np.einsum("ij,ij->i", centred, centred)
            parts.append(total - np.einsum("ij,ij->i", code, code))
        return np.concatenate(parts).clip(0) / x.shape[1]

    def error_curve(self, x: np.ndarray, most: int) -> np.ndarray:
        """The mean of these errors with 0, 1, ... `most` components, (most + 1,)."""
        left = np.zeros(most + 1)
        for centred in self._centred(x):
            left += np.square(centred).sum()
            left[1:] -= np.square(centred @ self.components[:most].T).sum(axis=0).cumsum()
        return left.clip(0) / x.size

    def _centred(self, x: np.ndarray) -> Iterator[np.ndarray]:
        """x - mean in portions, so that a training split never stands in memory twice."""
        for start in range(0, len(x), CHUNK):
            yield x[start : start + CHUNK] - self.mean


class Projection(BaseModel, ABC):
    """Settings of one way to a two-dimensional map."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    title: ClassVar[str]
    source: ClassVar[str]

    @property
    def key(self) -> str:
        """The file name of the map that these settings give."""
        # Every digit counts: two settings must never share a file.
        settings = [f"{name}{value}".removesuffix(".0") for name, value in self]
        return "-".join([self.name, *settings]).replace("_", "")

    @classmethod
    def defaults(cls, n: int) -> dict[str, Any]:
        """The settings whose sensible default depends on the number of samples."""
        return {}

    def faults(self, n: int) -> list[str]:
        """What makes these settings impossible for n samples."""
        return []

    @abstractmethod
    def place(
        self, dataset: Dataset, progress: Progress, subset: Subset = TEST_SPLIT
    ) -> np.ndarray:
        """The map of the samples of `subset`, (n, 2)."""


class PCAProjection(Projection):
    """The plane of largest variance, fitted on the training split."""

    name = "pca"
    title = "PCA"
    source = "Hotelling (1933), Analysis of a complex of statistical variables into components"

    def place(
        self, dataset: Dataset, progress: Progress, subset: Subset = TEST_SPLIT
    ) -> np.ndarray:
        return _principal_plane(dataset, subset)


class TSNEProjection(Projection):
    """Neighbours in the data become neighbours on the map; distances between groups mean little."""

    name = "tsne"
    title = "t-SNE"
    source = "van der Maaten & Hinton (2008), Visualizing data using t-SNE"

    perplexity: float = Field(
        30, ge=2, le=200, description="About how many neighbours each sample attends to."
    )
    metric: Metric = Field(
        "euclidean", description="What counts as near in the data: distance, angle or sum of steps."
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Fixes the random numbers.")

    @classmethod
    def defaults(cls, n: int) -> dict[str, Any]:
        return {"perplexity": max(2, min(30, (n - 1) // 3))}

    def faults(self, n: int) -> list[str]:
        most = (n - 1) // 3
        if most < 2:
            return [f"t-SNE needs at least 7 samples: here are {n}."]
        if self.perplexity > most:
            return [f"perplexity = {self.perplexity:g} needs more samples: give at most {most}."]
        return []

    def place(
        self, dataset: Dataset, progress: Progress, subset: Subset = TEST_SPLIT
    ) -> np.ndarray:
        from openTSNE import TSNEEmbedding, affinity, nearest_neighbors

        n = subset.count(dataset)
        neighbors = graph(dataset, int(3 * self.perplexity), subset, self.metric)
        affinities = affinity.PerplexityBasedNN(
            perplexity=self.perplexity,
            knn_index=nearest_neighbors.PrecomputedNeighbors(*neighbors),
        )
        start = _start(_principal_plane(dataset, subset), size=1e-4, noise=0.01, seed=self.seed)
        embedding = TSNEEmbedding(
            start.copy(),
            affinities,
            # Interpolation on a grid (Linderman and others 2019) costs the same for few samples as
            # for many. A grid of half of the usual density took half of the time, and the maps of
            # MNIST were as trustworthy.
            negative_gradient_method="bh" if n < 5_000 else "fft",
            ints_in_interval=2,
            # Threads that wait for each other cost small data more than they save.
            n_jobs=-1 if n >= 5_000 else 1,
            random_state=self.seed,
        )
        early, late = 250, 400

        def report(before: int) -> dict[str, Any]:
            def callback(iteration: int, error: float, embedding: np.ndarray) -> None:
                progress("t-SNE", before + iteration, early + late)

            return {"callbacks": callback, "callbacks_every_iters": 10}

        # Larger steps than n / 12 (Belkina and others 2019) lower the loss of large maps, but their
        # trustworthiness too; small maps need them to unfold.
        common = {"learning_rate": "auto" if n < 5_000 else n / 12, "inplace": True}
        # By 4, as in the source: the customary 12 made maps of MNIST a little less trustworthy.
        embedding.optimize(early, exaggeration=4, momentum=0.5, **common, **report(0))
        # Exaggeration may have drawn few samples into one point, which nothing would part again.
        embedding += start
        embedding.optimize(late, momentum=0.8, **common, **report(early))
        return np.asarray(embedding, np.float32)


class UMAPProjection(Projection):
    """A fuzzy graph of neighbours, laid out in the plane; distances between groups mean little."""

    name = "umap"
    title = "UMAP"
    source = "McInnes, Healy & Melville (2018), UMAP: uniform manifold approximation and projection"

    n_neighbors: int = Field(
        15, ge=2, le=200, description="Neighbours of each sample in the graph."
    )
    min_dist: float = Field(
        0.1, ge=0, le=0.99, description="How tightly points may be packed on the map."
    )
    metric: Metric = Field(
        "euclidean", description="What counts as near in the data: distance, angle or sum of steps."
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Fixes the random numbers.")

    @classmethod
    def defaults(cls, n: int) -> dict[str, Any]:
        return {"n_neighbors": max(2, min(15, n - 1))}

    def faults(self, n: int) -> list[str]:
        if n < 4:
            return [f"UMAP needs at least 4 samples: here are {n}."]
        if self.n_neighbors >= n:
            return [f"n_neighbors = {self.n_neighbors} needs more samples: give at most {n - 1}."]
        return []

    def place(
        self, dataset: Dataset, progress: Progress, subset: Subset = TEST_SPLIT
    ) -> np.ndarray:
        progress("UMAP compiles, some seconds the first time", 0, 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of parts of umap that are not used here
            from umap.umap_ import find_ab_params, simplicial_set_embedding

        # UMAP counts each sample as its own first neighbour.
        neighbors = graph(dataset, self.n_neighbors - 1, subset, self.metric)
        a, b = find_ab_params(1.0, self.min_dist)
        sign_of_life = _ProgressFile(progress)
        with contextlib.redirect_stdout(sign_of_life):
            plane, _ = simplicial_set_embedding(
                None,
                fuzzy_graph(neighbors),
                n_components=2,
                initial_alpha=1.0,
                a=a,
                b=b,
                gamma=1.0,
                negative_sample_rate=5,
                n_epochs=None,  # as the source: 500 up to 10,000 samples, then 200
                # The largest principal components start maps that are as trustworthy as those from
                # the graph's own, and share the orientation of the other maps.
                init=_start(_principal_plane(dataset, subset), size=10, noise=1e-5, seed=self.seed),
                random_state=np.random.RandomState(self.seed),
                metric=self.metric,
                metric_kwds={},
                densmap=False,
                densmap_kwds={},
                output_dens=False,
                verbose=True,
                tqdm_kwds={"file": sign_of_life, "mininterval": 0.1},
            )
        return plane


def fuzzy_graph(neighbors: Neighbors) -> Any:
    """UMAP's weighted graph of n samples: W + W^T - W * W^T, a sparse (n, n) matrix.

    w_ij = exp(-max(d_ij - rho_i, 0) / sigma_i) to each of k neighbours, where rho_i is the smallest
    distance above zero and sigma_i makes sum_j w_ij = log2(k + 1) (McInnes, Healy & Melville 2018).
    This is umap-learn's `fuzzy_simplicial_set`, which first compiles for some seconds.
    """
    from scipy.sparse import csr_array

    distances = neighbors.distances.astype(np.float64)
    n, k = distances.shape
    positive = np.where(distances > 0, distances, np.inf).min(axis=1)
    nearest_above = np.where(np.isfinite(positive), positive, 0)
    gaps = np.maximum(distances - nearest_above[:, None], 0)
    low, high, sigma = np.zeros(n), np.full(n, np.inf), np.ones(n)
    for _ in range(64):
        above = np.exp(-gaps / sigma[:, None]).sum(axis=1) > np.log2(k + 1)
        low, high = np.where(above, low, sigma), np.where(above, sigma, high)
        sigma = np.where(np.isfinite(high), (low + high) / 2, 2 * sigma)
    # A width of nearly nothing, as among twins, would cut a sample off from all others.
    means = distances.sum(axis=1) / (k + 1)
    floor = np.where(nearest_above > 0, means, means.mean())
    sigma = np.maximum(sigma, np.maximum(1e-3 * floor, np.finfo(np.float32).tiny))
    weights = np.exp(-gaps / sigma[:, None]).astype(np.float32)
    own = np.repeat(np.arange(n), k)
    directed = csr_array((weights.ravel(), (own, neighbors.indices.ravel())), shape=(n, n))
    return directed + directed.T - directed.multiply(directed.T)


def _principal_plane(dataset: Dataset, subset: Subset) -> np.ndarray:
    """The first two principal components of the samples, (n, 2); zero where there are fewer."""
    plane = components(dataset).encode(subset.samples(dataset).x, 2)
    return np.pad(plane, ((0, 0), (0, 2 - plane.shape[1])))


def _start(plane: np.ndarray, size: float, noise: float, seed: int) -> np.ndarray:
    """Where an optimisation begins: a map of the given size, and noise that parts twins.

    Arguments
        size: standard deviation along x.
        noise: standard deviation, as a share of `size`.
    """
    deviation = plane[:, 0].std()
    scaled = plane * (size / deviation) if deviation > 0 else np.zeros_like(plane)
    return scaled + np.random.RandomState(seed).normal(0, noise * size, plane.shape)


class _ProgressFile:
    """Takes what UMAP prints, its only sign of life, for `Progress`; cancelling passes through."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def write(self, text: str) -> None:
        if found := re.search(r"(\d+) */ *(\d+)", text):
            self.progress("UMAP", float(found[1]), float(found[2]))

    def flush(self) -> None:
        """Nothing is held back."""


PROJECTIONS: dict[str, type[Projection]] = {
    kind.name: kind for kind in (PCAProjection, TSNEProjection, UMAPProjection)
}


def get(name: str) -> type[Projection]:
    """The projection called `name`; raises `Faults` with the nearest name where there is none."""
    if name not in PROJECTIONS:
        raise Faults(unknown("projection", name, PROJECTIONS))
    return PROJECTIONS[name]


# --- What is kept on disk -----------------------------------------------------------------------


@dataclass(frozen=True)
class Map:
    """A computed projection of some samples and how far it can be trusted."""

    plane: np.ndarray
    """(n, 2) float32."""
    trustworthiness: np.ndarray
    """(n,) float32, NaN where it was not measured."""
    continuity: np.ndarray
    """(n,) float32, NaN where it was not measured."""
    metrics: dict[str, float | None]


ARRAYS = ("plane", "trustworthiness", "continuity")
MAP_FACTS = TypeAdapter(metrics.Metrics)


def data_folder(dataset_name: str, fingerprint: str) -> Path:
    """The folder of what was computed of a dataset, which need not be in the catalogue any more."""
    return locations.store() / "_maps" / f"{dataset_name}-{fingerprint[:12]}"


def folder(dataset: str | Dataset, fingerprint: str, subset: Subset = TEST_SPLIT) -> Path:
    """Where the maps of one choice of samples of a dataset are kept."""
    path = data_folder(dataset if isinstance(dataset, str) else dataset.name, fingerprint)
    return path if subset.whole_test(dataset) else path / subset.key


def map_artifact(
    dataset: str | Dataset, fingerprint: str, projection: Projection, subset: Subset = TEST_SPLIT
) -> Artifact[Map]:
    """A computed map as it is stored; needs neither the dataset's arrays nor its libraries."""

    def expected(facts: dict[str, float | None]) -> dict[str, Array]:
        n = subset.count(datasets.get(dataset) if isinstance(dataset, str) else dataset)
        each = replace(SHARE, shape=(n,), optional=True)
        return {"plane": Array((n, 2))} | dict.fromkeys(ARRAYS[1:], each)

    def build(arrays: dict[str, np.ndarray], facts: dict[str, float | None]) -> Map | None:
        # Files of earlier versions hold the plane alone.
        return Map(**arrays, metrics=facts) if arrays.keys() == {*ARRAYS} else None

    return Artifact(
        path=folder(dataset, fingerprint, subset) / f"{projection.key}.safetensors",
        facts=MAP_FACTS,
        expected=expected,
        dump=lambda computed: (
            {name: getattr(computed, name) for name in ARRAYS},
            computed.metrics,
        ),
        build=build,
    )


def compute(
    dataset: Dataset,
    projection: Projection,
    progress: Progress = no_progress,
    subset: Subset = TEST_SPLIT,
) -> Map:
    """The map of samples of a dataset, computed unless it is on disk already, and undamaged.

    Raises `Faults` where the settings do not suit the number of samples.
    """
    stored = map_artifact(dataset, dataset.fingerprint, projection, subset)
    if (computed := stored.load_intact()) is not None:
        return computed
    if faults := projection.faults(subset.count(dataset)):
        raise Faults(faults)
    locations.refuse_unwritable()
    plane = projection.place(dataset, progress, subset).astype(np.float32)
    progress(f"Measuring {projection.title}", 0, 1)
    facts, each = measure(dataset, subset, plane)
    if isinstance(projection, PCAProjection):
        facts["test_mse"] = pca_mse(dataset, 2)
    computed = Map(plane, **each, metrics=facts)
    stored.save(computed)
    return computed


def measure(
    dataset: Dataset, subset: Subset, plane: np.ndarray
) -> tuple[dict[str, float | None], dict[str, np.ndarray]]:
    """How good a map of the samples of `subset` is, as a whole and for each sample.

    Measured are those of the samples that belong to the test split, or, where none does, all; of
    more than `MEASURED`, a choice (seed 0). What is not defined, as for too few samples or for
    labels that are no classes, is None.

    Arguments
        plane: (n, 2), or a code of any width, of the samples in the order of `subset.rows`.

    Returns
        `trustworthiness`, `continuity`, `knn_accuracy`, `spearman`, `silhouette` and how many
        samples were `measured`; and `trustworthiness` and `continuity` (n,) of each sample, NaN
        where it was not measured.
    """
    if not np.isfinite(plane).all():
        raise Faults("The map cannot be measured: some of its coordinates are not finite numbers.")
    measured = np.flatnonzero(subset.rows(dataset) < dataset.n_test)
    if not len(measured):
        measured = np.arange(len(plane))
    if len(measured) > MEASURED:
        chosen = np.random.default_rng(0).choice(len(measured), MEASURED, replace=False)
        measured = measured[np.sort(chosen)]
    x, labels = subset.samples(dataset)
    if len(measured) < len(x):
        x, labels, plane = x[measured], labels[measured], plane[measured]
    classes = labels if dataset.label_names else None
    facts = dict.fromkeys(("trustworthiness", "continuity", "knn_accuracy", "silhouette"))
    facts |= {"spearman": metrics.spearman(x, plane), "measured": len(x)}
    each = {name: np.full(subset.count(dataset), np.nan, np.float32) for name in ARRAYS[1:]}
    if len(x) > 2 * NEIGHBORHOOD:
        for name, values in metrics.preservation(x, plane, NEIGHBORHOOD)._asdict().items():
            facts[name] = float(values.mean())
            each[name][measured] = values
    if classes is not None:
        facts["silhouette"] = metrics.silhouette(plane, classes)
        if len(x) > VOTERS:
            facts["knn_accuracy"] = metrics.knn_accuracy(plane, classes, VOTERS)
    return facts, each


def graph(
    dataset: Dataset, k: int, subset: Subset = TEST_SPLIT, metric: Metric = "euclidean"
) -> Neighbors:
    """The k nearest neighbours among the samples, from one stored graph where it is enough."""
    most = min(GRAPH_NEIGHBORS, subset.count(dataset) - 1)
    if k > most:
        return nearest(subset.samples(dataset).x, k, metric)
    stored = graph_artifact(dataset, subset, metric)
    if (neighbors := stored.load_intact()) is None:
        neighbors = nearest(subset.samples(dataset).x, most, metric)
        stored.save(neighbors)
    return Neighbors(neighbors.indices[:, :k].astype(np.int64), neighbors.distances[:, :k])


def graph_artifact(
    dataset: Dataset, subset: Subset = TEST_SPLIT, metric: Metric = "euclidean"
) -> Artifact[Neighbors]:
    """The nearest neighbours of each sample as they are stored, `GRAPH_NEIGHBORS` at most."""
    n = subset.count(dataset)
    k = min(GRAPH_NEIGHBORS, n - 1)
    name = "neighbors" if metric == "euclidean" else f"neighbors-{metric}"
    return Artifact(
        path=folder(dataset, dataset.fingerprint, subset) / f"{name}.safetensors",
        expected=lambda facts: {
            "indices": Array((n, k), "i", 0, n - 1),
            "distances": Array((n, k), low=0),
        },
        dump=lambda neighbors: (
            {"indices": neighbors.indices.astype(np.int32), "distances": neighbors.distances},
            {},
        ),
        build=lambda arrays, facts: Neighbors(arrays["indices"], arrays["distances"]),
    )


def components_artifact(dataset: Dataset) -> Artifact[PCA]:
    """All principal components of the training split as they are stored."""
    f = dataset.n_features
    # A training split of one sample counts for two.
    k = min(max(dataset.n_train, 2), f)
    return Artifact(
        path=folder(dataset, dataset.fingerprint) / "components.safetensors",
        expected=lambda facts: {"mean": Array((f,)), "components": Array((k, f))},
        dump=lambda pca: (pca._asdict(), {}),
        build=lambda arrays, facts: PCA(**arrays),
    )


def components(dataset: Dataset) -> PCA:
    """All principal components of the training split, computed unless they are on disk."""
    stored = components_artifact(dataset)
    if (pca := stored.load_intact()) is not None:
        return pca
    from sklearn.decomposition import PCA as SklearnPCA

    x = dataset.train.x
    if len(x) == 1:
        x = np.repeat(x, 2, axis=0)  # one sample has no variance, but a mean
    with np.errstate(invalid="ignore"):  # shares of a variance of nothing, which are not used
        fitted = SklearnPCA(svd_solver="covariance_eigh").fit(x)
    pca = PCA(fitted.mean_.astype(np.float32), fitted.components_.astype(np.float32))
    stored.save(pca)
    return pca


def pca_mse(dataset: Dataset, k: int) -> float:
    """Test error per feature of reconstruction from the first k principal components."""
    reconstruction = components(dataset).reconstruct(dataset.test.x, k)
    return float(metrics.mean_squared_error(dataset.test.x, reconstruction).mean())
