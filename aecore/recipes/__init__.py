"""Recipes: named reproductions of published results, one module a family."""

from __future__ import annotations

# Importing a family enters its members into the registry.
from aecore.recipes import (  # noqa: F401
    convolutional,
    deep,
    denoising,
    embedding,
    field,
    linear,
    sparse,
    variational,
)
from aecore.recipes.experiment import Experiment as Experiment
from aecore.recipes.experiment import Recipe as Recipe
from aecore.recipes.field import SPIRAL_NOISE as SPIRAL_NOISE
from aecore.recipes.field import spiral as spiral
from aecore.recipes.field import spiral_score as spiral_score
from aecore.recipes.registry import RECIPES as RECIPES
from aecore.recipes.registry import every as every
from aecore.recipes.registry import get as get
from aecore.recipes.reproduce import Reproduce as Reproduce
from aecore.recipes.reproduce import outcome_artifact as outcome_artifact
from aecore.recipes.results import Finding as Finding
from aecore.recipes.results import Outcome as Outcome
from aecore.recipes.results import Picture as Picture
from aecore.recipes.results import number as number
