"""The registry of variants: each is its settings, its formula, its source, and how it is composed.

A variant is a frozen settings class with a `build`. Torch is imported inside `build`, because
forms, the command line's help and the lists read the settings without waiting for it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from aecore.datasets import Dataset

if TYPE_CHECKING:
    from aecore.autoencoder import Autoencoder
    from aecore.networks import GaussianEncoder, PointEncoder

Activation = Literal["elu", "relu", "leaky-relu", "gelu", "silu", "sigmoid", "tanh"]
LikelihoodName = Literal["gaussian", "squashed-gaussian", "bernoulli"]


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


class Variant(BaseModel, ABC):
    """Settings that every variant has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    title: ClassVar[str]
    source: ClassVar[str]

    latent_dim: int = Field(
        2, ge=1, le=512, description="Dimensions of the code; 2 can be drawn as it is."
    )
    hidden: Widths = Field(
        (128, 64),
        description="Widths of the encoder's hidden layers, from the data to the code, separated "
        "by commas; the decoder mirrors them. Empty for none.",
    )

    @classmethod
    def summary(cls) -> str:
        """The first sentence of the variant's docstring."""
        return (cls.__doc__ or "").split("\n\n")[0].replace("\n", " ").strip()

    @classmethod
    def defaults(cls, dataset: Dataset) -> dict[str, Any]:
        """The settings whose sensible default depends on the data."""
        return {}

    def faults(self, dataset: Dataset) -> dict[str, str]:
        """What makes these settings impossible for `dataset`: setting -> sentence."""
        if self.latent_dim > dataset.n_features:
            return {
                "latent_dim": f"latent_dim = {self.latent_dim} is wider than the data: "
                f"{dataset.name} has {dataset.n_features} features, so give at most "
                f"{dataset.n_features}."
            }
        return {}

    @abstractmethod
    def build(self, n_features: int) -> Autoencoder:
        """The untrained model for samples of `n_features` features."""


VARIANTS: dict[str, type[Variant]] = {}


def register(name: str, title: str, source: str) -> Callable[[type[Variant]], type[Variant]]:
    """Enter a settings class into the registry under `name`."""

    def enter(variant: type[Variant]) -> type[Variant]:
        variant.name, variant.title, variant.source = name, title, source
        VARIANTS[name] = variant
        return variant

    return enter


class _Likely(Variant):
    """Settings of the variants that let the person choose the likelihood."""

    activation: Activation = Field(
        "elu", description="Function between the layers; the code and the output have none."
    )
    likelihood: LikelihoodName = Field(
        "gaussian",
        description="How reconstructions are scored: 'gaussian' is squared error of a linear "
        "output, 'squashed-gaussian' squared error of a sigmoid output, 'bernoulli' cross-entropy "
        "of a sigmoid output. The last two need data in [0, 1].",
    )

    def faults(self, dataset: Dataset) -> dict[str, str]:
        faults = super().faults(dataset)
        if self.likelihood != "gaussian" and dataset.value_range != (0, 1):
            faults["likelihood"] = (
                f"likelihood = '{self.likelihood}' needs data in [0, 1], and {dataset.name} is "
                "standardised: choose 'gaussian'."
            )
        return faults


@register(
    "linear",
    title="Linear autoencoder",
    source="Baldi & Hornik (1989), Neural networks and principal component analysis",
)
class Linear(Variant):
    """Only linear layers, trained on squared error: it learns the plane that PCA computes.

    min_W,V ||x - V W x||^2, reached where V W projects onto the leading principal components.
    """

    hidden: Widths = Field(
        (),
        description="Widths of further linear layers, separated by commas. As long as none is "
        "narrower than the code, they change how it trains, not what it can represent.",
    )

    def build(self, n_features: int) -> Autoencoder:
        return _compose(self, n_features, "identity", "gaussian")


@register(
    "ae",
    title="Deep autoencoder",
    source="Hinton & Salakhutdinov (2006), Reducing the dimensionality of data with neural "
    "networks",
)
class Deep(_Likely):
    """A plain autoencoder of any depth: a bent surface where PCA has a flat one.

    min ||x - g(f(x))||^2 over encoder f and decoder g, or cross-entropy for data in [0, 1].
    """

    @classmethod
    def defaults(cls, dataset: Dataset) -> dict[str, Any]:
        return {"likelihood": "squashed-gaussian"} if dataset.value_range == (0, 1) else {}

    def build(self, n_features: int) -> Autoencoder:
        return _compose(self, n_features, self.activation, self.likelihood)


@register(
    "vae",
    title="Variational autoencoder",
    source="Kingma & Welling (2014), Auto-encoding variational Bayes",
)
class Variational(_Likely):
    """A code that is a Gaussian, kept near N(0, I), so that the space between samples decodes.

    Negative ELBO: -E_q[log p(x|z)] + KL(q(z|x) || N(0, I)), both summed, in nats a sample.
    """

    @classmethod
    def defaults(cls, dataset: Dataset) -> dict[str, Any]:
        return {"likelihood": "bernoulli"} if dataset.value_range == (0, 1) else {}

    def build(self, n_features: int) -> Autoencoder:
        from aecore.networks import GaussianEncoder
        from aecore.penalties import LatentKL

        return _compose(
            self,
            n_features,
            self.activation,
            self.likelihood,
            encoder=GaussianEncoder,
            penalties={"kl": LatentKL()},
        )


def _compose(
    settings: Variant,
    n_features: int,
    activation: str,
    likelihood: str,
    encoder: type[PointEncoder | GaussianEncoder] | None = None,
    **plug_ins: Any,
) -> Autoencoder:
    """An `Autoencoder` of fully connected layers, its decoder the mirror of its encoder."""
    from aecore.autoencoder import Autoencoder
    from aecore.likelihoods import LIKELIHOODS
    from aecore.networks import PointEncoder, mlp

    encoder = encoder or PointEncoder
    inward = [n_features, *settings.hidden]
    n_outputs = encoder.outputs_per_dimension * settings.latent_dim
    return Autoencoder(
        encoder=encoder(mlp([*inward, n_outputs], activation)),
        decoder=mlp([settings.latent_dim, *reversed(inward)], activation),
        likelihood=LIKELIHOODS[likelihood],
        **plug_ins,
    )
