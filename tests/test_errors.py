"""Error messages: sentences for the user."""

from __future__ import annotations

from aecore.errors import InvalidRequest, unknown


def test_one_sentence_is_a_list_of_one() -> None:
    assert InvalidRequest("epochs = 0.").problems == ["epochs = 0."]


def test_every_fault_gets_a_line() -> None:
    error = InvalidRequest(text for text in ("First.", "Second."))
    assert error.problems == ["First.", "Second."]
    assert str(error) == "First.\nSecond."


def test_a_misspelt_name_gets_the_nearest_one() -> None:
    text = unknown("dataset", "iriss", iter(["wine", "iris"]))
    assert text == "Unknown dataset 'iriss': did you mean 'iris'? Known: wine, iris."


def test_a_name_like_no_other_gets_the_list_alone() -> None:
    assert unknown("dataset", "qqq", ["iris"]) == "Unknown dataset 'qqq'. Known: iris."


def test_a_name_that_is_no_text_is_unknown_too() -> None:
    assert unknown("run", 7, ["a"]).startswith("Unknown run '7'.")


def test_where_nothing_is_known_the_sentence_is_still_whole() -> None:
    assert "Known: ." not in unknown("run", "a", [])
