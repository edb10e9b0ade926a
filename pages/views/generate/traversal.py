"""Latent traversals: one dimension of the code at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from aecore import latent
from aecore.plots import images
from pages.app import cache, frame, models
from pages.components import live_slider, workbench
from pages.views.generate import common

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from aecore.runs import store

PREVIEWS = 12
FINE = 0.05  # of a standard deviation, from one place of the slider to the next
TRACK = 416  # points of the slider, as in its style
LARGE = 320  # points of the picture of where it stands


def show(run: store.Run, toolbar: DeltaGenerator) -> None:
    """Show a strip for each of the most important dimensions, and a slider along one."""
    dataset, d = run.dataset, run.config.model.latent_dim
    ranked = common.importance(run)
    with toolbar:
        label = common.label(run)
        text = common.ask_held() if d > 1 else ""
        most = min(d, 12)
        count = (
            common.slider("Dimensions", 1, most, min(d, 6), f"dimensions_{most}") if most > 1 else 1
        )
        steps = common.slider("Steps", 2, 16, 10, "steps")
        chosen = ranked.order[:count].tolist()
        sides = common.ranges(run, steps, "linear", chosen)
    canvas, panel = workbench.split("left", common.PANEL)
    with panel:
        if d > 1:
            common.map_to_pick(run, {"held": common.HELD}, 1, open_=False)
        base, moved = common.held(run, text), dict(zip(chosen, sides, strict=True))
        if dataset.traits.pictures:
            slide(run, base, label, moved, ranked)
    with canvas:
        strips(run, base, label, moved, ranked)


@st.fragment
def slide(
    run: store.Run,
    base: np.ndarray,
    label: int,
    sides: dict[int, np.ndarray],
    ranked: latent.Importance,
) -> None:
    """Slider along one dimension, with previews, that decodes while it is dragged."""
    with frame.guarded():
        dataset, name = run.dataset, common.named(ranked)
        number = st.selectbox(
            "Move along",
            list(sides),
            key=f"along_{len(base)}",
            bind="query-params",
            format_func=common.dimension,
            width=300,
        )
        prior = run.capabilities.prior
        middle, unit = (each[number] for each in latent.units(run.codes["codes"], prior))
        ends = ((sides[number][[0, -1]] - middle) / unit).round(2)
        what = "the prior" if prior else "the test codes, from their mean"
        reach = live_slider.Range(
            f"In standard deviations of {what}", *ends.tolist(), FINE, float(ends.mean().round(2))
        )
        place = live_slider.value("place", reach)
        at = middle + unit * place
        code = latent.traversal(base, number, at, at, 1)
        before = latent.traversal(base, number, *sides[number][[0, -1]], PREVIEWS)
        pixels = common.shaped(
            dataset, models.generated(run, np.concatenate([code, before]), label)
        )
        row = images.Row(f"at {at:.2f}", pixels[:1])
        picture = cache.composed([row], LARGE)
        seen, clear = np.ones(len(before)), np.zeros(len(before))
        track = images.mosaic(pixels[1:], seen, clear, len(before), TRACK)
        alt = f"Image decoded by {run.name} at {at:.2f} of {name(number)}"
        live_slider.show("place", reach, picture, alt, track)


def strips(
    run: store.Run,
    base: np.ndarray,
    label: int,
    sides: dict[int, np.ndarray],
    ranked: latent.Importance,
) -> None:
    """Show traversals of all dimensions below each other."""
    dataset = run.dataset
    codes_by_strip, lines, beside = [], [], {"dimension": [], "value": []}
    for number, values in sides.items():
        each = latent.traversal(base, number, values[0], values[-1], len(values))
        codes_by_strip.append(each)
        beside["dimension"] += [number + 1] * len(values)
        beside["value"] += values.tolist()
    codes = np.concatenate(codes_by_strip)
    decoded = models.generated(run, codes, label)
    name = common.named(ranked)
    for number, part, strip in zip(
        sides, codes_by_strip, np.split(decoded, len(sides)), strict=True
    ):
        captions = [f"{value:.2f}" for value in part[:, number]]
        lines.append(images.Row(name(number), common.shaped(dataset, strip), captions))
    moving = [line.images for line in lines]
    common.pictures(run, "traversal", lines, beside, moving, codes=codes, decoded=decoded)
    under = " Under a picture stands its value." if dataset.traits.pictures else ""
    common.caption(
        f"Most {ranked.measure} first: each dimension moves while all others stay.{under}"
        f"{common.class_sentence(run, label)}",
        "Traversal",
        "Importance of a dimension",
    )
