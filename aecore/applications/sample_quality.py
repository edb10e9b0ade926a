"""Sample quality: Fréchet distance, coverage and novelty of generated samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np
from pydantic import BaseModel, Field, FiniteFloat, TypeAdapter

from aecore import latent, locations, metrics, models, projections
from aecore.artifacts import Array, Artifact
from aecore.data import Dataset, Subset
from aecore.data.idx import fetch_data
from aecore.errors import InvalidRequest
from aecore.progress import Progress, Reporter, Task, no_progress
from aecore.runs import store

if TYPE_CHECKING:
    from torch import nn

    from aecore.models.autoencoder import Autoencoder
    from aecore.runs.store import Run


MEASURED = 2_000
"""Samples of each source that are measured, where the test split has as many."""
REFERENCE = 10_000
"""Training samples for the comparison."""
NEIGHBORS = 5
"""How far coverage reaches around each training sample."""
SEED = 0

WIDTHS = (256, 64)
"""Of the classifier's hidden layers."""
STEPS = 3_000
"""Batches that a classifier is trained for, in whole epochs: every dataset takes about as long."""
BATCH = 128

DEFINITIONS = {
    "nearest": (
        "Nearest training sample",
        "The mean over the samples of min_j ||x - t_j|| / sqrt(features), the root-mean-square "
        "difference per feature to the nearest training sample t_j. Read it beside the test row: "
        "far above it, samples are unlike any data; below it, they are blurred or copied.",
    ),
    "coverage": (
        "Coverage",
        "The share of training samples that have a sample of this row no farther away than their "
        f"neighbour number {NEIGHBORS} among other training samples (Naeem et al. 2020), between "
        "codes of a small classifier that was trained here, or between the data themselves where "
        "there are no classes. More is more varied; as many real samples reach about "
        f"1 - 1/2^{NEIGHBORS}, or {1 - 2**-NEIGHBORS:.0%}.",
    ),
    "frechet": (
        "Fréchet distance",
        "||m - m'||^2 + tr(S + S' - 2 (S S')^(1/2)) between means and covariances of the last "
        "hidden layer of a small classifier that was trained here, of these samples and of "
        "training samples (Dowson & Landau 1982; Heusel et al. 2017); less is better, and the test "
        "row shows what real data reach. It is no Inception FID: it cannot be compared with "
        "published figures and only compares runs of the same dataset here.",
    ),
}
"""Of each figure, its title and what it is."""


class Classifier(NamedTuple):
    """Classifier of a dataset's classes, whose last hidden layer embeds samples."""

    network: nn.Sequential
    """(n, n_features) -> (n, classes), in evaluation mode on the CPU."""
    accuracy: float
    """Accuracy on the test split."""


def classifier(dataset: Dataset, progress: Progress = no_progress) -> Classifier:
    """Load the classifier of a dataset, or train it on the training split and store it.

    n_features-256-64-classes with ReLU, cross-entropy, Adam (Kingma & Ba 2015), for one seed. It
    is the same for all runs of a dataset, so that their figures can be compared.

    Raises `InvalidRequest` where the dataset has no classes.
    """
    if not dataset.label_names:
        raise InvalidRequest(
            f"The dataset '{dataset.name}' has no classes to tell apart: choose another."
        )
    import torch

    stored = _classifier_artifact(dataset)
    if (stored_classifier := stored.load_intact()) is not None:
        return stored_classifier
    network = _trained(dataset, _epochs(dataset), progress).eval()
    with torch.inference_mode():
        named = network(torch.tensor(dataset.test.x)).argmax(dim=1).numpy()
    trained = Classifier(network, float((named == dataset.test.labels).mean()))
    stored.save(trained)
    return trained


class _ClassifierFacts(BaseModel):
    accuracy: float = Field(ge=0, le=1)
    recipe: dict[str, int | list[int]]


def _classifier_artifact(dataset: Dataset) -> Artifact[Classifier]:
    """Artifact of the classifier of a dataset, with its training settings."""
    import torch

    network = _network(dataset)
    weights = network.state_dict()
    recipe = {"widths": list(WIDTHS), "batch": BATCH, "epochs": _epochs(dataset), "seed": SEED}

    def build(arrays: dict[str, np.ndarray], facts: _ClassifierFacts) -> Classifier | None:
        if facts.recipe != recipe:
            return None
        network.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()})
        return Classifier(network.eval(), facts.accuracy)

    return Artifact(
        path=projections.folder(dataset, dataset.fingerprint) / "classifier.safetensors",
        facts=TypeAdapter(_ClassifierFacts),
        expected=lambda facts: {name: Array(tuple(value.shape)) for name, value in weights.items()},
        dump=lambda trained: (
            {name: tensor.numpy() for name, tensor in trained.network.state_dict().items()},
            {"accuracy": trained.accuracy, "recipe": recipe},
        ),
        build=build,
    )


def _epochs(dataset: Dataset) -> int:
    return math.ceil(STEPS * BATCH / dataset.n_train)


def _network(dataset: Dataset) -> nn.Sequential:
    import torch
    from torch import nn

    first, second = WIDTHS
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return nn.Sequential(
            *(nn.Linear(dataset.n_features, first), nn.ReLU()),
            *(nn.Linear(first, second), nn.ReLU()),
            nn.Linear(second, dataset.n_classes),
        )


def _trained(dataset: Dataset, epochs: int, progress: Progress) -> nn.Sequential:
    import torch

    network = _network(dataset)
    x, labels = (torch.tensor(array) for array in dataset.train)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    generator = torch.Generator().manual_seed(SEED)
    for epoch in range(epochs):
        for rows in torch.randperm(len(x), generator=generator).split(BATCH):
            loss = torch.nn.functional.cross_entropy(network(x[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            progress(f"Training a classifier of {dataset.name}", epoch, epochs)
    return network


def embed(classifier: Classifier, x: np.ndarray) -> np.ndarray:
    """Activations of the classifier's last hidden layer, (n, 64) float32.

    Arguments
        x: (n, n_features), in the units of the dataset.
    """
    import torch

    with torch.inference_mode():
        return classifier.network[:-1](torch.tensor(x)).numpy()


class Figures(NamedTuple):
    """Quality figures of samples from one source; `DEFINITIONS` describes each."""

    source: str
    """"prior", "mixture", or "test images" (of tables and points "test samples")."""
    nearest: Annotated[FiniteFloat, Field(ge=0)]
    """In the units of the data."""
    coverage: Annotated[FiniteFloat, Field(ge=0, le=1)]
    """From 0 to 1, of classifier codes; of the data where they have no classes."""
    frechet: Annotated[FiniteFloat, Field(ge=0)] | None
    """In squared units of the classifier's codes; None where the dataset has no classes."""


class Quality(NamedTuple):
    """Quality figures of a run, and the settings of their measurement."""

    rows: Annotated[tuple[Figures, ...], Field(min_length=1)]
    """One a source; the last is that of real test samples, which say what can be reached."""
    n: Annotated[int, Field(ge=1)]
    """Samples of each source."""
    n_ref: Annotated[int, Field(ge=1)]
    """Training samples of the comparison; coverage takes `n` of them."""
    seed: int
    """Of the samples, and of the choice of real ones."""
    accuracy: Annotated[FiniteFloat, Field(ge=0, le=1)] | None
    """Of the classifier, on the test split; None where the dataset has no classes."""


class _QualityFacts(BaseModel):
    quality: Quality


def measure(run: Run, dataset: Dataset, progress: Progress = no_progress) -> Quality:
    """Measure the quality of samples decoded from several sources of codes, and of test samples.

    The prior is N(0, I), whether or not the run was trained towards it; the mixture is that of
    `latent.fit_mixture`, left out where a code is too wide for it. A conditioned model reads
    labels as frequent as in the training split. What is decoded is cut off at the dataset's range.

    Raises `InvalidRequest` where the dataset has changed since the run, or its codes or samples are
    not finite.
    """
    latent.refuse_changed(run, dataset)
    latent.refuse_unless_finite(run, run.codes["codes"])
    model, d = run.model(), run.codes["codes"].shape[1]
    real = Subset(limit=MEASURED, seed=SEED).samples(dataset).x
    n = len(real)
    codes = {"prior": latent.from_prior(n, d, seed=SEED)}
    if d <= latent.WIDEST_MIXTURE:
        progress("Fitting a mixture to the training codes", 0, 1)
        mixture = latent.mixture_artifact(run).load_intact()
        mixture = mixture or latent.fit_mixture(_train_codes(run, model, dataset))
        codes["mixture"] = mixture.draw(n, seed=SEED)
    labels = np.random.default_rng(SEED).choice(dataset.train.labels, n)
    samples_of = {
        source: models.inference.decode(model, each, labels, progress)
        for source, each in codes.items()
    }
    if dataset.value_range is not None:
        samples_of = {source: x.clip(*dataset.value_range) for source, x in samples_of.items()}
    latent.refuse_unless_answered(run.name, *samples_of.values())
    samples_of[f"test {dataset.traits.noun}s"] = real

    training_samples = Subset(split="train", limit=REFERENCE, seed=SEED).samples(dataset).x
    to_cover = Subset(split="train", limit=n, seed=SEED).samples(dataset).x
    judge = classifier(dataset, progress) if dataset.label_names else None

    def compared(x: np.ndarray) -> np.ndarray:
        # Between pixels, blurred samples would cover more than real ones: they lie amid the data.
        return embed(judge, x) if judge else x

    rows: list[Figures] = []
    for source, x in samples_of.items():
        progress(f"Measuring {source}", len(rows), len(samples_of))
        nearest = float(metrics.nearest_distance(x, training_samples).mean())
        coverage = metrics.coverage(compared(to_cover), compared(x), NEIGHBORS)
        frechet = metrics.frechet(compared(training_samples), compared(x)) if judge else None
        rows.append(Figures(source, nearest, coverage, frechet))
    return Quality(tuple(rows), n, len(training_samples), SEED, judge.accuracy if judge else None)


def _train_codes(run: Run, model: Autoencoder, dataset: Dataset) -> np.ndarray:
    analysis = latent.analysis_artifact(run).load_intact()
    if analysis is not None and analysis.facts["complete"]:
        return analysis.arrays["train_codes"]
    own = latent.codes_of_training(run)
    codes = models.inference.encode(model, *dataset.train) if own is None else own
    latent.refuse_unless_finite(run, codes)
    return codes


def quality_artifact(run: Run) -> Artifact[Quality]:
    """Artifact of the quality figures of a run."""
    return Artifact(
        path=run.computed / "quality.safetensors",
        created=run.manifest.created,
        facts=TypeAdapter(_QualityFacts),
        expected=lambda facts: {},
        dump=lambda quality: (
            {},
            {"quality": quality._asdict() | {"rows": [row._asdict() for row in quality.rows]}},
        ),
        build=lambda arrays, facts: facts.quality,
    )


@dataclass(frozen=True)
class MeasureSamples(Task):
    """Measure the quality of samples that a run's decoder generates."""

    run_name: str

    @property
    def title(self) -> str:
        return f"quality of samples of {self.run_name}"

    @property
    def files(self) -> Sequence[str]:
        dataset_name = store.load(self.run_name).spec.name
        return [self.run_name, *projections.files_of(dataset_name, "classifier.safetensors")]

    def run(self, reporter: Reporter) -> Quality:
        """Measure the figures and store them."""
        run = store.load(self.run_name)
        locations.refuse_unwritable()
        reporter.progress("Loading the libraries, which takes some seconds the first time", 0, 1)
        dataset = run.dataset
        fetch_data(dataset, reporter)
        figures = measure(run, dataset, reporter.progress)
        quality_artifact(run).save(figures)
        return figures
