"""Grid of decoded codes; a strip if the code has one dimension."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from aecore import latent
from aecore.errors import InvalidRequest
from aecore.plots import images
from pages.app import controls, messages, models, state
from pages.app.text import define
from pages.components import downloads, hosts, workbench
from pages.views.generate import common

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from aecore.runs import store

MOST_SIDE = 30
LARGE = 160  # points of the picture that is shown large
CELL, CLICKS = "cell", "grid-clicks"
WIDTH = 780  # points of the composed picture, at most
THREE = "Three samples"
PALE = 0.4  # opacity of pictures outside the support of the data


def show(run: store.Run, toolbar: DeltaGenerator) -> None:
    """Show a grid over dimensions or through samples, shaded by the density of data."""
    d, prior = run.config.model.latent_dim, run.capabilities.prior
    with toolbar:
        label = common.label(run)
        n = common.slider(
            "Grid size", 1, MOST_SIDE, 12, "n", help="Pictures along each side of the grid."
        )
        plane = "two dimensions"
        if d > 2:
            plane = controls.one_of("Plane", ["two dimensions", "through three samples"], "plane")
        spacing = "linear"
        if prior and plane == "two dimensions":
            spacing = controls.one_of(
                "Spacing",
                ["quantiles", "linear"],
                "spacing",
                help="Quantiles: the middles of n parts of equal probability under the prior "
                "N(0, 1), z = Φ⁻¹((i - 1/2) / n). Linear: even steps.\n\n" + define("Prior"),
            )
    canvas, panel = workbench.split("left", common.PANEL)
    with panel:
        if plane == "through three samples":
            text, reach = ask_for_three()
            picking = common.map_to_pick(run, {"corners": THREE}, 3, open_=True)
            codes, where = through_samples(run, n, text, reach)
        else:
            dimensions, text = ask_for_two(run) if d > 2 else (list(range(d)), "")
            values = common.ranges(run, n, spacing, dimensions)
            picking = d > 2 and common.map_to_pick(run, {"held": common.HELD}, 1, open_=False)
            codes, where = along_dimensions(run, values, dimensions, text)
        above = st.container()
        cell = ask_cell(n, len(codes)) if run.dataset.traits.pictures else None
        if cell is not None:
            large(run, codes[[cell]], label, cell)
    draw(run, n, label, codes, where, panel, canvas)
    if not picking:  # last, since a browser takes longer to draw a map than a picture
        chosen = codes[:0] if cell is None else codes[[cell]]
        with above:
            common.marked_map(run, chosen, codes[latent.corners(n, len(codes))])


def draw(
    run: store.Run,
    n: int,
    label: int,
    codes: np.ndarray,
    where: str,
    panel: DeltaGenerator,
    canvas: DeltaGenerator,
) -> None:
    """Decode codes in the order of a grid with n columns; `where` says where they lie."""
    d = run.config.model.latent_dim
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
    png = None
    with canvas:
        if pictures:
            opaque = np.where(around.covered, 1, PALE)
            png = images.mosaic(common.shaped(dataset, decoded), opaque, around.density, n, WIDTH)
            # An image with a width of its own would be made smaller and written anew.
            st.html(Path(__file__).with_name("grid.css"))
            with st.container(key="grid"):
                st.image(png, alt=f"{len(codes)} images decoded by {run.name} from a grid: {where}")
            hosts.clicks()(
                key=CLICKS, data="grid", on_clicked_change=partial(take_click, n, len(codes) // n)
            )
        else:
            beside = {f"code {i + 1}": codes[:, i] for i in range(min(d, 8))}
            beside |= {"data near": around.covered, "density": around.density}
            common.table(dataset, decoded, beside)
    with panel:
        common.caption(said + common.class_sentence(run, label))
        if not run.capabilities.prior:
            common.caption(common.NO_PRIOR)
        arrays = {"codes": codes, "decoded": decoded, **around._asdict()}
        downloads.downloads(f"{run.name}-grid", png, **arrays)


def ask_cell(n: int, of: int) -> int | None:
    """Number field of the picture that is shown large, from 0; None for none."""
    if (state.value(CELL) or 1) > of:  # a smaller grid has been chosen since
        state.put({CELL: None})
    number = controls.whole_number(
        "Picture shown large",
        CELL,
        1,
        of,
        value=None,
        placeholder="click a picture",
        help=f"Its number in reading order, of {n} in a row.",
    )
    return None if number is None else number - 1


def take_click(n: int, rows: int) -> None:
    """Choose the clicked picture; the callback of the component."""
    clicked = messages.read(messages.Clicked, state.said(CLICKS, "clicked"))
    if clicked is not None:
        state.put({CELL: int(clicked.y * rows) * n + int(clicked.x * n) + 1})


def large(run: store.Run, code: np.ndarray, label: int, cell: int) -> None:
    """Show one decoded code (1, d) large, with its numbers."""
    picture = common.shaped(run.dataset, models.generated(run, code, label))
    png = images.compose([images.Row("", picture)], cell=LARGE)
    values = ", ".join(f"{value:.3g}" for value in code[0, :8]) + ", …" * (code.shape[1] > 8)
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.container(width=LARGE):
            st.image(png, alt=f"Picture {cell + 1} of the grid, large")
        st.caption(f"Code ({values})", width="stretch")


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
                help=f"Most {ranked.measure} first; Traversal has the figures.\n\n"
                + define("Importance of a dimension"),
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
