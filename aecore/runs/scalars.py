"""Settings and history of a run as flat names and numbers, as other tools want them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from aecore.runs.store import Run


GROUPS = ("train", "validation", "test", "facts")
EACH_EPOCH = ("test_mse", "learning_rate", "samples_per_second")


class Scalar(NamedTuple):
    """A number of one epoch."""

    name: str
    """With a slash after its group, such as "train/total"."""
    value: float
    epoch: int
    when: datetime
    """When the epoch ended, without the time that evaluation took."""


def flat_settings(run: Run) -> dict[str, str | float]:
    """Every setting of a run by name; those of several numbers as text."""
    config = run.config.model_dump(mode="json")
    if not run.capabilities.trainable:
        config["training"] = {}
    named = {**config.pop("model"), **config.pop("training"), **config}
    return {name: _plain(value) for name, value in named.items() if value is not None}


def _plain(value: Any) -> str | float:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return value if isinstance(value, int | float) else f"{value}"


def scalars(run: Run) -> Iterator[Scalar]:
    """Numbers of each epoch: terms of the loss on each split, error, learning rate and facts."""
    when = run.manifest.created - timedelta(seconds=run.manifest.seconds)
    for entry in run.history:
        when += timedelta(seconds=entry["seconds"])
        groups = {group: entry.get(group, {}) for group in GROUPS}
        named = {
            f"{group}/{name}": each for group in groups for name, each in groups[group].items()
        }
        for name in ("test_mse", "learning_rate", "samples_per_second"):
            named[name] = entry.get(name)
        for name, value in named.items():
            if value is not None:
                yield Scalar(name, value, entry["epoch"], when)


def final_metrics(run: Run) -> dict[str, float]:
    """Metrics of the trained run by name; `test_mse` is that of the stored weights."""
    return {name: value for name, value in run.manifest.metrics.items() if value is not None}
