"""Slider that updates a picture while it is dragged.

Streamlit's own reports only on release. This one requests the next picture as soon as the last has
arrived, through the scripts in `live_slider_assets`.
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
    """Range and step of a slider."""

    title: str
    low: float
    high: float
    step: float
    usual: float
    """Where it begins."""


def value(key: str, asked: Range) -> float:
    """Current value of the slider, from the component or the address; call it before `show`."""
    return state.follow_number(key, asked.low, asked.high, asked.step, asked.usual)


def show(key: str, asked: Range, picture: bytes, alt: str, track: bytes | None = None) -> None:
    """Show the slider and the picture of its value; call it in a fragment.

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
    """Data URL of a PNG."""
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"
