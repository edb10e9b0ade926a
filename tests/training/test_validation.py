"""Validation part of the training split: drawing it, the best epoch, early stopping, resuming."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from aecore import data, training
from aecore.data import Dataset, Samples
from aecore.errors import InvalidRequest
from aecore.models.autoencoder import Autoencoder
from aecore.models.variants import VARIANTS
from aecore.runs import store
from aecore.training import Checkpoint, Diverged, EpochRecord, RunConfig, fit
from aecore.training.checkpoint import best_of
from aecore.training.history import history_entry
from aecore.training.loop import Splits, set_up
from aecore.training.validation import split

IRIS, DIGITS = data.get("iris"), data.get("digits")
CPU = torch.device("cpu")
SMALL: dict[str, Any] = {"latent_dim": 4, "hidden": (16, 8), "channels": (4, 3), "warm_up": 2}
QUICK = {"device": "cpu", "batch_size": 16, "learning_rate": 0.01}


def config(dataset: str = "iris", variant: str = "ae", **options: Any) -> RunConfig:
    fields = VARIANTS[variant].model_fields
    model = {name: value for name, value in SMALL.items() if name in fields}
    return RunConfig.check(
        {
            "dataset": dataset,
            "variant": variant,
            "model": model | options.pop("model", {}),
            "training": QUICK | {"epochs": 3, "validation": 0.2} | options,
        }
    )


def few(n: int, labels: np.ndarray | None = None, fault: float | None = None) -> Dataset:
    """Digits of which only n are for training; the first one may be damaged."""

    def read(which: str) -> Samples:
        samples = getattr(DIGITS, which)
        x = samples.x[:n].copy()
        if which == "train" and fault is not None:
            x[0, 0] = fault
        return Samples(x, (samples.labels if labels is None else labels)[: len(x)].copy())

    return DIGITS.derived(read, n_train=n, n_test=min(n, DIGITS.n_test))


def copied(record: EpochRecord) -> Checkpoint:
    tensors, progress = record.checkpoint()
    return Checkpoint({name: value.clone() for name, value in tensors.items()}, progress)


# --- Drawing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "counts",
    [[1, 1], [2], [1, 9], [90, 9, 1], [1, 1, 1, 1, 1], [5, 1, 1, 1], [600, 300, 70, 20, 10]],
)
@pytest.mark.parametrize("share", [0.01, 0.1, 0.25, 0.5])
def test_every_row_is_on_one_side_and_each_class_keeps_its_share(
    counts: list[int], share: float
) -> None:
    labels = np.random.default_rng(3).permutation(np.repeat(np.arange(len(counts)), counts))
    rest, held = split(labels, share, seed=0)
    n = len(labels)
    np.testing.assert_array_equal(np.sort(np.concatenate([rest, held])), np.arange(n))
    wanted = min(max(round(share * n), 1), n - 1)
    assert len(held) == wanted
    if sum(counts) - len(counts) >= wanted:  # or else classes are of no account
        of_held = np.bincount(labels[held], minlength=len(counts))
        assert (of_held < np.array(counts)).all()  # something is left to learn from
        assert (of_held - share * np.array(counts) > -1).all() or min(counts) == 1
        if min(counts) > 1:
            assert np.abs(of_held - share * np.array(counts)).max() <= 1


def test_a_class_of_one_sample_is_learned_from() -> None:
    labels = np.array([0] * 50 + [1] + [2] * 49)
    for seed in range(20):
        assert 50 in split(labels, 0.5, seed)[0]


def test_the_seed_draws_the_part_and_labels_that_are_no_classes_are_of_no_account() -> None:
    labels = np.repeat([0, 1], 50)
    first, second = split(labels, 0.2, 0)[1], split(labels, 0.2, 1)[1]
    np.testing.assert_array_equal(first, split(labels, 0.2, 0)[1])
    assert first.tolist() != second.tolist()
    positions = np.linspace(0, 1, 100, dtype=np.float32)
    drawn = {(split(positions, 0.2, seed, classes=False)[1] < 50).sum() for seed in range(10)}
    assert len(drawn) > 1


# --- Training -------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
def test_nothing_of_the_validation_part_is_learned_from(
    variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = few(40)
    request = config("digits", variant)
    setup = set_up(request, dataset, CPU)
    assert setup.held is not None
    held = {row.tobytes() for row in dataset.train.x[setup.held.numpy()]}
    kept = {row.tobytes() for row in dataset.train.x[setup.rows.numpy()]}
    assert len(held) == 8 and not held & kept
    learned: set[bytes] = set()
    pretrain = VARIANTS[variant].pretrain

    def watch(losses: Any) -> Any:
        def watched(model: Autoencoder, x: Tensor, *rest: Any, **options: Any) -> Any:
            if model.training:
                learned.update(row.numpy().tobytes() for row in x)
            return losses(model, x, *rest, **options)

        return watched

    def pretrained(settings: Any, model: Autoencoder, x: Tensor, stage: Any) -> None:
        learned.update(row.numpy().tobytes() for row in x)
        pretrain(settings, model, x, stage)

    for kind in {type(setup.model), Autoencoder}:
        if "losses" in vars(kind):
            monkeypatch.setattr(kind, "losses", watch(vars(kind)["losses"]))
    monkeypatch.setattr(VARIANTS[variant], "pretrain", pretrained)
    assert len(list(fit(request, dataset))) == 3
    assert learned == kept


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_best_epoch_of_every_variant_has_the_smallest_loss_on_the_validation_part(
    variant: str,
) -> None:
    dataset = few(60)
    request = config("digits", variant, epochs=6, learning_rate=0.03, schedule="constant")
    records = list(fit(request, dataset))
    losses = [record.validation["total"] for record in records if record.validation]
    best = records[-1].best
    assert best is not None and len(losses) == 6
    assert best.epoch == int(np.argmin(losses)) + 1
    setup = set_up(request, dataset, CPU)
    assert setup.held is not None
    setup.model.load_state_dict(best.weights)
    x, labels = (torch.from_numpy(part[setup.held.numpy()]) for part in dataset.train)
    again = training.evaluate(setup.model, x, labels).terms["total"]
    assert again == pytest.approx(min(losses), rel=1e-5)


def test_without_a_validation_part_nothing_is_recorded_of_one() -> None:
    for record in fit(config(validation=0, epochs=2), IRIS):
        assert record.validation is None and record.best is None and not record.stopped
        assert "validation" not in history_entry(record)
        assert not [name for name in record.checkpoint().tensors if name.startswith("best")]


def stopped_early(**options: Any) -> RunConfig:
    """Training whose loss soon rises, at a rate that is far too high."""
    return config(epochs=60, patience=3, learning_rate=0.2, schedule="constant", seed=1, **options)


@pytest.mark.parametrize("patience", [1, 3])
def test_training_ends_once_the_best_epoch_is_as_long_ago_as_the_patience(patience: int) -> None:
    request = stopped_early()
    request = request.model_copy(
        update={"training": request.training.model_copy(update={"patience": patience})}
    )
    records = list(fit(request, IRIS))
    losses = [record.validation["total"] for record in records if record.validation]
    assert len(losses) < 60
    assert [record.stopped for record in records] == [False] * (len(losses) - 1) + [True]
    best = int(np.argmin(losses)) + 1
    assert len(losses) == best + patience
    for end in range(1, len(losses)):  # and no epoch sooner
        assert end - (int(np.argmin(losses[:end])) + 1) < patience


def test_patience_that_is_not_needed_changes_nothing() -> None:
    calm = config(epochs=5)
    patient = config(epochs=5, patience=5)
    for ours, theirs in zip(fit(calm, IRIS), fit(patient, IRIS), strict=True):
        assert ours.train == theirs.train and ours.validation == theirs.validation


@pytest.mark.parametrize("stop", [1, 3, -2, -1])
@pytest.mark.parametrize("variant", ["ae", "vae"])
def test_an_early_stop_is_the_same_after_a_resume(variant: str, stop: int) -> None:
    request = stopped_early(variant=variant)
    through = [(record, copied(record)) for record in fit(request, IRIS)]
    assert len(through) < 60
    state = through[stop][1]
    state = state._replace(progress=state.progress | {"history": []})
    store.write_checkpoint("run", request, state)
    _, checkpoint = store.read_checkpoint("run")
    resumed = list(fit(request, IRIS, resume=checkpoint))
    rest = through[stop:][1:]
    assert len(resumed) == len(rest)
    for ours, (theirs, _) in zip(resumed, rest, strict=True):
        assert ours.validation == theirs.validation and ours.train == theirs.train
    best, expected = resumed[-1].best if resumed else best_of(checkpoint), through[-1][0].best
    assert best is not None and expected is not None
    assert best[:2] == expected[:2]
    for name, value in expected.weights.items():
        assert torch.equal(best.weights[name], value), name


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_resumes_bit_equal_with_its_best_epoch(variant: str) -> None:
    dataset = few(48)
    request = config("digits", variant)
    through = [(record, copied(record)) for record in fit(request, dataset)]
    state = through[0][1]._replace(progress=through[0][1].progress | {"history": []})
    store.write_checkpoint("run", request, state)
    resumed = list(fit(request, dataset, resume=store.read_checkpoint("run")[1]))
    assert len(resumed) == 2
    last, expected = resumed[-1].checkpoint(), through[-1][1]
    assert last.tensors.keys() == expected.tensors.keys()
    for name, value in expected.tensors.items():
        assert torch.equal(last.tensors[name], value), name
    assert last.progress["best"] == expected.progress["best"]


@pytest.mark.parametrize("best", [{"epoch": 7, "loss": 1.0}, {"epoch": 1, "loss": float("nan")}])
def test_a_checkpoint_of_an_impossible_best_epoch_is_refused(best: dict[str, float]) -> None:
    record = next(fit(config(), IRIS))
    damaged = record.checkpoint()._replace(progress=record.checkpoint().progress | {"best": best})
    with pytest.raises(training.Misfit, match="best epoch"):
        list(fit(config(), IRIS, resume=damaged))


def test_a_checkpoint_without_its_best_epoch_is_refused() -> None:
    record = next(fit(config(validation=0), IRIS))
    with pytest.raises(training.Misfit, match="best"):
        list(fit(config(), IRIS, resume=record.checkpoint()))


def test_a_validation_part_with_a_value_that_is_no_number_stops_the_training() -> None:
    request = config("digits", batch_size=4)
    labels = np.zeros(DIGITS.n_train, np.int64)
    dataset = few(20, labels, np.nan)
    seed = next(
        seed for seed in range(50) if 0 in split(labels[:20], 0.2, seed)[1]
    )  # the damaged sample is held out
    request = request.model_copy(
        update={"training": request.training.model_copy(update={"seed": seed})}
    )
    with pytest.raises(Diverged, match="epoch 1: the loss is no longer a number"):
        list(fit(request, dataset))


@pytest.mark.parametrize("n", [2, 3, 5])
def test_tiny_splits_have_a_validation_part(n: int) -> None:
    request = config("digits", batch_size=1, epochs=2, validation=0.5)
    records = list(fit(request, few(n)))
    assert len(records) == 2 and records[-1].best is not None
    setup = set_up(request, few(n), CPU)
    assert setup.held is not None and len(setup.held) == max(round(n / 2), 1)


def test_every_impossible_setting_is_said() -> None:
    with pytest.raises(InvalidRequest, match="patience = 3 waits for the loss on a validation"):
        config(validation=0, patience=3)
    spec = DIGITS.spec.model_copy(update={"n_train": 1})
    asked = {"dataset": "digits", "variant": "ae", "training": {"validation": 0.1, "batch_size": 1}}
    with pytest.raises(InvalidRequest, match=r"validation = 0\.1 leaves nothing to train on"):
        RunConfig.check(asked, own=spec)
    with pytest.raises(InvalidRequest, match=r"validation = 0\.7 is not possible"):
        config(validation=0.7)


def test_the_test_split_has_no_say_in_the_best_epoch() -> None:
    """Another test split changes neither the weights nor the best epoch."""
    request = stopped_early()

    def read(which: str) -> Samples:
        return (
            IRIS.train if which == "train" else Samples(IRIS.test.x[:5] * 9, IRIS.test.labels[:5])
        )

    other = IRIS.derived(read, n_test=5)
    ours, theirs = (list(fit(request, dataset))[-1] for dataset in (IRIS, other))
    assert ours.best is not None and theirs.best is not None
    assert ours.best[:2] == theirs.best[:2] and ours.test.terms != theirs.test.terms
    for name, value in ours.best.weights.items():
        assert torch.equal(theirs.best.weights[name], value)
    assert len(Splits.of(other, CPU).test) == 5
