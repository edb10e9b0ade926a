"""Errors of runs and PCA on a split, as a whole and class by class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from pages.app import cache
from pages.app.text import define, plain

if TYPE_CHECKING:
    from aecore.data import Dataset

MOST_COMPONENTS = 256
PCA = "PCA"

Errors = dict[str, np.ndarray]
"""Mean squared error of every sample of a split, (n,), by its source: runs, then `PCA`."""


def summary(dataset: Dataset, split: str, errors: Errors, k: int) -> None:
    """Show the error of each, and the number of components from which PCA is better."""
    mine, pca = next(iter(errors.values())), errors[PCA]
    with st.container(horizontal=True):
        for name, values in errors.items():
            title = f"PCA with {k} component{'s' * (k > 1)}" if name == PCA else plain(name)
            st.metric(
                f"{title}, {split} MSE", f"{values.mean():.4f}", width="content", help=define("MSE")
            )
        name = next(iter(errors))
        st.metric(
            f"Samples that {plain(name)} reconstructs better than PCA",
            f"{(mine < pca).mean():.0%}",
            width="content",
            help=define("PCA"),
        )
    st.markdown(
        "  \n".join(
            verdict(plain(name), values.mean(), k, curve(dataset, split))
            for name, values in errors.items()
            if name != PCA
        )
    )


def curve(dataset: Dataset, split: str) -> np.ndarray:
    """Error of PCA with 0, 1, 2, ... components."""
    most = len(cache.components(dataset.name, dataset.fingerprint).components)
    return cache.pca_curve(dataset.name, dataset.fingerprint, split, min(most, MOST_COMPONENTS))


def verdict(name: str, error: float, k: int, pca: np.ndarray) -> str:
    """Markdown sentence: the better of a run and PCA with k components.

    Arguments
        pca: the error of PCA with 0, 1, 2, ... components.

    >>> verdict("small", 0.3, 2, np.array([1, 0.5, 0.4, 0.2]))
    '**small** is better than PCA with 2 components; PCA needs 3 to be better.'
    """
    components = "1 component" if k == 1 else f"{k} components"
    enough = np.flatnonzero(pca[1:] <= error) + 1
    if not len(enough):
        return f"**{name}** is better than PCA with any number of components up to {len(pca) - 1}."
    if enough[0] > k:
        return (
            f"**{name}** is better than PCA with {components}; PCA needs {enough[0]} to be better."
        )
    fewer = f"{enough[0]} are enough" if enough[0] < k else "fewer are not enough"
    return f"PCA with {components} is better than **{name}**" + (f"; {fewer}." if k > 1 else ".")


def classes(dataset: Dataset, split: str, errors: Errors) -> None:
    """Show the mean error of every class, worst first."""
    labels = getattr(dataset, split).labels
    count = np.bincount(labels, minlength=dataset.n_classes)
    means = {
        name: np.bincount(labels, values, len(count)) / count.clip(1)
        for name, values in errors.items()
    }
    order = np.argsort(-next(iter(means.values())), kind="stable")
    order = order[count[order] > 0]
    st.markdown(
        f"**Mean squared error of each class**, {split} split, worst first", help=define("MSE")
    )
    most = max(float(values.max()) for values in means.values())
    bar = st.column_config.ProgressColumn
    with st.container(width=720 if len(means) < 4 else "stretch"):
        st.dataframe(
            {
                "class": [dataset.label_names[number] for number in order],
                "samples": count[order],
                **{name: values[order] for name, values in means.items()},
            },
            column_config={
                name: bar(format="%.4f", min_value=0, max_value=most, width=118) for name in means
            },
            hide_index=True,
            height="content",
            alt=f"Mean squared error of each class of {dataset.name} by {', '.join(means)}",
        )
