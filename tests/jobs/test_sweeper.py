"""Sweeps on real clusters: side by side, killed, paused, stopped and gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_until
from test_jobs import Elsewhere, elsewhere  # noqa: F401

from aecore.errors import InvalidRequest
from aecore.jobs import TRIES, Job, Jobs
from aecore.jobs.queue import MOST_TOGETHER
from aecore.jobs.sweeper import Sweeper, Sweeping, trial_jobs
from aecore.runs import store, sweeps
from aecore.runs.sweeps import Halving, Plan

pytestmark = pytest.mark.serial
ROOT = Path(__file__).parents[2]
DIGITS = {
    "dataset": "digits",
    "variant": "ae",
    "model": {"hidden": (32,)},
    "training": {"epochs": 6, "batch_size": 64, "device": "cpu"},
}


def planned(seeds: int = 4, halving: Halving | None = None, **training: int) -> Plan:
    base = {**DIGITS, "training": {**DIGITS["training"], **training}}
    return sweeps.save(sweeps.draft(base, {"seed": range(seeds)}, halving=halving))


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    jobs = Jobs()
    yield jobs
    for job in jobs.all():  # or they would be carried out in the store of the next test
        jobs.cancel(job)
    wait_until(lambda: not any(job.active for job in jobs.all()))
    jobs._drop()


def states(plan: Plan) -> list[str]:
    return [trial.state for trial in sweeps.trials(plan)]


def carry_out(jobs: Jobs, plan: Plan) -> None:
    sweeping = Sweeping(jobs, plan.name)
    while sweeping.step():
        time.sleep(0.02)
    sweeping.close()


def change(plan: Plan, state: str) -> None:
    sweeps.write(sweeps.load(plan.name).model_copy(update={"state": state}))


def test_trials_are_trained_side_by_side(jobs: Jobs) -> None:
    plan = planned(4, epochs=10_000)
    sweeping = Sweeping(jobs, plan.name)

    def running() -> list[Job]:
        sweeping.step()
        return [job for _, job in trial_jobs(jobs, plan.name) if job.begun and job.active]

    wait_until(lambda: len(running()) == 4)  # two workers with two each, or one with four
    change(plan, "stopped")
    while sweeping.step():
        time.sleep(0.02)
    sweeping.close()


def test_each_trial_is_trained_once(jobs: Jobs) -> None:
    plan = planned(4, epochs=20)
    carry_out(jobs, plan)
    assert states(plan) == ["done"] * 4
    assert [run.manifest.sweep for run in store.runs()[0]] == [plan.name] * 4
    assert sorted(run.name for run in store.runs()[0]) == [
        trial.name for trial in sweeps.trials(plan)
    ]


def test_early_stopping_goes_through_the_queue(jobs: Jobs) -> None:
    plan = planned(4, Halving(factor=2, least=2))
    carry_out(jobs, plan)
    assert sorted(states(plan)) == ["done", "stopped", "stopped", "stopped"] or sorted(
        states(plan)
    ) == ["done", "done", "stopped", "stopped"]
    assert sorted(len(each.losses) for each in sweeps.results(plan))[:2] == [2, 2]
    assert not store.unfinished()


def test_a_sweep_is_paused_gone_on_with_and_stopped(jobs: Jobs) -> None:
    plan = planned(6, epochs=400)
    sweeper = Sweeper(jobs)
    wait_until(lambda: any(job.begun for _, job in trial_jobs(jobs, plan.name)))
    with pytest.raises(InvalidRequest, match="carried out by another process"):
        Sweeping(jobs, plan.name)
    number, first = trial_jobs(jobs, plan.name)[-1]
    jobs.cancel(first)
    wait_until(lambda: states(plan)[number - 1] == "cancelled")
    change(plan, "stopped")
    wait_until(lambda: not any(job.active for _, job in trial_jobs(jobs, plan.name)))
    assert "done" not in states(plan) and states(plan).count("cancelled") == 1
    change(plan, "running")
    sweeper.look()
    wait_until(lambda: any(job.active for _, job in trial_jobs(jobs, plan.name)))
    change(plan, "stopped")
    wait_until(lambda: not any(job.active for _, job in trial_jobs(jobs, plan.name)))
    sweeper.close()
    Sweeping(jobs, plan.name).close()


def test_trials_of_a_stopped_sweep_have_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Jobs, "_submit_next", lambda self: None)
    jobs, plan = Jobs(), planned(2)
    sweeping = Sweeping(jobs, plan.name)
    assert sweeping.step() and any(job.active for job in jobs.all())
    change(plan, "stopped")
    while sweeping.step():
        pass
    sweeping.step()
    sweeping.close()
    assert {job.state for job in jobs.all()} == {"cancelled"}
    assert states(plan) == ["waiting"] * 2


def test_a_trial_that_always_fails_is_tried_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Jobs, "_submit_next", lambda self: None)
    jobs, plan, tries = Jobs(), planned(1), 0
    sweeping = Sweeping(jobs, plan.name)
    while sweeping.step():
        (job,) = (job for job in jobs.all() if job.active)
        jobs._end(job, "failed", "The worker was killed.")
        tries += 1
    sweeping.close()
    assert tries == TRIES
    (trial,) = sweeps.trials(plan)
    assert (trial.state, trial.end.reason) == ("failed", "The worker was killed.")


def test_one_of_a_stack_is_cancelled_and_the_others_are_trained(jobs: Jobs) -> None:
    plan = planned(4, epochs=60)
    sweeping = Sweeping(jobs, plan.name)
    cancelled = 0
    while sweeping.step():
        running = [each for each in trial_jobs(jobs, plan.name) if each[1].begun]
        if not cancelled and running and running[0][1].log.history:
            cancelled, job = running[0]
            assert job.shared
            jobs.cancel(job)
        time.sleep(0.02)
    sweeping.close()
    assert states(plan)[cancelled - 1] == "cancelled"
    assert sorted(states(plan)) == ["cancelled", "done", "done", "done"]
    assert not store.unfinished()


def test_a_paused_sweep_takes_its_waiting_trials_back(jobs: Jobs) -> None:
    plan = planned(2 * MOST_TOGETHER + 4, epochs=40)
    sweeping = Sweeping(jobs, plan.name)
    wait_until(lambda: sweeping.step() and any(j.begun for _, j in trial_jobs(jobs, plan.name)))
    change(plan, "paused")
    while sweeping.step():
        time.sleep(0.05)
    assert 1 <= states(plan).count("done") <= 2 * MOST_TOGETHER
    assert "cancelled" not in states(plan)
    change(plan, "running")
    while sweeping.step():
        time.sleep(0.05)
    sweeping.close()
    assert states(plan) == ["done"] * (2 * MOST_TOGETHER + 4)


def test_a_worker_of_two_is_killed_and_no_trial_is_lost_or_counted_twice(
    elsewhere: Elsewhere,  # noqa: F811
) -> None:
    workers = [elsewhere.worker() for _ in range(2)]
    jobs, plan = Jobs(), planned(4, epochs=30)
    sweeping = Sweeping(jobs, plan.name)
    killed = False
    while sweeping.step():
        if not killed and sum(job.begun for _, job in trial_jobs(jobs, plan.name)) >= 2:
            workers[0].kill()
            killed = True
        time.sleep(0.05)
    sweeping.close()
    assert killed and states(plan) == ["done"] * 4
    assert sorted(run.name for run in store.runs()[0]) == [
        trial.name for trial in sweeps.trials(plan)
    ]
    assert not store.unfinished()


def test_the_command_prints_one_list_of_trials_and_goes_on_with_a_sweep(tmp_path: Path) -> None:
    def command(*arguments: str) -> list[dict[str, Any]]:
        asked = [sys.executable, "-m", "aecore", "sweep", *arguments, "--json"]
        done = subprocess.run(asked, cwd=ROOT, capture_output=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    settings = ("--set", "epochs=2", "--set", "hidden=8", "--grid", "seed=0,1", "--name", "mine")
    rows = command("--dataset", "iris", "--variant", "ae", *settings, "--grid", "latent_dim=2,9")
    assert [(row["run"], row["state"]) for row in rows] == [("mine-1", "done"), ("mine-2", "done")]
    assert [row["settings"] for row in rows] == [{"seed": seed, "latent_dim": 2} for seed in (0, 1)]
    assert all(row["test_mse"] > 0 and row["test_loss"] > 0 for row in rows)
    assert all(row["seconds"] > 0 for row in rows)
    assert command("--resume", "mine") == rows


CARRY_OUT = """
import os, signal, sys, time
from aecore.jobs import TRIES, Jobs
from aecore.jobs.queue import MOST_TOGETHER
from aecore.jobs.sweeper import Sweeping
from aecore.runs import sweeps

if __name__ == "__main__":
    sweeping = Sweeping(Jobs(), sys.argv[1])
    while sweeping.step():
        ended = sum(trial.state == "done" for trial in sweeps.trials(sweeps.load(sys.argv[1])))
        if ended >= 1:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.02)
"""


def test_after_the_death_of_server_and_workers_a_sweep_goes_on(jobs: Jobs, tmp_path: Path) -> None:
    plan = planned(4, epochs=12)
    script = tmp_path / "carry_out.py"
    script.write_text(CARRY_OUT)
    command = [sys.executable, str(script), plan.name]
    before = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=300, check=False
    )
    assert before.returncode == -signal.SIGKILL
    done = {run.name: run.manifest.created for run in store.runs()[0]}
    assert len(done) >= 1 and states(plan).count("done") < 4
    carry_out(jobs, plan)
    assert states(plan) == ["done"] * 4
    assert {run.name: run.manifest.created for run in store.runs()[0]}.items() >= done.items()
