"""A file of one's own: uploaded, or by its path on the machine of the dashboard."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from aecore.data import stored
from aecore.data.importers import FORMATS
from pages.app import cache, state
from pages.app.text import explain, plain

LIKE = "like"
"""Of the address: a dataset whose preparation is applied."""
UPLOADS = "uploads"
"""How many files were stored, which empties the field after each."""


def like() -> str:
    """Name of the dataset as which a second file is prepared; "" if a file is one of its own."""
    name = state.asked(LIKE)
    if not name:
        return ""
    entry = stored.entry(name) if name in stored.names() else None
    if entry is None or entry.card.preparation is None:
        state.drop_unknown(LIKE, "Dataset", [])
        return ""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"A second file, prepared as *{plain(name)}* was")
        if st.button("Cancel", icon=":material/close:", help="Add a file of its own instead."):
            state.drop([LIKE])
            st.rerun()
    return name


def ask(like: str = "") -> cache.File | None:
    """Fields of a file; None if there is none. Raises `InvalidRequest` if it cannot be read."""
    about = (
        "A table (CSV, TSV, Parquet, Feather, AnnData), arrays (NPY, NPZ, IDX), or a ZIP of images "
        "whose folders are their labels."
    )
    endings = [each.lstrip(".") for kind in FORMATS.values() for each in kind.endings]
    given = st.file_uploader(
        "Bring a second file" if like else "Add a file of your own",
        endings,
        key=f"file-{state.value(UPLOADS, 0)}",
        help=f"{about} Nothing is stored before you press Store.",
    )
    if given is not None:
        with st.spinner(f"Reading {given.name}"):
            return cache.uploaded(given.file_id, given.name, given.getbuffer)
    path = st.text_input(
        "or its path on this machine",
        key=f"path-{state.value(UPLOADS, 0)}",
        placeholder="/data/measurements.parquet",
        help="For large files, and for folders of images: the machine that the dashboard runs on "
        "reads them.",
    )
    if path.strip():
        with st.spinner("Reading the file"):
            return cache.file_at(Path(path.strip()).expanduser())
    st.caption(about, help=explain(about))
    return None
