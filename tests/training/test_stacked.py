"""Several trainings as one stacked model: each ends as if it had been trained alone."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from conftest import run_config

from aecore import training
from aecore.models.variants import VARIANTS
from aecore.training import RunConfig, stacked
from aecore.training.loop import Diverged, EpochRecord, fit
from aecore.training.stacked import Splits, Stack, gain, set_up

STACKED = [
    *("linear", "ae", "sparse-l1", "sparse-kl", "denoising"),
    *("vae", "beta-vae", "cvae", "iwae", "wae-mmd", "vq-vae"),
]
VARYING = {
    "sparse-l1": ("weight", (0.01, 0.1, 0.3)),
    "sparse-kl": ("target", (0.05, 0.1, 0.3)),
    "denoising": ("level", (0.1, 0.3, 0.5)),
    "beta-vae": ("beta", (0.5, 1.0, 4.0)),
    "wae-mmd": ("weight", (1.0, 10.0, 50.0)),
    "vq-vae": ("commitment", (0.1, 0.25, 0.5)),
}


@pytest.fixture(autouse=True)
def always(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stack whatever can be stacked, with one thread, as trials are trained."""
    monkeypatch.setattr(stacked, "WORTH_IT", 1e-9)
    with training.one_thread():
        yield


def several(variant: str = "ae", epochs: int = 1, **model: Any) -> list[RunConfig]:
    """Three configurations with different seeds and rates, and another number of the model."""
    name, values = VARYING.get(variant, ("", (0, 0, 0)))
    return [
        run_config(
            variant=variant,
            epochs=epochs,
            seed=seed,
            learning_rate=rate,
            model={**model, **({name: value} if name else {})},
        )
        for seed, rate, value in zip((0, 1, 1), (1e-3, 1e-3, 4e-3), values, strict=True)
    ]


def together(configs: Sequence[RunConfig], **options: Any) -> list[list[Any]]:
    """Records of each of the trainings."""
    records = training.fit_stacked(configs, training.dataset_of(configs[0]), **options)
    assert records is not None
    return [list(each) for each in zip(*records, strict=True)]


def alone(config: RunConfig, **options: Any) -> list[EpochRecord]:
    return list(fit(config, training.dataset_of(config), **options))


def assert_equal(ours: EpochRecord, theirs: EpochRecord, within: float = 1e-5) -> None:
    for split in (ours.train, theirs.train), (ours.test.terms, theirs.test.terms):
        assert split[0] == pytest.approx(split[1], rel=within, abs=1e-7)
    assert (ours.epoch, ours.learning_rate) == (theirs.epoch, theirs.learning_rate)
    assert ours.test.facts == pytest.approx(theirs.test.facts)


@pytest.mark.parametrize("variant", STACKED)
def test_each_of_a_stack_is_trained_as_alone(variant: str) -> None:
    configs = several(variant)
    assert len({training.architecture(config) for config in configs}) == 1
    losses = set()
    for config, records in zip(configs, together(configs), strict=True):
        assert_equal(records[0], alone(config)[0])
        losses.add(records[0].test.terms["total"])
    assert len(losses) == 3


@pytest.mark.parametrize(
    "options", [{"dropout": 0.3}, {"tied": True}, {"l2": 0.1}, {"pretraining": "greedy"}]
)
def test_options_of_a_network_are_stacked(options: dict[str, Any]) -> None:
    configs = several(**options)
    for config, records in zip(configs, together(configs), strict=True):
        assert_equal(records[0], alone(config)[0])


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "adadelta", "rmsprop"])
def test_every_optimiser_takes_the_steps_of_a_stack(optimizer: str) -> None:
    configs = [
        RunConfig.check(
            {
                **config.model_dump(mode="json"),
                "training": {**config.training.model_dump(mode="json"), "optimizer": optimizer},
            }
        )
        for config in several()
    ]
    for config, records in zip(configs, together(configs), strict=True):
        assert_equal(records[0], alone(config)[0])


def test_a_training_goes_on_alone_from_a_stack_and_in_a_stack_from_alone() -> None:
    configs = several("vae", epochs=3)
    dataset = training.dataset_of(configs[0])
    checkpoints = []
    for record in next(iter(training.fit_stacked(configs, dataset) or ())):
        assert isinstance(record, EpochRecord)
        checkpoints.append(record.checkpoint())
    resumed = together(configs, resume=copy.deepcopy(checkpoints))
    for config, checkpoint, records in zip(configs, checkpoints, resumed, strict=True):
        whole = alone(config)
        last = alone(config, resume=checkpoint)[-1]
        assert_equal(last, whole[-1], within=1e-4)
        assert [record.epoch for record in records] == [2, 3]
        assert_equal(records[-1], whole[-1], within=1e-4)


def test_one_that_diverges_ends_and_the_others_are_not_touched() -> None:
    configs = several(epochs=3)
    wild = run_config(epochs=3, seed=1, learning_rate=9, optimizer="adam", model={"l2": 0.0})
    kinds = [config.training.optimizer for config in configs]
    assert wild.training.optimizer == kinds[0]
    configs[1] = wild
    setups = [
        set_up(config, training.dataset_of(config), torch.device("cpu")) for config in configs
    ]
    with torch.no_grad():
        next(setups[1].model.parameters()).fill_(float("nan"))
    data = Splits.of(training.dataset_of(wild), torch.device("cpu"))
    epochs = list(stacked._epochs(Stack(setups), data, lambda *news: None))
    assert isinstance(epochs[0][1], Diverged) and [epoch[1] for epoch in epochs[1:]] == [None] * 2
    for at in (0, 2):
        assert_equal(epochs[-1][at], alone(configs[at])[-1], within=1e-4)


def test_what_cannot_be_stacked_or_is_no_faster_is_trained_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configs = several("contractive")
    dataset = training.dataset_of(configs[0])
    setups = [set_up(config, dataset, torch.device("cpu")) for config in configs]
    assert gain(Stack(setups), Splits.of(dataset, torch.device("cpu"))) == 0
    assert training.fit_stacked(configs, dataset) is None
    monkeypatch.setattr(stacked, "WORTH_IT", 1e9)
    assert training.fit_stacked(several(), training.dataset_of(several()[0])) is None


def test_the_timing_changes_neither_weights_nor_draws() -> None:
    config = several("denoising")[0]
    dataset = training.dataset_of(config)
    setup = set_up(config, dataset, torch.device("cpu"))
    before = setup.generator.get_state(), [each.clone() for each in setup.model.parameters()]
    assert gain(Stack([setup, setup]), Splits.of(dataset, torch.device("cpu"))) > 0
    assert (setup.generator.get_state() == before[0]).all()
    for now, then in zip(setup.model.parameters(), before[1], strict=True):
        assert (now == then).all() and (now.grad == 0).all()


def test_only_settings_that_change_no_shape_may_differ() -> None:
    base = several()[0]
    other = {
        "latent_dim": run_config(model={"latent_dim": base.model.latent_dim + 1}),
        "epochs": run_config(epochs=7),
        "batch_size": run_config(batch_size=7),
    }
    assert training.architecture(run_config(seed=5)) == training.architecture(run_config(seed=6))
    for config in other.values():
        assert training.architecture(config) != training.architecture(run_config())
    assert {*STACKED, "contractive"} == {name for name in VARIANTS if "conv" not in name}
    assert np.isfinite(alone(base)[0].test.mse).all()
