"""Job queue: tasks carried out in Dask worker processes.

One after another, each with all processors, except for tasks that compute with one thread
(`Task.parallel`), of which as many are carried out at once as there are processors.

The first job starts a small cluster of its own as a child process (`python -m
aecore.jobs.serve`), which ends when this process does; `AECORE_SCHEDULER` names the address of a
scheduler to use instead. Where none of its workers reaches the store, the files of a job travel
with it (see `exchange`).
Progress of a job and its end are published as Dask events. A job is cancelled at the scheduler, and
its worker stops a task that the scheduler has cancelled.

The threads of the pages read and change the queue in memory alone. Whatever waits for another
process is done by one thread, the keeper, outside the lock and within a limit of time.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from aecore import files
from aecore.errors import InvalidRequest
from aecore.jobs import checks, depot, exchange
from aecore.jobs.cluster import (
    START_WITHIN,
    TRIES,
    ask_apart,
    connect_to,
    kill_cluster,
    log,
    most_workers,
    scale_cluster,
    start_cluster,
)
from aecore.jobs.worker import TOPIC, Ended, State, carry_out, carry_out_apart, unpack_array
from aecore.training import MOST_STACKED

if TYPE_CHECKING:
    import numpy as np
    from distributed import Client, Future

    from aecore.progress import Task
    from aecore.runs.store import Reservation


FINISHED_KEPT = 50
MOST_TOGETHER = MOST_STACKED
"""Alike tasks that a worker carries out together at most."""
MOST_PLANES = 120
"""Epochs whose planes are remembered of a training."""

# Until so much of a stage is done, or has taken so long, what is left of it would be a guess.
LEAST_SHARE = 0.05
LEAST_SECONDS = 5

# Limits, in seconds. What does not answer is said at once or after twice `ANSWER_WITHIN`.
LOOK_EVERY = 0.5
ANSWER_WITHIN = 3
FETCH_WITHIN = 300
"""For the files of a job to come back."""
STOP_WITHIN = 5
"""For a cancelled job to end by itself. Later its worker is killed, which loses nothing: every
file is renamed into place, and the checkpoint of the last epoch is on disk."""
SAY_AFTER = 8
"""Until it is said that no worker has begun a job."""


@dataclass(frozen=True)
class TrainingLog:
    """Latest report of a training: its history, and arrays to draw, of the same epoch."""

    history: list[dict[str, Any]] = field(default_factory=list)
    view: dict[str, np.ndarray] | None = None
    """Of the last epoch, as `Reporter.epoch` describes it."""
    planes: dict[int, np.ndarray] = field(default_factory=dict)
    """The `plane` of the view after each epoch; of a long training, of evenly spaced ones."""

    def add(self, entry: dict[str, Any], view: dict[str, np.ndarray]) -> TrainingLog:
        """The log with one epoch appended."""
        planes = {**self.planes, entry["epoch"]: view["plane"]}
        if len(planes) > MOST_PLANES:
            planes = dict([*planes.items()][::-2][::-1])  # the newest stays
        return TrainingLog([*self.history, entry], view, planes)


@dataclass
class Job:
    """A task in the queue: its state, its progress and its end."""

    id: str
    task: Task
    log: TrainingLog = field(default_factory=TrainingLog)
    state: State = "queued"
    what: str = "Waiting"
    done: float = 0
    total: float = 1
    began: tuple[float, float] | None = None
    """`time.monotonic()` when the present stage began, and how much of it was done by then."""
    error: str = ""
    run: str = ""
    """The name of the run that was stored."""
    future: Future | None = None
    shared: bool = False
    """Whether other jobs are carried out with it."""
    interrupted: float | None = None
    """`time.monotonic()` when one of these was cancelled; then it waits again."""
    sent: float = 0
    """`time.monotonic()` when it was last sent to a cluster, and how often that was done."""
    tries: int = 0
    workers: Sequence[str] = ()
    """Addresses of those that it may go to, at a scheduler not our own."""
    begun: bool = False
    """Whether a worker has reported it."""
    stop_asked: float | None = None
    """`time.monotonic()` when it was cancelled while it ran."""
    apart: bool = False
    """Whether it was sent to a worker without the store."""
    place: Reservation | None = None
    """The name of its run, which is reserved here meanwhile."""

    @property
    def active(self) -> bool:
        """Whether the job waits or runs."""
        return self.state in ("queued", "running")

    def release(self) -> None:
        """Give up the name that is reserved for it."""
        if self.place is not None:
            self.place.__exit__()
            self.place = None

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds until the present stage ends; None if that is not known yet."""
        if self.began is None or self.done <= self.began[1]:
            return None
        seconds, done = time.monotonic() - self.began[0], self.done - self.began[1]
        if seconds < LEAST_SECONDS and done < LEAST_SHARE * (self.total - self.began[1]):
            return None
        return seconds / done * max(self.total - self.done, 0)


class Jobs:
    """The queue of this process: sends jobs to the cluster as its threads become free."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._jobs: dict[str, Job] = {}
        self._numbers = itertools.count(1)
        self._keeper: threading.Thread | None = None
        self._look = threading.Event()
        self._client: Client | None = None
        self._cluster: subprocess.Popen[bytes] | None = None
        self._workers = 1
        """Of our own cluster."""
        self.at_once = most_workers()
        """Parallel tasks that are carried out at the same time."""
        self._checked: dict[str, checks.Answer] = {}
        """Whether a scheduler not our own, or a worker by its id, can run jobs."""
        self.trouble = ""
        """Why the jobs that wait cannot be begun now, and what to do."""
        self.notice = ""
        """Workers that get no jobs, though others do, and why; and whether files travel."""

    # --- Requests ---

    def submit(self, task: Task) -> Job:
        """Queue a task, or return the job that waits for it or runs it.

        Raises `InvalidRequest` where it cannot be carried out, or another job writes the same run.
        """
        with self._lock:
            job = self.find(task)
            if job is not None and job.active and not task.reserves:
                return job
            self._refuse_busy(task.reserves)
            task.check()
            number = f"{next(self._numbers)}-{os.urandom(2).hex()}"
            job = Job(number, task, TrainingLog([*task.history]))
            self._jobs[job.id] = job
            finished = [job.id for job in self._jobs.values() if not job.active]
            for old in finished[:-FINISHED_KEPT]:
                del self._jobs[old]
        self._submit_next()
        return job

    def find(self, task: Task) -> Job | None:
        """The newest job of this task, in any state."""
        return next((job for job in self.all() if job.task == task), None)

    def _refuse_busy(self, run: str) -> None:
        if run and any(job.active and job.task.reserves == run for job in self._jobs.values()):
            raise InvalidRequest(f"'{run}' is being trained already.")

    def cancel(self, job: Job) -> None:
        """Cancel a job: dequeue it, or stop it before its next batch or iteration.

        The job may be a snapshot.
        """
        with self._lock:
            job = self._jobs.get(job.id, job)
            if job.state == "queued":
                self._end(job, "cancelled")
            elif job.state == "running" and job.stop_asked is None:
                job.stop_asked, job.what = time.monotonic(), "Stopping"
        self._submit_next()

    def all(self) -> list[Job]:
        """All remembered jobs, newest first."""
        with self._lock:
            return list(reversed(self._jobs.values()))

    def get(self, job_id: str | None) -> Job | None:
        """The job with this id, or None."""
        return self._jobs.get(job_id or "")

    def snapshot(self, job: Job) -> Job:
        """Copy of a job at one moment."""
        with self._lock:
            return dataclasses.replace(job)

    def before(self, job: Job) -> list[Job]:
        """Jobs that run or wait ahead of this one, in their order; it may be a snapshot."""
        with self._lock:
            before = itertools.takewhile(lambda other: other.id != job.id, self._jobs.values())
            return [other for other in before if other.active]

    # --- Carrying out ---

    def _end(self, job: Job, state: State, error: str = "", run: str = "") -> None:
        """Record the end of a job; later events of it are ignored."""
        with self._lock:
            job.release()
            if job.active:
                job.state, job.error, job.run, job.future = state, error, run, None

    def _submit_next(self) -> None:
        """Wake the keeper thread to look at the queue."""
        with self._lock:
            if self._keeper is None:
                self._keeper = threading.Thread(target=self._keep, name="jobs", daemon=True)
                self._keeper.start()
        self._look.set()

    def _conclude(self, job: Job, ended: Ended) -> None:
        """Record how a task ended; one that was cancelled with another waits again."""
        if ended[0] == "cancelled" and job.shared and job.stop_asked is None:
            self._wait_again(job)
        else:
            self._end(job, *ended)

    def _wait_again(self, job: Job) -> None:
        with self._lock:
            job.release()
            if job.active:
                job.state, job.what, job.future, job.begun = "queued", "Waiting", None, False
                job.interrupted = None
                job.log = TrainingLog([*job.task.history])

    @contextmanager
    def together(self) -> Iterator[None]:
        """Context in which several tasks are submitted before the first of them is begun."""
        with self._lock:
            yield

    # --- The keeper's thread ---

    def _keep(self) -> None:
        while True:
            self._look.wait(LOOK_EVERY if self._in("queued", "running") else None)
            self._look.clear()
            try:
                self._watch()
                self._send()
            except Exception as error:
                self.trouble = ""
                log.error("jobs failed: %s", error, exc_info=not isinstance(error, InvalidRequest))
                for job in self._in("queued"):
                    self._end(job, "failed", f"{error}" or type(error).__name__)

    def _in(self, *states: State) -> list[Job]:
        with self._lock:
            return [job for job in self._jobs.values() if job.state in states]

    def _watch(self) -> None:
        """Carry out cancellations; detect a cluster that is lost or does not answer."""
        own, now = self._cluster is not None, time.monotonic()
        stuck, present = False, self._present()
        for job in self._in("running"):
            if job.stop_asked is not None:
                if (future := job.future) is not None and not future.cancelled():
                    future.cancel(force=True)
                if not job.begun:
                    self._end(job, "cancelled")
                    stuck |= job.stop_asked - job.sent > SAY_AFTER
                elif now - job.stop_asked > STOP_WITHIN:
                    stuck |= job.active
                    if not own:
                        self._end(job, "cancelled")
            elif job.interrupted is not None:
                if not job.begun or now - job.interrupted > STOP_WITHIN:
                    self._wait_again(job)
            elif present is not None and present.isdisjoint(job.workers):
                self._send_again(job)
            elif now - job.sent > SAY_AFTER:
                with self._lock:
                    if not job.begun:
                        job.what = "Waiting for a worker to begin it"
                stuck |= not job.begun and now - job.sent > START_WITHIN
        dead = self._cluster is not None and self._cluster.poll() is not None
        cut_off = self._client is not None and self._client.status != "running"
        if dead or cut_off or (stuck and own):
            self._drop()

    def _present(self) -> Set[str] | None:
        """Addresses of the workers of a scheduler not our own that has jobs; None if unknown."""
        client = self._client
        if self._cluster is not None or client is None or not self._in("running"):
            return None
        try:
            info = ask_apart(client.scheduler_info, n_workers=-1).result(ANSWER_WITHIN)
        except Exception as error:  # it is closed, lost, or busy: `_watch` looks again
            log.info("the workers are not known: %s", error)
            return None
        return set(info["workers"])

    def _send_again(self, job: Job) -> None:
        """Let a job wait again of which every worker that it may go to has left.

        Those that have come in their place, as after the death of a worker or the end of its
        walltime, have other addresses, so the scheduler would hold it for ever.
        """
        if (future := job.future) is not None:
            with self._lock:
                job.future = None
            future.cancel(force=True)
        if job.tries < TRIES:
            self._wait_again(job)
        else:
            self._end(job, "failed", _explain(job, None, killed=True))

    def _send(self) -> None:
        """Send waiting jobs to the cluster, as many as it has free threads."""
        if not self._in("queued"):
            self.trouble = ""
            return
        from distributed.client import ClosedClientError

        client = self._connected()
        options, apart = {}, False
        if self._cluster is None:
            able, apart = self._able_workers(client)
            self.at_once, options = sum(able.values()), {"workers": list(able)}
        try:
            with self._lock:
                groups = self._next()
                for jobs in [] if apart else groups:
                    future = client.submit(carry_out, *_asked(jobs), **_options(jobs), **options)
                    _mark_sent(jobs, options)
                    for at, job in enumerate(jobs):
                        job.future = future
                        future.add_done_callback(partial(self._over, job, at))
            for jobs in groups if apart else []:
                self._send_with_files(jobs, client, options)
        except ClosedClientError:  # since `_watch` looked, which will look again
            return

    def _send_with_files(
        self, jobs: Sequence[Job], client: Client, options: Mapping[str, Any]
    ) -> None:
        """Send jobs, with the files that they read, to a worker that does not reach the store.

        That takes its time, in which the pages look at the queue and jobs are cancelled.
        """
        import dask

        patterns: set[str] = set()
        for job in jobs:
            try:
                if name := job.task.reserves:
                    job.place = exchange.reserve(name)
                patterns.update(job.task.files)
            except InvalidRequest as error:
                self._end(job, "failed", str(error))
        try:
            sent = exchange.pack(sorted(patterns), depot.address())
        except (InvalidRequest, OSError) as error:
            reason = files.sentence(error) if isinstance(error, OSError) else str(error)
            for job in jobs:
                self._end(job, "failed", reason)
        with self._lock:
            for job in jobs:
                if job.state != "queued":  # cancelled meanwhile
                    job.release()
            if not (left := [job for job in jobs if job.state == "queued"]):
                return
            own_options = _options(left)
            _mark_sent(left, options, apart=True)
        # Dask advises against large arguments, but what a worker holds is lost with that worker.
        quiet = {"distributed.admin.large-graph-warning-threshold": "1 TB"}
        try:
            with dask.config.set(quiet):
                future = client.submit(
                    carry_out_apart, sent, *_asked(left), **own_options, **options
                )
        except Exception:
            for job in left:
                self._wait_again(job)
            raise
        with self._lock:
            for job in left:
                if job.active:
                    job.future = future
        future.add_done_callback(partial(self._arrived, left))

    def _next(self) -> list[list[Job]]:
        """The waiting jobs that can be begun now; each list is carried out together."""
        waiting, running = self._in("queued"), self._in("running")
        n_running = len({id(job.future) for job in running})
        free = max(self.at_once - n_running, 0)
        if self._cluster is None:  # a scheduler not our own has workers for others, too
            return self._grouped(waiting)[:free]
        if not all(job.task.parallel for job in running):
            return []
        beside = self._grouped(list(itertools.takewhile(lambda job: job.task.parallel, waiting)))
        wanted = min(n_running + len(beside), self.at_once)
        if wanted > self._workers:
            scale_cluster(self._cluster, wanted)
            self._workers = wanted
        return beside[:free] if beside or running else [waiting[:1]]

    def _grouped(self, waiting: Sequence[Job]) -> list[list[Job]]:
        """Waiting jobs in their order, those that are alike together, shared out to all workers."""
        counts = Counter(job.task.alike for job in waiting)
        groups: dict[Hashable, list[list[Job]]] = {}
        for job in waiting:
            alike = job.task.alike
            most = min(-(-counts[alike] // max(self.at_once, 1)), MOST_TOGETHER)
            own = groups.setdefault(job.id if alike is None else alike, [])
            if not own or len(own[-1]) >= most:
                own.append([])
            own[-1].append(job)
        order = {job.id: at for at, job in enumerate(waiting)}
        return sorted(itertools.chain(*groups.values()), key=lambda jobs: order[jobs[0].id])

    def _over(self, job: Job, at: int, future: Future) -> None:
        """Record the end of a task of which the worker did not report it."""
        if future is not job.future or job.stop_asked is not None:
            return
        try:
            if future.status == "finished":
                self._conclude(job, future.result(timeout=ANSWER_WITHIN)[at])
            elif future.status == "cancelled" and job.shared:
                with self._lock:
                    job.interrupted = time.monotonic()
            else:
                error = future.status == "error" and future.exception(timeout=ANSWER_WITHIN)
                self._lost(job, error or None)
        except OSError:  # lost meanwhile
            self._lost(job)
        self._submit_next()

    def _arrived(self, jobs: Sequence[Job], future: Future) -> None:
        """Store what jobs wrote at a worker without the store, and record how they ended."""
        if future.status != "finished":
            for at, job in enumerate(jobs):
                self._over(job, at, future)
            return
        with self._lock:
            waiting = {
                at: job
                for at, job in enumerate(jobs)
                if job.future is future and job.stop_asked is None
            }
            places = {
                job.task.reserves: job.place if at in waiting else None
                for at, job in enumerate(jobs)
                if job.task.reserves
            }
        if not waiting:
            return
        try:
            ended, written = future.result(timeout=FETCH_WITHIN)
            names = exchange.receive(written, places)
            for at, job in waiting.items():
                state, error, run = ended[at]
                self._conclude(job, (state, error, names.get(run, run)))
        except InvalidRequest as error:
            for job in waiting.values():
                self._end(job, "failed", str(error))
        except Exception as error:
            lost = isinstance(error, OSError)  # meanwhile, or it takes too long
            for job in waiting.values():
                self._lost(job, None if lost else error)
        self._submit_next()

    def _lost(self, job: Job, error: BaseException | None = None) -> None:
        """End a job whose worker is lost, or queue it again if it had not begun."""
        killed = error is None or type(error).__name__ == "KilledWorker"
        with self._lock:
            if job.stop_asked is not None:
                self._end(job, "cancelled")
            elif killed and job.active and not job.begun and job.tries < TRIES:
                job.release()
                job.state, job.what, job.future = "queued", "Waiting", None
            else:
                self._end(job, "failed", _explain(job, error))

    def _drop(self) -> None:
        """Give up a lost cluster; waiting jobs go to the next one."""
        client, cluster = self._client, self._cluster
        self._client = self._cluster = None
        self.notice = ""
        if cluster is not None:
            kill_cluster(cluster)
        if client is not None:
            ask_apart(client.close)
        for job in self._in("running"):
            self._lost(job)

    def _connected(self) -> Client:
        """Client of a running cluster, started or connected anew if necessary."""
        if self._client is not None:
            return self._client
        address = os.environ.get("AECORE_SCHEDULER")
        if address:
            self.trouble = (
                f"Waiting for the scheduler at {address} (AECORE_SCHEDULER) to answer. If it never "
                "does, start one there, give its address, or unset the variable."
            )
            client = connect_to(address)
            self._checked.clear()
        else:
            self._cluster, client = start_cluster()
            self._workers, self.at_once = 1, most_workers()
        client.subscribe_topic(TOPIC, self._hear)
        self._client = client
        return client

    def _able_workers(self, client: Client) -> tuple[dict[str, int], bool]:
        """Number of threads of each usable worker, by its address, at an external scheduler.

        And whether files travel, because none of them reaches the store.
        """
        self.trouble = ""
        if client.scheduler is None:  # closed meanwhile
            return {}, False
        address = str(client.scheduler.address)
        try:
            workers = ask_apart(client.scheduler_info, n_workers=-1).result(ANSWER_WITHIN)[
                "workers"
            ]
        except TimeoutError:
            self.trouble = f"The scheduler at {address} does not answer: start it again."
            return {}, False
        places = {worker["id"]: place for place, worker in workers.items()}
        places |= {checks.SCHEDULER: address}
        if unknown := {key: place for key, place in places.items() if key not in self._checked}:
            self._checked |= checks.examine(client, unknown, ANSWER_WITHIN)
        answers = {key: self._checked.get(key, checks.NO_ANSWER) for key in places}
        scheduler = answers.pop(checks.SCHEDULER)
        apart = checks.travelling(answers.values())
        reasons = {
            places[key]: "" if apart and each.apart else each.reason
            for key, each in answers.items()
        }
        in_words = checks.in_words({checks.SCHEDULER: scheduler.reason, **reasons})
        able = {
            place: worker["nthreads"]
            for place, worker in workers.items()
            if not reasons[place] and not scheduler.reason
        }
        self.notice = f"{checks.notice() if apart else ''} {in_words}".strip() if able else ""
        if not able:
            in_words = in_words or f"The scheduler at {address} has no worker."
            self.trouble = f"{in_words} {checks.advice(address)}"
        return able, apart

    # --- The client's thread ---

    def _hear(self, event: tuple[float, dict[str, Any]]) -> None:
        """Process an event from the worker of a job."""
        from distributed import fire_and_forget

        message = event[1]
        view = {name: unpack_array(packed) for name, packed in message.get("view", {}).items()}
        with self._lock:
            job = self._jobs.get(message["job"])
            if job is None or job.state != "running":
                return
            if not job.begun and job.future is not None and not job.apart:
                # What has begun at a scheduler not our own may end though this process does.
                fire_and_forget(job.future)
            job.begun = True
            if "ended" in message:
                # An unexpected error is raised by the future, unless nothing waits for it.
                if message["ended"] is not None or job.stop_asked is not None:
                    self._conclude(job, message["ended"] or ("cancelled", "", ""))
                    self._submit_next()
            elif "entry" in message:
                job.log = job.log.add(message["entry"], view)
            elif job.stop_asked is None:
                if message["what"] != job.what:
                    job.began = time.monotonic(), message["done"]
                job.what, job.done, job.total = message["what"], message["done"], message["total"]


def _asked(jobs: Sequence[Job]) -> list[tuple[str, Task]]:
    return [(job.id, job.task) for job in jobs]


def _options(jobs: Sequence[Job]) -> dict[str, Any]:
    return {"key": f"{TOPIC}-{jobs[0].id}-{jobs[0].tries}", "pure": False}


def _mark_sent(jobs: Sequence[Job], options: Mapping[str, Any], apart: bool = False) -> None:
    for job in jobs:
        job.shared, job.apart, job.workers = len(jobs) > 1, apart, options.get("workers", ())
        job.state, job.what, job.sent = "running", "Starting", time.monotonic()
        job.tries += 1


def _explain(job: Job, error: BaseException | None, killed: bool = False) -> str:
    """Message for a job that ended abnormally."""
    if error is not None and type(error).__name__ != "KilledWorker":
        log.error("job %s: %s", job.id, job.task.title, exc_info=error)
        return f"It ended with an error that was not expected, {type(error).__name__}: {error}"
    hint = "start it again."
    if job.log.history and not job.apart:
        hint = f"the checkpoint of epoch {job.log.history[-1]['epoch']} is kept, resume it."
    if error is None and not killed and (address := os.environ.get("AECORE_SCHEDULER")):
        what = "The job, too, has ended" if job.apart else "If the job has ended"
        return f"The connection to the scheduler at {address} was lost. {what}: {hint}"
    return f"The worker process ended unexpectedly (killed, or out of memory): {hint}"
