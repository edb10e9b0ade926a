"""Encoders and decoders: stacks of layers that know nothing of losses."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

ACTIVATION_LAYERS: dict[str, type[nn.Module]] = {
    "elu": nn.ELU,
    "relu": nn.ReLU,
    "leaky-relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "identity": nn.Identity,
}


class Posterior(NamedTuple):
    """What an encoder says of the code of each sample: a point, or a diagonal Gaussian."""

    mean: Tensor
    """(batch, latent_dim); the code itself where it is a point."""
    log_variance: Tensor | None = None
    """(batch, latent_dim), or None where the code is a point."""

    def sample(self, generator: torch.Generator | None) -> Tensor:
        """mean + sigma * e with e ~ N(0, I): the reparameterised draw (Kingma & Welling 2014).

        Without a generator, or where the code is a point, this is the mean.
        """
        if generator is None or self.log_variance is None:
            return self.mean
        noise = torch.randn(
            self.mean.shape, generator=generator, device=self.mean.device, dtype=self.mean.dtype
        )
        return self.mean + torch.exp(self.log_variance / 2) * noise


def mlp(widths: Sequence[int], activation: str) -> nn.Sequential:
    """Fully connected layers of the given widths, the activation between them, none at the end.

    Weights start as Glorot-uniform and biases as zero (Glorot & Bengio 2010).

    >>> [tuple(layer.weight.shape) for layer in mlp([784, 128, 2], "elu")[::2]]
    [(128, 784), (2, 128)]
    """
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        linear = nn.Linear(n_in, n_out)
        nn.init.xavier_uniform_(linear.weight)
        nn.init.zeros_(linear.bias)
        layers += [linear, ACTIVATION_LAYERS[activation]()]
    return nn.Sequential(*layers[:-1])


class PointEncoder(nn.Module):
    """An encoder whose code is a point: x -> code."""

    outputs_per_dimension = 1

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Posterior:
        return Posterior(self.network(x))


class GaussianEncoder(nn.Module):
    """An encoder whose code is a diagonal Gaussian: x -> (mean, log sigma^2)."""

    outputs_per_dimension = 2

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Posterior:
        return Posterior(*self.network(x).chunk(2, dim=1))
