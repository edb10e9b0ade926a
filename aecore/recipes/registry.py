"""Registry of recipes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from aecore.errors import InvalidRequest, unknown
from aecore.recipes.experiment import Experiment, Recipe

if TYPE_CHECKING:
    from aecore.recipes.results import Finding

HINTON = "Hinton & Salakhutdinov (2006), Reducing the dimensionality of data with neural networks"
KERAS = "Chollet (2016), Building autoencoders in Keras"
"""Sources cited by several recipes."""

RECIPES: dict[str, Recipe] = {}
FAMILIES = {"sparse": "Sparse and contractive", "embedding": "Embeddings", "field": "Score fields"}
"""Titles of modules that are not their own title."""


def recipe(name: str, **facts: Any) -> Callable[[Callable], Callable]:
    """Decorator that adds a function to the registry; its docstring is the recipe's lesson."""

    def enter(find: Callable[[Experiment], Finding]) -> Callable[[Experiment], Finding]:
        module = find.__module__.rpartition(".")[2]
        teaches = (find.__doc__ or "").split("\n\n")[0].replace("\n", " ")
        RECIPES[name] = Recipe(
            name,
            teaches=" ".join(teaches.split()),
            find=find,
            **{"dataset": "mnist", "family": FAMILIES.get(module, module.capitalize()), **facts},
        )
        return find

    return enter


def get(name: str) -> Recipe:
    """Get a recipe by name; raises `InvalidRequest` with the nearest name if there is none."""
    if name not in RECIPES:
        raise InvalidRequest(unknown("recipe", name, RECIPES))
    return RECIPES[name]


def every(names: Sequence[str]) -> Iterator[Recipe]:
    """Get the recipes of these names, or all; raises `InvalidRequest` with every unknown name."""
    wrong = [unknown("recipe", name, RECIPES) for name in names if name not in RECIPES]
    if wrong:
        raise InvalidRequest(wrong)
    return iter([RECIPES[name] for name in names or RECIPES])
