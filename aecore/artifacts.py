"""Artifacts: values computed from a run or dataset, each in one safetensors file.

A file holds arrays, and facts as JSON. Nothing of it is read before its size, and of arrays their
names, types and shapes, are known to be those that the artifact expects. Nothing is ever unpickled.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar

import numpy as np
from pydantic import StringConstraints, TypeAdapter

from aecore import files, locations
from aecore.errors import Damaged, in_one_line, printable

log = logging.getLogger(__name__)

MAX_FACTS = 2**20
"""Bytes of the header of what was computed of a run or a dataset."""
MAX_HEADER = 16 * 2**20
"""Bytes of the header of a safetensors file, which in a checkpoint holds the history."""
MAX_TENSORS = 2 * 2**30
ROUNDING = 1e-6
"""By which a measured share or correlation may pass its bounds."""
Word = Annotated[str, StringConstraints(max_length=100)]
"""A short text in the facts of a file."""

# --- Expected contents --------------------------------------------------------------------------


class Size(NamedTuple):
    """A dimension that a file may choose, from 1 to a maximum; equal for each use of its name."""

    name: str
    most: int


@dataclass(frozen=True)
class Array:
    """Required type and shape of an array in a file."""

    shape: tuple[int | Size, ...]
    kind: Literal["f", "i"] = "f"
    """Floating-point numbers or integers."""
    low: float = -math.inf
    high: float = math.inf
    finite: bool = True
    """Whether each must be a number; bounds hold for those that are."""
    rises: bool = False
    """Whether each is larger than the one before."""
    optional: bool = False


SHARE = Array((), low=-ROUNDING, high=1 + ROUNDING, finite=False)
"""Shares that were measured; NaN where they were not."""
ANY_FACTS = TypeAdapter(dict[str, Any])
KINDS = {"f": ("F32", "F64"), "i": ("I16", "I32", "I64")}

# --- Artifacts ----------------------------------------------------------------------------------

Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class Artifact(Generic[Value]):
    """A stored value: its path, its run, and the expected contents of its file."""

    path: Path
    """Path to write. The value may also ship with the project, see `file`."""
    dump: Callable[[Value], tuple[Mapping[str, np.ndarray], Mapping[str, Any]]]
    """The arrays and facts of a value."""
    build: Callable[[dict[str, np.ndarray], Any], Value | None]
    """The value of read-only arrays and validated facts; None where it was computed by other
    settings than those of today. Raises `Damaged` where they do not go together."""
    expected: Callable[[Any], Mapping[str, Array]]
    """What the arrays must be, by the validated facts."""
    facts: TypeAdapter[Any] = ANY_FACTS
    """What the facts must be."""
    created: datetime | None = None
    """When the run was created that it is of; None where it is of a dataset."""

    @property
    def file(self) -> Path:
        """Path to read: in the store, or among the shipped runs."""
        return locations.readable(self.path)

    def save(self, value: Value) -> None:
        """Write the value to the store, replacing the file in one rename."""
        arrays, facts = self.dump(value)
        own = {} if self.created is None else {"created": self.created.isoformat()}
        write_arrays(self.path, arrays, {**own, **facts})

    def load(self) -> Value | None:
        """Load the value; None if it is absent or belongs to another run of the same name.

        Raises `Damaged`, with a sentence that names the file, where it is anything else.
        """
        path = self.file
        if not path.is_file():
            return None
        try:
            with open_tensors(path, "np", MAX_FACTS) as file:
                stated = json.loads((file.metadata() or {}).get("json", "{}"))
                if self.created is not None:
                    if stated.get("created") is None:
                        raise Damaged("it does not say of which run it is")
                    if stated["created"] != self.created.isoformat():
                        return None
                facts = self.facts.validate_python(stated)
                expected = self.expected(facts)
                refuse_shapes(file, expected)
                return self.build(_arrays(file, expected), facts)
        except Exception as error:  # whatever lies there, it is not what was stored
            raise damaged(path, in_one_line(error)) from error

    def load_intact(self) -> Value | None:
        """Load the value; None, after a log entry, if its file is damaged."""
        return intact(self.load)


def damaged(path: Path, reason: str) -> Damaged:
    """The error of a damaged artifact, which names its file."""
    return Damaged(f"{printable(str(path))} is damaged ({reason.rstrip('.')}): compute it again.")


def intact(read: Callable[..., Value | None], *arguments: Any) -> Value | None:
    """Call a reader of artifacts; None, after a log entry, if a file is damaged."""
    try:
        return read(*arguments)
    except Damaged as error:
        log.warning("%s", error)
        return None


# --- Files --------------------------------------------------------------------------------------


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
    """Write arrays and facts (JSON) to one safetensors file, in one rename."""
    from safetensors.numpy import save as arrays_to_bytes

    write_bytes(path, arrays_to_bytes(contiguous(arrays), {"json": json.dumps(facts)}))


def read_arrays(
    path: Path, expected: Mapping[str, Array] | None = None
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read-only arrays and facts of a file written by `write_arrays`.

    Arguments
        expected: what they must be; raises `Damaged` where they are not.
    """
    with open_tensors(path, "np") as file:
        if expected is not None:
            refuse_shapes(file, expected)
        facts = json.loads((file.metadata() or {}).get("json", "{}"))
        return _arrays(file, expected or {}), facts


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file and its parent folders in one rename, synced to disk."""
    with files.writing(path, locations.OTHERWISE):
        files.make_folder(path.parent)
        files.replace(path, content)


def refuse_shapes(file: Any, expected: Mapping[str, Array], prefix: str = "") -> None:
    """Raise `Damaged` if names, types or shapes in an open file are not as expected."""
    there = file.keys()
    problems = [f"{key} is not known" for key in there if key not in expected]
    sizes: dict[str, int] = {}
    for key, wanted in expected.items():
        if key not in there:
            problems += [] if wanted.optional else [f"{key} is missing"]
            continue
        header = file.get_slice(key)
        kind, shape = header.get_dtype(), tuple(header.get_shape())
        if kind not in KINDS[wanted.kind]:
            problems.append(f"{key} is of type {kind}")
        if not _fits(shape, wanted.shape, sizes):
            named = ", ".join(str(getattr(size, "name", size)) for size in wanted.shape)
            problems.append(f"{key} is of shape {shape} instead of ({named})")
    if problems:
        raise Damaged(f"{prefix}{'; '.join(problems[:5])}")


def _fits(shape: tuple[int, ...], wanted: tuple[int | Size, ...], sizes: dict[str, int]) -> bool:
    """Whether a shape matches, given the named `sizes`; adds the sizes that it defines."""
    return len(shape) == len(wanted) and all(
        found == size
        if isinstance(size, int)
        else 1 <= found <= size.most and found == sizes.setdefault(size.name, found)
        for found, size in zip(shape, wanted, strict=True)
    )


def _arrays(file: Any, expected: Mapping[str, Array]) -> dict[str, np.ndarray]:
    """Read-only arrays of an open file whose shapes have been checked."""
    arrays = {key: file.get_tensor(key) for key in file.keys()}
    for key, array in arrays.items():
        array.flags.writeable = False
        wanted = expected.get(key)
        if wanted is None or not array.size:
            continue
        if wanted.finite and not np.isfinite(array).all():
            raise Damaged(f"{key} holds values that are no finite numbers")
        if (array < wanted.low).any() or (array > wanted.high).any():
            raise Damaged(f"{key} holds values outside of {wanted.low:g} to {wanted.high:g}")
        if wanted.rises and (np.diff(array) <= 0).any():
            raise Damaged(f"{key} does not rise")
    return arrays


def contiguous(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def open_tensors(
    path: Path, framework: str, header: int | None = None, most: int | None = None
) -> Any:
    """Open a safetensors file of limited size; only its header, limited too, is read."""
    from safetensors import SafetensorError, safe_open

    check_size(path, most or MAX_TENSORS)
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    try:
        if length > (header or MAX_HEADER):
            raise SafetensorError(f"its header would be of {length} bytes")
        return safe_open(path, framework)
    except SafetensorError as error:
        raise Damaged(f"{path.name} is not a readable safetensors file ({error}).") from error


def check_size(path: Path, most: int) -> None:
    """Raise `Damaged` if a file is too large, before anything of it is read."""
    size = path.stat().st_size
    if size > most:
        raise Damaged(f"{path.name} is larger than {most:,} bytes: it has {size:,}.")
