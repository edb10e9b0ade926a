"""Embeddings in AnnData files (.h5ad): a matrix of `obsm` with the columns of `obs`.

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
from aecore.data.importers.formats import MAX_FILE, MOST_VALUES, Content, unreadable
from aecore.errors import InvalidRequest, printable, shown, unknown

if TYPE_CHECKING:
    import h5py

MOST_COLUMNS = 1_000
"""Columns of `obs` that are read."""
INSTALL = (
    "AnnData files need the package h5py, which is not installed: run "
    "`pip install latent-loupe[anndata]`."
)


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
    try:
        with h5py.File(path, "r") as file:
            matrix = _matrix(file, name, key)
            notes: list[str] = []
            columns = _columns(file, len(matrix), notes)
    except InvalidRequest:
        raise
    except Exception as error:
        raise unreadable(path.name, "AnnData file", error) from error
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
    for key in list(obs)[:MOST_COLUMNS]:
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
