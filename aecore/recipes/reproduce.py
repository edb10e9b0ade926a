"""Task: run a recipe and store its outcome."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aecore import locations, projections
from aecore.artifacts import Artifact
from aecore.errors import Damaged
from aecore.progress import Reporter, Task
from aecore.recipes.experiment import Experiment
from aecore.recipes.registry import get
from aecore.recipes.results import (
    OUTCOME_FACTS,
    SEED,
    Outcome,
    Picture,
    _arrays_of,
    _contents,
    _OutcomeFacts,
)
from aecore.runs import store

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Reproduce(Task):
    """Run a recipe, compare its result with the reference, and store the outcome.

    Arguments
        fast: on a tenth of the samples and of the epochs, which reproduces nothing and is neither
            judged nor stored.
    """

    name: str
    fast: bool = False

    @property
    def title(self) -> str:
        return f"recipe {self.name}"

    @property
    def files(self) -> Sequence[str]:
        return projections.files_of(get(self.name).dataset, "*.safetensors")

    def run(self, reporter: Reporter) -> Outcome:
        """Run the recipe and return its outcome."""
        chosen = get(self.name)
        if not self.fast:
            locations.refuse_unwritable()
        started = time.perf_counter()
        reporter.progress("Loading the libraries, which takes some seconds the first time", 0, 1)
        experiment = Experiment(chosen, reporter, self.fast)
        finding = chosen.find(experiment)
        outcome = Outcome(
            name=self.name,
            dataset=chosen.dataset,
            metric=chosen.describe_metric(finding.reference),
            value=float(finding.value),
            reference=float(finding.reference),
            holds=None if self.fast else bool(finding.holds),
            seconds=round(time.perf_counter() - started, 1),
            source=chosen.source,
            architecture=chosen.architecture,
            seed=SEED,
            fast=self.fast,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            figures={key: float(value) for key, value in finding.figures.items()},
            runs=experiment.runs,
            pictures=list(finding.pictures),
        )
        if not self.fast:
            outcome_artifact(outcome.name).save(outcome)
        return outcome


def outcome_artifact(name: str) -> Artifact[Outcome]:
    """Artifact of the latest outcome of a recipe on this machine.

    Raises `InvalidRequest` where there is no recipe of that name.
    """

    def build(arrays: dict[str, np.ndarray], facts: _OutcomeFacts) -> Outcome:
        if facts.name != name:
            raise Damaged(f"it is the outcome of {facts.name}")
        pictures = [
            Picture(
                picture.kind,
                picture.title,
                {key: arrays[f"{number}/{key}"] for key in picture.order},
                picture.facts,
            )
            for number, picture in enumerate(facts.pictures)
        ]
        return Outcome(**dict(facts) | {"pictures": pictures})

    return Artifact(
        path=store.root() / "_recipes" / f"{get(name).name}.safetensors",
        facts=OUTCOME_FACTS,
        expected=_arrays_of,
        dump=_contents,
        build=build,
    )
