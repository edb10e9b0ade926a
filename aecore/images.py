"""Arrays to one composed PNG, with Pillow. Nothing here knows a model or a page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from aecore.colors import POSITION_COLORS, class_color

INK = {"light": (28, 39, 48), "dark": (232, 238, 242)}
SCALE = 2  # for screens with two pixels to the point


class Row(NamedTuple):
    """One line of a composed picture."""

    title: str
    images: np.ndarray
    """(n, height, width) grey in [0, 1], or (n, height, width, 3)."""
    captions: Sequence[str] = ()
    """One under each image, or none at all."""


def compose(rows: Sequence[Row], theme: str = "light", cell: int = 64) -> bytes:
    """Rows of small images under each other, with titles at the left and captions, as a PNG.

    Arguments
        theme: "light" or "dark", for the colour of the text; the ground is transparent.
        cell: the side of an image in points.

    Returns the bytes of the PNG, at two pixels to the point.
    """
    side, gap, ink = cell * SCALE, 6 * SCALE, INK[theme]
    font = ImageFont.load_default(13 * SCALE)
    titles = int(max(font.getlength(row.title) for row in rows)) + gap
    line = 18 * SCALE
    heights = [side + (line if row.captions else 0) + gap for row in rows]
    columns = max(len(row.images) for row in rows)
    picture = Image.new("RGBA", (titles + columns * (side + gap), sum(heights)), (0, 0, 0, 0))
    draw = ImageDraw.Draw(picture)
    top = 0
    for row, height in zip(rows, heights, strict=True):
        draw.text((0, top + side / 2), row.title, ink, font, anchor="lm")
        for column, pixels in enumerate(row.images):
            left = titles + column * (side + gap)
            picture.paste(
                _image(pixels).resize((side, side), Image.Resampling.NEAREST), (left, top)
            )
            if row.captions:
                middle = (left + side / 2, top + side + line / 2)
                draw.text(middle, row.captions[column], ink, font, anchor="mm")
        top += height
    return _png(picture)


def error_colors(x: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
    """Where a reconstruction is too bright (red) or too dark (blue); white is right.

    Arguments
        x, reconstruction: (n, height, width) in [0, 1].

    Returns (n, height, width, 3) in [0, 1].
    """
    error = np.clip(reconstruction - x, -1, 1)
    too_bright, too_dark = np.maximum(error, 0), np.maximum(-error, 0)
    return np.stack([1 - too_dark, 1 - too_bright - too_dark, 1 - too_bright], axis=-1)


def thumbnail(plane: np.ndarray, labels: np.ndarray, classes: bool, side: int = 220) -> bytes:
    """A small picture of a map, in the class colours of every other figure, as a PNG.

    Arguments
        plane: (n, 2).
        labels: (n,) class numbers where `classes`, else positions on a curve.
    """
    low, high = np.percentile(plane, [0.5, 99.5], axis=0)
    span = max((high - low).max(), 1e-9)
    pixels = side * SCALE
    margin, radius = 6 * SCALE, (1.0 if len(plane) > 2_000 else 2.2) * SCALE
    at = ((plane - (low + high) / 2) / span + 0.5) * (pixels - 2 * margin) + margin
    if classes:
        colors = [class_color(int(label)) for label in labels]
    else:
        ranks = np.argsort(np.argsort(labels))
        colors = [POSITION_COLORS[step] for step in ranks * len(POSITION_COLORS) // len(labels)]
    picture = Image.new("RGBA", (pixels, pixels), (0, 0, 0, 0))
    draw = ImageDraw.Draw(picture)
    for (x, y), color in zip(at, colors, strict=True):
        y = pixels - y  # the picture counts from the top
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), color)
    return _png(picture)


def _image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray((np.clip(pixels, 0, 1) * 255).round().astype(np.uint8)).convert("RGB")


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
