"""The README's tables against the registries, and what it says against the tree."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aecore import recipes
from aecore.__main__ import app
from aecore.configs import TrainingConfig
from aecore.datasets import DATASETS
from aecore.recipes import RECIPES
from aecore.settings import list_settings
from aecore.variants import VARIANTS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def variant_row(name: str) -> str:
    variant = VARIANTS[name]
    return f"| `{name}` | {variant.summary()} | {variant.source} |"


def dataset_row(name: str) -> str:
    data = DATASETS[name]
    return f"| `{name}` | {data.title} | {data.n_train:,} + {data.n_test:,} | {data.licence} |"


def recipe_row(name: str) -> str:
    """What a recipe is, and what came of it in the outcome that ships with the project."""
    found = recipes.outcome_artifact(name).load()
    assert found is not None, f"no outcome of {name} ships with the project"
    value, seconds = recipes.number(found.value), f"{found.seconds:.0f} s"
    return f"| `{name}` | {RECIPES[name].teaches} | {found.metric} | {value} | {seconds} |"


def setting_rows() -> list[str]:
    """One row for each setting of the training and of any variant, with who takes it."""
    rows = [_row(setting, "training") for setting in list_settings(TrainingConfig)]
    takers: dict[str, list[str]] = {}
    for name, variant in VARIANTS.items():
        for setting in list_settings(variant):
            takers.setdefault(_row(setting, ""), []).append(name)
    return [row[:-2] + f"{', '.join(names)} |" for row, names in takers.items()] + rows


def _row(setting, taker: str) -> str:
    default = ",".join(map(str, setting.default)) if setting.kind == "widths" else setting.default
    return f"| `{setting.name}` | {setting.description} | {default} | {taker} |"


@pytest.mark.parametrize("name", VARIANTS)
def test_the_readme_has_the_row_of_every_variant(name: str) -> None:
    assert variant_row(name) in README


@pytest.mark.parametrize("name", DATASETS)
def test_the_readme_has_the_row_of_every_dataset(name: str) -> None:
    assert dataset_row(name) in README


@pytest.mark.parametrize("name", RECIPES)
def test_the_readme_has_the_row_of_every_recipe_as_its_shipped_outcome_says(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AECORE_STORE", str(ROOT / "models_store"))
    assert recipe_row(name) in README
    assert recipes.outcome_artifact(name).load().holds


@pytest.mark.parametrize("row", setting_rows())
def test_the_readme_has_the_row_of_every_setting(row: str) -> None:
    assert row in README


def test_the_readme_tree_names_every_module_and_nothing_else() -> None:
    named = set(re.findall(r"^(aecore/\w+\.py)", README, re.M))
    assert named == {f"aecore/{path.name}" for path in (ROOT / "aecore").glob("[!_]*.py")} | (
        {"aecore/__main__.py"}
    )
    for name in ("app.py", "pages", "models_store", "benchmarks", "tests"):
        assert (ROOT / name).exists()


def test_every_link_and_picture_is_there() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).is_file(), target


def test_the_quick_commands_of_the_readme_run() -> None:
    lines = re.findall(r"^python -m aecore (.+)$", README, re.M)
    quick = [line for line in lines if "mnist" not in line and "tsne" not in line]
    assert len(quick) >= 4
    for line in quick:
        outcome = CliRunner().invoke(app, shlex.split(line))
        assert outcome.exit_code == 0, (line, outcome.output)


def test_the_python_of_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.S)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
    assert float(capsys.readouterr().out) < 0
