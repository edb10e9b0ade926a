"""Datasets without files: those of scikit-learn, and samples of curves and surfaces."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from aecore.data.dataset import Samples, SplitReader


def stratified(loader: str, test_size: float, scale: float | None) -> SplitReader:
    """Labelled dataset of scikit-learn, split by class with seed 0.

    Divided by `scale`, or standardised on the training split where that is None.
    """

    def read(split: str) -> Samples:
        from sklearn import datasets
        from sklearn.model_selection import train_test_split

        x, labels = getattr(datasets, loader)(return_X_y=True)
        train, test, train_labels, test_labels = train_test_split(
            x, labels, test_size=test_size, stratify=labels, random_state=0
        )
        if scale is None:
            train, test = _standardise(train, test)
        else:
            train, test = train / scale, test / scale
        chosen = (train, train_labels) if split == "train" else (test, test_labels)
        return Samples(chosen[0].astype(np.float32), chosen[1].astype(np.int64))

    return read


def _standardise(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean, deviation = train.mean(0), train.std(0)
    deviation[deviation == 0] = 1  # a constant feature stays at zero
    return (train - mean) / deviation, (test - mean) / deviation


def curve(points: Callable[[], tuple[np.ndarray, np.ndarray]], n_train: int) -> SplitReader:
    """Points on a curve or surface, standardised on the training split, the first `n_train`."""

    def read(split: str) -> Samples:
        x, position = points()
        train, test = _standardise(x[:n_train], x[n_train:])
        if split == "train":
            return Samples(train.astype(np.float32), position[:n_train].astype(np.float32))
        return Samples(test.astype(np.float32), position[n_train:].astype(np.float32))

    return read


def tilted_ring() -> tuple[np.ndarray, np.ndarray]:
    """200 points of a noisy, tilted three-quarter ring in three dimensions, and their angles.

    a ~ U[-0.5, 3 pi/2 - 0.5), x = cos a + sin a / 2 + 0.05 e, y = 0.7 sin a + 0.05 e,
    z = 0.1 x + 0.3 y + 0.1 e, with e ~ N(0, 1) drawn anew each time; seed 0.
    """
    random = np.random.default_rng(0)
    angle = random.uniform(-0.5, 1.5 * np.pi - 0.5, 200)
    noise = random.standard_normal((3, 200))
    x = np.cos(angle) + np.sin(angle) / 2 + 0.05 * noise[0]
    y = 0.7 * np.sin(angle) + 0.05 * noise[1]
    z = 0.1 * x + 0.3 * y + 0.1 * noise[2]
    return np.stack([x, y, z], axis=1), angle


def swiss_roll() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import make_swiss_roll

    return make_swiss_roll(3000, noise=0.05, random_state=0)


def s_curve() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import make_s_curve

    return make_s_curve(3000, noise=0.05, random_state=0)
