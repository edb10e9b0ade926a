"""Map for picking test samples into text fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import streamlit as st

from aecore.data import Subset
from aecore.errors import InvalidRequest
from aecore.viewer import payload
from pages.app import cache, messages, state
from pages.app.messages import Selection
from pages.app.text import plain
from pages.components import hosts, maps

if TYPE_CHECKING:
    from aecore.runs import store

MOST = 500
"""Numbers that a selection puts into a field."""
MAP, LAST = "pick", "pick_last"


class Picked(NamedTuple):
    """Value of a field after a series of picks."""

    heard: frozenset[float] = frozenset()
    """When the browser's last picks were made, on its clock."""
    field: str = ""
    texts: tuple[str, ...] = ()
    """Before the first and after each."""
    said: str = ""


def picker(
    run: store.Run, fields: Mapping[str, str], most: Mapping[str, int] | None = None
) -> None:
    """Map of the test samples' bottleneck; a click or selection fills one of these fields.

    A click adds a number or takes it out again; a selection takes the place of what was there.
    Draw it in a fragment, after its fields, so that it marks what they hold.

    Arguments
        fields: the titles of text fields, by their keys.
        most: how many numbers a field holds, by its key; the oldest goes when one more comes.
    """
    if len(fields) > 1:
        st.segmented_control(
            "A click goes to",
            list(fields),
            default=next(iter(fields)),
            format_func=fields.get,
            required=True,
            key=chooser(fields),
        )
    heard = partial(take, run, fields, most or {})
    maps.show(maps.View(run, Subset(), ()), MAP, "pick", heard)
    text, last = state.value(active(fields)) or "", state.value(LAST, Picked())
    if last.said and (last.field, last.texts[-1]) == (active(fields), text):
        st.caption(plain(last.said))
    marks = [int(word) for word in words(text) if is_number(word)]
    hosts.marks()(key="marks", data={"rows": marks, "places": {}})


def take(run: store.Run, fields: Mapping[str, str], most: Mapping[str, int]) -> None:
    """Put new picks into the active field; the map's callback."""
    field, last = active(fields), state.value(LAST, Picked())
    picks_sent = messages.read(messages.Picks, state.said(MAP, "picked")) or []
    picks = [pick for pick in picks_sent if pick.when not in last.heard]
    if not picks:
        return
    text, said = state.value(field) or "", ""
    texts = last.texts if len(picks) < len(picks_sent) and last.field == field else ()
    if text in texts:  # a quick series: the browser does not know yet what became of the last pick
        text = texts[-1]
    else:
        texts = (text,)
    for pick in picks:
        said = ""
        try:
            if isinstance(pick, Selection):
                text, said = selected(members(run, pick), most.get(field, MOST))
            elif pick.sample < run.manifest.n_test:
                text = clicked(text, pick.sample, most.get(field))
        except InvalidRequest as error:
            said = str(error)
        texts = (*texts, text)
    heard = frozenset(pick.when for pick in picks_sent)
    state.put({field: text, LAST: Picked(heard, field, texts, said)})


def chooser(fields: Mapping[str, str]) -> str:
    """Widget key of the choice among these fields."""
    return "_".join((MAP, *fields))


def active(fields: Mapping[str, str]) -> str:
    """Key of the active field, which receives clicks."""
    return state.value(chooser(fields)) or next(iter(fields))


def words(text: str) -> list[str]:
    """Words of a text, separated by commas or blanks."""
    return text.replace(",", " ").split()


def is_number(word: str) -> bool:
    """Whether a word can be a sample number, of a length that Python can parse."""
    return word.isdecimal() and len(word) < 10


def clicked(text: str, number: int, most: int | None = None) -> str:
    """Text of a field after a click on a sample.

    >>> clicked("3, 17", 4)
    '3, 17, 4'
    >>> clicked("3, 17", 3)
    '17'
    >>> clicked("3, 17", 4, most=2)
    '17, 4'
    """
    before = words(text)
    others = [word for word in before if word != str(number)]
    kept = others if len(others) < len(before) else [*others, str(number)][-(most or 0) :]
    return ", ".join(kept)


def selected(numbers: Sequence[int] | np.ndarray, most: int) -> tuple[str, str]:
    """Text of a field after a selection of samples, and a message about it."""
    n, said = len(numbers), ""
    if n > most:
        numbers = np.sort(np.random.default_rng(0).choice(numbers, most, replace=False))
        said = f"{most:,} of {n:,} selected samples are taken, drawn with seed 0."
    return ", ".join(map(str, numbers)), said


def members(run: store.Run, selection: Selection) -> np.ndarray:
    """Numbers of the selected test samples; raises `InvalidRequest` if they cannot be read."""
    rows = cache.shown(run, Subset()).rows
    if selection.samples != payload.identity(rows, run.dataset):
        raise InvalidRequest("The selection is of other samples than these: select anew.")
    return rows[payload.unpacked_mask(selection.mask, len(rows))]
