"""Recipes of maps, bottleneck widths and manifolds."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from aecore import data, metrics, projections
from aecore.data import Samples
from aecore.recipes.field import _lattice
from aecore.recipes.pictures import curves_picture, decode, encode, maps_picture
from aecore.recipes.registry import HINTON, recipe
from aecore.recipes.results import Finding, Picture

if TYPE_CHECKING:
    from aecore.recipes.experiment import Experiment


@recipe(
    "ae-then-tsne",
    title="t-SNE of a code, beside t-SNE of the pixels",
    architecture="784-512-128-32, ELU, squared error, Adam 0.004 to its peak and down, batch 128, "
    "10 epochs; t-SNE of the test split, perplexity 30",
    metric="10-NN accuracy on the code's map, at most 0.02 below the pixels' ({reference})",
    source="van der Maaten & Hinton (2008), Visualizing data using t-SNE",
)
def _ae_then_tsne(experiment: Experiment) -> Finding:
    """Thirty-two numbers suffice for t-SNE to separate the classes, with purer neighbours."""
    dataset = experiment.data()
    trained = experiment.train(
        dataset,
        "ae",
        {"hidden": (512, 128), "latent_dim": 32, "activation": "elu"},
        epochs=10,
        batch_size=128,
        learning_rate=4e-3,
    )
    codes = {"train": encode(trained, dataset.train.x), "test": trained.test.codes}
    coded = dataset.derived(
        lambda split: Samples(codes[split], getattr(dataset, split).labels.copy()),
        shape=(32,),
        modality="table",
        value_range=None,
    )
    planes, figures = {}, {}
    for name, part in (("t-SNE of the code", coded), ("t-SNE of the pixels", dataset)):
        tsne = projections.TSNEProjection(**projections.TSNEProjection.defaults(part.n_test))
        plane = tsne.place(part, partial(_renamed, experiment, name))
        planes[name] = plane
        figures[f"10-NN accuracy, {name}"] = metrics.knn_accuracy(plane, dataset.test.labels, k=10)
        figures[f"trustworthiness to the pixels, {name}"] = metrics.trustworthiness(
            dataset.test.x, plane, k=12
        )
    value = figures["10-NN accuracy, t-SNE of the code"]
    reference = figures["10-NN accuracy, t-SNE of the pixels"]
    maps = maps_picture("The two maps", dataset, 10_000, **planes)
    return Finding(value, reference, value >= reference - 0.02, figures, [maps])


def _renamed(experiment: Experiment, name: str, what: str, done: float, total: float) -> None:
    experiment.say(name, done, total)


@recipe(
    "bottleneck-sweep",
    reference=1.0,
    title="Test error against the width of the code",
    architecture="784-512-128-k, leaky ReLU, linear output, squared error, Adam 0.002 to its peak "
    "and down, batch 256, 4 epochs; k = 1 to 6, 8, 16, 32; pixels in [0, 1], and standardised",
    metric="largest ratio of test MSE to that of as many components, in [0, 1], below {reference}",
    source=HINTON,
)
def _bottleneck_sweep(experiment: Experiment) -> Finding:
    """The error falls with the code's width, and on either scale PCA never catches up."""
    dataset = experiment.data()
    scale = dataset.train.x.std(0)
    scale[scale == 0] = 1
    middle = dataset.train.x.mean(0)
    standardised = dataset.derived(
        lambda split: Samples(
            (getattr(dataset, split).x - middle) / scale, getattr(dataset, split).labels.copy()
        ),
        value_range=None,
    )
    sizes, pictures, worst = (1, 2, 3, 4, 5, 6, 8, 16, 32), [], 0.0
    figures: dict[str, float] = {}
    for name, part in (("pixels in [0, 1]", dataset), ("standardised pixels", standardised)):
        own, flat = [], []
        for size in sizes:
            trained = experiment.train(
                part,
                "ae",
                {
                    "hidden": (512, 128),
                    "latent_dim": size,
                    "activation": "leaky-relu",
                    "likelihood": "gaussian",
                },
                what=f"{name}, code of {size}",
                epochs=4,
                batch_size=256,
                learning_rate=2e-3,
            )
            own.append(trained.mse)
            flat.append(projections.pca_mse(part, size))
        ratios = np.array(own) / flat
        figures[f"code sizes of {len(sizes)} at which PCA wins, {name}"] = int((ratios >= 1).sum())
        figures[f"largest ratio to PCA, {name}"] = ratios.max()
        if part is dataset:
            worst = ratios.max()
        curves = {"autoencoder": own, "PCA": flat}
        title = f"Error by width of the code, {name}"
        pictures.append(
            curves_picture(title, "width of the code", f"test MSE, {name}", sizes, **curves)
        )
    return experiment.finding(worst, worst < 1, figures, pictures)


@recipe(
    "manifold",
    title="A surface fitted to the Swiss roll",
    dataset="swiss-roll",
    architecture="3-128-64-32-k, SiLU, squared error, Adam 0.004 to its peak and down, batch 64, "
    "120 epochs; k = 2 and 1",
    metric="test MSE of the 2-D code, below PCA's with 2 components ({reference})",
    source="Tenenbaum, de Silva & Langford (2000), A global geometric framework for nonlinear "
    "dimensionality reduction (the roll); Kramer (1991), Nonlinear principal component analysis",
)
def _manifold(experiment: Experiment) -> Finding:
    """An autoencoder fits a curved surface to the roll; PCA only a plane."""
    dataset = experiment.part(data.get("swiss-roll"))
    points = {"points": dataset.test.x, "position": dataset.test.labels}
    pca = projections.components(dataset)
    pictures, figures, errors = [], {}, {}
    for size in (2, 1):
        trained = experiment.train(
            dataset,
            "ae",
            {"hidden": (128, 64, 32), "latent_dim": size, "activation": "silu"},
            what=f"code of {size}",
            epochs=120,
            batch_size=64,
            learning_rate=4e-3,
        )
        errors[size] = trained.mse
        figures[f"test MSE, code of {size}"] = trained.mse
        figures[f"PCA's test MSE, {size} component(s)"] = projections.pca_mse(dataset, size)
        ends = np.percentile(trained.test.codes, [1, 99], axis=0).T
        flat_ends = np.percentile(pca.encode(dataset.test.x, size), [1, 99], axis=0).T
        learned, flat = _lattice(ends, 40), _lattice(flat_ends, 2)
        surfaces = {
            "autoencoder": decode(trained, learned.reshape(-1, size)),
            "PCA": pca.mean + flat.reshape(-1, size) @ pca.components[:size],
        }
        shapes = {"autoencoder": learned.shape[:-1], "PCA": flat.shape[:-1]}
        surfaces = {name: at.reshape(*shapes[name], 3) for name, at in surfaces.items()}
        what = "surface" if size == 2 else "curve"
        pictures.append(Picture("cloud", f"The {what} that was learned", {**points, **surfaces}))
    reference = figures["PCA's test MSE, 2 component(s)"]
    return Finding(errors[2], reference, errors[2] < reference, figures, pictures)
