"""Training: a generator of epochs that can be stopped between batches and resumed bit-equal."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from aecore.autoencoder import Autoencoder
from aecore.configs import EVALUATION_BATCH, RunConfig, TrainingConfig
from aecore.datasets import Dataset
from aecore.errors import Faults
from aecore.pretraining import Stage
from aecore.progress import Progress, no_progress
from aecore.spec import DataSpec
from aecore.threads import AdaptiveWaiting

EVALUATION_SEED = 0
BESIDE_OTHERS = ", slowed by other programs that need a processor"
"""Follows what is being done while threads sleep instead of spin."""


class Diverged(Faults):
    """A loss, a weight or a code is no longer a finite number.

    Going on from the last checkpoint would end the same way.
    """


class Misfit(Faults):
    """A checkpoint is not one of the training that should go on from it; one reason a fault."""


class Checkpoint(NamedTuple):
    """All that training needs to go on as if it had never stopped."""

    tensors: dict[str, Tensor]
    """Weights, the optimiser's moments and the random state."""
    progress: dict
    """Epochs done and the state of the schedule; JSON."""


class Evaluation(NamedTuple):
    """A model's answers for one split."""

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
    """What one epoch did. Terms are means over samples of sums over features."""

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


def pick_device(asked: str) -> torch.device:
    """The device for "auto", "cpu", "cuda" or "mps"; raises `Faults` where it is not there."""
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if asked == "auto":
        return torch.device(next(name for name, there in present.items() if there))
    if not present[asked]:
        raise Faults(f"device = '{asked}' is not on this machine: choose 'auto' or 'cpu'.")
    return torch.device(asked)


@dataclass(frozen=True)
class Optimizer:
    """A way to make steps, and what the defaults of torch are changed to."""

    kind: type[torch.optim.Optimizer]
    options: Mapping[str, Any]
    cycles_momentum: bool
    """Whether the one-cycle schedule lowers its momentum while the rate is high."""


OPTIMIZERS = {
    # Kingma & Ba 2015; Loshchilov & Hutter 2019
    "adam": Optimizer(torch.optim.Adam, {"fused": True}, True),
    "adamw": Optimizer(torch.optim.AdamW, {"fused": True}, True),
    "sgd": Optimizer(torch.optim.SGD, {"fused": True, "momentum": 0.9}, True),
    # Zeiler 2012; Tieleman & Hinton 2012
    "adadelta": Optimizer(torch.optim.Adadelta, {}, False),
    "rmsprop": Optimizer(torch.optim.RMSprop, {"alpha": 0.9}, False),
}


def _schedule(
    settings: TrainingConfig, optimizer: torch.optim.Optimizer, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    if settings.schedule == "constant":
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1)
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        settings.learning_rate,
        total_steps=steps,
        cycle_momentum=OPTIMIZERS[settings.optimizer].cycles_momentum,
    )


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16 faster than it emulates it."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return device.type == "cpu" and bool(
        capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16")
    )


def build(config: RunConfig, spec: DataSpec) -> Autoencoder:
    """The untrained model of a run, its weights fixed by the run's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.training.seed)
        return config.model.build(spec)


def fit(
    config: RunConfig,
    dataset: Dataset,
    *,
    resume: Checkpoint | None = None,
    progress: Progress = no_progress,
) -> Iterator[EpochRecord]:
    """Train a run, yielding a record after every epoch.

    Minimises the batch mean of the sum of `Autoencoder.losses`, by default with Adam under a
    one-cycle learning rate (Smith 2018), after the variant's own pretraining. A resumed run is
    bit-equal to one that never stopped, on the same machine.

    Arguments
        resume: where an earlier run of the same config got to.
        progress: called after each batch with the stage, and the batches done and to do
            of it; what it raises ends the training.

    Raises `Diverged` naming the first epoch after which a loss, a weight or a code is no longer a
    finite number, and `Misfit` where `resume` is the checkpoint of another training, or damaged.
    """
    settings = config.training
    device = pick_device(settings.device)
    model = build(config, dataset.spec).to(device)
    convolutional = any(isinstance(layer, torch.nn.Conv2d) for layer in model.modules())
    if convolutional:
        model.to(memory_format=torch.channels_last)
    model.bfloat16 = settings.precision == "bfloat16" or (
        settings.precision == "auto" and convolutional and has_bfloat16(device)
    )
    # One tensor indexed by a permutation: a DataLoader would cost a third of the epoch or more.
    x_train = torch.tensor(dataset.train.x, device=device)
    x_test = torch.tensor(dataset.test.x, device=device)
    labels_train = torch.tensor(dataset.train.labels, device=device)
    labels_test = torch.tensor(dataset.test.labels, device=device)
    batches = math.ceil(len(x_train) / settings.batch_size)
    steps = max(settings.epochs * batches, 2)
    chosen = OPTIMIZERS[settings.optimizer]
    optimizer = chosen.kind(model.parameters(), lr=settings.learning_rate, **chosen.options)
    schedule = _schedule(settings, optimizer, steps)
    generator = torch.Generator(device).manual_seed(settings.seed)
    epochs_done = 0
    with AdaptiveWaiting(device) as waiting:

        def report(what: str, done: int, total: int) -> None:
            waiting.step()
            progress(what + BESIDE_OTHERS * waiting.sleeping, done, total)

        if resume is not None:
            fresh = _state(model, optimizer, schedule, generator, 0)
            _refuse_misfit(resume, fresh, [*model.parameters()], _moments(settings.optimizer))
            epochs_done = _restore(resume, model, optimizer, schedule, generator)
        else:
            stage = Stage(settings.batch_size, generator, report)
            config.model.pretrain(model, x_train, stage)

        for epoch in range(epochs_done + 1, settings.epochs + 1):
            started = time.perf_counter()
            waiting.restart()
            model.train()
            sums: dict[str, Tensor] = {}
            order = torch.randperm(len(x_train), generator=generator, device=device)
            for number, batch in enumerate(order.split(settings.batch_size), start=1):
                model.epochs_seen = epoch - 1 + number / batches
                losses = model.losses(x_train[batch], generator, labels_train[batch])
                optimizer.zero_grad()
                sum(losses.values()).mean().backward()
                optimizer.step()
                if schedule.last_epoch < steps - 1:
                    schedule.step()
                for name, values in losses.items():
                    sums[name] = sums.get(name, 0) + values.detach().sum()
                report("Training", (epoch - 1) * batches + number, settings.epochs * batches)
            train = _with_total({name: float(total) / len(x_train) for name, total in sums.items()})
            seconds = time.perf_counter() - started
            test = evaluate(model, x_test, labels_test)
            _refuse_unless_finite(epoch, model, train, test, settings)
            yield EpochRecord(
                epoch,
                train,
                test,
                schedule.get_last_lr()[0],
                seconds,
                len(x_train) / seconds,
                model,
                lambda done=epoch: _state(model, optimizer, schedule, generator, done),
            )


@torch.inference_mode()
def evaluate(model: Autoencoder, x: Tensor, labels: Tensor | None = None) -> Evaluation:
    """The loss, reconstruction error and codes of samples (n, n_features), deterministically.

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
    terms = _with_total({name: total / len(x) for name, total in sums.items()})
    code = torch.cat(codes)
    facts = model.facts(code.to(x.device))
    return Evaluation(terms, torch.cat(errors).numpy(), code.numpy(), facts)


def _refuse_unless_finite(
    epoch: int,
    model: Autoencoder,
    train: Mapping[str, float],
    test: Evaluation,
    settings: TrainingConfig,
) -> None:
    """Raise `Diverged` where anything that an epoch has come to is no finite number."""
    damaged = {
        name: int((~value.isfinite()).sum())
        for name, value in model.state_dict().items()
        if not value.isfinite().all()
    }
    codes = int((~np.isfinite(test.codes)).sum())
    causes = []
    if not math.isfinite(train["total"]) or not math.isfinite(test.terms["total"]):
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
    if model.bfloat16:
        cure += ", or set precision to 'float32'"
    raise Diverged(f"Training stopped in epoch {epoch}: {'; '.join(causes)}. {cure}.")


NAMED = 3
"""Tensors that a message names before it counts the others."""


def _with_total(terms: dict[str, float]) -> dict[str, float]:
    return terms | {"total": sum(terms.values())}


def _state(model, optimizer, schedule, generator, epochs_done: int) -> Checkpoint:
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
    return Checkpoint(tensors, progress)


def weights(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """The model's part of a checkpoint."""
    return {
        name.removeprefix("model."): value
        for name, value in checkpoint.tensors.items()
        if name.startswith("model.")
    }


def _restore(checkpoint: Checkpoint, model, optimizer, schedule, generator) -> int:
    tensors, progress = checkpoint
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, moment = name.split(".")
            moments.setdefault(int(index), {})[moment] = value
    model.load_state_dict(weights(checkpoint))
    # The fused optimisers walk through memory, so moments must lie as their weights do.
    for index, weight in enumerate(model.parameters()):
        for name, value in moments.get(index, {}).items():
            if value.shape == weight.shape:
                moments[index][name] = torch.empty_like(weight).copy_(value)
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
    """Raise `Misfit` with all that a checkpoint has otherwise than a training of its config.

    Arguments
        fresh: the state before the first epoch.
        moments: what the optimiser keeps of each parameter.
    """
    faults: list[str] = []
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
        faults.append(f"{name} is {'missing' if name in expected else 'not known'}")
    for name in sorted(expected.keys() & tensors.keys()):
        ours, theirs = ((tuple(t.shape), t.dtype) for t in (expected[name], tensors[name]))
        if ours != theirs:
            faults.append(f"{name} has shape {theirs[0]} and {theirs[1]} instead of {ours}")
    for key, value in fresh.progress.items():
        if key not in given.progress:
            faults.append(f"{key} is missing")
        elif _outline(given.progress[key]) != _outline(value):
            faults.append(f"{key} is not that of this optimiser and schedule")
    if faults:
        raise Misfit(faults)


def _moments(optimizer: str) -> set[str]:
    """The names of what an optimiser keeps of each parameter."""
    chosen = OPTIMIZERS[optimizer]
    one = torch.nn.Parameter(torch.zeros(1))
    one.grad = torch.zeros(1)
    tried = chosen.kind([one], lr=1e-3, **chosen.options)
    tried.step()
    return set(tried.state[one])


def _outline(value: Any) -> Any:
    """What must be equal of two states of one optimiser or schedule: all but the numbers."""
    if isinstance(value, dict):
        return {key: _outline(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_outline(each) for each in value]
    return "number" if type(value) in (int, float) else value
