"""What a variant asks of its codes beside reconstruction: one value a sample, added to the loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from torch import Tensor

from aecore.networks import Posterior

if TYPE_CHECKING:
    from aecore.autoencoder import Autoencoder


class Penalty(Protocol):
    """A term of the loss beside reconstruction."""

    def __call__(self, model: Autoencoder, x: Tensor, posterior: Posterior) -> Tensor:
        """The penalty of each sample: -> (batch,)."""


@dataclass(frozen=True)
class LatentKL:
    """KL(q(z|x) || N(0, I)) = 1/2 sum_j (mu_j^2 + sigma_j^2 - 1 - log sigma_j^2), in nats.

    Summed over the code's dimensions, as the reconstruction is summed over the features: then the
    two add up to the negative ELBO (Kingma & Welling 2014, appendix B).
    """

    def __call__(self, model: Autoencoder, x: Tensor, posterior: Posterior) -> Tensor:
        mean, log_variance = posterior
        return (mean.square() + log_variance.exp() - 1 - log_variance).sum(1) / 2
