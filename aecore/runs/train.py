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
from aecore.errors import InvalidRequest, shown
from aecore.files import DiskFault
from aecore.models.variants import VARIANTS
from aecore.progress import Reporter, Task
from aecore.projections import plane_of
from aecore.runs import store, tracking
from aecore.settings import read_settings
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


@dataclass(frozen=True)
class TrainFurther(Training):
    """Train a stored run for more epochs, as a new run; the old one stays.

    It begins with the stored weights of that run, whose history up to them is its own, and epochs
    are numbered on. The optimiser's moments are not stored, so they begin anew, and so does the
    schedule: a one-cycle rate makes one cycle more, over the further epochs, a constant one stays.
    The validation part is the same, so that nothing of it has been learned from.

    Arguments
        config: of the new run; its epochs are all, those before included.
        name: reserved while it trains.
        continues: name of the run that it goes on from.
    """

    config: RunConfig
    name: str
    continues: str
    history: Sequence[dict[str, Any]] = field(default=(), compare=False, repr=False)

    @classmethod
    def of(
        cls,
        continues: str,
        epochs: Any,
        name: str | None = None,
        **changes: Any,
    ) -> Self:
        """Task that trains a run for so many more epochs.

        Arguments
            epochs: how many more, as a number or as typed.
            changes: other settings of the training than its own.

        Raises `InvalidRequest` with all problems, such as a dataset that has changed since.
        """
        run = store.load(continues)
        if not run.trained:
            raise InvalidRequest(
                f"The run '{run.name}' was not trained as a run of the dashboard, so that nothing "
                "is known of its epochs: train a new one."
            )
        problems: list[str] = []
        own, given = run.config.training, changes | {"epochs": epochs}
        further, wrong = read_settings(training.TrainingConfig, given, problems)
        problems += [
            f"{name} = {shown(changes[name])} is not possible: {why}"
            for name, why in FIXED.items()
            if name in changes.keys() - wrong and getattr(further, name) != getattr(own, name)
        ]
        before, most = run.stored_epoch, training.MOST_EPOCHS
        if not problems and before + further.epochs > most:
            problems.append(
                f"epochs = {further.epochs} is not possible: '{run.name}' was trained {before} "
                f"epochs, and {most:,} is the most, so give at most {most - before:,}."
            )
        if run.dataset.missing:
            problems.append(run.dataset.missing)
        elif data.is_available(run.dataset) and not run.has_data():
            problems.append(run.data_changed)
        if problems:
            raise InvalidRequest(problems)
        config = run.config.model_dump(mode="json")
        config["training"] |= changes | {"epochs": before + further.epochs}
        checked = training.RunConfig.check(config)
        return cls(checked, store.free_name(checked, name), run.name, run.history[:before])

    @property
    def title(self) -> str:
        return f"{super().title}, trained further"

    @property
    def files(self) -> Sequence[str]:
        return [*super().files, self.continues]

    def check(self) -> None:
        """Raise `InvalidRequest` if the name was taken, or the old run deleted, meanwhile."""
        store.load(self.continues)
        store.free_name(self.config, self.name)

    def run(self, reporter: Reporter) -> store.Run:
        """Train the further epochs, and return the stored run."""
        parent = store.load(self.continues)
        with store.reserve(self.name) as place:
            run = train(Recording(self.config, place, reporter, continues=parent))
        return completed(run, reporter)


FIXED = {
    "validation": "it would hold out samples that the run has learned from already. Leave it out, "
    "or train anew.",
    "seed": "the run keeps that of its beginning, which draws its validation part. Leave it out, "
    "or train anew.",
}
"""Settings of a run that training further cannot change, and why."""


class Paused(Exception):
    """The training has reached the epoch until which it was asked for; its checkpoint is stored."""


class Recording:
    """A training on its way into the store: its history, its checkpoints, and codes that are kept.

    Arguments
        place: the reserved name of the run.
        checkpoint: where the training goes on from.
        until: epoch after which to stop with a checkpoint; None for the last.
        checkpoint_every: least seconds between checkpoints, which are stored after an epoch.
        continues: the run that the training goes on from, where there is no checkpoint yet.
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
        continues: store.Run | None = None,
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
        self._before = 0
        self.start: training.Start | None = None
        if continues is not None and checkpoint is None:
            self._begin_with(continues)
        if checkpoint is not None:
            if problems := _history_problems(checkpoint, config, self.dataset):
                raise store.damaged_checkpoint(place.name, problems)
            self._history = checkpoint.progress["history"]
            self._kept = list(checkpoint.tensors["history.codes"].numpy())
            self._manifest = checkpoint.progress.get("manifest", {}) | manifest
            self._before = checkpoint.progress.get("epochs_before", 0)
        self._best = None if checkpoint is None else training.best_of(checkpoint)
        self._model: Any = None
        self._stored = time.monotonic()

    def _begin_with(self, run: store.Run) -> None:
        """Begin with the stored weights of a run, with its history and codes up to them."""
        if self.dataset.fingerprint != run.manifest.fingerprint:
            raise InvalidRequest(run.data_changed)
        self._before = run.stored_epoch
        self._history = run.history[: self._before]
        self._kept = [run.codes["codes"][: _samples_kept(self.dataset, self.config)]]
        self._manifest = {**self._manifest, "continues": run.name}
        watched = run.stored_entry.get("validation")
        weights = run.model().state_dict()
        self.start = training.Start(weights, self._before, watched and watched["total"])

    def add(self, record: EpochRecord | training.Diverged) -> None:
        """Record an epoch and report it.

        Raises `Paused` after epoch `until`, the error of a training that diverged, and `Cancelled`
        where the reporter does.
        """
        if isinstance(record, training.Diverged):
            self.place.discard()  # resumed, it would only diverge in the same epoch again
            raise record
        config, dataset = self.config, self.dataset
        self._model, self._best = record.model, record.best
        self._history.append(history_entry(record))
        if record.epoch in _epochs_kept(config.training.epochs, self._before):
            self._kept.append(record.test.codes[: _samples_kept(dataset, config)])
        last = record.epoch == config.training.epochs or record.stopped
        pause = record.epoch == self._until and not last
        if pause or time.monotonic() - self._stored >= self._every:
            self._stored = time.monotonic()
            state = record.checkpoint()
            self.place.verify()
            store.write_checkpoint(
                self.place.name,
                config,
                training.Checkpoint(
                    state.tensors | {"history.codes": _stack(self._kept, config)},
                    state.progress
                    | {
                        "history": self._history,
                        "manifest": self._manifest,
                        "epochs_before": self._before,
                    },
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
        facts: dict[str, Any] = dict(self._manifest)
        done = len(self._history)
        if self._before:
            facts["epochs_before"] = self._before
        if done < self.config.training.epochs:
            facts["epochs_done"] = done
        if self._best is not None:
            self._model.load_state_dict(self._best.weights)
            facts["best_epoch"] = self._best.epoch
            facts["ended"] = "patience" if "epochs_done" in facts else "epochs"
        return _finish(
            self.place,
            self.config,
            self.dataset,
            self._model,
            self._history,
            self._frames(),
            self.reporter,
            facts,
        )

    def _frames(self) -> dict[int, np.ndarray]:
        """Codes by the epochs that they are kept of, up to that of the stored weights."""
        epochs = sorted(_epochs_kept(self.config.training.epochs, self._before))
        last = len(self._history) if self._best is None else self._best.epoch
        return {
            epoch: codes
            for epoch, codes in zip(epochs, self._kept, strict=False)  # it may have stopped early
            if epoch <= last
        }


def train(recording: Recording) -> store.Run:
    """Train from the beginning or a checkpoint, measure the model and store it as a run.

    Raises `Paused`, `InvalidRequest` where the training diverges or cannot be stored, and
    `Cancelled` where the reporter does.
    """
    records = training.fit(
        recording.config,
        recording.dataset,
        resume=recording.checkpoint,
        start=recording.start,
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
    # Of a checkpoint there are two for a moment; it holds up to two moments of each weight, and
    # those of the best epoch.
    copies = 4 if config.training.validation else 3
    return 2 * (copies * weights + epochs + history) + weights + codes + history


def _history_problems(checkpoint: Checkpoint, config: RunConfig, dataset: Dataset) -> list[str]:
    """Reasons why a checkpoint's history does not match its epochs."""
    done, problems = checkpoint.progress["epochs_done"], []
    try:
        history = store.HISTORY.validate_python(checkpoint.progress["history"])
        if [entry.epoch for entry in history] != list(range(1, done + 1)):
            problems.append(f"its history has other epochs than 1 to {done}")
    except ValidationError as error:
        problems.append(f"its history has {error.error_count()} wrong entries")
    before = checkpoint.progress.get("epochs_before", 0)
    kept = sum(epoch <= done for epoch in _epochs_kept(config.training.epochs, before))
    shape = (kept, _samples_kept(dataset, config) if kept else 0, config.model.latent_dim)
    codes = checkpoint.tensors.get("history.codes")
    if codes is None or tuple(codes.shape) != shape:
        given = "missing" if codes is None else f"of shape {tuple(codes.shape)}"
        problems.append(f"history.codes is {given} and should be of shape {shape}")
    return problems


def _epochs_kept(epochs: int, before: int = 0) -> set[int]:
    """Epochs whose codes are stored: all of a short training, evenly spaced ones of a long one.

    Of a training that goes on after the epochs `before`, the last of these and its own.
    """
    stride = math.ceil((epochs - before) / EPOCHS_KEPT)
    start = {before} if before else set()
    return {*range(before + stride, epochs + 1, stride), epochs} | start


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
    kept: dict[int, np.ndarray],
    reporter: Reporter,
    further: Mapping[str, Any],
) -> store.Run:
    """Measure a trained model on the test split and store it as a run."""

    reporter.progress("Measuring the map", 0, 1)
    device = next(model.parameters()).device

    def evaluate(split: data.Samples) -> training.Evaluation:
        x, labels = (models.inference.shared(array, device) for array in split)
        return training.evaluate(model, x, labels)

    test = evaluate(dataset.test)
    last = further.get("best_epoch", len(history))
    kept = {**kept, last: kept.get(last, test.codes[: _samples_kept(dataset, config)])}
    # A code of two dimensions is drawn as it is, so nothing is fitted.
    codes_train = evaluate(dataset.train).codes if test.codes.shape[1] > 2 else test.codes
    codes = {
        "codes": test.codes,
        "plane": plane_of(test.codes, fitted_on=codes_train),
        "labels": dataset.test.labels.astype(np.int16 if dataset.label_names else np.float32),
        "error": test.mse,
        "epochs": np.stack([plane_of(each, fitted_on=codes_train) for each in kept.values()]),
        "epochs_kept": np.array([*kept], np.int32),
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
