"""Colours of classes and positions, the same in every figure and picture."""

from __future__ import annotations

# Ten colours as far apart as a search got them (CIEDE2000 at least 26, as seen with red or green
# cones missing at least 15, by Machado and others 2009), each seen on a light and on a dark page.
CLASS_COLORS = (
    "#1e5aa5",
    "#d2b400",
    "#b40f5a",
    "#5ac396",
    "#a55aff",
    "#c3784b",
    "#0f7878",
    "#a5a5b4",
    "#695a00",
    "#3cc3ff",
)
# Ten steps of viridis (Smith & van der Walt 2015) for positions on a curve.
POSITION_COLORS = (
    "#440154",
    "#482878",
    "#3e4a89",
    "#31688e",
    "#26828e",
    "#1f9e89",
    "#35b779",
    "#6ece58",
    "#b5de2b",
    "#fde725",
)


def class_color(label: int) -> str:
    """Colour of a class; the ten colours repeat."""
    return CLASS_COLORS[label % len(CLASS_COLORS)]
