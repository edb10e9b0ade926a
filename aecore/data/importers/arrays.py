"""Arrays in files: NPY, NPZ by name, and IDX as of MNIST."""

from __future__ import annotations

import gzip
import math
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

import numpy as np

from aecore.data.importers.formats import (
    MAX_FILE,
    MOST_COLUMNS,
    MOST_VALUES,
    PREVIEWED,
    Content,
    Format,
    bomb_problems,
    reading,
    register,
)
from aecore.data.importers.table import check_names
from aecore.data.spec import MOST_SAMPLES
from aecore.errors import InvalidRequest, printable, shown

if TYPE_CHECKING:
    from PIL import Image

FEATURES = ("x", "data", "features", "images", "inputs", "arr_0")
LABELS = ("y", "labels", "label", "targets", "target", "classes")
ENDS = {"train": "train", "training": "train", "test": "test", "valid": "test", "val": "test"}
"""Ends of names such as x_train, and the split that they stand for."""


@dataclass(frozen=True, eq=False)
class ArrayPictures:
    """Images in an array."""

    pixels: np.ndarray
    """(n, height, width) or (n, height, width, 3), as in the file."""
    white: int = 255
    """Value of a white pixel; of 255 in whole numbers of eight bits nothing is computed."""

    @property
    def sizes(self) -> np.ndarray:
        return np.broadcast_to(np.array(self.pixels.shape[1:3]), (len(self.pixels), 2))

    @property
    def colour(self) -> bool:
        return self.pixels.ndim == 4

    def image(self, row: int) -> Image.Image:
        from PIL import Image

        pixels = np.ascontiguousarray(self.pixels[row])
        if pixels.dtype != np.uint8 or self.white != 255:
            pixels = np.divide(pixels, np.float32(self.white), dtype=np.float32)
        if pixels.dtype != np.uint8 and self.colour:  # Pillow has colours of eight bits alone
            pixels = np.rint(pixels * 255).astype(np.uint8)
        return Image.fromarray(pixels)


# --- Arrays as content --------------------------------------------------------------------------


def content_of(name: str, x: np.ndarray, columns: dict[str, np.ndarray], **more: Any) -> Content:
    """Content of features or images (n, ...) and of further columns (n,).

    Raises `InvalidRequest` where the array is neither a table nor images.
    """
    import pandas

    notes = list(more.pop("notes", ()))
    x = _native(x)
    columns = {each: _native(values) for each, values in columns.items()}
    if x.dtype.kind not in "fiub":
        raise InvalidRequest(
            f"{name} is of type {x.dtype}: give an array of numbers, and text as a CSV file."
        )
    if x.ndim not in (2, 3, 4) or 0 in x.shape:
        raise InvalidRequest(
            f"{name} is of shape {x.shape}: give (samples, features) for a table, "
            "(samples, height, width) for grey images, or (samples, height, width, 3) for colour."
        )
    if x.ndim > 2:
        pixels, white, decided = _pixels(name, x)
        table = pandas.DataFrame(columns, index=range(len(x)))
        return Content(table, ArrayPictures(pixels, white), notes=(*notes, *decided), **more)
    if x.shape[1] > MOST_COLUMNS:
        raise InvalidRequest(
            f"{name} has {x.shape[1]:,} columns: give up to {MOST_COLUMNS:,}, or images as an "
            "array of shape (samples, height, width)."
        )
    names = [f"feature {at}" for at in range(1, x.shape[1] + 1)]
    problems = check_names([*names, *columns])
    if problems:
        raise InvalidRequest(problems)
    if x.dtype == np.float16:
        x = x.astype(np.float32)
    table = pandas.DataFrame(x, columns=names, copy=False)
    if columns:
        table = pandas.concat([table, pandas.DataFrame(columns)], axis=1)
    return Content(table, notes=tuple(notes), **more)


def _native(array: np.ndarray) -> np.ndarray:
    """Array in the byte order of this machine, the only one that pandas knows."""
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _pixels(name: str, x: np.ndarray) -> tuple[np.ndarray, int, list[str]]:
    """Images, the value of a white pixel, and what was decided about them."""
    notes = []
    if x.ndim == 4 and x.shape[3] not in (1, 3) and x.shape[1] in (1, 3):
        notes.append(f"{name} of shape {x.shape} was read as channels first.")
        x = np.moveaxis(x, 1, 3)
    if x.ndim == 4 and x.shape[3] not in (1, 3):
        raise InvalidRequest(
            f"{name} has {x.shape[3]} channels: give images of 1 or 3 in the last dimension."
        )
    if x.ndim == 4 and x.shape[3] == 1:
        x = x[..., 0]
    if x.dtype == np.uint8:
        return x, 255, notes
    if x.dtype.kind == "b":
        return x.astype(np.uint8), 1, notes
    low, high = x.min(), x.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        rows = np.flatnonzero(~np.isfinite(x.reshape(len(x), -1)).all(axis=1))
        raise InvalidRequest(
            f"{name} has pixels that are no finite numbers, in {len(rows):,} images, the first of "
            f"which is number {rows[0] + 1}: correct or remove them."
        )
    top = next((top for top in (1, 255, 65_535) if high <= top), 0)
    if low < 0 or not top:
        raise InvalidRequest(
            f"{name} has pixels from {low:.4g} to {high:.4g}: scale them to 0 to 1, or to 0 to 255."
        )
    if x.dtype.kind in "iu" and top == 1:  # whole numbers, of which none is above 1
        notes.append(f"Pixels of {name} are 0 and 1: 1 was read as white.")
    elif top > 1:
        notes.append(f"Pixels of {name} reach to {high:.4g}: {top:,} was read as white.")
    return x, top, notes


# --- NumPy's formats ----------------------------------------------------------------------------


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of an NPY file, of which only the header is read."""
    version = np.lib.format.read_magic(file)
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read(file)
    return shape, dtype


def _check(name: str, shape: tuple[int, ...], dtype: np.dtype, size: int | None) -> list[str]:
    """Problems of an array that is to be read, by its header."""
    n = math.prod(shape)
    if dtype.hasobject:
        return [f"{name} holds Python objects, which are not read: save it as numbers or text."]
    if n > MOST_VALUES or (shape and shape[0] > MOST_SAMPLES):
        return [f"{name} is of shape {shape}: give up to {MOST_VALUES:,} values."]
    if size is not None and n * dtype.itemsize > size:
        return [f"{name} ends too early: save or copy it again."]
    return []


@register
class NPY(Format):
    """One NumPy array."""

    name = "NPY file"
    endings = (".npy",)
    signatures = (b"\x93NUMPY",)

    @classmethod
    def read(cls, path: Path) -> Content:
        return cls._rows(path, None)

    @classmethod
    def beginning(cls, path: Path) -> Content:
        return cls._rows(path, PREVIEWED)

    @classmethod
    def _rows(cls, path: Path, most: int | None) -> Content:
        name = printable(path.name)
        with reading(path, cls.name):
            with path.open("rb") as file:
                shape, dtype = _header(file)
                problems = _check(name, shape, dtype, path.stat().st_size - file.tell())
            if problems:
                raise InvalidRequest(problems)
            # What is mapped is read when it is used, and never held beside what becomes of it.
            array = np.load(path, mmap_mode="r")
            part = most is not None and array.ndim > 0 and len(array) > most
            notes = (
                [f"Only the first {most:,} samples were looked at: all are read when it is stored."]
                if part
                else []
            )
            return content_of(name, array[:most] if part else array, {}, notes=notes, part=part)


@register
class NPZ(Format):
    """Several NumPy arrays by name: features, and labels of the same length."""

    name = "NPZ file"
    endings = (".npz",)
    signatures = (b"PK\x03\x04",)

    @classmethod
    def read(cls, path: Path) -> Content:
        with reading(path, cls.name):
            return _by_name(printable(path.name), cls._arrays(path))

    @classmethod
    def _arrays(cls, path: Path) -> dict[str, np.ndarray]:
        """The arrays of a file, after their headers and their sizes together are known."""
        problems: list[str] = []
        total = 0
        with zipfile.ZipFile(path) as archive:
            members = [each for each in archive.infolist() if each.filename.endswith(".npy")]
            for member in members:
                with archive.open(member) as file:
                    shape, dtype = _header(file)
                total += math.prod(shape) * dtype.itemsize
                problems += _check(member.filename[:-4], shape, dtype, member.file_size)
        if total > 2 * MAX_FILE:
            problems.append(f"The arrays have {total:,} bytes: give up to {2 * MAX_FILE:,}.")
        problems += bomb_problems(path, total)
        if not members:
            problems.append(f"{printable(path.name)} holds no arrays: give an NPZ file with some.")
        if problems:
            raise InvalidRequest(problems)
        with np.load(path) as file:
            names = [member.filename.removesuffix(".npy") for member in members]
            return {printable(name): file[name] for name in names}


def _by_name(name: str, arrays: dict[str, np.ndarray]) -> Content:
    """Content of named arrays: x and y, x_train and x_test, or columns alone."""
    split = ""
    notes: list[str] = []
    joined: dict[str, dict[str, np.ndarray]] = {}
    for key, array in arrays.items():
        first, _, second = key.lower().rpartition("_")
        if (side := ENDS.get(second)) and first:
            joined.setdefault(first, {})[side] = array
        elif (side := ENDS.get(key.lower().split("_")[0])) and "_" in key:
            joined.setdefault(key.lower().partition("_")[2], {})[side] = array
    pairs = {key: sides for key, sides in joined.items() if len(sides) == 2}
    if pairs:
        arrays = {key: _concatenated(key, sides) for key, sides in pairs.items()}
    many = [key for key, array in arrays.items() if array.ndim > 1]
    if not many:
        return _columns(name, arrays)
    known = [key for key in many if key.lower() in FEATURES]
    main = (known or sorted(many, key=lambda key: -arrays[key].size))[0]
    x = arrays.pop(main)
    columns = {}
    for key, array in arrays.items():
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim == 1 and len(array) == len(x) and array.dtype.kind in "fiubUS":
            # What is not UTF-8 is shown as what it is, and refuses no other array.
            text = array.dtype.kind == "S"
            columns[key] = np.char.decode(array, "utf-8", "backslashreplace") if text else array
        else:
            notes.append(f"Array {shown(key)} of shape {array.shape} is left out.")
    if pairs:
        split = "split"
        counts = [len(pairs[main][side]) for side in ("train", "test")]
        columns[split] = np.repeat(["train", "test"], counts)
    label = next((key for key in columns if key.lower() in LABELS), "")
    return content_of(main, x, columns, label=label, split=split, notes=notes)


def _concatenated(key: str, sides: dict[str, np.ndarray]) -> np.ndarray:
    train, test = sides["train"], sides["test"]
    if train.ndim == 0 or train.shape[1:] != test.shape[1:]:
        raise InvalidRequest(
            f"The arrays {key} for training and testing are of shapes {train.shape} and "
            f"{test.shape}: give both in one shape."
        )
    return np.concatenate([train, test])


def _columns(name: str, arrays: dict[str, np.ndarray]) -> Content:
    """Content of arrays (n,) that are the columns of a table."""
    import pandas

    lengths = {array.shape for array in arrays.values()}
    if len(lengths) > 1 or () in lengths or (0,) in lengths:
        raise InvalidRequest(
            f"{name} holds arrays of shapes {', '.join(map(str, sorted(lengths)))}: give one of "
            "shape (samples, features) named x, or columns of one length."
        )
    if any(array.dtype.kind not in "fiubUS" for array in arrays.values()):
        raise InvalidRequest(f"{name} holds values that are neither numbers nor text.")
    label = next((key for key in arrays if key.lower() in LABELS), "")
    native = {key: _native(array) for key, array in arrays.items()}
    return Content(pandas.DataFrame(native), label=label)


SIDES = (("train", "t10k"), ("train", "test"), ("t10k", "train"), ("test", "train"))
"""Words in names of files, and those of the other split."""

# --- IDX ----------------------------------------------------------------------------------------


@register
class IDX(Format):
    """The format of MNIST, gzipped or not; labels and test images beside it are read as well."""

    name = "IDX file"
    endings = ("ubyte", "ubyte.gz", ".idx", ".idx.gz")
    signatures = (b"\0\0\x08", b"\0\0\x09", b"\0\0\x0b", b"\0\0\x0c", b"\0\0\x0d", b"\0\0\x0e",
                  b"\x1f\x8b")  # fmt: skip
    types: ClassVar[dict[int, str]] = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}

    @classmethod
    def read(cls, path: Path) -> Content:
        x = cls.array(path)
        if "labels" in path.name or x.ndim == 1:
            raise InvalidRequest(
                f"{printable(path.name)} holds labels: give the file of the images, and leave this "
                "one beside it."
            )
        files = cls._splits(path)
        notes = [
            f"{printable(beside.name)} was read, too, from beside the file."
            for beside in files.values()
            if beside != path
        ]
        parts = {split: x if at == path else cls.array(at) for split, at in files.items()}
        labels = {split: cls._labels(at, len(parts[split])) for split, at in files.items()}
        columns = {}
        if all(each is not None for each in labels.values()):
            columns["label"] = np.concatenate([labels[split] for split in parts])
            notes.append("The labels were read from the files beside it.")
        if len(parts) == 2:
            columns["split"] = np.repeat(list(parts), [len(part) for part in parts.values()])
            if len({part.shape[1:] for part in parts.values()}) > 1:
                raise InvalidRequest("The images for training and testing differ in size.")
        return content_of(
            printable(path.name),
            np.concatenate(list(parts.values())) if len(parts) > 1 else x,
            columns,
            label="label" if "label" in columns else "",
            split="split" if "split" in columns else "",
            notes=notes,
        )

    @classmethod
    def _splits(cls, path: Path) -> dict[str, Path]:
        """The file and, by its name, the one of the other split beside it."""
        for own, other in SIDES:
            if own in path.name and (beside := _beside(path, path.name.replace(own, other))):
                pair = (path, beside) if own == "train" else (beside, path)
                return dict(zip(("train", "test"), pair, strict=True))
        return {"train": path}

    @classmethod
    def _labels(cls, path: Path, n: int) -> np.ndarray | None:
        """Labels in the file beside that of the images; None if there is none."""
        beside = _beside(path, path.name.replace("images", "labels").replace("idx3", "idx1"))
        if beside is None:
            return None
        labels = cls.array(beside)
        if labels.shape != (n,):
            raise InvalidRequest(
                f"{printable(beside.name)} holds an array of shape {labels.shape} where {n:,} "
                "labels belong: remove or replace it."
            )
        return labels

    @classmethod
    def array(cls, path: Path) -> np.ndarray:
        """Array of a file, of which not a byte more is read than its header says."""
        name = printable(path.name)
        with reading(path, cls.name):
            with path.open("rb") as start:
                zipped = start.read(2) == b"\x1f\x8b"
            with gzip.open(path) if zipped else path.open("rb") as file:
                zero, code, n_dimensions = struct.unpack(">HBB", file.read(4))
                if zero or code not in cls.types or not 1 <= n_dimensions <= 4:
                    raise InvalidRequest(f"{name} is no IDX file: its header says otherwise.")
                shape = struct.unpack(f">{n_dimensions}I", file.read(4 * n_dimensions))
                dtype = np.dtype(cls.types[code])
                expected = math.prod(shape) * dtype.itemsize
                problems = _check(name, shape, dtype, None) or bomb_problems(path, expected)
                if problems:
                    raise InvalidRequest(problems)
                content = file.read(expected + 1)
        if len(content) != expected:
            raise InvalidRequest(
                f"{name} holds {len(content):,} bytes where its header says {expected:,}: save or "
                "copy it again."
            )
        values = np.frombuffer(content, dtype).reshape(shape)
        return values.astype(dtype.newbyteorder("="), copy=False)


def _beside(path: Path, name: str) -> Path | None:
    """Another file in the same folder, gzipped or not; None if there is none."""
    plain = name.removesuffix(".gz")
    for beside in (path.with_name(plain), path.with_name(f"{plain}.gz")):
        if beside != path and beside.is_file():
            return beside
    return None
