"""Images composed of arrays: PNGs and animations."""

from __future__ import annotations

import io
import textwrap
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from aecore.plots.colors import DENSITY, POSITION_COLORS, class_color

INK = {"light": (28, 39, 48), "dark": (232, 238, 242)}
SCALE = 2  # for screens with two pixels to the point
FRAME = 0.11  # of an image's side, on each side of it: 9 % of both together
GAP = 8  # pixels between the images of an animation
TITLE = 18  # characters in a line of a row's title


class Row(NamedTuple):
    """One row of a composed image."""

    title: str
    images: np.ndarray
    """(n, height, width) grey in [0, 1], or (n, height, width, 3)."""
    captions: Sequence[str] = ()
    """One under each image, or none at all."""


def compose(rows: Sequence[Row], theme: str = "light", cell: int = 64, titles: int = 0) -> bytes:
    """Compose rows of small images, with titles at the left and captions, into a PNG.

    Arguments
        theme: "light" or "dark", for the colour of the text; the ground is transparent.
        cell: the side of an image in points.
        titles: the least width of the titles in points, so that others of them move no image.

    Returns the bytes of the PNG, at two pixels to the point.
    """
    side, gap, color = cell * SCALE, 6 * SCALE, INK[theme]
    # Two numbers a pixel are written twice as fast as four.
    mode = "LA" if all(row.images.ndim == 3 for row in rows) else "RGBA"
    ink = (sum(color) // 3, 255) if mode == "LA" else color
    font = ImageFont.load_default(13 * SCALE)
    names = ["\n".join(textwrap.wrap(row.title, TITLE)) for row in rows]
    written = max(font.getlength(line) for name in names for line in name.split("\n"))
    left_of = max(int(written) + gap, titles * SCALE)
    line = 18 * SCALE
    heights = [side + (line if row.captions else 0) + gap for row in rows]
    columns = max(len(row.images) for row in rows)
    size = left_of + columns * (side + gap), sum(heights)
    picture = Image.new(mode, size, (0,) * len(mode))
    draw = ImageDraw.Draw(picture)
    top = 0
    for row, name, height in zip(rows, names, heights, strict=True):
        draw.text((0, top + side / 2), name, ink, font, anchor="lm")
        for column, pixels in enumerate(row.images):
            left = left_of + column * (side + gap)
            picture.paste(
                _image(pixels, mode).resize((side, side), Image.Resampling.NEAREST), (left, top)
            )
            if row.captions:
                middle = (left + side / 2, top + side + line / 2)
                draw.text(middle, _fitted(row.captions[column], font, side), ink, font, anchor="mm")
        top += height
    return _png(picture)


def _fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """Text that is cut off where it would be more than an eighth wider than its image."""
    while len(text) > 1 and font.getlength(text) > 1.125 * width:
        text = f"{text.rstrip('…')[:-1].rstrip()}…"
    return text


def width(png: bytes) -> int:
    """Width of a composed image, in points."""
    return Image.open(io.BytesIO(png)).width // SCALE


def colored(pictures: np.ndarray) -> np.ndarray:
    """Images in colour, (n, height, width, 3), of grey or coloured ones."""
    return pictures if pictures.ndim == 4 else np.repeat(pictures[..., None], 3, axis=-1)


def error_colors(x: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
    """Colour map of signed errors: red where a reconstruction is too bright, blue where too dark.

    Arguments
        x, reconstruction: (n, height, width) in [0, 1], or (n, height, width, 3), of whose colours
            the mean counts.

    Returns (n, height, width, 3) in [0, 1].
    """
    error = np.clip(reconstruction - x, -1, 1)
    if error.ndim == 4:
        error = error.mean(axis=-1)
    too_bright, too_dark = np.maximum(error, 0), np.maximum(-error, 0)
    return np.stack([1 - too_dark, 1 - too_bright - too_dark, 1 - too_bright], axis=-1)


def thumbnail(plane: np.ndarray, labels: np.ndarray, classes: bool, side: int = 220) -> bytes:
    """Thumbnail of a map, in the class colours of every other figure, as a PNG.

    Arguments
        plane: (n, 2).
        labels: (n,) class numbers where `classes`, else positions on a curve.
    """
    low, high = np.percentile(plane, [0.5, 99.5], axis=0)
    span = max((high - low).max(), 1e-9)
    pixels = side * SCALE
    radius = max((1.0 if len(plane) > 2_000 else 2.2) * SCALE * side / 220, 1.2)
    margin = 6 * SCALE * side / 220
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


def picture_thumbnail(
    kind: str, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any], side: int = 56
) -> bytes:
    """Thumbnail of a recipe's picture, as a PNG: some of its images, points or lines.

    Arguments
        kind, arrays, facts: as in `aecore.recipes.Picture`.
    """
    if kind == "rows":
        rows = list(arrays.values())[:3]
        columns = min(3, *(len(row) for row in rows))
        pixels = np.concatenate([row[:columns].reshape(-1, *facts["shape"]) for row in rows])
        large = _enlarged(
            pixels, max(side * SCALE // (max(len(rows), columns) * pixels.shape[1]), 1)
        )
        return _png(Image.fromarray(sheet(large, columns)))
    if kind == "curves":
        lines = [_unit_line(arrays["x"], line) for name, line in arrays.items() if name != "x"]
        return thumbnail(np.concatenate(lines), np.repeat(np.arange(len(lines)), 200), True, side)
    if kind == "maps":
        plane = next(plane for name, plane in arrays.items() if name != "labels")
        labels = arrays["labels"]
    else:
        plane = arrays["points"][:, [0, -1]]
        labels = arrays.get("position", plane[:, 0])
    every = -(-len(plane) // 600)
    return thumbnail(plane[::every], labels[::every], bool(facts.get("label_names")), side)


def _unit_line(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Points of a line within the unit square, (200, 2)."""
    at = np.linspace(x.min(), x.max(), 200)
    values = np.interp(at, x, np.nan_to_num(y))
    return np.stack(
        [np.linspace(0, 1, 200), (values - values.min()) / max(np.ptp(values), 1e-9)], 1
    )


def mosaic(
    pictures: np.ndarray, opaque: np.ndarray, ground: np.ndarray, columns: int, width: int
) -> bytes:
    """Mosaic of images, each in a frame whose tint shows a density, as a PNG.

    Arguments
        pictures: (n, height, width) or (n, height, width, 3), in [0, 1].
        opaque: (n,) in [0, 1], how opaque each image is.
        ground: (n,) in [0, 1], how opaque the tint of its frame is.
        width: at which it is shown, in points.
    """
    n, height, side = pictures.shape[:3]
    # Whole pixels near the size at which it is shown: more of them take longer to write and send.
    times = max(round(width / (columns * side * (1 + 2 * FRAME))), 1)
    frame = max(round(FRAME * times * side), 1)
    cells = np.empty((n, height * times + 2 * frame, side * times + 2 * frame, 4), np.uint8)
    cells[..., :3] = DENSITY
    cells[..., 3] = _eight_bits(ground)[:, None, None]
    inside = cells[:, frame:-frame, frame:-frame]
    inside[..., :3] = _enlarged(pictures, times).reshape(*inside.shape[:3], -1)
    inside[..., 3] = _eight_bits(opaque)[:, None, None]
    # Four channels seldom run on equally, but repeat themselves.
    return _png(Image.fromarray(sheet(cells, columns)), zlib.Z_DEFAULT_STRATEGY)


def animation(series: Sequence[np.ndarray], kind: Literal["GIF", "WebP"]) -> bytes:
    """Animation of image series side by side, forwards and backwards.

    Arguments
        series: k of (steps, height, width) or (steps, height, width, 3), in [0, 1].
    """
    times = max(min(256, 1_024 // len(series)) // series[0].shape[2], 1)
    large = np.stack([_enlarged(each, times) for each in series])
    between = [(0, 0)] * large.ndim
    between[3] = (GAP, 0)
    frames = np.concatenate(np.pad(large, between, constant_values=255), axis=2)[:, :, GAP:]
    first, *rest = (Image.fromarray(frame) for frame in [*frames, *frames[-2:0:-1]])
    buffer = io.BytesIO()
    options = {"lossless": True} if kind == "WebP" else {}
    first.save(buffer, kind, save_all=True, append_images=rest, duration=120, loop=0, **options)
    return buffer.getvalue()


def _enlarged(pictures: np.ndarray, times: int) -> np.ndarray:
    """Images in [0, 1], (n, height, width[, 3]), enlarged by a whole factor, in eight bits."""
    return _eight_bits(pictures).repeat(times, axis=1).repeat(times, axis=2)


def sheet(pictures: np.ndarray, columns: int) -> np.ndarray:
    """Tile images in reading order into one image.

    Arguments
        pictures: (rows * columns, height, width) or (rows * columns, height, width, 3).

    Returns (rows * height, columns * width), or the same with 3 behind.

    >>> sheet(np.arange(4).reshape(4, 1, 1), 2)
    array([[0, 1],
           [2, 3]])
    """
    n, height, width, *colors = pictures.shape
    laid = pictures.reshape(n // columns, columns, height, width, *colors).swapaxes(1, 2)
    return laid.reshape(n // columns * height, columns * width, *colors)


def _eight_bits(pixels: np.ndarray) -> np.ndarray:
    return (np.clip(pixels, 0, 1) * 255).round().astype(np.uint8)


def _image(pixels: np.ndarray, mode: str) -> Image.Image:
    return Image.fromarray(_eight_bits(pixels)).convert(mode)


def _png(picture: Image.Image, strategy: int = zlib.Z_RLE) -> bytes:
    buffer = io.BytesIO()
    # Runs of equal pixels are mostly all there is to gain, and quickly found.
    picture.save(buffer, "PNG", compress_level=1, compress_type=strategy)
    return buffer.getvalue()
