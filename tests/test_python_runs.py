"""Runs from Python and back: save_run, load_run and add_model."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import Listener, run_config
from torch import nn

import aecore
from aecore import data, latent
from aecore.errors import InvalidRequest
from aecore.runs import store
from aecore.runs.train import Train

IRIS = data.get("iris")


@pytest.mark.parametrize("variant", ["ae", "vae", "conv"])
def test_a_fitted_estimator_becomes_a_run_and_comes_back(variant: str) -> None:
    x = data.get("digits").train.x[:200]
    labels = data.get("digits").train.labels[:200]
    shape = (8, 8) if variant.startswith("conv") else None
    fitted = aecore.Autoencoder(variant, 4, epochs=1, random_state=0, shape=shape).fit(x)
    run = fitted.save_run("mine", x, labels)
    assert run.config.variant == variant and not run.trained and run.epochs == 1
    assert run.manifest.n_train + run.manifest.n_test == 200 and run.spec.n_classes == 10
    back = aecore.load_run("mine")
    np.testing.assert_allclose(back.transform(x), fitted.transform(x), atol=1e-6)
    codes = fitted.transform(x)
    np.testing.assert_allclose(
        back.inverse_transform(codes), fitted.inverse_transform(codes), atol=1e-6
    )
    np.testing.assert_allclose(back.score_samples(x).mean(), fitted.score(x), rtol=1e-5)
    assert latent.analyse(run, run.dataset, Listener().progress).facts["complete"]


def test_a_trained_run_comes_back_as_an_estimator() -> None:
    run = Train.named(run_config()).run(Listener())
    back = aecore.load_run(run.name)
    np.testing.assert_allclose(back.transform(IRIS.test.x), run.codes["codes"], atol=1e-6)
    np.testing.assert_allclose(-back.score_samples(IRIS.test.x), run.codes["error"], rtol=1e-4)
    assert back.n_iter_ == 2 and len(back.history_) == 2


def test_labels_of_a_conditioned_model_are_its_own() -> None:
    names = np.array(["setosa", "versicolor", "virginica"])[IRIS.train.labels]
    fitted = aecore.Autoencoder("cvae", epochs=1, random_state=0).fit(IRIS.train.x, names)
    with pytest.raises(InvalidRequest, match="reads labels"):
        fitted.save_run("mine", IRIS.train.x)
    run = fitted.save_run("mine", IRIS.train.x, names, (IRIS.test.x, names[: IRIS.n_test]))
    assert run.spec.label_names == ("setosa", "versicolor", "virginica")
    wanted = fitted.transform(IRIS.train.x, names)
    back = aecore.load_run("mine").transform(IRIS.train.x, IRIS.train.labels)
    np.testing.assert_allclose(back, wanted, atol=1e-6)


def test_what_is_wrong_is_said_and_nothing_is_stored() -> None:
    fitted = aecore.Autoencoder(epochs=1, random_state=0).fit(IRIS.train.x)
    with pytest.raises(InvalidRequest) as caught:
        fitted.save_run("Mine", IRIS.train.x, [1, 2])
    assert "name = 'Mine'" in str(caught.value) and "are of shape (2,)" in str(caught.value)
    with pytest.raises(InvalidRequest, match="one of the two"):
        aecore.add_model(nn.Linear(4, 2), None, name="mine")
    with pytest.raises(InvalidRequest, match=r"no torch\.nn\.Module"):
        aecore.add_model(lambda x: x, None, IRIS.train.x, name="mine")  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match="cannot be exported"):
        aecore.add_model(nn.Linear(5, 2), None, IRIS.train.x, name="mine")
    with pytest.raises(InvalidRequest, match="no finite numbers"):
        aecore.add_model(nn.Linear(4, 2), None, IRIS.train.x * np.nan, name="mine")
    with pytest.raises(InvalidRequest, match="takes codes of 3 dimensions"):
        aecore.add_model(_Wrong(), nn.Linear(3, 4), IRIS.train.x, name="mine")
    assert not store.names() and not data.stored.names()
    with pytest.raises(InvalidRequest, match="Unknown run"):
        aecore.load_run("mine")


class _Wrong(nn.Module):
    """Encoder whose code is narrower once it is exported for evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.both = nn.Linear(4, 3)

    def forward(self, x: object) -> object:
        import torch

        return self.both(x)[:, : 2 if torch.onnx.is_in_onnx_export() else 3]


def test_torch_modules_go_with_a_dataset_that_exists() -> None:
    run = aecore.add_model(nn.Linear(4, 2), nn.Linear(2, 4), dataset="iris", name="mine")
    assert run.config.dataset == "iris" and run.has_data() and not data.stored.names()
    with pytest.raises(InvalidRequest, match="is taken"):
        aecore.add_model(nn.Linear(4, 2), nn.Linear(2, 4), dataset="iris", name="mine")
