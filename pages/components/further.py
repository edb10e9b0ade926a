"""Dialog that trains a run for more epochs, as a new run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from aecore.errors import InvalidRequest
from aecore.runs.stopping import schedule_in_words
from aecore.runs.train import TrainFurther
from aecore.settings import list_settings
from aecore.training import TrainingConfig
from pages.app import cache, frame, state
from pages.app.text import define, plain
from pages.components.settings_form import help_of

if TYPE_CHECKING:
    from aecore.runs import store


def offer(run: store.Run) -> None:
    """Button that opens the dialog."""
    if st.button(
        "Train further",
        icon=":material/fast_forward:",
        key=f"further-{run.name}",
        help="Trains it for more epochs, as a new run; this one stays.",
    ):
        ask(run)


@st.dialog("Train further")
def ask(run: store.Run) -> None:
    """Ask for how many epochs more and at which rate, and queue the training."""
    settings = run.config.training
    known = {setting.name: setting for setting in list_settings(TrainingConfig)}
    st.markdown(
        f"**{plain(cache.title(run.name))}** goes on from its weights of epoch {run.stored_epoch}, "
        "as a new run; this one stays."
    )
    with st.form("further", border=False):
        epochs = st.number_input("Further epochs", value=settings.epochs, min_value=1, step=1)
        rate = st.number_input(
            known["learning_rate"].label,
            value=settings.learning_rate,
            step=settings.learning_rate / 10,
            format="%g",
            help=help_of(known["learning_rate"]),
        )
        st.caption(
            "Moments of the optimiser are not stored and begin anew; so does the schedule: now "
            f"{schedule_in_words(settings)}.",
            help=define("Optimiser", "Learning rate", "Epochs"),
        )
        name = st.text_input("Name of the run", placeholder="leave empty for an automatic name")
        if st.form_submit_button("Train", type="primary", icon=":material/play_arrow:"):
            try:
                task = TrainFurther.of(run.name, epochs, name or None, learning_rate=rate)
                job = cache.jobs().submit(task)
            except InvalidRequest as error:
                frame.show_error(error)
                return
            state.remember_job(job.id)
            st.switch_page("pages/train.py")
