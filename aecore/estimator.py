"""scikit-learn estimator over the registry: any variant as a transformer."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from numbers import Integral, Number
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import Tags, check_array, check_consistent_length, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from aecore import training
from aecore.data import Dataset, Samples, without_rounding
from aecore.data.spec import MOST_CLASSES, DataSpec
from aecore.errors import InvalidRequest, shown
from aecore.models import inference
from aecore.models.variants import VARIANTS, Variant
from aecore.training import RunConfig, TrainingConfig

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from aecore.runs.store import Run

DEFAULTS = TrainingConfig()
ARRAYS = {"dtype": (np.float64, np.float32), "order": "C"}
"""What inputs are made into: the model computes in either precision, on contiguous samples."""
WATCHED = 100
"""Training samples that are evaluated after each epoch, to notice a loss that is no number."""
CHOSEN_BY_DATA = ("epochs", "batch_size", "learning_rate")
"""Parameters that are chosen by the number of samples where they are None."""
SCALERS = "StandardScaler or MinMaxScaler"
USUAL = (1e-3, 100)
"""From and to which root mean square of the widest feature no warning is given."""
TIMES = "mM"
"""The kinds of numpy's dtypes that durations and dates have."""
LARGEST = 1e18
"""The largest value whose square is a number of single precision."""


class Autoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """scikit-learn transformer for any variant of the registry: samples to codes and back.

    transform is z = f(x), the mean where the code is a Gaussian; inverse_transform is g(z). Where
    all of X lies in [0, 1], the likelihood defaults to that of data in [0, 1], as in the
    dashboard; other data are learned best when they are scaled before, such as by StandardScaler.
    Values within 1e-6 outside of [0, 1], as MinMaxScaler makes them by rounding, are taken for 0
    or 1, in fit where all of X lies so, and afterwards by a model of such data.

    Arguments
        variant: its name in `aecore.models.variants.VARIANTS`. Variant 'cvae' is conditioned on
            the label: fit, transform, inverse_transform and score need y with it, (n,).
        latent_dim: dimensions of the code.
        settings: the variant's further settings by name, such as {"hidden": (64,)}; what is left
            out takes its default.
        shape: of one sample where samples are images, (height, width) or (height, width,
            channels), flattened in this order; a tuple, a list or an array. None is a strip,
            (1, n_features), for convolutional variants, and no image for all others.
        epochs: passes over the samples.
        batch_size: samples in each step, or all where there are fewer.
        learning_rate: its peak. This, epochs and batch_size are chosen by the number of samples
            where they are None, as in the dashboard: see `aecore.training.config.defaults`.
        validation, patience: share of the samples that nothing is learned from, and epochs without
            a smaller loss on it after which training stops early. The weights are then those of the
            best epoch. 0 for neither.
        schedule, optimizer, precision, device: as in `aecore.training.config.TrainingConfig`. Only
            training uses the device.
        random_state: int, RandomState, Generator or None; fixes the initial weights, the order and
            the noise.

    Attributes
        model_: the trained `aecore.models.autoencoder.Autoencoder`, on the CPU, in the precision of
            the X that it was fitted on. Training is in float32, or as `precision` says, always.
        config_: the `RunConfig` that it was trained by.
        history_: for each epoch the mean of each term of the loss over the samples, taken while
            the weights moved, and their `total`.
        n_iter_: epochs done.
        n_features_in_, feature_names_in_: as everywhere in scikit-learn.
        label_encoder_: numbers the labels, where the variant is conditioned on them.

    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> X = load_digits().data / 16
    >>> ae = Autoencoder(epochs=20, batch_size=64, learning_rate=4e-3, random_state=0)
    >>> ae.fit_transform(X).shape
    (1797, 2)
    >>> pca = PCA(2).fit(X)
    >>> flat = pca.inverse_transform(pca.transform(X))
    >>> ae.score(X) > -((X - flat) ** 2).mean().item()
    True
    """

    def __init__(
        self,
        variant: str = "ae",
        latent_dim: int = 2,
        settings: Mapping[str, Any] | None = None,
        shape: Sequence[int] | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        schedule: str = DEFAULTS.schedule,
        optimizer: str = DEFAULTS.optimizer,
        validation: float = DEFAULTS.validation,
        patience: int = DEFAULTS.patience,
        precision: str = DEFAULTS.precision,
        device: str = DEFAULTS.device,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
    ) -> None:
        self.variant = variant
        self.latent_dim = latent_dim
        self.settings = settings
        self.shape = shape
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.optimizer = optimizer
        self.validation = validation
        self.patience = patience
        self.precision = precision
        self.device = device
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Autoencoder:
        """Train the variant on X, (n, n_features), minimising the mean of its loss.

        Arguments
            y: labels, (n,); ignored where the variant is not conditioned on them.

        Raises `InvalidRequest`, a ValueError, with everything that is wrong with the parameters at
        once, and `Diverged` where a loss, a weight or a code is no longer a finite number.

        Warns where the scale of X is one at which networks learn badly, and by ConvergenceWarning
        where what was learned reconstructs X worse than its mean does.

        A fit that raises leaves all attributes as they were, those of an earlier fit too.
        """
        with _all_or_nothing(self):
            x = validate_data(self, X, **ARRAYS)
            dataset, problems = self._dataset(x, y)
            problems += self._wrong_settings()
            problems += self._wrong_random_state()
            try:
                config = RunConfig.check(
                    self._request(len(x), 0 if problems else self._seed()), dataset.spec
                )
            except InvalidRequest as error:
                problems += error.problems
            if problems:
                raise InvalidRequest(problems)
            _warn_of_scale(x)
            history = []
            for record in training.fit(config, dataset):
                history.append(record.train)
            dtype = torch.float64 if x.dtype == np.float64 else torch.float32
            if record.best is not None:
                record.model.load_state_dict(record.best.weights)
            model = record.model.to("cpu", dtype)
            model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # no overload has it
            self.model_ = model.eval()
            self.config_, self.history_, self.n_iter_ = config, history, len(history)
            self._warn_of_failure(x, y)
        return self

    def fit_transform(self, X: ArrayLike, y: ArrayLike | None = None) -> np.ndarray:
        """fit(X, y).transform(X, y): the codes of the samples trained on, (n, latent_dim)."""
        return self.fit(X, y).transform(X, y)

    def transform(self, X: ArrayLike, y: ArrayLike | None = None) -> np.ndarray:
        """z = f(x): the codes of X, (n, n_features) -> (n, latent_dim), in the dtype of X.

        Arguments
            y: labels, (n,), where the variant is conditioned on them.

        Raises `InvalidRequest` where they are missing.
        """
        return self._inferred(inference.encode, self._samples(X), y)

    def inverse_transform(self, Z: ArrayLike, y: ArrayLike | None = None) -> np.ndarray:
        """g(z): the reconstructions of codes Z, (n, latent_dim) -> (n, n_features).

        Arguments
            y: labels, (n,), where the variant is conditioned on them.

        Raises `InvalidRequest` where they are missing, or where Z has not latent_dim columns.
        """
        check_is_fitted(self, "model_")
        z = check_array(Z, **ARRAYS)
        if z.shape[1] != self._n_features_out:
            raise InvalidRequest(
                f"Z has {z.shape[1]} column(s), and the code has {self._n_features_out} "
                "dimension(s): give codes as transform returns them."
            )
        return self._inferred(inference.decode, z, y)

    def score(self, X: ArrayLike, y: ArrayLike | None = None) -> float:
        """Minus the mean squared reconstruction error per feature; higher is better, 0 perfect.

        -1/(n d) sum_ij (x_ij - g(f(x_i))_j)^2 for X of n samples and d features.

        Arguments
            X: samples, (n, n_features).
            y: labels, (n,), where the variant is conditioned on them.

        Raises `InvalidRequest` where they are missing.
        """
        x = self._samples(X)
        return -float(np.mean((x - self._inferred(inference.reconstruct, x, y)) ** 2))

    def score_samples(self, X: ArrayLike, y: ArrayLike | None = None) -> np.ndarray:
        """Minus the mean squared reconstruction error of each sample per feature, (n,).

        Arguments
            X: samples, (n, n_features).
            y: labels, (n,), where the variant is conditioned on them.

        Raises `InvalidRequest` where they are missing.
        """
        x = self._samples(X)
        return -np.mean((x - self._inferred(inference.reconstruct, x, y)) ** 2, axis=1)

    def save_run(
        self,
        name: str,
        X: ArrayLike,
        y: ArrayLike | None = None,
        test: tuple[ArrayLike, ArrayLike | None] | None = None,
    ) -> Run:
        """Store the fitted model as a run of the dashboard, with its data as a dataset of its name.

        Arguments
            name: of both: up to 30 lower-case letters, digits and hyphens.
            X: samples that it was fitted on, (n, n_features).
            y: labels to colour by, (n,), also where the variant does not read them; text and whole
                numbers are classes, other numbers are not. None for none.
            test: samples and labels that it was not fitted on. Without them a fifth of X is shown
                as the test split, drawn with seed 0, and its figures are those of samples that the
                model has seen.

        Raises `InvalidRequest` with all that prevents it; nothing is stored then.
        """
        from aecore.runs import imports

        x = self._samples(X)
        held = None if test is None else (self._samples(test[0]), test[1])
        encoder = self.label_encoder_ if self.model_.n_classes else None
        if encoder is not None and y is None:
            raise InvalidRequest(f"variant = '{self.config_.variant}' reads labels: give y.")
        shape = None if self.shape is None else tuple(int(side) for side in self.shape)
        dataset = imports.dataset_of(
            name,
            (x, y),
            held,
            shape=shape,
            classes=None if encoder is None else encoder.classes_.tolist(),
            unit=self.config_.model.capabilities.likelihood != "gaussian",
        )
        return imports.save_with(
            dataset,
            self.config_.model,
            copy.deepcopy(self.model_).float(),
            origin="aecore.Autoencoder.save_run",
            training_settings=self.config_.training.model_dump(mode="json"),
        )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self._conditioned
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        return self.config_.model.latent_dim

    @property
    def _chosen(self) -> type[Variant] | None:
        return VARIANTS.get(self.variant) if isinstance(self.variant, str) else None

    @property
    def _conditioned(self) -> bool:
        return self._chosen is not None and self._chosen.conditioned

    def _samples(self, X: ArrayLike) -> np.ndarray:
        """Samples in the form that the fitted model was trained on."""
        check_is_fitted(self, "model_")
        x: np.ndarray = validate_data(self, X, reset=False, **ARRAYS)
        if self.config_.model.capabilities.likelihood == "gaussian":
            return x
        x = without_rounding(x)
        if x.min() < 0 or x.max() > 1:
            warnings.warn(
                "X has values outside of [0, 1], where all lay that this model was fitted on and "
                "where all its reconstructions lie: scale X as before, or fit on such values too.",
                stacklevel=3,
            )
        return x

    def _warn_of_failure(self, X: np.ndarray, y: ArrayLike | None) -> None:
        """Warn if the mean of X is a better reconstruction than the model's."""
        if not np.ptp(X, axis=0).any():  # the mean is without error, and R2 not defined
            return
        spread = _root_mean_square(X - X.mean(axis=0, dtype=np.float64))
        error = _root_mean_square(X - self._inferred(inference.reconstruct, X, y))
        if error > spread:
            with np.errstate(over="ignore"):
                r2 = 1 - np.square(error / spread)
            value = f"= {r2:.3g}" if np.isfinite(r2) else "< -1e+308"
            asked, low, high = self.config_.training, X.min(), X.max()
            scaled = low >= 0 and high <= 1
            warnings.warn(
                f"The model reconstructs the X that it was fitted on worse than their mean does, "
                f"R2 {value}: give more epochs (they are {asked.epochs}) or another "
                f"learning_rate (it is {asked.learning_rate:g})"
                + ("." if scaled else f", or scale X ({low:.4g} to {high:.4g}) by {SCALERS}."),
                ConvergenceWarning,
                stacklevel=3,
            )

    def _dataset(self, X: np.ndarray, y: ArrayLike | None) -> tuple[Dataset, list[str]]:
        """Samples as a dataset, and the problems of their shape."""
        n, n_features = X.shape
        problems = []
        image = self.shape is not None or (
            self._chosen is not None and "table" not in self._chosen.requires
        )
        shape: tuple[int, ...] = (1, n_features) if image else (n_features,)
        if self.shape is not None:
            if _is_image_of(self.shape, n_features):
                shape = tuple(int(side) for side in self.shape)
            else:
                problems.append(
                    f"shape = {shown(self.shape)} is not possible: X has {n_features} feature(s), "
                    "so give (height, width) or (height, width, channels) whose product that is."
                )
        labels = np.zeros(n, np.int64)
        names: tuple[str, ...] = ()
        # Others ignore y, as scikit-learn's transformers do: it may be the target of a regression.
        if y is not None and self._conditioned:
            check_consistent_length(X, y)
            if wrong := _wrong_labels(y):
                problems.append(wrong)
                names = ("unknown",)  # so that labels are not reported as missing again
            else:
                y = _in_order(y)
                check_classification_targets(y)
                self.label_encoder_ = LabelEncoder()
                labels = self.label_encoder_.fit_transform(y)
                # Labels may be of any type and length; the model reads their numbers.
                names = tuple(map(str, range(len(self.label_encoder_.classes_))))
                if len(names) > MOST_CLASSES:
                    problems.append(f"y has {len(names):,} classes: give at most {MOST_CLASSES:,}.")
                    names = names[:MOST_CLASSES]
        if max(-X.min(), X.max()) > LARGEST:
            problems.append(
                f"X has values from {X.min():.4g} to {X.max():.4g}, whose squares are too large "
                "for single precision: scale X, such as by StandardScaler."
            )
        bounded = without_rounding(X)
        unit = bounded.min() >= 0 and bounded.max() <= 1
        # A copy in any case: a dataset's arrays become read-only.
        with np.errstate(over="ignore"):  # is a fault already
            x = (bounded if unit else X).astype(np.float32)
        splits = {"train": Samples(x, labels), "test": Samples(x[:WATCHED], labels[:WATCHED])}
        dataset = Dataset(
            DataSpec(
                name="X",
                title="X",
                modality="image" if image else "table",
                shape=shape,
                n_train=n,
                n_test=len(splits["test"].x),
                value_range=(0, 1) if unit else None,
                label_names=names,
                source="Given to fit",
            ),
            splits.__getitem__,
        )
        return dataset, problems

    def _wrong_settings(self) -> Iterator[str]:
        if self.settings is None:
            return
        if not isinstance(self.settings, Mapping):
            what = shown(self.settings)
            yield f"settings = {what} is not possible: give settings by their names."
        elif "latent_dim" in self.settings:
            yield "settings has latent_dim, which is a parameter of its own: give it as that."

    def _wrong_random_state(self) -> Iterator[str]:
        if isinstance(self.random_state, np.random.Generator):
            return
        try:
            check_random_state(self.random_state)
        except ValueError:
            yield (
                f"random_state = {shown(self.random_state)} is not possible: give a whole number "
                f"from 0 to {2**32 - 1}, a numpy RandomState or Generator, or None."
            )

    def _seed(self) -> int:
        """Draw the seed of a training."""
        if isinstance(self.random_state, np.random.Generator):
            return int(self.random_state.integers(2**31 - 1))
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _request(self, n: int, seed: int) -> dict[str, Any]:
        """Parameters as a request for `RunConfig.check`, for n samples."""
        settings = self.settings if isinstance(self.settings, Mapping) else {}
        batch_size = self.batch_size
        if isinstance(batch_size, Integral):
            batch_size = min(batch_size, n)
        given = {
            "epochs": self.epochs,
            "batch_size": batch_size,
            "learning_rate": self.learning_rate,
            "schedule": self.schedule,
            "optimizer": self.optimizer,
            "validation": self.validation,
            "patience": self.patience,
            "precision": self.precision,
            "device": self.device,
            "seed": seed,
        }
        return {
            "dataset": "X",
            "variant": self.variant,
            "model": {**settings, "latent_dim": self.latent_dim},
            "training": {
                name: value
                for name, value in given.items()
                if value is not None or name not in CHOSEN_BY_DATA
            },
        }

    def _inferred(
        self, infer: Callable[..., np.ndarray], values: np.ndarray, y: ArrayLike | None
    ) -> np.ndarray:
        """Call a function of `aecore.models.inference`, in the dtype of `values`."""
        labels = self._labels(y, len(values))
        return infer(self.model_, values, labels).astype(values.dtype, copy=False)

    def _labels(self, y: ArrayLike | None, n: int) -> np.ndarray | None:
        """Class numbers of the labels y, (n,); None if the model is not conditioned on them."""
        if not self.model_.n_classes:
            return None
        if y is None:
            raise InvalidRequest(
                f"variant = '{self.config_.variant}' is conditioned on the label, and y was not "
                "given: give y, one label a sample."
            )
        encoder = self.label_encoder_
        if wrong := _wrong_labels(y, encoder.classes_):
            raise InvalidRequest(wrong)
        y = _in_order(y)
        if encoder.classes_.dtype.kind in TIMES:
            # In the finer unit of both: in that of fit another hour would be the same day.
            known, encoder = encoder.classes_, LabelEncoder()
            encoder.classes_ = known.astype(np.result_type(known, y))
        labels = encoder.transform(y)
        if len(labels) != n:
            raise InvalidRequest(
                f"y has {len(labels)} label(s) for {n} sample(s): give one a sample."
            )
        return labels


@contextmanager
def _all_or_nothing(estimator: BaseEstimator) -> Iterator[None]:
    """Context that restores all attributes if its block raises."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def _root_mean_square(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Root mean square, computed without overflow or underflow of the squares."""
    values = values.astype(np.float64, copy=False)
    largest = np.abs(values).max() or 1.0
    return largest * np.sqrt(np.square(values / largest).mean(axis=axis))


def _warn_of_scale(X: np.ndarray) -> None:
    """Warn if the widest feature has a scale at which networks learn badly or very slowly."""
    widest = _root_mean_square(X, axis=0).max()
    if widest and not USUAL[0] <= widest <= USUAL[1]:
        warnings.warn(
            f"X has values from {X.min():.4g} to {X.max():.4g}, and networks learn best from "
            f"values of about 1: scale X before, by {SCALERS}.",
            stacklevel=3,
        )


def _wrong_labels(y: ArrayLike, classes: np.ndarray | None = None) -> str | None:
    """The reason why labels cannot be sorted into classes, or None.

    Arguments
        classes: the classes, of whose kind the labels then have to be.
    """
    labels = _array(y).ravel()
    # A missing value is not equal to itself, or, as pandas.NA, has no truth value.
    missing = [
        at for at, label in enumerate(labels) if label is None or str(label == label) != "True"
    ]
    if missing:
        return (
            f"y has {len(missing)} label(s) that are missing (None or NaN), the first of them "
            f"y[{missing[0]}]: give every sample a label, or leave those without one out."
        )
    kinds: dict[str, Any] = {}
    for label in labels:
        kinds.setdefault(_kind(label), label)
    if len(kinds) > 1:
        examples = " and ".join(f"{shown(label)} ({kind})" for kind, label in kinds.items())
        return (
            f"y has labels of several kinds, which have no order, such as {examples}: give all of "
            "one kind, such as strings."
        )
    if classes is not None and kinds.keys() - set(map(_kind, classes)):
        ((kind, label),) = kinds.items()
        return (
            f"y has labels such as {shown(label)} ({kind}), and fit was given others, such as "
            f"{shown(classes[0])} ({_kind(classes[0])}): give labels of the same kind."
        )
    return None


def _array(y: ArrayLike) -> np.ndarray:
    """Labels as an array, each element unchanged."""
    dtype = getattr(y, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind in TIMES:
        return np.asarray(y)  # of nanoseconds dtype object would make whole numbers
    return np.asarray(y, dtype=object)  # another dtype would make the text "nan" of NaN


def _in_order(y: ArrayLike) -> ArrayLike:
    """Sort labels of one kind as scikit-learn does: dates and durations as numpy types."""
    labels = _array(y)
    if labels.dtype.kind in TIMES:
        return labels
    if not labels.size:
        return y
    make = {"date": np.datetime64, "duration": np.timedelta64}.get(_kind(labels.flat[0]))
    if make is None:
        return y
    # pandas' own types have nanoseconds, which numpy would drop.
    times = [each.to_numpy() if hasattr(each, "to_numpy") else make(each) for each in labels.flat]
    return np.array(times).reshape(labels.shape)


def _kind(label: Any) -> str:
    """Kind of a label; labels of one kind have an order."""
    if isinstance(label, np.datetime64 | date) and getattr(label, "tzinfo", None) is None:
        return "date"
    if isinstance(label, np.timedelta64 | timedelta):  # numpy's is a number, too
        return "duration"
    if isinstance(label, Number | np.bool_):
        return "number"
    return "string" if isinstance(label, str) else type(label).__name__


def _is_image_of(shape: Any, n_features: int) -> bool:
    if isinstance(shape, np.ndarray):
        shape = shape.tolist()
    return (
        isinstance(shape, tuple | list)
        and len(shape) in (2, 3)
        and all(isinstance(side, Integral) and int(side) > 0 for side in shape)
        and math.prod(shape) == n_features
    )


def load_run(name: str) -> Autoencoder:
    """Fitted estimator of the run `name`, trained or imported; raises `InvalidRequest` if absent.

    It has `transform`, `inverse_transform`, `score` and `score_samples`, as far as its model has an
    encoder and a decoder; a conditioned model reads class numbers as y. Samples are in the units of
    the run's dataset.
    """
    from aecore.runs import store

    run = store.load(name)
    config, spec = run.config, run.spec
    settings = config.model.model_dump(mode="json", exclude={"latent_dim"})
    estimator = Autoencoder(
        config.variant,
        config.model.latent_dim,
        settings,
        spec.shape if len(spec.shape) in (2, 3) else None,
        **{name: value for name, value in config.training if name != "seed"},
        random_state=config.training.seed,
    )
    estimator.model_, estimator.config_ = run.model(), config
    estimator.history_ = [entry["train"] for entry in run.history]
    estimator.n_iter_ = run.epochs or 0
    estimator.n_features_in_ = spec.n_features
    if estimator.model_.n_classes:
        estimator.label_encoder_ = LabelEncoder()
        estimator.label_encoder_.classes_ = np.arange(spec.n_classes)
    return estimator


def add_model(
    encoder: torch.nn.Module | None,
    decoder: torch.nn.Module | None,
    x: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    *,
    name: str,
    test: tuple[ArrayLike, ArrayLike | None] | None = None,
    dataset: str = "",
) -> Run:
    """Export torch modules to ONNX and store them as the run `name`, with their data.

    Arguments
        encoder: samples to codes (n, latent_dim), or to mean and log-variance; None for none.
        decoder: codes to samples; None for none.
        x: samples as the encoder takes them, (n, ...); a sample with two or three dimensions is an
            image, with channels first where it has three, as in torch.
        labels: (n,); None for none.
        test: samples and labels that the model was not trained on; a fifth of x, drawn with seed 0,
            if they are not given.
        dataset: name of a dataset that exists, in place of x, labels and test.

    Raises `InvalidRequest` with all that prevents it; nothing is stored then.

    For example `aecore.add_model(vae.encoder, vae.decoder, images, digits, name="mine")`, and then
    the run "mine" on the page Latent map.
    """
    from aecore.runs import imports

    return imports.add_torch(
        name, encoder, decoder, None if x is None else (x, labels), test, dataset
    )
