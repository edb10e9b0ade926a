"""Stability of codes over several runs: the nearest neighbours that a sample has in all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aecore.metrics import subsample
from aecore.neighbors import nearest

NEIGHBORS = 12
MOST_OF_WIDE = 10_000
"""Samples whose neighbours are searched in more than two dimensions: a second a run."""
NAMED = 2
"""Classes that are named as the least stable."""


class Stability(NamedTuple):
    """Neighbours of the same n samples that m runs share."""

    kept: np.ndarray
    """(m, m, n), share of a sample's nearest neighbours in one run that it has in another; NaN
    where not measured."""
    k: int
    """Neighbours of a sample."""
    chance: float
    """Share that codes without anything in common would keep, k / (n - 1)."""

    @property
    def per_sample(self) -> np.ndarray:
        """Mean over all pairs of runs, (n,)."""
        return self.kept[np.triu_indices(len(self.kept), 1)].mean(axis=0)

    @property
    def mean(self) -> float:
        """Mean over the measured samples."""
        values = self.per_sample
        return float(values[np.isfinite(values)].mean()) if len(values) else 1.0


def stability(codes: Sequence[np.ndarray], k: int = NEIGHBORS) -> Stability:
    """Compute which nearest neighbours samples keep from run to run.

    s_i = 2 / (m (m - 1)) sum_{a<b} |N_k^a(i) & N_k^b(i)| / k, where N_k^a(i) are the k nearest
    neighbours of sample i in the code of run a (Wendlandt, Kummerfeld & Mihalcea 2018, Factors
    influencing the surprising instability of word embeddings). It is taken in the code, not on the
    plane of the map: of a wide code the plane shows the two strongest directions alone, which may
    be others in every run. Moving, turning, mirroring and scaling a code change nothing.

    Arguments
        codes: of each of m >= 2 runs, (n, d), of the same samples; d may differ.
        k: neighbours; one less than the measured samples where there are fewer. A sample without
            any keeps all of them.
    """
    n = len(codes[0])
    wide = max(each.shape[1] for each in codes) > 2
    measured = subsample(n, MOST_OF_WIDE) if wide else np.arange(n)
    k = min(k, len(measured) - 1)
    kept = np.full((len(codes), len(codes), n), np.nan)
    if k < 1:
        kept[:] = 1
        return Stability(kept, 0, 1.0)
    found = [nearest(each[measured], k).indices for each in codes]
    for a, ours in enumerate(found):
        for b, theirs in enumerate(found[: a + 1]):
            shared = (ours[:, :, None] == theirs[:, None, :]).any(axis=2).mean(axis=1)
            kept[a, b, measured] = kept[b, a, measured] = shared
    return Stability(kept, k, k / (len(measured) - 1))


def stability_in_words(
    found: Stability, over: str, labels: np.ndarray, names: Sequence[str]
) -> str:
    """Say how many neighbours a sample keeps, by chance how many, and where the fewest.

    Arguments
        over: what was compared, such as "3 seeds".
        labels: (n,), class numbers where `names`, of the classes, are not empty.
    """
    sentence = (
        f"Over {over} a sample keeps {found.mean:.0%} of its {found.k} nearest neighbours in the "
        f"code ({found.chance:.1%} would be chance)"
    )
    values = found.per_sample
    measured = np.isfinite(values)
    classes = [
        (float(values[own].mean()), name)
        for number, name in enumerate(names)
        if (own := measured & (labels == number)).any()
    ]
    if len(classes) > NAMED:
        least = " and ".join(f"{name} ({share:.0%})" for share, name in sorted(classes)[:NAMED])
        sentence += f"; least stable are the classes {least}"
    return f"{sentence}."
