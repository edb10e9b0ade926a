"""Latent sampling: draws from the prior, and from a mixture fitted to training codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from aecore import locations
from aecore.artifacts import Array, Artifact, Size
from aecore.errors import Damaged, InvalidRequest
from aecore.latent.analysis import Analyse, analysis_artifact
from aecore.progress import Reporter, Task
from aecore.runs import store

if TYPE_CHECKING:
    from aecore.runs.store import Run

MOST_PARTS = 10
MIXED = 10_000
"""Training codes that a mixture is fitted on."""
WIDEST_MIXTURE = 512
"""Beyond it the covariances alone are larger than most decoders."""


def subsample(codes: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Draw a random subset of codes, in the order drawn: n of (m, d), or all as they are."""
    return codes if len(codes) <= n else np.random.default_rng(seed).permutation(codes)[:n]


def from_prior(n: int, d: int, temperature: float = 1.0, seed: int = 0) -> np.ndarray:
    """Codes drawn from N(0, temperature^2 I), (n, d) float32."""
    draws = np.random.default_rng(seed).standard_normal((n, d))
    return (temperature * draws).astype(np.float32)


class Mixture(NamedTuple):
    """A mixture of k Gaussians in the code space."""

    weights: np.ndarray
    """(k,)."""
    means: np.ndarray
    """(k, d)."""
    roots: np.ndarray
    """(k, d, d), lower triangles L with covariance L L^T."""

    def draw(self, n: int, temperature: float = 1.0, seed: int = 0) -> np.ndarray:
        """Codes mean_k + temperature L_k e, e ~ N(0, I), k ~ weights, (n, d) float32."""
        generator = np.random.default_rng(seed)
        chosen = generator.choice(len(self.weights), n, p=self.weights / self.weights.sum())
        noise = generator.standard_normal((n, self.means.shape[1]))
        moved = np.einsum("nij,nj->ni", self.roots[chosen], noise)
        return (self.means[chosen] + temperature * moved).astype(np.float32)


def fit_mixture(codes: np.ndarray, parts: int = MOST_PARTS, seed: int = 0) -> Mixture:
    """Fit a Gaussian mixture with full covariances by expectation maximisation (scikit-learn).

    What stands in for a prior where an autoencoder has none (Ghosh et al. 2020, "From variational
    to deterministic autoencoders").

    Arguments
        codes: (n, d) of the training split, of which 10,000 are taken, drawn with `seed`. Few
            codes get fewer parts, so that each has more of them than dimensions.

    Raises `InvalidRequest` where the code has more than 512 dimensions.
    """
    d = codes.shape[1]
    if d > WIDEST_MIXTURE:
        raise InvalidRequest(
            f"A mixture of Gaussians is fitted to codes of up to {WIDEST_MIXTURE} dimensions, and "
            f"this one has {d}: draw from the prior."
        )
    from sklearn.mixture import GaussianMixture

    chosen = subsample(codes, MIXED, seed).astype(np.float64)
    if len(chosen) == 1:  # scikit-learn asks for two
        chosen = chosen.repeat(2, axis=0)
    # A collapsed code has fewer places than parts.
    most = min(parts, len(chosen) // (d + 1), len(np.unique(chosen, axis=0)))
    fitted = GaussianMixture(max(most, 1), random_state=seed).fit(chosen)
    return Mixture(fitted.weights_, fitted.means_, np.linalg.cholesky(fitted.covariances_))


def mixture_artifact(run: Run) -> Artifact[Mixture]:
    """Artifact of the mixture of a run's training codes."""
    k, d = Size("parts", MOST_PARTS), run.config.model.latent_dim

    def build(arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> Mixture:
        mixture = Mixture(**arrays)
        if abs(mixture.weights.sum() - 1) > 1e-6:
            raise Damaged("its weights do not sum to 1")
        return mixture

    return Artifact(
        path=run.computed / "mixture.safetensors",
        created=run.manifest.created,
        expected=lambda facts: {
            "weights": Array((k,), low=0, high=1 + 1e-6),
            "means": Array((k, d)),
            "roots": Array((k, d, d)),
        },
        dump=lambda mixture: (mixture._asdict(), {}),
        build=build,
    )


@dataclass(frozen=True)
class FitMixture(Task):
    """Fit a Gaussian mixture to the training codes of a run, analysing it first if necessary."""

    run_name: str

    @property
    def title(self) -> str:
        return f"mixture of codes of {self.run_name}"

    @property
    def files(self) -> Sequence[str]:
        return Analyse(self.run_name).files

    def run(self, reporter: Reporter) -> None:
        """Fit the mixture and store it."""
        run = store.load(self.run_name)
        locations.refuse_unwritable()
        analysis = analysis_artifact(run).load_intact()
        if analysis is None or not analysis.facts["complete"]:
            analysis = Analyse(self.run_name).run(reporter)
        reporter.progress("Fitting a mixture to the training codes", 0, 1)
        mixture = fit_mixture(analysis.arrays["train_codes"])
        mixture_artifact(run).save(mixture)
