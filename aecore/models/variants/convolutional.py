"""Convolutional autoencoders of images: plain, denoising and variational."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from aecore import models
from aecore.data.spec import DataSpec, ImageSize
from aecore.models.variants.base import (
    BernoulliSettings,
    Channels,
    LikelihoodSettings,
    NoiseSettings,
    n_convolution,
    n_linear,
    register,
)
from aecore.settings import titles

if TYPE_CHECKING:
    from aecore.models.autoencoder import Autoencoder
    from aecore.models.networks import GaussianEncoder, PointEncoder


class ConvolutionSettings(LikelihoodSettings):
    """Settings of convolutional encoders and decoders."""

    requires = ("image",)
    widths_setting = "channels"
    unsupported: ClassVar[dict[str, str]] = {
        "tied": "tied needs fully connected layers: pooling, strides and upsampling have no "
        "transposed weights to share. Leave it out, or choose variant 'ae'.",
        "hidden": "hidden gives the widths of fully connected layers: give channels instead, or "
        "choose another variant.",
    }

    channels: Channels = Field(
        (16, 32),
        description="Channels of the encoder's levels, from the image inward, separated by "
        "commas; each level halves height and width. The decoder mirrors them.",
    )
    resampling: Annotated[Literal["max-pool", "strided"], titles(max_pool="Max-pooling")] = Field(
        "max-pool",
        description="How levels halve and double: max-pooling and upsampling, or strided and "
        "transposed convolutions.",
    )
    dense: bool = Field(
        True,
        title="Dense layer before the code",
        description="Whether a fully connected layer makes the code; without it the code is the "
        "last feature map, and latent_dim must be its size.",
    )

    def problems(self, spec: DataSpec) -> dict[str, str]:
        problems = super().problems(spec)
        if spec.modality not in self.requires:
            problems["channels"] = (
                f"Convolutions need images, and {spec.name} is none: its features have no "
                "order. Choose a variant with fully connected layers, such as 'ae'."
            )
            return problems
        *_, inner = self._sizes(spec)
        size = self.channels[-1] * inner.height * inner.width
        if not self.dense and self.latent_dim != size:
            problems["latent_dim"] = (
                f"latent_dim = {self.latent_dim} is not the size of the last feature map, which "
                f"is the code when dense = False: {self.channels[-1]} channels of {inner.height} x "
                f"{inner.width} pixels, so give {size}, or dense = True."
            )
        return problems

    def _sizes(self, spec: DataSpec) -> list[ImageSize]:
        """Image size and those of the feature maps after each level."""
        size = ImageSize(*spec.shape)
        return [size.halved(level) for level in range(len(self.channels) + 1)]

    def n_parameters(self, spec: DataSpec) -> int:
        size, *_, inner = self._sizes(spec)
        inward = [size.channels, *self.channels]
        # Strides double and convolve at once; upsampling is followed by one more convolution.
        outward = (
            [*reversed(inward)]
            if self.resampling == "strided"
            else [inward[-1], *reversed(self.channels), size.channels]
        )
        dense = 0
        if self.dense:
            last = self.channels[-1] * inner.height * inner.width
            dense = n_linear([last, self.outputs_per_dimension * self.latent_dim])
            dense += n_linear([self.latent_dim, last])
        else:
            inward[-1] *= self.outputs_per_dimension
        return dense + n_convolution(inward) + n_convolution(outward)

    def n_activations(self, spec: DataSpec, batch_size: int) -> int:
        sizes = [size.height * size.width for size in self._sizes(spec)]
        levels = zip(self.channels, pairwise(sizes), strict=True)
        if self.resampling == "strided":
            inner = sum(4 * n * small for n, (_, small) in levels)
        else:
            # Convolution, activation and maxima with their places; the decoder also upsampled.
            inner = sum(n * (3 * large + 5 * small) for n, (large, small) in levels)
        return inner + 4 * spec.n_features + 4 * self.latent_dim


@register(
    "conv",
    title="Convolutional autoencoder",
    source="Masci, Meier, Ciresan & Schmidhuber (2011), Stacked convolutional auto-encoders for "
    "hierarchical feature extraction",
)
class Convolutional(ConvolutionSettings):
    """Convolutional autoencoder: small filters, shared by all places of an image.

    min ||x - g(f(x))||^2, f of 3 x 3 convolutions and halvings, g of doublings and convolutions.
    """

    overcomplete = True

    def build(self, spec: DataSpec) -> Autoencoder:
        return convolutional_model(self, spec)


@register(
    "conv-denoising",
    title="Convolutional denoising autoencoder",
    source="Vincent, Larochelle, Lajoie, Bengio & Manzagol (2010), Stacked denoising autoencoders",
)
class ConvolutionalDenoising(NoiseSettings, ConvolutionSettings):
    """Convolutional denoising autoencoder: reconstructs the clean image from a corrupted one.

    min E ||x - g(f(x + noise))||^2, the noise drawn anew for every batch.
    """

    def build(self, spec: DataSpec) -> Autoencoder:
        return convolutional_model(self, spec, corruption=self.corruption())


@register(
    "conv-vae",
    title="Convolutional variational autoencoder",
    source="Kingma & Welling (2014), Auto-encoding variational Bayes; Salimans, Kingma & Welling "
    "(2015), Markov chain Monte Carlo and variational inference: bridging the gap",
)
class ConvolutionalVariational(BernoulliSettings, ConvolutionSettings):
    """Convolutional variational autoencoder: a Gaussian code near N(0, I), by convolutions.

    Negative ELBO: -E_q[log p(x|z)] + KL(q(z|x) || N(0, I)), both summed, in nats a sample.
    """

    overcomplete = True

    def build(self, spec: DataSpec) -> Autoencoder:
        return convolutional_model(
            self,
            spec,
            encoder=models.networks.GaussianEncoder,
            penalties={"kl": models.penalties.LatentKL()},
        )


def convolutional_model(
    settings: ConvolutionSettings,
    spec: DataSpec,
    encoder: type[PointEncoder | GaussianEncoder] | None = None,
    **plug_ins: Any,
) -> Autoencoder:
    """Build a convolutional model whose decoder mirrors its encoder."""
    encoder = encoder or models.networks.PointEncoder
    size, per_dimension = ImageSize(*spec.shape), settings.outputs_per_dimension
    levels = (size, settings.channels, settings.activation, settings.resampling == "strided")
    n_outputs = per_dimension * settings.latent_dim if settings.dense else None
    network = models.networks.convolutional_encoder(*levels, n_outputs, per_dimension)
    decoder = models.networks.convolutional_decoder(
        *levels, settings.latent_dim if settings.dense else None
    )
    return models.autoencoder.Autoencoder(
        encoder=encoder(network),
        decoder=decoder,
        likelihood=models.likelihoods.LIKELIHOODS[settings.likelihood],
        **plug_ins,
    )
