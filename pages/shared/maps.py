"""The four maps of a run: its bottleneck beside PCA, t-SNE and UMAP of the same samples."""

from __future__ import annotations

import streamlit as st

from aecore import datasets, store
from aecore.figures import MODEBAR
from aecore.projections import PROJECTIONS, Projection
from pages.shared import cache, parts


def default_settings(run: store.Run) -> dict[str, Projection]:
    """The projections with the settings that suit the run's data."""
    n = run.manifest.n_test
    return {name: kind(**kind.defaults(n)) for name, kind in PROJECTIONS.items()}


def panes(run: store.Run, projections: dict[str, Projection], height: int = 380) -> None:
    """Two rows of two maps with their measures; what is not computed yet can be asked for."""
    top, bottom = st.columns(2), st.columns(2)
    for cell, name in zip((*top, *bottom), ("bottleneck", *projections), strict=True):
        with cell:
            if name == "bottleneck":
                _bottleneck(run, height)
            else:
                _projection(run, projections[name], height)


def _bottleneck(run: store.Run, height: int) -> None:
    width = run.config.model.latent_dim
    st.markdown("**Bottleneck**")
    figure = cache.bottleneck_figure(run.name, run.manifest.created.isoformat())
    _chart(run, figure, "the autoencoder's codes", "bottleneck", height)
    measures(run.manifest.metrics, CODE_NOTES.get(width, CODE_NOTES[3]).format(width=width))


CODE_NOTES = {
    1: "A code of one dimension, drawn along x; heights mean nothing.",
    2: "The code itself; the network was fitted on the training split.",
    3: "The first two principal components of a code of {width} dimensions.",
}


def _projection(run: store.Run, settings: Projection, height: int) -> None:
    facts = [f"{name.replace('_', ' ')} {value:g}" for name, value in settings]
    fitted = "training split" if settings.name == "pca" else "samples shown, with "
    st.markdown(f"**{settings.title}**")
    dataset, fingerprint = run.config.dataset, run.manifest.fingerprint
    found = cache.projection(dataset, fingerprint, settings)
    if found is None:
        _missing(run, settings, height)
        return
    figure = cache.projection_figure(
        dataset,
        fingerprint,
        settings.name,
        settings.model_dump_json(),
        run.name,
        run.manifest.created.isoformat(),
    )
    _chart(run, figure, f"{settings.title} of the same samples", settings.name, height)
    measures(found.metrics, f"Fitted on the {fitted}{', '.join(facts)}.")


def _chart(run: store.Run, figure, what: str, name: str, height: int) -> None:
    dataset = datasets.get(run.config.dataset)
    colored = "class" if dataset.label_names else "position on the curve"
    st.plotly_chart(
        figure,
        height=height,
        key=f"map-{name}",
        config=MODEBAR,
        alt=f"Scatter plot of {what}: {run.manifest.n_test} test samples of {dataset.name}, "
        f"coloured by {colored}",
    )


def measures(metrics: dict[str, float | None], note: str) -> None:
    """What can be trusted of a map, with explanations, and how it was made."""
    accuracy = metrics["knn_accuracy"]
    figures = [
        f"trustworthiness **{metrics['trustworthiness']:.3f}**",
        "10-NN accuracy " + (f"**{accuracy:.1%}**" if accuracy is not None else "n/a"),
    ]
    if metrics.get("test_mse") is not None:
        figures.append(f"test MSE **{metrics['test_mse']:.4f}**")
    st.caption(" · ".join(figures) + f"  \n{note}", help=MEASURES_HELP)


MEASURES_HELP = (
    "**Trustworthiness** (k = 12): how far neighbours on the map are neighbours in the data; 1 is "
    "all, about 0.5 is chance. **10-NN accuracy**: share of samples whose label is the commonest "
    "among their ten nearest on the map, themselves left out; n/a where labels are positions. "
    "**Test MSE**: mean squared error per feature of reconstructing the test split; t-SNE and UMAP "
    "cannot reconstruct."
)


def _missing(run: store.Run, settings: Projection, height: int) -> None:
    """An empty pane: why it is empty and what to do about it."""
    dataset = datasets.get(run.config.dataset)
    with st.container(border=True, height=height, vertical_alignment="center"):
        if faults := settings.faults(run.manifest.n_test):
            st.warning("  \n".join(faults))
            return
        job = cache.jobs().find("project", dataset.name, settings)
        if job is not None and job.active:
            st.fragment(run_every=0.8)(parts.progress)(job)
            return
        if job is not None and job.error:
            st.error(parts.plain(job.error), icon=":material/error:")
        st.markdown(
            f"Not computed yet for the {run.manifest.n_test:,} test samples of {dataset.name}."
        )
        if not datasets.here(dataset.name):
            st.caption(f"{dataset.name} is not on this machine and will be downloaded first.")
        if st.button(
            f"Compute {settings.title}",
            key=f"compute-{settings.name}",
            icon=":material/play_arrow:",
        ):
            cache.jobs().project(dataset.name, settings)
            st.rerun()
