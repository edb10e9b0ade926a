"""Encoders, decoders and the draw of a code."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
from torch import nn

from aecore.networks import ACTIVATION_LAYERS, GaussianEncoder, PointEncoder, Posterior, mlp
from aecore.variants import Activation


def test_every_activation_that_can_be_chosen_has_its_layer() -> None:
    assert {*get_args(Activation), "identity"} == set(ACTIVATION_LAYERS)


@pytest.mark.parametrize("activation", ACTIVATION_LAYERS)
def test_activations_stand_between_the_layers_only(activation: str) -> None:
    network = mlp([5, 4, 3, 2], activation)
    kinds = [type(layer) for layer in network]
    between = ACTIVATION_LAYERS[activation]
    assert kinds == [nn.Linear, between, nn.Linear, between, nn.Linear]


def test_weights_start_glorot_uniform_and_biases_at_zero() -> None:
    layer = mlp([300, 200], "elu")[0]
    bound = math.sqrt(6 / (300 + 200))
    assert layer.weight.abs().max() <= bound
    # The standard deviation of a uniform distribution on [-b, b] is b / sqrt(3).
    assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)
    assert not layer.bias.any()


def test_a_point_encoder_has_no_variance() -> None:
    x = torch.ones(3, 4)
    posterior = PointEncoder(nn.Identity())(x)
    assert posterior.log_variance is None
    assert posterior.mean is x


def test_a_gaussian_encoder_gives_means_and_then_log_variances() -> None:
    mean, log_variance = GaussianEncoder(nn.Identity())(torch.tensor([[1.0, 2, 3, 4]]))
    assert mean.tolist() == [[1, 2]]
    assert log_variance.tolist() == [[3, 4]]


def test_draws_have_the_mean_and_deviation_of_the_posterior() -> None:
    n = 200_000
    mean = torch.tensor([1.0, -2.0]).expand(n, 2)
    log_variance = torch.tensor([4.0, 0.25]).log().expand(n, 2)
    draws = Posterior(mean, log_variance).sample(torch.Generator().manual_seed(0))
    torch.testing.assert_close(draws.mean(0), mean[0], atol=0.02, rtol=0)
    torch.testing.assert_close(draws.std(0), torch.tensor([2.0, 0.5]), atol=0.02, rtol=0)
    assert abs(torch.corrcoef(draws.T)[0, 1]) < 0.01


def test_without_a_generator_the_mean_is_drawn() -> None:
    posterior = Posterior(torch.ones(2, 2), torch.zeros(2, 2))
    assert posterior.sample(None) is posterior.mean


def test_a_point_is_drawn_as_it_is() -> None:
    posterior = Posterior(torch.ones(2, 2))
    assert posterior.sample(torch.Generator()) is posterior.mean


def test_gradients_reach_mean_and_variance_through_a_draw() -> None:
    mean = torch.zeros(4, 2, requires_grad=True)
    log_variance = torch.zeros(4, 2, requires_grad=True)
    Posterior(mean, log_variance).sample(torch.Generator().manual_seed(0)).sum().backward()
    assert (mean.grad == 1).all()
    assert log_variance.grad.all()
