"""Local cluster: `python -m aecore.jobs.serve` runs a scheduler and its workers."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

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


def serve() -> None:
    """Run a scheduler and one worker on the loopback address until standard input closes.

    Each line of the input is a number of workers, to have from then on.

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
        for line in sys.stdin:
            cluster.scale(int(line))


if __name__ == "__main__":
    serve()
