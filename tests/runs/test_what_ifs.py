"""Usual what-ifs, the estimate of a sweep's duration, and what its results say."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from test_sweeps import BASE, carry_out, planned

from aecore.models.variants import VARIANTS
from aecore.runs import findings, store, sweeps, what_ifs
from aecore.runs.sweeps import Halving, Plan, Result, Trial
from aecore.training import RunConfig

# --- Before -------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_usual_what_if_can_be_planned(variant: str) -> None:
    base = {"dataset": "digits", "variant": variant}
    offered = what_ifs.what_ifs(RunConfig.check(base))
    assert {"Learning rate", "Seeds"} <= {each.title for each in offered}
    for each in offered:
        drafted = sweeps.draft(base, {each.setting: each.values})
        assert len(drafted.trials) > 1 and not drafted.left_out


def test_a_what_if_has_only_values_that_the_data_allow() -> None:
    offered = {each.title: each.values for each in what_ifs.what_ifs(RunConfig.check(BASE))}
    assert offered["Code size"] == "1, 2, 4"  # iris has four features
    assert offered["Depth"] == "8; 8,4"
    assert "Beta" not in offered and "Noise level" not in offered


def test_an_estimate_scales_a_run_by_parameters_and_epochs() -> None:
    run: Any = store.load(carry_out(planned({"seed": "0"}))[0].name)
    run = SimpleNamespace(
        name=run.name,
        config=run.config,
        spec=run.spec,
        epochs=run.epochs,
        manifest=SimpleNamespace(seconds=8.0, sweep="s"),
    )
    same = sweeps.draft(BASE, {"seed": "0,1,2,3"})
    assert what_ifs.estimate(same, [run], 1) == (pytest.approx(32), [run.name])
    assert what_ifs.estimate(same, [run], 2).seconds == pytest.approx(16)
    longer = sweeps.draft(BASE, {"epochs": "4,8"})
    assert what_ifs.estimate(longer, [run], 1).seconds == pytest.approx(8 + 16)
    wider = sweeps.draft(BASE, {"hidden": "100;8"})
    sizes = [each.model.n_parameters(run.spec) for each in map(wider.plan.config, wider.trials)]
    work = [what_ifs.OVERHEAD + 16 * size for size in sizes]
    expected = 8 * sum(each / work[1] for each in work)
    assert what_ifs.estimate(wider, [run], 1).seconds == pytest.approx(expected)
    halved = sweeps.draft(BASE, {"seed": "0,1,2,3"}, halving=Halving(factor=2))
    # 4 trials of one epoch, 2 of another one, 1 of two more.
    assert what_ifs.estimate(halved, [run], 1).seconds == pytest.approx(2 * (4 + 2 + 2))
    bigger = sweeps.draft({**BASE, "training": {"epochs": 4, "batch_size": 60}}, {"seed": "0"})
    steps = math.ceil(run.spec.n_train / 60) / math.ceil(run.spec.n_train / 16)
    work = [what_ifs.OVERHEAD + size * sizes[1] for size in (60, 16)]
    expected = 8 * steps * work[0] / work[1]
    assert what_ifs.estimate(bigger, [run], 1).seconds == pytest.approx(expected)
    other = sweeps.draft({**BASE, "variant": "vae"}, {"seed": "0"})
    assert what_ifs.estimate(other, [run], 1) is None


# --- Afterwards ---------------------------------------------------------------------------------


def results_of(plan: Plan, values: dict[tuple[Any, ...], float], measure: str) -> list[Result]:
    """Trials that are done, with a measure for the values of their settings."""
    return [
        Result(
            Trial(n, f"t-{n}", dict(zip(plan.settings, key, strict=True)), "done"),
            [value],
            {measure: value},
        )
        for n, (key, value) in enumerate(values.items(), start=1)
    ]


SIZES = sweeps.draft(BASE, {"latent_dim": "1,2", "seed": "0,1"}).plan


def test_an_effect_is_the_mean_and_spread_over_the_seeds() -> None:
    values = {(2, 0): 1.0, (2, 1): 3.0, (1, 0): 5.0, (1, 1): 5.0}
    (line,) = findings.effect(
        SIZES, results_of(SIZES, values, "test_mse"), "latent_dim", "test_mse"
    )
    assert line == ("", [1, 2], [5, 2], [0, pytest.approx(2**0.5)])


def test_an_effect_has_a_line_for_each_of_a_few_combinations_of_the_others() -> None:
    plan = sweeps.draft(BASE, {"latent_dim": "1,2", "hidden": "8; 8,4"}).plan
    values = {(1, (8,)): 4.0, (1, (8, 4)): 3.0, (2, (8,)): 2.0, (2, (8, 4)): 1.0}
    results = results_of(plan, values, "test_mse")
    lines = findings.effect(plan, results, "latent_dim", "test_mse")
    assert [(line.name, line.mean) for line in lines] == [
        ("Hidden layers 8", [4, 2]),
        ("Hidden layers 8, 4", [3, 1]),
    ]
    of_widths = findings.effect(plan, results, "hidden", "test_mse")
    assert of_widths[0].x == ["8", "8, 4"]
    many = sweeps.draft(BASE, {"latent_dim": "1,2", "batch_size": "1,2,3,4,5,6,7,8"}).plan
    values = {(size, batch): float(size) for size in (1, 2) for batch in range(1, 9)}
    (line,) = findings.effect(many, results_of(many, values, "test_mse"), "latent_dim", "test_mse")
    assert line == ("", [1, 2], [1, 2], [0, 0])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {(1, 0): 5.0, (1, 1): 5.0, (2, 0): 1.0, (2, 1): 3.0},
            "Code size 2 has the lowest test MSE for every seed (0, 1).",
        ),
        (
            {(1, 0): 5.0, (1, 1): 2.0, (2, 0): 1.0, (2, 1): 3.0},
            "The seeds disagree on Code size: the lowest test MSE is at 2 for seed 0, 1 for seed "
            "1.",
        ),
        (
            {(1, 0): 5.0, (2, 0): 1.0},
            "Code size 2 has the lowest test MSE, with one seed: another may differ.",
        ),
        ({(1, 0): 5.0, (2, 1): 1.0}, ""),
    ],
)
def test_a_conclusion_says_whether_the_seeds_agree(
    values: dict[tuple[Any, ...], float], said: str
) -> None:
    results = results_of(SIZES, values, "test_mse")
    assert findings.conclusion(SIZES, results, "latent_dim", "test_mse") == said


def test_a_conclusion_over_other_settings_counts_them() -> None:
    plan = sweeps.draft(BASE, {"latent_dim": "1,2", "batch_size": "8,16", "seed": "0,1"}).plan
    keys = [(size, batch, seed) for size in (1, 2) for batch in (8, 16) for seed in (0, 1)]
    best = results_of(plan, {key: float(key[0]) for key in keys}, "trustworthiness")
    assert findings.conclusion(plan, best, "latent_dim", "trustworthiness") == (
        "Code size 2 has the highest trustworthiness for every seed (0, 1) and each combination of "
        "the other settings."
    )
    mixed = {key: float(key[0] if key != (2, 8, 0) else 0) for key in keys}
    assert findings.conclusion(
        plan, results_of(plan, mixed, "trustworthiness"), "latent_dim", "trustworthiness"
    ) == (
        "Seeds and other settings disagree on Code size: the highest trustworthiness is at 2 in 3 "
        "of 4, 1 in 1 of 4."
    )


def test_the_best_come_first_and_what_is_not_measured_last() -> None:
    results = results_of(SIZES, {(1, 0): 5.0, (2, 0): 1.0, (2, 1): 3.0}, "knn_accuracy")
    waiting = Result(Trial(9, "t-9", {}, "waiting"))
    ranked = findings.ranked([waiting, *results], "knn_accuracy")
    assert [each.trial.number for each in ranked] == [1, 3, 2, 9]
    said = findings.best_in_words(SIZES, ranked, "knn_accuracy")
    assert said == "The highest 10-NN accuracy, 5, is of trial 1: Code size 1, Seed 0."
    assert findings.best_in_words(SIZES, [waiting], "knn_accuracy") == ""
    # A trial that was stopped early is not the best, whatever it measured.
    stopped = Result(Trial(9, "t-9", {}, "stopped"), metrics={"knn_accuracy": 6.0})
    assert findings.best_in_words(SIZES, [stopped, *ranked], "knn_accuracy") == said


def test_the_best_combination_is_that_of_the_best_mean_over_its_seeds() -> None:
    values = {(1, 0): 0.5, (1, 1): 4.5, (2, 1): 3.0, (2, 0): 1.0}
    results = results_of(SIZES, values, "test_mse")
    best = findings.best_seeds(results, "test_mse")
    assert [each.trial.number for each in best] == [4, 3]  # by seed; a lucky one has less
    assert [
        each.trial.number
        for each in findings.best_seeds(
            results_of(SIZES, values, "trustworthiness"), "trustworthiness"
        )
    ] == [1, 2]
    assert findings.seeds_in_words(SIZES, best, "test_mse") == (
        "The lowest mean, 2 ± 1.4 (standard deviation of 2 seeds), is of Code size 2."
    )
    seeds = sweeps.draft(BASE, {"seed": "0,1,2"}).plan
    only = results_of(seeds, {(0,): 1.0, (1,): 2.0, (2,): 3.0}, "test_mse")
    assert findings.best_seeds(only, "test_mse") == only
    assert findings.seeds_in_words(seeds, only, "test_mse") == (
        "Over 3 seeds the test MSE is 2 ± 1 (standard deviation)."
    )
    failed = [replace(only[0], trial=replace(only[0].trial, state="failed")), *only[1:]]
    assert findings.best_seeds(failed, "test_mse") == only[1:]
    assert findings.best_seeds(only[:1], "test_mse") == []


def test_a_bayesian_search_is_finished_when_all_draws_are_made_and_have_ended() -> None:
    plan = sweeps.draft(
        BASE,
        {"seed": "0,1"},
        {"latent_dim": {"low": 1, "high": 4}},
        search="bayesian",
        trials=2,
    ).plan
    done = [Trial(n, f"t-{n}", {}, "done") for n in range(1, 5)]
    assert findings.is_finished(plan, done)
    assert not findings.is_finished(plan, done[:2])
    assert not findings.is_finished(plan, [*done[:3], replace(done[3], state="waiting")])
    assert findings.progress_in_words(plan, done[:2]) == "2 of 4 trained"


def test_rate_and_distortion_are_the_terms_of_the_last_epoch() -> None:
    base = {**BASE, "dataset": "digits", "variant": "beta-vae"}
    plan = sweeps.save(sweeps.draft(base, {"beta": "0,0.5,4"}))
    carry_out(plan)
    results = sweeps.results(plan)
    points = findings.rate_distortion(results)
    assert [beta for beta, _, _ in points] == [0.5, 4]
    for (beta, rate, distortion), result in zip(points, results[1:], strict=True):
        assert beta * rate + distortion == pytest.approx(result.losses[-1])
    assert findings.pca_curve(sweeps.results(planned({"latent_dim": "1,2"}))) == ([], [])


def test_axes_are_the_settings_that_differ_and_the_measure() -> None:
    plan = sweeps.draft(BASE, {"hidden": "8; 8,4", "latent_dim": "2", "seed": "3,5"}).plan
    values = {((8,), 2, 3): 4.0, ((8, 4), 2, 5): 3.0}
    axes = findings.axes(plan, results_of(plan, values, "test_mse"), "test_mse")
    assert axes == [
        ("Hidden layers", [0, 1], ["8", "8, 4"]),
        ("Seed", [0, 1], ["3", "5"]),
        ("Test MSE", [4, 3], []),
    ]


def test_the_file_of_the_table_has_a_row_for_each_trial() -> None:
    plan = planned({"hidden": "8; 8,4", "seed": "0"})
    carry_out(plan)
    lines = findings.as_csv(sweeps.results(plan)).splitlines()
    assert len(lines) == 3 and lines[0].startswith("trial,run,state,test_mse,test_loss")
    assert '"8,4",0' in lines[2]


def test_epochs_that_a_job_reports_follow_those_that_are_stored() -> None:
    plan = planned({"seed": "0"})
    (trial,) = sweeps.trials(plan)
    entries = [
        {"epoch": epoch, "test": {"total": 1 / epoch}, "test_mse": 0.1 / epoch, "seconds": 2.0}
        for epoch in (2, 3)
    ]
    before = sweeps.Result(trial, [5.0, 4.0], seconds=1)
    assert findings.followed(before, []) is before
    after = findings.followed(before, entries)
    assert after.losses == [5.0, 1 / 2, 1 / 3] and after.seconds == 4
    assert after.metrics == {"test_loss": 1 / 3, "test_mse": 0.1 / 3}
