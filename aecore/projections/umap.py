"""UMAP (McInnes, Healy & Melville 2018) over the neighbour graph of a dataset."""

from __future__ import annotations

import contextlib
import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from aecore.data import TEST_SPLIT, Dataset, Subset
from aecore.neighbors import Metric, Neighbors
from aecore.projections.base import Projection
from aecore.projections.neighbor_graph import graph
from aecore.projections.pca import _principal_plane
from aecore.projections.tsne import _start

if TYPE_CHECKING:
    from aecore.progress import Progress


class UMAPProjection(Projection):
    """UMAP: lays out a fuzzy neighbour graph; distances between groups mean little."""

    name = "umap"
    title = "UMAP"
    source = "McInnes, Healy & Melville (2018), UMAP: uniform manifold approximation and projection"

    n_neighbors: int = Field(
        15, ge=2, le=200, title="Neighbours", description="Neighbours of each sample in the graph."
    )
    min_dist: float = Field(
        0.1,
        ge=0,
        le=0.99,
        title="Smallest distance",
        description="How tightly points may be packed on the map.",
    )
    metric: Metric = Field(
        "euclidean",
        title="Distance",
        description="What counts as near in the data: distance, angle or sum of steps.",
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Fixes the random numbers.")

    @classmethod
    def defaults(cls, n: int) -> dict[str, Any]:
        return {"n_neighbors": max(2, min(15, n - 1))}

    def problems(self, n: int) -> list[str]:
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
    """Compute UMAP's weighted graph of n samples: W + W^T - W * W^T, a sparse (n, n) matrix.

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
    # A width near zero, as among duplicates, would disconnect a sample from all others.
    means = distances.sum(axis=1) / (k + 1)
    floor = np.where(nearest_above > 0, means, means.mean())
    sigma = np.maximum(sigma, np.maximum(1e-3 * floor, np.finfo(np.float32).tiny))
    weights = np.exp(-gaps / sigma[:, None]).astype(np.float32)
    own = np.repeat(np.arange(n), k)
    directed = csr_array((weights.ravel(), (own, neighbors.indices.ravel())), shape=(n, n))
    return directed + directed.T - directed.multiply(directed.T)


class _ProgressFile:
    """File object that passes UMAP's printed progress to `Progress`; cancelling passes through."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def write(self, text: str) -> int:
        if match := re.search(r"(\d+) */ *(\d+)", text):
            self.progress("UMAP", float(match[1]), float(match[2]))
        return len(text)

    def flush(self) -> None:
        """Do nothing: there is no buffer."""
