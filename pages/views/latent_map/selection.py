"""Linked maps of a page, and the export of a selection."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from aecore import latent
from aecore.errors import InvalidRequest
from aecore.viewer import payload
from pages.app import cache, frame, messages, models
from pages.app.messages import Place, Selection
from pages.app.text import explain, plain
from pages.components import hosts
from pages.components.maps import View, computed_maps, said, show as show_maps

if TYPE_CHECKING:
    import pandas


@st.fragment
def show(view: View) -> None:
    """Show the panes and their limits, and write files of the selected samples.

    A fragment, so that a selection draws nothing else anew.
    """
    with frame.guarded():
        chosen = show_maps(view, key="maps")
        sentences = said(view)
        st.caption(sentences, help=explain(sentences), width="content")
        if without := view.run.lacks("Decoding of a place", "decode"):
            st.caption(plain(without))
        if selection := messages.read(Selection, chosen.selection):
            export(view, selection)
        if place := messages.read(Place, chosen.place):
            decoded(view, place)


def export(view: View, selection: Selection) -> None:
    """Files of the selected samples: ids, labels, codes, maps, errors.

    Their buttons are hidden: those beside the maps press them, by the time of the selection.
    """
    samples = cache.shown(view.run, view.subset)
    dataset = view.run.dataset
    if selection.samples != payload.identity(samples.rows, dataset):
        return  # of what was shown before; the scripts take it back in a moment
    try:
        rows = np.flatnonzero(payload.unpacked_mask(selection.mask, len(samples.rows)))
    except InvalidRequest as error:
        st.caption(plain(str(error)))
        return
    name = f"{view.run.name}-{len(rows)}-samples"

    def table() -> pandas.DataFrame:
        return payload.table(samples, dataset, computed_maps(view), rows)

    def parquet() -> bytes:
        buffer = io.BytesIO()
        table().to_parquet(buffer, index=False)
        return buffer.getvalue()

    files: dict[str, tuple[str, Callable[[], str | bytes]]] = {
        "CSV": ("text/csv", lambda: table().to_csv(index=False)),
        "Parquet": ("application/vnd.apache.parquet", parquet),
    }
    with st.container(key="export"):
        for kind, (mime, content) in files.items():
            with st.container(key=f"export-{int(selection.when)}-{kind}"):
                file = f"{name}.{kind.lower()}"
                st.download_button(kind, content, file, mime, on_click="ignore", key=f"save-{kind}")


def decoded(view: View, place: Place) -> None:
    """Decode for the maps on the server, where the decoder is too large for the browser."""
    if place.label >= max(view.run.dataset.n_classes, 1):
        return
    code = latent.plane_of_run(view.run).embed(np.array([[place.x, place.y]]))
    features = models.generated(view.run, code, place.label)[0]
    hosts.decoded()(
        key="decoded",
        data={"place": list(place), "values": features.astype(float).round(4).tolist()},
    )
