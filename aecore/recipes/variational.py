"""Recipes of variational autoencoders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aecore.recipes.pictures import beside_pca, decode, maps_picture, rows_picture
from aecore.recipes.registry import recipe
from aecore.recipes.results import SEED, Finding

if TYPE_CHECKING:
    from aecore.recipes.experiment import Experiment


@recipe(
    "vae-20",
    reference=103.0,
    title="Samples of a variational autoencoder",
    architecture="784-500-500-20, ELU, cross-entropy summed over pixels plus KL, Adam 0.001 to its "
    "peak and down, batch 150, 50 epochs",
    metric="negative ELBO of test images in nats, at most {reference}",
    source="Kingma & Welling (2014), Auto-encoding variational Bayes; Geron (2017), Hands-on "
    "machine learning with Scikit-Learn and TensorFlow, chapter 15",
)
def _vae_20(experiment: Experiment) -> Finding:
    """With a code near a standard Gaussian, draws from the prior decode into digits."""
    dataset = experiment.data()
    trained = experiment.train(
        dataset,
        "vae",
        {
            "hidden": (500, 500),
            "latent_dim": 20,
            "activation": "elu",
            "likelihood": "bernoulli",
        },
        keep="vae-20",
        epochs=50,
        batch_size=150,
        learning_rate=1e-3,
    )
    draws = np.random.default_rng(SEED).standard_normal((60, 20))
    generated = decode(trained, draws).reshape(6, 10, -1)
    rows = {f"draws {10 * i + 1} to {10 * i + 10}": row for i, row in enumerate(generated)}
    terms = trained.test.terms
    used = int((trained.test.codes.var(0) > 0.01).sum())
    figures = {"reconstruction, nats": terms["reconstruction"], "KL, nats": terms["kl"]}
    figures["dimensions in use (variance of the mean above 0.01)"] = used
    return experiment.at_most(
        terms["total"],
        figures,
        [
            rows_picture("Sixty draws from the prior, decoded", dataset, **rows),
            beside_pca(trained, 20),
        ],
    )


@recipe(
    "vae-2",
    reference=146.95,
    title="The latent grid",
    architecture="784-512-256-2, GELU, cross-entropy summed over pixels plus KL, Adam 0.002 to its "
    "peak and down, batch 256, 20 epochs",
    metric="negative ELBO of test images in nats, at most {reference}",
    source="Kingma & Welling (2014), Auto-encoding variational Bayes, figure 4",
)
def _vae_2(experiment: Experiment) -> Finding:
    """A two-dimensional code decodes everywhere, and neighbouring codes look alike."""
    from scipy.stats import norm

    dataset = experiment.data()
    trained = experiment.train(
        dataset,
        "vae",
        {"hidden": (512, 256), "latent_dim": 2, "activation": "gelu", "likelihood": "bernoulli"},
        keep="vae-2",
        epochs=20,
        batch_size=256,
        learning_rate=2e-3,
    )
    side = 15
    quantiles = norm.ppf((np.arange(side) + 0.5) / side)
    grid = np.stack(np.meshgrid(quantiles, quantiles[::-1]), axis=-1)
    decoded = decode(trained, grid.reshape(-1, 2)).reshape(side, side, -1)
    rows = {f"{quantiles[::-1][i]:+.2f}": row for i, row in enumerate(decoded)}
    terms = trained.test.terms
    maps = maps_picture("The means of the codes of test images", dataset, code=trained.test.codes)
    figures = {"reconstruction, nats": terms["reconstruction"], "KL, nats": terms["kl"]}
    grid_picture = rows_picture("The plane, decoded at the quantiles of the prior", dataset, **rows)
    return experiment.at_most(terms["total"], figures, [grid_picture, maps])
