"""Command line: one JSON document on standard output, sentences for refused requests."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Listener, run_config, wait_until
from rich.cells import cell_len
from rich.console import Console
from typer.testing import CliRunner, Result

from aecore import data, files, projections, recipes, training
from aecore.applications import denoising, sample_quality
from aecore.cli import app
from aecore.console import print_table
from aecore.data import DATASETS, Subset
from aecore.errors import Cancelled, InvalidRequest
from aecore.models.variants import VARIANTS
from aecore.projections import PROJECTIONS
from aecore.recipes import RECIPES, Experiment, Finding, Recipe
from aecore.runs import store
from aecore.runs.train import Train
from aecore.settings import list_settings
from aecore.training import PRESETS, RunConfig, TrainingConfig

ROOT = Path(__file__).parents[1]


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def answer(*arguments: str) -> Any:
    """JSON document of a command that succeeds."""
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def refusal(*arguments: str) -> list[str]:
    """Sentences of a refused command; they are also in the JSON document."""
    plain, with_json = call(*arguments), call(*arguments, "--json")
    for result in (plain, with_json):
        assert result.exit_code == 2
        assert "Traceback" not in result.output
    assert plain.stdout == ""
    problems = json.loads(with_json.stdout)["faults"]
    assert plain.stderr.strip() == "\n".join(problems)
    return problems


TRAIN = ("train", "--dataset", "digits", "--variant", "ae", "--set", "hidden=16", "--device", "cpu")
TINY = ("train", "--dataset", "iris", "--variant", "ae", "--batch-size", "32", "--device", "cpu")
ON_CPU = ("--device", "cpu", "--epochs", "1")

# --- Lists --------------------------------------------------------------------------------------


def test_datasets_lists_the_registry() -> None:
    rows = {row["name"]: row for row in answer("datasets")}
    assert rows.keys() == DATASETS.keys()
    for name, row in rows.items():
        assert (row["train"], row["test"]) == (DATASETS[name].n_train, DATASETS[name].n_test)
        assert row["source"] and row["licence"]
        assert row["fingerprint"] == (DATASETS[name].fingerprint if row["here"] else None)
    assert rows["iris"]["here"] is True


def test_variants_lists_the_registry_with_every_setting() -> None:
    rows = {row["name"]: row for row in answer("variants")}
    assert rows.keys() == VARIANTS.keys()
    for name, row in rows.items():
        assert list(row["settings"]) == [setting.name for setting in list_settings(VARIANTS[name])]
        assert all(setting["description"] for setting in row["settings"].values())


def test_recipes_lists_the_registry_with_what_each_teaches() -> None:
    rows = answer("recipes")
    assert [row["name"] for row in rows] == list(RECIPES)
    for row in rows:
        recipe = RECIPES[row["name"]]
        for field in ("title", "teaches", "dataset", "architecture", "source"):
            assert row[field] == getattr(recipe, field)
        assert row["metric"] == recipe.describe_metric(recipe.reference)
        assert "{" not in row["metric"]


@pytest.mark.parametrize(
    ("command", "registry"),
    [("datasets", DATASETS), ("variants", VARIANTS), ("recipes", RECIPES)],
)
def test_without_json_a_list_is_a_table(command: str, registry: dict[str, Any]) -> None:
    result = call(command)
    assert result.exit_code == 0
    for name in registry:
        assert name in result.stdout


def test_an_empty_store_has_an_empty_list() -> None:
    assert answer("runs") == {"runs": [], "unfinished": [], "broken": []}
    assert call("runs").exit_code == 0


def test_runs_lists_what_is_complete_unfinished_or_broken(store_folder: Path) -> None:
    Train(run_config(), "whole").run(Listener())
    with pytest.raises(Cancelled):
        Train(run_config(), "half").run(Listener(lambda h: Cancelled() if h.entries else None))
    (store_folder / "damaged").mkdir()
    document = answer("runs")
    assert [row["run"] for row in document["runs"]] == ["whole"]
    assert document["unfinished"] == [{"run": "half", "epochs_done": 1, "trained_by": None}]
    assert [row["run"] for row in document["broken"]] == ["damaged"]
    text = call("runs").stdout
    assert "whole" in text
    assert "unfinished: half, 1 of 2 epochs" in text
    assert "broken: damaged: manifest.json is missing" in text


# --- Tables -------------------------------------------------------------------------------------

HEADERS = ("name", "what it is", "path")
ROWS = [
    ["x", "A sentence of some words that may be broken between them.", "/a/b"],
    ["a-name-of-32-characters-no-less", "[red]no markup[/red]", "/home/person/models store/ü/漢字"],
    ["", "", ""],
]


def table(width: int, terminal: bool = True) -> str:
    """`ROWS` as printed."""
    file = io.StringIO()
    print_table(HEADERS, ROWS, Console(file=file, width=width, force_terminal=terminal))
    return file.getvalue()


@pytest.mark.parametrize("width", [10, 20, 40, 60, 80, 81, 82, 83, 84, 100, 120, 250])
def test_no_word_of_a_table_is_broken_or_cut(width: int) -> None:
    text = table(width)
    printed = re.split(r"[\s│┃]+", re.sub(r"\x1b\[[\d;]*m", "", text))
    words = " ".join(cell for row in (HEADERS, *ROWS) for cell in row).split()
    assert {word for word in words if word not in printed} == set()
    assert "…" not in text
    if "│" in text:
        assert all(cell_len(line) <= width for line in re.sub(r"\x1b.*?m", "", text).splitlines())


def test_a_wide_terminal_has_a_row_on_a_line_and_a_narrow_one_a_cell() -> None:
    assert sum("a-name" in line for line in table(250).splitlines()) == 1
    assert "/home/person/models store/ü/漢字" in table(250)
    narrow = table(40).splitlines()
    assert "name        a-name-of-32-characters-no-less" in narrow
    assert "path        /home/person/models store/ü/漢字" in narrow


def test_without_a_terminal_a_row_is_a_line_with_tabs() -> None:
    assert table(40, terminal=False).splitlines() == ["\t".join(row) for row in (HEADERS, *ROWS)]


@pytest.mark.parametrize("columns", [20, 40, 80])
def test_names_of_runs_are_whole_whatever_the_width(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "a-run-whose-name-says-very-much-of-what-it-is"
    Train(run_config(), name).run(Listener())
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = call("runs").stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["run", name]
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal, for all that is known
    text = call("runs").stdout
    assert name in text and "0." in text


def test_names_that_are_no_text_are_printed(store_folder: Path) -> None:
    (store_folder / os.fsdecode(b"na\xffme")).mkdir(parents=True)
    process = start("runs")
    printed, said = process.communicate()
    assert process.returncode == 0, said
    assert r"na\udcffme" in printed


def test_runs_lists_a_run_without_metrics_and_a_folder_that_is_no_text(store_folder: Path) -> None:
    run = Train(run_config(), "whole").run(Listener())
    (store_folder / os.fsdecode(b"caf\xe9")).mkdir()
    path = run.folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"metrics": {}}))
    (row,) = answer("runs")["runs"]
    assert row["test_mse"] is None and row["pca_mse"] is None
    shown = call("runs")
    assert shown.exit_code == 0 and "broken: caf\\udce9: its name" in shown.stdout


# --- Training -----------------------------------------------------------------------------------


def test_train_says_what_came_of_it() -> None:
    document = answer(*TRAIN, "--epochs", 2, "--name", "mine", "--seed", "7")
    run = store.load("mine")
    assert document["run"] == "mine"
    assert (document["dataset"], document["variant"], document["epochs"]) == ("digits", "ae", 2)
    assert document["test_mse"] == run.manifest.metrics["test_mse"]
    assert document["pca_mse"] == run.manifest.metrics["pca_mse"]
    assert document["seconds"] == run.manifest.seconds > 0
    assert document["config"] == run.config.model_dump(mode="json")
    assert run.config.model.hidden == (16,)
    assert run.config.training.seed == 7


def test_train_prints_a_table_and_epochs_elsewhere() -> None:
    result = call(*TINY, "--epochs", 3, "--name", "mine")
    assert result.exit_code == 0
    assert "mine" in result.stdout and "epoch" not in result.stdout.replace("epochs", "")
    for epoch in (1, 2, 3):
        assert f"epoch    {epoch}  test MSE" in result.stderr


def test_a_preset_is_a_start_and_options_change_it() -> None:
    preset = PRESETS["wine-map"]
    document = answer(
        *("train", "--preset", "wine-map", "--epochs", "2", "--set", "latent_dim=3"),
        *("--device", "cpu"),
    )
    config = document["config"]
    assert (config["dataset"], config["variant"]) == ("wine", "ae")
    assert tuple(config["model"]["hidden"]) == preset.model["hidden"]
    assert config["training"]["batch_size"] == preset.training["batch_size"]
    assert config["model"]["latent_dim"] == 3
    assert config["training"]["epochs"] == 2


@pytest.mark.parametrize("dataset", [name for name in DATASETS if data.is_available(name)])
@pytest.mark.parametrize("variant", ["linear", "ae", "vae"])
def test_what_is_left_out_is_chosen_by_the_data(
    dataset: str, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[RunConfig] = []

    def run(task: Train, reporter: Any) -> None:
        asked.append(task.config)
        raise InvalidRequest("This is enough.")

    monkeypatch.setattr(Train, "run", run)
    assert refusal("train", "--dataset", dataset, "--variant", variant) == ["This is enough."]
    chosen = training.defaults(DATASETS[dataset], VARIANTS[variant])
    wanted = RunConfig.check({"dataset": dataset, "variant": variant} | chosen)
    assert asked == [wanted, wanted]


@pytest.mark.parametrize("dataset", ["iris", "wine", "tilted-ring"])
def test_small_data_are_trained_without_settings(dataset: str) -> None:
    document = answer("train", "--dataset", dataset, "--variant", "linear", *ON_CPU)
    assert document["config"]["training"]["batch_size"] == 16


def test_every_fault_of_a_request_is_said() -> None:
    problems = refusal(
        *("train", "--dataset", "irsi", "--variant", "aee", "--epochs", "none"),
        *("--learning-rate", "-1", "--batch-size", "0", "--device", "tpu"),
    )
    assert len(problems) == 6


def test_faults_of_the_model_are_said() -> None:
    problems = refusal(*TINY, "--set", "latnt_dim=2", "--set", "hidden", "--set", "activation=new")
    assert [fault.split()[0] for fault in problems] == ["activation", "hidden", "Unknown"]


ODD = ("", "-1", "nan", "1e400", "-1e400", "9" * 60_000, "x\ny", os.fsdecode(b"\xff"), "[red]")


@pytest.mark.parametrize("value", ODD, ids=range(len(ODD)))
@pytest.mark.parametrize("option", [*TrainingConfig.model_fields, "dataset", "variant", "preset"])
def test_odd_values_of_options_are_refused_in_a_short_sentence(option: str, value: str) -> None:
    arguments = TRAIN if option != "preset" else ("train",)
    (fault,) = refusal(*arguments, f"--{option.replace('_', '-')}={value}")
    assert len(fault) < 600 and fault.isprintable()
    if option not in ("dataset", "variant", "preset"):
        assert fault.startswith(f"{option} = ")


@pytest.mark.parametrize("value", ODD, ids=range(len(ODD)))
def test_odd_settings_are_refused_in_a_short_sentence(value: str) -> None:
    for pair in (value, f"{value}=1", f"latent_dim={value}", f"activation={value}"):
        (fault,) = refusal(*TRAIN, "--set", pair)
        assert len(fault) < 600 and fault.isprintable()


@pytest.mark.parametrize(
    "arguments",
    [
        ("trian",),
        ("train", "--epoch", "3"),
        ("train", "--epochs"),
        ("train", "iris"),
        ("train", "--json=yes"),
        ("train", os.fsdecode(b"--\xff")),
        (os.fsdecode(b"\xff"),),
        ("project", "--dataset", "iris"),
        ("denoise",),
        ("denoise", "run", "--clip", "yes"),
        ("reproduce", "--slow"),
        ("x" * 60_000,),
    ],
)
def test_what_is_no_command_or_option_is_said_whatever_the_width(
    arguments: tuple[str, ...],
) -> None:
    process = start(*arguments, COLUMNS=40)
    printed, said = process.communicate()
    assert (process.returncode, printed) == (2, "")
    assert "Traceback" not in said
    *_, sentence = said.splitlines()
    assert sentence.startswith("Error: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train", "--preset", "wine"), "did you mean 'wine-map'"),
        ((*TINY, "--name", "Not A Name"), "lower-case letters"),
        ((*TINY, "--set", "latent_dim=5"), "iris has n_features = 4"),
        (("train", "--resume", "nothing"), "Unknown unfinished run 'nothing'"),
        (("project", "--dataset", "irsi", "--method", "pca"), "did you mean 'iris'"),
        (("project", "--dataset", "iris", "--method", "pac"), "did you mean 'pca'"),
        (("project", "--dataset", "iris", "--method", "pca", "--set", "k=3"), "'k'"),
        (("project", "--dataset", "iris", "--method", "pca", "--split", "val"), "test, train, all"),
        (("project", "--dataset", "iris", "--method", "pca", "--limit", "x"), "from 10 to 100000"),
        (
            ("project", "--dataset", "iris", "--method", "tsne", "--set", "perplexity=40"),
            "perplexity = 40 needs more samples: give at most 16.",
        ),
        (
            ("project", "--dataset", "iris", "--method", "tsne", "--set", "perplexity=x"),
            "perplexity = 'x' is not possible: give a number from 2 to 200.",
        ),
    ],
)
def test_a_refusal_is_one_sentence(arguments: tuple[str, ...], said: str) -> None:
    (fault,) = refusal(*arguments)
    assert said in fault


def test_a_training_that_diverges_is_refused_with_a_sentence() -> None:
    result = call(
        *("train", "--dataset", "iris", "--variant", "vae", "--batch-size", "32", "--epochs", "50"),
        *("--learning-rate", "10", "--device", "cpu", "--json"),
    )
    assert result.exit_code == 2
    (fault,) = json.loads(result.stdout)["faults"]
    assert fault.startswith("Training stopped in epoch ") and fault in result.stderr


@pytest.mark.parametrize(
    ("variant", "setting", "expected"),
    [
        ("beta-vae", "warm_up=2", [r"kl_weight 1$", r"kl_weight 2$"]),
        (
            "vq-vae",
            "codebook_size=2000",
            [r"codebook_used 0\.\d+  codebook_dead \d+  codebook_p"] * 2,
        ),
        ("ae", "hidden=8", [r"samples/s$"] * 2),
    ],
)
def test_facts_of_an_epoch_are_said_after_it(
    variant: str, setting: str, expected: list[str]
) -> None:
    line = ["train", "--dataset", "digits", "--variant", variant, "--set", setting]
    result = call(*line, "--epochs", "2", "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    said = [text.rstrip() for text in result.stderr.splitlines() if text.startswith("epoch")]
    for text, pattern in zip(said, expected, strict=True):
        assert re.search(pattern, text), text


def test_a_resumed_training_is_the_one_that_was_stopped() -> None:
    with pytest.raises(Cancelled):
        Train(run_config(), "half").run(Listener(lambda h: Cancelled() if h.entries else None))
    through = Train(run_config(), "through").run(Listener())
    document = answer("train", "--resume", "half")
    assert document["run"] == "half"
    assert document["test_mse"] == through.manifest.metrics["test_mse"]
    assert [entry["epoch"] for entry in store.load("half").history] == [1, 2]


@pytest.mark.parametrize(
    "option",
    [("--epochs", "10"), ("--set", "latent_dim=3"), ("--name", "x"), ("--dataset", "wine")],
)
def test_options_that_a_resumed_training_cannot_heed_are_refused(option: tuple[str, str]) -> None:
    with pytest.raises(Cancelled):
        Train(run_config(), "half").run(Listener(lambda h: Cancelled() if h.entries else None))
    refusal("train", "--resume", "half", *option)


def half() -> Path:
    """Folder of an unfinished training called "half"."""
    with pytest.raises(Cancelled):
        Train(run_config(), "half").run(Listener(lambda h: Cancelled() if h.entries else None))
    return store.root() / "_unfinished" / "half"


def test_a_training_of_another_process_is_listed_as_such_and_left_alone() -> None:
    half()
    with store.Reservation("half"):
        (row,) = answer("runs")["unfinished"]
        assert (row["run"], row["epochs_done"]) == ("half", 1)
        assert row["trained_by"]["pid"] == os.getpid()
        assert row["trained_by"].keys() == {"pid", "host", "since"}
        assert f"being trained (process {os.getpid()} on " in call("runs").stdout
        for command in (
            ("train", "--resume", "half"),
            (*TINY, "--name", "half"),
            ("discard", "half"),
        ):
            (fault,) = refusal(*command)
            assert fault.startswith(f"'half' is being trained already (process {os.getpid()} on ")
    assert answer("train", "--resume", "half")["run"] == "half"
    assert refusal("train", "--resume", "half") == [
        "The run 'half' is complete: there is nothing to resume or discard."
    ]


@pytest.mark.parametrize("size", [0, 300, 3_000])
def test_a_damaged_checkpoint_is_named_with_what_to_do(size: int) -> None:
    os.truncate(half() / "checkpoint.safetensors", size)
    (row,) = answer("runs")["broken"]
    assert row["run"] == "half" and "python -m aecore discard half" in row["reason"]
    assert refusal("train", "--resume", "half") == [row["reason"]]
    assert answer("discard", "half") == {"discarded": "half"}
    assert refusal("discard", "half") == ["Unknown unfinished run 'half'. There is none yet."]
    assert answer(*TINY, "--epochs", "1", "--name", "half")["run"] == "half"


def test_an_unfinished_folder_that_cannot_be_printed_is_listed_and_discarded() -> None:
    half().rename(store.root() / "_unfinished" / "a\nb\u202ec")
    assert "broken: a\\nb\\u202ec: The checkpoint of 'a\\nb\\u202ec' cannot" in call("runs").stdout
    assert answer("discard", "a\\nb\\u202ec") == {"discarded": "a\\nb\\u202ec"}
    assert answer("runs")["broken"] == []


def test_a_training_whose_name_is_taken_meanwhile_says_where_it_is_stored() -> None:
    Train(run_config(seed=1), "other").run(Listener())
    half().rename(store.root() / "_unfinished" / "other")
    result = call("train", "--resume", "other")
    assert result.exit_code == 0
    assert "The name 'other' is taken by another run: this one is stored as 'other-2'." in (
        result.stderr
    )
    assert "other-2" in result.stdout


# --- Maps ---------------------------------------------------------------------------------------


def test_project_computes_a_map_and_says_where_it_is() -> None:
    document = answer("project", "--dataset", "iris", "--method", "pca")
    assert (document["dataset"], document["projection"]) == ("iris", "pca")
    assert (document["samples"], document["split"], document["settings"]) == (50, "test", {})
    kept = projections.map_artifact(
        "iris", DATASETS["iris"].fingerprint, PROJECTIONS["pca"]()
    ).load()
    assert document["trustworthiness"] == kept.metrics["trustworthiness"]
    assert Path(document["file"]).is_file()


def test_project_takes_settings_and_defaults_that_suit_the_data(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(PROJECTIONS["tsne"], "place", PROJECTIONS["pca"].place)  # in no time
    document = answer("project", "--dataset", "iris", "--method", "tsne", "--set", "seed=3")
    assert document["settings"] == {"perplexity": 16, "metric": "euclidean", "seed": 3}


def test_project_shows_other_samples_if_asked() -> None:
    options = ("--split", "all", "--limit", "60", "--sample-seed", "4")
    document = answer("project", "--dataset", "iris", "--method", "pca", *options)
    asked = (document["samples"], document["split"], document["limit"], document["sample_seed"])
    assert asked == (60, "all", 60, 4)
    subset = Subset(split="all", limit=60, seed=4)
    kept = projections.map_artifact(
        "iris", DATASETS["iris"].fingerprint, PROJECTIONS["pca"](), subset
    ).load()
    assert document["continuity"] == kept.metrics["continuity"]
    assert document["measured"] == (subset.rows(DATASETS["iris"]) < 50).sum()
    assert Path(document["file"]).is_file()


def test_project_prints_a_table() -> None:
    result = call("project", "--dataset", "iris", "--method", "pca")
    assert result.exit_code == 0
    assert "pca" in result.stdout


# --- What a run is worth ------------------------------------------------------------------------


def test_denoise_prints_a_row_for_each_level(small_searches: None) -> None:
    name = answer(*TRAIN, "--epochs", "1")["run"]
    rows = answer("denoise", name, "--noise", "block")
    noise = denoising.NOISES["block"]
    assert [row["level"] for row in rows] == noise.levels.tolist()
    assert rows[0].keys() == {"level", "noisy", "run", *denoising.BASELINES}
    kept, _ = denoising.curve_artifact(store.load(name), "block", False).load()
    assert [row["run"] for row in rows] == kept.runs[name].tolist()
    table = call("denoise", name, "--noise", "block").stdout
    assert all(title in table for title in ("level", "noisy", "non-local-means"))


def test_noise_that_cannot_be_is_refused_with_all_its_faults() -> None:
    table, digits = (answer(*each, "--epochs", "1")["run"] for each in (TINY, TRAIN))
    assert refusal("denoise", table, "--noise", "fog") == [
        "iris has no images to denoise: choose a run of images.",
        f"Unknown noise 'fog'. Known: {', '.join(denoising.NOISES)}.",
    ]
    (said,) = refusal("denoise", digits, "--noise", "block", "--clip")
    assert said == "clip is for Gaussian noise: block stays within 0 and 1 anyway."
    (said,) = refusal("quality", "nobody")
    assert said.startswith("Unknown run 'nobody'.")


def test_quality_prints_a_row_for_each_source(small_searches: None) -> None:
    name = answer(*TINY, "--epochs", "2")["run"]
    rows = answer("quality", name)
    assert [row["source"] for row in rows] == ["prior", "mixture", "test samples"]
    assert rows == [
        row._asdict() for row in sample_quality.quality_artifact(store.load(name)).load().rows
    ]
    assert "coverage" in call("quality", name).stdout


# --- Recipes ------------------------------------------------------------------------------------


@pytest.fixture
def two_recipes(monkeypatch: pytest.MonkeyPatch) -> dict[str, Recipe]:
    """Registry of two instant recipes: one succeeds, one fails."""

    def found(value: float) -> Callable[[Experiment], Finding]:
        def find(experiment: Experiment) -> Finding:
            experiment.say("Looking", 1, 2)
            return experiment.at_most(value, {"twice": 2 * value}, [])

        return find

    registry = {
        name: Recipe(
            name,
            title=name.title(),
            teaches="It teaches nothing.",
            dataset="iris",
            architecture="none",
            metric="a number, at most {reference}",
            source="Nobody (2000), Nothing",
            find=found(value),
            reference=1.5,
        )
        for name, value in (("good", 1.0), ("bad", 2.0))
    }
    monkeypatch.setattr("aecore.recipes.registry.RECIPES", registry)
    return registry


def lines(result: Result) -> list[dict[str, Any]]:
    """JSON documents of a command that prints one per line."""
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_recipe_that_holds_ends_with_nothing(two_recipes: dict[str, Recipe]) -> None:
    result = call("reproduce", "good", "--json")
    assert result.exit_code == 0, result.output
    (row,) = lines(result)
    assert (row["name"], row["value"], row["reference"]) == ("good", 1, 1.5)
    assert row["metric"] == "a number, at most 1.5"
    assert (row["holds"], row["fast"], row["figures"]) == (True, False, {"twice": 2})
    assert row["seconds"] >= 0 and row["source"] == "Nobody (2000), Nothing"
    assert recipes.outcome_artifact("good").load().row() == row


def test_a_recipe_that_does_not_hold_ends_with_one(two_recipes: dict[str, Recipe]) -> None:
    result = call("reproduce", "bad", "--json")
    assert result.exit_code == 1
    (row,) = lines(result)
    assert (row["name"], row["holds"]) == ("bad", False)
    assert recipes.outcome_artifact("bad").load().holds is False


def test_without_names_all_recipes_run_though_one_does_not_hold(
    two_recipes: dict[str, Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    backwards = dict(reversed(two_recipes.items()))
    monkeypatch.setattr("aecore.recipes.registry.RECIPES", backwards)
    result = call("reproduce", "--json")
    assert result.exit_code == 1
    assert [(row["name"], row["holds"]) for row in lines(result)] == [
        ("bad", False),
        ("good", True),
    ]


def test_a_tenth_is_neither_judged_nor_kept(two_recipes: dict[str, Recipe]) -> None:
    result = call("reproduce", "bad", "good", "--json", "--fast")
    assert result.exit_code == 0
    assert [(row["name"], row["holds"]) for row in lines(result)] == [("bad", None), ("good", None)]
    assert all(row["fast"] for row in lines(result))
    assert recipes.outcome_artifact("bad").load() is None


def test_a_recipe_of_the_registry_runs_on_a_tenth() -> None:
    result = call("reproduce", "linear-is-pca-3d", "--json", "--fast")
    assert result.exit_code == 0, result.output
    (row,) = lines(result)
    assert (row["name"], row["dataset"]) == ("linear-is-pca-3d", "tilted-ring")
    assert row["holds"] is None
    assert row["value"] > 0 and row["reference"] > 0
    assert "pictures" not in row


def test_without_json_outcomes_are_a_table(two_recipes: dict[str, Recipe]) -> None:
    result = call("reproduce")
    assert result.exit_code == 1
    good, bad = (line for line in result.stdout.splitlines() if "a number" in line)
    assert "good" in good and "yes" in good
    assert "bad" in bad and "no" in bad
    assert "not judged: a tenth" in call("reproduce", "bad", "--fast").stdout


def test_unknown_recipes_are_refused_together_and_none_is_run(
    two_recipes: dict[str, Recipe],
) -> None:
    first, second = refusal("reproduce", "godo", "good", "x")
    assert first == "Unknown recipe 'godo': did you mean 'good'? Known: good, bad."
    assert second == "Unknown recipe 'x'. Known: good, bad."
    assert recipes.outcome_artifact("good").load() is None


def test_a_fault_of_a_recipe_is_a_sentence_after_what_was_found(
    two_recipes: dict[str, Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(experiment: Experiment) -> Finding:
        raise InvalidRequest("The data are not on this machine.")

    monkeypatch.setitem(two_recipes, "bad", replace(two_recipes["bad"], find=find))
    result = call("reproduce", "--json")
    assert result.exit_code == 2
    found, problems = lines(result)
    assert found["name"] == "good"
    assert problems == {"faults": ["The data are not on this machine."]}
    assert "Traceback" not in result.output


# --- As a process -------------------------------------------------------------------------------


def start(*arguments: object, **environment: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "aecore", *(os.fsencode(str(each)) for each in arguments)],
        cwd=ROOT,
        env=os.environ | {name: str(value) for name, value in environment.items()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_training_in_a_process_prints_one_document() -> None:
    process = start(*TRAIN, "--epochs", 2, "--json")
    printed, said = process.communicate()
    assert process.returncode == 0
    document = json.loads(printed)
    assert {"run", "test_mse", "pca_mse", "seconds", "epochs"} <= document.keys()
    assert document["epochs"] == 2
    assert store.load(document["run"]).manifest.metrics["test_mse"] == document["test_mse"]
    assert "epoch    2" in said


def test_a_map_by_umap_in_a_process_prints_one_document() -> None:
    process = start("project", "--dataset", "iris", "--method", "umap", "--json")
    printed, said = process.communicate()
    assert process.returncode == 0, said
    assert json.loads(printed)["settings"]["n_neighbors"] == 15


def test_a_refusal_in_a_process_ends_with_two() -> None:
    process = start(*TINY, "--epochs", "0")
    printed, said = process.communicate()
    assert (process.returncode, printed) == (2, "")
    assert said == "epochs = '0' is not possible: give a whole number from 1 to 10000.\n"


LONG = "a-name-that-is-longer-than-a-narrow-terminal-is-wide"


def test_ctrl_c_stops_a_training_and_says_how_to_go_on() -> None:
    process = start(*TRAIN, "--epochs", "5000", "--batch-size", "64", "--name", LONG, COLUMNS=40)
    wait_until(lambda: store.unfinished())
    process.send_signal(signal.SIGINT)
    printed, said = process.communicate()
    assert (process.returncode, printed) == (130, "")
    assert "Traceback" not in said
    *_, hint = said.splitlines()
    assert shlex.split(hint) == [sys.executable, "-m", "aecore", "train", "--resume", LONG]
    (left,) = store.unfinished()
    assert left.name == LONG and left.epochs_done >= 1


NEEDS_THE_STORE = (
    ("runs",),
    (*TINY, "--epochs", "1"),
    ("train", "--resume", "half"),
    ("discard", "half"),
    ("project", "--dataset", "iris", "--method", "pca"),
    ("denoise", "half"),
    ("quality", "half"),
    ("reproduce", "linear-is-pca-3d"),
)


@pytest.mark.parametrize("command", NEEDS_THE_STORE, ids=lambda command: command[0])
def test_a_file_as_store_is_one_sentence(
    command: tuple[str, ...], store_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_folder.write_text("mine")
    for path in (store_folder, store_folder / "below"):
        monkeypatch.setenv("AECORE_STORE", str(path))
        (fault,) = refusal(*command)
        assert fault == (
            f"AECORE_STORE = '{path}' is not possible ({store_folder} is a file): name a folder."
        )
    assert store_folder.read_text() == "mine"


@pytest.mark.parametrize(
    "command",
    [each for each in NEEDS_THE_STORE if each[0] in ("train", "project", "reproduce")],
    ids=lambda command: command[0],
)
def test_a_store_that_takes_no_files_is_one_sentence_before_work_starts(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    half()
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr(files, "write_new", lambda path, content: pytest.fail("work was done"))
    (fault,) = refusal(*command)
    assert fault == (
        f"{store.root()} cannot be written: that is not permitted. Give this user the permission, "
        "or set AECORE_STORE to another folder."
    )
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_an_error_of_the_operating_system_is_a_sentence(
    options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/private/runs")

    monkeypatch.setattr(store, "runs", fail)
    result = call("runs", *options)
    assert result.exit_code == 2
    assert "/private/runs cannot be used: that is not permitted." in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("gone", ["/dev/full", "closed pipe"])
def test_a_training_goes_on_where_nobody_reads_its_progress(gone: str) -> None:
    if gone == "/dev/full":
        if not Path(gone).exists():
            pytest.skip("this system has no /dev/full")
        target = os.open(gone, os.O_WRONLY)
    else:
        reader, target = os.pipe()
        os.close(reader)
    command = [
        sys.executable,
        "-m",
        "aecore",
        *TINY,
        "--epochs",
        "3",
        "--name",
        "unheard",
        "--json",
    ]
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=target)
    os.close(target)
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["run"] == "unheard"
    assert len(store.load("unheard").history) == 3


def test_a_refused_training_leaves_no_folder(
    store_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aecore.runs.train._bytes_needed", lambda config, dataset: 2**62)
    (fault,) = refusal(*TINY, "--epochs", "1", "--name", "x1")
    assert "are needed" in fault
    assert not store_folder.exists()


def test_discard_of_a_complete_run_says_that_it_is_complete() -> None:
    Train(run_config(), "whole").run(Listener())
    assert refusal("discard", "whole") == [
        "The run 'whole' is complete: there is nothing to resume or discard."
    ]


def test_a_store_removed_while_a_process_trains_ends_it_with_two(store_folder: Path) -> None:
    process = start(*TRAIN, "--epochs", "5000", "--batch-size", "64", "--name", "long")
    wait_until(lambda: store.unfinished())
    store_folder.rename(store_folder.with_name("moved"))
    printed, said = process.communicate()
    assert (process.returncode, printed) == (2, "")
    assert "removed while it was used" in said and "Traceback" not in said
    assert not store_folder.exists()


@pytest.mark.parametrize("resumed", [False, True])
def test_of_two_trainings_of_one_name_one_is_refused_and_the_other_is_stored(resumed: bool) -> None:
    options = (*TRAIN, "--epochs", "30", "--name", "twin")
    if resumed:
        process = start(*options)
        wait_until(lambda: store.unfinished())
        process.kill()
        process.communicate()
        options = ("train", "--resume", "twin")
    twins = [start(*options) for _ in range(2)]
    said = [twin.communicate()[1] for twin in twins]
    assert sorted(twin.returncode for twin in twins) == [0, 2], said
    refused = said[[twin.returncode for twin in twins].index(2)]
    # Where the machine is slow, one has ended before the other begins.
    assert "'twin' is " in refused and "Traceback" not in refused
    assert [run.name for run in store.runs()[0]] == ["twin"]
    assert [entry["epoch"] for entry in store.load("twin").history] == list(range(1, 31))
    assert store.checkpoints() == ([], [])


LISTS = ("datasets", "variants", "runs", "recipes")


def test_without_a_command_the_help_is_shown() -> None:
    result = call()
    for command in (*LISTS, "train", "discard", "project", "denoise", "quality", "reproduce"):
        assert command in result.output
    assert os.linesep in result.output


# --- The installation ---------------------------------------------------------------------------


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert call("--version").stdout == f"latent-loupe {project['version']}\n"


def test_the_doctor_says_what_is_there(store_folder: Path) -> None:
    checks = json.loads(call("doctor", "--json").stdout)
    assert checks["problems"] == [] and checks["runs"] == "0, and 0 that cannot be read"
    assert checks["store"].startswith(str(store_folder)) and "digits" in checks["datasets"]


def test_the_doctor_ends_with_one_where_the_store_takes_no_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse() -> None:
        raise files.DiskFault("The disk is full.")

    monkeypatch.setattr("aecore.locations.refuse_unwritable", refuse)
    outcome = call("doctor", "--json")
    assert outcome.exit_code == 1
    assert json.loads(outcome.stdout)["problems"] == ["The disk is full."]


def test_open_starts_the_dashboard_on_the_loopback_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[list[str]] = []

    def run(command: list[str], check: bool) -> subprocess.CompletedProcess[str]:
        started.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr("aecore.cli.subprocess.run", run)
    assert CliRunner().invoke(app, ["open", "--no-browser", "--allow", "name"]).exit_code == 0
    (command,) = started
    assert str(ROOT / "app.py") in command and "--server.address=127.0.0.1" in command
    assert "--server.headless=true" in command and "--server.allowedHosts=name" in command
