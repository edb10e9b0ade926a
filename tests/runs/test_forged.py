"""Forged requests: addresses and component messages that our own pages never send."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import streamlit as st
from conftest import Listener
from streamlit.testing.v1 import AppTest
from test_pages import (  # noqa: F401
    LATENT_MAP,
    PAGES,
    idle_jobs,
    opened,
    shipped_runs,
    stored_like,
)

from aecore import data, latent
from aecore.errors import InvalidRequest
from aecore.runs import store
from aecore.viewer import payload
from pages.components import hosts, live_slider, picking
from pages.views.generate.views import VIEWS

pytestmark = pytest.mark.usefixtures("shipped_runs")
N = 360  # test samples of digits
NAN, INF = float("nan"), float("inf")


def calm(at: AppTest) -> AppTest:
    """Page after a run, which must not have failed in an unforeseen way."""
    assert not at.exception
    assert not [error.value for error in at.error if "could not be shown" in error.value]
    return at


# --- Addresses ----------------------------------------------------------------------------------

VIEWS_OF_PAGES = [
    (page, view) for page in PAGES for view in (VIEWS if page.stem == "generate" else [""])
]
EVIL = {
    "not a number": "nan",
    "infinite": "1e999",
    "400 digits": "-" + "9" * 400,
    "beyond 64 bits": "99999999999999999999",
    "empty": "",
    "long": "a" * 5_000,
    "a list": ["1", "2", "nan"],
    "written as a list": "[1, 2]",
    "control characters": "\x00\x1b[2J\r\n",
    "directions": "\u202eabc\u200b",
    "a path": "../../etc/passwd",
    "Markdown": "[x](https://evil.example) **b** :material/home: $x$",
    "other digits": "\uff11\uff12",
}


def bound(at: AppTest) -> set[str]:
    """Parts of the address that a page's widgets are bound to, and our own."""

    def walk(block: Any) -> Iterator[str]:
        for child in block.children.values():
            if hasattr(child, "children"):
                yield from walk(child)
            yield getattr(getattr(child, "proto", None), "query_param_key", "")

    return {key for key in walk(at._tree) if key} | {"job"}


@pytest.mark.parametrize(
    ("page", "view"), VIEWS_OF_PAGES, ids=lambda each: getattr(each, "stem", each)
)
def test_no_address_breaks_a_page(page: Any, view: str) -> None:
    own = {"run": "digits-vae"} | ({"view": view} if view else {})
    keys = bound(opened(page, **own)) - {"view"}
    keys |= {"place", "level_gaussian"}  # of sliders of our own
    keys |= {"sweep"} if page.stem == "what_if" else set()  # of a picker that there is not yet
    keys |= {"dataset"} if page.stem == "data" else set()  # of the rows of a table
    assert page.stem in ("app", "data", "recipes") or view == "Code usage" or len(keys) > 4
    for evil in EVIL.values():
        at = calm(opened(page, **own | dict.fromkeys(keys, evil)))
        assert at.title
        # A sentence says what is wrong with what a person could have written.
        assert all(len(error.value) < 2_000 for error in at.error)


NAMES = {
    "run": "latent_map",
    "recipe": "recipes",
    "view": "generate",
    "other": "latent_map",
    "dataset": "data",
}


@pytest.mark.parametrize("key", NAMES)
def test_no_name_in_an_address_breaks_a_page(key: str) -> None:
    (page,) = (page for page in PAGES if page.stem == NAMES[key])
    for evil in EVIL.values():
        at = calm(opened(page, **{key: evil}))
        assert not at.error
        said = " ".join(warning.value for warning in at.warning)
        # What nobody sees is shown as Python writes it, and nothing long fills the page.
        assert said.isprintable() and len(said) < 400


# --- Messages of components ---------------------------------------------------------------------

ANYTHING = [
    *(None, True, False, 0, -1, 0.5, 10**400, NAN, INF, -INF),
    *("", "a", "0.5", "\x00", "a" * 100_000),
    *([], [[]], [None], [1, 2, 3], {}, {"a": {}}, {"value": None}, {"sample": None}),
]
"""What is a message of no component."""


def moved(value: Any, settled: Any = False, **more: Any) -> dict[str, Any]:
    return {"value": value, "settled": settled} | more


FORGED_MOVES = [
    *ANYTHING,
    *(moved(value) for value in ANYTHING if not (value == 0.5 or value == 0)),
    *(moved(-0.1), moved(1.1), moved(1e300, True), moved(0.5, "yes"), moved(0.5, None)),
    *({"value": 0.5}, {"settled": True}, moved(0.5, more=1), [moved(0.5)]),
]


@pytest.fixture
def slider(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], AppTest]:
    """A page with a slider, and its answer to a message."""

    def component(key: str, on_moved_change: Callable[[], None], **asked: Any) -> None:
        st.button("moved", on_click=on_moved_change)

    monkeypatch.setattr(hosts, "live_slider", lambda: component)
    at = AppTest.from_function(with_a_slider, default_timeout=60).run()

    def say(message: Any) -> AppTest:
        at.session_state[live_slider.COMPONENT] = message
        return at.button[0].click().run()

    return say


def with_a_slider() -> None:
    import io

    import streamlit as st
    from PIL import Image

    from pages.components import live_slider

    picture = io.BytesIO()
    Image.new("L", (2, 2)).save(picture, "PNG")
    reach = live_slider.Range("Level", 0.0, 1.0, 0.05, 0.25)
    st.text(live_slider.value("level", reach))
    live_slider.show("level", reach, picture.getvalue(), "a picture")


def test_a_forged_move_leaves_the_slider_where_it_is(slider: Callable[[Any], AppTest]) -> None:
    assert len(FORGED_MOVES) >= 24
    for message in [*ANYTHING, *({"moved": forged} for forged in FORGED_MOVES)]:
        at = calm(slider(message))
        assert not at.error and at.text[0].value == "0.25", message
    at = calm(slider({"moved": moved(0.75, True)}))
    assert at.text[0].value == "0.75" and "0.75" in at.query_params["level"]
    for message in FORGED_MOVES:
        calm(slider({"moved": message}))
        assert at.text[0].value == "0.75", message


def selection(**other: Any) -> dict[str, Any]:
    samples = payload.identity(np.arange(N), data.get("digits"))
    mask = base64.b64encode(np.packbits(np.ones(N, bool))).decode()
    return {"samples": samples, "mask": mask} | other


FORGED_PICKS = [
    *ANYTHING,
    *([{"sample": value, "when": 1.0}] for value in ANYTHING if value is not False and value != 0),
    *([{"sample": 5, "when": value}] for value in ("1", None, NAN, INF, [], {}, True)),
    *([{"sample": number, "when": 1.0}] for number in (N, 2**31, 2**63, 1e5)),
    *({"sample": 5, "when": 1.0}, [{"sample": 5}], [{"when": 1.0}]),
    *(
        [{"sample": 5, "when": 1.0, "more": 1}],
        [{"sample": n, "when": float(n)} for n in range(501)],
    ),
    *([selection(when=1.0, mask=value)] for value in (None, 5, [], "a" * 3_000_000)),
    *([selection(when=1.0, samples=value)] for value in (None, 5, [], "a" * 3_000_000)),
    [selection()],
]


def test_a_forged_pick_leaves_the_field_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from test_picking import click, held, with_one_field

    def component(key: str, on_picked_change: Callable[[], None], **asked: Any) -> None:
        st.button("told", on_click=on_picked_change)

    monkeypatch.setattr(hosts, "linked_maps", lambda: component)
    at = AppTest.from_function(with_one_field, default_timeout=60).run()
    assert len(FORGED_PICKS) >= 24
    for message in [*ANYTHING, *({"picked": forged} for forged in FORGED_PICKS)]:
        at.session_state[picking.MAP] = message
        calm(at.button[0].click().run())
        assert not at.error and held(at) == "0, 1", str(message)[:200]
    # Nor does it make the map deaf: one from the end of time is followed by another.
    for when, after in ((1e300, "0, 1, 17"), (2.0, "0, 1, 17, 18")):
        sample = int(after.split(", ")[-1])
        at.session_state[picking.MAP] = {"picked": [click(sample, when)]}
        at.button[0].click().run()
        assert held(at) == after


FORGED_SELECTIONS = [
    *(message for message in ANYTHING if message is not None),
    *(
        selection(when=1.0, mask=value)
        for value in (None, 5, [], "", "%%%", "\u00e9", "AAAA", "A" * 3_000_000)
    ),
    *(selection(when=1.0, samples=value) for value in (None, 5, [], "", "mnist-0", "a" * 300)),
    *(selection(when=value) for value in (None, "1", NAN, INF, [], True)),
    *(selection(), selection(when=1.0, more=1)),
    {"mask": ""},
]
FORGED_PLACES = [
    *(message for message in ANYTHING if message not in (None, [1, 2, 3])),
    *([value, 0.0, 0] for value in ANYTHING if not isinstance(value, int | float)),
    *([0.0, value, 0] for value in (NAN, INF, 1e300, 10**400, True, "0")),
    *([0.0, 0.0, value] for value in (-1, 0.5, 10, 2**40, 10**400, NAN, None, "0", True)),
    *([0.0], [0.0, 0.0], [0.0, 0.0, 0, 0], {"x": 0.0, "y": 0.0}),
]


@pytest.mark.parametrize("event", ["selection", "place"])
def test_a_forged_selection_or_place_leaves_the_map(
    event: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    forged = {"selection": FORGED_SELECTIONS, "place": FORGED_PLACES}[event]
    assert len(forged) >= 24
    answer: dict[str, Any] = {"selection": None, "place": None}

    class Answer:
        def __getattr__(self, name: str) -> Any:
            return answer[name]

    monkeypatch.setattr(hosts, "linked_maps", lambda: lambda **asked: Answer())
    at = opened(LATENT_MAP, run="digits-vae")
    for message in forged:
        answer[event] = message
        calm(at.run())
        assert not at.error and at.dataframe, str(message)[:200]
        assert not at.get("download_button") and not at.get("image")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InvalidRequest(["a <b>", "c"]), "- a \\<b\\>\n- c"),
        (RecursionError("x"), "could not be shown: RecursionError"),
    ],
)
def test_what_the_server_asks_of_an_error_is_a_sentence(error: Exception, said: str) -> None:
    def page(error: Exception) -> None:
        from pages.app import frame

        assert frame.failed(error) is True  # so that Streamlit shows no more

    at = AppTest.from_function(page, args=(error,)).run()
    assert not at.exception
    (shown,) = at.error
    assert said in shown.value


# --- Names --------------------------------------------------------------------------------------

NAME = "www.evil.example"
NO_MARKDOWN = {"imgs", "bidi_component", "plotly_chart", "selectbox", "multiselect", "dataframe"}
NO_TEXT = {"id", "key", "query_string", "page", "url", "alt", "value", "columns"}


def markdown(at: AppTest) -> Iterator[str]:
    """Every text of the page that Streamlit may render as Markdown."""

    def within(message: Any) -> Iterator[str]:
        for field, value in message.ListFields():
            if field.name in {
                "id",
                "key",
                "query_string",
                "page",
                "url",
                "options",
                "alt",
                "value",
            }:
                continue
            for each in value if isinstance(value, (list, tuple)) or field.is_repeated else [value]:
                if isinstance(each, str):
                    yield each
                elif hasattr(each, "ListFields"):
                    yield from within(each)

    def walk(block: Any) -> Iterator[str]:
        for child in block.children.values():
            if hasattr(child, "children"):
                yield from walk(child)
            elif child.type == "table":
                yield from map(str, child.value.to_numpy().ravel())
            if getattr(child, "proto", None) is not None and child.type not in NO_MARKDOWN:
                yield from within(child.proto)

    yield from walk(at._tree)


@pytest.mark.parametrize(
    ("page", "view"), VIEWS_OF_PAGES, ids=lambda each: getattr(each, "stem", each)
)
def test_no_name_is_read_as_markdown(
    page: Any,
    view: str,
    shipped_runs: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    idle_jobs: Any,  # noqa: F811
) -> None:
    monkeypatch.setattr(store, "RUN_NAME", re.compile("[a-z0-9.-]+"))
    for like, name in (("digits-vae", NAME), ("digits-ae", f"2.{NAME}")):
        stored_like(like, name)
        latent.Analyse(name).run(Listener())
    job = idle_jobs.submit(latent.Analyse(NAME))
    job.what = NAME
    (shipped_runs / f"{NAME}!").mkdir()
    at = calm(opened(page, run=NAME, view=view, pins=[f"2.{NAME}"], other=f"2.{NAME}", job=job.id))
    found = list(markdown(at))
    assert any("www" in text for text in found)
    assert not [text for text in found if NAME in text]
