"""Wasserstein and vector-quantised autoencoders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from aecore import models
from aecore.models.variants.base import LayerSettings, LikelihoodSettings, fully_connected, register
from aecore.settings import ADVANCED

if TYPE_CHECKING:
    from aecore.data.spec import DataSpec
    from aecore.models.autoencoder import Autoencoder


@register(
    "wae-mmd",
    title="Wasserstein autoencoder, MMD",
    source="Tolstikhin, Bousquet, Gelly & Schoelkopf (2018), Wasserstein auto-encoders",
)
class Wasserstein(LikelihoodSettings, LayerSettings):
    """Wasserstein autoencoder: an MMD penalty draws the codes of a batch, as a whole, to N(0, I).

    min ||x - g(f(x))||^2 + weight * MMD^2({f(x)}, {draws from N(0, I)}) over a batch.
    """

    prior = True

    weight: float = Field(
        10,
        ge=0,
        le=1e6,
        title="Weight of the penalty",
        description="Weight of the distance between codes and prior.",
    )

    def n_activations(self, spec: DataSpec, batch_size: int) -> int:
        # Each sample is compared with each of its batch, three times and under seven kernels.
        return super().n_activations(spec, batch_size) + 24 * batch_size

    def build(self, spec: DataSpec) -> Autoencoder:
        return fully_connected(
            self, spec, penalties={"mmd": models.penalties.LatentMMD(self.weight)}
        )


@register(
    "vq-vae",
    title="Vector-quantised autoencoder",
    source="van den Oord, Vinyals & Kavukcuoglu (2017), Neural discrete representation learning",
)
class VectorQuantised(LikelihoodSettings, LayerSettings):
    """Vector-quantised autoencoder: the code is composed of vectors from a learned codebook.

    ||x - g(e)||^2 + ||sg[z] - e||^2 + commitment * ||z - sg[e]||^2, e the vectors nearest to
    z = f(x), and sg the gradient's stop.
    """

    codebook_size: int = Field(
        64, ge=2, le=8192, description="Vectors in the codebook, to choose each part from."
    )
    vector_dim: int = Field(
        2,
        ge=1,
        le=512,
        title="Size of a code vector",
        description="Numbers in each vector; latent_dim must be a multiple of it.",
    )
    commitment: float = Field(
        0.25,
        ge=0,
        le=1e3,
        title="Weight of the commitment",
        description="Weight of the squared distance between codes and the vectors that they chose.",
        json_schema_extra=ADVANCED,
    )

    @classmethod
    def defaults(cls, spec: DataSpec) -> dict[str, Any]:
        parts = {"latent_dim": 16} if spec.traits.pictures else {}
        return super().defaults(spec) | parts

    def problems(self, spec: DataSpec) -> dict[str, str]:
        problems = super().problems(spec)
        if self.latent_dim % self.vector_dim:
            problems["vector_dim"] = (
                f"vector_dim = {self.vector_dim} does not divide latent_dim = {self.latent_dim}: "
                "give a multiple of vector_dim for latent_dim."
            )
        return problems

    def n_parameters(self, spec: DataSpec) -> int:
        return super().n_parameters(spec) + self.codebook_size * self.vector_dim

    def n_activations(self, spec: DataSpec, batch_size: int) -> int:
        # The distance of each part of the code to each vector, and the codebook as one of a batch.
        vectors = self.codebook_size * (self.vector_dim + self.latent_dim // self.vector_dim)
        return super().n_activations(spec, batch_size) + vectors

    def build(self, spec: DataSpec) -> Autoencoder:
        return fully_connected(
            self,
            spec,
            encoder=models.networks.CodebookEncoder,
            encoder_options={"codebook_size": self.codebook_size, "vector_dim": self.vector_dim},
            penalties={"codebook": models.penalties.Codebook(self.commitment)},
        )
