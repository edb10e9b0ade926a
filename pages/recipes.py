"""Recipes: published figures beside reproduced ones, with pictures."""

from __future__ import annotations

from pages.app import frame
from pages.components import workbench
from pages.views.recipes import results

with frame.page("Recipes"):
    outcomes = results.read()
    canvas, panel = workbench.split("left")
    with panel:
        recipe = results.pick(outcomes)
    with canvas:
        results.show(recipe, outcomes[recipe.name])
