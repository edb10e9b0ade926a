"""Caches between reruns: the only module that names Streamlit's.

Keys are names and small frozen values, never arrays or models. Large arrays are shared and
read-only, and every cache is bounded: others are made by `once` and `bounded` alone.
"""

from __future__ import annotations

import gc
import hashlib
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import streamlit as st

from aecore import data, latent, locations, metrics, neighbors, projections
from aecore.data import Subset, importers
from aecore.errors import Damaged
from aecore.plots import images
from aecore.runs import description, search, store, sweeps
from aecore.viewer import payload
from pages.app import server, state

if TYPE_CHECKING:
    from aecore.artifacts import Artifact
    from aecore.data.importers import Choices, Content, Report
    from aecore.jobs import Jobs
    from aecore.jobs.sweeper import Sweeper
    from aecore.latent import Analysis
    from aecore.projections import PCA, Projection
    from aecore.recipes import Outcome
    from aecore.runs.sweeps import Plan, Result, Trial

Value = TypeVar("Value")

once = st.cache_resource(show_spinner=False)
"""Decorator that caches the result of a function for ever, for each of its few arguments."""


def bounded(most: int, **options: Any) -> Callable[[Callable[..., Value]], Callable[..., Value]]:
    """Decorator that caches at most so many results of a function."""
    return st.cache_resource(max_entries=most, show_spinner=False, **options)


@once
def jobs() -> Jobs:
    """The job queue of this server."""
    from aecore.jobs import Jobs

    return Jobs()


@once
def sweeper() -> Sweeper:
    """The thread that carries out the sweeps of the store; it begins with those that run."""
    from aecore.jobs.sweeper import Sweeper

    return Sweeper(jobs())


@once
def freeze_gc(libraries: str) -> None:
    """Freeze all live objects so that later collections skip them; runs once per key.

    Streamlit collects after every rerun, which costs 150 ms and more once torch is loaded.
    """
    gc.collect()
    gc.freeze()


# --- Artifacts ----------------------------------------------------------------------------------


def artifact(stored: Artifact[Value]) -> Value | None:
    """Load the value of an artifact, again after its file has changed.

    None where it was not computed, or where its file is damaged, which the page then says.
    """
    return intact(_load, stored)


def _load(stored: Artifact[Value]) -> Value | None:
    """Load the value of an artifact; raises `Damaged`."""
    created = stored.created and stored.created.isoformat()
    return _loaded(str(stored.file), created, changed(stored), stored)


# A file holds what was computed by one choice of settings, so its path stands for them.
@bounded(32)
def _loaded(path: str, created: str | None, changed: int, _stored: Artifact[Any]) -> Any:
    return _stored.load()


def intact(read: Callable[..., Value | None], *arguments: Any) -> Value | None:
    """Call a reader; None if a file is damaged, which the page then reports."""
    try:
        return read(*arguments)
    except Damaged as error:
        state.note(str(error))
        return None


def changed(stored: Artifact[Any]) -> int:
    """Modification time of an artifact's file in ns; 0 if there is none."""
    return _changed(stored.path)


def _changed(path: Path) -> int:
    path = locations.readable(path)
    return path.stat().st_mtime_ns if path.is_file() else 0


# --- Runs ---------------------------------------------------------------------------------------


class Listing(NamedTuple):
    """Everything that lists and pickers say of the runs of the store."""

    runs: dict[str, store.Run]
    """By name, the newest first."""
    broken: list[store.Broken]
    descriptions: dict[str, description.Description]
    """By the names of the runs; empty ones where their file is damaged."""
    damaged: list[str]
    """Sentences about damaged descriptions."""
    titles: dict[str, str]
    """By the names of the runs."""
    number: int
    """Another for each listing, as a key of what is computed of it."""


def listing() -> Listing:
    """The runs of the store; read again when the store changes."""
    root = store.root()
    # When a run or a description in it was last written.
    return _listing(str(root), root.stat().st_mtime_ns if root.is_dir() else 0)


@bounded(2, ttl=10)
def _listing(root: str, changed: int) -> Listing:
    runs, broken = store.runs()
    descriptions, damaged = description.read_all(runs)
    titles = description.titles(runs, [descriptions[run.name].title for run in runs])
    by_name = {run.name: run for run in runs}
    return Listing(by_name, broken, descriptions, damaged, titles, time.monotonic_ns())


def runs() -> tuple[list[store.Run], list[store.Broken]]:
    """Every run, newest first, and broken folders."""
    return list(listing().runs.values()), listing().broken


def titles() -> dict[str, str]:
    """Title of each run by its name."""
    return listing().titles


def run(name: str) -> store.Run:
    """Load a run by name; raises `InvalidRequest` if it is absent or broken."""
    return listing().runs.get(name) or store.load(name)


def comparable(chosen: store.Run) -> list[store.Run]:
    """Other runs on exactly the same samples, by name."""
    same = (found for found in listing().runs.values() if found.name != chosen.name)
    fingerprint = chosen.manifest.fingerprint
    return sorted(
        (found for found in same if found.manifest.fingerprint == fingerprint),
        key=lambda found: found.name,
    )


def identity(chosen: store.Run) -> tuple[str, str]:
    """Cache key of a run: its name and time of creation."""
    return chosen.name, chosen.manifest.created.isoformat()


def analysis(chosen: store.Run) -> Analysis | None:
    """Analysis of a run's latent space; None if it has not been analysed."""
    return artifact(latent.analysis_artifact(chosen))


def title(name: str) -> str:
    """Title of a run by its name; any other name as it is."""
    return titles().get(name, name)


def sweep_results(plan: Plan) -> list[Result]:
    """What came of each trial of a sweep so far; those that are done are read once."""
    return [
        _trial_result(trial.name, _changed(store.root() / trial.name / "manifest.json"), trial)
        if trial.state == "done"
        else sweeps.result_of(trial)
        for trial in sweeps.trials(plan)
    ]


@bounded(sweeps.MOST_TRIALS)
def _trial_result(name: str, changed: int, _trial: Trial) -> Result:
    return sweeps.result_of(_trial)


@bounded(16)
def importance(name: str, n_done: int, _plan: Plan, _results: Sequence[Result]) -> Any:
    """Share of each setting of a sweep in the variance of the test loss; None of few trials."""
    return search.importance(_plan, _results)


def recipe_thumbnail(outcome: Outcome) -> bytes | None:
    """Thumbnail of the first picture of a recipe's outcome; None if it has none."""
    return _recipe_thumbnail(outcome.name, outcome.created, outcome)


@bounded(64)
def _recipe_thumbnail(name: str, created: str, _outcome: Outcome) -> bytes | None:
    for kind, _, arrays, facts in _outcome.pictures:
        return images.picture_thumbnail(kind, arrays, facts)
    return None


# --- Pictures -----------------------------------------------------------------------------------


def composed(rows: Sequence[images.Row], cell: int = 64, titles: int = 0) -> bytes:
    """Compose rows of images into a PNG in the colours of the theme, once for the same rows."""
    content = hashlib.sha256()
    for row in rows:
        content.update(
            repr((row.title, *row.captions, row.images.shape, row.images.dtype)).encode()
        )
        content.update(row.images.tobytes())
    return _composed(content.hexdigest(), st.context.theme.type or "light", cell, titles, rows)


@bounded(16)
def _composed(
    content: str, theme: str, cell: int, titles: int, _rows: Sequence[images.Row]
) -> bytes:
    return images.compose(_rows, theme, cell, titles)


# --- Maps ---------------------------------------------------------------------------------------


def map_of(chosen: store.Run, settings: Projection, subset: Subset) -> Artifact[projections.Map]:
    """Stored map of a run's dataset by a projection."""
    fingerprint = chosen.manifest.fingerprint
    return projections.map_artifact(chosen.dataset, fingerprint, settings, subset)


def build_payload(
    chosen: store.Run,
    subset: Subset,
    computed: Sequence[Projection],
    others: Sequence[store.Run],
    mode: str,
) -> bytes:
    """Build the payload of the linked maps of a run."""
    return _build_payload(
        *identity(chosen),
        subset.model_dump_json(),
        tuple(
            (each.name, each.model_dump_json(), changed(map_of(chosen, each, subset)))
            for each in computed
        ),
        tuple((*identity(each), title(each.name)) for each in others),
        changed(latent.analysis_artifact(chosen)),
        tuple(sheets(chosen).items()),
        mode,
    )


@bounded(12)
def _build_payload(
    name: str,
    created: str,
    subset: str,
    computed: tuple[tuple[str, str, int], ...],
    others: tuple[tuple[str, str, str], ...],
    analysed: int,
    sheets: tuple[tuple[str, str], ...],
    mode: str,
) -> bytes:
    chosen, choice = run(name), Subset.model_validate_json(subset)
    maps = {}
    for kind, settings, _ in computed:
        projection = projections.get(kind).model_validate_json(settings)
        maps[kind] = projection.title, _load(map_of(chosen, projection, choice))
    beside = None
    if others:
        runs = [chosen, *(run(other) for other, _, _ in others)]
        titles = ["Bottleneck", *(title for _, _, title in others)]
        if description.differ_in_seed(runs):
            seeds = [each.config.training.seed for each in runs]
            titles = [f"Bottleneck, seed {seeds[0]}", *(f"Seed {seed}" for seed in seeds[1:])]
        beside = payload.Others(titles, runs[1:], stability(runs, choice), counted(runs))
    content = payload.build_payload(
        chosen, chosen.dataset, choice, maps, beside, dict(sheets), mode
    )
    freeze_gc("the maps")
    return content


def stability(runs: Sequence[store.Run], subset: Subset) -> latent.Stability:
    """Neighbours that samples keep from run to run; raises `InvalidRequest` of a diverged one."""
    return _stability(tuple(map(identity, runs)), subset.model_dump_json())


@bounded(8)
def _stability(runs: tuple[tuple[str, str], ...], subset: str) -> latent.Stability:
    choice = Subset.model_validate_json(subset)
    return latent.stability(
        [payload.drawable(each := run(name), each.dataset, choice).codes for name, _ in runs]
    )


def counted(runs: Sequence[store.Run]) -> str:
    """How many runs, as seeds where they differ in nothing else: "3 seeds"."""
    return f"{len(runs)} {'seeds' if description.differ_in_seed(runs) else 'runs'}"


def shown(chosen: store.Run, subset: Subset) -> payload.SampleTable:
    """Load the samples of a view with labels, codes and errors."""
    analysed = changed(latent.analysis_artifact(chosen))
    return _shown(*identity(chosen), subset.model_dump_json(), analysed)


@bounded(4)
def _shown(name: str, created: str, subset: str, analysed: int) -> payload.SampleTable:
    chosen = run(name)
    return payload.shown(chosen, chosen.dataset, Subset.model_validate_json(subset))


def sheets(chosen: store.Run) -> dict[str, str]:
    """Addresses of the image sprites of a run's dataset, if they have been prepared."""
    dataset, fingerprint = chosen.dataset, chosen.manifest.fingerprint
    files = {
        split: intact(_sheet, str(file), _changed(file), projections.sprite_size(dataset, split))
        for split, file in projections.sprite_files(dataset.name, fingerprint).items()
    }
    return {
        split: server.sheet_address(dataset.name, fingerprint, split)
        for split, file in files.items()
        if file is not None
    }


@bounded(32)
def _sheet(path: str, changed: int, size: int) -> Path | None:
    return projections.stored_sprite(Path(path), size)


# --- Data ---------------------------------------------------------------------------------------


@bounded(4)
def components(dataset: str, fingerprint: str) -> PCA:
    """Principal components of a dataset's training split."""
    return projections.components(data.get(dataset))


@bounded(64)
def pca_errors(dataset: str, fingerprint: str, split: str, k: int) -> np.ndarray:
    """Errors of reconstruction from k principal components, (n,)."""
    x = getattr(data.get(dataset), split).x
    return components(dataset, fingerprint).errors(x, k)


@bounded(16)
def pca_curve(dataset: str, fingerprint: str, split: str, most: int) -> np.ndarray:
    """Mean of these errors with 0, 1, ... `most` components, (most + 1,)."""
    x = getattr(data.get(dataset), split).x
    return components(dataset, fingerprint).error_curve(x, most)


@bounded(4)
def distances_to_training(dataset: str, fingerprint: str) -> np.ndarray:
    """Distance of test samples to the nearest training sample: of 200 at most, with seed 0."""
    entry = data.get(dataset)
    drawn = metrics.subsample(entry.n_test, COMPARED)
    return neighbors.distances_to_nearest(entry.test.x[drawn], entry.train.x)


COMPARED = 200
"""Test samples whose distances to the training split are computed: about a second on MNIST."""


@bounded(4)
def drawn_images(dataset: str, fingerprint: str) -> tuple[bool, float]:
    """Whether a dataset's images are drawings, and the share of the side that these fill."""
    entry = data.get(dataset)
    first = entry.test.x[:500].reshape(-1, *entry.shape)
    return data.are_drawings(first), data.filled(first)


# --- Files of one's own -------------------------------------------------------------------------


class File(NamedTuple):
    """A file that may become a dataset, as it was read."""

    path: Path
    content: Content
    number: str
    """Another for each file, as a part of the keys of its fields."""
    folder: tempfile.TemporaryDirectory[str] | None = None
    """That holds an uploaded one, as long as this does."""


@bounded(4)
def uploaded(number: str, name: str, _content: Callable[[], memoryview]) -> File:
    """An uploaded file; raises `InvalidRequest` if it cannot be read."""
    folder = tempfile.TemporaryDirectory(prefix="latent-loupe-")
    path = Path(folder.name) / Path(name).name
    path.write_bytes(_content())
    return File(path, importers.preview(path), number, folder)


class Upload(NamedTuple):
    """An uploaded file as it is."""

    name: str
    path: Path
    number: str
    """Another for each file."""
    folder: tempfile.TemporaryDirectory[str]
    """That holds it, as long as this does."""


@bounded(8)
def upload(number: str, name: str, _content: Callable[[], memoryview]) -> Upload:
    """An uploaded file, before anything of it is read."""
    folder = tempfile.TemporaryDirectory(prefix="latent-loupe-")
    path = Path(folder.name) / Path(name).name
    path.write_bytes(_content())
    return Upload(name, path, number, folder)


def file_at(path: Path) -> File:
    """The file or folder at a path; raises `InvalidRequest` if it cannot be read."""
    facts = path.stat() if path.exists() else None
    return _file_at(str(path), facts and facts.st_mtime_ns, facts and facts.st_size)


@bounded(2)
def _file_at(path: str, changed: int | None, size: int | None) -> File:
    number = hashlib.sha256(f"{path} {changed} {size}".encode()).hexdigest()[:16]
    return File(Path(path), importers.preview(Path(path)), number)


def understood(file: File, choices: Choices, like: str = "") -> Report:
    """What is understood of a file under given choices, or by the preparation of a dataset."""
    return _understood(file.number, choices.model_dump_json(), like, file, choices)


@bounded(16)
def _understood(number: str, chosen: str, like: str, _file: File, _choices: Choices) -> Report:
    return importers.understand(_file.path, _choices, _file.content, like)


@bounded(8)
def first_samples(dataset: str, fingerprint: str, count: int) -> data.Samples:
    """The first test samples of a dataset."""
    x, labels = data.get(dataset).test
    return data.Samples(x[:count], labels[:count])


@bounded(8)
def first_rows(dataset: str, fingerprint: str, count: int) -> dict[str, np.ndarray]:
    """The first test samples of a table as columns, in their own units where these are known."""
    chosen = data.get(dataset)
    x, labels = chosen.test.x[:count], chosen.test.labels[:count]
    label = np.array(chosen.label_names)[labels] if chosen.n_classes else labels
    known = {
        name: column._replace(values=column.values[:count]).plain()
        for name, column in chosen.columns("test").items()
    }
    return {"label": label} | known | chosen.in_units(x)
