"""Event files of runs, read back with TensorBoard's own reader."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import Listener, run_config
from google.protobuf import text_format
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from test_sweeps import carry_out, planned
from typer.testing import CliRunner

from aecore import data
from aecore.cli import app
from aecore.errors import InvalidRequest
from aecore.models import inference
from aecore.runs import event_files, store
from aecore.runs.train import Train


def read(folder: Path) -> EventAccumulator:
    """Everything in the event files of a run."""
    everything = {"images": 0, "histograms": 0, "scalars": 0, "tensors": 0}
    return EventAccumulator(str(folder), everything).Reload()


def projector(folder: Path) -> ProjectorConfig:
    text = (folder / "projector_config.pbtxt").read_text()
    return text_format.Parse(text, ProjectorConfig())


def settings(events: EventAccumulator) -> dict[str, str | float]:
    """Settings that the HParams tab reads."""
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    hparams = HParamsPluginData.FromString(content).session_start_info.hparams
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in hparams.items()}


@pytest.fixture
def digits() -> store.Run:
    return Train(run_config("digits", "vae", {"latent_dim": 3}), "digits").run(Listener())


def test_scalars_are_the_history_and_the_metrics_at_the_epochs_of_the_run(
    digits: store.Run, tmp_path: Path
) -> None:
    event_files.write(digits, tmp_path)
    events = read(tmp_path / "digits")
    for entry in digits.history:
        at = entry["epoch"] - 1
        for name, value in {
            **{f"train/{term}": value for term, value in entry["train"].items()},
            **{f"test/{term}": value for term, value in entry["test"].items()},
            "test_mse": entry["test_mse"],
            "learning_rate": entry["learning_rate"],
        }.items():
            event = events.Scalars(name)[at]
            assert (event.step, event.value) == (entry["epoch"], pytest.approx(value)), name
    assert {"train/kl", "test/kl", "train/total"} <= set(events.Tags()["scalars"])
    (last,) = events.Scalars("trustworthiness")
    assert last.value == pytest.approx(digits.manifest.metrics["trustworthiness"])
    assert last.wall_time == pytest.approx(digits.manifest.created.timestamp())
    times = [event.wall_time for event in events.Scalars("test_mse")]
    seconds = [entry["seconds"] for entry in digits.history]
    assert times[1] - times[0] == pytest.approx(seconds[1], abs=1e-3)


def test_images_are_test_samples_and_their_reconstructions(
    digits: store.Run, tmp_path: Path
) -> None:
    assert event_files.write(digits, tmp_path).images == 64
    events = read(tmp_path / "digits")
    originals = digits.dataset.test.x[:64]
    shown = {
        "test/original": originals,
        "test/reconstruction": inference.reconstruct(digits.model(), originals),
    }
    for tag, wanted in shown.items():
        (event,) = events.Images(tag)
        (tmp_path / "image.png").write_bytes(event.encoded_image_string)
        pixels = np.asarray(Image.open(tmp_path / "image.png"))
        assert pixels.shape == (64, 64, 3)  # eight images in a row, and eight rows
        third = pixels[:8, 16:24, 0] / 255
        np.testing.assert_allclose(third, wanted[2].reshape(8, 8), atol=1 / 255)


def test_histograms_are_of_the_weights_the_codes_and_the_map(
    digits: store.Run, tmp_path: Path
) -> None:
    event_files.write(digits, tmp_path)
    events = read(tmp_path / "digits")
    weights = {f"weights/{name}": each for name, each in digits.model().state_dict().items()}
    codes = {f"codes/{d}": digits.codes["codes"][:, d - 1] for d in (1, 2, 3)}
    assert set(events.Tags()["histograms"]) == {*weights, *codes, "map/x", "map/y"}
    for tag, values in (weights | codes).items():
        (event,) = events.Histograms(tag)
        counted = event.histogram_value
        assert counted.num == np.asarray(values).size
        assert counted.min == pytest.approx(float(values.min()))
    assert [event.step for event in events.Histograms("map/x")] == [1, 2]


def test_the_projector_has_codes_labels_and_a_sprite_of_the_samples(
    digits: store.Run, tmp_path: Path
) -> None:
    assert event_files.write(digits, tmp_path).codes == 360
    folder = tmp_path / "digits"
    (embedding,) = projector(folder).embeddings
    codes = np.loadtxt(folder / embedding.tensor_path, delimiter="\t")
    np.testing.assert_allclose(codes, digits.codes["codes"], rtol=1e-6)
    header, *rows = (folder / embedding.metadata_path).read_text().splitlines()
    assert header.split("\t") == ["label", "sample", "squared error"] and len(rows) == 360
    label, sample, error = rows[7].split("\t")
    assert label == data.get("digits").label_names[digits.codes["labels"][7]]
    assert (sample, float(error)) == ("7", pytest.approx(float(digits.codes["error"][7])))
    assert embedding.sprite.single_image_dim == [8, 8]
    sprite = np.asarray(Image.open(folder / embedding.sprite.image_path))
    assert sprite.shape == (19 * 8, 19 * 8, 3)  # 19 in a row hold 360
    image = sprite[8:16, 16:24, 0] / 255  # the 22nd: row 1, column 2
    wanted = digits.dataset.test.x[21].reshape(8, 8)
    np.testing.assert_allclose(image, wanted, atol=1 / 255)


def test_images_that_are_higher_than_wide_stand_in_squares_of_the_sprite() -> None:
    import torch

    squares = event_files._square(torch.ones(2, 1, 5, 3))
    assert squares.shape == (2, 1, 5, 5) and squares.sum() == 2 * 5 * 3


def test_a_run_of_a_table_has_no_images(tmp_path: Path) -> None:
    run = Train(run_config("iris"), "table").run(Listener())
    assert event_files.write(run, tmp_path)._replace(folder=tmp_path) == (tmp_path, 50, 0)
    assert read(tmp_path / "table").Tags()["images"] == []
    (embedding,) = projector(tmp_path / "table").embeddings
    assert not embedding.HasField("sprite") and embedding.metadata_path


def test_a_run_whose_samples_are_gone_has_no_images(
    digits: store.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data.catalog, "DATASETS", {})
    assert digits.dataset.missing
    assert event_files.write(digits, tmp_path)[1:] == (360, 0)


def test_the_runs_of_a_sweep_are_sessions_with_their_settings(tmp_path: Path) -> None:
    plan = planned({"hidden": "8;8,4", "learning_rate": "0.01"}, name="widths")
    names = [trial.name for trial in carry_out(plan)]
    to = tmp_path / "events"
    result = CliRunner().invoke(app, ["tensorboard", "--sweep", "widths", "--to", f"{to}"])
    assert result.exit_code == 0, result.stderr
    assert f"tensorboard --logdir {to}" in result.stderr
    assert sorted(path.name for path in to.iterdir()) == names
    read_back = [settings(read(to / name)) for name in names]
    assert [each["hidden"] for each in read_back] == ["8", "8,4"]
    assert [each["learning_rate"] for each in read_back] == [0.01, 0.01]
    assert read_back[0]["variant"] == "ae" and read_back[0]["epochs"] == 4


def test_what_is_written_already_or_cannot_be_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Train(run_config(), "iris").run(Listener())
    command = ["tensorboard", "iris", "--to", str(tmp_path / "events"), "--json"]
    result = CliRunner().invoke(app, command)
    (row,) = json.loads(result.stdout)
    folder = str(tmp_path / "events" / "iris")
    assert row == {"run": "iris", "folder": folder, "codes": 50, "images": 0}
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 2 and "events holds iris already" in again.stderr
    none = CliRunner().invoke(app, ["tensorboard", "--to", str(tmp_path / "others")])
    assert none.exit_code == 2 and "name runs" in none.stderr
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(InvalidRequest, match=r"pip install latent-loupe\[tensorboard\]"):
        event_files.refuse_missing()
