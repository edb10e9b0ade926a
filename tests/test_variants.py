"""One contract for every variant of the registry."""

from __future__ import annotations

import re

import pytest
import torch

from aecore.autoencoder import Autoencoder
from aecore.configs import RunConfig
from aecore.datasets import DATASETS
from aecore.errors import Faults
from aecore.likelihoods import LIKELIHOODS
from aecore.variants import VARIANTS, Variant

IN_RANGE = [name for name, dataset in DATASETS.items() if dataset.value_range == (0, 1)]
WITH_A_CHOICE = [name for name in VARIANTS if "likelihood" in VARIANTS[name].model_fields]
STANDARDISED = [name for name in DATASETS if name not in IN_RANGE]


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> Variant:
    """The settings of each variant, as digits would have them, made small."""
    small = {"latent_dim": 3, "hidden": "16, 8"}
    return RunConfig.check({"dataset": "digits", "variant": request.param, "model": small}).model


@pytest.fixture
def model(variant: Variant) -> Autoencoder:
    torch.manual_seed(0)
    return variant.build(64)


def batch(n: int = 7, n_features: int = 64) -> torch.Tensor:
    return torch.rand(n, n_features, generator=torch.Generator().manual_seed(5))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_outputs_have_their_shapes(model: Autoencoder) -> None:
    x = batch()
    assert model.encode(x).shape == (7, 3)
    assert model.encode(x, seeded()).shape == (7, 3)
    assert model.decode(torch.zeros(5, 3)).shape == (5, 64)
    assert model.reconstruct(x).shape == x.shape
    assert torch.equal(model.reconstruct(x), model.decode(model.encode(x)))


@pytest.mark.parametrize("training", [True, False])
def test_losses_are_finite_and_one_a_sample(model: Autoencoder, training: bool) -> None:
    losses = model.train(training).losses(batch(), seeded())
    assert "reconstruction" in losses
    assert "total" not in losses  # the name of their sum in the history
    for values in losses.values():
        assert values.shape == (7,)
        assert values.isfinite().all()


def test_the_loss_of_a_sample_does_not_depend_on_its_batch(model: Autoencoder) -> None:
    x = batch()
    together, alone = model.eval().losses(x), model.losses(x[2:3])
    for name, values in together.items():
        torch.testing.assert_close(values[2:3], alone[name])


def test_gradients_reach_every_parameter(model: Autoencoder) -> None:
    sum(model.train().losses(batch(), seeded()).values()).mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


def test_a_loaded_model_equals_the_saved_one(variant: Variant, model: Autoencoder) -> None:
    torch.manual_seed(1)
    other = variant.build(64)
    x = batch()
    assert not torch.equal(other.eval().reconstruct(x), model.eval().reconstruct(x))
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.reconstruct(x), model.reconstruct(x))


def test_a_seed_fixes_the_weights(variant: Variant) -> None:
    weights = []
    for _ in range(2):
        torch.manual_seed(3)
        weights.append(variant.build(64).state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_evaluation_is_deterministic(model: Autoencoder) -> None:
    x = batch()
    model.eval()
    assert torch.equal(model.encode(x), model.encode(x))
    assert torch.equal(model.reconstruct(x), model.reconstruct(x))


@pytest.mark.parametrize("training", [True, False])
def test_a_seeded_generator_gives_the_same_losses(model: Autoencoder, training: bool) -> None:
    x = batch()
    model.train(training)
    first, second = model.losses(x, seeded()), model.losses(x, seeded())
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_nothing_is_drawn_from_the_global_random_numbers(model: Autoencoder) -> None:
    before = torch.get_rng_state()
    model.train().losses(batch(), seeded())
    model.eval().reconstruct(batch())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("x", [torch.zeros(4, 64), torch.ones(4, 64), batch(1)])
def test_constant_inputs_and_single_samples_are_fine(model: Autoencoder, x: torch.Tensor) -> None:
    losses = sum(model.train().losses(x, seeded()).values())
    losses.mean().backward()
    assert losses.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    assert model.eval().reconstruct(x).isfinite().all()


def test_wide_inputs_are_fine(variant: Variant) -> None:
    torch.manual_seed(0)
    model = variant.build(20_000)
    x = batch(3, 20_000)
    assert sum(model.losses(x, seeded()).values()).isfinite().all()
    assert model.reconstruct(x).shape == x.shape


@pytest.mark.parametrize("name", WITH_A_CHOICE)
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_every_likelihood_can_be_chosen_where_there_is_a_choice(name: str, likelihood: str) -> None:
    model = VARIANTS[name](hidden=(4,), likelihood=likelihood).build(9)
    assert model.likelihood is LIKELIHOODS[likelihood]
    assert model.losses(batch(2, 9))["reconstruction"].isfinite().all()


def test_no_hidden_layer_is_possible(variant: Variant) -> None:
    model = type(variant)(latent_dim=1, hidden=()).build(2)
    assert model.reconstruct(batch(3, 2)).shape == (3, 2)


@pytest.mark.parametrize("name", ["linear", "ae"])
def test_the_decoder_mirrors_the_encoder(name: str) -> None:
    model = VARIANTS[name](hidden=(16, 8)).build(64)
    inward = [w.shape[1] for w in model.encoder.parameters() if w.ndim == 2]
    outward = [w.shape[0] for w in model.decoder.parameters() if w.ndim == 2]
    assert inward == [64, 16, 8]
    assert outward == inward[::-1]


def test_a_variant_says_what_it_is_and_where_it_is_from(variant: Variant) -> None:
    kind = type(variant)
    assert VARIANTS[kind.name] is kind
    assert kind.title
    assert kind.summary().endswith(".") and "\n" not in kind.summary()
    assert re.search(r"\((19|20)\d\d\)", kind.source)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("dataset", DATASETS)
def test_the_defaults_of_a_variant_suit_every_dataset(name: str, dataset: str) -> None:
    RunConfig.check({"dataset": dataset, "variant": name, "training": {"batch_size": 16}})


@pytest.mark.parametrize("dataset", IN_RANGE)
@pytest.mark.parametrize("name", WITH_A_CHOICE)
def test_reconstructions_of_data_in_a_range_stay_in_it(name: str, dataset: str) -> None:
    settings = RunConfig.check({"dataset": dataset, "variant": name}).model
    reconstruction = settings.build(64).reconstruct(10 * batch())
    assert reconstruction.min() >= 0 and reconstruction.max() <= 1


def test_a_linear_autoencoder_is_linear() -> None:
    torch.manual_seed(0)
    model = VARIANTS["linear"](hidden=(5, 4)).build(6)
    x, y = batch(3, 6), batch(4, 6)[1:]
    half = model.reconstruct((x + y) / 2)
    torch.testing.assert_close(half, (model.reconstruct(x) + model.reconstruct(y)) / 2)


@pytest.mark.parametrize("dataset", STANDARDISED)
@pytest.mark.parametrize("likelihood", ["bernoulli", "squashed-gaussian"])
def test_a_likelihood_of_values_in_a_range_is_refused_for_standardised_data(
    dataset: str, likelihood: str
) -> None:
    asked = {"dataset": dataset, "variant": "ae", "model": {"likelihood": likelihood}}
    with pytest.raises(Faults, match=f"likelihood = '{likelihood}' needs data in"):
        RunConfig.check(asked | {"training": {"batch_size": 16}})
