"""The commands import-model and import-codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx_files
from typer.testing import CliRunner

from aecore.cli import app


def command(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout or result.output


def test_a_model_is_imported_and_listed(tmp_path: Path) -> None:
    encoder = onnx_files.write(onnx_files.linear(64, 2), tmp_path / "e.onnx")
    decoder = onnx_files.write(onnx_files.linear(2, 64), tmp_path / "d.onnx")
    files = ("--encoder", encoder, "--decoder", decoder, "--dataset", "digits")
    status, output = command("import-model", *files, "--name", "theirs", "--json")
    row = json.loads(output)
    assert status == 0 and row["run"] == "theirs" and row["encoder"] and row["decoder"]
    assert row["latent_dim"] == 2 and row["test_mse"] > 0 and len(row["report"]) >= 2
    status, output = command("runs", "--json")
    (listed,) = json.loads(output)["runs"]
    assert listed["variant"] == "imported" and listed["epochs"] is None
    status, output = command("import-model", *files, "--name", "theirs", "--json")
    assert status == 2 and "is taken" in json.loads(output)["faults"][0]


def test_codes_are_imported(tmp_path: Path) -> None:
    np.savez(tmp_path / "codes.npz", codes=np.random.default_rng(0).normal(size=(50, 3)))
    status, output = command("import-codes", tmp_path / "codes.npz", "--name", "theirs")
    assert status == 0 and "theirs" in output
    status, output = command("import-codes", tmp_path / "none.npz", "--name", "others")
    assert status == 2 and "none.npz is no file" in output
