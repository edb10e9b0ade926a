"""Encoder and decoder networks, independent of the loss.

Every network takes and gives batches of flat samples, (batch, n_features), an image row after row
with the channels of a pixel beside each other. Those that convolve turn them into images with the
channels first, (batch, channels, height, width), and back themselves: `ToImage`, `ToFeatures`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from aecore.models.contracts import Posterior

if TYPE_CHECKING:
    from aecore.data.spec import ImageSize

ACTIVATION_LAYERS: dict[str, type[nn.Module]] = {
    "elu": nn.ELU,
    "relu": nn.ReLU,
    "leaky-relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "identity": nn.Identity,
}

INITIALIZATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "glorot": nn.init.xavier_uniform_,
    "he": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
}
"""Glorot & Bengio (2010), U(-b, b) with b^2 = 6 / (n_in + n_out); He and others (2015),
N(0, 2 / n_in)."""


class PointEncoder(nn.Module):
    """An encoder whose code is a point: x -> code."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Posterior:
        return Posterior(self.network(x))


class GaussianEncoder(nn.Module):
    """An encoder whose code is a diagonal Gaussian: x -> (mean, log sigma^2)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Posterior:
        return Posterior(*self.network(x).chunk(2, dim=1))


class CodebookEncoder(nn.Module):
    """An encoder whose code is composed of vectors from a learned codebook.

    Each group of `vector_dim` numbers z becomes e_k with k = argmin_j ||z - e_j||; the gradient
    goes straight through, as if it had not (van den Oord, Vinyals & Kavukcuoglu 2017).

    Arguments
        network: (batch, n_features) -> (batch, latent_dim), latent_dim a multiple of vector_dim.
        codebook_size: how many vectors there are to choose from.
    """

    def __init__(self, network: nn.Module, codebook_size: int, vector_dim: int) -> None:
        super().__init__()
        self.network = network
        self.codebook = nn.Parameter(torch.randn(codebook_size, vector_dim))

    def forward(self, x: Tensor) -> Posterior:
        unquantised = self.network(x)
        quantised = self.quantise(unquantised)
        straight_through = unquantised + (quantised - unquantised).detach()
        return Posterior(straight_through, unquantised=unquantised)

    def choose(self, code: Tensor) -> Tensor:
        """Index of the nearest codebook vector for each group, (batch, groups)."""
        groups = code.detach().unflatten(1, (-1, self.codebook.shape[1]))
        codebook = self.codebook.detach().expand(len(code), -1, -1)
        # Differences, not products, which lose the nearest vector far from the origin.
        mode = "donot_use_mm_for_euclid_dist"
        return torch.cdist(groups, codebook, compute_mode=mode).argmin(2)

    def quantise(self, code: Tensor) -> Tensor:
        """The code (batch, latent_dim) with each group replaced by its codebook vector."""
        return self.codebook[self.choose(code)].flatten(1)


# --- Layers -------------------------------------------------------------------------------------


class SeededDropout(nn.Module):
    """Dropout from an explicit generator: zero with probability p, else scaled by 1 / (1 - p).

    Unlike torch's own it draws from `generator`, which `Autoencoder.losses` lends it in training,
    so that a training can be resumed bit-equal; without one it does nothing (Srivastava and others
    2014).
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.generator is None:
            return x
        kept = torch.rand(x.shape, generator=self.generator, device=x.device) >= self.p
        return x * kept / (1 - self.p)


class TiedLinear(nn.Module):
    """Linear layer x W + b that shares the weight W (n_out, n_in) of another, with its own bias b.

    One parameter used twice: saved once, counted once by L2, and equal for ever.
    """

    def __init__(self, source: nn.Linear) -> None:
        super().__init__()
        self._source = (source,)  # in a tuple, a module is not registered a second time
        self.bias = nn.Parameter(torch.zeros(source.in_features))

    @property
    def weight(self) -> Tensor:
        """(n_in, n_out) of the other layer, which is (n_out, n_in) of this one."""
        return self._source[0].weight.t()

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight, self.bias)


def _linear(n_in: int, n_out: int, initialization: str) -> nn.Linear:
    layer = nn.Linear(n_in, n_out)
    INITIALIZATIONS[initialization](layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def mlp(
    widths: Sequence[int], activation: str, initialization: str = "glorot", dropout: float = 0
) -> nn.Sequential:
    """Fully connected layers of the given widths, the activation between them, none at the end.

    Biases start as zero; after each activation values are dropped with probability `dropout`.

    >>> [tuple(layer.weight.shape) for layer in mlp([784, 128, 2], "elu")[::2]]
    [(128, 784), (2, 128)]
    """
    linears = [_linear(n_in, n_out, initialization) for n_in, n_out in pairwise(widths)]
    return _stacked(linears, activation, dropout)


def tied_mlp(encoder: nn.Sequential, activation: str, dropout: float = 0) -> nn.Sequential:
    """Decoder that mirrors an `mlp`: its weights transposed, in reverse order, with own biases."""
    linears = [layer for layer in encoder if isinstance(layer, nn.Linear)]
    return _stacked([TiedLinear(layer) for layer in reversed(linears)], activation, dropout)


def _stacked(linears: Sequence[nn.Module], activation: str, dropout: float) -> nn.Sequential:
    """Linear layers with the activation and optional dropout between them."""
    layers: list[nn.Module] = []
    for linear in linears:
        if layers:
            layers.append(ACTIVATION_LAYERS[activation]())
            if dropout:
                layers.append(SeededDropout(dropout))
        layers.append(linear)
    return nn.Sequential(*layers)


def blocks(network: nn.Module) -> list[nn.Sequential]:
    """Split an `mlp` before each of its linear layers.

    >>> [len(block) for block in blocks(mlp([4, 3, 2], "elu"))]
    [2, 1]
    """
    parts: list[list[nn.Module]] = []
    for layer in network.children():
        if isinstance(layer, nn.Linear | TiedLinear):
            parts.append([])
        parts[-1].append(layer)
    return [nn.Sequential(*layers) for layers in parts]


# --- Convolutions -------------------------------------------------------------------------------


class ToImage(nn.Module):
    """Flat samples (batch, height * width * channels) -> (batch, channels, height, width)."""

    def __init__(self, size: ImageSize) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(-1, *self.size).permute(0, 3, 1, 2)


class ToFeatures(nn.Module):
    """Images (batch, channels, height, width) -> flat samples, channels last."""

    def forward(self, images: Tensor) -> Tensor:
        return images.permute(0, 2, 3, 1).flatten(1)


Convolution = TypeVar("Convolution", nn.Conv2d, nn.ConvTranspose2d)


class HalvingConvolution(nn.Conv2d):
    """3 x 3 convolution with stride two, which halves both sides of the image, rounded up.

    (batch, n_in, height, width) -> (batch, n_out, ceil(height / 2), ceil(width / 2)).
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__(n_in, n_out, 3, stride=2, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[3] > 2:
            return super().forward(images)
        return _in_precision_of_weights(super().forward, images, self.weight)


class DoublingConvolution(nn.ConvTranspose2d):
    """3 x 3 transposed convolution with stride two, from a small image size to a large one.

    (batch, n_in, small.height, small.width) -> (batch, n_out, large.height, large.width).
    """

    def __init__(self, n_in: int, n_out: int, small: ImageSize, large: ImageSize) -> None:
        # Doubling gives 2 n - 1 pixels; an even side needs one more.
        more = (large.height - 2 * small.height + 1, large.width - 2 * small.width + 1)
        super().__init__(n_in, n_out, 3, stride=2, padding=1, output_padding=more)

    def forward(self, images: Tensor) -> Tensor:  # type: ignore[override]  # no output_size
        if images.shape[3] > 1:
            return super().forward(images)
        return _in_precision_of_weights(super().forward, images, self.weight)


def _in_precision_of_weights(
    convolve: Callable[[Tensor], Tensor], images: Tensor, weight: Tensor
) -> Tensor:
    """Convolution without automatic mixed precision.

    Where the smaller image of a strided convolution is one pixel wide, oneDNN is wrong in bfloat16,
    in any memory format: of each filter's gradient two columns are never written, and with AMX many
    outputs are wrong though finite (torch 2.13). It is right in float32, without a stride, and from
    two pixels on. Images of one column are small, so float32 costs next to nothing there.
    """
    with torch.autocast(images.device.type, enabled=False):
        return convolve(images.to(weight.dtype))


def _convolution(n_in: int, n_out: int) -> nn.Conv2d:
    return _started(nn.Conv2d(n_in, n_out, 3, padding=1))


def _started(layer: Convolution) -> Convolution:
    nn.init.xavier_uniform_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def convolutional_encoder(
    size: ImageSize,
    channels: Sequence[int],
    activation: str,
    strided: bool,
    n_outputs: int | None,
    outputs_per_dimension: int = 1,
) -> nn.Sequential:
    """Convolutional encoder: each level halves the image by max-pooling or a stride of two.

    Arguments
        channels: of each level, from the image inward.
        n_outputs: width of a fully connected layer at the end; None for the last feature map
            itself, with `outputs_per_dimension` numbers for each of its own.
    """
    layers: list[nn.Module] = [ToImage(size)]
    widths = [size.channels, *channels]
    if n_outputs is None:
        widths[-1] *= outputs_per_dimension
    for level, (n_in, n_out) in enumerate(pairwise(widths), start=1):
        layers.append(
            _started(HalvingConvolution(n_in, n_out)) if strided else _convolution(n_in, n_out)
        )
        # A mean and a log-variance may be of either sign, so they get no activation.
        if level < len(channels) or n_outputs is not None or outputs_per_dimension == 1:
            layers.append(ACTIVATION_LAYERS[activation]())
        if not strided:
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
    layers.append(nn.Flatten())
    if n_outputs is not None:
        inner = size.halved(len(channels))
        layers.append(_linear(widths[-1] * inner.height * inner.width, n_outputs, "glorot"))
    return nn.Sequential(*layers)


def convolutional_decoder(
    size: ImageSize, channels: Sequence[int], activation: str, strided: bool, n_inputs: int | None
) -> nn.Sequential:
    """Mirrored decoder: convolutions after nearest-neighbour upsampling, or transposed ones.

    Arguments
        channels: of each level, from the image inward, as the encoder has them.
        n_inputs: width of the code where a fully connected layer opens it; None where the code is
            the feature map itself.
    """
    inner = size.halved(len(channels))
    layers: list[nn.Module] = []
    if n_inputs is not None:
        layers += [
            _linear(n_inputs, channels[-1] * inner.height * inner.width, "glorot"),
            ACTIVATION_LAYERS[activation](),
        ]
    layers.append(nn.Unflatten(1, (channels[-1], inner.height, inner.width)))
    if strided:
        outward = [*reversed(channels), size.channels]
        for level, (n_in, n_out) in enumerate(pairwise(outward)):
            small, large = (size.halved(len(channels) - level - done) for done in (0, 1))
            if level:
                layers.append(ACTIVATION_LAYERS[activation]())
            layers.append(_started(DoublingConvolution(n_in, n_out, small, large)))
    else:
        outward = [channels[-1], *reversed(channels)]
        for level, (n_in, n_out) in enumerate(pairwise(outward)):
            large = size.halved(len(channels) - level - 1)
            layers += [
                _convolution(n_in, n_out),
                ACTIVATION_LAYERS[activation](),
                nn.Upsample((large.height, large.width)),
            ]
        layers.append(_convolution(channels[0], size.channels))
    layers.append(ToFeatures())
    return nn.Sequential(*layers)
