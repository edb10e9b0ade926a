"""Tasks: training a run, and computing what the pages show of runs and datasets.

The same tasks serve the command line, in its own process, and the dashboard, in a worker.
"""

from __future__ import annotations

import gzip
import math
import platform
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aecore import (
    artifacts,
    configs,
    datasets,
    denoising,
    generation,
    latent,
    locations,
    projections,
    quality,
    store,
)
from aecore.configs import RunConfig
from aecore.datasets import Dataset, Subset
from aecore.errors import Faults
from aecore.files import DiskFault
from aecore.progress import Reporter, Task
from aecore.projections import TEST_SPLIT, Projection

if TYPE_CHECKING:
    from aecore.training import Checkpoint, EpochRecord

EPOCHS_KEPT = 60
SAMPLES_KEPT = 1_000
PREVIEWS = 10


class Training(Task):
    """Training of a run, from its beginning or from a checkpoint."""

    config: RunConfig
    name: str

    @property
    def title(self) -> str:
        return f"{self.config.variant} on {self.config.dataset}"

    @property
    def reserves(self) -> str:
        return self.name


@dataclass(frozen=True)
class Train(Training):
    """Train a run from its beginning, measure it, and store it.

    Arguments
        name: reserved while it trains; `run` raises `Faults` where it is taken.
        resumable: whether a checkpoint is stored after each epoch.
    """

    config: RunConfig
    name: str
    resumable: bool = True

    @classmethod
    def named(cls, config: RunConfig, name: str | None = None) -> Self:
        """The training of a run under a free name, made from its settings unless one is given.

        Raises `Faults` where the name cannot be used.
        """
        return cls(config, store.free_name(config, name))

    def check(self) -> None:
        """Raise `Faults` where the name has been taken since it was chosen."""
        store.free_name(self.config, self.name)

    def run(self, reporter: Reporter) -> store.Run:
        """Train, and return the stored run."""
        with store.reserve(self.name) as place:
            run = _train(self.config, place, reporter, None, self.resumable)
        return _with_first_baseline(run, reporter)


@dataclass(frozen=True)
class Resume(Training):
    """Resume an unfinished run; the result is bit-equal to one that was never stopped."""

    config: RunConfig
    name: str
    history: Sequence[dict[str, Any]] = field(default=(), compare=False, repr=False)

    @classmethod
    def of(cls, name: str) -> Self:
        """The rest of the unfinished run `name`; raises `Faults` where there is none."""
        config, checkpoint = store.read_checkpoint(name)
        return cls(config, name, checkpoint.progress["history"])

    @property
    def title(self) -> str:
        return f"{super().title}, resumed"

    def check(self) -> None:
        """Raise `Faults` where another process is training it."""
        store.refuse_held(self.name)

    def run(self, reporter: Reporter) -> store.Run:
        """Train the remaining epochs, and return the stored run."""
        with store.reserve_unfinished(self.name) as place:
            config, checkpoint = store.read_checkpoint(self.name)
            run = _train(config, place, reporter, checkpoint, resumable=True)
        return _with_first_baseline(run, reporter)


def _train(
    config: RunConfig,
    place: store.Reservation,
    reporter: Reporter,
    checkpoint: Checkpoint | None,
    resumable: bool,
) -> store.Run:
    reporter.progress("Loading the libraries, which takes some seconds the first time", 0, 1)
    from aecore import training

    dataset = configs.dataset_of(config)
    _fetch(dataset, reporter)
    locations.refuse_unwritable(_bytes_needed(config, dataset))
    history: list[dict[str, Any]] = []
    kept: list[np.ndarray] = []
    if checkpoint is not None:
        if faults := _history_faults(checkpoint, config, dataset):
            raise store.damaged_checkpoint(place.name, faults)
        history = checkpoint.progress["history"]
        kept = list(checkpoint.tensors["history.codes"].numpy())
    model = None
    records = training.fit(config, dataset, resume=checkpoint, progress=reporter.progress)
    for record in _guarded(place, records):
        model = record.model
        history.append(history_entry(record))
        if record.epoch in _epochs_kept(config.training.epochs):
            kept.append(record.test.codes[: _samples_kept(dataset, config)])
        if resumable:
            state = record.checkpoint()
            place.verify()
            store.write_checkpoint(
                place.name,
                config,
                training.Checkpoint(
                    state.tensors | {"history.codes": _stack(kept, config)},
                    state.progress | {"history": history},
                ),
            )
        reporter.epoch(history[-1], _view(record, dataset))
    if model is None:  # stopped between the last epoch and the end
        model = training.build(config, dataset.spec)
        model.load_state_dict(training.weights(checkpoint))
    return _finish(place, config, dataset, model, history, kept, reporter)


@dataclass(frozen=True)
class Project(Task):
    """Compute a map of samples of a dataset, or read it from the store."""

    dataset_name: str
    projection: Projection
    subset: Subset = TEST_SPLIT

    @property
    def title(self) -> str:
        title = f"{self.projection.title} of {self.dataset_name}"
        if self.subset != TEST_SPLIT:
            title += f", {self.subset.split}, up to {self.subset.limit:,} samples"
        return title

    def run(self, reporter: Reporter) -> projections.Map:
        """The map."""
        dataset = datasets.get(self.dataset_name)
        _fetch(dataset, reporter)
        return projections.compute(dataset, self.projection, reporter.progress, self.subset)


@dataclass(frozen=True)
class Prepare(Task):
    """Download a dataset, and compute its principal components and sheets of images."""

    dataset_name: str

    @property
    def title(self) -> str:
        return f"preparing {self.dataset_name}"

    def run(self, reporter: Reporter) -> None:
        """Do what has not been done yet."""
        dataset = datasets.get(self.dataset_name)
        locations.refuse_unwritable()
        _fetch(dataset, reporter)
        reporter.progress(f"Principal components of {dataset.name}", 0, 1)
        projections.components(dataset)
        for split, file in sheet_files(dataset.name, dataset.fingerprint).items():
            reporter.progress(f"Sheet of the images of {dataset.name}, {split}", 0, 1)
            size = sheet_size(dataset, split)
            if dataset.traits.pictures and artifacts.intact(stored_sheet, file, size) is None:
                pixels = (getattr(dataset, split).x * 255).round().astype(np.uint8)
                artifacts.write_bytes(
                    file, gzip.compress(pixels.tobytes(), compresslevel=5, mtime=0)
                )


def sheet_files(dataset_name: str, fingerprint: str) -> dict[str, Path]:
    """Where the images of each split are kept for a browser: gzipped bytes, image after image."""
    folder = projections.data_folder(dataset_name, fingerprint)
    return {split: folder / f"sheet-{split}.gz" for split in ("test", "train")}


def sheet_size(dataset: Dataset, split: str) -> int:
    """Bytes of the images of "test" or "train", decompressed."""
    return {"test": dataset.n_test, "train": dataset.n_train}[split] * dataset.n_features


def stored_sheet(file: Path, size: int) -> Path | None:
    """The file of a sheet if it is there; raises `Damaged` where it is not of `size` bytes.

    Decompressed in portions, and no further than that size.
    """
    if not file.is_file():
        return None
    found = 0
    try:
        with gzip.open(file) as stream:
            while found <= size and (portion := stream.read(2**20)):
                found += len(portion)
    except (OSError, EOFError, zlib.error) as error:
        raise artifacts.damaged(file, f"{error}") from error
    if found != size:
        raise artifacts.damaged(file, f"it does not hold {size:,} bytes of images")
    return file


@dataclass(frozen=True)
class Analyse(Task):
    """Analyse a run's code space as the pages show it.

    Without its dataset only what the model alone can tell.
    """

    run_name: str

    @property
    def title(self) -> str:
        return f"analysing {self.run_name}"

    def run(self, reporter: Reporter) -> None:
        """Analyse the run and store the analysis."""
        run = store.load(self.run_name)
        locations.refuse_unwritable()
        reporter.progress("Loading the libraries, which takes some seconds the first time", 0, 1)
        dataset = None
        if datasets.here(run.dataset):
            Prepare(run.spec.name).run(reporter)
            dataset = run.dataset
        latent.analyse(run, dataset, reporter.progress)


@dataclass(frozen=True)
class FitMixture(Task):
    """Fit a mixture of Gaussians to the training codes of a run, analysed first if need be."""

    run_name: str

    @property
    def title(self) -> str:
        return f"mixture of codes of {self.run_name}"

    def run(self, reporter: Reporter) -> None:
        """Fit the mixture and store it."""
        run = store.load(self.run_name)
        locations.refuse_unwritable()
        stored = latent.analysis_artifact(run)
        analysis = stored.load_intact()
        if analysis is None or not analysis.facts["complete"]:
            Analyse(self.run_name).run(reporter)
            analysis = stored.load()
        reporter.progress("Fitting a mixture to the training codes", 0, 1)
        mixture = generation.fit_mixture(analysis.arrays["train_codes"])
        generation.mixture_artifact(run).save(mixture)


@dataclass(frozen=True)
class TuneFilters(Task):
    """Search the best settings of the classical filters for a noise, or read them."""

    dataset_name: str
    noise: str
    clip: bool

    @property
    def title(self) -> str:
        return f"tuning filters for {self.noise} noise on {self.dataset_name}"

    def run(self, reporter: Reporter) -> denoising.Tuned:
        """The settings, which are stored."""
        noise, clip = self.noise, self.clip
        dataset = datasets.get(self.dataset_name)
        denoising.refuse(dataset, noise, clip)
        _fetch(dataset, reporter)
        stored = denoising.tuned_artifact(dataset.name, dataset.fingerprint, noise, clip)
        found = stored.load_intact()
        if found is None or not found.complete(noise):
            locations.refuse_unwritable()
            pca = projections.components(dataset)
            going_on = {"known": found, "progress": reporter.progress}
            for found in denoising.tune(dataset, pca, noise, clip, **going_on):
                stored.save(found)
        return found


@dataclass(frozen=True)
class MeasureDenoising(Task):
    """Measure how well a run and classical filters remove a noise, and where its codes move."""

    run_name: str
    noise: str
    clip: bool

    @property
    def title(self) -> str:
        return f"denoising by {self.run_name}"

    def run(self, reporter: Reporter) -> None:
        """Measure the curve and store it."""
        noise, clip = self.noise, self.clip
        run = store.load(self.run_name)
        locations.refuse_unwritable()
        reporter.progress("Loading the libraries, which takes some seconds the first time", 0, 1)
        from aecore import inference

        dataset = run.dataset
        _fetch(dataset, reporter)
        latent.refuse_changed(run, dataset)
        latent.refuse_unless_finite(run, run.codes["codes"])
        tuned = TuneFilters(dataset.name, noise, clip).run(reporter)
        model = run.model()

        def encode(x: np.ndarray, labels: np.ndarray) -> np.ndarray:
            codes = inference.encode(model, x, labels)
            latent.refuse_unless_answered(run.name, codes)
            return codes

        levels = denoising.NOISES[noise].levels
        found = denoising.curve(
            dataset,
            {run.name: partial(inference.reconstruct, model)},
            projections.components(dataset),
            noise,
            tuned,
            levels,
            clip=clip,
            progress=reporter.progress,
        )
        flipped = None
        if dataset.label_names:
            chosen = denoising.some(dataset.n_test, denoising.MEASURED)
            x, labels = (part[chosen] for part in dataset.test)
            means = denoising.class_means(encode, dataset)
            moved = denoising.drift(
                encode, x, labels, means, dataset.shape, noise, levels, clip=clip
            )
            flipped = moved.flipped(levels)
        stored = denoising.curve_artifact(run, noise, clip)
        stored.save(denoising.RunCurve(found, flipped))


@dataclass(frozen=True)
class MeasureSamples(Task):
    """Measure how good the samples are that a run's decoder makes of new codes."""

    run_name: str

    @property
    def title(self) -> str:
        return f"quality of samples of {self.run_name}"

    def run(self, reporter: Reporter) -> None:
        """Measure the samples and store the figures."""
        run = store.load(self.run_name)
        locations.refuse_unwritable()
        reporter.progress("Loading the libraries, which takes some seconds the first time", 0, 1)
        dataset = run.dataset
        _fetch(dataset, reporter)
        figures = quality.measure(run, dataset, reporter.progress)
        quality.quality_artifact(run).save(figures)


def plane_of(codes: np.ndarray, fitted_on: np.ndarray) -> np.ndarray:
    """The two-dimensional picture of codes, (n, 2).

    A code of two dimensions is drawn as it is. A wider one is projected onto the first two
    principal components of `fitted_on`; a narrower one is drawn along x, at heights that mean
    nothing (seed 0) and only keep points apart.
    """
    if codes.shape[1] == 2:
        return codes
    if codes.shape[1] == 1:
        heights = np.random.default_rng(0).uniform(-1, 1, (len(codes), 1))
        return np.hstack([codes, heights * codes.std() / 4]).astype(np.float32)
    return latent.fit_plane(fitted_on).lower(codes)


def _guarded(place: store.Reservation, records: Iterator[EpochRecord]) -> Iterator[EpochRecord]:
    """The records of a training that may diverge, or not suit its checkpoint."""
    from aecore.training import Diverged, Misfit

    try:
        yield from records
    except Diverged:
        place.discard()  # resumed, it would only diverge in the same epoch again
        raise
    except Misfit as error:
        raise store.damaged_checkpoint(place.name, error.faults) from error


HISTORY_ENTRY = 600
"""Bytes of an epoch in the history, at most."""


def _bytes_needed(config: RunConfig, dataset: Dataset) -> int:
    """About how much of the disk a training takes, without the maps of its dataset."""
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


class HistoryEntry(BaseModel):
    """What `history_entry` says of an epoch."""

    model_config = ConfigDict(extra="allow")

    epoch: int
    train: dict[str, float]
    test: dict[str, float]
    test_mse: float = Field(ge=0)
    learning_rate: float = Field(ge=0)
    seconds: float = Field(ge=0)
    samples_per_second: float = Field(ge=0)


def _history_faults(checkpoint: Checkpoint, config: RunConfig, dataset: Dataset) -> list[str]:
    """Why a checkpoint's history is not that of its epochs."""
    done, faults = checkpoint.progress["epochs_done"], []
    try:
        history = [HistoryEntry.model_validate(entry) for entry in checkpoint.progress["history"]]
        if [entry.epoch for entry in history] != list(range(1, done + 1)):
            faults.append(f"its history has other epochs than 1 to {done}")
    except ValidationError as error:
        faults.append(f"its history has {error.error_count()} wrong entries")
    kept = sum(epoch <= done for epoch in _epochs_kept(config.training.epochs))
    shape = (kept, _samples_kept(dataset, config) if kept else 0, config.model.latent_dim)
    codes = checkpoint.tensors.get("history.codes")
    if codes is None or tuple(codes.shape) != shape:
        given = "missing" if codes is None else f"of shape {tuple(codes.shape)}"
        faults.append(f"history.codes is {given} and should be of shape {shape}")
    return faults


def _fetch(dataset: Dataset, reporter: Reporter) -> None:
    datasets.fetch(
        dataset.name,
        lambda file, done, total: reporter.progress(f"Downloading {file}", done, total),
    )


def _epochs_kept(epochs: int) -> set[int]:
    """Which epochs' codes are kept: all of a short training, evenly spaced ones of a long one."""
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


def history_entry(record: Any) -> dict[str, Any]:
    """The line of the history that an epoch adds; JSON."""
    return {
        "epoch": record.epoch,
        "train": record.train,
        "test": record.test.terms,
        "test_mse": float(record.test.mse.mean()),
        "learning_rate": record.learning_rate,
        "seconds": record.seconds,
        "samples_per_second": record.samples_per_second,
        "facts": record.test.facts,
    }


def facts_in_words(entry: dict[str, Any]) -> str:
    """What an entry of the history reports beside losses; "" where it has nothing.

    >>> facts_in_words({"epoch": 3, "facts": {"kl_weight": 0.5, "codebook_dead": 12}})
    'kl_weight 0.5  codebook_dead 12'
    """
    # Runs of earlier versions have no facts.
    return "  ".join(f"{name} {value:.4g}" for name, value in entry.get("facts", {}).items())


def _view(record: Any, dataset: Dataset) -> dict[str, np.ndarray]:
    from aecore import inference

    codes = record.test.codes[:SAMPLES_KEPT]
    originals, labels = (part[:PREVIEWS] for part in dataset.test)
    return {
        "plane": plane_of(codes, fitted_on=codes).astype(np.float32),
        "labels": dataset.test.labels[:SAMPLES_KEPT],
        "originals": originals,
        "reconstructions": inference.reconstruct(record.model, originals, labels),
    }


def _finish(
    place: store.Reservation,
    config: RunConfig,
    dataset: Dataset,
    model: Any,
    history: list[dict[str, Any]],
    kept: list[np.ndarray],
    reporter: Reporter,
) -> store.Run:
    """Measure a trained model on the test split and store it as a run."""
    import torch

    from aecore import training

    reporter.progress("Measuring the map", 0, 1)
    device = next(model.parameters()).device

    def evaluate(split: datasets.Samples) -> training.Evaluation:
        x, labels = (torch.tensor(array, device=device) for array in split)
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


def _with_first_baseline(run: store.Run, reporter: Reporter) -> store.Run:
    """The run, with the map by principal components, which is the first to be looked at."""
    dataset = configs.dataset_of(run.config)
    try:
        projections.compute(dataset, projections.PCAProjection(), reporter.progress)
    except DiskFault as error:
        raise Faults(
            [f"The run is stored as '{run.name}', but not its map.", *error.faults]
        ) from error
    return run
