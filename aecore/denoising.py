"""Noise taken away from images: by runs, and by classical filters at their best.

A filter has settings. The best of them is looked for on training images under the same noise, so
that what is reported of test images was never tuned on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel, TypeAdapter

from aecore import metrics, projections, store
from aecore.artifacts import Array, Artifact, Size
from aecore.datasets import Dataset
from aecore.errors import Damaged, Faults, unknown
from aecore.progress import Progress, no_progress
from aecore.projections import PCA

MOST_LEVELS = 1_000
"""Levels of a noise that a file may hold."""
TUNED_ON = 64
"""Training images on which a filter's settings are compared."""
TUNED_WITH = 2**31 - 1
"""The seed of their noise, which no test image is given."""
MEASURED = 256
"""Test images of which a curve is the mean."""
MEANS_OF = 5_000
"""Training samples of which class means are taken."""
LEVELS = 8
"""Levels of a curve, evenly spaced; the usual level comes between them."""
NOTHING = "leaving the noise as it is"
"""What a verdict calls the noisy image itself."""

Shape = tuple[int, ...]
Setting = dict[str, Any]
Rebuild = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Samples (n, n_features) and their labels (n,) -> what a model makes of each, (n, m)."""


# --- Noise --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Noise:
    """One way to spoil an image whose pixels lie in [0, 1], at a level from `least` to `most`."""

    title: str
    unit: str
    least: float
    most: float
    default: float
    draw: Callable[[np.ndarray, Shape, float, int, bool], np.ndarray]
    """Samples (n, n_features), shape, level, seed, clip -> noisy samples."""
    step: float = 0.05
    """From one level to the next that can be chosen."""

    @property
    def steps(self) -> np.ndarray:
        """Every level that can be chosen, (m,)."""
        first, last = (round(level / self.step) for level in (self.least, self.most))
        return (np.arange(first, last + 1) * self.step).round(2)

    @property
    def levels(self) -> np.ndarray:
        """Some of them for a curve: `LEVELS` from the least to the most, and the usual one."""
        even = self.steps[np.linspace(0, len(self.steps) - 1, LEVELS).round().astype(int)]
        return np.union1d(even, self.default)


def corrupt(
    x: np.ndarray, shape: Shape, noise: str, level: float, seed: int = 0, clip: bool = False
) -> np.ndarray:
    """Samples with noise; one seed gives the same noise at every level, only more of it.

    Arguments
        x: (n, n_features) in [0, 1], images of `shape` (height, width[, channels]).
        noise: a key of `NOISES`; level: in its unit, 0 for none.
        clip: whether Gaussian noise is cut off at 0 and 1; the others stay there anyway.

    Raises `Faults` for a noise that is not known and a level out of its range.
    """
    if noise not in NOISES:
        raise Faults(unknown("noise", noise, NOISES))
    entry = NOISES[noise]
    if not 0 <= level <= entry.most:
        raise Faults(
            f"level = {level:g} of {entry.title.lower()} is out of range: give 0 to {entry.most:g}."
        )
    return entry.draw(np.asarray(x, np.float32), shape, level, seed, clip)


def refuse(dataset: Dataset, noise: str, clip: bool) -> None:
    """Raise `Faults` where a noise is not known, or does not go with a dataset or with clipping."""
    faults = []
    if not dataset.traits.pictures:
        faults.append(f"{dataset.name} has no images to denoise: choose a run of images.")
    if noise not in NOISES:
        faults.append(unknown("noise", noise, NOISES))
    elif clip and noise != "gaussian":
        faults.append(f"clip is for Gaussian noise: {noise} stays within 0 and 1 anyway.")
    if faults:
        raise Faults(faults)


def _trained_on(name: str) -> Callable[..., np.ndarray]:
    """Noise as a denoising autoencoder meets it in training."""

    def draw(x: np.ndarray, shape: Shape, level: float, seed: int, clip: bool) -> np.ndarray:
        import torch

        from aecore.corruption import CORRUPTIONS

        options = {"clip": clip} if name == "gaussian" else {}
        generator = torch.Generator().manual_seed(seed)
        return CORRUPTIONS[name](level, **options)(torch.tensor(x), generator).numpy()

    return draw


def _block(x: np.ndarray, shape: Shape, level: float, seed: int, clip: bool) -> np.ndarray:
    side = round(level * min(shape[:2]))
    # Near the edges there is often nothing to hide.
    places = 0.25 + 0.5 * np.random.default_rng(seed).random((len(x), 2))
    inside = []
    for axis in (0, 1):
        start = (places[:, axis] * (shape[axis] - side + 1)).astype(int)[:, None]
        along = np.arange(shape[axis])
        inside.append((along >= start) & (along < start + side))
    hole = inside[0][:, :, None] & inside[1][:, None, :]
    images = x.reshape(len(x), *shape[:2], -1)
    return np.where(hole[..., None], np.float32(0), images).reshape(x.shape)


def _blur(x: np.ndarray, shape: Shape, level: float, seed: int, clip: bool) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    images = x.reshape(len(x), *shape[:2], -1)
    return gaussian_filter(images, (0, level, level, 0)).reshape(x.shape)


NOISES = {
    "gaussian": Noise("Gaussian", "standard deviation", 0.05, 1.0, 0.5, _trained_on("gaussian")),
    "masking": Noise("Masking", "share of pixels set to 0", 0.05, 0.9, 0.5, _trained_on("masking")),
    "salt-and-pepper": Noise(
        "Salt and pepper",
        "share of pixels set to 0 or 1",
        0.05,
        0.9,
        0.3,
        _trained_on("salt-and-pepper"),
    ),
    "block": Noise("Block", "side of a square set to 0, as a share", 0.2, 0.8, 0.4, _block),
    "blur": Noise("Blur", "standard deviation in pixels", 0.3, 3.0, 1.0, _blur, 0.1),
}


# --- Classical filters --------------------------------------------------------------------------


@dataclass(frozen=True)
class Baseline:
    """A filter that learns nothing, or only a plane, and the settings that it is tried with."""

    title: str
    source: str
    settings: tuple[Setting, ...]
    run: Callable[..., np.ndarray]
    """Images (n, height, width[, channels]), the components of the training split, a setting ->
    images. A filter slides over height and width alone."""

    def denoise(self, noisy: np.ndarray, shape: Shape, pca: PCA, setting: Setting) -> np.ndarray:
        """What it makes of samples, cut off at 0 and 1, where images are known to lie.

        Arguments
            noisy: (n, n_features), images of `shape`.
            pca: the principal components of the training split, which projection needs.

        Returns (n, n_features).
        """
        images = self.run(noisy.reshape(-1, *shape), pca, **setting)
        return np.clip(images.reshape(noisy.shape), 0, 1).astype(np.float32)


def _channels(ndim: int) -> int | None:
    """The axis of an image's channels, as scikit-image asks for it: the last of three, or none."""
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


def best(
    baseline: str, clean: np.ndarray, noisy: np.ndarray, shape: Shape, pca: PCA
) -> tuple[Setting, float]:
    """The setting of a filter with the highest mean PSNR, and that PSNR in dB.

    Arguments
        baseline: a key of `BASELINES`.
        clean, noisy: (n, n_features), images of the training split.
        pca: the principal components of the training split.
    """
    chosen = BASELINES[baseline]
    found = [
        metrics.psnr(clean, chosen.denoise(noisy, shape, pca, setting))
        for setting in chosen.settings
    ]
    return chosen.settings[int(np.argmax(found))], max(found)


class Tuned(NamedTuple):
    """The best settings of every filter for one kind of noise, at the levels that were tried."""

    levels: np.ndarray
    """(m,), rising."""
    settings: dict[str, list[Setting]]
    """Of each filter, one for each level."""

    def complete(self, noise: str) -> bool:
        """Whether every filter was tried at every level that can be chosen."""
        return np.array_equal(self.levels, NOISES[noise].steps)

    def at(self, level: float) -> tuple[dict[str, Setting], float]:
        """The settings at the nearest level that was tried, and that level."""
        nearest = int(np.abs(self.levels - level).argmin())
        found = {name: settings[nearest] for name, settings in self.settings.items()}
        return found, float(self.levels[nearest])


def tune(
    dataset: Dataset,
    pca: PCA,
    noise: str,
    clip: bool = False,
    levels: Sequence[float] | None = None,
    known: Tuned | None = None,
    progress: Progress = no_progress,
) -> Iterator[Tuned]:
    """The best setting of every filter for a noise, on seeded images of the training split.

    Yields what is known after each level, from the usual level outwards.

    Arguments
        pca: the principal components of the training split.
        levels: all that can be chosen, unless told.
        known: what was found before; its levels are not tried again.
    """
    entry = NOISES[noise]
    clean = dataset.train.x[some(dataset.n_train, TUNED_ON)]
    levels = entry.steps.tolist() if levels is None else levels
    found = {level: known.at(level)[0] for level in known.levels.tolist()} if known else {}
    for level in sorted(set(levels) - found.keys(), key=lambda level: abs(level - entry.default)):
        noisy = corrupt(clean, dataset.shape, noise, level, TUNED_WITH, clip)
        best_of: dict[str, Setting] = {}
        for name, baseline in BASELINES.items():
            what = f"{baseline.title} on training images of {dataset.name}, {entry.title.lower()}"
            progress(what, len(found), len(levels))
            best_of[name] = best(name, clean, noisy, dataset.shape, pca)[0]
        found[level] = best_of
        rising = sorted(found)
        yield Tuned(
            np.array(rising), {name: [found[at][name] for at in rising] for name in BASELINES}
        )


def told(setting: Setting) -> str:
    """A setting in words.

    >>> told({"patch": 3, "h": 0.2})
    'patch 3, h 0.2'
    """
    return ", ".join(f"{name} {value}" for name, value in setting.items())


def some(n: int, most: int, seed: int = 0) -> np.ndarray:
    """Sorted numbers of `most` of n samples, or of all where there are no more."""
    return np.sort(np.random.default_rng(seed).choice(n, min(n, most), replace=False))


# --- How good -----------------------------------------------------------------------------------


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


# --- Over all levels ----------------------------------------------------------------------------


class Curve(NamedTuple):
    """Mean PSNR of test images in dB at each level, (m,)."""

    levels: np.ndarray
    noisy: np.ndarray
    runs: dict[str, np.ndarray]
    baselines: dict[str, np.ndarray]


def curve(
    dataset: Dataset,
    runs: Mapping[str, Rebuild],
    pca: PCA,
    noise: str,
    tuned: Tuned,
    levels: Sequence[float],
    clip: bool = False,
    n: int = MEASURED,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Curve:
    """How well noise is taken away from n seeded test images as its level rises.

    Arguments
        runs: a name, and what reconstructs noisy samples (n, n_features).
        pca: the principal components of the training split.
        tuned: the settings of the filters for this noise.
        levels: (m,) in the unit of the noise.
    """
    chosen = some(dataset.n_test, n, seed)
    x, labels = (part[chosen] for part in dataset.test)
    noisy_curve: list[float] = []
    run_curves: dict[str, list[float]] = {name: [] for name in runs}
    curves: dict[str, list[float]] = {name: [] for name in tuned.settings}
    for position, level in enumerate(levels):
        noisy = corrupt(x, dataset.shape, noise, level, seed, clip)
        noisy_curve.append(metrics.psnr(x, noisy))
        for name, rebuild in runs.items():
            run_curves[name].append(metrics.psnr(x, rebuild(noisy, labels).clip(0, 1)))
        for name, setting in tuned.at(level)[0].items():
            progress(f"{BASELINES[name].title}, level {level:g}", position, len(levels))
            denoised = BASELINES[name].denoise(noisy, dataset.shape, pca, setting)
            curves[name].append(metrics.psnr(x, denoised))
    return Curve(
        np.array(levels, np.float64),
        np.array(noisy_curve),
        {name: np.array(values) for name, values in run_curves.items()},
        {name: np.array(values) for name, values in curves.items()},
    )


def verdict(
    levels: Sequence[float],
    run_curve: np.ndarray,
    baseline_curves: Mapping[str, np.ndarray],
    name: str = "The run",
) -> str:
    """At which levels a classical filter is better than a run, and by how much.

    Arguments
        levels: (m,), rising.
        run_curve: PSNR of the run in dB, (m,); baseline_curves: that of others, by their names.

    >>> verdict([0.1, 0.2, 0.4], np.array([12, 12, 11]), {"median": np.array([15, 13, 9])})
    'Over **The run** at levels 0.1 to 0.2 median wins, by up to 3.0 dB; at the others **The run** \
is best, by up to 2.0 dB.'
    """
    if not np.isfinite(run_curve).all():
        return f"**{name}** answers with values that are no finite numbers."
    others = np.stack(list(baseline_curves.values()))
    names = np.array(list(baseline_curves))
    lead = (run_curve - others.max(axis=0)).round(1)  # as it is told
    if (lead >= 0).all():
        return (
            f"**{name}** is best at every level from {levels[0]:g} to {levels[-1]:g}, by "
            f"{lead.min():.1f} to {lead.max():.1f} dB."
        )
    best = np.where(lead < 0, others.argmax(axis=0), -1)
    lost = []
    for winner, group in groupby(range(len(levels)), best.__getitem__):
        if winner < 0:
            continue
        span = list(group)
        first, last = levels[span[0]], levels[span[-1]]
        where = f"level {first:g}" if first == last else f"levels {first:g} to {last:g}"
        by = "by" if first == last else "by up to"
        lost.append(f"at {where} {names[winner]} wins, {by} {-lead[span].min():.1f} dB")
    text = f"Over **{name}** " + "; ".join(lost)
    if (lead < 0).all():
        return f"{text}; **{name}** is best at none."
    return f"{text}; at the others **{name}** is best, by up to {lead.max():.1f} dB."


# --- Where codes go -----------------------------------------------------------------------------


class Drift(NamedTuple):
    """What becomes of the codes of some samples as noise rises."""

    codes: np.ndarray
    """(m, n, latent_dim), at m levels."""
    nearest: np.ndarray
    """(m, n) class numbers, of the class whose mean is nearest."""
    clean: np.ndarray
    """(n,) the same without noise."""
    flips: np.ndarray
    """(n,) the first level at which the nearest mean is of another class than without noise; NaN
    where it stays the same."""

    def flipped(self, levels: Sequence[float]) -> np.ndarray:
        """Share of the samples that have flipped by each level, (m,)."""
        return (self.flips <= np.asarray(levels)[:, None]).mean(axis=1)


def class_means(encode: Rebuild, dataset: Dataset) -> np.ndarray:
    """The mean code of each class over 5,000 seeded training samples, (classes, latent_dim).

    NaN for a class of which there is none.
    """
    x, labels = (part[some(dataset.n_train, MEANS_OF)] for part in dataset.train)
    codes = encode(x, labels)
    means = np.full((dataset.n_classes, codes.shape[1]), np.nan)
    for label in np.unique(labels):
        means[label] = codes[labels == label].mean(axis=0)
    return means


def drift(
    encode: Rebuild,
    x: np.ndarray,
    labels: np.ndarray,
    means: np.ndarray | None,
    shape: Shape,
    noise: str,
    levels: Sequence[float],
    seed: int = 0,
    clip: bool = False,
) -> Drift:
    """Codes of the same samples under more and more of the same noise.

    Arguments
        encode: samples and their labels to codes (n, latent_dim).
        x: (n, n_features) clean; labels: (n,).
        means: (classes, latent_dim), of `class_means`; None where there are no classes, and then
            everything is nearest to the same.
        levels: (m,), rising.
    """

    def nearest(codes: np.ndarray) -> np.ndarray:
        if means is None:
            return np.zeros(len(codes), np.int64)
        return np.nanargmin(np.square(codes[:, None] - means).sum(axis=2), axis=1)

    noisy = (corrupt(x, shape, noise, level, seed, clip) for level in levels)
    codes = np.stack([encode(each, labels) for each in noisy])
    found, clean = np.stack([nearest(each) for each in codes]), nearest(encode(x, labels))
    other = found != clean
    first = np.asarray(levels, np.float64)[other.argmax(axis=0)]
    return Drift(codes, found, clean, np.where(other.any(axis=0), first, np.nan))


# --- On disk ------------------------------------------------------------------------------------


def tuned_artifact(dataset_name: str, fingerprint: str, noise: str, clip: bool) -> Artifact[Tuned]:
    """The best settings of the filters for a noise as they are stored; levels may be missing."""
    return Artifact(
        path=projections.data_folder(dataset_name, fingerprint) / f"filters-{_suffix(noise, clip)}",
        facts=TypeAdapter(_TunedFacts),
        expected=lambda facts: {"levels": Array((Size("levels", MOST_LEVELS),), low=0, rises=True)},
        dump=lambda tuned: (
            {"levels": tuned.levels},
            {"settings": tuned.settings, "tried": _tried()},
        ),
        build=_tuned_of,
    )


def _tuned_of(arrays: dict[str, np.ndarray], facts: _TunedFacts) -> Tuned | None:
    """Stored settings; None where they were chosen among others than there are now."""
    if facts.tried != _tried():
        return None
    levels, settings = arrays["levels"], facts.settings
    if settings.keys() != BASELINES.keys() or not all(
        len(chosen) == len(levels) and all(one in BASELINES[name].settings for one in chosen)
        for name, chosen in settings.items()
    ):
        raise Damaged("its settings are not one of each filter's for each level")
    return Tuned(levels, settings)


class _TunedFacts(BaseModel):
    tried: dict[str, list[Setting]]
    settings: dict[str, list[Setting]]


def _tried() -> dict[str, list[Setting]]:
    return {name: list(baseline.settings) for name, baseline in BASELINES.items()}


class RunCurve(NamedTuple):
    """The curve of one run under a noise, and how its codes drift."""

    curve: Curve
    flipped: np.ndarray | None
    """(m,) share of the samples that have flipped by each level; None without classes."""


def curve_artifact(run: store.Run, noise: str, clip: bool) -> Artifact[RunCurve]:
    """The curve of a run under a noise as it is stored."""
    measured = Array((Size("measured", MOST_LEVELS),), finite=False)
    expected = {
        "levels": Array((Size("levels", MOST_LEVELS),)),
        "noisy": measured,
        "run": measured,
        "flipped": replace(measured, low=0, high=1, finite=True, optional=True),
    }
    expected |= {f"baseline.{name}": replace(measured, optional=True) for name in BASELINES}

    def dump(computed: RunCurve) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        levels, noisy, runs, baselines = computed.curve
        arrays = {"levels": levels, "noisy": noisy, "run": runs[run.name]}
        arrays |= {f"baseline.{name}": values for name, values in baselines.items()}
        if computed.flipped is not None:
            arrays["flipped"] = computed.flipped
        return arrays, {}

    def build(arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> RunCurve | None:
        levels = arrays["levels"]
        # Levels of an earlier version may be others; what was measured at them is not asked for.
        if not np.array_equal(levels, NOISES[noise].levels):
            return None
        if len(arrays["noisy"]) != len(levels):
            raise Damaged("it has not one figure for each level")
        baselines = dict(_named(arrays))
        # In the order of the registry; a file does not keep one.
        ordered = {name: baselines[name] for name in BASELINES if name in baselines}
        curve = Curve(levels, arrays["noisy"], {run.name: arrays["run"]}, ordered)
        return RunCurve(curve, arrays.get("flipped"))

    return Artifact(
        path=run.folder / f"denoising-{_suffix(noise, clip)}",
        created=run.manifest.created,
        expected=lambda facts: expected,
        dump=dump,
        build=build,
    )


def _named(arrays: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    for key, values in arrays.items():
        if key.startswith("baseline."):
            yield key.removeprefix("baseline."), values


def _suffix(noise: str, clip: bool) -> str:
    return f"{noise}{'-clipped' * clip}.safetensors"
