"""Facts of a run in a line, and whether its dataset has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from aecore import data, metrics
from pages.app.text import plain

if TYPE_CHECKING:
    from aecore.runs import store


def run_facts(run: store.Run) -> str:
    """One line that says what a run is."""
    config, manifest = run.config, run.manifest
    return (
        f"{config.variant} on {plain(config.dataset)}, code of {config.model.latent_dim}, "
        f"{config.training.epochs} epochs, seed {config.training.seed}: trained on "
        f"{manifest.n_train:,} samples, tested on {manifest.n_test:,} others."
    )


def changed(run: store.Run) -> bool:
    """Whether the dataset of a run was removed or is another by now; says so where it is."""
    dataset = run.dataset
    if dataset.missing:
        st.warning(
            f"{plain(dataset.missing)} What has not been computed yet cannot be.",
            icon=":material/warning:",
        )
        return True
    if not data.here(dataset) or dataset.fingerprint == run.manifest.fingerprint:
        return False
    st.warning(
        f"The dataset {dataset.name} has changed since '{run.name}' was trained on it, so what has "
        "not been computed yet cannot be: train the run again.",
        icon=":material/warning:",
    )
    return True


def metric_text(run: store.Run, metric: metrics.MetricName) -> str:
    """A metric of a run in four decimals, or words where it was not measured."""
    value = run.manifest.metrics.get(metric)
    return "show_unknown" if value is None else f"{value:.4f}"
