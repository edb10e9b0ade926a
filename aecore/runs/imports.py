"""Runs of what was made elsewhere: models in ONNX files, and codes alone.

A run of this kind has the files of its model, or none, and the codes of its samples, beside the
same settings and manifest as any other. It has no history, because it was not trained here.
"""

from __future__ import annotations

import copy
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic import ValidationError

from aecore import data, locations, metrics, models, projections, training
from aecore.data import Dataset, Subset, importers, stored
from aecore.data.builtin import DATASETS
from aecore.data.idx import fetch_data
from aecore.data.importers.annotated import read_embedding
from aecore.data.importers.understand import plan
from aecore.data.preparation import as_numbers
from aecore.data.spec import DataSpec
from aecore.errors import InvalidRequest, in_one_line, printable, shown
from aecore.models.capabilities import WIDEST_CODE
from aecore.models.variants.imported import DECODER, ENCODER, Imported
from aecore.progress import Progress, Reporter, Task, no_progress
from aecore.projections import plane_of
from aecore.runs import store

if TYPE_CHECKING:
    from torch import nn

    from aecore.models.autoencoder import Autoencoder
    from aecore.models.inference import Encoded
    from aecore.models.onnx import ImportedModel

LOOKED_AT = 64
"""Test samples that a model is tried with before anything is stored."""
OF_ARRAYS = (".npy", ".npz", ".h5ad")
OF_MATRIX = re.compile(r"feature \d+")
"""Names that the columns of a matrix get."""


class Codes(NamedTuple):
    """Codes of both splits of a dataset."""

    train: np.ndarray
    """(n_train, latent_dim) float32."""
    test: np.ndarray
    """(n_test, latent_dim) float32."""


class Understood(NamedTuple):
    """A model that was made elsewhere, tried on a few samples."""

    model: ImportedModel
    settings: Imported
    parts: dict[str, bytes]
    """Its ONNX files by their names in a run."""
    sentences: list[str]
    """What was understood, and what is strange in what it answers."""


# --- Models -------------------------------------------------------------------------------------


def understand(
    dataset: Dataset,
    encoder: Path | None = None,
    decoder: Path | None = None,
    codes: Codes | None = None,
) -> Understood:
    """Read ONNX files and try them on test samples; nothing is stored.

    Arguments
        dataset: whose samples it was trained on, in the units of `dataset.test.x`.
        codes: of its samples, which a decoder without an encoder needs.

    Raises `InvalidRequest` with all that is wrong with the files.
    """
    models.onnx.refuse_missing()
    if encoder is None and decoder is None:
        raise InvalidRequest("There is no model: give an encoder, a decoder, or both.")
    if encoder is None and codes is None:
        raise InvalidRequest(
            "A decoder alone shows nothing of the data: give its encoder, too, or the codes of all "
            "samples."
        )
    if encoder is not None and codes is not None:
        raise InvalidRequest("Codes are those of the encoder: give the encoder or codes, not both.")
    given = {ENCODER: encoder, DECODER: decoder}
    parts, problems = dict[str, bytes](), list[str]()
    for name, path in given.items():
        try:
            if path is not None:
                parts[name] = models.onnx.read(path)
        except InvalidRequest as error:
            problems += error.problems
    names = tuple(printable(path.name) if path else "" for path in given.values())
    width = None if codes is None else codes.test.shape[1]
    model = None
    try:
        model = models.onnx.load(
            parts.get(ENCODER), parts.get(DECODER), dataset.spec, width, (names[0], names[1])
        )
    except InvalidRequest as error:
        problems += error.problems
    if problems or model is None:
        raise InvalidRequest(problems)
    x = dataset.test.x[:LOOKED_AT]
    models.onnx.refuse_unreliable(model, x, (names[0], names[1]))
    own = codes.test[:LOOKED_AT] if codes is not None else models.inference.encode(model, x)
    settings = Imported(
        latent_dim=own.shape[1],
        encoder=encoder is not None,
        decoder=decoder is not None,
        posterior=getattr(model.encoder, "posterior", False),
    )
    return Understood(model, settings, parts, list(_sentences(model, settings, dataset, x, own)))


def _sentences(
    model: ImportedModel, settings: Imported, dataset: Dataset, x: np.ndarray, codes: np.ndarray
) -> Sequence[str]:
    said = []
    d = f"{settings.latent_dim:,} dimension{'s' * (settings.latent_dim > 1)}"
    if settings.encoder:
        kind = "Gaussians (mean and log-variance)" if settings.posterior else "points"
        said.append(
            f"The encoder takes {_sizes(model.encoder)} and gives codes of {d}, which are {kind}."
        )
    if settings.decoder:
        decoded = models.inference.decode(model, codes)
        low, high = decoded.min(), decoded.max()
        said.append(
            f"The decoder takes codes of {d} and gives {_sizes(model.decoder)}, with values from "
            f"{low:.4g} to {high:.4g} for {len(x)} test samples, whose own are from {x.min():.4g} "
            f"to {x.max():.4g}."
        )
        error, spread = np.square(x - decoded).mean(), x.var(axis=0).mean()
        if dataset.in_unit_range and (low < -0.5 or high > 1.5):
            said.append(
                "The data lie in [0, 1] and what is decoded does not: export the decoder with its "
                "last activation, or a model that was trained on such values."
            )
        elif spread and error > spread:
            said.append(
                f"Samples are reconstructed worse than by their mean (R2 "
                f"{1 - error / spread:.2f}): was the model trained on the values of this dataset, "
                "in this order and scale?"
            )
    return said


def _sizes(part: Any) -> str:
    return f"arrays of shape (N, {', '.join(map(str, part.layout.sizes))})"


def import_model(
    name: str,
    dataset: str,
    encoder: Path | None = None,
    decoder: Path | None = None,
    codes: Path | None = None,
    progress: Progress = no_progress,
    say: Callable[[str], None] = lambda sentence: None,
) -> store.Run:
    """Store a model in ONNX files as the run `name`.

    Arguments
        dataset: name of the data that it was trained on.
        codes: file of the codes of all samples, where there is no encoder.
        say: called with each sentence on what was understood.

    Raises `InvalidRequest` with all that prevents it; nothing is stored then.
    """
    problems = _name_problems(name)
    understood = codes_of = entry = None
    try:
        entry = data.get(dataset)
        refuse_absent(entry)
        codes_of = None if codes is None else read_codes(codes, entry)
        progress("Trying the model on test samples", 0, 1)
        understood = understand(entry, encoder, decoder, codes_of)
    except InvalidRequest as error:
        problems += error.problems
    if problems or understood is None or entry is None:
        raise InvalidRequest(problems)
    for sentence in understood.sentences:
        say(sentence)
    names = [path.name for path in (encoder, decoder, codes) if path is not None]
    return save(
        name,
        entry,
        understood.settings,
        understood.model,
        codes=codes_of,
        parts=understood.parts,
        origin=f"Imported: {', '.join(names)}",
        progress=progress,
    )


def refuse_absent(dataset: Dataset) -> None:
    """Raise `InvalidRequest` where the samples of a dataset are not on this machine."""
    if dataset.missing:
        raise InvalidRequest(dataset.missing)
    if not data.is_available(dataset):
        raise InvalidRequest(
            f"The samples of {dataset.name} are not on this machine: put its files where "
            "AECORE_DATA points, or download them by training on it or on its page of maps."
        )


def refuse_name(name: str, new_dataset: bool) -> None:
    """Raise `InvalidRequest` if no run, and no dataset where one is stored, can have a name."""
    problems = _name_problems(name)
    problems += stored.name_problems(name, DATASETS) if new_dataset and not problems else []
    if problems:
        raise InvalidRequest(problems)


def _name_problems(name: str) -> list[str]:
    try:
        locations.refuse_unwritable()
        store.refuse_impossible(name)
        store.refuse_held(name)
        store.refuse_taken(name)
    except InvalidRequest as error:
        return list(error.problems)
    return []


# --- Codes --------------------------------------------------------------------------------------


def content_of(path: Path, key: str = "") -> importers.Content:
    """Read a file of codes, before any choice: one row a sample.

    Arguments
        key: of `obsm` in an AnnData file; "" for its first.

    Raises `InvalidRequest` with all its faults.
    """
    if path.suffix.lower() == ".h5ad":
        return read_embedding(path, key)
    content = importers.read(path)
    if content.pictures is not None:
        raise InvalidRequest(
            f"{printable(path.name)} holds images: give codes, a row of numbers for each sample, "
            "as an array of shape (samples, dimensions)."
        )
    return content


def read_codes(path: Path, dataset: Dataset, key: str = "", label: str = "") -> Codes:
    """Codes of all samples of a dataset from a file, the training samples first.

    The file may say by a column or by names such as codes_train which split a row belongs to.

    Raises `InvalidRequest` where there is not one row for each sample.
    """
    draft = plan(content_of(path, key), importers.Choices(label=label))
    if not draft.columns:  # or else what is wrong concerns the features of a table
        raise InvalidRequest(draft.problems)
    values = _codes_in(draft, path)
    n_train, n_test = dataset.n_train, dataset.n_test
    rows = draft.train, draft.test
    if not draft.content.split:
        rows = np.arange(n_train), np.arange(n_train, n_train + n_test)
    if len(values) != n_train + n_test or (len(rows[0]), len(rows[1])) != (n_train, n_test):
        raise InvalidRequest(
            f"{printable(path.name)} has {len(values):,} rows, and {dataset.name} has {n_train:,} "
            f"training and {n_test:,} test samples: give one row for each, the training samples "
            "first, both in the order of the dataset."
        )
    return Codes(*(values[each] for each in rows))


def _codes_in(draft: Any, path: Path) -> np.ndarray:
    """Codes of all rows, (n, latent_dim): the columns of `_code_columns`."""
    columns = _code_columns(draft, path)
    if not columns or len(columns) > WIDEST_CODE:
        raise InvalidRequest(
            f"{printable(path.name)} has {len(columns):,} columns of numbers, and codes have from "
            f"1 to {WIDEST_CODE:,}."
        )
    values = np.column_stack(
        [as_numbers(column.values, column.decimal_comma) for column in columns]
    ).astype(np.float32)
    kept = np.concatenate([draft.train, draft.test])
    rows = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(wrong := np.intersect1d(rows, kept) if len(kept) else rows):
        raise InvalidRequest(
            f"{printable(path.name)} has {len(wrong):,} rows with values that are no finite "
            f"numbers of single precision, the first of them row {wrong[0] + 1:,}: correct or "
            "remove them."
        )
    return values


def _code_columns(draft: Any, path: Path) -> list[Any]:
    """Columns of a file that are dimensions of a code; such of one value, too.

    Of arrays by name those of the matrix alone, of a table all of numbers but the label.
    """
    used = {draft.label and draft.label.name, draft.content.split}
    columns = [
        column
        for column in draft.columns
        if column.name not in used
        and column.role != "split"
        and (column.kind == "number" or column.values.dtype.kind in "fiub")
    ]
    if path.suffix.lower() in OF_ARRAYS:
        return [column for column in columns if OF_MATRIX.fullmatch(column.name)] or columns
    return columns


def import_codes(
    name: str,
    path: Path,
    dataset: str = "",
    label: str = "",
    key: str = "",
    progress: Progress = no_progress,
    say: Callable[[str], None] = lambda sentence: None,
) -> store.Run:
    """Store codes alone as the run `name`, which has neither encoder nor decoder.

    Arguments
        path: of NPZ, NPY, CSV, TSV, Parquet, Feather or .h5ad, a row for each sample.
        dataset: name of the data whose codes they are; "" for a dataset of the same name as the
            run, of the codes themselves.
        label: column of the labels; guessed if it is not given, 'none' for none.
        key: of `obsm` in an AnnData file; "" for its first.
        say: called with each sentence on what was understood.

    Raises `InvalidRequest` with all that prevents it; nothing is stored then.
    """
    problems = _name_problems(name)
    entry: Dataset | None = None
    codes: Codes | None = None
    if not dataset:
        problems += [each for each in stored.name_problems(name, DATASETS) if each not in problems]
    progress("Reading the codes", 0, 1)
    made = None
    try:
        if dataset:
            entry = data.get(dataset)
            refuse_absent(entry)
            codes = read_codes(path, entry, key, label)
        else:
            # What is wrong with the file is said as well where the name is.
            made = _as_dataset("codes" if problems else name, path, label, key)
    except InvalidRequest as error:
        problems += error.problems
    if problems:
        raise InvalidRequest(problems)
    if made is not None:
        for sentence in made.decisions:
            say(sentence)
        codes = Codes(made.train.x, made.test.x)
        stored.add(made.spec, made.train, made.test, DATASETS, None, *made.columns)
        entry = data.get(made.spec.name)
    assert entry is not None and codes is not None
    try:
        return save(
            name,
            entry,
            Imported(latent_dim=codes.test.shape[1]),
            models.onnx.ImportedModel(None, None),
            codes=codes,
            origin=f"Codes: {path.name}",
            progress=progress,
        )
    except BaseException:
        if made is not None:
            stored.remove(entry.name)
        raise


def understand_codes(path: Path, dataset: str = "", label: str = "", key: str = "") -> list[str]:
    """Read a file of codes; nothing is stored. Arguments as of `import_codes`.

    Raises `InvalidRequest` with all that is wrong with the file.
    """
    if dataset:
        codes = read_codes(path, data.get(dataset), key, label)
        n, decisions = sum(map(len, codes)), list[str]()
        d = codes.test.shape[1]
        title = f", one of each sample of {dataset}"
    else:
        made = _as_dataset("codes", path, label, key)
        n, d = made.spec.n_train + made.spec.n_test, made.spec.n_features
        decisions = list(made.decisions)
        title = f", in {made.spec.n_classes} classes" if made.spec.n_classes else ""
    dimensions = f"{d:,} dimension{'s' * (d > 1)}"
    return [f"{n:,} codes of {dimensions}{title}.", *decisions]


class Made(NamedTuple):
    """Codes of a file as the samples of a dataset."""

    spec: DataSpec
    train: data.Samples
    test: data.Samples
    columns: Any
    """What else the file knows of each sample: columns, and their values in each split."""
    decisions: Sequence[str]


def _as_dataset(name: str, path: Path, label: str, key: str) -> Made:
    """Codes of a file as the samples of a dataset; what are no codes is metadata."""
    content = content_of(path, key)
    draft = plan(content, importers.Choices(label=label))
    if draft.problems:
        raise InvalidRequest(draft.problems)
    codes = {column.name for column in _code_columns(draft, path)}
    others = [
        column.name
        for column in draft.columns
        if column.role == "feature" and column.name not in codes
    ]
    if others:
        draft = plan(content, importers.Choices(label=label, metadata=tuple(others)))
        if draft.problems:
            raise InvalidRequest(draft.problems)
    values = _codes_in(draft, path)
    labels = draft.labels
    splits = [data.Samples(values[rows], labels.values[rows]) for rows in (draft.train, draft.test)]
    columns = _code_columns(draft, path)
    names = [printable(str(column.name))[:100] for column in columns]
    decisions = [*draft.preparation.decisions]
    if known := [column.name for column in draft.metadata]:
        decisions.append(f"Beside the codes, as metadata: {', '.join(map(shown, known))}.")
    spec = DataSpec(
        name=name,
        title=f"Codes of {printable(path.stem)}"[:500],
        modality="table",
        shape=(values.shape[1],),
        n_train=len(draft.train),
        n_test=len(draft.test),
        label_names=labels.names,
        feature_names=tuple(names) if len(set(names)) == len(names) == values.shape[1] else (),
        source=f"Codes of {printable(path.name)}"[:500],
    )
    return Made(spec, splits[0], splits[1], draft.described(), decisions)


# --- From Python --------------------------------------------------------------------------------


def dataset_of(
    name: str,
    train: tuple[Any, Any],
    test: tuple[Any, Any] | None = None,
    *,
    shape: tuple[int, ...] | None = None,
    classes: Sequence[Any] | None = None,
    unit: bool = False,
) -> Draft:
    """Arrays as a dataset that can be stored.

    Arguments
        train, test: samples (n, n_features) and labels (n,) or None. Without a test split a fifth
            of the training samples is drawn, of each class in proportion, with seed 0.
        shape: of a sample that is an image; None for a table.
        classes: labels in the order of their numbers; those that there are if they are not given.
        unit: whether all values are to lie in [0, 1].

    Raises `InvalidRequest` with all that is wrong with the arrays.
    """
    problems = [*_name_problems(name), *stored.name_problems(name, DATASETS)]
    parts, labels = [np.asarray(train[0])], [train[1]]
    if test is not None:
        parts, labels = [*parts, np.asarray(test[0])], [*labels, test[1]]
    for at, x in enumerate(parts):
        which = "x" if at == 0 else "test"
        if x.ndim < 2 or not len(x) or x.dtype.kind not in "fiub":
            problems.append(f"{which} is of shape {x.shape}: give numbers, a row for each sample.")
        elif not np.isfinite(x).all():
            problems.append(f"{which} has values that are no finite numbers: replace them.")
        elif x.shape[1:] != parts[0].shape[1:]:
            problems.append(
                f"test is of shape {x.shape}, and x of {parts[0].shape}: give one kind."
            )
        if labels[at] is not None and np.shape(labels[at]) != (len(x),):
            problems.append(
                f"The labels of {which} are of shape {np.shape(labels[at])}: give one of each of "
                f"its {len(x):,} samples."
            )
    if test is not None and (labels[0] is None) != (labels[1] is None):
        problems.append("Give labels of both splits, or of none.")
    if problems:
        raise InvalidRequest(list(dict.fromkeys(problems)))
    x = np.concatenate(parts).reshape(sum(map(len, parts)), -1).astype(np.float32)
    y = None if labels[0] is None else np.concatenate([np.asarray(each) for each in labels])
    numbers, names = _classes(y, len(x), classes)
    if test is None:
        is_test = _held_out(numbers if names else np.zeros(len(x), np.int64))
    else:
        is_test = np.arange(len(x)) >= len(parts[0])
    bounded = data.without_rounding(x)
    in_unit = bool(bounded.min() >= 0 and bounded.max() <= 1)
    if (unit or in_unit) and in_unit:
        x = bounded.astype(np.float32)
    drawn = "" if test is not None else "; the test samples were drawn from those given"
    try:
        spec = DataSpec(
            name=name,
            title=name,
            modality="table" if shape is None else "image",
            shape=(x.shape[1],) if shape is None else shape,
            n_train=int((~is_test).sum()),
            n_test=int(is_test.sum()),
            value_range=(0, 1) if in_unit else None,
            label_names=names,
            source=f"Given in Python{drawn}",
        )
    except ValidationError as error:
        raise InvalidRequest(in_one_line(error)) from error
    if shape is not None and not in_unit:
        spec = spec.model_copy(update={"value_range": (float(x.min()), float(x.max()))})
    sides = [data.Samples(x[side], numbers[side]) for side in (~is_test, is_test)]
    return Draft(spec, sides[0], sides[1])


class Draft(NamedTuple):
    """A dataset that is stored with the run that is its first."""

    spec: DataSpec
    train: data.Samples
    test: data.Samples

    def as_dataset(self) -> Dataset:
        """The dataset before it is stored."""
        return Dataset(self.spec, {"train": self.train, "test": self.test}.__getitem__)


def _classes(
    y: np.ndarray | None, n: int, classes: Sequence[Any] | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Class numbers and names of labels, or the labels themselves where they are quantities."""
    if y is None:
        return np.zeros(n, np.float32), ()
    if y.dtype.kind == "f" and classes is None and not (y == np.round(y)).all():
        if not np.isfinite(y).all():
            raise InvalidRequest("y has values that are no finite numbers: replace them.")
        return y.astype(np.float32), ()
    known = np.array(classes, y.dtype) if classes is not None else np.unique(y)
    if not np.isin(y, known).all():
        raise InvalidRequest("y has labels that the model was not fitted with: leave them out.")
    names = tuple(printable(str(each))[:100] or "empty" for each in known.tolist())
    if y.dtype.kind == "f":
        names = tuple(str(int(each)) for each in known)
    return np.searchsorted(known, y).astype(np.int64), names


def _held_out(labels: np.ndarray) -> np.ndarray:
    """A fifth of each class, and of each of two samples or more at least one, (n,) bool."""
    if len(labels) < 2:
        raise InvalidRequest(f"x has {len(labels)} sample(s): give two or more.")
    random = np.random.default_rng(0)
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        held[random.permutation(members)[: round(len(members) / 5)]] = True
    if not held.any():
        held[-1] = True
    return held


def save_with(
    draft: Draft,
    settings: Any,
    model: Autoencoder,
    *,
    parts: Mapping[str, bytes] | None = None,
    origin: str,
    training_settings: Mapping[str, Any] | None = None,
) -> store.Run:
    """Store a dataset and the first run of it under one name, both or neither."""
    dataset = data.add(*draft)
    try:
        return save(
            dataset.name,
            dataset,
            settings,
            model,
            parts=parts,
            origin=origin,
            training_settings=training_settings,
        )
    except BaseException:
        stored.remove(dataset.name)
        raise


def add_torch(
    name: str,
    encoder: nn.Module | None,
    decoder: nn.Module | None,
    train: tuple[Any, Any] | None,
    test: tuple[Any, Any] | None = None,
    dataset: str = "",
) -> store.Run:
    """Export torch modules, and store them as a run; see `aecore.add_model`."""
    import torch

    refuse = [
        f"{part} = {shown(module)} is no torch.nn.Module: give one."
        for part, module in (("encoder", encoder), ("decoder", decoder))
        if module is not None and not isinstance(module, torch.nn.Module)
    ]
    if refuse:
        raise InvalidRequest(refuse)
    if (train is None) == (not dataset):
        raise InvalidRequest("Give x, or the name of a dataset: one of the two.")
    if encoder is None:
        raise InvalidRequest("There is no encoder: give one, a decoder alone shows no data.")
    draft = None
    if train is None:
        entry = data.get(dataset)
        refuse_absent(entry)
        sizes: tuple[int, ...] = (entry.n_features,)
    else:
        train = np.asarray(_plain(train[0])), _plain(train[1])
        test = test and (np.asarray(_plain(test[0])), _plain(test[1]))
        sizes = train[0].shape[1:]
        shape = None
        if len(sizes) in (2, 3):
            channels_first = len(sizes) == 3
            shape = (*sizes[1:], sizes[0]) if channels_first else sizes
            if shape[2:] == (1,):
                shape = shape[:2]
            train = _channels_last(train[0]), train[1]
            test = test and (_channels_last(test[0]), test[1])
        draft = dataset_of(name, train, test, shape=shape)
        entry = draft.as_dataset()
    with tempfile.TemporaryDirectory(prefix="latent-loupe-") as folder:
        paths = {"encoder": Path(folder) / "encoder", "decoder": Path(folder) / "decoder"}
        example = torch.zeros(2, *sizes)
        paths["encoder"].write_bytes(models.onnx.export(encoder, example))
        if decoder is not None:
            with torch.no_grad():
                code = copy.deepcopy(encoder).cpu().eval()(example)
            code = code[0] if isinstance(code, tuple | list) else code
            paths["decoder"].write_bytes(models.onnx.export(decoder, code))
        understood = understand(
            entry, paths["encoder"], None if decoder is None else paths["decoder"]
        )
    origin = "aecore.add_model"
    if draft is None:
        if problems := _name_problems(name):
            raise InvalidRequest(problems)
        return save(
            name,
            entry,
            understood.settings,
            understood.model,
            parts=understood.parts,
            origin=origin,
        )
    return save_with(
        draft, understood.settings, understood.model, parts=understood.parts, origin=origin
    )


def _plain(values: Any) -> Any:
    """Tensors as arrays; anything else as it is."""
    return values.detach().cpu().numpy() if hasattr(values, "detach") else values


def _channels_last(x: np.ndarray) -> np.ndarray:
    return np.moveaxis(x, 1, -1) if x.ndim == 4 else x


# --- Storing ------------------------------------------------------------------------------------


def save(
    name: str,
    dataset: Dataset,
    settings: Any,
    model: Autoencoder,
    *,
    codes: Codes | None = None,
    parts: Mapping[str, bytes] | None = None,
    origin: str,
    training_settings: Mapping[str, Any] | None = None,
    progress: Progress = no_progress,
) -> store.Run:
    """Measure a model that was not trained here on the test split, and store it as a run.

    Arguments
        settings: of its variant.
        codes: of the samples, where there is no encoder.
        parts: its ONNX files by their names; None where its weights are stored.
        origin: where it came from.

    Raises `InvalidRequest` where its codes are not finite, or the name is taken.
    """
    can, spec = settings.capabilities, dataset.described()
    config = training.RunConfig.check(
        {
            "dataset": dataset.name,
            "variant": settings.name,
            "model": settings.model_dump(mode="json"),
            "training": dict(training_settings or {}),
        },
        own=spec,
        trains=False,
    )
    encoded: list[Encoded] = []
    for split in ("test", "train"):
        progress(f"Encoding the {split} samples", len(encoded), 2)
        own: np.ndarray | None = None if codes is None else getattr(codes, split)
        x, labels = dataset.test if split == "test" else dataset.train
        decodes = can.decode and split == "test"
        each = models.inference.encode_with_errors(model, x, labels, own, decodes)
        if not np.isfinite(each.codes).all():
            raise InvalidRequest(
                f"The codes of {split} samples are not finite: look at the model, and at the scale "
                "of the data."
            )
        encoded.append(each)
    test, train = encoded
    arrays = {
        "codes": test.codes.astype(np.float32, copy=False),
        "plane": plane_of(test.codes, fitted_on=train.codes).astype(np.float32),
        "labels": dataset.test.labels.astype(np.int16 if dataset.label_names else np.float32),
        "error": test.errors.astype(np.float32, copy=False),
    }
    if not can.encode:
        arrays["train"] = train.codes.astype(np.float32, copy=False)
    drawn = arrays["plane"] if test.codes.shape[1] > 1 else arrays["codes"]
    progress("Measuring the map", 0, 1)
    shown = Subset()
    facts, _ = projections.measure(dataset, shown, drawn[shown.rows(dataset)])
    measured: dict[metrics.MetricName, float | None] = {**facts}  # type: ignore[dict-item]  # its names are those
    mse = float(test.errors.mean()) if can.decode else None
    if mse is not None and not np.isfinite(mse):
        raise InvalidRequest("What is decoded has values that are no finite numbers.")
    if mse is not None:
        measured["test_mse"], measured["test_squared_error"] = mse, mse * dataset.n_features
        width = min(settings.latent_dim, dataset.n_features)
        measured["pca_mse"] = projections.pca_mse(dataset, width)
    weights = None
    if not settings.imported:
        weights = {key: value.cpu() for key, value in model.float().state_dict().items()}
    with store.reserve(name) as place:
        place.verify()
        run = store.save(
            name,
            config,
            weights,
            arrays,
            None,
            parts,
            data=spec,
            fingerprint=dataset.fingerprint,
            n_train=dataset.n_train,
            n_test=dataset.n_test,
            seconds=0,
            metrics=measured,
            origin=printable(origin)[:100],
            versions={"python": platform.python_version(), **_versions()},
        )
    # The first baseline, which the page of maps would offer to compute.
    projections.compute(dataset, projections.PCAProjection(), progress)
    return run


def _versions() -> dict[str, str]:
    known = {}
    for package in ("torch", "numpy", "onnx", "onnxruntime"):
        try:
            known[package] = version(package)
        except PackageNotFoundError:
            continue
    return known


# --- Jobs ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Import(Task):
    """Import a model or codes from files that were put into the store.

    Arguments
        staged: folder of the files, below the store.
        encoder, decoder, codes: names of the files in it; "" for none.
        dataset: "" for that of the codes themselves.
    """

    name: str
    staged: str
    dataset: str = ""
    encoder: str = ""
    decoder: str = ""
    codes: str = ""
    label: str = ""

    @property
    def title(self) -> str:
        return f"importing {self.name}"

    @property
    def reserves(self) -> str:
        return self.name

    @property
    def files(self) -> Sequence[str]:
        of_data = (
            projections.files_of(self.dataset, "components.safetensors") if self.dataset else ()
        )
        return [self.staged, *of_data]

    def run(self, reporter: Reporter) -> store.Run:
        """Import the files, remove them, and return the run."""
        folder = locations.store() / self.staged
        encoder, decoder, codes = (
            folder / file if file else None for file in (self.encoder, self.decoder, self.codes)
        )
        try:
            reporter.progress(
                "Loading the libraries, which takes some seconds the first time", 0, 1
            )
            if self.dataset:
                fetch_data(data.get(self.dataset), reporter)
            if encoder is None and decoder is None and codes is not None:
                return import_codes(
                    self.name, codes, self.dataset, self.label, progress=reporter.progress
                )
            return import_model(
                self.name, self.dataset, encoder, decoder, codes, progress=reporter.progress
            )
        finally:
            shutil.rmtree(folder, ignore_errors=True)
