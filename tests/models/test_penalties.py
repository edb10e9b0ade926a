"""Penalties against torch.distributions, full Jacobians and explicit loops."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch.autograd.functional import jacobian
from torch.distributions import Bernoulli, Normal, kl_divergence

from aecore.models import penalties
from aecore.models.autoencoder import Autoencoder
from aecore.models.contracts import Posterior
from aecore.models.likelihoods import Gaussian
from aecore.models.networks import CodebookEncoder, PointEncoder, mlp, tied_mlp
from aecore.models.penalties import (
    Codebook,
    CodeL1,
    Contraction,
    LatentKL,
    LatentMMD,
    SparsityKL,
    WeightL2,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draws(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def model_of(encoder: nn.Module, decoder: nn.Module | None = None) -> Autoencoder:
    """Model for penalties that read it."""
    return Autoencoder(encoder, decoder or nn.Identity(), Gaussian())


# --- The latent KL ------------------------------------------------------------------------------


def latent_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    return LatentKL()(None, None, Posterior(mean, log_variance), None)


def test_the_latent_kl_is_that_of_torch_distributions() -> None:
    mean, log_variance = 2 * draws(50, 3), draws(50, 3, seed=2)
    expected = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(latent_kl(mean, log_variance), expected, check_dtype=False)


def test_the_latent_kl_of_the_prior_is_zero() -> None:
    assert not latent_kl(torch.zeros(4, 2), torch.zeros(4, 2)).any()


def test_the_latent_kl_is_the_mean_of_log_ratios_over_draws() -> None:
    mean, log_variance = torch.tensor([[1.0, -0.5]]), torch.tensor([[0.5, -1.0]])
    posterior = Posterior(mean.expand(100_000, 2), log_variance.expand(100_000, 2))
    codes = posterior.sample(torch.Generator().manual_seed(0))
    q, p = Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)
    estimate = (q.log_prob(codes) - p.log_prob(codes)).sum(1).mean()
    torch.testing.assert_close(latent_kl(mean, log_variance)[0], estimate, atol=0.02, rtol=0)


@pytest.mark.parametrize("weight", [0, 0.5, 4])
def test_the_latent_kl_is_weighted(weight: float) -> None:
    mean, log_variance = draws(5, 3), draws(5, 3, seed=2)
    expected = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(1)
    found = LatentKL(weight)(None, None, Posterior(mean, log_variance), None)
    torch.testing.assert_close(found, weight * expected)


@pytest.mark.parametrize(
    ("epochs", "part"), [(0, 0), (0.5, 0.125), (1, 0.25), (3, 0.75), (4, 1), (9, 1), (math.inf, 1)]
)
def test_the_weight_of_the_latent_kl_warms_up_in_training_alone(epochs: float, part: float) -> None:
    posterior = Posterior(torch.tensor([[2.0]]), torch.zeros(1, 1))  # its divergence is 2 nats
    model = model_of(nn.Identity())
    model.epochs_seen = epochs
    penalty = LatentKL(weight=3, warm_up=4)
    assert penalty(model.train(), None, posterior, None).item() == pytest.approx(6 * part)
    assert penalty(model.eval(), None, posterior, None).item() == 6
    assert LatentKL(weight=3)(model.train(), None, posterior, None).item() == 6


def test_a_model_that_was_never_trained_has_the_full_weight() -> None:
    posterior = Posterior(torch.tensor([[2.0]]), torch.zeros(1, 1))
    assert LatentKL(3, warm_up=4)(model_of(nn.Identity()), None, posterior, None).item() == 6


@pytest.mark.parametrize(("epochs", "weight"), [(0.5, 0.375), (3, 2.25), (4, 3), (math.inf, 3)])
def test_the_weight_in_effect_is_a_fact_in_evaluation_as_well(epochs: float, weight: float) -> None:
    model = model_of(nn.Identity())
    model.epochs_seen = epochs
    model.penalties = {"kl": LatentKL(weight=3, warm_up=4), "l1": CodeL1(1)}
    for mode in (True, False):
        assert model.train(mode).facts(draws(5, 2)) == {"kl_weight": weight}


# --- Sparsity -----------------------------------------------------------------------------------


def test_the_l1_of_a_code_is_the_sum_of_its_activations() -> None:
    codes = draws(6, 4)
    expected = [0.3 * sum(abs(value) for value in code) for code in codes.tolist()]
    found = CodeL1(0.3)(None, None, Posterior(codes), None)
    np.testing.assert_allclose(found.numpy(), expected)


def sparsity(codes: Tensor, target: float = 0.1, weight: float = 1) -> Tensor:
    return SparsityKL(target, weight)(None, codes, Posterior(codes), None)


@pytest.mark.parametrize("target", [0.05, 0.5, 0.9])
def test_the_sparsity_is_that_of_bernoullis(target: float) -> None:
    codes = torch.sigmoid(draws(20, 5))
    expected = kl_divergence(Bernoulli(codes.new_tensor(target)), Bernoulli(codes.mean(0))).sum()
    found = sparsity(codes, target, weight=7)
    assert found.shape == (20,)
    torch.testing.assert_close(found, (7 * expected).expand(20))


def test_the_sparsity_is_of_mean_activations_and_not_of_each() -> None:
    """A unit that is wholly on in one sample of ten meets the target of a tenth."""
    assert sparsity(torch.eye(10, dtype=torch.float64)).abs().max() < 1e-12
    assert sparsity(torch.eye(10)[:5]).min() > 1


@pytest.mark.parametrize("activation", [0.0, 1.0])
def test_units_that_are_always_off_or_on_cost_a_finite_sum(activation: float) -> None:
    codes = torch.full((4, 3), activation, requires_grad=True)
    found = sparsity(codes)
    clamped = torch.tensor(activation, dtype=torch.float64).clamp(1e-6, 1 - 1e-6)
    expected = 3 * kl_divergence(Bernoulli(clamped.new_tensor(0.1)), Bernoulli(clamped))
    torch.testing.assert_close(found, expected.float().expand(4), rtol=0.02, atol=0)
    found.mean().backward()
    assert codes.grad.isfinite().all()


@pytest.mark.parametrize(("activation", "sign"), [(0.01, -1), (0.6, 1)])
def test_descent_brings_activations_to_the_target(activation: float, sign: int) -> None:
    codes = torch.full((4, 3), activation, requires_grad=True)
    sparsity(codes).mean().backward()
    assert (codes.grad.sign() == sign).all()


# --- Contraction --------------------------------------------------------------------------------


def deep_encoder(n_codes: int = 3) -> Autoencoder:
    torch.manual_seed(0)
    return model_of(PointEncoder(mlp([6, 5, 4, n_codes], "tanh").append(nn.Sigmoid()).double()))


def squared_jacobians(model: Autoencoder, x: Tensor, create_graph: bool = False) -> Tensor:
    """||dh/dx||_F^2 of each sample, one Jacobian at a time."""
    norms = []
    for one in x:
        slopes = jacobian(lambda x: model.encoder.network(x), one, create_graph=create_graph)
        norms.append(slopes.square().sum())
    return torch.stack(norms)


def contraction(
    model: Autoencoder, x: Tensor, how: str, weight: float = 1, seed: int | None = 0
) -> Tensor:
    generator = None if seed is None else seeded(seed)
    return Contraction(weight, how)(model, x, model.encoder(x), generator)


def test_the_exact_contraction_of_a_deep_encoder_is_that_of_its_whole_jacobian() -> None:
    model, x = deep_encoder(), draws(5, 6)
    expected = squared_jacobians(model, x)
    torch.testing.assert_close(contraction(model, x, "exact", weight=2), 2 * expected)


def test_the_exact_contraction_has_the_gradient_of_the_whole_jacobian() -> None:
    model, x = deep_encoder(), draws(5, 6)
    weights = [weight for weight in model.parameters() if weight.ndim == 2]
    expected = torch.autograd.grad(squared_jacobians(model, x, create_graph=True).sum(), weights)
    found = torch.autograd.grad(contraction(model, x, "exact").sum(), weights)
    torch.testing.assert_close(found, expected)


def test_the_closed_form_of_one_sigmoid_layer_is_exact() -> None:
    torch.manual_seed(0)
    model = model_of(PointEncoder(mlp([6, 4], "elu").append(nn.Sigmoid()).double()))
    x = draws(5, 6)
    expected = squared_jacobians(model, x, create_graph=True)
    found = contraction(model, x, "closed-form", weight=3)
    torch.testing.assert_close(found, 3 * expected)
    weights = list(model.parameters())
    torch.testing.assert_close(
        torch.autograd.grad(found.sum(), weights),
        torch.autograd.grad(3 * expected.sum(), weights),
    )


def test_the_estimated_contraction_is_exact_on_average() -> None:
    model = deep_encoder()
    for x in draws(2, 6):
        estimates = contraction(model, x.expand(20_000, 6), "hutchinson", weight=2).detach()
        error = estimates.std() / math.sqrt(len(estimates))
        assert error > 0
        assert abs(estimates.mean() - 2 * squared_jacobians(model, x[None])[0]) < 4 * error


def test_the_estimated_contraction_has_the_exact_gradient_on_average() -> None:
    model, x = deep_encoder(), draws(1, 6)
    weights = [weight for weight in model.parameters() if weight.ndim == 2]
    exact = torch.autograd.grad(squared_jacobians(model, x, create_graph=True).sum(), weights)
    many = x.expand(200, 6)
    rounds = [
        torch.autograd.grad(contraction(model, many, "hutchinson", seed=seed).mean(), weights)
        for seed in range(60)
    ]
    for estimates, expected in zip(zip(*rounds, strict=True), exact, strict=True):
        estimates = torch.stack(estimates)
        error = estimates.std(0) / math.sqrt(len(estimates))
        assert expected.all()
        assert ((estimates.mean(0) - expected).abs() < 5 * error).all()


def test_for_a_single_unit_the_estimate_is_exact() -> None:
    """A random sign squared is one, which a Gaussian number is only on average."""
    model, x = deep_encoder(n_codes=1), draws(5, 6)
    torch.testing.assert_close(contraction(model, x, "hutchinson"), squared_jacobians(model, x))


def test_the_signs_are_drawn_anew_for_every_batch_from_the_generator() -> None:
    model, x, generator = deep_encoder(), draws(5, 6), seeded(3)
    penalty, posterior = Contraction(1), deep_encoder().encoder(x)
    first, second = (penalty(model, x, posterior, generator) for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(first, contraction(model, x, "hutchinson", seed=3))


@pytest.mark.parametrize("how", ["hutchinson", "exact"])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_contraction_is_the_same_where_no_gradient_is_asked(how: str, mode: type) -> None:
    model, x = deep_encoder(), draws(5, 6)
    expected = contraction(model, x, how)
    assert expected.requires_grad
    with mode():
        inner = x.clone()
        found = contraction(model, inner, how)
        assert not found.requires_grad
    torch.testing.assert_close(found.clone(), expected.detach())


def test_the_contraction_leaves_no_gradient_behind() -> None:
    model, x = deep_encoder(), draws(5, 6).requires_grad_()
    for how in ("hutchinson", "exact"):
        contraction(model, x, how)
    assert x.grad is None
    assert all(weight.grad is None for weight in model.parameters())


# --- Weights ------------------------------------------------------------------------------------


def decay(model: Autoencoder, weight: float = 0.1, n: int = 4) -> Tensor:
    return WeightL2(weight)(model, torch.zeros(n, 1), None, None)


def half_squares(*weights: Tensor) -> float:
    return sum(value**2 for weight in weights for value in weight.flatten().tolist()) / 2


def test_l2_is_half_the_squared_weights_without_the_biases() -> None:
    torch.manual_seed(0)
    inward, outward = mlp([5, 4, 3], "elu"), mlp([3, 4, 5], "elu")
    for layer in (*inward[::2], *outward[::2]):
        nn.init.constant_(layer.bias, 100)
    found = decay(model_of(PointEncoder(inward), outward))
    expected = half_squares(*(layer.weight for layer in (*inward[::2], *outward[::2])))
    assert found.tolist() == pytest.approx([0.1 * expected] * 4)


def test_l2_counts_a_tied_weight_once() -> None:
    torch.manual_seed(0)
    inward = mlp([5, 4, 3], "elu")
    found = decay(model_of(PointEncoder(inward), tied_mlp(inward, "elu")))
    expected = half_squares(inward[0].weight, inward[2].weight)
    assert found.tolist() == pytest.approx([0.1 * expected] * 4)
    found.mean().backward()
    torch.testing.assert_close(inward[0].weight.grad, 0.1 * inward[0].weight.detach())


def test_l2_counts_filters() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(2, 3, 3)
    found = decay(model_of(PointEncoder(layer)))
    assert found.tolist() == pytest.approx([0.1 * half_squares(layer.weight)] * 4)


# --- The distance of codes from the prior -------------------------------------------------------


def mmd(codes: Tensor, generator: torch.Generator | None = None, weight: float = 1) -> Tensor:
    return LatentMMD(weight)(None, codes, Posterior(codes), generator)


def similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Kernel of Tolstikhin and others, with their seven scales."""
    constants = [2 * len(a) * scale for scale in (0.1, 0.2, 0.5, 1, 2, 5, 10)]
    return sum(constant / (constant + sum((a - b) ** 2)) for constant in constants)


def test_the_mmd_is_the_unbiased_statistic() -> None:
    codes = 1.5 * draws(9, 3) + 0.5
    prior = torch.randn(9, 3, generator=seeded(4), dtype=torch.float64).numpy()
    z, pairs = codes.numpy(), list(itertools.permutations(range(9), 2))
    within = np.mean([similarity(z[i], z[j]) + similarity(prior[i], prior[j]) for i, j in pairs])
    between = np.mean([similarity(a, b) for a in z for b in prior])
    found = mmd(codes, seeded(4), weight=5)
    assert found.shape == (9,)
    assert found.mean().item() == pytest.approx(5 * (within - 2 * between))


def test_the_mmd_of_codes_from_the_prior_is_zero_on_average() -> None:
    generator = seeded(0)
    found = torch.stack([mmd(draws(30, 2, seed=s), generator).mean() for s in range(400)])
    error = found.std() / math.sqrt(len(found))
    assert abs(found.mean()) < 4 * error
    assert found.min() < 0 < found.max()  # as of an unbiased statistic
    away = torch.stack([mmd(draws(30, 2, seed=s) + 0.5, generator).mean() for s in range(400)])
    assert away.mean() > 20 * error


def test_the_mmd_grows_as_codes_move_away_from_the_prior() -> None:
    codes = draws(200, 2)
    moved = [mmd(codes + shift, seeded()).mean().item() for shift in (0, 0.5, 1, 2, 4)]
    spread = [mmd(codes * scale, seeded()).mean().item() for scale in (1, 2, 4, 8)]
    shrunk = [mmd(codes * scale, seeded()).mean().item() for scale in (1, 0.5, 0.2, 0)]
    for values in (moved, spread, shrunk):
        assert values == sorted(values)
        assert values[-1] > values[0] + 0.1


@pytest.mark.parametrize("codes", [torch.ones(1, 3), torch.ones(4, 3)], ids=["one", "equal"])
def test_the_mmd_of_one_code_or_of_equal_ones_is_finite(codes: Tensor) -> None:
    codes = codes.clone().requires_grad_()
    found = mmd(codes, seeded())
    found.mean().backward()
    assert found.isfinite().all()
    assert codes.grad.isfinite().all()
    assert codes.grad.any()


def test_the_mmd_draws_anew_for_every_batch() -> None:
    codes, generator = draws(9, 3), seeded()
    assert not torch.equal(mmd(codes, generator), mmd(codes, generator))
    assert torch.equal(mmd(codes, seeded(1)), mmd(codes, seeded(1)))


# --- The codebook -------------------------------------------------------------------------------


def test_a_codebook_goes_to_its_codes_and_codes_to_their_choice() -> None:
    """Both gradients as the two stops leave them, summed by hand over the groups of a code."""
    commitment, size, width = 0.25, 4, 2
    torch.manual_seed(0)
    encoder = CodebookEncoder(nn.Identity(), size, width).double()
    codes = draws(10, 3 * width).requires_grad_()
    values = Codebook(commitment)(model_of(encoder), codes, encoder(codes), None)
    values.sum().backward()

    book, expected = encoder.codebook.detach().numpy(), np.zeros(10)
    to_codes, to_vectors = np.zeros((10, 3 * width)), np.zeros((size, width))
    for row, code in enumerate(codes.detach().numpy()):
        for at in range(0, 3 * width, width):
            z = code[at : at + width]
            k = min(range(size), key=lambda k: sum((z - book[k]) ** 2))
            expected[row] += (1 + commitment) * sum((z - book[k]) ** 2)
            to_codes[row, at : at + width] = 2 * commitment * (z - book[k])
            to_vectors[k] += 2 * (book[k] - z)
    np.testing.assert_allclose(values.detach().numpy(), expected)
    np.testing.assert_allclose(codes.grad.numpy(), to_codes)
    np.testing.assert_allclose(encoder.codebook.grad.numpy(), to_vectors)
    assert np.any(to_vectors)


def test_without_commitment_the_codebook_moves_alone() -> None:
    torch.manual_seed(0)
    encoder = CodebookEncoder(nn.Identity(), 4, 2).double()
    codes = draws(10, 6).requires_grad_()
    Codebook(0)(model_of(encoder), codes, encoder(codes), None).sum().backward()
    assert not codes.grad.any()
    assert encoder.codebook.grad.any()


def test_the_use_of_a_codebook_is_counted() -> None:
    """Vectors 0, 1 and 2 of five are used four times, once and once."""
    encoder = CodebookEncoder(nn.Identity(), 5, 2)
    encoder.codebook.data = torch.arange(10.0).view(5, 2)
    codes = encoder.codebook.data[torch.tensor([[0, 0, 1], [0, 2, 0]])].flatten(1)
    model = model_of(encoder)
    model.penalties = {"codebook": Codebook(0.25)}
    facts = model.facts(codes + 0.1)
    shares = [4 / 6, 1 / 6, 1 / 6]
    assert facts == {
        "codebook_used": 3 / 5,
        "codebook_dead": 2,
        "codebook_perplexity": pytest.approx(math.exp(stats.entropy(shares))),
    }


def test_the_use_of_a_codebook_is_the_same_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = model_of(CodebookEncoder(nn.Identity(), 16, 2))
    whole = Codebook(1).facts(model, draws(50, 6).float())
    assert 1 < whole["codebook_perplexity"] < 16
    monkeypatch.setattr(penalties, "CHUNK", 7)
    assert Codebook(1).facts(model, draws(50, 6).float()) == whole
