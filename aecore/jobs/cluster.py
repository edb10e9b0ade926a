"""Dask cluster of one worker process, and the connection to a scheduler."""

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


def ask(call: Callable[..., T], *arguments: Any, **options: Any) -> Answer[T]:
    """Future of a call that may never return, made in a thread of its own."""
    answer: Answer[T] = Answer()

    def run() -> None:
        try:
            answer.set_result(call(*arguments, **options))
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return answer


IMPORT = "import aecore.jobs"


def connect_to(address: str) -> Client:
    """Client of the `AECORE_SCHEDULER`; raises `InvalidRequest` if it does not answer."""
    try:
        return ask(client_of, address, CONNECT_WITHIN).result(2 * CONNECT_WITHIN)
    except Exception as error:
        raise InvalidRequest(
            f"The cluster cannot be reached: AECORE_SCHEDULER = '{address}' is not the address of "
            f"a Dask scheduler that answers ({str(error) or 'no answer'}). Start one there, "
            "give its address, such as tcp://127.0.0.1:8786, or unset the variable to use a worker "
            "of our own; then start the server again."
        ) from error


LARGE = str(2**30)
SETTINGS = {
    # Dask's defaults make glibc give the memory of every training step back and leave torch one
    # thread, which makes an epoch 1.7 times slower.
    "distributed.nanny.pre-spawn-environ": {
        "MALLOC_TRIM_THRESHOLD_": LARGE,
        "MALLOC_MMAP_THRESHOLD_": LARGE,
    },
    "distributed.worker.profile.enabled": False,
    # A job whose worker died is reported, not restarted silently.
    "distributed.scheduler.allowed-failures": 0,
    "distributed.admin.low-level-log-length": 100,
}


def start() -> tuple[subprocess.Popen[bytes], Client]:
    """Start a new cluster and its client; raises `InvalidRequest` if a few attempts fail."""
    for _ in range(TRIES):
        cluster = _start_cluster()
        # A process without output is killed, which ends the reading.
        limit = threading.Timer(START_WITHIN, kill, (cluster,))
        limit.start()
        address = cluster.stdout.readline().decode().strip() if cluster.stdout else ""
        limit.cancel()
        try:
            if address:
                return cluster, ask(client_of, address, CONNECT_WITHIN).result(START_WITHIN)
        except Exception as error:
            log.warning("the cluster at %s does not answer: %s", address, error)
        kill(cluster)
    raise InvalidRequest(
        f"The worker process did not start, tried {TRIES} times: the server's log says why. "
        "Start the job again."
    )


def _start_cluster() -> subprocess.Popen[bytes]:
    """Start `python -m aecore.jobs`, which prints its scheduler's address."""
    return subprocess.Popen(
        [sys.executable, "-m", "aecore.jobs.cluster"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        start_new_session=True,  # Ctrl-C is for the dashboard; the cluster ends after it
    )


def kill(cluster: subprocess.Popen[bytes]) -> None:
    """Kill a cluster with its worker, also if they are stopped or hang."""
    with suppress(ProcessLookupError):  # all of them have ended
        os.killpg(cluster.pid, signal.SIGKILL)
    cluster.wait()


def _serve() -> None:
    """Run a scheduler and one worker on the loopback address until standard input closes.

    It is a process of its own because a worker is started by importing the main module again,
    and Streamlit puts the page that happens to run in that place.
    """
    import dask
    from distributed import Client, LocalCluster, WorkerPlugin

    class LowPriority(WorkerPlugin):
        """Worker plugin that lowers the priority of the process, in favour of the dashboard."""

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
        client.register_plugin(LowPriority())
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    _serve()
