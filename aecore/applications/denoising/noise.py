"""Corruptions of images in [0, 1], each with a range of levels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aecore import models
from aecore.errors import InvalidRequest, unknown

if TYPE_CHECKING:
    from aecore.data import Dataset

LEVELS = 8
"""Levels of a curve, evenly spaced; the usual level comes between them."""

Shape = tuple[int, ...]
ReconstructFn = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Samples (n, n_features) and their labels (n,) -> codes or reconstructions, (n, m)."""


@dataclass(frozen=True)
class Noise:
    """A corruption of images in [0, 1], with levels from `least` to `most`."""

    title: str
    unit: str
    least: float
    most: float
    default: float
    draw: Callable[[np.ndarray, Shape, float, int, bool], np.ndarray]
    """Samples (n, n_features), shape, level, seed, clip -> noisy samples."""
    step: float = 0.05
    """From one level to the next that can be chosen."""

    @property
    def steps(self) -> np.ndarray:
        """All selectable levels, (m,)."""
        first, last = (round(level / self.step) for level in (self.least, self.most))
        return (np.arange(first, last + 1) * self.step).round(2)

    @property
    def levels(self) -> np.ndarray:
        """Levels of a curve: `LEVELS` from the least to the most, and the default level."""
        even = self.steps[np.linspace(0, len(self.steps) - 1, LEVELS).round().astype(int)]
        return np.union1d(even, self.default)


def corrupt(
    x: np.ndarray, shape: Shape, noise: str, level: float, seed: int = 0, clip: bool = False
) -> np.ndarray:
    """Add noise to samples; one seed gives the same noise at every level, scaled.

    Arguments
        x: (n, n_features) in [0, 1], images of `shape` (height, width[, channels]).
        noise: a key of `NOISES`; level: in its unit, 0 for none.
        clip: whether Gaussian noise is cut off at 0 and 1; the others stay there anyway.

    Raises `InvalidRequest` for a noise that is not known and a level out of its range.
    """
    if noise not in NOISES:
        raise InvalidRequest(unknown("noise", noise, NOISES))
    entry = NOISES[noise]
    if not 0 <= level <= entry.most:
        raise InvalidRequest(
            f"level = {level:g} of {entry.title.lower()} is out of range: give 0 to {entry.most:g}."
        )
    return entry.draw(np.asarray(x, np.float32), shape, level, seed, clip)


def refuse(dataset: Dataset, noise: str, clip: bool) -> None:
    """Raise `InvalidRequest` for an unknown noise, or one unsuited to the dataset or clipping."""
    problems = []
    if not dataset.traits.pictures:
        problems.append(f"{dataset.name} has no images to denoise: choose a run of images.")
    if noise not in NOISES:
        problems.append(unknown("noise", noise, NOISES))
    elif clip and noise != "gaussian":
        problems.append(f"clip is for Gaussian noise: {noise} stays within 0 and 1 anyway.")
    if problems:
        raise InvalidRequest(problems)


def _trained_on(name: str) -> Callable[..., np.ndarray]:
    """The noise as `aecore.models.corruptions` applies it during training."""

    def draw(x: np.ndarray, shape: Shape, level: float, seed: int, clip: bool) -> np.ndarray:
        import torch

        options = {"clip": clip} if name == "gaussian" else {}
        generator = torch.Generator().manual_seed(seed)
        return models.corruptions.CORRUPTIONS[name](level, **options)(
            torch.tensor(x), generator
        ).numpy()

    return draw


def _block(x: np.ndarray, shape: Shape, level: float, seed: int, clip: bool) -> np.ndarray:
    side = round(level * min(shape[:2]))
    # Near the edges there is often nothing to hide.
    places = 0.25 + 0.5 * np.random.default_rng(seed).random((len(x), 2))
    inside = []
    for axis in (0, 1):
        start = (places[:, axis] * (shape[axis] - side + 1)).astype(int)[:, None]
        along = np.arange(shape[axis])
        inside.append((along >= start) & (along < start + side))
    hole = inside[0][:, :, None] & inside[1][:, None, :]
    images = x.reshape(len(x), *shape[:2], -1)
    return np.where(hole[..., None], np.float32(0), images).reshape(x.shape)


def _blur(x: np.ndarray, shape: Shape, level: float, seed: int, clip: bool) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    images = x.reshape(len(x), *shape[:2], -1)
    return gaussian_filter(images, (0, level, level, 0)).reshape(x.shape)


NOISES = {
    "gaussian": Noise("Gaussian", "standard deviation", 0.05, 1.0, 0.5, _trained_on("gaussian")),
    "masking": Noise("Masking", "share of pixels set to 0", 0.05, 0.9, 0.5, _trained_on("masking")),
    "salt-and-pepper": Noise(
        "Salt and pepper",
        "share of pixels set to 0 or 1",
        0.05,
        0.9,
        0.3,
        _trained_on("salt-and-pepper"),
    ),
    "block": Noise("Block", "side of a square set to 0, as a share", 0.2, 0.8, 0.4, _block),
    "blur": Noise("Blur", "standard deviation in pixels", 0.3, 3.0, 1.0, _blur, 0.1),
}


def suffix(noise: str, clip: bool) -> str:
    return f"{noise}{'-clipped' * clip}.safetensors"
