"""Named reproductions: published settings, the published figure, and our own beside it.

`RECIPES` is the registry. A recipe trains its models on the training split, measures on the test
split, and says whether the reference is met. Where the source gives no figure, the reference is a
baseline that is measured in the same run, and the metric says so.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, FiniteFloat, TypeAdapter

from aecore import datasets, locations, metrics, projections, store, tasks
from aecore.artifacts import Array, Artifact, Size
from aecore.configs import RunConfig
from aecore.datasets import Dataset, Samples
from aecore.errors import Damaged, Faults, unknown
from aecore.progress import Progress, Reporter, Task
from aecore.spec import DataSpec
from aecore.store import RunName

if TYPE_CHECKING:
    from aecore.autoencoder import Autoencoder
    from aecore.contracts import Corruption

SEED = 0
FAST = 10
"""A fast run has a tenth of the samples and a tenth of the epochs."""


def number(value: float) -> str:
    """A figure as it is shown, in four significant digits, or two decimals.

    >>> number(0.0557001), number(146.95), number(103.0)
    ('0.0557', '146.95', '103')
    """
    return f"{value:.5g}" if abs(value) >= 100 else f"{value:.4g}"


Kind = Literal["rows", "maps", "curves", "cloud", "arrows"]


class Picture(NamedTuple):
    """Something to look at, as arrays; `aecore.figures` and `aecore.images` draw it.

    kind "rows": `arrays` are rows of images (n, n_features), `facts` their titles and shape.
    kind "maps": planes (n, 2) beside each other, with `labels` (n,).
    kind "curves": `x` (m,) and one y (m,) for each name.
    kind "cloud": `points` (n, 3), `position` (n,), and surfaces (a, b, 3).
    kind "arrows": `points` (n, 2), and for each name `<name>.from` and `<name>.to` (m, 2).
    """

    kind: Kind
    title: str
    arrays: Mapping[str, np.ndarray]
    facts: Mapping[str, Any] = {}


class Finding(NamedTuple):
    """What a recipe found."""

    value: float
    reference: float
    holds: bool
    figures: dict[str, float]
    """Further figures, by name."""
    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Recipe:
    """One named reproduction."""

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

    def says(self, reference: float | None) -> str:
        """The metric with its reference, or with words where that is not known yet."""
        return self.metric.format(
            reference="measured in the same run" if reference is None else number(reference)
        )


@dataclass(frozen=True)
class Outcome:
    """What came of a recipe."""

    name: str
    dataset: str
    metric: str
    value: float
    reference: float
    holds: bool | None
    """None where it was run on a tenth: then the figure is no reproduction."""
    seconds: float
    source: str
    architecture: str
    seed: int
    fast: bool
    created: str
    figures: dict[str, float]
    runs: list[str]
    """Trained models of it that were stored as runs."""
    pictures: list[Picture]

    def row(self) -> dict[str, Any]:
        """All but the pictures, for JSON."""
        return {name: value for name, value in vars(self).items() if name != "pictures"}


class Trained(NamedTuple):
    """A model that a recipe trained, and how it went."""

    model: Autoencoder
    dataset: Dataset
    history: list[dict[str, Any]]
    test: Any
    """`aecore.training.Evaluation` of the test split."""

    @property
    def mse(self) -> float:
        """Test error per feature."""
        return float(self.test.mse.mean())

    @property
    def bce(self) -> float:
        """Test cross-entropy per feature, in nats."""
        return self.test.terms["reconstruction"] / self.dataset.n_features

    def weights(self) -> int:
        """How many numbers it learned, biases not counted."""
        return sum(value.numel() for value in self.model.parameters() if value.ndim > 1)


class Experiment:
    """What a recipe works with: data, a way to train, and somebody to tell."""

    def __init__(self, recipe: Recipe, reporter: Reporter, fast: bool) -> None:
        self.recipe, self.reporter, self.fast = recipe, reporter, fast
        self.runs: list[str] = []

    def data(self, name: str = "mnist") -> Dataset:
        """A dataset of the registry, or the first tenth of it."""
        datasets.fetch(name, lambda file, done, total: self.say(f"Downloading {file}", done, total))
        return self.part(datasets.get(name))

    def part(self, dataset: Dataset) -> Dataset:
        """A dataset, or the first tenth of each split."""
        if not self.fast:
            return dataset
        n_train, n_test = (max(n // FAST, 50) for n in (dataset.n_train, dataset.n_test))
        counts = {"train": min(n_train, dataset.n_train), "test": min(n_test, dataset.n_test)}

        def read(split: str) -> Samples:
            return Samples(*(array[: counts[split]] for array in getattr(dataset, split)))

        return dataset.derived(read, n_train=counts["train"], n_test=counts["test"])

    def say(self, what: str, done: float = 0, total: float = 1) -> None:
        """Tell how far it is; raises `Cancelled` where the work was called off."""
        self.reporter.progress(what, done, total)

    def finding(
        self,
        value: float,
        holds: bool,
        figures: dict[str, float],
        pictures: Sequence[Picture],
    ) -> Finding:
        """What was found, beside the published reference."""
        return Finding(value, self.recipe.reference, holds, figures, pictures)

    def at_most(
        self, value: float, figures: dict[str, float], pictures: Sequence[Picture]
    ) -> Finding:
        """The same, where less is better."""
        return self.finding(value, value <= self.recipe.reference, figures, pictures)

    def at_least(
        self, value: float, figures: dict[str, float], pictures: Sequence[Picture]
    ) -> Finding:
        """The same, where more is better."""
        return self.finding(value, value >= self.recipe.reference, figures, pictures)

    def train(
        self,
        dataset: Dataset,
        variant: str,
        model: Mapping[str, Any],
        what: str = "",
        keep: str = "",
        **training: Any,
    ) -> Trained:
        """Train a model of the registry.

        Arguments
            what: says which of several trainings this is.
            keep: store it as a run whose name ends so, to be looked at on the other pages.
        """
        from aecore.training import fit

        if self.fast:
            training["epochs"] = max(training["epochs"] // FAST, 1)
            training["batch_size"] = min(training["batch_size"], dataset.n_train)
        request = {
            "dataset": dataset.name,
            "variant": variant,
            "model": dict(model),
            "training": {"seed": SEED, **training},
        }
        config = RunConfig.check(request, dataset.spec)
        if keep and not self.fast:
            name = f"recipe-{keep}"
            self.runs.append(name)
            return self._stored(config, dataset, name, what)
        history = []
        for record in fit(config, dataset, progress=self._progress(what)):
            history.append(tasks.history_entry(record))
        return Trained(record.model, dataset, history, record.test)

    def _stored(self, config: RunConfig, dataset: Dataset, name: str, what: str) -> Trained:
        import torch

        from aecore import training

        # Reserved first, so that the same recipe in another process is refused at once.
        with store.Reservation(name) as place:
            aside = store.free_name(config)
            try:
                # A recipe begins anew, it is not resumed; what was kept before stays until the end.
                tasks.Train(config, aside, resumable=False).run(_Quiet(self._progress(what)))
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


class _Quiet:
    """Hands on how far a training is, but not each epoch."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def epoch(self, entry: dict[str, Any], view: dict[str, np.ndarray]) -> None:
        """A recipe shows what came of it, not its epochs."""


RECIPES: dict[str, Recipe] = {}


def recipe(name: str, **facts: Any) -> Callable[[Callable], Callable]:
    """Enter a function into the registry; its docstring says what it teaches."""

    def enter(find: Callable[[Experiment], Finding]) -> Callable[[Experiment], Finding]:
        teaches = (find.__doc__ or "").split("\n\n")[0].replace("\n", " ")
        RECIPES[name] = Recipe(
            name,
            teaches=" ".join(teaches.split()),
            find=find,
            **{"dataset": "mnist", **facts},
        )
        return find

    return enter


def get(name: str) -> Recipe:
    """The recipe called `name`; raises `Faults` with the nearest name where there is none."""
    if name not in RECIPES:
        raise Faults(unknown("recipe", name, RECIPES))
    return RECIPES[name]


@dataclass(frozen=True)
class Reproduce(Task):
    """Run a recipe, compare its result with the reference, and store the outcome.

    Arguments
        fast: on a tenth of the samples and of the epochs, which reproduces nothing and is neither
            judged nor stored.
    """

    name: str
    fast: bool = False

    @property
    def title(self) -> str:
        return f"recipe {self.name}"

    def run(self, reporter: Reporter) -> Outcome:
        """The outcome."""
        chosen = get(self.name)
        if not self.fast:
            locations.refuse_unwritable()
        started = time.perf_counter()
        reporter.progress("Loading the libraries, which takes some seconds the first time", 0, 1)
        experiment = Experiment(chosen, reporter, self.fast)
        found = chosen.find(experiment)
        outcome = Outcome(
            name=self.name,
            dataset=chosen.dataset,
            metric=chosen.says(found.reference),
            value=float(found.value),
            reference=float(found.reference),
            holds=None if self.fast else bool(found.holds),
            seconds=round(time.perf_counter() - started, 1),
            source=chosen.source,
            architecture=chosen.architecture,
            seed=SEED,
            fast=self.fast,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            figures={key: float(value) for key, value in found.figures.items()},
            runs=experiment.runs,
            pictures=list(found.pictures),
        )
        if not self.fast:
            outcome_artifact(outcome.name).save(outcome)
        return outcome


def outcome_artifact(name: str) -> Artifact[Outcome]:
    """What came of a recipe when it was last run here, as it is stored.

    Raises `Faults` where there is no recipe of that name.
    """

    def build(arrays: dict[str, np.ndarray], facts: _OutcomeFacts) -> Outcome:
        if facts.name != name:
            raise Damaged(f"it is the outcome of {facts.name}")
        pictures = [
            Picture(
                picture.kind,
                picture.title,
                {key: arrays[f"{number}/{key}"] for key in picture.order},
                picture.facts,
            )
            for number, picture in enumerate(facts.pictures)
        ]
        return Outcome(**dict(facts) | {"pictures": pictures})

    return Artifact(
        path=store.root() / "_recipes" / f"{get(name).name}.safetensors",
        facts=OUTCOME_FACTS,
        expected=_arrays_of,
        dump=_contents,
        build=build,
    )


def _contents(outcome: Outcome) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and facts of an outcome."""
    arrays = {
        f"{number}/{key}": np.asarray(array, np.float32)
        for number, picture in enumerate(outcome.pictures)
        for key, array in picture.arrays.items()
    }
    pictures = [
        {
            "kind": picture.kind,
            "title": picture.title,
            "facts": dict(picture.facts),
            "order": list(picture.arrays),
        }
        for picture in outcome.pictures
    ]
    return arrays, {**outcome.row(), "pictures": pictures}


class _PictureFacts(BaseModel, extra="forbid"):
    kind: Kind
    title: str
    facts: dict[str, Any]
    order: list[str]


class _OutcomeFacts(BaseModel, extra="forbid"):
    """The fields of `Outcome`, the arrays of its pictures apart."""

    name: str
    dataset: str
    metric: str
    value: FiniteFloat
    reference: FiniteFloat
    holds: bool | None
    seconds: FiniteFloat
    source: str
    architecture: str
    seed: int
    fast: bool
    created: str
    figures: dict[str, float]
    runs: list[RunName]
    pictures: list[_PictureFacts]


OUTCOME_FACTS = TypeAdapter(_OutcomeFacts)
MOST_POINTS = 100_000
"""Samples, points of a curve or places along a surface in a picture."""


def _arrays_of(outcome: _OutcomeFacts) -> dict[str, Array]:
    """What the arrays of an outcome's pictures must be."""
    return {
        f"{number}/{name}": Array(shape, finite=False)
        for number, picture in enumerate(outcome.pictures)
        for name, shape in _shapes_in(picture, number).items()
    }


def _shapes_in(picture: _PictureFacts, number: int) -> dict[str, tuple[int | Size, ...]]:
    """The shapes of a picture's arrays, as `Picture` says them."""

    def size(name: str) -> Size:
        return Size(f"{name} of picture {number}", MOST_POINTS)

    if picture.kind == "rows":
        n_features = math.prod(TypeAdapter(list[int]).validate_python(picture.facts["shape"]))
        return {name: (size(name), n_features) for name in picture.order}
    if picture.kind == "maps":
        TypeAdapter(list[str]).validate_python(picture.facts["label_names"])
        own, others = (
            {"labels": (size("samples"),)},
            {name: (size("samples"), 2) for name in picture.order},
        )
        return others | own
    if picture.kind == "curves":
        TypeAdapter(dict[Literal["x_title", "y_title"], str]).validate_python(picture.facts)
        return {name: (size("points"),) for name in ("x", *picture.order)}
    if picture.kind == "cloud":
        surfaces = {name: (size(f"{name} a"), size(f"{name} b"), 3) for name in picture.order}
        return surfaces | {"points": (size("samples"), 3), "position": (size("samples"),)}
    ends = {name: (size(name.rpartition(".")[0]), 2) for name in picture.order}
    return ends | {"points": (size("samples"), 2)}


# --- What several recipes need ------------------------------------------------------------------


def _rows(title: str, dataset: Dataset, **rows: np.ndarray) -> Picture:
    """Rows of images under each other."""
    return Picture("rows", title, rows, {"shape": list(dataset.shape)})


def _one_of_each(dataset: Dataset) -> np.ndarray:
    """The number of the first test sample of each class."""
    return np.unique(dataset.test.labels, return_index=True)[1]


def _reconstructed(trained: Trained, x: np.ndarray) -> np.ndarray:
    from aecore import inference

    return inference.reconstruct(trained.model, x)


def _encoded(trained: Trained, x: np.ndarray) -> np.ndarray:
    from aecore import inference

    return inference.encode(trained.model, x)


def _decoded(trained: Trained, codes: np.ndarray) -> np.ndarray:
    from aecore import inference

    return inference.decode(trained.model, codes)


def _beside_pca(trained: Trained, k: int) -> Picture:
    """Test images, the model's answers, and those of as many principal components."""
    dataset = trained.dataset
    x = dataset.test.x[_one_of_each(dataset)]
    return _rows(
        "Test images and what comes back",
        dataset,
        **{
            "test": x,
            "autoencoder": _reconstructed(trained, x),
            f"PCA, {k}": projections.components(dataset).reconstruct(x, k),
        },
    )


def _maps(title: str, dataset: Dataset, most: int = 3_000, **planes: np.ndarray) -> Picture:
    """Planes of the first test samples beside each other, in the colours of their classes."""
    arrays = {name: plane[:most] for name, plane in planes.items()}
    names = {"label_names": list(dataset.label_names)}
    return Picture("maps", title, {**arrays, "labels": dataset.test.labels[:most]}, names)


def _curves(title: str, x_title: str, y_title: str, x: Any, **curves: Any) -> Picture:
    arrays = {name: np.asarray(values, np.float64) for name, values in curves.items()}
    titles = {"x_title": x_title, "y_title": y_title}
    return Picture("curves", title, {"x": np.asarray(x), **arrays}, titles)


def _test_curve(trained: Trained) -> list[float]:
    return [entry["test_mse"] for entry in trained.history]


def _noisy(dataset: Dataset, corruption: Corruption) -> np.ndarray:
    """The test split under a corruption, drawn with the recipes' seed."""
    import torch

    generator = torch.Generator().manual_seed(SEED)
    return corruption(torch.tensor(dataset.test.x), generator).numpy()


HINTON = "Hinton & Salakhutdinov (2006), Reducing the dimensionality of data with neural networks"

# --- Linear autoencoders and PCA ----------------------------------------------------------------


STARTS = 5


@recipe(
    "linear-is-pca-3d",
    title="A linear autoencoder finds the plane of PCA",
    dataset="tilted-ring",
    architecture="3-2-3, linear, squared error, Adam 0.01, 1,000 iterations on 100 points; the "
    "best of five random starts by training error, because some wait at a saddle",
    metric="test MSE, within 1 % of PCA's ({reference}), and the planes less than 2 degrees apart",
    source="Geron (2017), Hands-on machine learning with Scikit-Learn and TensorFlow, chapter 15; "
    "Baldi & Hornik (1989), Neural networks and principal component analysis",
)
def _linear_is_pca_3d(experiment: Experiment) -> Finding:
    """Without activations, gradient descent on squared error arrives at the principal plane."""
    from scipy.linalg import subspace_angles

    dataset = datasets.get("tilted-ring")
    starts = [
        experiment.train(
            dataset,
            "linear",
            {"latent_dim": 2},
            what=f"start {seed + 1} of {STARTS}",
            epochs=1_000,
            batch_size=dataset.n_train,
            learning_rate=0.01,
            schedule="constant",
            seed=seed,
        )
        for seed in range(STARTS)
    ]
    # Chosen by what training saw: the test split has no say in it.
    trained = min(starts, key=lambda start: start.history[-1]["train"]["total"])
    pca = projections.components(dataset)
    reference = projections.pca_mse(dataset, 2)
    plane = trained.model.decoder[0].weight.detach().numpy()
    angle = math.degrees(subspace_angles(plane, pca.components[:2].T).max())
    corners = np.array([[[a, b] for b in (-2.5, 2.5)] for a in (-2.5, 2.5)])
    principal = pca.mean + corners @ pca.components[:2]
    # The same square on the other plane, so that the two can be compared by eye.
    learned = _reconstructed(trained, principal.reshape(-1, 3)).reshape(2, 2, 3)
    cloud = Picture(
        "cloud",
        "The plane that was learned, in the cloud",
        {
            "points": dataset.test.x,
            "position": dataset.test.labels,
            "autoencoder": learned,
            "PCA": principal,
        },
    )
    flat = _maps(
        "The two codes",
        dataset,
        autoencoder=trained.test.codes,
        PCA=pca.encode(dataset.test.x, 2),
    )
    return Finding(
        trained.mse,
        reference,
        abs(trained.mse - reference) <= 0.01 * reference and angle < 2,
        {
            "largest angle between the planes, degrees": angle,
            f"starts of {STARTS} that came within 1 % in time": sum(
                abs(start.mse - reference) <= 0.01 * reference for start in starts
            ),
        },
        [cloud, flat],
    )


@recipe(
    "linear-is-pca",
    title="The same on MNIST, through five linear layers",
    architecture="784-512-128-2-128-512-784, all linear, squared error, Adam 0.001 to its peak and "
    "down, batch 128, 5 epochs",
    metric="test MSE, within 0.5 % of PCA's ({reference})",
    source="Baldi & Hornik (1989), Neural networks and principal component analysis",
)
def _linear_is_pca(experiment: Experiment) -> Finding:
    """Depth adds nothing where no layer bends: five linear layers are one plane."""
    dataset = experiment.data()
    trained = experiment.train(
        dataset,
        "linear",
        {"hidden": (512, 128)},
        keep="linear-is-pca",
        epochs=5,
        batch_size=128,
        learning_rate=1e-3,
    )
    reference = projections.pca_mse(dataset, 2)
    maps = _maps(
        "The two codes: one plane, turned and scaled",
        dataset,
        autoencoder=trained.test.codes,
        PCA=projections.components(dataset).encode(dataset.test.x, 2),
    )
    return Finding(
        trained.mse,
        reference,
        abs(trained.mse - reference) <= 0.005 * reference,
        {"PCA's test MSE": reference},
        [maps, _beside_pca(trained, 2)],
    )


def _against_pca(experiment: Experiment, epochs: int, k: int) -> Finding:
    dataset = experiment.data()
    trained = experiment.train(
        dataset,
        "ae",
        {"hidden": (512, 128), "activation": "elu", "likelihood": "squashed-gaussian"},
        keep=experiment.recipe.name,
        epochs=epochs,
        batch_size=128,
        learning_rate=4e-3,
    )
    errors = {f"PCA's test MSE, {n} components": projections.pca_mse(dataset, n) for n in (2, k)}
    maps = _maps(
        "The two-dimensional code beside PCA",
        dataset,
        autoencoder=trained.test.codes,
        PCA=projections.components(dataset).encode(dataset.test.x, 2),
    )
    pictures = [maps, _beside_pca(trained, 2)]
    if epochs > 5:
        curve = _test_curve(trained)
        lines = {"autoencoder": curve} | {
            f"PCA, {n} components": [projections.pca_mse(dataset, n)] * len(curve) for n in (2, k)
        }
        epochs_done = range(1, len(curve) + 1)
        pictures.append(_curves("The way there", "epoch", "test MSE", epochs_done, **lines))
    return experiment.at_most(trained.mse, errors, pictures)


@recipe(
    "beat-pca-2d",
    reference=0.0407,
    title="Two bent dimensions beat two flat ones",
    architecture="784-512-128-2-128-512-784, ELU, sigmoid output, squared error, Adam 0.004 to "
    "its peak and down, batch 128, 5 epochs",
    metric="test MSE, at most {reference}",
    source=f"{HINTON}; the network and its figure from a tutorial of 2018",
)
def _beat_pca(experiment: Experiment) -> Finding:
    """The same widths with activations: a bent surface passes closer to the data than any plane."""
    return _against_pca(experiment, epochs=5, k=2)


@recipe(
    "beat-pca-2d-long",
    reference=0.0359,
    title="Two bent dimensions are worth nine flat ones",
    architecture="784-512-128-2-128-512-784, ELU, sigmoid output, squared error, Adam 0.004 to "
    "its peak and down, batch 128, 25 epochs",
    metric="test MSE, at most {reference}, which takes PCA nine components",
    source=f"{HINTON}; the network and its figure from a tutorial of 2018",
)
def _beat_pca_long(experiment: Experiment) -> Finding:
    """Trained longer, the two-dimensional code comes to the error of PCA with nine components."""
    return _against_pca(experiment, epochs=25, k=9)


# --- Deep, pretrained, tied ---------------------------------------------------------------------


@recipe(
    "deep-2006-rbm",
    reference=3.0,
    title="The paper that made autoencoders deep",
    architecture="784-1000-500-250-30 and -2, logistic units, linear code; Boltzmann machines by "
    "CD-1, 5 epochs each (2-D: 3), then fine-tuned on cross-entropy by Adam 0.002 to its peak and "
    "down, batch 250, 80 epochs (2-D: 25; the source: conjugate gradients)",
    metric="summed squared error a test image, 30-D code, at most {reference}",
    source=HINTON,
)
def _deep_2006(experiment: Experiment) -> Finding:
    """A stack of Boltzmann machines is a start from which even seven logistic layers can learn."""
    dataset = experiment.data()
    shared = {
        "hidden": (1000, 500, 250),
        "activation": "sigmoid",
        "likelihood": "bernoulli",
        "pretraining": "rbm",
    }
    schedule = {"batch_size": 250, "learning_rate": 2e-3, "precision": "bfloat16"}
    wide = experiment.train(
        dataset,
        "ae",
        shared | {"latent_dim": 30, "pretraining_epochs": 5},
        what="30-D",
        epochs=80,
        **schedule,
    )
    flat = experiment.train(
        dataset,
        "ae",
        shared | {"latent_dim": 2, "pretraining_epochs": 3},
        what="2-D",
        keep="deep-2006-rbm",
        epochs=25,
        **schedule,
    )
    errors = {
        f"PCA's summed squared error, {k} components": projections.pca_mse(dataset, k)
        * dataset.n_features
        for k in (30, 2)
    }
    maps = _maps(
        "The two-dimensional code beside PCA",
        dataset,
        autoencoder=flat.test.codes,
        PCA=projections.components(dataset).encode(dataset.test.x, 2),
    )
    value = wide.mse * dataset.n_features
    figures = {"summed squared error, 2-D code": flat.mse * dataset.n_features, **errors}
    return experiment.at_most(value, figures, [_beside_pca(wide, 30), maps])


@recipe(
    "stacked-elu-l2",
    reference=0.5,
    title="Stacked: joint, tied, and layer by layer",
    architecture="784-300-150-300-784, ELU, He initialisation, L2 0.001 (of the mean error: 0.784 "
    "of the summed one), Adam 0.01, batch 150, 5 epochs; the same tied; the same after greedy "
    "pretraining of 5 epochs a layer",
    metric="weights of the tied network as a part of the untied one's, equal to {reference}",
    source="Geron (2017), Hands-on machine learning with Scikit-Learn and TensorFlow, chapter 15; "
    "Bengio, Lamblin, Popovici & Larochelle (2007), Greedy layer-wise training of deep networks",
)
def _stacked(experiment: Experiment) -> Finding:
    """Tying halves the weights and pretraining changes the start; compare what each buys."""
    dataset = experiment.data()
    shared = {
        "hidden": (300,),
        "latent_dim": 150,
        "activation": "elu",
        "code_activation": "identity",
        "initialization": "he",
        "likelihood": "gaussian",
        "l2": 0.001 * dataset.n_features,
    }
    ways = {
        "joint": {},
        "tied": {"tied": True},
        "greedy": {"pretraining": "greedy", "pretraining_epochs": 5},
    }
    found = {
        name: experiment.train(
            dataset,
            "ae",
            shared | change,
            what=name,
            epochs=5,
            batch_size=150,
            learning_rate=0.01,
            schedule="constant",
        )
        for name, change in ways.items()
    }
    epochs = range(1, len(found["joint"].history) + 1)
    curves = {name: _test_curve(trained) for name, trained in found.items()}
    x = dataset.test.x[_one_of_each(dataset)]
    answers = {name: _reconstructed(trained, x) for name, trained in found.items()}
    value = found["tied"].weights() / found["joint"].weights()
    return experiment.finding(
        value,
        value == 0.5,
        {f"test MSE, {name}": trained.mse for name, trained in found.items()},
        [
            _curves(
                "Error while all layers train together (greedy: after its 5 epochs a layer)",
                "epoch",
                "test MSE",
                epochs,
                **curves,
            ),
            _rows("Test images and what comes back", dataset, test=x, **answers),
        ],
    )


@recipe(
    "two-hidden-sigmoid",
    title="The first autoencoder of many tutorials",
    architecture="784-256-128-256-784, sigmoid throughout, squared error, Adam 0.01, batch 256, "
    "5 epochs",
    metric="test MSE, below that of the mean image ({reference})",
    source="Damien (2015), TensorFlow examples: auto-encoder",
)
def _two_hidden(experiment: Experiment) -> Finding:
    """Sigmoid units in every layer learn slowly: after five epochs PCA of the same width leads."""
    dataset = experiment.data()
    trained = experiment.train(
        dataset,
        "ae",
        {
            "hidden": (256,),
            "latent_dim": 128,
            "activation": "sigmoid",
            "code_activation": "sigmoid",
            "likelihood": "squashed-gaussian",
        },
        epochs=5,
        batch_size=256,
        learning_rate=0.01,
        schedule="constant",
    )
    reference = float(np.square(dataset.test.x - dataset.train.x.mean(0)).mean())
    figures = {"training cost, MSE": trained.history[-1]["train"]["total"] / dataset.n_features}
    figures |= {"test MSE of PCA, 128 components": projections.pca_mse(dataset, 128)}
    x = dataset.test.x[:10]
    rows = _rows(
        "The first ten test images", dataset, test=x, autoencoder=_reconstructed(trained, x)
    )
    return Finding(trained.mse, reference, trained.mse < reference, figures, [rows])


@recipe(
    "four-layer-2d",
    title="Four sigmoid layers down to a linear pair",
    architecture="784-128-64-10-2, sigmoid, linear code, squared error, Adam 0.01 to its peak and "
    "down, batch 256, 10 epochs",
    metric="test MSE, below PCA's with 2 components ({reference})",
    source="Zhou (2017), TensorFlow tutorial: autoencoder",
)
def _four_layer(experiment: Experiment) -> Finding:
    """A code of two linear units can be drawn as it is, and the classes part in it unasked."""
    dataset = experiment.data()
    trained = experiment.train(
        dataset,
        "ae",
        {
            "hidden": (128, 64, 10),
            "activation": "sigmoid",
            "likelihood": "squashed-gaussian",
        },
        keep="four-layer-2d",
        epochs=10,
        batch_size=256,
        learning_rate=0.01,
    )
    reference = projections.pca_mse(dataset, 2)
    maps = _maps(
        "The code by label, beside PCA",
        dataset,
        autoencoder=trained.test.codes,
        PCA=projections.components(dataset).encode(dataset.test.x, 2),
    )
    accuracy = metrics.knn_accuracy(trained.test.codes, dataset.test.labels, k=10)
    return Finding(
        trained.mse,
        reference,
        trained.mse < reference,
        {"10-NN accuracy of the code": accuracy},
        [maps, _beside_pca(trained, 2)],
    )


# --- Cross-entropy, sparsity, convolutions ------------------------------------------------------

KERAS = "Chollet (2016), Building autoencoders in Keras"
SINGLE = {
    "hidden": (),
    "latent_dim": 32,
    "activation": "relu",
    "code_activation": "relu",
    "likelihood": "bernoulli",
}
ADADELTA = {
    "epochs": 50,
    "batch_size": 256,
    "optimizer": "adadelta",
    "learning_rate": 1.0,
    "schedule": "constant",
}


def _active(codes: np.ndarray) -> float:
    """The mean number of units above 0.01 in a code."""
    return float((codes > 0.01).sum(1).mean())


@recipe(
    "single-32",
    reference=0.1037,
    title="One hidden layer of 32",
    architecture="784-32-784, ReLU code, sigmoid output, cross-entropy, Adadelta 1.0, batch 256, "
    "50 epochs",
    metric="test cross-entropy a pixel, at most {reference}",
    source=KERAS,
)
def _single(experiment: Experiment) -> Finding:
    """The smallest autoencoder there is already keeps digits legible in 32 numbers."""
    dataset = experiment.data()
    trained = experiment.train(dataset, "ae", SINGLE, keep="single-32", **ADADELTA)
    figures = {"test MSE": trained.mse, "active units an image": _active(trained.test.codes)}
    return experiment.at_most(trained.bce, figures, [_beside_pca(trained, 32)])


@recipe(
    "sparse-32-l1",
    title="The same, with a price on activity",
    architecture="784-32-784, ReLU code, sigmoid output, cross-entropy, L1 activity 0.0001 (of the "
    "mean error: 0.0784 of the summed one), Adadelta 1.0, batch 256, 50 epochs",
    metric="units above 0.01 in the code of a test image, fewer than without ({reference})",
    source=KERAS,
)
def _sparse_32(experiment: Experiment) -> Finding:
    """A small price on activations halves them, and silences some units, at little cost."""
    dataset = experiment.data()
    plain = experiment.train(dataset, "ae", SINGLE, what="without", **ADADELTA)
    price = {"weight": 1e-4 * dataset.n_features}
    sparse = experiment.train(
        dataset, "sparse-l1", SINGLE | price, what="with the penalty", **ADADELTA
    )
    value, reference = _active(sparse.test.codes), _active(plain.test.codes)
    figures = {
        "mean activation": float(sparse.test.codes.mean()),
        "mean activation without the penalty": float(plain.test.codes.mean()),
        "test cross-entropy a pixel": sparse.bce,
        "test cross-entropy a pixel without the penalty": plain.bce,
    }
    x = dataset.test.x[_one_of_each(dataset)]
    answers = {"plain": _reconstructed(plain, x), "sparse": _reconstructed(sparse, x)}
    rows = _rows("Test images and what comes back", dataset, test=x, **answers)
    return Finding(value, reference, value < reference, figures, [rows])


@recipe(
    "deep-32",
    reference=0.0926,
    title="Deeper, with the same 32 numbers",
    architecture="784-128-64-32-64-128-784, ReLU, sigmoid output, cross-entropy, Adam 0.003 to its "
    "peak and down, batch 256, 50 epochs",
    metric="test cross-entropy a pixel, at most {reference}",
    source=KERAS,
)
def _deep_32(experiment: Experiment) -> Finding:
    """Two more layers on each side put more into the same 32 numbers."""
    dataset = experiment.data()
    deep = {"hidden": (128, 64), "latent_dim": 32, "activation": "relu", "likelihood": "bernoulli"}
    deep["code_activation"] = "relu"
    trained = experiment.train(dataset, "ae", deep, epochs=50, batch_size=256, learning_rate=3e-3)
    return experiment.at_most(
        trained.bce,
        {"test MSE": trained.mse},
        [_beside_pca(trained, 32)],
    )


@recipe(
    "conv-8",
    reference=0.1018,
    title="Small filters in place of full layers",
    architecture="3 x 3 convolutions of 16, 8 and 8 channels, ReLU, max-pooling to a 4 x 4 x 8 "
    "code, the mirror with upsampling, cross-entropy, Adam 0.004 to its peak and down, batch 128, "
    "8 epochs",
    metric="test cross-entropy a pixel, at most {reference}",
    source=KERAS,
)
def _conv_8(experiment: Experiment) -> Finding:
    """Four thousand shared weights come near to what fifty thousand separate ones do."""
    dataset = experiment.data()
    trained = experiment.train(
        dataset,
        "conv",
        {
            "channels": (16, 8, 8),
            "latent_dim": 128,
            "dense": False,
            "activation": "relu",
            "likelihood": "bernoulli",
        },
        epochs=8,
        batch_size=128,
        learning_rate=4e-3,
    )
    figures = {"weights": trained.weights(), "test MSE": trained.mse}
    return experiment.at_most(trained.bce, figures, [_beside_pca(trained, 128)])


@recipe(
    "conv-denoise",
    reference=0.1,
    title="Convolutions that take noise away",
    architecture="3 x 3 convolutions of 32 and 32 channels, ReLU, max-pooling to 7 x 7 x 32, the "
    "mirror with upsampling, cross-entropy, Gaussian noise of 0.5 clipped to [0, 1], Adam 0.002 to "
    "its peak and down, batch 128, 10 epochs",
    metric="test cross-entropy a pixel from noisy images, at most {reference}",
    source=KERAS,
)
def _conv_denoise(experiment: Experiment) -> Finding:
    """Asked for the clean image, the network learns what a stroke is, and what is noise."""
    from aecore.corruption import GaussianNoise

    dataset = experiment.data()
    trained = experiment.train(
        dataset,
        "conv-denoising",
        {
            "channels": (32, 32),
            "latent_dim": 1568,
            "dense": False,
            "activation": "relu",
            "likelihood": "bernoulli",
            "noise": "gaussian",
            "level": 0.5,
            "clip": True,
        },
        epochs=10,
        batch_size=128,
        learning_rate=2e-3,
    )
    noisy = _noisy(dataset, GaussianNoise(0.5, clip=True))
    answer = np.concatenate([_reconstructed(trained, part) for part in np.split(noisy, 10)])
    x = dataset.test.x
    p = np.clip(answer.astype(np.float64), 1e-12, 1 - 1e-7)
    bce = float(-(x * np.log(p) + (1 - x) * np.log1p(-p)).mean())
    figures = {
        "PSNR before, dB": metrics.psnr(x, noisy),
        "PSNR after, dB": metrics.psnr(x, answer),
    }
    chosen = _one_of_each(dataset)
    rows = _rows(
        "Clean, noisy, and what the network makes of it",
        dataset,
        clean=x[chosen],
        noisy=noisy[chosen],
        denoised=answer[chosen],
    )
    return experiment.at_most(bce, figures, [rows])


@recipe(
    "denoise-mlp",
    reference=20.0,
    title="What was trained on one noise, under four",
    architecture="784-512-256-512-784, GELU, sigmoid output, squared error, Adam 0.003 to its peak "
    "and down, batch 250, 20 epochs; Gaussian noise of 0.5, and dropout of 0.5",
    metric="PSNR in dB of test images with Gaussian noise of 0.5, unclipped, at least {reference}",
    source="Vincent, Larochelle, Lajoie, Bengio & Manzagol (2010), Stacked denoising autoencoders; "
    "Geron (2017), Hands-on machine learning, chapter 15",
)
def _denoise_mlp(experiment: Experiment) -> Finding:
    """A denoiser is best at noise like that of its training, and of less use under another."""
    from aecore.corruption import Dropout, GaussianNoise, Masking, SaltAndPepper

    dataset = experiment.data()
    shared = {"hidden": (512,), "latent_dim": 256, "activation": "gelu", "level": 0.5}
    shared["likelihood"] = "squashed-gaussian"
    found = {
        name: experiment.train(
            dataset,
            "denoising",
            shared | {"noise": noise},
            what=name,
            epochs=20,
            batch_size=250,
            learning_rate=3e-3,
        )
        for name, noise in (("trained on Gaussian", "gaussian"), ("on dropout", "dropout"))
    }
    corruptions = {
        "Gaussian 0.5": GaussianNoise(0.5),
        "masking 0.5": Masking(0.5),
        "salt and pepper 0.3": SaltAndPepper(0.3),
        "dropout 0.5": Dropout(0.5),
    }
    x, chosen, figures, pictures = dataset.test.x, _one_of_each(dataset), {}, []
    for name, corruption in corruptions.items():
        noisy = _noisy(dataset, corruption)
        answers = {key: _reconstructed(trained, noisy) for key, trained in found.items()}
        before = metrics.psnr(x, noisy)
        figures[f"{name}: PSNR before, dB"] = before
        for key, answer in answers.items():
            figures[f"{name}: gain, {key}, dB"] = metrics.psnr(x, answer) - before
        rows = {"noisy": noisy[chosen]} | {key: each[chosen] for key, each in answers.items()}
        pictures.append(_rows(name, dataset, **rows))
    before, gain = "Gaussian 0.5: PSNR before, dB", "Gaussian 0.5: gain, trained on Gaussian, dB"
    value = figures[before] + figures[gain]
    return experiment.at_least(value, figures, pictures)


@recipe(
    "sparse-kl",
    reference=0.1,
    title="Each unit is told how often to speak",
    architecture="784-1000-784, ELU, sigmoid code, linear output, squared error, KL sparsity of "
    "target 0.1 and weight 0.2 (of the mean error: 156.8 of the summed one), Adam 0.01, batch "
    "1,000, 15 epochs",
    metric="mean activation of the code on test images, within 0.02 of the target {reference}",
    source="Ng (2011), CS294A lecture notes: sparse autoencoder; Geron (2017), Hands-on machine "
    "learning with Scikit-Learn and TensorFlow, chapter 15",
)
def _sparse_kl(experiment: Experiment) -> Finding:
    """A divergence holds the mean activation of each of a thousand units to a tenth."""
    dataset = experiment.data()
    trained = experiment.train(
        dataset,
        "sparse-kl",
        {
            "hidden": (),
            "latent_dim": 1000,
            "target": 0.1,
            "weight": 0.2 * dataset.n_features,
            "likelihood": "gaussian",
        },
        epochs=15,
        batch_size=1_000,
        learning_rate=0.01,
        schedule="constant",
    )
    codes = trained.test.codes
    value = float(codes.mean())
    figures = {
        "test MSE": trained.mse,
        "spread of the units' mean activations": float(codes.mean(0).std()),
    }
    counts, edges = np.histogram(codes, bins=50, range=(0, 1), density=True)
    histogram = _curves(
        "How active units are, over all units and test images",
        "activation",
        "density",
        (edges[1:] + edges[:-1]) / 2,
        density=counts,
    )
    x = dataset.test.x[_one_of_each(dataset)]
    rows = _rows(
        "Test images and what comes back", dataset, test=x, autoencoder=_reconstructed(trained, x)
    )
    return experiment.finding(value, abs(value - 0.1) <= 0.02, figures, [histogram, rows])


@recipe(
    "contractive",
    reference=5.0,
    title="A code that stands still",
    architecture="784-32-784, sigmoid code, linear output, squared error, Jacobian penalty of "
    "lambda 0.1 to 10 by its closed form, Adam 0.02 to its peak and down, batch 256, 20 epochs",
    metric="fall of the mean Jacobian norm, at under 20 % more test MSE, at least {reference}-fold",
    source="Rifai, Vincent, Muller, Glorot & Bengio (2011), Contractive auto-encoders: explicit "
    "invariance during feature extraction",
)
def _contractive(experiment: Experiment) -> Finding:
    """A still code is cheap while the decoder can scale up what shrank; then sharpness pays."""
    import torch

    from aecore.penalties import Contraction

    dataset = experiment.data()
    x = torch.tensor(dataset.test.x)
    weights = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0)
    norms, errors, scales, rows = [], [], [], {}
    chosen = dataset.test.x[_one_of_each(dataset)]
    shared = {"hidden": (), "latent_dim": 32, "likelihood": "gaussian"}
    shared["code_activation"] = "sigmoid"
    for weight in weights:
        trained = experiment.train(
            dataset,
            "contractive",
            shared | {"jacobian": "closed-form", "weight": weight},
            what=f"lambda {weight:g}",
            epochs=20,
            batch_size=256,
            learning_rate=0.02,
        )
        measure = Contraction(1, "closed-form")
        with torch.inference_mode():
            squares = measure(trained.model, x, trained.model.encoder(x), None)
        norms.append(float(squares.sqrt().mean()))
        errors.append(trained.mse)
        scales.append(float(trained.model.decoder[0].weight.detach().norm()))
        rows[f"lambda {weight:g}"] = _reconstructed(trained, chosen)
    falls = np.array(norms[0]) / norms
    allowed = np.array(errors) < 1.2 * errors[0]
    best = int(np.argmax(np.where(allowed, falls, 0)))
    figures = {"lambda": weights[best], "test MSE": errors[best], "test MSE, lambda 0": errors[0]}
    figures |= {"mean norm": norms[best], "mean norm, lambda 0": norms[0]}
    figures["decoder's weights, relative to lambda 0"] = scales[best] / scales[0]
    sweep = _curves(
        "The sweep, each relative to lambda 0",
        "lambda",
        "relative to lambda 0",
        weights,
        **{
            "mean Jacobian norm": np.array(norms) / norms[0],
            "test MSE": np.array(errors) / errors[0],
            "decoder's weights": np.array(scales) / scales[0],
        },
    )
    pictures = [sweep, _rows("What comes back", dataset, test=chosen, **rows)]
    return experiment.at_least(falls[best], figures, pictures)


# --- Variational --------------------------------------------------------------------------------


@recipe(
    "vae-20",
    reference=103.0,
    title="Digits that nobody wrote",
    architecture="784-500-500-20, ELU, cross-entropy summed over pixels plus KL, Adam 0.001 to its "
    "peak and down, batch 150, 50 epochs",
    metric="negative ELBO of test images in nats, at most {reference}",
    source="Kingma & Welling (2014), Auto-encoding variational Bayes; Geron (2017), Hands-on "
    "machine learning with Scikit-Learn and TensorFlow, chapter 15",
)
def _vae_20(experiment: Experiment) -> Finding:
    """A code kept near a Gaussian can be drawn from, and each draw decodes into a digit."""
    dataset = experiment.data()
    trained = experiment.train(
        dataset,
        "vae",
        {
            "hidden": (500, 500),
            "latent_dim": 20,
            "activation": "elu",
            "likelihood": "bernoulli",
        },
        keep="vae-20",
        epochs=50,
        batch_size=150,
        learning_rate=1e-3,
    )
    draws = np.random.default_rng(SEED).standard_normal((60, 20))
    generated = _decoded(trained, draws).reshape(6, 10, -1)
    rows = {f"draws {10 * i + 1} to {10 * i + 10}": row for i, row in enumerate(generated)}
    terms = trained.test.terms
    used = int((trained.test.codes.var(0) > 0.01).sum())
    figures = {"reconstruction, nats": terms["reconstruction"], "KL, nats": terms["kl"]}
    figures["dimensions in use (variance of the mean above 0.01)"] = used
    return experiment.at_most(
        terms["total"],
        figures,
        [_rows("Sixty draws from the prior, decoded", dataset, **rows), _beside_pca(trained, 20)],
    )


@recipe(
    "vae-2",
    reference=146.95,
    title="The latent grid",
    architecture="784-512-256-2, GELU, cross-entropy summed over pixels plus KL, Adam 0.002 to its "
    "peak and down, batch 256, 20 epochs",
    metric="negative ELBO of test images in nats, at most {reference}",
    source="Kingma & Welling (2014), Auto-encoding variational Bayes, figure 4",
)
def _vae_2(experiment: Experiment) -> Finding:
    """On a two-dimensional code every place decodes, and neighbours look alike."""
    from scipy.stats import norm

    dataset = experiment.data()
    trained = experiment.train(
        dataset,
        "vae",
        {"hidden": (512, 256), "latent_dim": 2, "activation": "gelu", "likelihood": "bernoulli"},
        keep="vae-2",
        epochs=20,
        batch_size=256,
        learning_rate=2e-3,
    )
    side = 15
    quantiles = norm.ppf((np.arange(side) + 0.5) / side)
    grid = np.stack(np.meshgrid(quantiles, quantiles[::-1]), axis=-1)
    decoded = _decoded(trained, grid.reshape(-1, 2)).reshape(side, side, -1)
    rows = {f"{quantiles[::-1][i]:+.2f}": row for i, row in enumerate(decoded)}
    terms = trained.test.terms
    maps = _maps("The means of the codes of test images", dataset, code=trained.test.codes)
    figures = {"reconstruction, nats": terms["reconstruction"], "KL, nats": terms["kl"]}
    grid_picture = _rows("The plane, decoded at the quantiles of the prior", dataset, **rows)
    return experiment.at_most(terms["total"], figures, [grid_picture, maps])


# --- Maps, sweeps, surfaces ---------------------------------------------------------------------


@recipe(
    "ae-then-tsne",
    title="t-SNE of a code, beside t-SNE of the pixels",
    architecture="784-512-128-32, ELU, squared error, Adam 0.004 to its peak and down, batch 128, "
    "10 epochs; t-SNE of the test split, perplexity 30",
    metric="10-NN accuracy on the code's map, at most 0.02 below the pixels' ({reference})",
    source="van der Maaten & Hinton (2008), Visualizing data using t-SNE",
)
def _ae_then_tsne(experiment: Experiment) -> Finding:
    """Thirty-two numbers are enough for t-SNE to draw the islands, with purer neighbours."""
    dataset = experiment.data()
    trained = experiment.train(
        dataset,
        "ae",
        {"hidden": (512, 128), "latent_dim": 32, "activation": "elu"},
        epochs=10,
        batch_size=128,
        learning_rate=4e-3,
    )
    codes = {"train": _encoded(trained, dataset.train.x), "test": trained.test.codes}
    coded = dataset.derived(
        lambda split: Samples(codes[split], getattr(dataset, split).labels.copy()),
        shape=(32,),
        modality="table",
        value_range=None,
    )
    planes, figures = {}, {}
    for name, data in (("t-SNE of the code", coded), ("t-SNE of the pixels", dataset)):
        tsne = projections.TSNEProjection(**projections.TSNEProjection.defaults(data.n_test))
        plane = tsne.place(data, partial(_renamed, experiment, name))
        planes[name] = plane
        figures[f"10-NN accuracy, {name}"] = metrics.knn_accuracy(plane, dataset.test.labels, k=10)
        figures[f"trustworthiness to the pixels, {name}"] = metrics.trustworthiness(
            dataset.test.x, plane, k=12
        )
    value = figures["10-NN accuracy, t-SNE of the code"]
    reference = figures["10-NN accuracy, t-SNE of the pixels"]
    maps = _maps("The two maps", dataset, 10_000, **planes)
    return Finding(value, reference, value >= reference - 0.02, figures, [maps])


def _renamed(experiment: Experiment, name: str, what: str, done: float, total: float) -> None:
    experiment.say(name, done, total)


@recipe(
    "bottleneck-sweep",
    reference=1.0,
    title="How wide must the code be?",
    architecture="784-512-128-k, leaky ReLU, linear output, squared error, Adam 0.002 to its peak "
    "and down, batch 256, 4 epochs; k = 1 to 6, 8, 16, 32; pixels in [0, 1], and standardised",
    metric="largest ratio of test MSE to that of as many components, in [0, 1], below {reference}",
    source=HINTON,
)
def _bottleneck_sweep(experiment: Experiment) -> Finding:
    """The error falls with the code's width, and on either scale PCA never catches up."""
    dataset = experiment.data()
    scale = dataset.train.x.std(0)
    scale[scale == 0] = 1
    middle = dataset.train.x.mean(0)
    standardised = dataset.derived(
        lambda split: Samples(
            (getattr(dataset, split).x - middle) / scale, getattr(dataset, split).labels.copy()
        ),
        value_range=None,
    )
    sizes, pictures, figures, worst = (1, 2, 3, 4, 5, 6, 8, 16, 32), [], {}, 0.0
    for name, data in (("pixels in [0, 1]", dataset), ("standardised pixels", standardised)):
        own, flat = [], []
        for size in sizes:
            trained = experiment.train(
                data,
                "ae",
                {
                    "hidden": (512, 128),
                    "latent_dim": size,
                    "activation": "leaky-relu",
                    "likelihood": "gaussian",
                },
                what=f"{name}, code of {size}",
                epochs=4,
                batch_size=256,
                learning_rate=2e-3,
            )
            own.append(trained.mse)
            flat.append(projections.pca_mse(data, size))
        ratios = np.array(own) / flat
        figures[f"code sizes of {len(sizes)} at which PCA wins, {name}"] = int((ratios >= 1).sum())
        figures[f"largest ratio to PCA, {name}"] = ratios.max()
        if data is dataset:
            worst = ratios.max()
        curves = {"autoencoder": own, "PCA": flat}
        title = f"Error by width of the code, {name}"
        pictures.append(_curves(title, "width of the code", f"test MSE, {name}", sizes, **curves))
    return experiment.finding(worst, worst < 1, figures, pictures)


@recipe(
    "manifold",
    title="A surface that follows the roll",
    dataset="swiss-roll",
    architecture="3-128-64-32-k, SiLU, squared error, Adam 0.004 to its peak and down, batch 64, "
    "120 epochs; k = 2 and 1",
    metric="test MSE of the 2-D code, below PCA's with 2 components ({reference})",
    source="Tenenbaum, de Silva & Langford (2000), A global geometric framework for nonlinear "
    "dimensionality reduction (the roll); Kramer (1991), Nonlinear principal component analysis",
)
def _manifold(experiment: Experiment) -> Finding:
    """An autoencoder bends its surface through the roll; PCA can only cut it with a plane."""
    dataset = experiment.part(datasets.get("swiss-roll"))
    points = {"points": dataset.test.x, "position": dataset.test.labels}
    pca = projections.components(dataset)
    pictures, figures, errors = [], {}, {}
    for size in (2, 1):
        trained = experiment.train(
            dataset,
            "ae",
            {"hidden": (128, 64, 32), "latent_dim": size, "activation": "silu"},
            what=f"code of {size}",
            epochs=120,
            batch_size=64,
            learning_rate=4e-3,
        )
        errors[size] = trained.mse
        figures[f"test MSE, code of {size}"] = trained.mse
        figures[f"PCA's test MSE, {size} component(s)"] = projections.pca_mse(dataset, size)
        ends = np.percentile(trained.test.codes, [1, 99], axis=0).T
        flat_ends = np.percentile(pca.encode(dataset.test.x, size), [1, 99], axis=0).T
        learned, flat = _lattice(ends, 40), _lattice(flat_ends, 2)
        surfaces = {
            "autoencoder": _decoded(trained, learned.reshape(-1, size)),
            "PCA": pca.mean + flat.reshape(-1, size) @ pca.components[:size],
        }
        shapes = {"autoencoder": learned.shape[:-1], "PCA": flat.shape[:-1]}
        surfaces = {name: at.reshape(*shapes[name], 3) for name, at in surfaces.items()}
        what = "surface" if size == 2 else "curve"
        pictures.append(Picture("cloud", f"The {what} that was learned", {**points, **surfaces}))
    reference = figures["PCA's test MSE, 2 component(s)"]
    return Finding(errors[2], reference, errors[2] < reference, figures, pictures)


def _lattice(ends: np.ndarray, steps: int) -> np.ndarray:
    """Evenly spaced points of a box, (steps, ..., len(ends)); a curve gets many more."""
    if len(ends) == 1:
        return np.linspace(*ends[0], 20 * steps)[:, None, None]
    axes = [np.linspace(low, high, steps) for low, high in ends]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


SPIRAL_NOISE, FIELD_NOISE = 0.05, 0.2


def spiral() -> np.ndarray:
    """200 centres along one and a half turns of a spiral, (200, 2), within about [-1.5, 1.5]."""
    turn = np.linspace(0.25, 1, 200)
    angle = 3 * np.pi * turn
    return 1.5 * turn[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def spiral_score(x: np.ndarray, deviation: float) -> np.ndarray:
    """grad log p(x) of an equal mixture of N(c, deviation^2 I) over the spiral's centres c.

    sum_c w_c(x) (c - x) / deviation^2, w_c the posterior weights of the centres.

    Arguments
        x: (n, 2).
    """
    offsets = spiral()[None] - x[:, None]
    exponents = -np.square(offsets).sum(2) / (2 * deviation**2)
    weights = np.exp(exponents - exponents.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    return (weights[:, :, None] * offsets).sum(1) / deviation**2


def _spiral_dataset() -> Dataset:
    def read(split: str) -> Samples:
        random = np.random.default_rng([SEED, split == "test"])
        count = {"train": 10_000, "test": 1_000}[split]
        chosen = random.integers(0, 200, count)
        x = spiral()[chosen] + SPIRAL_NOISE * random.standard_normal((count, 2))
        return Samples(x.astype(np.float32), (chosen / 200).astype(np.float32))

    return Dataset(
        DataSpec(
            name="spiral",
            title="A noisy spiral whose density is known",
            modality="points",
            shape=(2,),
            n_train=10_000,
            n_test=1_000,
            feature_names=("x", "y"),
            source="Generated: an equal mixture of 200 Gaussians along a spiral, seed 0",
            licence="Apache-2.0",
        ),
        read,
    )


@recipe(
    "denoising-field",
    reference=0.8,
    title="What a denoiser knows of the density",
    dataset="spiral",
    architecture="2-256-256-64, SiLU, tanh code, squared error, Gaussian noise of 0.2, Adam 0.004 "
    "to its peak and down, batch 250, 60 epochs",
    metric="mean cosine of r(x) - x to the true score at noisy test points, at least {reference}",
    source="Alain & Bengio (2014), What regularized auto-encoders learn from the data-generating "
    "distribution",
)
def _denoising_field(experiment: Experiment) -> Finding:
    """The residual r(x) - x points uphill: sigma^2 times the score of the smoothed density."""
    dataset = experiment.part(_spiral_dataset())
    trained = experiment.train(
        dataset,
        "denoising",
        {
            "hidden": (256, 256),
            "latent_dim": 64,
            "activation": "silu",
            "code_activation": "tanh",
            "level": FIELD_NOISE,
        },
        epochs=60,
        batch_size=250,
        learning_rate=4e-3,
    )
    smoothed = math.hypot(SPIRAL_NOISE, FIELD_NOISE)

    def cosines(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        residual, score = _reconstructed(trained, x) - x, spiral_score(x, smoothed)
        lengths = np.linalg.norm(residual, axis=1) * np.linalg.norm(score, axis=1)
        return (residual * score).sum(1) / np.maximum(lengths, 1e-12), residual

    random = np.random.default_rng(SEED)
    noise = random.standard_normal(dataset.test.x.shape)
    found, residual = cosines(dataset.test.x + FIELD_NOISE * noise)
    points = dataset.test.x + FIELD_NOISE * noise
    estimate = residual / FIELD_NOISE**2
    score = spiral_score(points, smoothed)
    error = np.square(estimate - score).sum() / np.square(score).sum()
    axis = np.linspace(-1.8, 1.8, 31)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    # Arrows where noisy samples can be; beyond, the network saw nothing.
    far = np.linalg.norm(spiral()[None] - grid[:, None], axis=2).min(1)
    grid = grid[far < 2 * smoothed]
    _, moves = cosines(grid)
    arrows = {
        "residual r(x) - x.from": grid,
        "residual r(x) - x.to": grid + moves,
        "true score.from": grid,
        "true score.to": grid + FIELD_NOISE**2 * spiral_score(grid, smoothed),
    }
    picture = Picture("arrows", "Where noise is moved to", {"points": dataset.test.x, **arrows})
    figures = {
        "median cosine": float(np.median(found)),
        "squared error of (r(x) - x) / sigma^2, as a part of the score's square": float(error),
    }
    value = float(found.mean())
    return experiment.at_least(value, figures, [picture])


def every(names: Sequence[str]) -> Iterator[Recipe]:
    """The recipes of these names, or all; raises `Faults` with every unknown name."""
    wrong = [unknown("recipe", name, RECIPES) for name in names if name not in RECIPES]
    if wrong:
        raise Faults(wrong)
    return iter([RECIPES[name] for name in names or RECIPES])
