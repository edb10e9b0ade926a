"""Presets: named starting values of the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aecore.errors import InvalidRequest, unknown


@dataclass(frozen=True)
class Preset:
    """A preset for one dataset and variant."""

    name: str
    title: str
    dataset: str
    variant: str
    model: Mapping[str, Any]
    training: Mapping[str, Any]
    description: str


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "digits-map",
            "Map in two dimensions",
            "digits",
            "ae",
            {"hidden": (128, 64), "activation": "gelu"},
            {"epochs": 40, "batch_size": 64, "learning_rate": 4e-3},
            "A two-dimensional map of the 8 x 8 digits, in a few seconds.",
        ),
        Preset(
            "digits-vae",
            "Variational map",
            "digits",
            "vae",
            {"hidden": (128, 64), "activation": "gelu"},
            {"epochs": 60, "batch_size": 64, "learning_rate": 4e-3},
            "A variational map: rounder, with fewer holes between the classes.",
        ),
        Preset(
            "mnist-map",
            "Best map in five epochs",
            "mnist",
            "ae",
            {"hidden": (512, 256, 128), "activation": "gelu", "likelihood": "gaussian"},
            {"epochs": 5, "batch_size": 256, "learning_rate": 4e-3},
            "The best two-dimensional map of MNIST in five epochs.",
        ),
        Preset(
            "mnist-published",
            "Network of 2018",
            "mnist",
            "ae",
            {"hidden": (512, 128), "activation": "elu"},
            {"epochs": 5, "batch_size": 128, "learning_rate": 4e-3},
            "784-512-128-2 with ELU: the network whose test MSE of 0.0407 was published in 2018.",
        ),
        Preset(
            "mnist-linear",
            "Linear, as wide",
            "mnist",
            "linear",
            {"hidden": (512, 128)},
            {"epochs": 5, "batch_size": 128, "learning_rate": 1e-3},
            "The same widths without activations: it can only find the plane of PCA.",
        ),
        Preset(
            "mnist-vae",
            "Variational map",
            "mnist",
            "vae",
            {"hidden": (512, 256), "activation": "gelu"},
            {"epochs": 15, "batch_size": 256, "learning_rate": 2e-3},
            "A variational map of MNIST.",
        ),
        Preset(
            "fashion-map",
            "Map in two dimensions",
            "fashion-mnist",
            "ae",
            {"hidden": (512, 256, 128), "activation": "gelu", "likelihood": "gaussian"},
            {"epochs": 5, "batch_size": 256, "learning_rate": 4e-3},
            "A two-dimensional map of clothes.",
        ),
        Preset(
            "ring-is-pca",
            "The plane of PCA",
            "tilted-ring",
            "linear",
            {},
            {"epochs": 250, "batch_size": 25, "learning_rate": 0.05},
            "3-2-3 without activations: the plane of PCA, found by gradient descent.",
        ),
        Preset(
            "swiss-roll-flat",
            "Three dimensions to two",
            "swiss-roll",
            "ae",
            {"hidden": (128, 64, 32), "activation": "silu"},
            {"epochs": 100, "batch_size": 64, "learning_rate": 4e-3},
            "Three dimensions to two: can a curved surface fit the roll?",
        ),
        Preset(
            "digits-conv",
            "Map by convolutions",
            "digits",
            "conv",
            {"channels": (16, 32), "activation": "gelu"},
            {"epochs": 40, "batch_size": 64, "learning_rate": 4e-3},
            "A map of the 8 x 8 digits by convolutions.",
        ),
        Preset(
            "digits-denoising",
            "Gaussian noise of 0.3",
            "digits",
            "denoising",
            {"hidden": (128,), "latent_dim": 32, "activation": "gelu", "level": 0.3},
            {"epochs": 60, "batch_size": 64, "learning_rate": 4e-3},
            "Takes Gaussian noise of 0.3 from the 8 x 8 digits.",
        ),
        Preset(
            "digits-by-label",
            "Slant and width",
            "digits",
            "cvae",
            {"hidden": (128, 64), "activation": "gelu"},
            {"epochs": 60, "batch_size": 64, "learning_rate": 4e-3},
            "The label is given, so the two dimensions are left with slant and width.",
        ),
        Preset(
            "mnist-denoising",
            "Gaussian noise of 0.5",
            "mnist",
            "denoising",
            {"hidden": (512,), "latent_dim": 256, "activation": "gelu", "level": 0.5},
            {"epochs": 10, "batch_size": 250, "learning_rate": 3e-3},
            "Takes Gaussian noise of 0.5 from MNIST.",
        ),
        Preset(
            "mnist-conv-vae",
            "Variational map by convolutions",
            "mnist",
            "conv-vae",
            {"channels": (16, 32), "activation": "gelu"},
            {"epochs": 10, "batch_size": 256, "learning_rate": 4e-3},
            "A variational map of MNIST by convolutions.",
        ),
        Preset(
            "shapes-vae",
            "Ten dimensions by convolutions",
            "shapes",
            "conv-vae",
            {"channels": (16, 32, 32), "latent_dim": 10, "activation": "gelu"},
            {"epochs": 60, "batch_size": 128, "learning_rate": 3e-3},
            "Colour images of known factors: what of them does each dimension hold?",
        ),
        Preset(
            "wine-map",
            "Map in two dimensions",
            "wine",
            "ae",
            {"hidden": (32, 16), "activation": "elu"},
            {"epochs": 100, "batch_size": 16, "learning_rate": 4e-3},
            "Thirteen measurements of wines on a plane.",
        ),
    )
}


def preset(name: str) -> Preset:
    """Get a preset by name; raises `InvalidRequest` with the nearest name if there is none."""
    if name not in PRESETS:
        raise InvalidRequest(unknown("preset", name, PRESETS))
    return PRESETS[name]
