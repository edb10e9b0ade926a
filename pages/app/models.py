"""Model inference on the pages, and nearest-neighbour indices over codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from aecore import latent, models
from aecore.applications import denoising
from aecore.errors import InvalidRequest
from aecore.runs import store
from pages.app import cache

if TYPE_CHECKING:
    from aecore.models.autoencoder import Autoencoder

HANDFUL = 1_000
"""Samples up to which one thread is as quick as several."""


@cache.bounded(16)
def _model(name: str, created: str) -> Autoencoder:
    model = cache.run(name).model()
    cache.freeze_gc("torch and scikit-learn")
    return model


@cache.once
def _threads() -> int:
    """Default number of threads of torch."""
    import torch

    return torch.get_num_threads()


def _model_for(name: str, created: str, n: int) -> Autoencoder:
    """Load the model of a run, with a number of threads suited to n samples."""
    import torch

    # A small batch gains nothing by threads and waits for them on a busy machine. The setting
    # holds for this thread and those that begin later, so every call sets it.
    model, most = _model(name, created), _threads()
    torch.set_num_threads(1 if n <= HANDFUL else most)
    return model


def reconstruct(
    name: str, created: str, x: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Codes (n, latent_dim) and reconstructions (n, n_features) of samples.

    Only the model is cached. A conditioned model reads the labels (n,). Raises `InvalidRequest`
    where an answer is no finite number.
    """
    model = _model_for(name, created, len(x))
    codes = models.inference.encode(model, x, labels)
    reconstructions = models.inference.decode(model, codes, labels)
    latent.refuse_unless_answered(name, codes, reconstructions)
    return codes, reconstructions


def generated(chosen: store.Run, codes: np.ndarray, label: int = 0) -> np.ndarray:
    """Decode codes (n, latent_dim) to reconstructions (n, n_features); needs no dataset.

    A conditioned model reads the label. Raises `InvalidRequest` where an answer is no finite
    number.
    """
    decoded = models.inference.decode(_model_for(*cache.identity(chosen), len(codes)), codes, label)
    latent.refuse_unless_answered(chosen.name, decoded)
    return decoded


def cycle_error(chosen: store.Run, codes: np.ndarray, label: int = 0) -> np.ndarray:
    """Cycle error (n,) of codes, in units of the code.

    Raises `InvalidRequest` where an answer is no finite number.
    """
    distances = models.inference.cycle_error(
        _model_for(*cache.identity(chosen), len(codes)), codes, label
    )
    latent.refuse_unless_answered(chosen.name, distances)
    return distances


@cache.bounded(16)
def class_means(name: str, created: str) -> np.ndarray:
    """Mean code of each class over training samples, (classes, latent_dim)."""
    return denoising.class_means(encoder(name, created), cache.run(name).dataset)


def encoder(name: str, created: str) -> denoising.ReconstructFn:
    """Function from samples and labels to a run's codes."""
    return lambda x, labels: reconstruct(name, created, x, labels)[0]


# --- Errors -------------------------------------------------------------------------------------


@cache.bounded(64)
def errors(name: str, created: str, split: str) -> np.ndarray:
    """Mean squared error per feature of every sample of "test" or "train", (n,).

    Those of the test split were stored with the run. Raises `InvalidRequest` where the dataset is
    another than the run was trained on, or where an error is no finite number.
    """
    chosen = cache.run(name)
    dataset = chosen.dataset
    latent.refuse_changed(chosen, dataset)
    values = chosen.codes["error"]
    if split == "train":
        analysis = latent.analysis_artifact(chosen).load_intact()
        if analysis and len(analysis.arrays.get("train_rows", ())) == dataset.n_train:
            values = analysis.arrays["train_error"]
        else:  # a wide code, of which not every sample was kept
            model = _model_for(name, created, dataset.n_train)
            values = models.inference.encode_with_errors(model, *dataset.train).errors
    if not np.isfinite(values).all():
        raise InvalidRequest(
            f"The run '{name}' answers with values that are no finite numbers (NaN), so there is "
            "nothing to compare: train it again with a lower learning rate."
        )
    return values


# --- Codes --------------------------------------------------------------------------------------


def load(chosen: store.Run) -> None:
    """Load everything that the views of Generate need, so that none waits for it later."""
    _model(*cache.identity(chosen))
    places(chosen)


def places(chosen: store.Run) -> latent.LatentSupport:
    """Nearest-neighbour index of a run's test codes."""
    return _places(*cache.identity(chosen), None)


def training_places(chosen: store.Run) -> latent.LatentSupport:
    """Nearest-neighbour index of the training codes of an analysed run."""
    return _places(*cache.identity(chosen), cache.changed(latent.analysis_artifact(chosen)))


@cache.bounded(8)
def _places(name: str, created: str, analysed: int | None) -> latent.LatentSupport:
    chosen = cache.run(name)
    if analysed is None:
        return latent.LatentSupport(chosen.codes["codes"])
    return latent.LatentSupport(cache.analysis(chosen).arrays["train_codes"])


def marginals(chosen: store.Run, dimensions: Sequence[int]) -> latent.Marginals:
    """Marginals of the aggregate posterior in given dimensions of an analysed run."""
    analysed = cache.changed(latent.analysis_artifact(chosen))
    return _marginals(*cache.identity(chosen), analysed, tuple(dimensions))


@cache.bounded(8)
def _marginals(
    name: str, created: str, analysed: int, dimensions: tuple[int, ...]
) -> latent.Marginals:
    chosen = cache.run(name)
    spread = cache.analysis(chosen).arrays["spread"]
    return latent.marginals(chosen.codes["codes"], spread, dimensions)
