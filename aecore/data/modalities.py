"""Modalities of data: shape, display and required specification of a sample.

`MODALITIES` is the registry: a further modality is one class with the decorator `register`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np


class Modality:
    """Common traits of the samples of one modality."""

    name: ClassVar[str]
    noun: ClassVar[str] = "sample"
    """One sample in a sentence; its plural ends with s."""
    pictures: ClassVar[bool] = False
    """Whether samples are shown as pictures, of which browsers get sheets; else as table rows."""
    dimensions: ClassVar[tuple[int, ...]] = (1,)
    """How many dimensions the shape of a sample may have."""

    @classmethod
    def display_problems(
        cls, shape: tuple[int, ...], value_range: tuple[float, float] | None
    ) -> Iterator[str]:
        """Reasons why samples of this shape and range cannot be shown, as sentences."""
        yield from ()

    @classmethod
    def shaped(cls, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Features (n, n_features) in display shape: (n, *shape) for images, else unchanged."""
        return x.reshape(-1, *shape) if cls.pictures else x


MODALITIES: dict[str, type[Modality]] = {}


def register(modality: type[Modality]) -> type[Modality]:
    """Decorator that adds a modality to the registry."""
    MODALITIES[modality.name] = modality
    return modality


@register
class Image(Modality):
    """Grey or colour images: (height, width) or (height, width, channels)."""

    name = "image"
    noun = "image"
    pictures = True
    dimensions = (2, 3)

    @classmethod
    def display_problems(
        cls, shape: tuple[int, ...], value_range: tuple[float, float] | None
    ) -> Iterator[str]:
        if len(shape) == 3 and shape[2] not in (1, 3):
            yield f"shape = {shape} has {shape[2]} channels: give images of 1 or 3."
        if value_range != (0, 1):
            yield f"value_range = {value_range} is not that of images: scale pixels to (0, 1)."


@register
class Points(Modality):
    """Points in space, (n_dimensions,), on a curve or surface."""

    name = "points"


@register
class Table(Modality):
    """Table rows, (n_columns,), whose features have no order."""

    name = "table"
