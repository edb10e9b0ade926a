"""Inference: equal to the model's own methods, in batches of any size."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import run_config
from test_variants import model, variant  # noqa: F401

from aecore import data, training
from aecore.data import DATASETS
from aecore.errors import InvalidRequest
from aecore.models import inference
from aecore.models.autoencoder import Autoencoder
from aecore.runs import store

N = 23
DIGITS = DATASETS["digits"]
SHIPPED = Path(store.__file__).parents[2] / "models_store"
rng = np.random.default_rng(1)
X = rng.random((N, 64), dtype=np.float32)
CODES = rng.standard_normal((N, 3), dtype=np.float32)
LABELS = np.arange(N) % 10


@pytest.fixture(params=[1, 5, N, 256])
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Batch sizes whose last batch is short, or the only one."""
    monkeypatch.setattr(inference, "batch_size", lambda n_features: request.param)
    return request.param


def close(actual: np.ndarray, expected: torch.Tensor) -> None:
    assert type(actual) is np.ndarray and actual.flags.c_contiguous
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected.detach().numpy(), rtol=1e-4, atol=1e-5)


def test_every_variant_answers_as_its_own_methods(
    model: Autoencoder,  # noqa: F811
    size: int,
) -> None:
    x, codes, labels = (torch.tensor(array) for array in (X, CODES, LABELS))
    close(inference.encode(model, X, LABELS), model.encode(x, labels=labels))
    close(inference.decode(model, CODES, LABELS), model.decode(codes, labels))
    rebuilt = model.reconstruct(x, labels=labels)
    close(inference.reconstruct(model, X, LABELS), rebuilt)
    again = model.encode(model.decode(codes, labels), labels=labels)
    close(inference.cycle_error(model, CODES, LABELS), (again - codes).norm(dim=1))
    means, deviations, errors = inference.encode_with_errors(model, X, LABELS)
    posterior = model.posterior(x, labels)
    close(means, posterior.mean)
    close(errors, (rebuilt - x).square().mean(1))
    if posterior.log_variance is None:
        assert deviations is None
    else:
        close(deviations, torch.exp(posterior.log_variance / 2))


def test_one_label_is_that_of_every_code(model: Autoencoder, size: int) -> None:  # noqa: F811
    for infer in (inference.decode, inference.cycle_error):
        each = infer(model, CODES, np.full(N, 3))
        np.testing.assert_array_equal(infer(model, CODES, 3), each)


def test_labels_are_asked_for_where_the_model_reads_them(model: Autoencoder) -> None:  # noqa: F811
    if not model.n_classes:
        # Labels of a regression, which no model could take.
        np.testing.assert_array_equal(
            inference.encode(model, X, LABELS / 7), inference.encode(model, X)
        )
        return
    with pytest.raises(InvalidRequest, match="give `labels`"):
        inference.encode(model, X)
    other = inference.decode(model, CODES, (LABELS + 1) % 10)
    assert (other != inference.decode(model, CODES, LABELS)).any(axis=1).all()


@pytest.mark.parametrize(
    ("infer", "values", "shape"),
    [
        (inference.encode, X, (0, 3)),
        (inference.decode, CODES, (0, 64)),
        (inference.reconstruct, X, (0, 64)),
        (inference.cycle_error, CODES, (0,)),
    ],
)
def test_no_samples_are_an_empty_answer(
    model: Autoencoder,  # noqa: F811
    infer: Callable[..., np.ndarray],
    values: np.ndarray,
    shape: tuple[int, ...],
) -> None:
    assert infer(model, values[:0], LABELS[:0]).shape == shape
    codes, _, errors = inference.encode_with_errors(model, X[:0], LABELS[:0])
    assert codes.shape == (0, 3) and errors.shape == (0,)


def test_answers_are_in_the_precision_of_the_model(model: Autoencoder) -> None:  # noqa: F811
    model.double()
    for infer, values in ((inference.reconstruct, X), (inference.cycle_error, CODES)):
        assert infer(model, values, LABELS).dtype == np.float64
        np.testing.assert_array_equal(
            infer(model, values, LABELS), infer(model, values.astype(np.float64), LABELS)
        )


def test_arguments_stay_as_they_are_and_answers_can_be_written_to(
    model: Autoencoder,  # noqa: F811
) -> None:
    x = X.copy()
    x.flags.writeable = False  # as those of a dataset are
    codes = inference.encode(model, x, LABELS)
    before = codes.copy()
    inference.decode(model, codes, LABELS)[:] = 0
    np.testing.assert_array_equal(codes, before)
    np.testing.assert_array_equal(x, X)
    codes[:] = 0
    assert (inference.encode(model, x, LABELS) != 0).any()


def test_no_answer_remembers_how_it_was_computed(model: Autoencoder) -> None:  # noqa: F811
    model.train()
    x, labels = torch.tensor(X), torch.tensor(LABELS)
    torch.manual_seed(0)
    first = inference.encode(model, X, LABELS)
    np.testing.assert_array_equal(inference.encode(model, X, LABELS), first)
    model.losses(x, None, labels)["reconstruction"].sum().backward()  # weights are no inference's
    assert any(parameter.grad is not None for parameter in model.parameters())


def test_progress_is_reported_before_each_batch_and_may_cancel(
    model: Autoencoder,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inference, "batch_size", lambda n_features: 10)
    reports: list[tuple[str, float, float]] = []
    inference.decode(model, CODES, LABELS, lambda *report: reports.append(report))
    assert reports == [("Decoding samples", done, N) for done in (0, 10, 20)]

    def cancel(stage: str, done: float, total: float) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        inference.decode(model, CODES, LABELS, cancel)


def test_batches_of_large_samples_are_small() -> None:
    assert inference.batch_size(2) == inference.batch_size(784) == inference.BATCH
    assert inference.batch_size(512 * 512) * 512 * 512 <= inference.BATCH_VALUES
    assert inference.batch_size(10**9) == 1


@pytest.mark.parametrize("name", ["digits-ae", "digits-vae"])
def test_samples_are_encoded_as_when_the_run_was_measured(name: str, store_folder: Path) -> None:
    shutil.copytree(SHIPPED / name, store_folder / name)
    run = store.load(name)
    codes, deviations, errors = inference.encode_with_errors(run.model(), *DIGITS.test)
    np.testing.assert_allclose(codes, run.codes["codes"], atol=1e-4)
    np.testing.assert_allclose(errors, run.codes["error"], rtol=1e-4)
    assert (deviations is None) == (name == "digits-ae")


def test_a_large_array_is_shared_and_a_small_one_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    x.flags.writeable = False
    device = torch.device("cpu")
    assert not np.shares_memory(inference.shared(x, device).numpy(), x)
    monkeypatch.setattr(inference, "LARGE", x.nbytes)
    shared = inference.shared(x, device)
    assert np.shares_memory(shared.numpy(), x) and shared.tolist() == x.tolist()


@pytest.mark.parametrize("name", ["ae", "denoising"])
def test_training_on_shared_arrays_is_the_same_and_leaves_them(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = run_config("iris", name)
    iris = data.get("iris")
    before = iris.train.x.copy()
    usual = [record.test.mse for record in training.fit(config, iris)]
    monkeypatch.setattr(inference, "LARGE", 0)
    shared = [record.test.mse for record in training.fit(config, iris)]
    np.testing.assert_array_equal(usual, shared)
    np.testing.assert_array_equal(iris.train.x, before)
