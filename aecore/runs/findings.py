"""What a sweep says: the effect of each setting on a measure, and whether the seeds agree."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from aecore import metrics
from aecore.runs import store
from aecore.runs.sweeps import ENDED, Plan, Result, State, Trial, settings_of
from aecore.training.history import loss_of

if TYPE_CHECKING:
    from aecore.settings import Setting

MOST_LINES = 6
"""Combinations of the other settings that an effect is told apart by."""
LOG_FROM = 10
"""Ratio of the largest to the smallest value from which an axis is logarithmic."""


class Measure(NamedTuple):
    """A figure by which trials are compared."""

    title: str
    lower_is_better: bool


MEASURES = {
    "test_mse": Measure(metrics.DEFINITIONS["test_mse"].title, True),
    "test_loss": Measure("Test loss", True),
    "trustworthiness": Measure(metrics.DEFINITIONS["trustworthiness"].title, False),
    "knn_accuracy": Measure(metrics.DEFINITIONS["knn_accuracy"].title, False),
}
IN_THE_LOSS = ("beta", "weight", "likelihood", "l2", "target", "commitment", "samples", "jacobian")
"""Settings that the loss itself contains, so that losses of different values are not comparable."""


def is_finished(plan: Plan, trials: Sequence[Trial]) -> bool:
    """Whether nothing of a sweep is left to train."""
    there = len(trials) >= plan.planned(len(trials))
    return there and all(trial.state in ENDED for trial in trials)


def progress_in_words(plan: Plan, trials: Sequence[Trial]) -> str:
    """Say how far a sweep is.

    >>> from aecore.runs.sweeps import Plan, Trial
    >>> plan = Plan(name="a", created="2026-01-01T00:00Z", base={}, values={"seed": (0, 1)})
    >>> progress_in_words(plan, [Trial(1, "a-1", {}, "done"), Trial(2, "a-2", {}, "failed")])
    '1 of 2 trained, 1 failed'
    """
    counts = Counter(trial.state for trial in trials)
    words: dict[State, str] = {
        "stopped": "stopped early",
        "failed": "failed",
        "cancelled": "cancelled",
    }
    others = [f"{counts[state]} {word}" for state, word in words.items() if counts[state]]
    return ", ".join([f"{counts['done']} of {plan.planned(len(trials))} trained", *others])


def loss_of_split(plan: Plan) -> str:
    """Name of the part of the data whose loss the curves of trials show."""
    held = plan.base["training"].get("validation") or "validation" in plan.settings
    return "validation" if held else "test"


def value_of(result: Result, measure: str) -> float | None:
    """A measure of a trial; None where it was not measured."""
    return result.metrics.get(measure)


def ranked(results: Sequence[Result], measure: str) -> list[Result]:
    """Results with the best first; those without the measure come last, in their order."""
    sign = 1 if MEASURES[measure].lower_is_better else -1

    def place(result: Result) -> tuple[bool, float]:
        value = value_of(result, measure)
        return value is None, 0 if value is None else sign * value

    return sorted(results, key=place)


def differing(plan: Plan, results: Sequence[Result]) -> dict[str, Setting]:
    """Settings of which the trials have more than one value, by name."""
    known = settings_of(plan.base["variant"])
    values = defaultdict(set)
    for result in results:
        for name, value in result.trial.settings.items():
            values[name].add(json.dumps(value))
    return {name: known[name] for name in plan.settings if len(values[name]) > 1}


def followed(result: Result, history: Sequence[Mapping[str, Any]]) -> Result:
    """What came of a trial, with the epochs that were reported of it since."""
    if not history or result.trial.state == "done":
        return result
    losses = dict(enumerate(result.losses, start=1))
    losses |= {entry["epoch"]: loss_of(entry) for entry in history}
    last = history[-1]
    return replace(
        result,
        losses=[losses[epoch] for epoch in sorted(losses)],
        metrics={"test_loss": last["test"]["total"], "test_mse": last["test_mse"]},
        seconds=max(result.seconds, sum(entry["seconds"] for entry in history)),
    )


def as_csv(results: Sequence[Result]) -> str:
    """Table of trials as CSV: settings, state and measures; widths with commas between."""
    rows = []
    for result in results:
        row = result.row()
        for name, value in row.pop("settings").items():
            row[name] = ",".join(map(str, value)) if isinstance(value, list | tuple) else value
        rows.append(row)
    file = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(file, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


# --- The effect of a setting --------------------------------------------------------------------


class Line(NamedTuple):
    """Mean and spread of a measure over the seeds, for each value of a setting."""

    name: str
    """Of the other settings; "" where there are none."""
    x: list[Any]
    """Numbers, or values in words."""
    mean: list[float]
    spread: list[float]
    """Standard deviation, n - 1; 0 of a single value."""


def _done(results: Sequence[Result], measure: str) -> Iterator[tuple[dict[str, Any], float]]:
    """Settings and measure of each trial that is done."""
    for result in results:
        value = value_of(result, measure)
        if result.trial.state == "done" and value is not None:
            yield result.trial.settings, value


def _without(settings: Mapping[str, Any], *names: str) -> str:
    """The other settings, as a key."""
    return json.dumps({key: each for key, each in settings.items() if key not in names})


def effect(plan: Plan, results: Sequence[Result], setting: str, measure: str) -> list[Line]:
    """Lines of a measure over the values of a setting, one for each combination of the others.

    One line over all of them where they are many, or drawn.
    """
    known = differing(plan, results)
    groups: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for settings, value in _done(results, measure):
        others = {key: each for key, each in settings.items() if key in known}
        groups[_without(others, setting, "seed")][json.dumps(settings[setting])].append(value)
    if len(groups) > MOST_LINES:
        together: dict[str, list[float]] = defaultdict(list)
        for values in groups.values():
            for x, each in values.items():
                together[x] += each
        groups = {"{}": together}
    return [_line(plan, setting, json.loads(key), values) for key, values in groups.items()]


def _line(
    plan: Plan, setting: str, others: Mapping[str, Any], values: Mapping[str, Sequence[float]]
) -> Line:
    known = settings_of(plan.base["variant"])
    pairs = [(json.loads(x), each) for x, each in values.items()]
    if is_number(known[setting]):
        pairs.sort(key=lambda pair: pair[0])
    x = [each if is_number(known[setting]) else shown(known[setting], each) for each, _ in pairs]
    spread = [float(np.std(each, ddof=1)) if len(each) > 1 else 0.0 for _, each in pairs]
    return Line(in_words(plan, others), x, [float(np.mean(each)) for _, each in pairs], spread)


def is_number(setting: Setting) -> bool:
    """Whether the values of a setting are numbers."""
    return setting.kind in ("number", "whole number")


def shown(setting: Setting, value: Any) -> str:
    """Value of a setting in words; of numbers their first digits."""
    return f"{value:.4g}" if setting.kind == "number" else setting.shown(value)


def in_words(plan: Plan, settings: Mapping[str, Any]) -> str:
    """Settings with their labels, in one line."""
    known = settings_of(plan.base["variant"])
    return ", ".join(
        f"{known[key].label} {shown(known[key], each)}" for key, each in settings.items()
    )


def is_logarithmic(values: Sequence[Any]) -> bool:
    """Whether numbers are drawn on a logarithmic axis."""
    numbers = [value for value in values if isinstance(value, int | float)]
    return (
        len(numbers) == len(values)
        and min(numbers, default=0) > 0
        and max(numbers) >= LOG_FROM * min(numbers)
    )


def pca_curve(results: Sequence[Result]) -> tuple[list[int], list[float]]:
    """Code sizes of the trials, in order, and the test MSE of as many principal components."""
    curve = {settings["latent_dim"]: mse for settings, mse in _done(results, "pca_mse")}
    return sorted(curve), [curve[size] for size in sorted(curve)]


def rate_distortion(results: Sequence[Result]) -> list[tuple[float, float, float]]:
    """Beta, rate and distortion of each trial that is done, in nats a test sample, by beta.

    The rate is KL(q(z|x) || N(0, I)), the distortion the reconstruction error (Alemi et al. 2018).
    The KL term of the loss is beta times the rate, so that beta = 0 tells nothing of it.
    """
    points = []
    for result in results:
        beta = result.trial.settings.get("beta")
        if result.trial.state == "done" and beta:
            terms = store.load(result.trial.name).stored_entry["test"]
            if {"reconstruction", "kl"} <= terms.keys():
                points.append((beta, terms["kl"] / beta, terms["reconstruction"]))
    return sorted(points)


# --- Conclusions --------------------------------------------------------------------------------


def conclusion(plan: Plan, results: Sequence[Result], setting: str, measure: str) -> str:
    """Say which value of a setting is best, and whether the seeds agree; "" with nothing to say."""
    contexts: dict[str, list[tuple[float, Any]]] = defaultdict(list)
    for settings, value in _done(results, measure):
        contexts[_without(settings, setting)].append((value, settings[setting]))
    best = lowest_or_highest(measure)
    known, title = settings_of(plan.base["variant"])[setting], in_sentence(MEASURES[measure].title)
    lowest = MEASURES[measure].lower_is_better
    winners: dict[str, list[Any]] = defaultdict(list)
    for context, pairs in contexts.items():
        if len(pairs) > 1:
            choose = min if lowest else max
            seed = json.loads(context).get("seed", plan.base["training"]["seed"])
            winners[str(seed)].append(choose(pairs, key=lambda pair: pair[0])[1])
    if not winners:
        return ""
    every = [value for values in winners.values() for value in values]
    values = list(dict.fromkeys(json.dumps(value) for value in every))
    what = f"{known.label} {shown(known, json.loads(values[0]))}"
    others = len(every) > len(winners)
    among = " and each combination of the other settings" if others else ""
    if len(values) == 1 and len(winners) == 1:
        beside = " for each combination of the other settings" if others else ""
        return f"{what} has the {best} {title}{beside}, with one seed: another may differ."
    if len(values) == 1:
        return f"{what} has the {best} {title} for every seed ({', '.join(winners)}){among}."
    counts = Counter(json.dumps(value) for value in every).most_common()
    if len(winners) == 1 or others:
        shares = ", ".join(
            f"{shown(known, json.loads(v))} in {n} of {len(every)}" for v, n in counts
        )
        whom = "The other settings" if len(winners) == 1 else "Seeds and other settings"
        return f"{whom} disagree on {known.label}: the {best} {title} is at {shares}."
    by_value = defaultdict(list)
    for seed, (value,) in winners.items():
        by_value[shown(known, value)].append(seed)
    said = ", ".join(f"{value} for seed {' and '.join(seeds)}" for value, seeds in by_value.items())
    return f"The seeds disagree on {known.label}: the {best} {title} is at {said}."


def lowest_or_highest(measure: str) -> str:
    """Word for the best value of a measure."""
    return "lowest" if MEASURES[measure].lower_is_better else "highest"


def in_sentence(title: str) -> str:
    """Title as it stands within a sentence.

    >>> in_sentence("Weight of the KL term"), in_sentence("L2 penalty")
    ('weight of the KL term', 'L2 penalty')
    """
    return title[0].lower() + title[1:] if title[1:2].islower() else title


def best_in_words(plan: Plan, results: Sequence[Result], measure: str) -> str:
    """Name the best trial and its settings; "" if none is done."""
    done = [each for each in ranked(results, measure) if each.trial.state == "done"]
    if not done or (value := value_of(done[0], measure)) is None:
        return ""
    first = done[0].trial
    return (
        f"The {lowest_or_highest(measure)} {in_sentence(MEASURES[measure].title)}, {value:.4g}, "
        f"is of trial {first.number}: {in_words(plan, first.settings)}."
    )


def seeds_of(results: Sequence[Result], settings: Mapping[str, Any]) -> list[Result]:
    """Trials that are done and have these settings but for the seed, by the seed."""
    same = _without(settings, "seed")
    seeds = [
        result
        for result in results
        if result.trial.state == "done" and _without(result.trial.settings, "seed") == same
    ]
    return sorted(seeds, key=lambda result: result.trial.settings.get("seed", 0))


def best_seeds(results: Sequence[Result], measure: str) -> list[Result]:
    """Trials of the combination of settings with the best mean over its seeds, two at least."""
    best: list[Result] = []
    sign = 1 if MEASURES[measure].lower_is_better else -1
    least = math.inf
    for settings in {_without(each, "seed"): each for each, _ in _done(results, measure)}.values():
        seeds = seeds_of(results, settings)
        values = [sign * value for _, value in _done(seeds, measure)]
        if len(values) > 1 and (mean := float(np.mean(values))) < least:
            best, least = seeds, mean
    return best


def seeds_in_words(plan: Plan, seeds: Sequence[Result], measure: str) -> str:
    """Say the mean and standard deviation of a measure over the seeds of the best combination."""
    values = [value for _, value in _done(seeds, measure)]
    others = {key: each for key, each in seeds[0].trial.settings.items() if key != "seed"}
    mean = f"{np.mean(values):.4g} ± {np.std(values, ddof=1):.2g}"
    if not others:
        title = in_sentence(MEASURES[measure].title)
        return f"Over {len(values)} seeds the {title} is {mean} (standard deviation)."
    return (
        f"The {lowest_or_highest(measure)} mean, {mean} (standard deviation of {len(values)} "
        f"seeds), is of {in_words(plan, others)}."
    )


# --- Parallel coordinates -----------------------------------------------------------------------


class Axis(NamedTuple):
    """An axis of parallel coordinates."""

    title: str
    values: list[float]
    """One for each trial; of a category its number."""
    names: list[str]
    """Of categories; empty for numbers."""


def axes(plan: Plan, results: Sequence[Result], measure: str) -> list[Axis]:
    """Axes of the settings that differ and of a measure, over the trials that are done."""
    rows = list(_done(results, measure))
    listed = []
    done = [each for each in results if each.trial.state == "done"]
    for name, setting in differing(plan, done).items():
        values = [settings[name] for settings, _ in rows]
        if is_number(setting) and name != "seed":
            listed.append(Axis(setting.label, [float(value) for value in values], []))
        else:
            words = [shown(setting, value) for value in values]
            names = list(dict.fromkeys(words))
            listed.append(Axis(setting.label, [float(names.index(each)) for each in words], names))
    return [*listed, Axis(MEASURES[measure].title, [value for _, value in rows], [])]
