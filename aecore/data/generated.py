"""Datasets without files: those of scikit-learn, points of curves and surfaces, drawn shapes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np

from aecore.data.dataset import Column, Samples, SplitReader


def stratified(loader: str, test_size: float, scale: float | None) -> SplitReader:
    """Labelled dataset of scikit-learn, split by class with seed 0.

    Divided by `scale`, or standardised on the training split where that is None.
    """

    def read(split: str) -> Samples:
        from sklearn import datasets
        from sklearn.model_selection import train_test_split

        x, labels = getattr(datasets, loader)(return_X_y=True)
        train, test, train_labels, test_labels = train_test_split(
            x, labels, test_size=test_size, stratify=labels, random_state=0
        )
        if scale is None:
            train, test = _standardise(train, test)
        else:
            train, test = train / scale, test / scale
        chosen = (train, train_labels) if split == "train" else (test, test_labels)
        return Samples(chosen[0].astype(np.float32), chosen[1].astype(np.int64))

    return read


def _standardise(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean, deviation = train.mean(0), train.std(0)
    deviation[deviation == 0] = 1  # a constant feature stays at zero
    return (train - mean) / deviation, (test - mean) / deviation


def curve(points: Callable[[], tuple[np.ndarray, np.ndarray]], n_train: int) -> SplitReader:
    """Points on a curve or surface, standardised on the training split, the first `n_train`."""

    def read(split: str) -> Samples:
        x, position = points()
        train, test = _standardise(x[:n_train], x[n_train:])
        if split == "train":
            return Samples(train.astype(np.float32), position[:n_train].astype(np.float32))
        return Samples(test.astype(np.float32), position[n_train:].astype(np.float32))

    return read


def tilted_ring() -> tuple[np.ndarray, np.ndarray]:
    """200 points of a noisy, tilted three-quarter ring in three dimensions, and their angles.

    a ~ U[-0.5, 3 pi/2 - 0.5), x = cos a + sin a / 2 + 0.05 e, y = 0.7 sin a + 0.05 e,
    z = 0.1 x + 0.3 y + 0.1 e, with e ~ N(0, 1) drawn anew each time; seed 0.
    """
    random = np.random.default_rng(0)
    angle = random.uniform(-0.5, 1.5 * np.pi - 0.5, 200)
    noise = random.standard_normal((3, 200))
    x = np.cos(angle) + np.sin(angle) / 2 + 0.05 * noise[0]
    y = 0.7 * np.sin(angle) + 0.05 * noise[1]
    z = 0.1 * x + 0.3 * y + 0.1 * noise[2]
    return np.stack([x, y, z], axis=1), angle


def swiss_roll() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import make_swiss_roll

    return make_swiss_roll(3000, noise=0.05, random_state=0)


def s_curve() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import make_s_curve

    return make_s_curve(3000, noise=0.05, random_state=0)


# --- Shapes -------------------------------------------------------------------------------------

SHAPES_SIDE, SHAPES_TRAIN, SHAPES_TEST = 32, 10_000, 2_000
SHAPES = ("square", "ellipse", "heart")
HUES = ("red", "amber", "lime", "green", "cyan", "blue", "violet", "pink")
"""Every 45 degrees of the circle of hues."""
FACTORS = {
    "shape": np.arange(3),
    "hue": np.arange(8),
    "size": np.linspace(5, 8, 4),
    "x": np.linspace(9, 23, 16),
    "y": np.linspace(9, 23, 16),
    "rotation": np.arange(8) * 11.25,
}
"""Values of each factor: sizes and places in pixels, rotations in degrees.

Rotations stay within a quarter turn, after which a square is the same again: so no two pictures of
the grid are equal.
"""


def shapes(split: str) -> Samples:
    """Colour images (n, 32 * 32 * 3) of one shape on black, and the shapes' numbers.

    Each edge is antialiased by its distance to a pixel's middle, and values are multiples of 1/255.
    After Matthey and others (2017), dSprites, with a colour and larger steps.
    """
    factors = _factors(split)
    n = len(factors["shape"])
    x = np.empty((n, SHAPES_SIDE**2 * 3), np.float32)
    for first in range(0, n, 1_000):  # a step of all would take a gigabyte
        part = {name: values[first : first + 1_000] for name, values in factors.items()}
        coverage = _coverage(**{name: part[name] for name in part if name != "hue"})
        pictures = coverage[..., None] * _colors()[part["hue"]][:, None, None]
        x[first : first + 1_000] = np.round(255 * pictures).reshape(len(pictures), -1) / 255
    return Samples(x, factors["shape"].astype(np.int64))


def shape_factors(split: str) -> Mapping[str, Column]:
    """The factors of `shapes` other than the shape, which is the label."""
    factors = _factors(split)
    colors = tuple("#" + bytes(np.round(255 * each).astype(np.uint8)).hex() for each in _colors())
    numbers = {name: Column(factors[name].astype(np.float32)) for name in list(FACTORS)[2:]}
    return {"hue": Column(factors["hue"].astype(np.int64), HUES, colors)} | numbers


@lru_cache
def _factors(split: str) -> dict[str, np.ndarray]:
    """Values of each factor for the samples of a split, which have no two in common."""
    sizes = [len(values) for values in FACTORS.values()]
    drawn = np.random.default_rng(0).choice(
        math.prod(sizes), SHAPES_TRAIN + SHAPES_TEST, replace=False
    )
    own = drawn[:SHAPES_TRAIN] if split == "train" else drawn[SHAPES_TRAIN:]
    steps = np.unravel_index(own, sizes)
    return {name: values[step] for (name, values), step in zip(FACTORS.items(), steps, strict=True)}


def _colors() -> np.ndarray:
    """Saturated colours of the hues, (8, 3) in [0, 1]."""
    sixths = np.arange(8)[:, None] * 0.75 + np.array([0, 4, 2])
    return np.clip(np.abs(sixths % 6 - 3) - 1, 0, 1)


def _coverage(
    shape: np.ndarray, size: np.ndarray, x: np.ndarray, y: np.ndarray, rotation: np.ndarray
) -> np.ndarray:
    """Share of each pixel that a shape covers, (n, 32, 32), by its distance to the edge."""
    middle = np.arange(SHAPES_SIDE) + 0.5
    size, angle = size[:, None, None], np.radians(rotation)[:, None, None]
    right = (middle[None, None] - x[:, None, None]) / size
    up = (y[:, None, None] - middle[None, :, None]) / size
    u = right * np.cos(angle) + up * np.sin(angle)
    v = up * np.cos(angle) - right * np.sin(angle)
    of_each = (_square(u, v), _ellipse(u, v), _heart(u, v))
    return np.clip(0.5 - size * np.choose(shape[:, None, None], of_each), 0, 1)


def _square(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Signed distance to a square of side 1.6, by the larger coordinate."""
    return np.maximum(np.abs(u), np.abs(v)) - 0.8


def _ellipse(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Signed distance to an ellipse of half axes 1 and 0.6, to first order at its edge."""
    level = np.hypot(u, v / 0.6)
    return level * (level - 1) / np.maximum(np.hypot(u, v / 0.36), 1e-9)


def _heart(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Signed distance to a heart: two half discs on a square that stands on a corner."""
    scale = 1.6
    u, v = np.abs(u) / scale, v / scale + 0.55
    disc = np.hypot(u - 0.25, v - 0.75) - math.sqrt(2) / 4
    along = np.maximum(u + v, 0) / 2
    edge = np.minimum(np.hypot(u, v - 1), np.hypot(u - along, v - along)) * np.sign(u - v)
    return scale * np.where(u + v > 1, disc, edge)
