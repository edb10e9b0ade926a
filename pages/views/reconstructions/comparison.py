"""Comparison of samples with their reconstructions by runs and PCA."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import streamlit as st

from aecore.data import Dataset
from aecore.plots import figures, images
from aecore.runs import store
from pages.app import cache, controls, frame, models
from pages.app.text import plain
from pages.components.job_status import ensure_encoded
from pages.views.reconstructions import summary
from pages.views.reconstructions.summary import MOST_COMPONENTS, PCA, Errors

ORDERS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "worst first": lambda error, pca: -error,
    "best first": lambda error, pca: error,
    "where PCA wins most": lambda error, pca: pca - error,
    "as they come": lambda error, pca: np.zeros(len(error)),
}
SPLITS = {
    "test": "Samples of the test split, which no run has seen in training.",
    "train": "Samples of the training split: they were seen in training, so a small error here "
    "does not say how well new samples are rendered.",
}


@st.fragment
def show(runs: Sequence[store.Run]) -> None:
    """Show the comparison on one split; a fragment, so that a slider redraws nothing else."""
    with frame.guarded():
        run, dataset = runs[0], runs[0].dataset
        with st.container(horizontal=True, vertical_alignment="bottom"):
            split = controls.one_of("Split", list(SPLITS), "split")
            k = components(run, dataset)
            maps = dataset.traits.pictures and st.toggle(
                "Show where the error is", True, key="errors", bind="query-params"
            )
        if split == "train" and not ensure_encoded(runs):
            return
        with st.spinner(f"Reconstructing the {split} split, once for each run", show_time=True):
            errors = {run.name: models.errors(*cache.identity(run), split) for run in runs}
            errors[PCA] = cache.pca_errors(dataset.name, dataset.fingerprint, split, k)
        samples(runs, dataset, split, errors, k, maps)
        summary.summary(dataset, split, errors, k)
        if dataset.label_names:
            summary.classes(dataset, split, errors)


@st.fragment
def samples(
    runs: Sequence[store.Run], dataset: Dataset, split: str, errors: Errors, k: int, maps: bool
) -> None:
    """Fragment redrawn when the sample selection changes; split-wide figures are left alone."""
    with frame.guarded():
        chosen = pick(dataset, split, errors)
        st.caption(SPLITS[split])
        if not len(chosen):
            st.info("No sample of this class is in this split.", icon=":material/info:")
            return
        x, labels = (part[chosen] for part in getattr(dataset, split))
        reconstructions = {
            run.name: models.reconstruct(*cache.identity(run), x, labels)[1] for run in runs
        }
        reconstructions[PCA] = cache.components(dataset.name, dataset.fingerprint).reconstruct(x, k)
        shown = {name: values[chosen] for name, values in errors.items()}
        if dataset.traits.pictures:
            as_pictures(dataset, split, chosen, x, reconstructions, shown, maps)
        else:
            as_tables(dataset, split, chosen, x, reconstructions, shown)


def components(run: store.Run, dataset: Dataset) -> int:
    """Slider of the number of principal components; the code's width is the default."""
    most = min(
        cache.components(dataset.name, dataset.fingerprint).components.shape[0], MOST_COMPONENTS
    )
    width = min(run.config.model.latent_dim, most)
    if most == 1:
        return 1
    # A name for each width, so that another run begins with its own.
    return st.slider(
        "PCA components",
        1,
        most,
        width,
        key=f"pca_{width}",
        bind="query-params",
        width=260,
        help=f"The code of {plain(run.name)} has {run.config.model.latent_dim} dimensions.",
    )


def pick(dataset: Dataset, split: str, errors: Errors) -> np.ndarray:
    """Selection of the samples to show: their numbers, in order."""
    names, labels = dataset.label_names, getattr(dataset, split).labels
    mine, pca = next(iter(errors.values())), errors[PCA]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        order = st.selectbox("Order", list(ORDERS), key="order", bind="query-params", width=190)
        label = "all"
        if names:
            label = st.selectbox(
                "Class", ["all", *names], key="class", bind="query-params", width=140
            )
        count = st.slider("Samples", 4, 16, 8, key="samples", bind="query-params", width=200)
        numbers = np.argsort(ORDERS[order](mine, pca), kind="stable")
        if label != "all":
            numbers = numbers[labels[numbers] == names.index(label)]
        first = controls.whole_number(
            "Begin with sample",
            "sample",
            0,
            len(mine) - 1,
            value=None,
            width=150,
            placeholder=f"0 to {len(mine) - 1}",
            help="A sample of any class, by its number; the others follow in their order.",
        )
        if first is not None:
            numbers = np.concatenate([[first], numbers[numbers != first]])
        screens = max(-(-len(numbers) // count), 1)
        screen = controls.whole_number(f"Screen, of {screens}", "screen", 1, screens, width=150)
    return numbers[(screen - 1) * count : screen * count]


def as_pictures(
    dataset: Dataset,
    split: str,
    chosen: np.ndarray,
    x: np.ndarray,
    reconstructions: Mapping[str, np.ndarray],
    errors: Errors,
    maps: bool,
) -> None:
    """Show rows of images with their errors, and maps of signed errors."""
    original = x.reshape(-1, *dataset.shape)
    lines = [images.Row("original", original, [f"#{number}" for number in chosen])]
    for name, rebuilt in reconstructions.items():
        rebuilt = rebuilt.reshape(original.shape)
        lines.append(images.Row(name, rebuilt, [f"{error:.4f}" for error in errors[name]]))
        if maps:
            lines.append(images.Row("its error", images.error_colors(original, rebuilt)))
    where = " and where it is too bright or too dark" if maps else ""
    # Many rows are shown smaller, so that they can be seen together.
    with st.container(width="stretch" if len(reconstructions) < 3 else 780):
        st.image(
            images.compose(lines, st.context.theme.type or "light"),
            alt=f"{len(chosen)} {split} images of {dataset.name}; under each the reconstructions "
            f"by {', '.join(reconstructions)}, each with its mean squared error{where}",
        )
    st.caption(
        "The number under a reconstruction is its mean squared error per pixel. "
        + "In the error maps red is too bright, blue too dark, white right." * maps
    )


def as_tables(
    dataset: Dataset,
    split: str,
    chosen: np.ndarray,
    x: np.ndarray,
    reconstructions: Mapping[str, np.ndarray],
    errors: Errors,
) -> None:
    """Show tables of standardised features, for data that are not images."""
    samples = [f"#{number}" for number in chosen]
    st.plotly_chart(
        figures.feature_rows(
            [("original", x), *reconstructions.items()], dataset.spec.column_names, samples
        ),
        key="tables",
        config=figures.MODEBAR,
        alt=f"{len(chosen)} {split} samples of {dataset.name} beside their reconstructions by "
        f"{', '.join(reconstructions)}, one row a sample and one column a feature",
    )
    st.dataframe(
        {"sample": samples} | {f"{name} MSE": values for name, values in errors.items()},
        width="content",
    )
