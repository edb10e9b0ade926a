"""Contract of every variant of the registry."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from aecore.data import DATASETS, Dataset
from aecore.data.modalities import MODALITIES
from aecore.data.spec import ImageSize
from aecore.errors import InvalidRequest
from aecore.models.autoencoder import Autoencoder
from aecore.models.likelihoods import LIKELIHOODS
from aecore.models.variants import VARIANTS, Variant
from aecore.training import RunConfig

IN_RANGE = [name for name, dataset in DATASETS.items() if dataset.value_range == (0, 1)]
STANDARDISED = [name for name in DATASETS if name not in IN_RANGE]
WITH_A_CHOICE = [name for name in VARIANTS if "likelihood" in VARIANTS[name].model_fields]
CONVOLUTIONAL = [name for name in VARIANTS if "channels" in VARIANTS[name].model_fields]
LAYERED = [name for name in VARIANTS if "hidden" in VARIANTS[name].model_fields]
OF_A_BATCH = {"wae-mmd": "mmd", "sparse-kl": "sparsity"}
"""Penalties that compare the samples of a batch with each other."""

SMALL: dict[str, Any] = {"hidden": "16, 8", "channels": "4, 3", "vector_dim": 3, "warm_up": 2}
DIGITS = DATASETS["digits"]


def request(name: str, dataset: str = "digits", **model: Any) -> dict[str, Any]:
    """Request of a small model of a variant; settings that it does not have are left out."""
    fields = VARIANTS[name].model_fields
    small = {"latent_dim": 3} | {key: value for key, value in SMALL.items() if key in fields}
    return {"dataset": dataset, "variant": name, "model": small | model}


def of_shape(*shape: int) -> Dataset:
    """An image dataset of another shape; its arrays are never read."""
    return DIGITS.derived(name="images", shape=shape)


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> Variant:
    """Settings of each variant for digits, made small."""
    return RunConfig.check(globals()["request"](request.param)).model


@pytest.fixture
def model(variant: Variant) -> Autoencoder:
    torch.manual_seed(0)
    return variant.build(DIGITS)


def batch(n: int = 7, n_features: int = 64) -> Tensor:
    return torch.rand(n, n_features, generator=torch.Generator().manual_seed(5))


def labels(n: int = 7) -> Tensor:
    return torch.arange(n) % 10


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


COUNTED: dict[str, list[dict[str, Any]]] = {
    "ae": [{"tied": True, "dropout": 0.2, "hidden": "9, 8"}, {"hidden": ""}],
    "contractive": [{"jacobian": "hutchinson", "hidden": "64"}],
    "conv": [
        {"resampling": how, "dense": dense, "latent_dim": 3, "channels": "5, 4, 3"}
        for how in ("max-pool", "strided")
        for dense in (True, False)
    ],
    "conv-vae": [
        {"resampling": how, "dense": False, "latent_dim": 12, "channels": "5, 3"}
        for how in ("max-pool", "strided")
    ],
    "iwae": [{"samples": 40}],
    "vq-vae": [{"codebook_size": 100, "vector_dim": 1}],
}


def counted() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each variant, small, and with settings that change its size."""
    for name in VARIANTS:
        for changes in ({}, {"latent_dim": 6}, *COUNTED.get(name, ())):
            yield name, changes


@pytest.mark.parametrize(("name", "changes"), [*counted()], ids=str)
def test_parameters_and_activations_are_counted_without_building_the_model(
    name: str, changes: dict[str, Any]
) -> None:
    settings = RunConfig.check(request(name, **changes)).model
    model = settings.build(DIGITS).train()
    parameters = {value.untyped_storage().data_ptr(): value for value in model.parameters()}
    assert settings.n_parameters(DIGITS) == sum(value.numel() for value in parameters.values())
    held: dict[int, int] = {}

    def hold(tensor: Tensor) -> Tensor:
        held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(hold, lambda tensor: tensor):
        losses = model.losses(batch(64), seeded(), labels(64))
    measured = sum(size for at, size in held.items() if at not in parameters) / 4 / 64
    assert losses
    # What is held for a moment only is counted as well.
    assert 0.8 * measured <= settings.n_activations(DIGITS, 64) <= 8 * measured


def test_outputs_have_their_shapes(model: Autoencoder) -> None:
    x, y = batch(), labels()
    assert model.encode(x, labels=y).shape == (7, 3)
    assert model.encode(x, seeded(), y).shape == (7, 3)
    assert model.decode(torch.zeros(5, 3), labels(5)).shape == (5, 64)
    assert model.reconstruct(x, labels=y).shape == x.shape
    code = model.encode(x, labels=y)
    assert torch.equal(model.reconstruct(x, labels=y), model.decode(code, y))


@pytest.mark.parametrize("training", [True, False])
def test_losses_are_finite_and_one_a_sample(model: Autoencoder, training: bool) -> None:
    losses = model.train(training).losses(batch(), seeded(), labels())
    assert "reconstruction" in losses
    assert "total" not in losses  # the name of their sum in the history
    for values in losses.values():
        assert values.shape == (7,)
        assert values.isfinite().all()


def test_the_loss_of_a_sample_does_not_depend_on_its_batch(
    model: Autoencoder, variant: Variant
) -> None:
    x, y = batch(), labels()
    together, alone = model.eval().losses(x, None, y), model.losses(x[:1], None, y[:1])
    for name, values in together.items():
        if name != OF_A_BATCH.get(variant.name):
            torch.testing.assert_close(values[:1], alone[name])


def test_gradients_reach_every_parameter(model: Autoencoder) -> None:
    sum(model.train().losses(batch(), seeded(), labels()).values()).mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


def test_a_loaded_model_equals_the_saved_one(variant: Variant, model: Autoencoder) -> None:
    torch.manual_seed(1)
    other = variant.build(DIGITS)
    x, y = batch(), labels()
    wanted = model.eval().reconstruct(x, labels=y)
    assert not torch.equal(other.eval().reconstruct(x, labels=y), wanted)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.reconstruct(x, labels=y), wanted)


def test_no_two_stored_weights_share_memory(model: Autoencoder) -> None:
    """What safetensors demands, and what a tied model must keep to."""
    places = [value.data_ptr() for value in model.state_dict().values()]
    assert len(set(places)) == len(places)


def test_a_seed_fixes_the_weights(variant: Variant) -> None:
    weights = []
    for _ in range(2):
        torch.manual_seed(3)
        weights.append(variant.build(DIGITS).state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_evaluation_is_deterministic(model: Autoencoder) -> None:
    x, y = batch(), labels()
    model.eval()
    assert torch.equal(model.encode(x, labels=y), model.encode(x, labels=y))
    assert torch.equal(model.reconstruct(x, labels=y), model.reconstruct(x, labels=y))
    first, second = model.losses(x, None, y), model.losses(x, None, y)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("training", [True, False])
def test_a_seeded_generator_gives_the_same_losses(model: Autoencoder, training: bool) -> None:
    x, y = batch(), labels()
    model.train(training)
    first, second = model.losses(x, seeded(), y), model.losses(x, seeded(), y)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_nothing_is_drawn_from_the_global_random_numbers(model: Autoencoder) -> None:
    before = torch.get_rng_state()
    model.train().losses(batch(), seeded(), labels())
    model.eval().reconstruct(batch(), labels=labels())
    assert torch.equal(torch.get_rng_state(), before)


def test_losses_in_inference_mode_are_those_with_gradients(model: Autoencoder) -> None:
    x, y = batch(), labels()
    wanted = model.eval().losses(x, seeded(), y)
    with torch.inference_mode():
        found = model.losses(x, seeded(), y)
    for name, values in wanted.items():
        torch.testing.assert_close(found[name], values.detach())


@pytest.mark.parametrize("x", [torch.zeros(4, 64), torch.ones(4, 64), batch(1)])
def test_constant_inputs_and_single_samples_are_fine(model: Autoencoder, x: Tensor) -> None:
    losses = sum(model.train().losses(x, seeded(), labels(len(x))).values())
    losses.mean().backward()
    assert losses.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    assert model.eval().reconstruct(x, labels=labels(len(x))).isfinite().all()


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (100, 200)], ids=str)
def test_tiny_and_wide_inputs_are_fine(variant: Variant, shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    dataset = of_shape(*shape)
    model = variant.build(dataset)
    x = batch(3, dataset.n_features)
    losses = sum(model.train().losses(x, seeded(), labels(3)).values())
    losses.mean().backward()
    assert losses.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    assert model.eval().reconstruct(x, labels=labels(3)).shape == x.shape


@pytest.mark.parametrize("name", WITH_A_CHOICE)
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_every_likelihood_can_be_chosen_where_there_is_a_choice(name: str, likelihood: str) -> None:
    model = RunConfig.check(request(name, likelihood=likelihood)).model.build(DIGITS)
    assert model.likelihood is LIKELIHOODS[likelihood]
    assert model.losses(batch(2), None, labels(2))["reconstruction"].isfinite().all()


@pytest.mark.parametrize("name", LAYERED)
def test_no_hidden_layer_is_possible(name: str) -> None:
    model = RunConfig.check(request(name, hidden=())).model.build(DIGITS)
    assert model.reconstruct(batch(3), labels=labels(3)).shape == (3, 64)


@pytest.mark.parametrize("name", ["linear", "ae"])
def test_the_decoder_mirrors_the_encoder(name: str) -> None:
    model = VARIANTS[name](hidden=(16, 8)).build(DIGITS)
    inward = [w.shape[1] for w in model.encoder.parameters() if w.ndim == 2]
    outward = [w.shape[0] for w in model.decoder.parameters() if w.ndim == 2]
    assert inward == [64, 16, 8]
    assert outward == inward[::-1]


def test_a_variant_says_what_it_is_and_where_it_is_from(variant: Variant) -> None:
    kind = type(variant)
    assert VARIANTS[kind.name] is kind
    assert kind.title
    assert kind.summary().endswith(".") and "\n" not in kind.summary()
    assert len((kind.__doc__ or "").split("\n\n")) > 1, "the formula is missing"
    assert re.search(r"\((19|20)\d\d\)", kind.source)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("dataset", DATASETS)
def test_the_defaults_suit_every_dataset_or_are_refused_with_a_reason(
    name: str, dataset: str
) -> None:
    asked = {"dataset": dataset, "variant": name, "training": {"batch_size": 16}}
    needs_images = name in CONVOLUTIONAL and DATASETS[dataset].modality != "image"
    needs_classes = name == "cvae" and not DATASETS[dataset].label_names
    if needs_images or needs_classes:
        with pytest.raises(InvalidRequest, match=r"[Cc]hoose (a )?variant") as caught:
            RunConfig.check(asked)
        assert len(caught.value.problems) == 1
    else:
        RunConfig.check(asked)


@pytest.mark.parametrize("dataset", IN_RANGE)
@pytest.mark.parametrize("name", WITH_A_CHOICE)
def test_reconstructions_of_data_in_a_range_stay_in_it(name: str, dataset: str) -> None:
    settings = RunConfig.check({"dataset": dataset, "variant": name}).model
    spec = DATASETS[dataset].spec
    model = settings.build(spec)
    classes = labels() % max(spec.n_classes, 1)
    reconstruction = model.reconstruct(10 * batch(7, spec.n_features), labels=classes)
    assert reconstruction.min() >= 0 and reconstruction.max() <= 1


def test_a_linear_autoencoder_is_linear() -> None:
    torch.manual_seed(0)
    model = VARIANTS["linear"](hidden=(5, 4)).build(of_shape(2, 3))
    x, y = batch(3, 6), batch(4, 6)[1:]
    half = model.reconstruct((x + y) / 2)
    torch.testing.assert_close(half, (model.reconstruct(x) + model.reconstruct(y)) / 2)


# --- Images -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CONVOLUTIONAL)
@pytest.mark.parametrize("resampling", ["max-pool", "strided"])
@pytest.mark.parametrize(
    "shape", [(8, 8), (28, 28), (7, 9), (15, 4), (1, 13), (9, 9, 3), (28, 28, 1)], ids=str
)
def test_convolutions_take_images_of_any_size(
    name: str, resampling: str, shape: tuple[int, ...]
) -> None:
    dataset = of_shape(*shape)
    settings = RunConfig.check(request(name, resampling=resampling), dataset).model
    x = batch(2, dataset.n_features)
    model = settings.build(dataset)
    assert model.reconstruct(x).shape == x.shape
    assert sum(model.train().losses(x, seeded()).values()).isfinite().all()


@pytest.mark.parametrize("name", CONVOLUTIONAL)
@pytest.mark.parametrize("shape", [(8, 8), (5, 7, 3)], ids=str)
def test_the_last_feature_map_can_be_the_code(name: str, shape: tuple[int, ...]) -> None:
    dataset = of_shape(*shape)
    inner = ImageSize(*shape).halved(2)
    size = 3 * inner.height * inner.width
    asked = request(name, channels="4, 3", dense=False, latent_dim=size)
    model = RunConfig.check(asked, dataset).model.build(dataset)
    x = batch(2, dataset.n_features)
    assert model.encode(x).shape == (2, size)
    assert model.reconstruct(x).shape == x.shape
    with pytest.raises(InvalidRequest, match=f"so give {size}, or dense = True"):
        RunConfig.check(request(name, channels="4, 3", dense=False, latent_dim=5), dataset)


@pytest.mark.parametrize("name", VARIANTS)
def test_colour_images_go_through_every_variant(name: str) -> None:
    dataset = of_shape(6, 5, 3)
    variant = RunConfig.check(request(name), dataset).model
    x, y = batch(7, 90), labels()
    torch.manual_seed(0)
    model = variant.build(dataset)
    losses = model.train().losses(x, seeded(), y)
    assert all(values.shape == (7,) and values.isfinite().all() for values in losses.values())
    sum(losses.values()).mean().backward()
    for part, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), part
    wanted = model.eval().reconstruct(x, labels=y)
    assert wanted.shape == x.shape and model.encode(x, labels=y).shape == (7, 3)
    assert variant.n_parameters(dataset) == sum(
        each.numel() for each in {id(each): each for each in model.parameters()}.values()
    )
    other = variant.build(dataset).eval()
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.reconstruct(x, labels=y), wanted)


def test_colours_stay_with_their_pixels() -> None:
    """A network that only moves numbers gives an image back as it was."""
    from torch import nn

    from aecore.models.networks import ToFeatures, ToImage

    x = batch(2, 5 * 7 * 3)
    images = ToImage(ImageSize(5, 7, 3))(x)
    assert images.shape == (2, 3, 5, 7)
    assert images[1, 2, 3, 4] == x.view(2, 5, 7, 3)[1, 3, 4, 2]
    assert torch.equal(nn.Sequential(ToImage(ImageSize(5, 7, 3)), ToFeatures())(x), x)


# --- What is refused before training starts -----------------------------------------------------


@pytest.mark.parametrize("dataset", STANDARDISED)
@pytest.mark.parametrize("likelihood", ["bernoulli", "squashed-gaussian"])
def test_a_likelihood_of_values_in_a_range_is_refused_for_standardised_data(
    dataset: str, likelihood: str
) -> None:
    asked = {"dataset": dataset, "variant": "ae", "model": {"likelihood": likelihood}}
    with pytest.raises(InvalidRequest, match=f"likelihood = '{likelihood}' needs data in"):
        RunConfig.check(asked | {"training": {"batch_size": 16}})


@pytest.mark.parametrize(
    ("name", "dataset", "model", "reason", "change"),
    [
        ("sparse-kl", "digits", {"code_activation": "relu"}, "leaves (0, 1)", "'sigmoid'"),
        ("conv", "digits", {"tied": True}, "no transposed weights to share", "variant 'ae'"),
        ("conv", "digits", {"hidden": "64"}, "fully connected layers", "give channels"),
        ("conv", "wine", {}, "wine is none", "such as 'ae'"),
        (
            "contractive",
            "digits",
            {"jacobian": "closed-form", "hidden": "16"},
            "one sigmoid layer alone",
            "leave hidden empty",
        ),
        (
            "contractive",
            "digits",
            {"jacobian": "closed-form", "hidden": "", "code_activation": "tanh"},
            "one sigmoid layer alone",
            "'hutchinson'",
        ),
        ("cvae", "swiss-roll", {}, "swiss-roll has no classes", "variant 'vae'"),
        ("denoising", "wine", {"noise": "salt-and-pepper"}, "outside of it", "'masking'"),
        ("denoising", "wine", {"clip": True}, "outside of it", "without clip"),
        ("denoising", "digits", {"clip": True, "noise": "masking"}, "Gaussian", "masking"),
        ("ae", "digits", {"pretraining": "rbm"}, "logistic", "activation = 'sigmoid'"),
        (
            "ae",
            "digits",
            {"pretraining": "rbm", "activation": "sigmoid", "tied": True},
            "both directions apart",
            "tied = False",
        ),
        (
            "ae",
            "wine",
            {"pretraining": "rbm", "activation": "sigmoid"},
            "probabilities",
            "data in [0, 1]",
        ),
        ("vq-vae", "digits", {"latent_dim": 5, "vector_dim": 2}, "does not divide", "a multiple"),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason_and_what_to_change(
    name: str, dataset: str, model: dict[str, Any], reason: str, change: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        RunConfig.check({"dataset": dataset, "variant": name, "model": model})
    (fault,) = caught.value.problems if dataset == "digits" else caught.value.problems[-1:]
    assert reason in fault
    assert change in fault


def test_a_conditional_model_asks_for_missing_labels() -> None:
    model = RunConfig.check(request("cvae")).model.build(DIGITS)
    with pytest.raises(InvalidRequest, match="give `labels`"):
        model.encode(batch())


def test_the_label_changes_what_a_conditional_model_draws() -> None:
    model = RunConfig.check(request("cvae")).model.build(DIGITS)
    code = torch.zeros(2, 3)
    first, second = model.decode(code, torch.tensor([3, 8]))
    assert not torch.equal(first, second)


# --- Capabilities -------------------------------------------------------------------------------


def test_what_a_variant_declares_is_what_its_model_does(
    variant: Variant, model: Autoencoder
) -> None:
    can, x = variant.capabilities, batch()
    labels = torch.zeros(len(x), dtype=torch.int64)
    assert can.posterior == (model.posterior(x, labels).log_variance is not None)
    assert can.conditioned == bool(model.n_classes)
    assert (can.corruption is not None) == (model.corruption is not None)
    terms = model.eval().losses(x, labels=labels).keys()
    assert can.prior == bool({"kl", "mmd"} & terms)
    assert (can.kl_weight is not None) == ("kl" in terms)
    assert can.likelihood == getattr(variant, "likelihood", "gaussian")
    assert can.encode and can.decode


def test_capabilities_follow_the_settings() -> None:
    settings = {"noise": "masking", "level": 0.25}
    noisy = RunConfig.check(request("denoising", **settings)).model.capabilities
    assert noisy.corruption == ("masking", 0.25, False)
    assert RunConfig.check(request("beta-vae", beta=7)).model.capabilities.kl_weight == 7
    chosen = RunConfig.check(request("vae", likelihood="bernoulli")).model.capabilities
    assert chosen.likelihood == "bernoulli" and chosen.kl_weight == 1


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_learns_the_modalities_that_it_requires(name: str) -> None:
    variant = VARIANTS[name]
    assert {*variant.requires} <= {*MODALITIES}
    assert ("table" in variant.requires) == (name not in CONVOLUTIONAL)
    assert variant.widths_setting in variant.model_fields
