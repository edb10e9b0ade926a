"""Variational autoencoders: plain, beta, conditional and importance-weighted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from aecore import models
from aecore.models.variants.base import (
    BernoulliSettings,
    Capabilities,
    LayerSettings,
    fully_connected,
    register,
)
from aecore.settings import WITHIN_TRAINING

if TYPE_CHECKING:
    from aecore.data.spec import DataSpec
    from aecore.models.autoencoder import Autoencoder


@register(
    "vae",
    title="Variational autoencoder",
    source="Kingma & Welling (2014), Auto-encoding variational Bayes",
)
class Variational(BernoulliSettings, LayerSettings):
    """Variational autoencoder: a Gaussian code near N(0, I), so that new codes can be decoded.

    Negative ELBO: -E_q[log p(x|z)] + KL(q(z|x) || N(0, I)), both summed, in nats a sample.
    """

    def build(self, spec: DataSpec) -> Autoencoder:
        return fully_connected(
            self,
            spec,
            encoder=models.networks.GaussianEncoder,
            penalties={"kl": models.penalties.LatentKL()},
        )


@register(
    "beta-vae",
    title="Beta-VAE",
    source="Higgins and others (2017), beta-VAE: learning basic visual concepts with a "
    "constrained variational framework",
)
class BetaVariational(BernoulliSettings, LayerSettings):
    """Variational autoencoder whose KL term is weighted by beta, which disentangles dimensions.

    -E_q[log p(x|z)] + beta * KL(q(z|x) || N(0, I)); for beta = 1 the negative ELBO.
    """

    beta: float = Field(
        2,
        ge=0,
        le=1e4,
        title="Weight of the KL term",
        description="Weight of the KL; 1 is the plain VAE, and a large one on small images leaves "
        "the code unused.",
    )
    warm_up: int = Field(
        0,
        ge=0,
        le=10_000,
        title="Epochs of warm-up",
        description="Epochs over which the weight grows from 0 to beta; no more than are trained.",
        json_schema_extra=WITHIN_TRAINING,
    )

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, kl_weight=self.beta)

    def build(self, spec: DataSpec) -> Autoencoder:
        penalties = {"kl": models.penalties.LatentKL(self.beta, self.warm_up)}
        return fully_connected(
            self, spec, encoder=models.networks.GaussianEncoder, penalties=penalties
        )


@register(
    "cvae",
    title="Conditional variational autoencoder",
    source="Sohn, Lee & Yan (2015), Learning structured output representation using deep "
    "conditional generative models",
)
class ConditionalVariational(BernoulliSettings, LayerSettings):
    """Conditional variational autoencoder: encoder and decoder see the label beside the sample.

    -E_q(z|x,y)[log p(x|z,y)] + KL(q(z|x,y) || N(0, I)), the label y one-hot beside x and z.
    """

    conditioned = True

    def problems(self, spec: DataSpec) -> dict[str, str]:
        problems = super().problems(spec)
        if not spec.label_names:
            problems["variant"] = (
                f"variant = 'cvae' is conditioned on the label, and {spec.name} has no classes: "
                "give labels (y), or choose variant 'vae'."
            )
        return problems

    def build(self, spec: DataSpec) -> Autoencoder:
        return fully_connected(
            self,
            spec,
            encoder=models.networks.GaussianEncoder,
            penalties={"kl": models.penalties.LatentKL()},
            n_classes=spec.n_classes,
        )


@register(
    "iwae",
    title="Importance-weighted autoencoder",
    source="Burda, Grosse & Salakhutdinov (2016), Importance weighted autoencoders",
)
class ImportanceWeighted(BernoulliSettings, LayerSettings):
    """Importance-weighted autoencoder: a variational one with a tighter bound of several draws.

    -E[log 1/K sum_k p(x|z_k) p(z_k) / q(z_k|x)], z_k ~ q(z|x); for K = 1 the negative ELBO.
    """

    samples: int = Field(5, ge=1, le=100, description="Draws K for each sample; 1 is the ELBO.")

    @property
    def n_decoded(self) -> int:
        return self.samples

    def build(self, spec: DataSpec) -> Autoencoder:
        return fully_connected(
            self,
            spec,
            encoder=models.networks.GaussianEncoder,
            model=models.autoencoder.ImportanceWeightedAutoencoder,
            samples=self.samples,
        )
