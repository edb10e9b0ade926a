"""Pretraining: Boltzmann machines by numpy and by enumeration, layers one at a time, and what
both are good for."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from conftest import run_config
from torch import Tensor, nn

from aecore import data, training
from aecore.errors import Cancelled, InvalidRequest
from aecore.models.autoencoder import Autoencoder
from aecore.models.likelihoods import LIKELIHOODS
from aecore.models.networks import PointEncoder, mlp, tied_mlp
from aecore.models.pretraining import PRETRAINING, RBM, Stage, contrastive_divergence, greedy, rbm
from aecore.training import RunConfig, fit

DIGITS = data.get("digits")
X = torch.tensor(DIGITS.train.x)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def quiet(what: str, done: int, total: int) -> None:
    """Ignore the batch."""


def stage(
    on_batch: Callable[[str, int, int], None] = quiet, batch_size: int = 100, seed: int = 0
) -> Stage:
    return Stage(batch_size, seeded(seed), on_batch)


def stacked(
    widths: tuple[int, ...] = (64, 32, 16, 8),
    activation: str = "sigmoid",
    *,
    code_activation: str = "identity",
    likelihood: str = "bernoulli",
    tied: bool = False,
    dropout: float = 0,
) -> Autoencoder:
    torch.manual_seed(0)
    inward = mlp(widths, activation, dropout=dropout)
    outward = mlp(widths[::-1], activation, dropout=dropout)
    if tied:
        outward = tied_mlp(inward, activation, dropout)
    if code_activation == "sigmoid":
        inward.append(nn.Sigmoid())
    return Autoencoder(PointEncoder(inward), outward, LIKELIHOODS[likelihood])


def weights(model: Autoencoder) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name, value in after.items() if not torch.equal(value, before[name])}


def error(model: Autoencoder, x: Tensor = X) -> float:
    """Mean squared error per pixel of the reconstructions."""
    with torch.no_grad():
        return (model.eval().reconstruct(x) - x).square().mean().item()


# --- One step of a Boltzmann machine ------------------------------------------------------------


def logistic(value: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-value))


def machine(n_visible: int = 5, n_hidden: int = 4, linear: bool = False) -> RBM:
    generator = seeded(2)
    shapes = (n_visible, n_hidden), (n_visible,), (n_hidden,)
    return RBM(
        *(torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes), linear
    )


def draw_hidden(h: np.ndarray, generator: torch.Generator, linear: bool) -> np.ndarray:
    """Draw of the hidden units, with the random numbers of a machine."""
    if linear:
        return h + torch.randn(h.shape, generator=generator, dtype=torch.float64).numpy()
    return torch.bernoulli(torch.from_numpy(h), generator=generator).numpy()


def direction_by_hand(
    w: np.ndarray, b: np.ndarray, c: np.ndarray, v: np.ndarray, s: np.ndarray, linear: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """CD-1 for the draw s, summed over the samples in a loop."""
    d_w, d_b, d_c = np.zeros_like(w), np.zeros_like(b), np.zeros_like(c)
    for one, drawn in zip(v, s, strict=True):
        h = one @ w + c
        again = logistic(w @ drawn + b)
        h_again = again @ w + c
        if not linear:
            h, h_again = logistic(h), logistic(h_again)
        d_w += np.outer(one, h) - np.outer(again, h_again)
        d_b += one - again
        d_c += h - h_again
    return d_w / len(v), d_b / len(v), d_c / len(v)


@pytest.mark.parametrize("linear", [False, True], ids=["logistic", "linear"])
def test_a_step_of_contrastive_divergence_is_that_of_numpy(linear: bool) -> None:
    rbm = machine(linear=linear)
    v = torch.rand(7, 5, generator=seeded(3), dtype=torch.float64)
    w, b, c = (value.numpy() for value in rbm[:3])
    h = v.numpy() @ w + c
    h = h if linear else logistic(h)
    np.testing.assert_allclose(rbm.hidden(v).numpy(), h)
    s = draw_hidden(h, seeded(8), linear)
    np.testing.assert_allclose(rbm.visible(torch.from_numpy(s)).numpy(), logistic(s @ w.T + b))
    found = contrastive_divergence(rbm, v, seeded(8))
    for value, expected in zip(
        found, direction_by_hand(w, b, c, v.numpy(), s, linear), strict=True
    ):
        np.testing.assert_allclose(value.numpy(), expected)


def test_the_expected_direction_of_a_tiny_machine_is_that_over_all_its_states() -> None:
    rbm, n = machine(3, 2), 200_000
    v = torch.tensor([[1.0, 0, 1]], dtype=torch.float64)
    w, b, c = (value.numpy() for value in rbm[:3])
    h = logistic(v[0].numpy() @ w + c)
    expected = [np.zeros((3, 2)), np.zeros(3), np.zeros(2)]
    for state in itertools.product([0.0, 1.0], repeat=2):
        s = np.array([state])
        chance = np.prod(np.where(s[0] == 1, h, 1 - h))
        for total, part in zip(
            expected, direction_by_hand(w, b, c, v.numpy(), s, False), strict=True
        ):
            total += chance * part
    found = contrastive_divergence(rbm, v.expand(n, 3), seeded())
    for value, total in zip(found, expected, strict=True):
        np.testing.assert_allclose(value.numpy(), total, atol=4 / math.sqrt(n))


def test_the_expected_direction_of_a_linear_unit_is_that_of_an_integral() -> None:
    rbm, n = machine(3, 1, linear=True), 200_000
    v = torch.tensor([[0.2, 0.9, 0.5]], dtype=torch.float64)
    w, b, c = (value.numpy() for value in rbm[:3])
    nodes, chances = np.polynomial.hermite_e.hermegauss(40)
    expected = [np.zeros((3, 1)), np.zeros(3), np.zeros(1)]
    for node, chance in zip(nodes, chances / chances.sum(), strict=True):
        s = (v.numpy() @ w + c) + node
        for total, part in zip(
            expected, direction_by_hand(w, b, c, v.numpy(), s, True), strict=True
        ):
            total += chance * part
    found = contrastive_divergence(rbm, v.expand(n, 3), seeded())
    for value, total in zip(found, expected, strict=True):
        np.testing.assert_allclose(value.numpy(), total, atol=6 / math.sqrt(n))


def log_likelihood(rbm: RBM, v: np.ndarray) -> float:
    """Mean log p(v) of a machine small enough to sum its partition function."""
    w, b, c = (value.numpy() for value in rbm[:3])

    def minus_free_energy(v: np.ndarray) -> np.ndarray:
        return v @ b + np.logaddexp(0, v @ w + c).sum(1)

    every = np.array(list(itertools.product([0.0, 1.0], repeat=len(b))))
    return float(minus_free_energy(v).mean() - np.logaddexp.reduce(minus_free_energy(every)))


def test_contrastive_divergence_makes_the_data_likelier() -> None:
    """Two patterns of four bits, whose likelihood is at most log 1/2 a sample."""
    v = torch.tensor([[1.0, 1, 0, 0], [0, 0, 1, 1]], dtype=torch.float64).repeat(50, 1)
    rbm, generator = machine(4, 3), seeded()
    for value in rbm[:3]:
        value.mul_(0.1)
    start = log_likelihood(rbm, v.numpy())
    for _ in range(1_000):
        for value, step in zip(rbm[:3], contrastive_divergence(rbm, v, generator), strict=True):
            value.add_(step, alpha=0.1)
    assert start < math.log(1 / 10)
    assert log_likelihood(rbm, v.numpy()) > math.log(1 / 2.5)


# --- A stack of Boltzmann machines --------------------------------------------------------------


@pytest.mark.parametrize("code_activation", ["sigmoid", "identity"])
def test_a_machine_is_trained_as_numpy_would(code_activation: str) -> None:
    """Rates, momentum before and after the fifth epoch, decay, and the order of the draws."""
    model = stacked((6, 4), code_activation=code_activation).double()
    linear = code_activation == "identity"
    x = torch.rand(130, 6, generator=seeded(3), dtype=torch.float64)
    rbm(model, x, 8, stage(seed=5))

    generator = seeded(5)
    w = 0.1 * torch.randn(6, 4, generator=generator, dtype=torch.float64).numpy()
    values = [w, np.zeros(6), np.zeros(4)]
    steps = [np.zeros_like(value) for value in values]
    for epoch in range(1, 9):
        for batch in torch.randperm(130, generator=generator).split(100):
            v, (w, b, c) = x[batch].numpy(), values
            h = v @ w + c
            s = draw_hidden(h if linear else logistic(h), generator, linear)
            slopes = list(direction_by_hand(w, b, c, v, s, linear))
            slopes[0] = slopes[0] - 0.0002 * w
            momentum = 0.9 if epoch > 5 else 0.5
            rate = 0.001 if linear else 0.1
            steps = [momentum * a + rate * g for a, g in zip(steps, slopes, strict=True)]
            values = [value + step for value, step in zip(values, steps, strict=True)]
    w, b, c = values
    encoder, decoder = model.encoder.network[0], model.decoder[0]
    for found, expected in (
        (encoder.weight, w.T),
        (encoder.bias, c),
        (decoder.weight, w),
        (decoder.bias, b),
    ):
        np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("dropout", [0, 0.2])
def test_machines_are_unrolled_into_equal_weights_that_are_two_parameters(dropout: float) -> None:
    model = stacked(dropout=dropout)
    before = weights(model)
    rbm(model, X, 2, stage())
    assert changed(before, weights(model)) == set(before)
    inward = [layer for layer in model.encoder.network if isinstance(layer, nn.Linear)]
    outward = [layer for layer in model.decoder if isinstance(layer, nn.Linear)]
    assert len(inward) == len(outward) == 3
    for encode, decode in zip(inward, reversed(outward), strict=True):
        assert torch.equal(encode.weight, decode.weight.t())
        assert encode.weight.data_ptr() != decode.weight.data_ptr()
        assert encode.weight.requires_grad and decode.weight.requires_grad
        assert encode.weight.is_contiguous() and decode.weight.is_contiguous()


def test_unrolled_weights_part_in_fine_tuning() -> None:
    *_, last = fit(deep("rbm", epochs=1), DIGITS)
    encode, decode = last.model.encoder.network[0], last.model.decoder[-1]
    assert not torch.equal(encode.weight, decode.weight.t())
    assert (
        torch.corrcoef(torch.stack([encode.weight.flatten(), decode.weight.t().flatten()]))[0, 1]
        > 0.9
    )


@pytest.mark.parametrize("likelihood", ["bernoulli", "squashed-gaussian"])
@pytest.mark.parametrize("code_activation", ["identity", "sigmoid"])
def test_a_stack_of_machines_reconstructs_better_than_random_weights(
    likelihood: str, code_activation: str
) -> None:
    model = stacked((64, 48, 24), likelihood=likelihood, code_activation=code_activation)
    random = error(model)
    rbm(model, X, 20, stage())
    mean = (X - X.mean(0)).square().mean().item()
    assert error(model) < 0.75 * mean < random


def test_a_machine_learns_from_the_activations_of_the_one_before() -> None:
    """The second is what it would be, were those activations its data from the beginning."""
    whole = stacked((64, 12, 5))
    rbm(whole, X, 3, stage(seed=5))

    first, second = stacked((64, 12), code_activation="sigmoid"), stacked((12, 5))
    shared = stage(seed=5)
    rbm(first, X, 3, shared)
    with torch.no_grad():
        activations = first.encode(X)
    rbm(second, activations, 3, shared)
    for place, alone in ((0, first), (2, second)):
        found, expected = whole.encoder.network[place], alone.encoder.network[0]
        torch.testing.assert_close(found.weight, expected.weight)
        torch.testing.assert_close(found.bias, expected.bias)


# --- Layers one at a time -----------------------------------------------------------------------


LAYERS = [
    {f"{side}.{number}.{kind}" for side, number in pair for kind in ("weight", "bias")}
    for pair in (
        (("encoder.network", 0), ("decoder", 4)),
        (("encoder.network", 2), ("decoder", 2)),
        (("encoder.network", 4), ("decoder", 0)),
    )
]


def test_greedy_training_moves_one_layer_at_a_time() -> None:
    model = stacked(activation="tanh")
    before, moved = weights(model), []

    def look(what: str, done: int, total: int) -> None:
        after = weights(model)
        moved.append((what, changed(before, after)))
        before.update(after)

    greedy(model, X, 2, stage(look, batch_size=500))
    assert [what for what, _ in moved] == [
        f"Pretraining layer {number}" for number in (1, 2, 3) for _ in range(6)
    ]
    for what, names in moved:
        assert names == LAYERS[int(what[-1]) - 1]


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_greedy_training_is_that_of_small_autoencoders(likelihood: str) -> None:
    """Against plain loops of Adam: the first scored by the likelihood, the second by squares."""
    model = stacked((64, 12, 5), "tanh", likelihood=likelihood)
    expected = copy.deepcopy(model)
    greedy(model, X, 2, stage(batch_size=300, seed=5))

    generator, h = seeded(5), X
    a, b, c, d = (*expected.encoder.network[::2], *expected.decoder[::2])
    cross_entropy = nn.BCEWithLogitsLoss(reduction="none")
    for layers, run, first in (
        ((a, d), lambda h: d(a(h).tanh()), True),
        ((b, c), lambda h: c(b(h)).tanh(), False),
    ):
        values = [value for layer in layers for value in layer.parameters()]
        optimizer = torch.optim.Adam(values, 0.002, fused=False)
        for _ in range(2):
            for batch in torch.randperm(len(X), generator=generator).split(300):
                output = run(h[batch])
                squares = (output - h[batch]).square()
                bits = first and likelihood == "bernoulli"
                optimizer.zero_grad()
                losses = cross_entropy(output, h[batch]) if bits else squares
                losses.sum(1).mean().backward()
                optimizer.step()
        if first:
            h = a(h).tanh().detach()
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("tied", [False, True], ids=["free", "tied"])
def test_greedy_training_reconstructs_better_than_random_weights(tied: bool) -> None:
    model = stacked((64, 48, 24), "tanh", tied=tied)
    random = error(model)
    greedy(model, X, 15, stage())
    mean = (X - X.mean(0)).square().mean().item()
    assert error(model) < 0.75 * mean < random


def test_a_tied_model_is_tied_after_greedy_training_and_moves_its_biases() -> None:
    model = stacked((64, 12, 5), "tanh", tied=True)
    before = weights(model)
    greedy(model, X, 1, stage())
    assert changed(before, weights(model)) == set(before)
    a, b = model.encoder.network[::2]
    c, d = model.decoder[::2]
    code = torch.randn(4, 5, generator=seeded())
    expected = (code @ b.weight + c.bias).tanh() @ a.weight + d.bias
    torch.testing.assert_close(model.decoder(code), expected)


# --- What holds for both ------------------------------------------------------------------------


def deep(pretraining: str, epochs: int = 2, **model: Any) -> RunConfig:
    """A network too deep and saturated to learn much in two epochs from random weights."""
    chosen = {
        "hidden": (48, 32, 24),
        "latent_dim": 16,
        "activation": "sigmoid",
        "likelihood": "bernoulli",
        "pretraining": pretraining,
        "pretraining_epochs": 5,
    }
    return run_config(
        "digits", "ae", chosen | model, epochs=epochs, batch_size=64, learning_rate=0.003
    )


@pytest.mark.parametrize(
    ("strategy", "tied"), [("greedy", False), ("greedy", True), ("rbm", False)], ids=str
)
def test_pretraining_lowers_the_error_after_the_same_fine_tuning(strategy: str, tied: bool) -> None:
    *_, without = fit(deep("none", tied=tied), DIGITS)
    *_, after = fit(deep(strategy, tied=tied, pretraining_epochs=20), DIGITS)
    assert after.test.mse.mean() < 0.6 * without.test.mse.mean()


@pytest.mark.parametrize("strategy", PRETRAINING)
def test_pretraining_repeats_and_leaves_the_global_random_numbers_alone(strategy: str) -> None:
    before = torch.get_rng_state()
    first, again, other = (stacked() for _ in range(3))
    torch.set_rng_state(before)
    for model, seed in ((first, 0), (again, 0), (other, 1)):
        PRETRAINING[strategy](model, X, 1, stage(seed=seed))
    assert torch.equal(torch.get_rng_state(), before)
    assert not changed(weights(first), weights(again))
    assert changed(weights(first), weights(other)) == set(weights(first))


@pytest.mark.parametrize(
    ("strategy", "name", "size"),
    [
        ("greedy", "Pretraining layer {}", 64),
        ("rbm", "Boltzmann machine {} of 4", 100),
    ],
)
def test_pretraining_reports_its_progress_before_training_does(
    strategy: str, name: str, size: int
) -> None:
    heard: list[tuple[str, int, int]] = []
    config = deep(strategy, epochs=1, pretraining_epochs=2)
    list(fit(config, DIGITS, progress=lambda *news: heard.append(news)))
    steps, after = 2 * math.ceil(len(X) / size), math.ceil(len(X) / 64)
    expected = [
        (name.format(layer), done, steps) for layer in (1, 2, 3, 4) for done in range(1, steps + 1)
    ]
    assert heard == expected + [("Training", done, after) for done in range(1, after + 1)]


@pytest.mark.parametrize("strategy", PRETRAINING)
def test_what_a_batch_raises_ends_the_pretraining(strategy: str) -> None:
    heard: list[str] = []

    def cancel(what: str, done: int, total: int) -> None:
        heard.append(what)
        if "2" in what and done == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        list(fit(deep(strategy), DIGITS, progress=cancel))
    assert len(set(heard)) == 2
    assert sum("2" in what for what in heard) == 3


def test_without_pretraining_nothing_happens_before_training() -> None:
    config = deep("none", epochs=1)
    model = training.build(config, DIGITS)
    before = weights(model)
    config.model.pretrain(model, X, stage())
    assert not changed(before, weights(model))


@pytest.mark.parametrize("code_activation", ["identity", "sigmoid"])
@pytest.mark.parametrize("strategy", PRETRAINING)
def test_pretraining_works_without_hidden_layers_and_with_one_sample(
    strategy: str, code_activation: str
) -> None:
    model = stacked((64, 8), code_activation=code_activation)
    PRETRAINING[strategy](model, X[:1], 1, stage())
    assert all(value.isfinite().all() for value in model.state_dict().values())


@pytest.mark.parametrize(("optimizer", "rate"), [("adadelta", 1), ("sgd", 0.003)])
def test_greedy_training_helps_whatever_optimizer_follows(optimizer: str, rate: float) -> None:
    """A rate that suits the optimizer of the fine-tuning must not spoil what comes before."""
    errors = {}
    for pretraining in ("none", "greedy"):
        config = deep(pretraining, activation="tanh", pretraining_epochs=20)
        settings = config.training.model_copy(
            update={"optimizer": optimizer, "learning_rate": rate}
        )
        *_, last = fit(config.model_copy(update={"training": settings}), DIGITS)
        errors[pretraining] = last.test.mse.mean()
    assert errors["greedy"] < errors["none"]


def test_machines_are_refused_for_an_output_that_is_not_logistic() -> None:
    """Their visible units are: unrolled, the last layer gives logits, far from the data."""
    for likelihood in ("bernoulli", "squashed-gaussian"):
        deep("rbm", likelihood=likelihood)
    with pytest.raises(InvalidRequest, match=r"pretraining = 'rbm' needs .*likelihood"):
        deep("rbm", likelihood="gaussian")


def test_a_code_that_no_machine_has_is_refused_by_its_name() -> None:
    with pytest.raises(InvalidRequest, match=r"pretraining = 'rbm' needs .*code_activation"):
        deep("rbm", code_activation="relu")
