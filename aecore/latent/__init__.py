"""Latent space of a run: analysis, reliability, support, posterior, sampling and paths."""

from __future__ import annotations

from aecore.latent.alignment import compare as compare
from aecore.latent.analysis import (
    Analyse as Analyse,
    Analysis as Analysis,
    analyse as analyse,
    analysis_artifact as analysis_artifact,
    codes_of_training as codes_of_training,
    negative_elbo as negative_elbo,
    plane_of_run as plane_of_run,
    refuse_changed as refuse_changed,
    refuse_unless_answered as refuse_unless_answered,
    refuse_unless_finite as refuse_unless_finite,
)
from aecore.latent.decoder import browser_decoder as browser_decoder
from aecore.latent.grids import (
    corners as corners,
    grid as grid,
    lattice as lattice,
    plane_through as plane_through,
    traversal as traversal,
    units as units,
)
from aecore.latent.paths import (
    PATH_METHODS as PATH_METHODS,
    PathMethod as PathMethod,
    arithmetic as arithmetic,
    path as path,
    stops as stops,
)
from aecore.latent.posterior import (
    Importance as Importance,
    Marginals as Marginals,
    health as health,
    importance as importance,
    kl_by_dimension as kl_by_dimension,
    marginals as marginals,
)
from aecore.latent.reliability_map import Reliability as Reliability, reliability as reliability
from aecore.latent.sampling import (
    WIDEST_MIXTURE as WIDEST_MIXTURE,
    FitMixture as FitMixture,
    Mixture as Mixture,
    fit_mixture as fit_mixture,
    from_prior as from_prior,
    mixture_artifact as mixture_artifact,
)
from aecore.latent.shared_neighbors import (
    Stability as Stability,
    stability as stability,
    stability_in_words as stability_in_words,
)
from aecore.latent.support import LatentSupport as LatentSupport
