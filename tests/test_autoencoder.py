"""The one model class, with plug-ins of the test's own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Normal, kl_divergence

from aecore.autoencoder import Autoencoder
from aecore.likelihoods import Bernoulli as BernoulliLikelihood
from aecore.likelihoods import Gaussian
from aecore.networks import GaussianEncoder, PointEncoder, Posterior, mlp
from aecore.penalties import LatentKL

X = torch.tensor([[0.0, 1.0], [0.5, 0.25]])


def add_ten(x: Tensor, generator: torch.Generator) -> Tensor:
    return x + 10


def mirror(**plug_ins: object) -> Autoencoder:
    """A model whose reconstruction is what its encoder saw."""
    return Autoencoder(PointEncoder(nn.Identity()), nn.Identity(), Gaussian(), **plug_ins)


def test_corruption_is_added_in_training_and_the_target_stays_clean() -> None:
    model = mirror(corruption=add_ten).train()
    # Two features, each off by ten from a target that was not corrupted.
    assert model.losses(X)["reconstruction"].tolist() == [200, 200]


def test_corruption_is_off_in_evaluation() -> None:
    model = mirror(corruption=add_ten).eval()
    assert model.losses(X)["reconstruction"].tolist() == [0, 0]


def test_corruption_never_touches_what_is_asked_of_a_trained_model() -> None:
    model = mirror(corruption=add_ten).train()
    assert torch.equal(model.encode(X), X)
    assert torch.equal(model.reconstruct(X), X)


def test_corruption_draws_from_the_generator_that_was_passed_in() -> None:
    def noise(x: Tensor, generator: torch.Generator) -> Tensor:
        return x + torch.randn(x.shape, generator=generator)

    model = mirror(corruption=noise).train()
    generator = torch.Generator().manual_seed(0)
    first, second = (model.losses(X, generator)["reconstruction"] for _ in range(2))
    again = model.losses(X, torch.Generator().manual_seed(0))["reconstruction"]
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_corruption_leaves_the_batch_as_it_was() -> None:
    before = X.clone()
    mirror(corruption=add_ten).train().losses(X)
    assert torch.equal(X, before)


def test_penalties_are_named_terms_of_what_the_encoder_saw() -> None:
    def size(model: Autoencoder, x: Tensor, posterior: Posterior) -> Tensor:
        return x.sum(1) + posterior.mean.sum(1)

    model = mirror(corruption=add_ten, penalties={"size": size})
    assert list(model.losses(X)) == ["reconstruction", "size"]
    assert model.train().losses(X)["size"].tolist() == [42, 41.5]
    assert model.eval().losses(X)["size"].tolist() == [2, 1.5]


def vae(n_features: int = 6) -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder(
        GaussianEncoder(mlp([n_features, 5, 4], "elu")),
        mlp([2, 5, n_features], "elu"),
        BernoulliLikelihood(),
        penalties={"kl": LatentKL()},
    )


def test_the_losses_of_a_vae_add_up_to_the_negative_elbo() -> None:
    model = vae()
    x = torch.rand(8, 6, generator=torch.Generator().manual_seed(1)).round()
    losses = model.losses(x, torch.Generator().manual_seed(7))

    mean, log_variance = model.encoder(x)
    q = Normal(mean, (log_variance / 2).exp())
    noise = torch.randn(8, 2, generator=torch.Generator().manual_seed(7))
    code = q.loc + q.scale * noise
    log_likelihood = Bernoulli(logits=model.decoder(code)).log_prob(x).sum(1)
    elbo = log_likelihood - kl_divergence(q, Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(sum(losses.values()), -elbo)


def test_the_code_of_a_vae_is_the_mean_unless_a_generator_is_given() -> None:
    model, x = vae(), torch.rand(8, 6)
    assert torch.equal(model.encode(x), model.encoder(x).mean)
    drawn = model.encode(x, torch.Generator().manual_seed(0))
    assert not torch.equal(drawn, model.encode(x))


@pytest.mark.parametrize("mode", [True, False])
def test_a_vae_is_random_only_through_its_generator(mode: bool) -> None:
    model, x = vae().train(mode), torch.rand(8, 6)
    assert torch.equal(model.reconstruct(x), model.reconstruct(x))
    for term, values in model.losses(x).items():
        assert torch.equal(values, model.losses(x)[term])
