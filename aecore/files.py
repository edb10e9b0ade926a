"""Atomic file writes, locks between processes, and messages for disk errors."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aecore.errors import InvalidRequest

STALE_SECONDS = 3600
"""A partial file of this age was left by a process that was killed."""
PATIENCE_SECONDS = 0.5
"""How long a lock is tried for: `locked` holds one for a moment, too."""


class DiskFault(InvalidRequest):
    """Error of writing a file, such as a full disk."""


def from_environment(variable: str) -> Path | None:
    """Folder named by an environment variable, `~` expanded; None if it is not set.

    Raises `InvalidRequest` where it cannot be a folder.
    """
    value = os.environ.get(variable)
    if not value:
        return None
    try:
        path = Path(value).expanduser()
        # The path first: it nearly always exists, and this is called very often.
        if not path.is_dir() and not _nearest(path).is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{_nearest(path)} is a file")
    except (OSError, RuntimeError) as error:  # RuntimeError: no such user
        reason = getattr(error, "strerror", None) or error
        raise InvalidRequest(
            f"{variable} = '{value}' is not possible ({reason}): name a folder."
        ) from None
    return path


def _nearest(path: Path) -> Path:
    """The path, or its nearest parent that exists."""
    return next(each for each in (path, *path.absolute().parents) if each.exists())


# --- Writing ------------------------------------------------------------------------------------

REASONS = {
    errno.ENOSPC: "the disk is full. Free space on it",
    errno.EDQUOT: "the disk quota is used up. Free space",
    errno.EFBIG: "the file is larger than this process may write. Raise that limit",
    errno.EROFS: "the disk is read-only. Mount it for writing",
    errno.EACCES: "that is not permitted. Give this user the permission",
    errno.EPERM: "that is not permitted. Give this user the permission",
    errno.ENOENT: "the folder is not there, or was removed while it was used. Start again",
    errno.ESTALE: "the folder was removed while it was used. Start again",
    errno.ENOTDIR: "a file is in the place of a folder. Remove that file",
    errno.EEXIST: "a file is in the place of a folder. Remove that file",
    errno.EISDIR: "a folder is in the place of a file. Remove that folder",
    errno.ELOOP: "a link is in the place of a file. Remove that link",
    errno.EXDEV: "a part of the folder is on another disk. Keep it on one",
}
IN_THE_WAY = {errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ELOOP}
"""Errors of which a sentence must name the very file."""


@contextmanager
def writing(folder: Path, otherwise: str = "choose another folder") -> Iterator[None]:
    """Context that turns the operating system's errors into a `DiskFault`.

    Arguments
        folder: named in the sentence.
        otherwise: what to do where the reason cannot be removed.
    """
    try:
        yield
    except OSError as error:
        place = (error.errno in IN_THE_WAY and error.filename) or folder
        raise DiskFault(f"{place} cannot be written: {_reason(error)}, or {otherwise}.") from error


def sentence(error: OSError) -> str:
    """Message for an error of the operating system, with what to do next."""
    subject = f"{error.filename} cannot be used" if error.filename else "Output cannot be written"
    return f"{subject}: {_reason(error)}."


def _reason(error: OSError) -> str:
    what = f"{type(error).__name__}, {error.strerror or error}. Remove the cause"
    return REASONS.get(error.errno or 0, what)


def refuse_unwritable(
    folder: Path, needed: int = 0, otherwise: str = "choose another folder"
) -> None:
    """Raise `DiskFault` if a folder, present or to be created, cannot take more files.

    Arguments
        needed: bytes that must be free.
    """
    with writing(folder, otherwise):
        present = _nearest(folder)
        if not os.access(present, os.W_OK | os.X_OK):
            read_only = os.statvfs(present).f_flag & os.ST_RDONLY
            raise OSError(errno.EROFS if read_only else errno.EACCES, "")
        total, _, free = shutil.disk_usage(present)
        if total and not free:
            raise OSError(errno.ENOSPC, "")
    if total and free < needed:  # some file systems do not say how large they are
        raise DiskFault(
            f"{folder} cannot be written: about {needed / 1e6:.3g} MB are needed and "
            f"{free / 1e6:.3g} MB are free. Free space on the disk, or {otherwise}."
        )


def make_folder(path: Path) -> list[Path]:
    """Create a folder and its parents, synced to disk.

    Returns the folders that were missing, the lowest first.
    """
    missing = [each for each in (path, *path.absolute().parents) if not each.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for each in missing:
        sync_folder(each.parent)
    return missing


def write_new(path: Path, *content: bytes | memoryview) -> None:
    """Create a file of one or more parts, synced to disk.

    Raises `FileExistsError` where there is one; a link is not followed.
    """
    with path.open("xb") as file:
        for part in content:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Sync the entries of a folder to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot; they are the ones that write names through.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def replace(path: Path, content: bytes) -> None:
    """Write a file in one rename, synced to disk; its folder must exist."""
    remove_stale(path.parent, f".{path.name}.*")
    aside = partial(path)
    try:
        write_new(aside, content)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def partial(path: Path) -> Path:
    """Temporary name beside `path` for a file that will be renamed to it."""
    return path.with_name(f".{path.name}.{secrets.token_hex(3)}")


def remove_stale(folder: Path, pattern: str) -> None:
    """Remove the temporary files and folders that killed processes left in a folder."""
    for left in folder.glob(pattern):
        try:
            if time.time() - left.lstat().st_mtime < STALE_SECONDS:
                continue
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)
        except FileNotFoundError:
            continue  # removed by another process meanwhile


# --- Locks --------------------------------------------------------------------------------------


OPENING = os.O_NOFOLLOW | os.O_NONBLOCK
"""Links are not followed, and opening a pipe does not block."""


def lock(path: Path) -> int | None:
    """Lock a file for this process; return its descriptor, or None if another holds it.

    The file is created if need be. The operating system releases the lock when the descriptor is
    closed or the process ends, however it ends.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | OPENING, 0o644)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise DiskFault(f"{path} is in the place of a lock and is no file: remove it.")
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held it may have removed the file between opening and locking.
            if holds(descriptor, path):
                return descriptor
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                return None
            time.sleep(0.01)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def holds(descriptor: int, path: Path) -> bool:
    """Whether a descriptor belongs to the file that is at `path` now."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def locked(path: Path) -> bool:
    """Whether a process holds the lock of a file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | OPENING)
    except OSError:
        return False
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return False
        # Shared, so that two simultaneous checks do not detect each other.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
