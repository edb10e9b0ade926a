"""Store of runs on disk: one folder a run, written atomically.

    models_store/<run>/config.json          what was asked
                       weights.safetensors  the trained model, or
                       encoder.onnx, decoder.onnx  one or both of a model that was made elsewhere
                       codes.safetensors    test codes, labels, errors and the codes of each epoch
                       history.json         terms of the loss, epoch by epoch, where it was
                                            trained here
                       manifest.json        what came of it; written last
    models_store/_unfinished/<run>/         config.json and checkpoint.safetensors of a training
                                            that runs, or was stopped, cancelled or killed
    models_store/_deleted/<run>.<when>/     runs that were deleted last, which can be restored
    models_store/_index/                    what was read of all runs (see `index`)
    models_store/_unfinished/<run>.lock     the process that trains or changes the run; it holds
                                            a lock on this file

Everything is written aside and renamed into place. Nothing is ever unpickled: weights and arrays
are safetensors, the rest is JSON. Nothing of a file is read before its size, and of arrays their
names, types and shapes, are known to be what the settings of the run and its dataset imply.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import math
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from aecore import data, files, locations, models, training
from aecore.artifacts import (
    Array,
    Size,
    Word,
    check_size,
    contiguous,
    open_tensors,
    read_arrays,
    refuse_shapes,
)
from aecore.data import Dataset
from aecore.data.spec import Count, DataSpec, Sha256, StoredSpec
from aecore.errors import Damaged, InvalidRequest, in_one_line, printable, unknown
from aecore.metrics import Metrics
from aecore.models.capabilities import MAX_ONNX
from aecore.models.variants import VARIANTS, kind_of
from aecore.models.variants.imported import DECODER, ENCODER
from aecore.runs.index import Index
from aecore.training import RunConfig

if TYPE_CHECKING:
    import numpy as np
    import torch

    from aecore.models.autoencoder import Autoencoder
    from aecore.models.capabilities import Capabilities, Part
    from aecore.training import Checkpoint

log = logging.getLogger(__name__)

MAX_JSON = 64 * 2**10
"""Bytes of settings."""
MAX_MANIFEST = 8 * 2**20
"""Bytes of a manifest, most of which may be names of classes and features."""
MAX_EPOCH = 2**10
"""Bytes of one epoch in a history."""
MOST_EPOCHS, MOST_FOLLOWED = 1_000, 1_000
"""Epochs of which codes are stored, and samples that they are of."""
RUN_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
RunName = Annotated[str, StringConstraints(pattern=f"^{RUN_NAME.pattern}$")]
RUN_FILES = {"config.json", "weights.safetensors", "codes.safetensors", "history.json"}
"""Files of a run that was trained here."""
HISTORY_FILE, MANIFEST = "history.json", "manifest.json"
ALL_FILES = {*RUN_FILES, ENCODER, DECODER, MANIFEST}
FORMAT = 1


def root() -> Path:
    """Folder of the runs (see `locations.store`)."""
    return locations.store()


class Manifest(BaseModel):
    """Manifest of a run: its metrics, facts and files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    # In UTC, so that the dates of any two runs can be compared.
    created: Annotated[AwareDatetime, AfterValidator(lambda date: date.astimezone(UTC))]
    fingerprint: Sha256
    """Of the dataset that it was trained on."""
    n_train: Count
    n_test: Count
    metrics: Metrics
    """On the test split: `test_mse` per feature, `test_squared_error` and `test_loss` per sample,
    `pca_mse` of as many principal components, `trustworthiness` and `knn_accuracy` of the map."""
    seconds: FiniteFloat = Field(ge=0)
    """Spent training, without evaluation."""
    versions: dict[Word, Word] = Field(max_length=20)
    data: StoredSpec | None = None
    """The specification of the dataset; None in runs of earlier versions."""
    sweep: Word = ""
    """The sweep that it is a trial of."""
    parent: Word = ""
    """The run that it is a what-if of."""
    continues: Word = ""
    """The run whose weights its training went on from."""
    epochs_before: int = Field(0, ge=0)
    """Epochs that these weights were trained: the first ones of its history."""
    epochs_done: int | None = Field(None, ge=1)
    """Epochs trained, where training ended before the last; those of its settings otherwise."""
    best_epoch: int | None = Field(None, ge=1)
    """The epoch whose weights are stored, where the training had a validation part: that of the
    smallest loss on it. The last one otherwise."""
    ended: Literal["", "patience", "epochs"] = ""
    """Why a training with a validation part ended: early, or with its last epoch."""
    origin: Word = ""
    """Where its model came from, if it was not trained here."""
    files: dict[Word, tuple[int, Sha256]] = Field(max_length=len(RUN_FILES))
    """Size in bytes and SHA-256 of each file."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        facts = ("fingerprint", "n_train", "n_test")
        if self.data and any(getattr(self.data, fact) != getattr(self, fact) for fact in facts):
            raise ValueError(f"data differ from the manifest in {', '.join(facts)}")
        return self


Terms = dict[Word, FiniteFloat]


class Epoch(BaseModel, extra="allow"):
    """One entry of a history; a variant may add further numbers."""

    __pydantic_extra__: dict[str, FiniteFloat | dict[Word, FiniteFloat | None] | None] = Field(
        init=False
    )

    epoch: int
    train: Terms
    test: Terms
    test_mse: FiniteFloat = Field(ge=0)
    seconds: FiniteFloat = Field(ge=0)
    # Runs of earlier versions may lack these.
    learning_rate: FiniteFloat = Field(0, ge=0)
    samples_per_second: FiniteFloat = Field(0, ge=0)
    validation: Terms = {}
    """Of trainings with a validation part."""


HISTORY = TypeAdapter(list[Epoch])


@dataclass(frozen=True)
class Run:
    """A complete run; its files are read on demand."""

    name: str
    folder: Path
    config: RunConfig
    manifest: Manifest
    spec: DataSpec
    """Of the dataset that it was trained on."""

    @property
    def dataset(self) -> Dataset:
        """Dataset that the run was trained on; its values may have changed since.

        Where it has been removed, or has another shape, split or classes by now, it has no arrays,
        and `Dataset.missing` says why.
        """
        try:
            now = data.get(self.spec.name)
        except InvalidRequest as error:
            return Dataset.without_arrays(self.spec, self._gone(error))
        # Where digests are known, the fingerprint is made without reading an array.
        same = not now.digests or now.fingerprint == self.manifest.fingerprint
        if same and now.spec.agrees(self.spec):
            return now
        return Dataset.without_arrays(self.spec, self.data_changed)

    def has_data(self) -> bool:
        """Whether the exact samples of the run are available; may have to read them."""
        dataset = self.dataset
        return data.is_available(dataset) and dataset.fingerprint == self.manifest.fingerprint

    @property
    def data_changed(self) -> str:
        """Message that the dataset has changed since the run was trained."""
        return (
            f"The dataset '{self.spec.name}' has changed since the run '{self.name}' was trained "
            "on it: train the run again."
        )

    def _gone(self, error: InvalidRequest) -> str:
        reason = error.problems[0] if isinstance(error, Damaged) else "it is not in the catalogue"
        return (
            f"The samples of the dataset '{self.spec.name}' are missing, on which the run "
            f"'{self.name}' was trained: {reason.rstrip('.')}. Add that dataset again."
        )

    @property
    def capabilities(self) -> Capabilities:
        """Capabilities of the run's model."""
        return self.config.model.capabilities

    def lacks(self, use: str, *needed: Part) -> str:
        """Sentence on what a use needs and this run has not; empty where it has all."""
        return self.capabilities.lack(self.name, use, *needed)

    @property
    def computed(self) -> Path:
        """Folder of the run's computed values: in the store, also if the run only ships."""
        return root() / self.name

    @property
    def trained(self) -> bool:
        """Whether it was trained as a run, whose history is known."""
        return HISTORY_FILE in self.manifest.files

    @property
    def variant_title(self) -> str:
        """Title of its variant."""
        return type(self.config.model).title

    @property
    def epochs(self) -> int | None:
        """Number of epochs that it was trained; None if it was made elsewhere."""
        if not self.capabilities.trainable:
            return None
        return self.manifest.epochs_done or self.config.training.epochs

    @property
    def stored_epoch(self) -> int:
        """The epoch whose weights are stored: the best one on the validation part, or the last.

        0 if it was made elsewhere.
        """
        return self.manifest.best_epoch or self.epochs or 0

    @cached_property
    def history(self) -> list[dict[str, Any]]:
        """History, an entry per epoch: `epoch`, `train`, `test`, `test_mse`, `seconds` and more.

        With a validation part the terms of its loss are called `validation`. Of a training that
        went on from another run the first entries are those of that run. Empty for a run that was
        not trained here.
        """
        if not self.trained:
            return []
        with self._reading(HISTORY_FILE) as path:
            return _history(path, self.epochs or 0)

    @property
    def stored_entry(self) -> dict[str, Any]:
        """Entry in the history of the epoch whose weights are stored."""
        return self.history[self.stored_epoch - 1]

    @cached_property
    def codes(self) -> dict[str, np.ndarray]:
        """Arrays of the test split, in its order.

        `codes` (n, latent_dim); `plane` (n, 2), what is drawn; `labels` (n,); `error` (n,), the
        mean squared error of each sample; `epochs` (epochs kept, m, 2), the plane of the first m
        samples as training went; `epochs_kept` says which epochs these are. A run that was not
        trained here lacks the last two; one without an encoder has `train`, (n_train, d), the
        codes of the training split.
        """
        with self._reading("codes.safetensors") as path:
            arrays, _ = read_arrays(path, _codes(self.config, self.spec, self.trained))
            return arrays

    def model(self) -> Autoencoder:
        """The model in evaluation mode, on the CPU.

        Raises `InvalidRequest` where it was made elsewhere, and what runs it is not installed.
        """
        if self.config.model.imported:
            return self._imported()
        import torch

        with torch.device("meta"):  # names and shapes alone, which take no memory
            model = training.build(self.config, self.spec)
        wanted = {name: Array(tuple(value.shape)) for name, value in model.state_dict().items()}
        with self._reading("weights.safetensors") as path:
            arrays, _ = read_arrays(path, wanted)
            # Copies, because a model's weights can be written to.
            weights = {name: torch.tensor(array) for name, array in arrays.items()}
            model.load_state_dict(weights, assign=True)
        return model.eval()

    def _imported(self) -> Autoencoder:
        """The model of ONNX files."""
        if self.config.model.files:
            models.onnx.refuse_missing()
        contents: dict[str, bytes] = {}
        for file in self.config.model.files:
            with self._reading(file) as path:
                contents[file] = models.onnx.read(path)
        try:
            return models.onnx.load(
                contents.get(ENCODER),
                contents.get(DECODER),
                self.spec,
                self.config.model.latent_dim,
                (ENCODER, DECODER),
            ).eval()
        except InvalidRequest as error:
            raise InvalidRequest(
                f"The model of the run '{self.name}' cannot be loaded: {each}"
                for each in error.problems
            ) from error

    @contextmanager
    def _reading(self, file: str) -> Iterator[Path]:
        """Context with the path of a verified file; errors inside it name the run."""
        try:
            _check_bytes(self.folder / file, self.manifest)
            yield self.folder / file
        except Exception as error:
            raise Damaged(
                f"The run '{self.name}' is damaged: {file}: {in_one_line(error).rstrip('.')}. "
                "Restore it from a copy, or delete the run."
            ) from error


@dataclass(frozen=True)
class Broken:
    """A folder in the store that is not a readable run, and the reason."""

    name: str
    """As it can be shown: what cannot be printed of it stands in escapes."""
    reason: str


class Owner(BaseModel):
    """Process that trains or changes the run of a name."""

    pid: int | None = None
    host: str | None = None
    since: AwareDatetime | None = None

    def __str__(self) -> str:
        if self.pid is None or self.since is None:
            return "a process that has only just begun"
        return f"process {self.pid} on {self.host}, since {self.since:%Y-%m-%d %H:%M:%S} UTC"


@dataclass(frozen=True)
class Unfinished:
    """An incomplete training; it can be resumed unless a process is training it."""

    name: str
    config: RunConfig
    epochs_done: int
    owner: Owner | None
    """The process that is training it now."""


def runs() -> tuple[list[Run], list[Broken]]:
    """List every run, newest first, and the folders that are not readable runs."""
    readable: list[Run] = []
    broken: list[Broken] = []
    folders = _run_folders()
    ends = [f"/{file}" for file in (MANIFEST, *sorted(ALL_FILES - {MANIFEST}))]
    files = {
        name: [start + end for end in ends]
        for name, start in zip(folders, map(str, folders.values()), strict=True)
    }
    for name, run in _INDEX.read(files, lambda name: _open(folders[name])).items():
        if isinstance(run, Exception):  # whatever lies in one folder, the others are listed
            broken.append(Broken(printable(name), in_one_line(run)))
        else:
            # A copy: what is read of it on demand is not kept with the index.
            readable.append(replace(run, folder=folders[name]))
    readable.sort(key=lambda run: run.manifest.created, reverse=True)
    return readable, broken


def _with_settings(config: Any) -> Any:
    """A stored configuration with the settings of its variant built."""
    if not isinstance(config, dict):
        return config
    kind = kind_of(config["variant"])
    if kind is None:
        raise ValueError(unknown("variant", config["variant"], VARIANTS))
    return config | {"model": kind.model_validate(config["model"])}


class _Stored(BaseModel):
    """Runs in the index; equal specifications of data, which may be long, are one."""

    specs: list[DataSpec]
    rows: dict[str, tuple[Annotated[RunConfig, BeforeValidator(_with_settings)], Manifest, int]]
    """Configuration, manifest without its specification, and that specification's place; of
    earlier versions, whose manifests have none, minus one minus that place."""


def _dump(runs: Mapping[str, Run]) -> bytes:
    places: dict[DataSpec, int] = {}
    rows = {}
    for name, run in runs.items():
        place = places.setdefault(run.spec, len(places))
        manifest = run.manifest.model_copy(update={"data": None})
        rows[name] = run.config, manifest, place if run.manifest.data else -1 - place
    return _Stored.model_construct(specs=list(places), rows=rows).model_dump_json().encode()


def _build(content: bytes) -> dict[str, Run]:
    """The runs, without their folders."""
    stored = _Stored.model_validate_json(content)
    runs = {}
    for name, (config, manifest, place) in stored.rows.items():
        spec = stored.specs[max(place, -1 - place)]
        if place >= 0:
            manifest = manifest.model_copy(update={"data": spec})
        runs[name] = Run(name, Path(), config, manifest, spec)
    return runs


_INDEX = Index("runs", _dump, _build)


def names() -> list[str]:
    """Names of every run, readable or not, and of every unfinished training."""
    return sorted({*_run_folders(), *_names_of_unfinished()})


def load(name: str) -> Run:
    """Load the run called `name`; raises `InvalidRequest` if it is absent or broken."""
    folders = _run_folders()
    if not RUN_NAME.fullmatch(name) or name not in folders:
        raise InvalidRequest(unknown("run", name, map(printable, folders)))
    try:
        return _open(folders[name])
    except Exception as error:
        raise InvalidRequest(f"The run '{name}' cannot be read: {in_one_line(error)}") from error


def _folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    with os.scandir(parent) as entries:
        names = sorted(each.name for each in entries if each.name[0] not in "._" and each.is_dir())
    return [parent / name for name in names]


def _run_folders() -> dict[str, Path]:
    """Folder of each run by name: in the store, or among the shipped runs.

    A folder in the store that holds only what was computed of a run that ships is not the run.
    """
    own = {folder.name: folder for folder in _folders(root())}
    layer = locations.shipped()
    below = {folder.name: folder for folder in _folders(layer)} if layer else {}
    whole = {name: own[name] for name in own if name not in below or _is_whole(own[name])}
    return dict(sorted((below | whole).items()))


def _is_whole(folder: Path) -> bool:
    return (folder / MANIFEST).is_file()


def _open(folder: Path) -> Run:
    """Open a run after checking its small files, and the sizes and shapes of its large ones."""
    _refuse_name(folder)
    return _read(folder, folder.name)


def _refuse_name(folder: Path) -> None:
    if not RUN_NAME.fullmatch(folder.name):
        raise InvalidRequest(
            "its name is not one of lower-case letters, digits and hyphens: rename it."
        )


def _read(folder: Path, name: str) -> Run:
    """Read the run `name` from a folder that may have another name while it is written."""
    manifest_path = folder / MANIFEST
    if not manifest_path.is_file():
        raise InvalidRequest("manifest.json is missing, so it is not a complete run.")
    manifest = Manifest.model_validate(_read_json(manifest_path, MAX_MANIFEST))
    if manifest.format != FORMAT:
        raise InvalidRequest(
            f"its format is {manifest.format}, and this version reads format {FORMAT}."
        )
    if not manifest.files.keys() >= {"config.json", "codes.safetensors"}:
        raise _other_files(manifest)
    for file, (size, _) in manifest.files.items():
        if not (folder / file).is_file():
            raise InvalidRequest(f"{file} is missing.")
        if (folder / file).stat().st_size != size:
            raise InvalidRequest(
                f"{file} has {(folder / file).stat().st_size} bytes instead of {size}."
            )
    check_size(folder / "config.json", MAX_JSON)
    _check_bytes(folder / "config.json", manifest)
    request = _read_json(folder / "config.json")
    spec = manifest.data or _built_in(request, manifest)
    config = RunConfig.check(request, own=spec, trains=False)
    if config.dataset != spec.name:
        raise InvalidRequest(
            f"it was trained on {spec.name}, and its settings say {config.dataset}."
        )
    epochs = manifest.epochs_done or config.training.epochs
    if (
        not max(manifest.epochs_before, manifest.best_epoch or 0)
        <= epochs
        <= (config.training.epochs)
    ):
        raise InvalidRequest(
            f"its epochs contradict each other: {manifest.epochs_before} before it, the best one "
            f"{manifest.best_epoch}, {epochs} trained of {config.training.epochs}."
        )
    trained, imported = HISTORY_FILE in manifest.files, config.model.imported
    own = {"config.json", "codes.safetensors", *config.model.files}
    # What was trained elsewhere has no history.
    if manifest.files.keys() - {HISTORY_FILE} != own or (trained and imported):
        raise _other_files(manifest)
    if trained:
        check_size(folder / HISTORY_FILE, MAX_JSON + MAX_EPOCH * config.training.epochs)
    with open_tensors(folder / "codes.safetensors", "np") as file:
        refuse_shapes(file, _codes(config, spec, trained), "codes.safetensors: ")
    if imported:
        for part in config.model.files:
            check_size(folder / part, MAX_ONNX)
    else:
        with open_tensors(folder / "weights.safetensors", "np") as file:
            _refuse_count(file, config.model.n_parameters(spec))
    return Run(name, folder, config, manifest, spec)


def _other_files(manifest: Manifest) -> InvalidRequest:
    return InvalidRequest(f"its manifest lists {', '.join(manifest.files) or 'no files'}.")


def _built_in(request: Any, manifest: Manifest) -> DataSpec:
    """Data specification for a run of an earlier version, which did not store it.

    These knew the built-in datasets alone.
    """
    name = request.get("dataset") if isinstance(request, dict) else None
    if not isinstance(name, str) or name not in data.DATASETS:
        raise InvalidRequest(unknown("dataset", name, data.DATASETS))
    facts = ("fingerprint", "n_train", "n_test")
    spec = data.DATASETS[name].spec
    return spec.model_copy(update={fact: getattr(manifest, fact) for fact in facts})


def _codes(config: RunConfig, spec: DataSpec, trained: bool) -> dict[str, Array]:
    """Expected arrays of a run's codes; those of a diverged training may be infinite or NaN."""
    n, d, classes = spec.n_test, config.model.latent_dim, spec.n_classes
    kept = Size("epochs", min(config.training.epochs, MOST_EPOCHS))
    wanted = {
        "codes": Array((n, d), finite=False),
        "plane": Array((n, 2), finite=False),
        "labels": Array((n,), "i", 0, classes - 1) if classes else Array((n,)),
        "error": Array((n,), low=0, finite=False),
    }
    if trained:
        wanted["epochs"] = Array((kept, Size("followed", MOST_FOLLOWED), 2), finite=False)
        wanted["epochs_kept"] = Array((kept,), "i", 1, config.training.epochs, rises=True)
    if not config.model.capabilities.encode:
        wanted["train"] = Array((spec.n_train, d), finite=False)
    return wanted


def _history(path: Path, epochs: int) -> list[dict[str, Any]]:
    check_size(path, MAX_JSON + MAX_EPOCH * epochs)
    entries = HISTORY.validate_json(path.read_bytes())
    if [entry.epoch for entry in entries] != list(range(1, epochs + 1)):
        raise Damaged(f"its entries are not those of epochs 1 to {epochs}")
    if not all("total" in terms for entry in entries for terms in (entry.train, entry.test)):
        raise Damaged("the terms of an epoch have no total")
    return [entry.model_dump(exclude_unset=True) for entry in entries]


def _check_bytes(path: Path, manifest: Manifest) -> None:
    size, digest = manifest.files[path.name]
    check_size(path, size)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != digest:
        raise Damaged("its content has changed since the run was saved")


# --- Writing ------------------------------------------------------------------------------------


def writing() -> AbstractContextManager[None]:
    """Context that turns errors of the disk into a `DiskFault` that names the store."""
    return locations.writing()


class Taken(InvalidRequest):
    """The name already exists in the store."""


def free_name(config: RunConfig, asked: str | None = None) -> str:
    """Name for a new run: the requested one, or one derived from its settings.

    Raises `InvalidRequest` where the name cannot be a folder's or is taken, or the store takes no
    files.
    """
    locations.refuse_unwritable()
    if asked:
        refuse_impossible(asked)
        refuse_held(asked)
        refuse_taken(asked)
        return asked
    while True:
        name = f"{_stem(config)}-{secrets.token_hex(3)}"
        if not _is_taken(name):
            return name


def is_automatic(name: str, config: RunConfig) -> bool:
    """Whether a name was derived from these settings by `free_name`."""
    return re.fullmatch(f"{re.escape(_stem(config))}-[0-9a-f]{{6}}", name) is not None


def _stem(config: RunConfig) -> str:
    return f"{config.dataset}-{config.variant}-{config.model.latent_dim}d"


def name_beside(name: str) -> str:
    """Free name derived from `name`."""
    beside = (f"{name[: 59 - len(str(n))]}-{n}" for n in count(2))
    return next(name for name in beside if not _is_taken(name))


def refuse_impossible(name: str) -> None:
    """Raise `InvalidRequest` if no run can have this name."""
    if not RUN_NAME.fullmatch(name):
        raise InvalidRequest(
            f"name = '{name}' is not possible: give up to 60 lower-case letters, digits and "
            "hyphens, beginning with a letter or digit."
        )


def refuse_taken(name: str) -> None:
    """Raise `Taken` if a run or an unfinished training has this name."""
    if name in _run_folders() and not (root() / name).exists():
        raise Taken(f"name = '{name}' is taken by a run that ships: choose another.")
    # A link that leads nowhere is in the way, too.
    if os.path.lexists(root() / name):
        raise Taken(f"name = '{name}' is taken: choose another, or delete that run first.")
    if os.path.lexists(_unfinished(name)):
        raise Taken(
            f"name = '{name}' is taken by an unfinished training: choose another, or resume or "
            "discard that one first."
        )


def _is_taken(name: str) -> bool:
    places = root() / name, _unfinished(name)
    taken = name in _run_folders() or any(os.path.lexists(place) for place in places)
    return taken or owner(name) is not None


def save(
    name: str,
    config: RunConfig,
    weights: Mapping[str, torch.Tensor] | None,
    codes: Mapping[str, np.ndarray],
    history: list[dict[str, Any]] | None,
    parts: Mapping[str, bytes] | None = None,
    **manifest: Any,
) -> Run:
    """Write a run to a temporary folder and rename it; raises `Taken` if the name exists.

    Arguments
        weights, parts: the model: tensors of one of the variants, or ONNX files by their names.
        history: None where it was not trained here.
    """
    from safetensors.numpy import save as arrays_to_bytes

    contents = {
        "config.json": _json(config.model_dump(mode="json")),
        "codes.safetensors": arrays_to_bytes(contiguous(codes)),
        **(parts or {}),
    }
    if weights is not None:
        from safetensors.torch import save as tensors_to_bytes

        contents["weights.safetensors"] = tensors_to_bytes(
            {name: tensor.contiguous() for name, tensor in weights.items()}
        )
    if history is not None:
        contents[HISTORY_FILE] = _json(history)
    complete = Manifest(
        format=FORMAT,
        created=datetime.now(UTC),
        files={
            file: (len(content), hashlib.sha256(content).hexdigest())
            for file, content in contents.items()
        },
        **manifest,
    )
    contents[MANIFEST] = _json(complete.model_dump(mode="json"))
    return put(name, contents)


def put(name: str, contents: Mapping[str, bytes]) -> Run:
    """Store the files of a complete run by their names; raises `Taken` if its name exists."""
    with writing():
        files.make_folder(root())
        files.remove_stale(root(), "_writing-*")
        with _moved_into(root() / name, _aside(name)) as aside:
            for file, content in contents.items():
                files.write_new(aside / file, content)
            _read(aside, name)  # what cannot be read must not become a run
            if (root() / name).exists():
                raise _exists(name)
    return _open(root() / name)


def _aside(name: str) -> Path:
    """Temporary folder for the run `name`, before or after it is in place."""
    return root() / f"_writing-{name}-{secrets.token_hex(3)}"


def _exists(name: str) -> Taken:
    return Taken(f"A run called '{name}' exists already: delete it or choose a name.")


@contextmanager
def _moved_into(place: Path, aside: Path) -> Iterator[Path]:
    """Context that renames a new folder into place at its end, or removes it on failure."""
    aside.mkdir()
    try:
        yield aside
        files.sync_folder(aside)
        try:
            aside.rename(place)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise _exists(place.name) from None
            raise
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    files.sync_folder(place.parent)


def delete(name: str) -> None:
    """Delete a run or a broken folder atomically: rename it first, then remove it."""
    folder = own_folder(name)
    with Reservation(folder.name):
        _remove(folder)


def own_folder(name: str) -> Path:
    """Folder in the store of a run, or of what is no readable run; raises `InvalidRequest`.

    What only ships with the package has none that could be changed.
    """
    folders = {printable(folder.name): folder for folder in _folders(root())}
    run = _run_folders().get(name)
    if run is not None and run.parent != root():
        raise InvalidRequest(f"The run '{name}' ships with the package, which is never changed.")
    if name not in folders:
        raise InvalidRequest(unknown("run", name, folders))
    return folders[name]


def _remove(folder: Path) -> None:
    with writing():
        # Beside it: what is above it may be a link to another disk.
        aside = folder.with_name(_aside(folder.name).name)
        folder.rename(aside)
        files.sync_folder(folder.parent)
        shutil.rmtree(aside, ignore_errors=True)  # what is left is removed as stale


# --- Names that are in use ----------------------------------------------------------------------


def owner(name: str) -> Owner | None:
    """Process that trains or changes the run of a name; None if there is none."""
    path = _lock_file(name)
    if not files.locked(path):
        return None
    try:
        with path.open("rb") as file:
            return Owner.model_validate_json(file.read(1000))
    except (OSError, ValidationError):  # it has only just begun, or ended
        return Owner()


def refuse_held(name: str) -> None:
    """Raise `InvalidRequest` if a process trains or changes the run of a name."""
    if holder := owner(name):
        raise _held(name, holder)


def _held(name: str, holder: Owner) -> InvalidRequest:
    return InvalidRequest(
        f"'{printable(name)}' is being trained already ({holder}): wait until that has ended, or "
        "choose another name."
    )


class Reservation:
    """Exclusive lock on a name of the store, as a context manager.

    The operating system takes it back when the process ends, however it ends. Raises
    `InvalidRequest` where another holds it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._path = _lock_file(name)

    def __enter__(self) -> Self:
        mine = Owner(pid=os.getpid(), host=socket.gethostname(), since=datetime.now(UTC))
        with writing():
            self._made = files.make_folder(self._path.parent)
            descriptor = files.lock(self._path)
            if descriptor is None:
                raise _held(self.name, owner(self.name) or Owner())
            self._descriptor = descriptor
            try:
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, mine.model_dump_json().encode(), 0)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    self.__exit__()
                    raise
                # The lock holds without a name in it, and a full disk needs deleting most.
                log.warning("%s: %s", self._path, error)
        return self

    def __exit__(self, *raised: object) -> None:
        try:
            # While it is locked, so that nobody can have reserved the name by the same file.
            if files.holds(self._descriptor, self._path):
                self._path.unlink()
        except OSError as error:
            log.warning("%s could not be removed: %s", self._path, error)
        finally:
            os.close(self._descriptor)
        if any(raised):  # what was refused leaves no empty folder
            for folder in self._made:
                with suppress(OSError):
                    folder.rmdir()

    def verify(self) -> None:
        """Raise `InvalidRequest` if store or lock were removed since the reservation."""
        if files.holds(self._descriptor, self._path):
            return
        if _unfinished(self.name).is_dir():
            raise InvalidRequest(
                f"The lock {self._path} was removed, so another process may train '{self.name}': "
                f"this one has stopped. Go on with `python -m aecore train --resume {self.name}`."
            )
        with writing():
            raise FileNotFoundError(errno.ENOENT, "")

    def discard(self) -> None:
        """Delete the unfinished run of that name if it exists."""
        if _unfinished(self.name).is_dir():
            _remove(_unfinished(self.name))

    def replace(self, by: str) -> None:
        """Put the run `by` in place of the run of that name, whether that exists or not."""
        place, aside = root() / self.name, _aside(self.name)
        with Reservation(by), writing():
            if place.exists():
                place.rename(aside)
            try:
                (root() / by).rename(place)
            except BaseException:
                if aside.exists():
                    aside.rename(place)
                raise
            files.sync_folder(root())
            shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def reserve(name: str) -> Iterator[Reservation]:
    """Reserve the name of a new run; raises `InvalidRequest` if the name is locked or taken."""
    refuse_impossible(name)
    with Reservation(name) as held:
        refuse_taken(name)
        yield held


@contextmanager
def reserve_unfinished(name: str) -> Iterator[Reservation]:
    """Reserve an unfinished run for resuming; raises `InvalidRequest` if locked or unknown."""
    refuse_unknown(name)
    with Reservation(name) as held:
        yield held


def _lock_file(name: str) -> Path:
    return root() / "_unfinished" / f"{name}.lock"


# --- Unfinished trainings -----------------------------------------------------------------------

CHECKPOINT = "checkpoint.safetensors"
REASONS_SAID = 3


class CheckpointFacts(BaseModel):
    """Facts of a checkpoint; `aecore.training` defines the tensors."""

    model_config = ConfigDict(extra="allow")

    epochs_done: int = Field(ge=1, strict=True)
    history: list[dict[str, Any]]
    manifest: dict[Literal["sweep", "parent", "continues"], Word] = {}
    """Further facts of the run."""
    epochs_before: int = Field(0, ge=0, strict=True)
    """Epochs of the run that it goes on from."""


def write_checkpoint(name: str, config: RunConfig, checkpoint: Checkpoint) -> None:
    """Write the checkpoint of an unfinished run, replacing the last in one rename."""
    from safetensors.torch import save as tensors_to_bytes

    tensors = {key: value.cpu().contiguous() for key, value in checkpoint.tensors.items()}
    content = tensors_to_bytes(tensors, {"json": json.dumps(checkpoint.progress)})
    put_checkpoint(name, _json(config.model_dump(mode="json")), content)


def put_checkpoint(name: str, config: bytes, checkpoint: bytes) -> None:
    """Store the files of an unfinished run, replacing the last checkpoint in one rename."""
    folder = _unfinished(name)
    with writing():
        if folder.is_dir():
            files.replace(folder / CHECKPOINT, checkpoint)
            return
        files.make_folder(folder.parent)
        for pattern in (".*", "_writing-*"):
            files.remove_stale(folder.parent, pattern)
        with _moved_into(folder, files.partial(folder)) as aside:
            files.write_new(aside / "config.json", config)
            files.write_new(aside / CHECKPOINT, checkpoint)


def checkpoints() -> tuple[list[Unfinished], list[Broken]]:
    """List unfinished trainings, and the checkpoints that cannot be read."""
    readable: list[Unfinished] = []
    damaged: list[Broken] = []
    for folder in _folders(root() / "_unfinished"):
        try:
            if not _discarded_as_complete(folder.name):
                readable.append(_open_unfinished(folder))
        except Exception as error:  # whatever lies in one folder, the others are listed
            if folder.is_dir():  # or else its training has just ended
                damaged.append(Broken(printable(folder.name), in_one_line(error)))
    return readable, damaged


def unfinished() -> list[Unfinished]:
    """List unfinished trainings whose checkpoint can be read."""
    return checkpoints()[0]


def read_checkpoint(name: str) -> tuple[RunConfig, Checkpoint]:
    """Read the config and last checkpoint of an unfinished run.

    Raises `InvalidRequest` where there is none or it is damaged. Whether the tensors suit the model
    is known when training goes on.
    """
    refuse_unknown(name)
    folder = _unfinished(name)
    try:
        config = _open_unfinished(folder).config
        with open_tensors(folder / CHECKPOINT, "pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}
            return config, training.Checkpoint(tensors, json.loads(file.metadata()["json"]))
    except Exception as error:
        raise damaged_checkpoint(name, [in_one_line(error)]) from error


def damaged_checkpoint(name: str, reasons: list[str]) -> InvalidRequest:
    """Message for a checkpoint from which training cannot resume."""
    said = [reason.rstrip(".") for reason in reasons[:REASONS_SAID]]
    if more := len(reasons) - len(said):
        said.append(f"and {more} more")
    return InvalidRequest(
        f"The checkpoint of '{printable(name)}' cannot be used: {'; '.join(said)}. Discard it on "
        f"the page Train or by `python -m aecore discard {printable(name)}`."
    )


def discard(name: str) -> None:
    """Delete an unfinished run, damaged or not; raises `InvalidRequest` if it is being trained."""
    names = {printable(folder.name): folder.name for folder in _folders(root() / "_unfinished")}
    if name in names:
        with Reservation(names[name]) as held:
            held.discard()


def unfinished_folder(name: str) -> str:
    """Folder of an unfinished run, below the store."""
    return f"_unfinished/{name}"


def _unfinished(name: str) -> Path:
    return root() / unfinished_folder(name)


def _names_of_unfinished() -> list[str]:
    return [folder.name for folder in _folders(root() / "_unfinished")]


def has_checkpoint(name: str) -> bool:
    """Whether there is an unfinished training of that name."""
    return (_unfinished(name) / CHECKPOINT).is_file()


def checkpoint_history(name: str) -> list[dict[str, Any]]:
    """History of an unfinished training so far; raises `InvalidRequest` if it cannot be read."""
    try:
        return [dict(entry) for entry in _checkpoint_facts(_unfinished(name)).history]
    except Exception as error:
        raise damaged_checkpoint(name, [in_one_line(error)]) from error


def refuse_unknown(name: str) -> None:
    """Raise `InvalidRequest` if there is no unfinished run of that name and none in training."""
    names = _names_of_unfinished()
    if name in {*names, *map(printable, names)}:
        return
    if RUN_NAME.fullmatch(name):
        refuse_held(name)
        if (root() / name / MANIFEST).is_file():
            raise InvalidRequest(
                f"The run '{name}' is complete: there is nothing to resume or discard."
            )
    raise InvalidRequest(unknown("unfinished run", name, map(printable, names)))


def _open_unfinished(folder: Path) -> Unfinished:
    _refuse_name(folder)
    for file in ("config.json", CHECKPOINT):
        if not (folder / file).is_file():
            raise InvalidRequest(f"{file} is missing.")
    config = RunConfig.check(_read_json(folder / "config.json"), trains=False)
    epochs_done = _checkpoint_facts(folder).epochs_done
    if epochs_done > config.training.epochs:
        raise InvalidRequest(
            f"epochs_done = {epochs_done} of {config.training.epochs} is impossible."
        )
    return Unfinished(folder.name, config, epochs_done, owner(folder.name))


def _checkpoint_facts(folder: Path) -> CheckpointFacts:
    with open_tensors(folder / CHECKPOINT, "np") as file:
        text = (file.metadata() or {}).get("json", "")
    return CheckpointFacts.model_validate(json.loads(text))


def _discarded_as_complete(name: str) -> bool:
    """Remove the leftover checkpoint of a complete run; return whether there was one."""
    if not (root() / name).exists() or owner(name) is not None:
        return False
    try:
        with Reservation(name) as held:
            run = load(name)
            own = run.config == _open_unfinished(_unfinished(name)).config
            if own and run.history == _checkpoint_facts(_unfinished(name)).history:
                held.discard()
                return True
    except InvalidRequest as error:  # of the run, or of a store that is read-only
        log.info("the checkpoint of %s is kept: %s", printable(name), error)
    return False


# --- Files --------------------------------------------------------------------------------------


def _refuse_count(file: Any, n_parameters: int) -> None:
    """Raise `Damaged` if a file does not hold exactly the number of weights of a model."""
    headers = [file.get_slice(key) for key in file.keys()]
    n_weights = sum(math.prod(header.get_shape()) for header in headers)
    if n_weights != n_parameters or any(header.get_dtype() != "F32" for header in headers):
        raise Damaged(
            f"weights.safetensors holds {n_weights} numbers, and the model of these settings has "
            f"{n_parameters} of type F32"
        )


def _read_json(path: Path, most: int = MAX_JSON) -> Any:
    check_size(path, most)
    return json.loads(path.read_text(encoding="utf-8"))


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()
