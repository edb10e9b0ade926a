"""Runs with a validation part, and runs that are trained further."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import RISING, Listener, run_config
from typer.testing import CliRunner

from aecore import data, training
from aecore.cli import app
from aecore.errors import Cancelled, InvalidRequest
from aecore.models.variants import VARIANTS
from aecore.runs import store, sweeps, trials
from aecore.runs.scalars import scalars
from aecore.runs.train import Resume, Train, TrainFurther
from aecore.training.loop import set_up
from aecore.training.validation import split

IRIS = data.get("iris")


def trained(name: str = "run", variant: str = "ae", **options: Any) -> store.Run:
    return Train(run_config(variant=variant, **options), name).run(Listener())


def weights(run: store.Run) -> dict[str, torch.Tensor]:
    return run.model().state_dict()


def assert_equal(ours: store.Run, theirs: store.Run) -> None:
    for name, value in weights(theirs).items():
        assert torch.equal(weights(ours)[name], value), name
    for name, values in theirs.codes.items():
        np.testing.assert_array_equal(ours.codes[name], values, name)
    timed = ("seconds", "samples_per_second")
    for one, other in zip(ours.history, theirs.history, strict=True):
        assert {k: one[k] for k in one if k not in timed} == {
            k: other[k] for k in other if k not in timed
        }
    facts = {"best_epoch", "epochs_done", "ended", "continues", "epochs_before"}
    assert ours.manifest.model_dump(include=facts) == theirs.manifest.model_dump(include=facts)


def interrupted(task: Any, after: int) -> None:
    """Run a task until after an epoch, as if it had been cancelled then."""
    listener = Listener(lambda heard: Cancelled() if len(heard.entries) == after else None)
    with pytest.raises(Cancelled):
        task.run(listener)


# --- The best epoch is the one stored -----------------------------------------------------------


def test_a_run_that_stopped_early_has_the_weights_of_its_best_epoch() -> None:
    run = trained(**RISING)
    losses = [entry["validation"]["total"] for entry in run.history]
    best = int(np.argmin(losses)) + 1
    assert run.manifest.ended == "patience"
    assert run.epochs == len(losses) == best + 3 < 60 == run.config.training.epochs
    assert run.stored_epoch == run.manifest.best_epoch == best
    assert run.stored_entry is run.history[best - 1]
    # Its figures are of these weights.
    figures = run.manifest.metrics
    assert figures["test_loss"] == pytest.approx(run.stored_entry["test"]["total"], rel=1e-5)
    assert figures["test_mse"] == pytest.approx(run.stored_entry["test_mse"], rel=1e-5)
    _, held = split(IRIS.train.labels, 0.2, run.config.training.seed)
    x, labels = (torch.from_numpy(part[held]) for part in IRIS.train)
    again = training.evaluate(run.model(), x, labels).terms["total"]
    assert again == pytest.approx(min(losses), rel=1e-5)
    # The map's motion ends with them.
    assert run.codes["epochs_kept"].tolist() == list(range(1, best + 1))
    np.testing.assert_allclose(run.codes["epochs"][-1], run.codes["plane"][:1000], atol=1e-5)
    reopened = store.load("run")
    assert reopened.epochs == run.epochs and reopened.history == run.history
    assert {each.name for each in scalars(run)} >= {"validation/total", "test/total"}


def test_the_best_epoch_is_kept_though_all_epochs_were_trained() -> None:
    run = trained(**RISING | {"epochs": 15, "patience": 0})
    losses = [entry["validation"]["total"] for entry in run.history]
    assert run.manifest.ended == "epochs" and run.manifest.epochs_done is None
    assert run.stored_epoch == int(np.argmin(losses)) + 1 < 15


def test_a_run_without_a_validation_part_says_nothing_of_one() -> None:
    run = trained()
    manifest = run.manifest
    assert (manifest.best_epoch, manifest.epochs_done, manifest.ended) == (None, None, "")
    assert run.epochs == run.stored_epoch == 2
    assert "validation" not in run.history[0]


def test_the_motion_of_a_long_training_ends_with_the_best_epoch() -> None:
    """Of more than 60 epochs codes are kept of every second alone, and of the best in any case."""
    run = trained(**RISING | {"epochs": 100, "patience": 2})
    kept, best = run.codes["epochs_kept"].tolist(), run.manifest.best_epoch
    assert kept[-1] == best and kept == sorted({*range(2, best + 1, 2), best})


@pytest.mark.parametrize("after", [1, 3, -1])
def test_an_early_stop_is_bit_equal_after_a_resume(after: int) -> None:
    run = trained(**RISING)
    interrupted(Train(run.config, "again"), after if after > 0 else run.epochs)
    assert store.read_checkpoint("again")[1].progress["best"]["epoch"] <= run.epochs
    assert_equal(Resume.of("again").run(Listener()), run)
    assert not store.unfinished()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"best_epoch": 3}, "epochs contradict"),
        ({"epochs_before": 3}, "epochs contradict"),
        ({"epochs_done": 3}, "epochs contradict"),
        ({"best_epoch": 0}, "best_epoch"),
        ({"ended": "tired"}, "ended"),
    ],
)
def test_a_manifest_of_impossible_epochs_is_refused(changes: dict[str, Any], said: str) -> None:
    run = trained()
    path = run.folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(InvalidRequest, match=said):
        store.load("run")


# --- Trials of a sweep ---------------------------------------------------------------------------


def sweep_of(halving: sweeps.Halving | None = None, **options: Any) -> sweeps.Plan:
    base = {"dataset": "iris", "variant": "ae", "model": {"hidden": (8,)}}
    base["training"] = RISING | {"device": "cpu"} | options
    return sweeps.save(sweeps.draft(base, {"seed": "0,1,2,3"}, halving=halving))


def carry_out(plan: sweeps.Plan, together: bool) -> None:
    while wanted := sweeps.next_trials(plan, sweeps.trials(plan)):
        tasks = [
            trials.TrainTrial(plan.config(trial.settings), trial.name, plan.name, trial.number, end)
            for trial, end in (wanted if together else wanted[:1])
        ]
        trials.TrainTrial.run_together(tasks, [Listener() for _ in tasks])


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("halving", [None, sweeps.Halving(factor=2, least=8)])
def test_trials_stop_early_as_alone(
    halving: sweeps.Halving | None, together: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if together:
        monkeypatch.setattr("aecore.training.stacked.WORTH_IT", 0)
    plan = sweep_of(halving)
    carry_out(plan, together)
    done = [trial for trial in sweeps.trials(plan) if trial.state == "done"]
    assert len(done) == 4 if halving is None else done
    for trial in done:
        run, alone = store.load(trial.name), Train(plan.config(trial.settings), "alone")
        other = alone.run(Listener())
        assert (run.epochs, run.stored_epoch) == (other.epochs, other.stored_epoch)
        assert run.manifest.ended == other.manifest.ended == "patience"
        for name, value in weights(other).items():
            torch.testing.assert_close(weights(run)[name], value, rtol=1e-3, atol=1e-3)
        result = sweeps.result_of(trial)
        assert result.loss == min(result.losses) == run.stored_entry["validation"]["total"]
        assert result.until(60)[run.epochs :] == [result.loss] * (60 - run.epochs)
        store.delete("alone")


def test_a_trial_that_stopped_early_is_compared_by_its_stored_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = sweep_of(sweeps.Halving(factor=2, least=2), epochs=8, patience=1)
    states: list[Any] = ["done", "unfinished", "unfinished", "unfinished"]
    listed = [
        sweeps.Trial(number, f"t-{number}", {"seed": number - 1}, state)
        for number, state in enumerate(states, start=1)
    ]
    losses = {1: [2.0, 3.0], 2: [9.0, 1.0, 1.0, 0.5], 3: [9.0, 5.0], 4: [9.0, 9.0]}
    of_one = {"stored_epoch": 1}
    monkeypatch.setattr(
        sweeps,
        "result_of",
        lambda t: sweeps.Result(t, losses[t.number], **(of_one if t.number == 1 else {})),
    )
    ended: list[int] = []
    monkeypatch.setattr(
        sweeps, "end_unfinished", lambda plan, trial, *rest: ended.append(trial.number)
    )
    # After epoch 2 the second (1) and the third (5) are beside the first, whose loss was 3 then.
    wanted = sweeps.next_trials(plan, listed)
    assert set(ended) == {3, 4} and [(trial.number, end) for trial, end in wanted] == [(2, None)]


# --- Trained further ------------------------------------------------------------------------------


def test_a_run_trained_further_is_a_new_run_whose_epochs_go_on() -> None:
    old = trained(epochs=3, learning_rate=0.01)
    before = {path.name: path.read_bytes() for path in old.folder.iterdir()}
    task = TrainFurther.of("run", 4, "more")
    assert [entry["epoch"] for entry in task.history] == [1, 2, 3]
    heard = Listener()
    run = task.run(heard)
    assert [entry["epoch"] for entry in heard.entries] == [4, 5, 6, 7]
    assert run.history[:3] == old.history
    assert [entry["epoch"] for entry in run.history] == list(range(1, 8))
    assert run.manifest.continues == "run" and run.manifest.epochs_before == 3
    assert run.config.training.epochs == run.epochs == 7
    assert run.manifest.seconds == pytest.approx(sum(entry["seconds"] for entry in run.history))
    assert run.history[-1]["train"]["total"] < old.history[-1]["train"]["total"]
    # A cycle of its own: the rate begins near 0, has its peak, and ends near 0 again.
    rates = [entry["learning_rate"] for entry in run.history[3:]]
    assert max(rates) > 0.5 * 0.01 and rates[-1] < 0.001 and np.argmax(rates) in (0, 1)
    # The motion of its map begins with the old one.
    assert run.codes["epochs_kept"].tolist() == [3, 4, 5, 6, 7]
    np.testing.assert_allclose(run.codes["epochs"][0], old.codes["plane"], atol=1e-6)
    assert before == {path.name: path.read_bytes() for path in old.folder.iterdir()}
    assert {each.name for each in store.runs()[0]} == {"run", "more"}


def test_further_epochs_are_those_of_a_training_from_these_weights() -> None:
    """Against a loop written here: new moments, a constant rate, draws of their own."""
    old = trained(epochs=1, optimizer="sgd", schedule="constant", learning_rate=0.01, seed=5)
    run = TrainFurther.of("run", 1, "more").run(Listener())
    model = old.model().train()
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    generator = torch.Generator().manual_seed(5 + 1)
    order = torch.randperm(IRIS.n_train, generator=generator)
    for batch in order.split(32):
        optimizer.zero_grad()
        losses = model.losses(torch.from_numpy(IRIS.train.x.copy())[batch], generator)
        sum(losses.values()).mean().backward()
        optimizer.step()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(weights(run)[name], value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_trained_further_and_resumed_bit_equal(variant: str) -> None:
    data = {"dataset": "digits", "batch_size": 500} if variant.startswith("conv") else {}
    trained(variant=variant, epochs=1, **data)
    run = TrainFurther.of("run", 3, "more").run(Listener())
    heard = Listener()
    interrupted(TrainFurther.of("run", 3, "again"), 2)
    store.delete("run")  # what goes on from it no longer needs it
    resumed = Resume.of("again").run(heard)
    assert not [what for what, *_ in heard.heard if "etraining" in what or "Boltzmann" in what]
    assert_equal(resumed, run)


def test_what_pretrains_is_not_pretrained_again() -> None:
    model = {"hidden": (8, 4), "pretraining": "greedy", "pretraining_epochs": 1}
    trained(variant="ae", model=model)
    heard = Listener()
    TrainFurther.of("run", 1, "more").run(heard)
    assert not [what for what, *_ in heard.heard if what.startswith("Pretraining")]


def test_a_run_that_stopped_early_goes_on_from_its_best_epoch_with_the_same_part() -> None:
    old = trained(**RISING)
    task = TrainFurther.of("run", 6, "more", learning_rate=1e-4, patience=0)
    best = old.stored_epoch
    assert task.config.training.epochs == best + 6
    run = task.run(Listener())
    assert run.history[:best] == old.history[:best] and len(run.history) == best + 6
    assert run.manifest.epochs_before == best
    losses = [entry["validation"]["total"] for entry in run.history]
    assert run.stored_epoch == int(np.argmin(losses)) + 1
    cpu = torch.device("cpu")
    ours, theirs = (set_up(each.config, IRIS, cpu).held for each in (old, run))
    assert ours is not None and theirs is not None and torch.equal(ours, theirs)


def test_the_old_weights_stay_where_no_further_epoch_is_better() -> None:
    old = trained(**RISING)
    run = TrainFurther.of("run", 3, "more", learning_rate=2).run(Listener())
    assert run.stored_epoch == old.stored_epoch == run.manifest.epochs_before
    for name, value in weights(old).items():
        assert torch.equal(weights(run)[name], value)


def test_a_run_trained_further_can_be_trained_further() -> None:
    trained(epochs=1)
    TrainFurther.of("run", 1, "second").run(Listener())
    third = TrainFurther.of("second", 2, "third").run(Listener())
    assert third.manifest.continues == "second" and third.manifest.epochs_before == 2
    assert [entry["epoch"] for entry in third.history] == [1, 2, 3, 4]


def test_everything_impossible_is_said_at_once() -> None:
    trained()
    with pytest.raises(InvalidRequest) as error:
        TrainFurther.of("run", "many", seed=4, validation=0.1, batch_size=0)
    said = "\n".join(error.value.problems)
    assert len(error.value.problems) == 4
    for part in ("epochs = 'many'", "batch_size = 0", "seed = 4", "validation = 0.1"):
        assert part in said
    with pytest.raises(InvalidRequest, match=r"give at most 9,998"):
        TrainFurther.of("run", 10_000)
    with pytest.raises(InvalidRequest, match="Unknown run 'ran'"):
        TrainFurther.of("ran", 1)
    with pytest.raises(InvalidRequest, match="taken"):
        TrainFurther.of("run", 1, "run")
    with pytest.raises(InvalidRequest, match="patience = 2 waits"):
        TrainFurther.of("run", 1, patience=2)


def test_a_run_whose_data_have_changed_is_not_trained_further() -> None:
    trained()
    path = store.root() / "run" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["fingerprint"] = manifest["data"]["fingerprint"] = "0" * 64
    path.write_text(json.dumps(manifest))
    with pytest.raises(InvalidRequest, match="has changed since the run"):
        TrainFurther.of("run", 1)


def test_a_run_that_is_deleted_meanwhile_is_said(tmp_path: Path) -> None:
    trained()
    task = TrainFurther.of("run", 1, "more")
    store.delete("run")
    with pytest.raises(InvalidRequest, match="Unknown run 'run'"):
        task.check()


# --- The command line -----------------------------------------------------------------------------


def call(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["train", *arguments])


def test_the_command_stops_early_and_trains_further() -> None:
    given = [f"--{name.replace('_', '-')}={value}" for name, value in RISING.items()]
    result = call("--dataset=iris", "--variant=ae", "--name=own", "--json", *given)
    row = json.loads(result.stdout)
    assert row["ended"] == "patience" and row["best_epoch"] == row["epochs"] - 3
    more = call("--further=own", "--epochs=2", "--learning-rate=0.0001", "--name=more", "--json")
    further = json.loads(more.stdout)
    assert further["continues"] == "own" and further["epochs_before"] == row["best_epoch"]
    assert further["epochs"] == row["best_epoch"] + 2
    assert further["config"]["training"]["learning_rate"] == 0.0001


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--further=run"], "--further needs --epochs"),
        (["--further=run", "--epochs=1", "--variant=ae"], "--further brings the dataset"),
        (["--further=run", "--epochs=1", "--resume=run"], "--further brings the dataset"),
        (["--further=ran", "--epochs=1"], "Unknown run 'ran'"),
        (["--further=run", "--epochs=0"], "epochs = '0' is not possible"),
    ],
)
def test_the_command_refuses_in_a_sentence(arguments: list[str], said: str) -> None:
    trained()
    result = call(*arguments)
    assert result.exit_code == 2 or result.exit_code == 1
    assert said in result.output and "Traceback" not in result.output


def test_training_further_is_stopped_and_resumed_by_name() -> None:
    trained(epochs=1)
    started = time.monotonic()
    interrupted(TrainFurther.of("run", 4, "more"), 2)
    (left,) = store.unfinished()
    assert (left.name, left.epochs_done) == ("more", 3)
    result = call("--resume=more", "--json")
    assert json.loads(result.stdout)["continues"] == "run"
    assert time.monotonic() - started < 300
