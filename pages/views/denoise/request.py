"""What a person asks of the page Denoise: a noise, and samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

NOISY = "with noise"  # which no run can be called


class NoiseRequest(NamedTuple):
    """The noise that is looked at, whatever its level."""

    noise: str
    clip: bool
    seed: int

    @property
    def kind(self) -> tuple[str, bool]:
        """What the filters are tuned for."""
        return self.noise, self.clip


class SampleSelection(NamedTuple):
    """The test samples that are looked at."""

    numbers: np.ndarray
    clean: np.ndarray
    labels: np.ndarray
