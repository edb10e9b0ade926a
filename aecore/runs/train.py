"""Tasks that train a run, from its beginning or from a checkpoint, and store it."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from pydantic import ValidationError

from aecore import data, locations, models, projections, training
from aecore.data import Dataset, Subset
from aecore.data.idx import fetch_data
from aecore.errors import InvalidRequest
from aecore.files import DiskFault
from aecore.models.variants import VARIANTS
from aecore.progress import Reporter, Task
from aecore.projections import plane_of
from aecore.runs import store, tracking
from aecore.training.history import history_entry

if TYPE_CHECKING:
    from aecore.training import Checkpoint, EpochRecord, RunConfig


EPOCHS_KEPT = 60
SAMPLES_KEPT = 1_000
PREVIEWS = 10


class Training(Task):
    """Base class of training tasks, from the beginning or from a checkpoint."""

    config: RunConfig
    name: str

    @property
    def title(self) -> str:
        return f"{VARIANTS[self.config.variant].title} on {self.config.dataset}"

    @property
    def reserves(self) -> str:
        return self.name

    @property
    def files(self) -> Sequence[str]:
        computed = "components.safetensors", "pca.safetensors"
        return projections.files_of(self.config.dataset, *computed)


@dataclass(frozen=True)
class Train(Training):
    """Train a run from its beginning, measure it, and store it.

    Arguments
        name: reserved while it trains; `run` raises `InvalidRequest` where it is taken.
        resumable: whether a checkpoint is stored after each epoch.
    """

    config: RunConfig
    name: str
    resumable: bool = True

    @classmethod
    def named(cls, config: RunConfig, name: str | None = None) -> Self:
        """Training task under a free name, derived from its settings unless one is given.

        Raises `InvalidRequest` where the name cannot be used.
        """
        return cls(config, store.free_name(config, name))

    def check(self) -> None:
        """Raise `InvalidRequest` if the name was taken after it was chosen."""
        store.free_name(self.config, self.name)

    def run(self, reporter: Reporter) -> store.Run:
        """Train, and return the stored run."""
        every = 0.0 if self.resumable else math.inf
        with store.reserve(self.name) as place:
            run = train(Recording(self.config, place, reporter, checkpoint_every=every))
        return completed(run, reporter)


@dataclass(frozen=True)
class Resume(Training):
    """Resume an unfinished run; the result is bit-equal to one that was never stopped."""

    config: RunConfig
    name: str
    history: Sequence[dict[str, Any]] = field(default=(), compare=False, repr=False)

    @classmethod
    def of(cls, name: str) -> Self:
        """Task that resumes the unfinished run `name`; raises `InvalidRequest` if there is none."""
        config, checkpoint = store.read_checkpoint(name)
        return cls(config, name, checkpoint.progress["history"])

    @property
    def title(self) -> str:
        return f"{super().title}, resumed"

    @property
    def files(self) -> Sequence[str]:
        return [*super().files, store.unfinished_folder(self.name)]

    def check(self) -> None:
        """Raise `InvalidRequest` if another process is training it."""
        store.refuse_held(self.name)

    def run(self, reporter: Reporter) -> store.Run:
        """Train the remaining epochs, and return the stored run."""
        with store.reserve_unfinished(self.name) as place:
            config, checkpoint = store.read_checkpoint(self.name)
            run = train(Recording(config, place, reporter, checkpoint))
        return completed(run, reporter)


class Paused(Exception):
    """The training has reached the epoch until which it was asked for; its checkpoint is stored."""


class Recording:
    """A training on its way into the store: its history, its checkpoints, and codes that are kept.

    Arguments
        place: the reserved name of the run.
        checkpoint: where the training goes on from.
        until: epoch after which to stop with a checkpoint; None for the last.
        checkpoint_every: least seconds between checkpoints, which are stored after an epoch.
        manifest: further facts of the run, `sweep` and `parent`.

    Raises `InvalidRequest` where the checkpoint is damaged or the store takes no files.
    """

    def __init__(
        self,
        config: RunConfig,
        place: store.Reservation,
        reporter: Reporter,
        checkpoint: Checkpoint | None = None,
        *,
        until: int | None = None,
        checkpoint_every: float = 0,
        **manifest: str,
    ) -> None:
        self.config, self.place, self.reporter, self.checkpoint = (
            config,
            place,
            reporter,
            checkpoint,
        )
        self._until, self._every, self._manifest = until, checkpoint_every, manifest
        reporter.progress("Loading the libraries, which takes some seconds the first time", 0, 1)
        self.dataset = training.dataset_of(config)
        fetch_data(self.dataset, reporter)
        locations.refuse_unwritable(_bytes_needed(config, self.dataset))
        self._history: list[dict[str, Any]] = []
        self._kept: list[np.ndarray] = []
        if checkpoint is not None:
            if problems := _history_problems(checkpoint, config, self.dataset):
                raise store.damaged_checkpoint(place.name, problems)
            self._history = checkpoint.progress["history"]
            self._kept = list(checkpoint.tensors["history.codes"].numpy())
            self._manifest = checkpoint.progress.get("manifest", {}) | manifest
        self._model: Any = None
        self._stored = time.monotonic()

    def add(self, record: EpochRecord | training.Diverged) -> None:
        """Record an epoch and report it.

        Raises `Paused` after epoch `until`, the error of a training that diverged, and `Cancelled`
        where the reporter does.
        """
        if isinstance(record, training.Diverged):
            self.place.discard()  # resumed, it would only diverge in the same epoch again
            raise record
        config, dataset = self.config, self.dataset
        self._model = record.model
        self._history.append(history_entry(record))
        if record.epoch in _epochs_kept(config.training.epochs):
            self._kept.append(record.test.codes[: _samples_kept(dataset, config)])
        pause = record.epoch == self._until and self._until < config.training.epochs
        if pause or time.monotonic() - self._stored >= self._every:
            self._stored = time.monotonic()
            state = record.checkpoint()
            self.place.verify()
            store.write_checkpoint(
                self.place.name,
                config,
                training.Checkpoint(
                    state.tensors | {"history.codes": _stack(self._kept, config)},
                    state.progress | {"history": self._history, "manifest": self._manifest},
                ),
            )
        self.reporter.epoch(self._history[-1], _view(record, dataset))
        if pause:
            raise Paused

    def finish(self) -> store.Run:
        """Measure the model and store the run."""
        if self._model is None:  # stopped between the last epoch and the end
            self._model = training.build(self.config, self.dataset.spec)
            if self.checkpoint is not None:
                self._model.load_state_dict(training.weights(self.checkpoint))
        return _finish(
            self.place,
            self.config,
            self.dataset,
            self._model,
            self._history,
            self._kept,
            self.reporter,
            self._manifest,
        )


def train(recording: Recording) -> store.Run:
    """Train from the beginning or a checkpoint, measure the model and store it as a run.

    Raises `Paused`, `InvalidRequest` where the training diverges or cannot be stored, and
    `Cancelled` where the reporter does.
    """
    records = training.fit(
        recording.config,
        recording.dataset,
        resume=recording.checkpoint,
        progress=recording.reporter.progress,
    )
    try:
        for record in records:
            recording.add(record)
    except training.Diverged as error:
        recording.add(error)
    except training.Misfit as error:
        raise store.damaged_checkpoint(recording.place.name, error.problems) from error
    return recording.finish()


HISTORY_ENTRY = 600
"""Bytes of an epoch in the history, at most."""


def _bytes_needed(config: RunConfig, dataset: Dataset) -> int:
    """Approximate disk space of a training in bytes, without the maps of its dataset."""
    import torch

    with torch.device("meta"):  # sizes alone
        model = config.model.build(dataset.spec)
    weights = sum(value.nbytes for value in model.state_dict().values())
    codes = 4 * dataset.n_test * (config.model.latent_dim + 4)
    per_epoch = 4 * _samples_kept(dataset, config) * config.model.latent_dim
    epochs = len(_epochs_kept(config.training.epochs)) * per_epoch
    history = HISTORY_ENTRY * config.training.epochs
    # Of a checkpoint there are two for a moment; it holds up to two moments of each weight.
    return 2 * (3 * weights + epochs + history) + weights + codes + history


def _history_problems(checkpoint: Checkpoint, config: RunConfig, dataset: Dataset) -> list[str]:
    """Reasons why a checkpoint's history does not match its epochs."""
    done, problems = checkpoint.progress["epochs_done"], []
    try:
        history = store.HISTORY.validate_python(checkpoint.progress["history"])
        if [entry.epoch for entry in history] != list(range(1, done + 1)):
            problems.append(f"its history has other epochs than 1 to {done}")
    except ValidationError as error:
        problems.append(f"its history has {error.error_count()} wrong entries")
    kept = sum(epoch <= done for epoch in _epochs_kept(config.training.epochs))
    shape = (kept, _samples_kept(dataset, config) if kept else 0, config.model.latent_dim)
    codes = checkpoint.tensors.get("history.codes")
    if codes is None or tuple(codes.shape) != shape:
        given = "missing" if codes is None else f"of shape {tuple(codes.shape)}"
        problems.append(f"history.codes is {given} and should be of shape {shape}")
    return problems


def _epochs_kept(epochs: int) -> set[int]:
    """Epochs whose codes are stored: all of a short training, evenly spaced ones of a long one."""
    stride = math.ceil(epochs / EPOCHS_KEPT)
    return {*range(stride, epochs + 1, stride), epochs}


def _samples_kept(dataset: Dataset, config: RunConfig) -> int:
    # A wide code keeps fewer samples, so that a checkpoint stays small.
    return min(dataset.n_test, SAMPLES_KEPT, 32 * SAMPLES_KEPT // config.model.latent_dim)


def _stack(kept: list[np.ndarray], config: RunConfig) -> Any:
    import torch

    if not kept:
        return torch.empty(0, 0, config.model.latent_dim)
    return torch.from_numpy(np.stack(kept))


def _view(record: Any, dataset: Dataset) -> dict[str, np.ndarray]:
    codes = record.test.codes[:SAMPLES_KEPT]
    originals, labels = (part[:PREVIEWS] for part in dataset.test)
    return {
        "plane": plane_of(codes, fitted_on=codes).astype(np.float32),
        "labels": dataset.test.labels[:SAMPLES_KEPT],
        "originals": originals,
        "reconstructions": models.inference.reconstruct(record.model, originals, labels),
    }


def _finish(
    place: store.Reservation,
    config: RunConfig,
    dataset: Dataset,
    model: Any,
    history: list[dict[str, Any]],
    kept: list[np.ndarray],
    reporter: Reporter,
    further: Mapping[str, str],
) -> store.Run:
    """Measure a trained model on the test split and store it as a run."""

    reporter.progress("Measuring the map", 0, 1)
    device = next(model.parameters()).device

    def evaluate(split: data.Samples) -> training.Evaluation:
        x, labels = (models.inference.shared(array, device) for array in split)
        return training.evaluate(model, x, labels)

    test = evaluate(dataset.test)
    # A code of two dimensions is drawn as it is, so nothing is fitted.
    codes_train = evaluate(dataset.train).codes if test.codes.shape[1] > 2 else test.codes
    codes = {
        "codes": test.codes,
        "plane": plane_of(test.codes, fitted_on=codes_train),
        "labels": dataset.test.labels.astype(np.int16 if dataset.label_names else np.float32),
        "error": test.mse,
        "epochs": np.stack([plane_of(each, fitted_on=codes_train) for each in kept]),
        "epochs_kept": np.array(sorted(_epochs_kept(config.training.epochs)), np.int32),
    }
    drawn = codes["plane"] if test.codes.shape[1] > 2 else test.codes
    shown = Subset()
    place.verify()  # the neighbours that measuring stores would create the store anew
    facts, _ = projections.measure(dataset, shown, drawn[shown.rows(dataset)])
    manifest = {
        **further,
        "data": dataset.described(),
        "fingerprint": dataset.fingerprint,
        "n_train": dataset.n_train,
        "n_test": dataset.n_test,
        "seconds": sum(entry["seconds"] for entry in history),
        "metrics": {
            "test_mse": float(test.mse.mean()),
            "test_squared_error": float(test.mse.mean()) * dataset.n_features,
            "test_loss": test.terms["total"],
            "pca_mse": projections.pca_mse(dataset, config.model.latent_dim),
            **facts,
        },
        "versions": {
            "python": platform.python_version(),
            **{package: version(package) for package in ("torch", "numpy", "scikit-learn")},
        },
    }
    weights = {key: value.cpu() for key, value in model.state_dict().items()}
    place.verify()
    name = place.name
    while True:
        try:
            run = store.save(name, config, weights, codes, history, **manifest)
            break
        except store.Taken:  # by a folder that was put there while this one was trained
            name = store.name_beside(place.name)
    place.discard()
    return run


def completed(run: store.Run, reporter: Reporter) -> store.Run:
    """Log a run that is stored to MLflow if asked to, compute its PCA map, and return it.

    The map of PCA is the first baseline.
    """
    tracking.log_run(run, reporter.progress)
    dataset = training.dataset_of(run.config)
    try:
        projections.compute(dataset, projections.PCAProjection(), reporter.progress)
    except DiskFault as error:
        raise InvalidRequest(
            [f"The run is stored as '{run.name}', but not its map.", *error.problems]
        ) from error
    return run
