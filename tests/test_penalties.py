"""Penalties against torch.distributions."""

from __future__ import annotations

import torch
from torch.distributions import Normal, kl_divergence

from aecore.networks import Posterior
from aecore.penalties import LatentKL


def latent_kl(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    return LatentKL()(None, None, Posterior(mean, log_variance))


def test_the_latent_kl_is_that_of_torch_distributions() -> None:
    generator = torch.Generator().manual_seed(0)
    mean = 2 * torch.randn(50, 3, generator=generator, dtype=torch.float64)
    log_variance = torch.randn(50, 3, generator=generator, dtype=torch.float64)
    expected = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(latent_kl(mean, log_variance), expected, check_dtype=False)


def test_the_latent_kl_of_the_prior_is_zero() -> None:
    assert not latent_kl(torch.zeros(4, 2), torch.zeros(4, 2)).any()


def test_the_latent_kl_is_the_mean_of_log_ratios_over_draws() -> None:
    mean, log_variance = torch.tensor([[1.0, -0.5]]), torch.tensor([[0.5, -1.0]])
    posterior = Posterior(mean.expand(100_000, 2), log_variance.expand(100_000, 2))
    draws = posterior.sample(torch.Generator().manual_seed(0))
    q, p = Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)
    estimate = (q.log_prob(draws) - p.log_prob(draws)).sum(1).mean()
    torch.testing.assert_close(latent_kl(mean, log_variance)[0], estimate, atol=0.02, rtol=0)
