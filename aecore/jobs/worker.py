"""Worker side of a job: run a task and publish its progress as Dask events."""

from __future__ import annotations

import time
from typing import Any, Literal

import numpy as np

from aecore.errors import Cancelled, InvalidRequest
from aecore.progress import Task
from aecore.runs import store

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


def carry_out(job_id: str, task: Task) -> Ended:
    """Run a task; publish and return how it ended."""
    reporter = WorkerReporter(job_id)
    try:
        ended = _run(task, reporter)
    except BaseException:
        reporter.say(ended=None)
        raise
    reporter.say(ended=ended)
    return ended


def _run(task: Task, reporter: WorkerReporter) -> Ended:
    try:
        reporter.progress("Starting", 0, 1)
        result = task.run(reporter)
    except Cancelled:
        return "cancelled", "", ""
    except InvalidRequest as error:
        return "failed", str(error), ""
    return "done", "", result.name if isinstance(result, store.Run) else ""
