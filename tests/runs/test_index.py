"""Index of the store: what is read anew, what is taken from it, and that it is never the truth."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import run_config

from aecore import locations
from aecore.errors import InvalidRequest
from aecore.models.variants import VARIANTS
from aecore.runs import deleted, description, index, store

ROOT = Path(__file__).parents[2]
NAMES = ("digits-ae", "digits-vae", "mnist-vae")
OLD = time.time() - 3600


def age(folder: Path) -> None:
    """Let the files of a folder be an hour old."""
    for path in folder.rglob("*"):
        os.utime(path, (OLD, OLD))


def another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with nothing in memory."""
    for module in (store, description):
        before = module._INDEX
        new = index.Index(before.name, before._dump, before._build)
        monkeypatch.setattr(module, "_INDEX", new)


@pytest.fixture(autouse=True)
def stocked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of three old runs, of which the index has been written."""
    folder = tmp_path / "stocked"
    for name in NAMES:
        shutil.copytree(ROOT / "models_store" / name, folder / name)
    age(folder)
    monkeypatch.setenv("AECORE_STORE", str(folder))
    monkeypatch.setattr(index, "WORTH", 1)
    another_process(monkeypatch)
    described()
    another_process(monkeypatch)
    return folder


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the runs whose files are read."""
    names: list[str] = []
    before = store._open

    def spy(folder: Path) -> store.Run:
        names.append(folder.name)
        return before(folder)

    monkeypatch.setattr(store, "_open", spy)
    return names


def described() -> tuple[list[str], list[str], dict[str, str]]:
    """Names of the runs and of the broken folders, and the titles."""
    runs, broken = store.runs()
    descriptions, _ = description.read_all(runs)
    titles = {name: each.title for name, each in descriptions.items()}
    return sorted(run.name for run in runs), [each.name for each in broken], titles


def test_the_index_gives_what_the_files_give(opened: list[str]) -> None:
    runs = {run.name: run for run in store.runs()[0]}
    assert not opened and runs.keys() == set(NAMES)
    for name, run in runs.items():
        assert run == store.load(name)
        assert type(run.config.model) is VARIANTS[run.config.variant]
        assert description.read_all([run])[0] == {name: description.read(run)}
        assert len(run.history) == run.config.training.epochs


def test_equal_specifications_of_data_are_one_object() -> None:
    runs = {run.name: run for run in store.runs()[0]}
    assert runs["digits-ae"].spec is runs["digits-vae"].spec
    assert runs["digits-ae"].spec != runs["mnist-vae"].spec


def test_what_was_read_on_demand_is_not_kept() -> None:
    first = store.runs()[0][0]
    assert first.codes
    again = store.runs()[0][0]
    assert again == first and "codes" not in vars(again)


def digest_of_other_code(file: Path) -> None:
    _, _, content = file.read_bytes().partition(b"\n")
    before, index._code = index._code, lambda: b"other code"
    try:
        file.write_bytes(index._digest(content) + b"\n" + content)
    finally:
        index._code = before


def forged(values: bytes) -> Callable[[Path], None]:
    """Function that replaces the values in an index by others, with a digest that fits."""

    def damage(file: Path) -> None:
        content = file.read_bytes().splitlines()[1] + b"\n" + values
        file.write_bytes(index._digest(content) + b"\n" + content)

    return damage


def folder_in_its_place(file: Path) -> None:
    file.unlink()
    file.mkdir()


DAMAGES = {
    "missing": Path.unlink,
    "empty": lambda file: file.write_bytes(b""),
    "cut": lambda file: file.write_bytes(file.read_bytes()[:-20]),
    "one digit": lambda file: file.write_bytes(file.read_bytes().replace(b"2026", b"2025", 1)),
    "other code": digest_of_other_code,
    "no JSON": forged(b"{"),
    "an unknown variant": forged(
        b'{"specs":[],"rows":{"digits-ae":[{"dataset":"digits","variant":"x"},{},0]}}'
    ),
    "of no run": forged(b'{"specs":[],"rows":{}}'),
    "a folder": folder_in_its_place,
    "too large": lambda file: os.truncate(file, index.MAX_BYTES + 1),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_without_a_usable_index_the_files_are_read(
    damage: str, stocked: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = stocked / "_index" / "runs.json"
    DAMAGES[damage](file)
    before = described()
    assert before[:2] == (sorted(NAMES), []) and sorted(opened) == sorted(NAMES)
    another_process(monkeypatch)
    if damage != "a folder":  # which is in the way
        opened.clear()
    assert described() == before
    assert damage == "a folder" or not opened


def test_a_run_whose_files_changed_is_read_again(stocked: Path, opened: list[str]) -> None:
    described()
    manifest = stocked / "digits-ae" / "manifest.json"
    facts = json.loads(manifest.read_text()) | {"seconds": 123.0}
    manifest.write_text(json.dumps(facts))
    runs = {run.name: run for run in store.runs()[0]}
    assert opened == ["digits-ae"] and runs["digits-ae"].manifest.seconds == 123


def test_a_change_of_the_same_size_within_a_tick_is_seen(stocked: Path) -> None:
    manifest = stocked / "digits-ae" / "manifest.json"
    content, now = json.loads(manifest.read_text()), time.time_ns()
    for seconds in (1.5, 2.5):
        manifest.write_text(json.dumps(content | {"seconds": seconds}))
        os.utime(manifest, ns=(now, now))
        runs = {run.name: run for run in store.runs()[0]}
        assert runs["digits-ae"].manifest.seconds == seconds


@pytest.mark.parametrize("file", sorted(store.RUN_FILES))
def test_a_run_that_loses_a_file_is_broken_and_mends(
    file: str, stocked: Path, tmp_path: Path
) -> None:
    aside = tmp_path / "aside"
    (stocked / "mnist-vae" / file).rename(aside)
    assert described()[1] == ["mnist-vae"]
    aside.rename(stocked / "mnist-vae" / file)
    assert described()[:2] == (sorted(NAMES), [])


def test_runs_are_added_deleted_and_restored(
    stocked: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(stocked / "digits-ae", stocked / "added")
    deleted.delete("digits-vae")
    assert described()[0] == ["added", "digits-ae", "mnist-vae"] and opened == ["added"]
    deleted.restore("digits-vae")
    another_process(monkeypatch)
    assert described()[0] == ["added", *NAMES]


def test_a_description_of_another_process_is_read(stocked: Path) -> None:
    assert described()[2]["digits-ae"] == "Digits, plain autoencoder"
    path = stocked / "digits-ae" / "description.json"
    path.write_text('{"title": "Theirs"}')
    assert described()[2]["digits-ae"] == "Theirs"
    path.write_text("{")
    descriptions, damaged = description.read_all(store.runs()[0])
    assert descriptions["digits-ae"] == description.Description()
    assert len(damaged) == 1 and "description of the run 'digits-ae' is damaged" in damaged[0]
    path.unlink()
    assert described()[2]["digits-ae"] == ""


def test_a_store_that_takes_no_files_does_without(
    stocked: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(stocked / "_index")
    (stocked / "_index").write_text("in the way")  # which holds for root, too
    before = described()
    assert before[0] == sorted(NAMES) and len(opened) == 3
    assert described() == before and len(opened) == 3
    with pytest.raises(InvalidRequest, match="Unknown run"):
        store.load("_index")


def test_runs_that_ship_are_in_the_index_of_the_store(
    stocked: Path, tmp_path: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locations, "shipped", lambda: stocked)
    monkeypatch.setenv("AECORE_STORE", str(tmp_path / "own"))
    described()
    assert sorted(opened) == sorted(NAMES)
    another_process(monkeypatch)
    assert described()[2]["digits-ae"] == "Digits, plain autoencoder" and len(opened) == 3
    description.write(store.load("digits-ae"), title="Mine")
    opened.clear()
    assert described()[2]["digits-ae"] == "Mine"
    runs = {run.name: run for run in store.runs()[0]}
    assert runs["digits-ae"].folder == stocked / "digits-ae" and not opened


def test_few_changes_do_not_write_the_index(stocked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "WORTH", 100)
    file = stocked / "_index" / "runs.json"
    before = file.read_bytes()
    shutil.copytree(stocked / "digits-ae", stocked / "added")
    assert "added" in described()[0]
    assert file.read_bytes() == before


def _write(folder: str, times: int) -> None:
    os.environ["AECORE_STORE"] = folder
    index.WORTH = 1
    for _ in range(times):
        store._INDEX._file = None
        Path(folder, "_index", "runs.json").unlink(missing_ok=True)
        assert len(store.runs()[0]) == len(NAMES)


def test_two_processes_may_write_it_at_once(
    stocked: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(str(stocked), 20)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert [path.name for path in (stocked / "_index").iterdir() if path.name[0] == "."] == []
    another_process(monkeypatch)
    assert described()[0] == sorted(NAMES) and not opened


def test_a_run_of_every_variant_comes_back_as_it_was() -> None:
    spec = store.load("digits-ae").spec
    run = store.load("digits-ae")
    runs = {}
    for variant in VARIANTS:
        config = run_config("digits", variant)
        runs[variant] = store.Run(variant, Path(), config, run.manifest, spec)
    assert store._build(store._dump(runs)) == runs
