"""Diagnostics of a variational posterior: importance, usage and marginals of dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from aecore import metrics

PARTS = 800
"""Of the range on which the aggregate posterior is measured."""


class Importance(NamedTuple):
    """Importance of each dimension of a code, the largest first."""

    order: np.ndarray
    """(d,) numbers of the dimensions."""
    values: np.ndarray
    """(d,) in this order: nats, or squared units of the code."""
    measure: Literal["KL", "variance"]


def importance(codes: np.ndarray, spread: np.ndarray | None = None) -> Importance:
    """Rank the dimensions by their mean KL to the prior, or by their variance.

    Arguments
        codes: (n, d), the means of the posterior, or the codes.
        spread: (n, d), the posterior's standard deviations; None where the code is a point.
    """
    values = (
        codes.var(axis=0, dtype=np.float64) if spread is None else kl_by_dimension(codes, spread)
    )
    order = np.argsort(-values, kind="stable")
    return Importance(order, values[order], "variance" if spread is None else "KL")


def kl_by_dimension(means: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Mean KL(N(mu, sigma^2) || N(0, 1)) of each dimension over the samples, in nats, (d,).

    1/2 E[mu^2 + sigma^2 - 1 - log sigma^2] (Kingma & Welling 2014).

    Arguments
        means, spread: (n, d), mu and sigma.
    """
    mean, variance = means.astype(np.float64), np.square(spread, dtype=np.float64)
    # A deviation that float32 has rounded to 0 would be infinitely far from the prior.
    logarithm = np.log(np.maximum(variance, np.finfo(np.float32).tiny))
    return (np.square(mean) + variance - 1 - logarithm).mean(axis=0) / 2


class PosteriorUsage(NamedTuple):
    """Usage of each dimension by a Gaussian posterior; each array is (d,)."""

    active: int
    """Units in use (Burda, Grosse & Salakhutdinov 2016)."""
    kl: np.ndarray
    """Nats."""
    mean: np.ndarray
    """Of the aggregate posterior, E[mu]; the prior's is 0."""
    variance: np.ndarray
    """Of the aggregate posterior, Var[mu] + E[sigma^2]; the prior's is 1."""
    used: np.ndarray
    """Whether Var[mu] is above 0.01."""
    advice: str | None
    """What is wrong and what to change, where dimensions have collapsed onto the prior."""


def health(means: np.ndarray, spread: np.ndarray) -> PosteriorUsage:
    """Compute active units, KL by dimension, and the aggregate posterior against the prior.

    q(z) = 1/n sum_i q(z | x_i) has mean E[mu] and variance Var[mu] + E[sigma^2] in each dimension
    (Makhzani et al. 2016 name it; Hoffman & Johnson 2016 compare it with the prior).

    Arguments
        means, spread: (n, d), mu and sigma of the posteriors of a split.
    """
    used = means.var(axis=0) > metrics.ACTIVE
    return PosteriorUsage(
        metrics.active_units(means),
        kl_by_dimension(means, spread),
        means.mean(axis=0, dtype=np.float64),
        means.var(axis=0, dtype=np.float64) + np.square(spread, dtype=np.float64).mean(axis=0),
        used,
        _advice(used),
    )


def _advice(used: np.ndarray) -> str | None:
    unused = [str(number + 1) for number in np.flatnonzero(~used)]
    if not unused:
        return None
    change = "lower beta, let the KL warm up over more epochs, or give the encoder more capacity."
    if len(unused) == len(used):
        return (
            "The posterior has collapsed: no dimension depends on the input, so whatever is "
            f"encoded, the same comes out. Train again: {change}"
        )
    which = ", ".join(unused[:20]) + f" and {len(unused) - 20} more" * (len(unused) > 20)
    return (
        f"{len(unused)} of {len(used)} dimensions have collapsed onto the prior and carry nothing: "
        f"{which}. Where they should carry something, {change}"
    )


class Marginals(NamedTuple):
    """Aggregate posterior in each of k dimensions, beside the prior."""

    z: np.ndarray
    """(k, m), evenly spaced in each dimension."""
    density: np.ndarray
    """(k, m), q(z_j)."""
    prior: np.ndarray
    """(k, m), N(0, 1)."""
    kl: np.ndarray
    """(k,) KL(q(z_j) || p(z_j)) in nats."""


def marginals(means: np.ndarray, spread: np.ndarray, dimensions: Sequence[int]) -> Marginals:
    """Estimate the marginals of the aggregate posterior in single dimensions, against the prior.

    q(z_j) = 1/n sum_i N(z_j; mu_ij, sigma_ij^2), averaged within each of 800 parts of a range
    that is -6 to 6, or wider where the posteriors are, and

    KL(q(z_j) || N(0, 1)) = 1/2 (E[mu^2 + sigma^2] + log 2 pi) + integral of q log q,

    the integral over these parts; where q is narrower than a part, that is a lower bound. It is
    what draws from the prior get wrong in a dimension, and the part of the mean KL that says
    nothing of a sample (Hoffman & Johnson 2016, "ELBO surgery: yet another way to carve up the
    variational evidence lower bound").

    Arguments
        means, spread: (n, d), mu and sigma of the posteriors of a split.
        dimensions: the numbers of k of them.
    """
    each = [_marginal(means[:, number], spread[:, number]) for number in dimensions]
    return Marginals(*(np.stack(part) for part in zip(*each, strict=True)))


def _marginal(mu: np.ndarray, sigma: np.ndarray) -> tuple[np.ndarray, ...]:
    """One row of each field of `Marginals`."""
    from scipy.special import entr, ndtr

    mu = mu.astype(np.float64)
    # A deviation that float32 has rounded to 0 would have no density.
    sigma = np.maximum(sigma, 1e-6, dtype=np.float64)
    low, high = min((mu - 6 * sigma).min(), -6), max((mu + 6 * sigma).max(), 6)
    edges, step = np.linspace(low, high, PARTS + 1, retstep=True)
    density = np.diff(ndtr((edges[:, None] - mu) / sigma).mean(axis=1)) / step
    second = (np.square(mu) + np.square(sigma)).mean()
    kl = (second + np.log(2 * np.pi)) / 2 - entr(density).sum() * step
    middles = (edges[1:] + edges[:-1]) / 2
    # Rounding alone could make it less than nothing.
    return middles, density, np.diff(ndtr(edges)) / step, np.maximum(kl, 0)
