"""Interfaces between the parts of an autoencoder: inputs, outputs, shapes and units.

`Autoencoder` and its plug-ins name these types instead of each other, so that a plug-in can be
written and tested without the model class.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from aecore.errors import InvalidRequest


class Posterior(NamedTuple):
    """Posterior of the code of each sample: a point, or a diagonal Gaussian."""

    mean: Tensor
    """(batch, latent_dim); the code itself where it is a point."""
    log_variance: Tensor | None = None
    """(batch, latent_dim), or None where the code is a point."""
    unquantised: Tensor | None = None
    """(batch, latent_dim), the code before its vectors were replaced by those of a codebook."""

    def gaussian(self) -> tuple[Tensor, Tensor]:
        """Mean and log-variance; raises `InvalidRequest` where the code is a point."""
        if self.log_variance is None:
            raise InvalidRequest("The code of this encoder is a point, which has no variance.")
        return self.mean, self.log_variance

    def to(self, dtype: torch.dtype) -> Posterior:
        """The posterior in another precision."""
        return Posterior(
            self.mean.to(dtype),
            None if self.log_variance is None else self.log_variance.to(dtype),
            None if self.unquantised is None else self.unquantised.to(dtype),
        )

    def sample(self, generator: torch.Generator | None) -> Tensor:
        """Reparameterised draw mean + sigma * e with e ~ N(0, I) (Kingma & Welling 2014).

        Without a generator, or where the code is a point, this is the mean.
        """
        if generator is None or self.log_variance is None:
            return self.mean
        noise = torch.randn(
            self.mean.shape, generator=generator, device=self.mean.device, dtype=self.mean.dtype
        )
        return self.mean + torch.exp(self.log_variance / 2) * noise


class Likelihood(Protocol):
    """p(x | decoder output)."""

    def mean(self, output: Tensor) -> Tensor:
        """The reconstruction, E[x | output]: (batch, ...) -> (batch, ...)."""

    def loss(self, output: Tensor, x: Tensor) -> Tensor:
        """-log p(x | output) up to a constant, summed over the features: -> (batch,)."""


class Corruption(Protocol):
    """Corruption of a batch by noise."""

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """(batch, n_features) -> a noisy copy of the same shape."""


class PenalisedModel(Protocol):
    """The part of a model that penalties use."""

    encoder: nn.Module
    """(batch, n_features) -> `Posterior`."""
    training: bool
    epochs_seen: float
    """How far training is; infinite after it."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """Every trainable tensor once."""


class Penalty(Protocol):
    """A term of the loss beside reconstruction."""

    def __call__(
        self, model: PenalisedModel, x: Tensor, posterior: Posterior, generator: torch.Generator
    ) -> Tensor:
        """The penalty of each sample: -> (batch,).

        Arguments
            x: what the encoder saw, (batch, n_features).
            posterior: what it said of it.
            generator: for penalties that draw.
        """


@runtime_checkable
class Reporting(Protocol):
    """A penalty that reports further numbers for each epoch."""

    def facts(self, model: PenalisedModel, codes: Tensor) -> dict[str, float]:
        """Finite numbers by name; names must be unique among penalties.

        They stand in the history of a run, and are shown under these names after every epoch.

        Arguments
            codes: of the whole test split, (n, latent_dim), the posteriors' means.
        """
