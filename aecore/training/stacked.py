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

    A run that diverges yields the error once, and None from then on. The seconds of a record are
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
    n, device = len(data.train), data.train.device
    batches = math.ceil(n / settings.batch_size)
    alive = [True] * len(setups)
    stack.take_up()
    for epoch in range(setups[0].epochs_done + 1, settings.epochs + 1):
        started = time.perf_counter()
        for setup in setups:
            setup.model.train()
        sums: dict[str, Tensor] = {}
        orders = [torch.randperm(n, generator=each.generator, device=device) for each in setups]
        for number, batch in enumerate(torch.stack(orders).split(settings.batch_size, dim=1), 1):
            for setup in setups:
                setup.model.epochs_seen = epoch - 1 + number / batches
            losses = stack.losses(data.train[batch], data.train_labels[batch])
            stack.optimizer.zero_grad()
            reduce(torch.add, losses.values()).mean(1).sum().backward()
            stack.step()
            for name, values in losses.items():
                sums[name] = sums.get(name, 0) + values.detach().sum(1)
            what = f"Training, {len(setups)} at once"
            progress(what, (epoch - 1) * batches + number, settings.epochs * batches)
        stack.hand_back()
        seconds = (time.perf_counter() - started) / len(setups)
        records: list[EpochRecord | Diverged | None] = []
        for at, setup in enumerate(setups):
            own = {name: values[at] for name, values in sums.items()}
            try:
                records.append(record_of(setup, epoch, own, seconds, data) if alive[at] else None)
            except Diverged as error:
                alive[at] = False
                records.append(error)
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
    """Several trainings of equal `architecture`, whose losses are computed together."""

    def __init__(self, setups: Sequence[Setup]) -> None:
        self.setups = setups
        first = setups[0].model
        self._loss = Loss(copy.deepcopy(first))
        self._penalties, self._corruption = dict(first.penalties), first.corruption
        self._weights: dict[str, list[Tensor]] = {
            f"model.{name}": [setup.model.get_parameter(name) for setup in setups]
            for name, _ in first.named_parameters()
        }
        self._varied = list(_varied([setup.model for setup in setups], first))
        self._draws: dict[int, list[Draw]] = {}
        # Each training's own optimiser keeps its settings and its moments; this one takes the steps
        # of all of them, those with one learning rate in one call.
        alike: dict[float, list[Setup]] = {}
        for setup in setups:
            alike.setdefault(setup.settings.learning_rate, []).append(setup)
        self._alike = [same[0] for same in alike.values()]
        chosen = OPTIMIZERS[setups[0].settings.optimizer]
        groups = [
            {"params": [weight for each in same for weight in each.model.parameters()], "lr": rate}
            for rate, same in alike.items()
        ]
        self.optimizer = chosen.kind(groups, **chosen.options)

    def step(self) -> None:
        """Take a step of every optimiser and every schedule."""
        for group, setup in zip(self.optimizer.param_groups, self._alike, strict=True):
            own = setup.optimizer.param_groups[0]
            group.update({name: own[name] for name in own if name != "params"})
        self.optimizer.step()
        for setup in self.setups:
            advance(setup.schedule)

    def take_up(self) -> None:
        """Begin with the moments of each training."""
        for setup in self.setups:
            self.optimizer.state.update(setup.optimizer.state)

    def hand_back(self) -> None:
        """Give each training the moments of its weights."""
        for setup in self.setups:
            for weight in setup.optimizer.param_groups[0]["params"]:
                setup.optimizer.state[weight] = self.optimizer.state[weight]

    def losses(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Named terms of the loss, each (k, batch), for a batch (k, batch, n_features)."""
        n = x.shape[1]
        if n not in self._draws:
            self._draws[n] = self._drawn_for(x[0], labels[0])
        draws = [
            torch.stack([draw.repeated(setup.generator) for setup in self.setups])
            for draw in self._draws[n]
        ]
        weights = {name: torch.stack(each) for name, each in self._weights.items()}
        values = [each.values for each in self._varied]
        self._loss.model.epochs_seen = self.setups[0].model.epochs_seen
        self._loss.train()
        return vmap(self._of_one)(weights, x, labels, draws, values)

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
        reduce(torch.add, stack.losses(*many).values()).mean(1).sum().backward()

    def one() -> None:
        setup = setups[0]
        losses = setup.model.losses(x, setup.generator, labels)
        reduce(torch.add, losses.values()).mean().backward()
        setup.optimizer.zero_grad()

    try:
        together()
        seconds = [_shortest(compute, repeats, data.train.device) for compute in (together, one)]
    except RuntimeError:  # an operation that cannot be batched, such as a gradient within a loss
        return 0
    finally:
        stack.optimizer.zero_grad()
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
