"""Train: form for a new training, live view, unfinished trainings."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from aecore import data
from aecore.errors import InvalidRequest
from aecore.models.variants import VARIANTS
from aecore.runs import store
from aecore.runs.train import Resume, Train
from aecore.settings import list_settings
from aecore.training import PRESETS, RunConfig, TrainingConfig, defaults
from pages.app import cache, controls, frame, state
from pages.app.text import plain
from pages.components.settings_form import as_typed, settings_form
from pages.views.train import monitor

DEFAULTS = "defaults"


def presets_for(dataset: str, variant: str) -> list[str]:
    """Names of the presets of a dataset and variant, and of the defaults."""
    fitting = [p.name for p in PRESETS.values() if (p.dataset, p.variant) == (dataset, variant)]
    return [*fitting, DEFAULTS]


def starting_values(dataset: str, variant: str, preset: str) -> dict:
    """Initial values of the form."""
    kind = VARIANTS[variant]
    values = {s.name: s.default for s in (*list_settings(kind), *list_settings(TrainingConfig))}
    chosen = defaults(data.get(dataset), kind)
    values |= chosen["model"] | chosen["training"]
    if preset in PRESETS:
        values |= {**PRESETS[preset].model, **PRESETS[preset].training}
    return values


def refill(preset_too: bool) -> None:
    """Refill the form after the dataset, variant or preset has changed."""
    dataset, variant = state.value("dataset", "digits"), state.value("variant", "ae")
    if preset_too:
        state.put({"preset": presets_for(dataset, variant)[0]})
    values = starting_values(dataset, variant, state.value("preset"))
    kinds = (*list_settings(VARIANTS[variant]), *list_settings(TrainingConfig))
    state.put({setting.name: as_typed(setting, values[setting.name]) for setting in kinds})


@st.fragment
def ask(datasets: Mapping[str, data.Dataset]) -> None:
    """Show the form; a valid request is queued and shown.

    A fragment, so that a change in it does not draw the running training anew.

    Arguments
        datasets: the datasets to choose from, by name.
    """
    bound = {"bind": "query-params"}
    again = {"on_change": refill, "args": (True,)}
    dataset = st.selectbox("Dataset", list(datasets), key="dataset", **bound, **again)
    entry = datasets[dataset]
    where = "" if data.is_available(entry) else " It is not on this machine: training downloads it."
    st.caption(
        f"{plain(entry.title)}: {entry.n_train:,} to train, {entry.n_test:,} to test.{where}"
    )
    variants = list(VARIANTS)
    variant = st.selectbox(
        "Variant", variants, index=variants.index("ae"), key="variant", **bound, **again
    )
    st.caption(VARIANTS[variant].summary())
    preset = st.selectbox(
        "Preset",
        presets_for(dataset, variant),
        key="preset",
        on_change=refill,
        args=(False,),
        help="Named settings to start from; every one of them can be changed below.",
        **bound,
    )
    if preset in PRESETS:
        st.caption(PRESETS[preset].description)
    values = starting_values(dataset, variant, preset)
    with st.form("settings", border=False):
        kinds = VARIANTS[variant], TrainingConfig
        with st.container(horizontal=True):
            model, training = (settings_form(kind, values, width=166) for kind in kinds)
        with st.expander("More settings", icon=":material/tune:"), st.container(horizontal=True):
            more = [settings_form(kind, values, advanced=True, width=148) for kind in kinds]
        model, training = model | more[0], training | more[1]
        name = st.text_input(
            "Name of the run", key="name", placeholder="made for you", bind="query-params"
        )
        key = f"train-{state.presses('Train')}"
        asked = st.form_submit_button(
            "Train", key=key, type="primary", icon=":material/play_arrow:"
        )
    if asked and not state.double_click("Train"):
        request = {"dataset": dataset, "variant": variant, "model": model, "training": training}
        try:
            job = cache.jobs().submit(Train.named(RunConfig.check(request), name or None))
        except InvalidRequest as error:
            frame.show_error(error)
            return
        state.answer_press("Train")
        state.remember_job(job.id)
        st.rerun()


def offer_unfinished() -> None:
    """List the unfinished trainings: resume, discard, or in use by another process."""
    busy = {job.task.reserves for job in cache.jobs().all() if job.active}
    unfinished, damaged = store.checkpoints()
    unfinished = [run for run in unfinished if run.name not in busy]
    if unfinished or damaged:
        st.caption("Stopped before the end, or trained elsewhere")
    for run in unfinished:
        with st.container(horizontal=True, vertical_alignment="center", border=True):
            epochs = f"{run.epochs_done} of {run.config.training.epochs} epochs"
            done = f"**{plain(run.name)}**: {epochs}"
            if run.owner:
                owner = plain(str(run.owner))
                st.markdown(f"{done}; it is being trained by another process ({owner}).")
                continue
            st.markdown(done)
            if controls.button("Resume", ":material/resume:", key=f"resume-{run.name}"):
                state.remember_job(cache.jobs().submit(Resume.of(run.name)).id)
                st.rerun()
            offer_to_discard(run.name)
    for run in damaged:
        with st.container(horizontal=True, vertical_alignment="center", border=True):
            name, reason = plain(run.name), plain(run.reason)
            st.markdown(f"**{name}** cannot be resumed, its checkpoint is damaged: {reason}")
            offer_to_discard(run.name)


def offer_to_discard(name: str) -> None:
    """Button that deletes a checkpoint."""
    if controls.button("Discard", ":material/delete:", key=f"discard-{name}"):
        store.discard(name)
        st.rerun()


with frame.page("Train"):
    usable, damaged = data.entries()
    left, right = st.columns([3, 4], gap="large")
    with left:
        for sentence in damaged:
            st.warning(plain(sentence), icon=":material/folder_off:")
        ask({entry.name: entry for entry in usable})
    with right:
        monitor.watch()
        offer_unfinished()
