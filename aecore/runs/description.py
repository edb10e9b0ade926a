"""Titles, notes, tags and stars that people give to runs, and titles of those without."""

from __future__ import annotations

import itertools
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from aecore import artifacts, locations
from aecore.errors import Damaged, InvalidRequest, in_one_line, shown
from aecore.runs import store
from aecore.runs.index import Index

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MAX_BYTES = 64 * 2**10

Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40)]


class Description(BaseModel):
    """What a person wrote about a run; empty at first."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    title: str = Field("", max_length=120, description="Shown in place of the settings in words.")
    note: str = Field("", max_length=4000, description="Anything worth remembering.")
    tags: tuple[Tag, ...] = Field((), max_length=20, description="Words to find it by.")
    star: bool = Field(False, description="Whether it stands before the others.")


def read(run: store.Run) -> Description:
    """Description of a run; raises `Damaged` if its file is not one."""
    path = locations.readable(run.computed / "description.json")
    return _read(path, run.name) if path.is_file() else Description()


def _read(path: Path, name: str) -> Description:
    try:
        artifacts.check_size(path, MAX_BYTES)
        return Description.model_validate_json(path.read_bytes())
    except (OSError, ValueError, Damaged) as error:
        raise Damaged(
            f"The description of the run '{name}' is damaged ({in_one_line(error)}): write "
            "it again, or delete its description.json."
        ) from error


def read_all(runs: Sequence[store.Run]) -> tuple[dict[str, Description], list[str]]:
    """Description of each run by its name, and a sentence about each that is damaged.

    A damaged one is taken for an empty one. Only files that changed are read again.
    """
    root, layer = store.root(), locations.shipped()
    folders = [root] if layer is None else [root, layer]  # as `locations.readable`, which is slow
    files = {}
    for run in runs:
        paths = (f"{folder}/{run.name}/description.json" for folder in folders)
        if path := next(filter(os.path.isfile, paths), None):
            files[run.name] = [path]
    descriptions, damaged = dict.fromkeys((run.name for run in runs), Description()), []
    read = _INDEX.read(files, lambda name: _read(Path(files[name][0]), name))
    for name, description in read.items():
        if isinstance(description, Exception):
            damaged.append(in_one_line(description))
        else:
            descriptions[name] = description
    return descriptions, damaged


_DESCRIPTIONS = TypeAdapter(dict[str, Description])
_INDEX = Index(
    "descriptions",
    _DESCRIPTIONS.dump_json,
    _DESCRIPTIONS.validate_json,
)


def write(run: store.Run, **changes: Any) -> Description:
    """Change parts of a description and store it; raises `InvalidRequest` with all problems."""
    try:
        before = read(run)
    except Damaged:  # which is what writing it again mends
        before = Description()
    try:
        description = Description.model_validate({**before.model_dump(), **changes})
    except ValidationError as error:
        raise InvalidRequest(
            f"{each['loc'][0]} = {shown(each['input'])} is not possible: {_asked(each)}."
            for each in error.errors()
        ) from None
    content = description.model_dump_json(indent=1).encode()
    artifacts.write_bytes(run.computed / "description.json", content)
    with locations.writing():
        os.utime(store.root())  # for those who look there for changes
    return description


BOUNDS = {
    "string_too_long": "give at most {max_length} characters",
    "string_too_short": "give at least {min_length} character",
    "too_long": "give at most {max_length}",
}
"""What to give, by pydantic's name of the fault."""


def _asked(fault: ErrorDetails) -> str:
    """What to give in place of an invalid value."""
    return BOUNDS.get(fault["type"], fault["msg"]).format(**fault.get("ctx", {}))


def usual_title(run: store.Run) -> str:
    """Title of a run that was given none: its name, or its settings if the name is automatic.

    Such as "MNIST · Variational autoencoder · 2-D".
    """
    if not store.is_automatic(run.name, run.config):
        return run.name
    # A dataset's title goes on with its size.
    dataset = run.spec.title.split(",")[0]
    model = run.config.model
    return f"{dataset} · {run.variant_title} · {model.latent_dim}-D"


def titles(runs: Sequence[store.Run], given: Sequence[str]) -> dict[str, str]:
    """Title of each run by its name: the given one, or the usual one.

    Equal titles are numbered by the age of their runs, from the second.
    """
    numbered: dict[str, str] = {}
    used: set[str] = set()
    counters: dict[str, Iterator[int]] = defaultdict(lambda: itertools.count(2))
    for run, own in sorted(
        zip(runs, given, strict=True), key=lambda pair: pair[0].manifest.created
    ):
        title = plain = own or usual_title(run)
        while title in used:
            title = f"{plain} ({next(counters[plain])})"
        numbered[run.name] = title
        used.add(title)
    return numbered


def differ_in_seed(runs: Sequence[store.Run]) -> bool:
    """Whether runs have the same settings, and each a seed of its own."""
    settings = {run.config.model_dump_json(exclude={"training": {"seed"}}) for run in runs}
    return len(settings) == 1 and len({run.config.training.seed for run in runs}) == len(runs)
