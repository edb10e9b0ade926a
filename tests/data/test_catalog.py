"""Catalogue: stored datasets are visible to every process and can be trained on."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tampering
from conftest import Listener, run_config
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

from aecore import data, latent, projections
from aecore.applications import sample_quality
from aecore.cli import app
from aecore.data import Dataset, Samples, stored as own_data
from aecore.data.spec import DataSpec
from aecore.errors import Damaged, InvalidRequest
from aecore.projections import PCAProjection
from aecore.runs import store
from aecore.runs.train import Train


def spec(**changes: Any) -> DataSpec:
    facts = {
        "name": "flowers",
        "title": "Flowers that nobody has seen",
        "modality": "table",
        "shape": (5,),
        "n_train": 60,
        "n_test": 30,
        "label_names": ("red", "blue"),
        "source": "Invented",
        "licence": "CC0",
    }
    return DataSpec(**facts | changes)


def samples(n: int, d: int = 5, seed: int = 0) -> Samples:
    random = np.random.default_rng(seed)
    return Samples(random.random((n, d)).astype(np.float32), np.arange(n) % 2)


def add(**changes: Any) -> Dataset:
    described = spec(**changes)
    d = described.n_features
    return data.add(described, samples(described.n_train, d), samples(described.n_test, d, seed=1))


def pictures(name: str = "stripes") -> Dataset:
    return add(name=name, modality="image", shape=(4, 4), value_range=(0, 1))


# --- There and back -----------------------------------------------------------------------------


def test_a_stored_dataset_is_found_by_its_name_with_its_arrays() -> None:
    assert "flowers" not in data.names()
    stored = add()
    assert data.names()[-1] == "flowers"
    known = data.get("flowers")
    assert known.spec == spec() and known is stored
    np.testing.assert_array_equal(known.train.x, samples(60).x)
    np.testing.assert_array_equal(known.test.labels, np.arange(30) % 2)
    assert known.train.x.dtype == np.float32 and known.train.labels.dtype == np.int64
    assert not known.train.x.flags.writeable
    assert data.is_available("flowers") and data.is_available(known)
    assert known in data.entries()[0]


def test_another_process_sees_it_with_the_same_fingerprint() -> None:
    add()
    script = (
        "from aecore import data; d = data.get('flowers');"
        "print(d.fingerprint, d.train.x.sum().round(3))"
    )
    seen = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(own_data.__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    fingerprint, total = seen.stdout.split()
    assert fingerprint == data.get("flowers").fingerprint
    assert float(total) == pytest.approx(float(samples(60).x.sum()), abs=0.01)


def test_a_fingerprint_needs_no_array_and_changes_with_any_value(store_folder: Path) -> None:
    first = add().fingerprint
    (store_folder / "_datasets" / "flowers" / "arrays.safetensors").unlink()
    assert data.get("flowers").fingerprint == first
    own_data.remove("flowers")
    x, labels = samples(60)
    changed = x.copy()
    changed[3, 2] += 0.25
    other = data.add(spec(), Samples(changed, labels), samples(30, seed=1)).fingerprint
    assert other != first


def test_positions_are_stored_as_numbers() -> None:
    x, _ = samples(60)
    position = np.linspace(0, 1, 60)
    known = data.add(spec(label_names=()), (x, position), (x[:30], position[:30]))
    assert known.train.labels.dtype == np.float32
    np.testing.assert_allclose(known.train.labels, position, atol=1e-6)


def test_only_json_and_safetensors_are_written_and_nothing_is_left_aside(
    store_folder: Path,
) -> None:
    add()
    files = sorted(path.name for path in store_folder.rglob("*") if path.is_file())
    assert files == ["arrays.safetensors", "card.json"]
    assert [path.name for path in (store_folder / "_datasets").iterdir()] == ["flowers"]
    assert store.runs() == ([], [])


# --- What is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["iris", "mnist"])
def test_the_names_of_built_in_datasets_are_taken(name: str) -> None:
    with pytest.raises(InvalidRequest, match=f"name = '{name}' is taken"):
        add(name=name)


def test_a_name_is_given_once_and_upper_case_is_refused() -> None:
    add()
    with pytest.raises(InvalidRequest, match="name = 'flowers' is taken"):
        add()
    with pytest.raises(InvalidRequest, match="name = 'Flowers' is not possible: give up to 30"):
        add(name="Flowers")


def test_every_reason_is_given_at_once_and_nothing_is_stored(store_folder: Path) -> None:
    x, labels = samples(60)
    broken = x.copy()
    broken[0, 0] = np.nan
    with pytest.raises(InvalidRequest) as error:
        data.add(spec(name="Flowers"), (broken, labels), (x[:30, :4], labels[:30]))
    assert len(error.value.problems) == 3
    assert "train.x has values that are no finite numbers" in str(error.value)
    assert "test.x is of type float32 and shape (30, 4)" in str(error.value)
    assert not (store_folder / "_datasets").exists()


WRONG: dict[str, tuple[Any, Any, str]] = {
    "text": (np.full((60, 5), "a"), np.zeros(60), "train.x is of type"),
    "too few": (np.zeros((59, 5)), np.zeros(60), "shape .59, 5."),
    "infinite in single precision": (np.full((60, 5), 1e300), np.zeros(60), "no finite numbers"),
    "out of range": (np.full((60, 5), 1.5), np.zeros(60), "outside of value_range"),
    "a third class": (np.zeros((60, 5)), np.full(60, 2), "classes 0 to 1"),
    "half a class": (np.zeros((60, 5)), np.full(60, 0.5), "classes 0 to 1"),
    "no class": (np.zeros((60, 5)), np.full(60, np.nan), "no finite numbers"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_arrays_that_differ_from_the_specification_are_refused(wrong: str) -> None:
    x, labels, said = WRONG[wrong]
    with pytest.raises(InvalidRequest, match=said):
        data.add(spec(value_range=(0, 1)), (x, labels), samples(30))
    assert own_data.names() == []


def test_images_must_be_such_as_can_be_shown() -> None:
    with pytest.raises(InvalidRequest, match="scale pixels to"):
        add(modality="image", shape=(4, 4), value_range=(0, 255))


def test_a_removed_dataset_is_unknown_and_only_stored_ones_can_be_removed() -> None:
    add()
    own_data.remove("flowers")
    with pytest.raises(InvalidRequest, match="Unknown dataset 'flowers'"):
        data.get("flowers")
    for name in ("flowers", "iris", "../x"):
        with pytest.raises(InvalidRequest, match="Unknown stored dataset"):
            own_data.remove(name)


# --- Damage -------------------------------------------------------------------------------------


def use(name: str) -> list[str]:
    """Problems of a stored dataset; empty if all of it can be read."""
    try:
        dataset = data.get(name)
        assert len(dataset.train.x) + len(dataset.test.x) > 0
    except Damaged as error:
        return error.problems
    return []


@pytest.mark.parametrize("seed", range(48))
def test_a_damaged_dataset_is_named_and_hides_no_other(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if seed % 3 == 0:
        monkeypatch.setattr(own_data, "MAPPED_FROM", 0)
    add()
    pictures("healthy")
    folder, chance = own_data.root() / "flowers", random.Random(seed)
    card, arrays = folder / "card.json", folder / "arrays.safetensors"
    certain = True
    if seed % 4 == 0:
        changed = tampering.change_json(json.loads(card.read_text()), chance)
        card.write_text(json.dumps(changed) + " " * 10)
        certain = False  # a title may be any
    elif seed % 4 == 1:
        damages = tampering.ARRAY_DAMAGES | tampering.VALUE_DAMAGES
        tampering.change_arrays(arrays, chance, damages)
    elif seed % 4 == 2:
        damage = sorted(tampering.FILE_DAMAGES)[seed % len(tampering.FILE_DAMAGES)]
        tampering.FILE_DAMAGES[damage](arrays)
    else:
        card.write_bytes(
            chance.choice((b"", b"{", b"[" * 100_000, b"null", b"\xff", b" " * 9_000_000))
        )
    problems = use("flowers")
    assert problems or not certain
    for fault in problems:
        assert "'flowers' is damaged" in fault and fault.isprintable()
    usable, damaged = data.entries()
    assert "healthy" in [each.name for each in usable]
    assert all("'flowers' is damaged" in sentence for sentence in damaged)
    assert use("healthy") == []


def test_a_path_is_no_name() -> None:
    add()
    assert own_data.entry("flowers/../flowers") is None
    with pytest.raises(InvalidRequest, match="Unknown dataset"):
        data.get("flowers/../flowers")


def test_a_card_of_an_absurd_size_is_not_read() -> None:
    add()
    with (own_data.root() / "flowers" / "card.json").open("a") as card:
        card.write(" " * own_data.MAX_CARD)
    with pytest.raises(Damaged, match="is larger than"):
        data.get("flowers")


@pytest.mark.parametrize("array", own_data.array_names())
def test_another_possible_value_of_an_array_is_detected(array: str) -> None:
    add()
    path = own_data.root() / "flowers" / "arrays.safetensors"
    arrays = load_file(path)
    values = arrays[array]
    values[[0, 1]] = values[[1, 0]]
    save_file(arrays, path)
    with pytest.raises(Damaged, match=f"{array} has changed since it was stored"):
        getattr(data.get("flowers"), array.partition(".")[0])


def test_a_folder_without_a_card_is_named(store_folder: Path) -> None:
    (store_folder / "_datasets" / "nothing").mkdir(parents=True)
    (store_folder / "_datasets" / "No Name").mkdir()
    (store_folder / "_datasets" / ".aside").mkdir()
    assert own_data.names() == ["nothing"]
    assert "card.json cannot be read" in data.entries()[1][0]


def test_large_arrays_are_mapped_and_outlast_their_removal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(own_data, "MAPPED_FROM", 0)
    add()
    mapped = own_data.read(own_data.entry("flowers"), "train")
    assert isinstance(mapped[0].base, np.memmap) and not mapped[0].flags.writeable
    own_data.remove("flowers")
    np.testing.assert_array_equal(mapped[0], samples(60).x)
    np.testing.assert_array_equal(mapped[1], samples(60).labels)
    assert mapped[0].dtype == np.float32 and mapped[1].dtype == np.int64


# --- Runs ---------------------------------------------------------------------------------------


def trained(dataset: str = "flowers", name: str = "own", **more: Any) -> store.Run:
    return Train(run_config(dataset, **more), name).run(Listener())


def test_a_run_of_a_stored_dataset_is_trained_analysed_and_projected() -> None:
    add()
    run = trained()
    assert run == store.load("own")
    assert run.spec == data.get("flowers").described()
    latent.Analyse("own").run(Listener())
    assert latent.analysis_artifact(run).load().facts["complete"]
    flowers = projections.Project("flowers", PCAProjection()).run(Listener())
    assert flowers.plane.shape == (30, 2)


def test_images_of_a_stored_dataset_get_sheets_and_convolutions() -> None:
    dataset = pictures()
    trained("stripes", variant="conv", model={"channels": (2,)})
    projections.Prepare("stripes").run(Listener())
    for split, file in projections.sprite_files("stripes", dataset.fingerprint).items():
        assert projections.stored_sprite(file, projections.sprite_size(dataset, split))


def test_a_run_opens_without_its_dataset_and_says_what_is_missing() -> None:
    add()
    trained(variant="vae")
    own_data.remove("flowers")
    found, broken = store.runs()
    assert [run.name for run in found] == ["own"] and broken == []
    run = found[0]
    assert run.codes["codes"].shape == (30, 2)
    assert run.model() is not None and run.dataset.label_names == ("red", "blue")
    missing = run.dataset.missing
    assert "'flowers' are missing" in missing and "not in the catalogue" in missing
    assert not data.is_available(run.dataset) and not run.has_data()
    latent.Analyse("own").run(Listener())
    arrays, facts = latent.analysis_artifact(run).load()
    assert facts["complete"] is False and "cycle_error" in arrays
    for compute in (
        lambda: run.dataset.train,
        lambda: sample_quality.MeasureSamples("own").run(Listener()),
    ):
        with pytest.raises(InvalidRequest) as error:
            compute()
        assert error.value.problems == [missing]
    add()
    assert store.load("own").dataset.missing == "" and store.load("own").has_data()


@pytest.mark.parametrize(
    "change", [{"n_train": 61}, {"n_test": 31}, {"shape": (6,)}, {"label_names": ("red", "green")}]
)
def test_a_run_opens_where_its_dataset_is_another(change: dict[str, Any]) -> None:
    add()
    trained()
    own_data.remove("flowers")
    add(**change)
    run = store.load("own")
    assert run.spec.agrees(spec()) and run.codes["codes"].shape == (30, 2)
    assert run.dataset.missing == run.data_changed
    with pytest.raises(InvalidRequest, match="has changed since the run 'own' was trained on it"):
        latent.refuse_changed(run, run.dataset)


def test_a_run_opens_where_only_values_of_its_dataset_are_others() -> None:
    add()
    trained()
    own_data.remove("flowers")
    data.add(spec(), samples(60, seed=5), samples(30, seed=6))
    assert store.load("own").dataset.missing == store.load("own").data_changed


def test_a_run_of_a_damaged_dataset_opens_and_names_the_damage() -> None:
    add()
    trained()
    (own_data.root() / "flowers" / "card.json").write_text("{")
    run = store.load("own")
    assert "'flowers' is damaged" in run.dataset.missing
    assert run.model() is not None


def test_a_run_of_an_earlier_version_opens_where_a_built_in_dataset_has_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trained("iris")
    path = store.root() / "own" / "manifest.json"
    manifest = json.loads(path.read_text())
    assert manifest.pop("data")["name"] == "iris"
    path.write_text(json.dumps(manifest))
    whole = data.get("iris")
    assert store.load("own").dataset is whole
    monkeypatch.setitem(data.DATASETS, "iris", whole.derived(n_test=49))
    run = store.load("own")
    assert (run.spec.n_test, run.codes["codes"].shape) == (50, (50, 2))
    assert run.dataset.missing == run.data_changed


# --- The command line ---------------------------------------------------------------------------


def test_the_command_line_lists_and_trains_on_a_stored_dataset() -> None:
    add()
    (own_data.root() / "broken").mkdir()
    listed = CliRunner().invoke(app, ["datasets", "--json"])
    assert listed.exit_code == 0
    rows = {row["name"]: row for row in json.loads(listed.stdout)}
    assert (rows["flowers"]["modality"], rows["flowers"]["train"]) == ("table", 60)
    assert "broken" not in rows and "'broken' is damaged" in listed.stderr.replace("\n", " ")
    options = [
        "--dataset",
        "flowers",
        "--variant",
        "ae",
        "--epochs",
        "1",
        "--name",
        "own",
        "--device",
        "cpu",
    ]
    done = CliRunner().invoke(app, ["train", *options, "--json"])
    assert done.exit_code == 0, done.stderr
    assert store.load("own").spec.name == "flowers"


def test_an_unknown_dataset_gets_the_nearest_stored_one() -> None:
    add()
    with pytest.raises(InvalidRequest, match="did you mean 'flowers'"):
        data.get("flower")
