"""Training of several small models of one architecture at once, as one stacked model.

The operations of a small network take less time than starting them does. Stacked, the weights of k
models are one tensor with k in front, and each operation is started once for all of them
(`torch.func.stack_module_state` in the documentation of torch, "Model ensembling"). Each model
keeps its own seed, learning rate, order of samples, draws, optimiser state and checkpoint, and ends
as if it had been trained alone, up to the rounding of sums in another order.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import reduce
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.overrides import TorchFunctionMode

from aecore.progress import Progress, no_progress
from aecore.training.loop import (
    Diverged,
    EpochRecord,
    Setup,
    Splits,
    advance,
    begin,
    pick_device,
    record_of,
    set_up,
)
from aecore.training.optimizers import OPTIMIZERS

if TYPE_CHECKING:
    from aecore.data import Dataset
    from aecore.models.autoencoder import Autoencoder
    from aecore.training.checkpoint import Checkpoint
    from aecore.training.config import RunConfig

WORTH_IT = 1.15
"""Gain in speed from which trainings are stacked."""


def fit_stacked(
    configs: Sequence[RunConfig],
    dataset: Dataset,
    *,
    resume: Sequence[Checkpoint | None] = (),
    progress: Progress = no_progress,
) -> Iterator[list[EpochRecord | Diverged | None]] | None:
    """Train several runs of equal `architecture` at once, yielding their records epoch by epoch.

    A run that diverges yields the error once, and None from then on, as one does that has stopped
    early. The seconds of a record are
    those of the epoch divided by the number of runs.

    Arguments
        resume: where earlier runs of the same configs got to, all after the same epoch.
        progress: as of `fit`, of all runs together.

    Returns None where they cannot be stacked, or where a short timing says that one after another
    is as fast. Raises `Misfit` as `fit` does.
    """
    device = pick_device(configs[0].training.device)
    setups = [set_up(config, dataset, device) for config in configs]
    if any(setup.model.uses_bfloat16 for setup in setups):
        return None
    data = Splits.of(dataset, device)
    stack = Stack(setups)
    if gain(stack, data) < WORTH_IT:
        return None
    for setup, config, checkpoint in zip(
        setups, configs, resume or [None] * len(configs), strict=True
    ):
        begin(setup, config, data.train, checkpoint, progress)
    return _epochs(stack, data, progress)


def _epochs(
    stack: Stack, data: Splits, progress: Progress
) -> Iterator[list[EpochRecord | Diverged | None]]:
    setups, settings = stack.setups, stack.setups[0].settings
    batches = math.ceil(len(setups[0].rows) / settings.batch_size)
    alive = [not setup.stopped for setup in setups]
    stack.take_up()
    for epoch in range(setups[0].epochs_done + 1, settings.epochs + 1):
        if not any(alive):
            return
        started = time.perf_counter()
        for setup in setups:
            setup.model.train()
        sums: dict[str, Tensor] = {}
        orders = [setup.order() for setup in setups]
        for number, batch in enumerate(torch.stack(orders).split(settings.batch_size, dim=1), 1):
            for setup in setups:
                setup.model.epochs_seen = epoch - 1 + number / batches
            losses = stack.losses(data.train[batch], data.train_labels[batch])
            stack.clear_gradients()
            reduce(torch.add, losses.values()).mean(1).sum().backward()
            stack.step()
            for name, values in losses.items():
                sums[name] = sums.get(name, 0) + values.detach().sum(1)
            what = f"Training, {len(setups)} at once"
            progress(what, (epoch - 1) * batches + number, settings.epochs * batches)
        stack.hand_back()
        seconds = (time.perf_counter() - started) / len(setups)
        records: list[EpochRecord | Diverged | None] = [None] * len(setups)
        for at, (place, setup) in enumerate(zip(stack.places, setups, strict=True)):
            if alive[at]:
                own = {name: values[at] for name, values in sums.items()}
                try:
                    records[place] = record_of(setup, epoch, own, seconds, data)
                    alive[at] = not setup.stopped
                except Diverged as error:
                    alive[at], records[place] = False, error
        yield records


class Draw(NamedTuple):
    """A call of `torch.rand` or `torch.randn` within a loss."""

    function: Callable[..., Tensor]
    arguments: tuple[Any, ...]
    options: dict[str, Any]

    def repeated(self, generator: torch.Generator) -> Tensor:
        return self.function(*self.arguments, **self.options, generator=generator)


class Draws(TorchFunctionMode):
    """Context that notes the draws from a generator, or gives those that were drawn before."""

    def __init__(self, given: Sequence[Tensor] | None = None) -> None:
        super().__init__()
        self.noted: list[Draw] = []
        self._given = None if given is None else iter(given)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        options = dict(kwargs or {})
        if func not in (torch.rand, torch.randn) or options.get("generator") is None:
            return func(*args, **options)
        if self._given is not None:
            return next(self._given)
        drawn = func(*args, **options)
        del options["generator"]
        self.noted.append(Draw(func, args, options))
        return drawn


class Varied(NamedTuple):
    """A number in which the parts of the loss of several models differ."""

    holder: str
    """Name of the penalty; "" for the corruption."""
    field: str
    values: Tensor
    """(k,)."""


class Loss(nn.Module):
    """Terms of the loss of a model, as the forward pass of a module."""

    def __init__(self, model: Autoencoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, labels: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        return self.model.losses(x, generator, labels)


class Stack:
    """Several trainings of equal `architecture`, whose steps are computed together."""

    def __init__(self, setups: Sequence[Setup]) -> None:
        rates = [setup.settings.learning_rate for setup in setups]
        self.places = sorted(range(len(setups)), key=rates.__getitem__)
        """Of the trainings among those given. Those of one learning rate lie side by side, and
        their weights are one to the optimiser."""
        self.setups = [setups[place] for place in self.places]
        rates.sort()
        starts = [at for at, rate in enumerate(rates) if at == 0 or rate != rates[at - 1]]
        self._groups = [slice(*ends) for ends in pairwise([*starts, len(rates)])]
        first = setups[0].model
        self._loss = Loss(copy.deepcopy(first))
        self._penalties, self._corruption = dict(first.penalties), first.corruption
        self._varied = list(_varied([setup.model for setup in self.setups], first))
        self._draws: dict[int, list[Draw]] = {}
        self.take_up()

    def take_up(self) -> None:
        """Join the weights, gradients and moments of the trainings, which become parts of these.

        So nothing is put together or taken apart in a step.
        """
        self._weights = {
            f"model.{name}": _joined([each.model.get_parameter(name) for each in self.setups])
            for name, _ in self._loss.model.named_parameters()
        }
        chosen = OPTIMIZERS[self.setups[0].settings.optimizer]
        groups = [
            {"params": [_part(weight, group) for weight in self._weights.values()]}
            | _options(self.setups[group.start])
            for group in self._groups
        ]
        self.optimizer = chosen.kind(groups, **chosen.options)
        for part, states in self._states():
            if any(states):
                self.optimizer.state[part] = {
                    name: value.clone()
                    if name == STEP
                    else torch.stack([state[name] for state in states])
                    for name, value in states[0].items()
                }

    def hand_back(self) -> None:
        """Give each training its moments, learning rate and place in the schedule."""
        for part, states in self._states():
            for at, state in enumerate(states):
                moments = self.optimizer.state[part].items()
                state.update(
                    {name: each.clone() if name == STEP else each[at] for name, each in moments}
                )
        for group in self._groups:
            first, *others = self.setups[group]
            for setup in others:
                setup.optimizer.param_groups[0].update(_options(first))
                setup.schedule.load_state_dict(first.schedule.state_dict())

    def _states(self) -> Iterator[tuple[Tensor, list[dict[str, Tensor]]]]:
        """Each weight of the optimiser, and the states of its parts in those of the trainings."""
        for group, options in zip(self._groups, self.optimizer.param_groups, strict=True):
            own = [setup.optimizer for setup in self.setups[group]]
            for number, part in enumerate(options["params"]):
                yield part, [each.state[each.param_groups[0]["params"][number]] for each in own]

    def clear_gradients(self) -> None:
        """Set the gradients to 0, in place."""
        torch._foreach_zero_(
            [each.grad for each in self._weights.values() if each.grad is not None]
        )

    def step(self) -> None:
        """Take a step of every training."""
        for options, group in zip(self.optimizer.param_groups, self._groups, strict=True):
            options.update(_options(self.setups[group.start]))
        self.optimizer.step()
        for group in self._groups:
            advance(self.setups[group.start].schedule)

    def losses(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Named terms of the loss, each (k, batch), for a batch (k, batch, n_features)."""
        n = x.shape[1]
        if n not in self._draws:
            self._draws[n] = self._drawn_for(x[0], labels[0])
        draws = [
            torch.stack([draw.repeated(setup.generator) for setup in self.setups])
            for draw in self._draws[n]
        ]
        values = [each.values for each in self._varied]
        self._loss.model.epochs_seen = self.setups[0].model.epochs_seen
        self._loss.train()
        return vmap(self._of_one)(self._weights, x, labels, draws, values)

    def _of_one(
        self,
        weights: Mapping[str, Tensor],
        x: Tensor,
        labels: Tensor,
        draws: Sequence[Tensor],
        values: Sequence[Tensor],
    ) -> dict[str, Tensor]:
        """Terms of the loss of one of the models, called with all of them in place of each."""
        penalties, corruption = dict(self._penalties), self._corruption
        for (holder, field, _), value in zip(self._varied, values, strict=True):
            if holder:
                penalties[holder] = replace(penalties[holder], **{field: value})  # type: ignore[type-var]  # penalties are dataclasses
            else:
                corruption = replace(corruption, **{field: value})  # type: ignore[type-var]  # as are corruptions
        model, arguments = self._loss.model, (x, labels, torch.Generator(x.device))
        model.penalties, model.corruption = penalties, corruption
        try:
            if not draws:  # the mode would be asked at each operation
                return functional_call(self._loss, dict(weights), arguments)
            with Draws(draws):
                return functional_call(self._loss, dict(weights), arguments)
        finally:
            model.penalties, model.corruption = self._penalties, self._corruption

    def _drawn_for(self, x: Tensor, labels: Tensor) -> list[Draw]:
        """What the loss of a batch of one model draws, in order."""
        self._loss.train()
        with torch.no_grad(), Draws() as noting:
            self._loss(x, labels, torch.Generator(x.device))
        return noting.noted


STEP = "step"
"""In the state of an optimiser, the number of steps; all others are moments of a weight's shape."""


def _joined(weights: Sequence[nn.Parameter]) -> Tensor:
    with torch.no_grad():
        joined = torch.stack([*weights]).requires_grad_()
    joined.grad = torch.zeros_like(joined)
    for weight, part, gradient in zip(weights, joined.detach(), joined.grad, strict=True):
        weight.data, weight.grad = part, gradient
    return joined


def _part(joined: Tensor, group: slice) -> Tensor:
    assert joined.grad is not None
    part = joined.detach()[group]
    part.grad = joined.grad[group]
    return part


def _options(setup: Setup) -> dict[str, Any]:
    """Learning rate and further options of a training's optimiser, as they are now."""
    options = setup.optimizer.param_groups[0]
    return {name: options[name] for name in options if name != "params"}


def _varied(models: Sequence[Autoencoder], first: Autoencoder) -> Iterator[Varied]:
    """Numbers in which the penalties and corruptions of the models differ."""
    device = next(first.parameters()).device
    for holder in (*first.penalties, ""):
        parts: list[Any] = [
            each.penalties[holder] if holder else each.corruption for each in models
        ]
        for each in fields(parts[0]) if parts[0] is not None else ():
            values = [getattr(part, each.name) for part in parts]
            if len(set(values)) > 1:
                yield Varied(holder, each.name, torch.tensor(values, device=device))


def gain(stack: Stack, data: Splits, repeats: int = 8) -> float:
    """How many times as fast the stack is as its trainings one after another, by a short timing.

    0 where torch cannot compute their losses together.
    """
    setups = stack.setups
    batch = torch.arange(setups[0].settings.batch_size, device=data.train.device) % len(data.train)
    x, labels = data.train[batch], data.train_labels[batch]
    many = x.expand(len(setups), *x.shape), labels.expand(len(setups), *labels.shape)
    states = [setup.generator.get_state() for setup in setups]

    def together() -> None:
        stack.clear_gradients()
        reduce(torch.add, stack.losses(*many).values()).mean(1).sum().backward()

    def one() -> None:
        setup = setups[0]
        losses = setup.model.losses(x, setup.generator, labels)
        setup.optimizer.zero_grad(set_to_none=False)  # which are parts of the stack's
        reduce(torch.add, losses.values()).mean().backward()

    try:
        together()
        seconds = [_shortest(compute, repeats, data.train.device) for compute in (together, one)]
    except RuntimeError:  # an operation that cannot be batched, such as a gradient within a loss
        return 0
    finally:
        stack.clear_gradients()
        for setup, state in zip(setups, states, strict=True):
            setup.generator.set_state(state)
    return len(setups) * seconds[1] / seconds[0]


def _shortest(compute: Callable[[], None], repeats: int, device: torch.device) -> float:
    """The shortest of some durations; on a CPU the time it computed, whatever else ran there."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    times = []
    for _ in range(repeats):
        started = clock()
        compute()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(clock() - started)
    return min(times)
