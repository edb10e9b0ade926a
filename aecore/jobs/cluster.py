"""Dask cluster of our own, and the connection to a scheduler."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future as Answer
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from aecore.errors import InvalidRequest

if TYPE_CHECKING:
    from distributed import Client


CONNECT_WITHIN = 30
"""For a scheduler to answer for the first time, on a slow machine or network."""
START_WITHIN = 180
"""For a cluster of our own to say its address, and its worker to begin a job, on a slow machine."""
TRIES = 3
"""How often a cluster is started, and a job sent to clusters that are lost before it begins."""

T = TypeVar("T")

log = logging.getLogger(__name__)


def client_of(address: str, within: float) -> Client:
    """Client of a scheduler that answers; raises the error that prevents an answer."""
    from distributed import Client, Security
    from distributed.comm.core import connect

    async def knock() -> None:
        async with asyncio.timeout(within):
            options = Security().get_connection_args("client")
            await (await connect(address, timeout=within, **options)).close()

    # A client without a connection blocks any thread that collects garbage, for seconds.
    asyncio.run(knock())
    return Client(address, timeout=within, set_as_default=False)


def ask_apart(call: Callable[..., T], *arguments: Any, **options: Any) -> Answer[T]:
    """Future of a call that may never return, made in a thread of its own."""
    answer: Answer[T] = Answer()

    def run() -> None:
        try:
            answer.set_result(call(*arguments, **options))
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return answer


def connect_to(address: str) -> Client:
    """Client of the `AECORE_SCHEDULER`; raises `InvalidRequest` if it does not answer."""
    try:
        return ask_apart(client_of, address, CONNECT_WITHIN).result(2 * CONNECT_WITHIN)
    except Exception as error:
        raise InvalidRequest(
            f"The cluster cannot be reached: AECORE_SCHEDULER = '{address}' is not the address of "
            f"a Dask scheduler that answers ({str(error) or 'no answer'}). Start one there, "
            "give its address, such as tcp://127.0.0.1:8786, or unset the variable to use a worker "
            "of our own; then start the server again."
        ) from error


def refuse_unreachable() -> None:
    """Raise `InvalidRequest` if `AECORE_SCHEDULER` names a scheduler that does not answer."""
    if address := os.environ.get("AECORE_SCHEDULER"):
        connect_to(address).close()


def start_cluster() -> tuple[subprocess.Popen[bytes], Client]:
    """Start a new cluster and its client; raises `InvalidRequest` if a few attempts fail."""
    for _ in range(TRIES):
        cluster = _start_process()
        # A process without output is killed, which ends the reading.
        limit = threading.Timer(START_WITHIN, kill_cluster, (cluster,))
        limit.start()
        address = cluster.stdout.readline().decode().strip() if cluster.stdout else ""
        limit.cancel()
        try:
            if address:
                return cluster, ask_apart(client_of, address, CONNECT_WITHIN).result(START_WITHIN)
        except Exception as error:
            log.warning("the cluster at %s does not answer: %s", address, error)
        kill_cluster(cluster)
    raise InvalidRequest(
        f"The worker process did not start, tried {TRIES} times: the server's log says why. "
        "Start the job again."
    )


def _start_process() -> subprocess.Popen[bytes]:
    """Start `python -m aecore.jobs.serve`, which prints its scheduler's address."""
    return subprocess.Popen(
        [sys.executable, "-m", "aecore.jobs.serve"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        start_new_session=True,  # Ctrl-C is for the dashboard; the cluster ends after it
    )


MEMORY_OF_WORKER = 3 * 2**29
"""Bytes that a worker of a parallel task may need, with its libraries."""


def most_workers() -> int:
    """How many workers of one thread this machine takes: one a processor, as memory allows."""
    import psutil

    allowed = hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0))
    fitting = int(psutil.virtual_memory().available // MEMORY_OF_WORKER)
    return max(min(allowed or os.cpu_count() or 1, fitting), 1)


def scale_cluster(cluster: subprocess.Popen[bytes], n: int) -> None:
    """Ask a cluster of our own for so many workers."""
    with suppress(BrokenPipeError):  # it has ended, which the keeper notices
        assert cluster.stdin is not None
        cluster.stdin.write(f"{n}\n".encode())
        cluster.stdin.flush()


def kill_cluster(cluster: subprocess.Popen[bytes]) -> None:
    """Kill a cluster with its worker, also if they are stopped or hang."""
    with suppress(ProcessLookupError):  # all of them have ended
        os.killpg(cluster.pid, signal.SIGKILL)
    cluster.wait()
