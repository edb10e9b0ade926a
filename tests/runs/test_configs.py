"""Requests: every problem at once, typed values, and the schema of forms."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import run_config
from pydantic import BaseModel

from aecore import training
from aecore.data import DATASETS, Dataset
from aecore.errors import InvalidRequest
from aecore.models.variants import VARIANTS
from aecore.projections import PROJECTIONS
from aecore.settings import Setting, allowed_values, check_settings, in_words, list_settings
from aecore.training import PRESETS, RunConfig, TrainingConfig

SETTINGS_CLASSES = [*VARIANTS.values(), *PROJECTIONS.values(), TrainingConfig]
MNIST = DATASETS["mnist"]
EVERY_SETTING = [
    pytest.param(kind, setting, id=f"{kind.__name__}-{setting.name}")
    for kind in SETTINGS_CLASSES
    for setting in list_settings(kind)
]


def faults_of(request: dict[str, Any]) -> list[str]:
    with pytest.raises(InvalidRequest) as error:
        RunConfig.check(request)
    return error.value.problems


def test_what_is_left_out_is_chosen_by_the_data_or_takes_its_default() -> None:
    config = RunConfig.check({"dataset": "digits", "variant": "ae"})
    assert config.training == TrainingConfig(epochs=50, batch_size=64, learning_rate=4e-3)
    mnist = RunConfig.check({"dataset": "mnist", "variant": "ae"})
    assert mnist.training == TrainingConfig()
    assert config.model.hidden == (128, 64)
    assert config.model.likelihood == "squashed-gaussian"
    assert run_config("wine").model.likelihood == "gaussian"


def test_values_may_be_text() -> None:
    config = RunConfig.check(
        {
            "dataset": "mnist",
            "variant": "vae",
            "model": {"hidden": " 512, 128 ", "latent_dim": "3"},
            "training": {"epochs": "7", "learning_rate": "1e-3", "batch_size": "64"},
        }
    )
    assert config.model.hidden == (512, 128)
    assert config.model.latent_dim == 3
    assert config.training.model_dump() == TrainingConfig().model_dump() | {
        "epochs": 7,
        "learning_rate": 1e-3,
        "batch_size": 64,
    }


@pytest.mark.parametrize("text", ["", " ", ","])
def test_no_text_is_no_hidden_layer(text: str) -> None:
    assert run_config(model={"hidden": text}).model.hidden == ()


def test_every_fault_of_a_request_is_in_one_message() -> None:
    problems = faults_of(
        {
            "dataset": "iris",
            "variant": "ae",
            "model": {"hidden": "64,x", "latent_dim": 5, "activaton": "elu", "likelihood": "gauss"},
            "training": {
                "epochs": 0,
                "batch_size": 101,
                "learning_rate": "fast",
                "device": "tpu",
                "sead": 1,
            },
        }
    )
    assert sorted(fault.split("=")[0].strip() for fault in problems) == [
        "Unknown setting 'activaton': did you mean 'activation'? Known: latent_dim, hidden, "
        "activation, likelihood, code_activation, initialization, tied, dropout, l2, pretraining, "
        "pretraining_epochs.",
        "Unknown setting 'sead': did you mean 'seed'? Known: epochs, batch_size, learning_rate, "
        "schedule, optimizer, validation, patience, seed, device, precision.",
        "batch_size",
        "device",
        "epochs",
        "hidden",
        "latent_dim",
        "learning_rate",
        "likelihood",
    ]


def test_unknown_names_are_faults_beside_the_others() -> None:
    problems = faults_of({"dataset": "irys", "variant": "vea", "training": {"epochs": -1}})
    assert problems[0].startswith("Unknown dataset 'irys': did you mean 'iris'?")
    assert problems[1].startswith("Unknown variant 'vea': did you mean 'vae'?")
    assert problems[2] == "epochs = -1 is not possible: give a whole number from 1 to 10000."
    assert len(problems) == 3


def test_a_name_that_was_not_given_is_asked_for() -> None:
    problems = faults_of({})
    assert len(problems) == 2
    assert not any("None" in fault for fault in problems)
    assert "iris" in problems[0] and "vae" in problems[1]


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        ("model", {"hidden": "8;4"}, "hidden = '8;4' is not possible: give whole numbers"),
        ("model", {"hidden": "0"}, "hidden = '0' is not possible"),
        ("model", {"hidden": "8193"}, "whole numbers from 1 to 8192"),
        ("model", {"hidden": "1," * 13}, "0 to 12 of them"),
        ("model", {"hidden": 8}, "hidden = 8 is not possible"),
        ("model", {"hidden": None}, "hidden = None is not possible"),
        ("model", {"latent_dim": 0}, "give a whole number from 1 to 8192"),
        ("model", {"latent_dim": 2.5}, "latent_dim = 2.5 is not possible"),
        (
            "model",
            {"latent_dim": 5},
            "latent_dim = 5 is wider than the data: iris has n_features = 4",
        ),
        ("model", {"activation": "relu6"}, "give one of elu, relu"),
        ("training", {"epochs": 0}, "epochs = 0 is not possible"),
        ("training", {"epochs": 10_001}, "from 1 to 10000"),
        ("training", {"batch_size": 101}, "iris has 100 training samples, so give at most 100"),
        (
            "training",
            {"learning_rate": 0},
            "learning_rate = 0 is not possible: give a number above",
        ),
        ("training", {"learning_rate": "nan"}, "learning_rate = 'nan' is not possible"),
        ("training", {"learning_rate": 11}, "above 0 to 10"),
        ("training", {"seed": 2**31}, "from 0 to 2147483647"),
        ("training", {"device": "gpu"}, "give one of auto, cpu, cuda, mps"),
    ],
)
def test_a_fault_names_the_setting_its_value_and_what_may_be_given(
    where: str, value: dict[str, Any], said: str
) -> None:
    request = {"dataset": "iris", "variant": "ae", "training": {"batch_size": 32}}
    request[where] = request.get(where, {}) | value
    problems = faults_of(request)
    assert len(problems) == 1
    assert said in problems[0]


@pytest.mark.parametrize(
    "request_",
    [
        [],
        "iris",
        {"dataset": [], "variant": {}},
        {"dataset": "digits", "variant": "ae", "model": 3},
        {"dataset": "digits", "variant": "ae", "model": "hidden"},
        {"dataset": "digits", "variant": "ae", "training": None},
        {"dataset": "digits", "variant": "ae", "modle": {"latent_dim": 3}},
    ],
)
def test_a_request_of_another_form_is_refused(request_: Any) -> None:
    assert faults_of(request_)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_config_comes_back_from_json(variant: str) -> None:
    config = run_config("digits", variant, {"latent_dim": 6}, seed=9)
    text = json.dumps(config.model_dump(mode="json"))
    assert RunConfig.check(json.loads(text)) == config


def test_configs_cannot_be_changed() -> None:
    config = run_config()
    for part in (config, config.model, config.training):
        with pytest.raises(ValueError, match="frozen"):
            setattr(part, next(iter(type(part).model_fields)), 1)


def test_check_settings_gives_every_fault() -> None:
    with pytest.raises(InvalidRequest) as error:
        check_settings(PROJECTIONS["umap"], {"n_neighbors": "1", "min_dist": 1, "sed": 0})
    assert error.value.problems == [
        "min_dist = 1 is not possible: give a number from 0 to 0.99.",
        "n_neighbors = '1' is not possible: give a whole number from 2 to 200.",
        "Unknown setting 'sed': did you mean 'seed'? Known: n_neighbors, min_dist, metric, seed.",
    ]
    assert check_settings(PROJECTIONS["umap"], {"n_neighbors": "20"}).n_neighbors == 20


# --- Presets ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_valid_request(name: str) -> None:
    preset = training.preset(name)
    config = RunConfig.check(
        {
            "dataset": preset.dataset,
            "variant": preset.variant,
            "model": preset.model,
            "training": preset.training,
        }
    )
    assert training.dataset_of(config).name == preset.dataset
    assert preset.description.endswith((".", "?"))
    for setting, value in preset.model.items():
        assert getattr(config.model, setting) == value
    for setting, value in preset.training.items():
        assert getattr(config.training, setting) == value


def test_an_unknown_preset_gets_the_nearest_one() -> None:
    with pytest.raises(InvalidRequest, match="did you mean 'mnist-map'"):
        training.preset("mnist-mpa")


# --- What a form needs to know ------------------------------------------------------------------


@pytest.mark.parametrize("kind", SETTINGS_CLASSES)
def test_settings_are_all_the_fields_in_order(kind: type[BaseModel]) -> None:
    assert [setting.name for setting in list_settings(kind)] == list(kind.model_fields)


@pytest.mark.parametrize(("kind", "setting"), EVERY_SETTING)
def test_every_setting_is_described_and_bounded(kind: type[BaseModel], setting: Setting) -> None:
    assert setting.description.endswith(".")
    assert setting.label[0].isupper() and "_" not in setting.label
    assert setting.allowed == allowed_values(kind, setting.name)
    assert setting.default == kind.model_fields[setting.name].default
    if setting.kind == "choice":
        assert setting.default in setting.choices
        assert len(set(setting.titles.values())) == len(setting.choices)
        given = kind.model_json_schema()["properties"][setting.name].get("titles", {})
        assert all(in_words(name) != title for name, title in given.items())
        assert all(f"{setting.shown(name)} (`{name}`)" in setting.meant for name in setting.choices)
    elif setting.kind == "switch":
        assert setting.default in (True, False)
    else:
        assert setting.minimum is not None and setting.maximum is not None


@pytest.mark.parametrize(("kind", "setting"), EVERY_SETTING)
def test_bounds_are_allowed_and_what_lies_beyond_is_not(
    kind: type[BaseModel], setting: Setting
) -> None:
    beyond: list[Any]
    if setting.kind == "choice":
        inside, beyond = list(setting.choices), ["nothing"]
    elif setting.kind == "switch":
        inside, beyond = [True, False], ["perhaps", 2]
    elif setting.kind == "widths":
        few, many = int(setting.minimum), int(setting.maximum)
        inside = [(1,) * few, (1, setting.widest), (1,) * many]
        beyond = [(0,), (setting.widest + 1,), (1,) * (many + 1), *([()] if few else [])]
    else:
        step = 1 if setting.kind == "whole number" else 1e-6
        bounds = [
            (setting.minimum, setting.open_below, step),
            (setting.maximum, setting.open_above, -step),
        ]
        inside = [bound + inward if is_open else bound for bound, is_open, inward in bounds]
        beyond = [bound if is_open else bound - inward for bound, is_open, inward in bounds]
        beyond.append(float("nan"))
    for value in inside:
        assert getattr(check_settings(kind, {setting.name: value}), setting.name) == value
    for value in beyond:
        with pytest.raises(InvalidRequest):
            check_settings(kind, {setting.name: value})


# --- What the data choose -----------------------------------------------------------------------


def possible(dataset: Dataset, variant: str) -> bool:
    """Whether a variant suits a dataset at all, with any settings."""
    if VARIANTS[variant].conditioned:
        return bool(dataset.label_names)
    return "channels" not in VARIANTS[variant].model_fields or dataset.traits.pictures


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_what_the_data_choose_can_be_trained_and_makes_enough_steps(
    name: str, variant: str
) -> None:
    request = {"dataset": name, "variant": variant}
    if not possible(DATASETS[name], variant):
        assert all("hoose" in fault for fault in faults_of(request))  # another variant
        return
    config = RunConfig.check(request)
    chosen = training.defaults(DATASETS[name], VARIANTS[variant])
    assert RunConfig.check(request | chosen) == config
    steps = config.training.epochs * DATASETS[name].n_train / config.training.batch_size
    assert 500 < steps < 2_500
    in_range = DATASETS[name].value_range == (0, 1)
    if "likelihood" in VARIANTS[variant].model_fields:
        assert (config.model.likelihood != "gaussian") == in_range


@pytest.mark.parametrize("epochs", [1, 5, 9])
def test_a_setting_in_epochs_cannot_be_longer_than_the_training(epochs: int) -> None:
    def asked(warm_up: int) -> dict[str, Any]:
        model, training = {"warm_up": warm_up}, {"epochs": epochs}
        return {"dataset": "digits", "variant": "beta-vae", "model": model, "training": training}

    for possible in (0, 1, epochs):
        RunConfig.check(asked(possible))
    with pytest.raises(InvalidRequest) as caught:
        RunConfig.check(asked(epochs + 1))
    assert caught.value.problems == [
        f"warm_up = {epochs + 1} is longer than the training, whose epochs = {epochs}: give at "
        f"most {epochs}, or more epochs."
    ]
    # A run of an earlier version is read as it was trained.
    assert RunConfig.check(asked(epochs + 1), trains=False).model.warm_up == epochs + 1
    wrong = asked(epochs + 1)
    wrong["training"]["batch_size"] = 0
    assert len(faults_of(wrong)) == 2


@pytest.mark.parametrize(
    "n", [1, 2, 15, 16, 17, 63, 999, 1_000, 1_001, 9_999, 10_000, 60_000, 10**6]
)
def test_any_number_of_samples_has_training_settings(n: int) -> None:
    data = DATASETS["iris"].derived(n_train=n)
    training = RunConfig.check({"dataset": "iris", "variant": "ae"}, data).training
    assert training.batch_size <= n
    assert training.epochs * n / training.batch_size >= 100


def test_what_is_given_wins_over_what_the_data_choose() -> None:
    config = run_config("digits", "vae", {"likelihood": "gaussian"}, epochs=3, batch_size=256)
    assert (config.training.epochs, config.training.batch_size) == (3, 256)
    assert config.training.learning_rate == 4e-3
    assert config.model.likelihood == "gaussian"


# --- Odd values ---------------------------------------------------------------------------------

ODD: tuple[Any, ...] = (
    *("", " ", "-", "x", "0x10", "1e400", "-1e400", "nan", "inf", "-inf", "1,5", "\udcff", "\0"),
    *("9" * 5_000, "-1", "1_0", "٣", "a\nb", "None", "[1]", "true"),
    *(None, True, -1, 10**400, float("nan"), float("inf"), -0.5, [], {}, (), object(), b"1"),
    *(np.int64(-1), np.float32("nan"), np.array([1, 2]), np.array([]), np.str_("x")),
)


@pytest.mark.parametrize(("kind", "setting"), EVERY_SETTING)
def test_odd_values_are_taken_for_what_is_allowed_or_refused_in_a_short_sentence(
    kind: type[BaseModel], setting: Setting
) -> None:
    for value in ODD:
        try:
            taken = getattr(check_settings(kind, {setting.name: value}), setting.name)
        except InvalidRequest as error:
            (fault,) = error.problems
            assert fault.startswith(f"{setting.name} = ") and fault.isprintable()
            assert len(fault) < 400
        else:
            again = check_settings(kind, {setting.name: json.loads(json.dumps(taken))})
            assert getattr(again, setting.name) == taken


@pytest.mark.parametrize("name", ["x" * 10_000, "a\nb", "\udcff", "", "\0", "<b>", "[red]"])
def test_odd_names_are_refused_in_short_sentences(name: str) -> None:
    request = {"dataset": name, "variant": name, "model": {name: 1}, "training": {name: 1}}
    problems = faults_of(request)
    assert len(problems) == 3  # what the settings of the model are depends on the variant
    problems += faults_of({"dataset": "iris", "variant": "ae", "model": {name: 1}})
    for fault in problems:
        assert fault.startswith("Unknown ") and fault.isprintable() and len(fault) < 400


@pytest.mark.parametrize(
    ("setting", "value", "taken"),
    [
        ("epochs", np.int64(3), 3),
        ("batch_size", np.uint8(4), 4),
        ("learning_rate", np.float64(0.5), 0.5),
        ("device", np.str_("cpu"), "cpu"),
        ("latent_dim", np.int32(2), 2),
        ("hidden", np.array([4, 3]), (4, 3)),
        ("hidden", [np.int64(4)], (4,)),
        ("tied", np.bool_(True), True),
    ],
)
def test_values_of_numpy_are_taken_like_pythons(setting: str, value: Any, taken: Any) -> None:
    part = "training" if setting in TrainingConfig.model_fields else "model"
    config = RunConfig.check({"dataset": "iris", "variant": "ae", part: {setting: value}})
    found = getattr(getattr(config, part), setting)
    assert found == taken and type(found) is type(taken)
    assert RunConfig.check(json.loads(json.dumps(config.model_dump(mode="json")))) == config


# --- Memory -------------------------------------------------------------------------------------


def large(variant: str = "ae", **model: Any) -> dict[str, Any]:
    return {"dataset": "mnist", "variant": variant, "model": model, "training": {}}


@pytest.mark.parametrize(
    ("variant", "model", "named"),
    [
        ("ae", {"hidden": [8192] * 12}, "hidden = '8192,8192"),
        ("conv", {"channels": [512, 512]}, "channels = '512,512'"),
        (
            "vq-vae",
            {"codebook_size": 8192, "vector_dim": 1, "latent_dim": 512},
            "hidden = '128,64'",
        ),
    ],
)
def test_a_model_that_does_not_fit_is_refused_with_its_size(
    variant: str, model: dict[str, Any], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aecore.training.config.memory", lambda: 2**30)
    request = large(variant, **model)
    with pytest.raises(InvalidRequest) as error:
        RunConfig.check(request)
    (fault,) = error.value.problems
    assert fault.startswith(named) and "GiB, and this machine has 1.0 GiB of memory" in fault
    assert f"{RunConfig.check(request, trains=False).model.n_parameters(MNIST):,} param" in fault
    monkeypatch.setattr("aecore.training.config.memory", lambda: 2**50)
    assert RunConfig.check(request)


def test_the_memory_of_a_training_grows_with_batch_and_moments() -> None:
    def needed(**asked: Any) -> int:
        checked = RunConfig.check(large() | {"training": asked})
        return training.training_memory(checked.model, checked.training, MNIST)

    n = RunConfig.check(large()).model.n_parameters(MNIST)
    assert needed() - needed(optimizer="sgd") == 4 * n
    assert needed(batch_size=10_000) > needed(batch_size=1_000)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_fits_into_a_small_machine(
    preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aecore.training.config.memory", lambda: 2**30)
    found = PRESETS[preset]
    given = {"dataset": found.dataset, "variant": found.variant}
    assert RunConfig.check(given | {"model": found.model, "training": found.training})


def test_settings_are_checked_without_torch() -> None:
    script = """
import sys
from aecore.training import PRESETS, RunConfig
for preset in PRESETS.values():
    RunConfig.check({"dataset": preset.dataset, "variant": preset.variant,
                     "model": preset.model, "training": preset.training})
print("torch" in sys.modules)
"""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", script]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False"
