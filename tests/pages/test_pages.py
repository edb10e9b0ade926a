"""Every page without a browser, with good, empty and damaged stores."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import Listener, run_config
from starlette.exceptions import HTTPException
from starlette.requests import Request
from streamlit.testing.v1 import AppTest
from tampering import seal
from test_pack import opened as unpacked
from test_recipes import one_of_each_kind
from test_store import arrays

from aecore import data, latent, projections, recipes
from aecore.data import Samples, Subset
from aecore.errors import Cancelled, InvalidRequest
from aecore.jobs import Jobs, TrainingLog
from aecore.models.variants import VARIANTS
from aecore.recipes import RECIPES, Finding, Outcome, Picture
from aecore.runs import description, store
from aecore.runs.train import Resume, Train
from aecore.settings import list_settings
from aecore.training import RunConfig
from aecore.viewer import payload
from pages.app import cache, frame, server
from pages.components import hosts

ROOT = Path(__file__).parents[2]
SHIPPED = ("digits-ae", "digits-vae", "mnist-ae", "mnist-vae")
PAGES = [ROOT / "app.py", *sorted((ROOT / "pages").glob("*.py"))]
PAGES_OF_RUNS = [page for page in PAGES if page.stem in ("app", "latent_map", "reconstructions")]
HEADER_LINKS = len(frame.MENU) + 1  # and that to the tour
MODULES = [ROOT / "app.py", *(ROOT / "pages").rglob("*.py")]


@pytest.fixture
def shipped_runs(store_folder: Path) -> Path:
    """Copy of the shipped runs, maps and recipe outcomes."""
    for name in (*SHIPPED, "_maps", "_recipes"):
        shutil.copytree(ROOT / "models_store" / name, store_folder / name)
    return store_folder


def opened(page: Path, **query: str) -> AppTest:
    """Page after its first run, with this query in its address."""
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    if page.name != "app.py":
        at.switch_page(str(page))
    for name, value in query.items():
        at.query_params[name] = value
    return at.run()


def shown(at: AppTest) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and facts of the linked maps on the page."""
    (content,) = filter(None, (each.proto.bytes for each in at.get("bidi_component")))
    return unpacked(content)


def panes(at: AppTest) -> list[str]:
    return [pane["key"] for pane in shown(at)[1]["panes"]]


def labels_of_buttons(at: AppTest) -> list[str]:
    return [button.label for button in at.button]


@pytest.fixture(autouse=True)
def idle_jobs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    """The pages' queue, with jobs that wait for ever."""
    monkeypatch.setattr(Jobs, "_submit_next", lambda self: None)
    cache.jobs.clear()
    yield cache.jobs()
    cache.jobs.clear()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_shows_the_shipped_runs_without_an_error(page: Path, shipped_runs: Path) -> None:
    at = opened(page)
    assert not at.exception
    assert not at.error
    (current,) = [entry for entry in frame.MENU if entry.path.endswith(page.name)]
    assert at.title[0].value == current.title
    links = [link.proto for link in at.get("page_link")[: len(frame.MENU)]]
    assert [link.help for link in links] == [entry.title for entry in frame.MENU]
    assert [link.label for link in links if link.label.startswith("**")] == [
        "**Latent Loupe**" if page.stem == "app" else f"**{current.title}**"
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_shows_a_run_of_colour_images_without_an_error(page: Path, store_folder: Path) -> None:
    for name in ("shapes-vae", "_maps"):
        shutil.copytree(ROOT / "models_store" / name, store_folder / name)
    at = opened(page, run="shapes-vae")
    assert not at.exception and not at.error


def test_styles_name_containers_that_the_pages_have() -> None:
    text = "".join(module.read_text() for module in MODULES)
    files = (ROOT / "pages").rglob("*.*")
    assets = [each for each in files if each.suffix in (".css", ".js", ".html")]
    named = {(each.name, name) for each in assets for name in KEYED.findall(each.read_text())}
    assert len(named) > 30
    # As a key, or as the part of one that does not vary.
    assert not [each for each in named if f'"{each[1]}' not in text and f"}}{each[1]}" not in text]


KEYED = re.compile(r"st-key-([a-z_-]+)")


def test_links_carry_the_run_to_the_pages_of_a_run_alone(shipped_runs: Path) -> None:
    at = opened(ROOT / "pages" / "generate.py", run="digits-vae")
    links = [link.proto for link in at.get("page_link")[: len(frame.MENU)]]
    carried = {link.help for link in links if link.query_string == "run=digits-vae"}
    assert carried == {"What if", "Latent map", "Reconstructions", "Denoise", "Generate"}
    assert {link.query_string for link in links if link.help not in carried} == {""}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_says_what_to_do_when_there_is_no_run(page: Path) -> None:
    at = opened(page)
    assert not at.exception
    assert not at.error
    links = at.get("page_link")[HEADER_LINKS:]
    assert "Train" in texts(at) or links or page.stem in ("recipes", "data")


@pytest.mark.parametrize("page", PAGES_OF_RUNS, ids=lambda page: page.stem)
def test_names_a_broken_folder(page: Path, shipped_runs: Path) -> None:
    (shipped_runs / "digits-vae" / "weights.safetensors").write_bytes(b"short")
    at = opened(page)
    assert not at.exception
    warned = " ".join(warning.value for warning in at.warning).replace("\\", "")
    assert "digits-vae" in warned
    assert "weights.safetensors" in warned


def test_a_run_whose_dataset_has_changed_is_a_sentence(shipped_runs: Path) -> None:
    path = shipped_runs / "digits-ae" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"fingerprint": "1" * 64}))
    shutil.rmtree(shipped_runs / "mnist-vae")  # which the start page would show
    for page in (ROOT / "app.py", LATENT_MAP):
        at = opened(page, run="digits-ae")
        assert not at.exception and not at.error
        assert told(at).count("The dataset digits has changed since 'digits-ae'") == 1
        assert panes(at) == ["bottleneck"]
        assert not [label for label in labels_of_buttons(at) if label.startswith("Compute")]


def test_a_run_of_an_unknown_dataset_is_a_sentence(shipped_runs: Path) -> None:
    path = shipped_runs / "digits-ae" / "config.json"
    path.write_text(path.read_text().replace('"digits"', '"digitz"'))
    seal(path.parent)
    for page in PAGES_OF_RUNS:
        at = opened(page)
        assert not at.exception
        assert "Unknown dataset 'digitz': did you mean 'digits'?" in told(at)


def test_of_many_broken_folders_the_first_get_a_sentence_and_all_are_named(
    shipped_runs: Path,
) -> None:
    names = [f"broken-{number}" for number in range(8)]
    for name in names:
        (shipped_runs / name).mkdir()
    at = opened(ROOT / "app.py")
    assert not at.exception and len(at.warning) == 6
    assert all(f"'{name}'" in told(at).replace("\\", "") for name in names)


def test_a_damaged_run_leaves_the_others_in_the_table(shipped_runs: Path) -> None:
    arrays("codes.safetensors", labels=lambda array: array + 1)(shipped_runs / "digits-ae")
    at = opened(ROOT / "app.py")
    assert not at.exception and not at.error
    assert set(at.dataframe[0].value["name"]) == set(SHIPPED)
    path = f"/{server.thumbnail_address(store.load('digits-ae'))}"
    request = {"type": "http", "path": path, "path_params": {"name": "digits-ae"}, "headers": []}
    with pytest.raises(HTTPException, match="'digits-ae' is damaged: codes"):
        server.thumbnail(Request(request))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
@pytest.mark.parametrize("left", [SHIPPED[1:], ()], ids=["others", "none"])
def test_a_run_that_vanishes_while_it_is_looked_at_is_a_sentence(
    page: Path, left: Sequence[str], shipped_runs: Path
) -> None:
    at = opened(page, run="digits-ae")
    for name in set(SHIPPED) - set(left):
        shutil.rmtree(shipped_runs / name)
    for _ in range(2):
        at.run()
        assert not at.exception
        assert "could not be shown" not in told(at)
        assert at.title


@pytest.mark.parametrize(
    ("removed", "n", "dataset"), [("", 10_000, "mnist"), ("mnist-vae", 360, "digits")]
)
def test_the_start_page_shows_four_panes_of_a_run_that_ships(
    shipped_runs: Path, removed: str, n: int, dataset: str
) -> None:
    if removed:
        shutil.rmtree(shipped_runs / removed)
    arrays, facts = shown(opened(ROOT / "app.py"))
    assert [pane["key"] for pane in facts["panes"]] == FOUR
    assert facts["mode"] == "start" and len(arrays["rows"]) == n
    assert facts["alt"].startswith(
        f"Linked maps of {n} samples of {dataset}: Bottleneck, PCA, t-SNE"
    )
    assert facts["sheets"]["test"]  # the images under the pointer ship with it


@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("train", {"variant": "denoising", "noise": "zzz"}),
        ("reconstructions", {"split": "zzz"}),
        ("reconstructions", {"order": "zzz"}),
        ("reconstructions", {"class": "zzz"}),
        ("reconstructions", {"pins": "zzz"}),
        ("denoise", {"noise_kind": "zzz"}),
        ("denoise", {"beside": "zzz"}),
        ("generate", {"view": "zzz"}),
        ("latent_map", {"other": "zzz"}),
    ],
    ids=str,
)
def test_an_unknown_choice_in_the_address_is_said_once_and_left_out(
    page: str, query: dict[str, str], shipped_runs: Path
) -> None:
    at = opened(ROOT / "pages" / f"{page}.py", **query)
    assert not at.exception
    warned = [each.value for each in at.warning if "zzz" in each.value]
    assert len(warned) == 1 and "in the address is no choice here" in warned[0]
    assert "zzz" not in str(at.query_params)
    assert not any("zzz" in each.value for each in at.run().warning)


def test_an_unknown_run_in_the_address_is_said(shipped_runs: Path) -> None:
    at = opened(ROOT / "pages" / "latent_map.py", run="no-such-run")
    assert not at.exception
    assert "no-such-run" in at.warning[0].value.replace("\\", "")


# --- Latent map ---------------------------------------------------------------------------------

LATENT_MAP = ROOT / "pages" / "latent_map.py"
FOUR = ["bottleneck", "pca", "tsne", "umap"]


def bottleneck_of(run: str) -> str:
    """What the table of measures calls the bottleneck of a shipped run."""
    return f"Bottleneck of {description.read(store.load(run)).title}"


@pytest.mark.parametrize("run", SHIPPED)
def test_latent_map_has_four_panes_of_all_test_samples(run: str, shipped_runs: Path) -> None:
    at = opened(LATENT_MAP, run=run)
    assert not at.exception and not at.error
    arrays, facts = shown(at)
    n = 360 if run.startswith("digits") else 10_000
    assert panes(at) == FOUR and facts["mode"] == "all"
    assert all(len(arrays[f"pane/{key}"]) == n for key in FOUR)
    manifest = store.load(run).manifest
    table = at.dataframe[0].value.set_index("map")
    assert table.index.tolist() == [bottleneck_of(run), "PCA", "t-SNE", "UMAP"]
    own = table.loc[bottleneck_of(run)]
    assert own["test_mse"] == manifest.metrics["test_mse"]
    assert 0.5 < own["trustworthiness"] <= 1 and (table["trustworthiness"] > 0.5).all()
    assert f"All {n:,} test samples are shown" in texts(at)


def test_a_negative_elbo_is_said_of_variational_models_alone(shipped_runs: Path) -> None:
    (table,) = opened(LATENT_MAP, run="digits-vae", other="digits-ae").dataframe
    told = table.value.set_index("map")["negative_elbo"]
    assert told[bottleneck_of("digits-vae")] == latent.negative_elbo(store.load("digits-vae"))
    assert told.drop(bottleneck_of("digits-vae")).isna().all()
    assert "negative_elbo" not in opened(LATENT_MAP, run="digits-ae").dataframe[0].value


def test_a_run_is_analysed_once_when_its_map_is_first_opened(
    shipped_runs: Path, idle_jobs: Jobs
) -> None:
    for name in SHIPPED:
        (shipped_runs / name / "latent.safetensors").unlink(missing_ok=True)
    at = opened(LATENT_MAP, run="digits-ae")
    at.run()
    assert [job.task for job in idle_jobs.all()] == [latent.Analyse("digits-ae")]
    assert not shown(at)[1]["decodes"]
    (job,) = idle_jobs.all()
    idle_jobs.cancel(job)
    latent.Analyse("digits-ae").run(Listener())
    arrays, facts = shown(at.run())
    assert facts["decodes"] and facts["layers"] and "weight/0.weight" in arrays
    assert set(facts["sheets"]) == {"test", "train"}
    assert "active_units" in at.dataframe[0].value
    assert not [job for job in idle_jobs.all() if job.active]


@pytest.mark.parametrize(
    ("query", "missing"),
    [
        ({"tsne_perplexity": "50"}, ["tsne"]),
        ({"tsne_metric": "cosine"}, ["tsne"]),
        ({"umap_metric": "manhattan", "umap_n_neighbors": "20"}, ["umap"]),
        ({"tsne_seed": "7", "umap_seed": "7"}, ["tsne", "umap"]),
        ({"sample_limit": "100"}, ["pca", "tsne", "umap"]),
    ],
    ids=str,
)
def test_what_is_not_computed_is_offered(
    query: dict[str, str], missing: list[str], shipped_runs: Path, idle_jobs: Jobs
) -> None:
    at = opened(LATENT_MAP, run="digits-ae", **query)
    assert not at.exception and not at.error
    assert panes(at) == [key for key in FOUR if key not in missing]
    offered = [button for button in at.button if button.label.startswith("Compute")]
    assert [button.key for button in offered] == [f"compute-{key}" for key in missing]
    offered[-1].click().run()
    (job,) = (job for job in idle_jobs.all() if isinstance(job.task, projections.Project))
    assert job.task.projection.name == missing[-1]
    assert f"compute-{missing[-1]}" not in [button.key for button in at.button]


def test_a_map_that_failed_says_why_and_can_be_tried_again(
    shipped_runs: Path, idle_jobs: Jobs
) -> None:
    at = opened(LATENT_MAP, run="digits-ae", tsne_perplexity="50")
    at.button(key="compute-tsne").click().run()
    (job,) = (job for job in idle_jobs.all() if isinstance(job.task, projections.Project))
    job.state, job.error = "failed", "The file <x> could not be read."
    at.run()
    assert job.error in told(at)
    assert "Compute t-SNE" in labels_of_buttons(at)


def test_a_computed_map_takes_its_place(shipped_runs: Path) -> None:
    subset = Subset(limit=100)
    settings = projections.PCAProjection()
    digits = data.get("digits")
    computed = projections.compute(digits, settings, Listener().progress, subset)
    at = opened(LATENT_MAP, run="digits-ae", sample_limit="100")
    assert panes(at) == ["bottleneck", "pca"]
    np.testing.assert_array_equal(shown(at)[0]["pane/pca"], computed.plane)
    assert "100 of 360 test samples are shown, drawn class by class with seed 0" in texts(at)


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ({"tsne_perplexity": "500"}, "Perplexity: 500"),
        ({"sample_limit": "5"}, "Number of samples: 5"),
        ({"umap_min_dist": "7"}, "Smallest distance: 7"),
    ],
    ids=str,
)
def test_impossible_settings_are_refused_in_a_sentence(
    query: dict[str, str], fault: str, shipped_runs: Path
) -> None:
    at = opened(LATENT_MAP, run="digits-ae", **query)
    assert not at.exception
    assert len(at.error) == 1 and fault in told(at)


def test_settings_that_ask_for_more_samples_leave_the_others(shipped_runs: Path) -> None:
    at = opened(LATENT_MAP, run="digits-ae", tsne_perplexity="150")
    assert not at.exception and not at.error
    assert "perplexity = 150 needs more samples: give at most 119" in told(at)
    assert panes(at) == ["bottleneck", "pca", "umap"]


@pytest.mark.parametrize("query", [{"sample_split": "moon"}, {"tsne_metric": "x"}, {"panes": "x"}])
def test_nonsense_in_the_address_is_survived(query: dict[str, str], shipped_runs: Path) -> None:
    at = opened(LATENT_MAP, run="digits-ae", **query)
    assert not at.exception and not at.error
    assert "bottleneck" in panes(at)


def test_panes_can_be_chosen(shipped_runs: Path) -> None:
    at = opened(LATENT_MAP, run="digits-ae", panes="t-SNE")
    assert panes(at) == ["bottleneck", "tsne"]
    at.pills(key="panes").set_value([]).run()
    assert panes(at) == ["bottleneck"]
    assert not at.exception and not at.error


def test_training_samples_are_shown_once_they_are_encoded(shipped_runs: Path) -> None:
    (shipped_runs / "digits-ae" / "latent.safetensors").unlink(missing_ok=True)
    at = opened(LATENT_MAP, run="digits-ae", sample_split="train")
    assert not at.exception
    assert told(at).count("not been encoded yet") == 1
    latent.Analyse("digits-ae").run(Listener())
    for split, n in (("train", 1437), ("all", 1797)):
        at = opened(LATENT_MAP, run="digits-ae", sample_split=split)
        assert not at.exception and not at.error
        assert len(shown(at)[0]["rows"]) == n
    assert "All 1,797 test and training samples are shown" in texts(at)


def test_another_run_of_the_same_samples_is_laid_beside(shipped_runs: Path) -> None:
    at = opened(LATENT_MAP, run="digits-ae")
    assert at.multiselect(key="other").options == ["Digits, variational autoencoder"]
    at.multiselect(key="other").set_value(["digits-vae"]).run()
    assert not at.exception and not at.error
    assert at.query_params["other"] == "digits-vae"
    facts = shown(at)[1]
    assert panes(at) == ["bottleneck", "other", "pca", "tsne", "umap"]
    titles = "Digits, plain autoencoder", "Digits, variational autoencoder"
    assert facts["others"][0]["title"] == titles[1]
    rows = at.dataframe[0].value["map"].tolist()
    assert rows[:2] == [f"Bottleneck of {title}" for title in titles]
    for place, name in enumerate(("digits-ae", "digits-vae")):
        own = latent.analysis_artifact(store.load(name)).load().facts
        row = at.dataframe[0].value.iloc[place]
        assert (row["continuity"], row["spearman"]) == (own["continuity"], own["spearman"])
    at.multiselect(key="other").set_value([]).run()
    assert panes(at) == FOUR and "other" not in at.query_params
    # A stranger in the address is none.
    assert panes(opened(LATENT_MAP, run="digits-ae", other="mnist-ae")) == FOUR


@pytest.mark.parametrize("query", ["second,third", ["second", "third"]])
def test_up_to_three_runs_are_laid_beside(query: str | list[str], shipped_runs: Path) -> None:
    for name, seed in (("second", 1), ("third", 2), ("fourth", 3), ("fifth", 4)):
        config = store.load("digits-ae").config
        training = config.training.model_copy(update={"seed": seed})
        stored_like("digits-ae", name, config.model_copy(update={"training": training}))
    at = opened(LATENT_MAP, run="digits-ae", other=query, panes="")
    assert not at.exception and not at.error
    assert at.multiselect(key="other").value == ["second", "third"]
    assert panes(at) == ["bottleneck", "other", "other2"]
    facts = shown(at)[1]
    assert [each["title"] for each in facts["panes"]] == [
        *("Bottleneck, seed 0", "Seed 1", "Seed 2")
    ]
    assert "stability over 3 seeds" in {each["title"] for each in facts["columns"]}
    assert "Over 3 seeds a sample keeps 100% of its 12 nearest neighbours" in texts(at)
    assert len(at.dataframe[0].value) == 3
    at = opened(LATENT_MAP, run="digits-ae", other="second,third,fourth,fifth,digits-vae")
    assert at.multiselect(key="other").value == ["second", "third", "fourth"]
    assert panes(at) == ["bottleneck", "other", "other2", "other3", *FOUR[1:]]
    at.multiselect(key="other").set_value(["digits-vae", "third"]).run()
    titles = [each["title"] for each in shown(at)[1]["panes"][1:3]]
    assert titles == ["Digits, variational autoencoder", "third"]


def test_the_back_button_takes_the_other_run_away_again(shipped_runs: Path) -> None:
    at = opened(LATENT_MAP, run="digits-ae", other="digits-vae")
    assert "other" in panes(at)
    del at.query_params["other"]  # as the back button does
    assert panes(at.run()) == FOUR


def test_links_carry_the_runs_beside_the_run(shipped_runs: Path) -> None:
    at = opened(ROOT / "pages" / "reconstructions.py", run="digits-ae", pins="digits-vae")
    query = {link.proto.help: link.proto.query_string for link in at.get("page_link")}
    assert query["Generate"] == query["Denoise"] == "run=digits-ae&pins=digits-vae"
    assert query["Train"] == ""
    at.multiselect(key="pins").set_value([]).run()
    at.run()
    query = {link.proto.help: link.proto.query_string for link in at.get("page_link")}
    assert query["Generate"] == "run=digits-ae"


def test_runs_of_one_title_are_told_apart_in_every_list(shipped_runs: Path) -> None:
    for name in SHIPPED[:2]:
        description.write(store.load(name), title="The same")
    at = opened(LATENT_MAP, run="digits-ae")
    (other,) = at.multiselect(key="other").options
    run = at.selectbox(key="run")
    assert {other, "The same", "The same (2)"} <= set(run.options)
    at.multiselect(key="other").set_value(["digits-vae"]).run()
    assert "other" in panes(at) and at.query_params["other"] == "digits-vae"


def stored_like(run: str, name: str, config: RunConfig | None = None, **codes: np.ndarray) -> None:
    """Copy of a run with another configuration or changed arrays."""
    known = store.load(run)
    facts = known.manifest.model_dump(exclude={"format", "created", "files"})
    weights = known.model().state_dict()
    store.save(name, config or known.config, weights, known.codes | codes, known.history, **facts)


def test_a_run_that_diverged_is_one_sentence(shipped_runs: Path, idle_jobs: Jobs) -> None:
    broken = {
        name: np.full_like(store.load("digits-ae").codes[name], np.nan)
        for name in ("codes", "plane", "error")
    }
    stored_like("digits-ae", "diverged", **broken)
    at = opened(LATENT_MAP, run="diverged")
    assert not at.exception
    assert told(at).count("are not finite: its training diverged") == 1
    assert panes(opened(LATENT_MAP, run="digits-ae")) == FOUR


def test_a_run_that_diverged_cannot_be_laid_beside_another(shipped_runs: Path) -> None:
    nothing = np.full_like(store.load("digits-ae").codes["plane"], np.nan)
    stored_like("digits-ae", "diverged", plane=nothing)
    at = opened(LATENT_MAP, run="digits-ae", other="diverged")
    assert not at.exception
    assert "'diverged' are not finite" in told(at)


@pytest.mark.parametrize(("n", "classes"), [(40, 1), (1, 1), (12, 3)])
def test_small_data_have_a_map(n: int, classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    iris = data.get("iris")

    def read(split: str) -> Samples:
        size = n if split == "test" else 40
        return Samples(iris.train.x[:size].copy(), np.arange(size) % classes)

    names = ("a", "b", "c")[:classes]
    tiny = iris.derived(read, name="tiny", n_train=40, n_test=n, label_names=names)
    monkeypatch.setitem(data.DATASETS, "tiny", tiny)
    Train(run_config("tiny"), "few").run(Listener())
    latent.Analyse("few").run(Listener())
    at = opened(LATENT_MAP, run="few")
    assert not at.exception and not at.error
    assert len(shown(at)[0]["rows"]) == n


# What the component says cannot come from a browser here.


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replacement of the linked maps that sends this message."""

    def say(selection: np.ndarray | None = None, place: list[float] | None = None) -> None:
        chosen = None
        if selection is not None:
            chosen = {
                "samples": payload.identity(np.arange(len(selection)), data.get("digits")),
                "mask": base64.b64encode(np.packbits(selection)).decode(),
                "when": 1234.5,
            }
        answer = SimpleNamespace(selection=chosen, place=place)
        monkeypatch.setattr(hosts, "linked_maps", lambda: lambda **asked: answer)

    return say


def test_selected_samples_can_be_downloaded(shipped_runs: Path, says: Callable[..., None]) -> None:
    says(np.arange(360) % 9 == 0)
    at = opened(LATENT_MAP, run="digits-ae")
    assert not at.exception and not at.error
    assert [button.proto.label for button in at.get("download_button")] == ["CSV", "Parquet"]


def test_a_selection_of_other_samples_is_not_taken_for_one_of_these(
    shipped_runs: Path, says: Callable[..., None]
) -> None:
    says(np.ones(10_000, bool))
    at = opened(LATENT_MAP, run="digits-ae")
    assert not at.exception and not at.error
    assert not at.get("download_button") and at.dataframe


def decoded(at: AppTest) -> dict[str, Any]:
    """What the server tells the maps of a place."""
    found = [json.loads(each.proto.json) for each in at.get("bidi_component") if each.proto.json]
    (one,) = [each for each in found if each and "values" in each]
    return one


def test_the_server_decodes_a_place(shipped_runs: Path, says: Callable[..., None]) -> None:
    says(place=[0.5, -0.25, 0])
    at = opened(LATENT_MAP, run="digits-ae")
    assert not at.exception and not at.error
    told = decoded(at)
    assert told["place"] == [0.5, -0.25, 0] and len(told["values"]) == 64


def test_the_server_decodes_a_sample_of_a_table(says: Callable[..., None]) -> None:
    Train(run_config(), "own").run(Listener())
    says(place=[0.5, -0.25, 0])
    at = opened(LATENT_MAP, run="own")
    assert not at.exception and not at.error
    told = decoded(at)
    assert len(told["values"]) == len(data.get("iris").feature_names)


def test_a_dataset_that_is_missing_leaves_the_stored_maps(
    shipped_runs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, idle_jobs: Jobs
) -> None:
    monkeypatch.setattr("aecore.data.idx.places", lambda name: [tmp_path / "nowhere"])
    at = opened(LATENT_MAP, run="mnist-vae")
    assert not at.exception and not at.error
    assert panes(at) == FOUR
    assert "mnist is not on this machine" in at.info[0].value
    assert "Download mnist" in labels_of_buttons(at)
    next(button for button in at.button if button.label == "Download mnist").click().run()
    assert projections.Prepare("mnist") in [job.task for job in idle_jobs.all()]


# --- Train --------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
def test_train_has_a_widget_for_every_setting(variant: str, shipped_runs: Path) -> None:
    at = opened(ROOT / "pages" / "train.py", variant=variant)
    assert not at.exception
    keys = {
        widget.key for widget in (*at.number_input, *at.text_input, *at.selectbox, *at.checkbox)
    }
    assert set(VARIANTS[variant].model_fields) <= keys


def test_train_tells_all_faults_at_once_and_keeps_what_was_typed(shipped_runs: Path) -> None:
    at = opened(ROOT / "pages" / "train.py")
    typed = {"epochs": 0, "batch_size": 5000, "latent_dim": 65}
    for key, value in typed.items():
        at.number_input(key=key).set_value(value)
    at.text_input(key="hidden").set_value("512,abc")
    next(button for button in at.button if button.label == "Train").click().run()
    assert not at.exception
    said = at.error[0].value.replace("\\", "")
    assert said.count("\n") == 3
    for fault in ("Epochs: 0", "Batch size: 5000", "Code size: 65", "Hidden layers: '512,abc'"):
        assert fault in said
    assert {key: at.number_input(key=key).value for key in typed} == typed
    assert at.text_input(key="hidden").value == "512,abc"
    assert not store.unfinished()


@pytest.mark.parametrize("facts", [{"kl_weight": 0.25}, {"codebook_dead": 12}, {}, None], ids=str)
def test_a_training_shows_the_facts_of_its_last_epoch(
    facts: dict[str, float] | None, shipped_runs: Path, idle_jobs: Jobs
) -> None:
    job = idle_jobs.submit(Train.named(run_config("digits", epochs=5)))
    entry = {"epoch": 2, "train": {"total": 2.0}, "test": {"total": 1.0}}
    # None as in runs of earlier versions.
    job.log = TrainingLog([entry if facts is None else entry | {"facts": facts}])
    at = opened(ROOT / "pages" / "train.py")
    assert not at.exception and not at.error
    for name, value in (facts or {}).items():
        assert f"After epoch 2: {name} {value:.4g}" in texts(at)
    assert ("After epoch" in texts(at)) is bool(facts)


TRAIN = ROOT / "pages" / "train.py"
DELETE = "Delete it"


def press(at: AppTest, label: str) -> AppTest:
    return next(button for button in at.button if button.label == label).click().run()


@pytest.mark.parametrize("name", ["", "mine"])
def test_a_double_click_on_train_is_one_training(
    name: str, idle_jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.app.state.DOUBLE_CLICK", 60)
    at = opened(TRAIN, dataset="iris", name=name)
    for _ in range(2):
        at = press(at, "Train")
        assert not at.error and not at.exception
    assert len(idle_jobs.all()) == 1


@pytest.mark.parametrize("name", ["", "mine"])
def test_a_press_of_train_that_was_sent_before_the_answer_was_shown_is_void(
    name: str, idle_jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.app.state.DOUBLE_CLICK", 0)
    at = opened(TRAIN, dataset="iris", name=name)
    (shown,) = (button for button in at.button if button.label == "Train")
    for _ in range(2):
        at = shown.click().run()
        assert not at.error and not at.exception
    assert len(idle_jobs.all()) == 1


def test_a_refusal_names_the_field_and_stays_until_one_is_changed(idle_jobs: Jobs) -> None:
    other = idle_jobs.submit(projections.Prepare("wine"))
    at = press(opened(TRAIN, dataset="iris", name="Not possible", hidden="abc"), "Train")
    idle_jobs.cancel(other)
    assert "Hidden layers: 'abc' is not possible" in at.run().error[0].value.replace("\\", "")
    at.text_input(key="hidden").set_value("8").run()
    assert not at.error
    at = press(at, "Train")
    assert "Name: 'Not possible' is not possible" in at.error[0].value.replace("\\", "")
    at.text_input(key="name").set_value("mine").run()
    assert not at.error
    assert not press(at, "Train").error
    assert [job.task.name for job in idle_jobs.all() if job is not other] == ["mine"]


def test_train_shows_the_training_that_was_begun_here(idle_jobs: Jobs) -> None:
    at = press(opened(TRAIN, dataset="iris", name="mine"), "Train")
    (own,) = idle_jobs.all()
    other = idle_jobs.submit(Train.named(run_config("wine"), "other"))
    for _ in range(2):
        assert f"cancel-shown-{own.id}" in [button.key for button in at.button]
        at.query_params.clear()  # as after another page
        at = at.run()
    at = at.button(key=f"cancel-shown-{own.id}").click().run().run()
    assert f"cancel-shown-{other.id}" not in [button.key for button in at.button]
    assert "iris was cancelled" in texts(at)


def test_a_training_links_to_the_run_as_which_it_was_stored(
    shipped_runs: Path, idle_jobs: Jobs
) -> None:
    job = idle_jobs.submit(Train.named(run_config("digits"), "mine"))
    job.state, job.run = "done", "digits-vae"  # another process took the name meanwhile
    at = opened(TRAIN, job=job.id)
    links = [link.proto for link in at.get("page_link")[HEADER_LINKS:]]
    assert [link.query_string for link in links] == ["run=digits-vae"] * len(frame.OF_A_RUN)


def test_a_waiting_training_says_what_it_waits_for(idle_jobs: Jobs) -> None:
    for dataset in ("wine", "digits"):
        idle_jobs.submit(projections.Prepare(dataset))
    at = press(opened(TRAIN, dataset="iris"), "Train")
    shown = [bar.proto.text for bar in at.get("progress") if "iris" in bar.proto.text]
    assert len(shown) == 2  # in the list and on the page
    assert all("waiting behind preparing digits and 1 more" in text for text in shown)


def test_a_second_press_of_train_says_the_same_faults(idle_jobs: Jobs) -> None:
    at = opened(TRAIN, dataset="iris", name="Not possible")
    for _ in range(2):
        at = press(at, "Train")
        assert "is not possible" in at.error[0].value
    assert idle_jobs.all() == []


def test_the_same_request_later_is_another_training_or_a_taken_name(
    idle_jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.app.state.DOUBLE_CLICK", 0)
    at = opened(TRAIN, dataset="iris")
    press(press(at, "Train"), "Train")
    assert len(idle_jobs.all()) == 2
    at = press(press(opened(TRAIN, dataset="iris", name="mine"), "Train"), "Train")
    assert len(idle_jobs.all()) == 3
    assert "is being trained already" in at.error[0].value


def test_the_training_of_another_person_is_not_taken_for_ones_own(idle_jobs: Jobs) -> None:
    for _ in range(2):
        at = press(opened(TRAIN, dataset="iris", name="mine"), "Train")
    assert len(idle_jobs.all()) == 1
    assert "is being trained already" in at.error[0].value


def test_a_double_click_discards_one_training_and_cancels_one_job(
    idle_jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aecore.training import Checkpoint

    for name in ("first", "second"):
        store.write_checkpoint(
            name, run_config(), Checkpoint({}, {"epochs_done": 1, "history": []})
        )
    jobs = [idle_jobs.submit(projections.Prepare(name)) for name in ("iris", "wine")]
    monkeypatch.setattr("pages.app.state.DOUBLE_CLICK", 60)
    at = opened(TRAIN)
    for label in (DELETE, DELETE, "Cancel", "Cancel"):
        at = press(at, label)
    assert len(store.unfinished()) == 1
    assert sorted(job.state for job in jobs) == ["cancelled", "queued"]
    monkeypatch.setattr("pages.app.state.DOUBLE_CLICK", 0)
    press(press(at, DELETE), "Cancel")
    assert not store.unfinished()
    assert [job.state for job in jobs] == ["cancelled", "cancelled"]


def test_what_keeps_jobs_waiting_is_said_beside_them(idle_jobs: Jobs) -> None:
    idle_jobs.submit(projections.Prepare("iris"))
    idle_jobs.trouble = "The scheduler at tcp://a:1 has no worker."
    at = opened(TRAIN)
    assert "has no worker" in at.warning[0].value


def test_workers_that_get_no_jobs_are_said_in_the_list_of_jobs(idle_jobs: Jobs) -> None:
    idle_jobs.notice = "The worker at tcp://a:2 has another store."
    assert not opened(TRAIN).warning
    idle_jobs.submit(projections.Prepare("iris"))
    assert "has another store" in opened(TRAIN).warning[0].value


def test_choosing_a_preset_fills_the_form(shipped_runs: Path) -> None:
    at = opened(ROOT / "pages" / "train.py")
    at.selectbox(key="dataset").set_value("mnist").run()
    assert at.selectbox(key="preset").value == "mnist-map"
    assert at.text_input(key="hidden").value == "512, 256, 128"
    at.selectbox(key="preset").set_value("mnist-published").run()
    assert at.text_input(key="hidden").value == "512, 128"
    assert at.selectbox(key="activation").value == "elu"
    at.selectbox(key="variant").set_value("vae").run()
    assert at.selectbox(key="likelihood").value == "bernoulli"


def test_a_choice_shows_titles_and_its_value_is_in_the_address() -> None:
    at = opened(TRAIN, dataset="digits", variant="ae", preset="defaults", activation="gelu")
    box = at.selectbox(key="activation")
    assert box.value == "gelu" and {"GELU", "Leaky ReLU"} <= set(box.options)
    assert "GELU (`gelu`)" in box.help
    at = at.selectbox(key="likelihood").set_value("bernoulli").run()
    assert (at.query_params["activation"], at.query_params["likelihood"]) == ("gelu", "bernoulli")
    at = at.selectbox(key="likelihood").set_value("squashed-gaussian").run()
    assert "likelihood" not in at.query_params  # which is the default of digits
    at = at.selectbox(key="variant").set_value("contractive").run()
    assert "activation" not in at.query_params
    assert at.selectbox(key="activation").value == "elu"
    at.query_params["activation"] = "unheard-of"
    assert at.run().selectbox(key="activation").value == "elu"


@pytest.mark.parametrize(
    ("dataset", "variant"), [("iris", "ae"), ("digits", "vae"), ("swiss-roll", "wae-mmd")]
)
def test_the_form_begins_with_what_the_data_choose(
    dataset: str, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[RunConfig] = []

    def submit(jobs: Jobs, task: Train) -> None:
        asked.append(task.config)
        raise InvalidRequest("This is enough.")

    monkeypatch.setattr(Jobs, "submit", submit)
    at = opened(ROOT / "pages" / "train.py", dataset=dataset, variant=variant)
    at.selectbox(key="preset").set_value("defaults").run()
    next(button for button in at.button if button.label == "Train").click().run()
    assert asked == [RunConfig.check({"dataset": dataset, "variant": variant})]


SWITCHES = [
    (variant, name)
    for variant in VARIANTS
    for name, field in VARIANTS[variant].model_fields.items()
    if field.annotation is bool
]


@pytest.mark.parametrize(("variant", "name"), SWITCHES)
def test_train_has_a_checkbox_for_every_switch(variant: str, name: str, shipped_runs: Path) -> None:
    at = opened(ROOT / "pages" / "train.py", variant=variant)
    assert not at.exception and not at.error
    box = at.checkbox(key=name)
    (setting,) = [each for each in list_settings(VARIANTS[variant]) if each.name == name]
    assert box.label == setting.label and f"`{name}`" in box.help
    assert box.value is VARIANTS[variant].model_fields[name].default
    assert "true or false" in box.help


def test_a_switch_can_be_told_by_the_address(shipped_runs: Path) -> None:
    assert ("ae", "tied") in SWITCHES
    at = opened(ROOT / "pages" / "train.py", variant="ae", tied="true")
    assert at.checkbox(key="tied").value is True
    assert opened(ROOT / "pages" / "train.py", variant="ae").checkbox(key="tied").value is False


def test_a_switch_keeps_what_was_chosen_when_a_request_is_refused(shipped_runs: Path) -> None:
    at = opened(ROOT / "pages" / "train.py", variant="ae")
    at.checkbox(key="tied").check()
    at.number_input(key="epochs").set_value(0)
    next(button for button in at.button if button.label == "Train").click().run()
    assert not at.exception
    assert "Epochs" in at.error[0].value and "tied" not in at.error[0].value
    assert at.checkbox(key="tied").value is True
    assert not store.unfinished()


def half_trained() -> Path:
    """Folder of an unfinished training called "half"."""
    with pytest.raises(Cancelled):
        Train(run_config(), "half").run(Listener(lambda h: Cancelled() if h.entries else None))
    return store.root() / "_unfinished" / "half"


def test_an_unfinished_training_can_be_resumed_or_discarded(shipped_runs: Path) -> None:
    folder = half_trained()
    at = opened(ROOT / "pages" / "train.py")
    assert {"Resume", DELETE} <= set(labels_of_buttons(at))
    at.button(key="discard-half").click().run()
    assert not at.exception and not folder.exists()
    assert DELETE not in labels_of_buttons(at)


def test_an_unfinished_folder_that_cannot_be_printed_can_be_discarded(shipped_runs: Path) -> None:
    folder = half_trained()
    folder.rename(folder.with_name("a\nb\u202ec"))
    at = opened(ROOT / "pages" / "train.py")
    shown = "a\\nb\\u202ec"
    assert any(shown in each.value.replace("\\\\", "\\") for each in at.markdown)
    at.button(key=f"discard-{shown}").click().run()
    assert not at.exception and store.checkpoints() == ([], [])


def test_a_training_of_another_server_is_shown_without_buttons(shipped_runs: Path) -> None:
    half_trained()
    with store.Reservation("half"):
        at = opened(ROOT / "pages" / "train.py")
        said = " ".join(element.value for element in at.markdown).replace("\\", "")
        assert "half" in said and "1 of 2 epochs" in said
        assert f"being trained by another process (process {os.getpid()} on " in said
        assert not {"Resume", DELETE} & set(labels_of_buttons(at))


@pytest.mark.parametrize("button", ["resume-half", "discard-half"])
def test_a_button_that_was_drawn_before_another_server_took_the_training_does_nothing(
    shipped_runs: Path, idle_jobs: Jobs, button: str
) -> None:
    folder = half_trained()
    at = opened(ROOT / "pages" / "train.py")
    with store.Reservation("half"):
        at.button(key=button).click().run()
        assert not at.exception and folder.is_dir() and not idle_jobs.all()
        with pytest.raises(InvalidRequest, match="'half' is being trained already"):
            idle_jobs.submit(Resume.of("half"))


def test_a_damaged_checkpoint_is_named_and_can_be_discarded_on_the_page(shipped_runs: Path) -> None:
    folder = half_trained()
    os.truncate(folder / "checkpoint.safetensors", 100)
    at = opened(ROOT / "pages" / "train.py")
    assert "its checkpoint is damaged" in " ".join(element.value for element in at.markdown)
    assert DELETE in labels_of_buttons(at) and "Resume" not in labels_of_buttons(at)
    at.button(key="discard-half").click().run()
    assert not at.exception and not folder.exists()


def test_a_file_as_store_is_a_sentence_on_every_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("AECORE_STORE", str(tmp_path / "file"))
    for page in PAGES:
        at = opened(page)
        assert not at.exception, page
        assert "is not possible" in at.error[0].value, page


# --- Recipes ------------------------------------------------------------------------------------

RECIPE_PAGE = ROOT / "pages" / "recipes.py"
REMADE = "linear-is-pca-3d"


def texts(at: AppTest) -> str:
    """All Markdown and captions of the page, without escape characters."""
    said = (*at.markdown, *at.caption, *at.subheader, *at.info)
    return "\n".join(element.value for element in said).replace("\\", "")


def address(at: AppTest, key: str) -> str:
    value = at.query_params[key]
    return value if isinstance(value, str) else value[-1]


def choose(at: AppTest, name: str) -> AppTest:
    """Page after a click on another recipe in the list."""
    return at.button(key=name).click().run()


def cards(at: AppTest) -> dict[str, str]:
    """Verdict on the card of each recipe."""
    said = [each.value.replace("\\", "") for each in at.caption]
    marks = ("check_circle", "cancel", "radio_button_unchecked")
    verdicts = [text for text in said if text.startswith(tuple(f":material/{m}:" for m in marks))]
    names = [button.key for button in at.button if button.key in RECIPES]
    return dict(zip(names, verdicts, strict=True))


def verdict(at: AppTest) -> str:
    """Verdict on the chosen recipe; empty where it was not run."""
    said = (text.value.replace("\\", "") for text in at.markdown)
    return next((text for text in said if "eproduced: target" in text), "")


Remake = Callable[..., Outcome]


@pytest.fixture
def remake(monkeypatch: pytest.MonkeyPatch) -> Remake:
    """Replacement of a recipe's training by a stored outcome."""

    def find_and_keep(
        name: str = REMADE,
        value: float = 0.25,
        holds: bool = True,
        pictures: Sequence[Picture] = (),
    ) -> Outcome:
        found = Finding(value, 0.75, holds, {"a further figure": 0.125}, pictures)
        with monkeypatch.context() as patch:
            patch.setitem(RECIPES, name, replace(RECIPES[name], find=lambda experiment: found))
            return recipes.Reproduce(name).run(Listener())

    return find_and_keep


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_that_was_not_run_says_so_beside_its_reference(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(data.DIGESTS, "mnist")  # as where its files are here
    recipe = RECIPES[name]
    at = opened(RECIPE_PAGE, recipe=name)
    assert not at.exception and not at.error and not at.warning
    said = texts(at)
    assert "It has not been run here yet." in said
    assert f"Measured on the test split: {recipe.describe_metric(recipe.reference)}" in said
    for text in (recipe.title, recipe.teaches, recipe.architecture, recipe.source):
        assert text in said
    assert at.button(key="run-recipe").label == "Run it"
    assert not verdict(at) and not at.get("plotly_chart") and not at.get("image")
    assert address(at, "recipe") == name


def test_the_first_recipe_is_shown_where_none_is_asked_for() -> None:
    at = opened(RECIPE_PAGE)
    first = next(iter(RECIPES.values()))
    assert at.subheader[0].value == first.title
    shown = cards(at)
    assert list(shown) == list(RECIPES)
    assert all(text.endswith("Not run here yet") for text in shown.values())
    titles = [button.label.replace("\\", "") for button in at.button if button.key in RECIPES]
    assert titles == [recipe.title for recipe in RECIPES.values()]
    families = {f"**{recipe.family}**" for recipe in RECIPES.values()}
    assert families <= {text.value for text in at.markdown}


def test_a_dataset_that_is_not_here_is_told_before_a_recipe_is_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("aecore.data.idx.places", lambda name: [tmp_path])
    assert "is not on this machine: the recipe downloads it." in texts(
        opened(RECIPE_PAGE, recipe="vae-2")
    )


@pytest.mark.parametrize(("holds", "word"), [(True, "Reproduced: "), (False, "Not reproduced: ")])
def test_an_outcome_is_shown_with_its_target_and_verdict(
    holds: bool, word: str, remake: Remake
) -> None:
    outcome = remake(holds=holds)
    at = opened(RECIPE_PAGE, recipe=REMADE)
    assert not at.exception and not at.error
    target = recipes.target(outcome.metric)
    assert target.startswith("within 1 % of PCA's (0.75)")
    assert f"{word}target {target}, found 0.25 (test MSE)." in verdict(at)
    assert "not been run here" not in texts(at) and "Seed 0, " in texts(at)
    assert at.button(key="run-recipe").label == "Run it again"
    assert cards(at)[REMADE].endswith(f"{word}target {target}, found 0.25")
    further = str(at.table[0].value)
    assert "a further figure" in further and "0.125" in further


def test_every_kind_of_picture_is_shown_with_a_text_for_those_who_do_not_see_it(
    remake: Remake,
) -> None:
    cache._recipe_thumbnail.clear()  # of outcomes that say that they are as old
    pictures = one_of_each_kind()
    remake(pictures=pictures)
    at = opened(RECIPE_PAGE, recipe=REMADE)
    assert not at.exception and not at.error
    said = texts(at)
    for picture in pictures:
        assert f"**{picture.title}**" in said
    charts = at.get("plotly_chart")
    drawn = [json.loads(chart.proto.spec)["data"] for chart in charts]
    types = [{trace["type"] for trace in traces} for traces in drawn]
    flat, space = {"scatter"}, {"scatter3d", "surface"}
    assert types == [flat, flat, flat, flat, space, flat]
    assert [len(traces) for traces in drawn] == [3, 3, 1, 2, 3, 2]
    assert [trace["name"] for trace in drawn[3]] == ["up", "down"]
    assert [trace["name"] for trace in drawn[4]] == ["test samples", "line", "bent"]
    assert [trace["name"] for trace in drawn[5]] == ["test samples", "f"]
    assert all(chart.proto.alt for chart in charts)
    thumbnail, image = at.get("image")
    assert not thumbnail.proto.imgs[0].alt  # its title stands beside it
    assert "z, a" in image.proto.imgs[0].alt


def test_another_outcome_takes_the_place_of_the_shown_one(remake: Remake) -> None:
    at = opened(RECIPE_PAGE)
    choose(at, REMADE)
    for value, holds in ((0.25, True), (0.5, False), (0.125, True)):
        remake(value=value, holds=holds)
        at.run()
        assert not at.exception and not at.error
        # The mark before its name in the list has changed; it is chosen all the same.
        assert at.subheader[0].value == RECIPES[REMADE].title
        assert address(at, "recipe") == REMADE
        assert f"found {value:g} " in verdict(at)


@pytest.mark.parametrize("name", RECIPES)
def test_every_shipped_outcome_is_shown(name: str, shipped_runs: Path) -> None:
    outcome = recipes.outcome_artifact(name).load()
    assert outcome is not None, f"no outcome of {name} ships with the project"
    at = opened(RECIPE_PAGE, recipe=name)
    assert not at.exception and not at.error and not at.warning
    said = texts(at)
    assert f"Reproduced: target {recipes.target(outcome.metric)}, found " in verdict(at)
    assert recipes.number(outcome.value) in verdict(at)
    assert all(f"**{picture.title}**" in said for picture in outcome.pictures)
    drawn = at.get("plotly_chart") + at.get("image")
    assert len(drawn) >= len(RECIPES) + len(outcome.pictures)


def test_a_trained_model_is_linked_while_it_is_in_the_store(
    remake: Remake, shipped_runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(experiment: recipes.Experiment) -> Finding:
        experiment.runs += ["digits-vae", "deleted-since"]
        return Finding(0.25, 0.75, True, {}, [])

    monkeypatch.setitem(RECIPES, REMADE, replace(RECIPES[REMADE], find=find))
    recipes.Reproduce(REMADE).run(Listener())
    at = opened(RECIPE_PAGE, recipe=REMADE)
    assert not at.exception and not at.error
    said = texts(at)
    assert "**digits-vae**" in said and "deleted-since" not in said
    links = [link.proto for link in at.get("page_link")[HEADER_LINKS:]]
    assert [link.label for link in links] == [entry.title for entry in frame.OF_A_RUN]
    assert all(link.query_string == "run=digits-vae" for link in links)


def test_an_unknown_recipe_in_the_address_is_said() -> None:
    at = opened(RECIPE_PAGE, recipe="no-such-recipe")
    assert not at.exception and not at.error
    assert "no-such-recipe" in at.warning[0].value.replace("\\", "")
    assert at.subheader[0].value == next(iter(RECIPES.values())).title
    assert address(at, "recipe") == next(iter(RECIPES))


def test_markdown_in_the_address_stays_text() -> None:
    at = opened(RECIPE_PAGE, recipe="**[x](http://y)**")
    assert not at.exception
    assert "\\[x\\]" in at.warning[0].value


def test_clicking_another_recipe_shows_it_and_writes_the_address(remake: Remake) -> None:
    remake()
    at = opened(RECIPE_PAGE, recipe=REMADE)
    assert verdict(at)
    for name in ("manifold", "denoising-field"):
        choose(at, name)
        assert not at.exception and not at.error and not at.warning
        assert at.subheader[0].value == RECIPES[name].title
        assert address(at, "recipe") == name
        assert not verdict(at)
    assert verdict(choose(at, REMADE))


def test_the_list_marks_what_holds_what_does_not_and_what_was_not_run(remake: Remake) -> None:
    remake(REMADE, holds=True)
    remake("manifold", holds=False)
    at = opened(RECIPE_PAGE, recipe="manifold")
    assert "check_circle" in cards(at)[REMADE]
    assert "cancel" in cards(at)["manifold"]
    assert "unchecked" in cards(at)["vae-2"]


@pytest.fixture
def damaged(remake: Remake) -> str:
    """File of a damaged outcome, beside an intact one of `manifold`."""
    remake("manifold")
    remake(REMADE)
    recipes.outcome_artifact(REMADE).path.write_bytes(b"short")
    return str(recipes.outcome_artifact(REMADE).path)


def told(at: AppTest) -> str:
    """All errors and warnings of the page."""
    return " ".join(element.value for element in (*at.error, *at.warning)).replace("\\", "")


SHOWN = pytest.mark.parametrize("shown", ["manifold", REMADE], ids=["another", "itself"])


@SHOWN
def test_a_damaged_outcome_is_a_sentence_and_another_recipe_can_be_chosen(
    shown: str, damaged: str
) -> None:
    at = opened(RECIPE_PAGE, recipe=shown)
    assert not at.exception
    assert damaged in told(at) and "Traceback" not in told(at)
    choose(at, "manifold")
    assert not at.exception
    assert at.subheader[0].value == RECIPES["manifold"].title
    assert "found 0.25 " in verdict(at)
    choose(at, "vae-2")
    assert at.subheader[0].value == RECIPES["vae-2"].title


@SHOWN
def test_a_damaged_outcome_is_told_once(shown: str, damaged: str) -> None:
    assert told(opened(RECIPE_PAGE, recipe=shown)).count(damaged) == 1


@SHOWN
def test_a_damaged_outcome_leaves_the_cards_of_the_others(shown: str, damaged: str) -> None:
    assert "found 0.25" in cards(opened(RECIPE_PAGE, recipe=shown))["manifold"]


def test_a_recipe_with_a_damaged_outcome_can_be_run_again(damaged: str) -> None:
    at = opened(RECIPE_PAGE, recipe=REMADE)
    assert "run-recipe" in [button.key for button in at.button]


def test_a_recipe_is_queued_by_its_button_and_cancelled_in_the_menu(idle_jobs: Jobs) -> None:
    at = opened(RECIPE_PAGE, recipe=REMADE)
    at.button(key="run-recipe").click().run()
    assert not at.exception and not at.error
    (job,) = idle_jobs.all()
    assert (job.task, job.state) == (recipes.Reproduce(REMADE), "queued")
    assert "run-recipe" not in [button.key for button in at.button]
    # A recipe beside it can be looked at while this one waits.
    choose(at, "manifold")
    assert "run-recipe" in [button.key for button in at.button]
    at.button(key=f"cancel-listed-{job.id}").click().run()
    choose(at, REMADE)
    assert job.state == "cancelled"
    assert "It was cancelled" in at.info[0].value
    assert "run-recipe" in [button.key for button in at.button]


def test_a_recipe_that_failed_says_why(idle_jobs: Jobs) -> None:
    job = idle_jobs.submit(recipes.Reproduce(REMADE))
    job.state, job.error = "failed", "The file <x> could not be read."
    at = opened(RECIPE_PAGE, recipe=REMADE)
    assert not at.exception
    assert at.error[0].value.replace("\\", "") == job.error


# --- The code of the pages ----------------------------------------------------------------------


def test_state_and_caches_have_one_module_each() -> None:
    for path in MODULES:
        code = path.read_text(encoding="utf-8")
        if path.name != "state.py":
            assert not re.search(r"st\.session_state\b(?!`)", code), path
        if path.name != "cache.py":
            assert "st.cache_" not in code, path


def test_pages_are_short_and_hold_no_mathematics() -> None:
    for page in PAGES:
        code = page.read_text(encoding="utf-8")
        assert len(code.splitlines()) <= 160, page
        assert not re.search(r"^\s*(import|from) (numpy|torch|plotly|sklearn)", code, re.M), page
