"""Streamlit in a process of its own, for the browser tests and the benchmarks."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def server(
    command: Sequence[str], folder: Path, output: IO[str] | None = None, **environment: str
) -> Iterator[str]:
    """Context of a server that is started by a command; yields its address once it answers.

    Arguments
        folder: where it is started.
        output: file for what it prints.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    ports = {"STREAMLIT_SERVER_PORT": port, "PORT": port}  # the second is for `make run`
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | ports | environment,
        stdout=output or subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(1_500):
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=1)
                break
            except OSError:
                time.sleep(0.02)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
