"""Output of the command line: rows as JSON or tables, and errors as sentences."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Annotated, Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from aecore import files
from aecore.errors import InvalidRequest

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
REFUSED = 2


def sentences_not_tracebacks(command: Callable[..., None]) -> Callable[..., None]:
    """Print the errors of a request, one a line, and exit with status 2."""

    @wraps(command)
    def run(*args: Any, **options: Any) -> None:
        try:
            command(*args, **options)
        except BrokenPipeError:  # the reader closed the pipe, which is no error
            raise
        except (InvalidRequest, OSError) as error:
            fault = (
                error
                if isinstance(error, InvalidRequest)
                else InvalidRequest(files.sentence(error))
            )
            if options.get("as_json"):
                print(json.dumps({"faults": fault.problems}))
            Console(stderr=True, highlight=False, soft_wrap=True).print(str(fault), markup=False)
            raise typer.Exit(REFUSED) from None

    return run


def show(rows: list[dict[str, Any]], as_json: bool, columns: tuple[str, ...]) -> None:
    """Print rows as one JSON list, or the given columns of them as a table."""
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    cells = [[cell(row[column]) for column in columns] for row in rows]
    print_table(columns, cells, Console(highlight=False))


def show_one(row: dict[str, Any], as_json: bool, columns: tuple[str, ...]) -> None:
    """Print a row as one JSON object, or the given columns of it as a table."""
    if as_json:
        print(json.dumps(row, indent=1))
    else:
        show([row], False, columns)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], console: Console) -> None:
    """Print a table without breaking or cutting any word, name or path.

    Sentences are broken between words to fit the terminal. Where not even single words fit beside
    each other, each row is a list of its cells; where there is no terminal, one line with tabs
    between.
    """
    if not console.is_terminal:
        for row in (columns, *rows):
            print("\t".join(row), file=console.file)
    elif widths := _widths(columns, rows, console.width):
        headers = [Column(name, width=w) for name, w in zip(columns, widths, strict=True)]
        table = Table(*headers)
        for row in rows:
            table.add_row(*map(Text, row))
        console.print(table)
    else:
        name_width = max(map(len, columns))
        for row in rows:
            for name, cell in zip(columns, row, strict=True):
                console.print(Text(f"{name:{name_width}}  {cell}"), soft_wrap=True)
            console.print()


def _widths(
    columns: Sequence[str], rows: Sequence[Sequence[str]], available: int
) -> list[int] | None:
    """Column widths: the full width if it fits, at least the longest word."""
    cells = list(zip(columns, *rows, strict=True))
    whole = [max(map(cell_len, column)) for column in cells]
    least = [max(cell_len(w) for cell in column for w in cell.split()) for column in cells]
    spare = available - sum(least) - 3 * len(columns) - 1  # for the lines between
    if spare < 0:
        return None
    widths = [0] * len(columns)
    wanting = sorted(range(len(columns)), key=lambda at: whole[at] - least[at])
    for left, at in zip(range(len(columns), 0, -1), wanting, strict=True):
        more = min(whole[at] - least[at], spare // left)
        widths[at], spare = least[at] + more, spare - more
    return widths


def cell(value: Any) -> str:
    """Format a value as a cell of a table."""
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, list | tuple):
        return " x ".join(map(str, value))
    return "" if value is None else str(value)
