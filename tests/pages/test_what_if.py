"""The page What if: its form, the trials of stored sweeps, and what they say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from test_pages import ROOT, idle_jobs, opened, shipped_runs, told  # noqa: F401
from test_sweeps import carry_out, planned

from aecore.jobs import Jobs, TrainingLog
from aecore.runs import findings, sweeps, trials
from pages.app import cache

WHAT_IF = ROOT / "pages" / "what_if.py"


class Idle:
    """Sweeper that carries out nothing."""

    looked = 0

    def look(self) -> None:
        self.looked += 1


@pytest.fixture(autouse=True)
def sweeper(monkeypatch: pytest.MonkeyPatch) -> Idle:
    idle = Idle()
    monkeypatch.setattr(cache, "sweeper", lambda: idle)
    return idle


@pytest.fixture(autouse=True)
def fresh_results() -> Iterator[None]:
    yield
    cache._trial_result.clear()


def said(at: AppTest) -> str:
    return " ".join(each.value for each in (*at.markdown, *at.caption)).replace("\\", "")


def rows(at: AppTest) -> dict[str, str]:
    """Values as typed by the setting of each row."""
    at.session_state["what_if_rows"]
    return {
        at.selectbox(key=f"vary-{n}").value: at.text_input(key=f"values-{n}").value
        for n in at.session_state["what_if_rows"]
    }


def filled(at: AppTest, *settings: str) -> AppTest:
    for setting in settings:
        at.button(key=f"fill-{setting}").click().run()
    return at


# --- The form -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variant", "offered"),
    [
        ("ae", {"latent_dim", "hidden", "learning_rate", "seed"}),
        ("beta-vae", {"latent_dim", "hidden", "beta", "learning_rate", "seed"}),
        ("denoising", {"latent_dim", "hidden", "level", "learning_rate", "seed"}),
        ("conv", {"latent_dim", "channels", "learning_rate", "seed"}),
    ],
)
def test_one_click_fills_in_each_usual_what_if_of_the_variant(
    variant: str, offered: set[str]
) -> None:
    at = opened(WHAT_IF, dataset="digits", variant=variant)
    assert not at.exception and not at.error
    buttons = [each.key for each in at.button if each.key and each.key.startswith("fill-")]
    assert set(buttons) == {f"fill-{name}" for name in offered}
    filled(at, *sorted(offered))
    assert not at.exception
    assert rows(at).keys() == offered
    assert rows(at)["seed"] == "0, 1, 2" and rows(at)["latent_dim"] == "1, 2, 4, 8, 16, 32"
    for setting in offered - {"latent_dim", "seed"}:
        at.button(
            key=f"remove-{at.session_state['what_if_rows'][[*rows(at)].index(setting)]}"
        ).click().run()
    assert rows(at).keys() == {"latent_dim", "seed"} and not at.error
    assert "**18 trainings**" in said(at)


def test_the_settings_of_a_run_are_what_the_trials_differ_from(
    shipped_runs: Path,  # noqa: F811
    sweeper: Idle,
) -> None:
    at = filled(opened(WHAT_IF, run="digits-vae"), "seed")
    assert "Variational autoencoder on digits, 60 epochs" in said(at)
    assert "**3 trainings**, about" in said(at) and "estimated from digits-vae" in said(at)
    press(at)
    (plan,) = sweeps.plans()[0]
    assert plan.parent == "digits-vae" and plan.base["training"]["epochs"] == 60
    assert plan.values == {"seed": (0, 1, 2)} and plan.state == "running"
    assert sweeper.looked == 1 and at.query_params["sweep"] == plan.name


def press(at: AppTest, label: str = "Start") -> AppTest:
    return next(each for each in at.button if each.label == label).click().run()


def test_nothing_like_it_was_trained_is_said() -> None:
    at = filled(opened(WHAT_IF, dataset="iris", variant="ae"), "seed")
    assert "**3 trainings**, how long is not known: nothing like it was trained here" in said(at)


def test_every_problem_is_said_at_once_and_nothing_is_lost() -> None:
    at = filled(opened(WHAT_IF, dataset="digits", variant="ae"), "learning_rate", "seed")
    at.text_input(key="values-1").set_value("0.1, 20").run()
    at.text_input(key="values-2").set_value("one").run()
    at.text_input(key="sweep_name-0").set_value("No name").run()
    press(at)
    (error,) = at.error
    assert error.value.count("\n") == 2
    for problem in ("Value 2 of 2", "Seed", "No name"):
        assert problem in error.value.replace("\\", "")
    assert rows(at) == {"learning_rate": "0.1, 20", "seed": "one"}
    assert at.text_input(key="sweep_name-0").value == "No name"
    assert not sweeps.plans()[0]


def test_a_plan_of_nothing_is_refused_when_it_is_started() -> None:
    at = opened(WHAT_IF, dataset="digits", variant="ae")
    assert not at.error
    press(at)
    assert "Give values or a range" in at.error[0].value


def test_combinations_that_are_impossible_are_listed_by_reason() -> None:
    at = filled(opened(WHAT_IF, dataset="iris", variant="ae"), "latent_dim")
    assert rows(at)["latent_dim"] == "1, 2, 4"  # iris has four features
    at.text_input(key="values-1").set_value("2, 8").run()
    assert not at.error
    assert [each.label for each in at.expander if "left out" in each.label]
    assert "latent_dim = 8" in said(at)


def test_a_search_draws_from_ranges_and_may_stop_poor_trials() -> None:
    at = filled(opened(WHAT_IF, dataset="digits", variant="ae", search="Random"), "seed")
    press(at, "Add a setting")
    at.selectbox(key="vary-2").set_value("activation").run()
    assert rows(at)["activation"] == "gelu" and not at.error  # as the preset has it
    at.selectbox(key="vary-2").set_value("learning_rate").run()
    assert at.selectbox(key="given-2").value == "Range"
    at.text_input(key="low-2").set_value("0.01").run()
    at.text_input(key="high-2").set_value("0.001").run()
    assert "upside down" in at.error[0].value
    at.text_input(key="high-2").set_value("0.1").run()
    at.checkbox(key="log-2").check().run()
    at.number_input(key="draws").set_value(4).run()
    at.checkbox(key="halving").check().run()
    at.number_input(key="factor").set_value(2).run()
    assert not at.error and "**12 trainings**" in said(at)
    press(at)
    (plan,) = sweeps.plans()[0]
    assert plan.search == "random" and plan.halving == sweeps.Halving(factor=2)
    assert plan.ranges["learning_rate"] == sweeps.Range(low=0.01, high=0.1, log=True)


def test_rows_outlive_another_page_and_another_variant() -> None:
    at = filled(opened(WHAT_IF, dataset="digits", variant="beta-vae"), "beta", "seed")
    at.selectbox(key="variant").set_value("ae").run()
    assert not at.exception
    assert "**3 trainings**" in said(at)
    at.selectbox(key="variant").set_value("beta-vae").run()
    assert rows(at) == {"beta": "0.25, 0.5, 1, 2, 4, 8", "seed": "0, 1, 2"}


# --- Stored sweeps ------------------------------------------------------------------------------


def test_the_trials_stand_in_a_table_with_the_best_first() -> None:
    plan = planned({"latent_dim": "1,2", "seed": "0,1"})
    carry_out(plan)
    at = opened(WHAT_IF, dataset="iris", sweep=plan.name)
    assert not at.exception and not at.error
    table = at.dataframe[0].value
    assert "**4 of 4 trained**" in said(at)
    assert table["test_mse"].is_monotonic_increasing and len(table) == 4
    assert set(table["state"]) == {"trained"} and (table["epochs"] == 4).all()
    assert table["map"].str.startswith("loupe/thumbnails/").all()
    assert {"latent_dim", "seed", "trustworthiness", "knn_accuracy"} <= set(table)
    other = opened(WHAT_IF, dataset="iris", sweep=plan.name, measure="trustworthiness")
    ranked = other.dataframe[0].value["trustworthiness"]
    assert ranked.is_monotonic_decreasing
    assert "The seeds disagree on Code size: the lowest test MSE is at 1 for seed 0, 2" in said(at)


def test_the_ticked_trial_is_that_of_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned({"learning_rate": "0.0001,0.03"})
    carry_out(plan)
    table = st.dataframe

    def first_ticked(*arguments: Any, **options: Any) -> Any:
        table(*arguments, **options)
        return SimpleNamespace(selection=SimpleNamespace(rows=[0]))

    monkeypatch.setattr(st, "dataframe", first_ticked)
    at = opened(WHAT_IF, dataset="iris", sweep=plan.name)
    assert not at.exception and at.dataframe[0].value["trial"].tolist() == [2, 1]
    assert "**Trial 2**" in said(at)
    links = {link.proto.query_string for link in at.get("page_link")}
    assert f"run={plan.trial_name(2)}" in links and f"run={plan.trial_name(1)}" not in links


def test_pca_stands_beside_the_test_mse_of_a_code_size_alone() -> None:
    plan = planned({"latent_dim": "1,2"})
    carry_out(plan)
    for measure, lines in (("test_mse", ["Test MSE", "PCA"]), ("knn_accuracy", ["10-NN accuracy"])):
        at = opened(WHAT_IF, dataset="iris", sweep=plan.name, measure=measure)
        (chart,) = (each for each in at.get("plotly_chart") if "each Code size" in each.proto.alt)
        assert [line["name"] for line in json.loads(chart.proto.spec)["data"]] == lines


def test_the_seeds_of_the_best_and_of_the_ticked_trial_are_compared() -> None:
    plan = planned({"latent_dim": "1,2", "seed": "0,1,2"})
    trials = {trial.number: trial for trial in carry_out(plan)}
    at = opened(WHAT_IF, dataset="iris", sweep=plan.name)
    assert not at.exception and not at.error
    best = findings.best_seeds(sweeps.results(plan), "test_mse")
    assert "The lowest mean, " in said(at)
    assert "Over 3 seeds a sample keeps " in said(at) and "would be chance)" in said(at)

    def compared(label: str) -> list[list[str]]:
        """Parts of the addresses of the links with this label."""
        return [
            link.proto.query_string.split("&")
            for link in at.get("page_link")
            if link.proto.label == label
        ]

    first, second, third = (each.trial.name for each in best)
    assert compared("Maps of the seeds") == [
        [f"run={first}", f"other={second}", f"other={third}", "panes="]
    ]
    assert compared("Reconstructions of the seeds") == [
        [f"run={first}", f"pins={second}", f"pins={third}"]
    ]
    worse = next(each for each in trials.values() if each.name not in (first, second, third))
    at.session_state["trial"] = (plan.name, worse.number)
    at.run()
    same = [
        each.name
        for each in trials.values()
        if each.settings["latent_dim"] == worse.settings["latent_dim"]
    ]
    names = [part.split("=")[1] for part in compared("Maps of the seeds")[0][:3]]
    assert names == same and len(compared("Maps of the seeds")) == 2


def test_a_sweep_is_paused_stopped_and_goes_on(sweeper: Idle) -> None:
    plan = planned()
    at = opened(WHAT_IF, dataset="iris")
    assert "0 of 2 trained" in said(at)
    for label, state in (("Pause", "paused"), ("Go on", "running"), ("Stop", "stopped")):
        press(at, label)
        assert not at.exception and sweeps.load(plan.name).state == state
    assert sweeper.looked == 3 and "it is stopped" in said(at)


def test_the_end_of_each_trial_has_its_reason() -> None:
    plan = planned({"learning_rate": "0.0001,0.001,0.01,0.03"}, halving=sweeps.Halving(factor=2))
    carry_out(plan)
    at = opened(WHAT_IF, dataset="iris")
    table = at.dataframe[0].value
    assert (table["state"] == "stopped early").sum() == 3
    assert table["reason"].str.contains("were better").sum() == 3
    assert "1 of 4 trained, 3 stopped early" in said(at)


def test_damaged_and_unknown_sweeps_are_sentences() -> None:
    plan, other = planned(), planned()
    (plan.folder / "plan.json").write_text("{")
    (other.folder / "trials.json").write_text("{")
    at = opened(WHAT_IF, dataset="iris", sweep="none-such")
    assert not at.exception
    assert "none-such" in told(at) and plan.name in told(at) and other.name in told(at)


def test_a_new_server_goes_on_with_a_sweep_that_runs(
    monkeypatch: pytest.MonkeyPatch, sweeper: Idle
) -> None:
    began = []
    monkeypatch.setattr(cache, "sweeper", lambda: began.append(True) or sweeper)
    opened(ROOT / "pages" / "recipes.py")
    assert began


def test_a_trial_that_runs_is_followed_and_can_be_stopped(idle_jobs: Jobs) -> None:  # noqa: F811
    plan = planned()
    trial = sweeps.trials(plan)[0]
    task = trials.TrainTrial(plan.config(trial.settings), trial.name, plan.name, 1)
    job = idle_jobs.submit(task)
    job.state = "running"
    entry = {"epoch": 1, "test": {"total": 5.0}, "test_mse": 0.5, "seconds": 2.0}
    view = {"plane": np.random.default_rng(0).normal(size=(30, 2)), "labels": np.arange(30) % 3}
    job.log = TrainingLog([entry], view)
    at = opened(WHAT_IF, dataset="iris")
    first = at.dataframe[0].value.iloc[0]
    assert (first["state"], first["epochs"], first["test_mse"]) == ("running", 1, 0.5)
    assert first["map"].startswith("data:image/png") and "1 running" in said(at)
    at.session_state["trial"] = (plan.name, 1)
    press(at.run(), "Stop this trial")
    assert not at.exception and job.stop_asked is not None
