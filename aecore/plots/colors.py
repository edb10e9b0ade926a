"""Colours of classes and positions, the same in every figure and picture."""

from __future__ import annotations

# Petroff (2021), Accessible color sequences for data visualization: ten colours that people with
# a colour-vision deficiency can tell apart, on white and on black.
CLASS_COLORS = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
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
