"""Recipes of sparse codes, cross-entropy and contraction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from aecore import models
from aecore.recipes.pictures import (
    beside_pca,
    curves_picture,
    one_of_each,
    reconstruct,
    rows_picture,
)
from aecore.recipes.registry import KERAS, recipe
from aecore.recipes.results import Finding

if TYPE_CHECKING:
    from aecore.recipes.experiment import Experiment

SINGLE: dict[str, Any] = {
    "hidden": (),
    "latent_dim": 32,
    "activation": "relu",
    "code_activation": "relu",
    "likelihood": "bernoulli",
}
ADADELTA: dict[str, Any] = {
    "epochs": 50,
    "batch_size": 256,
    "optimizer": "adadelta",
    "learning_rate": 1.0,
    "schedule": "constant",
}


def _active(codes: np.ndarray) -> float:
    """Mean number of units above 0.01 in a code."""
    return float((codes > 0.01).sum(1).mean())


@recipe(
    "single-32",
    reference=0.1037,
    title="One hidden layer of 32",
    architecture="784-32-784, ReLU code, sigmoid output, cross-entropy, Adadelta 1.0, batch 256, "
    "50 epochs",
    metric="test cross-entropy a pixel, at most {reference}",
    source=KERAS,
)
def _single(experiment: Experiment) -> Finding:
    """A single hidden layer already keeps digits legible in 32 numbers."""
    dataset = experiment.data()
    trained = experiment.train(dataset, "ae", SINGLE, keep="single-32", **ADADELTA)
    figures = {"test MSE": trained.mse, "active units an image": _active(trained.test.codes)}
    return experiment.at_most(trained.bce, figures, [beside_pca(trained, 32)])


@recipe(
    "sparse-32-l1",
    title="The same, with an L1 penalty on the code",
    architecture="784-32-784, ReLU code, sigmoid output, cross-entropy, L1 activity 0.0001 (of the "
    "mean error: 0.0784 of the summed one), Adadelta 1.0, batch 256, 50 epochs",
    metric="units above 0.01 in the code of a test image, fewer than without ({reference})",
    source=KERAS,
)
def _sparse_32(experiment: Experiment) -> Finding:
    """A small L1 penalty halves activations and silences units, at little cost in error."""
    dataset = experiment.data()
    plain = experiment.train(dataset, "ae", SINGLE, what="without", **ADADELTA)
    price = {"weight": 1e-4 * dataset.n_features}
    sparse = experiment.train(
        dataset, "sparse-l1", SINGLE | price, what="with the penalty", **ADADELTA
    )
    value, reference = _active(sparse.test.codes), _active(plain.test.codes)
    figures = {
        "mean activation": float(sparse.test.codes.mean()),
        "mean activation without the penalty": float(plain.test.codes.mean()),
        "test cross-entropy a pixel": sparse.bce,
        "test cross-entropy a pixel without the penalty": plain.bce,
    }
    x = dataset.test.x[one_of_each(dataset)]
    answers = {"plain": reconstruct(plain, x), "sparse": reconstruct(sparse, x)}
    rows = rows_picture("Test images and what comes back", dataset, test=x, **answers)
    return Finding(value, reference, value < reference, figures, [rows])


@recipe(
    "deep-32",
    reference=0.0926,
    title="Deeper, with the same 32 numbers",
    architecture="784-128-64-32-64-128-784, ReLU, sigmoid output, cross-entropy, Adam 0.003 to its "
    "peak and down, batch 256, 50 epochs",
    metric="test cross-entropy a pixel, at most {reference}",
    source=KERAS,
)
def _deep_32(experiment: Experiment) -> Finding:
    """Two more layers on each side encode more in the same 32 numbers."""
    dataset = experiment.data()
    deep = {"hidden": (128, 64), "latent_dim": 32, "activation": "relu", "likelihood": "bernoulli"}
    deep["code_activation"] = "relu"
    trained = experiment.train(dataset, "ae", deep, epochs=50, batch_size=256, learning_rate=3e-3)
    return experiment.at_most(
        trained.bce,
        {"test MSE": trained.mse},
        [beside_pca(trained, 32)],
    )


@recipe(
    "sparse-kl",
    reference=0.1,
    title="A target for each unit's mean activation",
    architecture="784-1000-784, ELU, sigmoid code, linear output, squared error, KL sparsity of "
    "target 0.1 and weight 0.2 (of the mean error: 156.8 of the summed one), Adam 0.01, batch "
    "1,000, 15 epochs",
    metric="mean activation of the code on test images, within 0.02 of the target {reference}",
    source="Ng (2011), CS294A lecture notes: sparse autoencoder; Geron (2017), Hands-on machine "
    "learning with Scikit-Learn and TensorFlow, chapter 15",
)
def _sparse_kl(experiment: Experiment) -> Finding:
    """A KL penalty holds the mean activation of each of a thousand units near a tenth."""
    dataset = experiment.data()
    trained = experiment.train(
        dataset,
        "sparse-kl",
        {
            "hidden": (),
            "latent_dim": 1000,
            "target": 0.1,
            "weight": 0.2 * dataset.n_features,
            "likelihood": "gaussian",
        },
        epochs=15,
        batch_size=1_000,
        learning_rate=0.01,
        schedule="constant",
    )
    codes = trained.test.codes
    value = float(codes.mean())
    figures = {
        "test MSE": trained.mse,
        "spread of the units' mean activations": float(codes.mean(0).std()),
    }
    counts, edges = np.histogram(codes, bins=50, range=(0, 1), density=True)
    histogram = curves_picture(
        "How active units are, over all units and test images",
        "activation",
        "density",
        (edges[1:] + edges[:-1]) / 2,
        density=counts,
    )
    x = dataset.test.x[one_of_each(dataset)]
    rows = rows_picture(
        "Test images and what comes back", dataset, test=x, autoencoder=reconstruct(trained, x)
    )
    return experiment.finding(value, abs(value - 0.1) <= 0.02, figures, [histogram, rows])


@recipe(
    "contractive",
    reference=5.0,
    title="Contractive autoencoder",
    architecture="784-32-784, sigmoid code, linear output, squared error, Jacobian penalty of "
    "lambda 0.1 to 10 by its closed form, Adam 0.02 to its peak and down, batch 256, 20 epochs",
    metric="fall of the mean Jacobian norm, at under 20 % more test MSE, at least {reference}-fold",
    source="Rifai, Vincent, Muller, Glorot & Bengio (2011), Contractive auto-encoders: explicit "
    "invariance during feature extraction",
)
def _contractive(experiment: Experiment) -> Finding:
    """A small Jacobian costs little while the decoder can rescale the code; then error rises."""
    import torch

    dataset = experiment.data()
    x = torch.tensor(dataset.test.x)
    weights = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0)
    norms, errors, scales, rows = [], [], [], {}
    chosen = dataset.test.x[one_of_each(dataset)]
    shared = {"hidden": (), "latent_dim": 32, "likelihood": "gaussian"}
    shared["code_activation"] = "sigmoid"
    for weight in weights:
        trained = experiment.train(
            dataset,
            "contractive",
            shared | {"jacobian": "closed-form", "weight": weight},
            what=f"lambda {weight:g}",
            epochs=20,
            batch_size=256,
            learning_rate=0.02,
        )
        measure, unused = models.penalties.Contraction(1, "closed-form"), torch.Generator()
        with torch.inference_mode():
            squares = measure(trained.model, x, trained.model.encoder(x), unused)
        norms.append(float(squares.sqrt().mean()))
        errors.append(trained.mse)
        scales.append(float(trained.model.decoder.get_parameter("0.weight").detach().norm()))
        rows[f"lambda {weight:g}"] = reconstruct(trained, chosen)
    falls = np.array(norms[0]) / norms
    allowed = np.array(errors) < 1.2 * errors[0]
    best = int(np.argmax(np.where(allowed, falls, 0)))
    figures = {"lambda": weights[best], "test MSE": errors[best], "test MSE, lambda 0": errors[0]}
    figures |= {"mean norm": norms[best], "mean norm, lambda 0": norms[0]}
    figures["decoder's weights, relative to lambda 0"] = scales[best] / scales[0]
    sweep = curves_picture(
        "The sweep, each relative to lambda 0",
        "lambda",
        "relative to lambda 0",
        weights,
        **{
            "mean Jacobian norm": np.array(norms) / norms[0],
            "test MSE": np.array(errors) / errors[0],
            "decoder's weights": np.array(scales) / scales[0],
        },
    )
    pictures = [sweep, rows_picture("What comes back", dataset, test=chosen, **rows)]
    return experiment.at_least(falls[best], figures, pictures)
