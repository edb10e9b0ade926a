"""Likelihoods of the input given the decoder's output: the reconstruction term of the loss.

Each `loss` is a negative log-likelihood summed over the features, one value a sample.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from aecore.models.contracts import Likelihood


class Gaussian:
    """Squared error sum_i (x_i - output_i)^2: a Gaussian of variance 1/2, without its constant."""

    def mean(self, output: Tensor) -> Tensor:
        return output

    def loss(self, output: Tensor, x: Tensor) -> Tensor:
        return (self.mean(output) - x).square().flatten(1).sum(1)


class SquashedGaussian(Gaussian):
    """Squared error of sigmoid(output), for data in [0, 1]."""

    def mean(self, output: Tensor) -> Tensor:
        return torch.sigmoid(output)


class Bernoulli:
    """Cross-entropy -sum_i [x_i log p_i + (1 - x_i) log(1 - p_i)], p = sigmoid(output), in nats.

    For grey targets it is a pseudo-likelihood with a floor above zero: the entropy of the targets.
    """

    def mean(self, output: Tensor) -> Tensor:
        return torch.sigmoid(output)

    def loss(self, output: Tensor, x: Tensor) -> Tensor:
        losses = functional.binary_cross_entropy_with_logits(output, x, reduction="none")
        return losses.flatten(1).sum(1)


LIKELIHOODS: dict[str, Likelihood] = {
    "gaussian": Gaussian(),
    "squashed-gaussian": SquashedGaussian(),
    "bernoulli": Bernoulli(),
}
