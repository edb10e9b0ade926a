"""Estimator against scikit-learn's checks, and over every variant of the registry."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import aecore
from aecore import Autoencoder, data, estimator, training
from aecore.data import DATASETS, Dataset
from aecore.errors import InvalidRequest
from aecore.models import inference
from aecore.models.variants import VARIANTS
from aecore.training import RunConfig, TrainingConfig

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL: dict[str, Any] = {"hidden": (8,), "channels": (3, 4)}
IRIS, FLOWERS = load_iris(return_X_y=True)
STANDARDISED = StandardScaler().fit_transform(IRIS)
DIGITS, NUMERALS = (part[:200] for part in load_digits(return_X_y=True))
DIGITS = DIGITS / 16
NAMES = np.array(["setosa", "versicolor", "virginica"])[FLOWERS]


def small(variant: str = "ae", **parameters: Any) -> Autoencoder:
    """A quick estimator, its settings restricted to those of its variant."""
    fields = VARIANTS[variant].model_fields
    settings = {name: value for name, value in SMALL.items() if name in fields}
    settings |= parameters.pop("settings", {})
    given = {"epochs": 2, "device": "cpu", "random_state": 0} | parameters
    return Autoencoder(variant, settings=settings, **given)


@parametrize_with_checks([Autoencoder(epochs=2), *map(small, ("ae", "vae", "conv"))])
def test_scikit_learn_finds_nothing_wrong(estimator: Autoencoder, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_goes_there_and_back(name: str, dtype: type) -> None:
    x = DIGITS.astype(dtype)
    y = NUMERALS if name == "cvae" else None
    model = small(name, latent_dim=4)
    codes = model.fit_transform(x, y)
    assert codes.shape == (200, 4)
    back = model.inverse_transform(codes, y)
    assert back.shape == x.shape
    assert codes.dtype == back.dtype == dtype
    np.testing.assert_array_equal(model.transform(x, y), codes)
    expected = -mean_squared_error(x, back)
    assert model.score(x, y) == pytest.approx(expected, rel=1e-5)
    assert model.config_.variant == name
    assert model.n_iter_ == len(model.history_) == 2
    assert all(np.isfinite(value) for terms in model.history_ for value in terms.values())
    assert not model.model_.training


@pytest.mark.parametrize("name", VARIANTS)
def test_batches_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    y = NUMERALS if name == "cvae" else None
    model = small(name, latent_dim=4).fit(DIGITS, y)
    whole = model.transform(DIGITS, y)
    monkeypatch.setattr(inference, "batch_size", lambda n_features: 7)
    np.testing.assert_allclose(model.transform(DIGITS, y), whole, rtol=0, atol=1e-12)


def test_either_precision_is_taken_whatever_was_fitted() -> None:
    single, double = (small().fit(DIGITS.astype(dtype)) for dtype in (np.float32, np.float64))
    for model in (single, double):
        codes = model.transform(DIGITS)
        assert codes.dtype == np.float64
        of_single = model.transform(DIGITS.astype(np.float32))
        assert of_single.dtype == np.float32
        np.testing.assert_allclose(of_single, codes, atol=1e-5)
    np.testing.assert_allclose(single.transform(DIGITS), double.transform(DIGITS), atol=1e-5)


def test_the_training_is_the_engines() -> None:
    model = small(epochs=3, batch_size=50).fit(DIGITS)
    x = DIGITS.astype(np.float32)
    dataset, _ = model._dataset(x, None)
    *_, last = training.fit(model.config_, dataset)
    mine = training.evaluate(last.model, *map(torch.tensor, dataset.train))
    np.testing.assert_allclose(model.transform(x), mine.codes, atol=1e-5)
    assert model.score(x) == pytest.approx(-mine.mse.mean(), rel=1e-5)
    assert model.history_[-1] == last.train


def test_data_in_the_unit_interval_get_their_likelihood() -> None:
    assert small().fit(DIGITS).config_.model.likelihood == "squashed-gaussian"
    assert small("vae").fit(DIGITS).config_.model.likelihood == "bernoulli"
    assert small("vae").fit(DIGITS - 0.01).config_.model.likelihood == "gaussian"
    chosen = small("vae", settings={"likelihood": "gaussian"}).fit(DIGITS)
    assert chosen.config_.model.likelihood == "gaussian"


# --- Rounding and scale -------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_what_a_scaler_makes_is_in_the_unit_interval_whatever_it_is_rounded_to(
    dtype: type,
) -> None:
    random = np.random.default_rng(0)
    beyond = 0
    for _ in range(200):
        scale = 10 ** random.uniform(-4, 4, 5)
        x = scale * (random.standard_normal((30, 5)) + random.uniform(-9, 9, 5))
        scaled = MinMaxScaler().fit_transform(x.astype(dtype))
        beyond += scaled.max() > 1 or scaled.min() < 0
        data, problems = small()._dataset(scaled, None)
        assert data.value_range == (0, 1) and not problems
        assert data.train.x.min() >= 0 and data.train.x.max() <= 1
    assert beyond > 10


EDGE = data.ROUNDING / 2


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", [n for n in VARIANTS if "likelihood" in VARIANTS[n].model_fields])
def test_rounding_changes_no_likelihood_and_is_taken_away_everywhere(
    name: str, dtype: type
) -> None:
    y = NUMERALS if name == "cvae" else None
    x = DIGITS.astype(dtype)
    rounded = np.where(x == 0, -EDGE, np.where(x == 1, 1 + EDGE, x)).astype(dtype)
    assert rounded.min() < 0 and rounded.max() > 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        exact, other = (small(name, latent_dim=4).fit(each, y) for each in (x, rounded))
        assert other.config_ == exact.config_
        np.testing.assert_array_equal(other.transform(rounded, y), exact.transform(x, y))
        assert other.score(rounded, y) == exact.score(x, y)
        assert small(name, settings={"likelihood": "bernoulli"}).fit(rounded, y).model_


def test_rounding_is_a_matter_of_each_value_not_of_the_others() -> None:
    model = small("vae").fit(DIGITS)
    x = DIGITS[:3].copy()
    x[0, 0], x[1, 0], x[2, 0] = 1 + EDGE, -EDGE, 1.1
    with pytest.warns(UserWarning, match=r"X has values outside of \[0, 1\]"):
        together = model.transform(x)
    x[0, 0], x[1, 0] = 1, 0
    np.testing.assert_allclose(together[:2], model.transform(x[:2]), rtol=1e-12)


@pytest.mark.parametrize("past", [2e-6, 0.01])
def test_what_is_more_than_rounding_is_not_in_the_unit_interval(past: float) -> None:
    x = DIGITS.copy()
    x[0, 0] = 1 + past
    assert small().fit(x).config_.model.likelihood == "gaussian"
    with pytest.raises(InvalidRequest, match="likelihood = 'bernoulli' needs data in"):
        small(settings={"likelihood": "bernoulli"}).fit(x)
    model = small().fit(DIGITS)
    for method in (model.transform, model.score):
        with pytest.warns(UserWarning, match="outside of"):
            method(x)


def warned(model: Autoencoder, x: np.ndarray) -> str:
    """Warnings of a fit, one per line after its class."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(x)
    return "\n".join(f"{each.category.__name__}: {each.message}" for each in caught)


@pytest.mark.parametrize(
    "x", [STANDARDISED * 1e6, STANDARDISED + 1e6, STANDARDISED * 1e-6, -(1 + IRIS) * 1e4]
)
def test_a_scale_at_which_networks_learn_badly_is_said(x: np.ndarray) -> None:
    said = warned(small(), x)
    assert f"UserWarning: X has values from {x.min():.4g} to {x.max():.4g}" in said
    assert "StandardScaler or MinMaxScaler" in said


@pytest.mark.parametrize(
    "x", [STANDARDISED, IRIS, DIGITS, 16 * DIGITS, DIGITS / 10, np.zeros((20, 3)), [[1.5]]]
)
def test_a_usual_scale_is_not_worth_a_warning(x: np.ndarray) -> None:
    assert "X has values" not in warned(small(latent_dim=1), np.asarray(x))


@pytest.mark.parametrize("size", [1e-40, 1e-160, 1e-310])
def test_values_whose_squares_are_zero_have_a_scale_too(size: float) -> None:
    x = STANDARDISED * size
    said = warned(small(), x)
    assert f"UserWarning: X has values from {x.min():.4g} to {x.max():.4g}" in said
    assert "ConvergenceWarning" in said and "R2 " in said
    assert "RuntimeWarning" not in said and "inf" not in said


def test_what_is_worse_than_the_mean_is_said() -> None:
    said = warned(small(epochs=1, learning_rate=1e-6), IRIS + 50)
    assert "ConvergenceWarning: The model reconstructs the X" in said and "R2 = -" in said
    assert "epochs (they are 1)" in said and "learning_rate (it is 1e-06)" in said
    assert warned(small(epochs=40, batch_size=16, learning_rate=0.01), STANDARDISED) == ""
    assert warned(small(epochs=1), np.full((30, 4), 0.1)) == ""


@pytest.mark.parametrize("size", [1e19, 1e39, 1e300, -1e300])
def test_values_beyond_single_precision_are_refused(size: float) -> None:
    x = STANDARDISED.copy()
    x[3, 1] = size
    with pytest.raises(
        InvalidRequest, match=r"X has values from .* too large for single precision"
    ):
        small().fit(x)


# --- Labels -------------------------------------------------------------------------------------


def test_labels_are_asked_for_where_they_are_needed() -> None:
    with pytest.raises(InvalidRequest, match="conditioned on the label"):
        small("cvae").fit(STANDARDISED)
    model = small("cvae").fit(STANDARDISED, NAMES)
    codes = model.transform(STANDARDISED, NAMES)
    for method, values in (
        (model.transform, STANDARDISED),
        (model.inverse_transform, codes),
        (model.score, STANDARDISED),
    ):
        with pytest.raises(InvalidRequest, match="give y, one label a sample"):
            method(values)
        with pytest.raises(InvalidRequest, match=r"2 label\(s\) for 150 sample"):
            method(values, NAMES[:2])
        with pytest.raises(ValueError, match="previously unseen labels"):
            method(values, np.full(150, "rosa"))


def test_the_label_is_seen() -> None:
    model = small("cvae", epochs=5).fit(STANDARDISED, FLOWERS)
    other = (FLOWERS + 1) % 3
    assert not np.allclose(
        model.transform(STANDARDISED, FLOWERS), model.transform(STANDARDISED, other)
    )


def test_labels_that_are_no_classes_or_too_few_are_refused() -> None:
    with pytest.raises(ValueError, match="Unknown label type"):
        small("cvae").fit(STANDARDISED, STANDARDISED[:, 0])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        small("cvae").fit(STANDARDISED, FLOWERS[:9])


def with_first(labels: Any, *first: Any) -> list[Any]:
    """Labels as a list whose first elements are given."""
    return [*first, *list(labels)[len(first) :]]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (with_first(NAMES, "setosa", None), r"1 label\(s\) that are missing .* y\[1\]"),
        (with_first(NAMES, np.nan, float("nan")), r"2 label\(s\) that are missing .* y\[0\]"),
        (np.array(with_first(NAMES, None), dtype=object), r"1 label\(s\) that are missing"),
        (with_first(FLOWERS, None), r"1 label\(s\) that are missing"),
        (np.array(with_first(FLOWERS, np.nan), dtype=float), r"1 label\(s\) that are missing"),
        ([None] * 150, r"150 label\(s\) that are missing"),
        (with_first(NAMES, 1), r"1 \(number\) and .* \(string\)"),
        (with_first(FLOWERS, "1"), r"'1' \(string\) and .* \(number\)"),
        (np.array(with_first(NAMES, 1.5), dtype=object), r"several kinds"),
        (with_first(NAMES, b"x"), r"b'x' \(bytes\)"),
    ],
)
def test_labels_that_are_missing_or_of_several_kinds_are_named(labels: Any, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said) as caught:
        small("cvae", epochs=0).fit(STANDARDISED, labels)
    assert len(caught.value.problems) == 2 and "epochs = 0" in str(caught.value)
    model = small("cvae").fit(STANDARDISED, NAMES)
    codes = np.zeros((150, 2))
    for method, values in (
        (model.transform, STANDARDISED),
        (model.inverse_transform, codes),
        (model.score, STANDARDISED),
    ):
        with pytest.raises(InvalidRequest, match=r"missing|several kinds|of the same kind"):
            method(values, labels)


def test_missing_labels_of_a_frame_are_named() -> None:
    pandas = pytest.importorskip("pandas")
    for labels in (
        pandas.Series(with_first(FLOWERS, pandas.NA), dtype="Int64"),
        pandas.Series(with_first(NAMES, pandas.NA), dtype="string"),
        pandas.Categorical(with_first(NAMES, None)),
    ):
        with pytest.raises(InvalidRequest, match=r"1 label\(s\) that are missing"):
            small("cvae").fit(STANDARDISED, labels)


def test_labels_of_another_kind_than_those_of_fit_are_named() -> None:
    model = small("cvae").fit(STANDARDISED, NAMES)
    with pytest.raises(
        InvalidRequest, match=r"such as 0 \(number\), and fit was given .* \(string\)"
    ):
        model.transform(STANDARDISED, FLOWERS)
    whole = small("cvae").fit(STANDARDISED, FLOWERS)
    np.testing.assert_array_equal(
        whole.transform(STANDARDISED, FLOWERS.astype(float)), whole.transform(STANDARDISED, FLOWERS)
    )


DAYS = np.array(["2020-01-01", "2020-02-01", "2021-01-01"], "datetime64[D]")[FLOWERS]
HOURS = np.array([1, 5, 30], "timedelta64[h]")[FLOWERS]


def forms(labels: np.ndarray) -> list[Any]:
    """The same dates or durations in every representation."""
    pandas = pytest.importorskip("pandas")
    kind = labels.dtype.kind
    arrays = [labels, *(labels.astype(f"{kind}8[{unit}]") for unit in ("s", "us", "ns"))]
    series = [pandas.Series(each) for each in arrays[1:]]
    lists = [list(labels), arrays[2].tolist(), list(series[2]), series[2].astype(object)]
    return [*arrays, *series, *lists, series[0].astype("category")]


@pytest.mark.parametrize("labels", [DAYS, HOURS], ids=["dates", "durations"])
def test_dates_and_durations_are_one_kind_however_they_are_written(labels: np.ndarray) -> None:
    expected = small("cvae").fit_transform(STANDARDISED, FLOWERS)
    for given in forms(labels):
        model = small("cvae").fit(STANDARDISED, given)
        for form in forms(labels):
            np.testing.assert_array_equal(model.transform(STANDARDISED, form), expected)
    model = small("cvae").fit(STANDARDISED, labels)
    with pytest.raises(ValueError, match="previously unseen labels"):  # not cut off to those of fit
        model.transform(STANDARDISED, labels + np.timedelta64(90, "s"))
    missing = labels.astype(f"{labels.dtype.kind}8[ns]")
    missing[3] = "NaT"
    with pytest.raises(InvalidRequest, match=r"1 label\(s\) that are missing .* y\[3\]"):
        model.transform(STANDARDISED, missing)
    with pytest.raises(
        InvalidRequest, match=r"\(number\), and fit was given .* \((date|duration)\)"
    ):
        model.transform(STANDARDISED, FLOWERS)


def test_days_are_python_dates_too() -> None:
    model = small("cvae").fit(STANDARDISED, DAYS)
    codes = model.transform(STANDARDISED, DAYS)
    np.testing.assert_array_equal(model.transform(STANDARDISED, DAYS.tolist()), codes)


def test_others_ignore_any_target() -> None:
    alone = small().fit(STANDARDISED).transform(STANDARDISED)
    for target in (FLOWERS, STANDARDISED[:, 0], STANDARDISED, [None] * 150):
        model = small().fit(STANDARDISED, target)
        np.testing.assert_array_equal(model.transform(STANDARDISED, target), alone)


# --- In scikit-learn's company ------------------------------------------------------------------


def test_a_pipeline_ends_or_goes_on_with_it() -> None:
    ends = make_pipeline(StandardScaler(), small()).fit(IRIS)
    codes = ends.transform(IRIS)
    assert codes.shape == (150, 2)
    np.testing.assert_array_equal(small().fit_transform(STANDARDISED), codes)
    assert ends.inverse_transform(codes).shape == IRIS.shape
    on = make_pipeline(StandardScaler(), small(epochs=60), LogisticRegression())
    assert on.fit(IRIS, FLOWERS).score(IRIS, FLOWERS) > 0.8


def test_a_grid_search_picks_by_score() -> None:
    grid = {"latent_dim": np.arange(1, 4), "settings": [{"hidden": ()}, {"hidden": (1,)}]}
    linear = Autoencoder("linear", epochs=40, batch_size=16, learning_rate=0.03, random_state=0)
    search = GridSearchCV(linear, grid, cv=3).fit(STANDARDISED)
    assert search.best_params_ == {"latent_dim": 3, "settings": {"hidden": ()}}
    results = search.cv_results_
    assert search.best_score_ == results["mean_test_score"].max()
    assert search.score(STANDARDISED) == search.best_estimator_.score(STANDARDISED)


def test_a_grid_search_gives_labels_to_those_that_need_them() -> None:
    search = GridSearchCV(small("cvae"), {"latent_dim": [1, 2]}, cv=StratifiedKFold(2))
    assert np.isfinite(search.fit(STANDARDISED, FLOWERS).best_score_)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"epochs": -1}, InvalidRequest),
        ({"learning_rate": 10.0, "optimizer": "sgd"}, training.Diverged),
    ],
    ids=["refused", "diverged"],
)
def test_a_fit_that_fails_leaves_the_fitted_model(wrong: dict[str, Any], error: type) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(STANDARDISED, columns=list("abcd"))
    model = small("cvae").fit(frame, NAMES)
    codes, before = model.transform(frame, NAMES), dict(vars(model))
    model.set_params(**wrong)
    others = np.array(["virginica", "versicolor", "a rose"])[FLOWERS]
    for x in (frame[["a", "b"]], STANDARDISED[:, :3]):
        with pytest.raises(error):
            model.fit(x * 1e17, others)
        assert vars(model) == before | wrong
    np.testing.assert_array_equal(model.transform(frame, NAMES), codes)
    new = small("cvae", **wrong)
    parameters = dict(vars(new))
    with pytest.raises(error):
        new.fit(frame * 1e17, NAMES)
    assert vars(new) == parameters


def test_the_same_random_state_gives_the_same_model() -> None:
    def codes(random_state: Any) -> np.ndarray:
        return small("vae", random_state=random_state).fit_transform(DIGITS)

    np.testing.assert_array_equal(codes(3), codes(3))
    np.testing.assert_array_equal(codes(np.random.RandomState(3)), codes(3))
    np.testing.assert_array_equal(codes(np.int64(3)), codes(3))
    generator = np.random.default_rng(3)
    first = codes(generator)
    np.testing.assert_array_equal(first, codes(np.random.default_rng(3)))
    assert not np.allclose(codes(generator), first)  # goes on
    drawn = clone(small("vae", random_state=np.random.default_rng(3)))
    np.testing.assert_array_equal(drawn.fit_transform(DIGITS), first)
    assert not np.allclose(codes(3), codes(4))
    assert not np.allclose(codes(None), codes(None))
    model = small()
    np.testing.assert_array_equal(model.fit_transform(DIGITS), model.fit(DIGITS).transform(DIGITS))


@pytest.mark.parametrize("name", VARIANTS)
def test_a_pickle_is_equal(name: str) -> None:
    y = NUMERALS if name == "cvae" else None
    model = small(name).fit(DIGITS, y)
    again = pickle.loads(pickle.dumps(model))
    assert again.config_ == model.config_
    np.testing.assert_array_equal(again.transform(DIGITS, y), model.transform(DIGITS, y))
    assert clone(model).get_params() == model.get_params()


def test_features_have_names_out() -> None:
    names = small(latent_dim=3).fit(STANDARDISED).get_feature_names_out()
    assert list(names) == ["autoencoder0", "autoencoder1", "autoencoder2"]


def test_frames_go_in_and_come_out() -> None:
    pytest.importorskip("pandas")
    frame = load_iris(as_frame=True).data
    model = small("cvae").set_output(transform="pandas")
    codes = model.fit_transform(frame, FLOWERS)
    assert list(codes.columns) == ["autoencoder0", "autoencoder1"]
    assert list(model.feature_names_in_) == list(frame.columns)


# --- Images -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "n_features"),
    [
        *((None, 64), ((8, 8), 64), ((4, 4, 3), 48), ([6, 10], 60)),
        *((np.array([8, 8]), 64), (np.array([4, 4, 3], np.uint8), 48), ((np.int64(6), 10), 60)),
    ],
)
def test_convolutions_see_the_shape(shape: Any, n_features: int) -> None:
    x = DIGITS[:, :n_features]
    model = small("conv", latent_dim=5, shape=shape)
    codes = model.fit_transform(x)
    assert codes.shape == (200, 5)
    assert model.inverse_transform(codes).shape == x.shape
    height, width, *channels = (1, 64) if shape is None else shape
    size = model.model_.encoder.network[0].size
    assert size == (height, width, *(channels or [1]))


def test_channels_are_the_last_side() -> None:
    images = np.random.default_rng(0).random((30, 6, 4, 3))
    model = small("conv", shape=(6, 4, 3)).fit(images.reshape(30, -1))
    x = torch.tensor(images.reshape(30, -1))
    seen = model.model_.encoder.network[0](x)
    np.testing.assert_array_equal(seen.numpy(), images.transpose(0, 3, 1, 2))


def test_a_shape_makes_images_for_any_variant() -> None:
    model = small("ae", shape=(8, 8)).fit(DIGITS)
    assert model._dataset(DIGITS, None)[0].traits.pictures
    assert model._dataset(DIGITS, None)[0].shape == (8, 8)


# --- What can go wrong --------------------------------------------------------------------------


def test_all_faults_are_told_together() -> None:
    wrong = Autoencoder(
        "convv",
        latent_dim=0,
        settings={"hidden": (0,), "latent_dim": 3},
        shape=(3, 3),
        epochs=0,
        batch_size=0,
        learning_rate="fast",
        optimizer="adamm",
    )
    with pytest.raises(InvalidRequest) as caught:
        wrong.fit(DIGITS)
    assert isinstance(caught.value, ValueError)
    for words in (
        "Unknown variant 'convv': did you mean 'conv'?",
        "shape = (3, 3) is not possible: X has 64 feature(s)",
        "settings has latent_dim",
        "epochs = 0",
        "batch_size = 0",
        "learning_rate = 'fast'",
        "optimizer = 'adamm'",
    ):
        assert words in str(caught.value)
    wrong.set_params(variant="ae")
    with pytest.raises(InvalidRequest) as caught:
        wrong.fit(DIGITS)
    for words in ("latent_dim = 0", "hidden = (0,)", "shape = (3, 3)", "epochs = 0"):
        assert words in str(caught.value)
    with pytest.raises(NotFittedError):
        wrong.transform(DIGITS)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("variant", None),
        ("variant", ["ae"]),
        ("settings", [1]),
        ("settings", {"depth": 2}),
        ("shape", 64),
        ("shape", (64,)),
        ("shape", (-8, -8)),
        ("shape", (8.0, 8.0)),
        ("shape", np.array([8.0, 8.0])),
        ("shape", np.array([[8, 8]])),
        ("shape", np.array(64)),
        ("shape", ([8], 8)),
        ("random_state", -1),
        ("random_state", 1.5),
        ("random_state", "seed"),
        ("random_state", np.random.SeedSequence(0)),
        ("random_state", [0]),
        ("batch_size", "all"),
        ("schedule", None),
        ("latent_dim", 65),
        ("epochs", 1.5),
        ("precision", "float16"),
        ("device", "tpu"),
    ],
)
def test_each_wrong_parameter_is_named(parameter: str, value: Any) -> None:
    name = "depth" if parameter == "settings" and "depth" in value else parameter
    with pytest.raises(InvalidRequest, match=name):
        small().set_params(**{parameter: value}).fit(DIGITS)


def test_codes_of_another_width_are_refused() -> None:
    model = small().fit(DIGITS)
    with pytest.raises(InvalidRequest, match=r"Z has 3 column\(s\), and the code has 2 dimension"):
        model.inverse_transform(np.zeros((5, 3)))
    with pytest.raises(NotFittedError):
        small().inverse_transform(np.zeros((5, 2)))


def test_batches_hold_at_most_all_samples() -> None:
    assert small(batch_size=512).fit(STANDARDISED).config_.training.batch_size == 150
    assert small(batch_size=16).fit(STANDARDISED).config_.training.batch_size == 16


# --- What it learns -----------------------------------------------------------------------------


@pytest.mark.parametrize("latent_dim", [1, 2, 3])
def test_the_linear_variant_comes_to_what_pca_does(latent_dim: int) -> None:
    model = Autoencoder(
        "linear", latent_dim, epochs=250, batch_size=25, learning_rate=0.05, random_state=0
    ).fit(STANDARDISED)
    pca = PCA(latent_dim).fit(STANDARDISED)
    flat = pca.inverse_transform(pca.transform(STANDARDISED))
    best = -mean_squared_error(STANDARDISED, flat)
    assert model.score(STANDARDISED) == pytest.approx(best, rel=0.02)
    assert model.score(STANDARDISED) <= best


# --- The package --------------------------------------------------------------------------------


def test_the_package_stays_light() -> None:
    script = (
        "import sys, aecore; print(*({'torch', 'sklearn', 'numpy'} & sys.modules.keys()));"
        "from aecore import Autoencoder; print(Autoencoder.__module__)"
    )
    command = [sys.executable, "-c", script]
    folder = Path(aecore.__file__).parents[1]
    said = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert said.stdout.split("\n")[:2] == ["", "aecore.estimator"]
    with pytest.raises(AttributeError, match="'aecore' has no attribute 'Autoencoders'"):
        _ = aecore.Autoencoders


def test_defaults_are_those_of_a_training_or_are_chosen_by_the_data() -> None:
    parameters = Autoencoder().get_params()
    shared = parameters.keys() & TrainingConfig.model_fields.keys()
    assert shared == TrainingConfig.model_fields.keys() - {"seed"}
    for name in shared:
        field = TrainingConfig.model_fields[name]
        assert parameters[name] == (None if name in estimator.CHOSEN_BY_DATA else field.default)


def test_it_stops_early_and_keeps_the_best_epoch() -> None:
    x = data.get("iris").train.x
    asked = {"batch_size": 10, "learning_rate": 0.02, "schedule": "constant", "random_state": 0}
    early = Autoencoder(epochs=300, validation=0.2, patience=2, **asked).fit(x)
    assert 2 < early.n_iter_ < 300
    best = Autoencoder(epochs=early.n_iter_ - 2, validation=0.2, **asked).fit(x)
    np.testing.assert_array_equal(early.transform(x), best.transform(x))


def test_without_settings_it_asks_for_what_the_form_does(monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(config: RunConfig, dataset: Dataset) -> None:
        raise InvalidRequest(
            f"{config.training.model_dump_json()} {config.model.model_dump_json()}"
        )

    monkeypatch.setattr("aecore.training.loop.fit", fit)
    for dataset in DATASETS.values():
        if not data.is_available(dataset.name):
            continue
        x, y = dataset.train
        for name in VARIANTS if len(x) < 10_000 else ["ae"]:
            if (name == "cvae" and not dataset.label_names) or (
                "channels" in VARIANTS[name].model_fields and not dataset.traits.pictures
            ):
                continue
            shape = dataset.shape if dataset.traits.pictures else None
            asked = Autoencoder(name, latent_dim=2, shape=shape, random_state=0)
            with pytest.raises(InvalidRequest) as caught:
                asked.fit(x, y)
            model = {"latent_dim": 2}
            form = RunConfig.check({"dataset": dataset.name, "variant": name, "model": model})
            seed = np.random.RandomState(0).randint(2**31 - 1)
            settings = form.training.model_copy(update={"seed": int(seed)})
            wanted = f"{settings.model_dump_json()} {form.model.model_dump_json()}"
            assert str(caught.value) == wanted
