"""The model class, with plug-ins defined in the tests."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Normal, kl_divergence

from aecore.errors import InvalidRequest
from aecore.models.autoencoder import Autoencoder, ImportanceWeightedAutoencoder
from aecore.models.contracts import Posterior
from aecore.models.corruptions import CORRUPTIONS
from aecore.models.likelihoods import Bernoulli as BernoulliLikelihood, Gaussian
from aecore.models.networks import GaussianEncoder, PointEncoder, SeededDropout, mlp
from aecore.models.penalties import LatentKL

X = torch.tensor([[0.0, 1.0], [0.5, 0.25]])


def add_ten(x: Tensor, generator: torch.Generator) -> Tensor:
    return x + 10


def mirror(**plug_ins: object) -> Autoencoder:
    """A model whose reconstruction is the encoder's input."""
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
    def size(model: Autoencoder, x: Tensor, posterior: Posterior, generator: object) -> Tensor:
        return x.sum(1) + posterior.mean.sum(1)

    model = mirror(corruption=add_ten, penalties={"size": size})
    assert list(model.losses(X)) == ["reconstruction", "size"]
    assert model.train().losses(X)["size"].tolist() == [42, 41.5]
    assert model.eval().losses(X)["size"].tolist() == [2, 1.5]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_without_a_generator_a_corrupted_loss_repeats(name: str) -> None:
    """Everything is deterministic unless a seeded generator is passed in."""
    model, before = mirror(corruption=CORRUPTIONS[name](0.5)).train(), torch.get_rng_state()
    x = torch.full((4, 50), 0.5)
    first, second = (model.losses(x)["reconstruction"] for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)


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

    mean, log_variance, _ = model.encoder(x)
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


# --- The importance-weighted bound --------------------------------------------------------------


def iwae(samples: int, latent_dim: int = 2, spread: float = 0.5) -> ImportanceWeightedAutoencoder:
    """Importance-weighted models of equal weights, far enough from the optimum."""
    torch.manual_seed(0)
    model = ImportanceWeightedAutoencoder(
        GaussianEncoder(mlp([6, 5, 2 * latent_dim], "elu")),
        mlp([latent_dim, 5, 6], "elu"),
        BernoulliLikelihood(),
        samples,
    ).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(spread * torch.randn_like(parameter))
    return model


def binary(n: int = 8) -> Tensor:
    return torch.rand(n, 6, generator=torch.Generator().manual_seed(1)).round().double()


def log_weights(model: ImportanceWeightedAutoencoder, x: Tensor, seed: int) -> Tensor:
    """log p(x|z) + log p(z) - log q(z|x) of the same draws, (batch, samples)."""
    mean, log_variance, _ = model.encoder(x)
    q = Normal(mean[:, None], (log_variance / 2).exp()[:, None])
    n, k, latent_dim = len(x), model.samples, mean.shape[1]
    noise = torch.randn(
        n * k, latent_dim, generator=torch.Generator().manual_seed(seed), dtype=x.dtype
    )
    code = q.loc + q.scale * noise.view(n, k, latent_dim)
    likely = Bernoulli(logits=model.decoder(code)).log_prob(x[:, None]).sum(2)
    return likely + (Normal(0.0, 1.0).log_prob(code) - q.log_prob(code)).sum(2)


def negative_bound(model: Autoencoder, x: Tensor, seed: int = 7) -> Tensor:
    return sum(model.losses(x, torch.Generator().manual_seed(seed)).values())


@pytest.mark.parametrize("samples", [1, 2, 5, 50])
def test_the_importance_weighted_loss_is_minus_the_log_of_the_mean_weight(samples: int) -> None:
    model, x = iwae(samples), binary()
    bound = log_weights(model, x, 7).exp().mean(1).log()
    torch.testing.assert_close(negative_bound(model, x), -bound)


def test_the_importance_weighted_loss_has_the_gradient_of_its_bound() -> None:
    model, x = iwae(5), binary()
    parameters = list(model.parameters())
    found = torch.autograd.grad(negative_bound(model, x).mean(), parameters)
    bound = log_weights(model, x, 7).logsumexp(1) - math.log(5)
    torch.testing.assert_close(found, torch.autograd.grad(-bound.mean(), parameters))


@pytest.mark.parametrize("samples", [1, 5])
def test_the_terms_of_the_importance_weighted_loss_say_what_they_are(samples: int) -> None:
    model, x = iwae(samples), binary()
    losses = model.losses(x, torch.Generator().manual_seed(7))
    assert list(losses) == ["reconstruction", "kl", "importance"]
    assert (losses["importance"] <= 1e-12).all()
    assert losses["importance"].any() == (samples > 1)
    weights = log_weights(model, x, 7)
    torch.testing.assert_close(losses["reconstruction"] + losses["kl"], -weights.mean(1))
    gain = weights.exp().mean(1).log() - weights.mean(1)
    torch.testing.assert_close(losses["importance"], -gain)


def test_with_one_draw_the_bound_is_the_elbo_on_average() -> None:
    model, x = iwae(1), binary(1)
    n = 20_000
    totals = negative_bound(model, x.expand(n, 6)).detach()
    mean, log_variance, _ = model.encoder(x)
    q = Normal(mean[0], (log_variance[0] / 2).exp())
    codes = q.loc + q.scale * torch.randn(
        n, 2, generator=torch.Generator().manual_seed(3), dtype=x.dtype
    )
    likely = Bernoulli(logits=model.decoder(codes)).log_prob(x).sum(1).detach()
    negative_elbo = kl_divergence(q, Normal(0.0, 1.0)).sum().detach() - likely
    error = math.hypot(totals.std().item(), negative_elbo.std().item()) / math.sqrt(n)
    assert abs(totals.mean() - negative_elbo.mean()).item() < 4 * error


def test_more_draws_bring_the_bound_up_to_the_likelihood() -> None:
    """Against log p(x) by integrating over a code of one dimension."""
    x, n = binary(1), 2_000
    means, errors = [], []
    for samples in (1, 5, 50, 500):
        model = iwae(samples, latent_dim=1, spread=1)
        bounds = -negative_bound(model, x.expand(n, 6)).detach()
        means.append(bounds.mean().item())
        errors.append(bounds.std().item() / math.sqrt(n))
    code = torch.linspace(-12, 12, 20_001, dtype=torch.float64)[:, None]
    joint = Bernoulli(logits=model.decoder(code)).log_prob(x).sum(1)
    joint = joint + Normal(0.0, 1.0).log_prob(code[:, 0])
    likelihood = math.log(np.trapezoid(joint.detach().exp().numpy(), code[:, 0].numpy()))
    assert means[1] > means[0] + 4 * errors[0]
    assert means[2] > means[1] + 4 * errors[1]
    assert means[2] < likelihood
    assert means[3] == pytest.approx(likelihood, abs=5 * errors[3])
    assert means[0] < likelihood - 0.1


@pytest.mark.parametrize("training", [True, False])
def test_the_importance_weighted_loss_repeats_without_a_generator(training: bool) -> None:
    model, x = iwae(5).train(training), binary()
    first, second = model.losses(x), model.losses(x)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert sum(first.values()).isfinite().all()


# --- Labels -------------------------------------------------------------------------------------


def test_encoder_and_decoder_see_the_label_as_further_features() -> None:
    model = Autoencoder(PointEncoder(nn.Identity()), nn.Identity(), Gaussian(), n_classes=3)
    labels = torch.tensor([2, 0])
    one_hot = torch.tensor([[0.0, 0, 1], [1, 0, 0]])
    assert torch.equal(model.encode(X, labels=labels), torch.cat([X, one_hot], 1))
    assert torch.equal(model.decode(X, labels), torch.cat([X, one_hot], 1))


def test_noise_is_for_the_features_and_never_for_the_label() -> None:
    seen = []

    class Encoder(nn.Module):
        def forward(self, x: Tensor) -> Posterior:
            seen.append(x)
            return Posterior(x[:, :2])

    model = Autoencoder(Encoder(), nn.Identity(), Gaussian(), corruption=add_ten, n_classes=2)
    model.likelihood.loss = lambda output, x: output.sum(1)
    losses = model.train().losses(X, None, torch.tensor([1, 0]))
    assert torch.equal(seen[0], torch.cat([X + 10, torch.tensor([[0.0, 1], [1, 0]])], 1))
    assert torch.equal(losses["reconstruction"], X.sum(1) + 20 + 1)


def test_labels_may_be_any_whole_numbers_and_the_model_without_classes_ignores_them() -> None:
    model = Autoencoder(PointEncoder(nn.Identity()), nn.Identity(), Gaussian(), n_classes=3)
    codes = [
        model.encode(X, labels=torch.tensor([2, 0], dtype=kind))
        for kind in (torch.int64, torch.int32, torch.uint8, torch.float32)
    ]
    assert all(torch.equal(code, codes[0]) for code in codes)
    assert torch.equal(mirror().encode(X, labels=torch.tensor([2, 0])), X)
    with pytest.raises(InvalidRequest, match="give `labels`"):
        model.decode(X)


# --- Dropout and precision ----------------------------------------------------------------------


def with_dropout() -> Autoencoder:
    torch.manual_seed(0)
    encoder, decoder = mlp([6, 50, 2], "tanh", dropout=0.5), mlp([2, 50, 6], "tanh", dropout=0.5)
    return Autoencoder(PointEncoder(encoder), decoder, Gaussian())


def test_dropout_draws_from_the_generator_of_the_loss_and_gives_it_back() -> None:
    model, x = with_dropout().train(), binary().float()
    still = model.losses(x)["reconstruction"]
    first, again, other = (
        model.losses(x, torch.Generator().manual_seed(seed))["reconstruction"] for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, still)
    layers = [layer for layer in model.modules() if isinstance(layer, SeededDropout)]
    assert len(layers) == 2
    assert all(layer.generator is None for layer in layers)
    assert torch.equal(model.reconstruct(x), model.eval().reconstruct(x))
    assert torch.equal(model.losses(x, torch.Generator())["reconstruction"], still)


def test_dropout_gives_the_generator_back_when_a_loss_fails() -> None:
    model = with_dropout().train()
    with pytest.raises(RuntimeError):
        model.losses(torch.zeros(2, 5), torch.Generator())
    assert torch.equal(model.reconstruct(binary().float()), model.reconstruct(binary().float()))


def test_bfloat16_is_for_the_networks_in_training_alone() -> None:
    torch.manual_seed(0)
    kinds = []
    model, x = vae(), binary().float()
    model.decoder.register_forward_hook(lambda module, seen, output: kinds.append(output.dtype))

    def total(training: bool, bfloat16: bool) -> Tensor:
        model.train(training).uses_bfloat16 = bfloat16
        losses = model.losses(x, torch.Generator().manual_seed(0))
        assert all(values.dtype == torch.float32 for values in losses.values())
        return sum(losses.values())

    assert torch.equal(total(False, True), total(False, False))
    fine, coarse = total(True, False), total(True, True)
    assert kinds == [torch.float32] * 3 + [torch.bfloat16]
    assert not torch.equal(fine, coarse)
    torch.testing.assert_close(coarse, fine, rtol=0.02, atol=0)
    coarse.mean().backward()
    assert all(parameter.grad.dtype == torch.float32 for parameter in model.parameters())
    assert model.encode(x).dtype == model.reconstruct(x).dtype == torch.float32
