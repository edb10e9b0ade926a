"""Runs on disk: a folder a run, complete or not there at all.

    models_store/<run>/config.json          what was asked
                       weights.safetensors  the trained model
                       codes.safetensors    test codes, labels, errors and the codes of each epoch
                       history.json         terms of the loss, epoch by epoch
                       manifest.json        what came of it; written last
    models_store/_unfinished/<run>/         config.json and checkpoint.safetensors of a training
                                            that runs, or was stopped, cancelled or killed
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
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from aecore import data, files, locations, training
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
from aecore.errors import Damaged, Faults, in_one_line, printable, unknown
from aecore.metrics import Metrics
from aecore.training import RunConfig

if TYPE_CHECKING:
    import numpy as np
    import torch

    from aecore.models.autoencoder import Autoencoder
    from aecore.models.variants import Capabilities
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
FORMAT = 1


def root() -> Path:
    """The folder of the runs (see `locations.store`)."""
    return locations.store()


class Manifest(BaseModel):
    """What came of a run, and the files that belong to it."""

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
    """One entry of a history; what a variant adds are numbers as well."""

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


HISTORY = TypeAdapter(list[Epoch])


@dataclass(frozen=True)
class Run:
    """A complete run; its files are read when asked for."""

    name: str
    folder: Path
    config: RunConfig
    manifest: Manifest
    spec: DataSpec
    """Of the dataset that it was trained on."""

    @property
    def dataset(self) -> Dataset:
        """The dataset that the run was trained on; its values may have changed since.

        Where it has been removed, or has another shape, split or classes by now, it has no arrays,
        and `Dataset.missing` says why.
        """
        try:
            now = data.get(self.spec.name)
        except Faults as error:
            return Dataset.without_arrays(self.spec, self._gone(error))
        # Where digests are known, the fingerprint is made without reading an array.
        same = not now.digests or now.fingerprint == self.manifest.fingerprint
        if same and now.spec.agrees(self.spec):
            return now
        return Dataset.without_arrays(self.spec, self.data_changed)

    def has_data(self) -> bool:
        """Whether the very samples of the run are on this machine; may have to read them."""
        dataset = self.dataset
        return data.here(dataset) and dataset.fingerprint == self.manifest.fingerprint

    @property
    def data_changed(self) -> str:
        """What to say where the dataset is no longer the one that the run was trained on."""
        return (
            f"The dataset '{self.spec.name}' has changed since the run '{self.name}' was trained "
            "on it: train the run again."
        )

    def _gone(self, error: Faults) -> str:
        reason = error.faults[0] if isinstance(error, Damaged) else "it is not in the catalogue"
        return (
            f"The samples of the dataset '{self.spec.name}' are missing, on which the run "
            f"'{self.name}' was trained: {reason.rstrip('.')}. Add that dataset again."
        )

    @property
    def capabilities(self) -> Capabilities:
        """What its model can do."""
        return self.config.model.capabilities

    @cached_property
    def history(self) -> list[dict[str, Any]]:
        """One entry an epoch: `epoch`, `train`, `test`, `test_mse`, `seconds` and more."""
        with self._reading("history.json") as path:
            return _history(path, self.config.training.epochs)

    @cached_property
    def codes(self) -> dict[str, np.ndarray]:
        """Arrays of the test split, in its order.

        `codes` (n, latent_dim); `plane` (n, 2), what is drawn; `labels` (n,); `error` (n,), the
        mean squared error of each sample; `epochs` (epochs kept, m, 2), the plane of the first m
        samples as training went; `epochs_kept` says which epochs these are.
        """
        with self._reading("codes.safetensors") as path:
            arrays, _ = read_arrays(path, _codes(self.config, self.spec))
            return arrays

    def model(self) -> Autoencoder:
        """The trained model in evaluation mode, on the CPU."""
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

    @contextmanager
    def _reading(self, file: str) -> Iterator[Path]:
        """The path of a file whose bytes are those that were saved; any error names the run."""
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
    """A folder in the store that is not a readable run, and why."""

    name: str
    """As it can be shown: what cannot be printed of it stands in escapes."""
    reason: str


class Owner(BaseModel):
    """The process that trains or changes what stands under a name."""

    pid: int | None = None
    host: str | None = None
    since: AwareDatetime | None = None

    def __str__(self) -> str:
        if self.pid is None or self.since is None:
            return "a process that has only just begun"
        return f"process {self.pid} on {self.host}, since {self.since:%Y-%m-%d %H:%M:%S} UTC"


@dataclass(frozen=True)
class Unfinished:
    """A training before its last epoch: it can be resumed, unless a process is training it."""

    name: str
    config: RunConfig
    epochs_done: int
    owner: Owner | None
    """The process that is training it now."""


def runs() -> tuple[list[Run], list[Broken]]:
    """Every run, newest first, and the folders that are not readable runs."""
    found: list[Run] = []
    broken: list[Broken] = []
    for folder in _folders(root()):
        try:
            found.append(_open(folder))
        except Exception as error:  # whatever lies in one folder, the others are listed
            broken.append(Broken(printable(folder.name), in_one_line(error)))
    found.sort(key=lambda run: run.manifest.created, reverse=True)
    return found, broken


def load(name: str) -> Run:
    """The run called `name`; raises `Faults` where there is none or it is broken."""
    folder = root() / name
    if not RUN_NAME.fullmatch(name) or not folder.is_dir():
        raise Faults(unknown("run", name, (printable(each.name) for each in _folders(root()))))
    try:
        return _open(folder)
    except Exception as error:
        raise Faults(f"The run '{name}' cannot be read: {in_one_line(error)}") from error


def _folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return sorted(path for path in parent.iterdir() if path.is_dir() and path.name[0] not in "._")


def _open(folder: Path) -> Run:
    """A run whose small files are right and whose large ones are of the right size and shapes."""
    _refuse_name(folder)
    return _read(folder, folder.name)


def _refuse_name(folder: Path) -> None:
    if not RUN_NAME.fullmatch(folder.name):
        raise Faults("its name is not one of lower-case letters, digits and hyphens: rename it.")


def _read(folder: Path, name: str) -> Run:
    """The run `name` of a folder that may be called otherwise while it is written."""
    manifest_path = folder / "manifest.json"
    if not manifest_path.is_file():
        raise Faults("manifest.json is missing, so it is not a complete run.")
    manifest = Manifest.model_validate(_read_json(manifest_path, MAX_MANIFEST))
    if manifest.format != FORMAT:
        raise Faults(f"its format is {manifest.format}, and this version reads format {FORMAT}.")
    if manifest.files.keys() != RUN_FILES:
        raise Faults(f"its manifest lists {', '.join(manifest.files) or 'no files'}.")
    for file, (size, _) in manifest.files.items():
        if not (folder / file).is_file():
            raise Faults(f"{file} is missing.")
        if (folder / file).stat().st_size != size:
            raise Faults(f"{file} has {(folder / file).stat().st_size} bytes instead of {size}.")
    check_size(folder / "config.json", MAX_JSON)
    _check_bytes(folder / "config.json", manifest)
    request = _read_json(folder / "config.json")
    spec = manifest.data or _built_in(request, manifest)
    config = RunConfig.check(request, own=spec, trains=False)
    if config.dataset != spec.name:
        raise Faults(f"it was trained on {spec.name}, and its settings say {config.dataset}.")
    check_size(folder / "history.json", MAX_JSON + MAX_EPOCH * config.training.epochs)
    with open_tensors(folder / "codes.safetensors", "np") as file:
        refuse_shapes(file, _codes(config, spec), "codes.safetensors: ")
    with open_tensors(folder / "weights.safetensors", "np") as file:
        _refuse_count(file, config.model.n_parameters(spec))
    return Run(name, folder, config, manifest, spec)


def _built_in(request: Any, manifest: Manifest) -> DataSpec:
    """The specification of the data of a run of an earlier version, which did not store it.

    These knew the built-in datasets alone.
    """
    name = request.get("dataset") if isinstance(request, dict) else None
    if not isinstance(name, str) or name not in data.DATASETS:
        raise Faults(unknown("dataset", name, data.DATASETS))
    facts = ("fingerprint", "n_train", "n_test")
    known = data.DATASETS[name].spec
    return known.model_copy(update={fact: getattr(manifest, fact) for fact in facts})


def _codes(config: RunConfig, spec: DataSpec) -> dict[str, Array]:
    """What the codes of a run must be. Those of a training that diverged may be no numbers."""
    n, d, classes = spec.n_test, config.model.latent_dim, spec.n_classes
    kept = Size("epochs", min(config.training.epochs, MOST_EPOCHS))
    return {
        "codes": Array((n, d), finite=False),
        "plane": Array((n, 2), finite=False),
        "labels": Array((n,), "i", 0, classes - 1) if classes else Array((n,)),
        "error": Array((n,), low=0, finite=False),
        "epochs": Array((kept, Size("followed", MOST_FOLLOWED), 2), finite=False),
        "epochs_kept": Array((kept,), "i", 1, config.training.epochs, rises=True),
    }


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
    """Turn what the disk refuses inside the block into a sentence that names the store."""
    return locations.writing()


class Taken(Faults):
    """Something of that name exists in the store."""


def free_name(config: RunConfig, asked: str | None = None) -> str:
    """The name for a new run: the one asked for, or one made from its settings.

    Raises `Faults` where the name cannot be a folder's or is taken, or the store takes no files.
    """
    locations.refuse_unwritable()
    if asked:
        _refuse_impossible(asked)
        refuse_held(asked)
        _refuse_taken(asked)
        return asked
    stem = f"{config.dataset}-{config.variant}-{config.model.latent_dim}d"
    while True:
        name = f"{stem}-{secrets.token_hex(3)}"
        if not _is_taken(name):
            return name


def name_beside(name: str) -> str:
    """A free name that is like `name`."""
    beside = (f"{name[: 59 - len(str(n))]}-{n}" for n in count(2))
    return next(name for name in beside if not _is_taken(name))


def _refuse_impossible(name: str) -> None:
    if not RUN_NAME.fullmatch(name):
        raise Faults(
            f"name = '{name}' is not possible: give up to 60 lower-case letters, digits and "
            "hyphens, beginning with a letter or digit."
        )


def _refuse_taken(name: str) -> None:
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
    return owner(name) is not None or any(os.path.lexists(place) for place in places)


def save(
    name: str,
    config: RunConfig,
    weights: Mapping[str, torch.Tensor],
    codes: Mapping[str, np.ndarray],
    history: list[dict[str, Any]],
    **manifest: Any,
) -> Run:
    """Write a run aside and rename it into place; raises `Taken` where the name is taken."""
    from safetensors.numpy import save as arrays_to_bytes
    from safetensors.torch import save as tensors_to_bytes

    contents = {
        "config.json": _json(config.model_dump(mode="json")),
        "weights.safetensors": tensors_to_bytes({k: v.contiguous() for k, v in weights.items()}),
        "codes.safetensors": arrays_to_bytes(contiguous(codes)),
        "history.json": _json(history),
    }
    complete = Manifest(
        format=FORMAT,
        created=datetime.now(UTC),
        files={
            file: (len(content), hashlib.sha256(content).hexdigest())
            for file, content in contents.items()
        },
        **manifest,
    )
    contents["manifest.json"] = _json(complete.model_dump(mode="json"))
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
    """A folder that is no run, for what becomes the run `name` or was it."""
    return root() / f"_writing-{name}-{secrets.token_hex(3)}"


def _exists(name: str) -> Taken:
    return Taken(f"A run called '{name}' exists already: delete it or choose a name.")


@contextmanager
def _moved_into(place: Path, aside: Path) -> Iterator[Path]:
    """A new folder, renamed into its place at the end of the block; removed if that fails."""
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
    """Delete a run or a broken folder: renamed first, so that it is gone at once or not at all."""
    known = {printable(folder.name): folder for folder in _folders(root())}
    if name not in known:
        raise Faults(unknown("run", name, known))
    folder = known[name]
    with Reservation(folder.name):
        _remove(folder)


def _remove(folder: Path) -> None:
    with writing():
        # Beside it: what is above it may be a link to another disk.
        aside = folder.with_name(_aside(folder.name).name)
        folder.rename(aside)
        files.sync_folder(folder.parent)
        shutil.rmtree(aside, ignore_errors=True)  # what is left is removed as stale


# --- Names that are in use ----------------------------------------------------------------------


def owner(name: str) -> Owner | None:
    """The process that trains or changes what stands under a name, if there is one."""
    path = _lock_file(name)
    if not files.locked(path):
        return None
    try:
        with path.open("rb") as file:
            return Owner.model_validate_json(file.read(1000))
    except (OSError, ValidationError):  # it has only just begun, or ended
        return Owner()


def refuse_held(name: str) -> None:
    """Raise `Faults` where a process trains or changes what stands under a name."""
    if holder := owner(name):
        raise _held(name, holder)


def _held(name: str, holder: Owner) -> Faults:
    return Faults(
        f"'{printable(name)}' is being trained already ({holder}): wait until that has ended, or "
        "choose another name."
    )


class Reservation:
    """The sole right of this process to what stands under a name, as a context manager.

    The operating system takes it back when the process ends, however it ends. Raises `Faults` where
    another holds it.
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
        """Raise `Faults` where the store or the lock was removed since the name was reserved."""
        if files.holds(self._descriptor, self._path):
            return
        if _unfinished(self.name).is_dir():
            raise Faults(
                f"The lock {self._path} was removed, so another process may train '{self.name}': "
                f"this one has stopped. Go on with `python -m aecore train --resume {self.name}`."
            )
        with writing():
            raise FileNotFoundError(errno.ENOENT, "")

    def discard(self) -> None:
        """Delete the unfinished run of that name, if there is one."""
        if _unfinished(self.name).is_dir():
            _remove(_unfinished(self.name))

    def replace(self, by: str) -> None:
        """Put the run `by` in the place of the run of that name, whether there was one or not."""
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
    """The right to train a new run; raises `Faults` where the name is held or taken."""
    _refuse_impossible(name)
    with Reservation(name) as held:
        _refuse_taken(name)
        yield held


@contextmanager
def reserve_unfinished(name: str) -> Iterator[Reservation]:
    """The right to go on with an unfinished run; raises `Faults` where it is held or unknown."""
    refuse_unknown(name)
    with Reservation(name) as held:
        yield held


def _lock_file(name: str) -> Path:
    return root() / "_unfinished" / f"{name}.lock"


# --- Unfinished trainings -----------------------------------------------------------------------

CHECKPOINT = "checkpoint.safetensors"
REASONS_SAID = 3


class CheckpointFacts(BaseModel):
    """What a checkpoint says of its training; `aecore.training` knows the rest."""

    model_config = ConfigDict(extra="allow")

    epochs_done: int = Field(ge=1, strict=True)
    history: list[dict[str, Any]]


def write_checkpoint(name: str, config: RunConfig, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint of an unfinished run, in one rename."""
    from safetensors.torch import save as tensors_to_bytes

    folder = _unfinished(name)
    tensors = {key: value.cpu().contiguous() for key, value in checkpoint.tensors.items()}
    content = tensors_to_bytes(tensors, {"json": json.dumps(checkpoint.progress)})
    with writing():
        if folder.is_dir():
            files.replace(folder / CHECKPOINT, content)
            return
        files.make_folder(folder.parent)
        for pattern in (".*", "_writing-*"):
            files.remove_stale(folder.parent, pattern)
        with _moved_into(folder, files.partial(folder)) as aside:
            files.write_new(aside / "config.json", _json(config.model_dump(mode="json")))
            files.write_new(aside / CHECKPOINT, content)


def checkpoints() -> tuple[list[Unfinished], list[Broken]]:
    """The trainings before their last epoch, and the checkpoints that cannot be read."""
    found: list[Unfinished] = []
    damaged: list[Broken] = []
    for folder in _folders(root() / "_unfinished"):
        try:
            if not _discarded_as_complete(folder.name):
                found.append(_open_unfinished(folder))
        except Exception as error:  # whatever lies in one folder, the others are listed
            if folder.is_dir():  # or else its training has just ended
                damaged.append(Broken(printable(folder.name), in_one_line(error)))
    return found, damaged


def unfinished() -> list[Unfinished]:
    """The trainings before their last epoch whose checkpoint can be read."""
    return checkpoints()[0]


def read_checkpoint(name: str) -> tuple[RunConfig, Checkpoint]:
    """The config and last checkpoint of an unfinished run.

    Raises `Faults` where there is none or it is damaged. Whether the tensors suit the model is
    known when training goes on.
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


def damaged_checkpoint(name: str, reasons: list[str]) -> Faults:
    """What to say of a checkpoint from which a training cannot go on."""
    said = [reason.rstrip(".") for reason in reasons[:REASONS_SAID]]
    if more := len(reasons) - len(said):
        said.append(f"and {more} more")
    return Faults(
        f"The checkpoint of '{printable(name)}' cannot be used: {'; '.join(said)}. Discard it on "
        f"the page Train or by `python -m aecore discard {printable(name)}`."
    )


def discard(name: str) -> None:
    """Delete an unfinished run, damaged or not; raises `Faults` where it is being trained."""
    known = {printable(folder.name): folder.name for folder in _folders(root() / "_unfinished")}
    if name in known:
        with Reservation(known[name]) as held:
            held.discard()


def _unfinished(name: str) -> Path:
    return root() / "_unfinished" / name


def _names_of_unfinished() -> list[str]:
    return [folder.name for folder in _folders(root() / "_unfinished")]


def refuse_unknown(name: str) -> None:
    """Raise `Faults` where there is no unfinished run of that name, nor one being trained."""
    known = _names_of_unfinished()
    if name in {*known, *map(printable, known)}:
        return
    if RUN_NAME.fullmatch(name):
        refuse_held(name)
        if (root() / name / "manifest.json").is_file():
            raise Faults(f"The run '{name}' is complete: there is nothing to resume or discard.")
    raise Faults(unknown("unfinished run", name, map(printable, known)))


def _open_unfinished(folder: Path) -> Unfinished:
    _refuse_name(folder)
    for file in ("config.json", CHECKPOINT):
        if not (folder / file).is_file():
            raise Faults(f"{file} is missing.")
    config = RunConfig.check(_read_json(folder / "config.json"), trains=False)
    epochs_done = _checkpoint_facts(folder).epochs_done
    if epochs_done > config.training.epochs:
        raise Faults(f"epochs_done = {epochs_done} of {config.training.epochs} is impossible.")
    return Unfinished(folder.name, config, epochs_done, owner(folder.name))


def _checkpoint_facts(folder: Path) -> CheckpointFacts:
    with open_tensors(folder / CHECKPOINT, "np") as file:
        text = (file.metadata() or {}).get("json", "")
    return CheckpointFacts.model_validate(json.loads(text))


def _discarded_as_complete(name: str) -> bool:
    """Whether a checkpoint was that of a complete run, killed before it removed it; it is gone."""
    if not (root() / name).exists() or owner(name) is not None:
        return False
    try:
        with Reservation(name) as held:
            run = load(name)
            own = run.config == _open_unfinished(_unfinished(name)).config
            if own and run.history == _checkpoint_facts(_unfinished(name)).history:
                held.discard()
                return True
    except Faults as error:  # of the run, or of a store that is read-only
        log.info("the checkpoint of %s is kept: %s", printable(name), error)
    return False


# --- Files --------------------------------------------------------------------------------------


def _refuse_count(file: Any, n_parameters: int) -> None:
    """Raise `Damaged` where a file does not hold as many float32 numbers as a model has."""
    headers = [file.get_slice(key) for key in file.keys()]
    found = sum(math.prod(header.get_shape()) for header in headers)
    if found != n_parameters or any(header.get_dtype() != "F32" for header in headers):
        raise Damaged(
            f"weights.safetensors holds {found} numbers, and the model of these settings has "
            f"{n_parameters} of type F32"
        )


def _read_json(path: Path, most: int = MAX_JSON) -> Any:
    check_size(path, most)
    return json.loads(path.read_text(encoding="utf-8"))


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()
