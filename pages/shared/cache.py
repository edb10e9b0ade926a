"""What is kept between reruns: the only module that uses Streamlit's caches.

Keys are names and small frozen values, never arrays or models. Large arrays are shared and
read-only, and every cache is bounded.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from aecore import datasets, figures, images, projections, recipes, store
from aecore.errors import Faults
from aecore.projections import Map, Projection

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from aecore.jobs import Jobs


@st.cache_resource
def jobs() -> Jobs:
    """The one queue of this server."""
    from aecore.jobs import Jobs

    return Jobs()


@st.cache_resource
def settle(libraries: str) -> None:
    """Take what is loaded by now out of the garbage collector's sight, once for these libraries.

    Streamlit collects after every rerun, which costs 150 ms and more once torch is loaded.
    """
    gc.collect()
    gc.freeze()


def runs() -> tuple[list[store.Run], list[store.Broken]]:
    """Every run, newest first, and what is broken; read again when the folder changes."""
    root = store.root()
    return _runs(str(root), root.stat().st_mtime_ns if root.is_dir() else 0)


@st.cache_resource(max_entries=2, ttl=10)
def _runs(root: str, changed: int) -> tuple[list[store.Run], list[store.Broken]]:
    return store.runs()


def run(name: str) -> store.Run:
    """One run by name; raises `Faults` where there is none or it is broken."""
    return next((found for found in runs()[0] if found.name == name), None) or store.load(name)


@st.cache_resource(max_entries=64)
def thumbnail(name: str, created: str) -> bytes:
    """The small picture of a run's map."""
    codes = run(name).codes
    classes = bool(datasets.get(run(name).config.dataset).label_names)
    return images.thumbnail(codes["plane"], codes["labels"], classes)


def outcome(recipe: str) -> recipes.Outcome | None:
    """What came of a recipe when it was last run here."""
    path = recipes.file(recipe)
    return _outcome(recipe, path.stat().st_mtime_ns) if path.is_file() else None


@st.cache_resource(max_entries=32)
def _outcome(recipe: str, changed: int) -> recipes.Outcome | None:
    return recipes.stored(recipe)


@st.cache_resource(max_entries=16)
def bottleneck_figure(name: str, created: str) -> go.Figure:
    """The map of a run's codes."""
    codes = run(name).codes
    label_names = datasets.get(run(name).config.dataset).label_names
    return figures.scatter_map(codes["plane"], codes["labels"], label_names)


def projection(dataset: str, fingerprint: str, settings: Projection) -> Map | None:
    """A map of the data if it has been computed."""
    path = projections.folder(dataset, fingerprint) / f"{settings.key}.safetensors"
    if not path.is_file():
        return None
    return _projection(dataset, fingerprint, settings.name, settings.model_dump_json())


@st.cache_resource(max_entries=32)
def _projection(dataset: str, fingerprint: str, name: str, settings: str) -> Map | None:
    kind = projections.get(name)
    return projections.cached(dataset, fingerprint, kind.model_validate_json(settings))


@st.cache_resource(max_entries=32)
def projection_figure(
    dataset: str, fingerprint: str, name: str, settings: str, run_name: str, created: str
) -> go.Figure:
    """The figure of a map of the data, with the labels that the run keeps of the same samples."""
    found = _projection(dataset, fingerprint, name, settings)
    labels = run(run_name).codes["labels"]
    return figures.scatter_map(found.plane, labels, datasets.get(dataset).label_names)


@st.cache_resource(max_entries=4)
def reconstructions(name: str, created: str) -> dict[str, np.ndarray]:
    """The test split of a run's dataset as the autoencoder and as PCA give it back.

    `original`, `autoencoder`, `pca`: (n, n_features); `autoencoder_mse`, `pca_mse`: (n,).
    Raises `Faults` where the dataset is not on this machine.
    """
    import torch

    from aecore import metrics

    chosen = run(name)
    dataset = datasets.get(chosen.config.dataset)
    x = dataset.test.x
    if dataset.fingerprint != chosen.manifest.fingerprint:
        raise Faults(f"The dataset {dataset.name} has changed since '{name}' was trained on it.")
    with torch.inference_mode():
        labels = torch.tensor(dataset.test.labels)
        autoencoder = chosen.model().reconstruct(torch.tensor(x), labels=labels).numpy()
    pca = projections.components(dataset).reconstruct(x, chosen.config.model.latent_dim)
    settle("torch and scikit-learn")
    return {
        "original": x,
        "autoencoder": autoencoder,
        "pca": pca,
        "autoencoder_mse": metrics.mean_squared_error(x, autoencoder),
        "pca_mse": metrics.mean_squared_error(x, pca),
    }
