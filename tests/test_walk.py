"""Layers of the engine: allowed imports, and lazy loading of heavy libraries."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

import aecore

PACKAGE = Path(aecore.__file__).parent
ROOT = PACKAGE.parent
LAYERS = (
    {"errors"},
    {"files", "progress", "settings"},
    {"locations"},
    {"artifacts", "neighbors"},
    {"metrics"},
    {"data"},
    {"models"},
    {"training"},
    {"projections"},
    {"runs"},
    {"latent"},
    {"applications"},
    {"recipes", "glossary"},
    {"jobs"},
    {"plots"},
    {"viewer"},
    {"estimator"},
    {"console"},
    {"cli_data", "cli_imports"},
    {"cli"},
    {"__main__"},
)
"""The modules and wings of the engine; each imports from those before it alone."""
PLACE = {wing: place for place, wings in enumerate(LAYERS) for wing in wings}
HEAVY = {
    "torch",
    "sklearn",
    "umap",
    "numba",
    "openTSNE",
    "distributed",
    "dask",
    "plotly",
    "pandas",
    "pyarrow",
    "fsspec",
}


def module_name(path: Path) -> str:
    """Name of a module below `aecore`: "data.spec", or "data" for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py")) if module_name(path)}


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def imports(module: str) -> Iterator[str]:
    """Full names of everything that a module imports, types included."""
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import, which this test cannot place"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def libraries(module: str) -> set[str]:
    return {name.split(".")[0] for name in imports(module)}


def internal_imports(module: str) -> set[str]:
    """Modules of the engine that a module imports."""
    found = set()
    for name in imports(module):
        parts = name.split(".")
        if parts[0] == "aecore":
            known = (".".join(parts[1:end]) for end in range(len(parts), 1, -1))
            found.add(next((part for part in known if part in MODULES), ""))
    return found - {""}


def test_every_module_has_its_place_in_the_walk() -> None:
    assert {module.split(".")[0] for module in MODULES} == set(PLACE)


def test_no_import_points_backwards() -> None:
    backwards = {
        (module, other)
        for module in MODULES
        for other in internal_imports(module)
        if PLACE[other.split(".")[0]] > PLACE[module.split(".")[0]]
    }
    assert not backwards


def test_no_imports_go_in_a_circle() -> None:
    graph = {module: internal_imports(module) - {module} for module in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' -> '.join(reversed(error.args[1]))}")


def test_the_imports_of_a_module_are_found() -> None:
    found = internal_imports("runs.train")
    assert {"data", "errors", "files", "progress", "runs.store", "projections"} <= found
    assert internal_imports("errors") == set()


def test_the_engine_knows_no_screen() -> None:
    assert not [module for module in MODULES if "streamlit" in libraries(module)]
    drawing = {module for module in MODULES if "plotly" in libraries(module)}
    assert drawing == {"plots.figures"}


def test_plots_take_plain_arrays() -> None:
    plots = [module for module in MODULES if module.startswith("plots.")]
    assert plots and not [module for module in plots if libraries(module) & {"torch"}]


def test_nothing_is_unpickled() -> None:
    unsafe = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
    assert not [module for module in MODULES if libraries(module) & unsafe]
    for module in MODULES:
        for node in ast.walk(tree_of(module)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                pair = node.value.id, node.attr
                assert pair not in {("torch", "load"), ("torch", "save")}, module
            assert not (isinstance(node, ast.keyword) and node.arg == "allow_pickle"), module


def loaded_by(*names: str) -> set[str]:
    """Heavy libraries that the import of these modules loads."""
    script = f"import sys, {', '.join(names)}; print(*({HEAVY!r} & sys.modules.keys()))"
    command = [sys.executable, "-c", script]
    loaded = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return set(loaded.stdout.split())


def test_heavy_libraries_wait_until_they_are_needed() -> None:
    light = "applications.denoising", "applications.sample_quality", "cli", "jobs", "latent"
    light += "plots.images", "projections", "recipes", "runs.store", "runs.train", "training"
    assert loaded_by(*(f"aecore.{module}" for module in light)) == set()


@pytest.mark.parametrize("package", ["models", "training"])
def test_a_package_reaches_the_heavy_modules_that_a_type_checker_sees(package: str) -> None:
    module = import_module(f"aecore.{package}")
    (block,) = (node for node in tree_of(package).body if isinstance(node, ast.If))
    assert {alias.name for node in block.body for alias in node.names} == set(module.HEAVY)
    assert all(hasattr(module, name) for name in module.HEAVY)
    assert not hasattr(module, "nothing")


def test_heavy_libraries_are_noticed() -> None:
    assert "torch" in loaded_by("aecore.models.networks")


def imports_of_page_modules() -> Iterator[tuple[str, str]]:
    """Each module below `pages`, with each module below `pages` that it imports."""
    for path in (ROOT / "pages").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pages"):
                for alias in node.names:
                    name = f"{node.module}.{alias.name}"
                    file = ROOT.joinpath(*name.split(".")).with_suffix(".py")
                    yield module, name if file.is_file() else str(node.module)


def test_a_view_imports_no_view_of_another_page_and_no_imports_go_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for module, other in imports_of_page_modules():
        graph.setdefault(module, set()).add(other)
        if other.startswith("pages.views."):
            page = other.split(".")[2]
            assert module == f"pages.{page}" or module.startswith(f"pages.views.{page}."), module
        if module.startswith("pages.app."):
            assert other.startswith("pages.app."), module
    assert "pages.views.denoise.comparison" in graph
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' -> '.join(reversed(error.args[1]))}")
