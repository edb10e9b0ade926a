"""Training: a generator of epochs that can be stopped between batches and resumed bit-equal."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from aecore.autoencoder import Autoencoder
from aecore.configs import RunConfig
from aecore.datasets import Dataset
from aecore.errors import Faults

EVALUATION_BATCH = 2_000
EVALUATION_SEED = 0


class Diverged(Faults):
    """The loss is no longer a number; going on from the last checkpoint would end the same way."""


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


def build(config: RunConfig, n_features: int) -> Autoencoder:
    """The untrained model of a run, its weights fixed by the run's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.training.seed)
        return config.model.build(n_features)


def fit(
    config: RunConfig,
    dataset: Dataset,
    *,
    resume: Checkpoint | None = None,
    on_batch: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[EpochRecord]:
    """Train a run, yielding a record after every epoch.

    Minimises the batch mean of the sum of `Autoencoder.losses` with Adam (Kingma & Ba 2015) under
    a one-cycle learning rate (Smith 2018). A resumed run is bit-equal to one that never stopped,
    on the same machine.

    Arguments
        resume: where an earlier run of the same config got to.
        on_batch: called after each batch with the batches done and to do in all; what it raises
            ends the training.

    Raises `Diverged` naming the epoch where the loss is no longer a number.
    """
    settings = config.training
    device = pick_device(settings.device)
    model = build(config, dataset.n_features).to(device)
    # One tensor indexed by a permutation: a DataLoader would cost a third of the epoch or more.
    x_train = torch.tensor(dataset.train.x, device=device)
    x_test = torch.tensor(dataset.test.x, device=device)
    batches = math.ceil(len(x_train) / settings.batch_size)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=max(settings.epochs * batches, 2)
    )
    generator = torch.Generator(device).manual_seed(settings.seed)
    epochs_done = 0
    if resume is not None:
        epochs_done = _restore(resume, model, optimizer, schedule, generator)

    for epoch in range(epochs_done + 1, settings.epochs + 1):
        started = time.perf_counter()
        model.train()
        sums: dict[str, Tensor] = {}
        order = torch.randperm(len(x_train), generator=generator, device=device)
        for number, batch in enumerate(order.split(settings.batch_size), start=1):
            losses = model.losses(x_train[batch], generator)
            optimizer.zero_grad()
            sum(losses.values()).mean().backward()
            optimizer.step()
            if schedule.last_epoch < schedule.total_steps - 1:
                schedule.step()
            for name, values in losses.items():
                sums[name] = sums.get(name, 0) + values.detach().sum()
            on_batch((epoch - 1) * batches + number, settings.epochs * batches)
        train = _with_total({name: float(total) / len(x_train) for name, total in sums.items()})
        seconds = time.perf_counter() - started
        test = evaluate(model, x_test)
        if not math.isfinite(train["total"]) or not math.isfinite(test.terms["total"]):
            raise Diverged(
                f"Training stopped in epoch {epoch}: the loss is no longer a number. Lower "
                f"learning_rate (it is {settings.learning_rate:g}; try "
                f"{settings.learning_rate / 10:g})."
            )
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
def evaluate(model: Autoencoder, x: Tensor) -> Evaluation:
    """The loss, reconstruction error and codes of samples (n, n_features), deterministically.

    A VAE's loss is estimated from one draw a sample with a fixed seed; its codes and
    reconstructions are those of the posterior's mean.
    """
    model.eval()
    generator = torch.Generator(x.device).manual_seed(EVALUATION_SEED)
    sums: dict[str, float] = {}
    errors, codes = [], []
    for batch in x.split(EVALUATION_BATCH):
        for name, values in model.losses(batch, generator).items():
            sums[name] = sums.get(name, 0.0) + float(values.sum())
        code = model.encode(batch)
        codes.append(code.cpu())
        errors.append((model.decode(code) - batch).square().flatten(1).mean(1).cpu())
    terms = _with_total({name: total / len(x) for name, total in sums.items()})
    return Evaluation(terms, torch.cat(errors).numpy(), torch.cat(codes).numpy())


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
    optimizer.load_state_dict({"state": moments, "param_groups": progress["param_groups"]})
    schedule.load_state_dict(progress["schedule"])
    generator.set_state(tensors["random"].cpu())
    return progress["epochs_done"]
