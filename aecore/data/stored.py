"""Datasets stored by a user, in the store's folder, visible to every process that uses it.

    models_store/_datasets/<name>/card.json           specification, and digest of each array
                                  arrays.safetensors  features and labels of both splits
                                  columns.safetensors what else is known of each sample, if anything

`aecore.data.catalog` joins them to the built-in ones. An entry is written aside and renamed into
place. Nothing of a file is read before its size, and of arrays their names, types and shapes, are
known to be what the specification implies; nothing is ever unpickled.
"""

from __future__ import annotations

import errno
import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from aecore import files, locations
from aecore.artifacts import Array, check_size, open_tensors, refuse_shapes
from aecore.data import metadata
from aecore.data.metadata import Metadata
from aecore.data.preparation import Preparation
from aecore.data.spec import DataSpec, Sha256, StoredSpec
from aecore.errors import Damaged, InvalidRequest, in_one_line, printable, unknown

if TYPE_CHECKING:
    from aecore.data.dataset import Column

FORMAT = 1
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,29}")
CARD, ARRAYS, COLUMNS = "card.json", "arrays.safetensors", "columns.safetensors"
MAX_CARD = 8 * 2**20
"""Bytes of a card, most of which may be names of classes and features."""
MAX_HEADER = 4_096
"""Bytes of the header of the arrays."""
MAX_ARRAYS = 4 * 2**30
MAX_COLUMNS = 2 * 2**30
"""Bytes of the columns that describe samples."""
MAX_COLUMNS_HEADER = 2**17
MAPPED_FROM = 2**27
"""Bytes of arrays that are mapped into memory instead of read, so that processes share them."""
SPLITS = ("train", "test")
DTYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype(np.float32),
    "I64": np.dtype(np.int64),
    "F64": np.dtype(np.float64),
    "U8": np.dtype(np.uint8),
}
"""Numbers in the arrays, by their names in the file."""

Split = tuple[np.ndarray, np.ndarray]
"""Features (n, n_features), and labels (n,)."""


class Card(BaseModel):
    """Metadata of a stored dataset."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1]
    spec: StoredSpec
    digests: tuple[Sha256, Sha256, Sha256, Sha256]
    """SHA-256 of the bytes of each array, in the order of `array_names`."""
    preparation: Preparation | None = None
    """How the features came from a file; None where arrays were given."""
    columns: Annotated[tuple[Metadata, ...], Field(max_length=metadata.MOST_METADATA)] = ()
    """What else is known of each sample."""
    columns_digest: Sha256 | None = None
    """SHA-256 of the file of the columns; None where there are none."""


class Entry(NamedTuple):
    """A stored dataset: its card, and the folder that holds its arrays."""

    folder: Path
    card: Card
    changed: int
    """When its card was written, in nanoseconds."""


def array_names() -> list[str]:
    """Array names of an entry: features and labels of the training, then of the test split."""
    return [f"{split}.{part}" for split in SPLITS for part in ("x", "labels")]


def root() -> Path:
    """Folder of the stored datasets."""
    return locations.store() / "_datasets"


def names() -> list[str]:
    """Names of the stored datasets, damaged ones included."""
    folder = root()
    if not folder.is_dir():
        return []
    return sorted(
        each.name for each in folder.iterdir() if NAME.fullmatch(each.name) and each.is_dir()
    )


def entry(name: str) -> Entry | None:
    """Get the stored dataset called `name`; None if there is none.

    Raises `Damaged` where its card cannot be read.
    """
    folder = root() / name
    if not NAME.fullmatch(name) or not folder.is_dir():
        return None
    try:
        facts = (folder / CARD).stat()
    except OSError as error:
        raise _damaged(name, f"{CARD} cannot be read ({error.strerror})") from error
    return _entry(folder, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=256)
def _entry(folder: Path, changed: int, size: int) -> Entry:
    """Read a card, anew where the time or size of its file is another."""
    name = folder.name
    try:
        check_size(folder / CARD, MAX_CARD)
        card = Card.model_validate_json((folder / CARD).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(name, f"{CARD}: {in_one_line(error)}") from error
    if card.spec.name != name:
        raise _damaged(name, f"its {CARD} is that of another dataset")
    return Entry(folder, card, changed)


def read(stored: Entry, split: str) -> Split:
    """Read the features (n, n_features) float32 and labels (n,) of "train" or "test".

    Raises `Damaged` where the arrays are not those of the card.
    """
    from safetensors import SafetensorError

    spec = stored.card.spec
    digests = dict(zip(array_names(), stored.card.digests, strict=True))
    try:
        with open_tensors(stored.folder / ARRAYS, "np", MAX_HEADER, MAX_ARRAYS) as file:
            refuse_shapes(file, _expected_arrays(spec))
            names = [f"{split}.{part}" for part in ("x", "labels")]
            x, labels = _read_arrays(file, stored.folder / ARRAYS, names)
        for part, array in (("x", x), ("labels", labels)):
            if _digest(array) != digests[f"{split}.{part}"]:
                raise Damaged(f"{split}.{part} has changed since it was stored")
        arrays, problems = _checked_arrays(spec, {split: (x, labels)})
        if problems:
            raise Damaged(problems)
    except (OSError, SafetensorError, Damaged) as error:
        raise _damaged(spec.name, f"{ARRAYS}: {in_one_line(error).rstrip('.')}") from error
    return arrays[f"{split}.x"], arrays[f"{split}.labels"]


def read_columns(stored: Entry, split: str) -> dict[str, Column]:
    """Read what else is known of each sample of "train" or "test", by the names of the columns.

    Raises `Damaged` where the file is not that of the card.
    """
    from safetensors import SafetensorError

    card, path = stored.card, stored.folder / COLUMNS
    if not card.columns:
        return {}
    n = {"train": card.spec.n_train, "test": card.spec.n_test}[split]
    try:
        check_size(path, MAX_COLUMNS)
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        if digest != card.columns_digest:
            raise Damaged("it has changed since it was stored")
        with open_tensors(path, "np", MAX_COLUMNS_HEADER, MAX_COLUMNS) as file:
            arrays = [file.get_tensor(f"{split}.{at}") for at in range(len(card.columns))]
        columns = [
            metadata.from_array(column, array, n)
            for column, array in zip(card.columns, arrays, strict=True)
        ]
    except (OSError, ValueError, SafetensorError) as error:
        raise _damaged(card.spec.name, f"{COLUMNS}: {in_one_line(error).rstrip('.')}") from error
    names = [printable(column.name) for column in card.columns]
    return dict(zip(names, columns, strict=True))


def name_problems(name: str, reserved: Iterable[str] = ()) -> list[str]:
    """Reasons why a dataset cannot be stored as `name`, as sentences.

    Arguments
        reserved: names that are taken by others.
    """
    if not NAME.fullmatch(name):
        return [
            f"name = '{printable(name)}' is not possible: give up to 30 lower-case letters, digits "
            "and hyphens, beginning with a letter or digit."
        ]
    if name in {*reserved, *names()}:
        return [f"name = '{name}' is taken: choose another, or remove that dataset first."]
    return []


def _read_arrays(file: Any, path: Path, names: Sequence[str]) -> list[np.ndarray]:
    """Arrays of an open file whose shapes have been checked; those of a large one are mapped.

    A mapping outlasts the removal of the file, which is written once and never changed.
    """
    headers = {name: file.get_slice(name) for name in file.offset_keys()}
    kinds = {name: header.get_dtype() for name, header in headers.items()}
    if path.stat().st_size < MAPPED_FROM or not DTYPES.keys() >= set(kinds.values()):
        return [file.get_tensor(name) for name in names]
    with path.open("rb") as opened:
        start = 8 + int.from_bytes(opened.read(8), "little")  # where the arrays begin
    arrays = {}
    for name, header in headers.items():
        dtype, shape = DTYPES[kinds[name]], tuple(header.get_shape())
        arrays[name] = np.asarray(np.memmap(path, dtype, "r", start, shape))
        start += arrays[name].nbytes
    return [arrays[name] for name in names]


def add(
    spec: DataSpec,
    train: Split,
    test: Split,
    reserved: Iterable[str] = (),
    preparation: Preparation | None = None,
    columns: Sequence[Metadata] = (),
    values: Mapping[str, Sequence[np.ndarray]] | None = None,
) -> Entry:
    """Store a dataset atomically: complete in the catalogue, or not at all.

    Arguments
        train, test: features (n, n_features), numbers in `spec.value_range` where that is given,
            and labels (n,): class numbers, or numbers where `spec.label_names` is empty.
        reserved: names that are taken by others.
        preparation: how the features came from a file.
        columns, values: what else is known of each sample, and for "train" and "test" the values
            of each column.

    Raises `InvalidRequest` with every reason why it cannot be stored.
    """
    arrays, problems = _checked_arrays(spec, {"train": train, "test": test})
    problems += spec.traits.display_problems(spec.shape, spec.value_range)
    problems += name_problems(spec.name, reserved)
    if problems:
        raise InvalidRequest(problems)
    spec = spec.model_copy(update={"fingerprint": None})  # which follows from the digests
    digests = tuple(_digest(arrays[name]) for name in array_names())
    known = {
        f"{split}.{at}": metadata.as_array(column, each[at])
        for split, each in (values or {}).items()
        for at, column in enumerate(columns)
    }
    if (size := sum(array.nbytes for array in known.values())) > MAX_COLUMNS - 2**20:
        raise InvalidRequest(
            f"The columns of metadata would have {size:,} bytes, more than {MAX_COLUMNS:,}: leave "
            "columns of long texts out."
        )
    beside = [bytes(part) for part in _as_safetensors(known)] if known else []
    card = Card(
        format=FORMAT,
        spec=spec,
        digests=digests,
        preparation=preparation,
        columns=tuple(columns),
        columns_digest=hashlib.sha256(b"".join(beside)).hexdigest() if beside else None,
    )
    content = (card.model_dump_json(indent=1, exclude_none=True) + "\n").encode()
    if len(content) > MAX_CARD:
        raise InvalidRequest(
            f"Names of columns, categories and classes take {len(content):,} bytes, more than "
            f"{MAX_CARD:,}: shorten them."
        )
    _write(spec.name, content, _as_safetensors(arrays), beside)
    stored = entry(spec.name)
    assert stored is not None
    return stored


def put(name: str, contents: Mapping[str, bytes]) -> bool:
    """Store the files of a dataset as they are; return whether they are those of one.

    What is in its arrays is looked at when they are read. Raises `InvalidRequest` where the name is
    taken.
    """
    parts = {CARD, ARRAYS}, {CARD, ARRAYS, COLUMNS}
    if not NAME.fullmatch(name) or contents.keys() not in parts or len(contents[CARD]) > MAX_CARD:
        return False
    try:
        card = Card.model_validate_json(contents[CARD])
    except (ValueError, RecursionError):
        return False
    if card.spec.name != name:
        return False
    columns = [contents[COLUMNS]] if COLUMNS in contents else []
    _write(name, contents[CARD], [contents[ARRAYS]], columns)
    return True


def remove(name: str) -> None:
    """Remove a stored dataset; runs trained on it remain and report that it is missing.

    Raises `InvalidRequest` where there is none of that name.
    """
    if name not in names():
        raise InvalidRequest(unknown("stored dataset", name, names()))
    with files.writing(root(), locations.OTHERWISE):
        aside = files.partial(root() / name)
        (root() / name).rename(aside)
        files.sync_folder(root())
        shutil.rmtree(aside, ignore_errors=True)  # what is left is removed as stale


def _write(
    name: str, card: bytes, arrays: Iterable[bytes | memoryview], columns: Sequence[bytes]
) -> None:
    place = root() / name
    with files.writing(root(), locations.OTHERWISE):
        files.make_folder(root())
        files.remove_stale(root(), ".*")
        aside = files.partial(place)
        aside.mkdir()
        try:
            files.write_new(aside / ARRAYS, *arrays)
            if columns:
                files.write_new(aside / COLUMNS, *columns)
            files.write_new(aside / CARD, card)
            files.sync_folder(aside)
            try:
                aside.rename(place)
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                    raise InvalidRequest(
                        f"name = '{name}' has just been taken: choose another."
                    ) from None
                raise
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        files.sync_folder(root())


def _as_safetensors(arrays: Mapping[str, np.ndarray]) -> Iterator[bytes | memoryview]:
    """Parts of a safetensors file of contiguous arrays, which the library would copy twice."""
    header: dict[str, Any] = {}
    end = 0
    # Integers first, so that each array begins at a multiple of the size of its numbers.
    ordered = sorted(arrays.items(), key=lambda each: -each[1].itemsize)
    for name, array in ordered:
        start, end = end, end + array.nbytes
        kind = next(kind for kind, dtype in DTYPES.items() if dtype == array.dtype)
        header[name] = {"dtype": kind, "shape": array.shape, "data_offsets": (start, end)}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little")
    yield text
    for _, array in ordered:
        yield array.data.cast("B") if array.nbytes else b""


# --- Arrays -------------------------------------------------------------------------------------


def _checked_arrays(
    spec: DataSpec, splits: Mapping[str, Split]
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Arrays in stored form, and the reasons why they do not match a specification."""
    arrays: dict[str, np.ndarray] = {}
    problems: list[str] = []
    sizes = {"train": spec.n_train, "test": spec.n_test}
    for split, given in splits.items():
        x, labels = map(np.asarray, given)
        wrong = [
            f"{split}.{part} is of type {array.dtype} and shape {array.shape}: give numbers of "
            f"shape {shape}, as the specification says."
            for part, array, shape in (
                ("x", x, (sizes[split], spec.n_features)),
                ("labels", labels, (sizes[split],)),
            )
            if array.dtype.kind not in "fiub" or array.shape != shape
        ]
        if not wrong:
            with np.errstate(over="ignore"):  # what is too large becomes infinite, and is named
                x = np.ascontiguousarray(x, np.float32)
            wrong = list(_value_problems(spec, split, x, labels))
        if not wrong:
            labels = np.ascontiguousarray(labels, np.int64 if spec.label_names else np.float32)
            arrays |= {f"{split}.x": x, f"{split}.labels": labels}
        problems += wrong
    return arrays, problems


def _value_problems(spec: DataSpec, split: str, x: np.ndarray, labels: np.ndarray) -> Iterable[str]:
    """Values that violate a specification, as sentences."""
    portions = np.array_split(x, (x.nbytes >> 26) + 1)  # or else the answers take a quarter of it
    if not all(np.isfinite(portion).all() for portion in portions):
        yield f"{split}.x has values that are no finite numbers: replace them."
    elif spec.value_range:
        low, high = spec.value_range
        if x.min() < low or x.max() > high:
            yield (
                f"{split}.x reaches from {x.min():.4g} to {x.max():.4g}, outside of "
                f"value_range = ({low:g}, {high:g}): scale it."
            )
    if not np.isfinite(labels).all():
        yield f"{split}.labels has values that are no finite numbers: replace them."
    elif spec.label_names and not np.isin(labels, np.arange(spec.n_classes)).all():
        yield f"{split}.labels has values other than the classes 0 to {spec.n_classes - 1}."


def _expected_arrays(spec: DataSpec) -> dict[str, Array]:
    sizes = {"train": spec.n_train, "test": spec.n_test}
    x = {f"{split}.x": Array((n, spec.n_features)) for split, n in sizes.items()}
    kind: Literal["i", "f"] = "i" if spec.label_names else "f"
    return x | {f"{split}.labels": Array((n,), kind) for split, n in sizes.items()}


def _digest(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def _damaged(name: str, reason: str) -> Damaged:
    return Damaged(
        f"The stored dataset '{name}' is damaged: {reason[:300]}. Restore it from a copy, or "
        f"remove the folder {root() / name}."
    )
