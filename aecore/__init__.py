"""The engine of Latent Loupe: autoencoders, latent maps and quality measures of both.

Imports go one way between its packages, and no module before `viewer` and `plots` imports a user
interface library::

    data -> models -> training -> projections -> runs -> latent -> applications -> recipes -> jobs

`aecore.Autoencoder` is the scikit-learn estimator over all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aecore.estimator import Autoencoder as Autoencoder


def __getattr__(name: str) -> Any:
    # Lazily, because scikit-learn and torch take seconds to load.
    if name == "Autoencoder":
        from aecore.estimator import Autoencoder

        return Autoencoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
