"""Samples beside their reconstructions by the autoencoder and by PCA."""

from __future__ import annotations

import numpy as np
import streamlit as st

from aecore import datasets, figures, images, projections, store
from aecore.datasets import Dataset
from pages.shared import cache, parts

ORDERS = {
    "worst first": lambda error: np.argsort(-error, kind="stable"),
    "best first": lambda error: np.argsort(error, kind="stable"),
    "as they come": lambda error: np.arange(len(error)),
}


def fetched(run: store.Run) -> dict[str, np.ndarray] | None:
    """The reconstructions of a run, or None while its data or components are on their way."""
    dataset = datasets.get(run.config.dataset)
    jobs = cache.jobs()
    if datasets.here(dataset.name) and projections.components_file(dataset).is_file():
        with st.spinner("Loading torch and the model, a few seconds the first time"):
            return cache.reconstructions(run.name, run.manifest.created.isoformat())
    job = jobs.find("prepare", dataset.name)
    if job is None and datasets.here(dataset.name):
        job = jobs.prepare(dataset.name)
    if job is not None and job.active:
        st.fragment(run_every=0.8)(parts.progress)(job)
        return None
    if job is not None and job.error:
        st.error(parts.plain(job.error), icon=":material/error:")
    st.info(
        f"{dataset.name} is not on this machine, so there is nothing to reconstruct. The maps of "
        "this run can be seen all the same.",
        icon=":material/cloud_download:",
    )
    if st.button(f"Download {dataset.name}", icon=":material/download:", type="primary"):
        jobs.prepare(dataset.name)
        st.rerun()
    return None


@st.fragment
def show(run: store.Run, found: dict[str, np.ndarray]) -> None:
    """Pick samples and show them; a fragment, so that a slider draws nothing else anew."""
    with parts.guarded():
        chosen, dataset = pick(run, found), datasets.get(run.config.dataset)
        (as_pictures if dataset.kind == "image" else as_tables)(dataset, found, chosen)


def pick(run: store.Run, found: dict[str, np.ndarray]) -> np.ndarray:
    """Which test samples to show: their numbers, in order."""
    names = datasets.get(run.config.dataset).label_names
    with st.container(horizontal=True, vertical_alignment="bottom"):
        order = st.selectbox("Order", list(ORDERS), key="order", bind="query-params", width=160)
        label = "all"
        if names:
            label = st.selectbox(
                "Class", ["all", *names], key="class", bind="query-params", width=160
            )
        count = st.slider("Samples", 4, 16, 8, key="samples", bind="query-params", width=220)
        numbers = ORDERS[order](found["autoencoder_mse"])
        if label != "all":
            numbers = numbers[run.codes["labels"][numbers] == names.index(label)]
        screens = max(-(-len(numbers) // count), 1)
        screen = st.number_input(
            f"Screen, of {screens}", 1, screens, key="screen", bind="query-params", width=150
        )
    return numbers[(screen - 1) * count : screen * count]


def as_pictures(dataset: Dataset, found: dict[str, np.ndarray], chosen: np.ndarray) -> None:
    """Rows of images with the error of each, and maps of where the error is."""
    original, autoencoder, pca = (
        found[name][chosen].reshape(-1, *dataset.shape)
        for name in ("original", "autoencoder", "pca")
    )
    picture = images.compose(
        [
            images.Row("original", original, [f"#{number}" for number in chosen]),
            images.Row("autoencoder", autoencoder, _errors(found, "autoencoder_mse", chosen)),
            images.Row("its error", images.error_colors(original, autoencoder)),
            images.Row("PCA", pca, _errors(found, "pca_mse", chosen)),
            images.Row("its error", images.error_colors(original, pca)),
        ],
        st.context.theme.type or "light",
    )
    st.image(
        picture,
        alt=f"{len(chosen)} test images of {dataset.name}; under each the autoencoder's and PCA's "
        "reconstruction with its mean squared error, and where it is too bright or too dark",
    )
    st.caption(
        "The number under a reconstruction is its mean squared error per pixel. In the error maps "
        "red is too bright, blue too dark, white right."
    )


def as_tables(dataset: Dataset, found: dict[str, np.ndarray], chosen: np.ndarray) -> None:
    """The same for data that is no image: tables of standardised features."""
    figure = figures.feature_rows(
        [
            ("original", found["original"][chosen]),
            ("autoencoder", found["autoencoder"][chosen]),
            ("PCA", found["pca"][chosen]),
        ],
        dataset.feature_names,
        [f"#{number}" for number in chosen],
    )
    st.plotly_chart(
        figure,
        key="tables",
        config=figures.MODEBAR,
        alt=f"{len(chosen)} test samples of {dataset.name} beside their reconstructions by the "
        "autoencoder and by PCA, one row a sample and one column a feature",
    )
    st.dataframe(
        {
            "sample": [f"#{number}" for number in chosen],
            "autoencoder MSE": found["autoencoder_mse"][chosen],
            "PCA MSE": found["pca_mse"][chosen],
        },
        width="content",
    )


def summary(run: store.Run, found: dict[str, np.ndarray]) -> None:
    """Which of the two is better, and by how much."""
    mine, baseline = found["autoencoder_mse"].mean(), found["pca_mse"].mean()
    better = (found["autoencoder_mse"] < found["pca_mse"]).mean()
    with st.container(horizontal=True):
        st.metric("Autoencoder, test MSE", f"{mine:.4f}", width="content")
        components = run.config.model.latent_dim
        st.metric(f"PCA with {components} components, test MSE", f"{baseline:.4f}", width="content")
        st.metric("Samples that the autoencoder renders better", f"{better:.0%}", width="content")
    if baseline <= mine:
        st.info("PCA wins here: a plane serves this data at least as well as this autoencoder.")


def _errors(found: dict[str, np.ndarray], name: str, chosen: np.ndarray) -> list[str]:
    return [f"{error:.4f}" for error in found[name][chosen]]
