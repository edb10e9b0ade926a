"""Models and codes on the page Data: what was understood, what is wrong, and the job."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_files
import pytest
from conftest import Listener
from streamlit.testing.v1 import AppTest
from test_pages import ROOT, idle_jobs, opened

from aecore import data
from aecore.runs import imports, store
from pages.app import cache

__all__ = ["idle_jobs"]
PAGE = ROOT / "pages" / "data.py"


def said(at: AppTest) -> str:
    return "\n".join(each.value for each in (*at.markdown, *at.caption, *at.error))


def field(at: AppTest, label: str) -> object:
    return next(each for each in at.file_uploader if each.label == label)


def given(kind: str, **files: tuple[str, bytes]) -> AppTest:
    at = opened(PAGE, add=kind)
    for label, (name, content) in files.items():
        at = field(at, label).upload(name, content).run()
    assert not at.exception
    return at


def pressed(at: AppTest) -> imports.Import:
    next(button for button in at.button if button.label == "Import").click().run()
    assert not at.exception and not at.error
    (job,) = cache.jobs().all()
    return job.task


def test_a_model_is_understood_and_imported_by_a_job(store_folder: Path) -> None:
    encoder = onnx_files.linear(64, 2).SerializeToString()
    decoder = onnx_files.linear(2, 64).SerializeToString()
    at = given("A model", Encoder=("e.onnx", encoder), Decoder=("d.onnx", decoder))
    assert "gives codes of 2 dimensions, which are points" in said(at)
    assert not store.names()
    task = pressed(at)
    assert task.dataset == "digits" and (store_folder / task.staged).is_dir()
    run = task.run(Listener())
    assert run.name == task.name == "model" and not (store_folder / task.staged).exists()


def test_codes_are_understood_and_imported_by_a_job(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    np.savez(path, codes=np.random.default_rng(0).normal(size=(40, 5)), labels=np.arange(40) % 2)
    at = given("Codes", Codes=("My codes.npz", path.read_bytes()))
    assert "40 codes of 5 dimensions, in 2 classes" in said(at)
    run = pressed(at).run(Listener())
    assert run.name == "my-codes" and "my-codes" in data.stored.names()


@pytest.mark.parametrize(
    ("content", "wanted"),
    [(b"", "is empty"), (b"text", "is no ONNX file")],
)
def test_what_is_wrong_is_a_sentence_beside_the_fields(content: bytes, wanted: str) -> None:
    at = given("A model", Encoder=("e.onnx", content))
    assert wanted in said(at) and not [each for each in at.button if each.label == "Import"]


def test_a_name_that_is_taken_is_said_and_nothing_is_begun() -> None:
    encoder = onnx_files.linear(64, 2).SerializeToString()
    at = given("A model", Encoder=("e.onnx", encoder))
    (name,) = [each for each in at.text_input if each.label == "Name of the run"]
    name.set_value("No name").run()
    next(button for button in at.button if button.label == "Import").click().run()
    assert "'No name' is not possible" in said(at) and not cache.jobs().all()
