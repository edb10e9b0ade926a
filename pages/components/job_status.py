"""Jobs that a page needs: queue them, show their progress, offer to repeat them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from aecore import data, latent, projections
from pages.app import cache, controls, job_list, models, state
from pages.app.controls import again, button
from pages.app.text import plain

if TYPE_CHECKING:
    from aecore.data import Dataset
    from aecore.jobs import Job
    from aecore.models.capabilities import Part
    from aecore.runs import store


def ensure_analysed(run: store.Run) -> bool:
    """Ensure that a run is analysed as far as its data allow; return whether it is."""
    jobs, analysis = cache.jobs(), cache.analysis(run)
    here = data.is_available(run.dataset)
    if analysis is not None and (analysis[1]["complete"] or not here):
        return True
    job = jobs.find(latent.Analyse(run.name))
    # Done, and still not complete: the dataset was not here yet at that time.
    if job is None or (here and analysis is not None and job.state == "done"):
        jobs.submit(latent.Analyse(run.name))
        st.rerun()
    if job.error:
        st.error(plain(job.error), icon=":material/error:")
    if not job.active and again("Analyse the run again", f"analyse-{run.name}"):
        jobs.submit(latent.Analyse(run.name))
        st.rerun()
    return False


def offer(jobs: Sequence[Job | None], hint: str, label: str, icon: str) -> bool:
    """Show the progress of jobs, or a button to start them; return whether it was pressed."""
    for job in jobs:
        if job is not None and job.error:
            st.error(plain(job.error), icon=":material/error:")
    st.caption(hint)
    if active := [job.task.title for job in jobs if job is not None and job.active]:
        st.info(
            f"Being computed: {plain(', '.join(active))}. *Jobs* says how far it is, and the page "
            "shows it when it is done.",
            icon=":material/hourglass_top:",
        )
        return False
    return button(label, icon)


def refused(run: store.Run, use: str, *needed: Part) -> bool:
    """Whether a run lacks what a use needs; says so in a sentence, with a link to its map."""
    if not (sentence := run.lacks(use, *needed)):
        return False
    st.info(plain(sentence), icon=":material/extension_off:")
    st.page_link(
        "pages/latent_map.py",
        label="Its map",
        icon=":material/scatter_plot:",
        query_params={state.RUN: run.name},
    )
    return True


def ensure_ready(run: store.Run, use: str) -> bool:
    """Ensure that all results exist; show progress, or how to get them; return whether they do.

    Arguments
        use: what the page does with encoder and decoder, as a noun in the plural or a gerund.
    """
    dataset = run.dataset
    if refused(run, use, "encode", "decode"):
        return False
    if dataset.missing:
        st.info(
            f"{plain(dataset.missing)} The maps of this run can be seen all the same.",
            icon=":material/cloud_off:",
        )
        return False
    jobs, here = cache.jobs(), data.is_available(dataset)
    with st.spinner("Loading torch and the model, a few seconds the first time"):
        if here and cache.artifact(projections.components_artifact(dataset)) is not None:
            _refuse_unless_answering(run, dataset)
            return True
    job = jobs.find(projections.Prepare(dataset.name))
    if job is None and here:
        jobs.submit(projections.Prepare(dataset.name))
        st.rerun()
    if job is not None and job.active:
        st.info(
            f"The principal components of {plain(dataset.name)} are being computed: the baseline "
            "of every run on these data. This is done once, in a few seconds where the data are on "
            "this machine, and the page then opens by itself.",
            icon=":material/hourglass_top:",
        )
        st.fragment(run_every=0.8)(job_list.progress)(job)
        return False
    if job is not None and job.error:
        st.error(plain(job.error), icon=":material/error:")
    if here:
        if controls.again(f"Compute the principal components of {dataset.name}", "prepare"):
            jobs.submit(projections.Prepare(dataset.name))
            st.rerun()
        return False
    st.info(
        f"{plain(dataset.name)} is not on this machine, so there is nothing to reconstruct. "
        "The maps of this run can be seen all the same.",
        icon=":material/cloud_download:",
    )
    if controls.button(f"Download {plain(dataset.name)}", ":material/download:", type="primary"):
        jobs.submit(projections.Prepare(dataset.name))
        st.rerun()
    return False


def _refuse_unless_answering(run: store.Run, dataset: Dataset) -> None:
    """Raise `InvalidRequest` if a run's stored errors, or its outputs, are not finite.

    Also if it has no encoder or no decoder.
    """
    run.capabilities.refuse(run.name, "Reconstruction", "encode", "decode")
    models.errors(*cache.identity(run), "test")
    models.reconstruct(*cache.identity(run), *(part[:1] for part in dataset.test))


def ensure_encoded(runs: Sequence[store.Run]) -> bool:
    """Ensure that every run has encoded the training split; return whether it has."""
    missing = [run.name for run in runs if not ensure_analysed(run)]
    if missing:
        st.info(
            f"The training split goes through {plain(', '.join(missing))} for the first "
            "time; *Jobs* says how far it is, and this page shows it when it is done.",
            icon=":material/hourglass_top:",
        )
    return not missing
