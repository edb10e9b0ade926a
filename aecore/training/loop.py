"""Training loop: a generator of epochs, which can be cancelled and resumed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from aecore.errors import InvalidRequest
from aecore.models.inference import shared
from aecore.models.pretraining import Stage
from aecore.progress import Progress, no_progress
from aecore.training import validation
from aecore.training.checkpoint import (
    Best,
    Checkpoint,
    _moments,
    _refuse_misfit,
    best_of,
    checkpoint_of,
    restore,
)
from aecore.training.config import EVALUATION_BATCH, RunConfig, TrainingConfig
from aecore.training.optimizers import OPTIMIZERS, _schedule
from aecore.training.threads import AdaptiveWaiting

if TYPE_CHECKING:
    from aecore.data import Dataset
    from aecore.data.spec import DataSpec
    from aecore.models.autoencoder import Autoencoder

EVALUATION_SEED = 0
BESIDE_OTHERS = ", slowed by other programs that need a processor"
"""Follows what is being done while threads sleep instead of spin."""


class Diverged(InvalidRequest):
    """A loss, a weight or a code is no longer a finite number.

    Going on from the last checkpoint would end the same way.
    """


class Evaluation(NamedTuple):
    """Loss, errors and codes of one split."""

    terms: dict[str, float]
    """Mean of each term of the loss over the samples, and their `total`."""
    mse: np.ndarray
    """Mean squared error per feature of each sample's reconstruction, (n,)."""
    codes: np.ndarray
    """(n, latent_dim)."""
    facts: dict[str, float]
    """What the penalties report beside their terms, such as the weight of a KL that warms up."""


@dataclass(frozen=True)
class EpochRecord:
    """Record of one epoch. Terms are means over samples of sums over features."""

    epoch: int
    """1 for the first."""
    train: dict[str, float]
    """Terms of the loss, averaged while the weights moved, and their `total`."""
    test: Evaluation
    learning_rate: float
    """At the end of the epoch."""
    seconds: float
    """Time spent training, without the evaluation."""
    samples_per_second: float
    model: Autoencoder
    checkpoint: Callable[[], Checkpoint]
    """The state to resume from; call it before asking for the next epoch."""
    validation: dict[str, float] | None = None
    """Terms of the loss on the validation part, and their `total`."""
    best: Best | None = None
    """The epoch whose weights are to be kept, so far; None for the last."""
    stopped: bool = False
    """Whether the training ends here, before its last epoch."""


def pick_device(asked: str) -> torch.device:
    """Select the device "auto", "cpu", "cuda" or "mps"; raises `InvalidRequest` if it is absent."""
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if asked == "auto":
        return torch.device(next(name for name, there in present.items() if there))
    if not present[asked]:
        raise InvalidRequest(f"device = '{asked}' is not on this machine: choose 'auto' or 'cpu'.")
    return torch.device(asked)


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16 in hardware."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return device.type == "cpu" and bool(
        capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16")
    )


def build(config: RunConfig, spec: DataSpec) -> Autoencoder:
    """Build the untrained model of a run, initialised with the run's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.training.seed)
        return config.model.build(spec)


@dataclass
class Setup:
    """What a training changes: its model, and the state of optimiser, schedule and generator."""

    settings: TrainingConfig
    model: Autoencoder
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    generator: torch.Generator
    """Of the order of the samples, and of what the loss draws."""
    rows: Tensor
    """Rows of the training split to learn from."""
    held: Tensor | None = None
    """Those of the validation part, of which nothing is learned."""
    epochs_done: int = 0
    best: Best | None = None

    def order(self) -> Tensor:
        """The rows to learn from, in a new order."""
        n, device = len(self.rows), self.rows.device
        return self.rows[torch.randperm(n, generator=self.generator, device=device)]

    @property
    def stopped(self) -> bool:
        """Whether the loss on the validation part has not fallen for as long as was asked."""
        patience = self.settings.patience
        return (
            self.best is not None
            and 0 < patience <= self.epochs_done - self.best.epoch
            and self.epochs_done < self.settings.epochs
        )


class Start(NamedTuple):
    """Trained weights that a further training goes on from."""

    weights: Mapping[str, Tensor]
    epochs: int
    """Epochs that they were trained."""
    loss: float | None = None
    """On the validation part, after these."""


class Splits(NamedTuple):
    """Samples (n, n_features) and labels (n,) of both splits, on the device.

    One tensor indexed by a permutation: a DataLoader would cost a third of the epoch or more.
    """

    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor

    @classmethod
    def of(cls, dataset: Dataset, device: torch.device) -> Splits:
        arrays = (*dataset.train, *dataset.test)
        return cls(*(shared(array, device) for array in arrays))


def set_up(
    config: RunConfig, dataset: Dataset, device: torch.device, start: Start | None = None
) -> Setup:
    """A training before its first epoch, without the variant's pretraining."""
    settings = config.training
    model = build(config, dataset.spec).to(device)
    before = 0
    if start is not None:
        before = start.epochs
        model.load_state_dict(start.weights)
    convolutional = any(isinstance(layer, torch.nn.Conv2d) for layer in model.modules())
    if convolutional:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # no overload has it
    model.uses_bfloat16 = settings.precision == "bfloat16" or (
        settings.precision == "auto" and convolutional and has_bfloat16(device)
    )
    chosen = OPTIMIZERS[settings.optimizer]
    optimizer = chosen.kind(model.parameters(), lr=settings.learning_rate, **chosen.options)
    rows, held = torch.arange(dataset.n_train, device=device), None
    if settings.validation:
        labels, classes = dataset.train.labels, bool(dataset.n_classes)
        parts = validation.split(labels, settings.validation, settings.seed, classes)
        rows, held = (torch.from_numpy(part).to(device) for part in parts)
    steps = (settings.epochs - before) * math.ceil(len(rows) / settings.batch_size)
    schedule = _schedule(settings, optimizer, max(steps, 2))
    # Epochs that go on from others draw anew, not the same once more.
    generator = torch.Generator(device).manual_seed(settings.seed + before)
    setup = Setup(settings, model, optimizer, schedule, generator, rows, held, before)
    if start is not None and start.loss is not None:
        setup.best = _best_now(setup, start.loss)
    return setup


def _best_now(setup: Setup, loss: float) -> Best:
    """The weights of a training as they are, as those of its best epoch."""
    weights = {name: value.detach().clone() for name, value in setup.model.state_dict().items()}
    return Best(setup.epochs_done, loss, weights)


def begin(
    setup: Setup, config: RunConfig, x: Tensor, resume: Checkpoint | None, progress: Progress
) -> None:
    """Bring a training to where its checkpoint is; pretrain an untrained model where there is none.

    Raises `Misfit` where `resume` is the checkpoint of another training, or damaged.
    """
    model, optimizer, schedule = setup.model, setup.optimizer, setup.schedule
    if resume is None:
        if not setup.epochs_done:
            stage = Stage(setup.settings.batch_size, setup.generator, progress)
            config.model.pretrain(model, x if setup.held is None else x[setup.rows], stage)
        return
    best = None if setup.held is None else _best_now(setup, 0.0)
    fresh = checkpoint_of(model, optimizer, schedule, setup.generator, 0, best)
    _refuse_misfit(resume, fresh, [*model.parameters()], _moments(setup.settings.optimizer))
    setup.epochs_done = restore(resume, model, optimizer, schedule, setup.generator)
    setup.best = best_of(resume, x.device)


def fit(
    config: RunConfig,
    dataset: Dataset,
    *,
    resume: Checkpoint | None = None,
    start: Start | None = None,
    progress: Progress = no_progress,
) -> Iterator[EpochRecord]:
    """Train a run, yielding a record after every epoch.

    Minimises the batch mean of the sum of `Autoencoder.losses`, by default with Adam under a
    one-cycle learning rate (Smith 2018), after the variant's own pretraining. A resumed run is
    bit-equal to one that never stopped, on the same machine.

    With a validation part the record says which epoch was the best on it so far, and the training
    ends once that is as long ago as the patience (early stopping, Prechelt 1998).

    Arguments
        resume: where an earlier run of the same config got to.
        start: weights to go on from, of `start.epochs` of all the epochs: neither the optimiser's
            moments nor the schedule are of these, so that a one-cycle rate makes a cycle of its own
            over the further epochs.
        progress: called after each batch with the stage, and the batches done and to do
            of it; what it raises ends the training.

    Raises `Diverged` naming the first epoch after which a loss, a weight or a code is no longer a
    finite number, and `Misfit` where `resume` is the checkpoint of another training, or damaged.
    """
    settings = config.training
    device = pick_device(settings.device)
    setup = set_up(config, dataset, device, start)
    model, optimizer, generator = setup.model, setup.optimizer, setup.generator
    data = Splits.of(dataset, device)
    batches = math.ceil(len(setup.rows) / settings.batch_size)
    with AdaptiveWaiting(device) as waiting:

        def report(what: str, done: float, total: float) -> None:
            waiting.step()
            progress(what + BESIDE_OTHERS * waiting.sleeping, done, total)

        begin(setup, config, data.train, resume, report)
        for epoch in range(setup.epochs_done + 1, settings.epochs + 1):
            if setup.stopped:
                return
            started = time.perf_counter()
            waiting.restart()
            model.train()
            sums: dict[str, Tensor] = {}
            for number, batch in enumerate(setup.order().split(settings.batch_size), start=1):
                model.epochs_seen = epoch - 1 + number / batches
                losses = model.losses(data.train[batch], generator, data.train_labels[batch])
                optimizer.zero_grad()
                reduce(torch.add, losses.values()).mean().backward()
                optimizer.step()
                advance(setup.schedule)
                for name, values in losses.items():
                    sums[name] = sums.get(name, 0) + values.detach().sum()
                report("Training", (epoch - 1) * batches + number, settings.epochs * batches)
            yield record_of(setup, epoch, sums, time.perf_counter() - started, data)


def advance(schedule: torch.optim.lr_scheduler.LRScheduler) -> None:
    """Take the schedule's next step; a one-cycle schedule has no more than were planned."""
    total = getattr(schedule, "total_steps", math.inf)
    if schedule.last_epoch < total - 1:
        schedule.step()


def record_of(
    setup: Setup, epoch: int, sums: Mapping[str, Tensor], seconds: float, data: Splits
) -> EpochRecord:
    """Evaluate a training after an epoch; raises `Diverged`.

    Arguments
        sums: of each term of the loss over the training samples.
        seconds: that the epoch took.
    """
    n, model = len(setup.rows), setup.model
    train = with_total({name: float(total) / n for name, total in sums.items()})
    test = evaluate(model, data.test, data.test_labels)
    setup.epochs_done, watched = epoch, None
    if setup.held is not None:
        held = data.train[setup.held], data.train_labels[setup.held]
        watched = evaluate(model, *held).terms
    _refuse_unless_finite(epoch, model, (train, test.terms, watched or {}), test, setup.settings)
    if watched and (setup.best is None or watched["total"] < setup.best.loss):
        setup.best = _best_now(setup, watched["total"])
    best = setup.best
    return EpochRecord(
        epoch,
        train,
        test,
        float(setup.schedule.get_last_lr()[0]),
        seconds,
        n / seconds,
        model,
        partial(
            checkpoint_of, model, setup.optimizer, setup.schedule, setup.generator, epoch, best
        ),
        watched,
        best,
        setup.stopped,
    )


@torch.inference_mode()
def evaluate(model: Autoencoder, x: Tensor, labels: Tensor | None = None) -> Evaluation:
    """Evaluate loss, reconstruction error and codes of samples (n, n_features), deterministically.

    A VAE's loss is estimated from one draw a sample with a fixed seed; its codes and
    reconstructions are those of the posterior's mean.

    Arguments
        labels: (n,), for a model that is conditioned on them.
    """
    model.eval()
    generator = torch.Generator(x.device).manual_seed(EVALUATION_SEED)
    sums: dict[str, float] = {}
    errors, codes = [], []
    for numbers in torch.arange(len(x), device=x.device).split(EVALUATION_BATCH):
        batch, label = x[numbers], None if labels is None else labels[numbers]
        for name, values in model.losses(batch, generator, label).items():
            sums[name] = sums.get(name, 0.0) + float(values.sum())
        code = model.encode(batch, labels=label)
        codes.append(code.cpu())
        errors.append((model.decode(code, label) - batch).square().mean(1).cpu())
    terms = with_total({name: total / len(x) for name, total in sums.items()})
    code = torch.cat(codes)
    facts = model.facts(code.to(x.device))
    return Evaluation(terms, torch.cat(errors).numpy(), code.numpy(), facts)


def _refuse_unless_finite(
    epoch: int,
    model: Autoencoder,
    losses: Iterable[Mapping[str, float]],
    test: Evaluation,
    settings: TrainingConfig,
) -> None:
    """Raise `Diverged` if a value of an epoch is not finite."""
    damaged = {
        name: int((~value.isfinite()).sum())
        for name, value in model.state_dict().items()
        if not value.isfinite().all()
    }
    codes = int((~np.isfinite(test.codes)).sum())
    causes = []
    if not all(math.isfinite(terms.get("total", 0)) for terms in losses):
        causes.append("the loss is no longer a number")
    if damaged:
        named = [f"{count} of {name}" for name, count in list(damaged.items())[:NAMED]]
        more = [f"{len(damaged) - NAMED} tensors more"] if len(damaged) > NAMED else []
        causes.append(f"weights are no longer finite ({', '.join(named + more)})")
    if codes:
        causes.append(
            f"{codes} of {test.codes.size} numbers in the test split's codes are not finite"
        )
    if not causes:
        return
    rate = settings.learning_rate
    cure = f"Lower learning_rate (it is {rate:g}; try {rate / 10:g}), or scale the data"
    if model.uses_bfloat16:
        cure += ", or set precision to 'float32'"
    raise Diverged(f"Training stopped in epoch {epoch}: {'; '.join(causes)}. {cure}.")


NAMED = 3
"""Tensors that a message names before it counts the others."""


def with_total(terms: dict[str, float]) -> dict[str, float]:
    return terms | {"total": sum(terms.values())}
