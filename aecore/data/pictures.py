"""Decoding of user pictures within size limits, and fitting to a dataset's images."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from aecore.errors import InvalidRequest

FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
MAX_PIXELS = 25_000_000
MAX_SIDE = 1_024  # larger pictures are made smaller before anything else is done with them
MNIST_FILL = 20 / 28  # LeCun and others (1998): digits fit a box of 20 pixels in 28


class Picture(NamedTuple):
    """A decoded picture, upright, opaque and of moderate size."""

    image: Image.Image
    """Grey ("L") or colour ("RGB")."""
    animated: bool
    """Whether the file holds further frames, of which only the first is taken."""


def read(
    content: bytes,
    shape: tuple[int, ...],
    invert: bool = False,
    crop: bool = False,
    fill: float = MNIST_FILL,
) -> np.ndarray:
    """Decode a PNG, JPEG, WebP or BMP file and `fit` it as one sample.

    Returns (height * width,) or (height * width * 3,) float32 in [0, 1]. Raises `InvalidRequest`
    where the file is none of these, damaged or too large.
    """
    return fit(decode(content).image, shape, invert, crop, fill)


def decode(content: bytes) -> Picture:
    """Decode a file after checking its format and size; see `read`."""
    try:
        opened = Image.open(io.BytesIO(content), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise InvalidRequest(_too_large()) from error
    except Exception as error:
        raise InvalidRequest(
            "This file is not a picture that can be read here: give a PNG, JPEG, WebP or BMP file."
        ) from error
    if opened.width * opened.height > MAX_PIXELS:
        raise InvalidRequest(_too_large(f"{opened.width:,} x {opened.height:,} pixels are"))
    # A photograph of a telephone may be a JPEG with a preview behind it, which is no animation.
    kind = opened.format
    animated = kind in ("PNG", "WEBP") and getattr(opened, "is_animated", False)
    try:
        image = _opaque(ImageOps.exif_transpose(opened))
        image.thumbnail((MAX_SIDE, MAX_SIDE))
    except Exception as error:
        raise InvalidRequest(
            f"This {kind} is damaged or ends too early: save or copy it again "
            "and give it once more."
        ) from error
    return Picture(image, animated)


def _too_large(what: str = "This picture is") -> str:
    return (
        f"{what} too large: make it smaller than {MAX_PIXELS // 1_000_000} million pixels, for "
        "example 1,000 x 1,000."
    )


def _opaque(image: Image.Image) -> Image.Image:
    """Convert to grey or colour of eight bits, transparent areas on a contrasting background."""
    if image.mode.startswith("I"):  # sixteen bits, which Pillow would cut off at 255
        grey = np.asarray(image, np.float32) / np.float32(257)
        return Image.fromarray(grey.clip(0, 255, out=grey).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image.thumbnail((MAX_SIDE, MAX_SIDE))
        grey, opacity = np.moveaxis(np.asarray(image.convert("LA"), np.float32), -1, 0)
        drawn = np.average(grey, weights=opacity + 1e-6)
        image = Image.alpha_composite(
            Image.new("RGBA", image.size, "white" if drawn < 128 else "black"), image
        )
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def fit(
    image: Image.Image,
    shape: tuple[int, ...],
    invert: bool = False,
    crop: bool = False,
    fill: float = MNIST_FILL,
) -> np.ndarray:
    """Fit a picture to the shape of a dataset's samples, flat, in [0, 1].

    The picture keeps its proportions and lies in the middle; the rest is filled with the colour of
    its border.

    Arguments
        shape: (height, width) for grey, (height, width, 3) for colour.
        invert: turn dark into bright, before anything else.
        crop: take only what stands out brightly from the ground, make it `fill` times as long as
            the side, and lay its centre of mass in the middle, as MNIST was made. In grey, the
            ground becomes 0 and the brightest point 1.
    """
    pixels = np.asarray(image.convert("L" if len(shape) == 2 else "RGB"), np.float32) / 255
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    if invert:
        pixels = 1 - pixels
    ground = np.median(_border(pixels), axis=0)
    weight = (pixels - ground).mean(axis=2).clip(0)
    middle, part = None, 1.0
    if crop and weight.max() > 0.05:
        box = _box(weight > 0.3 * weight.max())
        pixels, weight, part = pixels[box], weight[box] / weight.max(), fill
        if len(shape) == 2:
            pixels, ground = weight[..., None], np.zeros(1)
        middle = [
            (weight.sum(axis=1 - axis) @ np.arange(n) + weight.sum() / 2) / weight.sum() / n
            for axis, n in enumerate(weight.shape)
        ]
    scale = part * min(wanted / n for wanted, n in zip(shape, pixels.shape, strict=False))
    small = _resized(pixels, [max(round(n * scale), 1) for n in pixels.shape[:2]])
    if middle is not None and len(shape) == 2:
        small /= max(small.max(), 1e-6)  # thin lines pale as they shrink
    canvas = np.broadcast_to(ground, (*shape[:2], len(ground))).astype(np.float32)
    at = []
    for axis, (wanted, n) in enumerate(zip(shape, small.shape[:2], strict=False)):
        # MNIST has its centre of mass on pixel 14 of 0 to 27.
        at_mass = wanted // 2 + 0.5 - middle[axis] * n if middle else (wanted - n) / 2
        start = min(max(round(at_mass), 0), wanted - n)
        at.append(slice(start, start + n))
    canvas[at[0], at[1]] = small
    return canvas.reshape(-1)


def looks_inverted(pixels: np.ndarray) -> bool:
    """Whether the border is brighter than the average: dark ink on light paper.

    Arguments
        pixels: (height, width) or (height, width, 3).
    """
    pixels = np.asarray(pixels, np.float32).reshape(*np.shape(pixels)[:2], -1)
    return bool(np.median(_border(pixels)) > pixels.mean() + 1e-6)


def filled(samples: np.ndarray) -> float:
    """Share of the side that the bright part of samples fills: the median over them.

    Arguments
        samples: (n, height, width) or (n, height, width, 3) in [0, 1], on a dark ground.
    """
    shares = []
    for pixels in samples:
        bright = pixels.reshape(*pixels.shape[:2], -1).mean(axis=2)
        if bright.max() > 0:
            box = _box(bright > 0.1 * bright.max())
            shares.append(
                max((s.stop - s.start) / n for s, n in zip(box, bright.shape, strict=True))
            )
    return float(np.median(shares)) if shares else 1.0


def are_drawings(samples: np.ndarray) -> bool:
    """Whether samples are grey drawings on a dark ground, neither photographs nor in colour.

    Of a drawing at least half of the border is dark; the median over the samples decides.

    Arguments
        samples: (n, height, width) or (n, height, width, 3) in [0, 1].
    """
    if samples.ndim == 4:
        return False
    dark = [(_border(pixels[..., None]) < 0.1).mean() for pixels in samples]
    return bool(np.median(dark) >= 0.5)


def _border(pixels: np.ndarray) -> np.ndarray:
    edge = max(min(pixels.shape[:2]) // 32, 1)
    sides = (
        pixels[:edge],
        pixels[-edge:],
        pixels[:, :edge].swapaxes(0, 1),
        pixels[:, -edge:].swapaxes(0, 1),
    )
    return np.concatenate([side.reshape(-1, pixels.shape[2]) for side in sides])


def _box(mask: np.ndarray) -> tuple[slice, slice]:
    """Bounding box of the true pixels."""
    places = (np.flatnonzero(mask.any(axis=1 - axis)) for axis in (0, 1))
    rows, columns = (slice(int(at[0]), int(at[-1]) + 1) for at in places)
    return rows, columns


def _resized(pixels: np.ndarray, size: Sequence[int]) -> np.ndarray:
    height, width = size
    planes = [
        Image.fromarray(np.ascontiguousarray(plane)).resize(
            (width, height), Image.Resampling.LANCZOS
        )
        for plane in np.moveaxis(pixels, -1, 0)
    ]
    return np.stack([np.asarray(plane) for plane in planes], axis=-1).clip(0, 1)
