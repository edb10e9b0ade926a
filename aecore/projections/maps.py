"""Computation of maps: projection, quality measures, storage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from pydantic import TypeAdapter

from aecore import data, locations, metrics
from aecore.artifacts import SHARE, Array, Artifact
from aecore.data import TEST_SPLIT, Dataset, Subset
from aecore.data.idx import fetch_data
from aecore.errors import InvalidRequest, unknown
from aecore.progress import Progress, Reporter, Task, no_progress
from aecore.projections.base import Projection, files_of, folder
from aecore.projections.pca import PCAProjection, pca_mse
from aecore.projections.tsne import TSNEProjection
from aecore.projections.umap import UMAPProjection

MEASURED = 10_000
"""A map is measured on no more samples than this."""
NEIGHBORHOOD = 12
"""Neighbours of trustworthiness and continuity, which need more than twice as many samples."""
VOTERS = 10
"""Neighbours that vote on a sample's label."""


PROJECTIONS: dict[str, type[Projection]] = {
    kind.name: kind for kind in (PCAProjection, TSNEProjection, UMAPProjection)
}


def get(name: str) -> type[Projection]:
    """Get a projection by name; raises `InvalidRequest` with the nearest name if there is none."""
    if name not in PROJECTIONS:
        raise InvalidRequest(unknown("projection", name, PROJECTIONS))
    return PROJECTIONS[name]


@dataclass(frozen=True)
class Map:
    """A computed projection of a subset, with its quality measures."""

    plane: np.ndarray
    """(n, 2) float32."""
    trustworthiness: np.ndarray
    """(n,) float32, NaN where it was not measured."""
    continuity: np.ndarray
    """(n,) float32, NaN where it was not measured."""
    metrics: dict[str, float | None]


ARRAYS = ("plane", "trustworthiness", "continuity")
MAP_FACTS = TypeAdapter(metrics.Metrics)


def map_artifact(
    dataset: str | Dataset, fingerprint: str, projection: Projection, subset: Subset = TEST_SPLIT
) -> Artifact[Map]:
    """Artifact of a computed map; needs neither the dataset's arrays nor its libraries."""

    def expected(facts: dict[str, float | None]) -> dict[str, Array]:
        n = subset.count(data.get(dataset) if isinstance(dataset, str) else dataset)
        each = replace(SHARE, shape=(n,), optional=True)
        return {"plane": Array((n, 2))} | dict.fromkeys(ARRAYS[1:], each)

    def build(arrays: dict[str, np.ndarray], facts: dict[str, float | None]) -> Map | None:
        # Files of earlier versions hold the plane alone.
        return Map(**arrays, metrics=facts) if arrays.keys() == {*ARRAYS} else None

    return Artifact(
        path=folder(dataset, fingerprint, subset) / f"{projection.key}.safetensors",
        facts=MAP_FACTS,
        expected=expected,
        dump=lambda computed: (
            {name: getattr(computed, name) for name in ARRAYS},
            computed.metrics,
        ),
        build=build,
    )


def compute(
    dataset: Dataset,
    projection: Projection,
    progress: Progress = no_progress,
    subset: Subset = TEST_SPLIT,
) -> Map:
    """Load the map of samples of a dataset, or compute and store it.

    Raises `InvalidRequest` where the settings do not suit the number of samples.
    """
    stored = map_artifact(dataset, dataset.fingerprint, projection, subset)
    if (computed := stored.load_intact()) is not None:
        return computed
    if problems := projection.problems(subset.count(dataset)):
        raise InvalidRequest(problems)
    locations.refuse_unwritable()
    plane = projection.place(dataset, progress, subset).astype(np.float32)
    progress(f"Measuring {projection.title}", 0, 1)
    facts, each = measure(dataset, subset, plane)
    if isinstance(projection, PCAProjection):
        facts["test_mse"] = pca_mse(dataset, 2)
    computed = Map(plane, **each, metrics=facts)
    stored.save(computed)
    return computed


def measure(
    dataset: Dataset, subset: Subset, plane: np.ndarray
) -> tuple[dict[str, float | None], dict[str, np.ndarray]]:
    """Measure the quality of a map of the samples of `subset`, as a whole and per sample.

    Measured are those of the samples that belong to the test split, or, where none does, all; of
    more than `MEASURED`, a choice (seed 0). What is not defined, as for too few samples or for
    labels that are no classes, is None.

    Arguments
        plane: (n, 2), or a code of any width, of the samples in the order of `subset.rows`.

    Returns
        `trustworthiness`, `continuity`, `knn_accuracy`, `spearman`, `silhouette` and how many
        samples were `measured`, and, of imbalanced classes, `knn_balanced`; and `trustworthiness`
        and `continuity` (n,) of each sample, NaN where it was not measured.
    """
    if not np.isfinite(plane).all():
        raise InvalidRequest(
            "The map cannot be measured: some of its coordinates are not finite numbers."
        )
    measured = np.flatnonzero(subset.rows(dataset) < dataset.n_test)
    if not len(measured):
        measured = np.arange(len(plane))
    if len(measured) > MEASURED:
        chosen = np.random.default_rng(0).choice(len(measured), MEASURED, replace=False)
        measured = measured[np.sort(chosen)]
    x, labels = subset.samples(dataset)
    if len(measured) < len(x):
        x, labels, plane = x[measured], labels[measured], plane[measured]
    classes = labels if dataset.label_names else None
    facts = dict.fromkeys(("trustworthiness", "continuity", "knn_accuracy", "silhouette"))
    facts |= {"spearman": metrics.spearman(x, plane), "measured": len(x)}
    each = {name: np.full(subset.count(dataset), np.nan, np.float32) for name in ARRAYS[1:]}
    if len(x) > 2 * NEIGHBORHOOD:
        for name, values in metrics.preservation(x, plane, NEIGHBORHOOD)._asdict().items():
            facts[name] = float(values.mean())
            each[name][measured] = values
    if classes is not None:
        facts["silhouette"] = metrics.silhouette(plane, classes)
        if len(x) > VOTERS:
            agreement = metrics.knn_agreement(plane, classes, VOTERS)
            facts["knn_accuracy"] = float(agreement.mean())
            if metrics.is_imbalanced(classes):
                facts["knn_balanced"] = metrics.balanced(agreement, classes)
    return facts, each


@dataclass(frozen=True)
class Project(Task):
    """Compute a map of samples of a dataset, or load it from the store."""

    dataset_name: str
    projection: Projection
    subset: Subset = TEST_SPLIT

    @property
    def title(self) -> str:
        title = f"{self.projection.title} of {self.dataset_name}"
        if self.subset != TEST_SPLIT:
            title += f", {self.subset.split}, up to {self.subset.limit:,} samples"
        return title

    @property
    def files(self) -> Sequence[str]:
        own = f"{self.subset.key}/*.safetensors"
        return files_of(self.dataset_name, "*.safetensors", own)

    def run(self, reporter: Reporter) -> Map:
        """Return the map."""
        dataset = data.get(self.dataset_name)
        fetch_data(dataset, reporter)
        return compute(dataset, self.projection, reporter.progress, self.subset)
