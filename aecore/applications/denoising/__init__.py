"""Denoising: corruptions of images, classical filters, and their comparison with runs."""

from __future__ import annotations

from aecore.applications.denoising.code_drift import (
    MEANS_OF as MEANS_OF,
    class_means as class_means,
    drift as drift,
)
from aecore.applications.denoising.curves import (
    MEASURED as MEASURED,
    NOTHING as NOTHING,
    curve as curve,
    curve_artifact as curve_artifact,
    verdict as verdict,
)
from aecore.applications.denoising.filters import (
    BASELINES as BASELINES,
    format_setting as format_setting,
)
from aecore.applications.denoising.measure import MeasureDenoising as MeasureDenoising
from aecore.applications.denoising.noise import (
    NOISES as NOISES,
    ReconstructFn as ReconstructFn,
    corrupt as corrupt,
)
from aecore.applications.denoising.similarity import psnr as psnr, ssim as ssim
from aecore.applications.denoising.tuning import (
    TUNED_ON as TUNED_ON,
    TUNED_WITH as TUNED_WITH,
    Tuned as Tuned,
    TuneFilters as TuneFilters,
    best as best,
    tune as tune,
    tuned_artifact as tuned_artifact,
)
