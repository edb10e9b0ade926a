"""Store of runs: round trip, damage reports, and safety against kills."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Listener, run_config, wait_until

from aecore import artifacts, data, files, latent, projections, training
from aecore.applications import sample_quality
from aecore.data import Subset
from aecore.errors import Cancelled, InvalidRequest
from aecore.projections import PCAProjection
from aecore.runs import store
from aecore.runs.train import Resume, Train
from aecore.training import Checkpoint

SUFFIXES = {".json", ".safetensors"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Store of one run, `iris`, and one unfinished training, `half`."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AECORE_STORE", str(folder))
        Train(run_config(), "iris").run(Listener())
        after_one = Listener(lambda heard: Cancelled() if heard.entries else None)
        with pytest.raises(Cancelled):
            Train(run_config(), "half").run(after_one)
    return folder


@pytest.fixture
def run(trained: Path, store_folder: Path) -> store.Run:
    """Copy of the stored run, to be damaged."""
    shutil.copytree(trained, store_folder)
    return store.load("iris")


HISTORY = [
    {"epoch": epoch, "train": {"total": 2.0}, "test": {"total": 1.0}, "test_mse": 0.1, "seconds": 1}
    for epoch in (1, 2)
]


def save(name: str = "run", **changes: Any) -> store.Run:
    """Store a run without training."""
    config = run_config()
    weights = training.build(config, data.get(config.dataset)).state_dict()
    codes = {
        "codes": np.zeros((50, 2), np.float32)[::-1],
        "plane": np.zeros((50, 2), np.float32),
        "labels": np.arange(50, dtype=np.int16) % 3,
        "error": np.zeros(50, np.float32),
        "epochs": np.zeros((2, 50, 2), np.float32),
        "epochs_kept": np.array([1, 2], np.int32),
    }
    facts = {
        "fingerprint": "f" * 64,
        "n_train": 100,
        "n_test": 50,
        "seconds": 1.5,
        "metrics": {"test_mse": 0.1, "knn_accuracy": None},
        "versions": {"python": "3"},
    }
    return store.save(name, config, weights, codes, HISTORY, **facts | changes)


# --- There and back -----------------------------------------------------------------------------


def test_a_run_comes_back_as_it_was_saved() -> None:
    saved = save()
    run = store.load("run")
    assert run == saved
    assert run.config == run_config()
    assert run.history == HISTORY
    assert run.manifest.metrics == {"test_mse": 0.1, "knn_accuracy": None}
    assert run.manifest.seconds == 1.5
    assert run.codes["labels"].tolist() == [number % 3 for number in range(50)]
    assert not run.codes["codes"].flags.writeable
    assert not run.model().training
    built = training.build(run_config(), data.get("iris")).state_dict()
    assert all(torch.equal(built[name], value) for name, value in run.model().state_dict().items())


def test_a_stored_model_answers_as_the_trained_one_did(run: store.Run) -> None:
    from aecore import data

    x = torch.tensor(data.get("iris").test.x)
    with torch.inference_mode():
        np.testing.assert_array_equal(run.model().encode(x).numpy(), run.codes["codes"])


def test_a_store_holds_json_and_safetensors_alone(run: store.Run) -> None:
    files = [path for path in store.root().rglob("*") if path.is_file()]
    assert len(files) > 6
    assert {path.suffix for path in files} == SUFFIXES
    for path in files:
        content = path.read_bytes()
        # What pickle and zip files, and with them torch's own, begin with.
        assert not content.startswith((b"\x80", b"PK"))


def test_the_manifest_is_written_last(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    write = files.write_new

    def note(path: Path, content: bytes) -> None:
        assert not (store.root() / "run").exists()
        written.append(path.name)
        write(path, content)

    monkeypatch.setattr(files, "write_new", note)
    save()
    assert written[-1] == "manifest.json"
    assert len(written) == 5


def test_the_newest_run_is_first() -> None:
    for name, day in (("a", 2), ("b", 9), ("c", 5)):
        run = save(name)
        path = run.folder / "manifest.json"
        text = path.read_text().replace(
            run.manifest.created.isoformat().replace("+00:00", "Z"), f"2024-01-0{day}T00:00:00Z"
        )
        path.write_text(text)
    found, broken = store.runs()
    assert [run.name for run in found] == ["b", "c", "a"]
    assert broken == []


def test_an_empty_or_missing_store_has_no_runs(store_folder: Path) -> None:
    assert not store_folder.exists()
    assert store.runs() == ([], [])
    assert store.unfinished() == []
    store_folder.mkdir()
    assert store.runs() == ([], [])


def test_files_beside_the_runs_are_no_runs(store_folder: Path) -> None:
    save()
    (store_folder / "README.md").write_text("Runs.")
    (store_folder / ".hidden").mkdir()
    found, broken = store.runs()
    assert [run.name for run in found] == ["run"]
    assert broken == []


def test_leftovers_of_a_killed_writer_are_not_listed_and_old_ones_are_removed(
    store_folder: Path,
) -> None:
    new, old = store_folder / "_writing-x-1", store_folder / "_writing-y-2"
    for folder in (new, old):
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
    os.utime(old, (0, 0))
    save()
    found, broken = store.runs()
    assert [run.name for run in found] == ["run"]
    assert broken == []
    assert new.exists() and not old.exists()


# --- Names --------------------------------------------------------------------------------------

BAD_NAMES = ["../x", "..", ".", "A", "-a", "_maps", "a/b", "a b", "a\n", "a\0", "é", "a" * 61, "/"]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_are_no_folders_are_refused(name: str, trained: Path) -> None:
    with pytest.raises(InvalidRequest, match="is not possible: give up to 60 lower-case"):
        store.free_name(run_config(), name)


@pytest.mark.parametrize("name", ["", *BAD_NAMES])
def test_no_name_leads_out_of_the_store(run: store.Run, name: str) -> None:
    before = sorted(store.root().parent.rglob("*"))
    for refuse in (store.load, store.delete, store.read_checkpoint):
        with pytest.raises(InvalidRequest, match="Unknown"):
            refuse(name)
    store.discard(name)
    assert sorted(store.root().parent.rglob("*")) == before


def test_a_name_of_sixty_characters_is_fine() -> None:
    assert store.free_name(run_config(), "a" * 60) == "a" * 60


def test_names_of_runs_and_of_unfinished_trainings_are_taken(run: store.Run) -> None:
    for name in ("iris", "half"):
        with pytest.raises(InvalidRequest, match=f"name = '{name}' is taken"):
            store.free_name(run_config(), name)


def test_without_a_name_one_is_made_of_the_settings() -> None:
    names = {store.free_name(run_config(variant="vae")) for _ in range(20)}
    assert len(names) == 20
    assert all(name.startswith("iris-vae-2d-") for name in names)
    assert all(store.RUN_NAME.fullmatch(name) for name in names)


def test_a_run_is_never_overwritten(store_folder: Path) -> None:
    first = save()
    with pytest.raises(InvalidRequest, match="A run called 'run' exists already"):
        save(seconds=9)
    assert store.load("run") == first
    assert [path.name for path in store_folder.iterdir()] == ["run"]


def test_an_unknown_run_gets_the_nearest_one(run: store.Run) -> None:
    with pytest.raises(InvalidRequest, match="did you mean 'iris'"):
        store.load("irsi")


def test_every_listed_run_can_be_loaded_and_every_folder_deleted(run: store.Run) -> None:
    # Folders that a person copied or renamed by hand.
    shutil.copytree(run.folder, run.folder.with_name("My Run"))
    (run.folder.with_name("Notes")).mkdir()
    found, broken = store.runs()
    for listed in found:
        assert store.load(listed.name).config == listed.config
    for folder in (*found, *broken):
        store.delete(folder.name)
    assert store.runs() == ([], [])


def test_contents_that_cannot_be_read_do_not_become_a_run() -> None:
    with pytest.raises(InvalidRequest, match="codes is of shape"):
        save(n_test=51)
    assert store.runs() == ([], [])
    assert not list(store.root().glob("*run*"))


# --- Deleting -----------------------------------------------------------------------------------


def test_a_deleted_run_is_gone(run: store.Run) -> None:
    store.delete("iris")
    assert store.runs() == ([], [])
    assert not run.folder.exists()
    assert not list(store.root().glob("_writing-*"))
    with pytest.raises(InvalidRequest, match="Unknown run 'iris'"):
        store.delete("iris")


def test_a_broken_folder_can_be_deleted(run: store.Run) -> None:
    (run.folder / "manifest.json").unlink()
    store.delete("iris")
    assert store.runs() == ([], [])


# --- Damage -------------------------------------------------------------------------------------


def flip(content: bytes) -> bytes:
    """Content of the same size with one bit changed near the end."""
    return content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]


def manifest(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "manifest.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def file_entry(name: str, entry: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "manifest.json"
        content = json.loads(path.read_text())
        content["files"] |= {name: entry}
        path.write_text(json.dumps(content))

    return change


def text(file: str, content: str | bytes) -> Callable[[Path], None]:
    """Write content into a file, and update the manifest."""
    import hashlib

    content = content.encode() if isinstance(content, str) else content

    def change(folder: Path) -> None:
        (folder / file).write_bytes(content)
        if file != "manifest.json":
            entry = [len(content), hashlib.sha256(content).hexdigest()]
            file_entry(file, entry)(folder)

    return change


def config(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = json.loads((folder / "config.json").read_text()) | changes
        text("config.json", json.dumps(content))(folder)

    return change


def arrays(file: str, **changes: Any) -> Callable[[Path], None]:
    """Write changed arrays into a file; a change maps an old array to a new one."""
    from safetensors.numpy import load, save

    def change(folder: Path) -> None:
        known = load((folder / file).read_bytes())
        known |= {name: np.ascontiguousarray(make(known[name])) for name, make in changes.items()}
        text(file, save(known))(folder)

    return change


def history(change: Callable[[list[dict[str, Any]]], Any]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        entries = json.loads((folder / "history.json").read_text())
        change(entries)
        text("history.json", json.dumps(entries))(folder)

    return damage


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "no manifest": lambda folder: (folder / "manifest.json").unlink(),
    "manifest empty": text("manifest.json", ""),
    "manifest cut short": text("manifest.json", '{"format": 1,'),
    "manifest no object": text("manifest.json", "[]"),
    "manifest a number": text("manifest.json", "7"),
    "manifest null": text("manifest.json", "null"),
    "manifest without fields": text("manifest.json", "{}"),
    "manifest no text": text("manifest.json", b"\xff\xfe\0"),
    "manifest nested deep": text("manifest.json", "[" * 100_000),
    "unknown format": manifest(format=99),
    "unknown field": manifest(surprise=1),
    "no files": manifest(files={}),
    "a file outside": file_entry("../iris/config.json", [1, "0"]),
    "a time without a zone": manifest(created="2024-01-01T00:00:00"),
    "weights missing": lambda folder: (folder / "weights.safetensors").unlink(),
    "weights cut short": lambda folder: os.truncate(folder / "weights.safetensors", 100),
    "codes missing": lambda folder: (folder / "codes.safetensors").unlink(),
    "config missing": lambda folder: (folder / "config.json").unlink(),
    "config no JSON": text("config.json", "{"),
    "config no object": text("config.json", "[]"),
    "config null": text("config.json", "null"),
    "config of an unknown variant": config(variant="unheard-of"),
    "config of an unknown dataset": config(dataset="unheard-of"),
    "config with a list for a name": config(dataset=["iris"]),
    "config with a wrong setting": config(model={"latent_dim": -1}),
    "config with a number for settings": config(model=3),
    "config without settings": config(training=None),
    "a fingerprint that is a path": manifest(fingerprint="../../etc"),
    "a fingerprint that is too short": manifest(fingerprint="f" * 63),
    "a metric that is not known": manifest(metrics={"beauty": 1}),
    "a metric that is no number": manifest(metrics={"test_mse": float("nan")}),
    **{
        f"{name} = {value}": manifest(metrics={name: value})
        for name, value in (
            *((name, -0.1) for name in ("test_mse", "test_squared_error", "pca_mse", "measured")),
            *((name, -0.1) for name in ("trustworthiness", "continuity", "knn_accuracy")),
            *((name, 1.1) for name in ("trustworthiness", "continuity", "knn_accuracy")),
            *((name, -1.1) for name in ("spearman", "silhouette")),
        )
    },
    "seconds below zero": manifest(seconds=-1),
    "a date before the calendar": manifest(created="0001-01-01T00:00:00+14:00"),
    "many samples": manifest(n_test=400_000_000),
    "no samples": manifest(n_test=0),
    "versions without end": manifest(versions={f"{n}": "1" for n in range(1_000)}),
    "a large model": config(model={"hidden": [8192] * 12}),
    "a wider code": config(model={"hidden": [8], "latent_dim": 3}),
    "codes of fewer samples": arrays("codes.safetensors", codes=lambda array: array[:-1]),
    "codes in half precision": arrays(
        "codes.safetensors", codes=lambda array: array.astype(np.float16)
    ),
    "epochs without their numbers": arrays(
        "codes.safetensors", epochs_kept=lambda array: array[:-1]
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_run_is_named_and_the_others_are_listed(run: store.Run, damage: str) -> None:
    save("healthy")
    DAMAGES[damage](run.folder)
    found, broken = store.runs()
    assert [each.name for each in found] == ["healthy"]
    assert [each.name for each in broken] == ["iris"]
    assert broken[0].reason.strip()
    with pytest.raises(InvalidRequest) as error:
        store.load("iris")
    assert "'iris'" in str(error.value)


def look_at_everything(run: store.Run) -> None:
    assert run.history and run.codes and run.model()


LATE_DAMAGES: dict[str, Callable[[Path], Any]] = {
    **{
        f"{file}: one bit changed": (
            lambda folder, file=file: (folder / file).write_bytes(
                flip((folder / file).read_bytes())
            )
        )
        for file in ("weights.safetensors", "codes.safetensors", "history.json")
    },
    "config.json: another seed": lambda folder: (folder / "config.json").write_text(
        (folder / "config.json").read_text().replace('"seed": 0', '"seed": 1')
    ),
    "weights of another shape": config(model={"hidden": [9], "latent_dim": 2}),
    "weights that are none": text("weights.safetensors", b"no tensors"),
    "codes that are none": text("codes.safetensors", b"no tensors"),
    "history that is none": text("history.json", b"{"),
    "history of no epochs": text("history.json", b"[]"),
    "history of an epoch less": history(lambda entries: entries.pop()),
    "history out of order": history(lambda entries: entries.reverse()),
    "history with no number": history(
        lambda entries: entries[0]["test"].update(total=float("nan"))
    ),
    "history without a total": history(lambda entries: entries[1]["train"].pop("total")),
    "history with text": history(lambda entries: entries[1].update(test_mse="small")),
    **{
        f"history of {name} below zero": history(
            lambda entries, name=name: entries[1].update({name: -1})
        )
        for name in ("test_mse", "seconds", "samples_per_second", "learning_rate")
    },
    "errors below zero": arrays("codes.safetensors", error=lambda array: array - 1e6),
    "labels beyond the classes": arrays("codes.safetensors", labels=lambda array: array + 1),
    "epochs that do not rise": arrays("codes.safetensors", epochs_kept=lambda array: array[::-1]),
    "weights of no number": arrays(
        "weights.safetensors", **{"decoder.0.bias": lambda array: array * np.nan}
    ),
    "weights of the same number, not shape": arrays(
        "weights.safetensors", **{"decoder.0.weight": lambda array: array.T}
    ),
}


@pytest.mark.parametrize("damage", LATE_DAMAGES)
def test_changed_bytes_are_noticed_when_they_are_read(run: store.Run, damage: str) -> None:
    LATE_DAMAGES[damage](run.folder)
    assert isinstance(store.runs(), tuple)
    with pytest.raises(InvalidRequest, match="'iris'") as error:
        look_at_everything(store.load("iris"))
    assert len(error.value.problems) == 1 and str(error.value).isprintable()


@pytest.mark.parametrize("file", ["weights.safetensors", "codes.safetensors", "history.json"])
def test_a_file_that_vanishes_while_a_run_is_open_is_a_fault(run: store.Run, file: str) -> None:
    (run.folder / file).unlink()
    with pytest.raises(InvalidRequest):
        look_at_everything(run)


@pytest.mark.parametrize(
    ("limit", "file"),
    [
        ("MAX_MANIFEST", "manifest.json"),
        ("MAX_JSON", "config.json"),
        ("MAX_TENSORS", "codes.safetensors"),
    ],
)
def test_files_of_an_absurd_size_are_not_read(
    run: store.Run, monkeypatch: pytest.MonkeyPatch, limit: str, file: str
) -> None:
    monkeypatch.setattr(artifacts if limit == "MAX_TENSORS" else store, limit, 10)
    with pytest.raises(InvalidRequest, match=f"{file} is larger than"):
        look_at_everything(store.load("iris"))


# --- Unfinished trainings -----------------------------------------------------------------------


def test_a_checkpoint_comes_back_as_it_was_written(run: store.Run) -> None:
    tensors = {
        "random": torch.arange(5),
        "model.a": torch.eye(3).t(),
        "empty": torch.empty(0, 0, 2),
    }
    progress = {"epochs_done": 2, "param_groups": [{"lr": 0.1 + 0.2}], "history": [{"epoch": 1}]}
    store.write_checkpoint("new", run_config(), Checkpoint(tensors, progress))
    config, checkpoint = store.read_checkpoint("new")
    assert config == run_config()
    assert checkpoint.progress == progress
    assert checkpoint.tensors.keys() == tensors.keys()
    assert all(torch.equal(checkpoint.tensors[name], value) for name, value in tensors.items())


def test_unfinished_trainings_are_listed_with_their_epochs(run: store.Run) -> None:
    (left,) = store.unfinished()
    assert (left.name, left.epochs_done, left.config) == ("half", 1, run_config())


def test_an_unfinished_training_can_be_discarded(run: store.Run) -> None:
    store.discard("half")
    assert store.unfinished() == []
    assert store.free_name(run_config(), "half") == "half"
    store.discard("half")


def stopped_while_measuring(name: str) -> None:
    """Train to the last epoch's checkpoint only."""
    with pytest.raises(Cancelled):
        Train(run_config(), name).run(Listener(at("Measuring the map")))


def at(what: str) -> Callable[[Listener], Exception | None]:
    return lambda heard: Cancelled() if heard.heard and heard.heard[-1][0] == what else None


def test_a_checkpoint_of_its_own_complete_run_is_removed(run: store.Run) -> None:
    stopped_while_measuring("whole")
    folder = store.root() / "_unfinished/whole"
    shutil.copytree(folder, store.root() / "copy")
    Resume.of("whole").run(Listener())
    assert not folder.exists()
    (store.root() / "copy").rename(folder)  # as if killed before it removed it
    assert [left.name for left in store.unfinished()] == ["half"]
    assert not folder.exists()
    assert store.load("whole")


@pytest.mark.parametrize("complete", ["iris", "damaged"])
def test_a_checkpoint_that_is_not_of_the_complete_run_is_kept(
    run: store.Run, complete: str
) -> None:
    """The run of that name is another training's, or nobody can say whose."""
    shutil.copytree(store.root() / "_unfinished/half", store.root() / "_unfinished/iris")
    if complete == "damaged":
        (run.folder / "weights.safetensors").unlink()
    assert [left.name for left in store.unfinished()] == ["half", "iris"]
    assert store.read_checkpoint("iris")[1].progress["epochs_done"] == 1


def test_a_training_that_finds_its_name_taken_is_stored_beside(run: store.Run) -> None:
    shutil.copytree(store.root() / "_unfinished/half", store.root() / "_unfinished/iris")
    before = run.manifest
    beside = Resume.of("iris").run(Listener())
    assert beside.name == "iris-2"
    assert store.load("iris").manifest == before
    assert {found.name for found in store.runs()[0]} == {"iris", "iris-2"}
    assert [left.name for left in store.unfinished()] == ["half"]


def test_a_folder_put_in_the_place_of_a_run_while_it_trains_is_not_overwritten(
    run: store.Run,
) -> None:
    def copy(heard: Listener) -> None:
        if heard.heard and heard.heard[-1][0] == "Measuring the map":
            shutil.copytree(run.folder, store.root() / ("a" * 60), dirs_exist_ok=True)

    beside = Train(run_config(), "a" * 60).run(Listener(copy))
    assert beside.name == "a" * 58 + "-2"
    assert store.load(beside.name).history[-1]["epoch"] == 2


CHECKPOINT_DAMAGES: dict[str, Callable[[Path], Any]] = {
    "no checkpoint": lambda folder: (folder / "checkpoint.safetensors").unlink(),
    "no config": lambda folder: (folder / "config.json").unlink(),
    "checkpoint empty": lambda folder: os.truncate(folder / "checkpoint.safetensors", 0),
    "checkpoint cut short": lambda folder: os.truncate(folder / "checkpoint.safetensors", 500),
    "config no object": lambda folder: (folder / "config.json").write_text("[]"),
    "config empty": lambda folder: (folder / "config.json").write_text(""),
}


def checkpoint_with(metadata: dict[str, str] | None) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        from safetensors.numpy import save_file

        save_file({"x": np.zeros(1)}, folder / "checkpoint.safetensors", metadata)

    return change


CHECKPOINT_DAMAGES |= {
    "checkpoint without progress": checkpoint_with(None),
    "checkpoint with other progress": checkpoint_with({"json": "[]"}),
    "checkpoint with no JSON": checkpoint_with({"json": "{"}),
    "checkpoint without epochs": checkpoint_with({"json": "{}"}),
}


CHECKPOINT_DAMAGES |= {
    f"progress {progress}": checkpoint_with({"json": json.dumps(progress)})
    for progress in (
        {"epochs_done": 1},
        {"epochs_done": 1, "history": {}},
        {"epochs_done": 1, "history": [1]},
        {"epochs_done": 0, "history": []},
        {"epochs_done": 3, "history": []},
        {"epochs_done": "1", "history": []},
        {"epochs_done": True, "history": []},
    )
}
CHECKPOINT_DAMAGES["progress nested deep"] = checkpoint_with({"json": "[" * 100_000})


@pytest.mark.parametrize("damage", CHECKPOINT_DAMAGES)
def test_a_damaged_checkpoint_is_named_and_can_be_discarded(run: store.Run, damage: str) -> None:
    stopped_while_measuring("healthy")
    CHECKPOINT_DAMAGES[damage](store.root() / "_unfinished" / "half")
    found, damaged = store.checkpoints()
    assert [each.name for each in found] == ["healthy"]
    assert [each.name for each in damaged] == ["half"]
    assert damaged[0].reason.strip()
    with pytest.raises(InvalidRequest, match=r"'half' cannot be used: .*aecore discard half"):
        store.read_checkpoint("half")
    with pytest.raises(InvalidRequest, match="taken by an unfinished training"):
        store.free_name(run_config(), "half")
    assert [each.name for each in store.runs()[0]] == ["iris"]
    store.discard("half")
    assert store.free_name(run_config(), "half") == "half"


def test_progress_of_an_absurd_size_is_not_parsed(
    run: store.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "MAX_HEADER", 600)
    (damaged,) = store.checkpoints()[1]
    assert damaged.name == "half" and "its header would be of" in damaged.reason


# --- Names in use -------------------------------------------------------------------------------

HOLD = """
import sys
from contextlib import ExitStack
from aecore.runs import store

with ExitStack() as held:
    for name in sys.argv[1:]:
        held.enter_context(store.Reservation(name))
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_elsewhere(*names: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that has reserved names of this store."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, *names],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


OPERATIONS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "train": ("new", lambda name: Train(run_config(), name).run(Listener())),
    "resume": ("half", lambda name: Resume.of(name).run(Listener())),
    "free_name": ("new", lambda name: store.free_name(run_config(), name)),
    "discard": ("half", store.discard),
    "delete": ("iris", store.delete),
    "reserve": ("iris", lambda name: store.Reservation(name).__enter__()),
}


def test_a_name_that_another_process_holds_is_refused_at_once_and_nothing_is_changed(
    run: store.Run,
) -> None:
    before = {path: path.read_bytes() for path in store.root().rglob("*.safetensors")}
    with held_elsewhere("new", "half", "iris") as process:
        for operation, (name, work) in OPERATIONS.items():
            started = time.monotonic()
            with pytest.raises(InvalidRequest) as error:
                work(name)
            assert time.monotonic() - started < 5, operation
            said = str(error.value)
            assert f"'{name}' is being trained already (process {process.pid} on " in said
            assert store.owner(name).pid == process.pid
    assert {path: path.read_bytes() for path in before} == before


def test_a_name_is_free_again_when_its_process_is_killed(run: store.Run) -> None:
    with held_elsewhere("half") as process:
        process.kill()
        process.wait()
        assert store.owner("half") is None
        assert [left.owner for left in store.unfinished()] == [None]
        assert Resume.of("half").run(Listener()).name == "half"


def test_who_trains_is_said_of_an_unfinished_training(run: store.Run) -> None:
    with held_elsewhere("half") as process:
        (left,) = store.unfinished()
        assert (left.owner.pid, left.owner.host) == (process.pid, socket.gethostname())
        assert abs((datetime.now(UTC) - left.owner.since).total_seconds()) < 60
    (left,) = store.unfinished()
    assert left.owner is None


def test_a_name_is_held_while_it_is_trained_and_not_after(run: store.Run) -> None:
    owners: list[store.Owner | None] = []
    Train(run_config(), "new").run(Listener(lambda heard: owners.append(store.owner("new"))))
    assert {owner and owner.pid for owner in owners[:-1]} == {os.getpid()}
    assert store.owner("new") is None
    assert not list((store.root() / "_unfinished").glob("*.lock"))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x"}', "\0" * 5000])
def test_a_lock_file_without_an_owner_is_still_a_lock(run: store.Run, content: str) -> None:
    with held_elsewhere("half"):
        (store.root() / "_unfinished/half.lock").write_text(content)
        assert store.owner("half") == store.Owner()
        with pytest.raises(InvalidRequest, match="a process that has only just begun"):
            store.discard("half")


def test_looking_never_takes_a_name_from_who_wants_it(run: store.Run) -> None:
    """Listings probe the lock; a training that starts at that moment gets it nevertheless."""
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            store.owner("half")

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(50):
            with store.Reservation("half"):
                assert store.owner("half").pid == os.getpid()
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_of_many_that_reserve_a_name_again_and_again_one_has_it_at_a_time(
    store_folder: Path,
) -> None:
    """Each removes the lock file when it lets go: nobody may lock a file that is gone."""
    inside: list[int] = []
    times = 0

    def reserve_often(number: int) -> None:
        nonlocal times
        done = 0
        while done < 25:
            try:
                with store.Reservation("name"):
                    inside.append(number)
                    assert inside == [number]
                    time.sleep(0.0005)
                    inside.remove(number)
                    done += 1
                    times += 1
            except InvalidRequest:
                continue

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(reserve_often, range(4)))
    assert times == 100
    assert not list((store_folder / "_unfinished").iterdir())


def test_a_run_that_another_process_holds_is_not_replaced(run: store.Run) -> None:
    save("new")
    with (
        held_elsewhere("new"),
        store.Reservation("iris") as place,
        pytest.raises(InvalidRequest, match="'new' is being trained already"),
    ):
        place.replace("new")
    assert store.load("iris").manifest == run.manifest
    with store.Reservation("iris") as place:
        place.replace("new")
    assert [found.name for found in store.runs()[0]] == ["iris"]
    assert store.load("iris").manifest.created > run.manifest.created


def test_a_complete_run_is_not_resumed(run: store.Run) -> None:
    with pytest.raises(
        InvalidRequest, match="The run 'iris' is complete: there is nothing to resume"
    ):
        Resume.of("iris").run(Listener())
    with (
        held_elsewhere("first-epoch"),
        pytest.raises(InvalidRequest, match="being trained already"),
    ):
        Resume.of("first-epoch").run(Listener())


def test_a_training_that_diverges_discards_no_checkpoint_but_its_own(run: store.Run) -> None:
    wild = run_config(variant="vae", epochs=50, learning_rate=10)
    for name in ("half", "iris"):
        with pytest.raises(store.Taken):
            Train(wild, name).run(Listener())
    assert [left.name for left in store.unfinished()] == ["half"]


# --- A disk that takes no files -----------------------------------------------------------------


def everything_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("limit", [1, 100, 1_000, 2_000, 3_000, 4_000])
def test_what_the_disk_refuses_is_a_sentence_and_leaves_nothing(
    run: store.Run, tmp_path: Path, limit: int
) -> None:
    """A limit on the size of files refuses what a full disk refuses: the middle of a file."""
    resource = pytest.importorskip("resource")
    before = everything_below(store.root()) | {"_maps"}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(files.DiskFault) as error:
            Train(run_config("digits", model={"hidden": (64,)}), "new").run(Listener())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    (said,) = error.value.problems
    assert "cannot be written: the file is larger than" in said and "AECORE_STORE" in said
    assert {path for path in everything_below(store.root()) if "_maps" not in path} <= before
    assert store.free_name(run_config(), "new") == "new"


@contextmanager
def small_disk(folder: Path, size: str, *options: str) -> Iterator[None]:
    """File system in memory; skips the test if it cannot be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", ",".join((f"size={size}", *options)), "tmpfs"]
    if subprocess.run([*mount, str(folder)], capture_output=True).returncode:
        pytest.skip("A file system can be mounted by root alone.")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("free", [0, 4096, 40_960])
def test_a_full_disk_is_said_before_work_starts(store_folder: Path, free: int) -> None:
    heard = Listener()
    config = run_config("digits", model={"hidden": (512,)})
    with small_disk(store_folder, "1m"):
        fill(store_folder / "filler", free)
        with pytest.raises(files.DiskFault) as error:
            Train(config, "new").run(heard)
        (said,) = error.value.problems
        assert "the disk is full" in said or "MB are needed and" in said
        assert not any(what == "Training" for what, _, _ in heard.heard)
        assert everything_below(store_folder) <= {"filler", "_unfinished"}


def fill(file: Path, free: int) -> None:
    """Write until so many bytes are free."""
    with file.open("wb", buffering=0) as filler, suppress(OSError):
        while (left := shutil.disk_usage(file.parent).free - free) > 0:
            filler.write(bytes(left))


def test_a_disk_that_fills_up_while_a_model_trains_costs_no_epoch(store_folder: Path) -> None:
    config = run_config("digits", epochs=3, model={"hidden": (64,)})
    with small_disk(store_folder, "2m"):

        def stop(heard: Listener) -> None:
            if len(heard.entries) == 1 and not (store_folder / "filler").exists():
                fill(store_folder / "filler", 0)

        with pytest.raises(files.DiskFault, match="the disk is full"):
            Train(config, "new").run(Listener(stop))
        (left,) = store.unfinished()
        assert (left.name, left.epochs_done, left.owner) == ("new", 1, None)
        folder = store_folder / "_unfinished"
        assert everything_below(folder) == {"new", "new/config.json", "new/checkpoint.safetensors"}
        (store_folder / "filler").unlink()
        assert len(Resume.of("new").run(Listener()).history) == 3


WRITERS: dict[str, Callable[[], Any]] = {
    "train": lambda: Train(run_config(), "new").run(Listener()),
    "resume": lambda: Resume.of("half").run(Listener()),
    "free_name": lambda: store.free_name(run_config(), "new"),
    "save": lambda: save("new"),
    "delete": lambda: store.delete("iris"),
    "discard": lambda: store.discard("half"),
    "checkpoint": lambda: store.write_checkpoint(
        "new", run_config(), Checkpoint({}, {"epochs_done": 1, "history": []})
    ),
    "map": lambda: projections.Project("wine", PCAProjection(), Subset()).run(Listener()),
    "prepare": lambda: projections.Prepare("wine").run(Listener()),
    "analyse": lambda: latent.Analyse("iris").run(Listener()),
    "mixture": lambda: latent.FitMixture("iris").run(Listener()),
    "quality": lambda: sample_quality.MeasureSamples("iris").run(Listener()),
    "bytes": lambda: artifacts.write_bytes(store.root() / "_maps/new/x", b""),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_read_only_store_is_said_by_whatever_writes(
    trained: Path, store_folder: Path, writer: str
) -> None:
    with small_disk(store_folder, "8m"):
        shutil.copytree(trained, store_folder, dirs_exist_ok=True)
        before = everything_below(store_folder)
        subprocess.run(["mount", "-o", "remount,ro", str(store_folder)], check=True)
        with pytest.raises(files.DiskFault, match="cannot be written: the disk is read-only"):
            WRITERS[writer]()
        assert everything_below(store_folder) == before
        # What is there can be looked at all the same.
        assert store.load("iris").model() and store.unfinished()[0].name == "half"


@pytest.mark.parametrize("below", ["", "store"])
@pytest.mark.parametrize("writer", ["runs", "unfinished", *WRITERS])
def test_a_file_as_store_is_said_by_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: str, below: str
) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    monkeypatch.setenv("AECORE_STORE", str(file / below))
    work = {"runs": store.runs, "unfinished": store.unfinished} | WRITERS
    with pytest.raises(InvalidRequest, match=r"AECORE_STORE = .* is not possible .* is a file"):
        work[writer]()
    assert file.read_text() == "mine"


@pytest.mark.parametrize("when", ["Training", "Measuring the map"])
def test_a_store_that_is_removed_while_a_model_trains_is_not_made_again(
    store_folder: Path, when: str
) -> None:
    def remove(heard: Listener) -> None:
        if heard.heard[-1][0] == when:
            shutil.rmtree(store_folder, ignore_errors=True)

    with pytest.raises(files.DiskFault, match="removed while it was used"):
        Train(run_config(), "new").run(Listener(remove))
    assert not store_folder.exists()


def test_a_tilde_in_the_address_of_a_store_is_the_users_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AECORE_STORE", "~/runs")
    monkeypatch.setenv("AECORE_DATA", "~/data")
    assert store.root() == tmp_path / "runs"
    assert data.places("mnist")[0] == tmp_path / "data" / "mnist"
    monkeypatch.setenv("AECORE_STORE", "~nobody-of-this-name/runs")
    with pytest.raises(
        InvalidRequest, match="AECORE_STORE = '~nobody-of-this-name/runs' is not possible"
    ):
        store.root()


# --- Kills --------------------------------------------------------------------------------------

# Every write and rename of a training is one moment to die at, with half of the bytes written.
DIE_AT_EVERY_WRITE = """
import os, signal, sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from conftest import Listener, run_config
from aecore import files
from aecore.runs import store
from aecore.runs.train import Resume, Train

config = run_config(variant="vae", epochs=2)
root = Path(sys.argv[2])


def die(moment):
    writes = iter(range(10_000))

    def dying(change):
        def changed(path, *rest, **options):
            if next(writes) == moment:
                if change is write_new:
                    change(path, rest[0][: len(rest[0]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return change(path, *rest, **options)

        return changed

    write_new = files.write_new
    for name in ("replace", "rename", "mkdir", "unlink"):
        setattr(Path, name, dying(getattr(Path, name)))
    for name in ("write_new", "sync_folder", "lock"):
        setattr(files, name, dying(getattr(files, name)))
    os.unlink, os.rmdir = dying(os.unlink), dying(os.rmdir)


def child(folder, work, moment=None):
    os.environ["AECORE_STORE"] = str(folder)
    if (pid := os.fork()) == 0:
        if moment is not None:
            die(moment)
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def read():
    return [(store.load("run").folder / file).read_bytes() for file in FILES]


FILES = ("config.json", "weights.safetensors", "codes.safetensors")
# Done here and not in a child, so that every child finds the libraries loaded.
os.environ["AECORE_STORE"] = str(root / "through")
Train(config, "run").run(Listener())
expected = read()

status, moment = -9, 0
while status == -9:
    folder = root / f"killed-{moment}"
    status = child(folder, lambda: Train(config, "run").run(Listener()), moment)
    found, broken = store.runs()
    assert not broken, (moment, broken)
    left = [each.name for each in store.unfinished()]
    if left:
        again = child(folder, lambda: Resume.of("run").run(Listener()))
        assert not found and again == 0, moment
    elif not found:
        store.discard("run")
        assert child(folder, lambda: Train(config, "run").run(Listener())) == 0, moment
    assert read() == expected, moment
    assert store.unfinished() == [] and store.runs()[1] == [], moment
    moment += 1
assert status == 0
print(moment - 1)
"""


def test_a_kill_at_any_write_leaves_no_broken_run_and_costs_no_bit(tmp_path: Path) -> None:
    here = str(Path(__file__).parents[1])
    command = [sys.executable, "-c", DIE_AT_EVERY_WRITE, here, str(tmp_path)]
    # Threads would not survive the fork.
    one = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    ended = subprocess.run(command, cwd=Path(here).parent, env=one, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > 15  # moments


TRAIN_DIGITS = """
import sys

sys.path.insert(0, sys.argv[1])
from conftest import Listener, run_config
from aecore.runs import store
from aecore.runs.train import Resume, Train

config = run_config("digits", "vae", epochs=12, batch_size=64)
if store.unfinished():
    Resume.of("run").run(Listener())
else:
    Train(config, "run").run(Listener())
"""


def start_training(folder: Path) -> subprocess.Popen[bytes]:
    here = Path(__file__).parents[1]
    environment = os.environ | {"AECORE_STORE": str(folder)}
    command = [sys.executable, "-c", TRAIN_DIGITS, str(here)]
    return subprocess.Popen(command, cwd=here.parent, env=environment)


def test_a_training_killed_at_random_is_resumed_bit_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    through = tmp_path / "through"
    assert start_training(through).wait() == 0

    killed = tmp_path / "killed"
    monkeypatch.setenv("AECORE_STORE", str(killed))
    epochs = sorted(random.sample(range(1, 12), 2))
    for epoch in epochs:
        process = start_training(killed)
        wait_until(lambda epoch=epoch: any(u.epochs_done >= epoch for u in store.unfinished()))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert store.runs() == ([], [])
    assert start_training(killed).wait() == 0
    for file in ("weights.safetensors", "codes.safetensors"):
        ours, theirs = (folder / "run" / file for folder in (killed, through))
        assert ours.read_bytes() == theirs.read_bytes(), epochs
    assert store.unfinished() == []


# --- What is in the way of a lock or a name -------------------------------------------------------


@pytest.mark.parametrize("kind", ["pipe", "folder", "link", "loop"])
def test_what_is_no_lock_file_is_named_at_once(kind: str, store_folder: Path) -> None:
    lock = store_folder / "_unfinished" / "x.lock"
    lock.parent.mkdir(parents=True)
    make = {
        "pipe": lambda: os.mkfifo(lock),
        "folder": lock.mkdir,
        "link": lambda: lock.symlink_to(store_folder / "nowhere"),
        "loop": lambda: lock.symlink_to(lock),
    }
    make[kind]()
    assert store.owner("x") is None
    with pytest.raises(InvalidRequest, match=str(lock)) as error, store.reserve("x"):
        pytest.fail("the name was reserved")
    assert "emove" in str(error.value)


@pytest.mark.parametrize("place", ["x", "_unfinished/x"])
def test_a_link_that_leads_nowhere_takes_a_name(place: str, store_folder: Path) -> None:
    link = store_folder / place
    link.parent.mkdir(parents=True)
    link.symlink_to(store_folder / "nowhere")
    with pytest.raises(InvalidRequest, match="name = 'x' is taken"):
        store.free_name(run_config(), "x")
    assert store.name_beside("x") == "x-2"


def test_a_full_disk_takes_a_discard(run: store.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    store.discard("half")
    assert store.checkpoints() == ([], [])
    store.delete("iris")
    assert store.runs() == ([], [])


def test_a_lock_that_is_removed_while_it_is_held_is_said(run: store.Run) -> None:
    with store.reserve_unfinished("half") as held:
        held.verify()
        held._path.unlink()
        with pytest.raises(InvalidRequest, match=r"lock .* was removed.*--resume half"):
            held.verify()


def test_folders_are_removed_beside_themselves_and_not_on_another_disk(
    run: store.Run, store_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def on_one_disk(path: Path, target: Path) -> Path:
        if path.parent != target.parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", on_one_disk)
    store.discard("half")
    assert store.checkpoints() == ([], [])
