"""Imports walk one way through the engine, and heavy libraries wait until they are needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import aecore

PACKAGE = Path(aecore.__file__).parent
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__")

WALK = (
    {"errors", "threads"},
    {"files", "progress", "settings"},
    {"locations", "modalities"},
    {"artifacts"},
    {"spec"},
    {"catalog"},
    {"datasets"},
    {"contracts"},
    {"networks", "likelihoods", "penalties", "corruption"},
    {"autoencoder"},
    {"inference", "pretraining"},
    {"variants"},
    {"configs"},
    {"training"},
    {"store"},
    {"neighbors"},
    {"metrics"},
    {"projections"},
    {"denoising"},
    {"latent"},
    {"generation"},
    {"quality"},
    {"tasks"},
    {"estimator", "recipes"},
    {"jobs"},
    {"colors", "images", "figures"},
    {"pack"},
    {"__main__"},
)
PLACE = {module: place for place, modules in enumerate(WALK) for module in modules}


def imports(module: str) -> Iterator[str]:
    """The full name of everything that a module imports anywhere in its text."""
    for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import, which this test cannot place"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def libraries(module: str) -> set[str]:
    return {name.split(".")[0] for name in imports(module)}


def rooms(module: str) -> set[str]:
    """The modules of the engine that a module imports."""
    return {name.split(".")[1] for name in imports(module) if name.startswith("aecore.")}


def test_every_module_has_its_place_in_the_walk() -> None:
    assert sorted(PLACE) == MODULES


@pytest.mark.parametrize("module", MODULES)
def test_no_import_points_backwards(module: str) -> None:
    backwards = {room for room in rooms(module) if PLACE[room] > PLACE[module]}
    assert not backwards


def test_the_rooms_that_a_module_imports_are_found() -> None:
    assert rooms("tasks") == {
        *("artifacts", "configs", "datasets", "denoising", "errors", "files", "generation"),
        *("inference", "latent", "progress", "projections", "quality", "store", "training"),
    }


@pytest.mark.parametrize("module", MODULES)
def test_the_engine_knows_no_screen(module: str) -> None:
    assert "streamlit" not in libraries(module)
    assert module == "figures" or "plotly" not in libraries(module)


def test_figures_take_plain_arrays() -> None:
    for module in ("figures", "images", "colors"):
        assert not libraries(module) & {"torch", "streamlit"}


@pytest.mark.parametrize("module", MODULES)
def test_nothing_is_unpickled(module: str) -> None:
    assert not libraries(module) & {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
    tree = ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert (node.value.id, node.attr) not in {("torch", "load"), ("torch", "save")}
        assert not (isinstance(node, ast.keyword) and node.arg == "allow_pickle")


@pytest.mark.parametrize(
    "module",
    [
        "artifacts",
        "configs",
        "store",
        "projections",
        "denoising",
        "latent",
        "generation",
        "quality",
        "jobs",
        "tasks",
        "images",
    ],
)
def test_heavy_libraries_wait_until_they_are_needed(module: str) -> None:
    heavy = "torch", "sklearn", "umap", "numba", "openTSNE", "distributed", "dask", "plotly"
    script = f"import sys, aecore.{module}; print(*({heavy!r} & sys.modules.keys()))"
    script = script.replace(repr(heavy), repr(set(heavy)))
    command = [sys.executable, "-c", script]
    loaded = subprocess.run(command, cwd=PACKAGE.parent, capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []
