"""Models: contracts, networks, likelihoods, corruptions, penalties, variants, inference."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aecore.models import (
        autoencoder as autoencoder,
        contracts as contracts,
        corruptions as corruptions,
        inference as inference,
        likelihoods as likelihoods,
        networks as networks,
        onnx as onnx,
        penalties as penalties,
        pretraining as pretraining,
    )

# Torch takes over a second to load, so what needs it is imported when it is first used.
HEAVY = {
    "autoencoder",
    "contracts",
    "corruptions",
    "inference",
    "likelihoods",
    "networks",
    "onnx",
    "penalties",
    "pretraining",
}


def __getattr__(name: str) -> Any:
    if name in HEAVY:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
