"""Pages of runs whose dataset was stored by a user, removed or changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Listener
from streamlit.testing.v1 import AppTest
from test_catalog import add, pictures, samples, trained
from test_importers import text
from test_pages import idle_jobs, opened, panes  # noqa: F401

from aecore import data, latent, projections
from aecore.data import importers, stored as own_data
from aecore.jobs import Jobs
from aecore.runs import store

ROOT = Path(__file__).parents[2]
TRAIN, LATENT_MAP, RECONSTRUCTIONS, DENOISE, GENERATE = (
    ROOT / "pages" / f"{name}.py"
    for name in ("train", "latent_map", "reconstructions", "denoise", "generate")
)
VIEWS = ("Grid", "Samples", "Path", "Traversal", "Arithmetic", "Health")


def said(at: AppTest) -> str:
    kinds = (at.markdown, at.caption, at.info, at.warning, at.error)
    return "\n".join(element.value for kind in kinds for element in kind).replace("\\", "")


def faultless(at: AppTest) -> AppTest:
    assert not at.exception and not at.error
    return at


def test_a_stored_dataset_can_be_chosen_and_trained_on(idle_jobs: Jobs) -> None:  # noqa: F811
    add()
    (own_data.root() / "broken").mkdir()
    at = faultless(opened(TRAIN))
    titles = [
        *(dataset.title for dataset in data.DATASETS.values()),
        "Flowers that nobody has seen",
    ]
    assert at.selectbox(key="dataset").options == titles
    assert "'broken' is damaged" in said(at)
    at = faultless(opened(TRAIN, dataset="flowers"))
    assert at.selectbox(key="dataset").value == "flowers"
    assert "60 samples to train on, 30 to test on." in said(at)
    next(button for button in at.button if button.label == "Train").click().run()
    (job,) = idle_jobs.all()
    assert job.task.config.dataset == "flowers"


def test_every_page_shows_a_run_of_a_stored_dataset() -> None:
    dataset = pictures()
    trained("stripes")
    projections.Prepare("stripes").run(Listener())
    latent.Analyse("own").run(Listener())
    for page in (ROOT / "app.py", LATENT_MAP, RECONSTRUCTIONS, DENOISE, GENERATE):
        at = faultless(opened(page, run="own"))
        assert "missing" not in said(at) and "has changed" not in said(at)
    assert dataset.title in str(at.table[0].value)


def test_rows_of_a_stored_table_need_no_names_of_features() -> None:
    add()
    trained()
    projections.Prepare("flowers").run(Listener())
    latent.Analyse("own").run(Listener())
    for page in (LATENT_MAP, RECONSTRUCTIONS, GENERATE):
        faultless(opened(page, run="own"))


@pytest.mark.parametrize("images", [False, True])
@pytest.mark.parametrize("how", ["removed", "other samples", "other values"])
def test_a_run_without_its_dataset_opens_on_every_page(how: str, images: bool) -> None:
    name = "stripes" if images else "flowers"
    make = pictures if images else add
    make()
    trained(name, variant="vae")
    own_data.remove(name)
    if how == "other samples":
        if images:
            add(name=name, modality="image", shape=(4, 4), value_range=(0, 1), n_test=31)
        else:
            add(n_test=31)
    elif how == "other values":
        spec = store.load("own").spec
        data.add(spec, samples(60, spec.n_features, 8), samples(30, spec.n_features, 9))
    missing = store.load("own").dataset.missing
    assert missing
    latent.Analyse("own").run(Listener())
    for page in (ROOT / "app.py", LATENT_MAP):
        at = faultless(opened(page, run="own"))
        assert said(at).count(missing) == 1
        assert panes(at) == ["bottleneck", "pca"]  # which was stored
        labels = [button.label for button in at.button]
        assert not [label for label in labels if label.startswith(("Compute", "Download"))]
    at = faultless(opened(RECONSTRUCTIONS, run="own"))
    assert f"{missing} The maps of this run can be seen all the same." in said(at)
    at = faultless(opened(DENOISE, run="own"))
    assert missing in said(at) if images else "has no images" in said(at)
    for view in VIEWS:
        at = faultless(opened(GENERATE, run="own", view=view))
        needs_data = view in ("Samples", "Health")
        assert (missing in said(at)) or not needs_data


@pytest.mark.parametrize("label", ["none", "length", "species"])
def test_every_page_shows_a_run_of_a_file_of_ones_own(tmp_path: Path, label: str) -> None:
    path = tmp_path / "own.csv"
    path.write_text(text(90))
    importers.add_file(path, "flowers", label=label, test_share=0.4)
    trained("flowers")
    projections.Prepare("flowers").run(Listener())
    latent.Analyse("own").run(Listener())
    for page in (ROOT / "app.py", LATENT_MAP, RECONSTRUCTIONS, GENERATE):
        at = faultless(opened(page, run="own"))
        assert "missing" not in said(at) and "has changed" not in said(at)
