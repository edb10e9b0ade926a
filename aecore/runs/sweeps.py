"""Sweeps: trainings that differ in a few settings, planned together and compared.

    models_store/_sweeps/<sweep>/plan.json      what was asked
                                 trials.json    the settings of each trial, in order
                                 <number>.json  end of a trial that left no run

A trial that is done is a run of its own, called <sweep>-<number>. What is known of a sweep is read
from these files and from the runs, so that whoever goes on with it after a crash, counts each trial
once.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast, get_args

import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from aecore import artifacts, files, locations
from aecore.errors import Damaged, InvalidRequest, in_one_line, shown, unknown
from aecore.models.variants import VARIANTS
from aecore.runs import store
from aecore.settings import Setting, list_settings, read_settings
from aecore.training import RunConfig, TrainingConfig
from aecore.training.history import loss_of

MOST_TRIALS = 1_000
MAX_BYTES = 16 * 2**20
"""Bytes of a file of a sweep."""
Search = Literal["grid", "random", "bayesian"]
State = Literal["waiting", "unfinished", "done", "stopped", "failed", "cancelled"]
ENDED: tuple[State, ...] = ("done", "stopped", "failed", "cancelled")


class Range(BaseModel):
    """Interval that the values of a setting are drawn from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: FiniteFloat
    high: FiniteFloat
    log: bool = Field(False, description="Whether equal ratios are equally likely.")


class Halving(BaseModel):
    """Successive halving: poor trials are stopped early (Jamieson & Talwalkar 2016).

    All trials train `least` epochs; the best 1 / `factor` of them, by their loss at that equal
    epoch, train `factor` times as many, and so on. The loss is that on the validation part, or on
    the test split where there is none. A trial that has stopped early is compared by the loss of
    its stored weights.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    factor: int = Field(3, ge=2, le=10, description="One in so many goes on.")
    least: int = Field(1, ge=1, description="Epochs that every trial trains.")

    def rungs(self, epochs: int) -> list[int]:
        """Epochs after which trials are compared, and the last.

        >>> Halving(factor=3, least=1).rungs(20)
        [1, 3, 9, 20]
        """
        steps = itertools.count()
        early = (self.least * self.factor**step for step in steps)
        return [*itertools.takewhile(lambda epoch: epoch < epochs, early), epochs]

    def survivors(self, n: int) -> int:
        """How many of n trials go on."""
        return math.ceil(n / self.factor)


class Plan(BaseModel):
    """What was asked of a sweep."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: store.RunName
    created: AwareDatetime
    base: dict[str, Any]
    """Request of the training that the trials differ from, as for `RunConfig.check`."""
    values: dict[str, tuple[Any, ...]]
    ranges: dict[str, Range] = {}
    search: Search = "grid"
    trials: int = Field(1, ge=1, le=MOST_TRIALS)
    """How many there are, or at most."""
    halving: Halving | None = None
    parent: str = ""
    """The run that it is a what-if of."""
    state: Literal["running", "paused", "stopped"] = "running"

    @property
    def folder(self) -> Path:
        return _folder(self.name)

    @property
    def settings(self) -> list[str]:
        """Names of the settings in which the trials differ."""
        return [*self.values, *self.ranges]

    def with_seeds(self, drawn: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Drawn settings, once for each seed."""
        if "seed" not in self.values:
            return [dict(drawn)]
        return [{**drawn, "seed": seed} for seed in self.values["seed"]]

    def planned(self, n: int) -> int:
        """How many trials there will be, of which n are known; a Bayesian search draws late."""
        return self.trials * len(self.with_seeds({})) if self.search == "bayesian" else n

    def config(self, settings: Mapping[str, Any]) -> RunConfig:
        """Configuration of a trial; raises `InvalidRequest` if its settings exclude each other."""
        return RunConfig.check(with_settings(self.base, settings))

    def trial_name(self, number: int) -> str:
        """Name of the run of a trial, from 1."""
        return f"{self.name}-{number:0{len(str(self.trials))}d}"


class LeftOut(NamedTuple):
    """Combinations of settings that are impossible, and why."""

    reason: str
    combinations: list[dict[str, Any]]


class Draft(NamedTuple):
    """A plan that is not stored yet, its trials as far as they are known, and those left out."""

    plan: Plan
    trials: list[dict[str, Any]]
    left_out: list[LeftOut]


# --- Planning -----------------------------------------------------------------------------------


def settings_of(variant: str) -> dict[str, Setting]:
    """Settings of a training of a variant, by name: those of the model, then of the training."""
    kinds = (VARIANTS[variant], TrainingConfig)
    return {setting.name: setting for kind in kinds for setting in list_settings(kind)}


def draft(
    base: Mapping[str, Any],
    values: Mapping[str, str | Sequence[Any]],
    ranges: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    search: str = "grid",
    trials: int | None = None,
    halving: Halving | None = None,
    name: str | None = None,
    parent: str = "",
) -> Draft:
    """Plan a sweep; nothing is stored or trained.

    Arguments
        base: request of the training that the trials differ from, as for `RunConfig.check`.
        values: of settings of the model or the training, by name; as typed, text with commas
            between, or with semicolons where a value has commas itself, as widths have.
        ranges: `low`, `high` and perhaps `log` of settings that are drawn, by name.
        search: "grid" for every combination of the values, "random" for independent draws,
            "bayesian" for draws where the trials before were good (Bergstra et al. 2011).
        trials: how many are drawn; a grid has as many as it has.

    Raises `InvalidRequest` with every problem of the request.
    """
    config = RunConfig.check(base)
    known = settings_of(config.variant)
    problems: list[str] = []
    listed = {key: _listed(known, key, given, config, problems) for key, given in values.items()}
    spans = {
        key: _span(known, key, given, config, problems) for key, given in (ranges or {}).items()
    }
    if both := sorted(listed.keys() & spans.keys()):
        problems.append(f"{', '.join(both)}: give values or a range, not both.")
    if not listed and not spans:
        problems.append("Give values or a range to at least one setting.")
    if search not in get_args(Search):
        problems.append(unknown("search", search, get_args(Search)))
    elif search == "grid":
        if spans:
            problems.append(
                f"A grid takes values, and {', '.join(spans)} has a range: list values, or choose "
                "the search 'random' or 'bayesian'."
            )
        if trials is not None:
            problems.append(
                f"trials = {trials} is not possible: a grid has as many as its values combine to."
            )
        size = math.prod(len(each) for each in listed.values())
        if size > MOST_TRIALS:
            problems.append(
                f"These values combine to {size:,} trainings, and a sweep has at most "
                f"{MOST_TRIALS:,}: give fewer values, or let the search 'random' or 'bayesian' "
                "try some of them."
            )
    elif trials is None or not 1 <= trials <= MOST_TRIALS:
        problems.append(
            f"trials = {shown(trials)} is not possible: say how many are drawn, from 1 to "
            f"{MOST_TRIALS:,}."
        )
    if halving and halving.least >= config.training.epochs and "epochs" not in listed:
        problems.append(
            f"least = {halving.least} epochs leaves nothing to stop early: the training has "
            f"epochs = {config.training.epochs}."
        )
    if halving and {"epochs"} & {*listed, *spans}:
        problems.append(
            "Poor trials are stopped by their loss at equal epochs, so 'epochs' cannot differ "
            "between them: take it out, or train all to their end."
        )
    try:
        chosen = _free_name(config, name)
    except InvalidRequest as error:
        problems += error.problems
        chosen = "sweep"
    if problems:
        raise InvalidRequest(problems)
    plan = Plan(
        name=chosen,
        created=datetime.now(UTC),
        base={
            "dataset": config.dataset,
            "variant": config.variant,
            "model": config.model.model_dump(mode="json"),
            "training": config.training.model_dump(mode="json"),
        },
        values={key: tuple(each) for key, each in listed.items()},
        ranges=spans,
        search=cast("Search", search),
        trials=trials or 1,
        halving=halving,
        parent=parent,
    )
    if search == "bayesian":
        return Draft(plan, [], [])
    combinations = _grid(plan) if search == "grid" else _random(plan)
    possible, left_out = _possible(plan, combinations)
    if not possible:
        raise InvalidRequest(
            ["No combination of these values is possible:"] + [each.reason for each in left_out]
        )
    return Draft(plan.model_copy(update={"trials": len(possible)}), possible, left_out)


def _listed(
    known: Mapping[str, Setting],
    key: str,
    given: str | Sequence[Any],
    config: RunConfig,
    problems: list[str],
) -> list[Any]:
    """Values of a setting, read as its kind; problems name the value and its place."""
    if key not in known:
        problems.append(unknown("setting", key, known))
        return []
    if isinstance(given, str):
        sign = ";" if known[key].kind == "widths" or ";" in given else ","
        given = [part.strip() for part in given.split(sign) if part.strip()]
    if not given:
        problems.append(f"{key} has no values: list at least one.")
        return []
    read: list[Any] = []
    for place, value in enumerate(given, start=1):
        wrong: list[str] = []
        value = _read(config, key, value, wrong)
        if wrong:
            where = f"Value {place} of {len(given)}: " if len(given) > 1 else ""
            problems += [where + problem for problem in wrong]
        elif value not in read:
            read.append(value)
    return read


def _read(config: RunConfig, key: str, value: Any, problems: list[str]) -> Any:
    """A value of a setting as it is stored."""
    kind = TrainingConfig if key in TrainingConfig.model_fields else type(config.model)
    settings, _ = read_settings(kind, {key: value}, problems)
    return settings.model_dump(mode="json")[key]


def _span(
    known: Mapping[str, Setting],
    key: str,
    given: Mapping[str, Any],
    config: RunConfig,
    problems: list[str],
) -> Range:
    """Range of a setting, inside its bounds."""
    nothing = Range(low=0, high=1)
    if key not in known:
        problems.append(unknown("setting", key, known))
        return nothing
    if known[key].kind not in ("number", "whole number"):
        problems.append(f"{key} is {known[key].allowed}: list its values in place of a range.")
        return nothing
    try:
        span = Range.model_validate(dict(given))
    except ValidationError as error:
        problems.append(f"The range of {key} cannot be read: {in_one_line(error)}.")
        return nothing
    if span.low >= span.high:
        problems.append(
            f"The range of {key} is upside down or empty: low = {span.low:g}, high = "
            f"{span.high:g}. Give the smaller number first."
        )
    if span.log and span.low <= 0:
        problems.append(
            f"low = {span.low:g} of {key} is not possible with a logarithmic range: give a number "
            "above 0."
        )
    for end in (span.low, span.high):
        whole = known[key].kind == "whole number"
        _read(config, key, int(end) if whole and end == int(end) else end, problems)
    return span


def _free_name(config: RunConfig, asked: str | None) -> str:
    """Name of a sweep that neither another one nor runs have."""
    if asked:
        if not store.RUN_NAME.fullmatch(asked) or len(asked) > LONGEST_NAME:
            raise InvalidRequest(
                f"name = {shown(asked)} is not possible: give up to {LONGEST_NAME} lower-case "
                "letters, digits and hyphens, beginning with a letter or digit."
            )
        if _is_taken(asked):
            raise InvalidRequest(
                f"name = '{asked}' is taken by a sweep, or by runs of one: choose another."
            )
        return asked
    stem = f"{config.dataset}-{config.variant}-sweep"[: LONGEST_NAME - 4]
    return next(name for n in itertools.count(1) if not _is_taken(name := f"{stem}-{n}"))


def _is_taken(name: str) -> bool:
    """Whether there is a sweep of this name, or a run that one of its trials would be."""
    of_trial = re.compile(rf"{re.escape(name)}-\d+")
    return _folder(name).exists() or any(map(of_trial.fullmatch, store.names()))


LONGEST_NAME = 54
"""So that the number of a trial still fits into the name of its run."""


def with_settings(base: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Request of a training with some settings changed."""
    of_training = {key: value for key, value in settings.items() if key in _TRAINING}
    of_model = {key: value for key, value in settings.items() if key not in _TRAINING}
    return {
        **base,
        "model": {**base["model"], **of_model},
        "training": {**base["training"], **of_training},
    }


_TRAINING = frozenset(TrainingConfig.model_fields)


def _grid(plan: Plan) -> Iterator[dict[str, Any]]:
    """Every combination of the values, the last setting changing fastest."""
    for values in itertools.product(*plan.values.values()):
        yield dict(zip(plan.values, values, strict=True))


def _random(plan: Plan) -> Iterator[dict[str, Any]]:
    """Independent draws, by a generator of a fixed seed; each is trained with every seed."""
    generator = np.random.default_rng(SEED)
    known = settings_of(plan.base["variant"])
    for _ in range(plan.trials):
        drawn = {
            key: values[generator.integers(len(values))]
            for key, values in plan.values.items()
            if key != "seed"
        }
        for key, span in plan.ranges.items():
            low, high = (math.log(end) if span.log else end for end in (span.low, span.high))
            value = float(generator.uniform(low, high))
            value = math.exp(value) if span.log else value
            drawn[key] = round(value) if known[key].kind == "whole number" else _rounded(value)
        yield from plan.with_seeds(drawn)


SEED = 0
"""Of the draws of a search."""


def _rounded(value: float) -> float:
    """A drawn number in four digits, which a person can repeat."""
    return float(f"{value:.4g}")


def _possible(
    plan: Plan, combinations: Iterable[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[LeftOut]]:
    """The combinations that can be trained, each once, and the others by the reason."""
    possible: list[dict[str, Any]] = []
    left_out: dict[str, list[dict[str, Any]]] = {}
    for settings in combinations:
        try:
            plan.config(settings)
        except InvalidRequest as error:
            left_out.setdefault(str(error), []).append(settings)
        else:
            if settings not in possible:
                possible.append(settings)
    return possible, [LeftOut(*each) for each in left_out.items()]


# --- The store ----------------------------------------------------------------------------------


class End(BaseModel):
    """End of a trial that left no run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: Literal["stopped", "failed", "cancelled"]
    reason: str = ""
    epochs: int = 0
    test_loss: FiniteFloat | None = None
    test_mse: FiniteFloat | None = None
    seconds: FiniteFloat = 0
    losses: tuple[FiniteFloat, ...] = ()
    """Loss after each epoch, on the validation part, or on the test split where there is none."""


@dataclass(frozen=True)
class Trial:
    """A training of a sweep, and how far it is."""

    number: int
    name: str
    settings: dict[str, Any]
    """Those in which the trials differ."""
    state: State
    end: End | None = None


def _folder(name: str) -> Path:
    return store.root() / "_sweeps" / name


def save(drafted: Draft) -> Plan:
    """Store a new plan and its trials; raises `InvalidRequest` if the name was taken meanwhile."""
    plan = drafted.plan
    with locations.writing():
        files.make_folder(plan.folder.parent)
        try:
            plan.folder.mkdir()
        except FileExistsError:
            raise InvalidRequest(
                f"name = '{plan.name}' is taken by another sweep: choose another."
            ) from None
    write_trials(plan, drafted.trials)
    write(plan)  # last, since a folder without it is no sweep
    return plan


def write(plan: Plan) -> None:
    """Store a plan in place of the one before."""
    artifacts.write_bytes(plan.folder / "plan.json", plan.model_dump_json(indent=1).encode())


def write_trials(plan: Plan, trials: Sequence[Mapping[str, Any]]) -> None:
    """Store the settings of the trials."""
    artifacts.write_bytes(plan.folder / "trials.json", json.dumps(trials, indent=1).encode())


def add_trials(plan: Plan, drawn: Mapping[str, Any]) -> list[Trial]:
    """Append drawn settings, with each seed, to the trials; an impossible draw has failed."""
    before = [trial.settings for trial in trials(plan)]
    added = plan.with_seeds(drawn)
    write_trials(plan, [*before, *added])
    for number, settings in enumerate(added, start=len(before) + 1):
        try:
            plan.config(settings)
        except InvalidRequest as error:
            write_end(plan, number, End(state="failed", reason=str(error)))
    return trials(plan)


def write_end(plan: Plan, number: int, end: End) -> None:
    """Store the end of a trial that left no run."""
    artifacts.write_bytes(_end_file(plan, number), end.model_dump_json(indent=1).encode())


def _end_file(plan: Plan, number: int) -> Path:
    return plan.folder / f"{number}.json"


def plans() -> tuple[list[Plan], list[store.Broken]]:
    """Every stored plan, newest first, and the folders without a readable one."""
    readable: list[Plan] = []
    broken: list[store.Broken] = []
    parent = _folder("")
    for folder in sorted(parent.iterdir()) if parent.is_dir() else []:
        try:
            readable.append(load(folder.name))
        except InvalidRequest as error:
            broken.append(store.Broken(folder.name, in_one_line(error)))
    return sorted(readable, key=lambda plan: plan.created, reverse=True), broken


def load(name: str) -> Plan:
    """Read the plan of a sweep; raises `InvalidRequest` if there is none or it is damaged."""
    path = _folder(name) / "plan.json"
    if not store.RUN_NAME.fullmatch(name) or not path.is_file():
        parent = _folder("")
        names = [each.name for each in parent.iterdir()] if parent.is_dir() else []
        raise InvalidRequest(unknown("sweep", name, sorted(names)))
    try:
        artifacts.check_size(path, MAX_BYTES)
        plan = Plan.model_validate_json(path.read_bytes())
        if plan.name != name:
            raise Damaged(f"it is the plan of '{plan.name}'")
    except (OSError, ValueError) as error:
        raise Damaged(
            f"The sweep '{name}' is damaged ({in_one_line(error)}): its runs are not. Delete the "
            f"folder {path.parent}, and plan it again."
        ) from error
    return plan


def trials(plan: Plan) -> list[Trial]:
    """The trials of a sweep, and how far each is."""
    path = plan.folder / "trials.json"
    try:
        artifacts.check_size(path, MAX_BYTES)
        listed = json.loads(path.read_bytes())
        if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
            raise Damaged("it lists no settings")
    except (OSError, ValueError) as error:
        raise Damaged(
            f"The trials of the sweep '{plan.name}' cannot be read ({in_one_line(error)}): its "
            f"runs are not affected. Delete the folder {plan.folder}, and plan it again."
        ) from error
    return [_trial(plan, number, each) for number, each in enumerate(listed, start=1)]


def _trial(plan: Plan, number: int, settings: dict[str, Any]) -> Trial:
    name = plan.trial_name(number)
    if (store.root() / name / "manifest.json").is_file():
        return Trial(number, name, settings, "done")
    path = _end_file(plan, number)
    if path.is_file():
        try:
            artifacts.check_size(path, MAX_BYTES)
            end = End.model_validate_json(path.read_bytes())
        except (OSError, ValueError) as error:
            raise Damaged(
                f"The end of trial {number} of the sweep '{plan.name}' cannot be read "
                f"({in_one_line(error)}). Delete {path}, and the trial is trained again."
            ) from error
        return Trial(number, name, settings, end.state, end)
    begun = store.has_checkpoint(name)
    return Trial(number, name, settings, "unfinished" if begun else "waiting")


# --- Carrying out -------------------------------------------------------------------------------


def next_trials(plan: Plan, listed: Sequence[Trial]) -> list[tuple[Trial, int | None]]:
    """Trials to train now, and the epoch until which, None for the last.

    With successive halving, all that are left train until the same epoch. Then the poor ones are
    stopped, which this does: it is decided by what is stored alone, so once and for all.
    """
    if plan.halving is None or not listed:
        return [(trial, None) for trial in listed if trial.state not in ENDED]
    alive = [trial for trial in listed if trial.state not in ("failed", "cancelled")]
    rungs = plan.halving.rungs(plan.config(listed[0].settings).training.epochs)
    losses = {trial.number: result_of(trial).until(rungs[-1]) for trial in alive}
    if plan.search == "bayesian":  # whose trials do not begin together
        return list(_next_of_each(plan, plan.halving, alive, rungs, losses))
    for rung in rungs[:-1]:
        short = [
            trial
            for trial in alive
            if trial.state not in ENDED and len(losses[trial.number]) < rung
        ]
        if short:
            return [(trial, rung) for trial in short]
        alive = [trial for trial in alive if len(losses[trial.number]) >= rung]
        alive.sort(key=lambda trial: losses[trial.number][rung - 1])
        best = plan.halving.survivors(len(alive))
        for trial in alive[best:]:
            if trial.state not in ENDED:
                end_unfinished(plan, trial, "stopped", f"After epoch {rung} {best} were better.")
        alive = alive[:best]
    return [(trial, None) for trial in alive if trial.state not in ENDED]


def _next_of_each(
    plan: Plan,
    halving: Halving,
    alive: Sequence[Trial],
    rungs: Sequence[int],
    losses: Mapping[int, Sequence[float]],
) -> Iterator[tuple[Trial, int | None]]:
    """Asynchronous successive halving (Li et al. 2020): compares with the trials so far."""
    for trial in alive:
        done = len(losses[trial.number])
        if trial.state in ENDED:
            continue
        if done in rungs:
            others = [each[done - 1] for each in losses.values() if len(each) >= done]
            better = sum(loss < losses[trial.number][-1] for loss in others)
            if better >= halving.survivors(len(others)):
                end_unfinished(plan, trial, "stopped", f"After epoch {done} {better} were better.")
                continue
        until = next(rung for rung in rungs if rung > done)
        yield trial, None if until == rungs[-1] else until


def end_unfinished(
    plan: Plan, trial: Trial, state: Literal["stopped", "failed", "cancelled"], reason: str
) -> None:
    """End a trial before its last epoch; its losses are kept, and its checkpoint is discarded."""
    try:
        history = store.checkpoint_history(trial.name)
    except InvalidRequest:  # it had not come to the end of an epoch, or its checkpoint is damaged
        history = []
    last = history[-1] if history else None
    end = End(
        state=state,
        reason=reason,
        epochs=len(history),
        test_loss=last and last["test"]["total"],
        test_mse=last and last["test_mse"],
        seconds=sum(entry["seconds"] for entry in history),
        losses=tuple(map(loss_of, history)),
    )
    write_end(plan, trial.number, end)
    store.discard(trial.name)


# --- Results ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """What came of a trial so far."""

    trial: Trial
    losses: Sequence[float] = ()
    """After each epoch, on the validation part, or on the test split where there is none."""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    """Of a trial that is done, as in `store.Manifest.metrics`."""
    seconds: float = 0
    stored_epoch: int | None = None
    """The epoch whose weights are stored; None for the last."""

    @property
    def loss(self) -> float:
        """Loss of the stored weights of a trial that is done."""
        return self.losses[(self.stored_epoch or len(self.losses)) - 1]

    def until(self, epoch: int) -> list[float]:
        """Losses; those of a trial that ended before an epoch, up to it, as they would stay."""
        rest = epoch - len(self.losses) if self.trial.state == "done" and self.losses else 0
        return [*self.losses, *[self.loss] * rest] if rest > 0 else [*self.losses]

    def row(self) -> dict[str, Any]:
        """Row of a table, and of the JSON of the command line."""
        trial = self.trial
        return {
            "trial": trial.number,
            "run": trial.name if trial.state == "done" else None,
            "state": trial.state,
            "settings": trial.settings,
            "test_mse": None,
            "test_loss": None,
            **self.metrics,
            "seconds": self.seconds,
            "epochs": len(self.losses),
            "reason": trial.end.reason if trial.end else "",
        }


def results(plan: Plan) -> list[Result]:
    """What came of each trial so far."""
    return [result_of(trial) for trial in trials(plan)]


def result_of(trial: Trial) -> Result:
    if trial.end is not None:
        end = trial.end
        metrics: dict[str, Any] = {"test_loss": end.test_loss, "test_mse": end.test_mse}
        return Result(trial, end.losses, metrics, end.seconds)
    if trial.state == "done":
        run = store.load(trial.name)
        losses = [loss_of(entry) for entry in run.history]
        metrics = dict[str, Any](run.manifest.metrics.items())
        return Result(trial, losses, metrics, run.manifest.seconds, run.stored_epoch)
    if trial.state == "unfinished":
        history = store.checkpoint_history(trial.name)
        losses = [loss_of(entry) for entry in history]
        return Result(trial, losses, seconds=sum(entry["seconds"] for entry in history))
    return Result(trial)
