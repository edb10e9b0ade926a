"""Runs on disk: what was saved comes back, what is damaged is named, and a kill breaks nothing."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Listener, run_config, wait_until

from aecore import datasets, files, store, tasks, training
from aecore.errors import Cancelled, Faults
from aecore.training import Checkpoint

SUFFIXES = {".json", ".safetensors"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that holds one run, `iris`, and one unfinished training, `half`."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AECORE_STORE", str(folder))
        tasks.train(run_config(), "iris", Listener())
        with pytest.raises(Cancelled):
            after_one = Listener(lambda heard: Cancelled() if heard.entries else None)
            tasks.train(run_config(), "half", after_one)
    return folder


@pytest.fixture
def run(trained: Path, store_folder: Path) -> store.Run:
    """A copy of the stored run, to be damaged."""
    shutil.copytree(trained, store_folder)
    return store.load("iris")


def save(name: str = "run", **changes: Any) -> store.Run:
    """Store a run without training one."""
    config = run_config()
    weights = training.build(config, datasets.get(config.dataset)).state_dict()
    codes = {"codes": np.zeros((50, 2), np.float32)[::-1], "labels": np.arange(50, dtype=np.int16)}
    facts = {
        "fingerprint": "f" * 64,
        "n_train": 100,
        "n_test": 50,
        "seconds": 1.5,
        "metrics": {"test_mse": 0.1, "knn_accuracy": None},
        "versions": {"python": "3"},
    }
    return store.save(name, config, weights, codes, [{"epoch": 1}], **facts | changes)


# --- There and back -----------------------------------------------------------------------------


def test_a_run_comes_back_as_it_was_saved() -> None:
    saved = save()
    run = store.load("run")
    assert run == saved
    assert run.config == run_config()
    assert run.history == [{"epoch": 1}]
    assert run.manifest.metrics == {"test_mse": 0.1, "knn_accuracy": None}
    assert run.manifest.seconds == 1.5
    assert run.codes["labels"].tolist() == list(range(50))
    assert not run.codes["codes"].flags.writeable
    assert not run.model().training
    built = training.build(run_config(), datasets.get("iris")).state_dict()
    assert all(torch.equal(built[name], value) for name, value in run.model().state_dict().items())


def test_a_stored_model_answers_as_the_trained_one_did(run: store.Run) -> None:
    from aecore import datasets

    x = torch.tensor(datasets.get("iris").test.x)
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
    with pytest.raises(Faults, match="is not possible: give up to 60 lower-case"):
        store.free_name(run_config(), name)


@pytest.mark.parametrize("name", ["", *BAD_NAMES])
def test_no_name_leads_out_of_the_store(run: store.Run, name: str) -> None:
    before = sorted(store.root().parent.rglob("*"))
    for refuse in (store.load, store.delete, store.read_checkpoint):
        with pytest.raises(Faults, match="Unknown"):
            refuse(name)
    store.discard(name)
    assert sorted(store.root().parent.rglob("*")) == before


def test_a_name_of_sixty_characters_is_fine() -> None:
    assert store.free_name(run_config(), "a" * 60) == "a" * 60


def test_names_of_runs_and_of_unfinished_trainings_are_taken(run: store.Run) -> None:
    for name in ("iris", "half"):
        with pytest.raises(Faults, match=f"name = '{name}' is taken"):
            store.free_name(run_config(), name)


def test_without_a_name_one_is_made_of_the_settings() -> None:
    names = {store.free_name(run_config(variant="vae")) for _ in range(20)}
    assert len(names) == 20
    assert all(name.startswith("iris-vae-2d-") for name in names)
    assert all(store.RUN_NAME.fullmatch(name) for name in names)


def test_a_run_is_never_overwritten(store_folder: Path) -> None:
    first = save()
    with pytest.raises(Faults, match="A run called 'run' exists already"):
        save(seconds=9)
    assert store.load("run") == first
    assert [path.name for path in store_folder.iterdir()] == ["run"]


def test_an_unknown_run_gets_the_nearest_one(run: store.Run) -> None:
    with pytest.raises(Faults, match="did you mean 'iris'"):
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


# --- Deleting -----------------------------------------------------------------------------------


def test_a_deleted_run_is_gone(run: store.Run) -> None:
    store.delete("iris")
    assert store.runs() == ([], [])
    assert not run.folder.exists()
    assert not list(store.root().glob("_writing-*"))
    with pytest.raises(Faults, match="Unknown run 'iris'"):
        store.delete("iris")


def test_a_broken_folder_can_be_deleted(run: store.Run) -> None:
    (run.folder / "manifest.json").unlink()
    store.delete("iris")
    assert store.runs() == ([], [])


# --- Damage -------------------------------------------------------------------------------------


def flip(content: bytes) -> bytes:
    """The same size, one bit changed near the end."""
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
    """Put content into a file; where it is not the manifest, the manifest is made to agree."""
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
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_run_is_named_and_the_others_are_listed(run: store.Run, damage: str) -> None:
    save("healthy")
    DAMAGES[damage](run.folder)
    found, broken = store.runs()
    assert [each.name for each in found] == ["healthy"]
    assert [each.name for each in broken] == ["iris"]
    assert broken[0].reason.strip()
    with pytest.raises(Faults) as error:
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
}


@pytest.mark.parametrize("damage", LATE_DAMAGES)
def test_changed_bytes_are_noticed_when_they_are_read(run: store.Run, damage: str) -> None:
    LATE_DAMAGES[damage](run.folder)
    assert isinstance(store.runs(), tuple)
    with pytest.raises(Faults):
        look_at_everything(store.load("iris"))


@pytest.mark.parametrize("file", ["weights.safetensors", "codes.safetensors", "history.json"])
def test_a_file_that_vanishes_while_a_run_is_open_is_a_fault(run: store.Run, file: str) -> None:
    (run.folder / file).unlink()
    with pytest.raises(Faults):
        look_at_everything(run)


@pytest.mark.parametrize(
    ("limit", "file"), [("MAX_JSON", "manifest.json"), ("MAX_TENSORS", "codes.safetensors")]
)
def test_files_of_an_absurd_size_are_not_read(
    run: store.Run, monkeypatch: pytest.MonkeyPatch, limit: str, file: str
) -> None:
    monkeypatch.setattr(store, limit, 10)
    with pytest.raises(Faults, match=f"{file} is larger than"):
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


def test_a_checkpoint_of_a_complete_run_is_removed(run: store.Run) -> None:
    shutil.copytree(store.root() / "_unfinished/half", store.root() / "_unfinished/iris")
    assert [left.name for left in store.unfinished()] == ["half"]
    assert not (store.root() / "_unfinished/iris").exists()


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


@pytest.mark.parametrize("damage", CHECKPOINT_DAMAGES)
def test_a_damaged_checkpoint_is_not_offered(run: store.Run, damage: str) -> None:
    CHECKPOINT_DAMAGES[damage](store.root() / "_unfinished" / "half")
    assert store.unfinished() == []
    with pytest.raises(Faults, match="Unknown unfinished run 'half'"):
        store.read_checkpoint("half")
    assert [each.name for each in store.runs()[0]] == ["iris"]


# --- Kills --------------------------------------------------------------------------------------

# Every write and rename of a training is one moment to die at, with half of the bytes written.
DIE_AT_EVERY_WRITE = """
import os, signal, sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from conftest import Listener, run_config
from aecore import files, store, tasks

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
tasks.train(config, "run", Listener())
expected = read()

status, moment = -9, 0
while status == -9:
    folder = root / f"killed-{moment}"
    status = child(folder, lambda: tasks.train(config, "run", Listener()), moment)
    found, broken = store.runs()
    assert not broken, (moment, broken)
    left = [each.name for each in store.unfinished()]
    if left:
        assert not found and child(folder, lambda: tasks.resume("run", Listener())) == 0, moment
    elif not found:
        store.discard("run")
        assert child(folder, lambda: tasks.train(config, "run", Listener())) == 0, moment
    assert read() == expected, moment
    assert store.unfinished() == [] and store.runs()[1] == [], moment
    moment += 1
assert status == 0
print(moment - 1)
"""


def test_a_kill_at_any_write_leaves_no_broken_run_and_costs_no_bit(tmp_path: Path) -> None:
    here = str(Path(__file__).parent)
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
from aecore import store, tasks

config = run_config("digits", "vae", epochs=12, batch_size=64)
if store.unfinished():
    tasks.resume("run", Listener())
else:
    tasks.train(config, "run", Listener())
"""


def start_training(folder: Path) -> subprocess.Popen[bytes]:
    here = Path(__file__).parent
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
