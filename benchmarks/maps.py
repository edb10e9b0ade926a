"""Benchmark of the maps of the 10,000 MNIST test samples: time and trustworthiness.

    python -m benchmarks.maps [--rounds 1]

ours    PCA, the neighbour graph, t-SNE and UMAP as the dashboard computes them, and all measures of
        these three maps and of the plane of the stored run mnist-ae.
theirs  `sklearn.manifold.TSNE()` and `umap.UMAP()`, both with their defaults, of the same 784
        features; no measures.

Each side runs in a fresh process, by turns, so that whatever is compiled is compiled again; ours
has an empty store besides. The seconds are those between the data in memory and the result; the
imports of libraries count. Trustworthiness (k = 12) of their maps is measured afterwards, outside
the time. One JSON document goes to standard output.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aecore.data import Dataset

TARGET = 0.45
SHIPPED = Path(__file__).parents[1] / "models_store"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.side:
        print(json.dumps(SIDES[asked.side]()))
        return
    rounds = [{side: in_fresh_process(side) for side in SIDES} for _ in range(asked.rounds)]
    ratios = [turn["ours"]["total"] / turn["theirs"]["total"] for turn in rounds]

    def trust(side: str, name: str) -> float:
        return mean(turn[side]["trustworthiness"][name] for turn in rounds)

    gain = {name: trust("ours", name) - trust("theirs", name) for name in ("t-SNE", "UMAP")}
    document = {"rounds": rounds, "ratio": median(ratios), "target": TARGET, "gain in trust": gain}
    print(json.dumps(document, indent=1))


def in_fresh_process(side: str) -> dict:
    """Result of `SIDES[side]`, called in a process and with a store of its own."""
    with tempfile.TemporaryDirectory() as store:
        shutil.copytree(SHIPPED / "mnist-ae", Path(store) / "mnist-ae")
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.maps", "--side", side]
        done = subprocess.run(
            command,
            env=os.environ | {"AECORE_STORE": store},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    return json.loads(done.stdout.splitlines()[-1])


class Clock:
    """Durations of named stages, in seconds."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.stages[name] = time.perf_counter() - began

    def report(self, trustworthiness: dict[str, float]) -> dict:
        """Stages, their sum, and the quality of the maps."""
        total = sum(self.stages.values())
        return {"stages": self.stages, "total": total, "trustworthiness": trustworthiness}


def ours() -> dict:
    from aecore import projections
    from aecore.projections import TEST_SPLIT, PCAProjection, TSNEProjection, UMAPProjection
    from aecore.runs import store

    data = loaded()
    clock, planes, trust = Clock(), {}, {}

    def progress(what: str, done: float, total: float) -> None:
        """Ignore progress."""

    with clock.stage("components"):
        projections.components(data)
    with clock.stage("graph"):
        projections.graph(data, 1)
    for projection in (PCAProjection(), TSNEProjection(), UMAPProjection()):
        with clock.stage(projection.title):
            planes[projection.title] = projection.place(data, progress)
    planes["mnist-ae"] = store.load("mnist-ae").codes["plane"]
    for name, plane in planes.items():
        with clock.stage(f"measures of {name}"):
            facts, _ = projections.measure(data, TEST_SPLIT, plane)
        trust[name] = facts["trustworthiness"]
    return clock.report(trust)


def theirs() -> dict:
    from aecore import metrics

    x = loaded().test.x
    clock, planes = Clock(), {}
    warnings.simplefilter("ignore")
    with clock.stage("t-SNE"):
        from sklearn.manifold import TSNE

        planes["t-SNE"] = TSNE().fit_transform(x)
    with clock.stage("UMAP"):
        from umap import UMAP

        planes["UMAP"] = UMAP().fit_transform(x)
    return clock.report(
        {name: metrics.trustworthiness(x, plane, 12) for name, plane in planes.items()}
    )


def loaded() -> Dataset:
    """MNIST with both splits loaded."""
    from aecore import data

    mnist = data.get("mnist")
    assert len(mnist.train.x) and len(mnist.test.x)
    return mnist


SIDES = {"ours": ours, "theirs": theirs}

if __name__ == "__main__":
    main()
