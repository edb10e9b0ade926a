"""Corruptions: rate, effect on the hit values, and unchanged others."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from aecore.models.contracts import Corruption
from aecore.models.corruptions import CORRUPTIONS, Dropout, GaussianNoise, Masking, SaltAndPepper
from aecore.models.variants import Noise

N, WIDTH = 5_000, 20
LEVELS = [0.05, 0.3, 0.8]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def samples(n: int = N) -> Tensor:
    """Values strictly inside (0, 1), so that every 0 or 1 is a corruption."""
    return 0.1 + 0.8 * torch.rand(n, WIDTH, generator=seeded(9))


def assert_rate(hit: Tensor, rate: float) -> None:
    """Assert that rates, overall and per feature, and their variance are binomial."""
    error = math.sqrt(rate * (1 - rate) / hit.numel())
    assert abs(hit.double().mean().item() - rate) < 4 * error
    each = hit.double().mean(0) - rate
    assert each.abs().max().item() < 5 * error * math.sqrt(hit.shape[1])
    # Independent coins, and not one for a whole sample or the same ones for all of them.
    spread = hit.double().sum(1).var().item()
    assert spread == pytest.approx(rate * (1 - rate) * hit.shape[1], rel=0.15)


@pytest.mark.parametrize("level", LEVELS)
def test_masking_sets_a_part_to_zero_and_leaves_survivors_as_they_are(level: float) -> None:
    x = samples()
    noisy = Masking(level)(x, seeded())
    hit = noisy == 0
    assert_rate(hit, level)
    assert torch.equal(noisy[~hit], x[~hit])


@pytest.mark.parametrize("level", LEVELS)
def test_dropout_scales_survivors_so_that_the_mean_stays(level: float) -> None:
    x = samples()
    noisy = Dropout(level)(x, seeded())
    hit = noisy == 0
    assert_rate(hit, level)
    torch.testing.assert_close(noisy[~hit], x[~hit] / (1 - level))
    error = noisy.std().item() / math.sqrt(noisy.numel())
    assert abs(noisy.mean().item() - x.mean().item()) < 4 * error


@pytest.mark.parametrize("level", LEVELS)
def test_salt_and_pepper_are_halves_of_what_is_hit(level: float) -> None:
    x = samples()
    noisy = SaltAndPepper(level)(x, seeded())
    pepper, salt = noisy == 0, noisy == 1
    assert_rate(pepper, level / 2)
    assert_rate(salt, level / 2)
    rest = ~(pepper | salt)
    assert torch.equal(noisy[rest], x[rest])


@pytest.mark.parametrize("level", LEVELS)
def test_gaussian_noise_has_the_level_for_its_standard_deviation(level: float) -> None:
    x = samples()
    noise = (GaussianNoise(level)(x, seeded()) - x).double()
    assert noise.std().item() == pytest.approx(level, rel=0.01)
    assert stats.kstest(noise.flatten().numpy() / level, "norm").pvalue > 0.001
    between = np.corrcoef(noise.T.numpy()) - np.eye(WIDTH)
    assert np.abs(between).max() < 5 / math.sqrt(N)


def test_gaussian_noise_leaves_the_range_unless_it_is_clipped() -> None:
    x = samples()
    free, clipped = (GaussianNoise(0.5, clip)(x, seeded()) for clip in (False, True))
    assert free.min() < 0 and free.max() > 1
    inside = (free > 0) & (free < 1)
    assert torch.equal(clipped[inside], free[inside])
    assert (clipped[free <= 0] == 0).all()
    assert (clipped[free >= 1] == 1).all()


# --- What holds for all of them -----------------------------------------------------------------


@pytest.fixture(params=CORRUPTIONS)
def corruption(request: pytest.FixtureRequest) -> Corruption:
    return CORRUPTIONS[request.param](0.4)


def test_every_noise_that_can_be_chosen_is_there() -> None:
    assert set(get_args(Noise)) == set(CORRUPTIONS)


def test_noise_is_new_for_each_call(corruption: Corruption) -> None:
    x, generator = samples(10), seeded()
    first, second = corruption(x, generator), corruption(x, generator)
    assert not torch.equal(first, second)


def test_noise_is_the_same_for_the_same_seed(corruption: Corruption) -> None:
    x = samples(10)
    assert torch.equal(corruption(x, seeded(3)), corruption(x, seeded(3)))
    assert not torch.equal(corruption(x, seeded(3)), corruption(x, seeded(4)))


def test_the_global_random_numbers_do_not_matter(corruption: Corruption) -> None:
    x, before = samples(10), torch.get_rng_state()
    corruption(x, seeded())
    assert torch.equal(torch.get_rng_state(), before)


def test_each_sample_gets_noise_of_its_own(corruption: Corruption) -> None:
    noisy = corruption(torch.full((2, 100), 0.5), seeded())
    assert not torch.equal(noisy[0], noisy[1])


def test_the_input_stays_as_it_was(corruption: Corruption) -> None:
    x = samples(10)
    before = x.clone()
    noisy = corruption(x, seeded())
    assert torch.equal(x, before)
    assert noisy.data_ptr() != x.data_ptr()
    noisy.zero_()
    assert torch.equal(x, before)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(1, 1), (3, 7)])
def test_shape_and_kind_of_number_stay(
    corruption: Corruption, kind: torch.dtype, shape: tuple[int, int]
) -> None:
    noisy = corruption(torch.full(shape, 0.5, dtype=kind), seeded())
    assert noisy.shape == shape
    assert noisy.dtype == kind


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_no_noise_at_all_is_the_input(name: str) -> None:
    x = samples(10)
    assert torch.equal(CORRUPTIONS[name](0)(x, seeded()), x)
