"""Recipes of convolutional autoencoders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aecore import metrics, models
from aecore.recipes.pictures import add_noise, beside_pca, one_of_each, reconstruct, rows_picture
from aecore.recipes.registry import KERAS, recipe

if TYPE_CHECKING:
    from aecore.recipes.experiment import Experiment
    from aecore.recipes.results import Finding


@recipe(
    "conv-8",
    reference=0.1018,
    title="Convolutional instead of fully connected layers",
    architecture="3 x 3 convolutions of 16, 8 and 8 channels, ReLU, max-pooling to a 4 x 4 x 8 "
    "code, the mirror with upsampling, cross-entropy, Adam 0.004 to its peak and down, batch 128, "
    "8 epochs",
    metric="test cross-entropy a pixel, at most {reference}",
    source=KERAS,
)
def _conv_8(experiment: Experiment) -> Finding:
    """Four thousand shared weights reach nearly the error of fifty thousand separate ones."""
    dataset = experiment.data()
    trained = experiment.train(
        dataset,
        "conv",
        {
            "channels": (16, 8, 8),
            "latent_dim": 128,
            "dense": False,
            "activation": "relu",
            "likelihood": "bernoulli",
        },
        epochs=8,
        batch_size=128,
        learning_rate=4e-3,
    )
    figures = {"weights": trained.weights(), "test MSE": trained.mse}
    return experiment.at_most(trained.bce, figures, [beside_pca(trained, 128)])


@recipe(
    "conv-denoise",
    reference=0.1,
    title="Convolutional denoising",
    architecture="3 x 3 convolutions of 32 and 32 channels, ReLU, max-pooling to 7 x 7 x 32, the "
    "mirror with upsampling, cross-entropy, Gaussian noise of 0.5 clipped to [0, 1], Adam 0.002 to "
    "its peak and down, batch 128, 10 epochs",
    metric="test cross-entropy a pixel from noisy images, at most {reference}",
    source=KERAS,
)
def _conv_denoise(experiment: Experiment) -> Finding:
    """Trained to output the clean image, the network learns to tell strokes from noise."""
    dataset = experiment.data()
    trained = experiment.train(
        dataset,
        "conv-denoising",
        {
            "channels": (32, 32),
            "latent_dim": 1568,
            "dense": False,
            "activation": "relu",
            "likelihood": "bernoulli",
            "noise": "gaussian",
            "level": 0.5,
            "clip": True,
        },
        epochs=10,
        batch_size=128,
        learning_rate=2e-3,
    )
    noisy = add_noise(dataset, models.corruptions.GaussianNoise(0.5, clip=True))
    answer = np.concatenate([reconstruct(trained, part) for part in np.split(noisy, 10)])
    x = dataset.test.x
    p = np.clip(answer.astype(np.float64), 1e-12, 1 - 1e-7)
    bce = float(-(x * np.log(p) + (1 - x) * np.log1p(-p)).mean())
    figures = {
        "PSNR before, dB": metrics.psnr(x, noisy),
        "PSNR after, dB": metrics.psnr(x, answer),
    }
    chosen = one_of_each(dataset)
    rows = rows_picture(
        "Clean, noisy, and what the network makes of it",
        dataset,
        clean=x[chosen],
        noisy=noisy[chosen],
        denoised=answer[chosen],
    )
    return experiment.at_most(bce, figures, [rows])
