"""The registry of recipes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from aecore.errors import Faults, unknown
from aecore.recipes.experiment import Experiment, Recipe

if TYPE_CHECKING:
    from aecore.recipes.results import Finding

RECIPES: dict[str, Recipe] = {}


def recipe(name: str, **facts: Any) -> Callable[[Callable], Callable]:
    """Enter a function into the registry; its docstring says what it teaches."""

    def enter(find: Callable[[Experiment], Finding]) -> Callable[[Experiment], Finding]:
        teaches = (find.__doc__ or "").split("\n\n")[0].replace("\n", " ")
        RECIPES[name] = Recipe(
            name,
            teaches=" ".join(teaches.split()),
            find=find,
            **{"dataset": "mnist", **facts},
        )
        return find

    return enter


def get(name: str) -> Recipe:
    """The recipe called `name`; raises `Faults` with the nearest name where there is none."""
    if name not in RECIPES:
        raise Faults(unknown("recipe", name, RECIPES))
    return RECIPES[name]


def every(names: Sequence[str]) -> Iterator[Recipe]:
    """The recipes of these names, or all; raises `Faults` with every unknown name."""
    wrong = [unknown("recipe", name, RECIPES) for name in names if name not in RECIPES]
    if wrong:
        raise Faults(wrong)
    return iter([RECIPES[name] for name in names or RECIPES])
