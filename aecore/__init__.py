"""The engine of Latent Loupe: autoencoders, latent maps and quality measures of both.

Imports go one way between its packages, and no module before `viewer` and `plots` imports a user
interface library::

    data -> models -> training -> projections -> runs -> latent -> applications -> recipes -> jobs

`aecore.Autoencoder` is the scikit-learn estimator over all of it, `aecore.load_run` gives a stored
run as one, and `aecore.add_model` stores torch modules as a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aecore.estimator import (
        Autoencoder as Autoencoder,
        add_model as add_model,
        load_run as load_run,
    )


def __getattr__(name: str) -> Any:
    # Lazily, because scikit-learn and torch take seconds to load.
    if name in ("Autoencoder", "add_model", "load_run"):
        from aecore import estimator

        return getattr(estimator, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
