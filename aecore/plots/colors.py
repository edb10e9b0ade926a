"""Colours of classes and positions, the same in every figure and picture."""

from __future__ import annotations

# Ten colours as far apart as a search got them (CIEDE2000 at least 24, as seen with red or green
# cones missing at least 14, by Machado and others 2009), each seen on a light and on a dark page.
CLASS_COLORS = (
    "#695ad2",
    "#ffa500",
    "#d22d69",
    "#1ec396",
    "#f069ff",
    "#876900",
    "#2d7869",
    "#96c3d2",
    "#968796",
    "#e1785a",
)
DENSITY = (11, 110, 153)  # as in the linked maps
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
