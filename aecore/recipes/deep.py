"""Recipes of deep, pretrained and tied autoencoders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from aecore import metrics, projections
from aecore.recipes.pictures import (
    beside_pca,
    curves_picture,
    maps_picture,
    one_of_each,
    reconstruct,
    rows_picture,
    test_curve,
)
from aecore.recipes.registry import HINTON, recipe
from aecore.recipes.results import Finding

if TYPE_CHECKING:
    from aecore.recipes.experiment import Experiment


@recipe(
    "deep-2006-rbm",
    reference=3.0,
    title="Deep autoencoder with RBM pretraining",
    architecture="784-1000-500-250-30 and -2, logistic units, linear code; Boltzmann machines by "
    "CD-1, 5 epochs each (2-D: 3), then fine-tuned on cross-entropy by Adam 0.002 to its peak and "
    "down, batch 250, 80 epochs (2-D: 25; the source: conjugate gradients)",
    metric="summed squared error a test image, 30-D code, at most {reference}",
    source=HINTON,
)
def _deep_2006(experiment: Experiment) -> Finding:
    """From pretraining by a stack of RBMs even seven logistic layers can be trained."""
    dataset = experiment.data()
    shared = {
        "hidden": (1000, 500, 250),
        "activation": "sigmoid",
        "likelihood": "bernoulli",
        "pretraining": "rbm",
    }
    schedule: dict[str, Any] = {"batch_size": 250, "learning_rate": 2e-3, "precision": "bfloat16"}
    wide = experiment.train(
        dataset,
        "ae",
        shared | {"latent_dim": 30, "pretraining_epochs": 5},
        what="30-D",
        epochs=80,
        **schedule,
    )
    flat = experiment.train(
        dataset,
        "ae",
        shared | {"latent_dim": 2, "pretraining_epochs": 3},
        what="2-D",
        keep="deep-2006-rbm",
        epochs=25,
        **schedule,
    )
    errors = {
        f"PCA's summed squared error, {k} components": projections.pca_mse(dataset, k)
        * dataset.n_features
        for k in (30, 2)
    }
    maps = maps_picture(
        "The two-dimensional code beside PCA",
        dataset,
        autoencoder=flat.test.codes,
        PCA=projections.components(dataset).encode(dataset.test.x, 2),
    )
    value = wide.mse * dataset.n_features
    figures = {"summed squared error, 2-D code": flat.mse * dataset.n_features, **errors}
    return experiment.at_most(value, figures, [beside_pca(wide, 30), maps])


@recipe(
    "stacked-elu-l2",
    reference=0.5,
    title="Stacked autoencoder: joint, tied, and layer by layer",
    architecture="784-300-150-300-784, ELU, He initialisation, L2 0.001 (of the mean error: 0.784 "
    "of the summed one), Adam 0.01, batch 150, 5 epochs; the same tied; the same after greedy "
    "pretraining of 5 epochs a layer",
    metric="weights of the tied network as a part of the untied one's, equal to {reference}",
    source="Geron (2017), Hands-on machine learning with Scikit-Learn and TensorFlow, chapter 15; "
    "Bengio, Lamblin, Popovici & Larochelle (2007), Greedy layer-wise training of deep networks",
)
def _stacked(experiment: Experiment) -> Finding:
    """Tying halves the weights, pretraining changes the initial weights; compare their effects."""
    dataset = experiment.data()
    shared: dict[str, Any] = {
        "hidden": (300,),
        "latent_dim": 150,
        "activation": "elu",
        "code_activation": "identity",
        "initialization": "he",
        "likelihood": "gaussian",
        "l2": 0.001 * dataset.n_features,
    }
    ways: dict[str, dict[str, Any]] = {
        "joint": {},
        "tied": {"tied": True},
        "greedy": {"pretraining": "greedy", "pretraining_epochs": 5},
    }
    found = {
        name: experiment.train(
            dataset,
            "ae",
            shared | change,
            what=name,
            epochs=5,
            batch_size=150,
            learning_rate=0.01,
            schedule="constant",
        )
        for name, change in ways.items()
    }
    epochs = range(1, len(found["joint"].history) + 1)
    curves = {name: test_curve(trained) for name, trained in found.items()}
    x = dataset.test.x[one_of_each(dataset)]
    answers = {name: reconstruct(trained, x) for name, trained in found.items()}
    value = found["tied"].weights() / found["joint"].weights()
    return experiment.finding(
        value,
        value == 0.5,
        {f"test MSE, {name}": trained.mse for name, trained in found.items()},
        [
            curves_picture(
                "Error while all layers train together (greedy: after its 5 epochs a layer)",
                "epoch",
                "test MSE",
                epochs,
                **curves,
            ),
            rows_picture("Test images and what comes back", dataset, test=x, **answers),
        ],
    )


@recipe(
    "two-hidden-sigmoid",
    title="Two sigmoid hidden layers, as in many tutorials",
    architecture="784-256-128-256-784, sigmoid throughout, squared error, Adam 0.01, batch 256, "
    "5 epochs",
    metric="test MSE, below that of the mean image ({reference})",
    source="Damien (2015), TensorFlow examples: auto-encoder",
)
def _two_hidden(experiment: Experiment) -> Finding:
    """Sigmoid units in every layer learn slowly: after five epochs PCA of the same width leads."""
    dataset = experiment.data()
    trained = experiment.train(
        dataset,
        "ae",
        {
            "hidden": (256,),
            "latent_dim": 128,
            "activation": "sigmoid",
            "code_activation": "sigmoid",
            "likelihood": "squashed-gaussian",
        },
        epochs=5,
        batch_size=256,
        learning_rate=0.01,
        schedule="constant",
    )
    reference = float(np.square(dataset.test.x - dataset.train.x.mean(0)).mean())
    figures = {"training cost, MSE": trained.history[-1]["train"]["total"] / dataset.n_features}
    figures |= {"test MSE of PCA, 128 components": projections.pca_mse(dataset, 128)}
    x = dataset.test.x[:10]
    rows = rows_picture(
        "The first ten test images", dataset, test=x, autoencoder=reconstruct(trained, x)
    )
    return Finding(trained.mse, reference, trained.mse < reference, figures, [rows])


@recipe(
    "four-layer-2d",
    title="Four sigmoid layers down to a linear pair",
    architecture="784-128-64-10-2, sigmoid, linear code, squared error, Adam 0.01 to its peak and "
    "down, batch 256, 10 epochs",
    metric="test MSE, below PCA's with 2 components ({reference})",
    source="Zhou (2017), TensorFlow tutorial: autoencoder",
)
def _four_layer(experiment: Experiment) -> Finding:
    """A code of two linear units can be drawn directly; it separates classes without labels."""
    dataset = experiment.data()
    trained = experiment.train(
        dataset,
        "ae",
        {
            "hidden": (128, 64, 10),
            "activation": "sigmoid",
            "likelihood": "squashed-gaussian",
        },
        keep="four-layer-2d",
        epochs=10,
        batch_size=256,
        learning_rate=0.01,
    )
    reference = projections.pca_mse(dataset, 2)
    maps = maps_picture(
        "The code by label, beside PCA",
        dataset,
        autoencoder=trained.test.codes,
        PCA=projections.components(dataset).encode(dataset.test.x, 2),
    )
    accuracy = metrics.knn_accuracy(trained.test.codes, dataset.test.labels, k=10)
    return Finding(
        trained.mse,
        reference,
        trained.mse < reference,
        {"10-NN accuracy of the code": accuracy},
        [maps, beside_pca(trained, 2)],
    )
