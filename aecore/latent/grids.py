"""Grids, planes and traversals of codes to decode."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from aecore.errors import InvalidRequest, unknown

Spacing = Literal["quantiles", "linear"]


def units(codes: np.ndarray, prior: bool) -> tuple[np.ndarray, np.ndarray]:
    """Centre and standard deviation of each dimension, (d,) and (d,).

    Of N(0, I) where there is a prior, else of the codes (n, d). A dimension without any spread is
    given one of 1, so that it can be moved along all the same.
    """
    if prior:
        return np.zeros(codes.shape[1]), np.ones(codes.shape[1])
    spread = codes.std(axis=0, dtype=np.float64)
    return codes.mean(axis=0, dtype=np.float64), np.where(spread > 0, spread, 1.0)


def grid(
    n: int, low: float = -np.inf, high: float = np.inf, spacing: Spacing = "quantiles"
) -> np.ndarray:
    """Coordinates along one side of a grid, (n,) float64, in standard deviations.

    quantiles: z_i = Phi^-1(p_i), p_i = Phi(low) + (i + 1/2) / n (Phi(high) - Phi(low)): the middle
    of each of n parts of equal probability under N(0, 1), of the whole prior unless it is bounded
    (Kingma & Welling 2014, appendix A, draw their manifolds so);
    linear: evenly spaced from low to high, both included.

    One value is the median, or the middle. Raises `InvalidRequest` where n < 1 or the bounds are
    reversed or, for linear spacing, not finite.
    """
    problems = []
    if n < 1:
        problems.append(f"n = {n} is too small: a grid has at least 1 value a side.")
    if not low <= high:
        problems.append(f"low = {low} is above high = {high}: exchange them.")
    if spacing == "linear" and not np.isfinite([low, high]).all():
        problems.append(f"low = {low} and high = {high} must be finite for linear spacing.")
    if spacing not in get_args(Spacing):
        problems.append(unknown("spacing", spacing, get_args(Spacing)))
    if problems:
        raise InvalidRequest(problems)
    middles = (np.arange(n) + 0.5) / n
    if spacing == "quantiles":
        from scipy.stats import norm

        return norm.ppf(norm.cdf(low) + middles * (norm.cdf(high) - norm.cdf(low)))
    return np.linspace(low, high, n) if n > 1 else np.array([(low + high) / 2])


def lattice(
    across: np.ndarray, up: np.ndarray, code: np.ndarray, dimensions: tuple[int, int]
) -> np.ndarray:
    """Grid of codes that vary in two dimensions, (len(up) * len(across), d) float32.

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
    """Codes on the plane through three codes, a + s (b - a) + t (c - a), in `lattice` order.

    Arguments
        corners: (3, d), a, b and c.
        across, up: values of s and of t, ascending: 0 is a; 1 is b, and c.

    Returns (len(up) * len(across), d) float32.
    """
    a, b, c = np.asarray(corners, np.float64)
    s, t = np.tile(across, len(up))[:, None], np.repeat(up[::-1], len(across))[:, None]
    return (a + s * (b - a) + t * (c - a)).astype(np.float32)


def corners(n: int, of: int) -> list[int]:
    """Indices of the corners of a grid with n columns in reading order; its ends if it is a row.

    >>> corners(3, 9)
    [0, 2, 8, 6]
    >>> corners(3, 3)
    [0, 2]
    """
    return [0, n - 1, of - 1, of - n][: 2 if of == n else 4]


def traversal(code: np.ndarray, dimension: int, low: float, high: float, steps: int) -> np.ndarray:
    """Codes along one dimension, evenly spaced from low to high, (steps, d) float32.

    Arguments
        code: (d,), what the other dimensions are held at.
        low, high: in units of the code.
    """
    codes = np.tile(np.asarray(code, np.float32), (steps, 1))
    codes[:, dimension] = grid(steps, low, high, "linear")
    return codes
