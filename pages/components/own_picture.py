"""A picture that a person draws, drops, pastes or opens, on the maps of a run."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import streamlit as st

from aecore import data, latent, neighbors
from aecore.errors import InvalidRequest
from aecore.plots import images
from pages.app import cache, frame, messages, models, state
from pages.app.text import define, plain
from pages.components import hosts

if TYPE_CHECKING:
    from aecore.data import Dataset
    from aecore.runs import store

NEIGHBORS = 5
NUMBERS = 32  # of a wide code that are written out
CELL = 104  # points of one image
UNLIKE = 0.99  # share of test samples that are nearer to the training split
PREVIEW = 196  # pixels of the canvas
COMPONENT, LAST = "drawing", "own-picture"


class Own(NamedTuple):
    """The last picture of a session."""

    picture: data.Picture | None = None
    opened: bool = False
    """Whether it is a file, not a drawing."""
    preview: str = ""
    """What the canvas shows, a data URL."""
    number: int = 0
    """How many there were, which distinguishes it from those before."""


def applies(run: store.Run) -> bool:
    """Whether a picture can be given to the run: it is one of images that are on this machine.

    That they are those it was trained on is not asked before there is a picture: it takes reading
    them all.
    """
    whole = not run.lacks("A picture", "encode", "decode")
    return whole and run.dataset.traits.pictures and data.is_available(run.dataset)


@st.fragment
def draw(run: store.Run, menu: bool = False) -> None:
    """Canvas to draw on, which takes files too, and the picture on the maps; a fragment.

    Arguments
        menu: whether they stand in a menu, which takes away what is in it when it is closed: the
            marks stand beside it.
    """
    hint = "Draw a sample of your own, or open a picture"
    box = (
        st.popover("Draw", icon=":material/draw:", key="draw", help=hint)
        if menu
        else st.container()
    )
    marks: dict[str, Any] = {"rows": [], "places": {}}
    with box, frame.guarded():
        own = ask()
        dataset = run.dataset
        if own.picture is not None and not run.has_data():
            raise InvalidRequest(run.data_changed)
        if own.picture is not None and own.opened:
            marks = locate(run, *prepared([run], dataset, own.picture, f"own-{own.number}"))
        elif own.picture is not None:
            drawn, fill = cache.drawn_images(dataset.name, dataset.fingerprint)
            x = data.fit(own.picture.image, dataset.shape, crop=drawn, fill=fill)[None]
            marks = locate(run, x, ask_label([run], dataset))
    hosts.marks()(key="own-marks", data=marks)


def ask() -> Own:
    """Canvas, and the picture that it holds."""
    own = state.value(LAST, Own())
    message = messages.read(messages.Given, state.said(COMPONENT, "given"))
    if message is not None:
        with frame.guarded():  # of what cannot be read, and the picture before it stays
            own = taken(own, message)
            state.put({LAST: own})
    hosts.drawing()(
        key=COMPONENT,
        data={
            "picture": own.preview,
            "opened": own.opened,
            "number": own.number,
            "most": messages.FILE // 4 * 3,
        },
        on_given_change=lambda: None,
    )
    return own


def taken(before: Own, message: messages.Given) -> Own:
    """The picture of a message; raises `InvalidRequest` if it cannot be read."""
    number = before.number + 1
    if not message.content and not message.opened:
        return Own(number=number)
    try:
        content = base64.b64decode(message.content, validate=True)
    except binascii.Error as error:
        raise InvalidRequest("This picture cannot be read: give it once more.") from error
    picture = data.decode(content)
    small, file = picture.image.copy(), io.BytesIO()
    small.thumbnail((PREVIEW, PREVIEW))
    small.save(file, "PNG")
    preview = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
    return Own(picture, message.opened, preview, number)


def prepared(
    runs: Sequence[store.Run], dataset: Dataset, picture: data.Picture, file: str
) -> tuple[np.ndarray, int]:
    """A file's picture as a sample, (1, n_features), and the class for conditioned models.

    Arguments
        file: what the choices about this picture are remembered by.
    """
    if picture.animated:
        st.caption("This picture is animated; its first frame is taken.")
    drawn, fill = cache.drawn_images(dataset.name, dataset.fingerprint)
    with st.container(horizontal=True, vertical_alignment="center"):
        invert = st.toggle(
            "Invert",
            drawn and data.looks_inverted(np.asarray(picture.image)),
            key=f"invert-{file}",
            help=f"Exchanges dark and bright: {plain(dataset.name)} is bright on a dark ground, "
            "ink on paper is not.",
        )
        crop = st.toggle(
            "Crop to the drawing",
            drawn,
            key=f"crop-{file}",
            help="Take only what stands out from the ground, as large as the samples of "
            f"{plain(dataset.name)} are, and lay its centre of mass in the middle.",
        )
        label = ask_label(runs, dataset)
    return data.fit(picture.image, dataset.shape, invert, crop, fill)[None], label


def ask_label(runs: Sequence[store.Run], dataset: Dataset) -> int:
    """Input field of the class that conditioned models read; 0 where there are none."""
    if not any(run.capabilities.conditioned for run in runs):
        return 0
    return st.selectbox(
        "Class to condition on",
        range(dataset.n_classes),
        format_func=dataset.label_names.__getitem__,
        key="own-class",
        width=200,
        help="The class of the image, which a conditioned model reads.",
    )


def locate(run: store.Run, x: np.ndarray, label: int) -> dict[str, Any]:
    """Show what the run makes of a sample (1, n_features); returns its marks for the maps.

    Its code is placed on the bottleneck and its principal coordinates on PCA; t-SNE and UMAP have
    no place for a new sample, so there the nearest test samples by code are ringed, as everywhere.
    """
    dataset = run.dataset
    codes, rebuilt = models.reconstruct(*cache.identity(run), x, np.array([label]))
    near = nearest(run.codes["codes"], codes)
    pca = cache.components(dataset.name, dataset.fingerprint).encode(x, 2)
    places = {"bottleneck": latent.plane_of_run(run).project(codes), "pca": pca}
    pair = [each.reshape(1, *dataset.shape) for each in (x, rebuilt.clip(0, 1))]
    error = float(np.square(x - rebuilt).mean())
    row = images.Row("", np.concatenate(pair), ["input", "reconstruction"])
    st.image(
        cache.composed([row], CELL),
        alt=f"Your picture as a sample of {dataset.name}, and its reconstruction by {run.name}",
    )
    said = unlike(error, models.errors(*cache.identity(run), "test"))
    names = dataset.label_names
    labels = [names[int(run.codes["labels"][row])] if names else f"#{row}" for row in near]
    st.caption(
        f"Code {written(codes[0])} Reconstruction {said} {apart(dataset, x)} Nearest test "
        f"samples by code: {plain(', '.join(labels))}, ringed in every map.",
        help=define("Code", "Reconstruction error"),
    )
    return {
        "rows": near.tolist(),
        "places": {key: place[0].astype(float).tolist() for key, place in places.items()},
    }


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


def apart(dataset: Dataset, x: np.ndarray) -> str:
    """Sentence on how far a sample (1, n_features) is from the training split.

    A model may reconstruct well what is unlike all that it was trained on, such as an even ground.
    """
    distance = neighbors.distances_to_nearest(x, dataset.train.x)[0]
    usual = cache.distances_to_training(dataset.name, dataset.fingerprint)
    share = float((usual < distance).mean())
    than = f"{share:.0%}".replace("%", " %") + " of test samples are"
    return f"It is further from every training sample than {than}" + (
        ": unlike the data." if share > UNLIKE else "."
    )


def written(code: np.ndarray) -> str:
    """Format the numbers of a code, the first ones of a wide code.

    >>> written(np.array([0.5, -1.25]))
    '0.50, -1.25.'
    """
    numbers = ", ".join(f"{value:.2f}" for value in code[:NUMBERS])
    return f"{numbers} and {len(code) - NUMBERS} more." if len(code) > NUMBERS else f"{numbers}."
