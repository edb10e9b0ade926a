"""Titles, notes, tags and stars of runs, and deletions that are undone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Listener, run_config
from typer.testing import CliRunner

from aecore.cli import app
from aecore.errors import Damaged, InvalidRequest
from aecore.runs import deleted, description, store
from aecore.runs.train import Train


def train(name: str, variant: str = "ae") -> store.Run:
    return Train(run_config(variant=variant, epochs=1), name, resumable=False).run(Listener())


# --- Descriptions -------------------------------------------------------------------------------


def test_a_description_is_kept_beside_the_run_and_changed_in_parts() -> None:
    run = train("first")
    assert description.read(run) == description.Description()
    description.write(run, title="  My run ", tags=["a", "b"])
    description.write(run, star=True, note="two\nlines")
    found = description.read(store.load("first"))
    assert found == description.Description(
        title="My run", tags=("a", "b"), star=True, note="two\nlines"
    )
    assert [each.name for each in store.runs()[0]] == ["first"]


def test_every_problem_of_a_description_is_said_and_nothing_is_written() -> None:
    run = train("first")
    with pytest.raises(InvalidRequest) as error:
        description.write(run, title="t" * 121, tags=["", "x" * 41], stars=True)
    problems = error.value.problems
    assert [each.split(" = ")[0] for each in problems] == ["title", "tags", "tags", "stars"]
    assert [each.split(": ")[1] for each in problems[:3]] == [
        "give at most 120 characters.",
        "give at least 1 character.",
        "give at most 40 characters.",
    ]
    assert description.read(run) == description.Description()


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"title": 3}', b'{"x": 1}', b"{}" + b" " * 65_535, b"\xff"]
)
def test_a_damaged_description_is_named_and_can_be_written_again(content: bytes) -> None:
    run = train("first")
    (run.folder / "description.json").write_bytes(content)
    with pytest.raises(Damaged, match="description of the run 'first' is damaged"):
        description.read(run)
    description.write(run, title="again")
    assert description.read(run).title == "again"


def test_titles_are_given_or_typed_names_or_settings_in_words_and_equal_ones_are_numbered() -> None:
    names = ["iris-ae-2d-0123ab", "iris-ae-2d-4567cd", "iris-vae-2d-89abef", "typed", "given"]
    for name in names:
        train(name, "vae" if "vae" in name else "ae")
    ordered = store.runs()[0]
    given = ["Mine" if run.name == "given" else "" for run in ordered]
    assert [description.titles(ordered, given)[name] for name in names] == [
        "Iris · Plain autoencoder · 2-D",
        "Iris · Plain autoencoder · 2-D (2)",
        "Iris · Variational autoencoder · 2-D",
        "typed",
        "Mine",
    ]


def test_no_title_is_that_of_two_runs() -> None:
    for name in ("a", "b", "c"):
        train(name)
    ordered = store.runs()[0]
    given = {"a": "Mine", "b": "Mine (2)", "c": "Mine"}
    titles = description.titles(ordered, [given[run.name] for run in ordered])
    assert titles == {"a": "Mine", "b": "Mine (2)", "c": "Mine (3)"}


def test_a_name_that_is_made_is_known_as_such() -> None:
    config = run_config()
    assert store.is_automatic(store.free_name(config), config)
    assert not store.is_automatic("iris-ae-2d", config)


# --- Deleting -----------------------------------------------------------------------------------


def test_a_deleted_run_is_gone_and_comes_back_as_it_was() -> None:
    run = train("first")
    description.write(run, title="Mine")
    before = {path.name: path.read_bytes() for path in run.folder.iterdir()}
    deleted.delete("first")
    assert store.runs() == ([], []) and deleted.names() == ["first"]
    deleted.restore("first")
    assert {path.name: path.read_bytes() for path in run.folder.iterdir()} == before
    assert store.load("first") == run and deleted.names() == []


def test_of_two_deleted_runs_of_a_name_the_last_comes_back() -> None:
    train("run")
    deleted.delete("run")
    second = train("run", "vae")
    deleted.delete("run")
    assert deleted.names() == ["run"]
    deleted.restore("run")
    assert store.load("run").manifest == second.manifest
    with pytest.raises(InvalidRequest, match="name = 'run' is taken"):
        deleted.restore("run")
    assert store.load("run").manifest == second.manifest


def test_the_oldest_of_many_deleted_runs_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deleted, "KEPT", 2)
    for name in ("a", "b", "c"):
        train(name)
        deleted.delete(name)
    assert deleted.names() == ["c", "b"]
    with pytest.raises(InvalidRequest, match="Unknown deleted run 'a'"):
        deleted.restore("a")


@pytest.mark.parametrize("name", ["", "..", "../x", "_deleted", "nobody"])
def test_no_name_leads_out_of_the_store(name: str, store_folder: Path) -> None:
    run = train("first")
    for refuse in (deleted.delete, deleted.restore):
        with pytest.raises(InvalidRequest, match="Unknown"):
            refuse(name)
    assert store.runs()[0] == [run]


def test_a_run_that_is_being_trained_is_not_deleted() -> None:
    train("first")
    with store.Reservation("first"), pytest.raises(InvalidRequest, match="being trained already"):
        deleted.delete("first")
    assert store.load("first")


def test_a_run_that_ships_is_described_in_the_store_and_never_deleted(
    tmp_path: Path, store_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train("shipped")
    layer = tmp_path / "layer"
    store_folder.rename(layer)
    monkeypatch.setattr("aecore.locations.shipped", lambda: layer)
    run = store.load("shipped")
    description.write(run, star=True)
    assert description.read(store.load("shipped")).star
    assert not (layer / "shipped" / "description.json").exists()
    with pytest.raises(InvalidRequest, match="ships with the package"):
        deleted.delete("shipped")
    assert description.read(store.load("shipped")).star


# --- On the command line ------------------------------------------------------------------------


def call(*words: str) -> str:
    outcome = CliRunner().invoke(app, words)
    assert outcome.exit_code == 0, outcome.output
    return outcome.stdout


def test_runs_are_described_deleted_and_restored_by_commands() -> None:
    train("first")
    call("describe", "first", "--title", "Mine", "--tag", "a", "--tag", "b", "--star")
    said = json.loads(call("describe", "first", "--json"))
    assert said == {"run": "first", "title": "Mine", "note": "", "tags": ["a", "b"], "star": True}
    call("describe", "first", "--title", "", "--tag", "", "--no-star")
    (row,) = json.loads(call("runs", "--json"))["runs"]
    assert (row["title"], row["tags"], row["star"]) == ("", [], False)
    assert "restore first" in call("delete", "first")
    assert json.loads(call("restore", "--json")) == [{"run": "first"}]
    call("restore", "first")
    assert store.load("first")
    assert json.loads(call("delete", "first", "--json")) == {"deleted": "first"}
    assert json.loads(call("restore", "first", "--json")) == {"restored": "first"}
    assert store.load("first")
    outcome = CliRunner().invoke(app, ["delete", "nobody"])
    assert outcome.exit_code == 2 and "Unknown run 'nobody'" in outcome.output
