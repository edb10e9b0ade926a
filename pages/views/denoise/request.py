"""Requests of the page Denoise: a noise, and a selection of samples."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

NOISY = "with noise"  # which no run can be called


class NoiseRequest(NamedTuple):
    """A kind of noise with clipping, without its level."""

    noise: str
    clip: bool
    seed: int

    @property
    def kind(self) -> tuple[str, bool]:
        """Key of the tuned filter settings."""
        return self.noise, self.clip


class SampleSelection(NamedTuple):
    """Selected test samples."""

    numbers: np.ndarray
    clean: np.ndarray
    labels: np.ndarray
