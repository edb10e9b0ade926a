"""Files of the store that travel with a job to a worker without the store, and come back.

A worker keeps a folder of its own, a store as any other: before a job it holds exactly the files
that were sent with it, afterwards what is new in it is returned. The client puts that into the
store as a training here would have done.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from aecore import artifacts, locations
from aecore.data import stored
from aecore.data.importers.task import INCOMING
from aecore.errors import InvalidRequest, in_one_line, shown
from aecore.files import DiskFault, writing
from aecore.jobs import depot
from aecore.runs import store

MOST_BYTES = 2**30
"""Of all files that travel at once through the scheduler, which has them in memory, too."""
FOLDERS = {"_datasets", "_incoming", "_maps", "_recipes", "_sweeps", "_unfinished"}
"""Folders of the store that travel, as those of runs do."""

Files = Mapping[str, bytes]
"""Contents by path below the store, with slashes."""

log = logging.getLogger(__name__)


Sent = Files | depot.Deposited
"""Files that go through the scheduler, or lie at an address."""


class Written(NamedTuple):
    """What a job changed in the store of its worker."""

    files: Sent
    removed: Sequence[str] = ()
    """Of the files that were sent."""


# --- Reading ------------------------------------------------------------------------------------


def pack(patterns: Sequence[str], address: str = "") -> Sent:
    """Read the files of the store that match, and those in folders that match.

    Arguments
        address: where to leave them; "" if they go through the scheduler.

    Raises `InvalidRequest` where they are too large for that, or cannot be left there.
    """
    root = locations.store()
    places = {place for pattern in patterns for place in root.glob(pattern)}
    return _read(root, {path for place in places for path in _files_in(place)}, address)


def _read(root: Path, paths: Set[Path], address: str) -> Sent:
    sizes = {path: path.stat().st_size for path in sorted(paths)}
    if not address and (size := sum(sizes.values())) > MOST_BYTES:
        raise InvalidRequest(
            f"Files of {size / 1e9:.3g} GB would have to travel between the store and a worker "
            f"that does not reach it, and {MOST_BYTES / 1e9:.3g} GB is the most: start workers "
            f"with AECORE_STORE on a shared folder, or name an address by {depot.VARIABLE}."
        )
    files = {path.relative_to(root).as_posix(): path.read_bytes() for path in sizes}
    return depot.deposit(files, address) if address else files


def _contents(sent: Sent) -> Files:
    """Files that arrived; raises `InvalidRequest` where that is not so."""
    files = depot.fetch(sent) if isinstance(sent, depot.Deposited) else sent
    _refuse_strange(files)
    return files


def _files_in(place: Path) -> Iterator[Path]:
    """Files below a folder, or the file itself; no locks, and none that are being written."""
    if place.is_file() and not _passing(place.name):
        yield place
    for folder, folders, names in os.walk(place):
        folders[:] = [name for name in folders if not _passing(name)]
        paths = (Path(folder, name) for name in names if not _passing(name))
        yield from (path for path in paths if path.is_file())


def _passing(name: str) -> bool:
    return name.startswith((".", "_writing-", "_index")) or name.endswith(".lock")


def _refuse_strange(files: Iterable[str]) -> None:
    """Raise `InvalidRequest` if a path is not one of a file that can be in a folder of a store."""
    for path in files:
        parts = path.split("/")
        known = parts[0] in FOLDERS or store.RUN_NAME.fullmatch(parts[0])
        # What begins with a dot, as "..", is passing.
        wrong = [part for part in parts if not part or _passing(part) or not part.isprintable()]
        if not known or wrong or len(parts) < 2:
            raise InvalidRequest(
                f"{shown(path)} is not the path of a file that travels with a job: look at who can "
                "reach the scheduler and its workers."
            )


# --- On a worker --------------------------------------------------------------------------------

_LOCAL = threading.local()


@contextmanager
def own_store(sent: Sent, parent: str) -> Iterator[Callable[[], Written]]:
    """Context in which the store of this thread is a folder of its own with exactly these files.

    Arguments
        parent: folder that the store is created in.

    Yields what returns what was written since, as files were sent; that raises `InvalidRequest`
    where it is too large.
    """
    files = _contents(sent)
    address = sent.address if isinstance(sent, depot.Deposited) else ""
    if not hasattr(_LOCAL, "folder"):
        # Removed with the thread, at the end of the process at the latest.
        _LOCAL.folder = tempfile.TemporaryDirectory(prefix="latent-loupe-", dir=parent)
    root = Path(_LOCAL.folder.name)
    with locations.store_at(root):
        with writing(root, "start the worker with another --local-directory"):
            _fill(root, files)
        before = {path: _state(path) for path in _files_in(root)}

        def written() -> Written:
            now = set(_files_in(root))
            new = {path for path in now if before.get(path) != _state(path)}
            removed = [path.relative_to(root).as_posix() for path in before.keys() - now]
            return Written(_read(root, new, address), removed)

        yield written


def _state(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _fill(root: Path, files: Files) -> None:
    """Make a folder hold exactly these files.

    One that it holds already is not touched: what was read of a dataset is cached by its date.
    """
    for folder, _, names in os.walk(root, topdown=False):
        for path in (Path(folder, name) for name in names):
            content = files.get(path.relative_to(root).as_posix())
            if content is None or content != path.read_bytes():
                path.unlink()
        if folder != str(root):
            with suppress(OSError):  # it is not empty
                Path(folder).rmdir()
    for name, content in files.items():
        path = root / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


# --- On the client ------------------------------------------------------------------------------


def reserve(name: str) -> store.Reservation:
    """Reserve the name of a run, or unfinished run, that is trained elsewhere.

    Raises `InvalidRequest` as that training would here.
    """
    with ExitStack() as held:
        place = held.enter_context(store.Reservation(name))
        if not store.has_checkpoint(name):
            store.refuse_taken(name)
        held.pop_all()
        return place


def receive(written: Written, places: Mapping[str, store.Reservation | None]) -> dict[str, str]:
    """Store what jobs wrote elsewhere; return the names of its runs, by their names there.

    Arguments
        places: the names that these jobs reserve; None where the job was cancelled meanwhile. A run
            whose name has been taken by a folder is stored beside it; a run of another name, as of
            a recipe, replaces the one there.

    What belongs to a job, a run or a sweep that is not there any more is left out. Raises
    `InvalidRequest` where files cannot be stored, or are not what a job writes.
    """
    folders: dict[str, dict[str, bytes]] = {}
    for path, content in _contents(written.files).items():
        folder, _, name = path.rpartition("/")
        folders.setdefault(folder, {})[name] = content
    names = {}
    for folder, contents in folders.items():
        top, _, below = folder.partition("/")
        if not below and top not in FOLDERS and store.MANIFEST in contents:
            if places.get(folder, folder) is not None:
                names[folder] = _put_run(folder, contents, folder in places)
        elif top == "_unfinished":
            if places.get(below) is not None:
                _put_checkpoint(below, contents)
        elif top == "_datasets" and not _is_there(folder):
            if not stored.put(below, contents):
                log.info("what arrived as the dataset %s is left out: it is none", below)
        elif top in ("_maps", "_recipes") or _is_there(folder):
            for name, content in contents.items():
                artifacts.write_bytes(locations.store() / folder / name, content)
        else:
            log.info("what was computed of %s is left out: it is not there any more", folder)
    for path in written.removed:
        if path.startswith(f"{INCOMING}/"):
            (locations.store() / path).unlink(missing_ok=True)
            with suppress(OSError):  # it is not empty
                (locations.store() / path).parent.rmdir()
    for name, place in places.items():
        if place and f"{store.unfinished_folder(name)}/{store.CHECKPOINT}" in written.removed:
            place.discard()
    return names


def _put_run(name: str, contents: Mapping[str, bytes], reserved: bool) -> str:
    """Store a run, and return its name."""
    if store.MANIFEST not in contents or contents.keys() - store.ALL_FILES:
        raise InvalidRequest(
            f"The run '{name}' arrived with other files than a run has: {', '.join(contents)}."
        )
    if not reserved:
        with store.Reservation(name) as place:
            place.replace(_put_beside(name, contents))
        return name
    try:
        return store.put(name, contents).name
    except store.Taken:
        return _put_beside(name, contents)
    except DiskFault:
        raise
    except Exception as error:  # whatever arrived, it is no run
        raise InvalidRequest(
            f"The run '{name}' arrived damaged ({in_one_line(error)}): start the job again."
        ) from error


def _put_beside(name: str, contents: Mapping[str, bytes]) -> str:
    return store.put(store.name_beside(name), contents).name


def _put_checkpoint(name: str, contents: Mapping[str, bytes]) -> None:
    """Store a checkpoint; without its settings, which were sent, where these are still there."""
    if contents.keys() - {"config.json"} != {store.CHECKPOINT}:
        raise InvalidRequest(
            f"The checkpoint of '{name}' arrived with other files: {', '.join(contents)}."
        )
    if store.has_checkpoint(name) or "config.json" in contents:
        store.put_checkpoint(name, contents.get("config.json", b""), contents[store.CHECKPOINT])


def _is_there(folder: str) -> bool:
    """Whether a folder is that of a sweep, or of a run, which may be one that ships."""
    if folder.startswith(("_sweeps/", "_datasets/")):
        return (locations.store() / folder).is_dir()
    return folder in store.names()
