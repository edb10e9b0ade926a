"""Files of jobs at an address that the client and workers without the store reach (fsspec).

`AECORE_EXCHANGE` names it: a shared folder, `s3://bucket/folder`, or whatever else fsspec opens. A
file is named by the SHA-256 digest of its content, so that what is there is not sent again, and
what was changed there is not taken.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from aecore.errors import InvalidRequest, in_one_line, without_password

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

VARIABLE = "AECORE_EXCHANGE"
TRIAL = b"Latent Loupe can write and read here."


class Deposited(NamedTuple):
    """Files that lie at an address."""

    address: str
    digests: Mapping[str, str]
    """By path below the store."""


def address() -> str:
    """`AECORE_EXCHANGE`; "" where files travel through the scheduler."""
    return os.environ.get(VARIABLE, "").strip()


def deposit(files: Mapping[str, bytes], address: str) -> Deposited:
    """Write files that are not there yet; raises `InvalidRequest` where that fails."""
    digests = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    with _folder(address) as (system, folder):
        system.makedirs(folder, exist_ok=True)
        for path, digest in digests.items():
            place = f"{folder}/{digest}"
            # By its size too: another client may be writing it.
            if not system.exists(place) or system.size(place) != len(files[path]):
                system.pipe_file(place, files[path])
    return Deposited(address, digests)


def fetch(deposited: Deposited) -> dict[str, bytes]:
    """Read files; raises `InvalidRequest` where one is missing or was changed."""
    files = {}
    with _folder(deposited.address) as (system, folder):
        for path, digest in deposited.digests.items():
            files[path] = system.cat_file(f"{folder}/{digest}")
            if hashlib.sha256(files[path]).hexdigest() != digest:
                raise OSError(f"{digest} has another content than was written")
    return files


def refuse_unreachable(address: str) -> None:
    """Raise `InvalidRequest` if files cannot be written at an address, or not be read there."""
    fetch(deposit({"": TRIAL}, address))


@contextmanager
def _folder(address: str) -> Iterator[tuple[AbstractFileSystem, str]]:
    """Context of a file system and the folder in it; errors become an `InvalidRequest`."""
    from fsspec.core import url_to_fs

    try:
        system, folder = url_to_fs(address)
        yield system, folder.rstrip("/")
    except Exception as error:  # of any file system, each with errors of its own
        raise InvalidRequest(
            without_password(
                f"{VARIABLE} = '{address}' cannot be used ({in_one_line(error)}): name an address "
                "of fsspec, such as /shared/exchange or s3://bucket/folder, that this machine and "
                "every worker can read and write, with the package that it needs."
            )
        ) from None
