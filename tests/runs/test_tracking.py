"""Runs logged to MLflow, read back with its own client, and servers that do not answer."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Listener, run_config
from mlflow import MlflowClient
from mlflow.entities import Run as LoggedRun
from test_sweeps import carry_out, planned

from aecore.progress import no_progress
from aecore.runs import store, tracking
from aecore.runs.train import Train

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the variables of MLflow after the test, those that logging sets among them."""
    for name in (*tracking.DEFAULTS, "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.setenv(name, "restored afterwards")
        monkeypatch.delenv(name)


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """Client of a database, to which trainings are logged."""
    address = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    return MlflowClient(address)


@pytest.fixture
def silent() -> Iterator[str]:
    """Address of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def logged(client: MlflowClient, experiment: str = "latent-loupe") -> list[LoggedRun]:
    """Runs of an experiment, the oldest first."""
    number = client.get_experiment_by_name(experiment).experiment_id
    return list(client.search_runs([number]))[::-1]


def test_a_training_is_logged_with_settings_epochs_and_metrics(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "MOST_METRICS", 5)  # in several requests
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    run = Train(run_config("digits", "vae", {"hidden": (16, 8)}), "digits").run(Listener())
    (seen,) = logged(client, "mine")
    assert (seen.info.run_name, seen.info.status) == ("digits", "FINISHED")
    end = run.manifest.created.timestamp() * 1000
    assert seen.info.end_time == pytest.approx(end, abs=1)
    assert seen.info.start_time == pytest.approx(end - run.manifest.seconds * 1000, abs=2)
    expected = {"dataset": "digits", "variant": "vae", "hidden": "16,8", "epochs": "2"}
    assert expected.items() <= seen.data.params.items()
    assert seen.data.tags["latent-loupe.run"] == "digits"
    assert seen.data.tags["latent-loupe.fingerprint"] == run.manifest.fingerprint
    assert "latent-loupe.sweep" not in seen.data.tags
    for name in ("train", "test"):
        history = client.get_metric_history(seen.info.run_id, f"{name}/kl")
        values = [(metric.step, metric.value) for metric in history]
        assert values == [(entry["epoch"], entry[name]["kl"]) for entry in run.history]
    metrics = {name: value for name, value in run.manifest.metrics.items() if value is not None}
    assert {"test_mse", "trustworthiness", "pca_mse"} <= metrics.keys()
    assert seen.data.metrics.items() >= metrics.items()
    rate = client.get_metric_history(seen.info.run_id, "learning_rate")
    assert [metric.value for metric in rate] == [each["learning_rate"] for each in run.history]


def test_trials_are_logged_with_their_sweep_and_parent(client: MlflowClient) -> None:
    plan = planned({"seed": "0,1"}, name="seeds", parent="origin")
    names = [trial.name for trial in carry_out(plan)]
    seen = logged(client)
    assert [each.info.run_name for each in seen] == names
    for each in seen:
        assert each.data.tags["latent-loupe.sweep"] == "seeds"
        assert each.data.tags["latent-loupe.parent"] == "origin"


def test_nothing_is_logged_unless_a_server_is_named() -> None:
    heard = Listener()
    Train(run_config(), "iris").run(heard)
    assert not [what for what, _, _ in heard.heard if "MLflow" in what]


def test_a_server_that_never_answers_is_said_and_the_run_is_stored(
    silent: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    address = silent.replace("//", "//user:password@")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    run = Train(run_config(), "iris").run(Listener())
    (sentence,) = (each.getMessage() for each in caplog.records if each.name == tracking.__name__)
    assert f"MLFLOW_TRACKING_URI = '{silent}' does not take it" in sentence
    assert "'iris' is stored, but not logged" in sentence and "password" not in sentence
    assert store.load("iris").manifest == run.manifest


def test_a_server_that_does_not_answer_costs_seconds(
    silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Train(run_config(), "iris").run(Listener())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", silent)
    began = time.monotonic()
    tracking.log_run(run, no_progress)
    assert time.monotonic() - began < 30
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_the_command_line_says_that_nothing_was_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"  # which nothing serves from here on
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    command = ["train", "--dataset", "iris", "--variant", "ae", "--epochs", "1", "--name", "iris"]
    result = subprocess.run(
        [sys.executable, "-m", "aecore", *command], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0
    (sentence,) = (line for line in result.stderr.splitlines() if "MLflow" in line)
    assert "'iris' is stored, but not logged to MLflow" in sentence and address in sentence
    assert store.load("iris")


def test_a_missing_package_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    Train(run_config(), "iris").run(Listener())
    assert "pip install latent-loupe[mlflow]" in caplog.text
