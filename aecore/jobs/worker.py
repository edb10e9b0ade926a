"""Worker side of a job: run a task and publish its progress as Dask events."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from aecore.errors import Cancelled, InvalidRequest
from aecore.jobs import exchange
from aecore.runs import store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aecore.progress import Task

TOPIC = "latent-loupe"
SECONDS_BETWEEN_NEWS = 0.2
State = Literal["queued", "running", "done", "failed", "cancelled"]


class WorkerReporter:
    """Publishes progress as Dask events, at most every 0.2 s."""

    def __init__(self, job_id: str) -> None:
        from distributed import get_worker

        self.job_id, self.worker, self.last, self.what = job_id, get_worker(), 0.0, ""
        self.key = self.worker.get_current_task()

    def progress(self, what: str, done: float, total: float) -> None:
        # The state of a task that runs and is not wanted any more (Dask, "Worker State Machine").
        task = self.worker.state.tasks.get(self.key)
        if task is None or task.state == "cancelled":
            raise Cancelled
        now = time.monotonic()
        if what != self.what or now - self.last > SECONDS_BETWEEN_NEWS:
            self.last, self.what = now, what
            self.say(what=what, done=done, total=total)

    def epoch(self, entry: dict[str, Any], view: dict[str, np.ndarray]) -> None:
        self.say(entry=entry, view={name: pack_array(array) for name, array in view.items()})

    def say(self, **message: Any) -> None:
        self.worker.log_event(TOPIC, {"job": self.job_id, **message})


def pack_array(array: np.ndarray) -> tuple[str, tuple[int, ...], bytes]:
    return array.dtype.str, array.shape, array.tobytes()


def unpack_array(packed: tuple[str, tuple[int, ...], bytes]) -> np.ndarray:
    kind, shape, content = packed
    return np.frombuffer(content, kind).reshape(shape)


Ended = tuple[State, str, str]
"""How a task ended, why where it failed, and the name of the run that was stored."""


def carry_out(*jobs: tuple[str, Task]) -> list[Ended]:
    """Run a task, or tasks that are alike; publish and return how each ended."""
    with _reporters(jobs) as reporters:
        ended = _run([task for _, task in jobs], reporters)
    for reporter, each in zip(reporters, ended, strict=True):
        reporter.say(ended=each)
    return ended


def carry_out_apart(
    files: exchange.Sent, *jobs: tuple[str, Task]
) -> tuple[list[Ended], exchange.Written]:
    """Run them in a store of these files alone; return how each ended, and what was written."""
    with _reporters(jobs) as reporters:
        try:
            with exchange.own_store(files, reporters[0].worker.local_directory) as written:
                ended = _run([task for _, task in jobs], reporters)
                new = written()
        except InvalidRequest as error:  # a full disk, or more than can travel
            ended, new = [("failed", str(error), "")] * len(jobs), exchange.Written({})
    for reporter, each in zip(reporters, ended, strict=True):
        # Any other end is that of its files in the store.
        reporter.say(ended=each if each[0] == "cancelled" else None)
    return ended, new


@contextmanager
def _reporters(jobs: Sequence[tuple[str, Task]]) -> Iterator[list[WorkerReporter]]:
    """Context of the reporters of jobs, which says if it is left by an error."""
    reporters = [WorkerReporter(job_id) for job_id, _ in jobs]
    try:
        yield reporters
    except BaseException:
        for reporter in reporters:
            reporter.say(ended=None)
        raise


def _run(tasks: Sequence[Task], reporters: Sequence[WorkerReporter]) -> list[Ended]:
    try:
        for reporter in reporters:
            reporter.progress("Starting", 0, 1)
        if len(tasks) > 1:
            results = type(tasks[0]).run_together(tasks, reporters)
        else:
            results = [_result(tasks[0], reporters[0])]
    except Cancelled:
        return [("cancelled", "", "")] * len(tasks)
    return [_ended(result) for result in results]


def _result(task: Task, reporter: WorkerReporter) -> Any:
    try:
        return task.run(reporter)
    except InvalidRequest as error:
        return error


def _ended(result: Any) -> Ended:
    if isinstance(result, InvalidRequest):
        return "failed", str(result), ""
    return "done", "", result.name if isinstance(result, store.Run) else ""
