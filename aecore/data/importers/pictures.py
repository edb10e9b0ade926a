"""Images in files: a ZIP archive or a folder, whose sub-folders are labels and splits.

Members are read one at a time into memory, never unpacked to disk, after their number, sizes and
pixels are known to be within limits.
"""

from __future__ import annotations

import io
import os
import zipfile
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from aecore.data.importers.formats import (
    MAX_RATIO,
    NAMED,
    Content,
    Format,
    in_list,
    reading,
    register,
)
from aecore.errors import InvalidRequest, in_one_line, printable

if TYPE_CHECKING:
    import pandas
    from PIL import Image

    from aecore.data.preparation import PictureFit

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
PIL_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF")
METADATA = "metadata.csv"
SPLITS = {
    "train": "train", "training": "train", "test": "test", "testing": "test", "val": "test",
    "valid": "test", "validation": "test",
}  # fmt: skip
"""Folders that are splits; validation counts as test."""
MOST_MEMBERS = 500_000
MOST_PREVIEWED = 1_000
"""Images of a large archive or folder that are looked at before it is stored."""
MAX_MEMBER = 100 * 2**20
MAX_TOTAL = 16 * 2**30
"""Declared bytes of all members of an archive."""
MAX_PIXELS = 25_000_000


class Member(NamedTuple):
    """A file in an archive or folder."""

    name: str
    """Path in it, with slashes."""
    size: int
    read: Callable[[], bytes]


@dataclass(frozen=True, eq=False)
class FilePictures:
    """Images in the files of an archive or folder."""

    members: list[Member]
    sizes: np.ndarray
    colour: bool

    def image(self, row: int) -> Image.Image:
        return decode(self.members[row].read())


# --- One image ----------------------------------------------------------------------------------


def decode(content: bytes) -> Image.Image:
    """Decode an image file, upright: grey, colour, sixteen bits or with transparency.

    Raises `InvalidRequest` with the reason as the end of a sentence.
    """
    from PIL import Image, ImageOps

    try:
        opened = Image.open(io.BytesIO(content), formats=PIL_FORMATS)
    except Image.DecompressionBombError:
        raise InvalidRequest(f"it has more than {MAX_PIXELS:,} pixels") from None
    except Exception:
        raise InvalidRequest("it is no PNG, JPEG, WebP or TIFF file") from None
    if opened.width * opened.height > MAX_PIXELS:
        raise InvalidRequest(
            f"it has {opened.width:,} x {opened.height:,} pixels, more than {MAX_PIXELS:,}"
        )
    try:
        image = ImageOps.exif_transpose(opened)
        image.load()
    except Exception as error:  # whatever a decoder stumbles over
        raise InvalidRequest(f"it is damaged ({in_one_line(error)[:80]})") from None
    if image.mode.startswith("F"):
        raise InvalidRequest("its pixels are floating-point numbers: save it with 8 or 16 bits")
    return image


def is_coloured(image: Image.Image) -> bool:
    """Whether an image is stored in colour, be it grey to the eye."""
    return not image.mode.startswith(("1", "L", "I"))


def as_sample(image: Image.Image, fit: PictureFit) -> np.ndarray:
    """One sample of an image, flat, float32 in [0, 1]."""
    from PIL import Image, ImageOps

    ground = 255 if fit.background == "white" else 0
    if image.mode.startswith("I"):  # sixteen bits
        image = Image.fromarray((np.asarray(image, np.float32) / 65_535).clip(0, 1))
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(
            Image.new("RGBA", image.size, (ground, ground, ground, 255)), image
        ).convert("RGB")
    if image.mode == "F":
        top, ground = 1, min(ground, 1)
        if fit.colour:
            image = Image.fromarray(np.rint(np.asarray(image) * 255).astype(np.uint8))
    if image.mode != "F":
        image, top = image.convert("RGB" if fit.colour else "L"), 255
        ground = 255 if fit.background == "white" else 0
    if image.size != (fit.width, fit.height):
        how = Image.Resampling.LANCZOS
        if fit.pad:
            colour = (ground,) * 3 if fit.colour else ground
            image = ImageOps.pad(image, (fit.width, fit.height), how, colour)
        else:
            image = image.resize((fit.width, fit.height), how)
    pixels: np.ndarray = np.asarray(image, np.float32) / np.float32(top)
    return pixels.clip(0, 1).reshape(-1)


# --- Archives and folders -----------------------------------------------------------------------


class OfImages(Format):
    """Images that are members of a whole."""

    @classmethod
    def read(cls, path: Path) -> Content:
        return cls._members(path)

    @classmethod
    def beginning(cls, path: Path) -> Content:
        return cls._members(path, MOST_PREVIEWED)

    @classmethod
    @abstractmethod
    def _members(cls, path: Path, most: int | None = None) -> Content:
        """Read all images, or the first ones."""


@register
class Archive(OfImages):
    """A ZIP archive of images."""

    name = "ZIP archive of images"
    endings = (".zip",)
    signatures = (b"PK\x03\x04", b"PK\x05\x06")

    @classmethod
    def _members(cls, path: Path, most: int | None = None) -> Content:
        with reading(path, cls.name):
            archive = zipfile.ZipFile(path)  # which is closed when its last member goes
            infos = [each for each in archive.infolist() if not each.is_dir()]
            total = sum(each.file_size for each in infos)
            limit = min(MAX_TOTAL, max(MAX_RATIO * path.stat().st_size, MAX_MEMBER))
            problems = []
            if len(infos) > MOST_MEMBERS:
                problems.append(f"It holds {len(infos):,} files: give up to {MOST_MEMBERS:,}.")
            if total > limit:
                problems.append(
                    f"Its files would have {total:,} bytes when unpacked: give an archive of up to "
                    f"{limit:,}."
                )
            if problems:
                raise InvalidRequest(problems)
            members = [
                Member(
                    info.filename.replace("\\", "/"),
                    info.file_size,
                    partial(_unzipped, archive, info),
                )
                for info in infos
            ]
            return _images(printable(path.name), members, most)


def _unzipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Content of a member, of which not a byte more is unpacked than it declares."""
    try:
        with archive.open(info) as file:
            return file.read(info.file_size)
    except Exception as error:  # wrong checksums, passwords, unknown ways of packing
        raise InvalidRequest(f"it cannot be unpacked ({in_one_line(error)[:80]})") from None


@register
class Folder(OfImages):
    """A folder of images."""

    name = "folder of images"
    endings = ()

    @classmethod
    def _members(cls, path: Path, most: int | None = None) -> Content:
        members = []
        for folder, folders, files in os.walk(path):  # which follows no links
            folders.sort()
            for file in sorted(files):
                at = Path(folder, file)
                if at.is_symlink() or not at.is_file():
                    continue
                name = at.relative_to(path).as_posix()
                members.append(Member(name, at.stat().st_size, partial(_read, at)))
                if len(members) > MOST_MEMBERS:
                    raise InvalidRequest(
                        f"{printable(path.name)} holds more than {MOST_MEMBERS:,} files: give a "
                        "folder of fewer."
                    )
        return _images(printable(path.name), members, most)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidRequest(f"it cannot be read ({error.strerror})") from None


def _images(name: str, members: list[Member], most: int | None = None) -> Content:
    """Content of the images among members, with labels and splits by their folders.

    Arguments
        most: of more images so many are looked at, evenly spread; all if None.
    """
    import pandas

    members = [each for each in members if not _hidden(each.name)]
    images = [each for each in members if each.name.lower().endswith(ENDINGS)]
    others = [
        each for each in members
        if not each.name.lower().endswith((*ENDINGS, METADATA))
    ]  # fmt: skip
    if not images:
        raise InvalidRequest(
            f"{name} holds no images: give PNG, JPEG, WebP or TIFF files, in a folder for each "
            "class."
        )
    notes = _named(others, "is no image and left out", "are no images and left out")
    part = most is not None and len(images) > most
    if part:
        notes.append(
            f"Only {most:,} of {len(images):,} images were looked at: all are read when they are "
            "stored."
        )
        images = [images[at * len(images) // (most or 1)] for at in range(most or 0)]
    good, sizes, broken, colour = [], [], [], False
    for member in images:
        try:
            if member.size > MAX_MEMBER:
                raise InvalidRequest(f"it has more than {MAX_MEMBER:,} bytes")
            image = decode(member.read())
        except InvalidRequest as error:
            broken.append(f"{printable(member.name)} is left out: {error}.")
            continue
        good.append(member)
        sizes.append((image.height, image.width))
        colour = colour or is_coloured(image)
    if not good:
        raise InvalidRequest([f"No image of {name} can be read.", *in_list(broken, "images")])
    table = pandas.DataFrame(list(_places([each.name for each in good])))
    known, more = _metadata(members, good, table)
    table = known.dropna(axis=1, how="all")
    return Content(
        table,
        FilePictures(good, np.array(sizes), colour),
        label="folder" if "folder" in table and not more else "",
        split="split" if "split" in table else "",
        part=part,
        notes=(*notes, *broken, *more),
    )


def _hidden(name: str) -> bool:
    """Whether a file is one of the operating system, not of the user."""
    parts = PurePosixPath(name).parts
    return any(
        part.startswith((".", "__MACOSX")) and part not in (".", "..") for part in parts
    ) or parts[-1] in (
        "Thumbs.db", "desktop.ini",
    )  # fmt: skip


def _named(members: list[Member], one: str, several: str) -> list[str]:
    """A sentence that names members; none if there are none."""
    if not members:
        return []
    names = [printable(each.name) for each in members[:NAMED]]
    more = f" and {len(members) - NAMED:,} more" if len(members) > NAMED else ""
    return [f"{', '.join(names)}{more} {one if len(members) == 1 else several}."[:500]]


def _places(names: list[str]) -> Iterator[dict[str, Any]]:
    """Split and folder of each file, below the folder that all of them are in."""
    folders = [PurePosixPath(name).parts[:-1] for name in names]
    shared = 0
    while all(len(each) > shared + 1 for each in folders) and (
        len({each[shared] for each in folders}) == 1 and folders[0][shared].lower() not in SPLITS
    ):
        shared += 1
    for parts in folders:
        below = parts[shared:]
        split = SPLITS.get(below[0].lower()) if below else None
        inner = below[1:] if split else below
        yield {"split": split, "folder": "/".join(inner) or None}


def _metadata(
    members: list[Member], good: list[Member], table: pandas.DataFrame
) -> tuple[pandas.DataFrame, list[str]]:
    """The table with the columns of the files metadata.csv, and what was decided."""
    import pandas

    from aecore.data.importers.table import read_text

    files = [each for each in members if PurePosixPath(each.name).name == METADATA]
    if not files:
        return table, []
    problems: list[str] = []
    parts = []
    for file in files:
        try:
            part = read_text(METADATA, file.read()).table
        except InvalidRequest as error:
            problems += [f"{printable(file.name)}: {problem}" for problem in error.problems]
            continue
        if "file_name" not in part:
            problems.append(f"{printable(file.name)} has no column file_name: add it.")
            continue
        folder = PurePosixPath(file.name).parent
        part.index = pandas.Index([str(folder / str(name)) for name in part["file_name"]])
        parts.append(part.drop(columns=["file_name", "split", "folder"], errors="ignore"))
    if problems:
        raise InvalidRequest(problems)
    whole = pandas.concat(parts)
    if whole.index.has_duplicates:
        twice = whole.index[whole.index.duplicated()].unique()
        raise InvalidRequest(
            f"{METADATA} names {printable(str(twice[0]))} more than once"
            f"{f', and {len(twice) - 1:,} further files' if len(twice) > 1 else ''}: correct it."
        )
    names = [str(PurePosixPath(each.name)) for each in good]
    absent = whole.index.difference(names)
    notes = [f"The columns of {METADATA} were read: {', '.join(map(str, whole.columns))}."[:500]]
    if len(absent):
        notes.append(
            f"Rows of {METADATA} whose file is no readable image here are left out: "
            f"{len(absent):,}, such as that of {printable(str(absent[0]))}."
        )
    joined = whole.reindex(names).reset_index(drop=True)
    return pandas.concat([table, joined], axis=1), notes
