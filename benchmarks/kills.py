"""What becomes of a training whose worker process is killed.

    python -m benchmarks.kills [--kills 20] [--writing 5] [--saving 5] [--mnist 3] [--seed 0]

A variational autoencoder, which draws random numbers at every step, is trained in the worker
process, and the worker gets SIGKILL (`kill -9`): at random moments of the training, while a
checkpoint is being written, and while the finished run is being saved. After each kill the store
must hold no broken run. The training is then resumed to its end, or begun again where there is no
checkpoint yet, and its weights, codes and history (all but the times) must equal, bit for bit,
those of a training that was never interrupted. The same is done with MNIST where it is at hand.

One JSON document goes to standard output, a line for each kill to standard error. The exit status
is 1 where a run was broken or differs. Runs are stored in a temporary folder.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any

from aecore import datasets, jobs, store
from aecore.configs import RunConfig
from benchmarks.training import finished, temporary_store

CLASS = {"dataset": "digits", "variant": "vae", "model": {"hidden": (512, 256)}}
REQUESTS = {
    "digits": {**CLASS, "training": {"epochs": 36, "batch_size": 64, "device": "cpu"}},
    "mnist": {**CLASS, "dataset": "mnist", "training": {"epochs": 2, "device": "cpu"}},
}
TIMES = ("seconds", "samples_per_second")
names = map("run-{}".format, count(1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for option, default in (
        ("kills", 20),
        ("writing", 5),
        ("saving", 5),
        ("mnist", 3),
        ("seed", 0),
    ):
        parser.add_argument(f"--{option}", type=int, default=default)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    plan = {"digits": {"random": options.kills, "writing": options.writing}}
    plan["digits"]["saving"] = options.saving
    if all(datasets.locate("mnist", file) for file in datasets.IDX_FILES):
        plan["mnist"] = {"random": options.mnist}
    with temporary_store():
        queue = jobs.Jobs()
        results = {name: kill_all(queue, name, plan[name], chance) for name in plan}
    print(json.dumps(results, indent=1))
    failed = any(each["broken"] or each["bit_equal"] < each["kills"] for each in results.values())
    sys.exit(1 if failed else 0)


def kill_all(
    queue: jobs.Jobs, dataset: str, kills: dict[str, int], chance: random.Random
) -> dict[str, int]:
    """Kill the worker as often as asked, at each kind of moment; returns what was counted."""
    config = RunConfig.check(REQUESTS[dataset])
    reference = finished(queue.train(config, next(names)))
    expected, epoch_seconds = outcome(reference), seconds_an_epoch(reference)
    counted = Counter({"kills": 0, "broken": 0, "resumed": 0, "bit_equal": 0})
    counted.update({"before_first_checkpoint": 0, "after_the_end": 0})
    for kind, number in kills.items():
        for _ in range(number):
            job = queue.train(config, next(names))
            moment = {
                "random": at_random(job, chance, epoch_seconds),
                "writing": while_writing(job, chance),
                "saving": while_saving(job, chance),
            }[kind]
            at, torn = kill(queue, job, moment), leftovers(job.run)
            broken = store.runs()[1]
            ended, how = bring_to_an_end(queue, job, config)
            equal = outcome(ended) == expected
            counted.update({"kills": 1, "broken": len(broken), "bit_equal": equal, how: 1})
            counted[f"{kind}_kills"] += 1
            counted[f"{kind}_kills_that_left_a_torn_file"] += bool(torn)
            print(
                f"{dataset} {kind}: killed {at}, left {torn or 'nothing half written'}, {how}, "
                f"{'equal' if equal else f'DIFFERENT {ended.error}'}, {len(broken)} broken",
                file=sys.stderr,
            )
    return dict(counted)


Moment = Callable[[], bool]
"""Whether the worker is to be killed now; asked as often as possible."""


def at_random(job: jobs.Job, chance: random.Random, epoch_seconds: float) -> Moment:
    """A random moment within a random epoch, which begins when the one before is heard of."""
    epoch, part = chance.randrange(job.epochs), chance.random()
    planned: list[float] = []

    def due() -> bool:
        time.sleep(0.001)
        if not planned and job.what == "Training" and len(job.history) >= epoch:
            seconds = job.history[-1]["seconds"] if job.history else epoch_seconds
            planned.append(time.monotonic() + part * seconds)
        return bool(planned) and time.monotonic() >= planned[0]

    return due


def while_writing(job: jobs.Job, chance: random.Random) -> Moment:
    """When the file that becomes the checkpoint of a random epoch is there."""
    epoch = chance.randrange(job.epochs)
    folder = store.root() / "_unfinished" / job.run
    return lambda: len(job.history) >= epoch and any(folder.glob(".checkpoint*"))


def while_saving(job: jobs.Job, chance: random.Random) -> Moment:
    """When a random number of the five files of the finished run have been begun."""
    files = chance.randint(1, 5)

    def due() -> bool:
        for folder in store.root().glob(f"_writing-{job.run}-*"):
            with suppress(FileNotFoundError):  # renamed into place meanwhile
                return sum(1 for _ in folder.iterdir()) >= files
        return False

    return due


def kill(queue: jobs.Jobs, job: jobs.Job, due: Moment) -> str:
    """Send SIGKILL to the job's worker at the moment; says how far the job was."""
    while job.active and job.what in ("Waiting", "Starting"):
        time.sleep(0.01)
    if job.active:  # or else the kill after the last job's end has taken this one along
        (worker,) = queue._client.run(os.getpid).values()
        while job.active and not due():
            pass
        os.kill(worker, signal.SIGKILL)
    at = f"after epoch {len(job.history)} of {job.epochs}, {job.what!r}"
    finished(job)
    return at


def leftovers(name: str) -> list[str]:
    """What a killed worker left half written."""
    aside = [*(store.root() / "_unfinished" / name).glob(".*"), *store.root().glob("_writing-*")]
    return [path.name for path in aside if name in str(path)]


def bring_to_an_end(queue: jobs.Jobs, job: jobs.Job, config: RunConfig) -> tuple[jobs.Job, str]:
    """The job that completed the run, and what there was to do."""
    if (store.root() / job.run).exists():
        return job, "after_the_end"
    if job.run in {run.name for run in store.unfinished()}:
        return finished(queue.resume(job.run)), "resumed"
    return finished(queue.train(config, next(names))), "before_first_checkpoint"


def outcome(job: jobs.Job) -> Any:
    """All that must be equal of two trainings of the same config; None where there is no run."""
    if not (store.root() / job.run).exists():
        return None
    run = store.load(job.run)
    history = [{k: v for k, v in entry.items() if k not in TIMES} for entry in run.history]
    tensors = [run.manifest.files[f"{file}.safetensors"] for file in ("weights", "codes")]
    return tensors, history, run.manifest.metrics


def seconds_an_epoch(job: jobs.Job) -> float:
    return sum(entry["seconds"] for entry in job.history) / len(job.history)


if __name__ == "__main__":
    main()
