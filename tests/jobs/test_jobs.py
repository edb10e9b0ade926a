"""Jobs on a real cluster: running, waiting, cancelling, failing, recovering."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import run_config, wait_until
from typer.testing import CliRunner

from aecore import data, latent, locations, projections, recipes
from aecore.applications import sample_quality
from aecore.cli import app
from aecore.errors import InvalidRequest
from aecore.jobs import TRIES, Job, Jobs, checks
from aecore.progress import Reporter, Task
from aecore.projections import PCAProjection, TSNEProjection
from aecore.runs import store, sweeps
from aecore.runs.train import Resume, Train
from aecore.training import RunConfig

pytestmark = pytest.mark.serial

# --- The queue, without a cluster ---------------------------------------------------------------


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Jobs:
    """Queue whose cluster never takes a job."""
    monkeypatch.setattr(Jobs, "_submit_next", lambda self: None)
    return Jobs()


def test_jobs_wait_in_the_order_in_which_they_were_asked_for(queue: Jobs) -> None:
    first = queue.submit(Train.named(run_config(), "first"))
    second = queue.submit(projections.Project("iris", PCAProjection()))
    third = queue.submit(projections.Prepare("wine"))
    assert [queue.before(job) for job in (first, second, third)] == [[], [first], [first, second]]
    assert queue.before(queue.snapshot(second)) == [first]
    assert queue.all() == [third, second, first]
    assert all(job.state == "queued" and job.active for job in queue.all())
    queue.cancel(first)
    assert [queue.before(job) for job in (second, third)] == [[], [second]]


def test_a_job_says_what_it_is(queue: Jobs) -> None:
    job = queue.submit(Train.named(run_config("wine", "vae", epochs=7), "some-name"))
    assert (job.task.title, job.task.reserves) == ("Variational autoencoder on wine", "some-name")
    assert queue.get(job.id) is job
    other = queue.submit(projections.Project("iris", PCAProjection()))
    assert (other.task.title, other.task.reserves) == ("PCA of iris", "")
    assert queue.get("no such id") is None and queue.get(None) is None


def test_a_queued_job_is_cancelled_at_once(queue: Jobs) -> None:
    job = queue.submit(Train.named(run_config()))
    queue.cancel(job)
    assert job.state == "cancelled" and not job.active
    queue.cancel(job)
    assert job.state == "cancelled"


def test_the_same_map_is_not_queued_twice(queue: Jobs) -> None:
    first = queue.submit(projections.Project("digits", TSNEProjection()))
    assert queue.submit(projections.Project("digits", TSNEProjection())) is first
    assert queue.submit(projections.Project("digits", TSNEProjection(seed=1))) is not first
    assert queue.submit(projections.Project("iris", TSNEProjection())) is not first
    train = data.Subset(split="train", limit=500)
    other = queue.submit(projections.Project("digits", TSNEProjection(), train))
    assert (
        other is not first
        and queue.submit(projections.Project("digits", TSNEProjection(), train)) is other
    )
    assert other.task.title == "t-SNE of digits, train, up to 500 samples"
    assert queue.find(projections.Project("digits", TSNEProjection(), train)) is other
    assert queue.find(projections.Project("digits", TSNEProjection(), data.Subset())) is first
    queue.cancel(first)
    assert queue.submit(projections.Project("digits", TSNEProjection())) is not first


def test_the_same_recipe_is_not_queued_twice(queue: Jobs) -> None:
    first = queue.submit(recipes.Reproduce("manifold"))
    assert (first.task.title, first.task.reserves) == ("recipe manifold", "")
    assert queue.submit(recipes.Reproduce("manifold")) is first
    assert queue.submit(recipes.Reproduce("vae-2")) is not first
    queue.cancel(first)
    assert first.state == "cancelled"
    again = queue.submit(recipes.Reproduce("manifold"))
    assert again is not first and again.active
    assert queue.find(recipes.Reproduce("manifold")) is again
    assert queue.find(recipes.Reproduce("beat-pca-2d")) is None
    assert len(queue.all()) == 3


def test_the_quality_of_the_same_run_is_not_queued_twice(queue: Jobs) -> None:
    first = queue.submit(sample_quality.MeasureSamples("mine"))
    assert first.task.title == "quality of samples of mine"
    assert queue.submit(sample_quality.MeasureSamples("mine")) is first
    assert queue.submit(sample_quality.MeasureSamples("other")) is not first
    assert queue.find(sample_quality.MeasureSamples("mine")) is first


def test_a_run_with_the_name_of_a_dataset_is_not_taken_for_its_preparation(
    queue: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aecore.training import Checkpoint

    progress = {"epochs_done": 1, "history": [{"epoch": 1}]}
    store.write_checkpoint("digits", run_config("digits"), Checkpoint({}, progress))
    training = queue.submit(Resume.of("digits"))
    assert training.log.history == [{"epoch": 1}]
    assert queue.submit(projections.Prepare("digits")) is not training


def test_a_name_is_taken_while_its_training_waits(queue: Jobs) -> None:
    queue.submit(Train.named(run_config(), "mine"))
    with pytest.raises(InvalidRequest, match="'mine'"):
        queue.submit(Train.named(run_config(), "mine"))


def test_a_training_is_resumed_once_at_a_time(queue: Jobs) -> None:
    from aecore.training import Checkpoint

    progress = {"epochs_done": 1, "history": []}
    store.write_checkpoint("half", run_config(), Checkpoint({}, progress))
    queue.submit(Resume.of("half"))
    with pytest.raises(InvalidRequest, match="'half' is being trained already"):
        queue.submit(Resume.of("half"))
    with pytest.raises(InvalidRequest, match="Unknown unfinished run 'hlaf': did you mean 'half'"):
        queue.submit(Resume.of("hlaf"))


ASKED: dict[str, Callable[[Jobs], Job]] = {
    "train": lambda queue: queue.submit(Train.named(run_config(), "twin")),
    "resume": lambda queue: queue.submit(Resume.of("half")),
    "project": lambda queue: queue.submit(projections.Project("iris", PCAProjection())),
    "analyse": lambda queue: queue.submit(latent.Analyse("twin")),
    "recipe": lambda queue: queue.submit(recipes.Reproduce("manifold")),
}


@pytest.mark.parametrize("asked", ASKED)
def test_of_simultaneous_requests_one_is_queued(
    asked: str, queue: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aecore.training import Checkpoint

    store.write_checkpoint("half", run_config(), Checkpoint({}, {"epochs_done": 1, "history": []}))

    def slow(check: Callable[..., Any]) -> Callable[..., Any]:
        def checked(*arguments: Any) -> Any:
            answer = check(*arguments)
            time.sleep(0.02)  # leaves time for another thread between the check and the queue
            return answer

        return checked

    monkeypatch.setattr(Jobs, "_refuse_busy", slow(Jobs._refuse_busy))
    monkeypatch.setattr(Jobs, "find", slow(Jobs.find))
    refused = []

    def ask() -> None:
        try:
            ASKED[asked](queue)
        except InvalidRequest as fault:
            refused.append(str(fault))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(queue.all()) == 1
    assert len(refused) == (7 if asked in ("train", "resume") else 0)
    assert all("is being trained already" in fault for fault in refused)


def test_names_that_cannot_be_used_are_refused_before_anything_is_queued(queue: Jobs) -> None:
    with pytest.raises(InvalidRequest, match="is not possible"):
        queue.submit(Train.named(run_config(), "../x"))
    assert queue.all() == []


def test_old_jobs_are_forgotten_and_waiting_ones_never(queue: Jobs) -> None:
    waiting = queue.submit(Train.named(run_config(), "waiting"))
    over = [queue.submit(Train.named(run_config())) for _ in range(60)]
    for job in over:
        job.state = "done"
    queue.submit(Train.named(run_config()))
    assert len(queue.all()) == 52
    assert queue.get(waiting.id) is waiting
    assert queue.get(over[0].id) is None


@dataclass(frozen=True)
class Idle(Task):
    """A task that does nothing, alone or beside others of its kind."""

    name: str
    beside: bool = False

    @property
    def title(self) -> str:
        return self.name

    @property
    def parallel(self) -> bool:
        return self.beside

    def run(self, reporter: Reporter) -> None: ...


def test_no_job_overtakes_one_that_needs_all_processors(
    queue: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aecore.jobs.queue.scale_cluster", lambda cluster, n: None)
    monkeypatch.setattr(queue, "_cluster", object())
    queue.at_once = 2
    a, b, c, d, e, f = (queue.submit(Idle(name, name in "abcf")) for name in "abcdef")

    def begun_after(*done: Job) -> list[Job]:
        for job in done:
            job.state = "done"
        begun = [job for together in queue._next() for job in together]
        for job in begun:
            job.state, job.future = "running", object()
        return begun

    assert begun_after() == [a, b]
    assert begun_after(a) == [c]
    assert begun_after(b) == []
    assert begun_after(c) == [d]
    assert begun_after() == []
    assert begun_after(d) == [e]
    assert begun_after(e) == [f]


def test_a_job_that_is_lost_before_it_begins_is_sent_a_few_times(queue: Jobs) -> None:
    job = queue.submit(Idle("a"))
    for tries in range(1, TRIES + 1):
        job.state, job.tries = "running", tries
        queue._lost(job)
        assert job.state == ("failed" if tries == TRIES else "queued")


class Telling:
    """Running job that receives events at chosen times."""

    def __init__(self, queue: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
        self.queue, self.job, self.now = queue, queue.submit(Train.named(run_config())), 0.0
        self.job.state = "running"
        monkeypatch.setattr("time.monotonic", lambda: self.now)

    def hear(self, now: float, what: str, done: float, total: float) -> float | None:
        """Estimated seconds left after an event."""
        self.now = now
        news = {"job": self.job.id, "what": what, "done": done, "total": total}
        self.queue._hear((now, news))
        return self.job.seconds_left


@pytest.fixture
def telling(queue: Jobs, monkeypatch: pytest.MonkeyPatch) -> Telling:
    return Telling(queue, monkeypatch)


def test_the_time_left_follows_the_pace_of_the_present_stage(telling: Telling) -> None:
    assert telling.job.seconds_left is None
    telling.hear(100, "Downloading", 0, 100)
    assert telling.hear(110, "Downloading", 25, 100) == pytest.approx(30)
    assert telling.hear(120, "Training", 0, 50) is None
    assert telling.hear(121, "Training", 10, 50) == pytest.approx(4)


def test_a_snapshot_cancels_its_job(queue: Jobs) -> None:
    job = queue.submit(projections.Prepare("iris"))
    queue.cancel(queue.snapshot(job))
    assert job.state == "cancelled"


def test_no_time_left_is_guessed_from_the_first_moments(telling: Telling) -> None:
    telling.hear(100, "Training", 0, 100)
    assert telling.hear(101, "Training", 4, 100) is None
    assert telling.hear(102, "Training", 6, 100) == pytest.approx(2 / 6 * 94)
    telling.hear(200, "Measuring", 0, 1000)
    assert telling.hear(204, "Measuring", 1, 1000) is None
    assert telling.hear(206, "Measuring", 2, 1000) == pytest.approx(3 * 998)


def test_what_a_resumed_training_had_behind_it_does_not_count_for_its_pace(
    telling: Telling,
) -> None:
    telling.hear(100, "Training", 50, 100)
    assert telling.hear(110, "Training", 75, 100) == pytest.approx(10)


@pytest.mark.parametrize(("done", "total"), [(5, 0), (101, 100)])
def test_more_done_than_there_was_to_do_leaves_no_negative_time(
    telling: Telling, done: float, total: float
) -> None:
    # As when a server does not say how large a file is.
    telling.hear(100, "Downloading", 0, total)
    left = telling.hear(110, "Downloading", done, total)
    assert left is None or left >= 0


def test_news_of_a_job_that_stops_or_has_stopped_changes_nothing(telling: Telling) -> None:
    telling.hear(1, "Training", 5, 10)
    telling.queue.cancel(telling.job)
    telling.hear(2, "Training", 6, 10)
    assert telling.job.what == "Stopping"
    telling.job.state = "cancelled"
    telling.hear(3, "Measuring", 1, 10)
    assert telling.job.what == "Stopping"
    telling.queue._hear((4, {"job": "unheard of", "what": "", "done": 0, "total": 1}))


def news_of_an_epoch(job: Job, epoch: int) -> tuple[float, dict[str, Any]]:
    view = {"plane": ("<f4", (1, 2), np.full(2, epoch, np.float32).tobytes())}
    return 0.0, {"job": job.id, "entry": {"epoch": epoch}, "view": view}


def test_what_is_read_of_a_training_belongs_to_one_epoch(telling: Telling) -> None:
    job = telling.job

    def hear() -> None:
        for epoch in range(1, 2_000):
            telling.queue._hear(news_of_an_epoch(job, epoch))

    thread = threading.Thread(target=hear)
    thread.start()
    while thread.is_alive():
        seen = telling.queue.snapshot(job)
        if seen.log.history:
            epoch = seen.log.history[-1]["epoch"]
            assert list(seen.log.planes)[-1] == epoch
            assert seen.log.view["plane"][0, 0] == epoch


@pytest.mark.parametrize("state", ["queued", "done", "failed", "cancelled"])
def test_news_of_a_job_that_does_not_run_changes_nothing(telling: Telling, state: str) -> None:
    telling.job.state = state
    before = telling.queue.snapshot(telling.job)
    telling.queue._hear(news_of_an_epoch(telling.job, 1))
    telling.hear(1, "Training", 1, 2)
    telling.queue._hear((2.0, {"job": telling.job.id, "ended": ("failed", "late")}))
    assert telling.job == before


@contextmanager
def silent_server() -> Iterator[str]:
    """Address of a server that accepts connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"


def test_a_scheduler_that_does_not_answer_is_said_while_jobs_wait_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("aecore.jobs.cluster.CONNECT_WITHIN", 2)
    with silent_server() as address:
        monkeypatch.setenv("AECORE_SCHEDULER", address)
        jobs = Jobs()
        job = jobs.submit(projections.Prepare("iris"))
        wait_until(lambda: address in jobs.trouble)
        assert job.state == "queued"
        wait_until(lambda: not job.active)
    assert job.state == "failed" and f"AECORE_SCHEDULER = '{address}'" in job.error
    assert jobs.trouble == ""


@pytest.mark.parametrize(
    "address", ["nonsense", "8786", "tcp://127.0.0.1:port", "http://x:1", "tls://x:1"]
)
def test_an_address_of_no_scheduler_is_said_within_ten_seconds(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AECORE_SCHEDULER", address)
    jobs = Jobs()
    waiting = [jobs.submit(projections.Prepare(name)) for name in ("iris", "wine")]
    wait_until(lambda: not any(job.active for job in waiting), seconds=10)
    for job in waiting:
        assert job.state == "failed"
        assert f"AECORE_SCHEDULER = '{address}'" in job.error
        assert "tcp://127.0.0.1:8786" in job.error and "unset" in job.error
        assert "no answer" not in job.error  # what is wrong, not that time ran out


def test_a_cluster_that_does_not_start_is_tried_a_few_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AECORE_SCHEDULER", raising=False)
    started = []

    def start_nothing() -> subprocess.Popen[bytes]:
        options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "start_new_session": True}
        started.append(subprocess.Popen([sys.executable, "-c", ""], **options))
        return started[-1]

    monkeypatch.setattr("aecore.jobs.cluster._start_process", start_nothing)
    jobs = Jobs()
    waiting = [jobs.submit(projections.Prepare(name)) for name in ("iris", "wine")]
    wait_until(lambda: not any(job.active for job in waiting))
    assert {job.state for job in waiting} == {"failed"}
    assert all("did not start, tried 3 times" in job.error for job in waiting)
    assert len(started) == TRIES


def test_a_scheduler_that_cannot_be_reached_fails_the_jobs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("aecore.jobs.cluster.CONNECT_WITHIN", 0.2)
    monkeypatch.setenv("AECORE_SCHEDULER", "tcp://127.0.0.1:1")
    jobs = Jobs()
    job = jobs.submit(projections.Prepare("iris"))
    wait_until(lambda: not job.active)
    assert job.state == "failed"
    assert job.error.startswith("The cluster cannot be reached: ")


# --- A real cluster -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Store that the worker writes to."""
    return tmp_path_factory.mktemp("jobs")


@pytest.fixture(scope="module")
def cluster(cluster_store: Path) -> Iterator[Jobs]:
    """Jobs with their own cluster, which the first one starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AECORE_STORE", str(cluster_store))
        jobs = Jobs()
        yield jobs
        jobs._drop()


@pytest.fixture
def jobs(cluster: Jobs, cluster_store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    """Cluster of jobs that uses this test's store, idle again after the test."""
    monkeypatch.setenv("AECORE_STORE", str(cluster_store))
    yield cluster
    for job in cluster.all():
        cluster.cancel(job)
    wait_until(lambda: not any(job.active for job in cluster.all()))


def endless(variant: str = "ae") -> RunConfig:
    return run_config("digits", variant, epochs=10_000, batch_size=64)


def unfinished() -> dict[str, int]:
    """Unfinished trainings, and the completed epochs of each."""
    return {left.name: left.epochs_done for left in store.unfinished()}


def worker_of(jobs: Jobs) -> int:
    """Process id of the worker."""
    wait_until(lambda: jobs._client.nthreads())
    (pid,) = jobs._client.run(os.getpid).values()
    return pid


def test_a_training_runs_to_its_end_and_says_how_far_it_is(jobs: Jobs) -> None:
    stages, places = set(), set()
    job = jobs.submit(Train.named(run_config("digits", "vae", epochs=8, batch_size=16), "first"))

    def over() -> bool:
        stages.add(job.what)
        places.add(job.done / job.total)
        return not job.active

    wait_until(over)
    assert (job.state, job.error) == ("done", "")
    assert "Training" in stages
    assert len(places) > 2 and max(places) <= 1
    run = store.load("first")
    wait_until(lambda: len(job.log.history) == 8)
    assert job.log.history == run.history
    assert job.log.view["plane"].shape == (360, 2)
    np.testing.assert_array_equal(job.log.view["labels"], data.get("digits").test.labels)
    assert job.log.view["reconstructions"].shape == (10, 64)
    np.testing.assert_allclose(job.log.view["plane"], run.codes["codes"], atol=1e-4)


def test_a_map_is_computed_in_the_worker(jobs: Jobs) -> None:
    job = jobs.submit(projections.Project("iris", PCAProjection()))
    wait_until(lambda: not job.active)
    assert (job.state, job.error) == ("done", "")
    assert projections.map_artifact("iris", data.get("iris").fingerprint, PCAProjection()).load()


def test_a_preparation_leaves_the_components(jobs: Jobs) -> None:
    job = jobs.submit(projections.Prepare("wine"))
    wait_until(lambda: not job.active)
    assert (job.state, job.error) == ("done", "")
    assert projections.components_artifact(data.get("wine")).path.is_file()


def test_a_recipe_runs_in_the_worker_and_its_outcome_is_kept(jobs: Jobs) -> None:
    stages = set()
    job = jobs.submit(recipes.Reproduce("linear-is-pca-3d"))
    assert jobs.submit(recipes.Reproduce("linear-is-pca-3d")) is job

    def over() -> bool:
        stages.add(job.what)
        return not job.active

    wait_until(over)
    assert (job.state, job.error) == ("done", "")
    assert "start 1 of 5: Training" in stages and "start 5 of 5: Training" in stages
    outcome = recipes.outcome_artifact("linear-is-pca-3d").load()
    assert (outcome.holds, outcome.fast) == (True, False)
    assert outcome.pictures


def test_a_recipe_is_cancelled_while_it_runs_and_what_was_found_before_is_kept(jobs: Jobs) -> None:
    path = recipes.outcome_artifact("linear-is-pca-3d").path
    before = path.read_bytes() if path.exists() else None
    job = jobs.submit(recipes.Reproduce("linear-is-pca-3d"))
    wait_until(lambda: job.what.startswith("start "))
    assert jobs.submit(recipes.Reproduce("linear-is-pca-3d")) is job
    jobs.cancel(job)
    wait_until(lambda: not job.active)
    assert (job.state, job.error) == ("cancelled", "")
    assert (path.read_bytes() if path.exists() else None) == before
    after = jobs.submit(projections.Prepare("tilted-ring"))
    wait_until(lambda: not after.active)
    assert after.state == "done"


@dataclass(frozen=True)
class WriteText(Task):
    """A task that the package does not define."""

    path: Path
    text: str

    @property
    def title(self) -> str:
        return f"writing {self.text}"

    def run(self, reporter: Reporter) -> None:
        reporter.progress("Writing", 1, 2)
        self.path.write_text(f"{self.text} by {os.getpid()}", encoding="utf-8")


def test_a_new_kind_of_task_is_one_class(jobs: Jobs, tmp_path: Path) -> None:
    task = WriteText(tmp_path / "text", "hello")
    job = jobs.submit(task)
    assert jobs.find(WriteText(tmp_path / "text", "hello")) is job
    assert jobs.find(WriteText(tmp_path / "text", "other")) is None
    wait_until(lambda: not job.active)
    assert (job.state, job.error) == ("done", "")
    assert task.path.read_text(encoding="utf-8") == f"hello by {worker_of(jobs)}"


def test_an_unknown_recipe_fails_with_a_sentence(jobs: Jobs) -> None:
    job = jobs.submit(recipes.Reproduce("manifolds"))
    wait_until(lambda: not job.active)
    assert job.state == "failed"
    assert job.error.startswith("Unknown recipe 'manifolds': did you mean 'manifold'?")


def test_one_job_runs_at_a_time_and_all_can_be_cancelled(jobs: Jobs) -> None:
    first = jobs.submit(Train.named(endless(), "endless"))
    second = jobs.submit(Train.named(run_config(), "second"))
    third = jobs.submit(projections.Prepare("s-curve"))
    wait_until(lambda: first.log.history)
    assert [job.state for job in (first, second, third)] == ["running", "queued", "queued"]
    assert [jobs.before(job) for job in (first, second, third)] == [[], [first], [first, second]]
    wait_until(lambda: first.seconds_left)
    jobs.cancel(second)
    assert second.state == "cancelled"
    jobs.cancel(first)
    wait_until(lambda: not first.active)
    assert (first.state, first.error) == ("cancelled", "")
    wait_until(lambda: not third.active)
    assert third.state == "done"
    # What was cancelled while it ran can be gone on with; what never ran left nothing.
    assert "endless" in unfinished() and "second" not in unfinished()


def test_a_fault_arrives_as_a_sentence(jobs: Jobs) -> None:
    job = jobs.submit(Train.named(run_config("digits", "vae", epochs=50, learning_rate=10), "wild"))
    after = jobs.submit(projections.Project("wine", TSNEProjection(perplexity=100)))
    wait_until(lambda: not after.active)
    assert (job.state, after.state) == ("failed", "failed")
    assert job.error.startswith("Training stopped in epoch ")
    assert "learning_rate (it is 10; try 1)" in job.error
    assert after.error == "perplexity = 100 needs more samples: give at most 19."


def test_what_nobody_expected_is_said_without_a_traceback(jobs: Jobs) -> None:
    job = jobs.submit(latent.Analyse(None))  # no name of a run, which no page asks for
    wait_until(lambda: not job.active)
    assert job.state == "failed"
    assert "not expected, TypeError" in job.error and "Traceback" not in job.error


def test_a_folder_in_the_place_of_a_file_is_named(jobs: Jobs) -> None:
    damaged = projections.components_artifact(data.get("breast-cancer")).path
    damaged.parent.mkdir(parents=True)
    damaged.mkdir()
    job = jobs.submit(projections.Prepare("breast-cancer"))
    wait_until(lambda: not job.active)
    assert job.state == "failed"
    assert "a folder is in the place of a file" in job.error


def test_a_killed_worker_fails_its_job_and_the_next_one_runs_and_it_can_be_resumed(
    jobs: Jobs,
) -> None:
    job = jobs.submit(Train.named(run_config("digits", epochs=40, batch_size=64), "killed"))
    waiting = jobs.submit(projections.Prepare("swiss-roll"))
    wait_until(lambda: len(job.log.history) >= 2)
    os.kill(worker_of(jobs), signal.SIGKILL)
    wait_until(lambda: not job.active)
    assert job.state == "failed"
    done = job.log.history[-1]["epoch"]
    assert job.error == (
        "The worker process ended unexpectedly (killed, or out of memory): the checkpoint of "
        f"epoch {done} is kept, resume it."
    )
    wait_until(lambda: not waiting.active)
    assert waiting.state == "done"

    kept = unfinished()["killed"]
    assert kept >= done
    resumed = jobs.submit(Resume.of("killed"))
    assert resumed.log.history[-1]["epoch"] == kept
    wait_until(lambda: not resumed.active)
    assert (resumed.state, resumed.error) == ("done", "")
    epochs = list(range(1, 41))
    wait_until(lambda: len(resumed.log.history) == 40)
    assert [entry["epoch"] for entry in resumed.log.history] == epochs
    assert store.load("killed").history == resumed.log.history


def test_a_worker_killed_before_the_first_epoch_has_no_checkpoint_to_speak_of(jobs: Jobs) -> None:
    # An epoch of one sample a step takes much longer than it takes to kill.
    slow = run_config("digits", model={"hidden": (1024, 512)}, batch_size=1)
    job = jobs.submit(Train.named(slow, "early"))
    wait_until(lambda: job.what == "Training")
    os.kill(worker_of(jobs), signal.SIGKILL)
    wait_until(lambda: not job.active)
    assert job.state == "failed"
    assert job.error.endswith("(killed, or out of memory): start it again.")
    assert "early" not in unfinished()


def test_a_cluster_that_was_killed_is_replaced(jobs: Jobs) -> None:
    job = jobs.submit(Train.named(endless(), "orphan"))
    wait_until(lambda: job.log.history)
    worker = worker_of(jobs)
    jobs._cluster.kill()
    wait_until(lambda: not job.active)
    assert job.state == "failed"
    after = jobs.submit(projections.Prepare("s-curve"))
    wait_until(lambda: not after.active)
    assert (after.state, after.error) == ("done", "")
    wait_until(lambda: gone(worker))


@contextmanager
def answering(jobs: Jobs) -> Iterator[None]:
    """Assert that every method of the queue that pages call returns at once, all the while."""
    slowest, over = [0.0], threading.Event()

    def ask() -> None:
        while not over.wait(0.02):
            began = time.monotonic()
            for job in jobs.all():
                jobs.before(job)
            jobs.find(projections.Prepare("iris"))
            jobs.get("unknown")
            slowest[0] = max(slowest[0], time.monotonic() - began)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert slowest[0] < 1


def ten_jobs(jobs: Jobs) -> list[Job]:
    """Ten jobs waiting behind the running one."""
    return [
        jobs.submit(projections.Project("iris", PCAProjection(), data.Subset(limit=n)))
        for n in range(11, 21)
    ]


def test_a_worker_that_does_not_answer_is_replaced_when_its_job_is_cancelled(jobs: Jobs) -> None:
    job = jobs.submit(Train.named(endless(), "stopped"))
    wait_until(lambda: job.log.history)
    waiting = ten_jobs(jobs)
    os.kill(worker := worker_of(jobs), signal.SIGSTOP)
    with answering(jobs):
        began = time.monotonic()
        jobs.cancel(job)
        assert time.monotonic() - began < 1
        assert (job.state, job.what) == ("running", "Stopping")
        wait_until(lambda: not job.active)
        assert (job.state, job.error) == ("cancelled", "")
        wait_until(lambda: not any(other.active for other in waiting))
    assert {other.state for other in waiting} == {"done"}
    assert gone(worker)
    assert unfinished()["stopped"] >= 1


def test_what_waits_when_the_cluster_is_killed_runs_on_a_new_one(jobs: Jobs) -> None:
    job = jobs.submit(Train.named(endless(), "bereft"))
    wait_until(lambda: job.log.history)
    waiting = ten_jobs(jobs)
    with answering(jobs):
        os.kill(jobs._cluster.pid, signal.SIGKILL)
        wait_until(lambda: not job.active)
        assert job.state == "failed" and "is kept, resume it" in job.error
        wait_until(lambda: not any(other.active for other in waiting))
    assert [(other.state, other.error) for other in waiting] == [("done", "")] * 10


# --- A scheduler that is not our own ------------------------------------------------------------

ROOT = Path(__file__).parents[2]
SCHEDULER = """
import asyncio, sys
from distributed import Scheduler

async def main():
    async with Scheduler(host="127.0.0.1", port=0, dashboard=False) as scheduler:
        print(scheduler.address, flush=True)
        await scheduler.finished()

asyncio.run(main())
"""
WORKER = """
import asyncio, sys
from distributed import Worker

async def main():
    await (await Worker(sys.argv[1], nthreads=1)).finished()

asyncio.run(main())
"""


class Elsewhere:
    """External scheduler and its workers."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.processes = folder, []
        self.address = self.start(SCHEDULER, with_package=True).stdout.readline().decode().strip()

    def start(
        self, script: str, *arguments: str, with_package: bool = True, **variables: str
    ) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        if with_package:
            environment["PYTHONPATH"] = str(ROOT)
        environment |= variables
        command = [sys.executable, "-c", script, *arguments]
        options = {"cwd": self.folder, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.processes.append(subprocess.Popen(command, env=environment, **options))
        return self.processes[-1]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Terminate all of them after the test."""
        try:
            yield
        finally:
            for process in self.processes:
                process.kill()
                process.wait()

    def worker(
        self, with_package: bool = True, before: str = "", **variables: str
    ) -> subprocess.Popen[bytes]:
        """Start a worker.

        Arguments
            before: a statement that it begins with.
            variables: of its environment.
        """
        script = f"{before}\n{WORKER}"
        return self.start(script, self.address, with_package=with_package, **variables)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Elsewhere]:
    found = Elsewhere(tmp_path)
    monkeypatch.setenv("AECORE_SCHEDULER", found.address)
    with found.running():
        yield found


def test_a_scheduler_without_a_worker_is_said_and_what_was_cancelled_never_runs(
    elsewhere: Elsewhere,
) -> None:
    jobs = Jobs()
    job = jobs.submit(Train.named(run_config(), "unwanted"))
    wait_until(lambda: "has no worker" in jobs.trouble)
    assert f"{elsewhere.address} has no worker" in jobs.trouble
    assert f"dask worker {elsewhere.address}" in jobs.trouble
    jobs.cancel(job)
    wait_until(lambda: not jobs.trouble)
    other = jobs.submit(Train.named(run_config(), "wanted"))
    elsewhere.worker()
    wait_until(lambda: not other.active)
    assert [job.state, other.state, other.error] == ["cancelled", "done", ""]
    assert [run.name for run in store.runs()[0]] == ["wanted"] and not unfinished()


def test_a_worker_without_the_package_is_said_and_outlives_it(elsewhere: Elsewhere) -> None:
    poor = elsewhere.worker(with_package=False)
    jobs = Jobs()
    job = jobs.submit(Train.named(run_config(), "unwanted"))
    wait_until(lambda: "No module named 'aecore'" in jobs.trouble)
    assert elsewhere.address in jobs.trouble
    jobs.cancel(job)
    other = jobs.submit(Train.named(run_config(), "wanted"))
    elsewhere.worker()
    wait_until(lambda: not other.active)
    assert [job.state, other.state, other.error] == ["cancelled", "done", ""]
    assert poor.poll() is None
    assert [run.name for run in store.runs()[0]] == ["wanted"]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("version", "has another latent-loupe, 9.9.9 ("),
        ("modules", f"has another latent-loupe, {locations.version()} ("),
    ],
)
def test_a_worker_of_another_version_is_said_and_gets_no_job(
    wrong: str, reason: str, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(ROOT / "aecore", other / "aecore")
    shutil.copy(ROOT / "app.py", other)
    project = (ROOT / "pyproject.toml").read_text()
    if wrong == "version":
        project = project.replace(f'version = "{locations.version()}"', 'version = "9.9.9"', 1)
    else:
        (other / "aecore" / "new.py").touch()
    (other / "pyproject.toml").write_text(project)
    elsewhere.worker(PYTHONPATH=str(other))
    jobs = Jobs()
    job = jobs.submit(projections.Prepare("iris"))
    wait_until(lambda: reason in jobs.trouble)
    assert "The worker at tcp://127.0.0.1:" in jobs.trouble and job.state == "queued"
    assert f"dask worker {elsewhere.address}" in jobs.trouble and not jobs.notice
    assert checks.identity() in jobs.trouble and str(store.root()) in jobs.trouble
    assert not list(store.root().glob(".check-*"))
    elsewhere.worker()
    wait_until(lambda: not job.active)
    assert (job.state, job.error, jobs.trouble) == ("done", "", "")
    assert reason in jobs.notice and "workers" not in jobs.notice


FULL = """
import pathlib
def write_text(path, text):
    raise OSError(28, "No space left on device")
pathlib.Path.write_text = write_text
"""
LOST = "import pathlib; pathlib.Path.write_text = lambda self, text: len(text)"
"""As in a container that keeps what it writes over the folder to itself."""


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ("", "has another store, "),
        (FULL, "cannot write the store, "),
        (LOST, "writes into another store than it reads"),
    ],
)
def test_a_worker_that_does_not_reach_the_store_gets_jobs_only_while_no_other_does(
    before: str, reason: str, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    elsewhere.worker(before=before, **({} if before else {"AECORE_STORE": str(tmp_path / "other")}))
    jobs = Jobs()
    apart = jobs.submit(projections.Prepare("iris"))
    wait_until(lambda: not apart.active)
    assert (apart.state, apart.error, apart.apart, jobs.trouble) == ("done", "", True, "")
    assert list(store.root().glob("_maps/iris-*/components.safetensors"))
    assert "No worker reaches the store" in jobs.notice and not (tmp_path / "other").exists()
    elsewhere.worker()
    wait_until(lambda: len(jobs._client.scheduler_info()["workers"]) == 2)
    here = jobs.submit(projections.Prepare("wine"))
    wait_until(lambda: not here.active)
    assert (here.state, here.error, here.apart) == ("done", "", False)
    assert reason in jobs.notice and "No worker" not in jobs.notice
    assert not list(store.root().glob(".check-*"))


def test_a_scheduler_of_another_version_is_said(
    elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere.worker()
    monkeypatch.setattr(checks, "identity", lambda: "9.9.9 (ours)")
    jobs = Jobs()
    job = jobs.submit(projections.Prepare("iris"))
    wait_until(lambda: "The scheduler has another latent-loupe" in jobs.trouble)
    jobs.cancel(job)


def test_a_scheduler_that_stops_to_answer_is_said(elsewhere: Elsewhere) -> None:
    jobs = Jobs()
    job = jobs.submit(projections.Prepare("iris"))
    wait_until(lambda: "has no worker" in jobs.trouble)
    os.kill(elsewhere.processes[0].pid, signal.SIGSTOP)
    wait_until(lambda: "does not answer: start it again" in jobs.trouble)
    elsewhere.worker()
    os.kill(elsewhere.processes[0].pid, signal.SIGCONT)
    wait_until(lambda: not job.active)
    assert (job.state, job.error) == ("done", "")


def test_the_doctor_examines_the_workers(elsewhere: Elsewhere, tmp_path: Path) -> None:
    from distributed import Client

    def doctor() -> tuple[int, list[str], str]:
        result = CliRunner().invoke(app, ["doctor", "--json"])
        document = json.loads(result.stdout)
        return result.exit_code, document["problems"], document["scheduler"]

    code, (problem,), said = doctor()
    assert code == 1 and "has no worker" in problem and said == problem
    elsewhere.worker()
    with Client(elsewhere.address, set_as_default=False) as stranger:
        stranger.wait_for_workers(1)
        assert doctor() == (0, [], f"{elsewhere.address}, workers that can run jobs: 1")
        elsewhere.worker(AECORE_STORE=str(tmp_path / "other"))
        stranger.wait_for_workers(2)
    code, (problem,), _ = doctor()
    assert code == 1 and f"has another store, {tmp_path / 'other'}" in problem


SWEEP = ("sweep", "--dataset", "iris", "--variant", "ae", "--grid", "seed=0,1", "--name", "seeds")


def test_the_command_line_says_why_a_sweep_waits(elsewhere: Elsewhere, tmp_path: Path) -> None:
    elsewhere.worker(with_package=False)
    sweep = subprocess.Popen(
        [sys.executable, "-m", "aecore", *SWEEP], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    line = next(line for line in sweep.stderr if "cannot import latent-loupe" in line)
    assert f"dask worker {elsewhere.address}" in line
    elsewhere.worker(AECORE_STORE=str(tmp_path / "other"))
    _, rest = sweep.communicate(timeout=120)
    assert sweep.returncode == 0
    # The one is left out, and what the other gets travels.
    assert "No worker reaches the store" in rest and "cannot import latent-loupe" in rest
    assert [run.name for run in store.runs()[0]] == ["seeds-2", "seeds-1"]


def test_a_sweep_is_refused_where_the_scheduler_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AECORE_SCHEDULER", "tcp://127.0.0.1:1")
    monkeypatch.setattr("aecore.jobs.cluster.CONNECT_WITHIN", 2)
    result = CliRunner().invoke(app, SWEEP)
    assert result.exit_code == 2 and "AECORE_SCHEDULER = 'tcp://127.0.0.1:1'" in result.stderr
    assert not sweeps.plans()[0]


def test_what_was_sent_and_is_cancelled_before_a_worker_is_free_never_runs(
    elsewhere: Elsewhere,
) -> None:
    from distributed import Client, Event

    elsewhere.worker()
    with Client(elsewhere.address, set_as_default=False) as stranger:
        stranger.wait_for_workers(1)
        over = Event("over", client=stranger)
        busy = stranger.submit(over.wait)
        jobs = Jobs()
        job = jobs.submit(Train.named(run_config(), "unwanted"))
        wait_until(lambda: job.what == "Waiting for a worker to begin it")
        jobs.cancel(job)
        wait_until(lambda: not job.active)
        other = jobs.submit(Train.named(run_config(), "wanted"))
        over.set()
        busy.result()
    wait_until(lambda: not other.active)
    assert [job.state, other.state, other.error] == ["cancelled", "done", ""]
    assert [run.name for run in store.runs()[0]] == ["wanted"]


@pytest.mark.parametrize("wrong", ["nonsense", "http://x:1", "tcp://127.0.0.1:1"])
def test_after_an_address_of_no_scheduler_nothing_is_held_up_and_a_right_one_serves(
    wrong: str, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere.worker()
    jobs = Jobs()
    with monkeypatch.context() as patch:
        patch.setattr("aecore.jobs.cluster.CONNECT_WITHIN", 2)
        for _ in range(3):
            patch.setenv("AECORE_SCHEDULER", wrong)
            job = jobs.submit(projections.Prepare("iris"))
            wait_until(lambda job=job: not job.active)
            assert job.state == "failed"
            job = None
            began = time.monotonic()
            gc.collect()  # as Streamlit does after every run of a page
            assert time.monotonic() - began < 2
    monkeypatch.setenv("AECORE_SCHEDULER", elsewhere.address)
    job = jobs.submit(projections.Prepare("iris"))
    wait_until(lambda: not job.active)
    assert (job.state, job.error) == ("done", "")


def test_a_training_elsewhere_is_cancelled_and_goes_on_without_us(elsewhere: Elsewhere) -> None:
    elsewhere.worker()
    jobs = Jobs()
    job = jobs.submit(Train.named(endless(), "endless"))
    wait_until(lambda: job.log.history)
    jobs.cancel(job)
    wait_until(lambda: not job.active)
    assert (job.state, job.error) == ("cancelled", "") and "endless" in unfinished()
    left = jobs.submit(Train.named(run_config("digits", epochs=3, batch_size=16), "left"))
    wait_until(lambda: left.begun)
    jobs._client.close()
    wait_until(lambda: not left.active)
    assert left.state == "failed" and elsewhere.address in left.error
    wait_until(lambda: (store.root() / "left").exists())


# --- The end of the process ---------------------------------------------------------------------

USE_A_CLUSTER = """
import os, signal, sys, time
from aecore import projections
from aecore.jobs import Jobs
from aecore.projections import Prepare

jobs = Jobs()
job = jobs.submit(projections.Prepare("iris"))
while job.active:
    time.sleep(0.02)
assert job.state == "done", job.error
(worker,) = jobs._client.run(os.getpid).values()
print(jobs._cluster.pid, worker, flush=True)
if sys.argv[1] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


def gone(pid: int) -> bool:
    """Whether a process has ended, also if its exit status has not been read."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True


@pytest.mark.parametrize("how", ["exits", "killed"])
def test_the_cluster_ends_with_the_process_that_started_it(how: str) -> None:
    command = [sys.executable, "-c", USE_A_CLUSTER, how]
    root = Path(__file__).parents[2]
    client = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, text=True, timeout=120)
    assert client.returncode == (0 if how == "exits" else -signal.SIGKILL)
    host, worker = map(int, client.stdout.split())
    wait_until(lambda: gone(host) and gone(worker))
