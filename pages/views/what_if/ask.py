"""Plan of a new sweep: what it starts from, which settings differ, and how they are searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from aecore.errors import InvalidRequest
from aecore.models.variants import VARIANTS
from aecore.runs import sweeps, what_ifs
from aecore.settings import check_settings
from aecore.training import PRESETS, RunConfig
from pages.app import cache, controls, frame, state
from pages.app.text import define, duration, explain, plain
from pages.components import pickers
from pages.components.presets import preset_titles
from pages.views.what_if import rows

if TYPE_CHECKING:
    from aecore import data
    from aecore.runs import store
    from aecore.runs.sweeps import Draft

SWEEP = "sweep"
BEGUN = "sweeps_begun"
SEARCHES = ("Grid", "Random", "Bayesian")
MOST_SOURCES = 2


@st.fragment
def ask(datasets: Mapping[str, data.Dataset], runs: Sequence[store.Run]) -> None:
    """Show the form; a valid plan is stored, begun and shown.

    Arguments
        datasets: the datasets to choose from, by name.
        runs: the runs to start from.
    """
    with frame.guarded():
        st.html(Path(__file__).with_name("what_if.css"))
        base, parent = start_from(datasets, runs)
        config = RunConfig.check(base)
        known = sweeps.settings_of(config.variant)
        st.markdown("**What should differ?**", help=define("Sweep", "Trial"))
        usual = what_ifs.what_ifs(config)
        with st.container(horizontal=True, gap="xxsmall", key="what-ifs"):
            for what in usual:
                st.button(
                    what.title,
                    key=f"fill-{what.setting}",
                    on_click=rows.fill,
                    args=(what,),
                    help=f"{known[what.setting].label}: {plain(what.values)}\n\n"
                    + (explain(what.title) or ""),
                )
        search = controls.one_of(
            "Search",
            SEARCHES,
            "search",
            help="A grid trains every combination of the values, a random search draws some of "
            "them, a Bayesian search draws more where trials were good.\n\n"
            + define("Bayesian search"),
        ).lower()
        varied = rows.ask(known, config, search)
        draws = None
        if search != "grid":
            draws = st.number_input(
                "Draws",
                1,
                sweeps.MOST_TRIALS,
                20,
                key="draws",
                help="How many trials are drawn; each is trained with every seed that is listed.",
                **rows.PERSIST,
            )
        halving = ask_halving()
        name = st.text_input(
            "Name of the sweep",
            key=f"sweep_name-{state.value(BEGUN, 0)}",
            placeholder="leave empty for an automatic name",
            **rows.PERSIST,
        )
        with st.container(key="submit"):
            answer = st.container()
            start = controls.button(
                "Start",
                ":material/play_arrow:",
                type="primary",
                width="stretch",
                key=f"start-{state.presses('Start')}",
            )
            with answer:
                drafted = plan(base, varied, search, draws, halving, name, parent, start)
            if start and drafted is not None:
                begin(drafted)


# --- Where it starts ----------------------------------------------------------------------------


def start_from(
    datasets: Mapping[str, data.Dataset], runs: Sequence[store.Run]
) -> tuple[dict[str, Any], str]:
    """Request that the trials differ from, and the name of its run, "" for none."""
    titles = cache.titles()
    names = sorted((run.name for run in runs), key=titles.__getitem__)
    if stranger := state.follow_address(state.RUN, names, None):
        pickers.show_unknown("run", stranger)
    chosen = st.selectbox(
        "Start from the settings of",
        names,
        index=None,
        format_func=titles.__getitem__,
        key=state.RUN,
        on_change=state.keep,
        args=(state.RUN,),
        placeholder="a dataset and variant",
        help="A run whose settings are changed; clear it to choose a dataset, a variant and a "
        "preset instead.",
    )
    if chosen is not None:
        config = cache.run(chosen).config
        st.caption(
            f"{VARIANTS[config.variant].title} on {plain(config.dataset)}, "
            f"{config.training.epochs} epochs",
            help=explain(VARIANTS[config.variant].title),
        )
        return config.model_dump(mode="json"), chosen
    listed = {name: entry.title for name, entry in datasets.items()}
    dataset = pickers.pick_entry("Dataset", "dataset", listed, "digits", state.keep)
    listed = {name: kind.title for name, kind in VARIANTS.items()}
    variant = pickers.pick_entry("Variant", "variant", listed, "ae", state.keep, define("Variant"))
    listed = preset_titles(dataset, variant)
    preset = pickers.pick_entry("Preset", "preset", listed, next(iter(listed)), state.keep)
    settings: dict[str, Any] = {"model": {}, "training": {}}
    if preset in PRESETS:
        shown = PRESETS[preset]
        st.caption(shown.description, help=explain(shown.description))
        settings = {"model": dict(shown.model), "training": dict(shown.training)}
    return {"dataset": dataset, "variant": variant, **settings}, ""


def ask_halving() -> sweeps.Halving | None:
    """Whether poor trials are stopped early, and how many go on."""
    with st.container(horizontal=True, vertical_alignment="center"):
        on = st.checkbox(
            "Stop poor trials early",
            key="halving",
            help="All train a few epochs; one in so many goes on, by its test loss.\n\n"
            + define("Successive halving"),
            **rows.PERSIST,
        )
        if not on:
            return None
        factor = st.number_input(
            "One in so many goes on",
            2,
            10,
            3,
            key="factor",
            label_visibility="collapsed",
            width=130,
            help="One in so many goes on.",
            **rows.PERSIST,
        )
    return check_settings(sweeps.Halving, {"factor": factor})


# --- The plan -----------------------------------------------------------------------------------


def plan(
    base: Mapping[str, Any],
    varied: Sequence[rows.Row],
    search: str,
    draws: int | None,
    halving: sweeps.Halving | None,
    name: str,
    parent: str,
    asked: bool,
) -> Draft | None:
    """Say what a sweep would train, and how long; or show every problem, and return None."""
    if not varied and not asked:
        st.caption("Press what should differ, or add a setting.")
        return None
    try:
        drafted = sweeps.draft(
            base,
            {row.setting: row.values for row in varied if row.values is not None},
            {row.setting: row.span for row in varied if row.span is not None},
            search=search,
            trials=draws,
            halving=halving,
            name=name or None,
            parent=parent,
        )
        if len({row.setting for row in varied}) < len(varied):
            raise InvalidRequest("A setting stands in two rows: list its values in one.")
    except InvalidRequest as error:
        frame.show_error(error)
        return None
    n, at_once = what_ifs.count(drafted), cache.jobs().at_once
    estimate = what_ifs.estimate(drafted, cache.runs()[0], at_once)
    how_long = "how long is not known: nothing like it was trained here"
    source = None
    if estimate is not None:
        sources = plain(", ".join(estimate.sources[:MOST_SOURCES]))
        sources += " and others" if len(estimate.sources) > MOST_SOURCES else ""
        how_long = f"about {duration(max(estimate.seconds, 1))}, estimated from {sources}"
        source = (
            "Its seconds per step, times the ratio of the work of a step, times the steps; "
            f"{at_once} are trained at once. Starting and measuring each training comes on top."
        )
    st.markdown(f"**{n:,} training{'s' * (n > 1)}**, {how_long}", help=source)
    if drafted.left_out:
        left = sum(len(each.combinations) for each in drafted.left_out)
        with st.expander(f"{left} combination{'s' * (left > 1)} left out"):
            for reason, combinations in drafted.left_out:
                st.caption(f"{len(combinations)}: {plain(reason)}")
    return drafted


def begin(drafted: Draft) -> None:
    """Store a plan, carry it out, and show it."""
    try:
        stored = sweeps.save(drafted)
    except InvalidRequest as error:
        frame.show_error(error)
        return
    cache.sweeper().look()
    state.put({BEGUN: state.value(BEGUN, 0) + 1})  # its name is taken now
    state.put_query({SWEEP: stored.name})
    st.rerun()
