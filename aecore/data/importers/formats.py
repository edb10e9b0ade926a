"""Registry of file formats that can be read as datasets, and what a reader returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

from aecore import files
from aecore.errors import InvalidRequest, in_one_line, printable

if TYPE_CHECKING:
    import numpy as np
    import pandas
    from PIL import Image

MAX_FILE = 4 * 2**30
"""Bytes of a file."""
MOST_COLUMNS = 16_384
MOST_VALUES = 2**30
"""Values of a table or an array: rows times columns."""
LARGE = 32 * 2**20
"""Bytes from which on `preview` reads a part of a file."""
PREVIEWED = 20_000
"""Rows of that part."""
MAX_RATIO = 200
"""Bytes for each byte of a packed file, beyond which it is a bomb."""
ALWAYS_UNPACKED = 2**30
"""Bytes up to which a file is unpacked however small it is."""
NAMED = 20
"""Faulty lines, members or columns of one sort that are named one by one."""


class Pictures(Protocol):
    """Images of a file, decoded one at a time."""

    @property
    def sizes(self) -> np.ndarray:
        """Height and width of each, (n, 2)."""

    @property
    def colour(self) -> bool:
        """Whether any of them is in colour."""

    def image(self, row: int) -> Image.Image:
        """Image of a row of the table, as it is in the file, upright."""


@dataclass(frozen=True, eq=False)
class Content:
    """A file as read, before any choice: one row a sample."""

    table: pandas.DataFrame
    """Columns by name; of images what is known beside their pixels."""
    pictures: Pictures | None = None
    lines: np.ndarray | None = None
    """Line of each row in the file, (n,)."""
    label: str = ""
    """Column that holds the labels by the layout of the file."""
    split: str = ""
    """Column that says train or test by the layout of the file."""
    decimal_comma: bool = False
    """Whether numbers with commas probably have decimal commas."""
    metadata: tuple[str, ...] = ()
    """Columns that describe samples by the layout of the file, and are no features."""
    part: bool = False
    """Whether the file holds more, which was not read."""
    notes: tuple[str, ...] = field(default=())
    """What was decided and left out in reading, as sentences."""


class Format(ABC):
    """A file format."""

    name: ClassVar[str]
    endings: ClassVar[tuple[str, ...]]
    """Ends of file names, in lower case."""
    signatures: ClassVar[tuple[bytes, ...]] = ()
    """What such files begin with; empty where they may begin with anything."""
    largest: ClassVar[int] = MAX_FILE
    """Bytes of the largest file that is read."""

    @classmethod
    @abstractmethod
    def read(cls, path: Path) -> Content:
        """Read a file; raises `InvalidRequest` with everything that is wrong in it."""

    @classmethod
    def beginning(cls, path: Path) -> Content:
        """Read enough of a large file to report on it; here all of it."""
        return cls.read(path)


FORMATS: dict[str, type[Format]] = {}


def register(kind: type[Format]) -> type[Format]:
    """Decorator that adds a format to the registry."""
    FORMATS[kind.name] = kind
    return kind


def format_of(path: Path) -> type[Format]:
    """Format of a file by its name and its first bytes.

    Raises `InvalidRequest` where it is missing, empty, too large, unknown, or named as another.
    """
    name = printable(path.name)
    if path.is_dir():
        return FORMATS["folder of images"]
    if not path.is_file():
        raise InvalidRequest(f"{printable(str(path))} is no file or folder: give the path of one.")
    ends = [
        (ending, kind)
        for kind in FORMATS.values()
        for ending in kind.endings
        if path.name.lower().endswith(ending)
    ]
    if not ends:
        known = ", ".join(ending for kind in FORMATS.values() for ending in kind.endings)
        raise InvalidRequest(f"{name} has an unknown ending: give a file with one of {known}.")
    kind = max(ends, key=lambda each: len(each[0]))[1]
    size = path.stat().st_size
    if not size:
        raise InvalidRequest(f"{name} is empty: save it again.")
    if size > kind.largest:
        raise InvalidRequest(
            f"{name} has {size:,} bytes, more than the {kind.largest:,} that are read: make it "
            "smaller, for example by taking fewer rows."
        )
    with path.open("rb") as file:
        head = file.read(16)
    if kind.signatures and head.startswith(kind.signatures):
        return kind
    alike = [other for other in FORMATS.values() if head.startswith(other.signatures)]
    if alike:
        names = " or ".join(other.name for other in alike)
        endings = " or ".join(other.endings[0] for other in alike)
        raise InvalidRequest(
            f"{name} is no {kind.name} but begins like: {names}. Save it again as what its name "
            f"says, or give it the ending {endings}."
        )
    if kind.signatures:
        raise InvalidRequest(
            f"{name} is no {kind.name}, or its beginning is damaged: save it again, or give it "
            "the ending of what it is."
        )
    return kind


def read(path: Path) -> Content:
    """Read a file or folder, before any choice; raises `InvalidRequest` with all its faults."""
    try:
        return format_of(path).read(path)
    except OSError as error:
        raise InvalidRequest(files.sentence(error)) from error


def preview(path: Path) -> Content:
    """Read a file as `read` does, or of a large one a part, whose `part` is true."""
    try:
        kind = format_of(path)
        large = path.is_dir() or path.stat().st_size > LARGE
        return kind.beginning(path) if large else kind.read(path)
    except OSError as error:
        raise InvalidRequest(files.sentence(error)) from error


def unreadable(name: str, kind: str, error: Exception) -> InvalidRequest:
    """The error of a file that a library cannot read."""
    return InvalidRequest(
        f"{printable(name)} cannot be read as a {kind} "
        f"({in_one_line(error)[:200].rstrip('.')}): it is damaged or ends too early; save or copy "
        "it again."
    )


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Context in which an error of a library becomes that of a file that cannot be read."""
    try:
        yield
    except InvalidRequest:
        raise
    except Exception as error:  # whatever the library stumbles over
        raise unreadable(path.name, kind, error) from error


def bomb_problems(path: Path, n_bytes: int) -> list[str]:
    """Problems of a packed file that would have so many bytes when unpacked."""
    most = max(MAX_RATIO * path.stat().st_size, ALWAYS_UNPACKED)
    if n_bytes <= most:
        return []
    return [
        f"{printable(path.name)} would have {n_bytes:,} bytes when unpacked, more than {most:,}, "
        "the most for a file of its size: save it with less compression, or in parts."
    ]


def in_list(problems: list[str], noun: str) -> list[str]:
    """The first of many problems, and how many more `noun` have one."""
    if len(problems) <= NAMED:
        return problems
    return [*problems[:NAMED], f"{len(problems) - NAMED:,} further {noun} have such a fault."]
