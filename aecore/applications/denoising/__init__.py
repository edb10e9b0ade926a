"""Denoising: corruptions of images, classical filters, and their comparison with runs."""

from __future__ import annotations

from aecore.applications.denoising.curve import MEASURED as MEASURED
from aecore.applications.denoising.curve import NOTHING as NOTHING
from aecore.applications.denoising.curve import curve as curve
from aecore.applications.denoising.curve import curve_artifact as curve_artifact
from aecore.applications.denoising.curve import verdict as verdict
from aecore.applications.denoising.drift import MEANS_OF as MEANS_OF
from aecore.applications.denoising.drift import class_means as class_means
from aecore.applications.denoising.drift import drift as drift
from aecore.applications.denoising.filters import BASELINES as BASELINES
from aecore.applications.denoising.filters import format_setting as format_setting
from aecore.applications.denoising.measure import MeasureDenoising as MeasureDenoising
from aecore.applications.denoising.noise import NOISES as NOISES
from aecore.applications.denoising.noise import ReconstructFn as ReconstructFn
from aecore.applications.denoising.noise import corrupt as corrupt
from aecore.applications.denoising.noise import subsample as subsample
from aecore.applications.denoising.similarity import psnr as psnr
from aecore.applications.denoising.similarity import ssim as ssim
from aecore.applications.denoising.tuning import TUNED_ON as TUNED_ON
from aecore.applications.denoising.tuning import TUNED_WITH as TUNED_WITH
from aecore.applications.denoising.tuning import Tuned as Tuned
from aecore.applications.denoising.tuning import TuneFilters as TuneFilters
from aecore.applications.denoising.tuning import best as best
from aecore.applications.denoising.tuning import tune as tune
from aecore.applications.denoising.tuning import tuned_artifact as tuned_artifact
