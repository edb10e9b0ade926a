"""Export of decoder layers for the browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, Field

from aecore import models
from aecore.artifacts import Word
from aecore.models.variants import Activation

if TYPE_CHECKING:
    from torch import Tensor, nn

    from aecore.models.autoencoder import Autoencoder


MOST_WEIGHTS = 8 * 2**20
"""Bytes of a decoder's weights that are still sent to a browser."""


def browser_decoder(
    model: Autoencoder,
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]] | None:
    """Export the decoder and the likelihood's mean as layers that plain JavaScript can run.

    Returns the layers in order and their float32 weights by name; None where there is a layer of
    a kind that is not known here. A code, (n_in,), with the label one-hot behind it where the
    model is conditioned on one, goes through

        linear         weight (n_out, n_in) x + bias
        activation     of the name that the settings use
        conv           3 x 3, stride 1, padding 1; weight (n_out, n_in, 3, 3)
        transposed     3 x 3, stride 2, padding 1; weight (n_in, n_out, 3, 3)
        upsample       nearest: out[i, j] = in[floor(i height / out_height), ...]
        channels-last  (channels, height, width) -> (height, width, channels)

    where images are (channels, height, width), row after row.
    """
    ends: dict[type[object], list[dict[str, Any]]] = {
        models.likelihoods.Gaussian: [],
        models.likelihoods.SquashedGaussian: [{"kind": "activation", "name": "sigmoid"}],
        models.likelihoods.Bernoulli: [{"kind": "activation", "name": "sigmoid"}],
    }
    end = ends.get(type(model.likelihood))
    if end is None:
        return None
    layers: list[dict[str, Any]] = []
    weights: dict[str, np.ndarray] = {}
    shape: tuple[int, ...] = ()
    for layer in _leaves(model.decoder):
        described = _described(layer, shape)
        if described is None:
            return None
        description, tensors, shape = described
        for name, tensor in tensors.items():
            description[name] = f"{len(layers)}.{name}"
            weights[description[name]] = np.ascontiguousarray(tensor.detach().float().cpu().numpy())
        if description:
            layers.append(description)
    return layers + end, weights


def decoder_for_browser(
    model: Autoencoder,
) -> tuple[list[dict[str, Any]] | None, dict[str, np.ndarray], str]:
    """Layers and weights of the decoder for the browser, and the reason if there are none."""
    if not model.differentiable:  # it is in a file of its own
        return None, {}, "This decoder was made elsewhere, so the server runs it."
    described = browser_decoder(model)
    if described is None:
        return None, {}, "The browser cannot run this decoder: it has a layer of an unknown kind."
    size = sum(weight.nbytes for weight in described[1].values())
    if size > MOST_WEIGHTS:
        note = (
            f"This decoder is too large for the browser: it has {size / 2**20:.0f} MiB of weights."
        )
        return None, {}, note
    return *described, ""


def _leaves(network: nn.Module) -> Iterator[nn.Module]:
    from torch import nn

    if isinstance(network, nn.Sequential):
        for layer in network:
            yield from _leaves(layer)
    else:
        yield network


def _described(
    layer: nn.Module, shape: tuple[int, ...]
) -> tuple[dict[str, Any], dict[str, Tensor], tuple[int, ...]] | None:
    """A layer's description (empty for an identity), its tensors, and its output image size."""
    from torch import nn

    if isinstance(layer, nn.Identity | models.networks.SeededDropout):
        return {}, {}, shape
    # The whole text is compared, so that a slope or an approximation of another kind is not lost.
    for name, activation in models.networks.ACTIVATION_LAYERS.items():
        if repr(layer) == repr(activation()):
            return {"kind": "activation", "name": name}, {}, shape
    tensors: dict[str, Any] = {name: getattr(layer, name, None) for name in ("weight", "bias")}
    if isinstance(layer, nn.Linear | models.networks.TiedLinear) and tensors["bias"] is not None:
        n_out, n_in = tensors["weight"].shape
        return {"kind": "linear", "n_in": n_in, "n_out": n_out}, tensors, ()
    if isinstance(layer, nn.Unflatten) and layer.dim == 1:
        return {}, {}, tuple(layer.unflattened_size)
    if len(shape) != 3:
        return None
    channels, height, width = shape
    image = {"height": height, "width": width}
    if isinstance(layer, models.networks.ToFeatures):
        return {"kind": "channels-last", "channels": channels, **image}, {}, ()
    if isinstance(layer, nn.Upsample) and layer.mode == "nearest" and isinstance(layer.size, tuple):
        out = dict(zip(("out_height", "out_width"), layer.size, strict=True))
        description = {"kind": "upsample", "channels": channels, **image, **out}
        return description, {}, (channels, *layer.size)
    if isinstance(layer, nn.Conv2d) and _plain(layer, stride=1):
        n_out = layer.out_channels
        description = {"kind": "conv", "n_in": channels, "n_out": n_out, **image}
        return description, tensors, (n_out, height, width)
    if isinstance(layer, nn.ConvTranspose2d) and _plain(layer, stride=2):
        n_out, more = layer.out_channels, layer.output_padding
        out_height, out_width = 2 * height - 1 + more[0], 2 * width - 1 + more[1]
        description = {"kind": "transposed", "n_in": channels, "n_out": n_out, **image}
        description |= {"out_height": out_height, "out_width": out_width}
        return description, tensors, (n_out, out_height, out_width)
    return None


def _plain(layer: nn.Conv2d | nn.ConvTranspose2d, stride: int) -> bool:
    """Whether a convolution is 3 x 3 with padding 1, a bias, and no other options."""
    options = (layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.groups)
    wanted = ((3, 3), (stride, stride), (1, 1), (1, 1), 1)
    return options == wanted and layer.padding_mode == "zeros" and layer.bias is not None


SIDE = 10_000
"""The most pixels along a side of an image."""


class LayerFacts(BaseModel):
    """Description of a decoder layer, as `browser_decoder` gives it."""

    kind: Literal["linear", "activation", "conv", "transposed", "upsample", "channels-last"]
    name: Literal[Activation, "identity"] | None = None
    n_in: int = Field(0, ge=1)
    n_out: int = Field(0, ge=1)
    channels: int = Field(0, ge=1)
    height: int = Field(0, ge=1, le=SIDE)
    width: int = Field(0, ge=1, le=SIDE)
    out_height: int = Field(0, ge=1, le=SIDE)
    out_width: int = Field(0, ge=1, le=SIDE)
    weight: Word = ""
    bias: Word = ""

    def sizes(self, size: int) -> tuple[int, int]:
        """Input and output widths of the layer; those of an activation are both `size`."""
        image, out = self.height * self.width, self.out_height * self.out_width
        return {
            "linear": (self.n_in, self.n_out),
            "activation": (size, size),
            "conv": (self.n_in * image, self.n_out * image),
            "transposed": (self.n_in * image, self.n_out * out),
            "upsample": (self.channels * image, self.channels * out),
            "channels-last": (self.channels * image, self.channels * image),
        }[self.kind]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the layer's weights, by name."""
        if self.kind not in ("linear", "conv", "transposed"):
            return {}
        square = () if self.kind == "linear" else (3, 3)
        sides = (self.n_in, self.n_out) if self.kind == "transposed" else (self.n_out, self.n_in)
        return {self.weight: (*sides, *square), self.bias: (self.n_out,)}
