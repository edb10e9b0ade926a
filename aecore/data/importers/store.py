"""Understanding a file under given choices, and storing it as a dataset."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aecore import files, locations
from aecore.data import stored
from aecore.data.builtin import DATASETS
from aecore.data.catalog import get
from aecore.data.importers import second
from aecore.data.importers.choices import Choices
from aecore.data.importers.formats import Content, read
from aecore.data.importers.pictures import as_sample
from aecore.data.importers.understand import plan, report
from aecore.data.preparation import apply
from aecore.data.spec import MOST_NAMED_FEATURES, DataSpec
from aecore.errors import InvalidRequest, printable
from aecore.progress import Progress, no_progress
from aecore.settings import check_settings

if TYPE_CHECKING:
    from aecore.data.dataset import Dataset
    from aecore.data.importers.plan import Plan
    from aecore.data.importers.report import Report


def check(choices: Mapping[str, Any]) -> Choices:
    """Validate choices by name; raises `InvalidRequest` with every problem."""
    return check_settings(Choices, choices)


def understand(
    path: Path,
    choices: Choices | None = None,
    content: Content | None = None,
    like: str = "",
) -> Report:
    """Report what a file holds and what would be stored of it; nothing is stored.

    Arguments
        content: what `read(path)` returned, so that a second look does not read it again.
        like: the stored dataset as which the file is prepared; then of the choices only those of
            the split matter.

    Raises `InvalidRequest` where the file cannot be read as a whole.
    """
    return report(_plan(content or read(path), choices or Choices(), like), path)


def _plan(content: Content, choices: Choices, like: str) -> Plan:
    if not like:
        return plan(content, choices)
    return second.plan(content, choices, second.like(stored.entry(like), like, stored.names()))


def save(
    path: Path,
    choices: Choices,
    name: str,
    title: str = "",
    licence: str = "",
    source: str = "",
    content: Content | None = None,
    like: str = "",
    progress: Progress = no_progress,
) -> Dataset:
    """Store a file as a dataset, with its preparation on the card; arguments as of `understand`.

    Raises `InvalidRequest` with everything that prevents it; nothing is stored then.
    """
    problems = stored.name_problems(name, DATASETS)
    progress(f"Reading {printable(path.name)}", 0, 1)
    content = content or read(path)
    progress("Planning what is stored", 0, 1)
    draft = _plan(content, choices, like)
    if problems or draft.problems:
        raise InvalidRequest([*problems, *draft.problems])
    n_values = (len(draft.train) + len(draft.test)) * math.prod(draft.shape)
    if 4 * n_values > stored.MAX_ARRAYS:
        raise InvalidRequest(
            f"The dataset would have {4 * n_values:,} bytes, more than {stored.MAX_ARRAYS:,}: give "
            "fewer samples or columns, or smaller images."
        )
    columns = draft.preparation.columns
    names = [each for column in columns for each in column.feature_names]
    distinct = len(set(names)) == len(names) <= MOST_NAMED_FEATURES and all(names)
    in_range = bool(draft.preparation.picture) or all(
        column.unit_range or column.kind == "category" for column in columns
    )
    spec = DataSpec(
        name=name,
        title=printable(title)[:500] or printable(path.stem)[:500],
        modality="image" if draft.preparation.picture else "table",
        shape=draft.shape,
        n_train=len(draft.train),
        n_test=len(draft.test),
        value_range=(0, 1) if in_range else None,
        label_names=draft.labels.names,
        feature_names=tuple(names) if distinct else (),
        licence=printable(licence)[:500],
        source=printable(source)[:500],
    )
    train, test = (
        (_features(draft, rows, progress), draft.labels.values[rows])
        for rows in (draft.train, draft.test)
    )
    progress("Writing the arrays", 0, 1)
    stored.add(spec, train, test, DATASETS, draft.preparation, *draft.described())
    return get(name)


def _features(draft: Plan, rows: np.ndarray, progress: Progress) -> np.ndarray:
    """Features (n, n_features) float32 of some rows."""
    content, fit = draft.content, draft.preparation.picture
    progress("Preparing the samples", 0, len(rows))
    if fit is None:
        return apply(draft.preparation, content.table, rows, content.lines)
    assert content.pictures is not None
    features = _empty((len(rows), math.prod(fit.shape)))
    for at, row in enumerate(rows.tolist()):
        features[at] = as_sample(content.pictures.image(row), fit)
        progress("Preparing the samples", at + 1, len(rows))
    return features


def _empty(shape: tuple[int, int]) -> np.ndarray:
    """New array of float32, of which a large one lies in a file that goes with it."""
    if 4 * math.prod(shape) < stored.MAPPED_FROM:
        return np.empty(shape, np.float32)
    with files.writing(locations.store(), locations.OTHERWISE):
        files.make_folder(locations.store())
        with tempfile.TemporaryFile(dir=locations.store()) as file:
            return np.asarray(np.memmap(file, np.float32, "w+", 0, shape))


def add_file(
    path: str | Path,
    name: str,
    *,
    title: str = "",
    licence: str = "",
    source: str = "",
    **choices: Any,
) -> Dataset:
    """Store a file as a dataset called `name`; the choices are fields of `Choices`.

    Raises `InvalidRequest` with everything that prevents it.
    """
    return save(Path(path), check(choices), name, title, licence, source)


def apply_file(path: str | Path, dataset: str, name: str, title: str = "", **split: Any) -> Dataset:
    """Store a second file of the columns of a stored dataset, prepared as the first one was.

    Arguments
        split: `test_share`, `split_by` and `seed` of `Choices`.

    Raises `InvalidRequest` with everything that prevents it.
    """
    return save(Path(path), check(split), name, title, like=dataset)
