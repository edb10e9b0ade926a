"""Artifacts: save and load are equal, foreign ones are ignored, damaged ones are reported."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from pydantic import BaseModel, TypeAdapter
from safetensors.numpy import save as to_bytes

from aecore import artifacts
from aecore.artifacts import Array, Artifact, Size
from aecore.errors import Damaged
from aecore.runs import store
from pages.app import cache, state

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Steps(NamedTuple):
    """Test artifact of an array and facts."""

    places: np.ndarray
    title: str


class Facts(BaseModel):
    title: str
    most: int = 10


def build(arrays: dict[str, np.ndarray], facts: Facts) -> Steps | None:
    if facts.title == "of long ago":
        return None
    if facts.title != facts.title.strip():
        raise Damaged("its title is not stripped")
    return Steps(arrays["places"], facts.title)


def expected(facts: Facts) -> Mapping[str, Array]:
    return {"places": Array((Size("steps", facts.most), 2), low=0, high=1)}


@pytest.fixture
def stored(store_folder: Path) -> Artifact[Steps]:
    return Artifact(
        path=store_folder / "run" / "steps.safetensors",
        created=CREATED,
        facts=TypeAdapter(Facts),
        expected=expected,
        dump=lambda steps: ({"places": steps.places}, {"title": steps.title}),
        build=build,
    )


def steps(n: int = 3, title: str = "first") -> Steps:
    return Steps(np.random.default_rng(n).random((n, 2)), title)


def test_what_was_not_computed_is_none(stored: Artifact[Steps]) -> None:
    assert stored.load() is None and stored.load_intact() is None
    stored.path.mkdir(parents=True)  # a folder is no file
    assert stored.load() is None


def test_what_is_saved_is_loaded(stored: Artifact[Steps]) -> None:
    stored.save(steps())
    for load in (stored.load, stored.load_intact):
        places, title = load()
        np.testing.assert_array_equal(places, steps().places)
        assert title == "first" and not places.flags.writeable
    stored.save(steps(5, "second"))
    assert stored.load().title == "second" and len(stored.load().places) == 5
    assert [path.name for path in stored.path.parent.iterdir()] == ["steps.safetensors"]


def test_what_is_of_another_run_of_the_name_is_none(stored: Artifact[Steps]) -> None:
    stored.save(steps())
    later = replace(stored, created=CREATED + timedelta(seconds=1))
    assert later.load() is None
    later.save(steps(4))
    assert stored.load() is None and len(later.load().places) == 4


def test_what_is_of_a_dataset_is_of_any_run(stored: Artifact[Steps]) -> None:
    shared = replace(stored, created=None)
    shared.save(steps())
    assert shared.load().title == "first"
    with pytest.raises(Damaged, match="does not say of which run it is"):
        stored.load()


def test_what_was_computed_by_other_settings_is_none(stored: Artifact[Steps]) -> None:
    stored.save(steps(title="of long ago"))
    assert stored.load() is None


def file_of(arrays: dict[str, np.ndarray], **facts: Any) -> bytes:
    stated = {"created": CREATED.isoformat(), "title": "first"} | facts
    return to_bytes(arrays, {"json": json.dumps(stated)})


PLACES = np.full((3, 2), 0.5)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a readable safetensors file"),
        (b"\xff" * 100, "its header would be of"),
        (file_of({}), "places is missing"),
        (file_of({"places": PLACES, "more": PLACES}), "more is not known"),
        (file_of({"places": PLACES.T.copy()}), "places is of shape (2, 3) instead of (steps, 2)"),
        (file_of({"places": np.zeros((11, 2))}), "places is of shape (11, 2)"),
        (file_of({"places": np.zeros((11, 2))}, most=9), "places is of shape (11, 2)"),
        (file_of({"places": PLACES.astype(np.int32)}), "places is of type I32"),
        (file_of({"places": PLACES + 1}), "places holds values outside of 0 to 1"),
        (file_of({"places": PLACES * np.nan}), "places holds values that are no finite numbers"),
        (file_of({"places": PLACES}, title=7), "title: Input should be a valid string"),
        (file_of({"places": PLACES}, title=" x"), "its title is not stripped"),
        (file_of({"places": PLACES}, created=None), "it does not say of which run it is"),
        (to_bytes({"places": PLACES}, {"json": "[1"}), "Expecting"),
        (to_bytes({"places": PLACES}, {"json": "[1]"}), "list"),
    ],
)
def test_what_is_damaged_is_named_with_its_file(
    stored: Artifact[Steps], content: bytes, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    stored.path.parent.mkdir(parents=True)
    stored.path.write_bytes(content)
    with pytest.raises(Damaged) as error:
        stored.load()
    (fault,) = error.value.problems
    assert fault.startswith(f"{stored.path} is damaged (") and reason in fault
    assert fault.endswith("): compute it again.") and fault.isprintable()
    with caplog.at_level(logging.WARNING):
        assert stored.load_intact() is None
    assert caplog.messages == [fault]
    stored.save(steps())
    assert stored.load_intact() is not None


def test_facts_of_an_absurd_size_are_not_read(
    stored: Artifact[Steps], monkeypatch: pytest.MonkeyPatch
) -> None:
    stored.save(steps())
    monkeypatch.setattr(artifacts, "MAX_FACTS", 20)
    with pytest.raises(Damaged, match="its header would be of"):
        stored.load()


def test_a_store_that_cannot_be_written_is_a_sentence(stored: Artifact[Steps]) -> None:
    store.root().mkdir()
    stored.path.parent.write_text("in the way")
    with pytest.raises(ValueError, match=r"a file is in the place of a folder.*set AECORE_STORE"):
        stored.save(steps())


# --- On the pages -------------------------------------------------------------------------------


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Sentences given to the page."""
    said: list[str] = []
    monkeypatch.setattr(state, "note", said.append)
    return said


def test_a_page_reads_a_file_once_and_again_when_it_changes(
    stored: Artifact[Steps], notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cache.artifact(stored) is None
    stored.save(steps())
    first = cache.artifact(stored)
    assert cache.artifact(replace(stored)) is first
    stored.save(steps(title="second"))
    assert cache.artifact(stored).title == "second"
    other = replace(stored, path=stored.path.with_name("others.safetensors"))
    other.save(steps(title="third"))
    assert cache.artifact(other).title == "third" and cache.artifact(stored).title == "second"
    assert cache.artifact(replace(stored, created=CREATED + timedelta(1))) is None
    stored.path.unlink()
    assert cache.artifact(stored) is None
    assert not notes


def test_a_page_says_what_is_damaged(stored: Artifact[Steps], notes: list[str]) -> None:
    stored.path.parent.mkdir(parents=True)
    stored.path.write_bytes(b"damaged")
    for _ in range(2):
        assert cache.artifact(stored) is None
    assert len(notes) == 2 and all(str(stored.path) in note for note in notes)
    stored.save(steps())
    assert cache.artifact(stored) is not None
