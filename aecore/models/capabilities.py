"""Capabilities of a model: what a run can do, declared once and asked by every page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from aecore.errors import InvalidRequest, printable

LikelihoodName = Literal["gaussian", "squashed-gaussian", "bernoulli"]
Noise = Literal["gaussian", "masking", "salt-and-pepper", "dropout"]
Part = Literal["encode", "decode"]
PARTS: dict[Part, str] = {"encode": "encoder", "decode": "decoder"}
"""The part of a model that each capability needs."""
WIDEST_CODE = 8_192
"""Dimensions of a code that was made elsewhere."""
MAX_ONNX = 512 * 2**20
"""Bytes of a file of a model that was made elsewhere."""


class CorruptionSettings(NamedTuple):
    """Corruption that a denoising model was trained with."""

    noise: Noise
    level: float
    clip: bool


@dataclass(frozen=True)
class Capabilities:
    """Capabilities of a trained model and how it was trained, declared by its settings."""

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
    trainable: bool = True
    """Whether its settings are those of a variant, so that it can be trained again."""
    corruption: CorruptionSettings | None = None
    """What is done to its input in training."""

    def lack(self, name: str, use: str, *needed: Part) -> str:
        """Sentence on what a use needs and the run `name` has not; empty where it has all.

        >>> Capabilities(decode=False).lack("theirs", "Denoising", "encode", "decode")
        "Denoising needs an encoder and a decoder, and the run 'theirs' has no decoder."
        """
        absent = [PARTS[part] for part in needed if not getattr(self, part)]
        if not absent:
            return ""
        asked = " and ".join(_with_article(PARTS[part]) for part in needed)
        lacking = " and no ".join(absent)
        return f"{use} needs {asked}, and the run '{printable(name)}' has no {lacking}."

    def refuse(self, name: str, use: str, *needed: Part) -> None:
        """Raise `InvalidRequest` if a use needs what the run `name` has not."""
        if sentence := self.lack(name, use, *needed):
            raise InvalidRequest(sentence)


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
