"""What-ifs: the usual sweeps of a training, and how long a sweep takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from aecore import data
from aecore.errors import InvalidRequest
from aecore.runs.sweeps import Draft, settings_of, with_settings
from aecore.training import RunConfig

if TYPE_CHECKING:
    from aecore.data.spec import DataSpec
    from aecore.runs import store


class WhatIf(NamedTuple):
    """Usual values of one setting."""

    title: str
    setting: str
    values: str
    """As typed."""


def what_ifs(config: RunConfig) -> list[WhatIf]:
    """The usual what-ifs of a training, with the values that its data and variant allow."""
    base, widths, rate = config.model_dump(), config.model.widths_setting, config.training
    hidden = tuple(getattr(config.model, widths)) or (128,)
    deeper = (*hidden, max(hidden[-1] // 2, 1))
    usual: tuple[tuple[str, str, Sequence[Any]], ...] = (
        ("Code size", "latent_dim", (1, 2, 4, 8, 16, 32)),
        ("Depth", widths, [deeper[:n] for n in range(1, len(deeper) + 1)]),
        ("Beta", "beta", (0.25, 0.5, 1, 2, 4, 8)),
        ("Noise level", "level", (0, 0.1, 0.2, 0.3, 0.5)),
        ("Learning rate", "learning_rate", [rate.learning_rate * 2**n for n in range(-2, 3)]),
        ("Seeds", "seed", (0, 1, 2)),
    )
    known = settings_of(config.variant)
    offered = []
    for title, setting, values in usual:
        if setting in known:
            possible = [value for value in values if _is_possible(base, setting, value)]
            if len(possible) > 1:
                typed = ("; " if setting == widths else ", ").join(map(_typed, possible))
                offered.append(WhatIf(title, setting, typed))
    return offered


def _is_possible(base: dict[str, Any], setting: str, value: Any) -> bool:
    try:
        RunConfig.check(with_settings(base, {setting: value}))
    except InvalidRequest:
        return False
    return True


def _typed(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else f"{value:.4g}"


class Estimate(NamedTuple):
    """About how long a sweep takes."""

    seconds: float
    sources: list[str]
    """The runs that it is computed from."""


def count(drafted: Draft) -> int:
    """Number of trainings of a sweep, drawn ones included."""
    plan = drafted.plan
    return len(drafted.trials) or plan.trials * len(plan.with_seeds({}))


def estimate(drafted: Draft, runs: Sequence[store.Run], at_once: int) -> Estimate | None:
    """Estimate the duration of a sweep; None where no run is like its trials.

    Each trial takes the seconds per step of the run of the same dataset and variant that is nearest
    in work, times the ratio of their work, times its steps. The work of a step is taken as
    `OVERHEAD` plus the samples of a batch times the parameters. Trials of sweeps come first: they
    were trained with one thread beside others. Measuring the trained model is left out.

    Arguments
        at_once: how many trials are trained at the same time.
    """
    plan = drafted.plan
    spec = data.get(plan.base["dataset"]).spec
    like = [
        run
        for run in runs
        if (run.config.dataset, run.config.variant) == (spec.name, plan.base["variant"])
        and run.manifest.seconds > 0
    ]
    like = [run for run in like if run.manifest.sweep] or like
    if not like:
        return None
    work = {run.name: _work(run.config, run.spec) for run in like}
    by_name = {run.name: run for run in like}
    seconds, sources = [], set()
    for settings in drafted.trials or [{}]:
        config = plan.config(settings)
        mine = _work(config, spec)
        nearest = min(work, key=lambda name: abs(math.log(work[name] / mine)))
        run = by_name[nearest]
        share = (run.epochs or 0) / run.config.training.epochs
        trained = _steps(run.config, run.spec) * share
        per_step = run.manifest.seconds / trained
        seconds.append(per_step * mine / work[nearest] * _steps(config, spec))
        sources.add(nearest)
    n = count(drafted)
    mean = sum(seconds) / len(seconds)
    total = n * mean * _share_trained(drafted, n)
    return Estimate(max(total / at_once, mean), sorted(sources))


OVERHEAD = 10_000_000
"""Work of a step that does not depend on the network, in samples times parameters.

One thread of a Xeon took 0.7, 2.3, 4.8 and 9.5 ms for a step of 64 digits through networks of
4,354, 33,474, 330,306 and 1,184,834 parameters.
"""


def _work(config: RunConfig, spec: DataSpec) -> float:
    """Work of a step of a training."""
    return OVERHEAD + config.training.batch_size * config.model.n_parameters(spec)


def _steps(config: RunConfig, spec: DataSpec) -> int:
    """Steps of a training."""
    n = spec.n_train * (1 - config.training.validation)
    return config.training.epochs * math.ceil(n / config.training.batch_size)


def _share_trained(drafted: Draft, n: int) -> float:
    """Share of all epochs that is trained though poor trials are stopped early."""
    plan, halving = drafted.plan, drafted.plan.halving
    if halving is None:
        return 1
    epochs, before, left = plan.config({}).training.epochs, 0, n
    trained = 0
    for rung in halving.rungs(epochs):
        trained += left * (rung - before)
        before, left = rung, halving.survivors(left)
    return trained / (n * epochs)
