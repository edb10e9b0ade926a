"""Folders of the project: the store of runs, the runs that ship with it, the dashboard's pages."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from aecore import files

PACKAGE = Path(__file__).parent
CLONE = PACKAGE.parent
NAME = "latent-loupe"
OTHERWISE = "set AECORE_STORE to another folder"
"""What to do where the store takes no files."""


def is_clone() -> bool:
    """Whether the package lies in a clone of the repository, and is not installed."""
    return (CLONE / "app.py").is_file() and (CLONE / "pyproject.toml").is_file()


def store() -> Path:
    """The folder of the runs: `AECORE_STORE`; in a clone `models_store`; else the user's data."""
    if asked := files.from_environment("AECORE_STORE"):
        return asked
    if is_clone():
        return CLONE / "models_store"
    import platformdirs

    return platformdirs.user_data_path(NAME, appauthor=False) / "models_store"


def shipped() -> Path | None:
    """The read-only folder of runs that ship with an installed package; None in a clone.

    It is a layer under the store: what is not in the store is looked for here, and nothing is ever
    written here. In a clone these runs are in the store itself.
    """
    return None if is_clone() else PACKAGE / "_models_store"


def readable(path: Path) -> Path:
    """The file at a path in the store, or the one that ships in its place where there is none."""
    layer = shipped()
    if layer is None or path.exists() or not path.is_relative_to(store()):
        return path
    below = layer / path.relative_to(store())
    return below if below.exists() else path


def dashboard() -> Path:
    """The script that `streamlit run` starts."""
    return (CLONE if is_clone() else PACKAGE / "_dashboard") / "app.py"


def writing() -> AbstractContextManager[None]:
    """Turn what the disk refuses inside the block into a sentence that names the store."""
    return files.writing(store(), OTHERWISE)


def refuse_unwritable(needed: int = 0) -> None:
    """Raise `DiskFault` where the store can be seen to take no more files.

    Arguments
        needed: bytes that will be written.
    """
    files.refuse_unwritable(store(), needed, OTHERWISE)
