"""Runs on disk: a folder a run, complete or not there at all.

    models_store/<run>/config.json          what was asked
                       weights.safetensors  the trained model
                       codes.safetensors    test codes, labels, errors and the codes of each epoch
                       history.json         terms of the loss, epoch by epoch
                       manifest.json        what came of it; written last
    models_store/_unfinished/<run>/         config.json and checkpoint.safetensors of a training
                                            that was stopped, cancelled or killed

Everything is written aside and renamed into place. Nothing is ever unpickled: weights and arrays
are safetensors, the rest is JSON, both read with limits.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from aecore.configs import RunConfig
from aecore.errors import Faults, unknown

if TYPE_CHECKING:
    import torch

    from aecore.autoencoder import Autoencoder
    from aecore.training import Checkpoint

log = logging.getLogger(__name__)

MAX_JSON = 32 * 2**20
MAX_TENSORS = 2 * 2**30
RUN_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
RUN_FILES = {"config.json", "weights.safetensors", "codes.safetensors", "history.json"}
FORMAT = 1


def root() -> Path:
    """The folder of the runs: `AECORE_STORE`, or `models_store` beside the package."""
    return Path(os.environ.get("AECORE_STORE") or Path(__file__).parents[1] / "models_store")


class Manifest(BaseModel):
    """What came of a run, and the files that belong to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    created: AwareDatetime
    fingerprint: str
    """Of the dataset that it was trained on."""
    n_train: int
    n_test: int
    metrics: dict[str, float | None]
    """On the test split: `test_mse` per feature, `test_squared_error` and `test_loss` per sample,
    `pca_mse` of as many principal components, `trustworthiness` and `knn_accuracy` of the map."""
    seconds: float
    """Spent training, without evaluation."""
    versions: dict[str, str]
    files: dict[str, tuple[int, str]]
    """Size in bytes and SHA-256 of each file."""


@dataclass(frozen=True)
class Run:
    """A complete run; its files are read when asked for."""

    name: str
    folder: Path
    config: RunConfig
    manifest: Manifest

    @cached_property
    def history(self) -> list[dict[str, Any]]:
        """One entry an epoch: `epoch`, `train`, `test`, `test_mse`, `seconds` and more."""
        with _as_fault(self.folder / "history.json"):
            return _read_json(self._checked("history.json"))

    @cached_property
    def codes(self) -> dict[str, np.ndarray]:
        """Arrays of the test split, in its order.

        `codes` (n, latent_dim); `plane` (n, 2), what is drawn; `labels` (n,); `error` (n,), the
        mean squared error of each sample; `epochs` (epochs kept, m, 2), the plane of the first m
        samples as training went; `epochs_kept` says which epochs these are.
        """
        with _as_fault(self.folder / "codes.safetensors"):
            return read_arrays(self._checked("codes.safetensors"))[0]

    def model(self) -> Autoencoder:
        """The trained model in evaluation mode, on the CPU."""
        from safetensors.torch import load

        from aecore import datasets, training

        model = training.build(self.config, datasets.get(self.config.dataset))
        with _as_fault(self.folder / "weights.safetensors"):
            model.load_state_dict(load(self._checked("weights.safetensors").read_bytes()))
        return model.eval()

    def _checked(self, file: str) -> Path:
        """The path of a file, after its bytes were found to be those that were saved."""
        _check_bytes(self.folder / file, self.manifest)
        return self.folder / file


@dataclass(frozen=True)
class Broken:
    """A folder in the store that is not a readable run, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Unfinished:
    """A training that stopped before its last epoch and can be resumed."""

    name: str
    config: RunConfig
    epochs_done: int


def runs() -> tuple[list[Run], list[Broken]]:
    """Every run, newest first, and the folders that are not readable runs."""
    found: list[Run] = []
    broken: list[Broken] = []
    for folder in _folders(root()):
        try:
            found.append(_open(folder))
        except Exception as error:  # whatever lies in one folder, the others are listed
            broken.append(Broken(folder.name, _plain(error)))
    found.sort(key=lambda run: run.manifest.created, reverse=True)
    return found, broken


def load(name: str) -> Run:
    """The run called `name`; raises `Faults` where there is none or it is broken."""
    folder = root() / name
    if not RUN_NAME.fullmatch(name) or not folder.is_dir():
        raise Faults(unknown("run", name, (folder.name for folder in _folders(root()))))
    try:
        return _open(folder)
    except Exception as error:
        raise Faults(f"The run '{name}' cannot be read: {_plain(error)}") from error


def _folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return sorted(path for path in parent.iterdir() if path.is_dir() and path.name[0] not in "._")


def _open(folder: Path) -> Run:
    if not RUN_NAME.fullmatch(folder.name):
        raise Faults("its name is not one of lower-case letters, digits and hyphens: rename it.")
    manifest_path = folder / "manifest.json"
    if not manifest_path.is_file():
        raise Faults("manifest.json is missing, so it is not a complete run.")
    manifest = Manifest.model_validate(_read_json(manifest_path))
    if manifest.format != FORMAT:
        raise Faults(f"its format is {manifest.format}, and this version reads format {FORMAT}.")
    if manifest.files.keys() != RUN_FILES:
        raise Faults(f"its manifest lists {', '.join(manifest.files) or 'no files'}.")
    for file, (size, _) in manifest.files.items():
        if not (folder / file).is_file():
            raise Faults(f"{file} is missing.")
        if (folder / file).stat().st_size != size:
            raise Faults(f"{file} has {(folder / file).stat().st_size} bytes instead of {size}.")
    _check_bytes(folder / "config.json", manifest)
    config = RunConfig.check(_read_json(folder / "config.json"), stored=True)
    return Run(folder.name, folder, config, manifest)


def _check_bytes(path: Path, manifest: Manifest) -> None:
    if hashlib.sha256(path.read_bytes()).hexdigest() != manifest.files[path.name][1]:
        raise Faults(
            f"{path} has changed since the run was saved: restore it, or delete the folder."
        )


@contextmanager
def _as_fault(path: Path) -> Iterator[None]:
    """Turn whatever a damaged or missing file leads to into a sentence that names it."""
    try:
        yield
    except Faults:
        raise
    except Exception as error:
        raise Faults(f"{path} cannot be read ({error}): restore it, or delete the run.") from error


def _plain(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{fault['loc']}: {fault['msg']}" for fault in error.errors())
    return f"{error}" or type(error).__name__


# --- Writing ------------------------------------------------------------------------------------


def free_name(config: RunConfig, asked: str | None = None) -> str:
    """The name for a new run: the one asked for, or one made from its settings.

    Raises `Faults` where the name cannot be a folder's or is taken.
    """
    if asked:
        if not RUN_NAME.fullmatch(asked):
            raise Faults(
                f"name = '{asked}' is not possible: give up to 60 lower-case letters, digits and "
                "hyphens, beginning with a letter or digit."
            )
        if (root() / asked).exists() or (root() / "_unfinished" / asked).exists():
            raise Faults(f"name = '{asked}' is taken: choose another, or delete that run first.")
        return asked
    return f"{config.dataset}-{config.variant}-{config.model.latent_dim}d-{secrets.token_hex(3)}"


def save(
    name: str,
    config: RunConfig,
    weights: Mapping[str, torch.Tensor],
    codes: Mapping[str, np.ndarray],
    history: list[dict[str, Any]],
    **manifest: Any,
) -> Run:
    """Write a run aside and rename it into place; raises `Faults` where the name is taken."""
    from safetensors.numpy import save as arrays_to_bytes
    from safetensors.torch import save as tensors_to_bytes

    contents = {
        "config.json": _json(config.model_dump(mode="json")),
        "weights.safetensors": tensors_to_bytes({k: v.contiguous() for k, v in weights.items()}),
        "codes.safetensors": arrays_to_bytes(_contiguous(codes)),
        "history.json": _json(history),
    }
    aside = root() / f"_writing-{name}-{secrets.token_hex(3)}"
    aside.mkdir(parents=True)
    for left in root().glob("_writing-*"):  # by a process that was killed
        if time.time() - left.stat().st_mtime > 3600:
            shutil.rmtree(left, ignore_errors=True)
    try:
        for file, content in contents.items():
            (aside / file).write_bytes(content)
        complete = Manifest(
            format=FORMAT,
            created=datetime.now(UTC),
            files={
                file: (len(content), hashlib.sha256(content).hexdigest())
                for file, content in contents.items()
            },
            **manifest,
        )
        (aside / "manifest.json").write_bytes(_json(complete.model_dump(mode="json")))
        if (root() / name).exists():
            raise Faults(f"A run called '{name}' exists already: delete it or choose a name.")
        aside.rename(root() / name)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return _open(root() / name)


def replace(name: str, by: str) -> None:
    """Put the run `by` in the place of the run `name`, whether there was one or not."""
    if (root() / name).exists():
        delete(name)
    (root() / by).rename(root() / name)


def delete(name: str) -> None:
    """Delete a run or a broken folder: renamed first, so that it is gone at once or not at all."""
    known = [folder.name for folder in _folders(root())]
    if name not in known:
        raise Faults(unknown("run", name, known))
    aside = root() / f"_writing-{name}-{secrets.token_hex(3)}"
    (root() / name).rename(aside)
    shutil.rmtree(aside)


# --- Unfinished trainings -----------------------------------------------------------------------


def write_checkpoint(name: str, config: RunConfig, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint of an unfinished run, in one rename."""
    from safetensors.torch import save as tensors_to_bytes

    folder = root() / "_unfinished" / name
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "config.json").exists():
        write_bytes(folder / "config.json", _json(config.model_dump(mode="json")))
    tensors = {key: value.cpu().contiguous() for key, value in checkpoint.tensors.items()}
    progress = {"json": json.dumps(checkpoint.progress)}
    write_bytes(folder / "checkpoint.safetensors", tensors_to_bytes(tensors, progress))


def unfinished() -> list[Unfinished]:
    """The trainings that can be resumed. A folder that cannot be read is left out: it is no run."""
    found = []
    for folder in _folders(root() / "_unfinished"):
        if (root() / folder.name).exists():
            shutil.rmtree(folder, ignore_errors=True)  # killed after its run was complete
            continue
        try:
            with _open_tensors(folder / "checkpoint.safetensors", "np") as file:
                progress = json.loads(file.metadata()["json"])
            config = RunConfig.check(_read_json(folder / "config.json"), stored=True)
            found.append(Unfinished(folder.name, config, int(progress["epochs_done"])))
        except Exception as error:
            log.warning("%s cannot be resumed: %s", folder, _plain(error))
    return found


def read_checkpoint(name: str) -> tuple[RunConfig, Checkpoint]:
    """The config and last checkpoint of an unfinished run; raises `Faults` where there is none."""
    from aecore.training import Checkpoint

    known = {run.name: run for run in unfinished()}
    if name not in known:
        raise Faults(unknown("unfinished run", name, known))
    with _open_tensors(root() / "_unfinished" / name / "checkpoint.safetensors", "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}
        return known[name].config, Checkpoint(tensors, json.loads(file.metadata()["json"]))


def discard(name: str) -> None:
    """Delete an unfinished run."""
    if RUN_NAME.fullmatch(name):
        shutil.rmtree(root() / "_unfinished" / name, ignore_errors=True)


# --- Files --------------------------------------------------------------------------------------


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
    """Write arrays and facts (JSON) to one safetensors file, in one rename."""
    from safetensors.numpy import save as arrays_to_bytes

    write_bytes(path, arrays_to_bytes(_contiguous(arrays), {"json": json.dumps(facts)}))


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The read-only arrays and the facts of a file that `write_arrays` wrote."""
    with _open_tensors(path, "np") as file:
        arrays = {key: file.get_tensor(key) for key in file.keys()}
        facts = json.loads((file.metadata() or {}).get("json", "{}"))
    for array in arrays.values():
        array.flags.writeable = False
    return arrays, facts


def _contiguous(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def _open_tensors(path: Path, framework: str) -> Any:
    from safetensors import SafetensorError, safe_open

    if path.stat().st_size > MAX_TENSORS:
        raise Faults(f"{path} is larger than {MAX_TENSORS // 2**20} MiB.")
    try:
        return safe_open(path, framework)
    except SafetensorError as error:
        raise Faults(f"{path} is not a readable safetensors file ({error}).") from error


def _read_json(path: Path) -> Any:
    if path.stat().st_size > MAX_JSON:
        raise Faults(f"{path} is larger than {MAX_JSON // 2**20} MiB.")
    return json.loads(path.read_text(encoding="utf-8"))


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file in one rename, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(3)}")
    aside.write_bytes(content)
    aside.replace(path)
