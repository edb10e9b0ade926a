"""Recipes of linear autoencoders and PCA, and of a code of two dimensions against PCA."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from aecore import data, projections
from aecore.recipes.pictures import (
    beside_pca,
    curves_picture,
    maps_picture,
    reconstruct,
    test_curve,
)
from aecore.recipes.registry import HINTON, recipe
from aecore.recipes.results import Finding, Picture

if TYPE_CHECKING:
    from aecore.recipes.experiment import Experiment

STARTS = 5


@recipe(
    "linear-is-pca-3d",
    title="A linear autoencoder learns the plane of PCA",
    dataset="tilted-ring",
    architecture="3-2-3, linear, squared error, Adam 0.01, 1,000 iterations on 100 points; the "
    "best of five random starts by training error, because some wait at a saddle",
    metric="test MSE, within 1 % of PCA's ({reference}), and the planes less than 2 degrees apart",
    source="Geron (2017), Hands-on machine learning with Scikit-Learn and TensorFlow, chapter 15; "
    "Baldi & Hornik (1989), Neural networks and principal component analysis",
)
def _linear_is_pca_3d(experiment: Experiment) -> Finding:
    """Without activations, gradient descent on squared error arrives at the principal plane."""
    from scipy.linalg import subspace_angles

    dataset = data.get("tilted-ring")
    starts = [
        experiment.train(
            dataset,
            "linear",
            {"latent_dim": 2},
            what=f"start {seed + 1} of {STARTS}",
            epochs=1_000,
            batch_size=dataset.n_train,
            learning_rate=0.01,
            schedule="constant",
            seed=seed,
        )
        for seed in range(STARTS)
    ]
    # Chosen by the training error: the test split is not used.
    trained = min(starts, key=lambda start: start.history[-1]["train"]["total"])
    pca = projections.components(dataset)
    reference = projections.pca_mse(dataset, 2)
    plane = trained.model.decoder.get_parameter("0.weight").detach().numpy()
    angle = math.degrees(subspace_angles(plane, pca.components[:2].T).max())
    corners = np.array([[[a, b] for b in (-2.5, 2.5)] for a in (-2.5, 2.5)])
    principal = pca.mean + corners @ pca.components[:2]
    # The same square on the other plane, so that the two can be compared by eye.
    learned = reconstruct(trained, principal.reshape(-1, 3)).reshape(2, 2, 3)
    cloud = Picture(
        "cloud",
        "The plane that was learned, in the cloud",
        {
            "points": dataset.test.x,
            "position": dataset.test.labels,
            "autoencoder": learned,
            "PCA": principal,
        },
    )
    flat = maps_picture(
        "The two codes",
        dataset,
        autoencoder=trained.test.codes,
        PCA=pca.encode(dataset.test.x, 2),
    )
    return Finding(
        trained.mse,
        reference,
        abs(trained.mse - reference) <= 0.01 * reference and angle < 2,
        {
            "largest angle between the planes, degrees": angle,
            f"starts of {STARTS} that came within 1 % in time": sum(
                abs(start.mse - reference) <= 0.01 * reference for start in starts
            ),
        },
        [cloud, flat],
    )


@recipe(
    "linear-is-pca",
    title="The same on MNIST, through five linear layers",
    architecture="784-512-128-2-128-512-784, all linear, squared error, Adam 0.001 to its peak and "
    "down, batch 128, 5 epochs",
    metric="test MSE, within 0.5 % of PCA's ({reference})",
    source="Baldi & Hornik (1989), Neural networks and principal component analysis",
)
def _linear_is_pca(experiment: Experiment) -> Finding:
    """Depth adds nothing without activations: five linear layers are one plane."""
    dataset = experiment.data()
    trained = experiment.train(
        dataset,
        "linear",
        {"hidden": (512, 128)},
        keep="linear-is-pca",
        epochs=5,
        batch_size=128,
        learning_rate=1e-3,
    )
    reference = projections.pca_mse(dataset, 2)
    maps = maps_picture(
        "The two codes: one plane, turned and scaled",
        dataset,
        autoencoder=trained.test.codes,
        PCA=projections.components(dataset).encode(dataset.test.x, 2),
    )
    return Finding(
        trained.mse,
        reference,
        abs(trained.mse - reference) <= 0.005 * reference,
        {"PCA's test MSE": reference},
        [maps, beside_pca(trained, 2)],
    )


def _against_pca(experiment: Experiment, epochs: int, k: int) -> Finding:
    dataset = experiment.data()
    trained = experiment.train(
        dataset,
        "ae",
        {"hidden": (512, 128), "activation": "elu", "likelihood": "squashed-gaussian"},
        keep=experiment.recipe.name,
        epochs=epochs,
        batch_size=128,
        learning_rate=4e-3,
    )
    errors = {f"PCA's test MSE, {n} components": projections.pca_mse(dataset, n) for n in (2, k)}
    maps = maps_picture(
        "The two-dimensional code beside PCA",
        dataset,
        autoencoder=trained.test.codes,
        PCA=projections.components(dataset).encode(dataset.test.x, 2),
    )
    pictures = [maps, beside_pca(trained, 2)]
    if epochs > 5:
        curve = test_curve(trained)
        lines = {"autoencoder": curve} | {
            f"PCA, {n} components": [projections.pca_mse(dataset, n)] * len(curve) for n in (2, k)
        }
        epochs_done = range(1, len(curve) + 1)
        pictures.append(curves_picture("The way there", "epoch", "test MSE", epochs_done, **lines))
    return experiment.at_most(trained.mse, errors, pictures)


@recipe(
    "beat-pca-2d",
    reference=0.0407,
    title="Two nonlinear dimensions against two principal components",
    architecture="784-512-128-2-128-512-784, ELU, sigmoid output, squared error, Adam 0.004 to "
    "its peak and down, batch 128, 5 epochs",
    metric="test MSE, at most {reference}",
    source=f"{HINTON}; the network and its figure from a tutorial of 2018",
)
def _beat_pca(experiment: Experiment) -> Finding:
    """With activations, the same widths fit a curved surface closer to the data than any plane."""
    return _against_pca(experiment, epochs=5, k=2)


@recipe(
    "beat-pca-2d-long",
    reference=0.0359,
    title="Two nonlinear dimensions against nine principal components",
    architecture="784-512-128-2-128-512-784, ELU, sigmoid output, squared error, Adam 0.004 to "
    "its peak and down, batch 128, 25 epochs",
    metric="test MSE, at most {reference}, which takes PCA nine components",
    source=f"{HINTON}; the network and its figure from a tutorial of 2018",
)
def _beat_pca_long(experiment: Experiment) -> Finding:
    """Trained longer, the two-dimensional code reaches the error of PCA with nine components."""
    return _against_pca(experiment, epochs=25, k=9)
