"""Payload of the linked maps: the arrays of a run's samples and their facts."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from aecore import glossary, latent, projections
from aecore.errors import InvalidRequest
from aecore.plots import colors

if TYPE_CHECKING:
    import pandas

    from aecore.data import Column, Dataset, Subset
    from aecore.projections import Map
    from aecore.runs.store import Run

WIDEST = 12
"""Code dimensions that samples can be coloured by; wider codes show the first of them."""
MOST_FEATURES = 256
"""Features of samples that are sent along; wider tables send none."""
MOST_CHARACTERS, SHORTEST = 4 * 2**20, 40
"""Characters of a column of texts that are sent along, and of each text at least."""
MOST_CODES = 2 * 2**20
"""Numbers of the codes that are sent along, 8 MiB of float32."""


TERMS = (
    "Trustworthiness",
    "Continuity",
    "10-NN accuracy",
    "False neighbours",
    "Torn neighbours",
    "Neighbours kept",
    "Stability",
    "Disparity",
    "Reconstruction error",
    "Density",
    "Cycle error",
    "Sensitivity",
    "Posterior",
    "Prior",
)
"""Terms that the scripts define under the pointer."""


class SampleTable(NamedTuple):
    """Columns of the displayed samples; each array has n rows."""

    rows: np.ndarray
    """Numbers into the test split followed by the training split."""
    labels: np.ndarray
    codes: np.ndarray
    """(n, latent_dim)."""
    plane: np.ndarray
    """(n, 2), the bottleneck."""
    error: np.ndarray
    """Mean squared error per feature."""
    per_sample: dict[str, np.ndarray]
    """`trustworthiness` and `continuity` of the bottleneck, and `spread`; NaN where unknown."""


class Others(NamedTuple):
    """Runs to be laid upon another one of the same samples."""

    titles: Sequence[str]
    """Of the panes, that of the other one first."""
    runs: Sequence[Run]
    stability: latent.Stability
    """Of the other one and these."""
    over: str
    """What is compared, such as "3 seeds"."""


def shown(run: Run, dataset: Dataset, subset: Subset) -> SampleTable:
    """Load the samples of a subset from the stored arrays of a run.

    Raises `InvalidRequest` where training samples are asked for whose codes are not stored.
    """
    codes, analysis = run.codes, latent.analysis_artifact(run).load_intact()
    arrays = analysis[0] if analysis else {}
    n_test = run.manifest.n_test
    known = ("trustworthiness", "continuity", "spread")
    extra = {name: arrays[name] for name in known if name in arrays}
    if subset.whole_test(dataset):
        rows = np.arange(n_test)
        plane, labels = codes["plane"], codes["labels"]
        return SampleTable(rows, labels, codes["codes"], plane, codes["error"], extra)
    rows = subset.rows(dataset)
    train = rows[rows >= n_test] - n_test
    test = rows[rows < n_test]
    if not len(train):
        labels, own, plane, error = (
            codes[name][rows] for name in ("labels", "codes", "plane", "error")
        )
        per_sample = {name: values[rows] for name, values in extra.items()}
        return SampleTable(rows, labels, own, plane, error, per_sample)
    if not arrays:
        raise InvalidRequest(
            "The training split has not been encoded yet: wait for the analysis to end."
        )
    at = np.searchsorted(arrays["train_rows"], train)
    found = arrays["train_rows"][np.minimum(at, len(arrays["train_rows"]) - 1)] == train
    if not found.all():
        raise InvalidRequest(
            f"Of this wide code only {len(arrays['train_rows']):,} training samples are kept, and "
            "others were chosen: show the test split."
        )
    own = arrays["train_codes"][at]
    unknown = {
        name: np.full((len(train), *values.shape[1:]), np.nan, np.float32)
        for name, values in extra.items()
    }
    lowered = (
        latent.plane_of_run(run).project(own)
        if own.shape[1] > 1
        else projections.plane_of(own, own)
    )
    return SampleTable(
        rows,
        np.concatenate([codes["labels"][test], arrays["train_labels"][at]]),
        np.concatenate([codes["codes"][test], own]),
        np.concatenate([codes["plane"][test], lowered]).astype(np.float32),
        np.concatenate([codes["error"][test], arrays["train_error"][at]]),
        {name: np.concatenate([extra[name][test], unknown[name]]) for name in extra},
    )


def drawable(run: Run, dataset: Dataset, subset: Subset) -> SampleTable:
    """Load the samples of a subset; raises `InvalidRequest` if their codes are not finite."""
    samples = shown(run, dataset, subset)
    latent.refuse_unless_finite(run, samples.plane)
    return samples


def build_payload(
    run: Run,
    dataset: Dataset,
    subset: Subset,
    maps: Mapping[str, tuple[str, Map]],
    others: Others | None,
    sheets: Mapping[str, str],
    mode: str,
) -> bytes:
    """Build the payload of the linked maps, one safetensors file.

    Arguments
        maps: a title and the map for each further pane, by its key.
        others: runs of the same samples, to be laid upon the first.
        sheets: the address of the images of "test" and "train", where they are known.
        mode: "all", "start" for the panes and the card alone, or "pick" to choose samples.
    """
    samples = drawable(run, dataset, subset)
    analysis = latent.analysis_artifact(run).load_intact()
    known, facts_known = analysis or ({}, {})
    arrays: dict[str, np.ndarray] = {"rows": samples.rows}
    arrays["pane/bottleneck"] = samples.plane
    measured = {"bottleneck": ("bottleneck", samples.per_sample)}
    measures = facts_known or dict[str, Any](run.manifest.metrics.items())
    panes = [pane("bottleneck", "Bottleneck", measures)]
    columns = Columns(arrays)
    for key, (title, found) in maps.items():
        arrays[f"pane/{key}"] = found.plane
        panes.append(pane(key, title, found.metrics))
        per_sample = {"trustworthiness": found.trustworthiness, "continuity": found.continuity}
        measured[key] = (title, per_sample)
    columns.add_classes("label", "label", samples.labels, dataset.label_names)
    if np.isfinite(samples.error).any():  # or else it has no decoder
        columns.add("error", "reconstruction error", samples.error)
    if len(set(samples.rows >= run.manifest.n_test)) == 2:
        split = (samples.rows >= run.manifest.n_test).astype(np.int64)
        columns.add_classes("split", "split", split, ("test", "train"))
    texts = []
    for name, column in known_columns(dataset, samples.rows).items():
        if column.kind in ("text", "link"):
            longest = max(MOST_CHARACTERS // max(len(samples.rows), 1), SHORTEST)
            said = [each[:longest] for each in column.values.tolist()]
            texts.append({"title": name, "kind": column.kind, "values": said})
        else:
            columns.add_known(f"data-{name}", name, column)
    for dimension in range(min(samples.codes.shape[1], WIDEST)):
        title = f"code dimension {dimension + 1}"
        columns.add(f"code{dimension}", title, samples.codes[:, dimension])
    for key, (title, per_sample) in measured.items():
        for name, fault in (("trustworthiness", "false"), ("continuity", "torn")):
            if name in per_sample and np.isfinite(per_sample[name]).any():
                values = 1 - per_sample[name]
                columns.add(f"{fault}-{key}", f"{fault} neighbours, {title}", values)
    facts: dict[str, Any] = {"others": []}
    if others is not None:
        facts["others"] = compared(samples, others, dataset, subset, panes, columns)
    narrow = dataset.n_features <= MOST_FEATURES
    if narrow and not dataset.traits.pictures and run.has_data():
        arrays["features"] = by_rows(dataset, dataset.test.x, dataset.train.x, samples.rows)
        for feature, (name, values) in enumerate(dataset.in_units(arrays["features"]).items()):
            if values.dtype.kind == "f":
                columns.add(f"feature{feature}", name, values)
            else:
                names, numbers = np.unique(values.astype(str), return_inverse=True)
                columns.add_classes(f"feature{feature}", name, numbers, tuple(names.tolist()))
        if "train_rows" in known:
            arrays["train/features"] = dataset.train.x[known["train_rows"]]
    if samples.codes.size <= MOST_CODES:
        arrays["codes"] = samples.codes
    spread = samples.per_sample.get("spread")
    if spread is not None and samples.codes.shape[1] == 2:
        arrays["spread"] = spread
    facts["texts"] = texts
    facts |= decoding(run, arrays, known, facts_known)
    facts["epochs"] = None
    if run.trained:
        arrays["epochs"] = run.codes["epochs"]
        # Always of the first test samples, whatever the subset.
        arrays["epochs/labels"] = run.codes["labels"][: arrays["epochs"].shape[1]]
        facts["epochs"] = losses(run.history, run.codes["epochs_kept"].tolist())
    facts["mode"] = mode
    facts["run"] = run.name
    facts["latent_dim"] = samples.codes.shape[1]
    facts["prior"] = run.capabilities.prior and samples.codes.shape[1] == 2
    return serialize(arrays, facts | common(dataset, arrays, panes, columns, sheets))


def compared(
    samples: SampleTable,
    others: Others,
    dataset: Dataset,
    subset: Subset,
    panes: list[dict[str, str]],
    columns: Columns,
) -> list[dict[str, Any]]:
    """Add the panes of other runs, laid upon the first, and their columns; return their facts."""
    facts = []
    panes[0]["title"] = others.titles[0]
    for at, (title, run) in enumerate(zip(others.titles[1:], others.runs, strict=True), 1):
        # The first has the names of addresses from when there was but one.
        number = "" if at == 1 else at
        aligned = latent.compare(samples.plane, drawable(run, dataset, subset).plane)
        columns.arrays[f"pane/other{number}"] = aligned.aligned
        shares = others.stability.kept[0, at]
        kept = f"{np.nanmean(shares) if len(shares) else 1:.0%} of neighbours kept"
        note = f"{kept}, disparity {aligned.disparity:.3f}"
        about = f"Laid upon the bottleneck: moved, turned and scaled to lie near it; {note}."
        panes.insert(at, {"key": f"other{number}", "title": title, "note": kept, "about": about})
        columns.add(f"moved{number}", f"moved in {title}", aligned.moved)
        columns.add(f"kept{number}", f"neighbours kept in {title}", shares)
        facts.append({"motion": f"morph{number}", "title": title, "note": note, "pane": at})
    columns.add("stability", f"stability over {others.over}", others.stability.per_sample)
    return facts


def training(
    dataset: Dataset,
    view: Mapping[str, np.ndarray],
    planes: Mapping[int, np.ndarray],
    history: Sequence[Mapping[str, Any]],
) -> bytes:
    """Build the payload of a running training: one pane, and its path so far.

    Arguments
        view: `plane` (m, 2) and `labels` (m,) of the first test samples after the last epoch.
        planes: those after earlier epochs, by their numbers.
        history: one entry an epoch.
    """
    arrays: dict[str, np.ndarray] = {"rows": np.arange(len(view["plane"]))}
    arrays["pane/bottleneck"] = view["plane"]
    columns = Columns(arrays)
    columns.add_classes("label", "label", view["labels"], dataset.label_names)
    arrays["epochs/labels"] = view["labels"]
    arrays["epochs"] = np.stack(list(planes.values()))
    note = f"{len(view['plane']):,} test samples after epoch {history[-1]['epoch']}"
    panes = [{"key": "bottleneck", "title": "Bottleneck", "note": note, "view": "training"}]
    facts: dict[str, Any] = {
        "others": [],
        "decodes": False,
        "layers": None,
        "decoder_note": "",
        "conditioned": False,
        "backgrounds": [],
        "epochs": losses(history, list(planes)),
        "texts": [],
        "mode": "training",
        "latent_dim": 2,
        "prior": False,
    }
    return serialize(arrays, facts | common(dataset, arrays, panes, columns, {}))


def common(
    dataset: Dataset,
    arrays: dict[str, np.ndarray],
    panes: Sequence[dict[str, str]],
    columns: Columns,
    sheets: Mapping[str, str],
) -> dict[str, Any]:
    """Facts that do not depend on a run."""
    if "epochs" in arrays and not dataset.label_names:
        ranks = np.argsort(np.argsort(arrays["epochs/labels"]))
        steps = ranks * len(colors.POSITION_COLORS) // max(len(ranks), 1)
        arrays["epochs/steps"] = steps
    rows = arrays["rows"]
    return {
        "dataset": dataset.name,
        "samples": identity(rows, dataset),
        "alt": f"Linked maps of {len(rows)} samples of {dataset.name}: "
        + ", ".join(found["title"] for found in panes),
        "n_test": dataset.n_test,
        # A zoom belongs to the points that it was made over, not to the place of a pane.
        "panes": [{"view": digest(arrays[f"pane/{each['key']}"])} | each for each in panes],
        "columns": columns.facts,
        "ramp": colors.POSITION_COLORS,
        "grey": "#94a4a2",
        "shape": dataset.shape if dataset.traits.pictures else None,
        "units": units(dataset),
        "features": () if dataset.traits.pictures else dataset.spec.column_names,
        "sheets": sheets,
        "label_names": dataset.label_names,
        "glossary": {term: glossary.TERMS[term] for term in TERMS},
    }


def units(dataset: Dataset) -> list[dict[str, Any]] | None:
    """How the columns of a table are computed from its features; None where these are all.

    A number is feature * scale + offset, and e to its power less 1 where `log` says so; a category
    the name of its largest feature.
    """
    if dataset.preparation is None or not dataset.preparation.columns:
        return None
    facts, start = [], 0
    for column in dataset.preparation.columns:
        if column.kind == "category":
            facts.append({"name": column.name, "start": start, "names": column.categories})
        else:
            own = {"offset": column.offset, "scale": column.scale, "log": column.log}
            facts.append({"name": column.name, "start": start} | own)
        start += column.width
    return facts


def losses(history: Sequence[Mapping[str, Any]], kept: list[int]) -> dict[str, Any]:
    """Curves of the loss, and the epochs with stored codes."""
    return {
        "kept": kept,
        "loss": [entry["test"]["total"] for entry in history],
        "train_loss": [entry["train"]["total"] for entry in history],
    }


def serialize(arrays: Mapping[str, np.ndarray], facts: dict[str, Any]) -> bytes:
    """Serialize to one safetensors file; its facts hold an `id` that depends on all content."""
    from safetensors.numpy import save

    # What a browser has typed arrays for.
    content = {
        name: np.ascontiguousarray(values, np.float32 if values.dtype.kind == "f" else np.int32)
        for name, values in arrays.items()
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for values in content.values():
        digest.update(values.data)
    facts["id"] = digest.hexdigest()[:16]
    return save(content, {"json": json.dumps(facts)})


class Columns:
    """Columns by which samples can be coloured, one number per sample, and their meaning."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.arrays = arrays
        self.facts: list[dict[str, Any]] = []

    def add(self, key: str, title: str, values: np.ndarray) -> None:
        """Add a numeric column, coloured in steps."""
        self.arrays[f"column/{key}"] = values
        self.facts.append({"key": key, "title": title})

    def add_classes(
        self,
        key: str,
        title: str,
        values: np.ndarray,
        names: tuple[str, ...],
        own: tuple[str, ...] = (),
    ) -> None:
        """Add a column of class numbers with colours, or of positions if classes have no names."""
        self.add(key, title, values)
        if names:
            usual = [colors.class_color(number) for number in range(len(names))]
            self.facts[-1] |= {"names": names, "colors": own or usual}

    def add_known(self, key: str, title: str, column: Column) -> None:
        """Add a column of the dataset: numbers, a category or dates."""
        if column.kind == "date":
            known = column.values[np.isfinite(column.values)]
            # In the single precision of a browser's arrays seconds since 1970 are minutes.
            origin = float(known.min()) if len(known) else 0.0
            self.add(key, title, column.values - origin)
            self.facts[-1]["origin"] = origin
        else:
            self.add_classes(key, title, column.values, column.names, column.colors)
        self.facts[-1]["known"] = True


def known_columns(dataset: Dataset, rows: np.ndarray) -> dict[str, Column]:
    """The dataset's own columns of samples by their rows in the test split, then in training."""
    test, train = dataset.columns("test"), dataset.columns("train")
    return {
        name: column._replace(values=by_rows(dataset, column.values, train[name].values, rows))
        for name, column in test.items()
    }


def by_rows(dataset: Dataset, test: np.ndarray, train: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Values of samples by their rows in the test split, then in training; the rest is not read."""
    is_train = rows >= dataset.n_test
    values = np.empty((len(rows), *test.shape[1:]), test.dtype)
    values[~is_train] = test[rows[~is_train]]
    values[is_train] = train[rows[is_train] - dataset.n_test]
    return values


def pane(key: str, title: str, metrics: Mapping[str, float | None]) -> dict[str, str]:
    """Name and quality measures of a pane, shown above it."""
    names = ("trustworthiness", "continuity")
    said = [f"{name} {metrics[name]:.3f}" for name in names if metrics.get(name) is not None]
    if metrics.get("knn_accuracy") is not None:
        said.append(f"10-NN {metrics['knn_accuracy']:.1%}")
    if metrics.get("knn_balanced") is not None:
        said[-1] += f", balanced {metrics['knn_balanced']:.1%}"
    return {"key": key, "title": title, "note": " · ".join(said)}


def decoding(
    run: Run,
    arrays: dict[str, np.ndarray],
    analysis: Mapping[str, np.ndarray],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Decoder, training codes and grids of an analysed run."""
    arrays["plane/mean"], arrays["plane/axes"] = latent.plane_of_run(run)
    arrays |= {name: values for name, values in analysis.items() if name.startswith("weight/")}
    for name in ("codes", "rows", "labels", "reach"):
        if f"train_{name}" in analysis:
            arrays[f"train/{name}"] = analysis[f"train_{name}"]
    backgrounds = [name for name in latent.Reliability._fields[2:] if name in analysis]
    for name in backgrounds:
        arrays[f"grid/{name}"] = analysis[name]
    if backgrounds:
        arrays |= {"grid/x": analysis["grid_x"], "grid/y": analysis["grid_y"]}
    return {
        "decodes": bool(analysis) and run.capabilities.decode,
        "layers": facts.get("layers"),
        "decoder_note": facts.get("decoder_note", ""),
        "conditioned": facts.get("conditioned", False),
        "backgrounds": backgrounds,
    }


def table(
    samples: SampleTable, dataset: Dataset, maps: Mapping[str, Map], chosen: np.ndarray
) -> pandas.DataFrame:
    """Table of the selected samples, one row each, for export."""
    import pandas

    rows = samples.rows[chosen]
    is_train = rows >= dataset.n_test
    labels = samples.labels[chosen]
    columns: dict[str, Any] = {
        "split": np.where(is_train, "train", "test"),
        "id": rows - is_train * dataset.n_test,
        "label": np.array(dataset.label_names)[labels] if dataset.label_names else labels,
        "error": samples.error[chosen],
    }
    for title, column in known_columns(dataset, rows).items():
        name = title if title not in columns else f"{title} (data)"
        columns[name] = column.plain()
    codes = samples.codes[chosen]
    columns |= {f"code_{number}": codes[:, number - 1] for number in range(1, codes.shape[1] + 1)}
    planes = {"bottleneck": samples.plane, **{name: map_.plane for name, map_ in maps.items()}}
    for name, plane in planes.items():
        columns |= {f"{name}_x": plane[chosen, 0], f"{name}_y": plane[chosen, 1]}
    measured = {"bottleneck": samples.per_sample} | {
        name: {"trustworthiness": map_.trustworthiness, "continuity": map_.continuity}
        for name, map_ in maps.items()
    }
    for name, per_sample in measured.items():
        for measure in ("trustworthiness", "continuity"):
            values = per_sample.get(measure, np.empty(0))
            if len(values) and np.isfinite(values[chosen]).any():
                columns[f"{name}_{measure}"] = values[chosen]
    return pandas.DataFrame(columns)


def identity(rows: np.ndarray, dataset: Dataset) -> str:
    """Identifier of a set of samples, so that a selection is not applied to another set."""
    return f"{dataset.name}-{digest(rows.astype(np.int32))}"


def digest(values: np.ndarray) -> str:
    """Short digest of an array's bytes."""
    return hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()[:16]


def unpacked_mask(text: str, n: int) -> np.ndarray:
    """Decode the selection that the scripts send: the bits of n samples, (n,) bool.

    Raises `InvalidRequest` where it is not that.
    """
    try:
        bits = np.unpackbits(np.frombuffer(base64.b64decode(text, validate=True), np.uint8))
    except ValueError as error:
        raise InvalidRequest(f"The selection cannot be read ({error}): select anew.") from error
    if not 0 <= len(bits) - n < 8:
        raise InvalidRequest(
            f"The selection is of {len(bits)} samples instead of {n}: select anew."
        )
    return bits[:n].astype(bool)
