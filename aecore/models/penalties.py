"""Regularisation terms added to the reconstruction loss, one value per sample.

A penalty on a whole batch (the mean activation of a unit, the distance of two distributions) is
written so that the mean of its values over the batch is that penalty.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Literal

import torch
from torch import Tensor
from torch.func import jacrev, vmap

from aecore.errors import InvalidRequest
from aecore.models.contracts import PenalisedModel, Posterior
from aecore.models.networks import CodebookEncoder


@dataclass(frozen=True)
class LatentKL:
    """weight * KL(q(z|x) || N(0, I)) = weight/2 sum_j (mu_j^2 + sigma_j^2 - 1 - log sigma_j^2).

    In nats, summed over the code's dimensions as the reconstruction is summed over the features:
    with weight 1 the two add up to the negative ELBO (Kingma & Welling 2014, appendix B). Another
    weight is the beta of Higgins and others (2017).

    Arguments
        warm_up: epochs over which the weight grows from zero, in training (Bowman and others 2016).
    """

    weight: float = 1
    warm_up: int = 0

    def __call__(
        self, model: PenalisedModel, x: Tensor, posterior: Posterior, generator: torch.Generator
    ) -> Tensor:
        mean, log_variance = posterior.gaussian()
        weight = self.weight
        if self.warm_up and model.training:
            weight *= self._warmed_up(model)
        return weight * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1) / 2

    def facts(self, model: PenalisedModel, codes: Tensor) -> dict[str, float]:
        """`kl_weight`: the current weight of the KL term."""
        return {"kl_weight": float(self.weight * self._warmed_up(model))}

    def _warmed_up(self, model: PenalisedModel) -> float:
        """Factor of the weight during training, from 0 to 1."""
        return min(model.epochs_seen / self.warm_up, 1) if self.warm_up else 1


@dataclass(frozen=True)
class CodeL1:
    """L1 penalty on the code, weight * sum_j |h_j|: few units are active for each sample."""

    weight: float

    def __call__(
        self, model: PenalisedModel, x: Tensor, posterior: Posterior, generator: torch.Generator
    ) -> Tensor:
        return self.weight * posterior.mean.abs().sum(1)


@dataclass(frozen=True)
class SparsityKL:
    """weight * sum_j KL(target || r_j), r_j the mean activation of unit j over the batch.

    KL(p || r) = p log(p / r) + (1 - p) log((1 - p) / (1 - r)), for activations inside (0, 1), which
    are clamped away from both ends (Ng 2011, CS294A lecture notes). The same for every sample.
    """

    target: float
    weight: float

    def __call__(
        self, model: PenalisedModel, x: Tensor, posterior: Posterior, generator: torch.Generator
    ) -> Tensor:
        mean = posterior.mean.mean(0).clamp(1e-6, 1 - 1e-6)
        p = self.target
        divergence = p * (p / mean).log() + (1 - p) * ((1 - p) / (1 - mean)).log()
        return (self.weight * divergence.sum()).expand(len(x))


@dataclass(frozen=True)
class Contraction:
    """Contractive penalty weight * ||dh/dx||_F^2 (Rifai and others 2011).

    Arguments
        how: "hutchinson" estimates the norm without bias as ||v^T dh/dx||^2 with one vector v of
            random signs a sample (Hutchinson 1989). "closed-form" is exact and as quick, but holds
            for one sigmoid layer alone: sum_j (h_j (1 - h_j))^2 sum_i W_ji^2. "exact" builds the
            whole Jacobian.
    """

    weight: float
    how: Literal["hutchinson", "closed-form", "exact"] = "hutchinson"

    def __call__(
        self, model: PenalisedModel, x: Tensor, posterior: Posterior, generator: torch.Generator
    ) -> Tensor:
        if self.how == "closed-form":
            squared_weights = model.encoder.get_parameter("network.0.weight").square().sum(1)
            slopes = posterior.mean * (1 - posterior.mean)
            return self.weight * (slopes.square() * squared_weights).sum(1)
        differentiable = torch.is_grad_enabled()
        # Also in evaluation the derivative by x is needed, though none by the weights.
        with torch.inference_mode(False), torch.enable_grad():
            x = x.clone().requires_grad_()
            if self.how == "exact":
                jacobians = vmap(jacrev(lambda one: model.encoder(one[None]).mean[0]))(x)
                norms = jacobians.square().flatten(1).sum(1)
            else:
                code = model.encoder(x).mean
                draws = torch.rand(code.shape, generator=generator, device=x.device, dtype=x.dtype)
                signs = torch.where(draws < 0.5, -1.0, 1.0).to(x.dtype)
                (slope,) = torch.autograd.grad((code * signs).sum(), x, create_graph=differentiable)
                norms = slope.square().sum(1)
        return self.weight * (norms if differentiable else norms.detach())


@dataclass(frozen=True)
class WeightL2:
    """weight / 2 * sum of all squared weights, biases excepted; a tied weight counts once."""

    weight: float

    def __call__(
        self, model: PenalisedModel, x: Tensor, posterior: Posterior, generator: torch.Generator
    ) -> Tensor:
        squares = (value.square().sum() for value in model.parameters() if value.ndim > 1)
        return (self.weight / 2 * reduce(torch.add, squares)).expand(len(x))


@dataclass(frozen=True)
class LatentMMD:
    """weight * MMD^2 between the codes of a batch and as many draws from N(0, I).

    MMD^2 = mean_{i != j} [k(z_i, z_j) + k(p_i, p_j)] - 2 mean_{i, j} k(z_i, p_j), with the inverse
    multiquadratic kernel k(a, b) = sum_s C_s / (C_s + ||a - b||^2), C_s = 2 latent_dim s
    (Tolstikhin and others 2018). Each sample gets its own row of the sums.
    """

    weight: float
    scales = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)

    def __call__(
        self, model: PenalisedModel, x: Tensor, posterior: Posterior, generator: torch.Generator
    ) -> Tensor:
        codes = posterior.mean
        draws = torch.randn(codes.shape, generator=generator, device=x.device, dtype=codes.dtype)
        n = len(codes)
        among = [self._kernel(group, group).fill_diagonal_(0) for group in (codes, draws)]
        within = (among[0].sum(1) + among[1].sum(1)) / max(n - 1, 1)
        return self.weight * (within - 2 * self._kernel(codes, draws).mean(1))

    def _kernel(self, a: Tensor, b: Tensor) -> Tensor:
        # By products, because the gradient of cdist is not finite where two points coincide.
        squares = a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.t()
        squares = squares.clamp(min=0)
        constants = (2 * a.shape[1] * scale for scale in self.scales)
        return reduce(torch.add, (constant / (constant + squares) for constant in constants))


CHUNK = 1_000
"""Codes whose distances to every codebook vector are in memory together."""


@dataclass(frozen=True)
class Codebook:
    """Codebook loss ||sg[z] - e||^2 + commitment * ||z - sg[e]||^2.

    It moves the codebook's vectors e to the codes z that chose them, and keeps the codes near their
    choice; sg stops the gradient (van den Oord, Vinyals & Kavukcuoglu 2017).
    """

    commitment: float

    def __call__(
        self, model: PenalisedModel, x: Tensor, posterior: Posterior, generator: torch.Generator
    ) -> Tensor:
        code = posterior.unquantised
        if code is None:
            raise InvalidRequest("The code of this encoder is not made of vectors from a codebook.")
        vectors = _codebook_encoder(model).quantise(code)
        to_codes = (code.detach() - vectors).square().sum(1)
        to_vectors = (code - vectors.detach()).square().sum(1)
        return to_codes + self.commitment * to_vectors

    def facts(self, model: PenalisedModel, codes: Tensor) -> dict[str, float]:
        """Usage of the codebook by the codes.

        With p_k the share of the groups whose vector is number k: `codebook_used`, the share of the
        vectors with p_k > 0; `codebook_dead`, the number of the others; and `codebook_perplexity`,
        exp(-sum_k p_k log p_k), the number of vectors that would be as varied if all were used
        alike (van den Oord, Vinyals & Kavukcuoglu 2017).
        """
        encoder = _codebook_encoder(model)
        size = len(encoder.codebook)
        counts = torch.zeros(size, dtype=torch.float64)  # which not every GPU has
        for part in codes.split(CHUNK):
            chosen = encoder.choose(part).flatten().cpu()
            counts += torch.bincount(chosen, minlength=size)
        shares = counts / counts.sum()
        used = int((counts > 0).sum())
        return {
            "codebook_used": used / size,
            "codebook_dead": size - used,
            "codebook_perplexity": float(torch.special.entr(shares).sum().exp()),
        }


def _codebook_encoder(model: PenalisedModel) -> CodebookEncoder:
    if not isinstance(model.encoder, CodebookEncoder):
        raise InvalidRequest("The penalty of a codebook needs an encoder that has one.")
    return model.encoder
