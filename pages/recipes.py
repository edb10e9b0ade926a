"""Recipes: published figures beside reproduced ones, with pictures."""

from __future__ import annotations

from pages.app import frame
from pages.components import workbench
from pages.views.recipes import results

PANEL = 416  # pixels

with frame.page("Recipes"):
    outcomes = results.read()
    canvas, panel = workbench.split("left", PANEL)
    with panel:
        recipe = results.pick(outcomes)
    with canvas:
        results.show(recipe, outcomes[recipe.name])
