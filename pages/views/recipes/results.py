"""Results on the page of recipes: lesson, reference, outcome and pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import groupby
from pathlib import Path

import numpy as np
import streamlit as st

from aecore import data, recipes
from aecore.plots import figures, images
from aecore.recipes import RECIPES, Outcome, Picture, Recipe, number, outcome_artifact
from pages.app import cache, controls, frame, job_list, state
from pages.app.text import duration, explain, plain
from pages.components import pickers

ICONS = {
    True: ":material/check_circle:",
    False: ":material/cancel:",
    None: ":material/radio_button_unchecked:",
}
THUMBNAIL = 56  # points


def read() -> dict[str, Outcome | None]:
    """Outcome of each recipe; None if it was not run here, or if its file is damaged."""
    return {name: cache.artifact(outcome_artifact(name)) for name in RECIPES}


def pick(outcomes: Mapping[str, Outcome | None]) -> Recipe:
    """Selection of the page's recipe, kept in the address, as a card for each."""
    names = list(RECIPES)
    if stranger := state.follow_address(state.RECIPE, names, names[0]):
        pickers.show_unknown("recipe", stranger)
    chosen = state.value(state.RECIPE)
    st.html(Path(__file__).with_name("cards.css"))
    with st.container(key="cards"):
        for family, recipes_of_it in groupby(RECIPES.values(), lambda recipe: recipe.family):
            st.markdown(f"**{plain(family)}**")
            for recipe in recipes_of_it:
                card(recipe, outcomes[recipe.name], recipe.name == chosen)
    return RECIPES[chosen]


def card(recipe: Recipe, outcome: Outcome | None, chosen: bool) -> None:
    """Thumbnail, title and verdict of a recipe; a click chooses it."""
    key = f"chosen-card-{recipe.name}" if chosen else f"card-{recipe.name}"
    with st.container(key=key, horizontal=True, wrap=False):
        thumbnail = outcome and cache.recipe_thumbnail(outcome)
        with st.container(width=THUMBNAIL):
            if thumbnail:
                st.image(thumbnail, width=THUMBNAIL, alt="")
        with st.container(gap=None):
            st.button(
                plain(recipe.title),
                key=recipe.name,
                type="tertiary",
                on_click=choose,
                args=(recipe.name,),
                help=explain(recipe.title),
            )
            st.caption(verdict(outcome))


def choose(name: str) -> None:
    """Show another recipe, and write it into the address."""
    state.put({state.RECIPE: name})
    state.keep(state.RECIPE)


def verdict(outcome: Outcome | None) -> str:
    """Sentence, in Markdown, on whether a recipe was reproduced: its target and its figure."""
    if outcome is None:
        return f"{ICONS[None]} Not run here yet"
    word = "Reproduced" if outcome.holds else "Not reproduced"
    target = plain(recipes.target(outcome.metric))
    return f"{ICONS[bool(outcome.holds)]} {word}: target {target}, found {number(outcome.value)}"


def show(recipe: Recipe, outcome: Outcome | None) -> None:
    """Show a recipe: its lesson and verdict, its pictures, and how it was trained and measured."""
    st.subheader(recipe.title, anchor=False)
    if outcome:
        measure = recipes.measure(outcome.metric)
        st.markdown(f"{verdict(outcome)} ({plain(measure)}).", help=explain(measure))
    st.markdown(plain(recipe.teaches), help=explain(recipe.teaches))
    run(recipe, outcome)
    if outcome:
        for position, picture in enumerate(outcome.pictures):
            st.markdown(f"**{plain(picture.title)}**", help=explain(picture.title, *picture.arrays))
            DRAWN[picture.kind](picture, f"{outcome.name}-{position}")
    about(recipe, outcome)


def about(recipe: Recipe, outcome: Outcome | None) -> None:
    """Show data, architecture, metric and source of a recipe, and what else was measured."""
    metric = outcome.metric if outcome else recipe.describe_metric(recipe.reference)
    st.markdown(
        f"- Dataset: {_data_title(recipe)}\n"
        f"- What is trained: {plain(recipe.architecture)}\n"
        f"- Measured on the test split: {plain(metric)}\n"
        f"- Source: {plain(recipe.source)}",
        help=explain(recipe.architecture, metric),
    )
    if outcome is None:
        return
    when = plain(str(outcome.created)[:10])
    st.caption(f"Seed {plain(outcome.seed)}, {duration(outcome.seconds)}, {when}.")
    if outcome.figures:
        st.markdown("**Also measured**", help=explain(*outcome.figures))
        st.table({plain(name): number(value) for name, value in outcome.figures.items()})


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
        if controls.button(label, ":material/play_arrow:", key="run-recipe"):
            cache.jobs().submit(recipes.Reproduce(recipe.name))
            st.rerun()
        hint = f"It took {duration(before.seconds)} the last time." if before else ""
        if recipe.dataset in data.DATASETS and not data.is_available(recipe.dataset):
            hint = f"{_data_title(recipe)} is not on this machine: the recipe downloads it. {hint}"
        st.caption(hint or "It has not been run here yet. It takes a few minutes at most.")
    if before:
        links(before)


def _data_title(recipe: Recipe) -> str:
    """Title of a recipe's data; its name where they are drawn for it alone."""
    entry = data.DATASETS.get(recipe.dataset)
    return plain(entry.title if entry else recipe.dataset)


def links(outcome: Outcome) -> None:
    """Links to the pages of a recipe's trained runs, if they are in the store."""
    stored = {run.name for run in cache.runs()[0]}
    for name in filter(stored.__contains__, outcome.runs):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"Trained model: **{plain(name)}**", width="content")
            for entry in frame.OF_A_RUN:
                frame.link(entry, {state.RUN: name})


# --- Pictures -----------------------------------------------------------------------------------


def _rows(picture: Picture, key: str) -> None:
    shape = picture.facts["shape"]
    rows = [
        images.Row(title, np.reshape(pixels, (-1, *shape)))
        for title, pixels in picture.arrays.items()
    ]
    cell = 840 // max(len(row.images) for row in rows)  # so that the picture fills its column
    with st.container(key=f"rows-{key}"):
        st.image(
            cache.composed(rows, min(cell, 84)),
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
