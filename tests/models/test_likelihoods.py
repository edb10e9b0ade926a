"""Likelihoods against SciPy and torch.distributions."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
import torch
from scipy import special, stats
from torch import distributions

from aecore.models.likelihoods import LIKELIHOODS, Bernoulli, Gaussian, SquashedGaussian
from aecore.models.variants import LikelihoodName

RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(size=(6, 9))
OUTPUT = RANDOM.normal(scale=3, size=(6, 9))


def loss(likelihood: object, output: np.ndarray = OUTPUT, x: np.ndarray = X) -> np.ndarray:
    return likelihood.loss(torch.tensor(output), torch.tensor(x)).numpy()


def test_every_likelihood_that_can_be_chosen_is_there() -> None:
    assert set(get_args(LikelihoodName)) == set(LIKELIHOODS)


def test_squared_error_is_a_gaussian_of_variance_one_half_without_its_constant() -> None:
    nats = -stats.norm.logpdf(X, loc=OUTPUT, scale=math.sqrt(1 / 2)).sum(1)
    np.testing.assert_allclose(loss(Gaussian()), nats - 9 / 2 * math.log(math.pi))


def test_the_squashed_gaussian_scores_a_sigmoid() -> None:
    expected = ((special.expit(OUTPUT) - X) ** 2).sum(1)
    np.testing.assert_allclose(loss(SquashedGaussian()), expected)


def test_cross_entropy_of_black_and_white_is_bernoullis() -> None:
    x = (X > 0.5).astype(float)
    nats = -stats.bernoulli.logpmf(x, special.expit(OUTPUT)).sum(1)
    np.testing.assert_allclose(loss(Bernoulli(), x=x), nats)


def test_cross_entropy_of_grey_values_follows_its_formula() -> None:
    p = special.expit(OUTPUT)
    expected = -(special.xlogy(X, p) + special.xlogy(1 - X, 1 - p)).sum(1)
    np.testing.assert_allclose(loss(Bernoulli()), expected)


def test_the_floor_of_grey_cross_entropy_is_the_entropy_of_the_targets() -> None:
    floor = distributions.Bernoulli(torch.tensor(X)).entropy().sum(1)
    np.testing.assert_allclose(loss(Bernoulli(), special.logit(X)), floor)


def test_cross_entropy_of_extreme_outputs_is_a_number() -> None:
    output = np.where(X > 0.5, 1e4, -1e4)
    assert np.isfinite(loss(Bernoulli(), output)).all()


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_losses_are_sums_over_the_features_of_each_sample(name: str) -> None:
    whole = loss(LIKELIHOODS[name])
    halves = [
        loss(LIKELIHOODS[name], OUTPUT[:, part], X[:, part]) for part in (slice(4), slice(4, 9))
    ]
    assert whole.shape == (6,)
    np.testing.assert_allclose(whole, sum(halves))


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_images_score_as_their_pixels_do(name: str) -> None:
    square = (6, 3, 3)
    images = loss(LIKELIHOODS[name], OUTPUT.reshape(square), X.reshape(square))
    np.testing.assert_allclose(images, loss(LIKELIHOODS[name]))


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_no_reconstruction_scores_better_than_the_input_itself(name: str) -> None:
    output = torch.tensor(X).logit() if name != "gaussian" else torch.tensor(X)
    np.testing.assert_allclose(LIKELIHOODS[name].mean(output), X)
    assert (loss(LIKELIHOODS[name], output.numpy()) < loss(LIKELIHOODS[name])).all()
