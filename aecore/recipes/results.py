"""Results of recipes: figures, pictures and the stored outcome."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, FiniteFloat, TypeAdapter

from aecore.artifacts import Array, Size
from aecore.runs.store import RunName

SEED = 0
FAST = 10
"""A fast run has a tenth of the samples and a tenth of the epochs."""


def number(value: float) -> str:
    """Format a figure with four significant digits, or two decimals.

    >>> number(0.0557001), number(146.95), number(103.0)
    ('0.0557', '146.95', '103')
    """
    return f"{value:.5g}" if abs(value) >= 100 else f"{value:.4g}"


def measure(metric: str) -> str:
    """Measured quantity within the text of a metric.

    >>> measure("10-NN accuracy on the map, at most 0.02 below the pixels' (0.96)")
    '10-NN accuracy on the map'
    """
    return DIRECTION.split(metric, maxsplit=1)[0]


def target(metric: str) -> str:
    """Target within the text of a metric, with its direction.

    >>> target("10-NN accuracy on the map, at most 0.02 below the pixels' (0.96)")
    "at most 0.02 below the pixels' (0.96)"
    """
    return DIRECTION.split(metric, maxsplit=1)[-1]


DIRECTION = re.compile(r", (?=at least|at most|below|within|equal to|fewer than)")


Kind = Literal["rows", "maps", "curves", "cloud", "arrows"]


class Picture(NamedTuple):
    """Arrays of a picture, drawn by `aecore.plots.figures` and `aecore.plots.images`.

    kind "rows": `arrays` are rows of images (n, n_features), `facts` their titles and shape.
    kind "maps": planes (n, 2) beside each other, with `labels` (n,).
    kind "curves": `x` (m,) and one y (m,) for each name.
    kind "cloud": `points` (n, 3), `position` (n,), and surfaces (a, b, 3).
    kind "arrows": `points` (n, 2), and for each name `<name>.from` and `<name>.to` (m, 2).
    """

    kind: Kind
    title: str
    arrays: Mapping[str, np.ndarray]
    facts: Mapping[str, Any] = {}


class Finding(NamedTuple):
    """Result of a recipe: its figure, facts and pictures."""

    value: float
    reference: float
    holds: bool
    figures: dict[str, float]
    """Further figures, by name."""
    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Outcome:
    """Outcome of a recipe: its result, compared with the reference."""

    name: str
    dataset: str
    metric: str
    value: float
    reference: float
    holds: bool | None
    """None where it was run on a tenth: then the figure is no reproduction."""
    seconds: float
    source: str
    architecture: str
    seed: int
    fast: bool
    created: str
    figures: dict[str, float]
    runs: list[str]
    """Trained models of it that were stored as runs."""
    pictures: list[Picture]

    def row(self) -> dict[str, Any]:
        """Row of all fields but the pictures, for JSON."""
        return {name: value for name, value in vars(self).items() if name != "pictures"}


def _contents(outcome: Outcome) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and facts of an outcome."""
    arrays = {
        f"{number}/{key}": np.asarray(array, np.float32)
        for number, picture in enumerate(outcome.pictures)
        for key, array in picture.arrays.items()
    }
    pictures = [
        {
            "kind": picture.kind,
            "title": picture.title,
            "facts": dict(picture.facts),
            "order": list(picture.arrays),
        }
        for picture in outcome.pictures
    ]
    return arrays, {**outcome.row(), "pictures": pictures}


class _PictureFacts(BaseModel, extra="forbid"):
    kind: Kind
    title: str
    facts: dict[str, Any]
    order: list[str]


class _OutcomeFacts(BaseModel, extra="forbid"):
    """Fields of `Outcome` except the arrays of its pictures."""

    name: str
    dataset: str
    metric: str
    value: FiniteFloat
    reference: FiniteFloat
    holds: bool | None
    seconds: FiniteFloat
    source: str
    architecture: str
    seed: int
    fast: bool
    created: str
    figures: dict[str, float]
    runs: list[RunName]
    pictures: list[_PictureFacts]


OUTCOME_FACTS = TypeAdapter(_OutcomeFacts)
MOST_POINTS = 100_000
"""Samples, points of a curve or places along a surface in a picture."""


def _arrays_of(outcome: _OutcomeFacts) -> dict[str, Array]:
    """Expected arrays of an outcome's pictures."""
    return {
        f"{number}/{name}": Array(shape, finite=False)
        for number, picture in enumerate(outcome.pictures)
        for name, shape in _shapes_in(picture, number).items()
    }


Shapes = dict[str, tuple[int | Size, ...]]


def _shapes_in(picture: _PictureFacts, number: int) -> Shapes:
    """Expected shapes of a picture's arrays, as `Picture` describes them."""

    def size(name: str) -> Size:
        return Size(f"{name} of picture {number}", MOST_POINTS)

    if picture.kind == "rows":
        n_features = math.prod(TypeAdapter(list[int]).validate_python(picture.facts["shape"]))
        return {name: (size(name), n_features) for name in picture.order}
    if picture.kind == "maps":
        TypeAdapter(list[str]).validate_python(picture.facts["label_names"])
        return {name: (size("samples"), 2) for name in picture.order} | {
            "labels": (size("samples"),)
        }
    if picture.kind == "curves":
        TypeAdapter(dict[Literal["x_title", "y_title"], str]).validate_python(picture.facts)
        return {name: (size("points"),) for name in ("x", *picture.order)}
    if picture.kind == "cloud":
        surfaces: Shapes = {
            name: (size(f"{name} a"), size(f"{name} b"), 3) for name in picture.order
        }
        return surfaces | {"points": (size("samples"), 3), "position": (size("samples"),)}
    ends: Shapes = {name: (size(name.rpartition(".")[0]), 2) for name in picture.order}
    return ends | {"points": (size("samples"), 2)}
