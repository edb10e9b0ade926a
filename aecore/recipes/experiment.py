"""Experiment of a recipe: data, training, progress and results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from aecore import data, training
from aecore.data import Dataset, Samples
from aecore.errors import InvalidRequest
from aecore.recipes.results import FAST, SEED, Finding, Picture, number
from aecore.runs import store
from aecore.runs.train import Train
from aecore.training import RunConfig
from aecore.training.history import history_entry

if TYPE_CHECKING:
    import numpy as np

    from aecore.models.autoencoder import Autoencoder
    from aecore.progress import Progress, Reporter


@dataclass(frozen=True)
class Recipe:
    """A recipe: a named reproduction of a published result."""

    name: str
    title: str
    teaches: str
    dataset: str
    architecture: str
    metric: str
    """Where it says {reference}, the reference goes."""
    source: str
    find: Callable[[Experiment], Finding]
    reference: float | None = None
    """The published figure; None where the reference is a baseline measured in the same run."""
    family: str = ""
    """Title of its family, under which it is listed."""

    def describe_metric(self, reference: float | None) -> str:
        """Format the metric with its reference, if that is known."""
        return self.metric.format(
            reference="measured in the same run" if reference is None else number(reference)
        )


class Trained(NamedTuple):
    """A model trained by a recipe, with its test errors."""

    model: Autoencoder
    dataset: Dataset
    history: list[dict[str, Any]]
    test: Any
    """`aecore.training.loop.Evaluation` of the test split."""

    @property
    def mse(self) -> float:
        """Test error per feature."""
        return float(self.test.mse.mean())

    @property
    def bce(self) -> float:
        """Test cross-entropy per feature, in nats."""
        return self.test.terms["reconstruction"] / self.dataset.n_features

    def weights(self) -> int:
        """Number of trained weights, biases not counted."""
        return sum(value.numel() for value in self.model.parameters() if value.ndim > 1)


class Experiment:
    """Experiment of a recipe: loads data, trains models, reports progress."""

    def __init__(self, recipe: Recipe, reporter: Reporter, fast: bool) -> None:
        self.recipe, self.reporter, self.fast = recipe, reporter, fast
        self.runs: list[str] = []

    def data(self, name: str = "mnist") -> Dataset:
        """A dataset of the registry, or the first tenth of it in a fast run."""
        data.fetch(name, lambda file, done, total: self.say(f"Downloading {file}", done, total))
        return self.part(data.get(name))

    def part(self, dataset: Dataset) -> Dataset:
        """A dataset, or the first tenth of each split in a fast run."""
        if not self.fast:
            return dataset
        n_train, n_test = (max(n // FAST, 50) for n in (dataset.n_train, dataset.n_test))
        counts = {"train": min(n_train, dataset.n_train), "test": min(n_test, dataset.n_test)}

        def read(split: str) -> Samples:
            return Samples(*(array[: counts[split]] for array in getattr(dataset, split)))

        return dataset.derived(read, n_train=counts["train"], n_test=counts["test"])

    def say(self, what: str, done: float = 0, total: float = 1) -> None:
        """Report progress; raises `Cancelled` if the work was cancelled."""
        self.reporter.progress(what, done, total)

    @property
    def reference(self) -> float:
        """Published reference; raises `InvalidRequest` if the recipe measures its own."""
        if self.recipe.reference is None:
            raise InvalidRequest(f"The recipe '{self.recipe.name}' has no published figure.")
        return self.recipe.reference

    def finding(
        self,
        value: float,
        holds: bool,
        figures: dict[str, float],
        pictures: Sequence[Picture],
    ) -> Finding:
        """Result of the recipe, beside the published reference."""
        return Finding(value, self.reference, holds, figures, pictures)

    def at_most(
        self, value: float, figures: dict[str, float], pictures: Sequence[Picture]
    ) -> Finding:
        """Result of the recipe, where lower is better."""
        return self.finding(value, value <= self.reference, figures, pictures)

    def at_least(
        self, value: float, figures: dict[str, float], pictures: Sequence[Picture]
    ) -> Finding:
        """Result of the recipe, where higher is better."""
        return self.finding(value, value >= self.reference, figures, pictures)

    def train(
        self,
        dataset: Dataset,
        variant: str,
        model: Mapping[str, Any],
        what: str = "",
        keep: str = "",
        **options: Any,
    ) -> Trained:
        """Train a model of the registry.

        Arguments
            what: says which of several trainings this is.
            keep: store it as a run whose name ends so, to be looked at on the other pages.
        """
        if self.fast:
            options["epochs"] = max(options["epochs"] // FAST, 1)
            options["batch_size"] = min(options["batch_size"], dataset.n_train)
        request = {
            "dataset": dataset.name,
            "variant": variant,
            "model": dict(model),
            "training": {"seed": SEED, **options},
        }
        config = RunConfig.check(request, dataset.spec)
        if keep and not self.fast:
            name = f"recipe-{keep}"
            self.runs.append(name)
            return self._stored(config, dataset, name, what)
        history = []
        for record in training.fit(config, dataset, progress=self._progress(what)):
            history.append(history_entry(record))
        return Trained(record.model, dataset, history, record.test)

    def _stored(self, config: RunConfig, dataset: Dataset, name: str, what: str) -> Trained:
        import torch

        # Reserved first, so that the same recipe in another process is refused at once.
        with store.Reservation(name) as place:
            aside = store.free_name(config)
            try:
                # A recipe is not resumed; the run that was stored before stays until the end.
                Train(config, aside, resumable=False).run(_ProgressOnly(self._progress(what)))
            except BaseException:
                if (store.root() / aside).exists():
                    store.delete(aside)
                raise
            place.replace(aside)
        run = store.load(name)
        model = run.model()
        x, labels = (torch.tensor(array) for array in dataset.test)
        return Trained(model, dataset, run.history, training.evaluate(model, x, labels))

    def _progress(self, what: str) -> Progress:
        return lambda stage, done, total: self.say(
            f"{what}: {stage}" if what else stage, done, total
        )


class _ProgressOnly:
    """Reporter that forwards the progress of a training, but not its epochs."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def epoch(self, entry: dict[str, Any], view: dict[str, np.ndarray]) -> None:
        """Ignore the epoch: a recipe shows its results only."""
