"""A sweep and its trials: progress, table, live curves, and what can be done with each."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from aecore import metrics
from aecore.data import get
from aecore.errors import InvalidRequest
from aecore.jobs.sweeper import trial_jobs
from aecore.plots import figures, images
from aecore.runs import findings, sweeps
from aecore.runs.findings import MEASURES
from pages.app import cache, controls, frame, server, state
from pages.app.text import define, plain
from pages.views.what_if import outcome, seeds
from pages.views.what_if.ask import SWEEP

if TYPE_CHECKING:
    from aecore.jobs import Job
    from aecore.runs.sweeps import Plan, Result

TRIAL = "trial"
MOST_MARKED = 10
"""Trials whose curves are in colour, the best."""
STATES = {
    "waiting": "waiting",
    "running": "running",
    "unfinished": "begun",
    "done": "trained",
    "stopped": "stopped early",
    "failed": "failed",
    "cancelled": "cancelled",
}


def show() -> None:
    """Show the sweep in the address, or the newest, refreshed while it is carried out."""
    plans, broken = sweeps.plans()
    for each in broken:
        st.warning(plain(each.reason), icon=":material/folder_off:")
    if not plans:
        st.caption("The trials of a sweep, their maps and what they say appear here.")
        return
    names = [plan.name for plan in plans]
    if stranger := state.follow_address(SWEEP, names, names[0]):
        st.warning(f"There is no sweep called '{plain(stranger)}'; this is another one.")
    with st.container(horizontal=True, vertical_alignment="bottom", key="sweep-line"):
        name = st.selectbox(
            "Sweep", names, key=SWEEP, on_change=state.keep, args=(SWEEP,), width=300
        )
        measure = pick_measure()
        actions = st.container(horizontal=True, width="content", vertical_alignment="bottom")
    plan = next(each for each in plans if each.name == name)
    with actions:
        offer_to_change(plan)
    busy = is_busy(plan)
    st.fragment(run_every=1.0 if busy else None)(follow)(name, measure, busy)
    with frame.guarded():
        outcome.show(plan, cache.sweep_results(plan), measure)


def pick_measure() -> str:
    """Select box of the measure that trials are ranked and compared by, kept in the address."""
    state.follow_address("measure", list(MEASURES), "test_mse", omitted="test_mse")
    return st.selectbox(
        "Best by",
        list(MEASURES),
        format_func=lambda each: MEASURES[each].title,
        key="measure",
        on_change=state.keep,
        args=("measure", "test_mse"),
        width=170,
        help=define("Test MSE", "Loss", "Trustworthiness", "10-NN accuracy"),
    )


def is_busy(plan: Plan) -> bool:
    """Whether a trial runs, or will without a further press."""
    if any(job.active for _, job in trial_jobs(cache.jobs(), plan.name)):
        return True
    return plan.state == "running" and not findings.is_finished(plan, sweeps.trials(plan))


def offer_to_change(plan: Plan) -> None:
    """Buttons that pause a sweep, stop it, or go on with it, and the file of its table."""
    if not findings.is_finished(plan, sweeps.trials(plan)):
        if plan.state == "running":
            about = "Trials that run are trained to their end; no other begins."
            if controls.button("Pause", ":material/pause:", help=about):
                change(plan, "paused")
            about = "Trials that run are stopped, too; what they learned is kept."
            if controls.button("Stop", ":material/stop_circle:", help=about):
                change(plan, "stopped")
        elif controls.button("Go on", ":material/play_arrow:"):
            change(plan, "running")
    st.download_button(
        "CSV",
        lambda: findings.as_csv(cache.sweep_results(plan)),
        f"{plan.name}.csv",
        "text/csv",
        on_click="ignore",
        icon=":material/download:",
    )


def change(plan: Plan, to: str) -> None:
    """Store a plan with another state, and let the server act on it."""
    sweeps.write(plan.model_copy(update={"state": to}))
    cache.sweeper().look()
    st.rerun()


# --- While it is carried out --------------------------------------------------------------------


def follow(name: str, measure: str, busy: bool) -> None:
    """Progress, table and curves of a sweep; the page is drawn anew when it ends."""
    with frame.guarded():
        plan = sweeps.load(name)
        if busy and not is_busy(plan):
            st.rerun()
        running = running_jobs(plan)
        results = [
            findings.followed(result, running[number].log.history)
            if (number := result.trial.number) in running
            else result
            for result in cache.sweep_results(plan)
        ]
        trials = [result.trial for result in results]
        said = findings.progress_in_words(plan, trials)
        if running:
            said += f", {len(running)} running"
        if plan.state != "running" and not findings.is_finished(plan, trials):
            said += f"; it is {plan.state}"
        st.markdown(f"**{plain(said)}**", help=define("Trial", "Successive halving"))
        planned = plan.planned(len(trials))
        ended = sum(trial.state in sweeps.ENDED for trial in trials)
        if ended < planned:
            st.progress(min(ended / planned, 1.0))
        ranked = findings.ranked(results, measure)
        table(plan, ranked, running)
        curves = {f"trial {each.trial.number}": each.losses for each in results if each.losses}
        best = [f"trial {each.trial.number}" for each in ranked[:MOST_MARKED]]
        if curves:
            st.plotly_chart(
                figures.learning_curves(curves, f"{findings.loss_of_split(plan)} loss", best),
                key="sweep-curves",
                config=figures.MODEBAR,
                alt=f"{findings.loss_of_split(plan).capitalize()} loss by epoch of {len(curves)} "
                "trials",
            )


def running_jobs(plan: Plan) -> dict[int, Job]:
    """Jobs of the trials that are trained now, by their numbers."""
    jobs = cache.jobs()
    return {
        number: jobs.snapshot(job)
        for number, job in trial_jobs(jobs, plan.name)
        if job.state == "running"
    }


def thumbnail(plan: Plan, result: Result, job: Job | None) -> str | None:
    """Address of the map of a trial: as it is now while it is trained."""
    trial = result.trial
    try:
        if trial.state == "done":
            return server.thumbnail_address(cache.run(trial.name))
        if job is not None and job.log.view is not None:
            view = job.log.view
            classes = bool(get(plan.base["dataset"]).label_names)
            picture = images.thumbnail(view["plane"], view["labels"], classes, side=100)
        else:
            return None
    except InvalidRequest as error:
        state.note(str(error))
        return None
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"


def table(plan: Plan, ranked: Sequence[Result], running: Mapping[int, Job]) -> None:
    """Table of the trials, the best first, and what can be done with the ticked one."""
    known = findings.differing(plan, ranked)
    rows = []
    for result in ranked:
        trial = result.trial
        job = running.get(trial.number)
        rows.append(
            {
                "map": thumbnail(plan, result, job),
                "trial": trial.number,
                **{
                    name: trial.settings[name]
                    if findings.is_number(setting)
                    else setting.shown(trial.settings[name])
                    for name, setting in known.items()
                },
                "state": STATES["running" if job and trial.state != "done" else trial.state],
                "epochs": len(result.losses),
                **{name: result.metrics.get(name) for name in MEASURES},
                "seconds": result.seconds,
                "reason": trial.end.reason if trial.end else "",
            }
        )
    numbers = [result.trial.number for result in ranked]
    actions = st.container(key="trial-actions", horizontal=True, vertical_alignment="center")
    # A tick is a place in the table, so it is void, and its trial remembered, once rows move.
    order = hash(tuple(numbers))
    event = st.dataframe(
        rows,
        column_config=columns(known),
        hide_index=True,
        row_height=44,
        height=min(38 + 44 * max(len(rows), 1), 400),
        key=f"trials-{plan.name}-{order}",
        on_select="rerun",
        selection_mode="single-row",
        placeholder="",
        alt=f"Trials of {plan.name}, with their settings and measures",
    )
    ticked = [numbers[at] for at in event.selection.rows if at < len(numbers)]
    if ticked:
        state.put({TRIAL: (plan.name, ticked[0])})
    sweep, number = state.value(TRIAL, ("", 0))
    chosen = next((r for r in ranked if sweep == plan.name and r.trial.number == number), None)
    with actions:
        if chosen is None:
            st.caption("Tick a trial to open its pages, or to stop it while it runs.")
        else:
            offer(chosen, running.get(number), ranked)


def offer(result: Result, job: Job | None, results: Sequence[Result]) -> None:
    """Links to the pages of a trial that is done and its seeds; a button that stops one that runs.

    Arguments
        results: of all trials of the sweep.
    """
    trial = result.trial
    st.markdown(f"**Trial {trial.number}**", width="content")
    if trial.state == "done":
        for entry in frame.OF_A_RUN:
            frame.link(entry, {state.RUN: trial.name}, width="content")
        same = findings.seeds_of(results, trial.settings)
        if len(same) >= seeds.LEAST:
            seeds.links(same)
    elif job is not None:
        key = f"stop-trial-{trial.number}"
        if controls.button("Stop this trial", ":material/stop_circle:", key=key):
            cache.jobs().cancel(job)
            st.rerun()
    else:
        reason = trial.end.reason if trial.end else ""
        st.caption(f"{STATES[trial.state].capitalize()}. {plain(reason)}")


def columns(known: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of the table."""
    column = st.column_config
    formats = {"knn_accuracy": "percent", "trustworthiness": "%.3f", "test_mse": "%.4f"}
    helps = {name: metrics.DEFINITIONS[name].text for name in formats}
    settings = {
        name: (column.NumberColumn if findings.is_number(setting) else column.TextColumn)(
            setting.label, help=setting.description
        )
        for name, setting in known.items()
    }
    measures = {
        name: column.NumberColumn(
            measure.title, format=formats.get(name, "%.2f"), help=helps.get(name, define("Loss"))
        )
        for name, measure in MEASURES.items()
    }
    return {
        "map": column.ImageColumn("Map", width=60),
        "trial": column.NumberColumn("Trial", help=define("Trial")),
        **settings,
        "state": column.TextColumn("State"),
        "epochs": column.NumberColumn("Epochs", help=define("Epochs")),
        **measures,
        "seconds": column.NumberColumn("Seconds", format="%.1f", help="Spent training."),
        "reason": column.TextColumn("Reason"),
    }
