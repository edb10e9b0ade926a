"""Training: accuracy, repeatability, bit-equal resume, cancellation."""

from __future__ import annotations

import json
import math
from typing import Any, get_args

import numpy as np
import pytest
import torch
from conftest import dirty_memory, run_config
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA

from aecore import data, training
from aecore.data import Dataset, Samples
from aecore.errors import Cancelled, InvalidRequest
from aecore.models.autoencoder import Autoencoder
from aecore.models.contracts import Reporting
from aecore.models.variants import VARIANTS
from aecore.runs import store
from aecore.training import (
    OPTIMIZERS,
    Checkpoint,
    Diverged,
    EpochRecord,
    RunConfig,
    TrainingConfig,
    fit,
)
from aecore.training.history import history_entry

IRIS = data.get("iris")
DIGITS = data.get("digits")
SMALL: dict[str, Any] = {"latent_dim": 4, "hidden": (16, 8), "channels": (4, 3), "warm_up": 2}


def train(config: RunConfig, **options: object) -> list[EpochRecord]:
    return list(fit(config, training.dataset_of(config), **options))


def small(variant: str, model: dict[str, Any] | None = None, **options: Any) -> RunConfig:
    """Request of a small model of any variant, quickly trained on digits."""
    fields = VARIANTS[variant].model_fields
    return RunConfig.check(
        {
            "dataset": "digits",
            "variant": variant,
            "model": {name: value for name, value in SMALL.items() if name in fields}
            | (model or {}),
            "training": {"epochs": 2, "learning_rate": 0.003, "device": "cpu"} | options,
        }
    )


def frozen(record: EpochRecord) -> Checkpoint:
    """Copy of the record's checkpoint, because training continues in the same tensors."""
    tensors, progress = record.checkpoint()
    return with_history(Checkpoint({n: value.clone() for n, value in tensors.items()}, progress))


def with_history(checkpoint: Checkpoint) -> Checkpoint:
    """Checkpoint with the history that a task adds to it."""
    return checkpoint._replace(progress=checkpoint.progress | {"history": []})


def assert_equal(first: Checkpoint, second: Checkpoint) -> None:
    assert first.tensors.keys() == second.tensors.keys()
    for name, value in first.tensors.items():
        assert torch.equal(value, second.tensors[name]), name
    # Through JSON a tuple becomes a list, which is no difference.
    assert plain(first.progress) == plain(second.progress)


def plain(value: object) -> object:
    """Tuples as lists, as in JSON."""
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


# --- What it reaches ----------------------------------------------------------------------------


def test_a_linear_autoencoder_finds_the_plane_of_pca() -> None:
    preset = training.preset("ring-is-pca")
    config = RunConfig.check(
        {
            "dataset": preset.dataset,
            "variant": preset.variant,
            "model": preset.model,
            "training": {**preset.training, "device": "cpu"},
        }
    )
    ring = training.dataset_of(config)
    *_, last = fit(config, ring)
    pca = PCA(2).fit(ring.train.x)
    rebuilt = pca.inverse_transform(pca.transform(ring.test.x))
    assert last.test.mse.mean() == pytest.approx(np.square(rebuilt - ring.test.x).mean(), rel=0.01)
    decoder = last.model.decoder[-1].weight.detach().numpy()
    assert np.degrees(subspace_angles(decoder, pca.components_.T).max()) < 1


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_gets_better_at_digits(variant: str) -> None:
    config = small(variant, epochs=5, batch_size=64, learning_rate=0.01)
    before = training.evaluate(
        training.build(config, DIGITS),
        torch.tensor(DIGITS.test.x),
        torch.tensor(DIGITS.test.labels),
    )
    *_, last = fit(config, DIGITS)
    assert last.test.terms["total"] < 0.9 * before.terms["total"]
    assert last.test.mse.mean() < 0.9 * before.mse.mean()


def test_a_loss_goes_down() -> None:
    first, *_, last = train(run_config(epochs=20, learning_rate=0.01))
    assert last.train["total"] < first.train["total"] / 2
    assert last.test.terms["total"] < first.test.terms["total"] / 2


# --- Optimisers, schedules and precision --------------------------------------------------------

RATES = {"adam": 0.01, "adamw": 0.01, "sgd": 0.003, "adadelta": 1, "rmsprop": 0.003}


def one_cycle(peak: float, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Smith's rate at each step, from a 25th of the peak up and down to nearly nothing, by halves
    of a cosine; and the momentum, which goes the other way."""
    turn = 0.3 * steps - 1
    step = np.arange(steps)
    rise = np.clip(step / turn, 0, 1)
    fall = np.clip((step - turn) / (steps - 1 - turn), 0, 1)

    def between(low: float, high: float, end: float) -> np.ndarray:
        up = high + (low - high) / 2 * (1 + np.cos(np.pi * rise))
        down = end + (high - end) / 2 * (1 + np.cos(np.pi * fall))
        return np.where(step <= turn, up, down)

    return between(peak / 25, peak, peak / 25e4), between(0.95, 0.85, 0.95)


def test_every_optimizer_and_schedule_that_can_be_chosen_is_tested() -> None:
    assert set(get_args(TrainingConfig.model_fields["optimizer"].annotation)) == set(OPTIMIZERS)
    assert set(OPTIMIZERS) == set(RATES)


@pytest.mark.parametrize("schedule", ["one-cycle", "constant"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_lowers_the_loss_under_every_schedule(
    optimizer: str, schedule: str
) -> None:
    config = run_config(
        epochs=20,
        batch_size=10,
        learning_rate=RATES[optimizer],
        optimizer=optimizer,
        schedule=schedule,
    )
    before = training.evaluate(training.build(config, IRIS), torch.tensor(IRIS.test.x))
    *_, last = train(config)
    assert last.test.terms["total"] < before.terms["total"] / 3
    assert last.train["total"] < before.terms["total"] / 3


def test_the_default_steps_are_adam_under_one_cycle() -> None:
    """Against a plain loop, with the rate and the momentum of each step from their formula."""
    config = run_config(epochs=4, batch_size=30, learning_rate=0.01)
    assert (config.training.optimizer, config.training.schedule) == ("adam", "one-cycle")
    *_, last = train(config)

    model, x = training.build(config, IRIS), torch.tensor(IRIS.train.x)
    optimizer = torch.optim.Adam(model.parameters(), fused=False)
    generator = torch.Generator().manual_seed(config.training.seed)
    steps = iter(zip(*one_cycle(0.01, 16), strict=True))
    for _ in range(4):
        for batch in torch.randperm(100, generator=generator).split(30):
            rate, momentum = next(steps)
            optimizer.param_groups[0].update(lr=rate, betas=(momentum, 0.999))
            optimizer.zero_grad()
            errors = model.decoder(model.encoder(x[batch]).mean) - x[batch]
            errors.square().sum(1).mean().backward()
            optimizer.step()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(last.model.state_dict()[name], value, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_one_cycle_rises_to_the_learning_rate_and_falls_to_nothing(optimizer: str) -> None:
    rates = [
        record.learning_rate
        for record in train(run_config(epochs=10, learning_rate=1e-4, optimizer=optimizer))
    ]
    peak = rates.index(max(rates))
    assert 0 < peak < 5
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[peak] == pytest.approx(1e-4, rel=0.02)
    assert rates[-1] < 1e-8


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_constant_schedule_keeps_the_rate(optimizer: str) -> None:
    config = run_config(epochs=10, learning_rate=3e-4, optimizer=optimizer, schedule="constant")
    assert {record.learning_rate for record in train(config)} == {3e-4}


def test_a_constant_rate_makes_the_same_step_at_the_start_and_at_the_end() -> None:
    """Plain gradient descent of one linear layer, whose steps numpy can make as well."""
    asked = {"epochs": 9, "learning_rate": 1e-3, "optimizer": "sgd", "schedule": "constant"}
    config = run_config(variant="linear", model={"hidden": ()}, batch_size=100, **asked)
    *_, last = train(config)
    start = training.build(config, IRIS)
    x = IRIS.train.x.astype(float)
    values = [p.detach().double().numpy() for p in start.parameters()]
    moving = [np.zeros_like(value) for value in values]
    for _ in range(9):
        v, b, w, c = values
        code = x @ v.T + b
        error = 2 * (code @ w.T + c - x) / len(x)
        back = error @ w
        slopes = [back.T @ x, back.sum(0), error.T @ code, error.sum(0)]
        moving = [0.9 * before + slope for before, slope in zip(moving, slopes, strict=True)]
        values = [value - 1e-3 * step for value, step in zip(values, moving, strict=True)]
    for parameter, value in zip(last.model.parameters(), values, strict=True):
        np.testing.assert_allclose(parameter.detach().numpy(), value, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("variant", ["ae", "vae", "conv", "vq-vae", "contractive"])
def test_both_precisions_lead_to_about_the_same_losses(variant: str) -> None:
    fine, coarse = (
        list(fit(small(variant, epochs=4, precision=precision), DIGITS))
        for precision in ("float32", "bfloat16")
    )
    for one, other in zip(fine, coarse, strict=True):
        assert one.train != other.train
        assert other.train["total"] == pytest.approx(one.train["total"], rel=0.05)
        assert other.test.terms["total"] == pytest.approx(one.test.terms["total"], rel=0.05)
    assert coarse[-1].train["total"] < coarse[0].train["total"]
    weights = coarse[-1].model.state_dict().values()
    assert {value.dtype for value in weights} == {torch.float32}
    assert coarse[-1].test.codes.dtype == np.float32


@pytest.mark.parametrize("able", [True, False])
def test_automatic_precision_is_coarse_for_convolutions_where_the_processor_can(
    able: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aecore.training.loop.has_bfloat16", lambda device: able)
    for variant, precision, expected in (
        ("conv", "auto", able),
        ("conv", "float32", False),
        ("conv", "bfloat16", True),
        ("ae", "auto", False),
        ("ae", "bfloat16", True),
    ):
        (record,) = fit(small(variant, epochs=1, precision=precision), DIGITS)
        assert record.model.uses_bfloat16 is expected, (variant, precision)


@pytest.mark.parametrize(
    ("capabilities", "able"),
    [
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"bf16": True}, True),
        ({"avx512_bf16": False, "avx2": True}, False),
        ({}, False),
    ],
)
def test_a_processor_says_whether_it_has_bfloat16(
    capabilities: dict[str, bool], able: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert training.has_bfloat16(torch.device("cpu")) is able
    assert not training.has_bfloat16(torch.device("mps"))


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
    model, x = training.build(run_config(variant="vae"), IRIS), torch.tensor(IRIS.test.x)
    whole = training.evaluate(model, x)
    monkeypatch.setattr("aecore.training.loop.EVALUATION_BATCH", 49)
    parts = training.evaluate(model, x)
    assert parts.terms["kl"] == pytest.approx(whole.terms["kl"])
    np.testing.assert_allclose(parts.mse, whole.mse, rtol=1e-5)
    np.testing.assert_allclose(parts.codes, whole.codes, atol=1e-6)


def test_an_evaluation_is_of_means_and_repeats() -> None:
    model, x = training.build(run_config(variant="vae"), IRIS), torch.tensor(IRIS.test.x)
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

    def noisy(config: RunConfig, dataset: Dataset) -> Autoencoder:
        model = build(config, dataset)
        model.corruption = lambda x, generator: seen.append(len(x)) or x
        return model

    monkeypatch.setattr("aecore.training.loop.build", noisy)
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
    heard: list[tuple[str, int, int]] = []
    train(run_config(epochs=2, batch_size=30), progress=lambda *news: heard.append(news))
    assert heard == [("Training", done, 8) for done in range(1, 9)]


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
        training.build(run_config(seed=seed), IRIS).decoder[0].weight for seed in (4, 4, 5)
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


def resumed_equal(config: RunConfig) -> Checkpoint:
    """Two uninterrupted epochs, and one that is resumed from disk; the read checkpoint."""
    first, second = ((record, frozen(record)) for record in fit(config, DIGITS))
    store.write_checkpoint("run", config, first[1])
    read_config, checkpoint = store.read_checkpoint("run")
    assert read_config == config
    assert_equal(checkpoint, first[1])
    heard: list[str] = []
    (record,) = fit(
        read_config, DIGITS, resume=checkpoint, progress=lambda *news: heard.append(news[0])
    )
    assert set(heard) == {"Training"}  # and no pretraining again
    assert_equal(frozen(record), second[1])
    assert record.train == second[0].train
    assert record.test.terms == second[0].test.terms
    assert record.learning_rate == second[0].learning_rate
    np.testing.assert_array_equal(record.test.codes, second[0].test.codes)
    assert record.train != first[0].train
    return checkpoint


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_resumes_bit_equal(variant: str, precision: str) -> None:
    resumed_equal(small(variant, precision=precision))


@pytest.mark.parametrize("schedule", ["one-cycle", "constant"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_resumes_bit_equal(optimizer: str, schedule: str) -> None:
    rate = {"optimizer": optimizer, "schedule": schedule, "learning_rate": RATES[optimizer] / 10}
    checkpoint = resumed_equal(small("ae", **rate))
    moments = [name for name in checkpoint.tensors if name.startswith("optimizer.")]
    assert moments


@pytest.mark.parametrize(
    "model",
    [
        {"dropout": 0.3},
        {"tied": True, "l2": 1e-3},
        {"pretraining": "greedy", "pretraining_epochs": 1},
        {"pretraining": "greedy", "pretraining_epochs": 1, "tied": True, "dropout": 0.3},
        {"pretraining": "rbm", "pretraining_epochs": 1, "activation": "sigmoid"},
    ],
    ids=str,
)
def test_what_a_deep_autoencoder_can_have_resumes_bit_equal(model: dict[str, Any]) -> None:
    resumed_equal(small("ae", model))


@pytest.mark.parametrize("noise", ["masking", "salt-and-pepper", "dropout"])
def test_noise_resumes_bit_equal(noise: str) -> None:
    resumed_equal(small("denoising", {"noise": noise}))


@pytest.mark.parametrize("how", ["exact", "closed-form"])
def test_a_contraction_resumes_bit_equal(how: str) -> None:
    layer = {"hidden": (), "code_activation": "sigmoid"}
    resumed_equal(small("contractive", {"jacobian": how, **layer}))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("resampling", ["max-pool", "strided"])
def test_filters_resume_bit_equal_though_they_lie_otherwise_on_disk(
    resampling: str, optimizer: str
) -> None:
    """Training has channels last in memory; a file has them in order, the moments as well."""
    config = small(
        "conv",
        {"resampling": resampling, "channels": (4, 6)},
        precision="bfloat16",
        optimizer=optimizer,
        learning_rate=RATES[optimizer] / 10,
    )
    checkpoint = resumed_equal(config)
    assert all(value.is_contiguous() for value in checkpoint.tensors.values())
    (record,) = fit(config, DIGITS, resume=checkpoint)
    filters = [value for value in record.model.parameters() if value.ndim == 4]
    assert all(value.is_contiguous(memory_format=torch.channels_last) for value in filters)
    assert not all(value.is_contiguous() for value in filters)


def test_a_checkpoint_of_convolutions_holds_each_weight_in_its_place() -> None:
    """What is written is read into a model that never heard of channels last."""
    config = small("conv", {"channels": (4, 6)})
    *_, last = fit(config, DIGITS)
    x = torch.tensor(DIGITS.test.x)
    wanted = last.model.eval().reconstruct(x)
    store.write_checkpoint("run", config, with_history(last.checkpoint()))
    model = training.build(config, DIGITS).eval()
    model.load_state_dict(training.weights(store.read_checkpoint("run")[1]))
    torch.testing.assert_close(model.reconstruct(x), wanted, rtol=1e-4, atol=1e-5)


def test_a_weight_that_warms_up_knows_how_far_training_is(monkeypatch: pytest.MonkeyPatch) -> None:
    build, seen = training.build, []

    def watched(config: RunConfig, dataset: Dataset) -> Autoencoder:
        model = build(config, dataset)

        def watch(model: Autoencoder, x: torch.Tensor, *rest: object) -> torch.Tensor:
            if model.training:
                seen.append(model.epochs_seen)
            return x.new_zeros(len(x))

        model.penalties["watch"] = watch
        return model

    monkeypatch.setattr("aecore.training.loop.build", watched)
    config = run_config(epochs=2, batch_size=25)
    first, _ = ((record, frozen(record)) for record in fit(config, IRIS))
    assert seen == [0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2]
    del seen[:4]
    train(config, resume=first[1])
    assert seen[:4] == seen[4:]


def test_a_finished_training_has_nothing_to_resume() -> None:
    checkpoint = frozen(train(run_config())[-1])
    assert train(run_config(), resume=checkpoint) == []


def test_the_weights_of_a_checkpoint_are_those_of_the_model() -> None:
    last = train(run_config())[-1]
    weights = training.weights(last.checkpoint())
    assert weights.keys() == last.model.state_dict().keys()
    assert all(torch.equal(weights[name], value) for name, value in last.model.state_dict().items())


# --- That every number is one -------------------------------------------------------------------

SHAPES = [(8, 8), (4, 1), (1, 1), (3, 5), (28, 28)]
CHANNELS = [(4,), (16, 32), (16, 32, 64, 64), (8, 8, 8, 8, 8, 8)]
STRIDED = ["conv", "conv-vae", "conv-denoising"]
PRECISIONS = ["float32", "bfloat16"]


def images(*shape: int, n: int = 150) -> Dataset:
    """Random images of any shape in [0, 1], with ten classes."""

    def read(split: str) -> Samples:
        draws = np.random.default_rng(len(split))
        x = draws.random((n, math.prod(shape)), np.float32)
        return Samples(x, draws.integers(0, 10, n))

    return DIGITS.derived(read, name="images", shape=shape, n_train=n, n_test=n)


def first_samples(name: str) -> Dataset:
    """Dataset of the registry, cut to its first 129 training and 60 test samples."""
    whole = data.get(name)
    sizes = {"train": min(129, whole.n_train), "test": min(60, whole.n_test)}

    def read(split: str) -> Samples:
        samples = getattr(whole, split)
        return Samples(*(part[: sizes[split]].copy() for part in samples))

    return whole.derived(read, n_train=sizes["train"], n_test=sizes["test"])


def trained_in_dirty_memory(config: RunConfig, dataset: Dataset) -> Checkpoint:
    """Last checkpoint of a training with free memory full of NaN at every batch."""
    dirty_memory()
    *_, last = fit(config, dataset, progress=lambda *news: dirty_memory())
    assert last.model.uses_bfloat16 is (config.training.precision == "bfloat16")
    assert np.isfinite(last.test.codes).all()
    return frozen(last)


def assert_finite_and_repeatable(dataset: Dataset, request: dict[str, Any]) -> None:
    config = RunConfig.check(request, dataset)
    first, again = (trained_in_dirty_memory(config, dataset) for _ in range(2))
    assert all(value.isfinite().all() for value in training.weights(first).values())
    assert_equal(first, again)


def strided(variant: str, channels: tuple[int, ...], seed: int = 0, **options: Any) -> Any:
    """Request of strided convolutions in bfloat16, whose last batch is short."""
    options = {"epochs": 2, "batch_size": 64, "precision": "bfloat16", "device": "cpu"} | options
    return {
        "dataset": "images",
        "variant": variant,
        "model": {"channels": channels, "resampling": "strided", "latent_dim": 1},
        "training": {"seed": seed, **options},
    }


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_strided_convolutions_are_finite_and_repeat(shape: tuple[int, int]) -> None:
    assert_finite_and_repeatable(images(*shape), strided("conv", (16, 32, 64, 64)))


@pytest.mark.slow
@pytest.mark.usefixtures("only_when_asked")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("channels", CHANNELS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("variant", STRIDED)
def test_every_strided_variant_is_finite_and_repeats(
    variant: str, shape: tuple[int, int], channels: tuple[int, ...], seed: int
) -> None:
    assert_finite_and_repeatable(images(*shape), strided(variant, channels, seed))


@pytest.mark.parametrize("batch_size", [1, 20, 29, 30])
def test_a_batch_of_one_or_of_all_is_finite(batch_size: int) -> None:
    """The last batch holds all samples, one, or ten."""
    dataset = images(5, 1, n=30)
    request = strided("conv-vae", (16, 32), batch_size=batch_size)
    assert_finite_and_repeatable(dataset, request)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("variant", VARIANTS)
def test_constant_data_are_finite_in_training(variant: str, value: float, precision: str) -> None:
    def read(split: str) -> Samples:
        return Samples(np.full((17, 64), value, np.float32), np.arange(17) % 10)

    dataset = DIGITS.derived(read, name="constant", n_train=17, n_test=17)
    config = small(variant, batch_size=16, precision=precision)
    state = trained_in_dirty_memory(config, dataset)
    assert all(value.isfinite().all() for value in training.weights(state).values())


@pytest.mark.slow
@pytest.mark.usefixtures("only_when_asked")
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("dataset", data.DATASETS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_finite_and_repeats_on_every_dataset(
    variant: str, dataset: str, precision: str
) -> None:
    """The last batch holds one sample."""
    if not data.is_available(dataset):
        pytest.skip(f"{dataset} is not on this machine.")
    options = {"epochs": 2, "batch_size": 16, "precision": precision, "device": "cpu"}
    request = {"dataset": dataset, "variant": variant, "training": options}
    try:
        RunConfig.check(request)
    except InvalidRequest:
        pytest.skip(f"{variant} is refused for {dataset}, as test_variants.py checks.")
    assert_finite_and_repeatable(first_samples(dataset), request)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("variant", VARIANTS)
def test_weights_that_are_not_finite_stop_the_training_though_the_loss_is(
    variant: str, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tensor that no loss depends on, as the taps of a filter that only ever see its padding."""
    build = training.build

    def damaged(config: RunConfig, dataset: Dataset) -> Autoencoder:
        model = build(config, dataset)
        model.register_parameter("unseen", torch.nn.Parameter(torch.tensor([0.0, value, value])))
        return model

    monkeypatch.setattr("aecore.training.loop.build", damaged)
    with pytest.raises(Diverged) as error:
        list(fit(small(variant), DIGITS))
    assert "stopped in epoch 1: weights are no longer finite (2 of unseen)" in str(error.value)
    assert "the loss is" not in str(error.value)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_damaged_tensors_are_named_and_float32_is_offered_where_it_is_not_in_use(
    precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = training.build

    def damaged(config: RunConfig, dataset: Dataset) -> Autoencoder:
        model = build(config, dataset)
        model.encoder.network[1].bias.data[0] = math.nan
        return model

    monkeypatch.setattr("aecore.training.loop.build", damaged)
    with pytest.raises(Diverged) as error:
        list(fit(small("conv", precision=precision), DIGITS))
    (said,) = error.value.problems
    assert "epoch 1: the loss is no longer a number; weights are no longer finite (36 of" in said
    assert "encoder.network.1.weight, 4 of encoder.network.1.bias," in said
    assert "tensors more); 1440 of 1440 numbers in the test split's codes are not finite" in said
    assert ("set precision to 'float32'" in said) is (precision == "bfloat16")


# --- Facts of an epoch --------------------------------------------------------------------------


def test_the_weight_of_a_kl_that_warms_up_is_recorded_epoch_by_epoch() -> None:
    config = small("beta-vae", {"beta": 4, "warm_up": 4}, epochs=6)
    through = [(record, frozen(record)) for record in fit(config, DIGITS)]
    weights = [record.test.facts["kl_weight"] for record, _ in through]
    assert weights == [1, 2, 3, 4, 4, 4]
    resumed = [record.test.facts for record in fit(config, DIGITS, resume=through[1][1])]
    assert resumed == [record.test.facts for record, _ in through[2:]]
    history = [history_entry(record) for record, _ in through]
    assert json.loads(json.dumps(history, allow_nan=False))[1]["facts"] == {"kl_weight": 2}


def test_a_training_that_began_with_too_long_a_warm_up_is_read_and_goes_on() -> None:
    """As it could begin before such a warm-up was refused."""
    asked = small("beta-vae").model_dump()
    asked["model"]["warm_up"] = 9
    config = RunConfig.check(asked, trains=False)
    first, _ = ((record, frozen(record)) for record in fit(config, DIGITS))
    store.write_checkpoint("run", config, first[1])
    assert store.unfinished()[0].config == config
    read_config, checkpoint = store.read_checkpoint("run")
    (last,) = fit(read_config, DIGITS, resume=checkpoint)
    assert last.test.facts["kl_weight"] == pytest.approx(2 * 2 / 9)


def test_the_use_of_a_codebook_is_recorded() -> None:
    *_, last = fit(small("vq-vae", {"codebook_size": 1000}), DIGITS)
    facts = last.test.facts
    chosen = last.model.encoder.choose(last.model.encode(torch.tensor(DIGITS.test.x)))
    used = len(chosen.unique())
    assert facts["codebook_used"] == used / 1000
    assert facts["codebook_dead"] == 1000 - used > 0
    assert 1 <= facts["codebook_perplexity"] <= used


@pytest.mark.parametrize("variant", VARIANTS)
def test_facts_of_every_variant_are_finite_and_have_their_own_names(variant: str) -> None:
    *_, last = fit(small(variant), DIGITS)
    assert all(math.isfinite(value) for value in last.test.facts.values())
    model = last.model
    reporting = [each for each in model.penalties.values() if isinstance(each, Reporting)]
    names = [name for each in reporting for name in each.facts(model, torch.zeros(3, 4))]
    assert len(names) == len(last.test.facts)
    assert ("kl_weight" in names) is ("kl" in model.penalties)


# --- How it stops -------------------------------------------------------------------------------


def test_a_loss_that_is_no_number_stops_the_training() -> None:
    config = run_config(variant="vae", epochs=50, learning_rate=10)
    with pytest.raises(InvalidRequest) as error:
        train(config)
    assert len(error.value.problems) == 1
    assert "learning_rate (it is 10; try 1)" in str(error.value)
    assert "stopped in epoch " in str(error.value)


@pytest.mark.parametrize("variant", ["ae", "beta-vae", "wae-mmd", "iwae"])
def test_too_large_a_learning_rate_is_said_in_a_sentence(variant: str) -> None:
    config = small(variant, {"activation": "relu", "likelihood": "gaussian"}, epochs=50)
    config = config.model_copy(
        update={
            "training": config.training.model_copy(
                update={"learning_rate": 10, "optimizer": "sgd", "schedule": "constant"}
            )
        }
    )
    with pytest.raises(Diverged, match=r"^Training stopped in epoch \d+: the loss is no longer"):
        list(fit(config, DIGITS))


def test_the_epoch_that_failed_is_named() -> None:
    def read(split: str) -> Samples:
        x, labels = IRIS.read(split)
        x[3] = math.nan
        return Samples(x, labels)

    with pytest.raises(InvalidRequest, match=r"stopped in epoch 1: the loss is no longer a number"):
        list(fit(run_config(), IRIS.derived(read)))


def test_what_a_batch_raises_ends_the_training() -> None:
    batches = []

    def cancel(what: str, done: int, total: int) -> None:
        batches.append(done)
        if done == 6:
            raise Cancelled

    records = fit(run_config(epochs=9, batch_size=25), IRIS, progress=cancel)
    assert next(records).epoch == 1
    with pytest.raises(Cancelled):
        next(records)
    assert batches == [1, 2, 3, 4, 5, 6]


# --- Devices ------------------------------------------------------------------------------------


@pytest.fixture
def present(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """Simulated accelerators of the machine."""
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
    with pytest.raises(InvalidRequest, match=f"device = '{device}' is not on this machine"):
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
