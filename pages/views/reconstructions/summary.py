"""Errors of runs and PCA on a split, as a whole and class by class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from aecore import metrics
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
    pca = errors[PCA]
    lines = []
    for name, values in errors.items():
        if name == PCA:
            title = f"PCA with {k} component{'s' * (k > 1)}"
            lines.append(f"{title}: {split} MSE **{values.mean():.4f}**")
            continue
        title = plain(cache.title(name))
        share = f"{(values < pca).mean():.0%}".replace("%", " %")
        lines += [
            f"**{title}**: {split} MSE **{values.mean():.4f}**, better than PCA on {share} of "
            "samples",
            verdict(values.mean(), k, curve(dataset, split)),
        ]
    st.markdown("  \n".join(lines), help=define("MSE", "PCA"))


def curve(dataset: Dataset, split: str) -> np.ndarray:
    """Error of PCA with 0, 1, 2, ... components."""
    most = len(cache.components(dataset.name, dataset.fingerprint).components)
    return cache.pca_curve(dataset.name, dataset.fingerprint, split, min(most, MOST_COMPONENTS))


def verdict(error: float, k: int, pca: np.ndarray) -> str:
    """Sentence: the better of a run and PCA with k components.

    Arguments
        pca: the error of PCA with 0, 1, 2, ... components.

    >>> verdict(0.3, 2, np.array([1, 0.5, 0.4, 0.2]))
    'PCA with 2 components is worse; it needs 3 to be better.'
    """
    components = f"PCA with {k} component{'s' * (k > 1)}"
    enough = np.flatnonzero(pca[1:] <= error) + 1
    if not len(enough):
        return f"PCA is worse with any number of components up to {len(pca) - 1}."
    if enough[0] > k:
        return f"{components} is worse; it needs {enough[0]} to be better."
    fewer = f"{enough[0]} are enough" if enough[0] < k else "fewer are not enough"
    return f"{components} is better" + (f"; {fewer}." if k > 1 else ".")


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
    if metrics.is_imbalanced(labels):
        said = ", ".join(
            f"{name if name == PCA else plain(cache.title(name))} "
            f"**{metrics.balanced(values, labels):.4f}**"
            for name, values in errors.items()
        )
        st.markdown(
            f"Balanced, each class counting once: {said}",
            help=f"Classes have from {count[order].min():,} to {count[order].max():,} samples, so "
            "that the MSE above is mostly that of the common ones.\n\n" + define("Balanced"),
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
                name: bar(cache.title(name), format="%.4f", min_value=0, max_value=most, width=118)
                for name in means
            },
            hide_index=True,
            height="content",
            alt=f"Mean squared error of each class of {dataset.name} by {', '.join(means)}",
        )
