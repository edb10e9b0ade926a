"""Results on the page of recipes: lesson, reference, outcome and pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import streamlit as st

from aecore import data, recipes
from aecore.plots import figures, images
from aecore.recipes import RECIPES, Outcome, Picture, Recipe, number, outcome_artifact
from pages.app import cache, controls, frame, job_list, state
from pages.app.text import duration, plain
from pages.components import pickers

ICONS = {
    True: ":material/check_circle:",
    False: ":material/cancel:",
    None: ":material/radio_button_unchecked:",
}
WORDS = {True: "holds", False: "does not hold"}


def read() -> dict[str, Outcome | None]:
    """Outcome of each recipe; None if it was not run here, or if its file is damaged."""
    return {name: cache.artifact(outcome_artifact(name)) for name in RECIPES}


def pick(outcomes: Mapping[str, Outcome | None]) -> Recipe:
    """Selection of the page's recipe, kept in the address."""
    names = list(RECIPES)
    if stranger := state.follow_address(state.RECIPE, names, names[0]):
        pickers.show_unknown("recipe", stranger)
    name = st.pills(
        "Recipe",
        names,
        required=True,
        format_func=lambda name: f"{_icon(outcomes[name])} {name}",
        key=state.RECIPE,
        on_change=state.keep,
        args=(state.RECIPE,),
    )
    return RECIPES[name]


def _icon(outcome: Outcome | None) -> str:
    return ICONS[outcome and outcome.holds]


def about(recipe: Recipe) -> None:
    """Show the lesson, architecture and source of a recipe."""
    st.subheader(recipe.title)
    st.markdown(plain(recipe.teaches))
    st.markdown(
        f"- Data: {recipe.dataset}\n"
        f"- What is trained: {plain(recipe.architecture)}\n"
        f"- Measured: {plain(recipe.describe_metric(recipe.reference))}\n"
        f"- Source: {plain(recipe.source)}"
    )


def run(recipe: Recipe, before: Outcome | None) -> None:
    """Button that queues the recipe, or its progress."""
    job = cache.jobs().find(recipes.Reproduce(recipe.name))
    if job is not None and job.active:
        st.fragment(run_every=0.8)(job_list.progress)(job)
        return
    if job is not None and job.error:
        st.error(plain(job.error), icon=":material/error:")
    if job is not None and job.state == "cancelled":
        st.info("It was cancelled; the earlier outcome is kept.", icon=":material/stop_circle:")
    with st.container(horizontal=True, vertical_alignment="center"):
        label = "Run it again" if before else "Run it"
        if controls.button(label, ":material/play_arrow:", type="primary", key="run-recipe"):
            cache.jobs().submit(recipes.Reproduce(recipe.name))
            st.rerun()
        hint = f"It took {duration(before.seconds)} the last time." if before else ""
        if recipe.dataset in data.DATASETS and not data.is_available(recipe.dataset):
            hint = f"{recipe.dataset} is not on this machine: the recipe downloads it. {hint}"
        st.caption(hint or "It has not been run here yet. It takes a few minutes at most.")


def show_outcome(outcome: Outcome) -> None:
    """Show the reference beside the reproduced figure, further facts, and the pictures."""
    with st.container(horizontal=True):
        st.metric("Reproduced", number(outcome.value), border=True, width=200)
        st.metric("Reference", number(outcome.reference), border=True, width=200)
    holds = bool(outcome.holds)
    st.markdown(f"{ICONS[holds]} It {WORDS[holds]}: {plain(outcome.metric)}.")
    took = duration(outcome.seconds)
    when = plain(str(outcome.created)[:10])
    st.caption(f"Seed {plain(outcome.seed)}, {took}, {when}. Measured on the test split.")
    if outcome.figures:
        with st.expander("Also measured", icon=":material/table_rows:", expanded=True):
            st.table({plain(name): number(value) for name, value in outcome.figures.items()})
    links(outcome)
    for position, picture in enumerate(outcome.pictures):
        st.markdown(f"**{plain(picture.title)}**")
        DRAWN[picture.kind](picture, f"{outcome.name}-{position}")


def links(outcome: Outcome) -> None:
    """Links to the pages of a recipe's trained runs, if they are in the store."""
    stored = {run.name for run in cache.runs()[0]}
    for name in filter(stored.__contains__, outcome.runs):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"The trained model is kept as the run **{plain(name)}**:")
            for entry in frame.OF_A_RUN:
                frame.link(entry, {state.RUN: name})


def overview(outcomes: Mapping[str, Outcome | None]) -> None:
    """Table of every recipe with its lesson, reference and result."""
    rows = []
    for recipe in RECIPES.values():
        outcome = outcomes[recipe.name]
        rows.append(
            {
                "recipe": f"{_icon(outcome)} {recipe.name}",
                "lesson": plain(recipe.teaches),
                "metric": plain(
                    outcome.metric if outcome else recipe.describe_metric(recipe.reference)
                ),
                "result": number(outcome.value) if outcome else "not run here yet",
            }
        )
    st.table(rows, hide_index=True, alt="All recipes, their lessons and results")


# --- Pictures -----------------------------------------------------------------------------------


def _rows(picture: Picture, key: str) -> None:
    shape = picture.facts["shape"]
    rows = [
        images.Row(title, np.reshape(pixels, (-1, *shape)))
        for title, pixels in picture.arrays.items()
    ]
    cell = 840 // max(len(row.images) for row in rows)  # so that the picture fills its column
    st.image(
        images.compose(rows, st.context.theme.type or "light", cell=min(cell, 84)),
        alt=f"{picture.title}: rows of images called {', '.join(picture.arrays)}",
    )


def _maps(picture: Picture, key: str) -> None:
    planes = {name: plane for name, plane in picture.arrays.items() if name != "labels"}
    labels, label_names = picture.arrays["labels"], picture.facts["label_names"]
    for column, (name, plane) in zip(st.columns(len(planes)), planes.items(), strict=True):
        with column:
            st.caption(f"{plain(name)}, {len(plane):,} test samples")
            figure = figures.scatter_map(
                plane, labels.astype(int) if label_names else labels, label_names
            )
            _chart(figure, f"{key}-{name}", f"Map of {len(plane)} test samples: {name}")


def _curves(picture: Picture, key: str) -> None:
    lines = {name: values for name, values in picture.arrays.items() if name != "x"}
    figure = figures.curves(picture.arrays["x"], lines, **picture.facts)
    _chart(figure, key, f"{picture.title}: curves of {', '.join(lines)}")


def _cloud(picture: Picture, key: str) -> None:
    surfaces = {
        name: grid for name, grid in picture.arrays.items() if name not in ("points", "position")
    }
    figure = figures.cloud(picture.arrays["points"], picture.arrays["position"], surfaces)
    _chart(figure, key, f"{picture.title}: test samples in space, and {', '.join(surfaces)}")


def _arrows(picture: Picture, key: str) -> None:
    names = [name.removesuffix(".from") for name in picture.arrays if name.endswith(".from")]
    ends = {name: (picture.arrays[f"{name}.from"], picture.arrays[f"{name}.to"]) for name in names}
    figure = figures.arrows(picture.arrays["points"], ends)
    _chart(figure, key, f"{picture.title}: arrows of {' and '.join(names)} over test samples")


def _chart(figure: object, key: str, alt: str) -> None:
    st.plotly_chart(figure, key=key, config=figures.MODEBAR, alt=alt)


DRAWN: dict[str, Callable[[Picture, str], None]] = {
    "rows": _rows,
    "maps": _maps,
    "curves": _curves,
    "cloud": _cloud,
    "arrows": _arrows,
}
