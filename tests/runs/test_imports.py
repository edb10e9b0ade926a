"""Models in ONNX files and codes alone as runs, and what is wrong with such files."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_files
import pytest
import torch
from conftest import Listener
from onnx import helper
from sklearn.neural_network import MLPRegressor
from torch import nn

import aecore
from aecore import data, latent, models
from aecore.data.importers import INCOMING
from aecore.errors import InvalidRequest
from aecore.models import inference
from aecore.runs import imports, store

DIGITS = data.get("digits")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Encoder and decoder of digits, of random weights."""
    encoder = onnx_files.write(onnx_files.linear(64, 3), tmp_path / "e.onnx")
    return encoder, onnx_files.write(onnx_files.linear(3, 64, 1), tmp_path / "d.onnx")


def faults(call: Callable[[], object]) -> str:
    with pytest.raises(InvalidRequest) as caught:
        call()
    assert not store.names() and not data.stored.names()
    return str(caught.value)


def refused(encoder: Path | None, decoder: Path | None = None, dataset: str = "digits") -> str:
    return faults(lambda: imports.import_model("theirs", dataset, encoder, decoder))


# --- Models -------------------------------------------------------------------------------------


def test_an_autoencoder_of_scikit_learn_answers_as_it_does_there(tmp_path: Path) -> None:
    x = DIGITS.train.x
    theirs = MLPRegressor(
        hidden_layer_sizes=(16, 2, 16), activation="tanh", max_iter=8, random_state=0
    )
    with pytest.warns(UserWarning, match="iterations"):
        theirs.fit(x, x)
    weights, biases = theirs.coefs_, theirs.intercepts_
    encoder = onnx_files.layers(weights[:2], biases[:2], "Tanh")
    encoder.graph.node.append(helper.make_node("Tanh", ["h1"], ["code"]))
    encoder.graph.output[0].name = "code"
    decoder = onnx_files.layers(weights[2:], biases[2:], "Tanh")
    run = imports.import_model(
        "theirs",
        "digits",
        onnx_files.write(encoder, tmp_path / "e.onnx"),
        onnx_files.write(decoder, tmp_path / "d.onnx"),
    )
    there = theirs.predict(DIGITS.test.x)
    here = inference.reconstruct(store.load("theirs").model(), DIGITS.test.x)
    np.testing.assert_allclose(here, there, atol=1e-5)
    error = float(np.square(there - DIGITS.test.x).mean())
    assert run.manifest.metrics["test_mse"] == pytest.approx(error, rel=1e-4)
    assert not run.history and run.epochs is None and "e.onnx" in run.manifest.origin


class Gaussian(nn.Module):
    """Convolutional encoder with mean and log-variance, channels first."""

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, 4, 3, 2, 1)
        self.last = nn.Linear(4 * (side // 2) ** 2, 4)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean, log_variance = self.last(self.convolution(x).relu().flatten(1)).chunk(2, 1)
        return mean, log_variance


def decoder_of(channels: int, side: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(2, channels * side**2), nn.Sigmoid(), nn.Unflatten(1, (channels, side, side))
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_torch_modules_become_a_run_of_images_in_one_call(channels: int) -> None:
    side = 8
    x = np.random.default_rng(0).uniform(size=(60, channels, side, side)).astype(np.float32)
    encoder, decoder = Gaussian(channels, side), decoder_of(channels, side)
    run = aecore.add_model(encoder, decoder, torch.tensor(x), np.arange(60) % 3, name="mine")
    assert run.spec.shape == ((side, side) if channels == 1 else (side, side, channels))
    assert run.capabilities.posterior and run.spec.n_classes == 3
    samples = run.dataset.test.x.reshape(-1, side, side, channels)
    moved = torch.tensor(np.moveaxis(samples, -1, 1))
    with torch.no_grad():
        mean, log_variance = encoder(moved)
        wanted = decoder(mean)
    found = inference.encode_with_errors(run.model(), run.dataset.test.x)
    np.testing.assert_allclose(found.codes, mean, atol=1e-5)
    np.testing.assert_allclose(found.deviations, (log_variance / 2).exp(), atol=1e-5)
    np.testing.assert_allclose(
        inference.decode(run.model(), mean.numpy()),
        np.moveaxis(wanted.numpy(), 1, -1).reshape(len(wanted), -1),
        atol=1e-5,
    )
    arrays, facts = latent.analyse(run, run.dataset, Listener().progress)
    assert facts["complete"] and arrays["spread"].shape == run.codes["codes"].shape
    assert latent.analysis_artifact(run).load() is not None


def test_derivatives_by_differences_are_those_of_torch(files: tuple[Path, Path]) -> None:
    network = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 64), nn.Sigmoid())
    content = models.onnx.export(network, torch.zeros(2, 2))
    theirs = models.onnx.load(None, content, DIGITS.spec)
    ours = models.autoencoder.Autoencoder(
        nn.Identity(), network.eval(), models.likelihoods.LIKELIHOODS["gaussian"]
    )
    codes = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    plane = latent.plane_of_run.__globals__["_plane_as_it_is"](2)
    only = models.capabilities.Capabilities(encode=False)
    exact, differences = (
        latent.reliability(model, plane, codes, size=12, can=only) for model in (ours, theirs)
    )
    assert exact.cycle_error is None and differences.cycle_error is None
    np.testing.assert_allclose(differences.sensitivity, exact.sensitivity, rtol=2e-3)


@pytest.mark.parametrize("sizes", [(64,), (8, 8), (1, 8, 8), (8, 8, 1)])
@pytest.mark.parametrize("batch", ["n", 1, 7])
def test_samples_and_batches_come_in_any_layout(
    tmp_path: Path, sizes: tuple[int, ...], batch: int | str
) -> None:
    model = onnx_files.linear(64, 2, batch=batch, sizes=sizes)
    run = imports.import_model("theirs", "digits", onnx_files.write(model, tmp_path / "e.onnx"))
    weight = onnx.numpy_helper.to_array(model.graph.initializer[0])
    np.testing.assert_allclose(run.codes["codes"], DIGITS.test.x @ weight, atol=1e-5)
    assert np.isnan(run.codes["error"]).all() and "test_mse" not in run.manifest.metrics
    assert "no decoder" in run.lacks("Denoising", "encode", "decode")


def test_a_decoder_alone_goes_with_codes(tmp_path: Path, files: tuple[Path, Path]) -> None:
    assert "codes of all samples" in refused(None, files[1])
    codes = np.random.default_rng(0).normal(size=(DIGITS.n_train + DIGITS.n_test, 3))
    np.savez(tmp_path / "codes.npz", codes=codes.astype(np.float32))
    run = imports.import_model("theirs", "digits", None, files[1], tmp_path / "codes.npz")
    np.testing.assert_allclose(run.codes["codes"], codes[DIGITS.n_train :], atol=1e-6)
    decoded = inference.decode(run.model(), run.codes["codes"])
    errors = np.square(decoded - DIGITS.test.x).mean(axis=1)
    np.testing.assert_allclose(run.codes["error"], errors, rtol=1e-4)
    arrays, _ = latent.analyse(run, DIGITS, Listener().progress)
    assert "sensitivity" in arrays and "cycle_error" not in arrays
    loaded = latent.analysis_artifact(run).load()
    assert loaded is not None and len(loaded.arrays["train_codes"]) == DIGITS.n_train


def test_what_is_wrong_with_both_files_is_said_at_once(
    tmp_path: Path, files: tuple[Path, Path]
) -> None:
    imports.import_model("theirs", "digits", *files)
    with pytest.raises(InvalidRequest) as caught:
        imports.import_model("theirs", "digits", files[1], tmp_path / "none.onnx")
    said = str(caught.value).splitlines()
    assert len(said) == 3
    assert "is taken" in said[0] and "none.onnx is no file" in said[1] and "d.onnx takes" in said[2]


def truncated(path: Path) -> None:
    content = onnx_files.linear(64, 3).SerializeToString()
    path.write_bytes(content[: len(content) // 2])


def custom(path: Path) -> None:
    nodes = [helper.make_node("Trojan", ["x"], ["y"], domain="evil")]
    model = onnx_files.model_of(nodes, {"x": ["n", 64]}, {"y": ["n", 2]}, domains=["evil"])
    onnx_files.write(model, path)


def outside(path: Path) -> None:
    model = onnx_files.linear(64, 3)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret.bin")
    onnx_files.write(model, path)


def hidden_outside(path: Path) -> None:
    """Weights in another file, of a constant within a branch."""
    model = onnx_files.linear(64, 3)
    value = onnx.TensorProto(data_type=1, dims=[1], data_location=onnx.TensorProto.EXTERNAL)
    value.external_data.add(key="location", value="secret.bin")
    constant = helper.make_node("Constant", [], ["c"], value=value)
    branch = helper.make_graph(
        [constant], "b", [], [helper.make_tensor_value_info("c", onnx_files.FLOAT, [1])]
    )
    model.graph.node.append(
        helper.make_node("If", ["x"], ["z"], then_branch=branch, else_branch=branch)
    )
    onnx_files.write(model, path)


def two_inputs(path: Path) -> None:
    nodes = [helper.make_node("Add", ["x", "label"], ["y"])]
    inputs = {"x": ["n", 64], "label": ["n", 64]}
    onnx_files.write(onnx_files.model_of(nodes, inputs, {"y": ["n", 64]}), path)


def not_a_number(path: Path) -> None:
    nodes = [helper.make_node("Log", ["x"], ["y"])]
    nodes.insert(0, helper.make_node("Sub", ["x", "one"], ["z"]))
    nodes[1].input[0] = "z"
    one = {"one": np.full(1, 2, np.float32)}
    onnx_files.write(onnx_files.model_of(nodes, {"x": ["n", 64]}, {"y": ["n", 64]}, one), path)


def random(path: Path) -> None:
    nodes = [
        helper.make_node("RandomNormalLike", ["x"], ["noise"]),
        helper.make_node("Add", ["x", "noise"], ["y"]),
    ]
    onnx_files.write(onnx_files.model_of(nodes, {"x": ["n", 64]}, {"y": ["n", 64]}), path)


def of_batches(path: Path) -> None:
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[0], keepdims=1),
        helper.make_node("Sub", ["x", "mean"], ["y"]),
    ]
    onnx_files.write(onnx_files.model_of(nodes, {"x": ["n", 64]}, {"y": ["n", 64]}), path)


def three_shapes(path: Path) -> None:
    nodes = [
        helper.make_node("Identity", ["x"], ["y"]),
        helper.make_node("ReduceMean", ["x"], ["z"], axes=[1], keepdims=1),
    ]
    outputs = {"y": ["n", 64], "z": ["n", 1]}
    onnx_files.write(onnx_files.model_of(nodes, {"x": ["n", 64]}, outputs), path)


def of_other_samples(path: Path) -> None:
    onnx_files.write(onnx_files.linear(784, 3), path)


def without_batch(path: Path) -> None:
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    onnx_files.write(onnx_files.model_of(nodes, {"x": [64]}, {"y": [64]}), path)


def of_a_later_version(path: Path) -> None:
    model = onnx_files.linear(64, 3)
    model.opset_import[0].version = 999
    onnx_files.write(model, path)


def folded(path: Path) -> None:
    """One row whatever the batch."""
    nodes = [helper.make_node("ReduceMean", ["x"], ["y"], axes=[0], keepdims=1)]
    onnx_files.write(onnx_files.model_of(nodes, {"x": [3, 64]}, {"y": [1, 64]}), path)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
    "text": (lambda path: path.write_text("no model " * 100), "is no ONNX file"),
    "pickle": (lambda path: path.write_bytes(b"\x80\x04\x95\x1b\0\0\0\0"), "is no ONNX file"),
    "nothing in it": (lambda path: path.write_bytes(b"\x08\x09"), "is no ONNX file of a network"),
    "truncated": (truncated, "is no ONNX file, or ends too early"),
    "custom operator": (custom, "operators that are not part of ONNX: evil.Trojan"),
    "weights elsewhere": (outside, "refers to weights in another file"),
    "weights elsewhere, hidden": (hidden_outside, "refers to weights in another file"),
    "two inputs": (two_inputs, "has 2 inputs (x, label)"),
    "NaN": (not_a_number, "no finite numbers (NaN)"),
    "random": (random, "answers the same sample differently"),
    "batch statistics": (of_batches, "by what else is in the batch"),
    "outputs that differ": (three_shapes, "has 2 outputs"),
    "other samples": (of_other_samples, "takes arrays of shape (N, 784), and digits has images of"),
    "no batch": (without_batch, "whose first dimension has to be that of the samples"),
    "later version": (of_a_later_version, "cannot be run by ONNX Runtime"),
    "one row for all": (folded, "a row for each sample"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_one_sentence_and_nothing_is_stored(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "e.onnx"
    write, wanted = BAD[kind]
    write(path)
    said = refused(path)
    assert wanted in said and "e.onnx" in said
    assert len(said.splitlines()) == 1 and "Traceback" not in said


def test_a_decoder_of_another_code_or_sample_is_refused(
    tmp_path: Path, files: tuple[Path, Path]
) -> None:
    other = onnx_files.write(onnx_files.linear(5, 64), tmp_path / "d5.onnx")
    assert "takes codes of 5 dimensions, and those here have 3" in refused(files[0], other)
    small = onnx_files.write(onnx_files.linear(3, 63), tmp_path / "d63.onnx")
    assert "gives arrays of shape (N, 63)" in refused(files[0], small)
    assert "Unknown dataset" in refused(*files, dataset="none")
    assert "give an encoder, a decoder, or both" in refused(None)


def test_a_huge_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "e.onnx"
    with path.open("wb") as file:
        file.truncate(2 * 2**30)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail("it was read"))
    assert "more than the" in refused(path)


def test_what_a_model_gives_on_another_scale_is_said(tmp_path: Path) -> None:
    weight = np.eye(64)
    encoder = onnx_files.layers([weight], [np.zeros(64)], None)
    decoder = onnx_files.layers([255 * weight], [np.zeros(64)], None)
    said: list[str] = []
    imports.import_model(
        "theirs",
        "digits",
        onnx_files.write(encoder, tmp_path / "e.onnx"),
        onnx_files.write(decoder, tmp_path / "d.onnx"),
        say=said.append,
    )
    assert "with values from 0 to 255" in said[1] and "lie in [0, 1]" in said[2]


def test_without_the_runtime_a_run_says_what_to_install(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    imports.import_model("theirs", "digits", *files)
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    run = store.load("theirs")  # lists and maps need no runtime
    assert run.codes["codes"].shape == (360, 3)
    with pytest.raises(InvalidRequest, match="pip install latent-loupe"):
        run.model()
    with pytest.raises(InvalidRequest, match="pip install latent-loupe"):
        imports.import_model("others", "digits", *files)


@pytest.mark.parametrize("file", ["encoder.onnx", "codes.safetensors", "config.json"])
def test_a_damaged_file_of_a_run_is_said(files: tuple[Path, Path], file: str) -> None:
    run = imports.import_model("theirs", "digits", *files)
    path = run.folder / file
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)

    def read() -> None:
        broken = store.load("theirs")
        broken.model()
        _ = broken.codes

    with pytest.raises(InvalidRequest, match=r"content has changed since the run was saved"):
        read()


def test_a_forged_manifest_cannot_add_or_leave_out_files(files: tuple[Path, Path]) -> None:
    run = imports.import_model("theirs", "digits", *files)
    path = run.folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for change in ("encoder.onnx", "history.json"):
        forged = json.loads(json.dumps(manifest))
        if change in forged["files"]:
            del forged["files"][change]
        else:
            (run.folder / change).write_text("[]")
            forged["files"][change] = (2, "0" * 64)
        path.write_text(json.dumps(forged))
        with pytest.raises(InvalidRequest, match=r"its manifest lists|at most 4 items"):
            store.load("theirs")


# --- Codes --------------------------------------------------------------------------------------


def test_codes_alone_are_a_run_and_a_dataset(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 500)
    codes = (random.normal(0, 4, (4, 6))[labels] + random.normal(size=(500, 6))).astype(np.float32)
    codes[:, 2] = 1  # a dimension that is not used stays in its place
    np.savez(tmp_path / "codes.npz", codes=codes, labels=labels)
    run = imports.import_codes("theirs", tmp_path / "codes.npz")
    assert not run.capabilities.encode and not run.capabilities.decode
    assert run.spec.n_classes == 4 and run.spec.shape == (6,)
    both = np.concatenate([run.codes["codes"], run.codes["train"]])
    np.testing.assert_allclose(np.sort(both, axis=0), np.sort(codes, axis=0))
    np.testing.assert_allclose(run.codes["codes"], run.dataset.test.x)
    arrays, facts = latent.analyse(run, run.dataset, Listener().progress)
    assert facts["complete"] and "density" in arrays and "sensitivity" not in arrays
    assert latent.analysis_artifact(run).load() is not None
    with pytest.raises(InvalidRequest, match="no decoder"):
        run.capabilities.refuse(run.name, "A grid", "decode")
    assert run.lacks("Denoising", "encode", "decode").count("no ") == 2


def test_labels_beside_the_codes_of_a_dataset_are_no_dimension(tmp_path: Path) -> None:
    iris = data.get("iris")
    n = iris.n_train + iris.n_test
    codes = np.random.default_rng(0).normal(size=(n, 3))
    table = "\n".join(f"{a},{b},{c},{at % 3}" for at, (a, b, c) in enumerate(codes))
    (tmp_path / "codes.csv").write_text(f"a,b,c,label\n{table}\n")
    np.savez(tmp_path / "codes.npz", z=codes, time=np.arange(n), labels=np.arange(n) % 3)
    for ending in ("csv", "npz"):
        run = imports.import_codes(f"of-{ending}", tmp_path / f"codes.{ending}", "iris")
        np.testing.assert_allclose(run.codes["train"], codes[: iris.n_train], atol=1e-6)


@pytest.mark.parametrize("ending", ["csv", "parquet", "npy"])
def test_codes_of_a_dataset_come_in_its_order(tmp_path: Path, ending: str) -> None:
    import pandas

    iris = data.get("iris")
    codes = np.random.default_rng(0).normal(size=(iris.n_train + iris.n_test, 3))
    path = tmp_path / f"codes.{ending}"
    frame = pandas.DataFrame(codes, columns=["a", "b", "c"])
    {
        "csv": lambda: frame.to_csv(path, index=False),
        "parquet": lambda: frame.to_parquet(path),
        "npy": lambda: np.save(path, codes),
    }[ending]()
    run = imports.import_codes("theirs", path, "iris")
    assert run.config.dataset == "iris" and not data.stored.names()
    np.testing.assert_allclose(run.codes["train"], codes[: iris.n_train], atol=1e-6)
    np.testing.assert_allclose(run.codes["codes"], codes[iris.n_train :], atol=1e-6)


def test_bad_codes_are_said_and_nothing_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "codes.npy"
    np.save(path, np.zeros((7, 2)))
    said = faults(lambda: imports.import_codes("theirs", path, "iris"))
    assert "has 7 rows, and iris has" in said
    np.save(path, np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32))
    said = faults(lambda: imports.import_codes("Theirs!", path))
    assert said.count("name = 'Theirs!' is not possible") == 2
    codes = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    codes[5, 1] = np.inf
    np.save(path, codes)
    said = faults(lambda: imports.import_codes("theirs", path))
    assert "infinit" in said or "finite" in said
    np.save(path, np.zeros((10, 8, 8), np.uint8))
    assert "holds images" in faults(lambda: imports.import_codes("theirs", path))
    path.write_bytes(b"\x93NUMPY")
    assert "cannot be read" in faults(lambda: imports.import_codes("theirs", path))
    assert "no file" in faults(lambda: imports.import_codes("theirs", tmp_path / "none.npz"))


def annotated(path: Path, n: int = 700, width: int = 50) -> np.ndarray:
    """File in the layout that anndata 0.12 writes: an embedding, and columns of obs."""
    h5py = pytest.importorskip("h5py")
    codes = np.random.default_rng(0).normal(size=(n, width)).astype(np.float32)
    with h5py.File(path, "w") as file:
        file.create_dataset("X", data=np.zeros((n, 765), np.float32))
        file["obsm/X_pca"] = codes
        file["obsm/X_umap"] = codes[:, :2]
        obs = file.create_group("obs")
        obs.attrs["_index"] = "index"
        obs["index"] = np.array([f"cell {at}" for at in range(n)], object)
        obs["n_genes"] = np.arange(n)
        obs["louvain/codes"] = (np.arange(n) % 3).astype(np.int8)
        obs["louvain/categories"] = np.array(["B", "T", "NK"], object)
    return codes


def test_codes_and_columns_of_an_annotated_matrix_arrive(tmp_path: Path) -> None:
    codes = annotated(tmp_path / "cells.h5ad")
    run = imports.import_codes("cells", tmp_path / "cells.h5ad", label="louvain")
    assert set(run.spec.label_names) == {"B", "T", "NK"}
    both = np.concatenate([run.codes["codes"], run.codes["train"]])
    assert both.shape == (700, 50)  # and not the numbers of obs
    np.testing.assert_allclose(np.sort(both[:, 0]), np.sort(codes[:, 0]))
    said: list[str] = []
    small = imports.import_codes(
        "cells-2", tmp_path / "cells.h5ad", label="louvain", key="X_umap", say=said.append
    )
    assert any("as metadata: 'n_genes'" in each for each in said)
    for split in ("train", "test"):
        genes = data.get("cells").columns(split)["n_genes"]
        others = data.get("cells-2").columns(split)["n_genes"]
        np.testing.assert_array_equal(genes.values, others.values)
        at = run.codes["train" if split == "train" else "codes"]
        np.testing.assert_allclose(codes[genes.values.astype(int)], at)
    assert small.config.model.latent_dim == 2
    assert small.config.model.latent_dim < run.config.model.latent_dim
    with pytest.raises(InvalidRequest, match="did you mean 'X_umap'"):
        imports.import_codes("cells-3", tmp_path / "cells.h5ad", key="X_uma")


def test_an_annotated_matrix_cannot_reach_other_files(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    annotated(tmp_path / "other.h5ad")
    with h5py.File(tmp_path / "cells.h5ad", "w") as file:
        file["obsm/X_pca"] = h5py.ExternalLink("other.h5ad", "obsm/X_pca")
    said = faults(lambda: imports.import_codes("cells", tmp_path / "cells.h5ad"))
    assert "is a link" in said
    with h5py.File(tmp_path / "raw.h5ad", "w") as file:
        file.create_dataset(
            "obsm/X_pca", (10, 2), "f4", external=[(str(tmp_path / "other.h5ad"), 0, 80)]
        )
    assert "another file" in faults(lambda: imports.import_codes("cells", tmp_path / "raw.h5ad"))
    (tmp_path / "bad.h5ad").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    assert "cannot be read" in faults(lambda: imports.import_codes("cells", tmp_path / "bad.h5ad"))


# --- The job ------------------------------------------------------------------------------------


def test_the_job_imports_staged_files_and_removes_them(
    store_folder: Path, files: tuple[Path, Path]
) -> None:
    staged = store_folder / INCOMING / "a1"
    staged.mkdir(parents=True)
    for path in files:
        (staged / path.name).write_bytes(path.read_bytes())
    task = imports.Import("theirs", f"{INCOMING}/a1", "digits", "e.onnx", "d.onnx")
    run = task.run(Listener())
    assert run.name == "theirs" and not staged.exists()
    with pytest.raises(InvalidRequest):
        imports.Import("others", f"{INCOMING}/a1", "digits", "e.onnx").run(Listener())


def test_many_codes_are_imported_in_seconds(tmp_path: Path) -> None:
    n = 20_000
    random = np.random.default_rng(0)
    np.savez(tmp_path / "codes.npz", codes=random.normal(size=(n, 64)).astype(np.float32))
    begun = time.monotonic()
    run = imports.import_codes("theirs", tmp_path / "codes.npz")
    assert run.manifest.n_train + run.manifest.n_test == n
    assert time.monotonic() - begun < 60
