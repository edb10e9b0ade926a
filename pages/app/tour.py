"""Tour: seven steps over the pages, on runs that ship; its step is in the address."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import streamlit as st

from pages.app import state


class Step(NamedTuple):
    """A step of the tour: a page as it opens, and what to try on it."""

    path: str
    query: dict[str, str]
    title: str
    text: str


STEPS = (
    Step(
        "app.py",
        {},
        "What an autoencoder is",
        "Each point is a test image that the encoder has turned into two numbers. Point at one: it "
        "lights up in all four maps. Drag over the first map: the decoder paints each place.",
    ),
    Step(
        "pages/latent_map.py",
        {state.RUN: "mnist-vae"},
        "Four maps of the same samples",
        "PCA is linear, t-SNE and UMAP see only the data, the bottleneck also has to reconstruct "
        "them. Draw a lasso around a group in one map and look where it lies in the others.",
    ),
    Step(
        "pages/latent_map.py",
        {state.RUN: "mnist-ae"},
        "How it was learned",
        "Press Play under the maps: the codes part from each other, epoch by epoch. Then choose "
        "a Background, such as the density, to see where the decoder knows little.",
    ),
    Step(
        "pages/reconstructions.py",
        {state.RUN: "digits-ae"},
        "What two numbers cannot keep",
        "The worst reconstructions come first. PCA with two components is the baseline in the last "
        "row; the panel says how many components it needs to do as well.",
    ),
    Step(
        "pages/denoise.py",
        {state.RUN: "digits-denoising", state.PINS: "digits-ae"},
        "Noise, and who removes it best",
        "Drag the level. One autoencoder was trained to remove noise of 0.3, the other never saw "
        "any; the curve says where each beats classical filters, and by how much.",
    ),
    Step(
        "pages/generate.py",
        {state.RUN: "mnist-vae"},
        "Images that nobody drew",
        "The grid decodes places of the code between the samples; the frame on the map says which. "
        "Faded pictures lie where no sample was near.",
    ),
    Step(
        "pages/train.py",
        {},
        "Train one yourself",
        "Press Train: digits take a few seconds. The loss, the map and the reconstructions follow "
        "epoch by epoch, and the run opens on every page you have seen.",
    ),
)


def offer(path: str) -> None:
    """Link from a page to the first step."""
    with st.container(key="tour-offer", width="content"):
        _to(0, path, "Take the tour", ":material/tour:")


def bar(path: str) -> None:
    """Line of the current step on a page, with links to those before and after it."""
    at = state.tour_step(len(STEPS))
    if at is None:
        return
    step = STEPS[at]
    with st.container(key="tour", horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{at + 1} of {len(STEPS)} · {step.title}.** {step.text}")
        if at > 0:
            with st.container(key="tour-back", width="content"):
                _to(at - 1, path, "Back", ":material/arrow_back:")
        if at + 1 < len(STEPS):
            with st.container(key="tour-next", width="content"):
                _to(at + 1, path, "Next", ":material/arrow_forward:")
        st.button("End", icon=":material/close:", type="tertiary", on_click=state.end_tour)
    script = Path(__file__).with_name("tour.html").read_text(encoding="utf-8")
    st.html(script.replace("STEP", str(at + 1)), unsafe_allow_javascript=True)


def _to(at: int, path: str, label: str, icon: str) -> None:
    """Link to a step; a button on its own page, where a link does not change the address."""
    step = STEPS[at]
    query = step.query | {state.TOUR: str(at + 1)}
    if step.path == path:
        st.button(
            label,
            icon=icon,
            type="tertiary",
            key=f"tour-{label}",
            on_click=state.put_query,
            args=(query,),
        )
    else:
        query |= state.mode_for_links()
        st.page_link(step.path, label=label, icon=icon, query_params=query, width="content")
