"""Code drift: displacement of the codes of samples with rising noise level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from aecore import metrics
from aecore.applications.denoising.noise import ReconstructFn, Shape, corrupt

if TYPE_CHECKING:
    from aecore.data import Dataset

MEANS_OF = 5_000
"""Number of training samples for the class means."""


class CodeDrift(NamedTuple):
    """Codes of the same samples at rising noise levels, and the nearest class mean of each."""

    codes: np.ndarray
    """(m, n, latent_dim), at m levels."""
    nearest: np.ndarray
    """(m, n) class numbers, of the class whose mean is nearest."""
    clean: np.ndarray
    """(n,) the same without noise."""
    flips: np.ndarray
    """(n,) the first level at which the nearest mean is of another class than without noise; NaN
    where it stays the same."""

    def flipped(self, levels: Sequence[float]) -> np.ndarray:
        """Share of the samples whose nearest class mean has changed at each level, (m,)."""
        return (self.flips <= np.asarray(levels)[:, None]).mean(axis=1)


def class_means(encode: ReconstructFn, dataset: Dataset) -> np.ndarray:
    """Mean code of each class over 5,000 seeded training samples, (classes, latent_dim).

    NaN for a class of which there is none.
    """
    x, labels = (part[metrics.subsample(dataset.n_train, MEANS_OF)] for part in dataset.train)
    codes = encode(x, labels)
    means = np.full((dataset.n_classes, codes.shape[1]), np.nan)
    for label in np.unique(labels):
        means[label] = codes[labels == label].mean(axis=0)
    return means


def drift(
    encode: ReconstructFn,
    x: np.ndarray,
    labels: np.ndarray,
    means: np.ndarray | None,
    shape: Shape,
    noise: str,
    levels: Sequence[float],
    seed: int = 0,
    clip: bool = False,
) -> CodeDrift:
    """Compute the codes of the same samples at rising levels of the same noise.

    Arguments
        encode: samples and their labels to codes (n, latent_dim).
        x: (n, n_features) clean; labels: (n,).
        means: (classes, latent_dim), of `class_means`; None where there are no classes, and then
            everything is nearest to the same.
        levels: (m,), rising.
    """

    def nearest(codes: np.ndarray) -> np.ndarray:
        if means is None:
            return np.zeros(len(codes), np.int64)
        return np.nanargmin(np.square(codes[:, None] - means).sum(axis=2), axis=1)

    noisy = (corrupt(x, shape, noise, level, seed, clip) for level in levels)
    codes = np.stack([encode(each, labels) for each in noisy])
    nearest_class, clean = np.stack([nearest(each) for each in codes]), nearest(encode(x, labels))
    other = nearest_class != clean
    first = np.asarray(levels, np.float64)[other.argmax(axis=0)]
    return CodeDrift(codes, nearest_class, clean, np.where(other.any(axis=0), first, np.nan))
