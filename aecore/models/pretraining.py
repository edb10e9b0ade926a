"""Layer-wise pretraining, from the data inward, before joint training of all layers.

Each strategy takes a model made of `mlp` layers and leaves it with better weights; nothing else
of it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from aecore.models.autoencoder import Autoencoder
from aecore.models.networks import blocks
from aecore.progress import Progress

CHUNK = 5_000


@dataclass(frozen=True)
class Stage:
    """Inputs of pretraining beside the model: optimiser step, generator, progress callback."""

    batch_size: int
    generator: torch.Generator
    progress: Progress
    """Called with the layer's name, the batches done and to do; what it raises ends the work."""

    def batches(self, name: str, n: int, epochs: int, device: torch.device) -> Iterator[Tensor]:
        """Indices of the samples in each batch, in a new order every epoch."""
        steps = -(-n // self.batch_size)
        for epoch in range(epochs):
            order = torch.randperm(n, generator=self.generator, device=device)
            for number, batch in enumerate(order.split(self.batch_size), start=1):
                yield batch
                self.progress(name, epoch * steps + number, epochs * steps)


def _pairs(model: Autoencoder) -> list[tuple[nn.Sequential, nn.Sequential]]:
    """Pairs of encoder block and mirrored decoder block, from the data inward."""
    inward, outward = blocks(model.encoder.get_submodule("network")), blocks(model.decoder)
    return list(zip(inward, reversed(outward), strict=True))


@torch.no_grad()
def _outputs(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return torch.cat([layer(part) for part in x.split(CHUNK)])


GREEDY_RATE = 2e-3


def greedy(model: Autoencoder, x: Tensor, epochs: int, stage: Stage) -> None:
    """Greedy layer-wise pretraining: each layer as a small autoencoder, those before it frozen.

    min ||h_i - d_i(e_i(h_i))||^2 for layer i, then h_{i+1} = e_i(h_i), h_1 = x; the outermost is
    scored by the model's own likelihood (Bengio, Lamblin, Popovici & Larochelle 2007). By Adam at
    a rate of 0.002, whatever optimiser trains the whole.

    Arguments
        x: training samples, (n, n_features).
        epochs: passes over them for each layer.
    """
    for number, (encode, decode) in enumerate(_pairs(model), start=1):
        weights = [*encode.parameters(), *decode.parameters()]
        optimizer = torch.optim.Adam(weights, GREEDY_RATE, fused=True)
        name = f"Pretraining layer {number}"
        for batch in stage.batches(name, len(x), epochs, x.device):
            output = decode(encode(x[batch]))
            if number == 1:
                losses = model.likelihood.loss(output, x[batch])
            else:
                losses = (output - x[batch]).square().sum(1)
            optimizer.zero_grad()
            losses.mean().backward()
            optimizer.step()
        optimizer.zero_grad()
        x = _outputs(encode, x)


class RBM(NamedTuple):
    """A restricted Boltzmann machine, E(v, h) = -v W h - v b - h c."""

    weight: Tensor
    """W, (n_visible, n_hidden)."""
    visible_bias: Tensor
    """b, (n_visible,)."""
    hidden_bias: Tensor
    """c, (n_hidden,)."""
    linear: bool
    """Whether hidden units are Gaussian with unit variance; logistic otherwise."""

    def hidden(self, visible: Tensor) -> Tensor:
        """E[h | v]: sigmoid(v W + c), or v W + c for linear units."""
        activation = torch.addmm(self.hidden_bias, visible, self.weight)
        return activation if self.linear else torch.sigmoid(activation)

    def visible(self, hidden: Tensor) -> Tensor:
        """E[v | h] = sigmoid(h W^T + b)."""
        return torch.sigmoid(torch.addmm(self.visible_bias, hidden, self.weight.t()))


def contrastive_divergence(
    rbm: RBM, v: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradient estimate of CD-1 for the weight and the two biases.

    With h = E[h|v], a draw s of it, v' = E[v|s] and h' = E[h|v']:
    dW = <v h> - <v' h'>, db = <v - v'>, dc = <h - h'>, means over the batch (Hinton 2002).

    Arguments
        v: (batch, n_visible), values in [0, 1].
    """
    h = rbm.hidden(v)
    if rbm.linear:
        drawn = h + torch.randn(h.shape, generator=generator, device=h.device, dtype=h.dtype)
    else:
        drawn = torch.bernoulli(h, generator=generator)
    v_again = rbm.visible(drawn)
    h_again = rbm.hidden(v_again)
    difference = (v.t() @ h - v_again.t() @ h_again) / len(v)
    return difference, (v - v_again).mean(0), (h - h_again).mean(0)


RBM_RATE, RBM_LINEAR_RATE = 0.1, 0.001
RBM_DECAY = 2e-4


def rbm(model: Autoencoder, x: Tensor, epochs: int, stage: Stage) -> None:
    """Pretrain each layer as a restricted Boltzmann machine by CD-1, and unroll the stack.

    Every layer learns from the mean activations of the one before; batches of 100, momentum 0.5
    and from the sixth epoch 0.9, weight decay 0.0002, rate 0.1, and 0.001 where the units are
    linear. The machine's weight W starts the encoder as W^T and the decoder as W; from then on they
    are two parameters, free to differ (Hinton & Salakhutdinov 2006).

    Arguments
        x: training samples in [0, 1], (n, n_features).
        epochs: passes over them for each layer.
    """
    pairs = _pairs(model)
    for number, (encode, decode) in enumerate(pairs, start=1):
        n_hidden, n_visible = encode.get_parameter("0.weight").shape
        start = torch.randn(
            (n_visible, n_hidden), generator=stage.generator, device=x.device, dtype=x.dtype
        )
        linear = len(encode) == 1
        machine = RBM(0.1 * start, x.new_zeros(n_visible), x.new_zeros(n_hidden), linear)
        parameters = machine[:3]
        steps = [torch.zeros_like(value) for value in parameters]
        rate = RBM_LINEAR_RATE if linear else RBM_RATE
        first = 5 * -(-len(x) // 100)
        small = Stage(100, stage.generator, stage.progress)
        name = f"Boltzmann machine {number} of {len(pairs)}"
        for done, batch in enumerate(small.batches(name, len(x), epochs, x.device)):
            directions = list(contrastive_divergence(machine, x[batch], stage.generator))
            directions[0] -= RBM_DECAY * machine.weight
            momentum = 0.5 if done < first else 0.9
            for value, step, direction in zip(parameters, steps, directions, strict=True):
                step.mul_(momentum).add_(direction, alpha=rate)
                value.add_(step)
        with torch.no_grad():
            encode.get_parameter("0.weight").copy_(machine.weight.t())
            encode.get_parameter("0.bias").copy_(machine.hidden_bias)
            decode.get_parameter("0.weight").copy_(machine.weight)
            decode.get_parameter("0.bias").copy_(machine.visible_bias)
        x = _outputs(machine.hidden, x)


Strategy = Callable[[Autoencoder, Tensor, int, Stage], None]

PRETRAINING: dict[str, Strategy] = {"greedy": greedy, "rbm": rbm}
