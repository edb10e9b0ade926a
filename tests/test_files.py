"""Files on disk: atomic writes, sync before success, no leftovers of a failure."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from aecore import artifacts, files
from aecore.errors import InvalidRequest
from aecore.runs import store


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Synced and renamed names, in order."""
    heard: list[tuple[str, str]] = []
    sync, replace, rename = os.fsync, Path.replace, Path.rename

    def note_sync(descriptor: int) -> None:
        heard.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink().name))
        sync(descriptor)

    def note_replace(path: Path, target: Path) -> Path:
        heard.append(("rename", target.name))
        return replace(path, target)

    def note_rename(path: Path, target: Path) -> Path:
        heard.append(("rename", target.name))
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "replace", note_replace)
    monkeypatch.setattr(Path, "rename", note_rename)
    return heard


on_linux = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="It asks /proc for names.")


@on_linux
def test_a_file_and_its_folders_are_synced_before_success(
    tmp_path: Path, steps: list[tuple[str, str]]
) -> None:
    folder = tmp_path / "a" / "b"
    artifacts.write_bytes(folder / "x", b"content")
    made, (written, renamed, *last) = steps[:2], steps[2:]
    assert set(made) == {("sync", "a"), ("sync", tmp_path.name)}
    assert written[0] == "sync" and written[1].startswith(".x.")
    assert renamed == ("rename", "x")
    assert last == [("sync", "b")]


@on_linux
def test_a_run_and_a_checkpoint_are_synced_before_success(
    store_folder: Path, steps: list[tuple[str, str]]
) -> None:
    from test_store import save

    from aecore.training import Checkpoint

    save("run")
    *files_first, aside, renamed, root = steps[1:]
    assert {name for _, name in files_first} == store.RUN_FILES | {"manifest.json"}
    assert aside[1].startswith("_writing-run-")
    assert (renamed, root) == (("rename", "run"), ("sync", store_folder.name))

    for _ in range(2):
        steps.clear()
        config = store.load("run").config
        progress = {"epochs_done": 1, "history": []}
        store.write_checkpoint("half", config, Checkpoint({}, progress))
        rename = next(at for at, (what, _) in enumerate(steps) if what == "rename")
        assert any("checkpoint" in name for _, name in steps[:rename])
        assert steps[rename + 1 :]


FAILURES = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


@pytest.mark.parametrize("number", FAILURES)
@pytest.mark.parametrize("step", ["write", "sync", "rename"])
def test_whatever_fails_the_earlier_file_stays_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, step: str
) -> None:
    path = tmp_path / "file"
    artifacts.write_bytes(path, b"earlier")

    def fail(*arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    if step == "write":
        monkeypatch.setattr(files, "write_new", fail)
    elif step == "sync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(files.DiskFault) as error:
        artifacts.write_bytes(path, b"later")
    (said,) = error.value.problems
    assert said.startswith(f"{path} cannot be written: ") and said.endswith("another folder.")
    assert path.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_in_the_place_of_a_partial_file_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "partial", lambda path: path.with_name(".x.abc"))
    (tmp_path / ".x.abc").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(files.DiskFault):
        artifacts.write_bytes(tmp_path / "x", b"content")
    assert not (tmp_path / "elsewhere").exists()


def test_stale_partial_files_are_removed_when_the_file_is_written_again(tmp_path: Path) -> None:
    old, new, other = (tmp_path / name for name in (".x.000000", ".x.111111", ".y.000000"))
    for path in (old, new, other):
        path.write_bytes(b"half")
    for path in (old, other):
        os.utime(path, (0, 0))
    artifacts.write_bytes(tmp_path / "x", b"content")
    assert not old.exists() and new.exists() and other.exists()


def test_a_folder_that_cannot_be_synced_by_its_file_system_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.EINVAL, "")

    monkeypatch.setattr(os, "fsync", refuse)
    files.sync_folder(tmp_path)


@pytest.mark.parametrize("value", ["~nobody-of-this-name", "file", "file/below", "x" * 300])
def test_a_variable_that_names_no_folder_is_a_sentence(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    monkeypatch.setenv("AECORE_TEST", value)
    with pytest.raises(
        InvalidRequest, match=f"AECORE_TEST = '{value}' is not possible .*: name a folder"
    ):
        files.from_environment("AECORE_TEST")


@pytest.mark.parametrize("value", ["new", "new/below", "there", "~", "."])
def test_a_variable_may_name_a_folder_that_is_there_or_can_be_made(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    Path("there").mkdir()
    monkeypatch.setenv("AECORE_TEST", value)
    assert files.from_environment("AECORE_TEST") == Path(value).expanduser()


def test_a_lock_is_not_seen_by_who_looks_and_ends_with_its_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not files.locked(path) and not path.exists()
    descriptor = files.lock(path)
    assert files.locked(path) and files.lock(path) is None
    os.close(descriptor)
    assert path.exists() and not files.locked(path)
