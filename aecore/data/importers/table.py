"""Tables in files: CSV, TSV, Parquet and Feather."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aecore.data.importers.formats import (
    MOST_COLUMNS,
    MOST_VALUES,
    PREVIEWED,
    Content,
    Format,
    bomb_problems,
    in_list,
    reading,
    register,
    unreadable,
)
from aecore.data.preparation import MISSING
from aecore.data.spec import MOST_SAMPLES
from aecore.errors import InvalidRequest, printable, shown

if TYPE_CHECKING:
    import pandas
    import pyarrow
    from pyarrow import parquet

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SNIFFED_LINES = 50
PREVIEWED_BYTES = 8 * 2**20


def check_names(names: list[str]) -> list[str]:
    """Problems of the names of columns, as sentences."""
    problems = [
        f"The column name {shown(name)} is given {count} times: rename all but one."
        for name, count in Counter(names).items()
        if count > 1
    ]
    problems += [
        f"The name of column {at} has {len(name):,} characters: give a shorter one."
        for at, name in enumerate(names, 1)
        if len(name) > 1_000
    ]
    if len(names) > MOST_COLUMNS:
        problems.append(f"There are {len(names):,} columns: give up to {MOST_COLUMNS:,}.")
    return in_list(problems, "columns")


# --- Text ---------------------------------------------------------------------------------------


class _Delimited(Format):
    """Common reading of text with a delimiter between the columns."""

    delimiters = ",;\t|"
    largest = 2 * 2**30

    @classmethod
    def read(cls, path: Path) -> Content:
        return read_text(printable(path.name), path.read_bytes(), cls.delimiters)

    @classmethod
    def beginning(cls, path: Path) -> Content:
        with path.open("rb") as file:
            content = file.read(PREVIEWED_BYTES)
            if not file.read(1):
                return cls.read(path)
        end = _end_of_line(content)
        return _part(read_text(printable(path.name), content[:end], cls.delimiters))


@register
class CSV(_Delimited):
    """Comma-separated values; semicolons, tabs and bars are recognised."""

    name = "CSV file"
    endings = (".csv", ".txt")


@register
class TSV(_Delimited):
    """Tab-separated values."""

    name = "TSV file"
    endings = (".tsv", ".tab")
    delimiters = "\t,;|"


def _end_of_line(content: bytes) -> int:
    """Where the last whole line ends that is not within quotation marks."""
    end = len(content) - 1  # a line's end at the very end may be half a sign of UTF-16
    quotes = content.count(b'"', 0, end)
    while (at := content.rfind(b"\n", 0, end)) > 0:
        quotes -= content.count(b'"', at, end)
        if quotes % 2 == 0:
            wide = content[at + 1 : at + 2] == b"\0" and not content.startswith(codecs.BOM_UTF16_BE)
            return at + 1 + wide  # the second byte of a line's end in UTF-16, little endian
        end = at
    return len(content)


def _part(content: Content) -> Content:
    """Content of the beginning of a file, which says so."""
    n = len(content.table)
    said = f"Only the first {n:,} rows were looked at: all are read when the file is stored."
    return replace(content, part=True, notes=(said, *content.notes))


def read_text(name: str, content: bytes, delimiters: str = ",;\t|") -> Content:
    """Read the bytes of a text file; raises `InvalidRequest` with all its faults."""
    encoding, notes = _encoding(name, content)
    delimiter = _delimiter(content[: 2**20].decode(encoding, "ignore"), delimiters)
    names, lines, headless = _structure(name, content, encoding, delimiter)
    if headless:
        notes.append(
            "The first line holds numbers and no names: the columns are called column 1, "
            "column 2 and so on."
        )
    table = _parsed(name, content, encoding, delimiter, names, headless)
    aligned = len(lines) == len(table)
    return Content(
        table,
        lines=lines if aligned else None,
        decimal_comma=delimiter == ";",
        notes=tuple(notes),
    )


def _encoding(name: str, content: bytes) -> tuple[str, list[str]]:
    """Encoding of a text, and what was decided about it."""
    encoding = next((known for mark, known in BYTE_ORDER_MARKS if content.startswith(mark)), "")
    if not encoding and b"\0" in content[:4096]:
        half = [content[start:4096:2].count(0) for start in (0, 1)]
        encoding = "utf-16-be" if half[0] > half[1] else "utf-16-le"
    notes = []
    try:
        text = content.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        if encoding:
            raise InvalidRequest(
                f"{name} is no text, or damaged at byte {error.start:,}: save it as CSV in UTF-8."
            ) from None
        line = content.count(b"\n", 0, error.start) + 1
        encoding = "latin-1"
        text = content.decode(encoding)
        notes.append(
            f"Line {line} is not UTF-8: the file was read as Latin-1. Where letters are wrong, "
            "save it in UTF-8."
        )
    if "\0" in text:
        raise InvalidRequest(f"{name} is no text: save it as CSV in UTF-8.")
    if not text.strip():
        raise InvalidRequest(f"{name} has no text: save it again.")
    return encoding or "utf-8", notes


def _rows(lines: Iterable[str], delimiter: str) -> Any:
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=True)


def _delimiter(text: str, candidates: str) -> str:
    """The delimiter by which most of the first lines have as many fields as the header."""
    head = text.splitlines(keepends=True)[:SNIFFED_LINES]

    def score(delimiter: str) -> tuple[float, int]:
        try:
            counts = [len(row) for row in _rows(head, delimiter) if row]
        except csv.Error:
            return 0.0, 0
        if not counts or counts[0] < 2:
            return 0.0, 0
        return round(counts.count(counts[0]) / len(counts), 1), counts[0]

    return max(candidates, key=score)


def _structure(
    name: str, content: bytes, encoding: str, delimiter: str
) -> tuple[list[str], np.ndarray, bool]:
    """Names of the columns, line of each row, and whether the first line is a row already.

    Raises `InvalidRequest` with every line that has another number of fields than the first.
    """
    stream = io.TextIOWrapper(io.BytesIO(content), encoding, newline="")
    reader = _rows(stream, delimiter)
    header: list[str] = []
    lines: list[int] = []
    ragged: list[str] = []
    begins = 1
    try:
        for row in reader:
            if not row:
                begins = reader.line_num + 1
                continue
            if not header:
                header = row
                first = begins
            else:
                lines.append(begins)
            if len(row) != len(header):
                fields = f"{len(row)} field{'s' * (len(row) != 1)}"
                ragged.append(
                    f"Line {begins} has {fields} where the first has {len(header)}: correct it."
                )
            begins = reader.line_num + 1
    except csv.Error as error:
        raise InvalidRequest(
            f"Line {begins} cannot be read ({error}): is a quotation mark missing?"
        ) from None
    headless = bool(header) and all(re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?", f) for f in header)
    if headless:
        lines.insert(0, first)
    names = [
        f"column {at}" if headless or not title.strip() else title.strip()
        for at, title in enumerate(header, 1)
    ]
    problems = in_list(ragged, "lines") + check_names(names)
    if not lines:
        problems.append(f"{name} has a header and no rows: add some.")
    if problems:
        raise InvalidRequest(problems)
    return names, np.array(lines, np.int64), headless


def _parsed(
    name: str, content: bytes, encoding: str, delimiter: str, names: list[str], headless: bool
) -> pandas.DataFrame:
    import pandas

    try:
        return pandas.read_csv(
            io.BytesIO(content),
            encoding=encoding,
            sep=delimiter,
            header=None if headless else 0,
            names=names,
            index_col=False,
            skipinitialspace=True,
            na_values=list(MISSING),
            low_memory=False,
        )
    except Exception as error:  # whatever the parser stumbles over
        raise unreadable(name, "CSV file", error) from error


# --- Columns stored as such ---------------------------------------------------------------------


@register
class Parquet(Format):
    """Apache Parquet."""

    name = "Parquet file"
    endings = (".parquet", ".pq")
    signatures = (b"PAR1",)

    @classmethod
    def read(cls, path: Path) -> Content:

        with reading(path, cls.name):
            with cls._opened(path) as (file, kept, notes):
                table = file.read(columns=kept)
            if problems := bomb_problems(path, _bytes_of_texts(table)):
                raise InvalidRequest(problems)
            return _content(table, notes)

    @classmethod
    @contextmanager
    def _opened(cls, path: Path) -> Iterator[tuple[parquet.ParquetFile, list[str], list[str]]]:
        """An open file whose size is checked, the columns to read and notes on the others.

        Texts are read as dictionaries, so that one that is repeated is in memory once.
        """
        from pyarrow import parquet

        # Reading ahead would hold the packed file beside the table.
        with parquet.ParquetFile(path, pre_buffer=False) as file:
            n_rows, schema = file.metadata.num_rows, file.schema_arrow
        _check_extent(n_rows, schema.names)
        kept, notes = _readable(schema)
        if problems := bomb_problems(path, 8 * n_rows * len(kept)):
            raise InvalidRequest(problems)
        texts = [each.name for each in schema if _is_text(each.type)]
        with parquet.ParquetFile(path, pre_buffer=False, read_dictionary=texts) as file:
            yield file, kept, notes

    @classmethod
    def beginning(cls, path: Path) -> Content:
        import pyarrow

        with reading(path, cls.name), cls._opened(path) as (file, kept, notes):
            first = next(file.iter_batches(PREVIEWED, columns=kept))
            table = pyarrow.Table.from_batches([first])
            if problems := bomb_problems(path, _bytes_of_texts(table)):
                raise InvalidRequest(problems)
            content = _content(table, notes)
            return _part(content) if first.num_rows < file.metadata.num_rows else content


@register
class Feather(Format):
    """Apache Arrow's file format, Feather version 2."""

    name = "Feather file"
    endings = (".feather", ".arrow")
    signatures = (b"ARROW1",)

    @classmethod
    def read(cls, path: Path) -> Content:
        return cls._batches(path, MOST_VALUES)

    @classmethod
    def beginning(cls, path: Path) -> Content:
        return cls._batches(path, PREVIEWED)

    @classmethod
    def _batches(cls, path: Path, most: int) -> Content:
        """Content of whole batches, up to the one in which a number of rows is reached."""
        import pyarrow

        with (
            reading(path, cls.name),
            pyarrow.memory_map(str(path)) as source,
            pyarrow.ipc.open_file(source) as file,
        ):
            names = file.schema.names
            _check_extent(1, names)
            kept, notes = _readable(file.schema)
            batches, n = [], 0
            for at in range(file.num_record_batches):
                batch = file.get_batch(at)
                batch.validate(full=True)
                n += batch.num_rows
                _check_extent(n, names)
                if problems := bomb_problems(path, 8 * n * len(names)):
                    raise InvalidRequest(problems)
                batches.append(batch.select(kept))
                if n >= most:
                    break
            _check_extent(n, names)
            selected = pyarrow.schema([file.schema.field(name) for name in kept])
            content = _content(pyarrow.Table.from_batches(batches, selected), notes)
            return content if len(batches) == file.num_record_batches else _part(content)


def _check_extent(n_rows: int, names: list[str]) -> None:
    problems = check_names(names)
    if not n_rows or not names:
        problems.append("The table has no rows or no columns: add some.")
    if n_rows > MOST_SAMPLES or n_rows * len(names) > MOST_VALUES:
        problems.append(
            f"The table has {n_rows:,} rows and {len(names):,} columns: give up to "
            f"{MOST_VALUES:,} values."
        )
    if problems:
        raise InvalidRequest(problems)


KINDS = (
    "integer", "floating", "decimal", "boolean", "string", "large_string", "string_view", "date",
    "timestamp", "dictionary", "null",
)  # fmt: skip
"""Arrow's kinds of values that can be read."""


def _readable(schema: pyarrow.Schema) -> tuple[list[str], list[str]]:
    """Names of the columns that can be read, and what is left out of the others."""
    from pyarrow import types

    able = [getattr(types, f"is_{kind}") for kind in KINDS]
    kept = [each.name for each in schema if any(is_kind(each.type) for is_kind in able)]
    left_out = [each for each in schema if each.name not in kept]
    notes = [
        f"Column {shown(each.name)} is left out: it holds values of type {str(each.type)[:60]}."
        for each in left_out
    ]
    if not kept:
        raise InvalidRequest(["No column can be read.", *notes])
    return kept, notes


def _is_text(kind: pyarrow.DataType) -> bool:
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind))


def _bytes_of_texts(table: pyarrow.Table) -> int:
    """Bytes of the texts of columns that are dictionaries, when each row has its own."""
    import pyarrow
    from pyarrow import compute, types

    total = 0
    for column in table.columns:
        for chunk in column.chunks if types.is_dictionary(column.type) else ():
            values = chunk.dictionary
            if _is_text(values.type):
                lengths = compute.binary_length(values).cast(pyarrow.int64())
                total += compute.sum(lengths.take(chunk.indices)).as_py() or 0
    return total


def _content(table: pyarrow.Table, notes: list[str]) -> Content:
    """Content of an Arrow table: numbers, true and false, dates and text."""
    import pyarrow
    from pyarrow import types

    for at, each in enumerate(table.schema):
        if types.is_decimal(each.type):
            table = table.set_column(at, each.name, table.column(at).cast(pyarrow.float64()))
        elif types.is_dictionary(each.type):
            plain = table.column(at).cast(each.type.value_type)
            table = table.set_column(at, each.name, plain)
    # Column by column, without copies where nothing is missing, and without the index of pandas.
    frame = table.to_pandas(
        split_blocks=True, self_destruct=True, ignore_metadata=True, date_as_object=False
    )
    return Content(frame, notes=tuple(notes))
