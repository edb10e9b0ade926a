"""Documentation against the registries and the source tree."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aecore import recipes
from aecore.cli import app
from aecore.models.variants import VARIANTS
from aecore.recipes import RECIPES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


def text_of(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def test_the_reference_is_what_the_registries_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AECORE_STORE", "restored afterwards")
    spec = importlib.util.spec_from_file_location("reference", DOCS / "write_reference.py")
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    stale = [
        str(path) for path, text in reference.pages().items() if path.read_text("utf-8") != text
    ]
    assert not stale, "run make reference"
    assert all(f"`{name}`" in text_of("reference/variants.md") for name in VARIANTS)
    assert all(f"`{name}`" in text_of("reference/recipes.md") for name in RECIPES)


def test_every_shipped_outcome_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AECORE_STORE", str(ROOT / "models_store"))
    assert [name for name in RECIPES if not recipes.outcome_artifact(name).load().holds] == []


def test_the_architecture_names_every_wing_and_nothing_else() -> None:
    named = set(re.findall(r"^\| `aecore/(\w+)/`", text_of("architecture.md"), re.M))
    wings = {path.parent.name for path in (ROOT / "aecore").glob("*/__init__.py")}
    assert named == wings
    for name in ("pages/app", "pages/components", "pages/views", "models_store", "benchmarks"):
        assert (ROOT / name).is_dir()


def test_the_code_of_every_entry_is_found_by_the_tree_alone() -> None:
    """Folders and names as in the table of the contributing guide."""
    text = text_of("reference/code.md")
    for page in (ROOT / "pages").glob("*.py"):
        assert f"| {page.stem} | `pages/{page.name}` |" in text
    sections = dict(part.split("\n", 1) for part in text.split("## ")[1:])
    folders = {
        "Variants": ("aecore/models/variants", VARIANTS),
        "Recipes": ("aecore/recipes", RECIPES),
    }
    for section, (folder, registry) in folders.items():
        rows = dict(re.findall(r"^\| `([\w-]+)` .*`(aecore/[\w/.]+)` \|$", sections[section], re.M))
        assert rows.keys() == registry.keys()
        assert {file.rsplit("/", 1)[0] for file in rows.values()} == {folder}
        assert all((ROOT / file).is_file() for file in rows.values())


def test_every_link_and_picture_is_there() -> None:
    missing = [
        f"{page.name}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).is_file()
    ]
    assert not missing


def test_every_page_is_in_the_menu_of_the_site() -> None:
    menu = set(re.findall(r": ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.M))
    assert menu == {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}


def test_the_quick_commands_of_the_documentation_run(
    small_searches: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Sweeps are planned; tests/jobs/test_sweeper.py carries some out.
    monkeypatch.setattr("aecore.cli._carry_out", lambda plan: None)
    lines = re.findall(r"^python -m aecore (.+)$", text_of("command-line.md"), re.M)
    quick = [line for line in lines if "mnist" not in line and "tsne" not in line]
    assert len(quick) >= 4
    for line in quick:
        outcome = CliRunner().invoke(app, shlex.split(line))
        assert outcome.exit_code == line.startswith("sweep "), (line, outcome.output)


def test_the_python_of_the_documentation_runs(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", text_of("python.md"), re.S)
    assert blocks
    for block in blocks:
        exec(compile(block, "python.md", "exec"), {})
    assert float(capsys.readouterr().out) < 0
