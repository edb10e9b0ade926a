"""The registry of variants: each is its settings, its formula, its source, and how it is composed.

A variant is a frozen settings class with a `build`. Torch is imported inside `build`, because
forms, the command line's help and the lists read the settings without waiting for it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from aecore.modalities import MODALITIES
from aecore.settings import ADVANCED, WITHIN_TRAINING
from aecore.spec import DataSpec, ImageSize

if TYPE_CHECKING:
    from torch import Tensor

    from aecore.autoencoder import Autoencoder
    from aecore.contracts import Corruption
    from aecore.networks import GaussianEncoder, PointEncoder
    from aecore.pretraining import Stage

Activation = Literal["elu", "relu", "leaky-relu", "gelu", "silu", "sigmoid", "tanh"]
CodeActivation = Literal["identity", "relu", "sigmoid", "tanh"]
Initialization = Literal["glorot", "he"]
LikelihoodName = Literal["gaussian", "squashed-gaussian", "bernoulli"]
Noise = Literal["gaussian", "masking", "salt-and-pepper", "dropout"]


def _split(widths: Any) -> Any:
    """Take "512, 128" as typed in a form or on the command line for (512, 128)."""
    if isinstance(widths, str):
        return tuple(width.strip() for width in widths.split(",") if width.strip())
    return widths


Widths = Annotated[
    tuple[Annotated[int, Field(ge=1, le=8192)], ...],
    Field(max_length=12),
    BeforeValidator(_split),
]
Channels = Annotated[
    tuple[Annotated[int, Field(ge=1, le=512)], ...],
    Field(min_length=1, max_length=6),
    BeforeValidator(_split),
]


class CorruptionSettings(NamedTuple):
    """The noise that a denoising model was trained to remove."""

    noise: Noise
    level: float
    clip: bool


@dataclass(frozen=True)
class Capabilities:
    """What a trained model can do and how it was trained, declared by its settings."""

    encode: bool = True
    """Whether samples have codes."""
    decode: bool = True
    """Whether codes have samples."""
    posterior: bool = False
    """Whether its encoder gives Gaussians rather than points."""
    prior: bool = False
    """Whether its training drew the codes towards N(0, I), by a KL divergence or an MMD."""
    conditioned: bool = False
    """Whether its encoder and decoder take the label."""
    likelihood: LikelihoodName = "gaussian"
    """How reconstructions are scored."""
    kl_weight: float | None = None
    """Weight of the KL divergence in its loss; None where there is none."""
    corruption: CorruptionSettings | None = None
    """What is done to its input in training."""


class Variant(BaseModel, ABC):
    """Settings that every variant has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    title: ClassVar[str]
    source: ClassVar[str]
    requires: ClassVar[tuple[str, ...]] = tuple(MODALITIES)
    """The modalities of data that it can learn."""
    impossible: ClassVar[dict[str, str]] = {}
    """Settings of other variants that people ask this one for: setting -> why it has none."""
    overcomplete: ClassVar[bool] = False
    """Whether something else than a narrow code keeps it from copying its input."""
    conditioned: ClassVar[bool] = False
    """Whether its encoder and decoder are told the label."""
    prior: ClassVar[bool] = False
    """Whether its training draws the codes towards N(0, I)."""
    widths_setting: ClassVar[str]
    """The setting that says how wide its layers are."""
    outputs_per_dimension: ClassVar[int] = 1
    """Numbers that its encoder gives for each dimension of the code: 2 where that is a Gaussian."""

    latent_dim: int = Field(
        2, ge=1, le=8192, description="Dimensions of the code; 2 can be drawn as it is."
    )

    @classmethod
    def summary(cls) -> str:
        """The first sentence of the variant's docstring."""
        return (cls.__doc__ or "").split("\n\n")[0].replace("\n", " ").strip()

    @classmethod
    def defaults(cls, spec: DataSpec) -> dict[str, Any]:
        """The settings whose sensible default depends on the data."""
        return {}

    def faults(self, spec: DataSpec) -> dict[str, str]:
        """What makes these settings impossible for a dataset: setting -> sentence."""
        if self.latent_dim > spec.n_features and not self.overcomplete:
            return {
                "latent_dim": f"latent_dim = {self.latent_dim} is wider than the data: "
                f"{spec.name} has n_features = {spec.n_features}, so give at most "
                f"{spec.n_features}."
            }
        return {}

    @property
    def capabilities(self) -> Capabilities:
        """What a model of these settings can do."""
        return Capabilities(
            posterior=self.outputs_per_dimension == 2,
            prior=self.prior,
            conditioned=self.conditioned,
        )

    @abstractmethod
    def build(self, spec: DataSpec) -> Autoencoder:
        """The untrained model for samples like those of a dataset."""

    @abstractmethod
    def n_parameters(self, spec: DataSpec) -> int:
        """How many numbers the model of `build` learns, without building it."""

    @abstractmethod
    def n_activations(self, spec: DataSpec, batch_size: int) -> int:
        """About how many numbers a training step holds for each sample beside the parameters."""

    def pretrain(self, model: Autoencoder, x: Tensor, stage: Stage) -> None:
        """Bring an untrained model to a better start than random weights; most have none."""


VARIANTS: dict[str, type[Variant]] = {}


def register(name: str, title: str, source: str) -> Callable[[type[Variant]], type[Variant]]:
    """Enter a settings class into the registry under `name`."""

    def enter(variant: type[Variant]) -> type[Variant]:
        variant.name, variant.title, variant.source = name, title, source
        VARIANTS[name] = variant
        return variant

    return enter


# --- Settings that several variants share -------------------------------------------------------


class _Layered(Variant):
    """Fully connected layers."""

    widths_setting = "hidden"

    hidden: Widths = Field(
        (128, 64),
        description="Widths of the encoder's hidden layers, from the data to the code, separated "
        "by commas; the decoder mirrors them. Empty for none.",
    )

    def widths(self, spec: DataSpec) -> tuple[list[int], list[int]]:
        """The widths of the encoder's and of the decoder's layers, input and output included."""
        told = spec.n_classes if self.conditioned else 0
        n_outputs = self.outputs_per_dimension * self.latent_dim
        return (
            [spec.n_features + told, *self.hidden, n_outputs],
            [self.latent_dim + told, *reversed(self.hidden), spec.n_features],
        )

    def n_parameters(self, spec: DataSpec) -> int:
        return sum(_n_linear(widths) for widths in self.widths(spec))

    def n_activations(self, spec: DataSpec, batch_size: int) -> int:
        # Each layer is held before and after its activation.
        inward, outward = self.widths(spec)
        return 2 * (sum(inward) + self.n_decoded * sum(outward))

    @property
    def n_decoded(self) -> int:
        """How many codes of each sample a training step decodes."""
        return 1


class _Likely(Variant):
    """The person chooses the likelihood."""

    activation: Activation = Field(
        "elu", description="Function between the layers; the code and the output have none."
    )
    likelihood: LikelihoodName = Field(
        "gaussian",
        description="How reconstructions are scored: 'gaussian' is squared error of a linear "
        "output, 'squashed-gaussian' squared error of a sigmoid output, 'bernoulli' cross-entropy "
        "of a sigmoid output. The last two need data in [0, 1].",
    )

    @classmethod
    def defaults(cls, spec: DataSpec) -> dict[str, Any]:
        in_range = {"likelihood": "squashed-gaussian"} if spec.in_unit_range else {}
        return super().defaults(spec) | in_range

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, likelihood=self.likelihood)

    def faults(self, spec: DataSpec) -> dict[str, str]:
        faults = super().faults(spec)
        if self.likelihood != "gaussian" and not spec.in_unit_range:
            faults["likelihood"] = (
                f"likelihood = '{self.likelihood}' needs data in [0, 1], and {spec.name} has "
                "values outside of it: choose 'gaussian'."
            )
        return faults


class _Probable(_Likely):
    """A Gaussian code; data in [0, 1] are scored by cross-entropy, as a probability model wants."""

    outputs_per_dimension = 2
    prior = True

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, kl_weight=1)

    @classmethod
    def defaults(cls, spec: DataSpec) -> dict[str, Any]:
        in_range = {"likelihood": "bernoulli"} if spec.in_unit_range else {}
        return super().defaults(spec) | in_range


class _Coded(_Likely, _Layered):
    """Fully connected, with a point for a code, whose own activation can be chosen."""

    code_activation: CodeActivation = Field(
        "identity",
        description="Function that makes the code out of the encoder's last layer.",
        json_schema_extra=ADVANCED,
    )
    initialization: Initialization = Field(
        "glorot",
        description="How weights start: Glorot-uniform, or He-normal for ReLU and ELU.",
        json_schema_extra=ADVANCED,
    )


class _Noisy(Variant):
    """The encoder sees a corrupted input in training."""

    overcomplete = True

    noise: Noise = Field(
        "gaussian",
        description="What is done to the input: 'gaussian' adds noise, 'masking' sets features to "
        "0, 'salt-and-pepper' to 0 or 1, 'dropout' sets to 0 and scales the others up.",
    )
    level: float = Field(
        0.5,
        gt=0,
        lt=1,
        description="Standard deviation of Gaussian noise, else the fraction of features hit.",
    )
    clip: bool = Field(
        False, description="Whether Gaussian noise is cut off at 0 and 1; for data in [0, 1]."
    )

    def faults(self, spec: DataSpec) -> dict[str, str]:
        faults = super().faults(spec)
        for setting, asked in (
            ("noise", self.noise == "salt-and-pepper" and "noise = 'salt-and-pepper'"),
            ("clip", self.clip and "clip = True"),
        ):
            if asked and not spec.in_unit_range:
                faults[setting] = (
                    f"{asked} needs data in [0, 1], and {spec.name} has values outside of it: "
                    "choose noise = 'gaussian' without clip, or 'masking'."
                )
        if self.clip and self.noise != "gaussian":
            faults["clip"] = f"clip = True cuts off Gaussian noise, and noise is '{self.noise}'."
        return faults

    @property
    def capabilities(self) -> Capabilities:
        noise = CorruptionSettings(self.noise, self.level, self.clip)
        return replace(super().capabilities, corruption=noise)

    def corruption(self) -> Corruption:
        """The noise that these settings ask for."""
        from aecore.corruption import CORRUPTIONS, GaussianNoise

        if self.noise == "gaussian":
            return GaussianNoise(self.level, self.clip)
        return CORRUPTIONS[self.noise](self.level)


# --- The plain ones -----------------------------------------------------------------------------


@register(
    "linear",
    title="Linear autoencoder",
    source="Baldi & Hornik (1989), Neural networks and principal component analysis",
)
class Linear(_Layered):
    """Only linear layers, trained on squared error: it learns the plane that PCA computes.

    min_W,V ||x - V W x||^2, reached where V W projects onto the leading principal components.
    """

    hidden: Widths = Field(
        (),
        description="Widths of further linear layers, separated by commas. As long as none is "
        "narrower than the code, they change how it trains, not what it can represent.",
    )

    def build(self, spec: DataSpec) -> Autoencoder:
        return _fully_connected(self, spec, activation="identity", likelihood="gaussian")


@register(
    "ae",
    title="Deep autoencoder",
    source="Hinton & Salakhutdinov (2006), Reducing the dimensionality of data with neural "
    "networks",
)
class Deep(_Coded):
    """A plain autoencoder of any depth: a bent surface where PCA has a flat one.

    min ||x - g(f(x))||^2 over encoder f and decoder g, or cross-entropy for data in [0, 1].
    """

    tied: bool = Field(
        False,
        description="Whether the decoder uses the encoder's weights, transposed.",
        json_schema_extra=ADVANCED,
    )
    dropout: float = Field(
        0,
        ge=0,
        lt=1,
        description="Fraction of hidden units left out in each training step.",
        json_schema_extra=ADVANCED,
    )
    l2: float = Field(
        0,
        ge=0,
        le=1e6,
        description="Half the squared weights, times this, join the loss.",
        json_schema_extra=ADVANCED,
    )
    pretraining: Literal["none", "greedy", "rbm"] = Field(
        "none",
        description="What happens before: 'greedy' trains each layer as a small autoencoder of the "
        "layer before, 'rbm' as a restricted Boltzmann machine; then all are trained together.",
        json_schema_extra=ADVANCED,
    )
    pretraining_epochs: int = Field(
        5,
        ge=1,
        le=1000,
        description="Passes over the training split for each layer before.",
        json_schema_extra=ADVANCED,
    )

    def faults(self, spec: DataSpec) -> dict[str, str]:
        faults = super().faults(spec)
        if self.pretraining == "rbm":
            reasons = []
            if self.activation != "sigmoid":
                reasons.append("activation = 'sigmoid', its units being logistic")
            if self.code_activation not in ("identity", "sigmoid"):
                reasons.append("code_activation = 'identity' or 'sigmoid', as its last units are")
            if self.likelihood == "gaussian":
                reasons.append(
                    "likelihood = 'bernoulli' or 'squashed-gaussian', its visible units being "
                    "logistic"
                )
            if not spec.in_unit_range:
                reasons.append("data in [0, 1], which its visible units are probabilities of")
            if self.tied:
                reasons.append("tied = False, because it starts both directions apart")
            if reasons:
                faults["pretraining"] = f"pretraining = 'rbm' needs {'; and '.join(reasons)}."
        return faults

    def n_parameters(self, spec: DataSpec) -> int:
        inward, outward = self.widths(spec)
        # Of the decoder only the biases are its own.
        return _n_linear(inward) + (sum(outward[1:]) if self.tied else _n_linear(outward))

    def build(self, spec: DataSpec) -> Autoencoder:
        from aecore.penalties import WeightL2

        penalties = {"l2": WeightL2(self.l2)} if self.l2 else {}
        return _fully_connected(self, spec, penalties=penalties)

    def pretrain(self, model: Autoencoder, x: Tensor, stage: Stage) -> None:
        from aecore.pretraining import PRETRAINING

        if self.pretraining != "none":
            PRETRAINING[self.pretraining](model, x, self.pretraining_epochs, stage)


# --- The classical canon ------------------------------------------------------------------------


@register(
    "sparse-l1",
    title="Sparse autoencoder, L1",
    source="Ranzato, Poultney, Chopra & LeCun (2007), Efficient learning of sparse "
    "representations with an energy-based model",
)
class SparseL1(_Coded):
    """Active units of the code cost something, so that few of many explain a sample.

    min ||x - g(h)||^2 + weight * sum_j |h_j|, h = f(x).
    """

    overcomplete = True

    code_activation: CodeActivation = Field(
        "relu",
        description="Function that makes the code; 'relu' can switch units off altogether.",
    )
    weight: float = Field(
        0.1, ge=0, le=1e6, description="Cost of one unit of activation, beside the summed error."
    )

    def build(self, spec: DataSpec) -> Autoencoder:
        from aecore.penalties import CodeL1

        return _fully_connected(self, spec, penalties={"sparsity": CodeL1(self.weight)})


@register(
    "sparse-kl",
    title="Sparse autoencoder, KL",
    source="Lee, Ekanadham & Ng (2008), Sparse deep belief net model for visual area V2; Ng "
    "(2011), CS294A lecture notes",
)
class SparseKL(_Coded):
    """Each unit of the code is asked to be active as seldom as a target says.

    min ||x - g(h)||^2 + weight * sum_j KL(target || mean of h_j), h = sigmoid(f(x)).
    """

    overcomplete = True

    code_activation: CodeActivation = Field(
        "sigmoid", description="Function that makes the code; the divergence needs 'sigmoid'."
    )
    target: float = Field(
        0.1, gt=0, lt=1, description="Mean activation that every unit of the code is drawn to."
    )
    weight: float = Field(
        10, ge=0, le=1e6, description="Weight of the divergence, beside the summed error."
    )

    def faults(self, spec: DataSpec) -> dict[str, str]:
        faults = super().faults(spec)
        if self.code_activation != "sigmoid":
            faults["code_activation"] = (
                f"code_activation = '{self.code_activation}' leaves (0, 1), where alone the "
                "KL divergence of activations is defined: choose 'sigmoid', or variant 'sparse-l1'."
            )
        return faults

    def build(self, spec: DataSpec) -> Autoencoder:
        from aecore.penalties import SparsityKL

        penalty = SparsityKL(self.target, self.weight)
        return _fully_connected(self, spec, penalties={"sparsity": penalty})


@register(
    "denoising",
    title="Denoising autoencoder",
    source="Vincent, Larochelle, Bengio & Manzagol (2008), Extracting and composing robust "
    "features with denoising autoencoders",
)
class Denoising(_Noisy, _Coded):
    """Sees a corrupted input and is asked for the clean one, so it learns where the data lie.

    min E ||x - g(f(x + noise))||^2, the noise drawn anew for every batch.
    """

    def build(self, spec: DataSpec) -> Autoencoder:
        return _fully_connected(self, spec, corruption=self.corruption())


@register(
    "contractive",
    title="Contractive autoencoder",
    source="Rifai, Vincent, Muller, Glorot & Bengio (2011), Contractive auto-encoders: explicit "
    "invariance during feature extraction",
)
class Contractive(_Coded):
    """The code is asked to stand still when the input moves, but for moves along the data.

    min ||x - g(f(x))||^2 + weight * ||df/dx||_F^2.
    """

    overcomplete = True

    code_activation: CodeActivation = Field(
        "identity",
        description="Function that makes the code; 'sigmoid', as in the source, keeps the decoder "
        "from undoing what shrinks, and saturates where the code has few units.",
    )
    weight: float = Field(
        0.1, ge=0, le=1e6, description="Weight of the squared Jacobian, beside the summed error."
    )
    jacobian: Literal["hutchinson", "closed-form", "exact"] = Field(
        "hutchinson",
        description="How the Jacobian's norm is found: 'hutchinson' estimates it for any encoder, "
        "'closed-form' holds for one sigmoid layer (hidden empty), 'exact' is slow.",
    )

    def faults(self, spec: DataSpec) -> dict[str, str]:
        faults = super().faults(spec)
        if self.jacobian == "closed-form" and (self.hidden or self.code_activation != "sigmoid"):
            faults["jacobian"] = (
                "jacobian = 'closed-form' holds for one sigmoid layer alone: leave hidden empty "
                "and set code_activation to 'sigmoid', or choose 'hutchinson'."
            )
        return faults

    def n_activations(self, spec: DataSpec, batch_size: int) -> int:
        # Derivatives of the encoder are held beside it, the exact ones for each unit of the code.
        inward, _ = self.widths(spec)
        directions = self.latent_dim if self.jacobian == "exact" else 1
        return super().n_activations(spec, batch_size) + 4 * directions * sum(inward)

    def build(self, spec: DataSpec) -> Autoencoder:
        from aecore.penalties import Contraction

        penalty = Contraction(self.weight, self.jacobian)
        return _fully_connected(self, spec, penalties={"contraction": penalty})


# --- Convolutions -------------------------------------------------------------------------------


class _Images(_Likely):
    """Convolutions in place of fully connected layers."""

    requires = ("image",)
    widths_setting = "channels"
    impossible = {
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
    resampling: Literal["max-pool", "strided"] = Field(
        "max-pool",
        description="How levels halve and double: max-pooling and upsampling, or strided and "
        "transposed convolutions.",
    )
    dense: bool = Field(
        True,
        description="Whether a fully connected layer makes the code; without it the code is the "
        "last feature map, and latent_dim must be its size.",
    )

    def faults(self, spec: DataSpec) -> dict[str, str]:
        faults = super().faults(spec)
        if spec.modality not in self.requires:
            faults["channels"] = (
                f"Convolutions need images, and {spec.name} is none: its features have no "
                "order. Choose a variant with fully connected layers, such as 'ae'."
            )
            return faults
        *_, inner = self._sizes(spec)
        size = self.channels[-1] * inner.height * inner.width
        if not self.dense and self.latent_dim != size:
            faults["latent_dim"] = (
                f"latent_dim = {self.latent_dim} is not the size of the last feature map, which "
                f"is the code when dense = False: {self.channels[-1]} channels of {inner.height} x "
                f"{inner.width} pixels, so give {size}, or dense = True."
            )
        return faults

    def _sizes(self, spec: DataSpec) -> list[ImageSize]:
        """The image's size and those of the feature maps after each level."""
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
            dense = _n_linear([last, self.outputs_per_dimension * self.latent_dim])
            dense += _n_linear([self.latent_dim, last])
        else:
            inward[-1] *= self.outputs_per_dimension
        return dense + _n_convolution(inward) + _n_convolution(outward)

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
class Convolutional(_Images):
    """Small filters, the same at every place of an image, in place of fully connected layers.

    min ||x - g(f(x))||^2, f of 3 x 3 convolutions and halvings, g of doublings and convolutions.
    """

    overcomplete = True

    def build(self, spec: DataSpec) -> Autoencoder:
        return _convolutional(self, spec)


@register(
    "conv-denoising",
    title="Convolutional denoising autoencoder",
    source="Vincent, Larochelle, Lajoie, Bengio & Manzagol (2010), Stacked denoising autoencoders",
)
class ConvolutionalDenoising(_Noisy, _Images):
    """Sees a corrupted image and is asked for the clean one, by convolutions.

    min E ||x - g(f(x + noise))||^2, the noise drawn anew for every batch.
    """

    def build(self, spec: DataSpec) -> Autoencoder:
        return _convolutional(self, spec, corruption=self.corruption())


@register(
    "conv-vae",
    title="Convolutional variational autoencoder",
    source="Kingma & Welling (2014), Auto-encoding variational Bayes; Salimans, Kingma & Welling "
    "(2015), Markov chain Monte Carlo and variational inference: bridging the gap",
)
class ConvolutionalVariational(_Probable, _Images):
    """A variational autoencoder whose encoder and decoder are convolutions.

    Negative ELBO: -E_q[log p(x|z)] + KL(q(z|x) || N(0, I)), both summed, in nats a sample.
    """

    overcomplete = True

    def build(self, spec: DataSpec) -> Autoencoder:
        from aecore.networks import GaussianEncoder
        from aecore.penalties import LatentKL

        return _convolutional(self, spec, encoder=GaussianEncoder, penalties={"kl": LatentKL()})


# --- Variational and their kin ------------------------------------------------------------------


@register(
    "vae",
    title="Variational autoencoder",
    source="Kingma & Welling (2014), Auto-encoding variational Bayes",
)
class Variational(_Probable, _Layered):
    """A code that is a Gaussian, kept near N(0, I), so that the space between samples decodes.

    Negative ELBO: -E_q[log p(x|z)] + KL(q(z|x) || N(0, I)), both summed, in nats a sample.
    """

    def build(self, spec: DataSpec) -> Autoencoder:
        from aecore.networks import GaussianEncoder
        from aecore.penalties import LatentKL

        return _fully_connected(self, spec, encoder=GaussianEncoder, penalties={"kl": LatentKL()})


@register(
    "beta-vae",
    title="Beta-VAE",
    source="Higgins and others (2017), beta-VAE: learning basic visual concepts with a "
    "constrained variational framework",
)
class BetaVariational(_Probable, _Layered):
    """A variational autoencoder that pays beta times for its code, so dimensions come apart.

    -E_q[log p(x|z)] + beta * KL(q(z|x) || N(0, I)); for beta = 1 the negative ELBO.
    """

    beta: float = Field(
        2,
        ge=0,
        le=1e4,
        description="Weight of the KL; 1 is the plain VAE, and a large one on small images leaves "
        "the code unused.",
    )
    warm_up: int = Field(
        0,
        ge=0,
        le=10_000,
        description="Epochs over which the weight grows from 0 to beta; no more than are trained.",
        json_schema_extra=WITHIN_TRAINING,
    )

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, kl_weight=self.beta)

    def build(self, spec: DataSpec) -> Autoencoder:
        from aecore.networks import GaussianEncoder
        from aecore.penalties import LatentKL

        penalties = {"kl": LatentKL(self.beta, self.warm_up)}
        return _fully_connected(self, spec, encoder=GaussianEncoder, penalties=penalties)


@register(
    "cvae",
    title="Conditional variational autoencoder",
    source="Sohn, Lee & Yan (2015), Learning structured output representation using deep "
    "conditional generative models",
)
class ConditionalVariational(_Probable, _Layered):
    """Encoder and decoder are told the label, so the code is left with what the label does not say.

    -E_q(z|x,y)[log p(x|z,y)] + KL(q(z|x,y) || N(0, I)), the label y one-hot beside x and z.
    """

    conditioned = True

    def faults(self, spec: DataSpec) -> dict[str, str]:
        faults = super().faults(spec)
        if not spec.label_names:
            faults["variant"] = (
                f"variant = 'cvae' is conditioned on the label, and {spec.name} has no classes: "
                "give labels (y), or choose variant 'vae'."
            )
        return faults

    def build(self, spec: DataSpec) -> Autoencoder:
        from aecore.networks import GaussianEncoder
        from aecore.penalties import LatentKL

        return _fully_connected(
            self,
            spec,
            encoder=GaussianEncoder,
            penalties={"kl": LatentKL()},
            n_classes=spec.n_classes,
        )


@register(
    "iwae",
    title="Importance-weighted autoencoder",
    source="Burda, Grosse & Salakhutdinov (2016), Importance weighted autoencoders",
)
class ImportanceWeighted(_Probable, _Layered):
    """A variational autoencoder on a tighter bound, of several draws weighted by their likelihood.

    -E[log 1/K sum_k p(x|z_k) p(z_k) / q(z_k|x)], z_k ~ q(z|x); for K = 1 the negative ELBO.
    """

    samples: int = Field(5, ge=1, le=100, description="Draws K for each sample; 1 is the ELBO.")

    @property
    def n_decoded(self) -> int:
        return self.samples

    def build(self, spec: DataSpec) -> Autoencoder:
        from aecore.autoencoder import ImportanceWeightedAutoencoder
        from aecore.networks import GaussianEncoder

        return _fully_connected(
            self,
            spec,
            encoder=GaussianEncoder,
            model=ImportanceWeightedAutoencoder,
            samples=self.samples,
        )


@register(
    "wae-mmd",
    title="Wasserstein autoencoder, MMD",
    source="Tolstikhin, Bousquet, Gelly & Schoelkopf (2018), Wasserstein auto-encoders",
)
class Wasserstein(_Likely, _Layered):
    """A plain autoencoder whose codes together, not one by one, are drawn to N(0, I).

    min ||x - g(f(x))||^2 + weight * MMD^2({f(x)}, {draws from N(0, I)}) over a batch.
    """

    prior = True

    weight: float = Field(
        10, ge=0, le=1e6, description="Weight of the distance between codes and prior."
    )

    def n_activations(self, spec: DataSpec, batch_size: int) -> int:
        # Each sample is compared with each of its batch, three times and under seven kernels.
        return super().n_activations(spec, batch_size) + 24 * batch_size

    def build(self, spec: DataSpec) -> Autoencoder:
        from aecore.penalties import LatentMMD

        return _fully_connected(self, spec, penalties={"mmd": LatentMMD(self.weight)})


@register(
    "vq-vae",
    title="Vector-quantised autoencoder",
    source="van den Oord, Vinyals & Kavukcuoglu (2017), Neural discrete representation learning",
)
class VectorQuantised(_Likely, _Layered):
    """The code is made of vectors from a learned codebook: a few symbols instead of numbers.

    ||x - g(e)||^2 + ||sg[z] - e||^2 + commitment * ||z - sg[e]||^2, e the vectors nearest to
    z = f(x), and sg the gradient's stop.
    """

    codebook_size: int = Field(
        64, ge=2, le=8192, description="Vectors in the codebook, to choose each part from."
    )
    vector_dim: int = Field(
        2, ge=1, le=512, description="Numbers in each vector; latent_dim must be a multiple of it."
    )
    commitment: float = Field(
        0.25,
        ge=0,
        le=1e3,
        description="How much codes are held to the vectors that they chose.",
        json_schema_extra=ADVANCED,
    )

    @classmethod
    def defaults(cls, spec: DataSpec) -> dict[str, Any]:
        parts = {"latent_dim": 16} if spec.traits.pictures else {}
        return super().defaults(spec) | parts

    def faults(self, spec: DataSpec) -> dict[str, str]:
        faults = super().faults(spec)
        if self.latent_dim % self.vector_dim:
            faults["vector_dim"] = (
                f"vector_dim = {self.vector_dim} does not divide latent_dim = {self.latent_dim}: "
                "give a multiple of vector_dim for latent_dim."
            )
        return faults

    def n_parameters(self, spec: DataSpec) -> int:
        return super().n_parameters(spec) + self.codebook_size * self.vector_dim

    def n_activations(self, spec: DataSpec, batch_size: int) -> int:
        # The distance of each part of the code to each vector, and the codebook as one of a batch.
        vectors = self.codebook_size * (self.vector_dim + self.latent_dim // self.vector_dim)
        return super().n_activations(spec, batch_size) + vectors

    def build(self, spec: DataSpec) -> Autoencoder:
        from aecore.networks import CodebookEncoder
        from aecore.penalties import Codebook

        return _fully_connected(
            self,
            spec,
            encoder=CodebookEncoder,
            encoder_options={"codebook_size": self.codebook_size, "vector_dim": self.vector_dim},
            penalties={"codebook": Codebook(self.commitment)},
        )


# --- Putting models together --------------------------------------------------------------------


def _n_linear(widths: Sequence[int]) -> int:
    """How many weights and biases linear layers of these widths have."""
    return sum(n_in * n_out + n_out for n_in, n_out in pairwise(widths))


def _n_convolution(channels: Sequence[int]) -> int:
    """The same of convolutions of 3 x 3."""
    return sum(9 * n_in * n_out + n_out for n_in, n_out in pairwise(channels))


def _fully_connected(
    settings: _Layered,
    spec: DataSpec,
    *,
    activation: str | None = None,
    likelihood: str | None = None,
    encoder: Callable[..., Any] | None = None,
    encoder_options: Mapping[str, Any] | None = None,
    model: Callable[..., Autoencoder] | None = None,
    n_classes: int = 0,
    **plug_ins: Any,
) -> Autoencoder:
    """A model of fully connected layers, its decoder the mirror of its encoder.

    What a variant does not have among its settings takes the default of `ae`.
    """
    from aecore.autoencoder import Autoencoder
    from aecore.likelihoods import LIKELIHOODS
    from aecore.networks import ACTIVATION_LAYERS, PointEncoder, mlp, tied_mlp

    encoder, model = encoder or PointEncoder, model or Autoencoder
    activation = activation or settings.activation
    initialization = getattr(settings, "initialization", "glorot")
    dropout = getattr(settings, "dropout", 0)
    inward, outward = settings.widths(spec)
    network = mlp(inward, activation, initialization, dropout)
    if getattr(settings, "tied", False):
        decoder = tied_mlp(network, activation, dropout)
    else:
        decoder = mlp(outward, activation, initialization, dropout)
    if (code_activation := getattr(settings, "code_activation", "identity")) != "identity":
        network.append(ACTIVATION_LAYERS[code_activation]())
    if n_classes:
        plug_ins["n_classes"] = n_classes
    return model(
        encoder=encoder(network, **(encoder_options or {})),
        decoder=decoder,
        likelihood=LIKELIHOODS[likelihood or settings.likelihood],
        **plug_ins,
    )


def _convolutional(
    settings: _Images,
    spec: DataSpec,
    encoder: type[PointEncoder | GaussianEncoder] | None = None,
    **plug_ins: Any,
) -> Autoencoder:
    """A model of convolutions, its decoder the mirror of its encoder."""
    from aecore.autoencoder import Autoencoder
    from aecore.likelihoods import LIKELIHOODS
    from aecore.networks import PointEncoder, convolutional_decoder, convolutional_encoder

    encoder = encoder or PointEncoder
    size, per_dimension = ImageSize(*spec.shape), settings.outputs_per_dimension
    levels = (size, settings.channels, settings.activation, settings.resampling == "strided")
    n_outputs = per_dimension * settings.latent_dim if settings.dense else None
    network = convolutional_encoder(*levels, n_outputs, per_dimension)
    decoder = convolutional_decoder(*levels, settings.latent_dim if settings.dense else None)
    return Autoencoder(
        encoder=encoder(network),
        decoder=decoder,
        likelihood=LIKELIHOODS[settings.likelihood],
        **plug_ins,
    )
