"""Jobs on a real cluster: how they run, wait, stop, fail and go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import run_config, wait_until

from aecore import datasets, projections, recipes, store
from aecore.configs import RunConfig
from aecore.errors import Faults
from aecore.jobs import Jobs
from aecore.projections import PCAProjection, TSNEProjection

# --- The queue, without a cluster ---------------------------------------------------------------


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Jobs:
    """A queue whose cluster never takes a job."""
    monkeypatch.setattr(Jobs, "_submit_next", lambda self: None)
    return Jobs()


def test_jobs_wait_in_the_order_in_which_they_were_asked_for(queue: Jobs) -> None:
    first = queue.train(run_config(), "first")
    second = queue.project("iris", PCAProjection())
    third = queue.prepare("wine")
    assert [queue.place(job) for job in (first, second, third)] == [0, 1, 2]
    assert queue.all() == [third, second, first]
    assert all(job.state == "queued" and job.active for job in queue.all())
    queue.cancel(first)
    assert [queue.place(job) for job in (second, third)] == [0, 1]


def test_a_job_says_what_it_is(queue: Jobs) -> None:
    job = queue.train(run_config("wine", "vae", epochs=7), "some-name")
    assert (job.kind, job.dataset, job.run, job.epochs) == ("train", "wine", "some-name", 7)
    assert queue.get(job.id) is job
    other = queue.project("iris", PCAProjection())
    assert (other.kind, other.dataset, other.run) == ("project", "iris", "")
    assert queue.get("no such id") is None and queue.get(None) is None


def test_a_queued_job_is_cancelled_at_once(queue: Jobs) -> None:
    job = queue.train(run_config())
    queue.cancel(job)
    assert job.state == "cancelled" and not job.active
    queue.cancel(job)
    assert job.state == "cancelled"


def test_the_same_map_is_not_queued_twice(queue: Jobs) -> None:
    first = queue.project("digits", TSNEProjection())
    assert queue.project("digits", TSNEProjection()) is first
    assert queue.project("digits", TSNEProjection(seed=1)) is not first
    assert queue.project("iris", TSNEProjection()) is not first
    train = datasets.Subset(split="train", limit=500)
    other = queue.project("digits", TSNEProjection(), train)
    assert other is not first and queue.project("digits", TSNEProjection(), train) is other
    assert other.title == "t-SNE of digits, train, up to 500 samples"
    assert queue.find("project", "digits", TSNEProjection(), train) is other
    assert queue.find("project", "digits", TSNEProjection(), datasets.Subset()) is first
    queue.cancel(first)
    assert queue.project("digits", TSNEProjection()) is not first


def test_the_same_recipe_is_not_queued_twice(queue: Jobs) -> None:
    first = queue.reproduce("manifold")
    assert (first.kind, first.title, first.run) == ("recipe", "recipe manifold", "")
    assert first.arguments == ("manifold",)
    assert queue.reproduce("manifold") is first
    assert queue.reproduce("vae-2") is not first
    queue.cancel(first)
    assert first.state == "cancelled"
    again = queue.reproduce("manifold")
    assert again is not first and again.active
    assert queue.find("recipe", "manifold") is again
    assert queue.find("recipe", "beat-pca-2d") is None
    assert len(queue.all()) == 3


def test_the_quality_of_the_same_run_is_not_queued_twice(queue: Jobs) -> None:
    first = queue.sample_quality("mine")
    assert (first.kind, first.title) == ("quality", "quality of samples of mine")
    assert queue.sample_quality("mine") is first
    assert queue.sample_quality("other") is not first
    assert queue.find("quality", "mine") is first


def test_a_run_with_the_name_of_a_dataset_is_not_taken_for_its_preparation(
    queue: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aecore.training import Checkpoint

    progress = {"epochs_done": 1, "history": [{"epoch": 1}]}
    store.write_checkpoint("digits", run_config("digits"), Checkpoint({}, progress))
    training = queue.resume("digits")
    assert training.history == [{"epoch": 1}]
    assert queue.prepare("digits") is not training


def test_a_name_is_taken_while_its_training_waits(queue: Jobs) -> None:
    queue.train(run_config(), "mine")
    with pytest.raises(Faults, match="'mine'"):
        queue.train(run_config(), "mine")


def test_a_training_is_resumed_once_at_a_time(queue: Jobs) -> None:
    from aecore.training import Checkpoint

    progress = {"epochs_done": 1, "history": []}
    store.write_checkpoint("half", run_config(), Checkpoint({}, progress))
    queue.resume("half")
    with pytest.raises(Faults, match="'half' is being trained already"):
        queue.resume("half")
    with pytest.raises(Faults, match="Unknown unfinished run 'hlaf': did you mean 'half'"):
        queue.resume("hlaf")


def test_names_that_cannot_be_used_are_refused_before_anything_is_queued(queue: Jobs) -> None:
    with pytest.raises(Faults, match="is not possible"):
        queue.train(run_config(), "../x")
    assert queue.all() == []


def test_old_jobs_are_forgotten_and_waiting_ones_never(queue: Jobs) -> None:
    waiting = queue.train(run_config(), "waiting")
    over = [queue.train(run_config()) for _ in range(60)]
    for job in over:
        job.state = "done"
    queue.train(run_config())
    assert len(queue.all()) == 52
    assert queue.get(waiting.id) is waiting
    assert queue.get(over[0].id) is None


class Telling:
    """A running job that hears news at times of the test's choosing."""

    def __init__(self, queue: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
        self.queue, self.job, self.now = queue, queue.train(run_config()), 0.0
        self.job.state = "running"
        monkeypatch.setattr("time.monotonic", lambda: self.now)

    def hear(self, now: float, what: str, done: float, total: float) -> float | None:
        """The seconds left after a piece of news."""
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


def test_a_scheduler_that_cannot_be_reached_fails_the_jobs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AECORE_SCHEDULER", "tcp://127.0.0.1:1")
    import distributed

    client = distributed.Client
    monkeypatch.setattr(
        distributed, "Client", lambda *a, **options: client(*a, **options | {"timeout": 0.2})
    )
    jobs = Jobs()
    job = jobs.prepare("iris")
    wait_until(lambda: not job.active)
    assert job.state == "failed"
    assert job.error.startswith("The cluster cannot be reached: ")


# --- A real cluster -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store that the worker writes to."""
    return tmp_path_factory.mktemp("jobs")


@pytest.fixture(scope="module")
def cluster(cluster_store: Path) -> Iterator[Jobs]:
    """Jobs with a cluster of their own, which is started by the first one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AECORE_STORE", str(cluster_store))
        jobs = Jobs()
        yield jobs
        jobs._client.close(timeout=2)
        jobs._cluster.stdin.close()
        jobs._cluster.wait(timeout=30)


@pytest.fixture
def jobs(cluster: Jobs, cluster_store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    """The cluster, with this test looking into its store, and idle again when the test is over."""
    monkeypatch.setenv("AECORE_STORE", str(cluster_store))
    yield cluster
    for job in cluster.all():
        cluster.cancel(job)
    wait_until(lambda: not any(job.active for job in cluster.all()))


def endless(variant: str = "ae") -> RunConfig:
    return run_config("digits", variant, epochs=10_000, batch_size=64)


def unfinished() -> dict[str, int]:
    """The trainings that can be resumed, and how many epochs each has behind it."""
    return {left.name: left.epochs_done for left in store.unfinished()}


def worker_of(jobs: Jobs) -> int:
    """The process number of the worker."""
    wait_until(lambda: jobs._client.nthreads())
    (pid,) = jobs._client.run(os.getpid).values()
    return pid


def test_a_training_runs_to_its_end_and_says_how_far_it_is(jobs: Jobs) -> None:
    stages, places = set(), set()
    job = jobs.train(run_config("digits", "vae", epochs=8, batch_size=16), "first")

    def over() -> bool:
        stages.add(job.what)
        places.add(job.done / job.total)
        return not job.active

    wait_until(over)
    assert (job.state, job.error) == ("done", "")
    assert "Training" in stages
    assert len(places) > 2 and max(places) <= 1
    run = store.load("first")
    wait_until(lambda: len(job.history) == 8)
    assert job.history == run.history
    assert job.view["plane"].shape == (360, 2)
    np.testing.assert_array_equal(job.view["labels"], datasets.get("digits").test.labels)
    assert job.view["reconstructions"].shape == (10, 64)
    np.testing.assert_allclose(job.view["plane"], run.codes["codes"], atol=1e-4)


def test_a_map_is_computed_in_the_worker(jobs: Jobs) -> None:
    job = jobs.project("iris", PCAProjection())
    wait_until(lambda: not job.active)
    assert (job.state, job.error) == ("done", "")
    assert projections.cached("iris", datasets.get("iris").fingerprint, PCAProjection())


def test_a_preparation_leaves_the_components(jobs: Jobs) -> None:
    job = jobs.prepare("wine")
    wait_until(lambda: not job.active)
    assert (job.state, job.error) == ("done", "")
    assert projections.components_file(datasets.get("wine")).is_file()


def test_a_recipe_runs_in_the_worker_and_its_outcome_is_kept(jobs: Jobs) -> None:
    stages = set()
    job = jobs.reproduce("linear-is-pca-3d")
    assert jobs.reproduce("linear-is-pca-3d") is job

    def over() -> bool:
        stages.add(job.what)
        return not job.active

    wait_until(over)
    assert (job.state, job.error) == ("done", "")
    assert "start 1 of 5: Training" in stages and "start 5 of 5: Training" in stages
    outcome = recipes.stored("linear-is-pca-3d")
    assert (outcome.holds, outcome.fast) == (True, False)
    assert outcome.pictures


def test_a_recipe_is_cancelled_while_it_runs_and_what_was_found_before_is_kept(jobs: Jobs) -> None:
    path = recipes.file("linear-is-pca-3d")
    before = path.read_bytes() if path.exists() else None
    job = jobs.reproduce("linear-is-pca-3d")
    wait_until(lambda: job.what.startswith("start "))
    assert jobs.reproduce("linear-is-pca-3d") is job
    jobs.cancel(job)
    wait_until(lambda: not job.active)
    assert (job.state, job.error) == ("cancelled", "")
    assert (path.read_bytes() if path.exists() else None) == before
    after = jobs.prepare("tilted-ring")
    wait_until(lambda: not after.active)
    assert after.state == "done"


def test_an_unknown_recipe_fails_with_a_sentence(jobs: Jobs) -> None:
    job = jobs.reproduce("manifolds")
    wait_until(lambda: not job.active)
    assert job.state == "failed"
    assert job.error.startswith("Unknown recipe 'manifolds': did you mean 'manifold'?")


def test_one_job_runs_at_a_time_and_all_can_be_cancelled(jobs: Jobs) -> None:
    first = jobs.train(endless(), "endless")
    second = jobs.train(run_config(), "second")
    third = jobs.prepare("s-curve")
    wait_until(lambda: first.history)
    assert [job.state for job in (first, second, third)] == ["running", "queued", "queued"]
    assert [jobs.place(job) for job in (first, second, third)] == [0, 1, 2]
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
    job = jobs.train(run_config("digits", "vae", epochs=50, learning_rate=10), "wild")
    after = jobs.project("wine", TSNEProjection(perplexity=100))
    wait_until(lambda: not after.active)
    assert (job.state, after.state) == ("failed", "failed")
    assert job.error.startswith("Training stopped in epoch ")
    assert "learning_rate (it is 10; try 1)" in job.error
    assert after.error == "perplexity = 100 needs more samples: give at most 19."


def test_what_nobody_expected_is_said_without_a_traceback(jobs: Jobs) -> None:
    damaged = projections.components_file(datasets.get("breast-cancer"))
    damaged.parent.mkdir(parents=True)
    damaged.mkdir()  # where a file should be written
    job = jobs.prepare("breast-cancer")
    wait_until(lambda: not job.active)
    assert job.state == "failed"
    assert "Error" in job.error and "Traceback" not in job.error


def test_a_killed_worker_fails_its_job_and_the_next_one_runs_and_it_can_be_resumed(
    jobs: Jobs,
) -> None:
    job = jobs.train(run_config("digits", epochs=40, batch_size=64), "killed")
    waiting = jobs.prepare("swiss-roll")
    wait_until(lambda: len(job.history) >= 2)
    os.kill(worker_of(jobs), signal.SIGKILL)
    wait_until(lambda: not job.active)
    assert job.state == "failed"
    done = job.history[-1]["epoch"]
    assert job.error == (
        "The worker process ended unexpectedly (killed, or out of memory): the checkpoint of "
        f"epoch {done} is kept, resume it."
    )
    wait_until(lambda: not waiting.active)
    assert waiting.state == "done"

    kept = unfinished()["killed"]
    assert kept >= done
    resumed = jobs.resume("killed")
    assert resumed.history[-1]["epoch"] == kept
    wait_until(lambda: not resumed.active)
    assert (resumed.state, resumed.error) == ("done", "")
    epochs = list(range(1, 41))
    wait_until(lambda: len(resumed.history) == 40)
    assert [entry["epoch"] for entry in resumed.history] == epochs
    assert store.load("killed").history == resumed.history


def test_a_worker_killed_before_the_first_epoch_has_no_checkpoint_to_speak_of(jobs: Jobs) -> None:
    # An epoch of one sample a step takes much longer than it takes to kill.
    slow = run_config("digits", model={"hidden": (1024, 512)}, batch_size=1)
    job = jobs.train(slow, "early")
    wait_until(lambda: job.what == "Training")
    os.kill(worker_of(jobs), signal.SIGKILL)
    wait_until(lambda: not job.active)
    assert job.state == "failed"
    assert job.error.endswith("(killed, or out of memory): start it again.")
    assert "early" not in unfinished()


def test_a_cluster_that_was_killed_is_replaced(jobs: Jobs) -> None:
    job = jobs.train(endless(), "orphan")
    wait_until(lambda: job.history)
    worker = worker_of(jobs)
    jobs._cluster.kill()
    wait_until(lambda: not job.active)
    assert job.state == "failed"
    after = jobs.prepare("s-curve")
    wait_until(lambda: not after.active)
    assert (after.state, after.error) == ("done", "")
    wait_until(lambda: gone(worker))


# --- The end of the process ---------------------------------------------------------------------

USE_A_CLUSTER = """
import os, signal, sys, time
from aecore.jobs import Jobs

jobs = Jobs()
job = jobs.prepare("iris")
while job.active:
    time.sleep(0.02)
assert job.state == "done", job.error
(worker,) = jobs._client.run(os.getpid).values()
print(jobs._cluster.pid, worker, flush=True)
if sys.argv[1] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


def gone(pid: int) -> bool:
    """Whether a process has ended, though nobody may have asked for its exit status yet."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True


@pytest.mark.parametrize("how", ["exits", "killed"])
def test_the_cluster_ends_with_the_process_that_started_it(how: str) -> None:
    command = [sys.executable, "-c", USE_A_CLUSTER, how]
    root = Path(__file__).parents[1]
    client = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, text=True, timeout=120)
    assert client.returncode == (0 if how == "exits" else -signal.SIGKILL)
    host, worker = map(int, client.stdout.split())
    wait_until(lambda: gone(host) and gone(worker))
