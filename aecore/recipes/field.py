"""Recipe of the vector field that a denoising autoencoder learns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from aecore.data import Dataset, Samples
from aecore.data.spec import DataSpec
from aecore.recipes.pictures import reconstruct
from aecore.recipes.registry import recipe
from aecore.recipes.results import SEED, Finding, Picture

if TYPE_CHECKING:
    from aecore.recipes.experiment import Experiment


def _lattice(ends: np.ndarray, steps: int) -> np.ndarray:
    """Evenly spaced points of a box, (steps, ..., len(ends)); more of them for a curve."""
    if len(ends) == 1:
        low, high = ends[0]
        return np.linspace(low, high, 20 * steps)[:, None, None]
    axes = [np.linspace(low, high, steps) for low, high in ends]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


SPIRAL_NOISE, FIELD_NOISE = 0.05, 0.2


def spiral() -> np.ndarray:
    """200 centres along one and a half turns of a spiral, (200, 2), within about [-1.5, 1.5]."""
    turn = np.linspace(0.25, 1, 200)
    angle = 3 * np.pi * turn
    return 1.5 * turn[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def spiral_score(x: np.ndarray, deviation: float) -> np.ndarray:
    """grad log p(x) of an equal mixture of N(c, deviation^2 I) over the spiral's centres c.

    sum_c w_c(x) (c - x) / deviation^2, w_c the posterior weights of the centres.

    Arguments
        x: (n, 2).
    """
    offsets = spiral()[None] - x[:, None]
    exponents = -np.square(offsets).sum(2) / (2 * deviation**2)
    weights = np.exp(exponents - exponents.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    return (weights[:, :, None] * offsets).sum(1) / deviation**2


def _spiral_dataset() -> Dataset:
    def read(split: str) -> Samples:
        random = np.random.default_rng([SEED, split == "test"])
        count = {"train": 10_000, "test": 1_000}[split]
        chosen = random.integers(0, 200, count)
        x = spiral()[chosen] + SPIRAL_NOISE * random.standard_normal((count, 2))
        return Samples(x.astype(np.float32), (chosen / 200).astype(np.float32))

    return Dataset(
        DataSpec(
            name="spiral",
            title="A noisy spiral whose density is known",
            modality="points",
            shape=(2,),
            n_train=10_000,
            n_test=1_000,
            feature_names=("x", "y"),
            source="Generated: an equal mixture of 200 Gaussians along a spiral, seed 0",
            licence="Apache-2.0",
        ),
        read,
    )


@recipe(
    "denoising-field",
    reference=0.8,
    title="The score field of a denoising autoencoder",
    dataset="spiral",
    architecture="2-256-256-64, SiLU, tanh code, squared error, Gaussian noise of 0.2, Adam 0.004 "
    "to its peak and down, batch 250, 60 epochs",
    metric="mean cosine of r(x) - x to the true score at noisy test points, at least {reference}",
    source="Alain & Bengio (2014), What regularized auto-encoders learn from the data-generating "
    "distribution",
)
def _denoising_field(experiment: Experiment) -> Finding:
    """The residual r(x) - x points uphill: sigma^2 times the score of the smoothed density."""
    dataset = experiment.part(_spiral_dataset())
    trained = experiment.train(
        dataset,
        "denoising",
        {
            "hidden": (256, 256),
            "latent_dim": 64,
            "activation": "silu",
            "code_activation": "tanh",
            "level": FIELD_NOISE,
        },
        epochs=60,
        batch_size=250,
        learning_rate=4e-3,
    )
    smoothed = math.hypot(SPIRAL_NOISE, FIELD_NOISE)

    def cosines(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        residual, score = reconstruct(trained, x) - x, spiral_score(x, smoothed)
        lengths = np.linalg.norm(residual, axis=1) * np.linalg.norm(score, axis=1)
        return (residual * score).sum(1) / np.maximum(lengths, 1e-12), residual

    random = np.random.default_rng(SEED)
    noise = random.standard_normal(dataset.test.x.shape)
    found, residual = cosines(dataset.test.x + FIELD_NOISE * noise)
    points = dataset.test.x + FIELD_NOISE * noise
    estimate = residual / FIELD_NOISE**2
    score = spiral_score(points, smoothed)
    error = np.square(estimate - score).sum() / np.square(score).sum()
    axis = np.linspace(-1.8, 1.8, 31)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    # Arrows within the range of noisy samples; elsewhere the network is untrained.
    far = np.linalg.norm(spiral()[None] - grid[:, None], axis=2).min(1)
    grid = grid[far < 2 * smoothed]
    _, moves = cosines(grid)
    arrows = {
        "residual r(x) - x.from": grid,
        "residual r(x) - x.to": grid + moves,
        "true score.from": grid,
        "true score.to": grid + FIELD_NOISE**2 * spiral_score(grid, smoothed),
    }
    picture = Picture("arrows", "Where noise is moved to", {"points": dataset.test.x, **arrows})
    figures = {
        "median cosine": float(np.median(found)),
        "squared error of (r(x) - x) / sigma^2, as a part of the score's square": float(error),
    }
    value = float(found.mean())
    return experiment.at_least(value, figures, [picture])
