"""List of all datasets; the chosen one with a few samples, and what can be done with it."""

from __future__ import annotations

import streamlit as st

from aecore import data
from aecore.data import Dataset, stored
from aecore.plots import images
from pages.app import cache, frame, state
from pages.app.text import define, plain
from pages.views.data.upload import LIKE

SAMPLES = 12
CELL = 72  # points of one image
DATASET = "dataset"
HEADINGS = {
    "name": "Name",
    "title": "Title",
    "of": "Samples",
    "size": "Size",
    "train": "Train",
    "test": "Test",
    "classes": "Classes",
    "yours": "Yours",
}


def show() -> None:
    """Show every dataset, and the one in the address or the ticked row."""
    usable, damaged = data.entries()
    for sentence in damaged:
        st.warning(plain(sentence), icon=":material/folder_off:")
    by_name = {each.name: each for each in usable}
    state.drop_unknown(DATASET, "Dataset", list(by_name))
    chosen = by_name.get(state.asked(DATASET))
    if chosen is not None:
        one(chosen)
    st.subheader("All datasets", anchor=False)
    own = set(stored.names())
    usable.sort(key=lambda each: each.name not in own)  # one's own first
    rows = [
        {
            "name": each.name,
            "title": each.title,
            "of": f"{each.traits.noun}s",
            "size": " x ".join(map(str, each.shape)),
            "train": each.n_train,
            "test": each.n_test,
            "classes": each.n_classes or None,
            "yours": each.name in own,
        }
        for each in usable
    ]
    ticked = st.dataframe(
        rows,
        hide_index=True,
        key="datasets",
        on_select="rerun",
        selection_mode="single-row",
        column_config=HEADINGS,
        placeholder="",
        alt="All datasets, with their sizes",
    ).selection.rows
    if ticked and usable[ticked[0]] is not chosen:
        state.put_query({DATASET: usable[ticked[0]].name})
        st.rerun()
    if chosen is None:
        st.caption("Tick a dataset to see some of its samples, train on it or remove it.")


def one(dataset: Dataset) -> None:
    """Show a dataset: what it is, some test samples, and what can be done with it."""
    st.subheader(plain(dataset.title), anchor=False)
    facts = [f"{dataset.n_train:,} samples to train on, {dataset.n_test:,} to test on"]
    if dataset.n_classes:
        facts.append(f"{dataset.n_classes:,} classes")
    facts += [each for each in (dataset.spec.source, dataset.spec.licence) if each]
    st.caption(plain(". ".join(facts)) + ".", help=define("Split"))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link(
            frame.entry("Train").path,
            label="Train on it",
            icon=":material/model_training:",
            query_params={DATASET: dataset.name} | state.mode_for_links(),
        )
        if dataset.preparation is not None:
            about = "A file of the same columns, prepared as this one was, as a new dataset."
            if st.button("Bring a second file", icon=":material/playlist_add:", help=about):
                state.put_query({LIKE: dataset.name})
                st.rerun()
        if dataset.name in stored.names():
            remove(dataset.name)
    if not data.is_available(dataset):
        st.caption("Its files are not on this machine: a training downloads them.")
    elif dataset.traits.pictures:
        x, labels = cache.first_samples(dataset.name, dataset.fingerprint, SAMPLES)
        shaped = dataset.traits.shaped(x, dataset.shape)
        classes = [dataset.label_names[label] for label in labels] if dataset.n_classes else []
        png = cache.composed([images.Row("", shaped, classes)], CELL)
        st.image(png, alt=f"The first {len(x)} test images of {dataset.title}")
    else:
        rows = cache.first_rows(dataset.name, dataset.fingerprint, SAMPLES)
        st.dataframe(rows, hide_index=True, alt=f"The first test samples of {dataset.title}")


def remove(name: str) -> None:
    """Button that removes a dataset, after it was asked whether that is meant."""
    with st.popover("Remove", icon=":material/delete:"):
        st.markdown(
            f"Runs that were trained on *{plain(name)}* remain, without its samples. This cannot "
            "be undone."
        )
        if st.button("Remove it", type="primary", icon=":material/delete:"):
            stored.remove(name)
            state.drop([DATASET])
            st.rerun()
