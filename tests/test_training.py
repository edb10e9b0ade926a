"""Training: what it reaches, that it repeats and resumes bit-equal, and how it stops."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import run_config
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA

from aecore import configs, datasets, store, training
from aecore.autoencoder import Autoencoder
from aecore.configs import RunConfig
from aecore.datasets import Samples
from aecore.errors import Cancelled, Faults
from aecore.training import Checkpoint, EpochRecord, fit

IRIS = datasets.get("iris")


def train(config: RunConfig, **options: object) -> list[EpochRecord]:
    return list(fit(config, configs.dataset_of(config), **options))


def frozen(record: EpochRecord) -> Checkpoint:
    """The record's checkpoint as it is now: training goes on in the same tensors."""
    tensors, progress = record.checkpoint()
    return Checkpoint({name: value.clone() for name, value in tensors.items()}, progress)


def assert_equal(first: Checkpoint, second: Checkpoint) -> None:
    assert first.tensors.keys() == second.tensors.keys()
    for name, value in first.tensors.items():
        assert torch.equal(value, second.tensors[name]), name
    # Through JSON a tuple becomes a list, which is no difference.
    assert plain(first.progress) == plain(second.progress)


def plain(value: object) -> object:
    """Tuples as lists, as JSON has them."""
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


# --- What it reaches ----------------------------------------------------------------------------


def test_a_linear_autoencoder_finds_the_plane_of_pca() -> None:
    preset = configs.preset("ring-is-pca")
    config = RunConfig.check(
        {
            "dataset": preset.dataset,
            "variant": preset.variant,
            "model": preset.model,
            "training": {**preset.training, "device": "cpu"},
        }
    )
    ring = configs.dataset_of(config)
    *_, last = fit(config, ring)
    pca = PCA(2).fit(ring.train.x)
    rebuilt = pca.inverse_transform(pca.transform(ring.test.x))
    assert last.test.mse.mean() == pytest.approx(np.square(rebuilt - ring.test.x).mean(), rel=0.01)
    decoder = last.model.decoder[-1].weight.detach().numpy()
    assert np.degrees(subspace_angles(decoder, pca.components_.T).max()) < 1


def test_a_loss_goes_down() -> None:
    first, *_, last = train(run_config(epochs=20, learning_rate=0.01))
    assert last.train["total"] < first.train["total"] / 2
    assert last.test.terms["total"] < first.test.terms["total"] / 2


# --- What is reported ---------------------------------------------------------------------------


def test_terms_are_weighted_by_the_size_of_their_batch() -> None:
    # With so small a rate the weights stay as they are, and the mean over the batches must be
    # that over the samples, though the last batch holds one sample and the first ninety-nine.
    config = run_config(epochs=1, batch_size=99, learning_rate=1e-12)
    (record,) = train(config)
    x = torch.tensor(IRIS.train.x)
    each = record.model.losses(x)["reconstruction"]
    assert each.std() > 0.1  # so that the weight of the lonely sample shows
    assert record.train["reconstruction"] == pytest.approx(each.mean().item(), rel=1e-5)


def test_evaluation_in_several_batches_counts_each_sample_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, x = training.build(run_config(variant="vae"), 4), torch.tensor(IRIS.test.x)
    whole = training.evaluate(model, x)
    monkeypatch.setattr(training, "EVALUATION_BATCH", 49)
    parts = training.evaluate(model, x)
    assert parts.terms["kl"] == pytest.approx(whole.terms["kl"])
    np.testing.assert_allclose(parts.mse, whole.mse, rtol=1e-5)
    np.testing.assert_allclose(parts.codes, whole.codes, atol=1e-6)


def test_an_evaluation_is_of_means_and_repeats() -> None:
    model, x = training.build(run_config(variant="vae"), 4), torch.tensor(IRIS.test.x)
    first, second = training.evaluate(model, x), training.evaluate(model.train(), x)
    assert not model.training
    assert first.terms == second.terms
    with torch.no_grad():
        np.testing.assert_array_equal(first.codes, model.encode(x).numpy())
        mse = (model.reconstruct(x) - x).square().mean(1).numpy()
    np.testing.assert_allclose(first.mse, mse, rtol=1e-6)
    assert first.terms["total"] == pytest.approx(first.terms["reconstruction"] + first.terms["kl"])


def test_models_are_corrupted_in_training_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    build, seen = training.build, []

    def noisy(config: RunConfig, n_features: int) -> Autoencoder:
        model = build(config, n_features)
        model.corruption = lambda x, generator: seen.append(len(x)) or x
        return model

    monkeypatch.setattr(training, "build", noisy)
    train(run_config(epochs=3, batch_size=60))
    assert seen == [60, 40] * 3


@pytest.mark.parametrize("variant", ["ae", "vae"])
def test_records_are_numbered_and_complete(variant: str) -> None:
    records = train(run_config(variant=variant, epochs=3, learning_rate=0.01))
    assert [record.epoch for record in records] == [1, 2, 3]
    for record in records:
        terms = {name: value for name, value in record.train.items() if name != "total"}
        assert record.train["total"] == pytest.approx(sum(terms.values()))
        assert record.test.terms.keys() == record.train.keys()
        assert record.test.mse.shape == (50,)
        assert record.test.codes.shape == (50, 2)
        assert record.samples_per_second == pytest.approx(100 / record.seconds)
    assert records[-1].learning_rate < records[0].learning_rate <= 0.01


def test_every_batch_is_counted() -> None:
    heard: list[tuple[int, int]] = []
    train(run_config(epochs=2, batch_size=30), on_batch=lambda *news: heard.append(news))
    assert heard == [(done, 8) for done in range(1, 9)]


def test_one_step_is_enough_for_a_schedule() -> None:
    (record,) = train(run_config(epochs=1, batch_size=100))
    assert math.isfinite(record.train["total"])


# --- That it repeats ----------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["ae", "vae"])
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(variant: str) -> None:
    first, again, other = (
        frozen(train(run_config(variant=variant, seed=seed))[-1]) for seed in (4, 4, 5)
    )
    assert_equal(first, again)
    assert not torch.equal(
        first.tensors["model.decoder.0.weight"], other.tensors["model.decoder.0.weight"]
    )


def test_a_seed_fixes_the_weights_before_training() -> None:
    first, again, other = (
        training.build(run_config(seed=seed), 4).decoder[0].weight for seed in (4, 4, 5)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_training_leaves_the_global_random_numbers_alone() -> None:
    before = torch.get_rng_state()
    train(run_config(variant="vae"))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("stop", [1, 2, 3])
@pytest.mark.parametrize("variant", ["ae", "vae"])
def test_a_resumed_training_is_bit_equal(variant: str, stop: int) -> None:
    config = run_config(variant=variant, epochs=4, learning_rate=0.01)
    through = [(record, frozen(record)) for record in fit(config, IRIS)]
    store.write_checkpoint("run", config, through[stop - 1][1])
    read_config, checkpoint = store.read_checkpoint("run")
    assert read_config == config
    resumed = [(record, frozen(record)) for record in fit(config, IRIS, resume=checkpoint)]
    assert [record.epoch for record, _ in resumed] == list(range(stop + 1, 5))
    for (record, state), (expected, expected_state) in zip(resumed, through[stop:], strict=True):
        assert_equal(state, expected_state)
        assert record.train == expected.train
        assert record.test.terms == expected.test.terms
        assert record.learning_rate == expected.learning_rate
        np.testing.assert_array_equal(record.test.codes, expected.test.codes)


def test_a_finished_training_has_nothing_to_resume() -> None:
    checkpoint = frozen(train(run_config())[-1])
    assert train(run_config(), resume=checkpoint) == []


def test_the_weights_of_a_checkpoint_are_those_of_the_model() -> None:
    last = train(run_config())[-1]
    weights = training.weights(last.checkpoint())
    assert weights.keys() == last.model.state_dict().keys()
    assert all(torch.equal(weights[name], value) for name, value in last.model.state_dict().items())


# --- How it stops -------------------------------------------------------------------------------


def test_a_loss_that_is_no_number_stops_the_training() -> None:
    config = run_config(variant="vae", epochs=50, learning_rate=10)
    with pytest.raises(Faults) as error:
        train(config)
    assert len(error.value.faults) == 1
    assert "learning_rate (it is 10; try 1)" in str(error.value)
    assert "stopped in epoch " in str(error.value)


def test_the_epoch_that_failed_is_named() -> None:
    def read(split: str) -> Samples:
        x, labels = IRIS.read(split)
        x[3] = math.nan
        return Samples(x, labels)

    with pytest.raises(Faults, match=r"stopped in epoch 1: the loss is no longer a number"):
        list(fit(run_config(), replace(IRIS, read=read)))


def test_what_a_batch_raises_ends_the_training() -> None:
    batches = []

    def cancel(done: int, total: int) -> None:
        batches.append(done)
        if done == 6:
            raise Cancelled

    epochs = []
    with pytest.raises(Cancelled):
        for record in fit(run_config(epochs=9, batch_size=25), IRIS, on_batch=cancel):
            epochs.append(record.epoch)
    assert batches == [1, 2, 3, 4, 5, 6]
    assert epochs == [1]


# --- Devices ------------------------------------------------------------------------------------


@pytest.fixture
def present(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """Which accelerators the machine is made to have."""
    there = {"cuda": False, "mps": False}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there["cuda"])
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: there["mps"])
    return there


def test_auto_takes_an_accelerator_where_there_is_one(present: dict[str, bool]) -> None:
    assert training.pick_device("auto") == torch.device("cpu")
    present["mps"] = True
    assert training.pick_device("auto") == torch.device("mps")
    present["cuda"] = True
    assert training.pick_device("auto") == torch.device("cuda")
    assert training.pick_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused(present: dict[str, bool], device: str) -> None:
    with pytest.raises(Faults, match=f"device = '{device}' is not on this machine"):
        train(run_config(device=device))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="There is no CUDA device here.")
def test_training_on_a_gpu_resumes_bit_equal() -> None:
    config = run_config(variant="vae", epochs=3, device="cuda")
    through = [frozen(record) for record in fit(config, IRIS)]
    store.write_checkpoint("run", config, through[0])
    resumed = [
        frozen(record) for record in fit(config, IRIS, resume=store.read_checkpoint("run")[1])
    ]
    assert_equal(resumed[-1], through[-1])
