"""Models that were made elsewhere; no variant of the registry, because none is trained here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator

from aecore.errors import InvalidRequest
from aecore.models.capabilities import Capabilities
from aecore.models.variants.base import VARIANTS, Variant

if TYPE_CHECKING:
    from aecore.data.spec import DataSpec

ENCODER, DECODER = "encoder.onnx", "decoder.onnx"
"""Names of the files of an imported model in the folder of its run."""


class Imported(Variant):
    """Encoder and decoder that were made elsewhere, one of the two, or codes alone."""

    name: ClassVar[str] = "imported"
    title: ClassVar[str] = "Imported"
    source: ClassVar[str] = "Made elsewhere"
    imported: ClassVar[bool] = True
    overcomplete: ClassVar[bool] = True
    widths_setting: ClassVar[str] = "latent_dim"

    encoder: bool = Field(False, description="Whether there is an encoder.")
    decoder: bool = Field(False, description="Whether there is a decoder.")
    posterior: bool = Field(
        False, description="Whether the encoder gives the mean and log-variance of a Gaussian."
    )

    @field_validator("posterior")
    @classmethod
    def _of_an_encoder(cls, posterior: bool, known: Any) -> bool:
        if posterior and not known.data.get("encoder"):
            raise ValueError("needs an encoder")
        return posterior

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            encode=self.encoder, decode=self.decoder, posterior=self.posterior, trainable=False
        )

    @property
    def files(self) -> tuple[str, ...]:
        return (ENCODER,) * self.encoder + (DECODER,) * self.decoder

    def build(self, spec: DataSpec) -> Any:
        raise InvalidRequest("An imported model is not trained here: choose a variant.")

    def n_parameters(self, spec: DataSpec) -> int:
        return 0

    def n_activations(self, spec: DataSpec, batch_size: int) -> int:
        return 0


def kind_of(name: str) -> type[Variant] | None:
    """Settings class of a run's model: of a variant, or of imported ones; None if unknown."""
    return Imported if name == Imported.name else VARIANTS.get(name)
