"""Storing of a file as a dataset, as a job; and uploaded files that wait for it."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aecore import files, locations
from aecore.data import stored
from aecore.data.builtin import DATASETS
from aecore.data.importers.store import save
from aecore.errors import InvalidRequest
from aecore.progress import Task

if TYPE_CHECKING:
    from aecore.data.dataset import Dataset
    from aecore.data.importers.choices import Choices
    from aecore.progress import Reporter

INCOMING = "_incoming"
"""Folder of the store with uploaded files, those of each job in a folder of its own until then."""


LONGEST_WAIT = 7 * 24 * 3600
"""Seconds after which a file that waits is taken for forgotten."""


def incoming_folder() -> Path:
    """New folder in the store for the files of a job; old ones that were left are removed."""
    folder = locations.store() / INCOMING
    with files.writing(folder, locations.OTHERWISE):
        files.make_folder(folder)
        for left in folder.iterdir():  # by jobs that were cancelled before they began
            if time.time() - left.lstat().st_mtime > LONGEST_WAIT:
                shutil.rmtree(left, ignore_errors=True)
        own = folder / secrets.token_hex(6)
        own.mkdir()
    return own


def incoming(path: Path) -> str:
    """Put a file into the store for a job; return its path there, for `StoreFile`.

    It is linked where that is possible and otherwise copied.
    """
    own = incoming_folder()
    with files.writing(own, locations.OTHERWISE):
        name = path.name if path.name[0] not in "._" and path.name.isprintable() else "file"
        name = name if Path(name).suffix else name + "".join(path.suffixes)
        try:
            os.link(path, own / name)
        except OSError:
            shutil.copyfile(path, own / name)
    return f"{INCOMING}/{own.name}/{name}"


@dataclass(frozen=True)
class StoreFile(Task):
    """Store a file as a dataset."""

    path: str
    """Absolute, or below the store as of `incoming`."""
    name: str
    choices: Choices
    called: str = ""
    """Title of the dataset."""
    licence: str = ""
    source: str = ""
    like: str = ""
    """Stored dataset whose preparation is applied."""

    @property
    def title(self) -> str:
        return f"storing {self.name}"

    @property
    def files(self) -> Sequence[str]:
        uploaded = [self.path.rpartition("/")[0]] if self.uploaded else []
        return [*uploaded, *([f"_datasets/{self.like}/{stored.CARD}"] if self.like else [])]

    @property
    def uploaded(self) -> bool:
        """Whether the file was put into the store, and is removed from it at the end."""
        return self.path.startswith(f"{INCOMING}/")

    def check(self) -> None:
        if problems := stored.name_problems(self.name, DATASETS):
            raise InvalidRequest(problems)

    def run(self, reporter: Reporter) -> Dataset:
        """Return the dataset."""
        path = locations.store() / self.path if self.uploaded else Path(self.path)
        try:
            return save(
                path,
                self.choices,
                self.name,
                self.called,
                self.licence,
                self.source,
                like=self.like,
                progress=reporter.progress,
            )
        finally:
            if self.uploaded:
                shutil.rmtree(path.parent, ignore_errors=True)
