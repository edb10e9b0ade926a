"""Recipes of denoising autoencoders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aecore import metrics, models
from aecore.recipes.pictures import add_noise, one_of_each, reconstruct, rows_picture
from aecore.recipes.registry import recipe

if TYPE_CHECKING:
    from aecore.models.contracts import Corruption
    from aecore.recipes.experiment import Experiment
    from aecore.recipes.results import Finding


@recipe(
    "denoise-mlp",
    reference=20.0,
    title="A denoiser under the noise of its training and three others",
    architecture="784-512-256-512-784, GELU, sigmoid output, squared error, Adam 0.003 to its peak "
    "and down, batch 250, 20 epochs; Gaussian noise of 0.5, and dropout of 0.5",
    metric="PSNR in dB of test images with Gaussian noise of 0.5, unclipped, at least {reference}",
    source="Vincent, Larochelle, Lajoie, Bengio & Manzagol (2010), Stacked denoising autoencoders; "
    "Geron (2017), Hands-on machine learning, chapter 15",
)
def _denoise_mlp(experiment: Experiment) -> Finding:
    """A denoiser is best at noise like that of its training, and of less use under another."""
    dataset = experiment.data()
    shared = {"hidden": (512,), "latent_dim": 256, "activation": "gelu", "level": 0.5}
    shared["likelihood"] = "squashed-gaussian"
    found = {
        name: experiment.train(
            dataset,
            "denoising",
            shared | {"noise": noise},
            what=name,
            epochs=20,
            batch_size=250,
            learning_rate=3e-3,
        )
        for name, noise in (("trained on Gaussian", "gaussian"), ("on dropout", "dropout"))
    }
    corruptions: dict[str, Corruption] = {
        "Gaussian 0.5": models.corruptions.GaussianNoise(0.5),
        "masking 0.5": models.corruptions.Masking(0.5),
        "salt and pepper 0.3": models.corruptions.SaltAndPepper(0.3),
        "dropout 0.5": models.corruptions.Dropout(0.5),
    }
    x, chosen, pictures = dataset.test.x, one_of_each(dataset), []
    figures: dict[str, float] = {}
    for name, corruption in corruptions.items():
        noisy = add_noise(dataset, corruption)
        answers = {key: reconstruct(trained, noisy) for key, trained in found.items()}
        before = metrics.psnr(x, noisy)
        figures[f"{name}: PSNR before, dB"] = before
        for key, answer in answers.items():
            figures[f"{name}: gain, {key}, dB"] = metrics.psnr(x, answer) - before
        rows = {"noisy": noisy[chosen]} | {key: each[chosen] for key, each in answers.items()}
        pictures.append(rows_picture(name, dataset, **rows))
    gain = figures["Gaussian 0.5: gain, trained on Gaussian, dB"]
    value = figures["Gaussian 0.5: PSNR before, dB"] + gain
    return experiment.at_least(value, figures, pictures)
