"""PSNR and structural similarity of images, one value per sample."""

from __future__ import annotations

import numpy as np

from aecore import metrics
from aecore.applications.denoising.filters import _channels
from aecore.applications.denoising.noise import Shape


def psnr(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """`metrics.psnr` of each sample in dB, (n,).

    Arguments
        x, y: (n, n_features), where the data lie in [0, 1].
    """
    pairs = zip(x, y, strict=True)
    return np.array([metrics.psnr(one[None], other[None]) for one, other in pairs])


def ssim(x: np.ndarray, y: np.ndarray, shape: Shape) -> np.ndarray:
    """Structural similarity of each sample, (n,): 1 for the same image.

    The mean over all windows, and over the channels of colour images, of (2 m_x m_y + c1)(2 s_xy +
    c2) / ((m_x^2 + m_y^2 + c1)(s_x^2 + s_y^2 + c2)), c1 = 0.01^2, c2 = 0.03^2, with 7 x 7 windows,
    or the widest odd ones that fit (Wang, Bovik, Sheikh & Simoncelli 2004).

    Arguments
        x, y: (n, n_features), images of `shape` (height, width[, channels]) in [0, 1]; height and
            width at least 3.
    """
    from skimage.metrics import structural_similarity

    window = min(7, *(side - 1 + side % 2 for side in shape[:2]))
    options = {"win_size": window, "data_range": 1, "channel_axis": _channels(len(shape))}
    pairs = zip(x.reshape(-1, *shape), y.reshape(-1, *shape), strict=True)
    return np.array([structural_similarity(*pair, **options) for pair in pairs])
