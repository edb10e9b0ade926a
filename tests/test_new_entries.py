"""New entries of each registry: one class each, used by every page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas
import pytest
from conftest import Listener, run_config
from pydantic import Field
from streamlit.testing.v1 import AppTest
from test_catalog import add
from test_pages import idle_jobs, opened, panes  # noqa: F401
from typer.testing import CliRunner

from aecore import data, latent, projections, recipes
from aecore.cli import app
from aecore.data import Dataset, Subset
from aecore.data.importers.formats import FORMATS, Content, Format, register as register_format
from aecore.data.modalities import MODALITIES, Modality, register as register_modality
from aecore.models.variants import VARIANTS
from aecore.models.variants.base import register as register_variant
from aecore.models.variants.classical import Deep
from aecore.progress import Progress
from aecore.projections import PROJECTIONS, Projection
from aecore.recipes import RECIPES, Experiment, Finding
from aecore.recipes.registry import recipe
from aecore.runs import store
from aecore.runs.train import Train

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "app.py", *sorted((ROOT / "pages").glob("*.py"))]
REGISTRIES = (MODALITIES, VARIANTS, PROJECTIONS, RECIPES, FORMATS)


@pytest.fixture(autouse=True)
def entries() -> Iterator[None]:
    """One new entry in each registry, gone after the test."""
    before = [dict(registry) for registry in REGISTRIES]

    @register_modality
    class Spectrum(Modality):
        """Intensities by wavelength, (n_bands,)."""

        name = "spectrum"
        noun = "spectrum"

    @register_format
    class Pairs(Format):
        """Two whole numbers of one digit in each line."""

        name = "PAIRS file"
        endings = (".pairs",)

        @classmethod
        def read(cls, path: Path) -> Content:
            rows = [[int(sign) for sign in line] for line in path.read_text().split()]
            return Content(pandas.DataFrame(rows, columns=["first", "second"]))

    @register_variant("scaled", title="Scaled", source="Nobody (2026), Nothing")
    class Scaled(Deep):
        """A deep autoencoder with a setting of its own."""

        gain: float = Field(1.0, gt=0, le=10, description="Changes nothing.")

    class Corner(Projection):
        """The first two features."""

        name: ClassVar[str] = "corner"
        title: ClassVar[str] = "Corner"
        source: ClassVar[str] = "Nobody (2026), Nothing"

        def place(
            self, dataset: Dataset, progress: Progress, subset: Subset = data.TEST_SPLIT
        ) -> np.ndarray:
            return subset.samples(dataset).x[:, :2]

    PROJECTIONS["corner"] = Corner

    @recipe(
        "twice-one",
        dataset="iris",
        title="Twice one",
        architecture="None",
        metric="the value, at most {reference}",
        reference=2,
        source="Nobody (2026), Nothing",
    )
    def twice_one(experiment: Experiment) -> Finding:
        """Two is not more than two."""
        return experiment.at_most(2.0, {}, [])

    yield
    for registry, entries in zip(REGISTRIES, before, strict=True):
        registry.clear()
        registry.update(entries)


def said(at: AppTest) -> str:
    kinds = (at.markdown, at.caption, at.info, at.warning, at.error)
    return "\n".join(element.value for kind in kinds for element in kind)


def test_every_page_opens_with_new_entries_and_shows_them() -> None:
    add(name="light", modality="spectrum", shape=(5,))
    config = run_config("light", "scaled", {"gain": 2})
    run = Train(config, "own").run(Listener())
    assert run.config.model.gain == 2 and store.load("own").spec.modality == "spectrum"
    projections.Prepare("light").run(Listener())
    projections.Project("light", PROJECTIONS["corner"]()).run(Listener())
    latent.Analyse("own").run(Listener())
    recipes.Reproduce("twice-one").run(Listener())
    for page in PAGES:
        at = opened(page, run="own")
        assert not at.exception and not at.error, page.name
    assert "corner" in panes(opened(ROOT / "pages" / "latent_map.py", run="own"))
    at = opened(ROOT / "pages" / "train.py", dataset="light", variant="scaled")
    assert not at.exception and "Scaled" in at.selectbox(key="variant").options
    assert at.number_input(key="gain").value == 1.0
    at = opened(ROOT / "pages" / "recipes.py", recipe="twice-one")
    assert not at.exception and "Two is not more than two." in said(at)


def test_the_command_line_takes_up_new_entries() -> None:
    for command, name in (("variants", "scaled"), ("recipes", "twice-one")):
        outcome = CliRunner().invoke(app, [command, "--json"])
        assert outcome.exit_code == 0 and f'"{name}"' in outcome.output
    train = "train --dataset iris --variant scaled --set gain=3 --epochs 1 --name iris-scaled"
    assert CliRunner().invoke(app, train.split()).exit_code == 0
    assert store.load("iris-scaled").config.model.gain == 3
    project = CliRunner().invoke(app, ["project", "--dataset", "iris", "--method", "corner"])
    assert project.exit_code == 0


def test_the_page_and_the_command_line_read_a_new_format(tmp_path: Path) -> None:
    content = "\n".join(f"{number % 10}{number * 7 % 10}" for number in range(40))
    at = opened(ROOT / "pages" / "data.py")
    at.file_uploader[0].upload("few.pairs", content.encode()).run()
    assert not at.exception and any("PAIRS file of 40" in each.value for each in at.markdown)
    (tmp_path / "few.pairs").write_text(content)
    options = ["data", "add", str(tmp_path / "few.pairs"), "--name", "few", "--label", "none"]
    assert CliRunner().invoke(app, options).exit_code == 0
    assert data.get("few").n_features == 2
