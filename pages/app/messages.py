"""Messages of the browser components to the server, validated.

A message comes out of a browser, so it may be anything: what does not have the form that our own
scripts send is ignored, and the page stays as it was.
"""

from __future__ import annotations

import logging
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

MOST_PICKS = 500  # in one message
MASK = 2_000_000  # signs, enough for ten million samples
FILE = (
    20 * 2**20
)  # signs, as base64 of 15 MiB: a message of 25 MB would end the browser's connection
FAR = 1e9  # from the origin; beyond it float32 overflows in the decoder

log = logging.getLogger(__name__)

Number = Annotated[int, Field(strict=True, ge=0, lt=2**31)]
Coordinate = Annotated[float, Field(strict=True, ge=-FAR, le=FAR, allow_inf_nan=False)]


class Message(BaseModel):
    """Base class of messages: exact fields and types, and finite numbers."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Moved(Message):
    """Message: a slider was moved."""

    value: float
    settled: bool
    """Whether it was let go."""


class Clicked(Message):
    """Message: an image was clicked, at these shares of its width and height."""

    x: float = Field(ge=0, lt=1)
    y: float = Field(ge=0, lt=1)


class Selection(Message):
    """Message: samples were selected."""

    samples: str = Field(max_length=200)
    """Of which samples, as in `payload.identity`."""
    mask: str = Field(max_length=MASK)
    """Which of them, for `payload.unpacked_mask`."""
    when: float
    """Time on the browser's clock, which distinguishes it from others."""


class Given(Message):
    """Message: a picture was drawn, or a file was opened."""

    content: str = Field(max_length=FILE)
    """The file as base64, "" where the canvas was cleared."""
    opened: bool


class Place(NamedTuple):
    """Message: a point of the plane is to be decoded; the scripts send a list of these three."""

    x: Coordinate
    y: Coordinate
    label: Number


class Click(Message):
    """Message: one sample was clicked."""

    sample: Number
    when: float
    """Time on the browser's clock, which distinguishes a repeated message from a second click."""


Pick = Click | Selection
Picks = Annotated[list[Pick], Field(max_length=MOST_PICKS)]


def read(kind: Any, message: Any) -> Any:
    """Parse a message as `kind`, a `Message` or a type composed of them; None if it is invalid.

    None is also what a component says before there is anything to say.
    """
    if message is None:
        return None
    try:
        return TypeAdapter(kind).validate_python(message)
    except ValidationError as error:
        problems = sorted({fault["type"] for fault in error.errors(include_input=False)})
        log.warning("ignored a malformed message of a component: %s", ", ".join(problems[:5]))
        return None
