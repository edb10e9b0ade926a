"""What the page of recipes shows: a recipe, its reference, what was found, and the pictures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import streamlit as st

from aecore import datasets, figures, images, store
from aecore.recipes import RECIPES, Outcome, Picture, Recipe
from pages.shared import cache, parts, state

MARKS = {True: ":material/check_circle: holds", False: ":material/cancel: does not hold"}


def pick() -> Recipe:
    """The recipe that the page is about, kept in the address."""
    names = list(RECIPES)
    if stranger := state.follow_address(state.RECIPE, names, names[0]):
        st.warning(f"There is no recipe called '{parts.plain(stranger)}'; this is another one.")
    name = st.selectbox(
        "Recipe",
        names,
        format_func=lambda name: f"{name}: {RECIPES[name].title}",
        key=state.RECIPE,
        on_change=state.keep,
        args=(state.RECIPE,),
    )
    return RECIPES[name]


def about(recipe: Recipe) -> None:
    """What it teaches, what is trained, and whose it is."""
    st.markdown(f"**{parts.plain(recipe.teaches)}**")
    st.markdown(
        f"- Data: {recipe.dataset}\n"
        f"- What is trained: {parts.plain(recipe.architecture)}\n"
        f"- Measured: {parts.plain(recipe.metric)}\n"
        f"- Source: {parts.plain(recipe.source)}"
    )


def run(recipe: Recipe) -> None:
    """A button that queues it, or how far it is."""
    job = cache.jobs().find("recipe", recipe.name)
    if job is not None and job.active:
        st.fragment(run_every=0.8)(parts.progress)(job)
        return
    if job is not None and job.error:
        st.error(parts.plain(job.error), icon=":material/error:")
    if job is not None and job.state == "cancelled":
        st.info("It was cancelled; what was found before is kept.", icon=":material/stop_circle:")
    before = cache.outcome(recipe.name)
    with st.container(horizontal=True, vertical_alignment="center"):
        label = "Run it again" if before else "Run it"
        if st.button(label, type="primary", icon=":material/play_arrow:", key="run-recipe"):
            cache.jobs().reproduce(recipe.name)
            st.rerun()
        hint = f"It took {parts.duration(before.seconds)} the last time." if before else ""
        if recipe.dataset in datasets.DATASETS and not datasets.here(recipe.dataset):
            hint = f"{recipe.dataset} is not on this machine: the recipe downloads it. {hint}"
        st.caption(hint or "It has not been run here yet. It takes a few minutes at most.")


def found(recipe: Recipe) -> None:
    """Reference and own figure side by side, what else was measured, and the pictures."""
    outcome = cache.outcome(recipe.name)
    if outcome is None:
        return
    own, reference = (number(value) for value in (outcome.value, outcome.reference))
    with st.container(horizontal=True):
        st.metric("Found here", own, border=True, width=190)
        st.metric("Reference", reference, border=True, width=190)
        st.metric("Seed", outcome.seed, border=True, width=120)
        st.metric("Time", parts.duration(outcome.seconds), border=True, width=190)
    st.markdown(f"{MARKS[bool(outcome.holds)]}: {parts.plain(outcome.metric)} {reference}.")
    if outcome.figures:
        with st.expander("Also measured", icon=":material/table_rows:", expanded=True):
            st.table({name: number(value) for name, value in outcome.figures.items()})
    links(outcome)
    for position, picture in enumerate(outcome.pictures):
        st.markdown(f"**{parts.plain(picture.title)}**")
        DRAWN[picture.kind](picture, f"{outcome.name}-{position}")


def links(outcome: Outcome) -> None:
    """The trained models of a recipe, where they are in the store, on the pages of runs."""
    present = [name for name in outcome.runs if (store.root() / name).is_dir()]
    for name in present:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"The trained model is kept as the run **{name}**:")
            for path, label, icon in parts.OF_A_RUN:
                st.page_link(path, label=label, icon=icon, query_params={state.RUN: name})


def overview() -> None:
    """Every recipe with what it teaches, its reference, and what was found."""
    for recipe in RECIPES.values():
        outcome = cache.outcome(recipe.name)
        with st.container(border=True):
            text, figure = st.columns([4, 1], vertical_alignment="center")
            with text:
                st.page_link(
                    "pages/recipes.py",
                    label=f"**{recipe.name}**: {recipe.title}",
                    query_params={state.RECIPE: recipe.name},
                )
                st.caption(parts.plain(recipe.teaches))
            if outcome is None:
                figure.caption("not run here yet")
            else:
                own, reference = number(outcome.value), number(outcome.reference)
                figure.caption(f"{own}, reference {reference}  \n{MARKS[bool(outcome.holds)]}")


def number(value: float) -> str:
    """A figure in four significant digits.

    >>> number(0.0557001), number(104.0)
    ('0.0557', '104')
    """
    return f"{value:.4g}"


# --- Pictures -----------------------------------------------------------------------------------


def _rows(picture: Picture, key: str) -> None:
    shape = picture.facts["shape"]
    rows = [
        images.Row(title, np.reshape(pixels, (-1, *shape)))
        for title, pixels in picture.arrays.items()
    ]
    st.image(
        images.compose(rows, st.context.theme.type or "light", cell=40),
        alt=f"{picture.title}: rows of images called {', '.join(picture.arrays)}",
    )


def _maps(picture: Picture, key: str) -> None:
    planes = {name: plane for name, plane in picture.arrays.items() if name != "labels"}
    labels, label_names = picture.arrays["labels"], picture.facts["label_names"]
    for column, (name, plane) in zip(st.columns(len(planes)), planes.items(), strict=True):
        with column:
            st.caption(f"{name}, {len(plane):,} test samples")
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
