"""Linked maps of a run: its bottleneck beside PCA, t-SNE, UMAP and the bottlenecks of further runs.

They are drawn and answer to the pointer in the browser, by the JavaScript of `aecore.viewer`; it
gets one payload of arrays, and says which samples are selected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import streamlit as st

from aecore import data, latent, metrics, projections
from aecore.data import Subset
from aecore.errors import InvalidRequest
from aecore.projections import PROJECTIONS, Map, Projection
from aecore.settings import check_settings
from pages.app import cache, controls, job_list, state
from pages.app.text import define, plain
from pages.components import hosts, job_status, pickers
from pages.components.run_facts import changed
from pages.components.settings_form import settings_form

if TYPE_CHECKING:
    from aecore.runs import store


class View(NamedTuple):
    """Settings of the linked maps: panes, further runs, samples and projections."""

    run: store.Run
    subset: Subset
    projections: tuple[Projection, ...]
    others: tuple[store.Run, ...] = ()

    @property
    def runs(self) -> tuple[store.Run, ...]:
        """The run, and those that are laid upon it."""
        return (self.run, *self.others)


def ask(run: store.Run) -> View:
    """Input fields for further runs, panes, samples and projections, kept in the address.

    One select box, and a menu of the rest.
    """
    others = pickers.pick_beside(
        run,
        state.OTHER,
        pickers.MOST_MAPS,
        f"Up to {pickers.MOST_MAPS} further runs on the same samples; the bottleneck of each is "
        "moved, turned and scaled to lie upon this one's.\n\n" + define("Bottleneck", "Stability"),
    )
    about = "Which maps, of which samples"
    with st.popover("Panes", icon=":material/tune:", key="settings", help=about):
        chosen = st.pills(
            "Also show",
            list(PROJECTIONS),
            selection_mode="multi",
            default=list(PROJECTIONS),
            format_func=lambda name: PROJECTIONS[name].title,
            key="panes",
            bind="query-params",
            help=define("PCA", "t-SNE", "UMAP"),
        )
        with st.container(horizontal=True):
            subset = settings_form(Subset, {}, "sample_", "Samples", width=190)
        st.caption("t-SNE and UMAP are computed once for each setting and kept.")
        asked = {}
        n = run.manifest.n_test
        for name in chosen:
            kind = PROJECTIONS[name]
            with st.container(horizontal=True):
                asked[name] = settings_form(
                    kind, kind.defaults(n), f"{name}_", kind.title, width=190
                )
    kinds = [(Subset, subset), *((PROJECTIONS[name], asked[name]) for name in chosen)]
    checked, problems = [], []
    for kind, values in kinds:
        try:
            checked.append(check_settings(kind, values))
        except InvalidRequest as error:
            problems += error.problems
    if problems:
        raise InvalidRequest(problems)
    return View(run, checked[0], tuple(checked[1:]), tuple(others))


def default_view(run: store.Run) -> View:
    """Default view: all test samples, and default settings of the projections."""
    n = run.manifest.n_test
    return View(run, Subset(), tuple(kind(**kind.defaults(n)) for kind in PROJECTIONS.values()))


def computed_maps(view: View) -> dict[str, Map]:
    """Computed projections of a view."""
    maps = {
        settings.name: cache.artifact(cache.map_of(view.run, settings, view.subset))
        for settings in view.projections
    }
    return {name: computed for name, computed in maps.items() if computed is not None}


def show(view: View, key: str, mode: str = "all", heard: Callable[[], None] = lambda: None) -> Any:
    """Show the panes; return their messages `selection`, `place` and `picked`, None if absent.

    Arguments
        mode: what they are for, as in `payload.build_payload`; only "pick" says `picked`.
        heard: the callback of `picked`.
    """
    projected = computed_maps(view)
    computed = [settings for settings in view.projections if settings.name in projected]
    return mount(
        cache.build_payload(view.run, view.subset, computed, view.others, mode), key, heard
    )


def mount(content: bytes, key: str, heard: Callable[[], None] = lambda: None) -> Any:
    """Mount the component with its payload."""
    return hosts.linked_maps()(
        key=key,
        data=content,
        on_selection_change=lambda: None,
        on_place_change=lambda: None,
        on_picked_change=heard,
    )


def uncomputed(view: View) -> list[Projection]:
    """Projections of a view that have not been computed."""
    computed = computed_maps(view)
    return [settings for settings in view.projections if settings.name not in computed]


def offer_missing(view: View) -> None:
    """Show the progress of missing projections, or a button to compute each."""
    dataset = view.run.dataset
    missing = uncomputed(view)
    if missing and changed(view.run):
        return
    for settings in missing:
        n = min(view.subset.limit, len_of(view))
        if problems := settings.problems(n):
            st.warning("  \n".join(plain(fault) for fault in problems))
            continue
        job = cache.jobs().find(projections.Project(dataset.name, settings, view.subset))
        if job is not None and job.active:
            st.fragment(run_every=0.8)(job_list.progress)(job)
            continue
        if job is not None and job.error:
            st.error(plain(job.error), icon=":material/error:")
        with st.container(horizontal=True, vertical_alignment="center"):
            label, key = f"Compute {settings.title}", f"compute-{settings.name}"
            if controls.button(label, ":material/play_arrow:", key=key):
                cache.jobs().submit(projections.Project(dataset.name, settings, view.subset))
                st.rerun()
            hint = f"{settings.title} of these {n:,} samples is not computed yet."
            if not data.is_available(dataset):
                name = plain(dataset.name)
                hint += f" {name} is not on this machine and will be downloaded first."
            st.caption(hint)


def len_of(view: View) -> int:
    """Number of samples in the view's split."""
    manifest = view.run.manifest
    return {
        "test": manifest.n_test,
        "train": manifest.n_train,
        "all": manifest.n_test + manifest.n_train,
    }[view.subset.split]


def prepare(view: View) -> None:
    """Ensure that decoder, training codes and images exist, or say what is missing."""
    run, dataset = view.run, view.run.dataset
    here = data.is_available(dataset)
    jobs = cache.jobs()
    analysed = job_status.ensure_analysed(run)
    if dataset.missing:
        if not uncomputed(view):  # or else this is said beside them
            changed(run)
        return
    job = jobs.find(projections.Prepare(dataset.name))
    if job is not None and job.error:
        st.error(plain(job.error), icon=":material/error:")
    if here:
        images_missing = len(cache.sheets(run)) < len(projections.sprite_splits(dataset))
        if not analysed or not images_missing:
            return
        # A job that ended without them is not restarted automatically.
        if job is None or (not job.active and controls.again("Prepare the images", "prepare")):
            jobs.submit(projections.Prepare(dataset.name))
            st.rerun()
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.info(
            f"{plain(dataset.name)} is not on this machine, so images, training samples and "
            "what has not been computed yet are missing. Put its files where `AECORE_DATA` points, "
            "or download them.",
            icon=":material/cloud_download:",
        )
        if controls.button(f"Download {plain(dataset.name)}", ":material/download:"):
            jobs.submit(projections.Prepare(dataset.name))
            st.rerun()


def said(view: View) -> str:
    """Describe the samples shown, and the limits of the panes."""
    n, all_of = min(view.subset.limit, len_of(view)), len_of(view)
    split = {"test": "test", "train": "training", "all": "test and training"}[view.subset.split]
    which = f"All {n:,} {split} samples are shown"
    if n < all_of:
        which = (
            f"{n:,} of {all_of:,} {split} samples are shown, drawn class by class with seed "
            f"{view.subset.seed}"
        )
    width = view.run.config.model.latent_dim
    if width == 1:
        which += ". The code has one dimension, drawn along x: heights mean nothing"
    elif width > 2:
        which += (
            f". The bottleneck's {width} dimensions are drawn as their first two principal "
            "components, fitted on the training codes"
        )
    if view.others:
        titles = ", ".join(f"*{plain(cache.title(each.name))}*" for each in view.others)
        whose = "bottleneck of {} is" if len(view.others) == 1 else "bottlenecks of {} are"
        which += (
            f". The {whose.format(titles)} laid upon the first: moved, turned and scaled. "
            + plain(in_common(view.runs, view.subset).rstrip("."))
        )
    if view.projections:
        which += (
            ". PCA was fitted on the training split, t-SNE and UMAP on the samples shown. Points "
            "near each other on t-SNE and UMAP are alike; sizes of groups and distances between "
            "them mean little"
        )
    return (
        f"{which}. Colour by *false neighbours* to see which points lie beside others that they do "
        "not resemble, by *torn neighbours* which lie away from others that they do."
    )


def in_common(runs: Sequence[store.Run], subset: Subset) -> str:
    """Say how many neighbours samples keep from run to run."""
    return latent.stability_in_words(
        cache.stability(runs, subset),
        cache.counted(runs),
        cache.shown(runs[0], subset).labels,
        runs[0].dataset.label_names,
    )


def metrics_table(view: View) -> None:
    """Table of the quality measures of each pane, on the test split."""
    rows = []
    for run in view.runs:
        facts = (cache.analysis(run) or ({}, {}))[1]
        own = run.manifest.metrics | facts | {"negative_elbo": latent.negative_elbo(run)}
        rows.append({"map": f"Bottleneck of {cache.title(run.name)}", **own})
    titles = {settings.name: settings.title for settings in view.projections}
    rows += [
        {"map": titles[name], **computed.metrics} for name, computed in computed_maps(view).items()
    ]
    columns = {
        "map": st.column_config.TextColumn(
            "Map", pinned=True, help=define("Bottleneck", "PCA", "t-SNE", "UMAP")
        )
    }
    columns |= {
        name: st.column_config.NumberColumn(title, format=FORMATS[name], help=text)
        for name, (title, text) in metrics.DEFINITIONS.items()
        if any(row.get(name) is not None for row in rows)
    }
    st.subheader("How far the maps can be trusted", help="On the test split. " + READING)
    st.dataframe(
        [{name: row.get(name) for name in columns} for row in rows],
        column_config=columns,
        hide_index=True,
        placeholder="",
        alt="Measures of each map on the test split",
    )


READING = "Point at the head of a column for its definition."
FORMATS = {
    "trustworthiness": "%.3f",
    "continuity": "%.3f",
    "knn_accuracy": "percent",
    "knn_balanced": "percent",
    "spearman": "%.3f",
    "silhouette": "%.3f",
    "test_mse": "%.4f",
    "negative_elbo": "%.1f",
    "active_units": "%d",
}
