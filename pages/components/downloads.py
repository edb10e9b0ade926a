"""Download buttons; files are encoded on demand."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import streamlit as st

from aecore.plots import images


def downloads(
    name: str,
    png: bytes | Callable[[], bytes] | None = None,
    moving: Sequence[np.ndarray] | None = None,
    **arrays: np.ndarray,
) -> None:
    """Row of download buttons: a picture, arrays, and an animation.

    Arguments
        name: of the files, without an ending.
        moving: series of images, (steps, height, width[, 3]) each and in [0, 1], shown beside each
            other; as GIF and as WebP, which keeps every shade.
        arrays: for one NPZ, by their names in it.
    """

    def npz() -> bytes:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        return buffer.getvalue()

    offered: list[tuple[str, bytes | Callable[[], bytes], str]] = []
    if png is not None:
        offered.append(("PNG", png, "image/png"))
    offered.append(("NPZ", npz, "application/octet-stream"))
    if moving is not None:
        for kind in ("GIF", "WebP"):
            content = partial(images.animation, moving, kind)
            offered.append((kind, content, f"image/{kind.lower()}"))
    with st.container(horizontal=True):
        for kind, content, mime in offered:
            file = f"{name}.{kind.lower()}"
            st.download_button(
                kind, content, file, mime, on_click="ignore", icon=":material/download:"
            )
