"""New codes to decode, where the known ones lie, and how far a posterior is used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from aecore import latent, metrics
from aecore.artifacts import Array, Artifact, Size
from aecore.errors import Damaged, Faults, unknown
from aecore.store import Run

Spacing = Literal["quantiles", "linear"]
Way = Literal["straight", "spherical", "along the data"]
WAYS: tuple[Way, ...] = get_args(Way)
MOST_PARTS = 10
MIXED = 10_000
"""Training codes that a mixture is fitted on."""
WIDEST_MIXTURE = 512
"""Beyond it the covariances alone are larger than most decoders."""
ON_THE_WAY = 2_000
"""Codes among which a path along the data is sought."""
NEIGHBORS = 10
PARTS = 800
"""Of the range on which the aggregate posterior is measured."""


# --- The prior ----------------------------------------------------------------------------------


def units(codes: np.ndarray, prior: bool) -> tuple[np.ndarray, np.ndarray]:
    """Where each dimension's middle is and how far one standard deviation goes, (d,) and (d,).

    Of N(0, I) where there is a prior, else of the codes (n, d). A dimension without any spread is
    given one of 1, so that it can be moved along all the same.
    """
    if prior:
        return np.zeros(codes.shape[1]), np.ones(codes.shape[1])
    spread = codes.std(axis=0, dtype=np.float64)
    return codes.mean(axis=0, dtype=np.float64), np.where(spread > 0, spread, 1.0)


# --- Grids --------------------------------------------------------------------------------------


def grid(
    n: int, low: float = -np.inf, high: float = np.inf, spacing: Spacing = "quantiles"
) -> np.ndarray:
    """n values along one side of a grid, (n,) float64, in standard deviations.

    quantiles: z_i = Phi^-1(p_i), p_i = Phi(low) + (i + 1/2) / n (Phi(high) - Phi(low)): the middle
    of each of n parts of equal probability under N(0, 1), of the whole prior unless it is bounded
    (Kingma & Welling 2014, appendix A, draw their manifolds so);
    linear: evenly spaced from low to high, both included.

    One value is the median, or the middle. Raises `Faults` where n < 1 or the bounds are reversed
    or, for linear spacing, not finite.
    """
    faults = []
    if n < 1:
        faults.append(f"n = {n} is too small: a grid has at least 1 value a side.")
    if not low <= high:
        faults.append(f"low = {low} is above high = {high}: exchange them.")
    if spacing == "linear" and not np.isfinite([low, high]).all():
        faults.append(f"low = {low} and high = {high} must be finite for linear spacing.")
    if spacing not in get_args(Spacing):
        faults.append(unknown("spacing", spacing, get_args(Spacing)))
    if faults:
        raise Faults(faults)
    middles = (np.arange(n) + 0.5) / n
    if spacing == "quantiles":
        from scipy.stats import norm

        return norm.ppf(norm.cdf(low) + middles * (norm.cdf(high) - norm.cdf(low)))
    return np.linspace(low, high, n) if n > 1 else np.array([(low + high) / 2])


def lattice(
    across: np.ndarray, up: np.ndarray, code: np.ndarray, dimensions: tuple[int, int]
) -> np.ndarray:
    """Codes that differ from one in two dimensions, (len(up) * len(across), d) float32.

    In reading order: rows from the top, where the second dimension is largest.

    Arguments
        across, up: values of the first and of the second dimension, ascending.
        code: (d,), what the others are held at.
    """
    codes = np.tile(np.asarray(code, np.float32), (len(across) * len(up), 1))
    codes[:, dimensions[0]] = np.tile(across, len(up))
    codes[:, dimensions[1]] = np.repeat(up[::-1], len(across))
    return codes


def plane_through(corners: np.ndarray, across: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Codes of the plane through three, a + s (b - a) + t (c - a), in the order of `lattice`.

    Arguments
        corners: (3, d), a, b and c.
        across, up: values of s and of t, ascending: 0 is a; 1 is b, and c.

    Returns (len(up) * len(across), d) float32.
    """
    a, b, c = np.asarray(corners, np.float64)
    s, t = np.tile(across, len(up))[:, None], np.repeat(up[::-1], len(across))[:, None]
    return (a + s * (b - a) + t * (c - a)).astype(np.float32)


def traversal(code: np.ndarray, dimension: int, low: float, high: float, steps: int) -> np.ndarray:
    """Codes along one dimension, evenly spaced from low to high, (steps, d) float32.

    Arguments
        code: (d,), what the other dimensions are held at.
        low, high: in units of the code.
    """
    codes = np.tile(np.asarray(code, np.float32), (steps, 1))
    codes[:, dimension] = grid(steps, low, high, "linear")
    return codes


# --- Which dimensions matter --------------------------------------------------------------------


class Importance(NamedTuple):
    """How much each dimension of a code carries, the largest first."""

    order: np.ndarray
    """(d,) numbers of the dimensions."""
    values: np.ndarray
    """(d,) in this order: nats, or squared units of the code."""
    measure: Literal["KL", "variance"]


def importance(codes: np.ndarray, spread: np.ndarray | None = None) -> Importance:
    """The dimensions by their mean KL to the prior, or by their variance.

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


class Health(NamedTuple):
    """How a Gaussian posterior uses its dimensions; each array is (d,)."""

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


def health(means: np.ndarray, spread: np.ndarray) -> Health:
    """Active units, KL by dimension, and the aggregate posterior against the prior.

    q(z) = 1/n sum_i q(z | x_i) has mean E[mu] and variance Var[mu] + E[sigma^2] in each dimension
    (Makhzani et al. 2016 name it; Hoffman & Johnson 2016 compare it with the prior).

    Arguments
        means, spread: (n, d), mu and sigma of the posteriors of a split.
    """
    used = means.var(axis=0) > metrics.ACTIVE
    return Health(
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
    """The aggregate posterior in each of k dimensions beside the prior."""

    z: np.ndarray
    """(k, m), evenly spaced in each dimension."""
    density: np.ndarray
    """(k, m), q(z_j)."""
    prior: np.ndarray
    """(k, m), N(0, 1)."""
    kl: np.ndarray
    """(k,) KL(q(z_j) || p(z_j)) in nats."""


def marginals(means: np.ndarray, spread: np.ndarray, dimensions: Sequence[int]) -> Marginals:
    """How the codes of all samples are distributed in single dimensions, against the prior.

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
    """One row of each part of `Marginals`."""
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


# --- Samples ------------------------------------------------------------------------------------


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
    """A Gaussian mixture with full covariances by expectation maximisation (scikit-learn).

    What stands in for a prior where an autoencoder has none (Ghosh et al. 2020, "From variational
    to deterministic autoencoders").

    Arguments
        codes: (n, d) of the training split, of which 10,000 are taken, drawn with `seed`. Few
            codes get fewer parts, so that each has more of them than dimensions.

    Raises `Faults` where the code has more than 512 dimensions.
    """
    d = codes.shape[1]
    if d > WIDEST_MIXTURE:
        raise Faults(
            f"A mixture of Gaussians is fitted to codes of up to {WIDEST_MIXTURE} dimensions, and "
            f"this one has {d}: draw from the prior."
        )
    from sklearn.mixture import GaussianMixture

    chosen = _some(codes, MIXED, seed).astype(np.float64)
    if len(chosen) == 1:  # scikit-learn asks for two
        chosen = chosen.repeat(2, axis=0)
    # A collapsed code has fewer places than parts.
    most = min(parts, len(chosen) // (d + 1), len(np.unique(chosen, axis=0)))
    fitted = GaussianMixture(max(most, 1), random_state=seed).fit(chosen)
    return Mixture(fitted.weights_, fitted.means_, np.linalg.cholesky(fitted.covariances_))


def mixture_artifact(run: Run) -> Artifact[Mixture]:
    """The mixture of a run's training codes as it is stored."""
    k, d = Size("parts", MOST_PARTS), run.config.model.latent_dim

    def build(arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> Mixture:
        mixture = Mixture(**arrays)
        if abs(mixture.weights.sum() - 1) > 1e-6:
            raise Damaged("its weights do not sum to 1")
        return mixture

    return Artifact(
        path=run.folder / "mixture.safetensors",
        created=run.manifest.created,
        expected=lambda facts: {
            "weights": Array((k,), low=0, high=1 + 1e-6),
            "means": Array((k, d)),
            "roots": Array((k, d, d)),
        },
        dump=lambda mixture: (mixture._asdict(), {}),
        build=build,
    )


class Around(NamedTuple):
    """What lies around each of n codes."""

    distances: np.ndarray
    """(n,) to the nearest known code, in units of the code."""
    covered: np.ndarray
    """(n,) bool: whether the tenth nearest known code is no farther than `Places.limit`."""
    density: np.ndarray
    """(n,) in [0, 1]: 0 as sparse as at `Places.limit`, 1 as dense as at `Places.closest`."""


class Places:
    """Where known codes lie, made ready once for many questions; exact Euclidean search.

    Arguments
        codes: (m, d).
    """

    limit: float
    """The distance from a known code to its tenth nearest that 1 of 100 exceeds, measured on 1,000
    of them, drawn with seed 0; in units of the code."""
    closest: float
    """The one that 99 of 100 exceed; copies of one code, at no distance, do not count."""

    def __init__(self, codes: np.ndarray) -> None:
        from sklearn.neighbors import NearestNeighbors

        self._search = NearestNeighbors(n_neighbors=min(NEIGHBORS, len(codes))).fit(codes)
        nearest = latent.reach(codes, 1_000)
        apart = nearest[nearest > 0]
        self.limit = float(np.percentile(nearest, 99))
        self.closest = float(np.percentile(apart, 1)) if len(apart) else self.limit

    def nearest(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rows of the known codes nearest to codes (n, d), and their distances, (n,) each."""
        distances, rows = self._search.kneighbors(codes, 1)
        return rows[:, 0], distances[:, 0]

    def around(self, codes: np.ndarray) -> Around:
        """How near known codes are to codes (n, d), and how dense they lie there.

        The density is that of k nearest neighbours, p(z) proportional to 1 / r(z)^d, with r the
        distance to the tenth nearest known code (Loftsgaarden & Quesenberry 1965, "A nonparametric
        estimate of a multivariate density function"), on a scale of its logarithm:
        log(limit / r) / log(limit / closest), clipped to [0, 1]; d cancels, so that it reads the
        same in any number of dimensions. Where no code ever lay, a decoder was never asked.
        """
        distances, _ = self._search.kneighbors(codes)
        # Copies of one code are at no distance, which has no logarithm.
        tiny = np.finfo(np.float64).tiny
        limit, closest, r = (
            -np.log(np.maximum(each, tiny)) for each in (self.limit, self.closest, distances[:, -1])
        )
        near = distances[:, -1] <= self.limit
        return Around(distances[:, 0], near, np.interp(r, [limit, closest], [0, 1]))


# --- Arithmetic ---------------------------------------------------------------------------------


class Sum(NamedTuple):
    """Groups of codes added and taken away by their means."""

    means: np.ndarray
    """(3, d) float32: of the group added, of the one taken away, and of the one added to."""
    codes: np.ndarray
    """(n, d) float32, one for each strength."""


def arithmetic(plus: np.ndarray, minus: np.ndarray, onto: np.ndarray, strengths: np.ndarray) -> Sum:
    """What sets two groups of codes apart, added to a third: z = c + t (a - b).

    a, b and c are the means of the groups: single codes carry their own chance along, means do
    not (Radford, Metz & Chintala 2016, "Unsupervised representation learning with deep
    convolutional generative adversarial networks").

    Arguments
        plus, minus, onto: (m, d) codes with means a, b and c; m may differ.
        strengths: (n,), t.

    Raises `Faults` where a group has no code.
    """
    groups = {"plus": plus, "minus": minus, "onto": onto}
    if empty := [name for name, codes in groups.items() if not len(codes)]:
        raise Faults(f"The group '{name}' has no code: give one or more." for name in empty)
    a, b, c = means = np.stack([each.mean(axis=0, dtype=np.float64) for each in groups.values()])
    moved = c + np.asarray(strengths)[:, None] * (a - b)
    return Sum(means.astype(np.float32), moved.astype(np.float32))


# --- Paths --------------------------------------------------------------------------------------


def path(
    codes: np.ndarray,
    steps: int,
    way: Way = "straight",
    known: np.ndarray | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Codes on the way from the first of some codes to the last, (steps, d) float32.

    Each of them is passed at one of the steps, the parts between them taking about as many steps.
    straight: (1 - t) a + t b;
    spherical: (sin((1 - t) w) a + sin(t w) b) / sin w, w the angle between a and b (Shoemake
    1985); straight where a or b is 0 or they are parallel;
    along the data: the shortest way over the edges of the graph of 10 nearest neighbours among
    known codes and the given ones (Tenenbaum, de Silva & Langford 2000; Dijkstra 1959), at equal
    lengths from each to the next.

    Arguments
        codes: (m, d), m >= 2.
        known: (n, d), for the way along the data; 2,000 of them are taken, drawn with `seed`.

    Raises `Faults` where there are fewer than two codes, fewer steps than codes, or no way along
    the data.
    """
    codes = np.asarray(codes, np.float64)
    if len(codes) < 2:
        raise Faults(f"A path needs two codes or more, and got {len(codes)}.")
    if steps < len(codes):
        raise Faults(f"{steps} steps cannot pass {len(codes)} codes: take {len(codes)} or more.")
    if way not in WAYS:
        raise Faults(unknown("way", way, WAYS))
    if way == "along the data":
        if known is None:
            raise Faults("A path along the data needs the codes of the data: give `known`.")
        return _at_equal_lengths(_over_neighbors(codes, known, seed), steps).astype(np.float32)
    t = np.interp(np.arange(steps), stops(len(codes), steps), np.arange(len(codes)))
    part = np.minimum(t.astype(int), len(codes) - 2)
    share = (t - part)[:, None]
    from_, to = codes[part], codes[part + 1]
    straight = (1 - share) * from_ + share * to
    if way == "straight":
        return straight.astype(np.float32)
    sizes = np.linalg.norm(from_, axis=1) * np.linalg.norm(to, axis=1)
    cosine = np.einsum("ij,ij->i", from_, to) / np.where(sizes > 0, sizes, 1)
    angle = np.arccos(cosine.clip(-1, 1))[:, None]
    turned = np.sin(angle)
    round_ = (sizes[:, None] > 0) & (turned > 1e-4)
    divisor = np.where(round_, turned, 1)
    spherical = (np.sin((1 - share) * angle) * from_ + np.sin(share * angle) * to) / divisor
    return np.where(round_, spherical, straight).astype(np.float32)


def _over_neighbors(codes: np.ndarray, known: np.ndarray, seed: int) -> list[np.ndarray]:
    """The places that the shortest way over the graph of neighbours visits, (p, d) each part."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    from aecore import neighbors

    places = np.concatenate([codes, _some(known, ON_THE_WAY, seed)])
    n = len(places)
    near = neighbors.nearest(places, min(NEIGHBORS, n - 1))
    # An edge of length 0 would count as none.
    lengths = np.maximum(near.distances.astype(np.float64), 1e-12)
    starts = np.arange(n + 1) * near.indices.shape[1]
    graph = csr_array((lengths.ravel(), near.indices.ravel(), starts), shape=(n, n))
    ends = np.arange(len(codes) - 1)
    distances, before = dijkstra(graph, directed=False, indices=ends, return_predecessors=True)
    parts = []
    for start in ends:
        if not np.isfinite(distances[start, start + 1]):
            raise Faults(
                f"No way along the data leads from stop {start + 1} to stop {start + 2}: they lie "
                f"in parts of the code space that no {NEIGHBORS} nearest neighbours connect. Take "
                "the straight way, or pick others."
            )
        back = [start + 1]
        while back[-1] != start:
            back.append(before[start, back[-1]])
        parts.append(places[back[::-1]])
    return parts


def _at_equal_lengths(parts: Sequence[np.ndarray], steps: int) -> np.ndarray:
    """Each part of a way, (p, d), at as many places as it has steps, (steps, d) in all."""
    found = [parts[0][:1]]
    for places, taken in zip(parts, np.diff(stops(len(parts) + 1, steps)), strict=True):
        reached = np.concatenate([[0], np.linalg.norm(np.diff(places, axis=0), axis=1).cumsum()])
        at = np.linspace(0, reached[-1], taken + 1)[1:]
        found.append(np.stack([np.interp(at, reached, column) for column in places.T], axis=1))
    return np.concatenate(found)


def stops(n: int, steps: int) -> np.ndarray:
    """At which of the steps of a path n codes are passed, (n,), the first at 0."""
    return np.linspace(0, steps - 1, n).round().astype(int)


def _some(codes: np.ndarray, n: int, seed: int) -> np.ndarray:
    return codes if len(codes) <= n else np.random.default_rng(seed).permutation(codes)[:n]
