"""Settings of a new training: dataset, variant, preset, and what they begin with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from aecore import data
from aecore.errors import InvalidRequest
from aecore.models.variants import VARIANTS
from aecore.runs.train import Train
from aecore.settings import list_settings
from aecore.training import PRESETS, RunConfig, TrainingConfig, defaults
from pages.app import cache, frame, state
from pages.app.text import define, explain
from pages.components import pickers
from pages.components.presets import preset_titles, presets_for
from pages.components.settings_form import as_typed, settings_form

CHOICES = {
    setting.name
    for kind in (*VARIANTS.values(), TrainingConfig)
    for setting in list_settings(kind)
    if setting.kind == "choice"
}
"""Settings that are written into the address by name."""
REFUSED = "refused"


def starting_values(dataset: str, variant: str, preset: str) -> dict:
    """Initial values of the form."""
    kind = VARIANTS[variant]
    values = {s.name: s.default for s in (*list_settings(kind), *list_settings(TrainingConfig))}
    chosen = defaults(data.get(dataset), kind)
    values |= chosen["model"] | chosen["training"]
    if preset in PRESETS:
        values |= {**PRESETS[preset].model, **PRESETS[preset].training}
    return values


def refill(changed: str) -> None:
    """Refill the form after the dataset, variant or preset has changed."""
    dataset, variant = state.value("dataset"), state.value("variant")
    if changed != "preset":
        state.put({"preset": presets_for(dataset, variant)[0]})
    for key in ("dataset", "variant", "preset"):
        state.keep(key)
    state.drop(CHOICES)
    values = starting_values(dataset, variant, state.value("preset"))
    kinds = (*list_settings(VARIANTS[variant]), *list_settings(TrainingConfig))
    state.put({setting.name: as_typed(setting, values[setting.name]) for setting in kinds})


@st.fragment
def ask(datasets: Mapping[str, data.Dataset]) -> None:
    """Show the settings; a valid request is queued and shown, the problems of another stay.

    A fragment, so that a change in it does not draw the running training anew.

    Arguments
        datasets: the datasets to choose from, by name.
    """
    titles = {name: entry.title for name, entry in datasets.items()}
    dataset = pickers.pick_entry("Dataset", "dataset", titles, "digits", refill)
    entry = datasets[dataset]
    where = "" if data.is_available(entry) else " It is not on this machine: training downloads it."
    st.caption(f"{entry.n_train:,} samples to train on, {entry.n_test:,} to test on.{where}")
    titles = {name: kind.title for name, kind in VARIANTS.items()}
    variant = pickers.pick_entry("Variant", "variant", titles, "ae", refill, define("Variant"))
    summary = VARIANTS[variant].summary()
    st.caption(summary, help=explain(summary))
    titles = preset_titles(dataset, variant)
    about = "Settings to start from; every one of them can be changed below."
    preset = pickers.pick_entry("Preset", "preset", titles, next(iter(titles)), refill, about)
    if preset in PRESETS:
        description = PRESETS[preset].description
        st.caption(description, help=explain(description))
    values = starting_values(dataset, variant, preset)
    kinds = VARIANTS[variant], TrainingConfig
    with st.container(horizontal=True):
        model, training = (settings_form(kind, values, width=166) for kind in kinds)
    with st.expander("More settings", icon=":material/tune:"), st.container(horizontal=True):
        more = [settings_form(kind, values, advanced=True, width=150) for kind in kinds]
    model, training = model | more[0], training | more[1]
    name = st.text_input(
        "Name of the run",
        key="name",
        placeholder="leave empty for an automatic name",
        bind="query-params",
    )
    with st.container(key="submit"):
        refused = st.container()
        key = f"train-{state.presses('Train')}"
        asked = st.button(
            "Train", key=key, type="primary", icon=":material/play_arrow:", width="stretch"
        )
        request = {"dataset": dataset, "variant": variant, "model": model, "training": training}
        if asked and not state.double_click("Train"):
            submit(request, name)
        before, error = state.value(REFUSED, (None, None))
        if error is not None and before == (request, name):  # nothing has been changed since
            with refused:
                frame.show_error(error)


def submit(request: Mapping[str, Any], name: str) -> None:
    """Queue a training and show it, or remember why it is refused."""
    try:
        job = cache.jobs().submit(Train.named(RunConfig.check(request), name or None))
    except InvalidRequest as error:
        state.put({REFUSED: ((request, name), error)})
        return
    state.put({REFUSED: (None, None)})
    state.answer_press("Train")
    state.remember_job(job.id)
    st.rerun()
