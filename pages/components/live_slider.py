"""A slider that answers with a new picture while it is dragged.

Streamlit's own reports only when it is let go. This one asks for the next picture as soon as the
last has come, through the scripts in `live_slider_assets`.
"""

from __future__ import annotations

import base64
from typing import NamedTuple

from aecore.plots import images
from pages.app import state
from pages.components import hosts

COMPONENT = "live-slider"
"""One on a page, whatever it moves, so that it is not mounted anew."""


class Range(NamedTuple):
    """What a slider can be set to."""

    title: str
    low: float
    high: float
    step: float
    usual: float
    """Where it begins."""


def value(key: str, asked: Range) -> float:
    """Where the slider stands, or where the address puts it: ask this first, then draw."""
    return state.follow_number(key, asked.low, asked.high, asked.step, asked.usual)


def show(key: str, asked: Range, picture: bytes, alt: str, track: bytes | None = None) -> None:
    """The slider, and below it the picture of where it stands; call it in a fragment.

    Arguments
        picture: a PNG at two pixels to the point.
        track: a PNG that is shown along the slider.
    """
    title, low, high, step, _ = asked
    hosts.live_slider()(
        key=COMPONENT,
        data={
            "key": key,
            "title": title,
            "low": low,
            "high": high,
            "step": step,
            "value": value(key, asked),
            "picture": address(picture),
            "width": images.width(picture),
            "alt": alt,
            "track": track and address(track),
        },
        on_moved_change=lambda: state.hear_number(key, COMPONENT, low, high),
    )


def address(picture: bytes) -> str:
    """A PNG as an address that holds it whole."""
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"
