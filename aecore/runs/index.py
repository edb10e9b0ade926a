"""Index of the store: what was read of its files, so that only those that changed are read again.

    models_store/_index/<name>.json     for the next process: a digest, the states of the files,
                                        and what was read of them, a line each

It is never the truth. What is absent, damaged or of another version of the code is ignored, and a
store that takes no files does without.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar

from pydantic import TypeAdapter

from aecore import artifacts, locations
from aecore.files import DiskFault

log = logging.getLogger(__name__)

Value = TypeVar("Value")
State = tuple[int, ...]
"""Modification time in ns and size of each file."""
STATES = TypeAdapter(dict[str, State])

FOLDER = "_index"
MAX_BYTES = 256 * 2**20
WORTH = 100
"""New values for which the file is written: so many take about 0.1 s to read."""
SETTLED = 2 * 10**9
"""Nanoseconds: a file changed later than that may change again within one tick of its clock."""


class Index(Generic[Value]):
    """Values by name, each read from files of its own."""

    def __init__(
        self,
        name: str,
        dump: Callable[[dict[str, Value]], bytes],
        build: Callable[[bytes], Mapping[str, Value]],
    ) -> None:
        """Create an index whose file is read when it is first used.

        Arguments
            name: of its file.
            dump: JSON of values by their names, in one line.
            build: the values of such JSON; may raise anything.
        """
        self.name, self._dump, self._build = name, dump, build
        self._lock = Lock()
        self._file: Path | None = None
        self._known: dict[str, tuple[State, Value]] = {}
        self._n_new = 0  # since the file was read or written

    def read(
        self, files: Mapping[str, Sequence[str]], read: Callable[[str], Value]
    ) -> dict[str, Value | Exception]:
        """Values by name, or the exceptions that were raised while they were read.

        Arguments
            files: of each value, by its name.
            read: reads the value of a name, if one of its files has changed.
        """
        values: dict[str, Value | Exception] = {}
        with self._lock:
            file = locations.store() / FOLDER / f"{self.name}.json"
            if file != self._file:
                self._file, self._known, self._n_new = file, self._stored(file), 0
            before, self._known = self._known, {}
            for name, paths in files.items():
                state = _state(paths)
                known = before.get(name)
                if known is None or state is None or known[0] != state:
                    try:
                        values[name] = value = read(name)
                    except Exception as error:  # the caller says it
                        values[name] = error
                        continue
                    if state is None or max(state[::2]) > time.time_ns() - SETTLED:
                        continue
                    known = state, value
                    self._n_new += 1
                values[name] = known[1]
                self._known[name] = known
            if self._n_new >= WORTH:
                self._write(file)
                self._n_new = 0
        return values

    def _stored(self, file: Path) -> dict[str, tuple[State, Value]]:
        try:
            if not file.is_file():
                return {}
            artifacts.check_size(file, MAX_BYTES)
            digest, _, content = file.read_bytes().partition(b"\n")
            if digest != _digest(content):
                return {}
            states, _, values = content.partition(b"\n")
            built = self._build(values)
            return {
                name: (state, built[name]) for name, state in STATES.validate_json(states).items()
            }
        except Exception as error:  # whatever lies there, the files themselves are read
            log.info("the index %s is not used: %s", file, error)
            return {}

    def _write(self, file: Path) -> None:
        states = STATES.dump_json({name: state for name, (state, _) in self._known.items()})
        values = self._dump({name: value for name, (_, value) in self._known.items()})
        content = states + b"\n" + values
        if len(content) >= MAX_BYTES:
            return
        try:
            artifacts.write_bytes(file, _digest(content) + b"\n" + content)
        except DiskFault as error:
            log.info("the index is not stored: %s", error)


def _state(paths: Sequence[str]) -> State | None:
    """State of files, (0, -1) of one that is missing; None where all are."""
    state: list[int] = []
    for path in paths:
        try:
            facts = os.stat(path)  # noqa: PTH116  # twice as fast as `Path.stat`
            state += facts.st_mtime_ns, facts.st_size
        except OSError:
            state += 0, -1
    return tuple(state) if max(state[1::2], default=-1) >= 0 else None


def _digest(content: bytes) -> bytes:
    """Digest of the content of an index and of the code that wrote it."""
    return hashlib.sha256(_code() + content).hexdigest().encode()


@cache
def _code() -> bytes:
    """Digest of this package: other code may read the same files otherwise."""
    digest = hashlib.sha256()
    for file in sorted(locations.PACKAGE.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.digest()
