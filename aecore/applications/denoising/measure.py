"""Task: measure the denoising curve of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from aecore import latent, locations, metrics, models, projections
from aecore.applications.denoising.code_drift import class_means, drift
from aecore.applications.denoising.curves import MEASURED, RunCurve, curve, curve_artifact
from aecore.applications.denoising.noise import NOISES
from aecore.applications.denoising.tuning import TuneFilters
from aecore.data.idx import fetch_data
from aecore.progress import Reporter, Task
from aecore.runs import store

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class MeasureDenoising(Task):
    """Measure the denoising curves of a run and of classical filters, and the run's code drift."""

    run_name: str
    noise: str
    clip: bool

    @property
    def title(self) -> str:
        return f"denoising by {self.run_name}"

    @property
    def files(self) -> Sequence[str]:
        dataset_name = store.load(self.run_name).spec.name
        return [self.run_name, *TuneFilters(dataset_name, self.noise, self.clip).files]

    def run(self, reporter: Reporter) -> RunCurve:
        """Compute the curve and store it."""
        noise, clip = self.noise, self.clip
        run = store.load(self.run_name)
        locations.refuse_unwritable()
        reporter.progress("Loading the libraries, which takes some seconds the first time", 0, 1)
        dataset = run.dataset
        fetch_data(dataset, reporter)
        latent.refuse_changed(run, dataset)
        latent.refuse_unless_finite(run, run.codes["codes"])
        tuned = TuneFilters(dataset.name, noise, clip).run(reporter)
        model = run.model()

        def encode(x: np.ndarray, labels: np.ndarray) -> np.ndarray:
            codes = models.inference.encode(model, x, labels)
            latent.refuse_unless_answered(run.name, codes)
            return codes

        levels = NOISES[noise].levels.tolist()
        found = curve(
            dataset,
            {run.name: partial(models.inference.reconstruct, model)},
            projections.components(dataset),
            noise,
            tuned,
            levels,
            clip=clip,
            progress=reporter.progress,
        )
        flipped = None
        if dataset.label_names:
            chosen = metrics.subsample(dataset.n_test, MEASURED)
            x, labels = (part[chosen] for part in dataset.test)
            means = class_means(encode, dataset)
            moved = drift(encode, x, labels, means, dataset.shape, noise, levels, clip=clip)
            flipped = moved.flipped(levels)
        measured = RunCurve(found, flipped)
        curve_artifact(run, noise, clip).save(measured)
        return measured
