"""Payload of the linked maps, decoded again."""

from __future__ import annotations

import base64
import json
import shutil
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from conftest import Listener, run_config
from safetensors.numpy import load

from aecore import data, latent, projections
from aecore.data import Subset, importers
from aecore.errors import InvalidRequest
from aecore.plots import colors
from aecore.projections import Map
from aecore.runs import store
from aecore.runs.train import Train
from aecore.viewer import payload

ROOT = Path(__file__).parents[2]
DIGITS = data.get("digits")
IRIS = data.get("iris")


@pytest.fixture(params=["digits-ae", "digits-vae"])
def shipped(request: pytest.FixtureRequest, store_folder: Path) -> store.Run:
    """A shipped run, in the test's own store, not analysed yet."""
    return copied(request.param, store_folder)


@pytest.fixture
def analysed(shipped: store.Run) -> store.Run:
    latent.Analyse(shipped.name).run(Listener())
    return shipped


def copied(name: str, folder: Path) -> store.Run:
    without_analysis = shutil.ignore_patterns("latent.safetensors")
    shutil.copytree(ROOT / "models_store" / name, folder / name, ignore=without_analysis)
    return store.load(name)


def trained(dataset: str = "digits", **settings: Any) -> store.Run:
    """A small analysed run."""
    run = Train(run_config(dataset, **settings), "own").run(Listener())
    latent.Analyse(run.name).run(Listener())
    return run


def principal(dataset: data.Dataset, subset: Subset) -> dict[str, tuple[str, Map]]:
    settings = projections.PCAProjection()
    return {"pca": ("PCA", projections.compute(dataset, settings, Listener().progress, subset))}


def opened(content: bytes) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and facts of a file."""
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    return load(content), json.loads(header["__metadata__"]["json"])


def packed(
    run: store.Run,
    dataset: data.Dataset = DIGITS,
    subset: Subset | None = None,
    others: payload.Others | None = None,
    maps: bool = False,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    subset = subset or Subset()
    found = principal(dataset, subset) if maps else {}
    return opened(payload.build_payload(run, dataset, subset, found, others, {}, "all"))


def beside(ours: store.Run, *theirs: store.Run, titles: tuple[str, ...] = ()) -> payload.Others:
    """Runs to be laid upon the first, of all test samples."""
    stability = latent.stability([run.codes["codes"] for run in (ours, *theirs)])
    titles = titles or ("Second", "Third", "Fourth")[: len(theirs)]
    return payload.Others(["First", *titles], theirs, stability, f"{1 + len(theirs)} runs")


def column(arrays: dict[str, np.ndarray], facts: dict[str, Any], key: str) -> dict[str, Any]:
    """Facts of a column whose array is present."""
    (found,) = (each for each in facts["columns"] if each["key"] == key)
    assert len(arrays[f"column/{key}"]) == len(arrays["rows"])
    return found


# --- A run as it is shipped ---------------------------------------------------------------------


def test_a_run_without_an_analysis_has_its_samples_and_nothing_to_decode(
    shipped: store.Run,
) -> None:
    arrays, facts = packed(shipped)
    np.testing.assert_array_equal(arrays["rows"], np.arange(360))
    np.testing.assert_array_equal(arrays["pane/bottleneck"], shipped.codes["plane"])
    np.testing.assert_array_equal(arrays["codes"], shipped.codes["codes"])
    np.testing.assert_array_equal(arrays["column/error"], shipped.codes["error"])
    assert not facts["decodes"] and facts["layers"] is None and facts["backgrounds"] == []
    assert not [name for name in arrays if name.startswith(("weight/", "train/", "grid/"))]
    assert facts["n_test"] == 360 and facts["shape"] == [8, 8] and facts["others"] == []
    assert facts["alt"] == "Linked maps of 360 samples of digits: Bottleneck"


def test_labels_have_the_colours_that_all_figures_have(shipped: store.Run) -> None:
    arrays, facts = packed(shipped)
    np.testing.assert_array_equal(arrays["column/label"], DIGITS.test.labels)
    label = column(arrays, facts, "label")
    assert label["names"] == facts["label_names"] == list(DIGITS.label_names)
    assert label["colors"] == [colors.class_color(number) for number in range(10)]
    assert facts["ramp"] == list(colors.POSITION_COLORS)


def test_samples_are_coloured_by_the_columns_of_their_dataset(store_folder: Path) -> None:
    run, shapes = copied("shapes-vae", store_folder), data.get("shapes")
    arrays, facts = packed(run, shapes, Subset(limit=100))
    assert facts["shape"] == [32, 32, 3]
    known = shapes.columns("test")
    for name, values in known.items():
        np.testing.assert_array_equal(
            arrays[f"column/data-{name}"], values.values[arrays["rows"]].astype(np.float32)
        )
        assert column(arrays, facts, f"data-{name}")["title"] == name
    hue = column(arrays, facts, "data-hue")
    assert hue["names"] == list(known["hue"].names) and hue["colors"] == list(known["hue"].colors)
    assert hue["colors"][0] == "#ff0000"
    table = payload.table(payload.shown(run, shapes, Subset()), shapes, {}, np.array([3, 1999]))
    assert table["hue"].tolist() == [hue["names"][n] for n in known["hue"].values[[3, 1999]]]
    np.testing.assert_array_equal(table["x"], known["x"].values[[3, 1999]])
    both = payload.known_columns(shapes, np.array([1999, 2000]))["size"].values
    assert (
        both[0] == known["size"].values[-1] and both[1] == shapes.columns("train")["size"].values[0]
    )


def test_an_exported_selection_holds_the_metadata(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    table = pandas.DataFrame(random.random((60, 3)), columns=list("abc"))
    table["kind"] = ["x", "y"] * 30
    table["day"] = [f"2020-{at % 12 + 1:02}-{at % 28 + 1:02}" for at in range(60)]
    table["error"] = [f"=note {at}" for at in range(60)]  # a name that the table has itself
    table.loc[5, "day"] = ""
    table.to_csv(tmp_path / "own.csv", index=False)
    own = importers.add_file(tmp_path / "own.csv", "own", label="kind")
    run = Train(run_config("own"), "mine").run(Listener())
    samples = payload.shown(run, own, Subset(split="test"))
    found = payload.table(samples, own, {}, np.array([1, 3]))
    known = own.columns("test")
    assert found["error (data)"].tolist() == known["error"].values[[1, 3]].tolist()
    days = pandas.to_datetime(known["day"].values[[1, 3]], unit="s")
    assert found["day"].tolist() == days.tolist() and found["error"].dtype == np.float32


def test_everything_is_of_a_type_that_a_browser_knows(analysed: store.Run) -> None:
    arrays, _ = packed(analysed, maps=True)
    assert {values.dtype.str for values in arrays.values()} == {"<f4", "<i4"}


def test_an_analysis_brings_decoder_grids_and_training_codes(analysed: store.Run) -> None:
    arrays, facts = packed(analysed, maps=True)
    known, facts_known = latent.analysis_artifact(analysed).load()
    assert facts["decodes"] and facts["layers"] == facts_known["layers"]
    named = [layer[key] for layer in facts["layers"] for key in ("weight", "bias") if key in layer]
    assert sorted(f"weight/{name}" for name in named) == sorted(
        name for name in arrays if name.startswith("weight/")
    )
    np.testing.assert_array_equal(arrays["train/codes"], known["train_codes"])
    np.testing.assert_array_equal(arrays["train/rows"], np.arange(1437))
    np.testing.assert_array_equal(arrays["train/labels"], DIGITS.train.labels)
    assert facts["backgrounds"] == ["density", "cycle_error", "sensitivity"]
    for name in facts["backgrounds"]:
        assert arrays[f"grid/{name}"].shape == (len(arrays["grid/y"]), len(arrays["grid/x"]))
    variational = analysed.name == "digits-vae"
    assert ("spread" in arrays) == variational == facts["prior"]
    titles = {each["key"]: each["title"] for each in facts["columns"]}
    assert titles["false-bottleneck"] == "false neighbours, bottleneck"
    assert titles["torn-pca"] == "torn neighbours, PCA"
    false = 1 - known["trustworthiness"]
    np.testing.assert_allclose(arrays["column/false-bottleneck"], false, atol=1e-6)


def test_panes_come_in_order_with_what_can_be_said_of_them(analysed: store.Run) -> None:
    arrays, facts = packed(analysed, maps=True)
    assert [pane["key"] for pane in facts["panes"]] == ["bottleneck", "pca"]
    found = principal(DIGITS, Subset())["pca"][1]
    np.testing.assert_array_equal(arrays["pane/pca"], found.plane)
    wanted = found.metrics
    assert facts["panes"][1]["note"] == (
        f"trustworthiness {wanted['trustworthiness']:.3f} · continuity {wanted['continuity']:.3f}"
        f" · 10-NN {wanted['knn_accuracy']:.1%}"
    )
    assert "trustworthiness" in facts["panes"][0]["note"]


def test_epochs_are_of_the_first_test_samples(shipped: store.Run) -> None:
    arrays, facts = packed(shipped, subset=Subset(limit=50))
    epochs = shipped.codes["epochs"]
    np.testing.assert_array_equal(arrays["epochs"], epochs)
    np.testing.assert_array_equal(arrays["epochs/labels"], DIGITS.test.labels[: epochs.shape[1]])
    assert facts["epochs"]["kept"] == shipped.codes["epochs_kept"].tolist()
    assert len(facts["epochs"]["loss"]) == len(shipped.history)
    assert facts["epochs"]["loss"][-1] == shipped.history[-1]["test"]["total"]
    assert facts["epochs"]["train_loss"][0] == shipped.history[0]["train"]["total"]


# --- Subsets ------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["train", "all"])
def test_training_samples_come_from_the_analysis(analysed: store.Run, split: str) -> None:
    subset = Subset(split=split)
    arrays, facts = packed(analysed, subset=subset, maps=True)
    known, _ = latent.analysis_artifact(analysed).load()
    n = 360 if split == "all" else 0
    np.testing.assert_array_equal(arrays["rows"], np.arange(360 - n, 1797))
    np.testing.assert_array_equal(arrays["codes"][n:], known["train_codes"])
    np.testing.assert_array_equal(arrays["codes"][:n], analysed.codes["codes"][:n])
    np.testing.assert_array_equal(arrays["column/error"][n:], known["train_error"])
    np.testing.assert_array_equal(arrays["column/label"], subset.samples(DIGITS).labels)
    # A code of two dimensions is drawn as it is.
    np.testing.assert_array_equal(arrays["pane/bottleneck"][n:], known["train_codes"])
    keys = [each["key"] for each in facts["columns"]]
    assert ("split" in keys) == (split == "all")
    if split == "all":
        wanted = np.arange(1797) >= 360
        np.testing.assert_array_equal(arrays["column/split"], wanted)
        assert column(arrays, facts, "split")["names"] == ["test", "train"]
        assert np.isnan(arrays["column/false-bottleneck"][n:]).all()
    else:
        assert "false-bottleneck" not in keys
    assert len(arrays["pane/pca"]) == len(arrays["rows"])


def test_training_samples_wait_for_the_analysis(shipped: store.Run) -> None:
    with pytest.raises(InvalidRequest, match="not been encoded yet"):
        packed(shipped, subset=Subset(split="train"))


@pytest.mark.parametrize("split", ["test", "train", "all"])
def test_a_limit_keeps_the_share_of_each_class(analysed: store.Run, split: str) -> None:
    known, _ = latent.analysis_artifact(analysed).load()
    codes = np.concatenate([analysed.codes["codes"], known["train_codes"]])
    errors = np.concatenate([analysed.codes["error"], known["train_error"]])

    def rows(seed: int) -> np.ndarray:
        subset = Subset(split=split, limit=90, seed=seed)
        arrays, _ = packed(analysed, subset=subset)
        np.testing.assert_array_equal(arrays["column/label"], subset.samples(DIGITS).labels)
        np.testing.assert_array_equal(arrays["codes"], codes[arrays["rows"]])
        np.testing.assert_array_equal(arrays["column/error"], errors[arrays["rows"]])
        return arrays["rows"]

    first = rows(0)
    assert len(first) == 90 and (np.diff(first) > 0).all()
    np.testing.assert_array_equal(first, rows(0))
    assert (first != rows(1)).any()
    whole = Subset(split=split).samples(DIGITS).labels
    chosen = Subset(split=split, limit=90).samples(DIGITS).labels
    shares = 90 * np.bincount(whole) / len(whole)
    assert np.abs(np.bincount(chosen, minlength=10) - shares).max() < 1


def test_a_wide_code_that_keeps_too_few_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aecore.latent.analysis.VALUES_KEPT", 500)
    run = trained(model={"latent_dim": 5})
    with pytest.raises(InvalidRequest, match="only 100 training samples are kept"):
        packed(run, subset=Subset(split="train"))
    kept = Subset(split="train", limit=100)
    np.testing.assert_array_equal(packed(run, subset=kept)[0]["rows"], kept.rows(DIGITS))


# --- Codes of other widths, and other kinds of data ---------------------------------------------


def test_a_wide_code_is_drawn_in_its_plane(monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained(model={"latent_dim": 5})
    arrays, facts = packed(run, subset=Subset(split="all"))
    assert facts["latent_dim"] == 5 and not facts["prior"]
    assert arrays["codes"].shape == (1797, 5) and arrays["plane/axes"].shape == (2, 5)
    mean, axes = arrays["plane/mean"], arrays["plane/axes"]
    np.testing.assert_allclose(
        (arrays["codes"] - mean) @ axes.T, arrays["pane/bottleneck"], atol=1e-3
    )
    keys = [each["key"] for each in facts["columns"]]
    assert [key for key in keys if key.startswith("code")] == [f"code{i}" for i in range(5)]
    np.testing.assert_array_equal(arrays["column/code4"], arrays["codes"][:, 4])
    monkeypatch.setattr(payload, "MOST_CODES", 360 * 5 - 1)
    assert "codes" not in packed(run)[0]


def test_a_code_of_one_dimension_is_drawn_along_x() -> None:
    run = trained(model={"latent_dim": 1})
    for split, n in (("test", 360), ("all", 1797)):
        arrays, facts = packed(run, subset=Subset(split=split))
        assert facts["latent_dim"] == 1 and arrays["codes"].shape == (n, 1)
        np.testing.assert_allclose(arrays["pane/bottleneck"][:, 0], arrays["codes"][:, 0])
        assert arrays["plane/axes"].tolist() == [[1], [0]]
        assert "code0" in [each["key"] for each in facts["columns"]]


def test_more_dimensions_than_a_list_can_hold_are_not_listed() -> None:
    run = trained(model={"latent_dim": 20})
    _, facts = packed(run)
    keys = [each["key"] for each in facts["columns"] if each["key"].startswith("code")]
    assert len(keys) == payload.WIDEST


def test_a_table_has_its_features_as_columns() -> None:
    run = trained("iris")
    arrays, facts = packed(run, IRIS, Subset(split="all"), maps=True)
    both = np.concatenate([IRIS.test.x, IRIS.train.x])
    np.testing.assert_array_equal(arrays["features"], both)
    np.testing.assert_array_equal(arrays["train/features"], IRIS.train.x)
    assert facts["shape"] is None and facts["features"] == list(IRIS.feature_names)
    for number, name in enumerate(IRIS.feature_names):
        assert column(arrays, facts, f"feature{number}")["title"] == name
        np.testing.assert_array_equal(arrays[f"column/feature{number}"], both[:, number])


def test_labels_that_are_positions_have_no_names() -> None:
    run = trained("swiss-roll")
    roll = data.get("swiss-roll")
    arrays, facts = packed(run, roll, maps=True)
    assert facts["label_names"] == [] and "names" not in column(arrays, facts, "label")
    np.testing.assert_allclose(arrays["column/label"], roll.test.labels, rtol=1e-6)
    steps, labels = arrays["epochs/steps"], arrays["epochs/labels"]
    assert steps.min() == 0 and steps.max() == len(facts["ramp"]) - 1
    assert (np.diff(steps[np.argsort(labels)]) >= 0).all()
    assert "10-NN" not in facts["panes"][0]["note"]
    rows = np.array([0, 5])
    found = payload.table(payload.shown(run, roll, Subset()), roll, {}, rows)
    np.testing.assert_allclose(found["label"], roll.test.labels[rows], rtol=1e-6)


def test_codes_that_are_no_numbers_are_a_sentence(shipped: store.Run) -> None:
    broken = dict(shipped.codes)
    broken["plane"] = np.where(np.arange(720).reshape(360, 2) == 7, np.nan, broken["plane"])
    known = shipped.manifest.model_dump(exclude={"format", "created", "files"})
    weights = shipped.model().state_dict()
    run = store.save("diverged", shipped.config, weights, broken, shipped.history, **known)
    with pytest.raises(InvalidRequest, match="'diverged' are not finite: its training diverged"):
        packed(run)


# --- Two runs -----------------------------------------------------------------------------------


def test_a_second_run_stands_beside_the_first(store_folder: Path) -> None:
    ours, theirs = (copied(name, store_folder) for name in ("digits-ae", "digits-vae"))
    others = beside(ours, theirs)
    arrays, facts = packed(ours, others=others, maps=True)
    assert [pane["key"] for pane in facts["panes"]] == ["bottleneck", "other", "pca"]
    compared = latent.compare(ours.codes["plane"], theirs.codes["plane"])
    np.testing.assert_allclose(arrays["pane/other"], compared.aligned, rtol=1e-5)
    np.testing.assert_allclose(arrays["column/moved"], compared.moved, rtol=1e-5)
    np.testing.assert_allclose(arrays["column/kept"], others.stability.kept[0, 1], rtol=1e-5)
    np.testing.assert_allclose(arrays["column/stability"], arrays["column/kept"])
    (second,) = facts["others"]
    assert second["pane"] == 1 and second["motion"] == "morph"
    assert f"{others.stability.mean:.0%} of neighbours kept" in second["note"]
    assert second["note"] in facts["panes"][1]["about"]
    assert facts["panes"][1]["title"] == second["title"] == "Second"


def test_up_to_three_runs_stand_beside_the_first(store_folder: Path) -> None:
    ours = copied("digits-ae", store_folder)
    theirs = (
        copied("digits-vae", store_folder),
        *(
            Train(run_config("digits", epochs=1, seed=seed), f"seed-{seed}").run(Listener())
            for seed in range(2)
        ),
    )
    others = beside(ours, *theirs)
    arrays, facts = packed(ours, others=others, maps=True)
    assert [pane["key"] for pane in facts["panes"]] == [
        *("bottleneck", "other", "other2", "other3", "pca")
    ]
    assert [each["title"] for each in facts["panes"]][:4] == ["First", "Second", "Third", "Fourth"]
    assert [each["motion"] for each in facts["others"]] == ["morph", "morph2", "morph3"]
    assert [each["pane"] for each in facts["others"]] == [1, 2, 3]
    for number, run in zip(("", 2, 3), theirs, strict=True):
        compared = latent.compare(ours.codes["plane"], run.codes["plane"])
        np.testing.assert_allclose(arrays[f"pane/other{number}"], compared.aligned, rtol=1e-4)
        np.testing.assert_allclose(arrays[f"column/moved{number}"], compared.moved, rtol=1e-4)
    kept = np.array([arrays[f"column/kept{number}"] for number in ("", 2, 3)])
    np.testing.assert_allclose(kept, others.stability.kept[0, 1:], rtol=1e-5)
    # Of all six pairs, not only of those with the first.
    np.testing.assert_allclose(arrays["column/stability"], others.stability.per_sample, rtol=1e-5)
    assert not np.allclose(arrays["column/stability"], kept.mean(axis=0))
    assert column(arrays, facts, "stability")["title"] == "stability over 4 runs"


def test_a_run_beside_itself_has_not_moved(shipped: store.Run) -> None:
    arrays, facts = packed(shipped, others=beside(shipped, shipped))
    np.testing.assert_allclose(arrays["column/moved"], 0, atol=1e-5)
    assert "100% of neighbours kept, disparity 0.000" in facts["others"][0]["note"]


# --- A training ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", ["digits", "iris", "swiss-roll"])
def test_a_training_is_one_pane_and_the_way_so_far(dataset: str) -> None:
    heard = Listener()
    Train(run_config(dataset, epochs=3), "own").run(heard)
    planes = {number: view["plane"] for number, view in enumerate(heard.views, 1)}
    found = data.get(dataset)
    arrays, facts = opened(payload.training(found, heard.views[-1], planes, heard.entries))
    assert facts["mode"] == "training" and [pane["key"] for pane in facts["panes"]] == [
        "bottleneck"
    ]
    assert facts["panes"][0]["note"].endswith("test samples after epoch 3")
    np.testing.assert_array_equal(arrays["pane/bottleneck"], planes[3])
    np.testing.assert_array_equal(arrays["epochs"], np.stack(list(planes.values())))
    assert facts["epochs"]["kept"] == [1, 2, 3] and len(facts["epochs"]["loss"]) == 3
    assert not facts["decodes"] and [each["key"] for each in facts["columns"]] == ["label"]
    assert ("epochs/steps" in arrays) == (dataset == "swiss-roll")
    earlier = opened(payload.training(found, heard.views[0], {1: planes[1]}, heard.entries[:1]))[1]
    # The same samples: what points at one of them still does.
    assert earlier["samples"] == facts["samples"] and earlier["id"] != facts["id"]


# --- What tells contents apart ------------------------------------------------------------------


def test_the_id_changes_when_anything_does(store_folder: Path) -> None:
    ours, theirs = (copied(name, store_folder) for name in ("digits-ae", "digits-vae"))

    def id_of(**changed: Any) -> str:
        asked = {
            "run": ours,
            "dataset": DIGITS,
            "subset": Subset(),
            "maps": {},
            "others": None,
            "sheets": {},
            "mode": "all",
        }
        return opened(payload.build_payload(**(asked | changed)))[1]["id"]

    before = id_of()
    assert id_of() == before
    found = principal(DIGITS, Subset())
    (title, plane) = found["pca"]
    moved = replace(plane, plane=plane.plane + np.float32(1e-3))
    others = [
        id_of(run=theirs),
        id_of(subset=Subset(limit=100)),
        id_of(subset=Subset(limit=100, seed=1)),
        id_of(maps=found),
        id_of(maps={"pca": ("Principal components", plane)}),
        id_of(maps={"pca": (title, moved)}),
        id_of(others=beside(ours, theirs)),
        id_of(others=beside(ours, theirs, titles=("Renamed",))),
        id_of(sheets={"test": "sheet.gz"}),
        id_of(mode="start"),
    ]
    latent.Analyse("digits-ae").run(Listener())
    others.append(id_of())
    assert len({before, *others}) == len(others) + 1


def test_the_samples_are_called_the_same_whatever_is_drawn_of_them(store_folder: Path) -> None:
    ours, theirs = (copied(name, store_folder) for name in ("digits-ae", "digits-vae"))
    names = [
        packed(run, others=others)[1]["samples"]
        for run, others in [(ours, beside(ours, theirs)), (theirs, None)]
    ]
    assert names[0] == names[1] != packed(ours, subset=Subset(limit=100))[1]["samples"]


def test_facts_and_names_of_any_language_are_kept() -> None:
    facts = {"title": "Größe “模型”", "list": [1, None, "ß"]}
    content = payload.serialize({"ä": np.arange(3)}, dict(facts))
    arrays, found = opened(content)
    assert found == facts | {"id": found["id"]}
    np.testing.assert_array_equal(arrays["ä"], np.arange(3))


# --- A selection --------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 7, 8, 9, 360, 10_000])
def test_a_selection_is_unpacked(n: int) -> None:
    mask = np.random.default_rng(n).random(n) < 0.3
    text = base64.b64encode(np.packbits(mask)).decode()
    found = payload.unpacked_mask(text, n)
    assert found.dtype == bool
    np.testing.assert_array_equal(found, mask)


@pytest.mark.parametrize("n", [0, 7, 8, 17, 1000])
def test_a_selection_of_other_samples_is_refused(n: int) -> None:
    text = base64.b64encode(np.packbits(np.ones(16, bool))).decode()
    with pytest.raises(InvalidRequest, match=f"of 16 samples instead of {n}"):
        payload.unpacked_mask(text, n)


def test_the_table_of_a_selection(analysed: store.Run) -> None:
    subset = Subset(split="all")
    found = {"pca": principal(DIGITS, subset)["pca"][1]}
    samples = payload.shown(analysed, DIGITS, subset)
    chosen = np.array([3, 359, 360, 1796])
    table = payload.table(samples, DIGITS, found, chosen)
    assert table["split"].tolist() == ["test", "test", "train", "train"]
    assert table["id"].tolist() == [3, 359, 0, 1436]
    labels = np.concatenate([DIGITS.test.labels, DIGITS.train.labels])[chosen]
    assert table["label"].tolist() == [DIGITS.label_names[label] for label in labels]
    np.testing.assert_array_equal(table[["code_1", "code_2"]], samples.codes[chosen])
    np.testing.assert_array_equal(table[["bottleneck_x", "bottleneck_y"]], samples.plane[chosen])
    np.testing.assert_array_equal(table[["pca_x", "pca_y"]], found["pca"].plane[chosen])
    np.testing.assert_array_equal(table["error"], samples.error[chosen])
    measured = table["bottleneck_trustworthiness"]
    assert measured[:2].notna().all() and measured[2:].isna().all()
    assert "pca_continuity" in table
    # Trustworthiness was measured on the test split alone: no column that is empty.
    train = payload.shown(analysed, DIGITS, Subset(split="train"))
    table = payload.table(train, DIGITS, {}, np.arange(50))
    assert len(table) == 50 and not table.isna().any(axis=None)
    assert "bottleneck_trustworthiness" not in table


def test_the_table_of_everything_and_of_nothing(shipped: store.Run) -> None:
    samples = payload.shown(shipped, DIGITS, Subset())
    assert len(payload.table(samples, DIGITS, {}, np.arange(360))) == 360
    empty = payload.table(samples, DIGITS, {}, np.zeros(0, int))
    assert len(empty) == 0 and "label" in empty


@pytest.mark.parametrize("missing", ["trustworthiness", "continuity", "knn_accuracy"])
def test_what_was_not_measured_is_not_said_of_a_pane(missing: str) -> None:
    known = {"trustworthiness": 0.9, "continuity": 0.8, "knn_accuracy": 0.75}
    note = payload.pane("x", "X", known | {missing: None})["note"]
    assert note.count("·") == 1
    assert payload.pane("x", "X", {})["note"] == ""
