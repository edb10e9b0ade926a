"""Checkpoints: complete training state for a bit-equal resume."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from aecore.errors import InvalidRequest
from aecore.training.optimizers import OPTIMIZERS

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler


class Misfit(InvalidRequest):
    """The checkpoint does not belong to the training to be resumed; one reason per sentence."""


class Checkpoint(NamedTuple):
    """Complete state of a training after an epoch."""

    tensors: dict[str, Tensor]
    """Weights, the optimiser's moments and the random state; perhaps those of the best epoch."""
    progress: dict[str, Any]
    """Epochs done, the best one, and the state of the schedule; JSON."""


class Best(NamedTuple):
    """The epoch with the smallest loss on the validation part so far."""

    epoch: int
    loss: float
    weights: dict[str, Tensor]


def checkpoint_of(
    model: nn.Module,
    optimizer: Optimizer,
    schedule: LRScheduler,
    generator: torch.Generator,
    epochs_done: int,
    best: Best | None = None,
) -> Checkpoint:
    """The state of a training after an epoch."""
    state = optimizer.state_dict()
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for index, moments in state["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in moments.items()}
    tensors["random"] = generator.get_state()
    progress = {
        "epochs_done": epochs_done,
        "param_groups": state["param_groups"],
        "schedule": schedule.state_dict(),
    }
    if best is not None:
        tensors |= {f"best.{name}": value for name, value in best.weights.items()}
        progress["best"] = {"epoch": best.epoch, "loss": best.loss}
    return Checkpoint(tensors, progress)


def weights(checkpoint: Checkpoint, part: str = "model") -> dict[str, Tensor]:
    """Weights of the model in a checkpoint: those of the last epoch, or of the "best"."""
    return {
        name.removeprefix(f"{part}."): value
        for name, value in checkpoint.tensors.items()
        if name.startswith(f"{part}.")
    }


def best_of(checkpoint: Checkpoint, device: torch.device | str = "cpu") -> Best | None:
    """The best epoch in a checkpoint; None where the training has no validation part."""
    best = checkpoint.progress.get("best")
    if best is None:
        return None
    kept = weights(checkpoint, "best")
    return Best(best["epoch"], best["loss"], {name: kept[name].to(device) for name in kept})


def restore(
    checkpoint: Checkpoint,
    model: nn.Module,
    optimizer: Optimizer,
    schedule: LRScheduler,
    generator: torch.Generator,
) -> int:
    """Bring a training to the state of a checkpoint, and return the epochs done.

    Raises `Misfit` where the random state is not one of this generator.
    """
    tensors, progress = checkpoint
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, moment = name.split(".")
            moments.setdefault(int(index), {})[moment] = value
    model.load_state_dict(weights(checkpoint))
    # The fused optimisers need moments in the memory layout of their weights.
    for number, weight in enumerate(model.parameters()):
        for moment, value in moments.get(number, {}).items():
            if value.shape == weight.shape:
                moments[number][moment] = torch.empty_like(weight).copy_(value)
    optimizer.load_state_dict({"state": moments, "param_groups": progress["param_groups"]})
    schedule.load_state_dict(progress["schedule"])
    try:
        generator.set_state(tensors["random"].cpu())
    except RuntimeError as error:
        raise Misfit(f"random is not a state of the generator ({error})") from error
    return progress["epochs_done"]


def _refuse_misfit(
    given: Checkpoint, fresh: Checkpoint, parameters: list[Tensor], moments: set[str]
) -> None:
    """Raise `Misfit` with every difference between a checkpoint and a training of its config.

    Arguments
        fresh: the state before the first epoch.
        moments: what the optimiser keeps of each parameter.
    """
    problems: list[str] = []
    expected = dict(fresh.tensors)
    indices = {name.split(".")[1] for name in given.tensors if name.startswith("optimizer.")}
    for index, parameter in enumerate(parameters):
        if str(index) in indices:
            for moment in moments:
                name = f"optimizer.{index}.{moment}"
                # A count of steps is one number, whatever the parameter's shape.
                one = moment == "step"
                expected[name] = torch.empty(()) if one else parameter.detach()
    tensors = {k: v for k, v in given.tensors.items() if not k.startswith("history.")}
    for name in sorted(expected.keys() ^ tensors.keys()):
        problems.append(f"{name} is {'missing' if name in expected else 'not known'}")
    for name in sorted(expected.keys() & tensors.keys()):
        ours, theirs = ((tuple(t.shape), t.dtype) for t in (expected[name], tensors[name]))
        if ours != theirs:
            problems.append(f"{name} has shape {theirs[0]} and {theirs[1]} instead of {ours}")
    for key, value in fresh.progress.items():
        if key not in given.progress:
            problems.append(f"{key} is missing")
        elif _outline(given.progress[key]) != _outline(value):
            problems.append(f"{key} is not that of this optimiser and schedule")
    if not problems and (best := given.progress.get("best")):
        if not (0 < best["epoch"] <= given.progress["epochs_done"]):
            problems.append(f"best epoch {best['epoch']} is none of those done")
        if not math.isfinite(best["loss"]):
            problems.append("the loss of the best epoch is no finite number")
    if problems:
        raise Misfit(problems)


def _moments(optimizer: str) -> set[str]:
    """Names of the per-parameter state of an optimiser."""
    chosen = OPTIMIZERS[optimizer]
    one = torch.nn.Parameter(torch.zeros(1))
    one.grad = torch.zeros(1)
    tried = chosen.kind([one], lr=1e-3, **chosen.options)
    tried.step()
    return set(tried.state[one])


def _outline(value: Any) -> Any:
    """Structure of an optimiser's or schedule's state, without its numbers."""
    if isinstance(value, dict):
        return {key: _outline(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_outline(each) for each in value]
    return "number" if type(value) in (int, float) else value
