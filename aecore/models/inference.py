"""Inference with a trained autoencoder on NumPy arrays: encode, decode, reconstruct.

Every function runs in inference mode, in batches, on the model's device and in its precision, and
returns new arrays of that precision, on the CPU. Answers are deterministic: a Gaussian code is its
mean. `labels` are those of the samples or codes, (n,), or one number for all; only a model that is
conditioned on them reads them, and raises `InvalidRequest` without.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from aecore.progress import Progress, no_progress

if TYPE_CHECKING:
    from aecore.models.autoencoder import Autoencoder

LARGE = 2**27
"""Bytes of an array that is shared with its tensor."""
BATCH = 256
"""Samples or codes in a batch, unless the samples are large."""
BATCH_VALUES = 2**20
"""Feature values in a batch at most: the feature maps of large images are many times as large."""

Labels = np.ndarray | int | None


def shared(array: np.ndarray, device: torch.device) -> Tensor:
    """Tensor of an array, to be read alone: on the CPU a large one is not copied.

    Arrays of large stored datasets are mapped from files, so that they may be larger than memory.
    """
    if device.type != "cpu" or array.nbytes < LARGE:
        return torch.tensor(array, device=device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it may not be written to
        return torch.from_numpy(array)


def batch_size(n_features: int) -> int:
    """Number of samples of n features in one batch."""
    return max(1, min(BATCH, BATCH_VALUES // n_features))


@torch.inference_mode()
def encode(model: Autoencoder, x: np.ndarray, labels: Labels = None) -> np.ndarray:
    """Encode samples to codes z = f(x): (n, n_features) -> (n, latent_dim)."""
    batches = _batches(model, x, labels)
    return _joined([model.encode(batch, labels=label) for batch, label in batches])


@torch.inference_mode()
def decode(
    model: Autoencoder, codes: np.ndarray, labels: Labels = None, progress: Progress = no_progress
) -> np.ndarray:
    """Decode codes to reconstructions g(z): (n, latent_dim) -> (n, n_features).

    Arguments
        progress: called before each batch.
    """
    outputs, done = [], 0
    for batch, label in _batches(model, codes, labels):
        progress("Decoding samples", done, len(codes))
        outputs.append(model.decode(batch, label))
        done += len(batch)
    return _joined(outputs)


@torch.inference_mode()
def reconstruct(model: Autoencoder, x: np.ndarray, labels: Labels = None) -> np.ndarray:
    """Reconstruct samples, g(f(x)): (n, n_features) -> (n, n_features)."""
    batches = _batches(model, x, labels)
    return _joined([model.reconstruct(batch, labels=label) for batch, label in batches])


@torch.inference_mode()
def cycle_error(model: Autoencoder, codes: np.ndarray, labels: Labels = None) -> np.ndarray:
    """Cycle error ||f(g(z)) - z|| of each code, in units of the code.

    Large outside of the support of the training codes. (n, latent_dim) -> (n,).
    """
    return _joined(
        [
            (model.encode(model.decode(batch, label), labels=label) - batch).norm(dim=1)
            for batch, label in _batches(model, codes, labels)
        ]
    )


class Encoded(NamedTuple):
    """Codes of n samples, their standard deviations and reconstruction errors."""

    codes: np.ndarray
    """(n, latent_dim), the posteriors' means."""
    deviations: np.ndarray | None
    """(n, latent_dim), the posteriors' standard deviations; None where the code is a point."""
    errors: np.ndarray
    """(n,), the mean over the features of (x - reconstruction)^2; NaN without a decoder."""


@torch.inference_mode()
def encode_with_errors(
    model: Autoencoder,
    x: np.ndarray,
    labels: Labels = None,
    codes: np.ndarray | None = None,
    decodes: bool = True,
) -> Encoded:
    """Encode samples (n, n_features), with standard deviations and reconstruction errors.

    Arguments
        codes: of the samples, (n, latent_dim), of a model without an encoder.
        decodes: whether there are errors to compute.
    """
    means, deviations, errors = [], [], []
    done = 0
    for batch, label in _batches(model, x, labels):
        if codes is None:
            posterior = model.posterior(batch, label)
            means.append(posterior.mean)
            if posterior.log_variance is not None:
                deviations.append(torch.exp(posterior.log_variance / 2))
        else:
            means.append(torch.tensor(codes[done : done + len(batch)]).to(batch))
            done += len(batch)
        if decodes:
            errors.append((model.decode(means[-1], label) - batch).square().mean(1))
        else:
            errors.append(torch.full((len(batch),), torch.nan))
    return Encoded(_joined(means), _joined(deviations) if deviations else None, _joined(errors))


def _batches(
    model: Autoencoder, values: np.ndarray, labels: Labels
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Batches on the model's device, with labels if it reads them; an empty input is one batch."""
    # A model that was made elsewhere has no parameters here: it computes on the CPU.
    parameter = next(model.parameters(), torch.empty(0))
    size = batch_size(values.shape[1])
    for start in range(0, max(len(values), 1), size):
        # A copy in any case: the arrays of a dataset are read-only, which tensors cannot be.
        part = values[start : start + size]
        batch = torch.tensor(part, dtype=parameter.dtype, device=parameter.device)
        label = None
        if model.n_classes and labels is not None:
            own = np.asarray(labels)
            own = own[start : start + size] if own.ndim else own
            label = torch.tensor(np.broadcast_to(own, len(part)), device=parameter.device)
        yield batch, label


def _joined(outputs: list[Tensor]) -> np.ndarray:
    whole = torch.cat(outputs) if len(outputs) > 1 else outputs[0].contiguous()
    return whole.cpu().numpy()
