"""A picture that a person draws or drops, on the maps of a run: its code and what is near it."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from aecore import data, latent
from aecore.errors import InvalidRequest
from aecore.plots import images
from pages.app import cache, frame, messages, models, state
from pages.app.text import define, plain
from pages.components import hosts

if TYPE_CHECKING:
    from aecore.runs import store

NEIGHBORS = 5
NUMBERS = 32  # of a wide code that are written out
CELL = 104  # points of one image
COMPONENT = "drawing"


def applies(run: store.Run) -> bool:
    """Whether a drawing can be given to the run: it is one of images that are on this machine."""
    dataset = run.dataset
    return dataset.traits.pictures and data.is_available(dataset) and run.has_data()


@st.fragment
def draw(run: store.Run) -> None:
    """Canvas to draw on, and the drawing on the maps of the page; a fragment."""
    with frame.guarded():
        hosts.drawing()(key=COMPONENT, on_drawn_change=lambda: None)
        drawn = messages.read(messages.Drawn, state.said(COMPONENT, "drawn"))
        if drawn is None:
            hosts.marks()(key="own-marks", data={"rows": [], "places": {}})
            return
        dataset = run.dataset
        _, fill = cache.typical_image(dataset.name, dataset.fingerprint)
        try:
            picture = data.decode(base64.b64decode(drawn.split(",", 1)[1], validate=True))
        except binascii.Error as error:
            raise InvalidRequest("This drawing cannot be read: draw it again.") from error
        x = data.fit(picture.image, dataset.shape, crop=True, fill=fill)[None]
        locate(run, x)


def locate(run: store.Run, x: np.ndarray) -> None:
    """Mark a sample (1, n_features) on the maps, and show what the run makes of it.

    Its code is placed on the bottleneck and its principal coordinates on PCA; t-SNE and UMAP have
    no place for a new sample, so there the nearest test samples by code are ringed, as everywhere.
    """
    dataset = run.dataset
    label = 0
    if run.capabilities.conditioned:
        names = dataset.label_names
        label = names.index(st.selectbox("Class to condition on", names, key="own-label"))
    codes, rebuilt = models.reconstruct(*cache.identity(run), x, np.array([label]))
    near = nearest(run.codes["codes"], codes)
    pca = cache.components(dataset.name, dataset.fingerprint).encode(x, 2)
    places = {"bottleneck": latent.plane_of_run(run).project(codes), "pca": pca}
    hosts.marks()(
        key="own-marks",
        data={
            "rows": near.tolist(),
            "places": {key: place[0].astype(float).tolist() for key, place in places.items()},
        },
    )
    pair = [each.reshape(1, *dataset.shape) for each in (x, rebuilt.clip(0, 1))]
    error = float(np.square(x - rebuilt).mean())
    row = images.Row("", np.concatenate(pair), ["input", "reconstruction"])
    st.image(
        images.compose([row], st.context.theme.type or "light", CELL),
        alt=f"Your drawing as a sample of {dataset.name}, and its reconstruction by {run.name}",
    )
    said = unlike(error, models.errors(*cache.identity(run), "test"))
    names = dataset.label_names
    labels = [names[int(run.codes["labels"][row])] if names else f"#{row}" for row in near]
    st.caption(
        f"Code {written(codes[0])} Reconstruction {said} Nearest test samples by code: "
        f"{plain(', '.join(labels))}, ringed in every map.",
        help=define("Code", "Reconstruction error"),
    )


def nearest(codes: np.ndarray, code: np.ndarray) -> np.ndarray:
    """Indices of the samples with the nearest codes, nearest first.

    Arguments
        codes: (n, latent_dim).
        code: (1, latent_dim).
    """
    return np.linalg.norm(codes - code, axis=1).argsort(kind="stable")[:NEIGHBORS]


def unlike(error: float, errors: np.ndarray) -> str:
    """Format the comparison of an error with those of the test split.

    >>> unlike(0.5, np.array([0.1, 0.2, 0.3, 0.6]))
    'error 0.5000, better than 25 % of test images.'
    >>> unlike(0.7, np.array([0.1, 0.2, 0.3, 0.6]))
    'error 0.7000, worse than every test image: unlike what it was trained on.'
    """
    worse = float((errors < error).mean())
    if worse == 1:
        where = "worse than every test image: unlike what it was trained on"
    elif worse > 0.99:
        where = f"worse than {worse:.1%} of test images: unlike almost all it was trained on"
    else:
        where = f"better than {1 - worse:.0%} of test images"
    return f"error {error:.4f}, {where.replace('%', ' %')}."


def written(code: np.ndarray) -> str:
    """Format the numbers of a code, the first ones of a wide code.

    >>> written(np.array([0.5, -1.25]))
    '0.50, -1.25.'
    """
    numbers = ", ".join(f"{value:.2f}" for value in code[:NUMBERS])
    return f"{numbers} and {len(code) - NUMBERS} more." if len(code) > NUMBERS else f"{numbers}."
