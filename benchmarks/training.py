"""Benchmark of training speed, and of the quality of the resulting maps.

    pip install -r benchmarks/requirements.txt
    python -m benchmarks.training [--parts keras worker ...] [--rounds 12] [--seeds 0 1 2]

keras    An epoch of 784-512-128-2-128-512-784 (ELU, sigmoid output, squared error, Adam, batches
         of 128) on MNIST by `aecore.training.loop.fit`, against `model.fit` of the same network in
         Keras on its torch backend; with and without the evaluation on the test split.
worker   The same epoch in the worker process that the dashboard trains in, against
         `python -m aecore train` in a process of its own, both at the same niceness.
precision
         An epoch of the variant conv with its defaults, as trained by `aecore.training.loop.fit`
         (channels last, bfloat16 where the processor has it), against a plain loop over the same
         network in float32, and the test loss that both come to.
contractive
         An epoch of the variant contractive with its defaults (Hutchinson's estimate), against one
         of the same network as variant ae.
busy     An epoch of 784-512-128-2 beside a process that takes a whole processor, against one
         without; and the latter against one by threads that always spin.
quality  Test MSE of two principal components, and of three presets after their five epochs.

Whatever is compared runs by turns in one go, and the ratio is taken within each turn, so that a
machine that is busy with something else slows both sides. What is reported of the ratios is their
median, quartiles and extremes. One JSON document goes to standard output, a table to standard
error. Runs are stored in a temporary folder.
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from aecore import data, jobs, projections, training
from aecore.runs import store
from aecore.runs.train import Train
from aecore.training.threads import AdaptiveWaiting

NICENESS = 10
"""The dashboard's worker gives way to other processes by this much; so must its opponent."""
TARGETS = {
    "keras": 0.5,
    "worker": 1.05,
    "precision": 1 / 1.8,
    "loss of precision": 1.02,
    "contractive": 4,
    "busy": 2.2,
    "quiet": 1.05,
    "mnist-published": 0.0407,
    "mnist-map": 0.0365,
    "mnist-linear": 1.005,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=12, help="Turns of each comparison.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    data.fetch("mnist")
    with temporary_store():
        results = {part: PARTS[part](options) for part in options.parts}
    machine = {"threads": torch.get_num_threads(), "torch": torch.__version__}
    print(json.dumps({"machine": machine, **results}, indent=1))


def against_keras(options: argparse.Namespace) -> dict[str, Any]:
    os.environ["KERAS_BACKEND"] = "torch"
    import keras

    mnist = data.get("mnist")
    x_train, x_test = mnist.train.x.copy(), mnist.test.x.copy()
    model = keras.Sequential(
        [
            keras.Input((784,)),
            *(keras.layers.Dense(width, "elu") for width in (512, 128)),
            keras.layers.Dense(2),
            *(keras.layers.Dense(width, "elu") for width in (128, 512)),
            keras.layers.Dense(784, "sigmoid"),
        ]
    )
    model.compile("adam", "mse")
    records = training.fit(published(epochs=options.rounds + 1), mnist)

    def ours() -> tuple[float, float]:
        started = time.perf_counter()
        record = next(records)
        return record.seconds, time.perf_counter() - started

    def theirs() -> tuple[float, float]:
        started = time.perf_counter()
        model.fit(x_train, x_train, batch_size=128, epochs=1, shuffle=True, verbose=0)
        fitted = time.perf_counter()
        model.evaluate(x_test, x_test, batch_size=128, verbose=0)
        return fitted - started, time.perf_counter() - started

    ours(), theirs()  # the first epoch pays for what is only done once
    turns = np.array([alternate(turn, ours, theirs) for turn in range(options.rounds)])
    results: dict[str, Any] = {"target": TARGETS["keras"], "keras": keras.__version__}
    for index, name in enumerate(("fit", "fit_and_evaluate")):
        results[name] = compare(turns[:, 0, index], turns[:, 1, index])
        tell(f"epoch against Keras, {name}", results[name], TARGETS["keras"])
    return results


def worker_against_process(options: argparse.Namespace) -> dict[str, Any]:
    config, queue = published(epochs=5), jobs.Jobs()

    def worker() -> list[float]:
        job = finished(queue.submit(Train.named(config)))
        if job.state != "done":
            raise SystemExit(f"The job {job.state}: {job.error}")
        return [entry["seconds"] for entry in store.load(job.run).history]

    def process() -> list[float]:
        line = ["train", "--preset", "mnist-published", "--epochs", "5", "--json"]
        output = subprocess.run(
            [sys.executable, "-m", "aecore", *line],
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: os.nice(NICENESS),
        ).stdout
        return [entry["seconds"] for entry in store.load(json.loads(output)["run"]).history]

    worker()  # starts the cluster, and leaves the neighbours of the test split in the store
    turns = np.array([alternate(turn, worker, process) for turn in range(options.rounds)])
    results: dict[str, Any] = {"target": TARGETS["worker"], "niceness_of_both": NICENESS}
    # A process is slower in its first epoch, and the worker is an old process.
    for name, epochs in (("epochs_2_to_5", turns[:, :, 1:]), ("all_epochs", turns)):
        results[name] = compare(*np.median(epochs, axis=2).T)
        tell(f"worker against process, {name}", results[name], TARGETS["worker"])
    return results


def precision(options: argparse.Namespace) -> dict[str, Any]:
    mnist = data.get("mnist")
    config = of_variant("conv", {}, epochs=options.rounds)
    records, plain = training.fit(config, mnist), plain_epochs(config, mnist)

    def ours() -> tuple[float, float]:
        record = next(records)
        return record.seconds, record.test.terms["total"]

    turns = np.array([alternate(turn, ours, lambda: next(plain)) for turn in range(options.rounds)])
    result = {"target": TARGETS["precision"], **compare(*turns[:, :, 0].T)}
    result["test_loss"], result["test_loss_of_other"] = turns[-1, :, 1]
    tell("conv: bfloat16, channels last against plain", result, TARGETS["precision"])
    worse = result["test_loss"] / result["test_loss_of_other"]
    print(
        f"{'its test loss at the end':44} {result['test_loss']:.3f} / "
        f"{result['test_loss_of_other']:.3f} = {worse:.4f}, target "
        f"{TARGETS['loss of precision']}",
        file=sys.stderr,
    )
    return result


def plain_epochs(
    config: training.RunConfig, dataset: data.Dataset
) -> Iterator[tuple[float, float]]:
    """Plain training loop of the same network: seconds and test loss of each epoch."""
    settings = config.training
    model = training.build(config, dataset)
    x, x_test = torch.tensor(dataset.train.x), torch.tensor(dataset.test.x)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    steps = settings.epochs * -(-len(x) // settings.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, steps)
    generator = torch.Generator().manual_seed(settings.seed)
    for _ in range(settings.epochs):
        started = time.perf_counter()
        model.train()
        for batch in torch.randperm(len(x), generator=generator).split(settings.batch_size):
            loss = sum(model.losses(x[batch], generator).values()).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        seconds = time.perf_counter() - started
        yield seconds, training.evaluate(model, x_test).terms["total"]


def contractive(options: argparse.Namespace) -> dict[str, Any]:
    mnist = data.get("mnist")
    settings = {"activation": "elu", "code_activation": "sigmoid"}
    ours, plain = (
        training.fit(of_variant(name, settings, epochs=options.rounds + 1), mnist)
        for name in ("contractive", "ae")
    )
    next(ours), next(plain)  # the first epoch pays for what is only done once
    turns = np.array(
        [
            alternate(turn, lambda: next(ours).seconds, lambda: next(plain).seconds)
            for turn in range(options.rounds)
        ]
    )
    result = {"target": TARGETS["contractive"], **compare(*turns.T)}
    tell("contractive against ae", result, TARGETS["contractive"])
    return result


class AlwaysSpinning(AdaptiveWaiting):
    """Waiting policy of libgomp's default: threads that always spin."""

    def step(self) -> None:
        pass


def busy(options: argparse.Namespace) -> dict[str, Any]:
    mnist = data.get("mnist")
    ours = training.fit(published(epochs=4 * options.rounds + 1), mnist)
    with patch.object(training, "AdaptiveWaiting", AlwaysSpinning):
        spinning = training.fit(published(epochs=options.rounds + 1), mnist)
        next(spinning)
    next(ours)  # the first epoch pays for what is only done once

    def beside_another() -> float:
        with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
            try:
                seconds = next(ours).seconds
            finally:
                other.kill()
        next(ours), next(ours)  # until it is noticed that the other has gone
        return seconds

    def alone() -> float:
        return next(ours).seconds

    results = {}
    turns = [
        (beside_another(), *alternate(turn, alone, lambda: next(spinning).seconds))
        for turn in range(options.rounds)
    ]
    beside, quiet, before = np.array(turns).T
    for name, *sides in (("busy", beside, quiet), ("quiet", quiet, before)):
        results[name] = {"target": TARGETS[name], **compare(*sides)}
    tell("epoch beside a busy process against quiet", results["busy"], TARGETS["busy"])
    tell("quiet epoch against always spinning", results["quiet"], TARGETS["quiet"])
    return results


def quality(options: argparse.Namespace) -> dict[str, Any]:
    mnist = data.get("mnist")
    pca = projections.pca_mse(mnist, 2)
    results: dict[str, Any] = {"pca": pca}
    print(f"{'test MSE of two principal components':44} {pca:.4f}", file=sys.stderr)
    for name in ("mnist-published", "mnist-linear", "mnist-map"):
        target = TARGETS[name] * (pca if name == "mnist-linear" else 1)
        mse = {}
        for seed in options.seeds:
            for record in training.fit(of_preset(name, seed=seed), mnist):
                mse[seed] = float(record.test.mse.mean())
        results[name] = {"target": target, "test_mse_by_seed": mse}
        shown = ", ".join(f"{value:.5f}" for value in mse.values())
        print(f"{f'test MSE of {name}':44} {shown} (target {target:.5f})", file=sys.stderr)
    return results


PARTS = {
    "keras": against_keras,
    "worker": worker_against_process,
    "precision": precision,
    "contractive": contractive,
    "busy": busy,
    "quality": quality,
}


def of_variant(variant: str, model: dict[str, Any], **training_settings: Any) -> training.RunConfig:
    """Config of a variant on MNIST on the CPU, with defaults for the other settings."""
    asked = {"device": "cpu", **training_settings}
    request = {"dataset": "mnist", "variant": variant, "model": model, "training": asked}
    return training.RunConfig.check(request)


def of_preset(name: str, **training_settings: Any) -> training.RunConfig:
    """Config of a preset, with replaced training settings."""
    preset = training.preset(name)
    return training.RunConfig.check(
        {
            "dataset": preset.dataset,
            "variant": preset.variant,
            "model": preset.model,
            "training": {**preset.training, **training_settings},
        }
    )


def published(epochs: int) -> training.RunConfig:
    return of_preset("mnist-published", epochs=epochs, device="cpu")


def alternate(turn: int, ours: Callable[[], Any], theirs: Callable[[], Any]) -> tuple[Any, Any]:
    """Results of both sides; their order alternates, in case it matters."""
    if turn % 2:
        second = theirs()
        return ours(), second
    return ours(), theirs()


def compare(ours: np.ndarray, theirs: np.ndarray) -> dict[str, Any]:
    """Seconds of both sides, and statistics of their ratios within each turn."""
    ratios = sorted(ours / theirs)
    return {
        "ratio": statistics.median(ratios),
        "quartiles": list(np.quantile(ratios, [0.25, 0.75])),
        "extremes": [ratios[0], ratios[-1]],
        "seconds": statistics.median(ours),
        "seconds_of_other": statistics.median(theirs),
        "turns": len(ratios),
    }


def tell(what: str, result: dict[str, Any], target: float) -> None:
    low, high = result["quartiles"]
    print(
        f"{what:44} {result['seconds']:6.3f} s / {result['seconds_of_other']:6.3f} s = "
        f"{result['ratio']:.3f} ({low:.3f} to {high:.3f}), target {target}",
        file=sys.stderr,
    )


def finished(job: jobs.Job, seconds: float = 600) -> jobs.Job:
    """Wait for the job to end, and return it."""
    deadline = time.monotonic() + seconds
    while job.active:
        if time.monotonic() > deadline:
            raise SystemExit(f"'{job.task.title}' did not end within {seconds:g} seconds.")
        time.sleep(0.2)
    return job


@contextmanager
def temporary_store() -> Iterator[None]:
    """Context with a temporary store."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ["AECORE_STORE"] = folder
        yield


if __name__ == "__main__":
    main()
