"""Folders of the project: run store, shipped runs, and dashboard pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from aecore import files

PACKAGE = Path(__file__).parent
CLONE = PACKAGE.parent
NAME = "latent-loupe"
OTHERWISE = "set AECORE_STORE to another folder"
"""Advice for a store that takes no files."""


@cache
def is_clone() -> bool:
    """Whether the package lies in a clone of the repository instead of an installation."""
    return (CLONE / "app.py").is_file() and (CLONE / "pyproject.toml").is_file()


def version() -> str:
    """The project's version, from its metadata, or in a clone from pyproject.toml."""
    if is_clone():
        import tomllib

        project = tomllib.loads((CLONE / "pyproject.toml").read_text(encoding="utf-8"))
        return project["project"]["version"]
    from importlib import metadata

    return metadata.version(NAME)


_OF_THREAD: ContextVar[Path | None] = ContextVar("store", default=None)


@contextmanager
def store_at(folder: Path) -> Iterator[None]:
    """Context in which the store of this thread is another folder."""
    token = _OF_THREAD.set(folder)
    try:
        yield
    finally:
        _OF_THREAD.reset(token)


def store() -> Path:
    """Store of the runs: `AECORE_STORE`; in a clone `models_store`; else the user's data folder.

    Of a thread within `store_at`, that folder.
    """
    if own := _OF_THREAD.get():
        return own
    if asked := files.from_environment("AECORE_STORE"):
        return asked
    if is_clone():
        return CLONE / "models_store"
    import platformdirs

    return platformdirs.user_data_path(NAME, appauthor=False) / "models_store"


def shipped() -> Path | None:
    """Read-only folder of the runs shipped with an installed package; None in a clone.

    It is a layer under the store: files missing from the store are read from here, and nothing is
    ever written here. In a clone these runs are in the store itself.
    """
    return None if is_clone() else PACKAGE / "_models_store"


def readable(path: Path) -> Path:
    """Path in the store, or of the shipped file if the store has none."""
    layer = shipped()
    if layer is None or path.exists() or not path.is_relative_to(store()):
        return path
    below = layer / path.relative_to(store())
    return below if below.exists() else path


def dashboard() -> Path:
    """Script that `streamlit run` starts."""
    return (CLONE if is_clone() else PACKAGE / "_dashboard") / "app.py"


def writing() -> AbstractContextManager[None]:
    """Context that turns errors of the disk into a `DiskFault` that names the store."""
    return files.writing(store(), OTHERWISE)


def refuse_unwritable(needed: int = 0) -> None:
    """Raise `DiskFault` if the store cannot take more files.

    Arguments
        needed: bytes that will be written.
    """
    files.refuse_unwritable(store(), needed, OTHERWISE)
