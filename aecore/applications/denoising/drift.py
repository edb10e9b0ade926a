"""Code drift: where the code of a sample goes as the noise rises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from aecore.applications.denoising.noise import Rebuild, Shape, corrupt, some

if TYPE_CHECKING:
    from aecore.data import Dataset

MEANS_OF = 5_000
"""Training samples of which class means are taken."""


class Drift(NamedTuple):
    """What becomes of the codes of some samples as noise rises."""

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
        """Share of the samples that have flipped by each level, (m,)."""
        return (self.flips <= np.asarray(levels)[:, None]).mean(axis=1)


def class_means(encode: Rebuild, dataset: Dataset) -> np.ndarray:
    """The mean code of each class over 5,000 seeded training samples, (classes, latent_dim).

    NaN for a class of which there is none.
    """
    x, labels = (part[some(dataset.n_train, MEANS_OF)] for part in dataset.train)
    codes = encode(x, labels)
    means = np.full((dataset.n_classes, codes.shape[1]), np.nan)
    for label in np.unique(labels):
        means[label] = codes[labels == label].mean(axis=0)
    return means


def drift(
    encode: Rebuild,
    x: np.ndarray,
    labels: np.ndarray,
    means: np.ndarray | None,
    shape: Shape,
    noise: str,
    levels: Sequence[float],
    seed: int = 0,
    clip: bool = False,
) -> Drift:
    """Codes of the same samples under more and more of the same noise.

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
    found, clean = np.stack([nearest(each) for each in codes]), nearest(encode(x, labels))
    other = found != clean
    first = np.asarray(levels, np.float64)[other.argmax(axis=0)]
    return Drift(codes, found, clean, np.where(other.any(axis=0), first, np.nan))
