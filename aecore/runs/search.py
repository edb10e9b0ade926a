"""Optuna's part in sweeps: draws where earlier trials were good, and importance of settings."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from aecore.errors import InvalidRequest
from aecore.runs.sweeps import ENDED, SEED, Plan, Result, settings_of

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution

LEAST_TRIALS = 10
"""Combinations from which importance is computed."""


class Combination(NamedTuple):
    """Drawn settings, and the results of their seeds."""

    settings: dict[str, Any]
    results: list[Result]

    @property
    def ended(self) -> bool:
        """Whether nothing of it is trained any more."""
        return all(each.trial.state in ENDED for each in self.results)

    @property
    def loss(self) -> float | None:
        """Mean loss of the stored weights over the seeds that are done; None where none is.

        On the validation part, or on the test split where there is none.
        """
        losses = [each.loss for each in self.results if each.trial.state == "done" and each.losses]
        return float(np.mean(losses)) if losses else None


def combinations(results: Sequence[Result]) -> list[Combination]:
    """Results grouped by their settings other than the seed, in the order of the trials."""

    def without_seed(result: Result) -> dict[str, Any]:
        return {key: each for key, each in result.trial.settings.items() if key != "seed"}

    return [Combination(key, list(each)) for key, each in groupby(results, without_seed)]


def _optuna() -> ModuleType:
    """The package Optuna; raises `InvalidRequest` where it is not installed."""
    try:
        import optuna
    except ImportError:
        raise InvalidRequest(
            "This needs Optuna, which is not installed: run `pip install latent-loupe[sweeps]`, or "
            "choose the search 'grid' or 'random'."
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def study(plan: Plan, results: Sequence[Result]) -> Study:
    """Optuna study of the trials so far, whose value is the mean test loss over the seeds."""
    optuna = _optuna()
    space = distributions(plan)
    sampler = optuna.samplers.TPESampler(seed=SEED + len(results), constant_liar=True)
    made = optuna.create_study(direction="minimize", sampler=sampler)
    for each in combinations(results):
        running, complete, failed = (
            optuna.trial.TrialState.RUNNING,
            optuna.trial.TrialState.COMPLETE,
            optuna.trial.TrialState.FAIL,
        )
        state = running if not each.ended else failed if each.loss is None else complete
        made.add_trial(
            optuna.trial.create_trial(
                state=state,
                value=each.loss if state == complete else None,
                params={key: _parameter(value) for key, value in each.settings.items()},
                distributions={key: space[key] for key in each.settings},
            )
        )
    return made


def distributions(plan: Plan) -> dict[str, BaseDistribution]:
    """Optuna's distribution of each setting other than the seed."""
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    known = settings_of(plan.base["variant"])
    space: dict[str, BaseDistribution] = {
        key: CategoricalDistribution([_parameter(value) for value in values])
        for key, values in plan.values.items()
        if key != "seed"
    }
    for key, span in plan.ranges.items():
        if known[key].kind == "whole number":
            space[key] = IntDistribution(int(span.low), int(span.high), log=span.log)
        else:
            space[key] = FloatDistribution(span.low, span.high, log=span.log)
    return space


def _parameter(value: Any) -> Any:
    """A value as Optuna takes it: widths as text."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else value


def suggest(plan: Plan, results: Sequence[Result]) -> dict[str, Any]:
    """Settings to try next, drawn by a tree-structured Parzen estimator (Bergstra et al. 2011)."""
    drawn = study(plan, results).ask(distributions(plan)).params
    listed = {
        key: {_parameter(value): value for value in values} for key, values in plan.values.items()
    }
    return {key: listed[key][value] if key in listed else value for key, value in drawn.items()}


def importance(plan: Plan, results: Sequence[Result]) -> dict[str, float] | None:
    """Share of each setting in the variance of the test loss, largest first; they sum to 1.

    By functional analysis of variance over a random forest (Hutter, Hoos & Leyton-Brown 2014). None
    where fewer than 10 combinations are done, or none of the settings differs.
    """
    optuna = _optuna()
    done = [each for each in combinations(results) if each.ended and each.loss is not None]
    if len(done) < LEAST_TRIALS or len({each.loss for each in done}) < 2:
        return None
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=SEED)
    return optuna.importance.get_param_importances(study(plan, results), evaluator=evaluator)
