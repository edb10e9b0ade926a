"""Pictures shared by several recipes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from aecore import models, projections
from aecore.data import Dataset
from aecore.recipes.experiment import Trained
from aecore.recipes.results import SEED, Picture

if TYPE_CHECKING:
    from aecore.models.contracts import Corruption


def rows_picture(title: str, dataset: Dataset, **rows: np.ndarray) -> Picture:
    """Picture of rows of images."""
    return Picture("rows", title, rows, {"shape": list(dataset.shape)})


def one_of_each(dataset: Dataset) -> np.ndarray:
    """Index of the first test sample of each class."""
    return np.unique(dataset.test.labels, return_index=True)[1]


def reconstruct(trained: Trained, x: np.ndarray) -> np.ndarray:
    return models.inference.reconstruct(trained.model, x)


def encode(trained: Trained, x: np.ndarray) -> np.ndarray:
    return models.inference.encode(trained.model, x)


def decode(trained: Trained, codes: np.ndarray) -> np.ndarray:
    return models.inference.decode(trained.model, codes)


def beside_pca(trained: Trained, k: int) -> Picture:
    """Picture of test images, the model's reconstructions, and those of PCA of the same width."""
    dataset = trained.dataset
    x = dataset.test.x[one_of_each(dataset)]
    return rows_picture(
        "Test images and what comes back",
        dataset,
        **{
            "test": x,
            "autoencoder": reconstruct(trained, x),
            f"PCA, {k}": projections.components(dataset).reconstruct(x, k),
        },
    )


def maps_picture(title: str, dataset: Dataset, most: int = 3_000, **planes: np.ndarray) -> Picture:
    """Picture of planes of the first test samples side by side, coloured by class."""
    arrays = {name: plane[:most] for name, plane in planes.items()}
    names = {"label_names": list(dataset.label_names)}
    return Picture("maps", title, {**arrays, "labels": dataset.test.labels[:most]}, names)


def curves_picture(title: str, x_title: str, y_title: str, x: Any, **curves: Any) -> Picture:
    arrays = {name: np.asarray(values, np.float64) for name, values in curves.items()}
    titles = {"x_title": x_title, "y_title": y_title}
    return Picture("curves", title, {"x": np.asarray(x), **arrays}, titles)


def test_curve(trained: Trained) -> list[float]:
    return [entry["test_mse"] for entry in trained.history]


def add_noise(dataset: Dataset, corruption: Corruption) -> np.ndarray:
    """Test split under a corruption, drawn with the recipes' seed."""
    import torch

    generator = torch.Generator().manual_seed(SEED)
    return corruption(torch.tensor(dataset.test.x), generator).numpy()
