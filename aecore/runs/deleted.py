"""Deleted runs: they are moved aside first, so that a deletion can be undone."""

from __future__ import annotations

import secrets
import shutil
from datetime import UTC, datetime
from pathlib import Path

from aecore import files
from aecore.errors import InvalidRequest, printable, unknown
from aecore.runs import store

KEPT = 20
"""Deleted runs that can be restored; the oldest go first."""


def delete(name: str) -> None:
    """Move a run, or a folder that is no readable run, aside.

    Raises `InvalidRequest` if it is unknown, ships with the package, or is being trained.
    """
    folder = store.own_folder(name)
    with store.Reservation(folder.name), store.writing():
        files.make_folder(_place())
        # A dot cannot be in the name of a run.
        when = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{secrets.token_hex(2)}"
        folder.rename(_place() / f"{folder.name}.{when}")
        files.sync_folder(folder.parent)
        for oldest in sorted(_folders(), key=_when)[:-KEPT]:
            shutil.rmtree(oldest, ignore_errors=True)


def restore(name: str) -> None:
    """Move the last deleted run of a name back.

    Raises `InvalidRequest` if there is none, or if the name was given to another run since.
    """
    places = {printable(_name(folder)): folder for folder in sorted(_folders(), key=_when)}
    if name not in places:
        raise InvalidRequest(unknown("deleted run", name, places))
    folder = places[name]
    with store.Reservation(_name(folder)), store.writing():
        store.refuse_taken(_name(folder))
        folder.rename(store.root() / _name(folder))
        files.sync_folder(store.root())


def names() -> list[str]:
    """Names of the deleted runs that can be restored, the last deleted first."""
    found = sorted(_folders(), key=_when, reverse=True)
    return list(dict.fromkeys(printable(_name(folder)) for folder in found))


def _place() -> Path:
    return store.root() / "_deleted"


def _folders() -> list[Path]:
    place = _place()
    return [path for path in place.iterdir() if path.is_dir()] if place.is_dir() else []


def _name(folder: Path) -> str:
    return folder.name.rpartition(".")[0]


def _when(folder: Path) -> str:
    return folder.name.rpartition(".")[2]
