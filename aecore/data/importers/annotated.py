"""AnnData files (.h5ad): the matrix X as features, and the columns of `obs` as metadata.

The layout is that of the AnnData project's on-disk format; `aecore.data.annotated` reads its parts.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aecore.data.annotated import INSTALL, _column, _columns, _inside, _refuse_large
from aecore.data.importers.formats import (
    MOST_COLUMNS,
    MOST_VALUES,
    Content,
    Format,
    bomb_problems,
    register,
    unreadable,
)
from aecore.data.importers.table import check_names
from aecore.errors import InvalidRequest, printable

if TYPE_CHECKING:
    import h5py

SPARSE = {"csr_matrix": 0, "csc_matrix": 1}
"""Encodings of sparse matrices, and the axis that their `indptr` runs over."""


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
        try:
            with h5py.File(path, "r") as file:
                return cls._content(path, file)
        except InvalidRequest:
            raise
        except Exception as error:
            raise unreadable(path.name, cls.name, error) from error

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
