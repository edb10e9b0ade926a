"""Tampered stores: each damage is reported, and everything else opens."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tampering
from conftest import Listener

from aecore import data, latent, projections
from aecore.applications import denoising, sample_quality
from aecore.errors import Damaged, InvalidRequest
from aecore.projections import PCAProjection
from aecore.runs import store

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "models_store"
HEALTHY = ("digits-ae", "digits-vae")
PAGES = ("latent_map", "reconstructions", "denoise", "generate")
LIMIT = 10**9
"""Bytes of memory that a process may take to open a tampered store."""


def copied(folder: Path, *names: str) -> None:
    for name in names:
        shutil.copytree(SHIPPED / name, folder / name)


def answers(*sections: str) -> dict[str, Any]:
    """Output of `open_store.py` for the test's store."""
    command = [sys.executable, str(ROOT / "tests" / "open_store.py"), *sections]
    quiet = os.environ | {"OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def tampered_store(folder: Path, seeds: range) -> dict[str, tuple[str, bool]]:
    """Two intact runs and many damaged ones, with a description of each damage."""
    copied(folder, *HEALTHY, "_maps")
    done = {}
    for seed in seeds:
        name = f"tampered-{seed}"
        shutil.copytree(folder / HEALTHY[seed % 2], folder / name)
        done[name] = tampering.tamper(folder / name, seed)
    return done


def well_said(sentences: list[str]) -> bool:
    return all(text.strip() and text.isprintable() for text in sentences)


def look_at(folder: Path, seeds: range, pages: tuple[str, ...]) -> dict[str, Any]:
    """Open a tampered store and compare the messages with the damage."""
    done = tampered_store(folder, seeds)
    found = answers("runs", "start", *pages)
    read = found["runs"]
    assert read.keys() == {*done, *HEALTHY}
    for name in HEALTHY:
        assert read[name] == [], name
    for name, (what, certain) in done.items():
        assert read[name] or not certain, (name, what)
        assert well_said(read[name]), (name, what, read[name])
    start = found["start"]
    assert not start["exceptions"]
    said = "\n".join(start["said"])
    listed = [name for name in read if name in start["listed"]]
    assert {*HEALTHY} <= {*listed}
    for name in done:
        assert name in listed or f"'{name}'" in said, name
    assert "could not be shown" not in said
    for page in pages:
        assert found[page].keys() == {*listed}
        for name, shown in found[page].items():
            what = (page, name, done.get(name), shown["said"])
            assert not shown["exceptions"] and shown["titles"], what
            own = [text for text in shown["said"] if "complete run" not in text]
            assert not any("could not be shown" in text for text in own), what
            if name in HEALTHY:
                assert not own, what
    assert found["peak"] < LIMIT
    return found


def test_thirty_tampered_runs_are_named_and_the_others_open(store_folder: Path) -> None:
    look_at(store_folder, range(30), ("latent_map",))


@pytest.mark.slow
def test_three_hundred_tampered_runs_are_named_and_the_others_open(
    only_when_asked: None, store_folder: Path
) -> None:
    found = look_at(store_folder, range(1_000, 1_300), PAGES)
    named = sum(bool(problems) for problems in found["runs"].values())
    print(f"{named} of 300 named; peak {found['peak'] / 2**20:.0f} MiB")


def test_a_model_of_huge_weights_is_one_sentence_on_every_page(store_folder: Path) -> None:
    copied(store_folder, *HEALTHY, "_maps")
    tampering.fill_weights(store_folder / HEALTHY[1], 3e38)
    for page, shown in answers("denoise", "reconstructions", "generate").items():
        if page == "peak":
            continue
        assert not shown[HEALTHY[0]]["said"], page
        (said,) = shown[HEALTHY[1]]["said"]
        assert said.removeprefix("- ") == NOT_FINITE, page


NOT_FINITE = (
    "The run 'digits-vae' answers with values that are no finite numbers (NaN): train it again "
    "with a lower learning rate."
)


def test_a_model_of_huge_weights_is_one_sentence_in_every_task(store_folder: Path) -> None:
    copied(store_folder, HEALTHY[1], "_maps")
    tampering.fill_weights(store_folder / HEALTHY[1], 3e38)
    for compute in (
        lambda: denoising.MeasureDenoising(HEALTHY[1], "gaussian", False).run(Listener()),
        lambda: sample_quality.MeasureSamples(HEALTHY[1]).run(Listener()),
    ):
        with pytest.raises(InvalidRequest) as error:
            compute()
        assert error.value.problems == [NOT_FINITE]
    with pytest.raises(InvalidRequest, match="are not finite"):
        latent.Analyse(HEALTHY[1]).run(Listener())


UNPRINTABLE = (b"caf\xe9", b"a\nb", b"\xff\xfe", "a\u202eb".encode())


def test_folder_names_that_cannot_be_printed_are_shown_in_escapes(store_folder: Path) -> None:
    copied(store_folder, HEALTHY[0])
    for name in UNPRINTABLE:
        (store_folder / os.fsdecode(name)).mkdir()
    found, broken = store.runs()
    assert [run.name for run in found] == [HEALTHY[0]]
    assert len(broken) == len(UNPRINTABLE)
    with pytest.raises(InvalidRequest) as error:
        store.load("no-such-run")
    assert str(error.value).isprintable()
    page = answers("start", "latent_map")
    assert not page["start"]["exceptions"]
    assert list(page["latent_map"]) == [HEALTHY[0]]
    said = "\n".join(page["start"]["said"])
    for each in broken:
        assert each.name.isprintable() and each.name.isascii()
        assert f"'{each.name}'".replace("\\", "") in said  # escapes of Markdown are taken out
        store.delete(each.name)
    assert store.runs()[1] == []


def test_unfinished_folders_that_cannot_be_printed_are_shown_in_escapes(
    store_folder: Path,
) -> None:
    copied(store_folder, HEALTHY[0])
    for name in UNPRINTABLE:
        (store_folder / "_unfinished" / os.fsdecode(name)).mkdir(parents=True)
    damaged = store.checkpoints()[1]
    assert len(damaged) == len(UNPRINTABLE)
    with pytest.raises(InvalidRequest) as error:
        store.read_checkpoint("no-such-run")
    assert str(error.value).isprintable()
    for each in damaged:
        assert each.name.isprintable() and each.name.isascii()
        assert str(store.damaged_checkpoint(each.name, [each.reason])).isprintable()
        store.discard(each.name)
    assert store.checkpoints() == ([], [])


def analysed(name: str, change: Callable[[np.ndarray], Any]) -> Callable[[Path], Any]:
    def damage(folder: Path) -> None:
        arrays, facts = tampering.read(folder / "latent.safetensors")
        change(arrays[name])
        (folder / "latent.safetensors").write_bytes(tampering.save(arrays, facts))

    return damage


def put(value: float) -> Callable[[np.ndarray], None]:
    return lambda array: array.reshape(-1).__setitem__(0, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, -1) for name in ("train_error", "density", "cycle_error", "sensitivity")),
        *((name, -1) for name in ("train_reach", "spread", "trustworthiness")),
        ("trustworthiness", 1.5),
        ("continuity", 1.5),
    ],
)
def test_analyses_of_impossible_values_are_damaged(
    store_folder: Path, name: str, value: float
) -> None:
    copied(store_folder, HEALTHY[1])
    analysed(name, put(value))(store_folder / HEALTHY[1])
    with pytest.raises(Damaged, match=f"{name} holds values outside of"):
        latent.analysis_artifact(store.load(HEALTHY[1])).load()


# --- What was computed --------------------------------------------------------------------------


def artifacts(folder: Path) -> dict[Path, Callable[[], Any]]:
    """Each artifact file of digits, with its reader."""
    run, digits = store.load(HEALTHY[1]), data.get("digits")
    maps = [kind(**kind.defaults(digits.n_test)) for kind in projections.PROJECTIONS.values()]
    identity = "digits", digits.fingerprint
    projections.graph(digits, 10)
    of_data = [projections.map_artifact(*identity, each) for each in maps]
    of_data += [projections.graph_artifact(digits), projections.components_artifact(digits)]
    found: dict[Path, Callable[[], Any]] = {each.path: each.load for each in of_data}
    for split, file in projections.sprite_files(*identity).items():
        size = projections.sprite_size(digits, split)
        found[file] = lambda file=file, size=size: projections.stored_sprite(file, size)
    stored = [denoising.tuned_artifact(*identity, noise, False) for noise in denoising.NOISES]
    stored += [latent.analysis_artifact(run), latent.mixture_artifact(run)]
    stored += [
        sample_quality.quality_artifact(run),
        denoising.curve_artifact(run, "gaussian", False),
    ]
    found |= {each.path: each.load for each in stored}
    assert all(file.is_file() and read() is not None for file, read in found.items())
    return found


def damage_each(folder: Path, seeds: range) -> dict[str, tuple[Path, bool]]:
    """Damage one file after another, and compare the reader's message with the damage."""
    copied(folder, HEALTHY[1], "_maps")
    known, done = artifacts(folder), {}
    for seed in seeds:
        file = list(known)[seed % len(known)]
        whole = file.read_bytes()
        what, certain = tampering.tamper_artifact(file, seed)
        try:
            found = known[file]()
        except Damaged as error:
            (fault,) = error.problems
            assert str(file) in fault and "compute it again" in fault and fault.isprintable()
            done[f"{seed}: {what}"] = file, True
        else:
            assert found is None or not certain, what
            done[f"{seed}: {what}"] = file, found is None
        file.write_bytes(whole)
    return done


def test_damaged_artifacts_are_named_by_what_reads_them(store_folder: Path) -> None:
    done = damage_each(store_folder, range(120))
    assert sum(named for _, named in done.values()) > 90


def open_damaged(folder: Path, seeds: range, *pages: str) -> list[dict[str, Any]]:
    """Page messages for each damaged file of digits."""
    copied(folder, *HEALTHY, "_maps")
    whole = len(artifacts(folder))
    found = answers(f"artifacts:{seeds.start}:{seeds.stop}", *pages)
    assert found["peak"] < LIMIT
    for one in found["artifacts"]:
        what = one["what"], one["file"]
        for where, shown in one["shown"].items():
            assert not shown["exceptions"] and shown["titles"], (where, what)
            assert not any("could not be shown" in text for text in shown["said"]), (where, what)
        said = [text for shown in one["shown"].values() for text in shown["said"]]
        if one["damaged"] and "neighbors" not in one["file"]:  # which no page reads
            assert any(one["file"] in text and "compute it again" in text for text in said), what
    assert len(artifacts(folder)) == whole
    return found["artifacts"]


def test_damaged_artifacts_are_said_and_the_pages_open(store_folder: Path) -> None:
    open_damaged(store_folder, range(17))


def test_a_damaged_map_is_offered_anew(store_folder: Path) -> None:
    damaged = [one for one in open_damaged(store_folder, range(3)) if one["damaged"]]
    assert len(damaged) >= 2
    for one in damaged:
        for shown in one["shown"].values():
            assert any(label.startswith("Compute ") for label in shown["buttons"]), one["what"]


@pytest.mark.slow
def test_a_hundred_damaged_artifacts_are_said_and_every_page_opens(
    only_when_asked: None, store_folder: Path
) -> None:
    found = open_damaged(store_folder, range(2_000, 2_100), *PAGES)
    print(f"{sum(one['damaged'] for one in found)} of {len(found)} named")


def test_a_worker_computes_what_is_damaged_anew(store_folder: Path) -> None:
    copied(store_folder, HEALTHY[1], "_maps")
    digits, run = data.get("digits"), store.load(HEALTHY[1])
    projections.graph(digits, 10)
    for file, read in artifacts(store_folder).items():
        if "filters" in file.name or "tsne" in file.name or "umap" in file.name:
            continue
        before = read()
        file.write_bytes(b"damaged beyond repair")
        with pytest.raises(Damaged):
            read()
        if file.suffix == ".gz" or "components" in file.name:
            projections.Prepare("digits").run(Listener())
        elif "neighbors" in file.name:
            projections.graph(digits, 10)
        elif "pca" in file.name:
            projections.compute(digits, PCAProjection())
        elif "latent" in file.name:
            latent.Analyse(run.name).run(Listener())
        elif "mixture" in file.name:
            latent.FitMixture(run.name).run(Listener())
        elif "quality" in file.name:
            sample_quality.MeasureSamples(run.name).run(Listener())
        elif "denoising" in file.name:
            denoising.MeasureDenoising(run.name, "gaussian", False).run(Listener())
        again = read()
        assert again is not None and type(again) is type(before), file
    np.testing.assert_array_equal(
        projections.map_artifact("digits", digits.fingerprint, PCAProjection()).load().plane.shape,
        (360, 2),
    )
