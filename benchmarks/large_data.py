"""Benchmark of data larger than memory: seconds of each step, and the memory beside what is mapped.

    python -m benchmarks.large_data table images

`table`   1,000,000 x 64 float32 as Parquet: stored, `ae` for two epochs, analysed, mapped.
`images`  200,000 images of 32 x 32 in colour as NPY: the same with `conv-vae` for one epoch.

Maps are of 20,000 test samples, drawn class by class. Each step is a process of its own.
`anonymous` is the peak of its memory, and of its children's, that is not mapped from files, in
megabytes, looked at every 50 ms (RssAnon of /proc/PID/status); `resident` the peak of all.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

ROOT = Path(__file__).parents[1]
MAPPED = 20_000
CLI = [sys.executable, "-m", "aecore"]
PAYLOAD = f"""
from aecore.data import Subset
from aecore import data
from aecore.runs import store
from aecore.viewer import payload
run = store.load("own-run")
print(len(payload.build_payload(
    run, run.dataset, Subset(limit={MAPPED}), {{}}, None, {{}}, "all")))
"""
ANALYSE = """
from aecore import latent
class Silent:
    def progress(self, *said): pass
latent.Analyse("own-run").run(Silent())
"""


def table(folder: Path) -> tuple[list[str], list[str]]:
    """Write a table in ten clusters; return the options of adding it, and of a training."""
    import pyarrow
    from pyarrow import parquet

    random = np.random.default_rng(0)
    centres = random.normal(0, 3, (10, 64)).astype(np.float32)
    names = [f"m{at}" for at in range(64)]
    schema = pyarrow.schema([(n, pyarrow.float32()) for n in names] + [("label", pyarrow.int64())])
    with parquet.ParquetWriter(folder / "own.parquet", schema) as writer:
        for _ in range(10):
            label = random.integers(0, 10, 100_000)
            x = centres[label] + random.standard_normal((100_000, 64), dtype=np.float32)
            writer.write_table(pyarrow.table([*map(pyarrow.array, x.T), label], schema))
    options = ["--variant", "ae", "--epochs", "2", "--batch-size", "1024"]
    return [str(folder / "own.parquet"), "--label", "label"], options


def images(folder: Path) -> tuple[list[str], list[str]]:
    """Write colour images of a bright patch at one of ten places each."""
    random = np.random.default_rng(0)
    shape = (200_000, 32, 32, 3)
    x = np.lib.format.open_memmap(folder / "own.npy", "w+", np.uint8, shape)
    for first in range(0, len(x), 10_000):
        part = random.integers(0, 60, (10_000, *shape[1:])).astype(np.uint8)
        for at, place in enumerate(random.integers(0, 20, (10_000, 2))):
            part[at, place[0] : place[0] + 12, place[1] : place[1] + 12] += np.uint8(150)
        x[first : first + len(part)] = part
    x.flush()
    options = ["--variant", "conv-vae", "--epochs", "1", "--batch-size", "512"]
    return [str(folder / "own.npy"), "--colour", "colour"], options


def step(command: list[str], store: Path) -> dict[str, float]:
    """Run a step; return its seconds and the peaks of its memory in megabytes."""
    environment = {**os.environ, "AECORE_STORE": str(store)}
    start = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=said
        )
        anonymous = resident = 0
        while process.poll() is None:
            one, all_of = _memory(process.pid)
            anonymous, resident = max(anonymous, one), max(resident, all_of)
            time.sleep(0.05)
        if process.returncode:
            said.seek(0)
            raise SystemExit(said.read().decode()[-3_000:])
    return {
        "seconds": round(time.perf_counter() - start, 1),
        "anonymous": anonymous >> 10,
        "resident": resident >> 10,
    }


def _memory(pid: int) -> tuple[int, int]:
    """Kilobytes of a process and its children: not mapped from files, and in all."""
    totals = [0, 0]
    try:
        for process in (own := psutil.Process(pid), *own.children(recursive=True)):
            text = Path(f"/proc/{process.pid}/status").read_text()
            facts = dict(line.split(":", 1) for line in text.splitlines())
            for at, name in enumerate(("RssAnon", "VmRSS")):
                totals[at] += int(facts.get(name, "0 kB").split()[0])
    except (psutil.Error, OSError):
        pass  # it has just ended
    return totals[0], totals[1]


def measure(what: str) -> dict[str, dict[str, float]]:
    """Measure all steps with one kind of data."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("LARGE_DATA")) as name:
        folder = Path(name)
        store = folder / "store"
        added, trained = {"table": table, "images": images}[what](folder)
        steps = {
            "add": [*CLI, "data", "add", *added, "--name", "own", "--json"],
            "train": [*CLI, "train", "--dataset", "own", "--name", "own-run", *trained, "--json"],
            "analyse": [sys.executable, "-c", ANALYSE],
        }
        for method in ("pca", "umap", "tsne"):
            asked = ["--method", method, "--limit", str(MAPPED), "--json"]
            steps[method] = [*CLI, "project", "--dataset", "own", *asked]
        steps["payload"] = [sys.executable, "-c", PAYLOAD]
        figures = {}
        for each, command in steps.items():
            figures[each] = step(command, store)
            print(what, each, figures[each], flush=True)
        return figures


if __name__ == "__main__":
    print(json.dumps({each: measure(each) for each in sys.argv[1:]}, indent=1))
