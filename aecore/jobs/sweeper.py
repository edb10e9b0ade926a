"""Carrying out of sweeps: a thread that gives their trials to the queue, a few at a time."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Sequence, Set
from typing import TYPE_CHECKING, Literal

from aecore import locations
from aecore.errors import InvalidRequest
from aecore.files import lock
from aecore.jobs.cluster import TRIES, log
from aecore.jobs.queue import MOST_TOGETHER
from aecore.runs import search, sweeps
from aecore.runs.sweeps import ENDED, Plan, Trial
from aecore.runs.trials import TrainTrial

if TYPE_CHECKING:
    from aecore.jobs.queue import Job, Jobs

LOOK_EVERY = 0.3
"""Seconds."""


class Sweeping:
    """A sweep that this process carries out; no other process does so at the same time.

    Raises `InvalidRequest` if one does, or if there is no such sweep.
    """

    def __init__(self, jobs: Jobs, name: str) -> None:
        plan = sweeps.load(name)
        self.name, self._jobs = name, jobs
        self._failures: Counter[int] = Counter()
        self._seen: set[str] = set()
        self._withdrawn: set[str] = set()
        """Jobs that were cancelled because the sweep was paused or stopped."""
        with locations.writing():
            self._lock = lock(plan.folder / "lock")
        if self._lock is None:
            raise InvalidRequest(f"The sweep '{name}' is being carried out by another process.")

    def close(self) -> None:
        """Let another process carry it out."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def step(self) -> bool:
        """Queue the next trials and record those that ended; return whether any is left."""
        plan = sweeps.load(self.name)
        jobs = trial_jobs(self._jobs, self.name)
        for number, job in jobs:
            if not job.active and job.id not in self._seen:
                self._seen.add(job.id)
                self._ended(plan, number, job)
        active = {number: job for number, job in jobs if job.active}
        for job in active.values():
            if plan.state == "stopped" or (plan.state == "paused" and job.state == "queued"):
                self._withdrawn.add(job.id)
                self._jobs.cancel(job)
        if plan.state != "running":
            return bool(active)
        busy = set(active)
        wanted = sweeps.next_trials(plan, self._listed(plan, busy))
        with self._jobs.together():
            for trial, until in wanted:
                if len(busy) >= self._jobs.at_once * MOST_TOGETHER + AHEAD:
                    break
                if trial.number not in busy:
                    busy.add(trial.number)
                    self._submit(plan, trial, until)
        return bool(wanted or active)

    def _listed(self, plan: Plan, busy: Set[int]) -> list[Trial]:
        """The trials of a sweep; those of a Bayesian search are drawn as workers become free."""
        listed = sweeps.trials(plan)
        if len(listed) >= plan.planned(len(listed)):
            return listed
        waiting = any(each.state not in ENDED and each.number not in busy for each in listed)
        if waiting or len(busy) >= self._jobs.at_once:
            return listed
        return sweeps.add_trials(plan, search.suggest(plan, sweeps.results(plan)))

    def _submit(self, plan: Plan, trial: Trial, until: int | None) -> None:
        config = plan.config(trial.settings)
        try:
            self._jobs.submit(TrainTrial(config, trial.name, plan.name, trial.number, until))
        except InvalidRequest as error:  # tried again: a worker of before may still train it
            log.info("trial %s of %s waits: %s", trial.number, plan.name, error)

    def _ended(self, plan: Plan, number: int, job: Job) -> None:
        """Record the end of a trial that its worker did not record.

        One that fails, as by the death of its worker, is tried again a few times.
        """
        cancelled = job.state == "cancelled" and job.id not in self._withdrawn
        if job.state == "failed":
            self._failures[number] += 1
            log.warning("trial %s of %s: %s", number, plan.name, job.error)
        if not cancelled and self._failures[number] < TRIES:
            return
        trial = sweeps.trials(plan)[number - 1]
        if trial.state not in ENDED:
            state: Literal["cancelled", "failed"] = "cancelled" if cancelled else "failed"
            sweeps.end_unfinished(plan, trial, state, job.error)


def trial_jobs(jobs: Jobs, sweep: str) -> list[tuple[int, Job]]:
    """The jobs of a sweep, newest first, each with the number of its trial."""
    return [
        (job.task.number, job)
        for job in jobs.all()
        if isinstance(job.task, TrainTrial) and job.task.sweep == sweep
    ]


AHEAD = 1
"""Trials that wait in the queue, so that a worker which becomes free finds one."""


class Sweeper:
    """Thread that carries out every running sweep of the store."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._look = threading.Event()
        self._current: dict[str, Sweeping] = {}
        self._open = True
        self._thread = threading.Thread(target=self._keep, name="sweeps", daemon=True)
        self._thread.start()

    def look(self) -> None:
        """Look at the store now: a plan is new or has changed."""
        self._look.set()

    def close(self) -> None:
        """End the thread and let other processes carry the sweeps out."""
        self._open = False
        self._look.set()
        self._thread.join()
        for sweeping in self._current.values():
            sweeping.close()

    def _keep(self) -> None:
        while True:
            self._look.clear()
            if not self._open:
                return
            try:
                left = self._step(sweeps.plans()[0])
            except Exception as error:
                log.error("sweeps failed: %s", error, exc_info=True)
                left = bool(self._current)
            self._look.wait(LOOK_EVERY if left else None)

    def _step(self, plans: Sequence[Plan]) -> bool:
        """Take a step in each sweep that is running; return whether any goes on."""
        for plan in plans:
            if plan.state == "running" and plan.name not in self._current:
                try:
                    self._current[plan.name] = Sweeping(self._jobs, plan.name)
                except InvalidRequest as error:
                    log.info("%s", error)
        for name, sweeping in list(self._current.items()):
            try:
                goes_on = sweeping.step()
            except InvalidRequest as error:  # damaged, for instance; the others go on
                log.error("the sweep %s cannot go on: %s", name, error)
                goes_on = False
            if not goes_on:
                sweeping.close()
                del self._current[name]
        return bool(self._current)
