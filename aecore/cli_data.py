"""Command line of datasets: `data check`, `add`, `apply`, `list`, `show` and `remove`."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from aecore import data
from aecore.console import AsJson, sentences_not_tracebacks, show, show_one
from aecore.data import Dataset, importers, stored
from aecore.errors import Damaged, InvalidRequest, unknown
from aecore.settings import list_settings

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Files of your own as datasets."
)
FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="A table, arrays, or a ZIP or folder of images.")
]
NameArgument = Annotated[str, typer.Argument(help="Name of a stored dataset.")]


def with_choices(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each field of `Choices`, in place of its `**choices`."""
    signature = inspect.signature(command, eval_str=True)
    own = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
    options = []
    for setting in list_settings(importers.Choices):
        several = setting.kind == "names"
        kind = list[str] | None if several else str | None
        text = f"{setting.description} {_values(setting)}".strip() + " Repeatable." * several
        option = typer.Option(help=text, show_default=False)
        options.append(
            inspect.Parameter(
                setting.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[kind, option],
            )
        )
    changed: Any = command
    changed.__signature__ = signature.replace(parameters=[*own, *options])
    changed.__annotations__ = {each.name: each.annotation for each in [*own, *options]}
    return command


def _values(setting: Any) -> str:
    """Possible values of a choice and its default, for the help."""
    if setting.kind == "choice":
        return f"{', '.join(setting.choices)}; {setting.default} if not given."
    return "" if setting.default in ("", ()) else f"{setting.default} if not given."


def _given(choices: dict[str, Any]) -> importers.Choices:
    return importers.check({name: value for name, value in choices.items() if value is not None})


@app.command("check")
@sentences_not_tracebacks
@with_choices
def check(file: FileArgument, *, as_json: AsJson = False, **choices: Any) -> None:
    """Say what a file holds and what would be stored of it; nothing is stored."""
    report = importers.understand(file, _given(choices))
    if as_json:
        print(report.model_dump_json(indent=1))
    else:
        rows = [each.model_dump() for each in report.columns]
        show(rows, False, ("name", "kind", "role", "missing", "low", "high"))
        facts = {
            "format": report.format,
            "modality": report.modality,
            "samples": report.n_samples,
            "train": report.n_train,
            "test": report.n_test,
            "shape": report.shape,
            "label": report.label,
            "classes": len(report.classes),
            "duplicate_rows": report.duplicate_rows,
        }
        show([{"what": name, "is": value} for name, value in facts.items()], False, ("what", "is"))
        for sentence in report.decisions:
            print(sentence)
        for sentence in report.problems:
            print(f"To be solved: {sentence}")


@app.command("add")
@sentences_not_tracebacks
@with_choices
def add(
    file: FileArgument,
    *,
    name: Annotated[str, typer.Option(help="Name of the dataset.")],
    title: Annotated[str, typer.Option(help="Its title; the name of the file if none.")] = "",
    source: Annotated[str, typer.Option(help="Where the data come from.")] = "",
    licence: Annotated[str, typer.Option(help="Licence of the data.")] = "",
    as_json: AsJson = False,
    **choices: Any,
) -> None:
    """Store a file as a dataset, which can be trained on like the built-in ones."""
    dataset = importers.save(file, _given(choices), name, title, licence, source)
    row = _row(dataset)
    show_one(row, as_json, COLUMNS)
    if not as_json:
        for sentence in row["problems"]:
            print(sentence)


@app.command("apply")
@sentences_not_tracebacks
def apply(
    file: FileArgument,
    *,
    dataset: Annotated[str, typer.Option(help="Stored dataset whose preparation is applied.")],
    name: Annotated[str, typer.Option(help="Name of the new dataset.")],
    title: Annotated[str, typer.Option(help="Its title; the name of the file if none.")] = "",
    test_share: Annotated[
        str | None, typer.Option(help="Share of the samples held out for testing; 0.2 if none.")
    ] = None,
    split_by: Annotated[
        str | None, typer.Option(help="Column that says 'train' or 'test', or 'random'.")
    ] = None,
    seed: Annotated[str | None, typer.Option(help="Fixes which samples are held out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Store a second file of the columns of a stored dataset, prepared as the first one was."""
    given = _given({"test_share": test_share, "split_by": split_by, "seed": seed})
    row = _row(importers.save(file, given, name, title, like=dataset))
    show_one(row, as_json, COLUMNS)
    if not as_json:
        for sentence in row["problems"]:
            print(sentence)


COLUMNS = ("name", "title", "modality", "shape", "n_train", "n_test", "label")


def _row(dataset: Dataset) -> dict[str, Any]:
    entry = stored.entry(dataset.name)
    preparation = entry.card.preparation if entry else None
    return {
        "name": dataset.name,
        "title": dataset.title,
        "modality": dataset.modality,
        "shape": list(dataset.shape),
        "n_train": dataset.n_train,
        "n_test": dataset.n_test,
        "label": (preparation.label if preparation else "") or None,
        "classes": list(dataset.label_names),
        "metadata": [column.name for column in entry.card.columns] if entry else [],
        "value_range": dataset.value_range,
        "source": dataset.spec.source,
        "licence": dataset.spec.licence,
        "problems": list(preparation.decisions) if preparation else [],
    }


@app.command("list")
@sentences_not_tracebacks
def list_stored(as_json: AsJson = False) -> None:
    """List the stored datasets; `datasets` lists the built-in ones as well."""
    rows = []
    for name in stored.names():
        try:
            rows.append(_row(data.get(name)))
        except Damaged as error:
            typer.echo(str(error), err=True)
    show(rows, as_json, COLUMNS)


@app.command("show")
@sentences_not_tracebacks
def show_stored(name: NameArgument, as_json: AsJson = False) -> None:
    """Show a stored dataset, what was decided of it, and how each column was prepared."""
    entry = stored.entry(name)
    if entry is None:
        raise InvalidRequest(unknown("stored dataset", name, stored.names()))
    row = _row(data.get(name))
    preparation = entry.card.preparation
    if as_json:
        stated = preparation and preparation.model_dump(mode="json", exclude={"decisions"})
        print(json.dumps(row | {"preparation": stated}, indent=1))
        return
    show_one(row, False, COLUMNS)
    if preparation:
        prepared = [each.model_dump() for each in preparation.columns]
        if prepared:
            show(prepared, False, ("name", "kind", "categories", "log", "fill", "offset", "scale"))
        for sentence in preparation.decisions:
            print(sentence)


@app.command("remove")
@sentences_not_tracebacks
def remove(name: NameArgument, as_json: AsJson = False) -> None:
    """Remove a stored dataset; runs that were trained on it stay."""
    stored.remove(name)
    if as_json:
        print(json.dumps({"removed": name}))
