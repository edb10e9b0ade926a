"""Waiting policy of OpenMP threads during training: spin on idle processors, else sleep.

At the end of each parallel loop the threads of libgomp, with which torch computes on Linux, spin
for some milliseconds before they sleep. While each thread has a processor, nothing is faster. Where
another process takes one of two processors, one thread waits in line behind that process while the
other spins: an epoch of 3 s took 20 to more than 100 s. With threads that sleep at once it took
4.3 s on a quiet machine, and 5.5 to 6.2 s beside the busy process.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import torch
from threadpoolctl import threadpool_limits

WINDOW = 0.1
"""Seconds over which the time that threads wait for a processor is summed."""
CONTENTION = 0.3
"""Seconds of such waiting a second from which on threads sleep; 0 to 0.2 on a quiet machine, 0.5 to
1 beside a process that takes a whole processor."""
SHORTEST_SLEEP, LONGEST_SLEEP = 2.0, 8.0
"""Seconds of sleeping before spinning is tried again: doubled each time that the trial fails."""

TASKS = Path("/proc/self/task")


@contextmanager
def one_thread() -> Iterator[None]:
    """Context in which this process computes with one thread, for work beside other such work."""
    before = torch.get_num_threads()
    with threadpool_limits(1):
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)


class AdaptiveWaiting:
    """Context that makes OpenMP threads sleep, not spin, while other processes need processors.

    After each `WINDOW` of training it compares how long the threads of this process were runnable
    but not running (Linux: second number of `schedstat`). From `CONTENTION` on they sleep for some
    seconds, after which spinning is tried again.

    libgomp shortens the spinning (300,000 turns become 1,000) while a process has more OpenMP
    threads than processors; so sleeping is switched on by threads that do nothing, and off by
    ending them. The threads that compute stay as many, so results are bit-equal either way.

    Use it as a context: nothing is changed after it ends. It does nothing with one thread, or
    without Linux's counters.
    """

    def __init__(self, device: torch.device) -> None:
        self._threads = torch.get_num_threads()
        self._adapts = (
            device.type == "cpu"
            and sys.platform == "linux"
            and self._threads > 1
            and Path("/proc/self/schedstat").is_file()
        )
        self._extra: _ExtraThreads | None = None
        self._sleep = SHORTEST_SLEEP
        self._until = 0.0
        self.restart()

    @property
    def sleeping(self) -> bool:
        """Whether the threads sleep while they wait for each other."""
        return self._extra is not None

    def restart(self) -> None:
        """Begin a new measuring window; call it after a pause of the training threads."""
        self._began = time.perf_counter()
        self._waited = _seconds_waited() if self._adapts else 0.0

    def step(self) -> None:
        """Measure and switch the policy if necessary; call it after each batch."""
        now = time.perf_counter()
        if not self._adapts or now < max(self._until, self._began + WINDOW):
            return
        if self._extra is not None:
            self._spin()
        elif (_seconds_waited() - self._waited) / (now - self._began) > CONTENTION:
            self._extra = _ExtraThreads(self._threads)
            self._until = now + self._sleep
            self._sleep = min(2 * self._sleep, LONGEST_SLEEP)
        else:
            self._sleep = SHORTEST_SLEEP
        self.restart()

    def _spin(self) -> None:
        if self._extra is not None:
            self._extra.close()
            self._extra = None

    def __enter__(self) -> AdaptiveWaiting:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._spin()


def _seconds_waited() -> float:
    """Total time that threads of this process have been runnable without running, in seconds."""
    nanoseconds = 0
    for task in os.scandir(TASKS):
        try:
            nanoseconds += int(Path(task.path, "schedstat").read_bytes().split()[1])
        except OSError:
            continue  # the thread has ended since the folder was listed
    return nanoseconds / 1e9


class _ExtraThreads:
    """Idle OpenMP threads that raise the thread count of the process above its processors."""

    def __init__(self, n: int) -> None:
        self._over = threading.Event()
        # Each holder's team of n adds n - 1 threads to the n that compute.
        processors = len(os.sched_getaffinity(0))
        holders = max(1, -(-(processors + 1 - n) // (n - 1)))
        ready = threading.Barrier(holders + 1)
        self._holders = [
            threading.Thread(target=self._hold, args=(n, ready), daemon=True)
            for _ in range(holders)
        ]
        for holder in self._holders:
            holder.start()
        ready.wait()

    def _hold(self, n: int, ready: threading.Barrier) -> None:
        torch.zeros(n << 15).add_(1)  # torch gives a thread to each 32,768 numbers
        ready.wait()
        self._over.wait()

    def close(self) -> None:
        """End the threads and their OpenMP teams."""
        self._over.set()
        for holder in self._holders:
            holder.join()
