"""Shipped runs of an installed package: a read-only layer under the store."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from conftest import Listener, run_config

from aecore import data, latent, locations, projections, recipes
from aecore.errors import InvalidRequest
from aecore.projections import PCAProjection
from aecore.runs import store
from aecore.runs.train import Train

ROOT = Path(__file__).parents[2]
DIGITS = data.get("digits")


def contents(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of each file below a folder."""
    facts = {path: path.stat() for path in folder.rglob("*") if path.is_file()}
    return {str(path): (fact.st_size, fact.st_mtime_ns) for path, fact in facts.items()}


@pytest.fixture
def layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Shipped files, which must not change."""
    shipped = tmp_path / "shipped"
    for name in ("digits-ae", "digits-vae", "_recipes"):
        shutil.copytree(ROOT / "models_store" / name, shipped / name)
    for folder in (ROOT / "models_store" / "_maps").glob("digits-0420bafe697e"):
        shutil.copytree(folder, shipped / "_maps" / folder.name)
    monkeypatch.setattr(locations, "shipped", lambda: shipped)
    return shipped


def test_runs_that_ship_are_listed_loaded_and_their_artifacts_found(layer: Path) -> None:
    before = contents(layer)
    assert not store.root().exists()
    runs, broken = store.runs()
    assert {run.name for run in runs} == {"digits-ae", "digits-vae"} and not broken
    run = store.load("digits-vae")
    assert run.folder == layer / "digits-vae"
    assert run.codes["codes"].shape == (360, 2) and run.model() is not None
    assert latent.analysis_artifact(run).load() is not None
    assert projections.map_artifact(DIGITS, DIGITS.fingerprint, PCAProjection()).load()
    assert recipes.outcome_artifact("manifold").load() is not None
    assert contents(layer) == before and not store.root().exists()


def test_what_is_computed_of_a_run_that_ships_goes_into_the_store(layer: Path) -> None:
    (layer / "digits-ae" / "quality.safetensors").unlink(missing_ok=True)
    (layer / "digits-ae" / "latent.safetensors").unlink()
    before = contents(layer)
    latent.Analyse("digits-ae").run(Listener())
    run = store.load("digits-ae")
    stored = latent.analysis_artifact(run)
    assert stored.file == store.root() / "digits-ae" / "latent.safetensors"
    assert stored.load().facts["complete"]
    runs, broken = store.runs()
    assert "digits-ae" in {each.name for each in runs} and not broken
    assert contents(layer) == before


def test_a_damaged_artifact_in_the_store_is_computed_again_beside_the_one_that_ships(
    layer: Path,
) -> None:
    run = store.load("digits-ae")
    own = latent.analysis_artifact(run).path
    own.parent.mkdir(parents=True)
    own.write_bytes(b"damaged")
    assert latent.analysis_artifact(run).load_intact() is None
    latent.Analyse("digits-ae").run(Listener())
    assert latent.analysis_artifact(run).load() is not None


def test_a_name_that_ships_is_taken(layer: Path) -> None:
    with pytest.raises(InvalidRequest, match="'digits-ae' is taken by a run that ships"):
        Train.named(run_config(), "digits-ae")
    assert store.name_beside("digits-ae") != "digits-ae"


def test_a_training_is_stored_in_the_store_alone(layer: Path) -> None:
    before = contents(layer)
    Train(run_config(), "own").run(Listener())
    assert store.load("own").folder == store.root() / "own"
    assert {run.name for run in store.runs()[0]} == {"digits-ae", "digits-vae", "own"}
    assert contents(layer) == before


def test_a_run_that_ships_is_not_deleted(layer: Path) -> None:
    with pytest.raises(InvalidRequest, match="The run 'digits-ae' ships with the package"):
        store.delete("digits-ae")
    assert (layer / "digits-ae").is_dir()


def test_an_installed_package_keeps_runs_in_the_folder_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AECORE_STORE")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert locations.store() == ROOT / "models_store" and locations.shipped() is None
    monkeypatch.setattr(locations, "is_clone", lambda: False)
    assert locations.shipped() == locations.PACKAGE / "_models_store"
    if os.name == "posix" and os.uname().sysname != "Darwin":
        assert locations.store() == tmp_path / "data" / "latent-loupe" / "models_store"
    monkeypatch.setenv("AECORE_STORE", str(tmp_path / "elsewhere"))
    assert locations.store() == tmp_path / "elsewhere"
