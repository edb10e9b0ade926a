"""Comparison of samples with their reconstructions by runs and PCA."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import streamlit as st

from aecore.plots import figures, images
from pages.app import cache, controls, frame, models, state
from pages.app.text import define, explain, plain
from pages.components import workbench
from pages.components.job_status import ensure_encoded
from pages.views.reconstructions import inspector, own_image, summary
from pages.views.reconstructions.summary import MOST_COMPONENTS, PCA, Errors

if TYPE_CHECKING:
    from aecore.data import Dataset
    from aecore.runs import store

ORDERS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "worst first": lambda error, pca: -error,
    "best first": lambda error, pca: error,
    "where PCA wins most": lambda error, pca: pca - error,
    "as they come": lambda error, pca: np.zeros(len(error)),
}
SPLITS = {
    "test": "Samples of the test split, which no run has seen in training.",
    "train": "Samples of the training split: they were seen in training, so a small error here "
    "does not say how well new samples are reconstructed.",
}


@st.fragment
def show(runs: Sequence[store.Run]) -> None:
    """Show the comparison on one split; a fragment, so that a choice redraws nothing else."""
    st.html(Path(__file__).with_name("rows.css"))
    with frame.guarded():
        run, dataset = runs[0], runs[0].dataset
        toolbar = workbench.toolbar()
        with toolbar:
            split = controls.one_of("Split", list(SPLITS), "split", **HIDDEN)
        if split == "train" and not ensure_encoded(runs):
            return
        with toolbar:
            picked = pick(dataset, split)
            with st.popover("View", icon=":material/tune:", key="view"):
                k = components(run, dataset)
                count = st.slider("Samples", 4, 16, 8, key="samples", bind="query-params")
                maps = dataset.traits.pictures and st.toggle(
                    "Show where the error is", True, key="errors", bind="query-params"
                )
        with st.spinner(f"Reconstructing the {split} split, once for each run", show_time=True):
            errors = {run.name: models.errors(*cache.identity(run), split) for run in runs}
            errors[PCA] = cache.pca_errors(dataset.name, dataset.fingerprint, split, k)
        with toolbar:
            chosen = page(numbers(dataset, split, errors, picked), count)
            with st.container(width="content"):  # a fragment is as wide as the line
                own_image.offer(runs)
        samples(runs, dataset, split, errors, k, maps, chosen)
        if dataset.label_names:
            summary.classes(dataset, split, errors)


HIDDEN = {"label_visibility": "collapsed"}


def samples(
    runs: Sequence[store.Run],
    dataset: Dataset,
    split: str,
    errors: Errors,
    k: int,
    maps: bool,
    chosen: np.ndarray,
) -> None:
    """Show the chosen samples and their reconstructions."""
    if not len(chosen):
        st.info("No sample of this class is in this split.", icon=":material/info:")
        return
    x, labels = (part[chosen] for part in getattr(dataset, split))
    reconstructions = {
        run.name: models.reconstruct(*cache.identity(run), x, labels)[1] for run in runs
    }
    reconstructions[PCA] = cache.components(dataset.name, dataset.fingerprint).reconstruct(x, k)
    shown = {name: values[chosen] for name, values in errors.items()}
    if not dataset.traits.pictures:
        summary.summary(dataset, split, errors, k)
        as_tables(dataset, split, chosen, x, reconstructions, shown)
        st.caption(SPLITS[split], help=define("Split", "MSE"))
        return
    canvas, panel = workbench.split("right", PANEL)
    with canvas:
        as_pictures(dataset, split, chosen, x, reconstructions, shown, maps)
    with panel:
        summary.summary(dataset, split, errors, k)
        inspector.show(dataset, chosen, x, labels, reconstructions, errors)


PANEL = 280  # pixels


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
        help=f"The code of {plain(run.name)} has {run.config.model.latent_dim} dimensions.\n\n"
        + define("PCA"),
    )


class Picked(NamedTuple):
    """Choice of samples: their order and class, and a sample to begin with."""

    order: str
    label: str
    first: int | None


def pick(dataset: Dataset, split: str) -> Picked:
    """Selection of the samples to show."""
    state.drop_unknown("order", "Order", list(ORDERS))
    order = st.selectbox(
        "Order", list(ORDERS), key="order", bind="query-params", width=170, **HIDDEN
    )
    label = ALL
    if dataset.label_names:
        state.drop_unknown("class", "Class", [ALL, *dataset.label_names])
        label = st.selectbox(
            "Class",
            [ALL, *dataset.label_names],
            key="class",
            bind="query-params",
            width=150,
            **HIDDEN,
        )
    most = len(getattr(dataset, split).labels) - 1
    first = controls.whole_number(
        f"Begin with sample, 0 to {most}",
        "sample",
        0,
        most,
        value=None,
        width=190,
        placeholder="Sample number",
        help="A sample of any class, by its number; the others follow in their order.",
        **HIDDEN,
    )
    return Picked(order, label, first)


ALL = "all classes"


def numbers(dataset: Dataset, split: str, errors: Errors, picked: Picked) -> np.ndarray:
    """Numbers of the picked samples, in order."""
    mine, pca = next(iter(errors.values())), errors[PCA]
    found = np.argsort(ORDERS[picked.order](mine, pca), kind="stable")
    if picked.label != ALL:
        labels = getattr(dataset, split).labels
        found = found[labels[found] == dataset.label_names.index(picked.label)]
    if picked.first is not None:
        found = np.concatenate([[picked.first], found[found != picked.first]])
    return found


def page(samples: np.ndarray, count: int) -> np.ndarray:
    """Selection of a page of samples, each of so many."""
    pages = max(-(-len(samples) // count), 1)
    with st.container(horizontal=True, vertical_alignment="center", width="content", gap="xsmall"):
        st.markdown("Page", width="content")
        number = controls.whole_number(
            f"Page, of {pages:,}", "screen", 1, pages, width=110, **HIDDEN
        )
        st.markdown(f"of {pages:,}", width="content")
    return samples[(number - 1) * count : number * count]


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
        lines.append(
            images.Row(cache.title(name), rebuilt, [f"{error:.4f}" for error in errors[name]])
        )
        if maps:
            lines.append(images.Row("its error", images.error_colors(original, rebuilt)))
    where = " and where it is too bright or too dark" if maps else ""
    with st.container(key="rows"):
        st.image(
            cache.composed(lines),
            alt=f"{len(chosen)} {split} images of {dataset.name}; under each the reconstructions "
            f"by {', '.join(reconstructions)}, each with its mean squared error{where}",
        )
    sentences = f"{SPLITS[split]} The number under a reconstruction is its mean squared error. "
    sentences += "In the error maps red is too bright, blue too dark, white right." * maps
    st.caption(sentences, help=explain(sentences), width="content")


def as_tables(
    dataset: Dataset,
    split: str,
    chosen: np.ndarray,
    x: np.ndarray,
    reconstructions: Mapping[str, np.ndarray],
    errors: Errors,
) -> None:
    """Show tables of the features, for data that are not images, and of their columns."""
    samples = [f"#{number}" for number in chosen]
    st.plotly_chart(
        figures.feature_rows(
            [
                ("original", x),
                *((cache.title(name), each) for name, each in reconstructions.items()),
            ],
            dataset.spec.column_names,
            samples,
            None if dataset.preparation is None else dataset.feature_units,
        ),
        key="tables",
        config=figures.MODEBAR,
        alt=f"{len(chosen)} {split} samples of {dataset.name} beside their reconstructions by "
        f"{', '.join(reconstructions)}, one row a sample and one column a feature",
    )
    if dataset.preparation is not None:
        rebuilt = {cache.title(name): each for name, each in reconstructions.items()}
        blocks = {"original": x} | rebuilt
        st.dataframe(
            {
                "sample": np.repeat(samples, len(blocks)),
                "from": list(blocks) * len(samples),
            }
            # Sample by sample, each with its reconstructions below it.
            | dataset.in_units(np.stack(list(blocks.values()), axis=1).reshape(-1, x.shape[1])),
            alt="The samples and their reconstructions in the units of their columns",
        )
    st.dataframe(
        {"sample": samples}
        | {f"{cache.title(name)} MSE": values for name, values in errors.items()},
        width="content",
    )
