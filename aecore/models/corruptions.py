"""Input corruptions for denoising autoencoders, applied during training only.

Each corruption draws anew for every batch, from the generator that it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from aecore.models.contracts import Corruption


def _uniform(x: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype)


@dataclass(frozen=True)
class GaussianNoise:
    """x + level * e, e ~ N(0, I), cut off at 0 and 1 where `clip` is set (Vincent and others 2010).

    Clipping makes it easier: what is pushed outside of the range comes back to it.
    """

    level: float
    clip: bool = False

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        noisy = x + self.level * noise
        return noisy.clamp(0, 1) if self.clip else noisy


@dataclass(frozen=True)
class Masking:
    """Each feature is 0 with probability `level`; the others stay as they are.

    Unlike dropout, survivors are not scaled up (Vincent and others 2008).
    """

    level: float

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return x * (_uniform(x, generator) >= self.level)


@dataclass(frozen=True)
class SaltAndPepper:
    """Each feature becomes 0 or 1, each with probability level / 2 (Vincent and others 2010)."""

    level: float

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        chance = _uniform(x, generator)
        salted = torch.where(chance < self.level, torch.ones_like(x), x)
        return torch.where(chance < self.level / 2, torch.zeros_like(x), salted)


@dataclass(frozen=True)
class Dropout:
    """Dropout: each feature is 0 with probability `level`, the others scaled by 1 / (1 - level).

    The mean of every feature stays what it was (Srivastava and others 2014).
    """

    level: float

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return x * (_uniform(x, generator) >= self.level) / (1 - self.level)


CORRUPTIONS: dict[str, Callable[..., Corruption]] = {
    "gaussian": GaussianNoise,
    "masking": Masking,
    "salt-and-pepper": SaltAndPepper,
    "dropout": Dropout,
}
