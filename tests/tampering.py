"""Seeded damage to the files of a store, with correct digests afterwards."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from aecore import data

ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 3, 400_000_000, 2**63, 10**400, -0.5, 1e308),
    *(float("nan"), float("inf"), float("-inf")),
    *("", "x", "x" * 5_000, "\ud800", "a\nb", "../../etc", "**bold**", "f" * 64, "0" * 64),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2024-02-30T00:00:00Z"),
    *([], {}, [[]], {"a": {}}, [1, "2"]),
)
"""Values that are put in the place of others in JSON."""


def seal(folder: Path) -> None:
    """Update the manifest to the sizes and bytes of the files."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for name in manifest["files"]:
        with (folder / name).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        manifest["files"][name] = [(folder / name).stat().st_size, digest]
    path.write_text(json.dumps(manifest))


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to every value in a JSON document."""
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield (*way, key)
        if isinstance(value[key], dict | list):
            yield from places(value[key], (*way, key))


def change_json(document: Any, chance: random.Random) -> Any:
    """Replace, remove or add one value in a document."""
    *way, last = chance.choice(list(places(document)))
    inside = document
    for key in way:
        inside = inside[key]
    how = chance.choice(("replace", "replace", "replace", "remove", "add"))
    if how == "remove":
        del inside[last]
    elif how == "add" and isinstance(inside, dict):
        inside[chance.choice(("surprise", "", "\ud800", "../x", "files"))] = chance.choice(ODD)
    else:
        inside[last] = chance.choice(ODD)
    return document


# --- Arrays -------------------------------------------------------------------------------------


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str] | None]:
    with safe_open(path, "np") as file:
        return {key: file.get_tensor(key).copy() for key in file.keys()}, file.metadata()


def _without(array: np.ndarray, chance: random.Random) -> None:
    return None


def _filled(value: float) -> Callable[[np.ndarray, random.Random], np.ndarray]:
    def fill(array: np.ndarray, chance: random.Random) -> np.ndarray:
        array = array if array.dtype.kind == "f" else array.astype(np.float32)
        array.reshape(-1)[chance.randrange(array.size)] = value
        return array

    return fill


def _strange_number(array: np.ndarray, chance: random.Random) -> np.ndarray:
    if array.dtype.kind == "i":
        array.reshape(-1)[chance.randrange(array.size)] = chance.choice((-1, 30_000))
        return array
    return _filled(float("nan"))(array, chance)


ARRAY_DAMAGES: dict[str, Callable[[np.ndarray, random.Random], np.ndarray | None]] = {
    "missing": _without,
    "a row less": lambda array, chance: array[:-1],
    "a row more": lambda array, chance: np.concatenate([array, array[:1]]),
    "no rows": lambda array, chance: array[:0],
    "flat": lambda array, chance: array.reshape(-1, 1, 1),
    "one number": lambda array, chance: array.reshape(-1)[0],
    "doubled in width": lambda array, chance: np.stack([array, array], axis=-1),
    "half precision": lambda array, chance: array.astype(np.float16),
    "bytes": lambda array, chance: array.astype(np.uint8),
    "truths": lambda array, chance: array.astype(bool),
    "the other kind": lambda array, chance: array.astype(
        np.int32 if array.dtype.kind == "f" else np.float32
    ),
}
"""Damage that shapes and types show."""

VALUE_DAMAGES: dict[str, Callable[[np.ndarray, random.Random], np.ndarray | None]] = {
    "no number": _filled(float("nan")),
    "infinite": _filled(float("inf")),
    "outside": _strange_number,
    "backwards": lambda array, chance: array[::-1],
}
"""Damage of values, not all of which can be seen in every array."""


def change_arrays(
    path: Path, chance: random.Random, damages: Mapping[str, Callable[..., Any]]
) -> str:
    """Damage one array of a file; return a description of the damage."""
    arrays, facts = read(path)
    name, damage = chance.choice(sorted(arrays)), chance.choice(sorted(damages))
    changed = damages[damage](arrays.pop(name), chance)
    if changed is not None:
        arrays[name] = np.ascontiguousarray(changed).reshape(np.shape(changed))
    path.write_bytes(save(arrays, facts))
    return f"{path.name}: {name} {damage}"


def sparse(path: Path, header: Mapping[str, Any], size: int) -> None:
    """A safetensors file whose data are `size` bytes but take no space on disk."""
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + size)


def _bytes(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def _long(path: Path) -> None:
    path.write_bytes(path.read_bytes() + bytes(9))


FILE_DAMAGES: dict[str, Callable[[Path], Any]] = {
    "empty": _bytes(b""),
    "seven bytes": _bytes(b"1234567"),
    "text": _bytes(b"no arrays at all"),
    "cut short": _cut,
    "too long": _long,
    "a header of exabytes": _bytes((2**62).to_bytes(8, "little") + b"{}"),
    "a header of 90 MB": lambda path: path.write_bytes(
        (90 * 10**6).to_bytes(8, "little") + b" " * 90 * 10**6
    ),
    "a header that is no JSON": _bytes((4).to_bytes(8, "little") + b"{[}]"),
    "a header that is nested": _bytes((10_000).to_bytes(8, "little") + b"[" * 10_000),
    "3 GiB of nothing": lambda path: sparse(
        path,
        {"x": {"dtype": "U8", "shape": [3 * 2**30], "data_offsets": [0, 3 * 2**30]}},
        3 * 2**30,
    ),
    "another's arrays": lambda path: path.write_bytes(save({"x": np.zeros(3, np.float32)})),
}


# --- Runs ---------------------------------------------------------------------------------------


def _json_file(file: str) -> Callable[[Path, random.Random], str]:
    def change(folder: Path, chance: random.Random) -> str:
        document = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps(change_json(document, chance)))
        if file != "manifest.json":
            seal(folder)
        return f"{file}: a value"

    return change


def _deep_json(folder: Path, chance: random.Random) -> str:
    file = chance.choice(("config.json", "history.json"))
    content = chance.choice(("[" * 50_000, "{", "", "[]", "null", "7", "[{}]", "\ud800" * 3))
    (folder / file).write_bytes(content.encode("utf-8", "surrogatepass"))
    seal(folder)
    return f"{file}: {content[:9]}"


def _huge_json(folder: Path, chance: random.Random) -> str:
    file = chance.choice(("config.json", "history.json", "manifest.json"))
    with (folder / file).open("ab") as stream:
        stream.truncate(chance.choice((2**20, 300 * 2**20, 3 * 2**30)))
    if file != "manifest.json":
        seal(folder)
    return f"{file}: huge"


def _of(damages: Mapping[str, Callable[..., Any]], *files: str) -> Callable[..., str]:
    def change(folder: Path, chance: random.Random) -> str:
        said = change_arrays(folder / chance.choice(files), chance, damages)
        seal(folder)
        return said

    return change


def _whole(folder: Path, chance: random.Random) -> str:
    file = chance.choice(("codes.safetensors", "weights.safetensors"))
    damage = chance.choice(sorted(FILE_DAMAGES))
    FILE_DAMAGES[damage](folder / file)
    seal(folder)
    return f"{file}: {damage}"


def _many_samples(folder: Path, chance: random.Random) -> str:
    """A manifest of many samples, and a codes file of as many."""
    n = chance.choice((400_000_000, 100_000_000, 20_000_000, 361))
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"n_test": n}))
    header, at = {}, 0
    for name, dtype, shape, size in (
        ("codes", "F32", [n, 2], 8 * n),
        ("plane", "F32", [n, 2], 8 * n),
        ("labels", "I16", [n], 2 * n),
        ("error", "F32", [n], 4 * n),
        ("epochs", "F32", [2, 360, 2], 5_760),
        ("epochs_kept", "I32", [2], 8),
    ):
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    sparse(folder / "codes.safetensors", header, at)
    manifest = json.loads(path.read_text())
    manifest["files"]["codes.safetensors"][0] = (folder / "codes.safetensors").stat().st_size
    path.write_text(json.dumps(manifest))
    return f"n_test = {n}"


def _large_model(folder: Path, chance: random.Random) -> str:
    """Settings of a model of several gigabytes."""
    config = json.loads((folder / "config.json").read_text())
    config["model"] |= {"hidden": [8192] * chance.choice((2, 5, 12))}
    (folder / "config.json").write_text(json.dumps(config))
    seal(folder)
    return f"hidden = {config['model']['hidden']}"


def _data(folder: Path, chance: random.Random) -> str:
    """A manifest whose data specification has one changed value."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    facts = {name: manifest[name] for name in ("fingerprint", "n_train", "n_test")}
    given = data.get("digits").spec.model_dump(mode="json") | facts
    manifest["data"] = change_json(given, chance)
    path.write_text(json.dumps(manifest))
    return "manifest.json: a value of data"


def _vast_data(folder: Path, chance: random.Random) -> str:
    """A data specification of endless names, or of more samples than fit into memory."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    facts = {name: manifest[name] for name in ("fingerprint", "n_train", "n_test")}
    change = chance.choice(
        (
            {"shape": [2**24, 2**24]},
            {"shape": [2**12, 2**12], "label_names": [f"{n}" for n in range(9_999)]},
            {"label_names": [f"{n}" for n in range(50_000)]},
            {"feature_names": [f"{n}" for n in range(400_000)]},
            {"label_names": ["x" * 2**20]},
            {"title": "x" * 2**23},
            {"n_train": 10**12},
        )
    )
    manifest["data"] = data.get("digits").spec.model_dump(mode="json") | facts | change
    path.write_text(json.dumps(manifest))
    return f"manifest.json: data of much {', '.join(change)}"


RUN_DAMAGES: dict[str, Callable[[Path, random.Random], str]] = {
    "manifest": _json_file("manifest.json"),
    "config": _json_file("config.json"),
    "history": _json_file("history.json"),
    "no JSON": _deep_json,
    "huge JSON": _huge_json,
    "shapes": _of(ARRAY_DAMAGES, "codes.safetensors", "weights.safetensors"),
    "values": _of(VALUE_DAMAGES, "codes.safetensors", "weights.safetensors"),
    "files": _whole,
    "samples": _many_samples,
    "model": _large_model,
    "data": _data,
    "vast data": _vast_data,
}
CERTAIN = ("no JSON", "huge JSON", "shapes", "files", "samples", "model", "vast data")
"""Damage that has to be named; of the others some leaves a run that is whole."""


def tamper(folder: Path, seed: int) -> tuple[str, bool]:
    """Damage a run; return a description, and whether it must be reported."""
    chance = random.Random(seed)
    kind = list(RUN_DAMAGES)[seed % len(RUN_DAMAGES)]
    return f"{kind}: {RUN_DAMAGES[kind](folder, chance)}", kind in CERTAIN


def fill_weights(folder: Path, value: float) -> None:
    """Set every weight of a run to one number."""
    arrays, facts = read(folder / "weights.safetensors")
    filled = {name: np.full_like(array, value) for name, array in arrays.items()}
    (folder / "weights.safetensors").write_bytes(save(filled, facts))
    seal(folder)


# --- Artifacts ----------------------------------------------------------------------------------


def _facts(path: Path, chance: random.Random) -> str:
    arrays, facts = read(path)
    document = change_json(json.loads(facts["json"]), chance)
    path.write_bytes(save(arrays, {"json": json.dumps(document)}))
    return f"{path.name}: a fact"


def _zeros() -> bytes:
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1) as stream:
        for _ in range(2**10):
            stream.write(bytes(2**20))
    return buffer.getvalue()


def _sheet(path: Path, chance: random.Random) -> str:
    damages: dict[str, Callable[[bytes], bytes]] = {
        "cut short": lambda content: content[:-20],
        "a byte less": lambda content: gzip.compress(gzip.decompress(content)[:-1]),
        "no gzip": lambda content: b"P5 8 8",
        "a gigabyte of zeros": lambda content: _zeros(),
        "one bit": lambda content: content[:99] + bytes([content[99] ^ 1]) + content[100:],
    }
    damage = chance.choice(sorted(damages))
    path.write_bytes(damages[damage](path.read_bytes()))
    return f"{path.name}: {damage}"


def tamper_artifact(path: Path, seed: int) -> tuple[str, bool]:
    """Damage an artifact; return a description, and whether it must be reported."""
    chance = random.Random(seed)
    if path.suffix == ".gz":
        return _sheet(path, chance), True
    arrays, facts = read(path)
    kinds = ["file"]
    kinds += ["shapes"] if arrays else []
    kinds += ["facts"] if json.loads((facts or {}).get("json", "{}")) else []
    kinds += ["values"] if arrays else []
    kind = kinds[seed % len(kinds)]
    if kind == "file":
        damage = chance.choice(sorted(FILE_DAMAGES))
        FILE_DAMAGES[damage](path)
        return f"{path.name}: {damage}", True
    if kind == "facts":
        return _facts(path, chance), False
    damages = ARRAY_DAMAGES if kind == "shapes" else VALUE_DAMAGES
    said = change_arrays(path, chance, damages)
    # Some arrays may have any number of rows.
    return said, kind == "shapes" and "row" not in said
