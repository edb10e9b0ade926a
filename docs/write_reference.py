"""Write the pages of docs/reference from the registries, the settings and the command line.

python docs/write_reference.py            write them
python docs/write_reference.py --check    exit 1 if one of them is not what would be written
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import pkgutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
os.environ["AECORE_STORE"] = str(ROOT / "models_store")

import aecore  # noqa: E402
from aecore import glossary, metrics, recipes  # noqa: E402
from aecore.applications import sample_quality  # noqa: E402
from aecore.cli import app  # noqa: E402
from aecore.data import DATASETS  # noqa: E402
from aecore.data.modalities import MODALITIES  # noqa: E402
from aecore.models.variants import VARIANTS  # noqa: E402
from aecore.progress import Task  # noqa: E402
from aecore.projections import PROJECTIONS  # noqa: E402
from aecore.settings import Setting, list_settings  # noqa: E402
from aecore.training import PRESETS, TrainingConfig  # noqa: E402

REFERENCE = ROOT / "docs" / "reference"
WRITTEN = "<!-- Written by docs/write_reference.py from the registries. -->"


def table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    columns = list(columns)
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def variants() -> str:
    """Reference of the variants: summary and source."""
    rows = (
        (f"`{name}`", variant.summary(), variant.source, ", ".join(f"`{p}`" for p in presets(name)))
        for name, variant in VARIANTS.items()
    )
    return table(("variant", "what it is", "source", "presets"), rows)


def presets(variant: str) -> list[str]:
    return [preset.name for preset in PRESETS.values() if preset.variant == variant]


def datasets() -> str:
    """Reference of the datasets: sizes and licences."""
    rows = (
        (
            f"`{name}`",
            data.title,
            f"{data.n_train:,} + {data.n_test:,}",
            data.spec.licence,
            data.spec.source,
        )
        for name, data in DATASETS.items()
    )
    return table(("dataset", "what it is", "train + test", "licence", "source"), rows)


def settings() -> str:
    """Reference of every setting of training and variants, and the variants that have it."""
    takers: dict[tuple[str, ...], list[str]] = {}
    for name, variant in VARIANTS.items():
        for setting in list_settings(variant):
            takers.setdefault(cells(setting), []).append(f"`{name}`")
    rows = [(*row, ", ".join(names)) for row, names in takers.items()]
    rows += [(*cells(setting), "training") for setting in list_settings(TrainingConfig)]
    return table(("setting", "meaning", "allowed", "default", "of"), rows)


def cells(setting: Setting) -> tuple[str, ...]:
    default = ",".join(map(str, setting.default)) if setting.kind == "widths" else setting.default
    return f"{setting.label}, `{setting.name}`", setting.description, setting.meant, f"{default}"


def projections() -> str:
    """Reference of the settings of each projection."""
    parts = []
    for name, kind in PROJECTIONS.items():
        parts.append(f"## {kind.title}\n\n`{name}`. {kind.source}.")
        if rows := [cells(setting) for setting in list_settings(kind)]:
            parts.append(table(("setting", "meaning", "allowed", "default"), rows))
    return "\n\n".join(parts)


def reproductions() -> str:
    """Reference of the recipes: lesson, and the outcome that ships with the project."""
    rows = []
    for recipe in recipes.every([]):
        found = recipes.outcome_artifact(recipe.name).load()
        if found is None:
            raise SystemExit(f"No outcome of the recipe '{recipe.name}' ships with the project.")
        value, seconds = recipes.number(found.value), f"{found.seconds:.0f} s"
        rows.append((f"`{recipe.name}`", recipe.teaches, found.metric, value, seconds))
    return table(("recipe", "lesson", "metric and reference", "result", "time"), rows)


def figures() -> str:
    """Reference of each metric of a map, a run or samples."""
    known = [*metrics.DEFINITIONS.values(), *sample_quality.DEFINITIONS.values()]
    return table(("figure", "definition"), ((title, escaped(text)) for title, text in known))


def terms() -> str:
    """Reference of the glossary."""
    rows = ((escaped(term), escaped(text)) for term, text in glossary.TERMS.items())
    return table(("term", "meaning"), rows)


def escaped(text: str) -> str:
    """Escape text for a table cell, so that no formula is read as markup."""
    return text.replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")


def commands() -> Iterator[str]:
    """Reference of each command with its arguments and options."""
    for name, command in all_commands(typer.main.get_command(app), ""):
        yield f"## {name}\n\n{command.help}"
        rows = []
        for parameter in command.params:
            if parameter.param_type_name == "option":
                names = (*parameter.opts, *parameter.secondary_opts)
            else:
                names = (parameter.name,)
            called = ", ".join(f"`{name}`" for name in names)
            rows.append((called, escaped(getattr(parameter, "help", "") or "")))
        if rows:
            yield table(("argument or option", "meaning"), rows)


def all_commands(group: Any, before: str) -> Iterator[tuple[str, Any]]:
    """Commands of a group and of the groups in it, by what is typed."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from all_commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def first_line(path: Path) -> str:
    """First line of a module's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return escaped(text.split("\n")[0])


def module_file(value: object) -> str:
    """Path of a class's or function's file, below the root of the project."""
    return f"`{Path(inspect.getfile(value)).relative_to(ROOT)}`"


def subclasses(kind: type) -> Iterator[type]:
    """All concrete subclasses of a class."""
    for sub in kind.__subclasses__():
        if not inspect.isabstract(sub):
            yield sub
        yield from subclasses(sub)


def code() -> str:
    """Reference of the files of each page, variant, recipe, task, modality and module."""
    pages = []
    for page in sorted((ROOT / "pages").glob("*.py")):
        view = ROOT / "pages" / "views" / page.stem
        pages.append(
            (page.stem, f"`pages/{page.name}`", f"`pages/views/{page.stem}/`" * view.is_dir())
        )
    # Classes are known once their modules are loaded.
    for module in pkgutil.walk_packages(aecore.__path__, "aecore."):
        importlib.import_module(module.name)
    own = (task for task in subclasses(Task) if task.__module__.startswith("aecore."))
    tasks = sorted(set(own), key=lambda task: task.__name__)
    modules = [
        (f"`{path.relative_to(ROOT)}`", first_line(path))
        for folder in ("aecore", "pages/app", "pages/components", "pages/views")
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]
    parts = [
        "## Pages\n\n" + table(("page", "file", "its views"), pages),
        "## Variants\n\n" + table(("variant", "class", "file"), named(VARIANTS)),
        "## Recipes\n\n"
        + table(
            ("recipe", "file"),
            ((f"`{name}`", module_file(entry.find)) for name, entry in recipes.RECIPES.items()),
        ),
        "## Projections\n\n" + table(("projection", "class", "file"), named(PROJECTIONS)),
        "## Modalities\n\n" + table(("modality", "class", "file"), named(MODALITIES)),
        "## Tasks\n\n"
        + table(
            ("task", "what it does", "file"),
            ((f"`{t.__name__}`", (t.__doc__ or "").split("\n")[0], module_file(t)) for t in tasks),
        ),
        "## Modules\n\n" + table(("module", "what is in it"), modules),
    ]
    return "\n\n".join(parts)


def named(registry: Mapping[str, type]) -> Iterator[tuple[str, str, str]]:
    """Name, class and file of the entries of a registry."""
    for name, kind in registry.items():
        yield f"`{name}`", f"`{kind.__name__}`", module_file(kind)


PAGES = {
    "variants": ("Variants", variants),
    "datasets": ("Datasets", datasets),
    "settings": ("Settings", settings),
    "projections": ("Projections", projections),
    "recipes": ("Recipes", reproductions),
    "metrics": ("Metrics", figures),
    "glossary": ("Glossary", terms),
    "code": ("Where the code is", code),
    "commands": ("Commands", lambda: "\n\n".join(commands())),
}


def pages() -> dict[Path, str]:
    """Text of each page; what stands above its mark is written by hand and preserved."""
    texts = {}
    for name, (title, body) in PAGES.items():
        path = REFERENCE / f"{name}.md"
        before = path.read_text(encoding="utf-8") if path.is_file() else f"# {title}\n\n{WRITTEN}"
        texts[path] = f"{before.split(WRITTEN)[0]}{WRITTEN}\n\n{body()}\n"
    return texts


def main() -> int:
    """Write the pages, or check them."""
    stale = [
        path
        for path, text in pages().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not what the registries say: run make reference.")
        return bool(stale)
    for path in stale:
        path.write_text(pages()[path], encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
