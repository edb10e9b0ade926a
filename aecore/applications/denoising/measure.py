"""The task that measures how well a run removes a noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from aecore import latent, locations, models, projections
from aecore.applications.denoising.curve import MEASURED, RunCurve, curve, curve_artifact
from aecore.applications.denoising.drift import class_means, drift
from aecore.applications.denoising.noise import NOISES, some
from aecore.applications.denoising.tuning import TuneFilters
from aecore.data.idx import fetch_data
from aecore.progress import Reporter, Task
from aecore.runs import store

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class MeasureDenoising(Task):
    """Measure how well a run and classical filters remove a noise, and where its codes move."""

    run_name: str
    noise: str
    clip: bool

    @property
    def title(self) -> str:
        return f"denoising by {self.run_name}"

    def run(self, reporter: Reporter) -> RunCurve:
        """The curve, which is stored."""
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
            chosen = some(dataset.n_test, MEASURED)
            x, labels = (part[chosen] for part in dataset.test)
            means = class_means(encode, dataset)
            moved = drift(encode, x, labels, means, dataset.shape, noise, levels, clip=clip)
            flipped = moved.flipped(levels)
        measured = RunCurve(found, flipped)
        curve_artifact(run, noise, clip).save(measured)
        return measured
