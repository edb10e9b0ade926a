"""Jobs on workers without the store: what they read is sent, and what they write comes back."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx_files
import pytest
from conftest import Listener, run_config, wait_until
from fsspec.core import url_to_fs
from test_jobs import Elsewhere, elsewhere, endless  # noqa: F401
from test_sweeper import planned, states

from aecore import data, latent, locations, projections
from aecore.applications import denoising, sample_quality
from aecore.data import Samples, Subset
from aecore.data.importers import Choices, StoreFile, incoming
from aecore.errors import Cancelled, InvalidRequest
from aecore.jobs import Job, Jobs, depot, exchange
from aecore.jobs.checks import survey
from aecore.jobs.depot import Deposited
from aecore.jobs.exchange import Written, own_store, pack, receive, reserve
from aecore.jobs.sweeper import Sweeping, trial_jobs
from aecore.progress import Task
from aecore.projections import PCAProjection, Project, TSNEProjection
from aecore.recipes import Reproduce
from aecore.runs import store, sweeps
from aecore.runs.imports import Import
from aecore.runs.sweeps import Halving
from aecore.runs.train import Resume, Train, TrainFurther, Training
from aecore.runs.trials import TrainTrial

# --- Files --------------------------------------------------------------------------------------


def contents(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def test_what_matches_is_packed_and_nothing_that_is_being_written(store_folder: Path) -> None:
    wanted = {"mine/manifest.json": b"{}", "_maps/iris-0123456789ab/pca.safetensors": b"map"}
    passing = {
        "mine/.codes.1a2b3c": b"part",
        "_writing-mine-1a2b3c/config.json": b"{}",
        "_unfinished/mine.lock": b"1",
        "_unfinished/.mine.1a2b3c/config.json": b"{}",
    }
    write(store_folder, {**wanted, **passing, "other/manifest.json": b"{}"})
    patterns = ["mine", "_maps/iris-????????????/pca.safetensors", "_unfinished", "absent"]
    assert pack([*patterns, "mine/manifest.json"]) == wanted


def test_more_than_can_travel_is_a_sentence(
    store_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store_folder, {"mine/a": b"12345", "mine/b": b"67890"})
    monkeypatch.setattr(exchange, "MOST_BYTES", 9)
    with pytest.raises(InvalidRequest, match="AECORE_STORE on a shared folder"):
        pack(["mine"])
    monkeypatch.setattr(exchange, "MOST_BYTES", 10)
    assert len(pack(["mine"])) == 2


def test_a_worker_sees_what_was_sent_alone_and_returns_what_it_changed(tmp_path: Path) -> None:
    home = locations.store()
    sent = {"mine/a": b"a", "mine/b": b"b", "_unfinished/mine/checkpoint.safetensors": b"c"}
    with own_store(sent, str(tmp_path)) as written:
        root = locations.store()
        assert root.is_relative_to(tmp_path) and contents(root) == sent
        assert written() == Written({}, [])
        unchanged = (root / "mine/a").stat()
        (root / "mine/b").write_bytes(b"2")
        write(
            root, {"_maps/x/new": b"n", "_maps/x/.new.1a": b"", "mine.lock": b"", "_index/r": b""}
        )
        shutil.rmtree(root / "_unfinished")
        changed = {"mine/b": b"2", "_maps/x/new": b"n"}
        assert written() == Written(changed, ["_unfinished/mine/checkpoint.safetensors"])
    assert locations.store() == home
    with own_store({"mine/a": b"a", "other/c": b"c"}, str(tmp_path)):  # the next job
        assert locations.store() == root
        assert contents(root) == {"mine/a": b"a", "other/c": b"c"}
        assert not (root / "_maps").exists() and not (root / "mine.lock").exists()
        assert (root / "mine/a").stat() == unchanged  # so that its dataset is not read again


def test_the_store_of_a_worker_is_that_of_a_thread_and_goes_with_it(tmp_path: Path) -> None:
    seen: list[Path] = []

    def run() -> None:
        with own_store({"mine/a": b"a"}, str(tmp_path)):
            seen.append(locations.store())

    with own_store({"mine/b": b"b"}, str(tmp_path)):
        here = locations.store()
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        assert locations.store() == here != seen[0]
        assert contents(here) == {"mine/b": b"b"}
    wait_until(lambda: not seen[0].exists(), seconds=5)


HOSTILE = [
    "/etc/passwd",
    "../outside/x",
    "mine/../../outside",
    "mine/./x",
    "mine//x",
    "mine/",
    "mine",
    "",
    "..",
    "mine/x\0y",
    "mine/.hidden",
    "_index/runs.json",
    "_deleted/mine/x",
    "C:\\x/y",
    "Mine/x",
    "_unfinished/mine.lock",
]


@pytest.mark.parametrize("path", HOSTILE)
def test_a_path_that_no_job_writes_is_refused_before_anything_is_stored(
    path: str, store_folder: Path, tmp_path: Path
) -> None:
    before = contents(tmp_path)
    with pytest.raises(InvalidRequest, match="not the path of a file that travels"):
        receive(Written({"_recipes/x.safetensors": b"", path: b"x"}), {})
    with (
        pytest.raises(InvalidRequest, match="not the path of a file that travels"),
        own_store({"mine/a": b"a", path: b"x"}, str(tmp_path)),
    ):
        pass
    assert contents(tmp_path) == before


def test_a_link_is_replaced_and_never_written_through(store_folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    (store_folder / "_recipes").mkdir(parents=True)
    (store_folder / "_recipes/x").symlink_to(outside)
    receive(Written({"_recipes/x": b"new"}), {})
    assert outside.read_bytes() == b"mine" and (store_folder / "_recipes/x").read_bytes() == b"new"


def test_what_belongs_to_nothing_here_is_left_out(store_folder: Path) -> None:
    strange = {
        "gone/latent.safetensors": b"",
        "gone/below/manifest.json": b"{}",
        "_sweeps/gone/3.json": b"{}",
        "_unfinished/gone/checkpoint.safetensors": b"",
        "_datasets/new/card.json": b"{}",
    }
    receive(Written(strange), {})
    receive(Written(strange), {"gone": None})
    assert not store_folder.exists()


# --- Tasks --------------------------------------------------------------------------------------


@pytest.fixture
def exchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    address = f"file://{tmp_path}/exchange"
    monkeypatch.setenv("AECORE_EXCHANGE", address)
    return address


@pytest.mark.parametrize("address", ["memory://loupe/exchange", "file://{}/exchange", "{}/plain/"])
def test_what_is_sent_by_an_address_arrives_and_is_written_once(
    address: str, store_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = address.format(tmp_path)
    monkeypatch.setattr(exchange, "MOST_BYTES", 0)
    write(store_folder, {"mine/a": b"content", "mine/b": b"content", "mine/empty": b""})
    sent = exchange.pack(["mine"], address)
    assert isinstance(sent, Deposited) and len(set(sent.digests.values())) == 2
    with own_store(sent, str(tmp_path)) as written:
        assert contents(locations.store()) == contents(store_folder)
        write(locations.store(), {"_maps/x-1/pca.safetensors": b"map"})
        new = written()
    assert isinstance(new.files, Deposited)
    receive(new, {})
    assert (store_folder / "_maps/x-1/pca.safetensors").read_bytes() == b"map"
    before = url_to_fs(address)[0].find(address)
    exchange.pack(["mine"], address)
    assert url_to_fs(address)[0].find(address) == before and len(before) == 3


def test_what_was_changed_or_is_gone_at_an_address_is_not_taken(
    exchanged: str, tmp_path: Path
) -> None:
    sent = depot.deposit({"mine/a": b"content"}, exchanged)
    (place,) = (tmp_path / "exchange").iterdir()
    place.write_bytes(b"forged!")
    with (
        pytest.raises(InvalidRequest, match="another content than was written"),
        own_store(sent, str(tmp_path)),
    ):
        pass
    place.write_bytes(b"cut")
    assert depot.fetch(depot.deposit({"mine/a": b"content"}, exchanged)) == {"mine/a": b"content"}
    place.unlink()
    with pytest.raises(InvalidRequest, match=r"AECORE_EXCHANGE = .* cannot be used"):
        receive(Written(sent), {})


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("nonsense://x", "Protocol not known"),
        ("file:///proc/nowhere", "No such file|not permitted|denied"),
        ("s3://user:secret@bucket/folder", "Install s3fs|cannot be used"),
    ],
)
def test_an_address_that_cannot_be_used_is_said_before_anything_starts(
    address: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AECORE_EXCHANGE", address)
    with pytest.raises(InvalidRequest, match=reason) as error:
        survey("tcp://127.0.0.1:1")
    assert "AECORE_EXCHANGE" in str(error.value) and "secret" not in str(error.value)


SEEDS = {"values": {"seed": "0,1"}, "name": "seeds"}


@pytest.fixture
def filled(store_folder: Path) -> None:
    """A store with a dataset of its own, a run of it, an unfinished run, and a sweep."""
    digits = data.get("digits")
    parts = {
        split: Samples(*(a[:120] for a in getattr(digits, split))) for split in ("train", "test")
    }
    spec = digits.spec.model_copy(
        update={"name": "own", "n_train": 120, "n_test": 120, "fingerprint": None}
    )
    data.add(spec, parts["train"], parts["test"])
    Train(run_config("own", "vae"), "whole").run(Listener())
    stop = Listener(lambda heard: Cancelled() if len(heard.entries) == 1 else None)
    with pytest.raises(Cancelled):
        Train(run_config("own"), "left").run(stop)
    base = run_config("own").model_dump(mode="json")
    sweeps.save(sweeps.draft(base, **SEEDS))


def described() -> Path:
    """A table with a column of metadata, in the store."""
    lines = [f"{at},{at % 7},{'ab'[at % 2]},plant {at}" for at in range(40)]
    path = locations.store() / "plants.csv"
    path.write_text("\n".join(["width,height,kind,note", *lines]))
    return path


def networks() -> str:
    """Folder of the ONNX files of an autoencoder, in the store."""
    folder = locations.store() / "_incoming/theirs"
    folder.mkdir(parents=True, exist_ok=True)
    onnx_files.write(onnx_files.linear(64, 3), folder / "e.onnx")
    onnx_files.write(onnx_files.linear(3, 64, 1), folder / "d.onnx")
    return "_incoming/theirs"


TASKS: dict[str, Callable[[], Task]] = {
    "train": lambda: Train(run_config("own"), "new"),
    "resume": lambda: Resume(run_config("own"), "left"),
    "further": lambda: TrainFurther.of("whole", 1, "more"),
    "trial": lambda: TrainTrial(run_config("own"), "seeds-1", "seeds", 1),
    "part of a trial": lambda: TrainTrial(run_config("own"), "seeds-2", "seeds", 2, until=1),
    "store": lambda: StoreFile(incoming(described()), "mine", Choices(label="kind")),
    "import": lambda: Import("theirs", networks(), "own", "e.onnx", "d.onnx"),
    "prepare": lambda: projections.Prepare("own"),
    "map": lambda: Project("own", TSNEProjection(perplexity=5)),
    "map of a part": lambda: Project("own", PCAProjection(), Subset(split="train", limit=50)),
    "analysis": lambda: latent.Analyse("whole"),
    "mixture": lambda: latent.FitMixture("whole"),
    "filters": lambda: denoising.TuneFilters("own", "gaussian", True),
    "denoising": lambda: denoising.MeasureDenoising("whole", "gaussian", True),
    "samples": lambda: sample_quality.MeasureSamples("whole"),
}


def kinds(kind: type) -> set[type]:
    return {kind, *(each for below in kind.__subclasses__() for each in kinds(below))}


@pytest.mark.usefixtures("filled")
def test_every_task_is_tried() -> None:
    here = {kind for kind in kinds(Task) if kind.__module__.startswith("aecore.")}
    assert here - {Task, Training, Reproduce} == {type(task()) for task in TASKS.values()}


def arrays_of(path: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(path)


@pytest.mark.parametrize("what", TASKS)
@pytest.mark.usefixtures("filled", "small_searches")
def test_a_task_runs_with_its_files_alone_and_leaves_what_it_leaves_here(
    what: str, store_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, at_home = TASKS[what](), tmp_path / "at home"
    shutil.copytree(store_folder, at_home)
    with monkeypatch.context() as patch:
        patch.setenv("AECORE_STORE", str(at_home))
        task.run(Listener())
    place = reserve(task.reserves) if task.reserves else None
    with own_store(pack(task.files), str(tmp_path)) as written:
        task.run(Listener())
        new = written()
    receive(new, {task.reserves: place} if place else {})
    if place:
        place.__exit__()
    here, there = contents(store_folder), contents(at_home)
    assert here.keys() == there.keys() and new.files
    for name in here:
        if name.endswith(".safetensors") and "checkpoint" not in name:
            one, other = arrays_of(store_folder / name), arrays_of(at_home / name)
            assert one.keys() == other.keys()
            for key in one:
                np.testing.assert_array_equal(one[key], other[key], err_msg=f"{name} {key}")


@pytest.mark.usefixtures("filled")
def test_what_is_stored_is_not_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for task in (latent.Analyse("whole"), Project("own", TSNEProjection(perplexity=5))):
        task.run(Listener())
    monkeypatch.setattr("sklearn.decomposition.PCA.fit", None)
    monkeypatch.setattr(TSNEProjection, "place", None)
    for name in ("prepare", "map"):
        task = TASKS[name]()
        with own_store(pack(task.files), str(tmp_path)) as written:
            task.run(Listener())
            assert written() == Written({}, [])


@pytest.fixture
def trained(tmp_path: Path) -> dict[str, bytes]:
    """The files of a run "mine" that was trained elsewhere."""
    with own_store({}, str(tmp_path)) as written:
        Train(run_config(), "mine").run(Listener())
        return {path: each for path, each in written().files.items() if path.startswith("mine/")}


def test_a_name_that_is_taken_meanwhile_gives_way(
    trained: dict[str, bytes], store_folder: Path
) -> None:
    place = reserve("mine")
    write(store_folder, {"mine/notes.txt": b"of a person", "mine-2/notes.txt": b"too"})
    assert receive(Written(trained), {"mine": place}) == {"mine": "mine-3"}
    assert store.load("mine-3").history and contents(store_folder / "mine").keys() == {"notes.txt"}
    place.__exit__()
    with pytest.raises(InvalidRequest, match="is taken"):
        reserve("mine")
    assert not (store_folder / "_unfinished/mine.lock").exists()


def test_the_run_of_a_recipe_replaces_the_one_before(trained: dict[str, bytes]) -> None:
    receive(Written(trained), {})
    first = store.load("mine")
    other = {name.replace("mine", "whose"): content for name, content in trained.items()}
    assert receive(Written(other | trained), {}) == {"mine": "mine", "whose": "whose"}
    assert store.load("mine").manifest == first.manifest
    assert store.names() == ["mine", "whose"]


def test_a_run_of_a_job_that_was_cancelled_is_not_stored(trained: dict[str, bytes]) -> None:
    assert receive(Written(trained), {"mine": None}) == {} and not store.names()


@pytest.mark.parametrize("how", ["more", "fewer", "cut", "settings"])
def test_what_is_no_run_is_not_stored(how: str, trained: dict[str, bytes]) -> None:
    wrong = dict(trained)
    if how == "more":
        wrong["mine/extra"] = b""
    elif how == "fewer":
        del wrong["mine/codes.safetensors"]
    elif how == "cut":
        wrong["mine/weights.safetensors"] = wrong["mine/weights.safetensors"][:-1]
    else:
        wrong["mine/config.json"] = wrong["mine/config.json"].replace(b"iris", b"wine")
    with pytest.raises(InvalidRequest, match=r"The run 'mine' arrived (with|damaged)"):
        receive(Written(wrong), {"mine": reserve("mine")})
    assert not store.names() and not list(store.root().glob("_writing-*"))


# --- Real workers -------------------------------------------------------------------------------


@pytest.fixture
def workers(elsewhere: Elsewhere, tmp_path: Path) -> list[Any]:  # noqa: F811
    """Two workers, each with a store of its own."""
    return [elsewhere.worker(AECORE_STORE=str(tmp_path / f"other-{n}")) for n in range(2)]


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    jobs = Jobs()
    yield jobs
    for job in jobs.all():
        jobs.cancel(job)
    wait_until(lambda: not any(job.active for job in jobs.all()))
    assert not list(store.root().glob("_unfinished/*.lock"))  # every name has been given up


def done(jobs: Jobs, *tasks: Task) -> list[Job]:
    """Jobs that are done, of tasks that are queued at once."""
    with jobs.together():
        queued = [jobs.submit(task) for task in tasks]
    wait_until(lambda: not any(job.active for job in queued))
    assert [(job.state, job.error) for job in queued] == [("done", "")] * len(queued)
    return queued


def weights(run: store.Run) -> dict[str, Any]:
    return {name: value.tolist() for name, value in run.model().state_dict().items()}


@pytest.mark.serial
@pytest.mark.usefixtures("workers")
def test_trainings_and_maps_come_back_from_workers_without_the_store(
    jobs: Jobs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    elsewhere: Elsewhere,  # noqa: F811
) -> None:
    config, tsne = run_config("digits", epochs=3), TSNEProjection(perplexity=5)
    first, second = done(jobs, Train(config, "one"), Train(config.model_copy(), "two"))
    assert (first.run, second.run) == ("one", "two")
    assert [entry["epoch"] for entry in first.log.history] == [1, 2, 3]
    assert "No worker reaches the store" in jobs.notice and not jobs.trouble
    assert survey(elsewhere.address).startswith(
        f"{elsewhere.address}, workers that can run jobs: 2. No worker reaches the store"
    )
    done(jobs, latent.Analyse("one"), Project("iris", tsne))
    for n in range(2):
        assert not (tmp_path / f"other-{n}").exists()
    run, analysis = store.load("one"), latent.analysis_artifact(store.load("one")).load()
    iris = data.get("iris")
    plane = projections.map_artifact("iris", iris.fingerprint, tsne).load().plane

    monkeypatch.setenv("AECORE_STORE", str(tmp_path / "here"))
    own = Train(config, "one").run(Listener())
    assert weights(run) == weights(own) and run.history[-1]["train"] == own.history[-1]["train"]
    assert run.manifest.metrics == own.manifest.metrics
    np.testing.assert_array_equal(run.codes["plane"], own.codes["plane"])
    here = latent.Analyse("one").run(Listener())
    assert analysis.arrays.keys() == here.arrays.keys()
    for name, array in here.arrays.items():
        np.testing.assert_array_equal(analysis.arrays[name], array)
    np.testing.assert_array_equal(plane, projections.compute(iris, tsne).plane)


@pytest.mark.serial
@pytest.mark.usefixtures("workers")
def test_trainings_come_back_by_an_address(
    jobs: Jobs, exchanged: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "MOST_BYTES", 0)  # nothing goes through the scheduler
    done(jobs, Train(run_config("digits", epochs=2), "one"), projections.Prepare("wine"))
    assert f"files are sent with each job by {exchanged} and" in jobs.notice
    assert store.load("one").history and list((tmp_path / "exchange").iterdir())


@pytest.mark.serial
@pytest.mark.usefixtures("workers")
def test_workers_that_reach_no_address_are_said(
    jobs: Jobs,
    elsewhere: Elsewhere,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done(jobs, projections.Prepare("wine"))
    monkeypatch.setenv("AECORE_EXCHANGE", "memory://of-this-process")
    monkeypatch.setattr(depot, "refuse_unreachable", lambda address: None)
    assert "sent with each job by memory://" in survey(elsewhere.address)
    monkeypatch.setenv("AECORE_EXCHANGE", "nonsense://x")
    with pytest.raises(InvalidRequest, match=r"has another store.*Protocol not known: nonsense"):
        survey(elsewhere.address)


@pytest.mark.serial
@pytest.mark.usefixtures("workers")
def test_trials_that_are_paused_go_on_from_their_checkpoints(
    jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused: dict[str, Any] = {}

    def receive_and_look(*arguments: Any) -> dict[str, str]:
        names = receive(*arguments)
        paused.update(
            (each.name, store.checkpoint_history(each.name)) for each in store.unfinished()
        )
        return names

    # As they arrive: the next step of the sweep deletes the checkpoints of those that lost.
    monkeypatch.setattr(exchange, "receive", receive_and_look)
    plan = planned(4, Halving(factor=2, least=2))
    sweeping = Sweeping(jobs, plan.name)
    while sweeping.step():
        time.sleep(0.02)
    sweeping.close()
    assert sorted(states(plan)) in (["done", *["stopped"] * 3], ["done"] * 2 + ["stopped"] * 2)
    assert not store.unfinished() and len(paused) == 4
    runs = [
        (trial, store.load(trial.name)) for trial in sweeps.trials(plan) if trial.state == "done"
    ]
    for trial, run in runs:  # with the seconds of each epoch
        assert run.history[: len(paused[trial.name])] == paused[trial.name]

    shutil.copytree(plan.folder, tmp_path / "here/_sweeps" / plan.name)
    monkeypatch.setenv("AECORE_STORE", str(tmp_path / "here"))
    for trial, run in runs:
        config = plan.config(trial.settings)
        own = TrainTrial(config, trial.name, plan.name, trial.number).run(Listener())
        assert own and weights(run) == weights(own)
        assert run.manifest.sweep == own.manifest.sweep == plan.name


@pytest.mark.serial
def test_a_worker_is_killed_in_the_middle_and_no_trial_is_lost_or_counted_twice(
    jobs: Jobs, workers: list[Any]
) -> None:
    plan = planned(4, epochs=60)
    sweeping, killed = Sweeping(jobs, plan.name), False
    while sweeping.step():
        begun = [job for _, job in trial_jobs(jobs, plan.name) if job.log.history]
        if not killed and begun:
            workers[0].kill()
            killed = True
        time.sleep(0.05)
    sweeping.close()
    assert killed and states(plan) == ["done"] * 4
    assert sorted(run.name for run in store.runs()[0]) == [
        trial.name for trial in sweeps.trials(plan)
    ]
    assert not store.unfinished()


@pytest.mark.serial
@pytest.mark.usefixtures("workers")
def test_what_is_cancelled_is_lost_there_and_its_name_is_free(jobs: Jobs) -> None:
    job = jobs.submit(Train(endless(), "endless"))
    wait_until(lambda: job.log.history)
    with pytest.raises(InvalidRequest, match="is being trained already"):
        store.refuse_held("endless")
    jobs.cancel(job)
    wait_until(lambda: not job.active)
    assert (job.state, job.error) == ("cancelled", "") and not store.names()
    (again,) = done(jobs, Train(run_config(), "endless"))
    assert again.run == "endless"


@pytest.mark.serial
@pytest.mark.usefixtures("workers")
def test_an_unfinished_run_is_resumed_elsewhere_and_a_new_name_is_found_for_one_taken(
    jobs: Jobs,
) -> None:
    config = run_config("digits", epochs=4, batch_size=64)
    stop = Listener(lambda heard: Cancelled() if len(heard.entries) == 2 else None)
    with pytest.raises(Cancelled):
        Train(config, "left").run(stop)
    (resumed,) = done(jobs, Resume.of("left"))
    assert [entry["epoch"] for entry in resumed.log.history] == [1, 2, 3, 4]
    assert store.load("left").history == resumed.log.history and not store.unfinished()

    job = jobs.submit(Train(run_config("digits", epochs=30), "taken"))
    wait_until(lambda: job.log.history)
    (store.root() / "taken").mkdir()
    wait_until(lambda: not job.active)
    assert (job.state, job.run) == ("done", "taken-2") and store.load("taken-2").history
    other = jobs.submit(Train(run_config(), "gone"))
    (store.root() / "gone").mkdir()
    wait_until(lambda: not other.active)
    assert (other.state, other.run) in [("failed", ""), ("done", "gone-2")]


@pytest.mark.serial
@pytest.mark.usefixtures("workers")
def test_what_is_too_large_to_travel_is_said(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    done(jobs, Train(run_config(), "mine"))
    monkeypatch.setattr(exchange, "MOST_BYTES", 100)
    job = jobs.submit(latent.Analyse("mine"))
    wait_until(lambda: not job.active)
    assert job.state == "failed" and "AECORE_STORE on a shared folder" in job.error
    absent = jobs.submit(latent.Analyse("absent"))
    wait_until(lambda: not absent.active)
    assert absent.state == "failed" and "Unknown run 'absent'" in absent.error


@pytest.mark.serial
@pytest.mark.usefixtures("workers")
def test_a_worker_that_reaches_the_store_is_preferred(
    jobs: Jobs,
    elsewhere: Elsewhere,  # noqa: F811
) -> None:
    done(jobs, projections.Prepare("iris"))
    assert "No worker reaches the store" in jobs.notice
    elsewhere.worker()
    wait_until(lambda: len(jobs._client.scheduler_info()["workers"]) == 3)
    first, second = done(jobs, projections.Prepare("wine"), projections.Prepare("s-curve"))
    assert not first.apart and not second.apart
    assert "No worker" not in jobs.notice and jobs.notice.count("has another store") == 2


@pytest.mark.serial
@pytest.mark.parametrize("common", [True, False])
def test_a_trial_goes_on_when_every_worker_has_been_replaced(
    common: bool,
    jobs: Jobs,
    elsewhere: Elsewhere,  # noqa: F811
    tmp_path: Path,
) -> None:
    variables = {} if common else {"AECORE_STORE": str(tmp_path / "other")}
    worker = elsewhere.worker(**variables)
    plan, killed = planned(1, epochs=60), False
    sweeping = Sweeping(jobs, plan.name)
    while sweeping.step():
        if not killed and any(job.log.history for _, job in trial_jobs(jobs, plan.name)):
            worker.kill()
            elsewhere.worker(**variables)
            killed = True
        time.sleep(0.05)
    sweeping.close()
    assert killed and states(plan) == ["done"] and not store.unfinished()
    assert {job.state for job in jobs.all()} == {"done"}
