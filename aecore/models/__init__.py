"""Models: contracts, networks, likelihoods, corruptions, penalties, variants, inference."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aecore.models import autoencoder as autoencoder
    from aecore.models import contracts as contracts
    from aecore.models import corruptions as corruptions
    from aecore.models import inference as inference
    from aecore.models import likelihoods as likelihoods
    from aecore.models import networks as networks
    from aecore.models import penalties as penalties
    from aecore.models import pretraining as pretraining

# Torch takes over a second to load, so what needs it is imported when it is first used.
HEAVY = {
    "autoencoder",
    "contracts",
    "corruptions",
    "inference",
    "likelihoods",
    "networks",
    "penalties",
    "pretraining",
}


def __getattr__(name: str) -> Any:
    if name in HEAVY:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
