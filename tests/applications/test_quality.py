"""Sample quality: classifier, figures of real runs, storage."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Listener, run_config
from scipy.linalg import eigvals
from scipy.spatial.distance import cdist

from aecore import artifacts, data, latent, projections
from aecore.applications import sample_quality
from aecore.errors import Cancelled, InvalidRequest
from aecore.models import inference
from aecore.models.autoencoder import Autoencoder
from aecore.runs import store
from aecore.runs.train import Train

DIGITS = data.get("digits")
SHIPPED = Path(store.__file__).parents[2] / "models_store"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def trained(dataset: str, variant: str = "ae", **training: int) -> store.Run:
    return Train(run_config(dataset, variant, **training), "small").run(Listener())


def shipped(name: str, monkeypatch: pytest.MonkeyPatch) -> store.Run:
    """A shipped run, read only."""
    with monkeypatch.context() as patch:
        patch.setenv("AECORE_STORE", str(SHIPPED))
        return store.load(name)


# --- The classifier -----------------------------------------------------------------------------


def test_the_classifier_of_digits_is_right_and_kept() -> None:
    heard = Listener()
    made = sample_quality.classifier(DIGITS, heard.progress)
    with torch.inference_mode():
        named = made.network(torch.tensor(DIGITS.test.x)).argmax(1).numpy()
    assert made.accuracy == (named == DIGITS.test.labels).mean() >= 0.95
    assert heard.heard[-1][2] == math.ceil(
        sample_quality.STEPS * sample_quality.BATCH / DIGITS.n_train
    )
    assert {what for what, *_ in heard.heard} == {"Training a classifier of digits"}

    kept = sample_quality.classifier(DIGITS, Listener(lambda heard: AssertionError()).progress)
    assert kept[1:] == made[1:]
    for x in (DIGITS.test.x, np.zeros((3, 64), np.float32)):
        np.testing.assert_array_equal(sample_quality.embed(kept, x), sample_quality.embed(made, x))


def test_the_classifier_of_mnist_is_right(
    mnist: data.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample_quality, "STEPS", sample_quality.STEPS // 2)
    assert sample_quality.classifier(mnist).accuracy >= 0.97


def test_codes_are_the_activations_of_the_last_hidden_layer(small_searches: None) -> None:
    made = sample_quality.classifier(DIGITS)
    file = projections.folder(DIGITS, DIGITS.fingerprint) / "classifier.safetensors"
    weights, facts = artifacts.read_arrays(file)
    assert facts["accuracy"] == made.accuracy and facts["recipe"]["seed"] == 0
    h = DIGITS.test.x
    for layer in "02":
        h = np.maximum(h @ weights[f"{layer}.weight"].T + weights[f"{layer}.bias"], 0)
    assert h.shape == (360, 64)
    np.testing.assert_allclose(sample_quality.embed(made, DIGITS.test.x), h, atol=1e-4)


def test_a_classifier_of_another_recipe_is_trained_anew(
    small_searches: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample_quality.classifier(DIGITS)
    monkeypatch.setattr("aecore.applications.sample_quality.WIDTHS", (32, 16))
    assert sample_quality.embed(sample_quality.classifier(DIGITS), DIGITS.test.x).shape == (360, 16)


def test_a_classifier_is_the_same_whatever_was_drawn_before(small_searches: None) -> None:
    first = sample_quality.classifier(DIGITS).network.state_dict()
    (projections.folder(DIGITS, DIGITS.fingerprint) / "classifier.safetensors").unlink()
    torch.rand(5)
    again = sample_quality.classifier(DIGITS).network.state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_a_classifier_can_be_cancelled_and_leaves_nothing() -> None:
    stopped = Listener(lambda heard: Cancelled() if len(heard.heard) == 7 else None)
    with pytest.raises(Cancelled):
        sample_quality.classifier(DIGITS, stopped.progress)
    assert not list(store.root().rglob("classifier*"))


def test_without_classes_there_is_no_classifier() -> None:
    with pytest.raises(InvalidRequest, match="'s-curve' has no classes"):
        sample_quality.classifier(data.get("s-curve"))


# --- Figures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["digits-ae", "digits-vae"])
def test_figures_of_real_runs_make_sense(
    small_searches: None, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = sample_quality.measure(shipped(name, monkeypatch), DIGITS)
    prior, mixture, real = found.rows
    assert [row.source for row in found.rows] == ["prior", "mixture", "test images"]
    assert (found.n, found.n_ref, found.seed) == (360, 1437, 0) and found.accuracy >= 0.95
    assert 10 * real.frechet < min(prior.frechet, mixture.frechet)
    assert real.coverage > 0.9 > mixture.coverage > 0.3
    if name == "digits-ae":  # nothing drew its codes to the prior
        assert prior.frechet > 5 * mixture.frechet
        assert prior.coverage < mixture.coverage / 2
        assert prior.nearest > 1.5 * mixture.nearest


@pytest.mark.parametrize("variant", ["vae", "linear"])
def test_each_figure_is_that_of_its_formula(small_searches: None, variant: str) -> None:
    run = trained("digits", variant, epochs=5)
    found = sample_quality.measure(run, DIGITS)
    model = run.model()
    codes = latent.fit_mixture(inference.encode(model, *DIGITS.train)).draw(360)
    expected = {
        "prior": inference.decode(model, latent.from_prior(360, 2)),
        "mixture": inference.decode(model, codes),
        "test images": DIGITS.test.x,
    }
    # Nothing keeps the output of a linear decoder where pixels are.
    assert (expected["mixture"].min() < 0) == (variant == "linear")
    train = DIGITS.train.x
    judge = sample_quality.classifier(DIGITS)
    train_codes = sample_quality.embed(judge, train).astype(np.float64)
    subset = data.Subset(split="train", limit=360).samples(DIGITS).x
    to_cover = sample_quality.embed(judge, subset).astype(np.float64)
    reach = np.sort(cdist(to_cover, to_cover), axis=1)[:, sample_quality.NEIGHBORS]
    for row in found.rows:
        x = expected[row.source].clip(0, 1)
        assert row.nearest == pytest.approx(cdist(x, train).min(axis=1).mean() / 8, rel=1e-5)
        codes = sample_quality.embed(judge, x).astype(np.float64)
        covered = cdist(to_cover, codes).min(axis=1) <= reach
        assert row.coverage == pytest.approx(covered.mean(), abs=1 / 360)
        (m, s), (m_ref, s_ref) = ((c.mean(0), np.cov(c.T)) for c in (codes, train_codes))
        root = np.sqrt(eigvals(s @ s_ref).real.clip(0)).sum()  # its trace; both may be singular
        wanted = np.square(m - m_ref).sum() + np.trace(s + s_ref) - 2 * root
        assert row.frechet == pytest.approx(wanted, rel=1e-4)


def test_a_conditioned_model_is_told_labels_as_they_are_in_training(
    small_searches: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained("iris", "cvae", epochs=3)
    iris = data.get("iris")
    told: list[np.ndarray] = []
    decode = Autoencoder.decode

    def heard(model: Autoencoder, code: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        told.append(labels.numpy())
        return decode(model, code, labels)

    monkeypatch.setattr(Autoencoder, "decode", heard)
    sample_quality.measure(run, iris)
    labels = np.random.default_rng(0).choice(iris.train.labels, 50)
    drawn = [each for each in told if len(each) == 50]  # 100 where training samples are encoded
    assert len(drawn) == 2
    for each in drawn:
        np.testing.assert_array_equal(each, labels)


def test_without_classes_the_data_themselves_are_compared() -> None:
    run = trained("tilted-ring")
    ring = data.get("tilted-ring")
    found = sample_quality.measure(run, ring)
    real = found.rows[-1]
    assert real.source == "test samples" and found.accuracy is None
    assert [row.frechet for row in found.rows] == [None] * 3
    train, test = ring.train.x, ring.test.x
    reach = np.sort(cdist(train, train), axis=1)[:, sample_quality.NEIGHBORS]
    assert real.coverage == (cdist(train, test).min(axis=1) <= reach).mean()
    away = cdist(test, train).min(axis=1).mean() / np.sqrt(3)
    assert real.nearest == pytest.approx(away, rel=1e-5)
    assert not list(store.root().rglob("classifier*"))


def test_an_analysis_changes_no_figure(small_searches: None) -> None:
    run = trained("digits", epochs=3)
    before = sample_quality.measure(run, DIGITS)
    latent.analyse(run, DIGITS, Listener().progress)
    assert sample_quality.measure(run, DIGITS) == before


def test_of_a_code_too_wide_for_a_mixture_there_is_the_prior(
    small_searches: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aecore.latent.WIDEST_MIXTURE", 1)
    found = sample_quality.measure(trained("iris"), data.get("iris"))
    assert [row.source for row in found.rows] == ["prior", "test samples"]


def test_what_cannot_be_measured_is_refused() -> None:
    run = trained("iris")
    with pytest.raises(InvalidRequest, match="'iris' has changed since the run 'small'"):
        sample_quality.measure(run, data.get("wine"))
    run.__dict__["codes"] = run.codes | {"codes": np.full((50, 2), np.nan)}
    with pytest.raises(InvalidRequest, match="are not finite"):
        sample_quality.measure(run, data.get("iris"))


def test_every_figure_is_defined() -> None:
    assert ("source", *sample_quality.DEFINITIONS) == sample_quality.Figures._fields
    assert "no Inception FID" in sample_quality.DEFINITIONS["frechet"][1]


# --- The task -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", ["iris", "tilted-ring"])
def test_figures_are_kept_beside_the_run(small_searches: None, dataset: str) -> None:
    run = trained(dataset)
    assert sample_quality.quality_artifact(run).load() is None
    heard = Listener()
    sample_quality.MeasureSamples("small").run(heard)
    found = sample_quality.quality_artifact(store.load("small")).load()
    assert found == sample_quality.measure(run, data.get(dataset))
    stages = [what for what, *_ in heard.heard]
    assert "Decoding samples" in stages and "Measuring test samples" in stages
    made_later = run.manifest.model_copy(update={"created": LONG_AGO})
    assert sample_quality.quality_artifact(replace(run, manifest=made_later)).load() is None


def test_a_cancelled_measurement_is_not_kept(small_searches: None) -> None:
    run = trained("iris")
    stopped = Listener(lambda heard: Cancelled() if "Decoding" in heard.heard[-1][0] else None)
    with pytest.raises(Cancelled):
        sample_quality.MeasureSamples("small").run(stopped)
    assert sample_quality.quality_artifact(run).load() is None
