"""AnnData files (.h5ad): X as features, or a matrix of `obsm` as codes, and `obs` as metadata.

The layout is that of the AnnData project's on-disk format (HDF5; encodings "array", "categorical"
and "string-array"). It is read by h5py: nothing of it is unpickled, and links to other files are
not followed.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aecore.data.importers.arrays import content_of
from aecore.data.importers.formats import (
    MAX_FILE,
    MOST_COLUMNS,
    MOST_VALUES,
    Content,
    Format,
    bomb_problems,
    reading,
    register,
)
from aecore.data.importers.table import check_names
from aecore.errors import InvalidRequest, printable, shown, unknown

if TYPE_CHECKING:
    import h5py

SPARSE = {"csr_matrix": 0, "csc_matrix": 1}
"""Encodings of sparse matrices, and the axis that their `indptr` runs over."""

MOST_OBS = 1_000
"""Columns of `obs` that are read."""
INSTALL = (
    "AnnData files need the package h5py, which is not installed: run "
    "`pip install latent-loupe[anndata]`."
)


@register
class AnnData(Format):
    """Cells or other observations: X by the names of `var`, and what `obs` knows of each."""

    name = "AnnData file"
    endings = (".h5ad",)
    signatures = (b"\x89HDF\r\n\x1a\n",)

    @classmethod
    def read(cls, path: Path) -> Content:
        try:
            import h5py
        except ImportError:
            raise InvalidRequest(INSTALL) from None
        with reading(path, cls.name), h5py.File(path, "r") as file:
            return cls._content(path, file)

    @classmethod
    def _content(cls, path: Path, file: h5py.File) -> Content:
        import pandas

        if "X" not in file:
            raise InvalidRequest(f"{printable(path.name)} has no matrix X: write one.")
        x = _dense(path, _inside(file, "X"))
        notes: list[str] = []
        known = _columns(file, len(x), notes)
        names = _names_of_features(file, x.shape[1], notes)
        columns = {
            (key if key not in names else f"{key} (obs)"): values for key, values in known.items()
        }
        if problems := check_names([*names, *columns]):
            raise InvalidRequest(problems)
        table = pandas.DataFrame(x, columns=names, copy=False)
        if columns:
            table = pandas.concat([table, pandas.DataFrame(columns)], axis=1)
        return Content(table, metadata=tuple(columns), notes=tuple(notes))


def _dense(path: Path, member: Any) -> np.ndarray:
    """Numbers (n, n_features) of a dense or sparse matrix."""
    import h5py

    sparse = isinstance(member, h5py.Group)
    shape = tuple(int(each) for each in (member.attrs["shape"] if sparse else member.shape))
    problems = []
    if len(shape) != 2 or min(shape) < 1 or math.prod(shape) > MOST_VALUES:
        problems.append(f"X is of shape {shape}: give up to {MOST_VALUES:,} numbers, in rows.")
    elif shape[1] > MOST_COLUMNS:
        problems.append(
            f"X has {shape[1]:,} columns: give up to {MOST_COLUMNS:,}, for example the most "
            "variable ones."
        )
    else:
        problems = bomb_problems(path, 4 * math.prod(shape))
    if problems:
        raise InvalidRequest(problems)
    if not sparse:
        _refuse_large(member, "X")
        return _numbers(member)
    axis = SPARSE.get(str(member.attrs.get("encoding-type", "")))
    if axis is None:
        raise InvalidRequest("X is of an unknown encoding: write it as an array, or as CSR or CSC.")
    data, indices, indptr = (_inside(member, key) for key in ("data", "indices", "indptr"))
    for each in (data, indices, indptr):
        _refuse_large(each, "X")
    values, at, ends = _numbers(data), indices[()], indptr[()]
    lengths = np.diff(ends)
    if (
        len(ends) != shape[axis] + 1
        or ends[0] != 0
        or ends[-1] != len(values)
        or len(at) != len(values)
        or (lengths < 0).any()
        or (len(at) and not 0 <= at.min() <= at.max() < shape[1 - axis])
    ):
        raise InvalidRequest(
            "X is a sparse matrix whose parts contradict each other: write it anew."
        )
    x = np.zeros(shape, np.float32)
    others = np.repeat(np.arange(shape[axis]), lengths)
    x[(others, at) if axis == 0 else (at, others)] = values
    return x


def _numbers(member: Any) -> np.ndarray:
    if member.dtype.kind not in "fiub":
        raise InvalidRequest(f"X holds values of type {member.dtype}: write numbers.")
    values = member[()]
    return np.asarray(values, np.float32 if values.dtype.kind == "f" else None)


def _names_of_features(file: h5py.File, n: int, notes: list[str]) -> list[str]:
    """Names of the index of `var`, or numbers where these are missing or not all different."""
    import h5py

    var = _inside(file, "var") if "var" in file else None
    if isinstance(var, h5py.Group):
        index = var.attrs.get("_index", "_index")
        names = _column(_inside(var, index)) if index in var else None
        if names is not None and len(names) == n:
            titles = [str(each) for each in names]
            if len({*titles}) == n:
                return titles
            notes.append("Names of var are given more than once: the features are numbered.")
    return [f"feature {at}" for at in range(1, n + 1)]


# --- Embeddings and columns


def read_embedding(path: Path, key: str = "") -> Content:
    """Read a matrix of `obsm` and the columns of `obs` of an AnnData file.

    Arguments
        key: of the matrix, such as "X_pca"; "" for the first.

    Raises `InvalidRequest` where it is no such file, too large, or has no such matrix.
    """
    try:
        import h5py
    except ImportError:
        raise InvalidRequest(INSTALL) from None
    name = printable(path.name)
    if not path.is_file():
        raise InvalidRequest(f"{printable(str(path))} is no file: give the path of one.")
    if path.stat().st_size > MAX_FILE:
        raise InvalidRequest(f"{name} has more than {MAX_FILE:,} bytes: give a smaller file.")
    with reading(path, "AnnData file"), h5py.File(path, "r") as file:
        matrix = _matrix(file, name, key)
        notes: list[str] = []
        columns = _columns(file, len(matrix), notes)
    return content_of(name, matrix, columns, metadata=tuple(columns), notes=notes)


def _inside(group: Any, key: str) -> Any:
    """Member of a group, unless it is a link, or its values are in another file."""
    import h5py

    link = group.get(key, getlink=True)
    if not isinstance(link, h5py.HardLink):
        raise InvalidRequest(f"{shown(key)} is a link, which is not followed: write the file anew.")
    member = group[key]
    if isinstance(member, h5py.Dataset) and (member.external or member.is_virtual):
        raise InvalidRequest(f"{shown(key)} refers to another file: write the file anew.")
    return member


def _matrix(file: h5py.File, name: str, key: str) -> np.ndarray:
    import h5py

    group = _inside(file, "obsm") if "obsm" in file else {}
    arrays = [each for each in group if isinstance(_inside(group, each), h5py.Dataset)]
    if not arrays:
        raise InvalidRequest(
            f"{name} has no array in obsm: write an embedding there, such as X_pca."
        )
    if key and key not in arrays:
        raise InvalidRequest(f"{name}: {unknown('matrix of obsm', key, map(printable, arrays))}")
    found = _inside(group, key or arrays[0])
    _refuse_large(found, key or arrays[0])
    return found[()]


def _refuse_large(array: Any, name: str) -> None:
    if math.prod(array.shape) > MOST_VALUES or (array.dtype.hasobject and array.ndim > 1):
        raise InvalidRequest(
            f"{printable(name)} is of shape {array.shape}: give up to {MOST_VALUES:,} numbers."
        )


def _columns(file: h5py.File, n: int, notes: list[str]) -> dict[str, np.ndarray]:
    """Columns of `obs`, without its index; what cannot be read is noted."""
    import h5py

    columns: dict[str, np.ndarray] = {}
    obs = _inside(file, "obs") if "obs" in file else None
    if not isinstance(obs, h5py.Group):
        return columns
    index = obs.attrs.get("_index", "_index")
    for key in list(obs)[:MOST_OBS]:
        if key == index:
            continue
        values = _column(_inside(obs, key))
        if values is None or len(values) != n:
            notes.append(f"Column {shown(key)} of obs is left out: it is of another kind.")
        else:
            columns[printable(key)] = values
    return columns


def _column(member: Any) -> np.ndarray | None:
    """Numbers or texts of a column; a missing category is None."""
    import h5py

    if isinstance(member, h5py.Group):  # a categorical
        if not {"categories", "codes"} <= set(member):
            return None
        categories = _column(_inside(member, "categories"))
        codes = _column(_inside(member, "codes"))
        if categories is None or codes is None or codes.dtype.kind not in "iu":
            return None
        if len(codes) and not -1 <= codes.min() <= codes.max() < len(categories):
            return None
        return np.array([*categories.tolist(), None], object)[codes]
    if member.ndim != 1:
        return None
    _refuse_large(member, member.name)
    if h5py.check_string_dtype(member.dtype) is not None:
        return np.array(member.asstr(errors="replace")[()], object)
    return member[()] if member.dtype.kind in "fiub" else None
