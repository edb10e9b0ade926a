"""Sweeps against trainings one after another, and what the queue and early stopping cost or save.

    python -m benchmarks.sweeps                every measurement, as one JSON document
    python -m benchmarks.sweeps --parts stack  some of: stack, trials, workers, queue, halving, code

`stack`    a training step of eight models of the digits as one stacked model, against one by one.
`trials`   sixteen trials of the digits (8 seeds, 2 rates, 128-64-2, 40 epochs), on the machine's
           processors, against sixteen times one training by the same queue, and against sixteen
           times the command `train`.
`workers`  twelve trials of MNIST of one epoch on two workers of one thread against one.
`queue`    a training of five epochs of MNIST through the queue against a direct call, by turns.
`halving`  successive halving against the whole grid: 24 trials of MNIST, 9 epochs.
`code`     code sizes 1, 2, 4, 8, 16 and 32 on MNIST: test MSE of the autoencoder and of PCA.

Each is measured in a store of its own. A first trial warms the workers up and is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aecore import training
from aecore.jobs import Jobs
from aecore.jobs.queue import Job
from aecore.jobs.sweeper import Sweeping
from aecore.runs import sweeps
from aecore.runs.sweeps import Halving, Plan
from aecore.runs.train import Train
from aecore.training import RunConfig

ROOT = Path(__file__).parents[1]
DIGITS = {
    "dataset": "digits",
    "variant": "ae",
    "model": {"hidden": (128, 64), "latent_dim": 2},
    "training": {"epochs": 40, "batch_size": 64, "learning_rate": 0.004},
}
MNIST = {
    "dataset": "mnist",
    "variant": "ae",
    "model": {"hidden": (512, 128), "latent_dim": 2},
    "training": {"epochs": 1, "batch_size": 128},
}


def of(base: Mapping[str, Any], **settings: Any) -> dict[str, Any]:
    return {**base, "training": {**base["training"], **settings}}


@contextmanager
def own_store() -> Iterator[Jobs]:
    """Context of an empty store, and of a queue."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["AECORE_STORE"] = folder
        jobs = Jobs()
        yield jobs
        jobs._drop()


def plan(base: Mapping[str, Any], grid: Mapping[str, Any], **options: Any) -> Plan:
    return sweeps.save(sweeps.draft(base, grid, **options))


def carry_out(jobs: Jobs, planned: Plan) -> float:
    """Carry out a sweep; return the seconds that it took."""
    started = time.perf_counter()
    sweeping = Sweeping(jobs, planned.name)
    while sweeping.step():
        time.sleep(0.02)
    sweeping.close()
    return time.perf_counter() - started


def wait(job: Job) -> Job:
    while job.active:
        time.sleep(0.01)
    assert job.state == "done", job.error
    return job


def warm(jobs: Jobs, base: Mapping[str, Any]) -> None:
    """Let every worker load the libraries and the data."""
    carry_out(jobs, plan(of(base, epochs=1), {"seed": range(90, 90 + jobs.at_once)}, name="warm"))


def stack() -> dict[str, Any]:
    import torch

    from aecore.training.stacked import Splits, Stack, gain, set_up

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    found = {}
    with training.one_thread():
        for variant in ("ae", "vae"):
            config = {**DIGITS, "variant": variant}
            configs = [RunConfig.check(of(config, seed=seed)) for seed in range(8)]
            dataset = training.dataset_of(configs[0])
            together = Stack([set_up(each, dataset, device) for each in configs])
            found[variant] = round(gain(together, Splits.of(dataset, device), 40), 2)
    return found


def trials() -> dict[str, Any]:
    with own_store() as jobs:
        warm(jobs, DIGITS)
        grid = {"seed": range(8), "learning_rate": (0.001, 0.004)}
        sweep = carry_out(jobs, plan(DIGITS, grid, name="sixteen"))
        alone = []
        for seed in range(20, 25):
            started = time.perf_counter()
            wait(jobs.submit(Train.named(RunConfig.check(of(DIGITS, seed=seed)), f"one-{seed}")))
            alone.append(time.perf_counter() - started)
        commands = []
        for seed in range(30, 33):
            settings = of(DIGITS, seed=seed)["training"]
            command = [sys.executable, "-m", "aecore", "train", "--dataset", "digits"]
            command += ["--variant", "ae", "--set", "hidden=128,64", "--set", "latent_dim=2"]
            command += [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
            started = time.perf_counter()
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
            commands.append(time.perf_counter() - started)
    one, command_s = statistics.median(alone), statistics.median(commands)
    return {
        "sweep_s": round(sweep, 2),
        "one_by_the_queue_s": round(one, 2),
        "against_sixteen_by_the_queue": round(sweep / (16 * one), 3),
        "one_by_the_command_s": round(command_s, 2),
        "against_sixteen_by_the_command": round(sweep / (16 * command_s), 3),
    }


def workers() -> dict[str, Any]:
    seconds = {}
    for count in (1, 2):
        with own_store() as jobs:
            jobs.at_once = count
            most = jobs.at_once
            warm(jobs, MNIST)
            jobs.at_once = most
            grid = {"seed": range(6), "learning_rate": (0.001, 0.002)}
            seconds[count] = carry_out(jobs, plan(MNIST, grid, name=f"on-{count}"))
    return {
        **{f"on_{count}_s": round(each, 1) for count, each in seconds.items()},
        "throughput_of_two": round(seconds[1] / seconds[2], 2),
    }


class Silent:
    """Reporter that ignores what it is told."""

    def progress(self, *news: Any) -> None: ...

    def epoch(self, *news: Any) -> None: ...


def queue(turns: int = 3) -> dict[str, Any]:
    direct, queued = [], []
    with own_store() as jobs:
        config = RunConfig.check(of(MNIST, epochs=5))
        wait(jobs.submit(Train.named(RunConfig.check(of(MNIST, epochs=1)), "warm")))
        Train.named(RunConfig.check(of(MNIST, epochs=1)), "warm-too").run(Silent())
        for turn in range(turns):
            started = time.perf_counter()
            Train.named(config, f"direct-{turn}").run(Silent())
            direct.append(time.perf_counter() - started)
            started = time.perf_counter()
            wait(jobs.submit(Train.named(config, f"queued-{turn}")))
            queued.append(time.perf_counter() - started)
    ratios = sorted(ours / theirs for ours, theirs in zip(queued, direct, strict=True))
    return {
        "direct_s": round(statistics.median(direct), 2),
        "queued_s": round(statistics.median(queued), 2),
        "ratio": round(statistics.median(ratios), 3),
        "from": round(ratios[0], 3),
        "to": round(ratios[-1], 3),
    }


def halving() -> dict[str, Any]:
    rates = [float(f"{10 ** (-4 + 0.15 * step):.2g}") for step in range(12)]
    grid = {"learning_rate": rates, "activation": ("relu", "elu")}
    base, found = of(MNIST, epochs=9), {}
    for name, rule in (("grid", None), ("halving", Halving(factor=3, least=1))):
        with own_store() as jobs:
            warm(jobs, MNIST)
            planned = plan(base, grid, name=name, halving=rule)
            seconds = carry_out(jobs, planned)
            done = [each for each in sweeps.results(planned) if each.trial.state == "done"]
            best = min(done, key=lambda each: each.metrics["test_loss"])
            found[name] = seconds, best.metrics["test_loss"], best.trial.settings
    return {
        "grid_s": round(found["grid"][0], 1),
        "halving_s": round(found["halving"][0], 1),
        "time": round(found["halving"][0] / found["grid"][0], 3),
        "loss_of_the_winner": round(found["halving"][1] / found["grid"][1], 4),
        "winners": [found[name][2] for name in ("grid", "halving")],
    }


def code() -> dict[str, Any]:
    with own_store() as jobs:
        warm(jobs, MNIST)
        planned = plan(of(MNIST, epochs=2), {"latent_dim": (1, 2, 4, 8, 16, 32)}, name="code")
        seconds = carry_out(jobs, planned)
        rows = [
            (each.trial.settings["latent_dim"], each.metrics["test_mse"], each.metrics["pca_mse"])
            for each in sweeps.results(planned)
        ]
    return {
        "seconds": round(seconds, 1),
        "test_mse": {size: [round(mse, 5), round(pca, 5)] for size, mse, pca in rows},
        "below_pca": all(mse < pca for _, mse, pca in rows),
    }


PARTS = {each.__name__: each for each in (stack, trials, workers, queue, halving, code)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    print(json.dumps({name: PARTS[name]() for name in parser.parse_args().parts}, indent=1))


if __name__ == "__main__":
    main()
