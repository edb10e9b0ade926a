"""Validation part of a training split: samples that choose the epoch and teach nothing."""

from __future__ import annotations

import numpy as np


def split(
    labels: np.ndarray, share: float, seed: int, classes: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Divide the rows of a training split into those to learn from and those for validation.

    round(share * n) rows, at least one, are drawn for validation. Each class keeps its share by the
    largest remainder, and at least one sample to learn from; where that is not possible, since all
    classes have one sample, and where labels are no classes, they are drawn from all rows alike.

    Arguments
        labels: (n,) of the training split, n > 1.
        share: above 0, at most 0.5.
        classes: whether labels are classes.

    Returns
        Sorted rows to learn from, and sorted rows for validation, both int64.
    """
    n = len(labels)
    wanted = min(max(round(share * n), 1), n - 1)
    random = np.random.default_rng(seed)
    of_class, counts = np.zeros(n, np.int64), np.array([n])
    if classes:
        _, of_class, counts = np.unique(labels, return_inverse=True, return_counts=True)
        if (counts - 1).sum() < wanted:
            of_class, counts = np.zeros(n, np.int64), np.array([n])
    shares = share * counts
    quotas = np.minimum(shares.astype(np.int64), counts - 1)
    while (missing := wanted - quotas.sum()) > 0:
        behind = np.where(quotas < counts - 1, shares - quotas, -np.inf)
        most = np.argsort(-behind, kind="stable")[:missing]
        quotas[most[np.isfinite(behind[most])]] += 1
    # In an order of its own, each class gives its first rows.
    order = random.permutation(n)
    order = order[np.argsort(of_class[order], kind="stable")]
    starts = np.cumsum(counts) - counts
    place = np.arange(n) - np.repeat(starts, counts)
    held = np.sort(order[place < np.repeat(quotas, counts)])
    return np.setdiff1d(np.arange(n), held, assume_unique=True), held
