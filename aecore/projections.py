"""PCA, t-SNE and UMAP of a dataset's test split, each computed once and kept on disk.

PCA is fitted on the training split and applied to the test split. t-SNE and UMAP place the test
samples themselves, from one exact neighbour graph; they are fitted on what they show.

    models_store/_maps/<dataset>-<fingerprint>/<projection>.safetensors
                                               neighbors.safetensors
                                               components.safetensors
"""

from __future__ import annotations

import contextlib
import re
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from aecore import metrics, store
from aecore.datasets import Dataset
from aecore.errors import Faults, unknown
from aecore.neighbors import Neighbors, nearest

GRAPH_NEIGHBORS = 90
"""What a perplexity of 30 asks for; larger perplexities and neighbourhoods search anew."""

Progress = Callable[[str, float, float], None]
"""Called with what is being done, how much of it is done, and of how much in all."""


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
        settings = [f"{name}{value!r}".removesuffix(".0") for name, value in self]
        return "-".join([self.name, *settings]).replace("_", "")

    @classmethod
    def defaults(cls, n: int) -> dict[str, Any]:
        """The settings whose sensible default depends on the number of samples."""
        return {}

    def faults(self, n: int) -> list[str]:
        """What makes these settings impossible for n samples."""
        return []

    @abstractmethod
    def place(self, dataset: Dataset, progress: Progress) -> np.ndarray:
        """The map of the test split, (n_test, 2)."""


class PCAProjection(Projection):
    """The plane of largest variance, fitted on the training split."""

    name = "pca"
    title = "PCA"
    source = "Hotelling (1933), Analysis of a complex of statistical variables into components"

    def place(self, dataset: Dataset, progress: Progress) -> np.ndarray:
        return components(dataset).encode(dataset.test.x, 2)


class TSNEProjection(Projection):
    """Neighbours in the data become neighbours on the map; distances between groups mean little."""

    name = "tsne"
    title = "t-SNE"
    source = "van der Maaten & Hinton (2008), Visualizing data using t-SNE"

    perplexity: float = Field(
        30, ge=2, le=200, description="About how many neighbours each sample attends to."
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Fixes the random numbers.")

    @classmethod
    def defaults(cls, n: int) -> dict[str, Any]:
        return {"perplexity": min(30, (n - 1) // 3)}

    def faults(self, n: int) -> list[str]:
        most = (n - 1) // 3
        if self.perplexity > most:
            return [f"perplexity = {self.perplexity:g} needs more samples: give at most {most}."]
        return []

    def place(self, dataset: Dataset, progress: Progress) -> np.ndarray:
        from openTSNE import TSNEEmbedding, affinity, initialization, nearest_neighbors

        neighbors = graph(dataset, int(3 * self.perplexity))
        affinities = affinity.PerplexityBasedNN(
            perplexity=self.perplexity,
            knn_index=nearest_neighbors.PrecomputedNeighbors(*neighbors),
        )
        start = initialization.rescale(components(dataset).encode(dataset.test.x, 2))
        embedding = TSNEEmbedding(
            initialization.jitter(start, scale=0.01, random_state=self.seed),
            affinities,
            negative_gradient_method="bh" if dataset.n_test < 20_000 else "fft",
            # Threads that wait for each other cost small data more than they save.
            n_jobs=-1 if dataset.n_test >= 5_000 else 1,
            random_state=self.seed,
        )
        early, late = 250, 500

        def report(before: int) -> dict[str, Any]:
            def callback(iteration: int, error: float, embedding: np.ndarray) -> None:
                progress("t-SNE", before + iteration, early + late)

            return {"callbacks": callback, "callbacks_every_iters": 10}

        embedding.optimize(early, exaggeration=12, momentum=0.5, inplace=True, **report(0))
        embedding.optimize(late, momentum=0.8, inplace=True, **report(early))
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
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Fixes the random numbers.")

    @classmethod
    def defaults(cls, n: int) -> dict[str, Any]:
        return {"n_neighbors": min(15, n - 1)}

    def faults(self, n: int) -> list[str]:
        if self.n_neighbors >= n:
            return [f"n_neighbors = {self.n_neighbors} needs more samples: give at most {n - 1}."]
        return []

    def place(self, dataset: Dataset, progress: Progress) -> np.ndarray:
        progress("UMAP compiles, about half a minute the first time", 0, 1)
        from umap import UMAP

        indices, distances = graph(dataset, self.n_neighbors)
        # UMAP counts each sample as its own first neighbour.
        own = np.arange(dataset.n_test)[:, None]
        neighbors = (
            np.hstack([own, indices[:, :-1]]),
            np.hstack([np.zeros_like(distances[:, :1]), distances[:, :-1]]),
        )
        sign_of_life = _ProgressFile(progress)
        model = UMAP(
            n_neighbors=self.n_neighbors,
            min_dist=self.min_dist,
            random_state=self.seed,
            precomputed_knn=neighbors,
            verbose=True,
            tqdm_kwds={"file": sign_of_life, "mininterval": 0.1},
        )
        with warnings.catch_warnings(), contextlib.redirect_stdout(sign_of_life):
            # A seed makes it run on one core, which is what we ask for; small data is no news.
            warnings.filterwarnings("ignore", category=UserWarning)
            return np.asarray(model.fit_transform(dataset.test.x), np.float32)


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
    """A computed projection of a test split and how far it can be trusted."""

    plane: np.ndarray
    """(n_test, 2)."""
    metrics: dict[str, float | None]


def folder(dataset: str, fingerprint: str) -> Path:
    """Where the maps of one dataset are kept."""
    return store.root() / "_maps" / f"{dataset}-{fingerprint[:12]}"


def cached(dataset: str, fingerprint: str, projection: Projection) -> Map | None:
    """The map if it has been computed; needs neither the dataset nor its libraries."""
    path = folder(dataset, fingerprint) / f"{projection.key}.safetensors"
    if not path.is_file():
        return None
    arrays, facts = store.read_arrays(path)
    return Map(arrays["plane"], facts)


def compute(
    dataset: Dataset, projection: Projection, progress: Progress = lambda what, done, total: None
) -> Map:
    """The map of a dataset's test split, computed unless it is on disk already.

    Raises `Faults` where the settings do not suit the number of samples.
    """
    known = cached(dataset.name, dataset.fingerprint, projection)
    if known is not None:
        return known
    if faults := projection.faults(dataset.n_test):
        raise Faults(faults)
    plane = projection.place(dataset, progress)
    progress(f"Measuring {projection.title}", 0, 1)
    facts = describe(dataset, plane)
    if isinstance(projection, PCAProjection):
        facts["test_mse"] = pca_mse(dataset, 2)
    path = folder(dataset.name, dataset.fingerprint) / f"{projection.key}.safetensors"
    store.write_arrays(path, {"plane": plane.astype(np.float32)}, facts)
    return Map(plane, facts)


def describe(dataset: Dataset, plane: np.ndarray) -> dict[str, float | None]:
    """Trustworthiness (k = 12) and 10-NN label accuracy of a map of the test split.

    The accuracy is None where the labels are no classes.
    """
    return {
        "trustworthiness": metrics.trustworthiness(dataset.test.x, plane, k=12),
        "knn_accuracy": metrics.knn_accuracy(plane, dataset.test.labels, k=10)
        if dataset.label_names
        else None,
    }


def graph(dataset: Dataset, k: int) -> Neighbors:
    """The k nearest neighbours within the test split, from one stored graph where it is enough."""
    most = min(GRAPH_NEIGHBORS, dataset.n_test - 1)
    if k > most:
        return nearest(dataset.test.x, k)
    path = folder(dataset.name, dataset.fingerprint) / "neighbors.safetensors"
    if path.is_file():
        arrays, _ = store.read_arrays(path)
        stored = Neighbors(arrays["indices"], arrays["distances"])
    else:
        stored = nearest(dataset.test.x, most)
        arrays = {"indices": stored.indices.astype(np.int32), "distances": stored.distances}
        store.write_arrays(path, arrays, {})
    return Neighbors(stored.indices[:, :k].astype(np.int64), stored.distances[:, :k])


def components_file(dataset: Dataset) -> Path:
    """Where `components` keeps what it computed."""
    return folder(dataset.name, dataset.fingerprint) / "components.safetensors"


def components(dataset: Dataset) -> PCA:
    """All principal components of the training split."""
    path = components_file(dataset)
    if path.is_file():
        return PCA(**store.read_arrays(path)[0])
    from sklearn.decomposition import PCA as SklearnPCA

    fitted = SklearnPCA(svd_solver="covariance_eigh").fit(dataset.train.x)
    pca = PCA(fitted.mean_.astype(np.float32), fitted.components_.astype(np.float32))
    store.write_arrays(path, pca._asdict(), {})
    return pca


def pca_mse(dataset: Dataset, k: int) -> float:
    """Test error per feature of reconstruction from the first k principal components."""
    reconstruction = components(dataset).reconstruct(dataset.test.x, k)
    return float(metrics.mean_squared_error(dataset.test.x, reconstruction).mean())
