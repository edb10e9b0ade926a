"""Input fields, cached values and outputs shared by the views of Generate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import streamlit as st

from aecore import data, latent
from aecore.data import Dataset, Subset
from aecore.errors import InvalidRequest
from aecore.plots import figures, images
from pages.app import cache
from pages.app.text import define, explain, plain
from pages.components import downloads, job_status, maps, picking

if TYPE_CHECKING:
    from aecore.runs import store

PANEL = 416  # pixels, of the panel beside the canvas
CELL = 72  # points of one image

HELD = "Base sample"
PICKED = "Numbers of test samples, with commas between them"
NO_PRIOR = (
    "This model was not trained towards a prior. Draws from N(0, I) and places away from its codes "
    "are guesses that training never checked."
)


# --- Input fields -------------------------------------------------------------------------------


def caption(sentences: str, *terms: str) -> None:
    """Show sentences with definitions of their terms, after those of further ones."""
    st.caption(sentences, help=explain(*terms, sentences), width="content")


def slider(title: str, low: Any, high: Any, value: Any, key: str, **options: Any) -> Any:
    """Slider kept in the address."""
    return st.slider(title, low, high, value, key=key, bind="query-params", width=190, **options)


def numbers(title: str, value: str, key: str, width: int | Literal["stretch"] = 280) -> str:
    """A text field for the numbers of test samples, kept in the address; see `sample_numbers`."""
    return st.text_input(title, value, key=key, bind="query-params", help=PICKED, width=width)


def label(run: store.Run) -> int:
    """Select box of the class for a conditioned model; 0 for others, which ignore it."""
    if not run.capabilities.conditioned:
        return 0
    names = run.dataset.label_names
    name = st.selectbox(
        "Class",
        names,
        key="told",
        bind="query-params",
        width=200,
        help="The class that is decoded.\n\n" + define("Conditioned"),
    )
    return names.index(name)


def ask_held() -> str:
    """Text field: the sample whose code fixes the dimensions that are not varied."""
    return st.text_input(
        HELD,
        key="held",
        bind="query-params",
        width=280,
        placeholder="the mean of all",
        help="The number of a test sample whose code the other dimensions have; empty for the mean "
        "code.\n\n" + define("Code"),
    )


def held(run: store.Run, text: str) -> np.ndarray:
    """Code that fixes the dimensions that are not varied, (d,)."""
    codes = run.codes["codes"]
    chosen = sample_numbers(text, len(codes))
    if len(chosen) > 1:
        raise InvalidRequest(
            f"The other dimensions are those of one sample, and '{text}' names {len(chosen)}."
        )
    return codes[chosen[0]] if chosen else codes.mean(axis=0)


def ranges(run: store.Run, n: int, spacing: str, dimensions: Sequence[int]) -> list[np.ndarray]:
    """n values for each dimension, in units of the code."""
    prior = run.capabilities.prior
    middle, unit = latent.units(run.codes["codes"], prior)
    if spacing == "linear":
        what = "the prior" if prior else "the test codes, from their mean"
        low, high = slider(
            "Range",
            -5.0,
            5.0,
            (-2.0, 2.0),
            "range",
            help=f"In standard deviations of {what}.\n\n{explain(what)}",
        )
        side = latent.grid(n, low, high, "linear")
    else:
        side = latent.grid(n)
    return [middle[number] + unit[number] * side for number in dimensions]


def sample_numbers(text: str, n: int) -> list[int]:
    """Parse a list such as "3, 17, 4"; raises `InvalidRequest` with all invalid numbers.

    >>> sample_numbers("3, 17", 20)
    [3, 17]
    """
    words = picking.words(text)
    strange = [word for word in words if not picking.is_number(word) or int(word) >= n]
    if strange:
        raise InvalidRequest(
            f"'{word[:20]}' is no test sample: give whole numbers from 0 to {n - 1}, with commas."
            for word in strange[:5]
        )
    return [int(word) for word in words]


def map_to_pick(run: store.Run, fields: Mapping[str, str], most: int | None, open_: bool) -> bool:
    """Map to pick samples for these fields, shown or hidden by a switch; whether it is shown.

    It stands above the results of the fields, so that it does not move while it is used.

    Arguments
        fields: titles of text fields that have been drawn, by their keys.
        most: how many numbers each holds.
        open_: whether it is shown by default.
    """
    # A name for each default, so that a view that needs a map begins with it.
    key = f"map_{'open' if open_ else 'closed'}"
    if not st.toggle("Pick samples on a map", open_, key=key, bind="query-params"):
        return False
    what = "Click a sample to put its number into the field, or to take it out again"
    if most is None:
        what += "; a lasso or box takes all inside"
    else:
        what += f"; it holds {most}, and the oldest goes when one more comes" if most > 1 else ""
    st.caption(f"{what}.")
    picking.picker(run, fields, dict.fromkeys(fields, most) if most else None)
    maps.prepare(maps.View(run, Subset(), ()))
    return True


def marked_map(run: store.Run, codes: np.ndarray, frame: np.ndarray | None = None) -> None:
    """Map of the test codes with crosses at these codes, and a frame with these corners."""
    plane, labels = run.codes["plane"], run.codes["labels"]
    places = latent.plane_of_run(run).project(codes)
    corners = places[:0] if frame is None else latent.plane_of_run(run).project(frame)
    st.plotly_chart(
        figures.marked_map(plane, labels, run.dataset.label_names, places, corners),
        key="map",
        config=figures.MODEBAR,
        alt=f"Map of the test codes of {run.name} with "
        + ("the frame of the grid" if len(corners) else f"{len(codes)} decoded codes marked"),
    )


# --- Values of a run ----------------------------------------------------------------------------


def known_spread(run: store.Run) -> np.ndarray | None:
    """Standard deviations of the posterior on the test split; None before the analysis."""
    analysed = cache.analysis(run)
    return analysed[0].get("spread") if analysed else None


def importance(run: store.Run) -> latent.Importance:
    """Importance of dimensions: by KL if the posterior's widths are known, else by variance."""
    return latent.importance(run.codes["codes"], known_spread(run))


def class_sentence(run: store.Run, label: int) -> str:
    """Sentence about the class of a conditioned model; empty for others."""
    if not run.capabilities.conditioned:
        return ""
    name = run.dataset.label_names[label]
    return f" This model is conditioned on the class: everything is decoded as **{plain(name)}**."


def dimension(number: int) -> str:
    """Name of a dimension, without its figure, which may still change."""
    return f"dimension {number + 1}"


def named(ranked: latent.Importance) -> Callable[[int], str]:
    """Name of a dimension by its number."""
    values = dict(zip(ranked.order.tolist(), ranked.values.tolist(), strict=True))
    return lambda number: f"{dimension(number)}, {ranked.measure} {values[number]:.2f}"


def training_codes(run: store.Run) -> dict[str, np.ndarray] | None:
    """Arrays of a run's analysis with its training codes; None, with the reason, if absent.

    Sees to the analysis where it is missing.
    """
    dataset = run.dataset
    if dataset.missing:
        st.info(plain(dataset.missing), icon=":material/cloud_off:")
        return None
    if not data.is_available(dataset):
        st.info(
            f"{plain(dataset.name)} is not on this machine, so nothing is known of its "
            "training samples. The page Reconstructions can download it.",
            icon=":material/cloud_download:",
        )
        return None
    with st.spinner("Reading the training samples, once"):
        changed = dataset.fingerprint != run.manifest.fingerprint
    if changed:
        st.warning(
            f"The dataset {plain(dataset.name)} has changed since '{plain(run.name)}' "
            "was trained on it: train "
            "the run again to compare with its training samples.",
            icon=":material/warning:",
        )
        return None
    return cache.analysis(run)[0] if job_status.ensure_encoded([run]) else None


# --- Outputs ------------------------------------------------------------------------------------


def shaped(dataset: Dataset, features: np.ndarray) -> np.ndarray:
    """Samples in image shape; unchanged if the data are not images."""
    return dataset.traits.shaped(features, dataset.shape)


def pictures(
    run: store.Run,
    view: str,
    lines: Sequence[images.Row],
    beside: Mapping[str, Sequence[Any] | np.ndarray],
    moving: Sequence[np.ndarray] | None = None,
    **arrays: np.ndarray,
) -> None:
    """Show rows of decoded images, or a table with further columns, and the downloads.

    Arguments
        view: what they are, in one word.
        moving: series of as many decoded samples, (steps, ...) each, that an animation shows
            beside each other.
        arrays: what is offered with what stands beside, among it `decoded`.
    """
    dataset, png = run.dataset, None
    if dataset.traits.pictures:
        png = cache.composed(lines, CELL)
        titles = "; ".join(line.title for line in lines)
        st.html(Path(__file__).with_name("pictures.css"))
        with st.container(key="rows-decoded"):
            st.image(png, alt=f"Images decoded by {run.name}, {view}, in rows: {titles}")
    else:
        moving = None
        table(dataset, arrays["decoded"], beside)
    arrays |= {name.replace(" ", "_"): np.asarray(values) for name, values in beside.items()}
    downloads.downloads(f"{run.name}-{view}", png, moving, **arrays)


def table(dataset: Dataset, decoded: np.ndarray, beside: Mapping[str, Any]) -> None:
    """Table of decoded features of data that are not images, one row a code."""
    st.dataframe(
        {name: np.asarray(values) for name, values in beside.items()} | dataset.in_units(decoded),
        width="content",
    )
    if dataset.standardised:
        caption("Features are standardised: 0 is the mean of the training split.")


def listed(ranked: latent.Importance, measure: str, columns: Mapping[str, np.ndarray]) -> None:
    """List of the dimensions in order, with a bar for their importance."""
    bar = st.column_config.ProgressColumn(
        format="%.3f",
        min_value=0,
        max_value=max(float(ranked.values.max()), 1e-9),
        help=explain(measure),
    )
    st.dataframe(
        {"dimension": ranked.order + 1, measure: ranked.values} | dict(columns),
        column_config={measure: bar},
        hide_index=True,
        width="content",
    )
