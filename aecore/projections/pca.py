"""Principal component analysis of a training split, and its projection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from aecore import metrics
from aecore.artifacts import Array, Artifact
from aecore.data import TEST_SPLIT, Dataset, Subset
from aecore.projections.base import Projection, folder

if TYPE_CHECKING:
    from aecore.progress import Progress

CHUNK = 2_000
"""Samples that are worked on at a time."""
LARGE = 2**28
"""Bytes of a training split of which no copy is made."""


class PCA(NamedTuple):
    """Principal components of a training split (Pearson 1901; Hotelling 1933)."""

    mean: np.ndarray
    """(n_features,)."""
    components: np.ndarray
    """(min(n, n_features), n_features), orthonormal rows, largest variance first."""

    def encode(self, x: np.ndarray, k: int) -> np.ndarray:
        """First k principal coordinates of samples: (x - mean) W_k^T, (n, k)."""
        return (x - self.mean) @ self.components[:k].T

    def reconstruct(self, x: np.ndarray, k: int) -> np.ndarray:
        """Reconstructions from the first k components: mean + (x - mean) W_k^T W_k."""
        return self.mean + self.encode(x, k) @ self.components[:k]

    def errors(self, x: np.ndarray, k: int) -> np.ndarray:
        """Mean squared error per feature of `reconstruct`, (n,).

        What k orthonormal directions W leave over: (|x - mean|^2 - |W (x - mean)|^2) / n_features.
        """
        parts = []
        for centred in self._centred(x):
            code = centred @ self.components[:k].T
            total = np.einsum("ij,ij->i", centred, centred)
            parts.append(total - np.einsum("ij,ij->i", code, code))
        return np.concatenate(parts).clip(0) / x.shape[1]

    def error_curve(self, x: np.ndarray, most: int) -> np.ndarray:
        """Mean of these errors with 0, 1, ... `most` components, (most + 1,)."""
        left = np.zeros(most + 1)
        for centred in self._centred(x):
            left += np.square(centred).sum()
            left[1:] -= np.square(centred @ self.components[:most].T).sum(axis=0).cumsum()
        return left.clip(0) / x.size

    def _centred(self, x: np.ndarray) -> Iterator[np.ndarray]:
        """x - mean in chunks, so that a training split is never copied as a whole."""
        for start in range(0, len(x), CHUNK):
            yield x[start : start + CHUNK] - self.mean


class PCAProjection(Projection):
    """PCA: the plane of largest variance, fitted on the training split."""

    name = "pca"
    title = "PCA"
    source = "Hotelling (1933), Analysis of a complex of statistical variables into components"

    def place(
        self, dataset: Dataset, progress: Progress, subset: Subset = TEST_SPLIT
    ) -> np.ndarray:
        return _principal_plane(dataset, subset)


def _principal_plane(dataset: Dataset, subset: Subset) -> np.ndarray:
    """First two principal coordinates of the samples, (n, 2); zero if there are fewer."""
    plane = components(dataset).encode(subset.samples(dataset).x, 2)
    return np.pad(plane, ((0, 0), (0, 2 - plane.shape[1])))


def components_artifact(dataset: Dataset) -> Artifact[PCA]:
    """Artifact of all principal components of the training split."""
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
    """Load all principal components of the training split, or compute and store them."""
    stored = components_artifact(dataset)
    if (pca := stored.load_intact()) is not None:
        return pca
    from sklearn.decomposition import PCA as SklearnPCA

    x = dataset.train.x
    if len(x) == 1:
        x = np.repeat(x, 2, axis=0)  # one sample has no variance, but a mean
    if x.nbytes > LARGE:
        pca = _fitted_in_chunks(x)
    else:
        with np.errstate(invalid="ignore"):  # shares of a variance of nothing, which are not used
            fitted = SklearnPCA(svd_solver="covariance_eigh").fit(x)
        pca = PCA(fitted.mean_.astype(np.float32), fitted.components_.astype(np.float32))
    stored.save(pca)
    return pca


def _fitted_in_chunks(x: np.ndarray) -> PCA:
    """The same of a split that may be larger than memory: eigenvectors of the covariance.

    The sign of each is that which makes its largest entry positive, as in scikit-learn.
    """
    chunks = [slice(start, start + CHUNK) for start in range(0, len(x), CHUNK)]
    mean = np.sum([x[chunk].sum(axis=0, dtype=np.float64) for chunk in chunks], axis=0) / len(x)
    covariance = np.zeros((x.shape[1], x.shape[1]))
    for chunk in chunks:
        centred = (x[chunk] - mean).astype(np.float32)
        covariance += centred.T @ centred
    _, vectors = np.linalg.eigh(covariance)
    components = vectors.T[::-1][: min(x.shape)]
    largest = components[np.arange(len(components)), np.abs(components).argmax(axis=1)]
    components = components * np.where(largest < 0, -1, 1)[:, None]
    return PCA(mean.astype(np.float32), components.astype(np.float32))


def pca_mse(dataset: Dataset, k: int) -> float:
    """Test error per feature of reconstruction from the first k principal components."""
    pca, x = components(dataset), dataset.test.x
    parts = (x[start : start + CHUNK] for start in range(0, len(x), CHUNK))
    errors = [metrics.mean_squared_error(part, pca.reconstruct(part, k)) for part in parts]
    return float(np.concatenate(errors).mean())
