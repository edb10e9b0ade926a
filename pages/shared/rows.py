"""Samples beside what runs and PCA make of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import streamlit as st

from aecore import data, projections
from aecore.data import Dataset
from aecore.errors import Faults
from aecore.plots import figures, images
from aecore.runs import store
from pages.shared import cache, models, parts, verdicts
from pages.shared.verdicts import MOST_COMPONENTS, PCA, Errors

MOST_PINS = 4

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


def ready(run: store.Run) -> bool:
    """Whether everything is there; otherwise says what is on its way, or how to get it."""
    dataset = run.dataset
    if dataset.missing:
        st.info(
            f"{parts.plain(dataset.missing)} The maps of this run can be seen all the same.",
            icon=":material/cloud_off:",
        )
        return False
    jobs, here = cache.jobs(), data.here(dataset)
    with st.spinner("Loading torch and the model, a few seconds the first time"):
        if here and cache.artifact(projections.components_artifact(dataset)) is not None:
            _refuse_unless_answering(run, dataset)
            return True
    job = jobs.find(projections.Prepare(dataset.name))
    if job is None and here:
        job = jobs.submit(projections.Prepare(dataset.name))
    if job is not None and job.active:
        st.fragment(run_every=0.8)(parts.progress)(job)
        return False
    if job is not None and job.error:
        st.error(parts.plain(job.error), icon=":material/error:")
    if here:
        if parts.again(f"Compute the principal components of {dataset.name}", "prepare"):
            jobs.submit(projections.Prepare(dataset.name))
            st.rerun()
        return False
    st.info(
        f"{parts.plain(dataset.name)} is not on this machine, so there is nothing to reconstruct. "
        "The maps of this run can be seen all the same.",
        icon=":material/cloud_download:",
    )
    if parts.button(f"Download {parts.plain(dataset.name)}", ":material/download:", type="primary"):
        jobs.submit(projections.Prepare(dataset.name))
        st.rerun()
    return False


def _refuse_unless_answering(run: store.Run, dataset: Dataset) -> None:
    """Raise `Faults` where a run's stored errors, or its answer to a sample, are no numbers."""
    models.errors(*cache.identity(run), "test")
    models.reconstruct(*cache.identity(run), *(part[:1] for part in dataset.test))


def pinned(run: store.Run) -> list[store.Run]:
    """The runs of the same data that are to be seen beside this one."""
    usable, dataset = {other.name: other for other in cache.comparable(run)}, run.config.dataset
    same_name = {
        other.name for other in cache.runs()[0] if other.config.dataset == run.config.dataset
    }
    chosen = st.multiselect(
        "Compare with",
        list(usable),
        key="pins",
        bind="query-params",
        max_selections=MOST_PINS,
        disabled=not usable,
        placeholder="Runs of the same data" if usable else f"There is no other run of {dataset}",
        help=f"Up to {MOST_PINS} further runs of {parts.plain(dataset)}, a row each.",
    )
    if left_out := sorted(same_name - usable.keys() - {run.name}):
        st.caption(
            f"Left out, because {parts.plain(dataset)} was another when they were trained: "
            f"{parts.plain(', '.join(left_out))}."
        )
    found = []
    for name in chosen:
        try:
            _refuse_unless_answering(usable[name], usable[name].dataset)
            found.append(usable[name])
        except Faults as error:
            parts.faults(error)
    if conditioned := [each.name for each in (run, *found) if each.capabilities.conditioned]:
        st.caption(
            f"{parts.plain(', '.join(conditioned))} is told the true class of each sample, which "
            "the others are not."
        )
    return found


@st.fragment
def show(runs: Sequence[store.Run]) -> None:
    """Compare on one split; a fragment, so that a slider draws nothing else anew."""
    with parts.guarded():
        run, dataset = runs[0], runs[0].dataset
        with st.container(horizontal=True, vertical_alignment="bottom"):
            split = parts.one_of("Split", list(SPLITS), "split")
            k = components(run, dataset)
            maps = dataset.traits.pictures and st.toggle(
                "Show where the error is", True, key="errors", bind="query-params"
            )
        if split == "train" and not encoded(runs):
            return
        with st.spinner(f"Reconstructing the {split} split, once for each run", show_time=True):
            errors = {run.name: models.errors(*cache.identity(run), split) for run in runs}
            errors[PCA] = cache.pca_errors(dataset.name, dataset.fingerprint, split, k)
        samples(runs, dataset, split, errors, k, maps)
        verdicts.summary(dataset, split, errors, k)
        if dataset.label_names:
            verdicts.classes(dataset, split, errors)


def encoded(runs: Sequence[store.Run]) -> bool:
    """Whether the training split has been through every run; otherwise sees to it and says so."""
    missing = [run.name for run in runs if not parts.analysed(run)]
    if missing:
        st.info(
            f"The training split goes through {parts.plain(', '.join(missing))} for the first "
            "time; the menu says how far it is, and this page shows it when it is done.",
            icon=":material/hourglass_top:",
        )
    return not missing


@st.fragment
def samples(
    runs: Sequence[store.Run], dataset: Dataset, split: str, errors: Errors, k: int, maps: bool
) -> None:
    """The part that other samples change; what is said of the whole split stays as it is."""
    with parts.guarded():
        chosen = pick(dataset, split, errors)
        st.caption(SPLITS[split])
        if not len(chosen):
            st.info("No sample of this class is in this split.", icon=":material/info:")
            return
        x, labels = (part[chosen] for part in getattr(dataset, split))
        made = {run.name: models.reconstruct(*cache.identity(run), x, labels)[1] for run in runs}
        made[PCA] = cache.components(dataset.name, dataset.fingerprint).reconstruct(x, k)
        shown = {name: found[chosen] for name, found in errors.items()}
        if dataset.traits.pictures:
            as_pictures(dataset, split, chosen, x, made, shown, maps)
        else:
            as_tables(dataset, split, chosen, x, made, shown)


def components(run: store.Run, dataset: Dataset) -> int:
    """How many principal components to compare with: as many as the code has, unless told."""
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
        help=f"The code of {parts.plain(run.name)} has {run.config.model.latent_dim} dimensions.",
    )


def pick(dataset: Dataset, split: str, errors: Errors) -> np.ndarray:
    """Which samples to show: their numbers, in order."""
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
        first = parts.whole_number(
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
        screen = parts.whole_number(f"Screen, of {screens}", "screen", 1, screens, width=150)
    return numbers[(screen - 1) * count : screen * count]


def as_pictures(
    dataset: Dataset,
    split: str,
    chosen: np.ndarray,
    x: np.ndarray,
    made: Mapping[str, np.ndarray],
    errors: Errors,
    maps: bool,
) -> None:
    """Rows of images with the error of each, and maps of where the error is."""
    original = x.reshape(-1, *dataset.shape)
    lines = [images.Row("original", original, [f"#{number}" for number in chosen])]
    for name, rebuilt in made.items():
        rebuilt = rebuilt.reshape(original.shape)
        lines.append(images.Row(name, rebuilt, [f"{error:.4f}" for error in errors[name]]))
        if maps:
            lines.append(images.Row("its error", images.error_colors(original, rebuilt)))
    where = " and where it is too bright or too dark" if maps else ""
    # Many rows are shown smaller, so that they can be seen together.
    with st.container(width="stretch" if len(made) < 3 else 780):
        st.image(
            images.compose(lines, st.context.theme.type or "light"),
            alt=f"{len(chosen)} {split} images of {dataset.name}; under each the reconstructions "
            f"by {', '.join(made)}, each with its mean squared error{where}",
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
    made: Mapping[str, np.ndarray],
    errors: Errors,
) -> None:
    """The same for data that is no image: tables of standardised features."""
    samples = [f"#{number}" for number in chosen]
    st.plotly_chart(
        figures.feature_rows([("original", x), *made.items()], dataset.spec.column_names, samples),
        key="tables",
        config=figures.MODEBAR,
        alt=f"{len(chosen)} {split} samples of {dataset.name} beside their reconstructions by "
        f"{', '.join(made)}, one row a sample and one column a feature",
    )
    st.dataframe(
        {"sample": samples} | {f"{name} MSE": found for name, found in errors.items()},
        width="content",
    )
