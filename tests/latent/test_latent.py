"""Latent space: plane, browser decoder, reliability, analysis and comparison."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Listener, run_config
from scipy.special import erf, expit
from scipy.stats import gaussian_kde
from torch import nn

from aecore import data, latent, metrics, projections
from aecore.data import DATASETS, Dataset
from aecore.data.spec import ImageSize
from aecore.errors import InvalidRequest
from aecore.models import inference
from aecore.models.autoencoder import Autoencoder
from aecore.models.networks import ACTIVATION_LAYERS
from aecore.models.variants import VARIANTS
from aecore.projections import Plane
from aecore.runs import store
from aecore.runs.train import Train
from aecore.training import RunConfig

SHIPPED = Path(store.__file__).parents[2] / "models_store"
CONVOLUTIONAL = [name for name in VARIANTS if "channels" in VARIANTS[name].model_fields]
SMALL: dict[str, Any] = {"hidden": (16, 8), "channels": (4, 3), "vector_dim": 3}
DIGITS = DATASETS["digits"]


def of_shape(*shape: int) -> Dataset:
    """An image dataset of another shape; its arrays are never read."""
    return DIGITS.derived(name="images", shape=shape)


def build(name: str, dataset: Dataset = DIGITS, **settings: Any) -> Autoencoder:
    """A small untrained model with nonzero biases."""
    fields = VARIANTS[name].model_fields
    small = {"latent_dim": 3} | {key: value for key, value in SMALL.items() if key in fields}
    asked = {"dataset": "digits", "variant": name, "model": small | settings}
    torch.manual_seed(0)
    model = RunConfig.check(asked, dataset).model.build(dataset)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.normal_(std=0.3)
    return model.eval()


def draw(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def classes(n: int) -> np.ndarray:
    return np.arange(n) % 10


def flat(d: int = 3) -> Plane:
    """Plane of the first two dimensions of a code."""
    return Plane(np.zeros(d, np.float32), np.eye(2, d, dtype=np.float32))


@pytest.fixture(params=["digits-ae", "digits-vae"])
def shipped(request: pytest.FixtureRequest, store_folder: Path) -> store.Run:
    """A shipped run, in the test's own store."""
    shutil.copytree(
        SHIPPED / request.param,
        store_folder / request.param,
        ignore=shutil.ignore_patterns("latent.safetensors"),
    )
    return store.load(request.param)


# --- The plane ----------------------------------------------------------------------------------


def test_two_dimensions_are_drawn_as_they_are() -> None:
    codes = 1e3 * draw(50, 2)
    plane = projections.fit_plane(codes)
    np.testing.assert_array_equal(plane.project(codes), codes)
    np.testing.assert_array_equal(plane.embed(codes), codes)


def test_one_dimension_is_drawn_along_x() -> None:
    codes = draw(50, 1)
    plane = projections.fit_plane(codes)
    np.testing.assert_array_equal(plane.project(codes), np.hstack([codes, np.zeros_like(codes)]))
    np.testing.assert_array_equal(plane.embed(np.array([[3.0, 7.0]])), [[3.0]])


@pytest.mark.parametrize("d", [3, 20])
def test_wider_codes_are_drawn_as_the_runs_are(d: int) -> None:
    codes, others = draw(200, d) * np.arange(1, d + 1) + 5, draw(30, d)
    plane = projections.fit_plane(codes)
    np.testing.assert_allclose(
        plane.project(others), projections.plane_of(others, codes), atol=1e-4
    )
    np.testing.assert_allclose(plane.axes @ plane.axes.T, np.eye(2), atol=1e-6)
    places = draw(30, 2)
    np.testing.assert_allclose(plane.project(plane.embed(places)), places, atol=1e-4)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_the_plane_of_a_run_is_found_in_its_files(d: int) -> None:
    run = Train(run_config("digits", model={"latent_dim": d}, epochs=1), "wide").run(Listener())
    plane = latent.plane_of_run(run)
    assert plane.mean.dtype == plane.axes.dtype == np.float32
    fitted = projections.fit_plane(inference.encode(run.model(), *data.get("digits").train))
    np.testing.assert_allclose(plane.axes, fitted.axes, atol=1e-4)
    codes, drawn = run.codes["codes"], run.codes["plane"]
    columns = slice(0, 1 if d == 1 else 2)  # the heights of one dimension mean nothing
    np.testing.assert_allclose(plane.project(codes)[:, columns], drawn[:, columns], atol=1e-4)
    places = draw(30, 2)[:, columns] if d > 1 else draw(30, 2) * [1, 0]
    np.testing.assert_allclose(plane.project(plane.embed(places)), places, atol=1e-4)
    # Off the plane, the picture is in the middle of the samples.
    away = plane.mean - codes.mean(0)
    np.testing.assert_allclose(away, away @ fitted.axes.T @ fitted.axes, atol=1e-3)


def test_dead_dimensions_do_not_tilt_the_plane() -> None:
    codes = draw(300, 6) * [3, 2, 1, 0, 1e-8, 0] + [1, 2, 3, 4, 0, 6]
    codes = codes.astype(np.float32)

    class Stored:
        pass

    run = Stored()
    run.codes = {"codes": codes, "plane": projections.plane_of(codes, codes + 0.5)}
    plane = latent.plane_of_run(run)
    np.testing.assert_allclose(plane.axes @ plane.axes.T, np.eye(2), atol=1e-4)
    np.testing.assert_allclose(plane.axes[:, 3:], 0, atol=1e-2)
    np.testing.assert_allclose(plane.project(codes), run.codes["plane"], atol=1e-4)
    run.codes = {"codes": 0 * codes, "plane": np.zeros((300, 2), np.float32)}
    assert np.isfinite(latent.plane_of_run(run).embed(draw(3, 2))).all()


# --- The decoder for a browser ------------------------------------------------------------------

ACTIVATIONS = {
    "elu": lambda x: np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1),
    "relu": lambda x: np.maximum(x, 0),
    "leaky-relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "gelu": lambda x: x * (1 + erf(x / np.sqrt(2))) / 2,
    "silu": lambda x: x * expit(x),
    "sigmoid": expit,
    "tanh": np.tanh,
}


def run_layers(
    layers: list[dict[str, Any]], weights: dict[str, np.ndarray], x: np.ndarray
) -> np.ndarray:
    """Run an exported decoder on one sample, number by number, as the browser does."""
    x = x.astype(np.float64)
    for layer in layers:
        weight, bias = (weights.get(layer.get(name, "")) for name in ("weight", "bias"))
        n_in, n_out = layer.get("n_in"), layer.get("n_out")
        height, width = layer.get("height"), layer.get("width")
        out_height, out_width = layer.get("out_height"), layer.get("out_width")
        match layer["kind"]:
            case "linear":
                assert weight.shape == (n_out, n_in) and x.size == n_in
                x = np.array([weight[i] @ x.ravel() + bias[i] for i in range(n_out)])
            case "activation":
                x = ACTIVATIONS[layer["name"]](x)
            case "conv":
                assert weight.shape == (n_out, n_in, 3, 3)
                image, out = x.reshape(n_in, height, width), np.zeros((n_out, height, width))
                for i, j in np.ndindex(height, width):
                    out[:, i, j] = bias
                    for a, b in np.ndindex(3, 3):
                        y, z = i + a - 1, j + b - 1
                        if 0 <= y < height and 0 <= z < width:
                            out[:, i, j] += weight[:, :, a, b] @ image[:, y, z]
                x = out
            case "transposed":
                assert weight.shape == (n_in, n_out, 3, 3)
                image = x.reshape(n_in, height, width)
                out = np.zeros((n_out, out_height, out_width)) + bias[:, None, None]
                for i, j, a, b in np.ndindex(height, width, 3, 3):
                    y, z = 2 * i + a - 1, 2 * j + b - 1
                    if 0 <= y < out_height and 0 <= z < out_width:
                        out[:, y, z] += image[:, i, j] @ weight[:, :, a, b]
                x = out
            case "upsample":
                image = x.reshape(layer["channels"], height, width)
                out = np.zeros((layer["channels"], out_height, out_width))
                for i, j in np.ndindex(out_height, out_width):
                    out[:, i, j] = image[:, i * height // out_height, j * width // out_width]
                x = out
            case "channels-last":
                x = x.reshape(layer["channels"], height, width).transpose(1, 2, 0)
            case kind:
                raise AssertionError(kind)
    return x.ravel()


def check_described(model: Autoencoder, d: int = 3) -> None:
    described = latent.browser_decoder(model)
    assert described is not None
    layers, weights = described
    json.dumps(layers)
    named = [layer[name] for layer in layers for name in ("weight", "bias") if name in layer]
    assert sorted(named) == sorted(weights)
    for weight in weights.values():
        assert weight.dtype == np.float32 and weight.flags.c_contiguous
    codes, labels = draw(4, d), classes(4)
    with torch.inference_mode():
        wanted = model.decode(torch.tensor(codes), torch.tensor(labels)).numpy()
    told = np.eye(model.n_classes)[labels] if model.n_classes else np.zeros((4, 0))
    found = [run_layers(layers, weights, x) for x in np.hstack([codes, told])]
    np.testing.assert_allclose(found, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_decoder_can_be_run_elsewhere(name: str) -> None:
    check_described(build(name))


@pytest.mark.parametrize("activation", sorted(set(ACTIVATION_LAYERS) - {"identity"}))
def test_every_activation_can_be_run_elsewhere(activation: str) -> None:
    assert set(ACTIVATIONS) | {"identity"} == set(ACTIVATION_LAYERS)
    check_described(build("ae", activation=activation))


@pytest.mark.parametrize("likelihood", ["gaussian", "squashed-gaussian", "bernoulli"])
def test_every_likelihood_can_be_run_elsewhere(likelihood: str) -> None:
    check_described(build("ae", likelihood=likelihood))


@pytest.mark.parametrize("settings", [{"tied": True}, {"hidden": ()}, {"dropout": 0.3}], ids=str)
def test_tied_shallow_and_thinned_decoders_can_be_run_elsewhere(settings: dict[str, Any]) -> None:
    check_described(build("ae", **settings))


@pytest.mark.parametrize("name", CONVOLUTIONAL)
@pytest.mark.parametrize("resampling", ["max-pool", "strided"])
@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("shape", [(8, 8), (7, 9), (1, 13), (6, 5, 3), (5, 7, 3)], ids=str)
def test_convolutions_of_any_size_can_be_run_elsewhere(
    name: str, resampling: str, dense: bool, shape: tuple[int, ...]
) -> None:
    inner = ImageSize(*shape).halved(2)
    d = 3 if dense else 3 * inner.height * inner.width
    settings = {"resampling": resampling, "dense": dense, "latent_dim": d}
    check_described(build(name, of_shape(*shape), **settings), d)


class Unheard:
    """A likelihood that the export does not support."""

    def mean(self, output: torch.Tensor) -> torch.Tensor:
        return output


def decodes_by(*layers: nn.Module) -> Autoencoder:
    model = build("ae")
    model.decoder = nn.Sequential(*layers)
    return model


def test_nested_layers_are_walked() -> None:
    model = build("ae")
    first, *others = model.decoder
    model.decoder = nn.Sequential(nn.Sequential(nn.Sequential(first), nn.Identity()), *others)
    check_described(model)


@pytest.mark.parametrize(
    "layers",
    [
        (nn.LayerNorm(3),),
        (nn.Linear(3, 64), nn.LeakyReLU(0.5)),
        (nn.Linear(3, 64), nn.GELU("tanh")),
        (nn.Linear(3, 64, bias=False),),
        (nn.Linear(3, 64), nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 1, 5, padding=2)),
        (nn.Linear(3, 64), nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 1, 3, padding=1, bias=False)),
        (nn.Linear(3, 64), nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 1, 3, padding=1, stride=2)),
        (nn.Linear(3, 64), nn.Unflatten(1, (1, 8, 8)), nn.ConvTranspose2d(1, 1, 3, padding=1)),
        (nn.Linear(3, 64), nn.Unflatten(1, (1, 8, 8)), nn.Upsample((9, 9), mode="bilinear")),
        (nn.Conv1d(3, 3, 1),),
    ],
    ids=str,
)
def test_an_unknown_layer_is_not_guessed_at(layers: tuple[nn.Module, ...]) -> None:
    assert latent.browser_decoder(decodes_by(*layers)) is None


def test_an_unknown_likelihood_is_not_guessed_at() -> None:
    model = build("ae")
    model.likelihood = Unheard()
    assert latent.browser_decoder(model) is None


# --- Reliability --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VARIANTS)
def test_the_maps_agree_with_a_direct_computation(name: str) -> None:
    model, codes, labels = build(name), draw(40, 3), classes(40)
    plane = Plane(np.array([0.5, -1, 2], np.float32), np.array([[0, 0.6, 0.8], [1, 0, 0]]))
    found = latent.reliability(model, plane, codes, size=5, labels=labels)
    places = (codes - plane.mean) @ plane.axes.T
    for row, column in [(0, 0), (1, 4), (3, 2), (4, 1)]:
        place = np.array([found.x[column], found.y[row]])
        near = labels[np.square(places - place).sum(1).argmin()]
        label = torch.tensor([near])
        z = torch.tensor(plane.mean + place @ plane.axes, dtype=torch.float32)
        jacobian = torch.autograd.functional.jacobian(
            lambda code, label=label: model.decode(code[None], label)[0], z
        )
        assert found.sensitivity[row, column] == pytest.approx(float(jacobian.norm()), rel=1e-3)
        with torch.no_grad():
            back = model.encode(model.decode(z[None], label), labels=label)[0]
        wanted = float((back - z).norm())
        assert found.cycle_error[row, column] == pytest.approx(wanted, rel=1e-3, abs=1e-4)
    for each in found[2:]:
        assert each.shape == (5, 5) and each.dtype == np.float32


@pytest.mark.parametrize(("d", "of_all"), [(8, True), (9, False)])
def test_wide_codes_are_followed_along_the_plane_alone(d: int, of_all: bool) -> None:
    model = build("vae", latent_dim=d)
    plane = projections.fit_plane(draw(60, d))
    found = latent.reliability(model, plane, draw(60, d), size=3)
    z = plane.embed(np.array([found.x[2], found.y[0]])[None])
    step = 1e-4
    double = model.double()

    def derivative(v: np.ndarray) -> torch.Tensor:
        there, back = (double.decode(torch.tensor(z + s * v)) for s in (step, -step))
        return (there - back) / (2 * step)

    directions = np.eye(d) if of_all else plane.axes.astype(np.float64)
    squares = [float(derivative(v).detach().square().sum()) for v in directions]
    assert found.sensitivity[0, 2] == pytest.approx(np.sqrt(sum(squares)), rel=1e-3)


def test_a_code_of_one_dimension_has_maps() -> None:
    model = build("vae", latent_dim=1)
    codes = draw(60, 1)
    x, y, *maps = latent.reliability(model, projections.fit_plane(codes), codes, size=6)
    assert x[0] < codes.min() and (y[0], y[-1]) == pytest.approx((-0.65, 0.65))
    for each in maps:
        assert np.isfinite(each).all()
    np.testing.assert_allclose(maps[1], maps[1][:1].repeat(6, axis=0), atol=1e-5)


def test_the_grid_covers_the_samples_but_for_far_ones() -> None:
    codes = np.zeros((2001, 2), np.float32)
    codes[:, 0] = np.linspace(0, 1, 2001)
    codes[0] = (-1e6, 1e6)
    x, y, *_ = latent.reliability(build("vae", latent_dim=2), flat(2), codes, size=11)
    assert (x[0], x[-1]) == pytest.approx((0.005 - 0.15 * 0.99, 0.995 + 0.15 * 0.99), abs=1e-3)
    assert (y[0], y[-1]) == pytest.approx((-0.65, 0.65))
    np.testing.assert_allclose(np.diff(x), np.diff(x)[0], rtol=1e-5)  # of float32


def test_the_density_is_that_of_the_samples() -> None:
    codes = np.vstack([draw(1500, 2), draw(500, 2, seed=2) * 0.5 + [4, 0]]) * [1, 3]
    codes -= codes.mean(0)
    codes[:, 1] -= codes[:, 0] * (codes[:, 0] @ codes[:, 1]) / (codes[:, 0] @ codes[:, 0])
    found = latent.reliability(build("vae", latent_dim=2), flat(2), codes.astype(np.float32))
    area = (found.x[1] - found.x[0]) * (found.y[1] - found.y[0])
    assert found.density.sum() * area == pytest.approx(1, abs=0.02)
    x, y = np.meshgrid(found.x, found.y)
    wanted = gaussian_kde(codes.T)(np.stack([x.ravel(), y.ravel()])).reshape(96, 96)
    np.testing.assert_allclose(found.density, wanted, atol=0.03 * wanted.max())


def test_the_density_of_a_few_samples_ends_beyond_the_grid() -> None:
    codes = np.array([[-1, -2], [-1, 2], [1, -2], [1, 2]], np.float32)
    found = latent.reliability(build("vae", latent_dim=2), flat(2), codes)
    x, y = np.meshgrid(found.x, found.y)
    # SciPy's covariance is that of n - 1 samples.
    reference = gaussian_kde(codes.T, bw_method=4 ** (-1 / 6) * np.sqrt(3 / 4))
    wanted = reference(np.stack([x.ravel(), y.ravel()])).reshape(96, 96)
    np.testing.assert_allclose(found.density, wanted, rtol=0.02)


def test_a_conditional_model_asks_for_the_labels_of_the_codes() -> None:
    with pytest.raises(InvalidRequest, match="give `labels`"):
        latent.reliability(build("cvae"), flat(), draw(20, 3), size=3)


def test_portions_do_not_show_in_the_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    model, codes, labels = build("cvae"), draw(40, 3), classes(40)
    whole = latent.reliability(model, flat(), codes, size=7, labels=labels)
    monkeypatch.setattr(inference, "batch_size", lambda n_features: 4)
    for found, wanted in zip(
        latent.reliability(model, flat(), codes, size=7, labels=labels), whole, strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


# --- Comparison ---------------------------------------------------------------------------------


def test_a_plane_that_was_only_moved_is_the_same() -> None:
    plane = draw(60, 2)
    turned = 7 * plane @ np.array([[0.6, 0.8], [0.8, -0.6]]) + [100, -3]  # mirrored, too
    found = latent.compare(plane, turned)
    np.testing.assert_allclose(found.aligned, plane, atol=1e-4)
    np.testing.assert_allclose(found.moved, 0, atol=1e-4)
    assert found.disparity == pytest.approx(0, abs=1e-6)


def test_two_planes_are_laid_upon_each_other_as_scipy_does() -> None:
    from scipy.spatial import procrustes

    plane, other = 5 * draw(80, 2) + 20, draw(80, 2, seed=2) + 0.7 * draw(80, 2)
    found = latent.compare(plane, other)
    first, second, disparity = procrustes(plane.astype(float), other.astype(float))
    assert 0.1 < disparity < 0.9
    assert found.disparity == pytest.approx(disparity, rel=1e-5)
    size = np.linalg.norm(plane - plane.mean(0))
    np.testing.assert_allclose(found.aligned, second * size + plane.mean(0), rtol=1e-4)
    radius = np.sqrt(np.square(plane - plane.mean(0)).sum(1).mean())
    wanted = np.linalg.norm(first - second, axis=1) * size / radius
    np.testing.assert_allclose(found.moved, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("plane", "other", "disparity"),
    [
        (np.ones((20, 2)), np.ones((20, 2)), 0),
        (np.ones((20, 2)), draw(20, 2), 0),
        (draw(20, 2), np.ones((20, 2)), 1),
        (draw(5, 2), draw(5, 2), 0),
        (draw(2, 2), draw(2, 2, seed=2), 0),
        (draw(1, 2), draw(1, 2, seed=2), 0),
        (draw(0, 2), draw(0, 2), 0),
    ],
)
def test_little_can_be_compared_as_well(
    plane: np.ndarray, other: np.ndarray, disparity: float
) -> None:
    found = latent.compare(plane, other)
    n = len(plane)
    assert (found.aligned.shape, found.moved.shape) == ((n, 2), (n,))
    assert all(np.isfinite(each).all() for each in found)
    assert found.disparity == pytest.approx(disparity, abs=1e-6)


# --- What is kept on disk -----------------------------------------------------------------------


def analysed(run: store.Run) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    heard = Listener()
    latent.analyse(run, data.get(run.config.dataset), heard.progress)
    assert all(what and 0 <= done <= total for what, done, total in heard.heard)
    assert len({what for what, _, _ in heard.heard}) == 4
    found = latent.analysis_artifact(run).load()
    assert found is not None
    return found


def test_a_run_is_analysed_once_and_for_all(shipped: store.Run) -> None:
    assert latent.analysis_artifact(shipped).load() is None
    arrays, facts = analysed(shipped)
    digits, codes = data.get("digits"), shipped.codes["codes"]
    np.testing.assert_allclose(
        arrays["train_codes"], inference.encode(shipped.model(), *digits.train)
    )
    np.testing.assert_array_equal(arrays["train_rows"], np.arange(1437))
    assert arrays["train_rows"].dtype == np.int32
    assert arrays["grid_x"].shape == arrays["grid_y"].shape == (96,)
    assert arrays["density"].shape == (96, 96) and arrays["density"].max() > 0
    model = shipped.model()
    z = torch.tensor([[arrays["grid_x"][30], arrays["grid_y"][70]]], dtype=torch.float32)
    with torch.no_grad():
        gap = float((model.encode(model.decode(z)) - z).norm())
    assert arrays["cycle_error"][70, 30] == pytest.approx(gap, rel=1e-3)
    jacobian = torch.autograd.functional.jacobian(lambda code: model.decode(code).sum(0), z)
    assert arrays["sensitivity"][70, 30] == pytest.approx(float(jacobian.norm()), rel=1e-3)
    if shipped.name == "digits-vae":
        np.testing.assert_array_equal(
            arrays["spread"], inference.encode_with_errors(model, *digits.test).deviations
        )
    else:
        assert "spread" not in arrays
    for name, values in metrics.preservation(digits.test.x, codes)._asdict().items():
        np.testing.assert_allclose(arrays[name], values, rtol=1e-5)
        assert facts[name] == pytest.approx(values.mean())
    np.testing.assert_array_equal(arrays["train_labels"], digits.train.labels)
    assert arrays["train_labels"].dtype == np.int16
    error = inference.encode_with_errors(model, *digits.train).errors
    np.testing.assert_array_equal(arrays["train_error"], error)
    distances = np.linalg.norm(arrays["train_codes"][:, None] - arrays["train_codes"], axis=2)
    reach = np.sort(np.sort(distances, axis=1)[:, 10])  # the first is the sample itself
    np.testing.assert_allclose(arrays["train_reach"], reach, rtol=1e-4)
    weights = {name[7:]: each for name, each in arrays.items() if name.startswith("weight/")}
    with torch.no_grad():
        wanted = model.decode(z)[0].numpy()
    np.testing.assert_allclose(run_layers(facts["layers"], weights, z.numpy()), wanted, atol=1e-5)
    assert facts["conditioned"] is False and facts["decoder_note"] == ""
    assert facts["active_units"] == metrics.active_units(codes)
    assert facts["complete"] is True
    assert store.load(shipped.name) == shipped


def test_without_the_dataset_the_model_and_its_codes_tell_what_they_can(
    shipped: store.Run,
) -> None:
    latent.analyse(shipped, None, Listener().progress)
    arrays, facts = latent.analysis_artifact(shipped).load()
    assert facts["complete"] is False and facts["layers"]
    assert not [name for name in arrays if name.startswith("train")]
    model, plane = shipped.model(), latent.plane_of_run(shipped)
    found = latent.reliability(model, plane, shipped.codes["codes"])
    np.testing.assert_allclose(arrays["density"], found.density, rtol=1e-5)
    np.testing.assert_allclose(arrays["cycle_error"], found.cycle_error, rtol=1e-3, atol=1e-5)


def test_an_analysis_of_another_run_of_that_name_is_not_used(shipped: store.Run) -> None:
    latent.analyse(shipped, data.get("digits"), Listener().progress)
    path = shipped.folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["created"] = "2020-01-02T03:04:05Z"
    path.write_text(json.dumps(manifest))
    assert latent.analysis_artifact(shipped).load() is not None
    assert latent.analysis_artifact(store.load(shipped.name)).load() is None


def test_a_run_of_convolutions_is_analysed() -> None:
    config = run_config("digits", "conv-vae", {"latent_dim": 9}, epochs=1, batch_size=128)
    run = Train(config, "conv").run(Listener())
    arrays, _ = analysed(run)
    assert arrays["train_codes"].shape == (1437, 9)
    assert arrays["spread"].shape == (360, 9)
    plane = latent.plane_of_run(run)
    places = plane.project(arrays["train_codes"])
    inside = (places[:, 0] > arrays["grid_x"][0]) & (places[:, 0] < arrays["grid_x"][-1])
    assert inside.mean() > 0.99
    assert all(np.isfinite(each).all() for each in arrays.values())


def test_a_run_of_labels_and_one_dimension_is_analysed() -> None:
    run = Train(run_config("iris", "cvae", {"latent_dim": 1}), "told").run(Listener())
    arrays, facts = analysed(run)
    wanted, _ = projections.measure(data.get("iris"), data.Subset(), run.codes["codes"])
    assert {name: facts[name] for name in wanted} == wanted
    assert facts["conditioned"] is True
    iris = data.get("iris")
    plane, codes = latent.plane_of_run(run), inference.encode(run.model(), *iris.train)
    maps = latent.reliability(run.model(), plane, codes, labels=iris.train.labels)
    np.testing.assert_allclose(arrays["cycle_error"], maps.cycle_error, rtol=1e-3, atol=1e-5)


def test_a_large_decoder_stays_at_home(shipped: store.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aecore.latent.decoder.MOST_WEIGHTS", 1000)
    arrays, facts = analysed(shipped)
    assert facts["layers"] is None and "too large" in facts["decoder_note"]
    assert not [name for name in arrays if name.startswith("weight/")]
    monkeypatch.setattr("aecore.latent.decoder.browser_decoder", lambda model: None)
    _, facts = analysed(shipped)
    assert facts["layers"] is None and "unknown kind" in facts["decoder_note"]


def test_the_negative_elbo_is_reconstruction_and_divergence(shipped: store.Run) -> None:
    wanted = {"digits-ae": None, "digits-vae": pytest.approx(22.468104 + 2.304289, abs=1e-5)}
    assert latent.negative_elbo(shipped) == wanted[shipped.name]


@pytest.mark.parametrize(
    ("variant", "model"),
    [("beta-vae", {"beta": 4}), ("beta-vae", {"beta": 0}), ("vae", {"likelihood": "gaussian"})],
)
def test_the_weight_of_the_divergence_is_no_part_of_the_elbo(
    variant: str, model: dict[str, Any]
) -> None:
    config = run_config("digits", variant, model, epochs=1, batch_size=128)
    run = Train(config, "weighted").run(Listener())
    if model != {"beta": 4}:
        assert latent.negative_elbo(run) is None
        return
    with torch.no_grad():
        x = torch.tensor(data.get("digits").test.x)
        posterior = run.model().encoder(x)
    mean, variance = posterior.mean.numpy(), np.exp(posterior.log_variance.numpy())
    divergence = (np.square(mean) + variance - 1 - np.log(variance)).sum(1).mean() / 2
    wanted = run.history[-1]["test"]["reconstruction"] + divergence
    assert latent.negative_elbo(run) == pytest.approx(wanted, rel=1e-5)


def test_a_wide_code_keeps_fewer_training_samples(
    shipped: store.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aecore.latent.analysis.VALUES_KEPT", 801)
    arrays, _ = analysed(shipped)
    digits, rows = data.get("digits"), arrays["train_rows"]
    assert len(set(rows.tolist())) == 400 and rows.min() >= 0 and rows.max() > 1000
    every = inference.encode(shipped.model(), *digits.train)
    np.testing.assert_allclose(arrays["train_codes"], every[rows], atol=1e-5)
    assert np.bincount(digits.train.labels[rows]).min() >= 38


def test_a_dataset_that_has_changed_is_refused(shipped: store.Run) -> None:
    with pytest.raises(InvalidRequest, match="'digits' has changed since the run 'digits-"):
        latent.analyse(shipped, data.get("iris"), Listener().progress)
    assert latent.analysis_artifact(shipped).load() is None


@pytest.mark.parametrize("where", ["weights", "codes"])
def test_codes_that_are_no_numbers_are_refused(
    shipped: store.Run, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if where == "weights":
        broken = shipped.model()
        with torch.no_grad():
            next(broken.encoder.parameters()).fill_(float("nan"))
        monkeypatch.setattr(store.Run, "model", lambda run: broken)
    else:
        codes = shipped.codes["codes"].copy()
        codes[7] = np.inf
        shipped.__dict__["codes"] = shipped.codes | {"codes": codes}
    with pytest.raises(InvalidRequest) as caught:
        latent.analyse(shipped, data.get("digits"), Listener().progress)
    assert caught.value.problems == [
        f"The codes of the run '{shipped.name}' are not finite: its training diverged; train it "
        "again with a lower learning rate."
    ]
