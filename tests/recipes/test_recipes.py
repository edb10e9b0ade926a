"""Recipes: completeness, runs on a tenth, and storage of outcomes."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from conftest import Listener
from PIL import Image
from scipy.special import logsumexp
from sklearn.decomposition import PCA

from aecore import artifacts, data, recipes
from aecore.data import DATASETS, Dataset, Samples
from aecore.errors import Cancelled, InvalidRequest
from aecore.plots import figures, images
from aecore.recipes import RECIPES, Experiment, Finding, Outcome, Picture, Recipe
from aecore.runs import store

ROW = {"name", "dataset", "metric", "value", "reference", "holds", "seconds", "source"}

# --- A stand-in for MNIST -----------------------------------------------------------------------


@cache
def enlarged_digits() -> Dataset:
    """Digits of scikit-learn in MNIST's size, 28 x 28, without files."""

    def read(split: str) -> Samples:
        x, labels = getattr(DATASETS["digits"], split)
        large = np.kron(x.reshape(-1, 8, 8), np.ones((3, 3), np.float32))
        framed = np.pad(large, ((0, 0), (2, 2), (2, 2)))
        return Samples(framed.reshape(len(x), -1), labels.copy())

    digits = DATASETS["digits"]
    counts = {"n_train": digits.n_train, "n_test": digits.n_test}
    return DATASETS["mnist"].derived(read, **counts)


def put_in_the_place_of_mnist(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(DATASETS, "mnist", enlarged_digits())
    patch.delitem(data.DIGESTS, "mnist")


@pytest.fixture
def small_mnist(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    put_in_the_place_of_mnist(monkeypatch)
    return data.get("mnist")


def test_the_stand_in_is_like_mnist_and_needs_no_file(small_mnist: Dataset) -> None:
    assert data.is_available("mnist")
    assert small_mnist.shape == (28, 28)
    assert small_mnist.train.x.shape == (1437, 784) and small_mnist.test.x.shape == (360, 784)
    assert small_mnist.train.x.dtype == np.float32
    assert (small_mnist.train.x.min(), small_mnist.train.x.max()) == (0, 1)
    assert set(small_mnist.test.labels[:36]) == set(range(10))


# --- The registry -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECIPES)
def test_every_entry_is_complete(name: str) -> None:
    recipe = RECIPES[name]
    assert recipe.name == name
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    for text in (recipe.title, recipe.teaches, recipe.architecture, recipe.metric, recipe.source):
        assert text and text == " ".join(text.split())
    assert recipe.teaches[0].isupper() and recipe.teaches.endswith(".")
    assert not re.search(r"[.!?] [A-Z]", recipe.teaches), "one sentence"
    assert not recipe.metric.endswith("."), "the page ends the sentence"
    assert re.search(r"\((1[89]|20)\d\d\)", recipe.source)
    assert recipe.dataset in {*DATASETS, "spiral"}
    assert recipe.reference is None or math.isfinite(recipe.reference)


@pytest.mark.parametrize("name", RECIPES)
def test_every_metric_says_its_reference(name: str) -> None:
    recipe = RECIPES[name]
    assert recipe.metric.count("{reference}") == 1
    assert recipes.target(recipe.metric) != recipe.metric, "the target has no direction"
    if recipe.reference is None:
        assert "measured in the same run" in recipe.describe_metric(None)
    assert recipe.describe_metric(0.5) == recipe.metric.replace("{reference}", "0.5")


@pytest.mark.parametrize("name", [name for name in RECIPES if RECIPES[name].reference is not None])
def test_a_published_reference_is_said_in_full(name: str) -> None:
    recipe = RECIPES[name]
    before, after = recipe.metric.split("{reference}")
    said = recipe.describe_metric(recipe.reference).removeprefix(before).removesuffix(after)
    assert float(said) == recipe.reference


def test_titles_and_lessons_are_not_told_twice() -> None:
    for field in ("title", "teaches"):
        assert len({getattr(recipe, field) for recipe in RECIPES.values()}) == len(RECIPES)


def test_without_names_every_recipe_comes_in_the_order_of_the_registry() -> None:
    assert [recipe.name for recipe in recipes.every([])] == list(RECIPES)


def test_named_recipes_come_in_the_order_of_the_names() -> None:
    names = [*RECIPES][3:0:-1]
    assert [recipe.name for recipe in recipes.every(names)] == names


def test_unknown_names_are_all_told_at_once() -> None:
    with pytest.raises(InvalidRequest) as error:
        recipes.every(["vea-20", "manifold", "sprase-kl", ""])
    first, second, third = error.value.problems
    assert "'vea-20': did you mean 'vae-20'" in first
    assert "'sprase-kl': did you mean 'sparse-kl'" in second
    assert third.startswith("Unknown recipe ''")


@pytest.mark.parametrize("ask", [recipes.get, recipes.outcome_artifact])
def test_an_unknown_recipe_gets_the_nearest_one(ask: Callable[[str], Any]) -> None:
    with pytest.raises(InvalidRequest, match="Unknown recipe 'manifolds': did you mean 'manifold'"):
        ask("manifolds")


def test_an_unknown_recipe_is_not_run() -> None:
    heard = Listener()
    with pytest.raises(InvalidRequest, match=r"Unknown recipe '\.\./x'"):
        recipes.Reproduce("../x").run(heard)
    assert not heard.heard


# --- Every recipe, on a tenth -------------------------------------------------------------------


class Tried(NamedTuple):
    """Outcome of a recipe on a tenth, and its store."""

    outcome: Outcome
    folder: Path
    heard: list[tuple[str, float, float]]


@pytest.fixture(scope="module", params=RECIPES)
def tried(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tried:
    folder, heard = tmp_path_factory.mktemp("tried"), Listener()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AECORE_STORE", str(folder))
        put_in_the_place_of_mnist(patch)
        outcome = recipes.Reproduce(request.param, fast=True).run(heard)
    return Tried(outcome, folder, heard.heard)


def test_every_recipe_runs_on_a_tenth_and_is_not_judged(tried: Tried) -> None:
    outcome = tried.outcome
    recipe = RECIPES[outcome.name]
    assert (outcome.holds, outcome.fast) == (None, True)
    assert (outcome.dataset, outcome.source) == (recipe.dataset, recipe.source)
    assert outcome.metric == recipe.describe_metric(outcome.reference)
    assert "{" not in outcome.metric
    assert outcome.seconds >= 0
    for value in (outcome.value, outcome.reference, *outcome.figures.values()):
        assert type(value) is float and math.isfinite(value)
    if recipe.reference is not None:
        assert outcome.reference == recipe.reference


def test_every_outcome_on_a_tenth_is_a_row_of_json(tried: Tried) -> None:
    row = tried.outcome.row()
    assert row.keys() >= ROW and "pictures" not in row
    assert json.loads(json.dumps(row, allow_nan=False)) == row


def test_nothing_on_a_tenth_is_kept(tried: Tried, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AECORE_STORE", str(tried.folder))
    assert tried.outcome.runs == []
    assert recipes.outcome_artifact(tried.outcome.name).load() is None
    assert store.runs() == ([], []) and store.unfinished() == []
    assert {path.name for path in tried.folder.iterdir()} <= {"_maps"}


def test_every_recipe_says_how_far_it_is(tried: Tried) -> None:
    assert tried.heard[0][0].startswith("Loading the libraries")
    assert len({what for what, _, _ in tried.heard}) >= 2
    for what, done, total in tried.heard:
        assert what and 0 <= done <= total and total > 0


def test_every_recipe_has_pictures_of_finite_arrays(tried: Tried) -> None:
    assert tried.outcome.pictures
    for picture in tried.outcome.pictures:
        assert picture.title and picture.arrays
        for name, array in picture.arrays.items():
            assert name and np.asarray(array).size and np.isfinite(array).all(), name
        json.dumps(dict(picture.facts), allow_nan=False)


def test_every_picture_can_be_drawn(tried: Tried) -> None:
    for picture in tried.outcome.pictures:
        for drawn in drawings(picture):
            assert drawn


def drawings(picture: Picture) -> list[bytes | tuple[Any, ...]]:
    """Bytes of the image or traces of each figure that a page shows of a picture."""
    arrays, facts = dict(picture.arrays), picture.facts
    if picture.kind == "rows":
        shape = tuple(facts["shape"])
        rows = [images.Row(name, x.reshape(-1, *shape)) for name, x in arrays.items()]
        assert {row.images.shape[1:] for row in rows} == {shape}
        return [images.compose(rows, "light", cell=20)]
    if picture.kind == "maps":
        labels, names = arrays.pop("labels"), facts["label_names"]
        labels = labels.astype(int) if names else labels
        assert arrays and all(plane.shape == (len(labels), 2) for plane in arrays.values())
        return [figures.scatter_map(plane, labels, names).data for plane in arrays.values()]
    if picture.kind == "curves":
        x = arrays.pop("x")
        assert arrays and all(y.shape == x.shape == (len(x),) for y in arrays.values())
        assert (np.diff(x) > 0).all()
        return [figures.curves(x, arrays, **facts).data]
    points = arrays.pop("points")
    if picture.kind == "cloud":
        position = arrays.pop("position")
        assert points.shape == (len(position), 3)
        assert arrays and all(grid.ndim == 3 and grid.shape[2] == 3 for grid in arrays.values())
        return [figures.cloud(points, position, arrays).data]
    assert picture.kind == "arrows" and points.shape[1] == 2
    names = [name.removesuffix(".from") for name in arrays if name.endswith(".from")]
    fields = {name: (arrays.pop(f"{name}.from"), arrays.pop(f"{name}.to")) for name in names}
    assert fields and not arrays
    assert all(start.shape == end.shape for start, end in fields.values())
    return [figures.arrows(points, fields).data]


# --- A small recipe of the tests' own -----------------------------------------------------------


def entered(
    patch: pytest.MonkeyPatch, find: Callable[[Experiment], Finding], **facts: Any
) -> Recipe:
    """Recipe in the registry for the duration of a test."""
    recipe = Recipe(
        **{
            "name": "tiny",
            "title": "A small one",
            "teaches": "Small things are quick.",
            "dataset": "iris",
            "architecture": "4-8-2-8-4",
            "metric": "test MSE, at most {reference}",
            "source": "Nobody (2000), Nothing",
            "find": find,
            "reference": 100.0,
            **facts,
        }
    )
    patch.setitem(RECIPES, recipe.name, recipe)
    return recipe


def one_of_each_kind() -> list[Picture]:
    """A picture of each kind, with arrays in non-alphabetical order."""
    random = np.random.default_rng(0)
    plane, space = random.normal(size=(50, 2)), random.normal(size=(50, 3))
    labels = np.arange(50) % 3
    surfaces = {"line": random.normal(size=(9, 1, 3)), "bent": random.normal(size=(4, 5, 3))}
    return [
        Picture("rows", "Rows", {"z": random.random((3, 4)), "a": np.eye(4)}, {"shape": [2, 2]}),
        Picture(
            "maps",
            "Maps",
            {"one": plane, "labels": labels, "another": plane[::-1]},
            {"label_names": ["setosa", "versicolor", "virginica"]},
        ),
        Picture(
            "maps", "Along a curve", {"plane": plane, "labels": space[:, 0]}, {"label_names": []}
        ),
        Picture(
            "curves",
            "Curves",
            {"x": np.arange(4), "up": np.arange(4) / 3, "down": -np.arange(4)},
            {"x_title": "epoch", "y_title": "test MSE"},
        ),
        Picture("cloud", "Cloud", {"position": space[:, 0], "points": space, **surfaces}),
        Picture("arrows", "Arrows", {"points": plane, "f.to": plane + 1, "f.from": plane}),
    ]


def test_every_kind_of_picture_has_a_thumbnail() -> None:
    for kind, title, arrays, facts in one_of_each_kind():
        thumbnail = images.picture_thumbnail(kind, arrays, facts, side=40)
        with Image.open(io.BytesIO(thumbnail)) as picture:
            assert picture.height <= 40 * images.SCALE >= picture.width, title
            assert len(picture.getcolors()) > 1, title


def train_iris(
    experiment: Experiment, epochs: int = 2, keep: str = "", pictures: tuple[Picture, ...] = ()
) -> Finding:
    trained = experiment.train(
        experiment.data("iris"), "ae", {"hidden": (8,)}, keep=keep, epochs=epochs, batch_size=32
    )
    figures = {"weights": trained.weights(), "epochs": len(trained.history)}
    return experiment.at_most(trained.mse, figures, pictures)


def test_an_outcome_comes_back_as_it_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = tuple(one_of_each_kind())
    entered(monkeypatch, lambda experiment: train_iris(experiment, pictures=pictures))
    assert recipes.outcome_artifact("tiny").load() is None
    found = recipes.Reproduce("tiny").run(Listener())
    assert (found.holds, found.fast) == (True, False)
    assert_same(recipes.outcome_artifact("tiny").load(), found)
    for picture in recipes.outcome_artifact("tiny").load().pictures:
        assert all(drawings(picture))


def assert_same(one: Outcome | None, other: Outcome) -> None:
    """Assert that two outcomes are equal, their pictures to single precision."""
    assert one is not None and one.row() == other.row()
    for left, right in zip(one.pictures, other.pictures, strict=True):
        assert (left.kind, left.title) == (right.kind, right.title)
        assert dict(left.facts) == dict(right.facts)
        assert list(left.arrays) == list(right.arrays)
        for name, array in right.arrays.items():
            assert left.arrays[name].shape == np.shape(array)
            np.testing.assert_array_equal(left.arrays[name], np.asarray(array, np.float32))


def test_the_same_recipe_finds_the_same_again(monkeypatch: pytest.MonkeyPatch) -> None:
    entered(monkeypatch, train_iris)
    first, second = (recipes.Reproduce("tiny").run(Listener()) for _ in range(2))
    assert (first.value, first.figures) == (second.value, second.figures)


def test_a_later_outcome_replaces_the_earlier_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for epochs in (1, 3):
        entered(monkeypatch, lambda experiment, epochs=epochs: train_iris(experiment, epochs))
        recipes.Reproduce("tiny").run(Listener())
    assert recipes.outcome_artifact("tiny").load().figures["epochs"] == 3
    assert [path.name for path in recipes.outcome_artifact("tiny").path.parent.iterdir()] == [
        "tiny.safetensors"
    ]


def test_a_tenth_leaves_what_was_found_before(monkeypatch: pytest.MonkeyPatch) -> None:
    entered(monkeypatch, train_iris)
    found = recipes.Reproduce("tiny").run(Listener())
    assert recipes.Reproduce("tiny", fast=True).run(Listener()).holds is None
    assert_same(recipes.outcome_artifact("tiny").load(), found)


@pytest.mark.parametrize(
    ("judge", "value", "holds"),
    [
        ("at_most", 100, True),
        ("at_most", 101, False),
        ("at_least", 100, True),
        ("at_least", 99, False),
    ],
)
def test_a_figure_is_judged_by_the_reference(
    judge: str, value: float, holds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered(monkeypatch, lambda experiment: getattr(experiment, judge)(np.float32(value), {}, []))
    outcome = recipes.Reproduce("tiny").run(Listener())
    assert outcome.holds is holds
    assert (outcome.value, outcome.reference) == (value, 100)
    assert recipes.outcome_artifact("tiny").load().holds is holds


def test_weights_are_counted_without_biases(monkeypatch: pytest.MonkeyPatch) -> None:
    entered(monkeypatch, train_iris)
    outcome = recipes.Reproduce("tiny").run(Listener())
    assert outcome.figures["weights"] == 2 * (4 * 8 + 8 * 2)


def test_a_tenth_is_the_first_tenth_of_each_split(small_mnist: Dataset) -> None:
    experiment = Experiment(RECIPES["vae-2"], Listener(), fast=True)
    part = experiment.data()
    assert (part.n_train, part.n_test) == (143, 50)
    for split, count in (("train", 143), ("test", 50)):
        for few, all_of_them in zip(getattr(part, split), getattr(small_mnist, split), strict=True):
            np.testing.assert_array_equal(few, all_of_them[:count])
    assert part.fingerprint != small_mnist.fingerprint
    assert Experiment(RECIPES["vae-2"], Listener(), fast=False).data() is small_mnist


def test_faults_inside_a_recipe_are_said_and_nothing_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entered(monkeypatch, lambda experiment: train_iris(experiment, epochs=0))
    with pytest.raises(InvalidRequest, match="epochs = 0 is not possible"):
        recipes.Reproduce("tiny").run(Listener())
    assert recipes.outcome_artifact("tiny").load() is None


# --- Calling it off -----------------------------------------------------------------------------


def after(count: int) -> Listener:
    """Reporter that cancels after so many reports."""
    return Listener(lambda heard: Cancelled() if len(heard.heard) > count else None)


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_cancelled_recipe_keeps_nothing(
    count: int, monkeypatch: pytest.MonkeyPatch, store_folder: Path
) -> None:
    entered(monkeypatch, train_iris)
    with pytest.raises(Cancelled):
        recipes.Reproduce("tiny").run(after(count))
    assert recipes.outcome_artifact("tiny").load() is None
    assert not store_folder.exists()


def test_a_cancelled_recipe_leaves_what_was_found_before(monkeypatch: pytest.MonkeyPatch) -> None:
    entered(monkeypatch, train_iris)
    found = recipes.Reproduce("tiny").run(Listener())
    with pytest.raises(Cancelled):
        recipes.Reproduce("tiny").run(after(3))
    assert_same(recipes.outcome_artifact("tiny").load(), found)


def test_a_recipe_of_several_trainings_can_be_cancelled_in_any_of_them() -> None:
    heard = Listener(
        lambda heard: Cancelled() if heard.heard[-1][0].startswith("start 2 of 5") else None
    )
    with pytest.raises(Cancelled):
        recipes.Reproduce("linear-is-pca-3d", fast=True).run(heard)
    assert heard.heard[-1][0].startswith("start 2 of 5")


# --- Trained models that are kept ---------------------------------------------------------------


def kept(epochs: int) -> Callable[[Experiment], Finding]:
    return lambda experiment: train_iris(experiment, epochs, keep="tiny")


def names_in_the_store() -> list[str]:
    assert store.runs()[1] == []
    return [run.name for run in store.runs()[0]]


def test_a_model_that_a_recipe_keeps_is_a_run_in_the_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entered(monkeypatch, kept(2))
    outcome = recipes.Reproduce("tiny").run(Listener())
    assert outcome.runs == names_in_the_store() == ["recipe-tiny"]
    run = store.load("recipe-tiny")
    assert run.manifest.metrics["test_mse"] == pytest.approx(outcome.value)
    assert run.config.training.epochs == len(run.history) == outcome.figures["epochs"] == 2
    assert run.codes["codes"].shape == (50, 2)
    assert store.unfinished() == []


def test_a_kept_model_is_the_one_that_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    entered(monkeypatch, kept(2))
    value = recipes.Reproduce("tiny").run(Listener()).value
    entered(monkeypatch, train_iris)
    assert recipes.Reproduce("tiny").run(Listener()).value == pytest.approx(value, rel=1e-6)


def test_a_kept_model_takes_the_place_of_its_own_older_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for epochs in (1, 3):
        entered(monkeypatch, kept(epochs))
        recipes.Reproduce("tiny").run(Listener())
    assert names_in_the_store() == ["recipe-tiny"]
    assert len(store.load("recipe-tiny").history) == 3


def test_a_tenth_keeps_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    entered(monkeypatch, kept(20))
    outcome = recipes.Reproduce("tiny", fast=True).run(Listener())
    assert (outcome.runs, outcome.figures["epochs"]) == ([], 2)
    assert names_in_the_store() == []


def test_cancelled_at_any_moment_it_leaves_the_earlier_run_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    entered(monkeypatch, kept(3))
    whole = Listener()
    recipes.Reproduce("tiny").run(whole)
    for moment in range(len(whole.heard)):
        monkeypatch.setenv("AECORE_STORE", str(tmp_path / str(moment)))
        entered(monkeypatch, kept(1))
        earlier = recipes.Reproduce("tiny").run(Listener())
        # What a training leaves for the next one would spare it some of its moments.
        for left in (store.root() / "_maps").rglob("*.safetensors"):
            left.unlink()
        entered(monkeypatch, kept(3))
        heard = after(moment)
        with pytest.raises(Cancelled):
            recipes.Reproduce("tiny").run(heard)
        said = heard.heard[-1][0]
        assert store.unfinished() == [], said
        assert names_in_the_store() == ["recipe-tiny"], said
        assert len(store.load("recipe-tiny").history) == 1, said
        assert_same(recipes.outcome_artifact("tiny").load(), earlier)


def test_while_a_recipe_trains_nothing_is_offered_to_be_resumed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    offered: list[str] = []

    def look(heard: Listener) -> None:
        offered.extend(unfinished.name for unfinished in store.unfinished())

    entered(monkeypatch, kept(3))
    recipes.Reproduce("tiny").run(Listener(look))
    assert offered == []


# --- In full ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def linear_in_full(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Outcome, Outcome | None]:
    """The quickest recipe's outcome, and the same loaded from the store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AECORE_STORE", str(tmp_path_factory.mktemp("full")))
        found = recipes.Reproduce("linear-is-pca-3d").run(Listener())
        return found, recipes.outcome_artifact("linear-is-pca-3d").load()


def test_linear_is_pca_holds_in_full_and_is_kept(
    linear_in_full: tuple[Outcome, Outcome | None],
) -> None:
    found, stored = linear_in_full
    assert (found.holds, found.fast, found.seed, found.runs) == (True, False, 0, [])
    assert_same(stored, found)


def test_its_reference_is_the_error_of_scikit_learns_pca(
    linear_in_full: tuple[Outcome, Outcome | None],
) -> None:
    outcome, _ = linear_in_full
    ring = data.get("tilted-ring")
    pca = PCA(2).fit(ring.train.x)
    rebuilt = pca.inverse_transform(pca.transform(ring.test.x))
    assert outcome.reference == pytest.approx(np.square(rebuilt - ring.test.x).mean(), rel=1e-5)
    assert outcome.value == pytest.approx(outcome.reference, rel=0.01)
    assert f"({outcome.reference:.4g})" in outcome.metric


def test_its_angle_is_the_angle_between_the_normals(
    linear_in_full: tuple[Outcome, Outcome | None],
) -> None:
    outcome, _ = linear_in_full
    cloud, codes = outcome.pictures
    (angle,) = (value for name, value in outcome.figures.items() if "degrees" in name)
    assert 0 <= angle < 2

    # What is drawn as learned are images of points under the network: they span its plane.
    learned = unit_normal(cloud.arrays["autoencoder"])
    ring = data.get("tilted-ring")
    centred = ring.train.x.astype(np.float64) - ring.train.x.mean(0)
    least = np.linalg.svd(centred)[2][2]
    drawn = unit_normal(cloud.arrays["PCA"])
    for normal in (least, drawn):
        expected = math.degrees(math.asin(min(np.linalg.norm(np.cross(learned, normal)), 1)))
        assert angle == pytest.approx(expected, abs=2e-3)
    np.testing.assert_array_equal(cloud.arrays["points"], ring.test.x)
    assert codes.arrays["autoencoder"].shape == codes.arrays["PCA"].shape == (100, 2)


def unit_normal(grid: np.ndarray) -> np.ndarray:
    grid = grid.astype(np.float64)
    normal = np.cross(grid[1, 0] - grid[0, 0], grid[0, 1] - grid[0, 0])
    return normal / np.linalg.norm(normal)


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_holds_in_full(only_when_asked: None, mnist: Dataset, name: str) -> None:
    outcome = recipes.Reproduce(name).run(Listener())
    assert outcome.holds, f"{outcome.value:.5g}: {outcome.metric}"
    assert_same(recipes.outcome_artifact(name).load(), outcome)
    assert outcome.runs == names_in_the_store()


# --- Damaged outcomes ---------------------------------------------------------------------------


def written(arrays: Mapping[str, np.ndarray], metadata: dict[str, str] | None) -> bytes:
    from safetensors.numpy import save

    return save(dict(arrays), metadata)


def facts_of(content: bytes) -> dict[str, Any]:
    """Facts in the bytes of an outcome's file."""
    size = int.from_bytes(content[:8], "little")
    return json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["json"])


def changed(**changes: Any) -> Callable[[bytes], bytes]:
    """The same file with changed facts; None removes one."""

    def change(content: bytes) -> bytes:
        from safetensors.numpy import load

        facts = facts_of(content) | changes
        facts = {name: value for name, value in facts.items() if value is not ...}
        return written(load(content), {"json": json.dumps(facts)})

    return change


def saying(text: str) -> Callable[[bytes], bytes]:
    return lambda content: written({"0/x": np.zeros(2, np.float32)}, {"json": text})


def picture(**changes: Any) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        pictures = facts_of(content)["pictures"]
        pictures[0] = pictures[0] | changes
        return changed(pictures=pictures)(content)

    return change


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "three bytes": lambda content: b"abc",
    "cut short in its header": lambda content: content[:100],
    "cut short in its arrays": lambda content: content[:-10],
    "text": lambda content: b"These are no tensors at all, but a text of some length.",
    "a header of an absurd size": lambda content: b"\xff" * 8 + content[8:],
    "no facts": lambda content: written({"x": np.zeros(1)}, None),
    "facts no JSON": saying("{"),
    "facts empty": saying("{}"),
    "facts a list": saying("[]"),
    "facts null": saying("null"),
    "facts a number": saying("7"),
    "facts a text": saying('"pictures"'),
    "facts nested deep": saying("[" * 100_000),
    "an unknown fact": changed(surprise=1),
    "a missing fact": changed(value=...),
    "no pictures": changed(pictures=...),
    "pictures null": changed(pictures=None),
    "pictures a number": changed(pictures=3),
    "pictures of texts": changed(pictures=["rows"]),
    "a picture of an array that is not there": picture(order=["nothing"]),
    "a picture without an order": picture(order=None),
    "another recipe's": changed(name="manifold"),
    "a value that is no number": changed(value="low"),
    "a picture of no known kind": picture(kind="film"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_outcome_is_a_fault_that_names_the_file(
    damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = tuple(one_of_each_kind())
    entered(monkeypatch, lambda experiment: experiment.at_most(1, {}, pictures))
    healthy = recipes.Reproduce("tiny").run(Listener())
    path = recipes.outcome_artifact("tiny").path
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(InvalidRequest) as error:
        recipes.outcome_artifact("tiny").load()
    (fault,) = error.value.problems
    assert str(path) in fault and "Traceback" not in fault
    assert recipes.outcome_artifact("manifold").load() is None
    recipes.Reproduce("tiny").run(Listener())
    assert recipes.outcome_artifact("tiny").load().row().keys() == healthy.row().keys()


def test_an_outcome_of_an_absurd_size_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    entered(monkeypatch, lambda experiment: experiment.at_most(1, {}, one_of_each_kind()))
    recipes.Reproduce("tiny").run(Listener())
    monkeypatch.setattr(artifacts, "MAX_TENSORS", 10)
    with pytest.raises(InvalidRequest, match=re.escape(str(recipes.outcome_artifact("tiny").path))):
        recipes.outcome_artifact("tiny").load()


def test_a_folder_in_the_place_of_an_outcome_is_no_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    entered(monkeypatch, train_iris)
    recipes.outcome_artifact("tiny").path.mkdir(parents=True)
    assert recipes.outcome_artifact("tiny").load() is None


def test_an_outcome_holds_nothing_that_could_be_unpickled(monkeypatch: pytest.MonkeyPatch) -> None:
    entered(monkeypatch, lambda experiment: experiment.at_most(1, {}, one_of_each_kind()))
    recipes.Reproduce("tiny").run(Listener())
    (file,) = (path for path in store.root().rglob("*") if path.is_file())
    assert file.suffix == ".safetensors"
    assert not file.read_bytes().startswith((b"\x80", b"PK"))


# --- The spiral ---------------------------------------------------------------------------------


def log_density(x: np.ndarray, deviation: float) -> np.ndarray:
    """log p(x) up to a constant, of the mixture of the score."""
    squares = np.square(recipes.spiral()[None] - x[:, None]).sum(2)
    return logsumexp(-squares / (2 * deviation**2), axis=1)


@pytest.mark.parametrize("deviation", [recipes.SPIRAL_NOISE, 0.2, 1.0])
def test_the_score_is_the_gradient_of_the_log_density(deviation: float) -> None:
    x = np.random.default_rng(0).uniform(-1.8, 1.8, (200, 2))
    step = 1e-5 * deviation
    numerical = np.stack(
        [
            (log_density(x + move, deviation) - log_density(x - move, deviation)) / (2 * step)
            for move in step * np.eye(2)
        ],
        axis=1,
    )
    score = recipes.spiral_score(x, deviation)
    assert score.shape == (200, 2)
    np.testing.assert_allclose(score, numerical, rtol=1e-4, atol=1e-4 / deviation)


def test_the_score_of_one_gaussian_far_away_is_finite_and_points_back() -> None:
    far = np.array([[1e3, 0.0], [0.0, -1e3]])
    score = recipes.spiral_score(far, recipes.SPIRAL_NOISE)
    assert np.isfinite(score).all()
    assert ((score * far).sum(1) < 0).all()


def test_the_spiral_s_data_lie_about_its_centres(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Dataset] = []
    train = Experiment.train

    def look(self: Experiment, dataset: Dataset, *rest: Any, **options: Any) -> Any:
        seen.append(dataset)
        return train(self, dataset, *rest, **options)

    monkeypatch.setattr(Experiment, "train", look)
    recipes.Reproduce("denoising-field", fast=True).run(Listener())
    (dataset,) = seen
    for x, position in (dataset.train, dataset.test):
        centres = recipes.spiral()[(position * 200).round().astype(int)]
        assert np.std(x - centres) == pytest.approx(recipes.SPIRAL_NOISE, rel=0.1)
    assert not np.array_equal(dataset.train.x[:100], dataset.test.x[:100])
