"""Picking map: effect of clicks and selections on its text fields."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from test_pack import opened as unpacked
from test_pages import shipped_runs  # noqa: F401

from aecore import data
from aecore.runs import store
from aecore.viewer import payload
from pages.app.messages import Selection
from pages.components import hosts, picking

pytestmark = pytest.mark.usefixtures("shipped_runs")
N = 360


def with_two_fields() -> None:
    import streamlit as st

    from aecore.runs import store
    from pages.components import picking

    st.text_input("Stops", "0, 1", key="stops", bind="query-params")
    st.text_input("Group", "5", key="group", bind="query-params")
    fields = {"stops": "the path", "group": "the group"}
    picking.picker(store.load("digits-ae"), fields, {"stops": 3})


def with_one_field() -> None:
    import streamlit as st

    from aecore.runs import store
    from pages.components import picking

    st.text_input("Stops", "0, 1", key="stops")
    picking.picker(store.load("digits-ae"), {"stops": "the path"})


Pick = Callable[..., AppTest]


@pytest.fixture
def pick(monkeypatch: pytest.MonkeyPatch) -> Pick:
    """Page after its map, a button in these tests, has sent these picks."""

    def component(key: str, on_picked_change: Callable[[], None], **asked: Any) -> None:
        st.button("told", on_click=on_picked_change)

    monkeypatch.setattr(hosts, "linked_maps", lambda: component)

    def told(at: AppTest, *events: dict[str, Any]) -> AppTest:
        at.session_state[picking.MAP] = {"picked": list(events)}
        at.button[0].click().run()
        assert not at.exception and not at.error
        return at

    return told


def click(sample: int, when: float) -> dict[str, Any]:
    return {"sample": sample, "when": when}


def selection(mask: np.ndarray, when: float, rows: int = N) -> dict[str, Any]:
    samples = payload.identity(np.arange(rows), data.get("digits"))
    text = base64.b64encode(np.packbits(mask)).decode()
    return {"samples": samples, "mask": text, "when": when}


def opened(script: Callable[[], None] = with_two_fields) -> AppTest:
    at = AppTest.from_function(script, default_timeout=60).run()
    assert not at.exception and not at.error
    return at


def held(at: AppTest, field: str = "stops") -> str:
    return at.text_input(key=field).value


def said(at: AppTest) -> list[str]:
    return [caption.value.replace("\\", "") for caption in at.caption]


# --- What is shown ------------------------------------------------------------------------------


def test_the_map_is_of_the_test_samples_and_marks_what_the_field_holds() -> None:
    at = opened(with_one_field)
    maps, marks = at.get("bidi_component")
    arrays, facts = unpacked(maps.proto.bytes)
    assert facts["mode"] == "pick" and [pane["key"] for pane in facts["panes"]] == ["bottleneck"]
    np.testing.assert_array_equal(arrays["rows"], np.arange(N))
    assert json.loads(marks.proto.json)["rows"] == [0, 1]
    assert not at.get("button_group")
    at.text_input(key="stops").set_value("7, x 12").run()
    again, marks = at.get("bidi_component")
    assert json.loads(marks.proto.json)["rows"] == [7, 12]
    assert again.proto == maps.proto  # the same content, so that the map stays as it is


def test_the_marks_follow_the_field_that_a_click_goes_to() -> None:
    at = opened()
    chooser = at.segmented_control[0]
    assert chooser.options == ["the path", "the group"] and chooser.value == "stops"
    chooser.set_value("group").run()
    assert json.loads(at.get("bidi_component")[1].proto.json)["rows"] == [5]


# --- Clicks -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "number", "most", "after"),
    [
        ("", 3, None, "3"),
        ("0, 1", 3, None, "0, 1, 3"),
        ("0 1", 1, None, "0"),
        ("3", 3, 1, ""),
        ("3", 4, 1, "4"),
        ("0, 1, 2", 3, 3, "1, 2, 3"),
        ("0, 1, 2", 1, 3, "0, 2"),
        ("0, x", 10, None, "0, x, 10"),
    ],
)
def test_a_click_adds_a_number_or_takes_it_out(
    text: str, number: int, most: int | None, after: str
) -> None:
    assert picking.clicked(text, number, most) == after


def test_clicks_go_to_the_chosen_field(pick: Pick) -> None:
    at = pick(opened(), click(17, 1.0))
    assert (held(at), held(at, "group")) == ("0, 1, 17", "5")
    at.segmented_control[0].set_value("group").run()
    pick(at, click(17, 1.0), click(9, 2.0))
    assert (held(at), held(at, "group")) == ("0, 1, 17", "5, 9")


def test_each_click_counts_once(pick: Pick) -> None:
    at = pick(opened(), click(17, 1.0))
    pick(at, click(17, 1.0))  # the same once more, as after a page was left
    assert held(at) == "0, 1, 17"
    # Two at once, because the page was busy; the first of three makes room.
    pick(at, click(17, 1.0), click(8, 2.0), click(17, 3.0))
    assert held(at) == "1, 8"


def test_a_quick_series_starts_from_what_became_of_the_last_click(pick: Pick) -> None:
    at = pick(opened(), click(17, 1.0))
    # The browser sends the text along that it had before it heard of the first click.
    at.text_input(key="stops").set_value("0, 1")
    pick(at, click(17, 1.0), click(8, 2.0))
    assert held(at) == "1, 17, 8"


def test_what_a_person_writes_between_clicks_stays(pick: Pick) -> None:
    at = pick(opened(), click(17, 1.0))
    at.text_input(key="stops").set_value("40")
    pick(at, click(17, 1.0), click(8, 2.0))
    assert held(at) == "40, 8"
    at.text_input(key="stops").set_value("40")
    pick(at, click(9, 9000.0))  # later, the earlier text is meant
    assert held(at) == "40, 9"


# --- Selections ---------------------------------------------------------------------------------


def test_a_selection_takes_the_place_of_what_was_there(pick: Pick) -> None:
    at = opened()
    at.segmented_control[0].set_value("group").run()
    pick(at, selection(np.arange(N) % 50 == 3, 1.0))
    assert held(at, "group") == "3, 53, 103, 153, 203, 253, 303, 353"
    assert not said(at)


def test_too_large_a_selection_is_drawn_from_and_said(pick: Pick) -> None:
    at = pick(opened(), selection(np.arange(N) >= 100, 1.0))
    numbers = [int(word) for word in held(at).split(", ")]
    assert len(numbers) == 3 and sorted(set(numbers)) == numbers and min(numbers) >= 100
    assert said(at) == ["3 of 260 selected samples are taken, drawn with seed 0."]
    at.text_input(key="stops").set_value("0, 1").run()
    assert not said(at)


def test_no_more_than_five_hundred_are_taken() -> None:
    text, told = picking.selected(np.arange(1234), picking.MOST)
    numbers = [int(word) for word in text.split(", ")]
    assert len(numbers) == 500 and sorted(set(numbers)) == numbers
    assert told == "500 of 1,234 selected samples are taken, drawn with seed 0."
    assert picking.selected(np.arange(1234), picking.MOST)[0] == text
    assert picking.selected(np.arange(500), picking.MOST)[1] == ""


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"mask": "%%%"}, "cannot be read"),
        ({"mask": base64.b64encode(bytes(3)).decode()}, "is of 24 samples instead of 360"),
        ({"samples": "mnist-0"}, "is of other samples than these"),
    ],
)
def test_a_selection_that_cannot_be_read_is_said_and_changes_nothing(
    pick: Pick, fault: dict[str, str], words: str
) -> None:
    at = pick(opened(), selection(np.ones(N, bool), 1.0) | fault)
    assert held(at) == "0, 1"
    (told,) = said(at)
    assert words in told and "select anew" in told


def test_the_selected_are_the_samples_of_the_mask() -> None:
    mask = np.random.default_rng(0).random(N) < 0.3
    found = picking.members(store.load("digits-ae"), Selection(**selection(mask, 1.0)))
    np.testing.assert_array_equal(found, np.flatnonzero(mask))
