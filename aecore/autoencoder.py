"""The one model class: an encoder, a decoder and a likelihood, with up to two plug-ins."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from aecore.likelihoods import Likelihood
from aecore.penalties import Penalty

Corruption = Callable[[Tensor, torch.Generator], Tensor]
"""Adds noise to a batch; used in training only."""


class Autoencoder(nn.Module):
    """x -> encoder -> code -> decoder -> output -> likelihood -> reconstruction.

    Everything is deterministic unless a seeded generator is passed in: then a Gaussian posterior
    is sampled instead of represented by its mean.

    Arguments
        encoder: (batch, n_features) -> `Posterior` over codes (batch, latent_dim).
        decoder: (batch, latent_dim) -> the likelihood's parameters, (batch, n_features).
        likelihood: turns the decoder's output into a reconstruction and a loss.
        corruption: applied to the encoder's input in training; the target stays clean.
        penalties: further terms of the loss, by name.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        corruption: Corruption | None = None,
        penalties: Mapping[str, Penalty] | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = likelihood
        self.corruption = corruption
        self.penalties = dict(penalties or {})

    def encode(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The codes of a batch, (batch, latent_dim): the posterior's mean, or a draw from it."""
        return self.encoder(x).sample(generator)

    def decode(self, code: Tensor) -> Tensor:
        """The reconstructions that belong to a batch of codes, (batch, n_features)."""
        return self.likelihood.mean(self.decoder(code))

    def reconstruct(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """decode(encode(x)), (batch, n_features)."""
        return self.decode(self.encode(x, generator))

    def losses(self, x: Tensor, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """The named terms of the loss, each (batch,); their sum is what training lowers.

        Terms are sums over features or code dimensions and never means, so that for a VAE with a
        Bernoulli likelihood the sum is a one-sample estimate of the negative ELBO in nats.
        """
        seen = x
        if self.training and self.corruption is not None:
            seen = self.corruption(x, generator)
        posterior = self.encoder(seen)
        output = self.decoder(posterior.sample(generator))
        losses = {"reconstruction": self.likelihood.loss(output, x)}
        for name, penalty in self.penalties.items():
            losses[name] = penalty(self, seen, posterior)
        return losses
