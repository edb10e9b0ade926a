"""Inspector: one of the shown samples, large, with its reconstructions and their errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from aecore.plots import images
from pages.app import cache
from pages.app.text import define, plain

if TYPE_CHECKING:
    from aecore.data import Dataset
    from pages.views.reconstructions.summary import Errors

CELL = 116  # pixels of the side of an image, two of which stand side by side


def show(
    dataset: Dataset,
    chosen: np.ndarray,
    x: np.ndarray,
    labels: np.ndarray,
    reconstructions: Mapping[str, np.ndarray],
    errors: Errors,
) -> None:
    """Choice of one of the samples, and its images.

    Arguments
        chosen: (n,) numbers of the samples x, (n, n_features), with labels (n,).
        reconstructions: of x, by their source.
        errors: of the whole split, by their source.
    """
    at = st.segmented_control(
        "Sample",
        range(len(chosen)),
        default=0,
        required=True,
        format_func=lambda number: f"#{chosen[number]}",
        key=f"inspected-{chosen[0]}-{len(chosen)}",
    )
    original = x[at].reshape(1, *dataset.shape)
    lines = [images.Row("", original, ["original"])]
    for name, rebuilt in reconstructions.items():
        rebuilt = rebuilt[at].reshape(original.shape)
        both = [images.colored(rebuilt), images.error_colors(original, rebuilt)]
        lines.append(images.Row("", np.concatenate(both), [cache.title(name), "its error"]))
    number = chosen[at]
    st.image(
        cache.composed(lines, CELL),
        alt=f"Sample {number} of {dataset.name}, large, above its reconstructions by "
        f"{', '.join(reconstructions)} and their errors",
    )
    if dataset.label_names:
        st.markdown(f"Class **{plain(dataset.label_names[labels[at]])}**")
    st.markdown(
        "\n".join(
            f"- {plain(cache.title(name))}: {values[number]:.4f}, {rank(values, number)}"
            for name, values in errors.items()
        ),
        help=define("Reconstruction error"),
    )


def rank(errors: np.ndarray, number: int) -> str:
    """Format the place of a sample among all, the worst first.

    >>> rank(np.array([0.1, 0.4, 0.2]), 2)
    '2nd worst of 3'
    """
    place = int((errors > errors[number]).sum()) + 1
    if place == 1:
        return f"the worst of {len(errors):,}"
    ending = (
        "th" if place % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    )
    return f"{place:,}{ending} worst of {len(errors):,}"
