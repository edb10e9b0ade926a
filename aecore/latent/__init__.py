"""Latent space of a run: analysis, reliability, support, posterior, sampling and paths."""

from __future__ import annotations

from aecore.latent.alignment import compare as compare
from aecore.latent.analysis import Analyse as Analyse
from aecore.latent.analysis import Analysis as Analysis
from aecore.latent.analysis import analyse as analyse
from aecore.latent.analysis import analysis_artifact as analysis_artifact
from aecore.latent.analysis import negative_elbo as negative_elbo
from aecore.latent.analysis import plane_of_run as plane_of_run
from aecore.latent.analysis import refuse_changed as refuse_changed
from aecore.latent.analysis import refuse_unless_answered as refuse_unless_answered
from aecore.latent.analysis import refuse_unless_finite as refuse_unless_finite
from aecore.latent.decoder import browser_decoder as browser_decoder
from aecore.latent.grids import grid as grid
from aecore.latent.grids import lattice as lattice
from aecore.latent.grids import plane_through as plane_through
from aecore.latent.grids import traversal as traversal
from aecore.latent.grids import units as units
from aecore.latent.paths import PATH_METHODS as PATH_METHODS
from aecore.latent.paths import PathMethod as PathMethod
from aecore.latent.paths import arithmetic as arithmetic
from aecore.latent.paths import path as path
from aecore.latent.paths import stops as stops
from aecore.latent.posterior import Importance as Importance
from aecore.latent.posterior import Marginals as Marginals
from aecore.latent.posterior import health as health
from aecore.latent.posterior import importance as importance
from aecore.latent.posterior import kl_by_dimension as kl_by_dimension
from aecore.latent.posterior import marginals as marginals
from aecore.latent.reliability import Reliability as Reliability
from aecore.latent.reliability import reliability as reliability
from aecore.latent.sampling import WIDEST_MIXTURE as WIDEST_MIXTURE
from aecore.latent.sampling import FitMixture as FitMixture
from aecore.latent.sampling import Mixture as Mixture
from aecore.latent.sampling import fit_mixture as fit_mixture
from aecore.latent.sampling import from_prior as from_prior
from aecore.latent.sampling import mixture_artifact as mixture_artifact
from aecore.latent.support import LatentSupport as LatentSupport
