"""Linear, deep, sparse, denoising and contractive autoencoders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from aecore import models
from aecore.models.variants.base import (
    ACTIVATIONS,
    CodeActivation,
    CodeSettings,
    LayerSettings,
    NoiseSettings,
    Widths,
    fully_connected,
    n_linear,
    register,
)
from aecore.settings import ADVANCED, titles

if TYPE_CHECKING:
    from torch import Tensor

    from aecore.data.spec import DataSpec
    from aecore.models.autoencoder import Autoencoder
    from aecore.models.pretraining import Stage


@register(
    "linear",
    title="Linear autoencoder",
    source="Baldi & Hornik (1989), Neural networks and principal component analysis",
)
class Linear(LayerSettings):
    """Linear autoencoder: only linear layers and squared error, which learn the plane of PCA.

    min_W,V ||x - V W x||^2, reached where V W projects onto the leading principal components.
    """

    hidden: Widths = Field(
        (),
        title="Hidden layers",
        description="Widths of further linear layers, separated by commas. As long as none is "
        "narrower than the code, they change how it trains, not what it can represent.",
    )

    def build(self, spec: DataSpec) -> Autoencoder:
        return fully_connected(self, spec)


@register(
    "ae",
    title="Plain autoencoder",
    source="Hinton & Salakhutdinov (2006), Reducing the dimensionality of data with neural "
    "networks",
)
class Deep(CodeSettings):
    """Plain autoencoder of any depth: a curved surface where PCA has a flat one.

    min ||x - g(f(x))||^2 over encoder f and decoder g, or cross-entropy for data in [0, 1].
    """

    tied: bool = Field(
        False,
        title="Tied weights",
        description="The decoder uses the encoder's weights, transposed.",
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
        title="Weight decay",
        description="This times half the sum of the squared weights is added to the loss.",
        json_schema_extra=ADVANCED,
    )
    pretraining: Annotated[
        Literal["none", "greedy", "rbm"],
        titles(greedy="Greedy autoencoders", rbm="Boltzmann machines"),
    ] = Field(
        "none",
        description="What happens before: 'greedy' trains each layer as a small autoencoder of the "
        "layer before, 'rbm' as a restricted Boltzmann machine; then all are trained together.",
        json_schema_extra=ADVANCED,
    )
    pretraining_epochs: int = Field(
        5,
        ge=1,
        le=1000,
        title="Epochs of pretraining",
        description="Passes over the training split for each layer of the pretraining.",
        json_schema_extra=ADVANCED,
    )

    def problems(self, spec: DataSpec) -> dict[str, str]:
        problems = super().problems(spec)
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
                problems["pretraining"] = f"pretraining = 'rbm' needs {'; and '.join(reasons)}."
        return problems

    def n_parameters(self, spec: DataSpec) -> int:
        inward, outward = self.widths(spec)
        # Of the decoder only the biases are its own.
        return n_linear(inward) + (sum(outward[1:]) if self.tied else n_linear(outward))

    def build(self, spec: DataSpec) -> Autoencoder:
        penalties = {"l2": models.penalties.WeightL2(self.l2)} if self.l2 else {}
        return fully_connected(self, spec, penalties=penalties)

    def pretrain(self, model: Autoencoder, x: Tensor, stage: Stage) -> None:
        if self.pretraining != "none":
            models.pretraining.PRETRAINING[self.pretraining](
                model, x, self.pretraining_epochs, stage
            )


@register(
    "sparse-l1",
    title="Sparse autoencoder, L1",
    source="Ranzato, Poultney, Chopra & LeCun (2007), Efficient learning of sparse "
    "representations with an energy-based model",
)
class SparseL1(CodeSettings):
    """Sparse autoencoder: an L1 penalty makes few of many code units active for each sample.

    min ||x - g(h)||^2 + weight * sum_j |h_j|, h = f(x).
    """

    overcomplete = True

    code_activation: Annotated[CodeActivation, ACTIVATIONS] = Field(
        "relu",
        title="Activation of the code",
        description="Function that makes the code; 'relu' can switch units off altogether.",
    )
    weight: float = Field(
        0.1,
        ge=0,
        le=1e6,
        title="Weight of the penalty",
        description="Cost of one unit of activation, beside the summed error.",
    )

    def build(self, spec: DataSpec) -> Autoencoder:
        return fully_connected(
            self, spec, penalties={"sparsity": models.penalties.CodeL1(self.weight)}
        )


@register(
    "sparse-kl",
    title="Sparse autoencoder, KL",
    source="Lee, Ekanadham & Ng (2008), Sparse deep belief net model for visual area V2; Ng "
    "(2011), CS294A lecture notes",
)
class SparseKL(CodeSettings):
    """Sparse autoencoder: a KL penalty holds the mean activation of each code unit at a target.

    min ||x - g(h)||^2 + weight * sum_j KL(target || mean of h_j), h = sigmoid(f(x)).
    """

    overcomplete = True

    code_activation: Annotated[CodeActivation, ACTIVATIONS] = Field(
        "sigmoid",
        title="Activation of the code",
        description="Function that makes the code; the divergence needs 'sigmoid'.",
    )
    target: float = Field(
        0.1,
        gt=0,
        lt=1,
        title="Target activity",
        description="Mean activation that every unit of the code is drawn to.",
    )
    weight: float = Field(
        10,
        ge=0,
        le=1e6,
        title="Weight of the penalty",
        description="Weight of the divergence, beside the summed error.",
    )

    def problems(self, spec: DataSpec) -> dict[str, str]:
        problems = super().problems(spec)
        if self.code_activation != "sigmoid":
            problems["code_activation"] = (
                f"code_activation = '{self.code_activation}' leaves (0, 1), where alone the "
                "KL divergence of activations is defined: choose 'sigmoid', or variant 'sparse-l1'."
            )
        return problems

    def build(self, spec: DataSpec) -> Autoencoder:
        penalty = models.penalties.SparsityKL(self.target, self.weight)
        return fully_connected(self, spec, penalties={"sparsity": penalty})


@register(
    "denoising",
    title="Denoising autoencoder",
    source="Vincent, Larochelle, Bengio & Manzagol (2008), Extracting and composing robust "
    "features with denoising autoencoders",
)
class Denoising(NoiseSettings, CodeSettings):
    """Denoising autoencoder: reconstructs the clean input from a corrupted one.

    min E ||x - g(f(x + noise))||^2, the noise drawn anew for every batch.
    """

    def build(self, spec: DataSpec) -> Autoencoder:
        return fully_connected(self, spec, corruption=self.corruption())


@register(
    "contractive",
    title="Contractive autoencoder",
    source="Rifai, Vincent, Muller, Glorot & Bengio (2011), Contractive auto-encoders: explicit "
    "invariance during feature extraction",
)
class Contractive(CodeSettings):
    """Contractive autoencoder: a penalty on the encoder's Jacobian makes the code robust.

    min ||x - g(f(x))||^2 + weight * ||df/dx||_F^2.
    """

    overcomplete = True

    code_activation: Annotated[CodeActivation, ACTIVATIONS] = Field(
        "identity",
        title="Activation of the code",
        description="Function that makes the code; 'sigmoid', as in the source, keeps the decoder "
        "from scaling a shrunken code up again, and saturates where the code has few units.",
    )
    weight: float = Field(
        0.1,
        ge=0,
        le=1e6,
        title="Weight of the penalty",
        description="Weight of the squared Jacobian, beside the summed error.",
    )
    jacobian: Literal["hutchinson", "closed-form", "exact"] = Field(
        "hutchinson",
        title="Estimate of the Jacobian",
        description="How the Jacobian's norm is found: 'hutchinson' estimates it for any encoder, "
        "'closed-form' holds for one sigmoid layer (hidden empty), 'exact' is slow.",
    )

    def problems(self, spec: DataSpec) -> dict[str, str]:
        problems = super().problems(spec)
        if self.jacobian == "closed-form" and (self.hidden or self.code_activation != "sigmoid"):
            problems["jacobian"] = (
                "jacobian = 'closed-form' holds for one sigmoid layer alone: leave hidden empty "
                "and set code_activation to 'sigmoid', or choose 'hutchinson'."
            )
        return problems

    def n_activations(self, spec: DataSpec, batch_size: int) -> int:
        # Derivatives of the encoder are held beside it, the exact ones for each unit of the code.
        inward, _ = self.widths(spec)
        directions = self.latent_dim if self.jacobian == "exact" else 1
        return super().n_activations(spec, batch_size) + 4 * directions * sum(inward)

    def build(self, spec: DataSpec) -> Autoencoder:
        penalty = models.penalties.Contraction(self.weight, self.jacobian)
        return fully_connected(self, spec, penalties={"contraction": penalty})
