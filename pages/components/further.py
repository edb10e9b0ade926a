"""Dialog that trains a run for more epochs, as a new run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from aecore.errors import InvalidRequest
from aecore.runs.train import TrainFurther
from aecore.settings import list_settings
from aecore.training import TrainingConfig
from pages.app import cache, frame, state
from pages.app.text import define, plain
from pages.components.settings_form import help_of

if TYPE_CHECKING:
    from aecore.runs import store

RATE = next(each for each in list_settings(TrainingConfig) if each.name == "learning_rate")
CYCLES = {
    "one-cycle": "the learning rate makes one more cycle, up to this peak",
    "constant": "the learning rate is constant",
}


def offer(run: store.Run, here: bool = False) -> None:
    """Button that opens the dialog.

    Arguments
        here: whether the page is the one that shows trainings.
    """
    if st.button(
        "Train further",
        icon=":material/fast_forward:",
        key=f"further-{run.name}",
        type="tertiary",
        help="For more epochs, as a new run; this one stays.",
    ):
        ask(run, here)


@st.dialog("Train further")
def ask(run: store.Run, here: bool) -> None:
    """Ask for how many epochs more and at which rate; queue the training, and show it."""
    settings = run.config.training
    st.markdown(
        f"**{plain(cache.title(run.name))}** goes on from its weights after epoch "
        f"{run.stored_epoch}, as a new run. The optimiser's moments are not stored and begin anew; "
        f"{CYCLES[settings.schedule]}.",
        help=define("Optimiser", "Learning rate", "Epochs"),
    )
    with st.form("further", border=False):
        epochs = st.number_input(
            "Further epochs",
            value=settings.epochs - run.manifest.epochs_before,
            min_value=1,
            step=1,
        )
        rate = st.number_input(
            RATE.label,
            value=settings.learning_rate,
            step=settings.learning_rate / 10,
            format="%g",
            help=help_of(RATE),
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
            if here:
                st.rerun()
            st.switch_page("pages/train.py", query_params={"job": job.id})
