"""Latent arithmetic: the difference of two groups of samples added to a third."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from aecore import latent
from aecore.errors import InvalidRequest
from aecore.plots import images
from pages.app import frame, models, state
from pages.app.text import plain
from pages.components import workbench
from pages.views.generate import common

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from aecore.runs import store

GROUPS = {"A": "plus", "B": "minus", "C": "onto"}
DEFAULTS = (1, 0, 2)  # of the classes
BY_NUMBER = "by number"


def show(run: store.Run, toolbar: DeltaGenerator) -> None:
    """Show the means of three groups, and C + t (A - B) for several strengths t."""
    with toolbar:
        label = common.label(run)
        steps = common.slider("Steps", 2, 12, 7, "sums", help="Sums from t = 0 to the largest t.")
        strength = common.slider(
            "How far", 0.5, 3.0, 1.5, "strength", help="The largest t of C + t (A - B)."
        )
    canvas, panel = workbench.split("left", common.PANEL)
    with panel, st.container(horizontal=True):
        asked = [ask(run, *each) for each in zip(GROUPS, DEFAULTS, strict=True)]
    fields = {
        GROUPS[name]: name
        for name, (kind, _) in zip(GROUPS, asked, strict=True)
        if kind == BY_NUMBER
    }
    with panel:
        picking = fields and common.map_to_pick(run, fields, None, open_=True)
        if len(fields) < len(GROUPS):
            st.caption(f"Choose *{BY_NUMBER}* for a group to pick its samples on a map.")
    with canvas, frame.guarded():
        moved = sums(run, asked, np.linspace(0, strength, steps), label)
        if not picking:
            with panel:
                common.marked_map(run, moved)


def sums(
    run: store.Run, asked: Sequence[tuple[str, str]], strengths: np.ndarray, label: int
) -> np.ndarray:
    """Show the decoded means of the groups, and below them C + t (A - B) for each t.

    Returns the codes of both, (3 + steps, d).
    """
    codes, dataset = run.codes["codes"], run.dataset
    chosen = members(run, asked)
    moved = np.concatenate(latent.arithmetic(*(codes[each] for each in chosen), strengths))
    decoded, around = models.generated(run, moved, label), models.places(run).around(moved)
    means, added = np.split(common.shaped(dataset, decoded), [len(GROUPS)])
    near = np.where(around.covered, "near", "far")[len(GROUPS) :]
    captions = [f"{t:.2f} {word}" for t, word in zip(strengths, near, strict=True)]
    lines = [
        images.Row("means of the groups", means, list(GROUPS)),
        images.Row("C + t (A - B)", added, captions),
    ]
    beside = {
        "code": [*GROUPS, *(f"C + {t:.2f} (A - B)" for t in strengths)],
        "nearest test code": around.distances,
        "data near": around.covered,
    }
    arrays = around._asdict() | {"codes": moved, "decoded": decoded, "strengths": strengths}
    common.pictures(run, "arithmetic", lines, beside, [added], **arrays)
    who = "; ".join(
        f"{name}: {listed(each) if kind == BY_NUMBER else plain(kind)} ({len(each):,})"
        for name, (kind, _), each in zip(GROUPS, asked, chosen, strict=True)
    )
    away = around.distances[len(GROUPS) :]
    under = " Under a sum stands t." if dataset.traits.pictures else ""
    common.caption(
        f"Means over the codes of test samples, with their number in brackets. {who}. Near are "
        f"sums with ten test codes within {models.places(run).sparse_radius:.2g}; the nearest to "
        f"each is {away.min():.2g} to {away.max():.2g} away."
        f"{under}{common.class_sentence(run, label)}",
        "Latent arithmetic",
    )
    return moved


def ask(run: store.Run, name: str, default: int) -> tuple[str, str]:
    """Input fields of a group: a class, or sample numbers."""
    classes, key = run.dataset.label_names, GROUPS[name]
    kinds, kind = [BY_NUMBER, *map(every, classes)], BY_NUMBER
    with st.container(width=128):
        if classes:
            state.rename(f"{key}_group", "test samples by number", BY_NUMBER)  # as it was called
            index = 1 + default % len(classes)
            kind = st.selectbox(name, kinds, index, key=f"{key}_group", bind="query-params")
        if kind != BY_NUMBER:
            return kind, ""
        default = min(default, len(run.codes["codes"]) - 1)
        return kind, common.numbers(
            "Samples" if classes else name, str(default), key, width="stretch"
        )


def members(run: store.Run, asked: Sequence[tuple[str, str]]) -> list[list[int]]:
    """Indices of the test samples in each group; raises `InvalidRequest` with every problem."""
    labels, classes = run.codes["labels"], run.dataset.label_names
    of_class = {every(name): np.flatnonzero(labels == n).tolist() for n, name in enumerate(classes)}
    groups, problems = [], []
    for name, (kind, text) in zip(GROUPS, asked, strict=True):
        try:
            groups.append(of_class.get(kind) or common.sample_numbers(text, len(labels)))
        except InvalidRequest as error:
            problems += [f"{name}: {fault}" for fault in error.problems]
        else:
            if not groups[-1]:
                problems.append(
                    f"{name} has no test sample: choose another group, or give numbers."
                )
    if problems:
        raise InvalidRequest(problems)
    return groups


def every(name: str) -> str:
    """Option label for all samples of a class."""
    return f"every {name}"


def listed(numbers: Sequence[int]) -> str:
    """Format the first few sample numbers."""
    return ", ".join(f"#{number}" for number in numbers[:6]) + ", …" * (len(numbers) > 6)
