"""Session state of the pages: the only module that names `st.session_state`.

Widgets bound to the address keep their values by themselves; here stands what has to be set from
outside of them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, NamedTuple

import streamlit as st

from pages.app import messages

RUN, RECIPE, PINS, OTHER = "run", "recipe", "pins", "other"
PAGE = "page"
Choice = str | list[str] | None
"""Value of a picker: one name, several, or none."""
TOUR, PRESENT = "tour", "present"
DOUBLE_CLICK = 0.7
"""Seconds within which two presses are one double click."""


class Notes(NamedTuple):
    """Sentences shown while a page is drawn, each once."""

    show: Callable[[str], Any]
    said: set[str]


_notes: ContextVar[Notes] = ContextVar("notes")


@contextmanager
def noting(show: Callable[[str], Any]) -> Iterator[None]:
    """Context that shows the sentences given to `note`, unless an outer one has shown them."""
    around = _notes.get(None)
    token = _notes.set(Notes(show, set() if around is None else around.said))
    try:
        yield
    finally:
        _notes.reset(token)


def note(sentence: str) -> None:
    """Show a sentence on the current page unless it has been shown."""
    notes = _notes.get(None)
    if notes is not None and sentence not in notes.said:
        notes.said.add(sentence)
        notes.show(sentence)


def note_unknown(label: str, name: str) -> None:
    """Say that the address asks for a choice that there is not."""
    shown = name if len(name) <= LONG else f"{name[:LONG]}…"
    sentence = f"{label}: '{shown}' in the address is no choice here, so it is left out."
    note(sentence)
    st.session_state[UNKNOWN] = [*st.session_state.get(UNKNOWN, []), sentence]


def repeat_notes() -> None:
    """Say again what `note_unknown` said in a run of the page that was broken off, as by a job."""
    for sentence in st.session_state.pop(UNKNOWN, []):
        note(sentence)


def forget_notes() -> None:
    """Forget what `note_unknown` said, for the page was drawn to its end."""
    st.session_state.pop(UNKNOWN, None)


UNKNOWN = "unknown"
LONG = 80
"""Signs of a name out of the address that are shown."""


def drop_unknown(key: str, label: str, options: Sequence[str]) -> None:
    """Take a value that is no option out of the address, and say so; before the bound widget."""
    asked = st.query_params.get(key)
    if asked and asked not in options:
        del st.query_params[key]
        note_unknown(label, asked)


def put(values: Mapping[str, Any]) -> None:
    """Set the values of widgets by their keys; call it from a callback."""
    for key, value in values.items():
        st.session_state[key] = value


def value(key: str, default: Any = None) -> Any:
    """Current value of a widget, by its key."""
    return st.session_state.get(key, default)


def remember_job(job_id: str) -> None:
    """Write the id of the shown job into the address, so that a reload shows it again."""
    st.query_params["job"] = st.session_state[_last("job")] = job_id


def shown_job() -> str | None:
    """Id of the job in the address, or of the last one that was begun in this session."""
    return st.query_params.get("job") or st.session_state.get(_last("job"))


def presses(label: str) -> int:
    """Number of handled presses of the buttons with this label.

    In the key of a button it makes a press void that was sent before its answer was shown.
    """
    return st.session_state.get(_presses(label), (0, 0.0))[0]


def double_click(label: str) -> bool:
    """Whether a press is the second of a double click, sent before the first was handled.

    After the answer the page may show another button with this label under the pointer.
    """
    count, last = st.session_state.get(_presses(label), (0, 0.0))
    return count > 0 and time.monotonic() - last < DOUBLE_CLICK


def answer_press(label: str) -> None:
    """Record that a press of a button with this label is handled now."""
    st.session_state[_presses(label)] = presses(label) + 1, time.monotonic()


def _presses(label: str) -> str:
    return f"presses_{label}"


def enter(page: str) -> None:
    """Note the page that is drawn, and count the visits; the frame's."""
    last, visits = st.session_state.get(PAGE, ("", 0))
    if page != last:
        st.session_state[PAGE] = page, visits + 1


def follow_address(
    key: str,
    names: Sequence[str],
    default: Choice,
    omitted: Choice = None,
    most: int | None = None,
) -> str | None:
    """Set a picker from the address; return an unknown name that the address contains.

    The URL query is the single source of truth: the callback writes it and links carry it, so the
    back button and shared links agree. A bound widget would write titles into it in place of names,
    and lose it on some page changes. What a page is opened without is what was chosen last; where
    it disappears from the address while the page is open, as by the back button, it is the default.

    Arguments
        key: of the picker, and of its part of the address, such as `RUN`.
        names: that can be chosen.
        default: a name; a list where several can be chosen; None where there need be none.
        omitted: a value that the address does not hold.
        most: how many can be chosen, where several can.
    """
    several = isinstance(default, list)
    asked = st.query_params.get_all(key)
    if several:  # also joined by commas, as people write them
        asked = [name for part in asked for name in part.split(",") if name]
    visit, last = st.session_state.get(_last(key), (None, default))
    wanted = asked or _listed(default if visit == st.session_state.get(PAGE) else last)
    known = [name for name in dict.fromkeys(wanted) if name in names]
    st.session_state[key] = known[:most] if several else next(iter(known), default)
    keep(key, omitted)
    return next((name for name in asked if name not in names), None)


def keep(key: str, omitted: Choice = None) -> None:
    """Write the value of a picker into the address; the picker's callback."""
    chosen = st.session_state[key]
    st.session_state[_last(key)] = st.session_state.get(PAGE), chosen
    values = [] if chosen == omitted else _listed(chosen)
    if st.query_params.get_all(key) == values:
        return
    if values:
        st.query_params[key] = values
    else:
        del st.query_params[key]


def _listed(chosen: Choice) -> list[str]:
    return [chosen] if isinstance(chosen, str) else chosen or []


def drop(keys: Iterable[str]) -> None:
    """Remove pickers from the address, so that each takes its default; call it from a callback."""
    for key in keys:
        st.query_params.pop(key, None)


def follow_number(key: str, low: float, high: float, step: float, usual: float) -> float:
    """Number in the address, changed by `hear_number`, on a grid of steps.

    A change of the address from outside, by a link or the back button, counts; while a slider is
    dragged the address stays behind.
    """
    asked = st.query_params.get(key)
    if asked is not None and asked != st.session_state.get(_last(key)):
        st.session_state[_last(key)] = asked
        st.session_state[key] = asked
    try:
        number = float(st.session_state.get(key, usual))
    except ValueError:
        number = usual
    # NaN fails both comparisons.
    number = number if low <= number <= high else usual
    return round(min(low + round((number - low) / step) * step, high), 6)


def hear_number(key: str, component: str, low: float, high: float) -> None:
    """Store the number that a component reports, if it lies between `low` and `high`."""
    message = said(component, "moved")
    if message is not None:
        # It is an event. A browser that says it as a state would hide every later event behind it.
        del st.session_state[component]["moved"]
    moved = messages.read(messages.Moved, message)
    if moved is None or not low <= moved.value <= high:
        return
    st.session_state[key] = moved.value
    if moved.settled:
        st.query_params[key] = st.session_state[_last(key)] = f"{moved.value:g}"


def refuse_infinite(key: str) -> None:
    """Remove an infinite number from the address, which Streamlit cannot convert to an integer."""
    asked = st.query_params.get(key, "")
    with suppress(ValueError):
        if math.isinf(float(asked)):
            del st.query_params[key]
            st.rerun()


def rename(key: str, old: str, new: str) -> None:
    """Replace a value in the address that has got another name since."""
    if st.query_params.get(key) == old:
        st.query_params[key] = new
        st.rerun()


def said(component: str, event: str) -> Any:
    """Reported value of a component's event, for `messages.read`; None if there is none."""
    everything = st.session_state.get(component)
    return everything.get(event) if isinstance(everything, Mapping) else None


def _last(key: str) -> str:
    return f"last_{key}"


def remember_run(name: str) -> bool:
    """Let links from a page without a run of its own lead to this one; return if that is new."""
    before = st.session_state.get(_last(RUN))
    st.session_state[_last(RUN)] = None, name
    return before is None or before[1] != name


def runs_for_links() -> dict[str, list[str]]:
    """Query that carries the run and those beside it along to another page."""
    query = {key: st.query_params.get_all(key) for key in (RUN, PINS, OTHER)}
    if not query[RUN]:
        query = {key: _listed(st.session_state.get(_last(key), (None, None))[1]) for key in query}
    return {key: values for key, values in query.items() if values}


def tour_step(n: int) -> int | None:
    """Step of the tour in the address, from 0 to n - 1; None outside a tour."""
    asked = st.query_params.get(TOUR, "")
    if asked in map(str, range(1, n + 1)):
        return int(asked) - 1
    if asked:
        del st.query_params[TOUR]
        note_unknown("Step of the tour", asked)
    return None


def end_tour() -> None:
    """Leave the tour; a button's callback."""
    st.query_params.pop(TOUR, None)


def asked(key: str) -> str:
    """Part of the address; "" if it has none."""
    return st.query_params.get(key, "")


def put_query(query: Mapping[str, str]) -> None:
    """Set parts of the address; a button's callback."""
    st.query_params.update(query)


def presenting() -> bool:
    """Whether the address asks for the mode for a projector."""
    return st.query_params.get(PRESENT) == "1"


def present(on: bool) -> None:
    """Turn the mode for a projector on or off, in the address; a button's callback."""
    if on:
        st.query_params[PRESENT] = "1"
    else:
        st.query_params.pop(PRESENT, None)


def mode_for_links() -> dict[str, str]:
    """Query that carries the mode for a projector along to another page."""
    return {PRESENT: "1"} if presenting() else {}
