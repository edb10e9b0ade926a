"""Variants: the base class, the registry, and settings that several variants share.

A variant is a frozen settings class with a `build`. What needs torch is reached inside `build`,
through the package `aecore.models`, because forms, the command line and the lists read the settings
without waiting for it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from aecore import models
from aecore.data.modalities import MODALITIES
from aecore.models.capabilities import (
    Capabilities as Capabilities,
    CorruptionSettings as CorruptionSettings,
    LikelihoodName as LikelihoodName,
    Noise as Noise,
)
from aecore.settings import ADVANCED, titles

if TYPE_CHECKING:
    from torch import Tensor

    from aecore.data.spec import DataSpec
    from aecore.models.autoencoder import Autoencoder
    from aecore.models.contracts import Corruption
    from aecore.models.pretraining import Stage


Activation = Literal["elu", "relu", "leaky-relu", "gelu", "silu", "sigmoid", "tanh"]
CodeActivation = Literal["identity", "relu", "sigmoid", "tanh"]
Initialization = Literal["glorot", "he"]

ACTIVATIONS = titles(
    elu="ELU", relu="ReLU", leaky_relu="Leaky ReLU", gelu="GELU", silu="SiLU", identity="None"
)
LIKELIHOODS = titles(
    gaussian="Squared error",
    squashed_gaussian="Squared, sigmoid",
    bernoulli="Cross-entropy",
)


def _split(widths: Any) -> Any:
    """Parse "512, 128", as typed in a form or on the command line, into (512, 128)."""
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


class Variant(BaseModel, ABC):
    """Base class of variants: common settings, validation and construction of the model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    title: ClassVar[str]
    source: ClassVar[str]
    requires: ClassVar[tuple[str, ...]] = tuple(MODALITIES)
    """The modalities of data that it can learn."""
    unsupported: ClassVar[dict[str, str]] = {}
    """Settings of other variants that this one refuses: setting -> reason."""
    overcomplete: ClassVar[bool] = False
    """Whether a regulariser other than a narrow code prevents copying of the input."""
    conditioned: ClassVar[bool] = False
    """Whether its encoder and decoder read the label."""
    prior: ClassVar[bool] = False
    """Whether its training draws the codes towards N(0, I)."""
    imported: ClassVar[bool] = False
    """Whether its models were made elsewhere."""
    widths_setting: ClassVar[str]
    """The setting that says how wide its layers are."""
    outputs_per_dimension: ClassVar[int] = 1
    """Numbers that its encoder gives for each dimension of the code: 2 where that is a Gaussian."""

    latent_dim: int = Field(
        2,
        ge=1,
        le=8192,
        title="Code size",
        description="Dimensions of the code; 2 can be drawn as it is.",
    )

    @classmethod
    def summary(cls) -> str:
        """First sentence of the variant's docstring."""
        return (cls.__doc__ or "").split("\n\n")[0].replace("\n", " ").strip()

    @classmethod
    def defaults(cls, spec: DataSpec) -> dict[str, Any]:
        """Default values of the settings that depend on the data."""
        return {}

    def problems(self, spec: DataSpec) -> dict[str, str]:
        """Settings that are impossible for a dataset: setting -> sentence."""
        if self.latent_dim > spec.n_features and not self.overcomplete:
            return {
                "latent_dim": f"latent_dim = {self.latent_dim} is wider than the data: "
                f"{spec.name} has n_features = {spec.n_features}, so give at most "
                f"{spec.n_features}."
            }
        return {}

    @property
    def capabilities(self) -> Capabilities:
        """Capabilities of a model of these settings."""
        return Capabilities(
            posterior=self.outputs_per_dimension == 2,
            prior=self.prior,
            conditioned=self.conditioned,
        )

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files that hold the model in the folder of its run."""
        return ("weights.safetensors",)

    @abstractmethod
    def build(self, spec: DataSpec) -> Autoencoder:
        """Build the untrained model for a data specification."""

    @abstractmethod
    def n_parameters(self, spec: DataSpec) -> int:
        """Number of trainable parameters of the model of `build`, without building it."""

    @abstractmethod
    def n_activations(self, spec: DataSpec, batch_size: int) -> int:
        """Approximate number of activations per sample in a training step, parameters excluded."""

    def pretrain(self, model: Autoencoder, x: Tensor, stage: Stage) -> None:
        """Pretrain the untrained model; most variants have no pretraining."""


VARIANTS: dict[str, type[Variant]] = {}


def register(name: str, title: str, source: str) -> Callable[[type[Variant]], type[Variant]]:
    """Decorator that adds a settings class to the registry under `name`."""

    def enter(variant: type[Variant]) -> type[Variant]:
        variant.name, variant.title, variant.source = name, title, source
        VARIANTS[name] = variant
        return variant

    return enter


class LayerSettings(Variant):
    """Settings of fully connected layers."""

    widths_setting = "hidden"

    hidden: Widths = Field(
        (128, 64),
        title="Hidden layers",
        description="Widths of the encoder's hidden layers, from the data to the code, separated "
        "by commas; the decoder mirrors them. Empty for none.",
    )

    def widths(self, spec: DataSpec) -> tuple[list[int], list[int]]:
        """Layer widths of the encoder and of the decoder, input and output included."""
        label_width = spec.n_classes if self.conditioned else 0
        n_outputs = self.outputs_per_dimension * self.latent_dim
        return (
            [spec.n_features + label_width, *self.hidden, n_outputs],
            [self.latent_dim + label_width, *reversed(self.hidden), spec.n_features],
        )

    def n_parameters(self, spec: DataSpec) -> int:
        return sum(n_linear(widths) for widths in self.widths(spec))

    def n_activations(self, spec: DataSpec, batch_size: int) -> int:
        # Each layer is held before and after its activation.
        inward, outward = self.widths(spec)
        return 2 * (sum(inward) + self.n_decoded * sum(outward))

    @property
    def n_decoded(self) -> int:
        """Number of codes per sample that a training step decodes."""
        return 1


class LikelihoodSettings(Variant):
    """Setting of the likelihood."""

    activation: Annotated[Activation, ACTIVATIONS] = Field(
        "elu", description="Function between the layers; the code and the output have none."
    )
    likelihood: Annotated[LikelihoodName, LIKELIHOODS] = Field(
        "gaussian",
        title="Output and loss",
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

    def problems(self, spec: DataSpec) -> dict[str, str]:
        problems = super().problems(spec)
        if self.likelihood != "gaussian" and not spec.in_unit_range:
            problems["likelihood"] = (
                f"likelihood = '{self.likelihood}' needs data in [0, 1], and {spec.name} has "
                "values outside of it: choose 'gaussian'."
            )
        return problems


class BernoulliSettings(LikelihoodSettings):
    """Settings of a Gaussian code; data in [0, 1] are scored by cross-entropy by default."""

    outputs_per_dimension = 2
    prior = True

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, kl_weight=1)

    @classmethod
    def defaults(cls, spec: DataSpec) -> dict[str, Any]:
        in_range = {"likelihood": "bernoulli"} if spec.in_unit_range else {}
        return super().defaults(spec) | in_range


class CodeSettings(LikelihoodSettings, LayerSettings):
    """Settings of fully connected layers with a point code and its own activation."""

    code_activation: Annotated[CodeActivation, ACTIVATIONS] = Field(
        "identity",
        title="Activation of the code",
        description="Function that makes the code out of the encoder's last layer.",
        json_schema_extra=ADVANCED,
    )
    initialization: Initialization = Field(
        "glorot",
        title="Initial weights",
        description="How weights start: Glorot-uniform, or He-normal for ReLU and ELU.",
        json_schema_extra=ADVANCED,
    )


class NoiseSettings(Variant):
    """Settings of the corruption of the encoder's input in training."""

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
        title="Noise level",
        description="Standard deviation of Gaussian noise, else the fraction of features hit.",
    )
    clip: bool = Field(
        False,
        title="Cut noise off at 0 and 1",
        description="Whether Gaussian noise is cut off at 0 and 1; for data in [0, 1].",
    )

    def problems(self, spec: DataSpec) -> dict[str, str]:
        problems = super().problems(spec)
        for setting, asked in (
            ("noise", self.noise == "salt-and-pepper" and "noise = 'salt-and-pepper'"),
            ("clip", self.clip and "clip = True"),
        ):
            if asked and not spec.in_unit_range:
                problems[setting] = (
                    f"{asked} needs data in [0, 1], and {spec.name} has values outside of it: "
                    "choose noise = 'gaussian' without clip, or 'masking'."
                )
        if self.clip and self.noise != "gaussian":
            problems["clip"] = f"clip = True cuts off Gaussian noise, and noise is '{self.noise}'."
        return problems

    @property
    def capabilities(self) -> Capabilities:
        noise = CorruptionSettings(self.noise, self.level, self.clip)
        return replace(super().capabilities, corruption=noise)

    def corruption(self) -> Corruption:
        """The corruption of these settings."""
        if self.noise == "gaussian":
            return models.corruptions.GaussianNoise(self.level, self.clip)
        return models.corruptions.CORRUPTIONS[self.noise](self.level)


def n_linear(widths: Sequence[int]) -> int:
    """Number of weights and biases of linear layers of these widths."""
    return sum(n_in * n_out + n_out for n_in, n_out in pairwise(widths))


def n_convolution(channels: Sequence[int]) -> int:
    """Number of weights and biases of 3 x 3 convolutions."""
    return sum(9 * n_in * n_out + n_out for n_in, n_out in pairwise(channels))


def fully_connected(
    settings: LayerSettings,
    spec: DataSpec,
    *,
    encoder: Callable[..., Any] | None = None,
    encoder_options: Mapping[str, Any] | None = None,
    model: Callable[..., Autoencoder] | None = None,
    n_classes: int = 0,
    **plug_ins: Any,
) -> Autoencoder:
    """Build a model of fully connected layers whose decoder mirrors its encoder.

    A setting that the variant lacks is left out: layers without activation, squared error.
    """
    encoder = encoder or models.networks.PointEncoder
    model = model or models.autoencoder.Autoencoder
    activation = getattr(settings, "activation", "identity")
    initialization = getattr(settings, "initialization", "glorot")
    dropout = getattr(settings, "dropout", 0)
    inward, outward = settings.widths(spec)
    network = models.networks.mlp(inward, activation, initialization, dropout)
    if getattr(settings, "tied", False):
        decoder = models.networks.tied_mlp(network, activation, dropout)
    else:
        decoder = models.networks.mlp(outward, activation, initialization, dropout)
    if (code_activation := getattr(settings, "code_activation", "identity")) != "identity":
        network.append(models.networks.ACTIVATION_LAYERS[code_activation]())
    if n_classes:
        plug_ins["n_classes"] = n_classes
    return model(
        encoder=encoder(network, **(encoder_options or {})),
        decoder=decoder,
        likelihood=models.likelihoods.LIKELIHOODS[getattr(settings, "likelihood", "gaussian")],
        **plug_ins,
    )
