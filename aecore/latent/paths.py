"""Interpolation paths between codes, and latent arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np

from aecore import neighbors
from aecore.errors import InvalidRequest, unknown
from aecore.latent.sampling import subsample

PathMethod = Literal["straight", "spherical", "along the data"]
PATH_METHODS: tuple[PathMethod, ...] = get_args(PathMethod)
ON_THE_WAY = 2_000
"""Codes in the graph of a path along the data."""
NEIGHBORS = 10


class LatentArithmetic(NamedTuple):
    """Group means of latent arithmetic, and the resulting codes."""

    means: np.ndarray
    """(3, d) float32: of the group added, of the one taken away, and of the one added to."""
    codes: np.ndarray
    """(n, d) float32, one for each strength."""


def arithmetic(
    plus: np.ndarray, minus: np.ndarray, onto: np.ndarray, strengths: np.ndarray
) -> LatentArithmetic:
    """Latent arithmetic: the difference of two group means added to a third, z = c + t (a - b).

    a, b and c are the means of the groups: single codes carry their own chance along, means do
    not (Radford, Metz & Chintala 2016, "Unsupervised representation learning with deep
    convolutional generative adversarial networks").

    Arguments
        plus, minus, onto: (m, d) codes with means a, b and c; m may differ.
        strengths: (n,), t.

    Raises `InvalidRequest` where a group has no code.
    """
    groups = {"plus": plus, "minus": minus, "onto": onto}
    if empty := [name for name, codes in groups.items() if not len(codes)]:
        raise InvalidRequest(f"The group '{name}' has no code: give one or more." for name in empty)
    a, b, c = means = np.stack([each.mean(axis=0, dtype=np.float64) for each in groups.values()])
    moved = c + np.asarray(strengths)[:, None] * (a - b)
    return LatentArithmetic(means.astype(np.float32), moved.astype(np.float32))


def path(
    codes: np.ndarray,
    steps: int,
    way: PathMethod = "straight",
    reference: np.ndarray | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Interpolate a path through codes, from the first to the last, (steps, d) float32.

    Each of them is passed at one of the steps, the parts between them taking about as many steps.
    straight: (1 - t) a + t b;
    spherical: (sin((1 - t) w) a + sin(t w) b) / sin w, w the angle between a and b (Shoemake
    1985); straight where a or b is 0 or they are parallel;
    along the data: the shortest way over the edges of the graph of 10 nearest neighbours among
    known codes and the given ones (Tenenbaum, de Silva & Langford 2000; Dijkstra 1959), at equal
    lengths from each to the next.

    Arguments
        codes: (m, d), m >= 2.
        reference: (n, d), for the way along the data; 2,000 of them are taken, drawn with `seed`.

    Raises `InvalidRequest` where there are fewer than two codes, fewer steps than codes, or no way
    along the data.
    """
    codes = np.asarray(codes, np.float64)
    if len(codes) < 2:
        raise InvalidRequest(f"A path needs two codes or more, and got {len(codes)}.")
    if steps < len(codes):
        raise InvalidRequest(
            f"{steps} steps cannot pass {len(codes)} codes: take {len(codes)} or more."
        )
    if way not in PATH_METHODS:
        raise InvalidRequest(unknown("way", way, PATH_METHODS))
    if way == "along the data":
        if reference is None:
            raise InvalidRequest(
                "A path along the data needs the codes of the data: give `reference`."
            )
        return _at_equal_lengths(_over_neighbors(codes, reference, seed), steps).astype(np.float32)
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


def _over_neighbors(codes: np.ndarray, reference: np.ndarray, seed: int) -> list[np.ndarray]:
    """Vertices of the shortest path over the neighbour graph, (p, d) for each segment."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    places = np.concatenate([codes, subsample(reference, ON_THE_WAY, seed)])
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
            raise InvalidRequest(
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
    """Resample each segment of a path, (p, d), at equal arc lengths, (steps, d) in all."""
    points = [parts[0][:1]]
    for places, taken in zip(parts, np.diff(stops(len(parts) + 1, steps)), strict=True):
        reached = np.concatenate([[0], np.linalg.norm(np.diff(places, axis=0), axis=1).cumsum()])
        at = np.linspace(0, reached[-1], taken + 1)[1:]
        points.append(np.stack([np.interp(at, reached, column) for column in places.T], axis=1))
    return np.concatenate(points)


def stops(n: int, steps: int) -> np.ndarray:
    """Step indices at which a path passes its n codes, (n,), the first at 0."""
    return np.linspace(0, steps - 1, n).round().astype(int)
