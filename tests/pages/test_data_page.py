"""The page Data without a browser: a file is reported, stored, shown and removed."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import wait_until
from PIL import Image
from streamlit.testing.v1 import AppTest
from test_pages import ROOT, opened

from aecore import data, locations
from aecore.data import stored
from pages.views.data import roles
from pages.views.data.form import free_name

PAGE = ROOT / "pages" / "data.py"


def table(rows: int = 60) -> bytes:
    lines = ["height,width,kind"]
    lines += [f"{row % 7},{row * 0.5},{'ab'[row % 2]}" for row in range(rows)]
    return "\n".join(lines).encode()


def images() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for number in range(12):
            image = io.BytesIO()
            Image.new("L", (8, 6), 20 * number).save(image, "PNG")
            archive.writestr(f"{'ab'[number % 2]}/{number}.png", image.getvalue())
        archive.writestr("a/broken.png", b"no image")
    return content.getvalue()


def given(name: str, content: bytes) -> AppTest:
    at = opened(PAGE)
    at.file_uploader[0].upload(name, content).run()
    assert not at.exception
    return at


def store(at: AppTest) -> AppTest:
    next(button for button in at.button if button.label == "Store").click().run()
    return at


def said(at: AppTest) -> str:
    return "\n".join(each.value for each in (*at.markdown, *at.caption, *at.error))


def test_a_table_is_reported_before_it_is_stored() -> None:
    at = given("My Plants.csv", table())
    assert "of 60 samples, each of 2 features, labelled by *kind* (2 classes): 48" in said(at)
    assert "my-plants" not in data.names()
    store(at)
    assert not at.error
    assert "my-plants" in data.names() and "my-plants" in at.query_params["dataset"]
    assert "48 samples to train on, 12 to test on" in said(at)
    first = next(each.value for each in at.dataframe if "height" in each.value)
    test = data.get("my-plants").test
    assert set(first["label"]) == {"a", "b"} and len(first) == min(12, len(test.x))
    assert first["width"].between(0, 30).all()  # in its own units


def test_a_choice_changes_the_report_and_what_is_stored() -> None:
    at = given("plants.csv", table())
    next(each for each in at.selectbox if each.label == "Label").select("none").run()
    assert "each of 4 features" in said(at)
    next(each for each in at.selectbox if each.label == "Scale").select("unit-range").run()
    store(at)
    assert data.get("plants").n_classes == 0 and data.get("plants").value_range == (0, 1)


def test_images_are_stored_and_those_that_are_broken_named() -> None:
    at = given("shades.zip", images())
    assert "each of 6 x 8 pixels" in said(at) and "a/broken.png" in said(at)
    store(at)
    assert data.get("shades").shape == (6, 8)
    assert np.ptp(data.get("shades").train.x) > 0.5


def test_what_is_refused_is_said_and_the_form_keeps_its_choices() -> None:
    at = given("plants.csv", table())
    next(each for each in at.selectbox if each.label == "Scale").select("none").run()
    next(each for each in at.text_input if each.label == "Name of the dataset").input("iris").run()
    store(at)
    assert "'iris' is taken" in at.error[0].value
    assert next(each for each in at.selectbox if each.label == "Scale").value == "none"


@pytest.mark.parametrize(
    ("name", "content"), [("a.csv", b""), ("a.zip", b"PK"), ("a.npy", b"x" * 40)]
)
def test_a_file_that_cannot_be_read_is_refused_in_a_sentence(name: str, content: bytes) -> None:
    at = given(name, content)
    assert name in at.error[0].value
    assert [each.value for each in at.subheader] == ["All datasets"]


def test_a_path_on_this_machine_is_read(tmp_path: Path) -> None:
    (tmp_path / "plants.csv").write_bytes(table())
    at = opened(PAGE)
    path = next(each for each in at.text_input if "path" in each.label)
    path.input(str(tmp_path / "plants.csv")).run()
    assert "of 60 samples" in said(at)
    path = next(each for each in at.text_input if "path" in each.label)
    path.input(str(tmp_path / "none.csv")).run()
    assert "none.csv is no file" in at.error[0].value


def test_a_stored_dataset_is_removed_after_a_question() -> None:
    store(given("plants.csv", table()))
    at = opened(PAGE, dataset="plants")
    next(button for button in at.button if button.label == "Remove it").click().run()
    assert "plants" not in data.names() and not at.exception


def test_a_name_is_made_of_the_file_and_of_none_that_is_taken() -> None:
    assert free_name("Ünïted  Stätes.csv") == "united-states"
    assert free_name("...") == "data"
    assert free_name("iris.data.csv") == "iris-2"


# --- Roles of columns ---------------------------------------------------------------------------


def with_days() -> bytes:
    first, *rows = table().decode().split("\n")
    days = [f"2020-01-{at % 28 + 1:02}" for at in range(len(rows))]
    return "\n".join([f"{first},day", *map(",".join, zip(rows, days, strict=True))]).encode()


def number_of(at: AppTest) -> str:
    """Number of the file of the form, which its keys end with."""
    key = next(each.key for each in at.selectbox if each.label == "Label")
    return str(key).removeprefix("label-")


def roles_of(at: AppTest) -> dict[str, str]:
    shown = next(each.value for each in at.dataframe if "Used as" in each.value)
    return dict(zip(shown["Column"], shown["Used as"], strict=True))


def test_each_column_has_a_role_that_can_be_changed() -> None:
    at = given("plants.csv", with_days())
    guessed = {"height": "feature", "width": "feature", "kind": "label", "day": "metadata"}
    assert roles_of(at) == guessed
    at.session_state[f"roles-{number_of(at)}"] = {"width": "metadata", "day": "left out"}
    at.run()
    assert roles_of(at) == guessed | {"width": "metadata", "day": "left out"}
    assert "each of 1 feature," in said(at)
    store(at)
    assert not at.error and data.get("plants").columns("test").keys() == {"width"}


def test_an_edit_of_the_table_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    file = SimpleNamespace(number="1")
    known = {"key": {"edited_rows": {0: {"Used as": "metadata"}, 1: {"Used as": "label"}}}}
    monkeypatch.setattr(roles.state, "value", lambda key, default=None: known.get(key, default))
    monkeypatch.setattr(roles.state, "put", known.update)
    roles._edited(file, "key", ["kind", "width", "day"], ["label", "feature", "metadata"])
    assert known["roles-1"] == {"kind": "metadata"} and known["label-1"] == "width"
    known["key"] = {"edited_rows": {1: {"Used as": "left out"}}}
    roles._edited(file, "key", ["kind", "width"], ["metadata", "split"])
    assert known["roles-1"] == {"kind": "metadata", "width": "left out"}
    assert known["split_by-1"] == "random"


# --- A second file, and large ones --------------------------------------------------------------


def test_a_second_file_is_prepared_as_the_first_was() -> None:
    store(given("plants.csv", table()))
    at = opened(PAGE, dataset="plants")
    at = opened(PAGE, like="plants", dataset="plants")
    assert "prepared as *plants* was" in said(at)
    at.file_uploader[0].upload("more.csv", table(30).replace(b"width", b"girth")).run()
    assert "Column 'width' is missing" in at.error[0].value
    assert not any(each.label == "Scale" for each in at.selectbox)
    at.file_uploader[0].upload("more.csv", table(30)).run()
    assert not at.error and "Prepared as" not in said(at)
    store(at)
    assert not at.error and not at.exception and "like" not in at.query_params
    card = stored.entry("more").card
    assert card.preparation.columns == stored.entry("plants").card.preparation.columns
    assert card.preparation.decisions[0] == "Prepared as 'plants' was."


def test_a_large_file_is_stored_by_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aecore.data.importers.formats.LARGE", 0)
    monkeypatch.setattr("aecore.data.importers.table.PREVIEWED_BYTES", 200)
    at = given("plants.csv", table())
    assert "Only the first" in said(at)
    store(at)
    assert not at.error and not at.exception
    wait_until(lambda: "plants" in data.names())
    assert data.get("plants").n_train == 48
    folder = locations.store() / "_incoming"
    wait_until(lambda: not list(folder.iterdir()))
