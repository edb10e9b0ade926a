"""Reliability maps: density of codes, cycle error and sensitivity of a decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from aecore import models
from aecore.progress import Progress, no_progress

if TYPE_CHECKING:
    from torch import Tensor

    from aecore.models.autoencoder import Autoencoder
    from aecore.models.capabilities import Capabilities
    from aecore.projections import Plane


NEIGHBORS = 10
WIDEST_DIFFERENTIATED = 8
MARGIN = 0.15
STEP = 0.005
"""Of a standard deviation, between the rounding of float32 and the curvature of a decoder."""


class Reliability(NamedTuple):
    """Reliability maps on a grid in the plane; the rows of the arrays are its y."""

    x: np.ndarray
    """(g,), in units of the code."""
    y: np.ndarray
    """(g,)."""
    density: np.ndarray
    """(g, g) float32, share of the samples per unit of area."""
    cycle_error: np.ndarray | None
    """(g, g) float32, in units of the code; None without encoder and decoder."""
    sensitivity: np.ndarray | None
    """(g, g) float32, units of the data per unit of the code; None without a decoder."""


def reliability(
    model: Autoencoder,
    plane: Plane,
    codes: np.ndarray,
    size: int = 96,
    labels: np.ndarray | None = None,
    progress: Progress = no_progress,
    can: Capabilities | None = None,
) -> Reliability:
    """Compute maps of the density of codes, the cycle error and the decoder's sensitivity.

    density: (1/n) sum_i K_h(p - p_i), a Gaussian kernel whose width along each axis is
    h = n^(-1/6) times the standard deviation (Scott 1992);
    cycle error: ||E(D(z)) - z||, with the posterior's mean for E;
    sensitivity: ||dD/dz||_F, the root of the trace of the metric that the decoder gives the code
    space (Arvanitidis, Hansen & Hauberg 2018), sqrt(sum_j ||dD/dz v_j||^2) over all d directions of
    the code; for d > 8 only over the two axes of the plane. Where torch cannot differentiate the
    decoder, dD/dz v = (D(z + h v) - D(z - h v)) / 2h, h of 0.005 standard deviations of the codes.

    Arguments
        codes: (n, d). The grid covers the box from the 0.5th to the 99.5th percentile of their
            places, widened by 15 % on each side; a box without extent is taken to be of 1.
        size: g, places along each side.
        labels: (n,) of the codes. A model that is conditioned on the label reads that of the
            code whose place is nearest.
        can: capabilities of the model; None for all.

    Raises `InvalidRequest` where the model is conditioned on the label and there are no labels.
    """
    import torch

    places = plane.project(codes)
    x, y = (_side(column, size) for column in places.T)
    density = _density(places, x, y)
    if can is not None and not can.decode:
        return Reliability(x, y, density, None, None)
    encodes = can is None or can.encode
    step = STEP * float(codes.std(axis=0, dtype=np.float64).mean() or 1)
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    z = plane.embed(grid).astype(np.float32)
    nearest_label = None
    if model.n_classes and labels is not None:
        from scipy.spatial import KDTree

        nearest_label = labels[KDTree(places).query(grid)[1]]
    d = z.shape[1]
    followed = np.eye(d) if d <= WIDEST_DIFFERENTIATED else plane.axes
    directions = torch.tensor(followed, dtype=torch.float32)
    cycle, sensitivity = [], []
    first = None if nearest_label is None else nearest_label[:1]
    n_features = models.inference.decode(model, z[:1], first).shape[1]
    batch = models.inference.batch_size(n_features * (1 + len(directions)))
    for start in range(0, len(z), batch):
        progress("Mapping where the decoder can be trusted", start, len(z))
        code = z[start : start + batch]
        label = None if nearest_label is None else nearest_label[start : start + batch]
        if encodes:
            cycle.append(models.inference.cycle_error(model, code, label))
        squared = (
            _squared_derivatives(model, code, label, directions)
            if model.differentiable
            else _squared_differences(model, code, label, directions.numpy(), step)
        )
        sensitivity.append(np.sqrt(squared))
    maps = [
        np.concatenate(each).reshape(size, size) if each else None for each in (cycle, sensitivity)
    ]
    return Reliability(x, y, density, *maps)


def _side(column: np.ndarray, size: int) -> np.ndarray:
    low, high = np.percentile(column, (0.5, 99.5))
    if low == high:
        low, high = low - 0.5, high + 0.5
    more = MARGIN * (high - low)
    return np.linspace(low - more, high + more, size)


def _squared_derivatives(
    model: Autoencoder, codes: np.ndarray, labels: np.ndarray | None, directions: Tensor
) -> np.ndarray:
    """sum_j ||dD/dz v_j||^2 of each code, (n,), by forward-mode products."""
    import torch

    code, label = torch.tensor(codes), None if labels is None else torch.tensor(labels)

    def along(direction: Tensor) -> Tensor:
        def decode(code: Tensor) -> Tensor:
            return model.decode(code, label)

        return torch.func.jvp(decode, (code,), (direction.expand_as(code),))[1].square().sum(1)

    with torch.no_grad():
        # All directions at once share one pass through the decoder.
        return torch.func.vmap(along)(directions).sum(0).numpy()


def _squared_differences(
    model: Autoencoder,
    codes: np.ndarray,
    labels: np.ndarray | None,
    directions: np.ndarray,
    step: float,
) -> np.ndarray:
    """sum_j ||dD/dz v_j||^2 of each code, (n,), by central differences."""
    total = np.zeros(len(codes), np.float32)
    for direction in directions.astype(np.float32):
        ahead, behind = (
            models.inference.decode(model, codes + sign * step * direction, labels)
            for sign in (np.float32(1), np.float32(-1))
        )
        total += np.square((ahead - behind) / (2 * step)).sum(axis=1)
    return total


def _density(places: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    sides = (y, x)
    steps = np.array([side[1] - side[0] for side in sides])
    # Each place of the grid stands for the cell around it.
    edges = [
        (side[0] - step / 2, side[-1] + step / 2) for side, step in zip(sides, steps, strict=True)
    ]
    counts = np.histogram2d(places[:, 1], places[:, 0], bins=(len(y), len(x)), range=edges)[0]
    widths = len(places) ** (-1 / 6) * places.std(0)[::-1]
    smooth = gaussian_filter(counts, widths / steps, mode="constant")
    return (smooth / (len(places) * steps.prod())).astype(np.float32)


def reach(codes: np.ndarray, n: int = 2_000) -> np.ndarray:
    """Sorted distances from n seeded codes to their tenth nearest neighbour among all, float32."""
    from sklearn.neighbors import NearestNeighbors

    chosen = np.random.default_rng(0).permutation(len(codes))[:n]
    k = min(NEIGHBORS, len(codes) - 1)
    # Each is its own nearest, so one more is asked for.
    distances, _ = NearestNeighbors(n_neighbors=k + 1).fit(codes).kneighbors(codes[chosen])
    return np.sort(distances[:, -1]).astype(np.float32)
