"""Encoders, decoders and draws of codes."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
import torch
from conftest import dirty_memory
from scipy import stats
from torch import Tensor, nn

from aecore.data.spec import ImageSize
from aecore.models.autoencoder import Autoencoder
from aecore.models.likelihoods import Gaussian
from aecore.models.networks import (
    ACTIVATION_LAYERS,
    INITIALIZATIONS,
    CodebookEncoder,
    DoublingConvolution,
    GaussianEncoder,
    HalvingConvolution,
    PointEncoder,
    Posterior,
    SeededDropout,
    TiedLinear,
    blocks,
    convolutional_decoder,
    convolutional_encoder,
    mlp,
    tied_mlp,
)
from aecore.models.variants import Activation, CodeActivation, Initialization


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draws(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=seeded(seed))


def test_every_activation_that_can_be_chosen_has_its_layer() -> None:
    assert {*get_args(Activation), "identity"} == set(ACTIVATION_LAYERS)
    assert {*get_args(CodeActivation)} <= set(ACTIVATION_LAYERS)


@pytest.mark.parametrize("activation", ACTIVATION_LAYERS)
def test_activations_stand_between_the_layers_only(activation: str) -> None:
    network = mlp([5, 4, 3, 2], activation)
    kinds = [type(layer) for layer in network]
    between = ACTIVATION_LAYERS[activation]
    assert kinds == [nn.Linear, between, nn.Linear, between, nn.Linear]


def test_weights_start_glorot_uniform_and_biases_at_zero() -> None:
    layer = mlp([300, 200], "elu")[0]
    bound = math.sqrt(6 / (300 + 200))
    assert layer.weight.abs().max() <= bound
    # The standard deviation of a uniform distribution on [-b, b] is b / sqrt(3).
    assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)
    assert not layer.bias.any()


def test_weights_can_start_he_normal() -> None:
    torch.manual_seed(0)
    layer = mlp([300, 200], "relu", "he")[0]
    assert not layer.bias.any()
    weights = layer.weight.detach().flatten().double().numpy()
    assert weights.std() == pytest.approx(math.sqrt(2 / 300), rel=0.02)
    assert stats.kstest(weights / math.sqrt(2 / 300), "norm").pvalue > 0.001


@pytest.mark.parametrize(("initialization", "activation"), [("he", "relu"), ("glorot", "identity")])
def test_a_start_keeps_the_size_of_what_passes_through(
    initialization: str, activation: str
) -> None:
    """Mean squares stay through ten layers: E[relu(a)^2] is half of E[a^2], which He makes up."""
    torch.manual_seed(0)
    network = mlp([400] * 11, activation, initialization)
    x = draws(300, 400)
    assert network(x).square().mean().item() == pytest.approx(
        (2 if initialization == "he" else 1) * x.square().mean().item(), rel=0.5
    )


def test_every_start_that_can_be_chosen_is_there() -> None:
    assert set(get_args(Initialization)) == set(INITIALIZATIONS)


def test_a_point_encoder_has_no_variance() -> None:
    x = torch.ones(3, 4)
    posterior = PointEncoder(nn.Identity())(x)
    assert posterior.log_variance is None
    assert posterior.mean is x


def test_a_gaussian_encoder_gives_means_and_then_log_variances() -> None:
    mean, log_variance, _ = GaussianEncoder(nn.Identity())(torch.tensor([[1.0, 2, 3, 4]]))
    assert mean.tolist() == [[1, 2]]
    assert log_variance.tolist() == [[3, 4]]


def test_draws_have_the_mean_and_deviation_of_the_posterior() -> None:
    n = 200_000
    mean = torch.tensor([1.0, -2.0]).expand(n, 2)
    log_variance = torch.tensor([4.0, 0.25]).log().expand(n, 2)
    draws = Posterior(mean, log_variance).sample(torch.Generator().manual_seed(0))
    torch.testing.assert_close(draws.mean(0), mean[0], atol=0.02, rtol=0)
    torch.testing.assert_close(draws.std(0), torch.tensor([2.0, 0.5]), atol=0.02, rtol=0)
    assert abs(torch.corrcoef(draws.T)[0, 1]) < 0.01


def test_without_a_generator_the_mean_is_drawn() -> None:
    posterior = Posterior(torch.ones(2, 2), torch.zeros(2, 2))
    assert posterior.sample(None) is posterior.mean


def test_a_point_is_drawn_as_it_is() -> None:
    posterior = Posterior(torch.ones(2, 2))
    assert posterior.sample(torch.Generator()) is posterior.mean


def test_gradients_reach_mean_and_variance_through_a_draw() -> None:
    mean = torch.zeros(4, 2, requires_grad=True)
    log_variance = torch.zeros(4, 2, requires_grad=True)
    Posterior(mean, log_variance).sample(torch.Generator().manual_seed(0)).sum().backward()
    assert (mean.grad == 1).all()
    assert log_variance.grad.all()


# --- Tied weights -------------------------------------------------------------------------------


def tied(widths: Sequence[int] = (7, 5, 3), activation: str = "tanh") -> Autoencoder:
    """A model with tied weights and random biases."""
    torch.manual_seed(0)
    inward = mlp(widths, activation)
    model = Autoencoder(PointEncoder(inward), tied_mlp(inward, activation), Gaussian())
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter)
    return model


def assert_tied(model: Autoencoder) -> None:
    """Assert that the decoder's weights are the encoder's, also after a change."""
    code = draws(4, 3).to(model.encoder.network[0].weight.dtype)
    for _ in range(2):
        weights = [model.encoder.network[place].weight.detach().numpy() for place in (2, 0)]
        biases = [model.decoder[place].bias.detach().numpy() for place in (0, 2)]
        inner = np.tanh(code.numpy() @ weights[0] + biases[0])
        expected = inner @ weights[1] + biases[1]
        np.testing.assert_allclose(model.decoder(code).detach().numpy(), expected, rtol=1e-4)
        with torch.no_grad():
            for place in (0, 2):
                model.encoder.network[place].weight.mul_(1.5)


def test_a_tied_decoder_uses_the_weights_of_its_encoder_transposed() -> None:
    assert_tied(tied())


def test_a_tied_weight_is_one_parameter_stored_once() -> None:
    widths = (7, 5, 3)
    model = tied(widths)
    products = sum(a * b for a, b in pairwise(widths))
    untied = sum(p.numel() for p in [*mlp(widths, "tanh").parameters()] * 2)
    biases = sum(widths[1:]) + sum(widths[:-1])
    assert untied == 2 * (products + sum(widths[1:]))
    assert sum(p.numel() for p in model.parameters()) == products + biases
    stored = [tuple(value.shape) for value in model.state_dict().values() if value.ndim == 2]
    assert sorted(stored) == [(3, 5), (5, 7)]
    assert not any(name.startswith("decoder") and "weight" in name for name in model.state_dict())
    assert sum(isinstance(layer, nn.Linear) for layer in model.modules()) == 2


def test_both_uses_of_a_tied_weight_give_it_gradients() -> None:
    torch.manual_seed(0)
    source = nn.Linear(3, 2, bias=False).double()
    x = draws(1, 3)[0].double()
    TiedLinear(source).double()(source(x)).sum().backward()
    # d/dW_ij of sum_k (W^T W x)_k, with both factors differentiated.
    w, x = source.weight.detach().numpy(), x.numpy()
    expected = np.outer(w @ x, np.ones(3)) + np.outer(w.sum(1), x)
    np.testing.assert_allclose(source.weight.grad.numpy(), expected)


def test_a_copy_of_a_tied_model_is_tied_to_itself() -> None:
    model = tied()
    other = copy.deepcopy(model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert_tied(other)
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())
    assert not torch.equal(other.decoder(draws(1, 3)), model.decoder(draws(1, 3)))


def test_a_loaded_tied_model_is_tied() -> None:
    first, second = tied(), tied((7, 5, 3))
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.add_(1)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert torch.equal(second.decoder(draws(4, 3)), first.decoder(draws(4, 3)))
    assert_tied(second)


def test_a_tied_model_stays_tied_in_double_precision() -> None:
    model = tied().double()
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float64}
    assert_tied(model)


def test_a_tied_model_stays_tied_in_training() -> None:
    model = tied()
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    for _ in range(5):
        optimizer.zero_grad()
        model.losses(draws(8, 7))["reconstruction"].mean().backward()
        optimizer.step()
    assert_tied(model)


# --- Dropout ------------------------------------------------------------------------------------


def test_dropout_drops_a_part_and_scales_the_others() -> None:
    layer, x = SeededDropout(0.3), torch.rand(1000, 50, generator=seeded(5)) + 0.1
    layer.generator = seeded()
    dropped = layer.train()(x)
    hit = dropped == 0
    assert hit.double().mean().item() == pytest.approx(0.3, abs=4 * math.sqrt(0.21 / x.numel()))
    torch.testing.assert_close(dropped[~hit], x[~hit] / 0.7)
    assert not torch.equal(hit, layer(x) == 0)
    layer.generator = seeded()
    assert torch.equal(layer(x), dropped)


def test_dropout_does_nothing_in_evaluation_or_without_a_generator() -> None:
    layer, x = SeededDropout(0.5), draws(20, 5)
    assert layer.train()(x) is x
    layer.generator = seeded()
    assert layer.eval()(x) is x
    assert torch.equal(layer.generator.get_state(), seeded().get_state())


def test_dropout_stands_behind_every_activation_and_not_at_the_end() -> None:
    kinds = [nn.Linear, nn.ReLU, SeededDropout, nn.Linear, nn.ReLU, SeededDropout, nn.Linear]
    inward = mlp([5, 4, 3, 2], "relu", dropout=0.2)
    assert [type(layer) for layer in inward] == kinds
    outward = tied_mlp(inward, "relu", dropout=0.2)
    assert [type(layer) for layer in outward[1::3]] == [nn.ReLU] * 2
    assert [type(layer) for layer in outward[2::3]] == [SeededDropout] * 2
    assert len(outward) == 7


# --- Steps of depth -----------------------------------------------------------------------------


@pytest.mark.parametrize("dropout", [0, 0.2])
def test_the_blocks_of_a_network_are_its_own_layers_in_order(dropout: float) -> None:
    network = mlp([6, 5, 4, 3], "tanh", dropout=dropout).append(nn.Sigmoid())
    found = blocks(network)
    assert [type(block[0]) for block in found] == [nn.Linear] * 3
    assert [len(block) for block in found] == [2 + bool(dropout)] * 2 + [2]
    inside = [layer for block in found for layer in block]
    assert all(one is other for one, other in zip(inside, network, strict=True))
    x = draws(4, 6)
    assert torch.equal(nn.Sequential(*found)(x), network(x))


def test_the_blocks_of_a_tied_decoder_are_its_steps() -> None:
    outward = tied_mlp(mlp([6, 5, 4], "tanh"), "tanh")
    assert [[type(layer) for layer in block] for block in blocks(outward)] == [
        [TiedLinear, nn.Tanh],
        [TiedLinear],
    ]


# --- Codebooks ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "width", "groups"), [(5, 2, 3), (64, 2, 8), (40, 1, 30)])
def test_a_code_is_made_of_the_nearest_vectors(size: int, width: int, groups: int) -> None:
    torch.manual_seed(0)
    encoder = CodebookEncoder(nn.Identity(), size, width)
    codes = draws(20, groups * width)
    book = encoder.codebook.detach().double().numpy()
    parts = codes.double().numpy().reshape(20, groups, width)
    chosen = np.array(
        [
            [min(range(size), key=lambda k: float(np.square(z - book[k]).sum())) for z in code]
            for code in parts
        ]
    )
    np.testing.assert_array_equal(encoder.choose(codes).numpy(), chosen)
    posterior = encoder(codes)
    wanted = book[chosen].reshape(20, -1)
    np.testing.assert_allclose(posterior.mean.detach().numpy(), wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(encoder.quantise(codes).detach().numpy(), wanted.astype("f4"))
    assert posterior.unquantised is codes
    assert posterior.log_variance is None


def test_the_gradient_goes_straight_through_a_codebook() -> None:
    torch.manual_seed(0)
    encoder = CodebookEncoder(nn.Identity(), 5, 2)
    codes, weights = draws(20, 6).requires_grad_(), draws(20, 6, seed=2)
    (encoder(codes).mean * weights).sum().backward()
    assert torch.equal(codes.grad, weights)
    assert encoder.codebook.grad is None


def test_codes_of_a_codebook_are_chosen_from_it_again() -> None:
    """Quantising what is quantised changes nothing."""
    torch.manual_seed(0)
    encoder = CodebookEncoder(nn.Identity(), 64, 2)
    once = encoder.quantise(draws(50, 6))
    assert torch.equal(encoder.quantise(once), once)


# --- Convolutions -------------------------------------------------------------------------------

SIZES = [ImageSize(8, 8), ImageSize(28, 28), ImageSize(7, 9), ImageSize(9, 5, 3), ImageSize(1, 6)]
CHANNELS = (4, 6)


def maps(network: nn.Sequential, x: Tensor) -> list[tuple[int, ...]]:
    """Shapes of the distinct feature maps of a network for one sample, in order."""
    found: list[tuple[int, ...]] = []
    for layer in network:
        x = layer(x)
        if x.ndim == 4 and (not found or found[-1] != tuple(x.shape[1:])):
            found.append(tuple(x.shape[1:]))
    return found


@pytest.mark.parametrize("strided", [False, True], ids=["max-pool", "strided"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_convolutional_decoder_mirrors_the_maps_of_its_encoder(
    size: ImageSize, strided: bool
) -> None:
    n_features = math.prod(size)
    encoder = convolutional_encoder(size, CHANNELS, "relu", strided, 3)
    decoder = convolutional_decoder(size, CHANNELS, "relu", strided, 3)
    inward, outward = maps(encoder, draws(1, n_features)), maps(decoder, draws(1, 3))
    assert outward == inward[::-1]
    height, width, channels = size
    half, quarter = ((math.ceil(height / n), math.ceil(width / n)) for n in (2, 4))
    if strided:
        assert inward == [(channels, height, width), (4, *half), (6, *quarter)]
    assert inward[0] == (channels, height, width)
    assert inward[-1] == (6, *quarter)
    assert encoder(draws(2, n_features)).shape == (2, 3)
    assert decoder(draws(2, 3)).shape == (2, n_features)


@pytest.mark.parametrize("strided", [False, True], ids=["max-pool", "strided"])
def test_strides_take_the_place_of_pooling(strided: bool) -> None:
    encoder = convolutional_encoder(ImageSize(8, 8), CHANNELS, "relu", strided, 3)
    strides = [layer.stride for layer in encoder if isinstance(layer, nn.Conv2d)]
    assert strides == [(2, 2) if strided else (1, 1)] * 2
    assert sum(isinstance(layer, nn.MaxPool2d) for layer in encoder) == (0 if strided else 2)
    decoder = convolutional_decoder(ImageSize(8, 8), CHANNELS, "relu", strided, 3)
    assert sum(isinstance(layer, nn.Upsample) for layer in decoder) == (0 if strided else 2)
    transposed = sum(isinstance(layer, nn.ConvTranspose2d) for layer in decoder)
    assert transposed == (2 if strided else 0)


@pytest.mark.parametrize(("strided", "seen"), [(True, 7), (False, 10)], ids=["strided", "max-pool"])
def test_pooling_lets_a_place_of_the_last_map_see_more(strided: bool, seen: int) -> None:
    """Its field: 1 + 2 + 4 by two strided convolutions; 1 + 1 + 4 + 2 + 2 where each is pooled."""
    torch.manual_seed(0)
    encoder = convolutional_encoder(ImageSize(24, 24), (4, 6), "tanh", strided, None)
    x = draws(300, 24 * 24).requires_grad_()
    last = encoder(x).view(300, 6, 6, 6)
    last[:, :, 3, 3].sum().backward()
    field = x.grad.view(300, 24, 24).abs().amax(0) > 0
    rows, columns = field.any(1).nonzero(), field.any(0).nonzero()
    assert len(rows) == len(columns) == seen
    assert field.sum() == seen**2


@pytest.mark.parametrize("strided", [False, True], ids=["max-pool", "strided"])
def test_means_and_log_variances_of_a_feature_map_take_either_sign(strided: bool) -> None:
    torch.manual_seed(0)
    network = convolutional_encoder(ImageSize(16, 16), CHANNELS, "relu", strided, None, 2)
    mean, log_variance, _ = GaussianEncoder(network)(draws(20, 256))
    assert mean.shape == log_variance.shape == (20, 6 * 4 * 4)
    for values in (mean, log_variance):
        assert values.min() < 0 < values.max()
    code = convolutional_encoder(ImageSize(16, 16), CHANNELS, "relu", strided, None)
    assert code(draws(20, 256)).min() == 0


def test_the_image_leaves_a_decoder_without_an_activation() -> None:
    torch.manual_seed(0)
    for strided in (False, True):
        decoder = convolutional_decoder(ImageSize(8, 8), CHANNELS, "relu", strided, 3)
        assert decoder(draws(20, 3)).min() < 0


# --- Convolutions in bfloat16 -------------------------------------------------------------------

LEVELS = [(1, 1), (3, 5), (16, 32), (32, 32), (64, 16)]
SMALL = [ImageSize(height, width) for height in (1, 3, 6) for width in (1, 2, 5)]
LAYERS = {
    "same size": lambda n_in, n_out, small: nn.Conv2d(n_in, n_out, 3, padding=1),
    "halving": lambda n_in, n_out, small: HalvingConvolution(n_in, n_out),
    "doubling": lambda n_in, n_out, small: DoublingConvolution(n_in, n_out, small, doubled(small)),
}


def doubled(size: ImageSize) -> ImageSize:
    return ImageSize(2 * size.height, 2 * size.width)


def coarse(*shape: int, seed: int = 1) -> Tensor:
    """Random numbers that bfloat16 represents exactly."""
    return draws(*shape, seed=seed).bfloat16().float()


@pytest.mark.parametrize("batch", [1, 64])
@pytest.mark.parametrize("small", SMALL, ids=str)
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("kind", LAYERS)
def test_convolutions_in_mixed_precision_are_right_at_any_width(
    kind: str, order: torch.memory_format, small: ImageSize, batch: int
) -> None:
    """Outputs and gradients against float64, with NaN in whatever memory is free."""
    sizes = [small]
    if kind == "halving":
        large = doubled(small)
        sizes = [large, ImageSize(large.height - 1, large.width - 1)]
    for size, (n_in, n_out) in itertools.product(sizes, LEVELS):
        torch.manual_seed(0)
        layer = LAYERS[kind](n_in, n_out, small)
        layer.load_state_dict({name: v.bfloat16() for name, v in layer.state_dict().items()})
        exact = copy.deepcopy(layer).double()
        layer.to(memory_format=order)
        x = coarse(batch, n_in, size.height, size.width).to(memory_format=order).requires_grad_()
        x_exact = x.detach().double().requires_grad_()
        wanted = exact(x_exact)
        slope = coarse(*wanted.shape, seed=2)
        wanted.backward(slope.double())
        dirty_memory()
        with torch.autocast("cpu", torch.bfloat16):
            found = layer(x)
        dirty_memory()
        found.backward(slope.to(found.dtype))
        gradients = [(x.grad, x_exact.grad)]
        for value, other in zip(layer.parameters(), exact.parameters(), strict=True):
            gradients.append((value.grad, other.grad))
        for value, other in [(found.detach(), wanted.detach()), *gradients]:
            error = (value.double() - other).abs().max()
            assert error <= 0.02 * other.abs().max() + 1e-3, (size, n_in, n_out)
        narrow = small.width == 1 and kind != "same size"
        assert found.dtype is (torch.float32 if narrow else torch.bfloat16)


@pytest.mark.parametrize("strided", [False, True], ids=["max-pool", "strided"])
def test_a_whole_network_is_coarse_wherever_coarse_is_right(strided: bool) -> None:
    """Of 28 x 28 pixels and three levels no image is one pixel wide, so every layer is coarse."""
    encoder = convolutional_encoder(ImageSize(28, 28), (4, 6, 8), "relu", strided, 3)
    decoder = convolutional_decoder(ImageSize(28, 28), (4, 6, 8), "relu", strided, 3)
    seen = []
    for layer in (*encoder, *decoder):
        if next(layer.parameters(), None) is not None:
            layer.register_forward_hook(lambda layer, x, y: seen.append(y.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        decoder(encoder(draws(2, 784)))
    assert len(seen) == (8 if strided else 9)
    assert set(seen) == {torch.bfloat16}
