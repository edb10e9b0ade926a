"""Classical denoising filters, and the parameter grid searched for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from aecore.applications.denoising.noise import Shape
from aecore.projections import PCA

Setting = dict[str, Any]


@dataclass(frozen=True)
class Baseline:
    """A classical denoising filter and the parameter grid searched for it."""

    title: str
    source: str
    settings: tuple[Setting, ...]
    run: Callable[..., np.ndarray]
    """Images (n, height, width[, channels]), the components of the training split, a setting ->
    images. A filter slides over height and width alone."""

    def denoise(self, noisy: np.ndarray, shape: Shape, pca: PCA, setting: Setting) -> np.ndarray:
        """Filter samples and clip the result to [0, 1], the range of images.

        Arguments
            noisy: (n, n_features), images of `shape`.
            pca: the principal components of the training split, which projection needs.

        Returns (n, n_features).
        """
        images = self.run(noisy.reshape(-1, *shape), pca, **setting)
        return np.clip(images.reshape(noisy.shape), 0, 1).astype(np.float32)


def _channels(ndim: int) -> int | None:
    """Channel axis for scikit-image: the last of three axes; None for grey images."""
    return -1 if ndim == 3 else None


def _median(images: np.ndarray, pca: PCA, size: int) -> np.ndarray:
    from scipy.ndimage import median_filter

    return median_filter(images, (1, size, size, 1)[: images.ndim])


def _total_variation(images: np.ndarray, pca: PCA, weight: float) -> np.ndarray:
    from skimage.restoration import denoise_tv_chambolle

    channels = _channels(images.ndim - 1)
    return np.stack(
        [denoise_tv_chambolle(image, weight, channel_axis=channels) for image in images]
    )


def _nonlocal_means(images: np.ndarray, pca: PCA, patch: int, h: float) -> np.ndarray:
    from skimage.restoration import denoise_nl_means

    channels = _channels(images.ndim - 1)
    return np.stack([denoise_nl_means(i, patch, 5, h, channel_axis=channels) for i in images])


def _wavelet(images: np.ndarray, pca: PCA, wavelet: str, sigma: float) -> np.ndarray:
    from skimage.restoration import denoise_wavelet

    options = {"method": "BayesShrink", "channel_axis": _channels(images.ndim - 1)}
    found = [
        denoise_wavelet(image, sigma, wavelet, rescale_sigma=True, **options) for image in images
    ]
    # A flat image has no details to shrink, and a threshold of 0 / 0.
    return np.where(np.isfinite(found), found, images)


def _projection(images: np.ndarray, pca: PCA, components: int) -> np.ndarray:
    return pca.reconstruct(images.reshape(len(images), -1), components)


BASELINES = {
    "median": Baseline(
        "Median",
        "Tukey (1977), Exploratory data analysis",
        tuple({"size": size} for size in (3, 5, 7)),
        _median,
    ),
    "total-variation": Baseline(
        "Total variation",
        "Chambolle (2004), An algorithm for total variation minimization and applications",
        tuple({"weight": weight} for weight in (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)),
        _total_variation,
    ),
    "non-local-means": Baseline(
        "Non-local means",
        "Buades, Coll & Morel (2005), A non-local algorithm for image denoising",
        tuple({"patch": p, "h": h} for p in (3, 5) for h in (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)),
        _nonlocal_means,
    ),
    "wavelet": Baseline(
        "Wavelet (BayesShrink)",
        "Chang, Yu & Vetterli (2000), Adaptive wavelet thresholding for image denoising and "
        "compression",
        tuple(
            {"wavelet": w, "sigma": s}
            for w in ("haar", "sym4")
            for s in (0.05, 0.15, 0.4, 0.8, 1.6)
        ),
        _wavelet,
    ),
    "pca": Baseline(
        "PCA",
        "Hotelling (1933), Analysis of a complex of statistical variables into components",
        tuple({"components": k} for k in (1, 2, 4, 8, 16, 32, 64, 128, 256)),
        _projection,
    ),
}


def format_setting(setting: Setting) -> str:
    """Format filter settings as text.

    >>> format_setting({"patch": 3, "h": 0.2})
    'patch 3, h 0.2'
    """
    return ", ".join(f"{name} {value}" for name, value in setting.items())
