"""Train: defaults of one's own data, the validation part, and training further."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import RISING, Listener, run_config
from streamlit.testing.v1 import AppTest
from test_pages import ROOT, idle_jobs, opened, press, texts  # noqa: F401
from typer.testing import CliRunner

from aecore import data
from aecore.cli import app
from aecore.data import Samples
from aecore.data.spec import DataSpec
from aecore.jobs import Jobs
from aecore.jobs.queue import TrainingLog
from aecore.models.variants import VARIANTS
from aecore.runs import store
from aecore.runs.train import Train, TrainFurther
from aecore.training import RunConfig
from pages.views.reconstructions import summary
from pages.views.train import form

TRAIN = ROOT / "pages" / "train.py"


def own_data(n: int, image: bool = False, unit: bool = True) -> None:
    """A stored dataset `mine` of n samples for training."""
    random = np.random.default_rng(0)
    shape = (8, 8) if image else (6,)

    def samples(n: int) -> Samples:
        x = random.random((n, int(np.prod(shape)))).astype(np.float32)
        return Samples(x if unit else x * 4 - 2, np.arange(n) % 2)

    train, test = samples(n), samples(20)
    spec = DataSpec(
        name="mine",
        title="Mine",
        modality="image" if image else "table",
        shape=shape,
        n_train=n,
        n_test=20,
        value_range=(0, 1) if unit or image else None,
        label_names=("a", "b"),
    )
    data.add(spec, train, test)


@pytest.mark.parametrize("n", [12, 999, 1_000, 9_999, 10_000, 70_000])
@pytest.mark.parametrize("unit", [True, False])
def test_page_and_command_line_begin_with_the_same_defaults(n: int, unit: bool) -> None:
    own_data(n, unit=unit)
    for variant, kind in VARIANTS.items():
        if "table" not in kind.requires:
            continue
        shown = form.starting_values("mine", variant, "defaults")
        config = RunConfig.check({"dataset": "mine", "variant": variant})
        used = {**config.model.model_dump(), **config.training.model_dump()}
        assert shown == used
    expected = {"epochs": 100, "batch_size": min(16, n)} if n < 1_000 else {}
    expected |= {"epochs": 50, "batch_size": 64} if 1_000 <= n < 10_000 else {}
    expected |= {"epochs": max(-(-300_000 // n), 5), "batch_size": 256} if n >= 10_000 else {}
    assert {name: used[name] for name in expected} == expected


def test_the_command_trains_own_data_with_the_values_of_the_page() -> None:
    own_data(40)
    result = CliRunner().invoke(app, ["train", "--dataset=mine", "--variant=ae", "--json"])
    row = json.loads(result.stdout)
    shown = form.starting_values("mine", "ae", "defaults")
    config = row["config"]["training"] | row["config"]["model"]
    assert config == {
        name: list(value) if isinstance(value, tuple) else value for name, value in shown.items()
    }
    assert row["epochs"] == 100


def test_the_curve_shows_the_validation_loss_and_the_page_why_training_ended(
    idle_jobs: Jobs,  # noqa: F811
) -> None:
    run = Train(run_config(**RISING), "own").run(Listener())
    job = idle_jobs.submit(Train.named(run.config, "other"))
    job.log = TrainingLog(run.history)
    job.state, job.run = "done", "own"
    at = opened(TRAIN, job=job.id)
    assert not at.exception and not at.error
    said = texts(at)
    assert f"The weights are those of epoch {run.stored_epoch}, the best on the validation" in said
    assert f"Training stopped early, after {run.epochs} epochs of 60" in said
    (chart,) = at.get("plotly_chart")
    figure = json.loads(chart.proto.spec)
    assert [line["name"] for line in figure["data"]] == ["train", "test", "validation"]
    assert f"best: {run.stored_epoch}" in chart.proto.spec


def test_a_finished_training_offers_to_train_further(idle_jobs: Jobs) -> None:  # noqa: F811
    run = Train(run_config(), "own").run(Listener())
    job = idle_jobs.submit(Train.named(run.config, "other"))
    job.log = TrainingLog(run.history)
    job.state, job.run = "done", "own"
    at = press(opened(TRAIN, job=job.id), "Train further")
    assert not at.exception
    assert "own** goes on from its weights after epoch 2, as a new run" in texts(at)


def dialog() -> None:
    from aecore.runs import store
    from pages.components import further

    further.ask(store.load("own"), True)


def test_the_dialog_queues_further_epochs_or_says_why_not(idle_jobs: Jobs) -> None:  # noqa: F811
    run = Train(run_config(learning_rate=0.01), "own").run(Listener())
    at = AppTest.from_function(dialog, default_timeout=60).run()
    assert not at.exception
    epochs, rate = at.number_input
    assert (epochs.value, rate.value) == (2, 0.01)
    epochs.set_value(20_000)
    at = press(at, "Train")
    assert "from 1 to 10000" in at.error[0].value and not idle_jobs.all()
    at.number_input[0].set_value(7)
    at.number_input[1].set_value(0.002)
    press(at, "Train")
    (job,) = idle_jobs.all()
    assert isinstance(job.task, TrainFurther) and job.task.continues == "own"
    settings = job.task.config.training
    assert (settings.epochs, settings.learning_rate) == (9, 0.002)
    assert store.load("own").manifest == run.manifest


@pytest.mark.parametrize("counts", [(90, 10), (50, 50)])
def test_errors_of_imbalanced_classes_are_balanced_too(
    counts: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    import streamlit as st

    labels = np.repeat([0, 1], counts)
    spec = data.get("iris").spec
    dataset = data.get("iris").derived(
        lambda split: Samples(np.zeros((100, 4), np.float32), labels), n_train=100, n_test=100
    )
    said: list[str] = []
    monkeypatch.setattr(st, "markdown", lambda text, **rest: said.append(text))
    monkeypatch.setattr(st, "dataframe", lambda *rest, **more: None)
    monkeypatch.setattr(summary.cache, "title", lambda name: name)
    errors = {"run": np.where(labels, 1.0, 0.1), "PCA": np.where(labels, 0.5, 0.5)}
    summary.classes(dataset, "test", errors)
    balanced = [text for text in said if text.startswith("Balanced")]
    if counts == (50, 50):
        assert not balanced
    else:
        assert balanced == ["Balanced, each class counting once: run **0.5500**, PCA **0.5000**"]
    assert spec.n_classes == 3
