"""The model class: encoder, decoder and likelihood, with at most two plug-ins."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from aecore.errors import InvalidRequest
from aecore.models.contracts import Corruption, Likelihood, Penalty, Posterior, Reporting
from aecore.models.networks import SeededDropout


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
        n_classes: where it is not 0, encoder and decoder see the label as well, as `n_classes`
            further features (one-hot), and every method needs `labels`, (batch,).
    """

    differentiable = True
    """Whether torch can differentiate it; else derivatives are taken by differences."""

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        corruption: Corruption | None = None,
        penalties: Mapping[str, Penalty] | None = None,
        n_classes: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = likelihood
        self.corruption = corruption
        self.penalties = dict(penalties or {})
        self.n_classes = n_classes
        self.epochs_seen = math.inf
        """How far training is, which sets it; penalties that warm up read it."""
        self.uses_bfloat16 = False
        """Whether encoder and decoder compute in bfloat16 in training; losses never do."""

    def encode(
        self, x: Tensor, generator: torch.Generator | None = None, labels: Tensor | None = None
    ) -> Tensor:
        """Encode a batch to codes, (batch, latent_dim): the posterior's mean, or a draw from it."""
        return self.posterior(x, labels).sample(generator)

    def posterior(self, x: Tensor, labels: Tensor | None = None) -> Posterior:
        """Posterior of the codes of a batch: points, or diagonal Gaussians."""
        return self.encoder(self._with_labels(x, labels))

    def decode(self, code: Tensor, labels: Tensor | None = None) -> Tensor:
        """Decode a batch of codes to reconstructions, (batch, n_features)."""
        return self.likelihood.mean(self.decoder(self._with_labels(code, labels)))

    def reconstruct(
        self, x: Tensor, generator: torch.Generator | None = None, labels: Tensor | None = None
    ) -> Tensor:
        """Reconstruct a batch: decode(encode(x)), (batch, n_features)."""
        return self.decode(self.encode(x, generator, labels), labels)

    def losses(
        self, x: Tensor, generator: torch.Generator | None = None, labels: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Named terms of the loss, each (batch,); training minimises the mean of their sum.

        Terms are sums over features or code dimensions and never means, so that for a VAE with a
        Bernoulli likelihood the sum is a one-sample estimate of the negative ELBO in nats.
        """
        # Corruption and stochastic penalties always need a generator, even with a mean code.
        draws = generator or torch.Generator(x.device).manual_seed(0)
        with self._drawing_from(generator):
            seen = x
            if self.training and self.corruption is not None:
                seen = self.corruption(x, draws)
            seen = self._with_labels(seen, labels)
            posterior = self._posterior(seen)
            losses = self._fit_terms(x, posterior, generator, labels)
            for name, penalty in self.penalties.items():
                losses[name] = penalty(self, seen, posterior, draws)
        return losses

    def facts(self, codes: Tensor) -> dict[str, float]:
        """Facts that the penalties report of the codes of a split, (n, latent_dim), by name."""
        return {
            name: value
            for penalty in self.penalties.values()
            if isinstance(penalty, Reporting)
            for name, value in penalty.facts(self, codes).items()
        }

    def _fit_terms(
        self,
        x: Tensor,
        posterior: Posterior,
        generator: torch.Generator | None,
        labels: Tensor | None,
    ) -> dict[str, Tensor]:
        """Terms of the loss that need the decoder."""
        output = self._output(posterior.sample(generator), labels)
        return {"reconstruction": self.likelihood.loss(output, x)}

    def _posterior(self, seen: Tensor) -> Posterior:
        with self._precision(seen):
            posterior: Posterior = self.encoder(seen)
        return posterior.to(seen.dtype)

    def _output(self, code: Tensor, labels: Tensor | None) -> Tensor:
        with self._precision(code):
            return self.decoder(self._with_labels(code, labels)).to(code.dtype)

    def _precision(self, x: Tensor) -> torch.autocast:
        return torch.autocast(
            x.device.type, torch.bfloat16, enabled=self.uses_bfloat16 and self.training
        )

    def _with_labels(self, values: Tensor, labels: Tensor | None) -> Tensor:
        if not self.n_classes:
            return values
        if labels is None:
            raise InvalidRequest(
                "This model is conditioned on the label: give `labels`, one a sample."
            )
        one_hot = functional.one_hot(labels.long(), self.n_classes)
        return torch.cat([values, one_hot.to(values.dtype)], dim=1)

    @contextmanager
    def _drawing_from(self, generator: torch.Generator | None) -> Iterator[None]:
        """Context that gives the dropout layers the generator for one batch."""
        layers = [layer for layer in self.modules() if isinstance(layer, SeededDropout)]
        try:
            for layer in layers:
                layer.generator = generator
            yield
        finally:
            for layer in layers:
                layer.generator = None


class ImportanceWeightedAutoencoder(Autoencoder):
    """Variational autoencoder trained on a tighter bound, with `samples` weighted draws.

    log p(x) >= E[log 1/K sum_k w_k], w_k = p(x|z_k) p(z_k) / q(z_k|x), z_k ~ q(z|x): never lower
    for more draws, and the ELBO for one (Burda, Grosse & Salakhutdinov 2016). A class of its own,
    because this loss is no sum of a reconstruction and penalties. Its terms are the reconstruction
    and log q(z|x)/p(z), both averaged over the draws, and `importance`, what the weighting gains;
    their sum is the negative bound.
    """

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, likelihood: Likelihood, samples: int
    ) -> None:
        super().__init__(encoder, decoder, likelihood)
        self.samples = samples

    def _fit_terms(
        self,
        x: Tensor,
        posterior: Posterior,
        generator: torch.Generator | None,
        labels: Tensor | None,
    ) -> dict[str, Tensor]:
        k = self.samples
        mean, log_variance = (part.repeat_interleave(k, dim=0) for part in posterior.gaussian())
        code = Posterior(mean, log_variance).sample(generator)
        output = self._output(code, labels)
        error = self.likelihood.loss(output, x.repeat_interleave(k, dim=0)).view(-1, k)
        standardised = (code - mean).square() / log_variance.exp()
        log_ratio = (code.square() - standardised - log_variance).sum(1).view(-1, k) / 2
        negative_bound = math.log(k) - (-error - log_ratio).logsumexp(1)
        terms = {"reconstruction": error.mean(1), "kl": log_ratio.mean(1)}
        terms["importance"] = negative_bound - sum(terms.values())
        return terms
