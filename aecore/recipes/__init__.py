"""Recipes: named reproductions of published results, one module a family."""

from __future__ import annotations

# Importing a family enters its recipes into the registry, in this order.
# isort: off
from aecore.recipes import linear as linear
from aecore.recipes import deep as deep
from aecore.recipes import sparse as sparse
from aecore.recipes import convolutional as convolutional
from aecore.recipes import denoising as denoising
from aecore.recipes import variational as variational
from aecore.recipes import embedding as embedding
from aecore.recipes import field as field

# isort: on
from aecore.recipes.experiment import Experiment as Experiment, Recipe as Recipe
from aecore.recipes.field import (
    SPIRAL_NOISE as SPIRAL_NOISE,
    spiral as spiral,
    spiral_score as spiral_score,
)
from aecore.recipes.registry import RECIPES as RECIPES, every as every, get as get
from aecore.recipes.reproduce import Reproduce as Reproduce, outcome_artifact as outcome_artifact
from aecore.recipes.results import (
    Finding as Finding,
    Outcome as Outcome,
    Picture as Picture,
    measure as measure,
    number as number,
    target as target,
)
