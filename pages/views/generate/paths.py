"""Interpolation between the codes of picked samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from aecore import latent
from aecore.errors import InvalidRequest
from aecore.plots import figures, images
from pages.app import cache, frame, models
from pages.app.text import define, plain
from pages.components import workbench
from pages.views.generate import common

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from aecore.runs import store

MOST_PICKED = 8
STOPS = "Samples to connect"


def show(run: store.Run, toolbar: DeltaGenerator) -> None:
    """Show paths between the codes of picked samples, and the cycle error along each."""
    codes = run.codes["codes"]
    with toolbar:
        label = common.label(run)
        text = common.numbers(STOPS, ", ".join(map(str, range(min(len(codes), 2)))), "stops")
        steps = common.slider(
            "Steps",
            2,
            16,
            10,
            "steps",
            help="Pictures of a path, the samples themselves among them.",
        )
        ways = st.pills(
            "Interpolation",
            latent.PATH_METHODS,
            selection_mode="multi",
            default=latent.PATH_METHODS,
            key="ways",
            bind="query-params",
            help=define("Interpolation") + " Spherical is for codes of a Gaussian prior.",
        )
    canvas, panel = workbench.split("left", common.PANEL)
    with panel:
        common.map_to_pick(run, {"stops": STOPS}, MOST_PICKED, open_=True)
    with canvas, frame.guarded():
        if ways:
            along(run, text, steps, ways, label)
        else:
            st.info("Choose an interpolation.", icon=":material/info:")


def along(
    run: store.Run, text: str, steps: int, ways: Sequence[latent.PathMethod], label: int
) -> None:
    """Decode each kind of path through the samples that a text names, as rows of pictures."""
    codes, dataset = run.codes["codes"], run.dataset
    chosen = common.sample_numbers(text, len(codes))
    if not 2 <= len(chosen) <= MOST_PICKED:
        raise InvalidRequest(
            f"A path has 2 to {MOST_PICKED} samples, and '{text}' names {len(chosen)}."
        )
    analysed = cache.analysis(run)
    train_codes = (analysed[0] if analysed else {}).get("train_codes")
    lines, made, problems = [], {}, []
    beside: dict[str, list[Any]] = {"interpolation": []}
    for way in ways:
        try:
            path = latent.path(
                codes[chosen], steps, way, codes if train_codes is None else train_codes
            )
        except InvalidRequest as error:
            problems.append(plain(str(error)))
            continue
        beside["interpolation"] += [way] * steps
        captions = [""] * steps
        if run.capabilities.encode:
            away = models.cycle_error(run, path, label)
            beside.setdefault("cycle error", []).extend(away.tolist())
            captions = [f"{value:.2g}" for value in away]
        made[way] = path, models.generated(run, path, label)
        strip = common.shaped(dataset, made[way][1])
        for stop, number in zip(latent.stops(len(chosen), steps), chosen, strict=True):
            captions[stop] = f"#{number}: {captions[stop]}".removesuffix(": ")
        lines.append(images.Row(way, strip, captions))
    for fault in dict.fromkeys(problems):  # a problem of every path is shown once
        st.info(fault, icon=":material/wrong_location:")
    if not lines:
        return
    passed, decoded = (np.concatenate(each) for each in zip(*made.values(), strict=True))
    moving = [line.images for line in lines]
    common.pictures(
        run, "path", lines, beside, moving, codes=passed, decoded=decoded, samples=np.array(chosen)
    )
    drawn_on_map(run, {way: path for way, (path, _) in made.items()}, chosen)
    neighbours = "test codes" if train_codes is None else "training codes"
    where = "Under a picture stands" if dataset.traits.pictures else "Beside each is"
    cycle = f"{where} its cycle error; a" if run.capabilities.encode else "A"
    st.caption(
        f"{cycle} number with # is a picked sample's.{common.class_sentence(run, label)}",
        help=f"{define('Cycle error')}\n\nThe path along the data follows nearest neighbours among "
        f"{neighbours}.",
        width="content",
    )


def drawn_on_map(
    run: store.Run, paths: Mapping[latent.PathMethod, np.ndarray], chosen: Sequence[int]
) -> None:
    """Map of the test codes with the paths (steps, d) between the chosen samples."""
    to_plane = latent.plane_of_run(run).project
    st.plotly_chart(
        figures.path_map(
            run.codes["plane"],
            run.codes["labels"],
            run.dataset.label_names,
            {way: to_plane(path) for way, path in paths.items()},
            to_plane(run.codes["codes"][chosen]),
            [f"#{number}" for number in chosen],
        ),
        key="paths",
        config=figures.MODEBAR,
        alt=f"Map of the test codes of {run.name} with the paths between "
        + ", ".join(f"#{number}" for number in chosen),
    )
