"""Denoising curves: mean PSNR of runs and filters over the levels of a noise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from aecore import metrics
from aecore.applications.denoising.filters import BASELINES
from aecore.applications.denoising.noise import NOISES, ReconstructFn, corrupt, suffix
from aecore.applications.denoising.tuning import MOST_LEVELS, Tuned
from aecore.artifacts import Array, Artifact, Size
from aecore.errors import Damaged
from aecore.progress import Progress, no_progress

if TYPE_CHECKING:
    from aecore.data import Dataset
    from aecore.projections import PCA
    from aecore.runs import store

MEASURED = 256
"""Test images of which a curve is the mean."""
NOTHING = "leaving the noise as it is"
"""Name of the noisy image itself in a verdict."""


class Curve(NamedTuple):
    """Mean PSNR of test images in dB at each level, (m,)."""

    levels: np.ndarray
    noisy: np.ndarray
    runs: dict[str, np.ndarray]
    baselines: dict[str, np.ndarray]


def curve(
    dataset: Dataset,
    runs: Mapping[str, ReconstructFn],
    pca: PCA,
    noise: str,
    tuned: Tuned,
    levels: Sequence[float],
    clip: bool = False,
    n: int = MEASURED,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Curve:
    """Denoising curve of each run: mean PSNR on n seeded test images at each noise level.

    Arguments
        runs: a name, and what reconstructs noisy samples (n, n_features).
        pca: the principal components of the training split.
        tuned: the settings of the filters for this noise.
        levels: (m,) in the unit of the noise.
    """
    chosen = metrics.subsample(dataset.n_test, n, seed)
    x, labels = (part[chosen] for part in dataset.test)
    noisy_curve: list[float] = []
    run_curves: dict[str, list[float]] = {name: [] for name in runs}
    curves: dict[str, list[float]] = {name: [] for name in tuned.settings}
    for position, level in enumerate(levels):
        noisy = corrupt(x, dataset.shape, noise, level, seed, clip)
        noisy_curve.append(metrics.psnr(x, noisy))
        for name, rebuild in runs.items():
            run_curves[name].append(metrics.psnr(x, rebuild(noisy, labels).clip(0, 1)))
        for name, setting in tuned.at(level)[0].items():
            progress(f"{BASELINES[name].title}, level {level:g}", position, len(levels))
            denoised = BASELINES[name].denoise(noisy, dataset.shape, pca, setting)
            curves[name].append(metrics.psnr(x, denoised))
    return Curve(
        np.array(levels, np.float64),
        np.array(noisy_curve),
        {name: np.array(values) for name, values in run_curves.items()},
        {name: np.array(values) for name, values in curves.items()},
    )


def verdict(
    levels: Sequence[float],
    run_curve: np.ndarray,
    baseline_curves: Mapping[str, np.ndarray],
    name: str = "The run",
) -> str:
    """Markdown summary of the levels at which a classical filter beats a run, and by how much.

    Arguments
        levels: (m,), rising.
        run_curve: PSNR of the run in dB, (m,); baseline_curves: that of others, by their names.

    >>> verdict([0.1, 0.2, 0.4], np.array([12, 12, 11]), {"median": np.array([15, 13, 9])})
    'At noise 0.1 to 0.2, median beats **The run** by up to 3.0 dB; at all other levels **The \
run** is best, by up to 2.0 dB.'
    """
    if not np.isfinite(run_curve).all():
        return f"**{name}** answers with values that are no finite numbers."
    others = np.stack(list(baseline_curves.values()))
    names = np.array(list(baseline_curves))
    lead = (run_curve - others.max(axis=0)).round(1)  # as it is printed
    if (lead >= 0).all():
        return (
            f"**{name}** is best at every level from {levels[0]:g} to {levels[-1]:g}, by "
            f"{lead.min():.1f} to {lead.max():.1f} dB."
        )
    best = np.where(lead < 0, others.argmax(axis=0), -1)
    lost: list[str] = []
    for winner, group in groupby(range(len(levels)), best.__getitem__):
        if winner < 0:
            continue
        span = list(group)
        first, last = levels[span[0]], levels[span[-1]]
        where = f"{first:g}" if first == last else f"{first:g} to {last:g}"
        by = "by" if first == last else "by up to"
        beats = "" if lost else f"beats **{name}** "
        winner_name = _within_sentence(names[winner])
        lost.append(f"{where}, {winner_name} {beats}{by} {-lead[span].min():.1f} dB")
    text = "At noise " + "; at ".join(lost)
    if (lead < 0).all():
        return f"{text}. **{name}** is best at no level."
    return f"{text}; at all other levels **{name}** is best, by up to {lead.max():.1f} dB."


def _within_sentence(title: str) -> str:
    """Title as it is written within a sentence: "Total variation" small, "PCA" as it is."""
    return title if title[:2].isupper() else title[:1].lower() + title[1:]


class RunCurve(NamedTuple):
    """Stored denoising curve of one run under one noise, with its code drift."""

    curve: Curve
    flipped: np.ndarray | None
    """(m,) share of the samples that have flipped by each level; None without classes."""


def curve_artifact(run: store.Run, noise: str, clip: bool) -> Artifact[RunCurve]:
    """Artifact of the denoising curve of a run under a noise."""
    measured = Array((Size("measured", MOST_LEVELS),), finite=False)
    expected = {
        "levels": Array((Size("levels", MOST_LEVELS),)),
        "noisy": measured,
        "run": measured,
        "flipped": replace(measured, low=0, high=1, finite=True, optional=True),
    }
    expected |= {f"baseline.{name}": replace(measured, optional=True) for name in BASELINES}

    def dump(computed: RunCurve) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        levels, noisy, runs, baselines = computed.curve
        arrays = {"levels": levels, "noisy": noisy, "run": runs[run.name]}
        arrays |= {f"baseline.{name}": values for name, values in baselines.items()}
        if computed.flipped is not None:
            arrays["flipped"] = computed.flipped
        return arrays, {}

    def build(arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> RunCurve | None:
        levels = arrays["levels"]
        # An earlier version may have had other levels, whose measurements are ignored.
        if not np.array_equal(levels, NOISES[noise].levels):
            return None
        if len(arrays["noisy"]) != len(levels):
            raise Damaged("it has not one figure for each level")
        baselines = dict(_named(arrays))
        # In the order of the registry; a file does not keep one.
        ordered = {name: baselines[name] for name in BASELINES if name in baselines}
        curve = Curve(levels, arrays["noisy"], {run.name: arrays["run"]}, ordered)
        return RunCurve(curve, arrays.get("flipped"))

    return Artifact(
        path=run.computed / f"denoising-{suffix(noise, clip)}",
        created=run.manifest.created,
        expected=lambda facts: expected,
        dump=dump,
        build=build,
    )


def _named(arrays: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    for key, values in arrays.items():
        if key.startswith("baseline."):
            yield key.removeprefix("baseline."), values
