"""Grid of decoded codes; a strip if the code has one dimension."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from aecore import latent
from aecore.errors import InvalidRequest
from aecore.plots import images
from aecore.runs import store
from pages.app import controls, models
from pages.components import downloads
from pages.views.generate import common

MOST_SIDE = 30
WIDTH = 700  # points of the composed picture
THREE = "Three samples"
PALE = 0.4  # opacity of pictures outside the support of the data


def show(run: store.Run) -> None:
    """Show a grid over dimensions or through samples, shaded by the density of data."""
    d, prior = run.config.model.latent_dim, run.capabilities.prior
    with st.container(horizontal=True, vertical_alignment="bottom"):
        label = common.label(run)
        n = common.slider("Side", 1, MOST_SIDE, 12, "n", help="Pictures along each side.")
        plane = "two dimensions"
        if d > 2:
            plane = controls.one_of("Plane", ["two dimensions", "through three samples"], "plane")
        spacing = "linear"
        if prior and plane == "two dimensions":
            spacing = controls.one_of(
                "Spacing",
                ["quantiles", "linear"],
                "spacing",
                help="Quantiles: the middles of parts of equal probability under the prior.",
            )
    if plane == "through three samples":
        text, reach = ask_for_three()
        common.map_to_pick(run, {"corners": THREE}, 3, open_=True)
        draw(run, n, label, *through_samples(run, n, text, reach))
        return
    dimensions, text = ask_for_two(run) if d > 2 else (list(range(d)), "")
    values = common.ranges(run, n, spacing, dimensions)
    if d > 2:
        common.map_to_pick(run, {"held": common.HELD}, 1, open_=False)
    draw(run, n, label, *along_dimensions(run, values, dimensions, text))


def draw(run: store.Run, n: int, label: int, codes: np.ndarray, where: str) -> None:
    """Decode codes in the order of a grid with n columns; `where` says where they lie."""
    d = run.config.model.latent_dim
    if not run.capabilities.prior:
        st.caption(common.NO_PRIOR)
    decoded = models.generated(run, codes, label)
    dataset, around = run.dataset, models.places(run).around(codes)
    pictures = dataset.traits.pictures
    far = np.count_nonzero(~around.covered)
    said = f"{where[0].upper()}{where[1:]}. "
    if pictures:
        said += (
            f"Faded where no test codes lie near: {far} of {len(codes)}. The bluer the frame of "
        )
        said += "a picture, the denser test codes lie there."
    else:
        said += f"No test codes lie near {far} of {len(codes)}; density is 0 there, 1 where they "
        said += "lie closest."
    st.caption(said + common.class_sentence(run, label))
    if pictures:
        opaque = np.where(around.covered, 1, PALE)
        png = images.mosaic(common.shaped(dataset, decoded), opaque, around.density, n, WIDTH)
        # An image with a width of its own would be made smaller and written anew.
        with st.container(width=WIDTH):
            st.image(png, alt=f"{len(codes)} images decoded by {run.name} from a grid: {where}")
    else:
        png = None
        beside = {f"code {i + 1}": codes[:, i] for i in range(min(d, 8))}
        beside |= {"data near": around.covered, "density": around.density}
        common.table(dataset, decoded, beside)
    downloads.downloads(f"{run.name}-grid", png, codes=codes, decoded=decoded, **around._asdict())


def ask_for_two(run: store.Run) -> tuple[list[int], str]:
    """Input fields of two dimensions, and the sample that fixes the others."""
    ranked = common.importance(run)
    order = ranked.order.tolist()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        dimensions = [
            st.selectbox(
                title,
                order,
                index,
                key=f"{title.lower()}_{len(order)}",
                bind="query-params",
                format_func=common.dimension,
                help=f"Most {ranked.measure} first; Traversal has the figures.",
            )
            for index, title in enumerate(("Across", "Up"))
        ]
        return dimensions, common.ask_held()


def along_dimensions(
    run: store.Run, values: Sequence[np.ndarray], dimensions: Sequence[int], text: str
) -> tuple[np.ndarray, str]:
    """Grid of codes over one or two dimensions, and the description of its location."""
    if len(dimensions) == 2 and dimensions[0] == dimensions[1]:
        raise InvalidRequest(
            f"Across and up are both dimension {dimensions[0] + 1}: choose another."
        )
    where = "; ".join(
        f"{way} dimension {number + 1} from {value[0]:.2f} to {value[-1]:.2f}"
        for way, number, value in zip(("across", "upwards"), dimensions, values, strict=False)
    )
    if len(dimensions) == 1:
        return values[0][:, None].astype(np.float32), where
    return latent.lattice(*values, common.held(run, text), tuple(dimensions)), where


def ask_for_three() -> tuple[str, tuple[float, float]]:
    """Input fields of three sample numbers, and of the plane's margin beyond them."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = common.numbers(THREE, "0, 1, 2", "corners")
        reach = common.slider(
            "Reach",
            -2.0,
            3.0,
            (0.0, 1.0),
            "reach",
            help="0 is the first sample; 1 is the second, to the right, and the third, upwards.",
        )
    return text, reach


def through_samples(
    run: store.Run, n: int, text: str, reach: tuple[float, float]
) -> tuple[np.ndarray, str]:
    """Grid of codes on the plane through three test samples, and its description."""
    codes, (low, high) = run.codes["codes"], reach
    chosen = common.sample_numbers(text, len(codes))
    if len(chosen) != 3:
        raise InvalidRequest(
            f"A plane goes through three samples, and '{text}' names {len(chosen)}."
        )
    sides = latent.grid(n, low, high, "linear")
    a, b, c = chosen
    where = f"from sample {a} towards {b} to the right and towards {c} upwards, {low:g} to {high:g}"
    return latent.plane_through(codes[chosen], sides, sides), where
