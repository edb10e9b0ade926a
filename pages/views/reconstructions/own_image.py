"""User's own image: preparation, reconstructions by runs, and nearest samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from aecore import data
from aecore.plots import images
from pages.app import cache, frame, models
from pages.app.text import define, plain
from pages.components.own_picture import apart, nearest, prepared, unlike, written

if TYPE_CHECKING:
    from aecore.data import Dataset
    from aecore.runs import store


@st.fragment
def offer(runs: Sequence[store.Run]) -> None:
    """Menu with the user's image and its result; nothing for data that are not images."""
    dataset = runs[0].dataset
    if not dataset.traits.pictures:
        return
    menu = st.popover("Your picture", icon=":material/add_photo_alternate:", key="own-menu")
    with menu, frame.guarded():
        # Of any type: the chip of a file that the browser refuses would stay beside the next one.
        file = st.file_uploader(
            "Drop a picture here: PNG, JPEG, WebP or BMP",
            key="own",
            help="The models read it; it is not stored.",
        )
        if file is None:
            size = " x ".join(map(str, dataset.shape[:2]))
            st.caption(
                f"It is scaled to {size} pixels like {plain(dataset.name)}. You see how each run "
                "reconstructs it, and whether the run was trained on anything like it."
            )
            return
        picture = data.decode(file.getvalue())
        x, label = prepared(runs, dataset, picture, file.file_id)
        answer(runs, dataset, x, label)


def answer(runs: Sequence[store.Run], dataset: Dataset, x: np.ndarray, label: int) -> None:
    """Show the image, its reconstructions with their errors, its code, and its neighbours."""
    seen = x.reshape(1, *dataset.shape)
    lines, sentences = [images.Row("your image", seen)], []
    codes = {}
    for run in runs:
        codes[run.name], rebuilt = models.reconstruct(*cache.identity(run), x, np.array([label]))
        error = float(np.square(x - rebuilt).mean())
        rebuilt = rebuilt.reshape(seen.shape)
        both = np.concatenate([images.colored(rebuilt), images.error_colors(seen, rebuilt)])
        lines.append(images.Row(run.name, both, [f"{error:.4f}", "its error"]))
        said = unlike(error, models.errors(*cache.identity(run), "test"))
        sentences.append(f"**{plain(run.name)}**: {said}")
    run = runs[0]
    near = nearest(run.codes["codes"], codes[run.name])
    lines.append(
        images.Row(
            "nearest by code, of the test split",
            dataset.test.x[near].reshape(-1, *dataset.shape),
            [f"#{number}{_class(dataset, number)}" for number in near],
        )
    )
    sentences.append(apart(dataset, x))
    st.markdown("\n".join(f"- {sentence}" for sentence in sentences))
    st.markdown(
        f"Its code in {plain(run.name)}: {written(codes[run.name][0])}", help=define("Code")
    )
    with st.container(width=640):
        st.image(
            cache.composed(lines),
            alt=f"Your image as {dataset.name}, the reconstructions by "
            f"{', '.join(run.name for run in runs)} with their errors, and the {len(near)} test "
            f"images whose codes are nearest for {run.name}: "
            + ", ".join(f"#{number}{_class(dataset, number)}" for number in near),
        )


def _class(dataset: Dataset, number: int) -> str:
    names = dataset.label_names
    return f": {names[dataset.test.labels[number]]}" if names else ""
