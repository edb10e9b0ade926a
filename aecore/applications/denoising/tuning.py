"""Grid search for the best settings of the classical filters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pydantic import BaseModel, TypeAdapter

from aecore import data, locations, metrics, projections
from aecore.applications.denoising.filters import BASELINES, Setting
from aecore.applications.denoising.noise import NOISES, Shape, corrupt, refuse, suffix
from aecore.artifacts import Array, Artifact, Size
from aecore.data.idx import fetch_data
from aecore.errors import Damaged
from aecore.progress import Progress, Reporter, Task, no_progress

if TYPE_CHECKING:
    from aecore.data import Dataset
    from aecore.projections import PCA

MOST_LEVELS = 1_000
"""Levels of a noise that a file may hold."""
TUNED_ON = 64
"""Training images on which a filter's settings are compared."""
TUNED_WITH = 2**31 - 1
"""The seed of their noise, which no test image is given."""


def best(
    baseline: str, clean: np.ndarray, noisy: np.ndarray, shape: Shape, pca: PCA
) -> tuple[Setting, float]:
    """Find the setting of a filter with the highest mean PSNR; return it and that PSNR in dB.

    Arguments
        baseline: a key of `BASELINES`.
        clean, noisy: (n, n_features), images of the training split.
        pca: the principal components of the training split.
    """
    chosen = BASELINES[baseline]
    found = [
        metrics.psnr(clean, chosen.denoise(noisy, shape, pca, setting))
        for setting in chosen.settings
    ]
    return chosen.settings[int(np.argmax(found))], max(found)


class Tuned(NamedTuple):
    """Best settings of every filter for one kind of noise, at the levels searched so far."""

    levels: np.ndarray
    """(m,), rising."""
    settings: dict[str, list[Setting]]
    """Of each filter, one for each level."""

    def complete(self, noise: str) -> bool:
        """Whether every filter was tuned at every selectable level."""
        return np.array_equal(self.levels, NOISES[noise].steps)

    def at(self, level: float) -> tuple[dict[str, Setting], float]:
        """The settings at the nearest tuned level, and that level."""
        nearest = int(np.abs(self.levels - level).argmin())
        settings_at = {name: settings[nearest] for name, settings in self.settings.items()}
        return settings_at, float(self.levels[nearest])


def tune(
    dataset: Dataset,
    pca: PCA,
    noise: str,
    clip: bool = False,
    levels: Sequence[float] | None = None,
    previous: Tuned | None = None,
    progress: Progress = no_progress,
) -> Iterator[Tuned]:
    """Search the best setting of every filter for a noise, on seeded training images.

    Yields what is known after each level, from the usual level outwards.

    Arguments
        pca: the principal components of the training split.
        levels: by default all selectable ones.
        previous: what was found before; its levels are not tried again.
    """
    entry = NOISES[noise]
    clean = dataset.train.x[metrics.subsample(dataset.n_train, TUNED_ON)]
    levels = entry.steps.tolist() if levels is None else levels
    tuned = {level: previous.at(level)[0] for level in previous.levels.tolist()} if previous else {}
    for level in sorted(set(levels) - tuned.keys(), key=lambda level: abs(level - entry.default)):
        noisy = corrupt(clean, dataset.shape, noise, level, TUNED_WITH, clip)
        best_of: dict[str, Setting] = {}
        for name, baseline in BASELINES.items():
            what = f"{baseline.title} on training images of {dataset.name}, {entry.title.lower()}"
            progress(what, len(tuned), len(levels))
            best_of[name] = best(name, clean, noisy, dataset.shape, pca)[0]
        tuned[level] = best_of
        rising = sorted(tuned)
        yield Tuned(
            np.array(rising), {name: [tuned[at][name] for at in rising] for name in BASELINES}
        )


def tuned_artifact(dataset_name: str, fingerprint: str, noise: str, clip: bool) -> Artifact[Tuned]:
    """Artifact of the tuned filter settings for a noise; levels may be missing."""
    return Artifact(
        path=projections.data_folder(dataset_name, fingerprint) / f"filters-{suffix(noise, clip)}",
        facts=TypeAdapter(_TunedFacts),
        expected=lambda facts: {"levels": Array((Size("levels", MOST_LEVELS),), low=0, rises=True)},
        dump=lambda tuned: (
            {"levels": tuned.levels},
            {"settings": tuned.settings, "tried": _tried()},
        ),
        build=_tuned_of,
    )


def _tuned_of(arrays: dict[str, np.ndarray], facts: _TunedFacts) -> Tuned | None:
    """Load tuned settings; None if they were searched over a different grid."""
    if facts.tried != _tried():
        return None
    levels, settings = arrays["levels"], facts.settings
    if settings.keys() != BASELINES.keys() or not all(
        len(chosen) == len(levels) and all(one in BASELINES[name].settings for one in chosen)
        for name, chosen in settings.items()
    ):
        raise Damaged("its settings are not one of each filter's for each level")
    return Tuned(levels, settings)


class _TunedFacts(BaseModel):
    tried: dict[str, list[Setting]]
    settings: dict[str, list[Setting]]


def _tried() -> dict[str, list[Setting]]:
    return {name: list(baseline.settings) for name, baseline in BASELINES.items()}


@dataclass(frozen=True)
class TuneFilters(Task):
    """Search the best settings of the classical filters for a noise, or load them."""

    dataset_name: str
    noise: str
    clip: bool

    @property
    def title(self) -> str:
        return f"tuning filters for {self.noise} noise on {self.dataset_name}"

    @property
    def files(self) -> Sequence[str]:
        own = f"filters-{suffix(self.noise, self.clip)}"
        return projections.files_of(self.dataset_name, "components.safetensors", own)

    def run(self, reporter: Reporter) -> Tuned:
        """Return the tuned settings; levels that are missing are searched and stored."""
        noise, clip = self.noise, self.clip
        dataset = data.get(self.dataset_name)
        refuse(dataset, noise, clip)
        fetch_data(dataset, reporter)
        stored = tuned_artifact(dataset.name, dataset.fingerprint, noise, clip)
        tuned = stored.load_intact()
        if tuned is not None and tuned.complete(noise):
            return tuned
        locations.refuse_unwritable()
        pca = projections.components(dataset)
        latest = tuned or Tuned(np.empty(0), {name: [] for name in BASELINES})
        for tuned in tune(dataset, pca, noise, clip, previous=latest, progress=reporter.progress):
            stored.save(tuned)
            latest = tuned
        return latest
