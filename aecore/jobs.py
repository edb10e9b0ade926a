"""Jobs: trainings and maps, computed in a Dask worker process, one after another.

The first job starts a small cluster of its own as a child process (`python -m aecore.jobs`), which
ends when this process does; `AECORE_SCHEDULER` names the address of a scheduler to use instead.
News of a job travels as Dask events; a job is stopped by a note left in its worker's memory.
"""

from __future__ import annotations

import itertools
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from aecore import projections, recipes, store, tasks
from aecore.configs import RunConfig
from aecore.datasets import Subset
from aecore.errors import Cancelled, Faults
from aecore.projections import TEST_SPLIT

if TYPE_CHECKING:
    from distributed import Client, Future

TOPIC = "latent-loupe"
SECONDS_BETWEEN_NEWS = 0.2
FINISHED_KEPT = 50
State = Literal["queued", "running", "done", "failed", "cancelled"]

log = logging.getLogger(__name__)


@dataclass
class Job:
    """What was asked, how far it is, and what came of it."""

    id: str
    kind: Literal[
        "train", "project", "prepare", "analyse", "mixture", "tune", "denoise", "quality", "recipe"
    ]
    title: str
    task: Callable[..., Any]
    arguments: tuple[Any, ...]
    dataset: str
    run: str = ""
    """The name of the run that a training will make."""
    epochs: int = 0
    state: State = "queued"
    what: str = "Waiting"
    done: float = 0
    total: float = 1
    began: tuple[float, float] | None = None
    """`time.monotonic()` when the present stage began, and how much of it was done by then."""
    history: list[dict[str, Any]] = field(default_factory=list)
    view: dict[str, np.ndarray] | None = None
    planes: dict[int, np.ndarray] = field(default_factory=dict)
    """The `plane` of the view after each epoch; of a long training, of evenly spaced ones."""
    error: str = ""
    future: Future | None = None

    @property
    def active(self) -> bool:
        """Whether it waits or runs."""
        return self.state in ("queued", "running")

    @property
    def seconds_left(self) -> float | None:
        """How long the present stage will take at the pace that it has kept, once that is known."""
        if self.began is None or self.done <= self.began[1]:
            return None
        seconds = time.monotonic() - self.began[0]
        return seconds / (self.done - self.began[1]) * max(self.total - self.done, 0)


class Jobs:
    """The queue of this process: hands jobs to the cluster as its threads become free."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._connecting = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._numbers = itertools.count(1)
        self._client: Client | None = None
        self._cluster: subprocess.Popen | None = None

    # --- Asking ---

    def train(self, config: RunConfig, name: str | None = None) -> Job:
        """Queue a training; raises `Faults` where the name cannot be used."""
        name = store.free_name(config, name)
        self._refuse_busy(name)
        title = f"{config.variant} on {config.dataset}"
        return self._queue("train", title, tasks.train, (config, name), config, name)

    def resume(self, name: str) -> Job:
        """Queue the rest of an unfinished training; raises `Faults` where there is none."""
        with self._lock:
            config, checkpoint = store.read_checkpoint(name)
            self._refuse_busy(name)
            store.refuse_held(name)
            title = f"{config.variant} on {config.dataset}, resumed"
            job = self._queue("train", title, tasks.resume, (name,), config, name)
            job.history = checkpoint.progress["history"]
            return job

    def project(
        self, dataset: str, projection: projections.Projection, subset: Subset = TEST_SPLIT
    ) -> Job:
        """Queue a map, or find the job that computes it already."""
        title = f"{projection.title} of {dataset}"
        if subset != TEST_SPLIT:
            title += f", {subset.split}, up to {subset.limit:,} samples"
        return self._once("project", title, tasks.project, (dataset, projection, subset))

    def prepare(self, dataset: str) -> Job:
        """Queue the download and the principal components of a dataset, or find that job."""
        return self._once("prepare", f"preparing {dataset}", tasks.prepare, (dataset,))

    def analyse(self, run: str) -> Job:
        """Queue the analysis of a run's code space, or find that job."""
        return self._once("analyse", f"analysing {run}", tasks.analyse, (run,))

    def mixture(self, run: str) -> Job:
        """Queue the mixture of Gaussians of a run's training codes, or find that job."""
        return self._once("mixture", f"mixture of codes of {run}", tasks.fit_mixture, (run,))

    def tune(self, dataset: str, noise: str, clip: bool) -> Job:
        """Queue the search for the filters' best settings for a noise, or find that job."""
        title = f"tuning filters for {noise} noise on {dataset}"
        return self._once("tune", title, tasks.tune, (dataset, noise, clip))

    def denoise(self, run: str, noise: str, clip: bool) -> Job:
        """Queue a run's curve of denoising over the levels of a noise, or find that job."""
        title = f"denoising by {run}"
        return self._once("denoise", title, tasks.denoising_curve, (run, noise, clip))

    def sample_quality(self, run: str) -> Job:
        """Queue the figures of a run's samples, or find that job."""
        title = f"quality of samples of {run}"
        return self._once("quality", title, tasks.sample_quality, (run,))

    def reproduce(self, recipe: str) -> Job:
        """Queue a recipe, or find the job that runs it already."""
        return self._once("recipe", f"recipe {recipe}", recipes.reproduce, (recipe,))

    def find(self, kind: str, *arguments: Any) -> Job | None:
        """The newest job of this kind with these arguments, whatever became of it."""
        fitting = (job for job in self.all() if (job.kind, job.arguments) == (kind, arguments))
        return next(fitting, None)

    def _refuse_busy(self, name: str) -> None:
        if any(job.active and job.run == name for job in self._jobs.values()):
            raise Faults(f"'{name}' is being trained already.")

    def _once(self, kind, title, task, arguments) -> Job:
        with self._lock:
            job = self.find(kind, *arguments)
            if job is not None and job.active:
                return job
            return self._queue(kind, title, task, arguments)

    def cancel(self, job: Job) -> None:
        """Take a job out of the queue, or stop it before its next batch or iteration."""
        with self._lock:
            if job.state == "queued":
                job.state = "cancelled"
            elif job.state == "running" and self._client is not None:
                job.what = "Stopping"
                self._client.run(_leave_note, job.id)

    def all(self) -> list[Job]:
        """Every job that is remembered, newest first."""
        with self._lock:
            return list(reversed(self._jobs.values()))

    def get(self, job_id: str | None) -> Job | None:
        """The job with this id, if it is remembered."""
        return self._jobs.get(job_id or "")

    def place(self, job: Job) -> int:
        """How many jobs are before this one."""
        with self._lock:
            before = itertools.takewhile(lambda other: other is not job, self._jobs.values())
            return sum(other.active for other in before)

    # --- Carrying out ---

    def _queue(self, kind, title, task, arguments, config=None, run="") -> Job:
        with self._lock:
            number = f"{next(self._numbers)}-{os.urandom(2).hex()}"
            job = Job(number, kind, title, task, arguments, arguments[0])
            if config is not None:
                job.dataset, job.run, job.epochs = config.dataset, run, config.training.epochs
            self._jobs[job.id] = job
            finished = [job.id for job in self._jobs.values() if not job.active]
            for old in finished[:-FINISHED_KEPT]:
                del self._jobs[old]
        # Starting the cluster takes about a second, which nobody should have to wait for.
        threading.Thread(target=self._submit_next, daemon=True).start()
        return job

    def _submit_next(self) -> None:
        # A lock of its own: while a cluster starts, pages go on reading the jobs.
        with self._connecting:
            if not self._queued():
                return
            try:
                client = self._connected()
                # Where the only worker has just died, its successor takes the next job.
                free = max(sum(client.nthreads().values()), 1)
            except OSError as error:
                for job in self._queued():
                    job.state, job.error = "failed", f"The cluster cannot be reached: {error}."
                return
            with self._lock:
                free -= sum(job.state == "running" for job in self._jobs.values())
                for job in self._queued()[: max(free, 0)]:
                    job.state, job.what = "running", "Starting"
                    job.future = client.submit(
                        _work, job.id, job.task, job.arguments, key=f"{TOPIC}-{job.id}", pure=False
                    )
                    job.future.add_done_callback(lambda future, job=job: self._over(job, future))

    def _queued(self) -> list[Job]:
        with self._lock:
            return [job for job in self._jobs.values() if job.state == "queued"]

    def _over(self, job: Job, future: Future) -> None:
        """Note how a job ended, and start the next."""
        with self._lock:
            if future.status == "finished":
                job.state, job.error, run = future.result()
                job.run = run or job.run
            else:
                error = future.exception() if future.status == "error" else None
                job.state, job.error = "failed", _explain(job, error)
            job.future = None
        self._submit_next()

    def _connected(self) -> Client:
        """The client of a cluster that is there, started or found anew if need be."""
        if self._client is not None and self._client.status == "running":
            if self._cluster is None or self._cluster.poll() is None:
                return self._client
            self._client.close(timeout=1)
        from distributed import Client

        address = os.environ.get("AECORE_SCHEDULER")
        if not address:
            self._cluster = _start_cluster()
            address = self._cluster.stdout.readline().decode().strip()
            if not address:
                raise OSError("the worker process did not start")
        self._client = Client(address, timeout=10, set_as_default=False)
        self._client.subscribe_topic(TOPIC, self._hear)
        return self._client

    def _hear(self, event: tuple[float, dict[str, Any]]) -> None:
        """Take in what a worker says of its job."""
        message = event[1]
        job = self._jobs.get(message["job"])
        if job is None or not job.active:
            return
        if "entry" in message:
            job.history = [*job.history, message["entry"]]
            job.view = {name: _unpack(packed) for name, packed in message["view"].items()}
            planes = {**job.planes, message["entry"]["epoch"]: job.view["plane"]}
            if len(planes) > 2 * tasks.EPOCHS_KEPT:
                planes = dict(list(planes.items())[1::2])
            job.planes = planes
        elif job.what != "Stopping":
            if message["what"] != job.what:
                job.began = time.monotonic(), message["done"]
            job.what, job.done, job.total = message["what"], message["done"], message["total"]


def _explain(job: Job, error: BaseException | None) -> str:
    """What to say of a job that did not come to its own end."""
    if error is not None and type(error).__name__ != "KilledWorker":
        log.error("job %s: %s", job.id, job.title, exc_info=error)
        return f"It ended with an error that was not expected, {type(error).__name__}: {error}"
    hint = "start it again."
    if job.history:
        hint = f"the checkpoint of epoch {job.history[-1]['epoch']} is kept, resume it."
    return f"The worker process ended unexpectedly (killed, or out of memory): {hint}"


# --- In the worker ------------------------------------------------------------------------------

_notes: set[str] = set()


def _leave_note(job_id: str) -> None:
    """Have the job end at its next sign of life, if it runs in this worker."""
    _notes.add(job_id)


class WorkerReporter:
    """Sends news from the worker as events, not oftener than a person can read."""

    def __init__(self, job_id: str) -> None:
        from distributed import get_worker

        self.job_id, self.worker, self.last, self.what = job_id, get_worker(), 0.0, ""

    def progress(self, what: str, done: float, total: float) -> None:
        if self.job_id in _notes:
            _notes.discard(self.job_id)
            raise Cancelled
        now = time.monotonic()
        if what != self.what or now - self.last > SECONDS_BETWEEN_NEWS:
            self.last, self.what = now, what
            self._say(what=what, done=done, total=total)

    def epoch(self, entry: dict[str, Any], view: dict[str, np.ndarray]) -> None:
        self._say(entry=entry, view={name: _pack(array) for name, array in view.items()})

    def _say(self, **message: Any) -> None:
        self.worker.log_event(TOPIC, {"job": self.job_id, **message})


def _pack(array: np.ndarray) -> tuple[str, tuple[int, ...], bytes]:
    return array.dtype.str, array.shape, array.tobytes()


def _unpack(packed: tuple[str, tuple[int, ...], bytes]) -> np.ndarray:
    kind, shape, content = packed
    return np.frombuffer(content, kind).reshape(shape)


def _work(
    job_id: str, task: Callable[..., Any], arguments: tuple[Any, ...]
) -> tuple[State, str, str]:
    """Carry out a task; returns how it ended, why where it failed, and the run that was stored."""
    try:
        result = task(*arguments, WorkerReporter(job_id))
    except Cancelled:
        return "cancelled", "", ""
    except Faults as error:
        return "failed", str(error), ""
    return "done", "", result.name if isinstance(result, store.Run) else ""


# --- The cluster of our own ---------------------------------------------------------------------

LARGE = str(2**30)
SETTINGS = {
    # Dask's defaults make glibc give the memory of every training step back and leave torch one
    # thread, which makes an epoch 1.7 times slower.
    "distributed.nanny.pre-spawn-environ": {
        "MALLOC_TRIM_THRESHOLD_": LARGE,
        "MALLOC_MMAP_THRESHOLD_": LARGE,
    },
    "distributed.worker.profile.enabled": False,
    # A job whose worker died is reported, not quietly begun again.
    "distributed.scheduler.allowed-failures": 0,
    "distributed.admin.low-level-log-length": 100,
}


def _start_cluster() -> subprocess.Popen:
    """Start `python -m aecore.jobs`, which prints its scheduler's address."""
    return subprocess.Popen(
        [sys.executable, "-m", "aecore.jobs"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        start_new_session=True,  # Ctrl-C is for the dashboard; the cluster ends after it
    )


def _serve() -> None:
    """Run a scheduler and one worker on the loopback address until standard input closes.

    It is a process of its own because a worker is started by importing the main module again,
    and Streamlit puts the page that happens to run in that place.
    """
    import dask
    from distributed import Client, LocalCluster, WorkerPlugin

    class Modest(WorkerPlugin):
        """Lets the dashboard go first where processors are scarce."""

        def setup(self, worker: Any) -> None:
            os.nice(10)

    dask.config.set(SETTINGS)
    with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address=None,
            silence_logs=logging.ERROR,
        ) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(Modest())
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    _serve()
