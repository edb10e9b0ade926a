"""Noise, tuned classical filters, denoising curves and code drift."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Listener, run_config
from scipy.ndimage import gaussian_filter, median_filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle

from aecore import artifacts, data, metrics, projections
from aecore.applications import denoising
from aecore.applications.denoising import BASELINES, NOISES
from aecore.errors import InvalidRequest
from aecore.models.contracts import Corruption
from aecore.models.corruptions import GaussianNoise, Masking, SaltAndPepper
from aecore.runs import store
from aecore.runs.train import Train

DIGITS = data.get("digits")
SHAPE = DIGITS.shape
SHIPPED = Path(__file__).parents[2] / "models_store" / "_maps"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def part(split: str, n: int) -> np.ndarray:
    return getattr(DIGITS, split).x[:n]


def pca() -> projections.PCA:
    return projections.components(DIGITS)


# --- Noise --------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", NOISES)
def test_noise_is_drawn_by_its_seed(noise: str) -> None:
    x = part("test", 6)
    level = NOISES[noise].default
    first, again = (denoising.corrupt(x, SHAPE, noise, level, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.dtype == np.float32 and first.shape == x.shape
    other = denoising.corrupt(x, SHAPE, noise, level, seed=4)
    assert np.array_equal(first, other) == (noise == "blur")


@pytest.mark.parametrize("noise", NOISES)
def test_no_noise_leaves_the_image_and_more_is_worse(noise: str) -> None:
    x, entry = part("test", 40), NOISES[noise]
    np.testing.assert_array_equal(denoising.corrupt(x, SHAPE, noise, 0), x)
    found = [metrics.psnr(x, denoising.corrupt(x, SHAPE, noise, level)) for level in entry.levels]
    # Some sides of a block are the same in whole pixels.
    assert (np.diff(found) <= 0).all() and found[-1] < found[0] - 5
    assert entry.levels[0] == pytest.approx(entry.least)
    assert entry.levels[-1] == pytest.approx(entry.most)
    assert entry.least < entry.default < entry.most and entry.default in entry.levels


@pytest.mark.parametrize(
    ("noise", "clip", "trained_on"),
    [
        ("gaussian", False, GaussianNoise(0.4)),
        ("gaussian", True, GaussianNoise(0.4, clip=True)),
        ("masking", False, Masking(0.4)),
        ("salt-and-pepper", False, SaltAndPepper(0.4)),
    ],
)
def test_noise_is_that_of_training(noise: str, clip: bool, trained_on: Corruption) -> None:
    x = part("test", 9)
    wanted = trained_on(torch.tensor(x), torch.Generator().manual_seed(5)).numpy()
    np.testing.assert_array_equal(denoising.corrupt(x, SHAPE, noise, 0.4, 5, clip), wanted)


def test_a_block_is_one_square_of_zeros() -> None:
    white = np.ones((50, 20 * 30), np.float32)
    found = denoising.corrupt(white, (20, 30), "block", 0.5).reshape(-1, 20, 30)
    places = set()
    for image in found:
        rows, columns = np.nonzero(image == 0)
        assert len(rows) == 100
        assert np.ptp(rows) == np.ptp(columns) == 9
        places.add((rows.min(), columns.min()))
    assert len(places) > 20


def test_blur_is_scipys() -> None:
    x = part("test", 3)
    found = denoising.corrupt(x, SHAPE, "blur", 0.8)
    for before, after in zip(x, found, strict=True):
        wanted = gaussian_filter(before.reshape(SHAPE), 0.8)
        np.testing.assert_allclose(after.reshape(SHAPE), wanted, atol=1e-6)


@pytest.mark.parametrize(("noise", "level"), [("gauss", 0.3), ("masking", 0.95), ("blur", -1)])
def test_impossible_noise_is_a_sentence(noise: str, level: float) -> None:
    with pytest.raises(InvalidRequest, match=r"did you mean 'gaussian'|out of range: give 0 to"):
        denoising.corrupt(part("test", 1), SHAPE, noise, level)


# --- Filters ------------------------------------------------------------------------------------

REFERENCES = {
    "median": (lambda image, size: median_filter(image, size), {"size": 3}),
    "total-variation": (lambda image, weight: denoise_tv_chambolle(image, weight), {"weight": 0.1}),
    "non-local-means": (
        lambda image, patch, h: denoise_nl_means(image, patch, 5, h),
        {"patch": 3, "h": 0.2},
    ),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_a_filter_sees_one_image_at_a_time(name: str) -> None:
    reference, setting = REFERENCES[name]
    assert setting in BASELINES[name].settings
    noisy = denoising.corrupt(part("test", 4), SHAPE, "gaussian", 0.2)
    found = BASELINES[name].denoise(noisy, SHAPE, pca(), setting)
    for before, after in zip(noisy, found, strict=True):
        wanted = reference(before.reshape(SHAPE), **setting).clip(0, 1)
        np.testing.assert_allclose(after.reshape(SHAPE), wanted, atol=1e-6)


def test_wavelets_are_scikit_images() -> None:
    pytest.importorskip("pywt")
    from skimage.restoration import denoise_wavelet

    noisy = denoising.corrupt(part("test", 4), SHAPE, "gaussian", 0.2)
    found = BASELINES["wavelet"].denoise(noisy, SHAPE, pca(), {"wavelet": "haar", "sigma": 0.15})
    for before, after in zip(noisy, found, strict=True):
        wanted = denoise_wavelet(
            before.reshape(SHAPE), 0.15, "haar", method="BayesShrink", rescale_sigma=True
        )
        np.testing.assert_allclose(after.reshape(SHAPE), wanted.clip(0, 1), atol=1e-6)


def test_projection_is_scikit_learns() -> None:
    from sklearn.decomposition import PCA

    fitted = PCA(8, svd_solver="full").fit(DIGITS.train.x)
    noisy = denoising.corrupt(part("test", 5), SHAPE, "gaussian", 0.2)
    wanted = fitted.inverse_transform(fitted.transform(noisy)).clip(0, 1)
    found = BASELINES["pca"].denoise(noisy, SHAPE, pca(), {"components": 8})
    np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("noise", NOISES)
def test_every_filter_answers_every_noise(name: str, noise: str) -> None:
    black_and_white = np.stack([np.zeros(64), np.ones(64)]).astype(np.float32)
    x = np.concatenate([part("test", 4), black_and_white])
    noisy = denoising.corrupt(x, SHAPE, noise, NOISES[noise].most)
    for setting in BASELINES[name].settings:
        found = BASELINES[name].denoise(noisy, SHAPE, pca(), setting)
        assert found.shape == x.shape and found.dtype == np.float32
        assert np.isfinite(found).all() and found.min() >= 0 and found.max() <= 1
    assert BASELINES[name].source


@pytest.mark.parametrize("name", BASELINES)
def test_the_best_setting_is_that_of_the_highest_psnr(name: str) -> None:
    clean = part("train", 24)
    noisy = denoising.corrupt(clean, SHAPE, "gaussian", 0.3)
    setting, reached = denoising.best(name, clean, noisy, SHAPE, pca())
    entry = BASELINES[name]
    each = [
        np.mean(
            [
                peak_signal_noise_ratio(*pair, data_range=1)
                for pair in zip(clean, entry.denoise(noisy, SHAPE, pca(), one), strict=True)
            ]
        )
        for one in entry.settings
    ]
    assert reached == pytest.approx(max(each), abs=1e-6)
    assert setting == entry.settings[int(np.argmax(each))]


def tuned(*levels: float, dataset: data.Dataset = DIGITS) -> denoising.Tuned:
    """Filter settings for Gaussian noise at these levels."""
    *_, last = denoising.tune(dataset, pca(), "gaussian", levels=levels)
    return last


def test_filters_are_tuned_on_training_images_alone() -> None:
    def read(split: str) -> data.Samples:
        assert split == "train", "a filter was tuned on what is reported"
        return data.Samples(*(part.copy() for part in DIGITS.train))

    blind = tuned(0.3, dataset=DIGITS.derived(read))
    clean = DIGITS.train.x[metrics.subsample(DIGITS.n_train, denoising.TUNED_ON)]
    noisy = denoising.corrupt(clean, SHAPE, "gaussian", 0.3, denoising.TUNED_WITH)
    for name in BASELINES:
        assert blind.settings[name] == [denoising.best(name, clean, noisy, SHAPE, pca())[0]]


def test_more_noise_asks_for_a_stronger_filter() -> None:
    weights = [each["weight"] for each in tuned(0.05, 0.3, 0.9).settings["total-variation"]]
    assert weights[0] < weights[1] < weights[2]


def test_tuning_begins_at_the_usual_level_and_tells_what_is_known() -> None:
    heard = Listener()
    found = list(
        denoising.tune(DIGITS, pca(), "masking", levels=[0.4, 0.5, 0.65], progress=heard.progress)
    )
    assert [each.levels.tolist() for each in found] == [[0.5], [0.4, 0.5], [0.4, 0.5, 0.65]]
    settings = {name: each[1] for name, each in found[-1].settings.items()}
    assert found[0].at(0.9) == (settings, 0.5)
    assert found[-1].at(0.45)[1] in (0.4, 0.5) and found[-1].at(0.6)[1] == 0.65
    assert not found[-1].complete("masking")
    assert [done for _, done, _ in heard.heard] == sorted([0, 1, 2] * len(BASELINES))
    assert "masking" in heard.heard[0][0]


@pytest.mark.parametrize("noise", NOISES)
def test_every_level_that_can_be_chosen_can_be_tuned(noise: str) -> None:
    entry = NOISES[noise]
    assert entry.steps[0] == entry.least and entry.steps[-1] == entry.most
    assert entry.default in entry.steps and set(entry.levels) <= set(entry.steps)
    np.testing.assert_allclose(np.diff(entry.steps), entry.step)


def test_settings_that_ship_are_those_that_are_found() -> None:
    file = SHIPPED / f"digits-{DIGITS.fingerprint[:12]}" / "filters-gaussian.safetensors"
    stored = denoising.tuned_artifact("digits", DIGITS.fingerprint, "gaussian", False)
    found = replace(stored, path=file).load()
    assert found.complete("gaussian")
    for level in (0.05, 0.8):
        assert found.at(level)[0] == tuned(level).at(level)[0]


def test_tuning_is_kept_and_goes_on(small_searches: None, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = Listener(lambda heard: KeyboardInterrupt() if len(heard.heard) > 12 else None)
    with pytest.raises(KeyboardInterrupt):
        denoising.TuneFilters("digits", "block", False).run(stop)
    stored = denoising.tuned_artifact("digits", DIGITS.fingerprint, "block", False)
    part = stored.load()
    assert 0 < len(part.levels) < len(NOISES["block"].steps)
    going_on = Listener()
    found = denoising.TuneFilters("digits", "block", False).run(going_on)
    assert going_on.heard[0][1] == len(part.levels)
    assert len(going_on.heard) == (len(found.levels) - len(part.levels)) * len(BASELINES)
    assert found.complete("block") and stored.load().settings == found.settings
    monkeypatch.setattr("aecore.applications.denoising.tuning.tune", None)
    assert (
        denoising.TuneFilters("digits", "block", False).run(Listener()).settings == found.settings
    )
    assert denoising.tuned_artifact("digits", DIGITS.fingerprint, "block", True).load() is None
    other = replace(BASELINES["median"], settings=({"size": 9},))
    monkeypatch.setitem(BASELINES, "median", other)
    assert stored.load() is None


# --- How good -----------------------------------------------------------------------------------


def test_psnr_and_similarity_are_scikit_images(mnist: data.Dataset) -> None:
    for dataset, window in ((DIGITS, 7), (mnist, 7)):
        x = dataset.test.x[:8]
        y = denoising.corrupt(x, dataset.shape, "gaussian", 0.3)
        psnr = denoising.psnr(x, y)
        ssim = denoising.ssim(x, y, dataset.shape)
        assert psnr.mean() == pytest.approx(metrics.psnr(x, y))
        for number, pair in enumerate(zip(x, y, strict=True)):
            one, other = (each.reshape(dataset.shape) for each in pair)
            wanted = peak_signal_noise_ratio(one, other, data_range=1)
            assert psnr[number] == pytest.approx(wanted, abs=1e-4)
            wanted = structural_similarity(one, other, data_range=1, win_size=window)
            assert ssim[number] == pytest.approx(wanted, abs=1e-6)


def test_small_images_have_smaller_windows() -> None:
    x = np.random.default_rng(0).random((2, 24)).astype(np.float32)
    y = x.clip(0.2, 0.8)
    wanted = structural_similarity(x[1].reshape(6, 4), y[1].reshape(6, 4), win_size=3, data_range=1)
    assert denoising.ssim(x, y, (6, 4))[1] == pytest.approx(wanted)
    np.testing.assert_allclose(denoising.ssim(x, x, (6, 4)), 1)


# --- Colour -------------------------------------------------------------------------------------

COLOUR = (14, 12, 3)


def colours(n: int = 4) -> np.ndarray:
    """Smooth images with different channels, (n, 504)."""
    random = np.random.default_rng(1).random((n, *COLOUR))
    return gaussian_filter(random, (0, 1.5, 1.5, 0)).reshape(n, -1).astype(np.float32)


def by_channel(x: np.ndarray) -> list[np.ndarray]:
    """Channels of flat colour images as flat grey ones, three of (n, height * width)."""
    return [np.ascontiguousarray(x[:, channel::3]) for channel in range(3)]


@pytest.mark.parametrize("shape", [(14, 12, 3), (9, 30, 3), (8, 8, 1), (3, 5, 3)])
def test_similarity_of_colours_is_scikit_images_by_channel(shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    x = random.random((3, *shape)).astype(np.float32)
    y = (x + 0.2 * random.standard_normal(x.shape).astype(np.float32)).clip(0, 1)
    window = min(7, *(side - 1 + side % 2 for side in shape[:2]))
    options = {"win_size": window, "data_range": 1, "channel_axis": -1}
    found = denoising.ssim(x.reshape(3, -1), y.reshape(3, -1), shape)
    peaks = denoising.psnr(x.reshape(3, -1), y.reshape(3, -1))
    for number, pair in enumerate(zip(x, y, strict=True)):
        assert found[number] == pytest.approx(structural_similarity(*pair, **options), abs=1e-6)
        wanted = peak_signal_noise_ratio(*pair, data_range=1)
        assert peaks[number] == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("noise", ["block", "blur"])
def test_noise_of_a_place_is_the_same_in_every_channel(noise: str) -> None:
    x = colours()
    noisy = denoising.corrupt(x, COLOUR, noise, NOISES[noise].default, seed=2)
    assert noisy.shape == x.shape and noisy.dtype == np.float32
    for clean, spoilt in zip(by_channel(x), by_channel(noisy), strict=True):
        wanted = denoising.corrupt(clean, COLOUR[:2], noise, NOISES[noise].default, seed=2)
        np.testing.assert_allclose(spoilt, wanted, atol=1e-6)


@pytest.mark.parametrize("name", ["median", "wavelet"])
def test_a_filter_of_a_place_takes_each_channel_by_itself(name: str) -> None:
    noisy = colours() + np.float32(0.1) * np.random.default_rng(3).standard_normal((4, 504), "f4")
    for setting in BASELINES[name].settings:
        found = BASELINES[name].denoise(noisy, COLOUR, None, setting)
        for channel, part in zip(by_channel(found), by_channel(noisy), strict=True):
            wanted = BASELINES[name].denoise(part, COLOUR[:2], None, setting)
            np.testing.assert_allclose(channel, wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "setting", "reference"),
    [
        (
            "total-variation",
            {"weight": 0.2},
            lambda image: denoise_tv_chambolle(image, 0.2, channel_axis=-1),
        ),
        (
            "non-local-means",
            {"patch": 3, "h": 0.2},
            lambda image: denoise_nl_means(image, 3, 5, 0.2, channel_axis=-1),
        ),
    ],
)
def test_a_filter_of_colours_is_scikit_images(
    name: str, setting: dict, reference: Callable[[np.ndarray], np.ndarray]
) -> None:
    noisy = denoising.corrupt(colours(), COLOUR, "gaussian", 0.1)
    found = BASELINES[name].denoise(noisy, COLOUR, None, setting)
    for image, wanted in zip(found.reshape(-1, *COLOUR), noisy.reshape(-1, *COLOUR), strict=True):
        np.testing.assert_allclose(image, np.clip(reference(wanted), 0, 1), atol=1e-6)


@pytest.mark.parametrize("name", [name for name in BASELINES if name != "pca"])
def test_no_filter_mixes_the_channels(name: str) -> None:
    x = np.full((1, *COLOUR), 0.5, np.float32)
    x[:, :, :6, 0] = 0.9  # a step in red alone
    found = BASELINES[name].denoise(x.reshape(1, -1), COLOUR, None, BASELINES[name].settings[0])
    np.testing.assert_allclose(found.reshape(x.shape)[..., 1:], 0.5, atol=0.02)


# --- Over all levels ----------------------------------------------------------------------------


def test_a_curve_is_the_mean_of_seeded_test_images() -> None:
    heard = Listener()
    found = denoising.curve(
        DIGITS,
        {"as it is": lambda x, labels: x, "grey": lambda x, labels: np.full_like(x, 0.3)},
        pca(),
        "gaussian",
        tuned(0.1, 0.6),
        [0.1, 0.6],
        n=30,
        seed=2,
        progress=heard.progress,
    )
    chosen = metrics.subsample(DIGITS.n_test, 30, 2)
    assert len(np.unique(chosen)) == 30 and not np.array_equal(chosen, np.arange(30))
    x = DIGITS.test.x[chosen]
    for at, level in enumerate([0.1, 0.6]):
        noisy = denoising.corrupt(x, SHAPE, "gaussian", level, 2)
        assert found.noisy[at] == pytest.approx(metrics.psnr(x, noisy))
        assert found.runs["as it is"][at] == pytest.approx(metrics.psnr(x, noisy.clip(0, 1)))
        for name, setting in tuned(level).at(level)[0].items():
            wanted = metrics.psnr(x, BASELINES[name].denoise(noisy, SHAPE, pca(), setting))
            assert found.baselines[name][at] == pytest.approx(wanted)
    assert found.runs["grey"][0] == found.runs["grey"][1]
    assert [done for _, done, _ in heard.heard] == [0] * len(BASELINES) + [1] * len(BASELINES)


@pytest.mark.parametrize(
    ("run", "wanted"),
    [
        ([16, 16, 16], "**a** is best at every level from 0.1 to 0.4, by 1.0 "),
        ([9, 9, 9], "At noise 0.1, median beats **a** by 6.0 dB; at 0.2 to 0.4, TV by up to"),
        ([14, 14, 14], "At noise 0.1, median beats **a** by 1.0 dB; at all other levels **a** is"),
        ([16, 9, 16], "At noise 0.2, TV beats **a** by 4.0 dB; at all other levels **a** is best"),
        ([9, 16, 9], "At noise 0.1, median beats **a** by 6.0 dB; at 0.4, TV by 2.0 dB; at all"),
        ([np.nan, 1, 1], "**a** answers with values that are no finite numbers."),
    ],
)
def test_where_a_filter_wins_is_said(run: list[float], wanted: str) -> None:
    others = {"Median": np.array([15, 12, 9]), "TV": np.array([13, 13, 11])}
    assert denoising.verdict([0.1, 0.2, 0.4], np.array(run), others, "a").startswith(wanted)


# --- Where codes go -----------------------------------------------------------------------------


def test_codes_flip_at_the_first_level_at_which_another_mean_is_nearest() -> None:
    x = np.zeros((3, 64), np.float32)
    x[:, 0] = [0.45, 0.2, 0.9]
    labels = np.array([0, 0, 1])
    levels = [0.0, 0.2, 0.5]

    def encode(noisy: np.ndarray, labels: np.ndarray) -> np.ndarray:
        # As if noise moved every code to the right, by its level.
        return x[:, :1] + encode.levels.pop(0)

    encode.levels = [*levels, 0.0]
    means = np.array([[0.0], [1.0]])
    found = denoising.drift(encode, x, labels, means, SHAPE, "gaussian", levels)
    assert found.codes.shape == (3, 3, 1)
    np.testing.assert_array_equal(found.flips, [0.2, 0.5, np.nan])
    np.testing.assert_array_equal(found.clean, [0, 0, 1])
    np.testing.assert_array_equal(found.nearest, [[0, 0, 1], [1, 0, 1], [1, 1, 1]])
    np.testing.assert_allclose(found.flipped(levels), [0, 1 / 3, 2 / 3])


def test_without_classes_codes_go_but_nothing_flips() -> None:
    x, labels = part("test", 3), np.linspace(0, 1, 3)
    found = denoising.drift(lambda x, _: x, x, labels, None, SHAPE, "masking", [0, 0.5])
    np.testing.assert_array_equal(found.codes[0], x)
    assert np.isnan(found.flips).all() and not found.nearest.any()


def test_class_means_are_of_training_samples() -> None:
    found = denoising.class_means(lambda x, labels: x, DIGITS)
    x, labels = DIGITS.train
    np.testing.assert_allclose(found, [x[labels == label].mean(axis=0) for label in range(10)])
    few = DIGITS.derived(lambda split: data.Samples(x[labels == 3], labels[labels == 3]))
    few = few.derived(n_train=int((labels == 3).sum()))
    found = denoising.class_means(lambda x, labels: x, few)
    np.testing.assert_allclose(found[3], x[labels == 3].mean(axis=0), rtol=1e-5)
    assert np.isnan(np.delete(found, 3, axis=0)).all()


# --- The task -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("variant", "model"), [("denoising", {"level": 0.3}), ("cvae", {})])
def test_the_curve_of_a_run_is_kept_beside_it(
    small_searches: None, variant: str, model: dict
) -> None:
    run = Train(run_config("digits", variant, model, epochs=3), "small", resumable=False).run(
        Listener()
    )
    assert denoising.curve_artifact(run, "gaussian", True).load() is None
    heard = Listener()
    denoising.MeasureDenoising("small", "gaussian", True).run(heard)
    found, flipped = denoising.curve_artifact(store.load("small"), "gaussian", True).load()
    assert list(found.baselines) == list(BASELINES)
    assert len(found.levels) == len(found.noisy) == len(found.runs["small"])
    np.testing.assert_array_equal(found.levels, NOISES["gaussian"].levels)
    assert (np.diff(flipped) >= 0).all() and 0 <= flipped[0] <= flipped[-1] <= 1
    assert denoising.curve_artifact(run, "gaussian", False).load() is None
    assert "level" in heard.heard[-1][0]
    stored = denoising.curve_artifact(run, "gaussian", True)
    arrays, facts = artifacts.read_arrays(stored.path)
    artifacts.write_arrays(stored.path, arrays | {"levels": arrays["levels"][:8]}, facts)
    assert stored.load() is None  # of other levels, from long ago
    artifacts.write_arrays(stored.path, arrays, facts)
    again = store.load("small")
    assert again.model() is not None  # a file more does not make a run incomplete
    made_later = again.manifest.model_copy(update={"created": LONG_AGO})
    other = replace(again, manifest=made_later)
    assert denoising.curve_artifact(other, "gaussian", True).load() is None


def test_a_better_than_classical_denoiser_is_found_in_a_moment() -> None:
    config = run_config(
        "digits",
        "denoising",
        {"hidden": (128,), "latent_dim": 32, "level": 0.5, "likelihood": "squashed-gaussian"},
        epochs=40,
        batch_size=32,
    )
    run = Train(config, "denoiser", resumable=False).run(Listener())
    model = run.model()

    def rebuild(x: np.ndarray, labels: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return model.reconstruct(torch.tensor(x)).numpy()

    levels = [0.05, 0.5]
    found = denoising.curve(DIGITS, {"run": rebuild}, pca(), "gaussian", tuned(*levels), levels)
    best = np.max(list(found.baselines.values()), axis=0)
    assert found.runs["run"][1] > best[1] + 1
    assert found.runs["run"][0] < best[0]
    text = denoising.verdict(found.levels, found.runs["run"], found.baselines)
    assert text.startswith("At noise 0.05, ")


@pytest.mark.slow
@pytest.mark.parametrize(("clip", "gain"), [(False, 13), (True, 10)])
def test_a_denoiser_of_mnist_gains_what_the_literature_asks(
    only_when_asked: None, mnist: data.Dataset, clip: bool, gain: float
) -> None:
    model = {"hidden": (512,), "latent_dim": 128, "level": 0.5, "clip": clip}
    config = run_config("mnist", "denoising", model, epochs=20, batch_size=256)
    run = Train(config, "denoiser", resumable=False).run(Listener())
    denoising.MeasureDenoising(run.name, "gaussian", clip).run(Listener())
    found, _ = denoising.curve_artifact(run, "gaussian", clip).load()
    at = found.levels.tolist().index(0.5)
    reached = found.runs["denoiser"][at]
    assert reached - found.noisy[at] >= gain
    assert reached >= 1 + max(curve[at] for curve in found.baselines.values())
