"""Plans of sweeps, their trials, early stopping, and Optuna's part in them."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import optuna
import pytest
from conftest import Listener
from typer.testing import CliRunner

from aecore import training
from aecore.cli import app
from aecore.errors import Damaged, InvalidRequest
from aecore.runs import search, store, sweeps, trials
from aecore.runs.sweeps import Halving, Plan, Trial
from aecore.runs.train import Resume

BASE = {
    "dataset": "iris",
    "variant": "ae",
    "model": {"hidden": (8,)},
    "training": {"epochs": 4, "batch_size": 16},
}


def planned(values: Any = None, **options: Any) -> Plan:
    return sweeps.save(sweeps.draft(BASE, values or {"seed": "0,1"}, **options))


def train_until(plan: Plan, number: int, until: int | None = None) -> store.Run | None:
    trial = sweeps.trials(plan)[number - 1]
    config = plan.config(trial.settings)
    return trials.TrainTrial(config, trial.name, plan.name, number, until).run(Listener())


def carry_out(plan: Plan) -> list[Trial]:
    """Train a sweep as the queue does, one trial after another."""
    while wanted := sweeps.next_trials(plan, sweeps.trials(plan)):
        trial, until = wanted[0]
        train_until(plan, trial.number, until)
    return sweeps.trials(plan)


# --- Planning -----------------------------------------------------------------------------------


def test_a_grid_is_every_combination_of_the_values_as_typed_or_as_they_are() -> None:
    drafted = sweeps.draft(
        BASE, {"hidden": "8; 16,4", "learning_rate": "0.01, 0.02", "seed": [0, 1, 1]}
    )
    assert drafted.plan.trials == len(drafted.trials) == 8 and not drafted.left_out
    assert drafted.trials[:3] == [
        {"hidden": [8], "learning_rate": 0.01, "seed": 0},
        {"hidden": [8], "learning_rate": 0.01, "seed": 1},
        {"hidden": [8], "learning_rate": 0.02, "seed": 0},
    ]
    config = drafted.plan.config(drafted.trials[-1])
    assert config.model.hidden == (16, 4)
    assert (config.training.learning_rate, config.training.seed) == (0.02, 1)
    assert config.training.epochs == 4  # of the base


def test_a_random_search_draws_within_its_ranges_once_for_each_seed() -> None:
    ranges = {
        "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
        "latent_dim": {"low": 1, "high": 3},
    }
    drafted, again = (
        sweeps.draft(
            BASE, {"activation": "elu,relu", "seed": "3,4"}, ranges, search="random", trials=50
        )
        for _ in range(2)
    )
    draws = drafted.trials[::2]
    assert drafted.trials[1::2] == [{**each, "seed": 4} for each in draws]
    rates = [each["learning_rate"] for each in draws]
    assert 1e-4 <= min(rates) < 1e-3 and 1e-2 < max(rates) <= 1e-1
    assert 0.3 < np.mean(np.array(rates) < 10**-2.5) < 0.7  # the middle of a logarithmic range
    assert {each["latent_dim"] for each in draws} == {1, 2, 3}
    assert drafted.trials == again.trials


def test_settings_that_are_drawn_again_are_trained_once() -> None:
    drafted = sweeps.draft(BASE, {"latent_dim": "1,2", "seed": "3,4"}, search="random", trials=20)
    assert drafted.plan.trials == len(drafted.trials) == 4


@pytest.mark.parametrize(
    ("values", "options", "said"),
    [
        ({"learning_rate": "0.1,20,0.2"}, {}, "Value 2 of 3: learning_rate = '20'"),
        ({"learnin_rate": "0.1"}, {}, "did you mean 'learning_rate'"),
        ({"learning_rate": ""}, {}, "learning_rate has no values"),
        ({}, {}, "Give values or a range"),
        (
            {"seed": ",".join(map(str, range(40))), "epochs": ",".join(map(str, range(1, 41)))},
            {},
            "1,600 trainings",
        ),
        (
            {},
            {
                "ranges": {"learning_rate": {"low": 0.1, "high": 0.01}},
                "search": "random",
                "trials": 3,
            },
            "upside down",
        ),
        (
            {},
            {
                "ranges": {"learning_rate": {"low": 0, "high": 1, "log": True}},
                "search": "random",
                "trials": 3,
            },
            "logarithmic",
        ),
        (
            {},
            {"ranges": {"epochs": {"low": 0, "high": 5}}, "search": "random", "trials": 3},
            "epochs = 0 is not possible",
        ),
        (
            {},
            {"ranges": {"activation": {"low": 0, "high": 5}}, "search": "random", "trials": 3},
            "list its values in place of a range",
        ),
        (
            {},
            {"ranges": {"learning_rate": {"low": "a", "high": 5}}, "search": "random", "trials": 3},
            "cannot be read",
        ),
        (
            {"epochs": "1,2"},
            {"ranges": {"epochs": {"low": 1, "high": 5}}, "search": "random", "trials": 3},
            "not both",
        ),
        ({}, {"ranges": {"epochs": {"low": 1, "high": 5}}}, "A grid takes values"),
        ({"seed": "0"}, {"search": "random"}, "say how many are drawn"),
        ({"seed": "0"}, {"search": "random", "trials": 1001}, "from 1 to 1,000"),
        ({"seed": "0"}, {"trials": 3}, "a grid has as many"),
        ({"seed": "0"}, {"search": "rnadom", "trials": 3}, "did you mean 'random'"),
        ({"seed": "0"}, {"halving": Halving(least=4)}, "leaves nothing to stop early"),
        ({"epochs": "2,4"}, {"halving": Halving()}, "'epochs' cannot differ"),
        ({"seed": "0"}, {"name": "No name"}, "name = 'No name' is not possible"),
        ({"latent_dim": "5,6"}, {}, "No combination"),
    ],
)
def test_what_cannot_be_planned_is_refused_with_the_reason(
    values: Any, options: Any, said: str
) -> None:
    with pytest.raises(InvalidRequest, match=said):
        sweeps.draft(BASE, values, **options)
    assert sweeps.plans() == ([], [])


def test_every_problem_is_said_at_once() -> None:
    with pytest.raises(InvalidRequest) as error:
        sweeps.draft(BASE, {"learning_rate": "-1,x", "batch": "1"}, name="A", trials=2)
    assert len(error.value.problems) == 5


def test_combinations_that_exclude_each_other_are_left_out_with_the_reason() -> None:
    drafted = sweeps.draft(BASE, {"latent_dim": "2,5", "seed": "0,1"})  # iris has 4 features
    assert [each["latent_dim"] for each in drafted.trials] == [2, 2]
    (left_out,) = drafted.left_out
    assert "latent_dim = 5" in left_out.reason
    assert left_out.combinations == [{"latent_dim": 5, "seed": 0}, {"latent_dim": 5, "seed": 1}]


def test_names_are_free_and_a_taken_one_is_refused() -> None:
    assert [planned().name for _ in range(2)] == ["iris-ae-sweep-1", "iris-ae-sweep-2"]
    with pytest.raises(InvalidRequest, match="taken"):
        sweeps.draft(BASE, {"seed": "0"}, name="iris-ae-sweep-1")
    drafted = sweeps.draft(BASE, {"seed": "0"}, name="mine")
    sweeps.save(drafted)
    with pytest.raises(InvalidRequest, match="taken"):
        sweeps.save(drafted)  # since it was planned
    other = planned({"seed": "0"}, name="other")
    carry_out(other)
    for file in other.folder.iterdir():
        file.unlink()
    other.folder.rmdir()
    with pytest.raises(InvalidRequest, match="runs of one"):
        sweeps.draft(BASE, {"seed": "0"}, name="other")


# --- Trials -------------------------------------------------------------------------------------


def test_a_trial_is_a_run_equal_to_one_that_was_trained_alone() -> None:
    plan = planned({"learning_rate": "0.01", "seed": "7"}, parent="before")
    (trial,) = carry_out(plan)
    assert (trial.state, trial.name) == ("done", "iris-ae-sweep-1-1")
    run = store.load(trial.name)
    assert (run.manifest.sweep, run.manifest.parent) == (plan.name, "before")
    (result,) = sweeps.results(plan)
    assert result.losses == [entry["test"]["total"] for entry in run.history]
    row = result.row()
    assert row["run"] == trial.name and row["settings"] == {"learning_rate": 0.01, "seed": 7}
    assert row["test_mse"] == run.manifest.metrics["test_mse"] and row["epochs"] == 4


def test_a_trial_goes_on_from_its_checkpoint_and_ends_as_if_it_had_not_stopped() -> None:
    plan = planned({"seed": "1"})
    assert train_until(plan, 1, until=2) is None
    assert sweeps.trials(plan)[0].state == "unfinished"
    assert len(sweeps.results(plan)[0].losses) == 2
    whole = planned({"seed": "1"})
    runs = [train_until(plan, 1), train_until(whole, 1)]
    assert runs[0].codes["codes"].tobytes() == runs[1].codes["codes"].tobytes()


def test_a_trial_with_a_damaged_checkpoint_begins_anew() -> None:
    plan = planned({"seed": "1"})
    train_until(plan, 1, until=2)
    (
        store.root() / "_unfinished" / sweeps.trials(plan)[0].name / "checkpoint.safetensors"
    ).write_bytes(b"damaged")
    assert train_until(plan, 1) is not None
    assert sweeps.trials(plan)[0].state == "done"


def test_a_trial_that_diverges_is_marked_and_the_others_go_on() -> None:
    plan = planned({"learning_rate": "10,0.01", "optimizer": "sgd"})
    with pytest.raises(training.Diverged):
        train_until(plan, 1)
    listed = carry_out(plan)
    assert [trial.state for trial in listed] == ["failed", "done"]
    assert "Training stopped in epoch" in listed[0].end.reason
    assert not store.unfinished()
    assert sweeps.results(plan)[0].row()["run"] is None


def test_a_cancelled_trial_keeps_its_losses_and_no_checkpoint() -> None:
    plan = planned({"seed": "1"})
    train_until(plan, 1, until=2)
    losses = sweeps.results(plan)[0].losses
    sweeps.end_unfinished(plan, sweeps.trials(plan)[0], "cancelled", "")
    (result,) = sweeps.results(plan)
    assert result.trial.state == "cancelled" and [*result.losses] == losses
    assert not store.unfinished() and not sweeps.next_trials(plan, sweeps.trials(plan))


TOO_LARGE = " " * sweeps.MAX_BYTES


@pytest.mark.parametrize(
    ("file", "content"),
    [
        *(("plan.json", content) for content in ("{", "{}", TOO_LARGE)),
        *(("trials.json", content) for content in ("{", '{"a": 1}', TOO_LARGE)),
        *(("1.json", content) for content in ("{", '{"state": "done"}', TOO_LARGE)),
    ],
    ids=lambda part: part[:20],
)
def test_a_damaged_sweep_is_named_and_the_others_are_read(file: str, content: str) -> None:
    plan, other = planned(), planned()
    if content == TOO_LARGE:
        sweeps.write_end(plan, 1, sweeps.End(state="failed"))
        content = (plan.folder / file).read_text() + content
    (plan.folder / file).write_text(content)
    with pytest.raises(Damaged, match=plan.name):
        sweeps.trials(sweeps.load(plan.name))
    names = [each.name for each in sweeps.plans()[0]]
    assert other.name in names and len(sweeps.trials(other)) == 2


# --- Early stopping -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("halving", "epochs", "rungs"),
    [
        (Halving(factor=3, least=1), 20, [1, 3, 9, 20]),
        (Halving(factor=2, least=3), 12, [3, 6, 12]),
        (Halving(factor=10, least=5), 5, [5]),
    ],
)
def test_trials_are_compared_after_a_factor_more_epochs_each_time(
    halving: Halving, epochs: int, rungs: list[int]
) -> None:
    assert halving.rungs(epochs) == rungs


def test_successive_halving_stops_the_poor_and_ends_with_the_best() -> None:
    plan = planned(
        {"learning_rate": "0.0001,0.001,0.003,0.01,0.03,0.05"}, halving=Halving(factor=2, least=1)
    )
    listed = carry_out(plan)
    results = sweeps.results(plan)
    assert sorted(len(each.losses) for each in results) == [1, 1, 1, 2, 4, 4]
    assert [trial.state for trial in listed].count("done") == 2
    for epoch, goes_on in ((1, 3), (2, 2)):
        there = [each for each in results if len(each.losses) >= epoch]
        best = sorted(there, key=lambda each: each.losses[epoch - 1])[:goes_on]
        assert {each.trial.number for each in results if len(each.losses) > epoch} == {
            each.trial.number for each in best
        }
    stopped = next(each for each in results if len(each.losses) == 1)
    assert stopped.row()["reason"] == "After epoch 1 3 were better."
    assert stopped.row()["test_loss"] == stopped.losses[-1]


def test_trials_are_compared_at_an_equal_epoch_whatever_comes_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = planned(halving=Halving(factor=2, least=1))
    first = Trial(1, plan.trial_name(1), {"seed": 0}, "unfinished")
    second = Trial(2, plan.trial_name(2), {"seed": 1}, "stopped")
    losses = {1: [1.0, 3.0], 2: [2.0]}
    monkeypatch.setattr(sweeps, "result_of", lambda t: sweeps.Result(t, losses[t.number]))
    assert sweeps.next_trials(plan, [first, second]) == [(first, None)]


def test_a_bayesian_search_compares_each_trial_with_those_before() -> None:
    plan = planned(
        {},
        ranges={"learning_rate": {"low": 1e-4, "high": 0.1, "log": True}},
        search="bayesian",
        trials=6,
        halving=Halving(factor=2, least=1),
    )
    assert sweeps.trials(plan) == []
    while True:
        listed = sweeps.trials(plan)
        wanted = sweeps.next_trials(plan, listed)
        if wanted:
            train_until(plan, wanted[0][0].number, wanted[0][1])
        elif len(listed) < plan.trials:
            sweeps.add_trials(plan, search.suggest(plan, sweeps.results(plan)))
        else:
            break
    states = [trial.state for trial in sweeps.trials(plan)]
    assert set(states) == {"done", "stopped"} and states[0] == "done"


# --- Optuna -------------------------------------------------------------------------------------


def test_importance_is_optunas_own_on_the_same_trials() -> None:
    drafted = sweeps.draft(
        BASE,
        {"activation": "elu,relu"},
        {
            "learning_rate": {"low": 1e-4, "high": 0.1, "log": True},
            "latent_dim": {"low": 1, "high": 4},
        },
        search="random",
        trials=30,
    )
    plan = drafted.plan

    def loss(settings: dict[str, Any]) -> float:
        return (math.log10(settings["learning_rate"]) + 2) ** 2 + 0.1 * settings["latent_dim"]

    results = [
        sweeps.Result(Trial(n, "t", settings, "done"), [loss(settings)])
        for n, settings in enumerate(drafted.trials, 1)
    ]
    study = optuna.create_study()
    study.add_trials(
        optuna.trial.create_trial(
            value=loss(settings),
            params=settings,
            distributions={
                "activation": optuna.distributions.CategoricalDistribution(["elu", "relu"]),
                "learning_rate": optuna.distributions.FloatDistribution(1e-4, 0.1, log=True),
                "latent_dim": optuna.distributions.IntDistribution(1, 4),
            },
        )
        for settings in drafted.trials
    )
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    wanted = optuna.importance.get_param_importances(study, evaluator=evaluator)
    assert search.importance(plan, results) == wanted
    assert next(iter(wanted)) == "learning_rate"
    assert search.importance(plan, results[:9]) is None
    # A combination is not counted before all of its seeds have ended.
    seed_left = sweeps.Result(Trial(11, "t", drafted.trials[9], "waiting"))
    assert search.importance(plan, [*results[:10], seed_left]) is None


def test_a_study_has_the_mean_of_the_seeds_and_leaves_out_what_failed() -> None:
    drafted = sweeps.draft(BASE, {"learning_rate": "0.1,0.2,0.3", "seed": "0,1"})
    losses = [[1.0], [3.0], [], [5.0], [], []]
    states = ["done", "done", "failed", "done", "failed", "failed"]
    results = [
        sweeps.Result(Trial(n, "t", settings, state), loss)
        for n, (settings, state, loss) in enumerate(
            zip(drafted.trials, states, losses, strict=True)
        )
    ]
    found = [(each.state.name, each.value) for each in search.study(drafted.plan, results).trials]
    assert found == [("COMPLETE", 2.0), ("COMPLETE", 5.0), ("FAIL", None)]


def test_a_bayesian_search_draws_where_trials_were_good() -> None:
    plan = sweeps.draft(
        BASE,
        {},
        {"learning_rate": {"low": 1e-4, "high": 1.0, "log": True}},
        search="bayesian",
        trials=60,
    ).plan
    results: list[sweeps.Result] = []
    for number in range(1, 41):
        settings = search.suggest(plan, results)
        loss = (math.log10(settings["learning_rate"]) + 2) ** 2
        results.append(sweeps.Result(Trial(number, "t", settings, "done"), [loss]))
    first, last = ([each.losses[0] for each in part] for part in (results[:10], results[-10:]))
    assert np.median(last) < np.median(first)


# --- Command line -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--grid", "learning_rate=1,2,30"], "Value 3 of 3"),
        (["--grid", "learning_rate"], "learning_rate has no values"),
        (["--range", "learning_rate=1-2"], "cannot be read"),
        (["--run", "nothing", "--grid", "seed=0"], "Unknown run"),
        (["--resume", "nothing"], "Unknown sweep"),
        (["--resume", "x", "--grid", "seed=1"], "leave out the rest"),
        (["--resume", "x", "--search", "random"], "leave out the rest"),
        (["--resume", "x", "--trials", "0"], "leave out the rest"),
        (["--grid", "seed=0", "--halving", "1"], "factor = 1 is not possible"),
    ],
)
def test_the_command_refuses_in_sentences(arguments: list[str], said: str) -> None:
    start = [] if {"--run", "--resume"} & {*arguments} else ["--dataset", "iris", "--variant", "ae"]
    found = CliRunner().invoke(app, ["sweep", *start, *arguments, "--json"])
    assert found.exit_code == 2 and said in json.loads(found.stdout)["faults"][0]
    assert "Traceback" not in found.output


@pytest.mark.parametrize("scale", ["", ":log"])
def test_the_command_reads_a_range(scale: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aecore.cli._carry_out", lambda plan: None)
    asked = ["--range", f"learning_rate=0.001..0.1{scale}", "--search", "random", "--trials", "2"]
    CliRunner().invoke(app, ["sweep", "--dataset", "iris", "--variant", "ae", *asked])
    ((plan,), _) = sweeps.plans()
    span = plan.ranges["learning_rate"]
    assert (span.low, span.high, span.log) == (0.001, 0.1, bool(scale))


def test_a_damaged_sweep_hides_no_other_from_the_list() -> None:
    damaged, plan = planned(), planned()
    (damaged.folder / "trials.json").write_text("{")
    found = CliRunner().invoke(app, ["sweeps", "--json"])
    assert [row["sweep"] for row in json.loads(found.stdout)] == [plan.name]
    assert found.exit_code == 0 and f"sweep '{damaged.name}' cannot be read" in found.stderr


def test_a_path_is_no_name_of_a_sweep() -> None:
    plan = planned()
    for name in (f"../_sweeps/{plan.name}", f"./{plan.name}"):
        with pytest.raises(InvalidRequest, match="Unknown sweep"):
            sweeps.load(name)


def test_the_command_ends_with_one_where_no_trial_is_trained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def carry_out_a_part(plan: Plan) -> None:
        train_until(plan, 1)
        sweeps.end_unfinished(plan, sweeps.trials(plan)[1], "cancelled", "")

    asked = ["--dataset", "iris", "--variant", "ae", "--grid", "seed=0,1,2", "--set", "epochs=1"]
    for carry, states, code in (
        (lambda plan: None, ["waiting"] * 3, 1),
        (carry_out_a_part, ["done", "cancelled", "waiting"], 0),
    ):
        monkeypatch.setattr("aecore.cli._carry_out", carry)
        found = CliRunner().invoke(app, ["sweep", *asked, "--json"])
        assert found.exit_code == code
        assert [row["state"] for row in json.loads(found.stdout)] == states
    listed = json.loads(CliRunner().invoke(app, ["sweeps", "--json"]).stdout)
    counts = [(row["trials"], row["ended"], row["done"]) for row in listed]
    assert counts == [(3, 2, 1), (3, 0, 0)]


def test_a_trial_that_is_resumed_by_itself_stays_a_trial_of_its_sweep() -> None:
    plan = planned()
    train_until(plan, 1, 1)
    name = sweeps.trials(plan)[0].name
    run = Resume.of(name).run(Listener())
    assert run.manifest.sweep == plan.name and sweeps.trials(plan)[0].state == "done"
