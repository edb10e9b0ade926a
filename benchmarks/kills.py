"""Benchmark of trainings whose worker is killed, and of two that compete for one name.

    python -m benchmarks.kills [--kills 20] [--writing 5] [--saving 5] [--mnist 3] [--twins 20]
                               [--seed 0]

A variational autoencoder, which draws random numbers at every step, is trained in the worker
process, and the worker gets SIGKILL (`kill -9`): at random moments of the training, while a
checkpoint is being written, and while the finished run is being saved. After each kill the store
must hold no broken run. The training is then resumed to its end, or begun again where there is no
checkpoint yet, and its weights, codes and history (all but the times) must equal, bit for bit,
those of a training that was never interrupted. The same is done with MNIST where it is at hand.

Then twins want one name of one store: two `train --name`, two `train --resume`, or two servers, a
random moment apart, and at another random moment one of them, both or none gets SIGKILL. No
checkpoint that was seen may be gone or older afterwards, unless its run is complete, and brought to
an end the run must equal one that was never interrupted, as above.

One JSON document goes to standard output, a line for each kill or pair to standard error. The exit
status is 1 where a run was broken or differs, or an epoch or checkpoint was lost. Runs are stored
in a temporary folder.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any

from aecore import data, jobs
from aecore.errors import InvalidRequest
from aecore.runs import store
from aecore.runs.train import Resume, Train
from aecore.training import RunConfig
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
        ("twins", 20),
        ("seed", 0),
    ):
        parser.add_argument(f"--{option}", type=int, default=default)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    plan = {"digits": {"random": options.kills, "writing": options.writing}}
    plan["digits"]["saving"] = options.saving
    if all(data.locate("mnist", file) for file in data.IDX_FILES):
        plan["mnist"] = {"random": options.mnist}
    results: dict[str, dict[str, int]] = {}
    with temporary_store():
        queue = jobs.Jobs()
        for name, kills in plan.items():
            if any(kills.values()):
                results[name] = kill_all(queue, name, kills, chance)
        failed = any(
            each["broken"] + each["kills"] > each["bit_equal"] for each in results.values()
        )
        if options.twins:
            results["twins"] = twins = let_twins_compete(options.twins, queue, chance)
            failed |= bool(twins["epochs_lost"] or twins["checkpoints_deleted"])
            failed |= twins["bit_equal"] < twins["rounds"]
    print(json.dumps(results, indent=1))
    sys.exit(1 if failed else 0)


def kill_all(
    queue: jobs.Jobs, dataset: str, kills: dict[str, int], chance: random.Random
) -> dict[str, int]:
    """Kill the worker at each kind of moment; return the counts."""
    config = RunConfig.check(REQUESTS[dataset])
    reference = finished(queue.submit(Train.named(config, next(names))))
    expected, epoch_seconds = outcome(reference.run), seconds_an_epoch(reference)
    counted = Counter({"kills": 0, "broken": 0, "resumed": 0, "bit_equal": 0})
    counted.update({"before_first_checkpoint": 0, "after_the_end": 0})
    for kind, number in kills.items():
        for _ in range(number):
            job = queue.submit(Train.named(config, next(names)))
            moment = {
                "random": at_random(job, chance, epoch_seconds),
                "writing": while_writing(job, chance),
                "saving": while_saving(job, chance),
            }[kind]
            at, torn = kill(queue, job, moment), leftovers(job.task.name)
            broken = store.runs()[1]
            ended, how = bring_to_an_end(queue, job, config)
            equal = outcome(ended.run) == expected
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
    """A random moment within a random epoch, counted from the end of the one before."""
    epoch, part = chance.randrange(job.task.config.training.epochs), chance.random()
    planned: list[float] = []

    def due() -> bool:
        time.sleep(0.001)
        if not planned and job.what == "Training" and len(job.log.history) >= epoch:
            seconds = job.log.history[-1]["seconds"] if job.log.history else epoch_seconds
            planned.append(time.monotonic() + part * seconds)
        return bool(planned) and time.monotonic() >= planned[0]

    return due


def while_writing(job: jobs.Job, chance: random.Random) -> Moment:
    """The moment when the temporary file of a random epoch's checkpoint exists."""
    epoch = chance.randrange(job.task.config.training.epochs)
    folder = store.root() / "_unfinished" / job.task.name
    return lambda: len(job.log.history) >= epoch and any(folder.glob(".checkpoint*"))


def while_saving(job: jobs.Job, chance: random.Random) -> Moment:
    """The moment when a random number of the finished run's five files have been started."""
    files = chance.randint(1, 5)

    def due() -> bool:
        for folder in store.root().glob(f"_writing-{job.task.name}-*"):
            with suppress(FileNotFoundError):  # renamed into place meanwhile
                return sum(1 for _ in folder.iterdir()) >= files
        return False

    return due


def kill(queue: jobs.Jobs, job: jobs.Job, due: Moment) -> str:
    """Send SIGKILL to the job's worker at the moment; return how far the job was."""
    while job.active and job.what in ("Waiting", "Starting"):
        time.sleep(0.01)
    if job.active:  # or else the kill after the last job's end has taken this one along
        (worker,) = queue._client.run(os.getpid).values()
        while job.active and not due():
            pass
        os.kill(worker, signal.SIGKILL)
    at = f"after epoch {len(job.log.history)} of {job.task.config.training.epochs}, {job.what!r}"
    finished(job)
    return at


def leftovers(name: str) -> list[str]:
    """Half-written files of a killed worker."""
    unfinished = store.root() / "_unfinished"
    aside = [*unfinished.glob(".*"), *(unfinished / name).glob(".*")]
    aside += store.root().glob("_writing-*")
    return [path.name for path in aside if name in str(path)]


def bring_to_an_end(queue: jobs.Jobs, job: jobs.Job, config: RunConfig) -> tuple[jobs.Job, str]:
    """Complete the run; return its job, and what there was to do."""
    if (store.root() / job.task.name).exists():
        return job, "after_the_end"
    if job.task.name in {run.name for run in store.unfinished()}:
        return finished(queue.submit(Resume.of(job.task.name))), "resumed"
    return finished(queue.submit(Train.named(config, next(names)))), "before_first_checkpoint"


def outcome(name: str) -> Any:
    """All values that must be equal for two trainings of a config; None if there is no run."""
    if not (store.root() / name).exists():
        return None
    run = store.load(name)
    history = [{k: v for k, v in entry.items() if k not in TIMES} for entry in run.history]
    tensors = [run.manifest.files[f"{file}.safetensors"] for file in ("weights", "codes")]
    return tensors, history, run.manifest.metrics


def seconds_an_epoch(job: jobs.Job) -> float:
    return sum(entry["seconds"] for entry in job.log.history) / len(job.log.history)


# --- Two that want one name ---------------------------------------------------------------------

TWIN = {
    "dataset": "digits",
    "variant": "vae",
    "model": {"hidden": (64,)},
    "training": {"epochs": 40, "batch_size": 64, "device": "cpu"},
}
AS_OPTIONS = (
    *("--dataset", "digits", "--variant", "vae", "--set", "hidden=64"),
    *("--epochs", "40", "--batch-size", "64", "--device", "cpu"),
)


class Process:
    """A competing training on the command line."""

    def __init__(self, *options: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "aecore", "train", *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def kill(self) -> None:
        self._process.kill()

    def ended(self) -> bool:
        return self._process.poll() is not None

    def how(self) -> str:
        said = self._process.communicate()[1]
        if "Traceback" in said:
            raise SystemExit(said)
        return {0: "done", 2: "refused"}.get(self._process.returncode, "killed")


class Served:
    """A competing training in the worker of a server."""

    def __init__(self, queue: jobs.Jobs, ask: Callable[[jobs.Jobs], jobs.Job]) -> None:
        self._queue = queue
        try:
            self._job: jobs.Job | None = ask(queue)
        except InvalidRequest:
            self._job = None

    def kill(self) -> None:
        while self._job and self._job.active and self._job.what in ("Waiting", "Starting"):
            time.sleep(0.01)
        if self._job and self._job.active:
            for worker in self._queue._client.run(os.getpid).values():
                os.kill(worker, signal.SIGKILL)

    def ended(self) -> bool:
        return self._job is None or not self._job.active

    def how(self) -> str:
        if self._job is None or "is being trained already" in self._job.error:
            return "refused"
        return "done" if self._job.state == "done" else "killed"


def let_twins_compete(rounds: int, queue: jobs.Jobs, chance: random.Random) -> dict[str, int]:
    """Let pairs of trainings compete for a name; return the counts."""
    config, servers = RunConfig.check(TWIN), (queue, jobs.Jobs())
    reference = next(names)
    Process(*AS_OPTIONS, "--name", reference).how()
    # About as long as the libraries take to load, and the training after that.
    expected, seconds = outcome(reference), min(5 + store.load(reference).manifest.seconds, 15)
    counted = Counter(dict.fromkeys(("rounds", "epochs_lost", "checkpoints_deleted"), 0))
    counted.update({"bit_equal": 0, "refused": 0, "killed": 0, "done": 0})
    for number in range(rounds):
        kind, name = ("train", "resume", "servers")[number % 3], next(names)
        if kind == "train":
            starts = [lambda name=name: Process(*AS_OPTIONS, "--name", name)] * 2
        elif kind == "resume":
            leave_unfinished(name)
            starts = [lambda name=name: Process("--resume", name)] * 2
        else:
            starts = [
                lambda server=server, name=name: Served(server, lambda at: at.train(config, name))
                for server in servers
            ]
        watch = Watch(name)
        first = starts[0]()
        watch.look(chance.uniform(0, seconds))
        pair = [first, starts[1]()]
        doomed = chance.choice([[], pair[:1], pair[1:], pair])
        watch.look(chance.uniform(0, 2 * seconds))
        for each in doomed:
            each.kill()
        while not all(each.ended() for each in pair):
            watch.look(0.05)
        how = [each.how() for each in pair]
        watch.look(0)
        deleted, lost = watch.deleted, watch.epochs_lost()
        if not (store.root() / name).exists():
            going_on = ("--resume", name) if watch.epochs else (*AS_OPTIONS, "--name", name)
            if Process(*going_on).how() != "done":
                raise SystemExit(f"{name} could not be brought to an end.")
        equal = outcome(name) == expected
        counted.update({"rounds": 1, "epochs_lost": lost, "checkpoints_deleted": deleted})
        counted.update({"bit_equal": equal, f"{kind}_rounds": 1})
        counted.update(how)
        print(
            f"twins {kind}: {len(doomed)} killed, {' and '.join(how)}, {watch.most} epochs seen, "
            f"{lost} lost, {deleted} checkpoints deleted, {'equal' if equal else 'DIFFERENT'}",
            file=sys.stderr,
        )
    return dict(counted)


def leave_unfinished(name: str) -> None:
    """Train until there is a checkpoint, and kill the training."""
    process = Process(*AS_OPTIONS, "--name", name)
    while name not in {left.name for left in store.unfinished()}:
        time.sleep(0.02)
    process.kill()
    process.how()


class Watch:
    """Observations of the checkpoint of a name over time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.epochs = 0
        """Of the checkpoint that is there now."""
        self.most = 0
        self.deleted = 0

    def look(self, seconds: float) -> None:
        """Observe the store for a given time, and once at least."""
        end = time.monotonic() + seconds
        while True:
            before = self.epochs
            done = {left.name: left.epochs_done for left in store.unfinished()}
            self.epochs = done.get(self.name, 0)
            self.most = max(self.most, self.epochs)
            if before and not self.epochs and not (store.root() / self.name).exists():
                self.deleted += 1
            if time.monotonic() >= end:
                return
            time.sleep(0.02)

    def epochs_lost(self) -> int:
        """Number of epochs that were observed and are lost now."""
        return 0 if (store.root() / self.name).exists() else self.most - self.epochs


if __name__ == "__main__":
    main()
