"""Facts of a run, and a warning if its dataset has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from aecore import data, metrics
from aecore.runs import stopping
from pages.app.text import define, plain

if TYPE_CHECKING:
    from aecore.runs import store


def facts_popover(run: store.Run) -> None:
    """Table of facts of a run, behind an icon."""
    config, manifest = run.config, run.manifest
    facts: dict[str, object] = {
        "Run": run.name,
        "Dataset": run.dataset.title,
        "Variant": run.variant_title,
        "Code size": config.model.latent_dim,
    }
    if run.capabilities.trainable:
        facts |= {"Epochs": run.epochs, "Seed": config.training.seed}
    if run.trained:
        facts |= {
            "Trained on": f"{manifest.n_train:,} samples",
            "Tested on": f"{manifest.n_test:,} others",
        }
    else:
        facts |= {
            "Where it came from": manifest.origin or "unknown",
            "Samples": f"{manifest.n_train:,} of training, {manifest.n_test:,} of testing",
        }
    if run.capabilities.decode:
        facts |= {
            "Test MSE": metric_text(run, "test_mse"),
            "Test MSE of PCA": metric_text(run, "pca_mse"),
        }
    with st.popover("About this run", icon=":material/info:", type="tertiary", key="about"):
        st.table({plain(name): plain(value) for name, value in facts.items()}, border="horizontal")
        if how := stopping.in_words(run):
            st.markdown(plain(how), help=define("Validation part", "Patience"))
        st.caption(
            "What these mean", help=define("Variant", "Code", "Epochs", "Seed", "Test MSE", "PCA")
        )


def changed(run: store.Run) -> bool:
    """Whether the dataset of a run was removed or changed; warns if so."""
    dataset = run.dataset
    if dataset.missing:
        st.warning(
            f"{plain(dataset.missing)} What has not been computed yet cannot be.",
            icon=":material/warning:",
        )
        return True
    if not data.is_available(dataset) or dataset.fingerprint == run.manifest.fingerprint:
        return False
    st.warning(
        f"The dataset {dataset.name} has changed since '{run.name}' was trained on it, so what has "
        "not been computed yet cannot be: train the run again.",
        icon=":material/warning:",
    )
    return True


def metric_text(run: store.Run, metric: metrics.MetricName) -> str:
    """Format a metric of a run in four decimals, or in words if it was not measured."""
    value = run.manifest.metrics.get(metric)
    return "unknown" if value is None else f"{value:.4f}"
