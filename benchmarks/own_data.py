"""Benchmark of files of one's own: seconds from the command to the stored dataset, and memory.

    python -m benchmarks.own_data

`csv`      `latent-loupe data add` of 5,000 rows: 28 numbers, some missing, a category, a label.
`parquet`  the same of 1,000,000 rows of 64 numbers in single precision and a label.
`pictures` the same of a ZIP archive of 10,000 PNG files, 64 x 64 pixels in colour, made 28 x 28.

Each is a process of its own. `seconds` are of wall clock, its start included, and `processor` of
processor; `memory` is its peak in megabytes, and `opened` the memory of a further process that
opened both splits, without what is mapped from files.
"""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas
from PIL import Image

ROOT = Path(__file__).parents[1]
STATUS = "print(next(line for line in open('/proc/self/status') if line.startswith('{}')))"
ADD = f"from aecore.cli import app; app(standalone_mode=False); {STATUS.format('VmHWM')}"
OPEN = f"from aecore import data; d = data.get('own'); d.train, d.test; {STATUS.format('RssAnon')}"


def csv(folder: Path) -> list[str]:
    """Write a table of text."""
    random = np.random.default_rng(0)
    numbers = random.normal(random.uniform(-9, 9, 28), random.uniform(0.1, 50, 28), (5_000, 28))
    numbers[random.random(numbers.shape) < 0.001] = np.nan
    table = pandas.DataFrame(numbers.round(5), columns=[f"m{at}" for at in range(28)])
    table["colour"] = random.choice(["red", "green", "blue"], 5_000)
    table["species"] = random.choice(["setosa", "virginica"], 5_000)
    table.to_csv(folder / "own.csv", index=False)
    return [str(folder / "own.csv"), "--label", "species"]


def parquet(folder: Path) -> list[str]:
    """Write a large table of columns."""
    random = np.random.default_rng(0)
    numbers = random.standard_normal((1_000_000, 64), dtype=np.float32)
    table = pandas.DataFrame(numbers, columns=[f"m{at}" for at in range(64)])
    table["label"] = random.integers(0, 10, 1_000_000)
    table.to_parquet(folder / "own.parquet")
    return [str(folder / "own.parquet"), "--label", "label"]


def pictures(folder: Path) -> list[str]:
    """Write an archive of images in ten classes."""
    random = np.random.default_rng(0)
    with zipfile.ZipFile(folder / "own.zip", "w") as archive:
        for number in range(10_000):
            stream = io.BytesIO()
            pixels = random.integers(0, 255, (64, 64, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(stream, "PNG")
            archive.writestr(f"{number % 10}/{number}.png", stream.getvalue())
    return [str(folder / "own.zip"), "--size", "28", "--colour", "colour"]


def run(command: list[str], store: Path) -> int:
    """Megabytes that a process prints at its end."""
    environment = {**os.environ, "AECORE_STORE": str(store)}
    done = subprocess.run(
        [sys.executable, "-c", *command],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return int(done.stdout.split()[-2]) // 1024


def children() -> float:
    """Seconds of processor that processes have taken that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(write: Callable[[Path], list[str]]) -> dict[str, float]:
    """Add one file to a new store."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = write(folder)
        start, before = time.perf_counter(), children()
        memory = run([ADD, "data", "add", *options, "--name", "own", "--json"], folder / "store")
        seconds, processor = time.perf_counter() - start, children() - before
        return {
            "seconds": round(seconds, 2),
            "processor": round(processor, 2),
            "memory": memory,
            "opened": run([OPEN], folder / "store"),
            "file": round(Path(options[0]).stat().st_size / 2**20, 1),
        }


if __name__ == "__main__":
    print(json.dumps({each.__name__: measure(each) for each in (csv, parquet, pictures)}, indent=1))
