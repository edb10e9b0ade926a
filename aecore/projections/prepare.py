"""Preparation of a dataset: download, principal components and sprites of its images."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aecore import artifacts, data, locations
from aecore.data.idx import fetch_data
from aecore.progress import Reporter, Task
from aecore.projections.base import data_folder, files_of
from aecore.projections.pca import components

if TYPE_CHECKING:
    from aecore.data import Dataset


MOST_BYTES = 2**28
"""Of the images of a split that are sent to the browser; of larger splits none are."""
PORTION = 10_000
"""Images that are packed at a time."""


@dataclass(frozen=True)
class Prepare(Task):
    """Download a dataset, and compute its principal components and image sprites."""

    dataset_name: str

    @property
    def title(self) -> str:
        return f"preparing {self.dataset_name}"

    @property
    def files(self) -> Sequence[str]:
        return files_of(self.dataset_name, "components.safetensors", "sheet-*.gz")

    def run(self, reporter: Reporter) -> None:
        """Compute whatever is missing."""
        dataset = data.get(self.dataset_name)
        locations.refuse_unwritable()
        fetch_data(dataset, reporter)
        reporter.progress(f"Principal components of {dataset.name}", 0, 1)
        components(dataset)
        sprites = sprite_files(dataset.name, dataset.fingerprint)
        for split in sprite_splits(dataset):
            what, size = f"Sheet of the images of {dataset.name}", sprite_size(dataset, split)
            reporter.progress(f"{what}, {split}", 0, 1)
            if artifacts.intact(stored_sprite, sprites[split], size) is None:
                x = getattr(dataset, split).x
                artifacts.write_bytes(sprites[split], _gzipped(x))


def sprite_splits(dataset: Dataset) -> list[str]:
    """Splits whose images are sent to the browser: of pictures, up to a size."""
    if not dataset.traits.pictures:
        return []
    return [split for split in ("test", "train") if sprite_size(dataset, split) <= MOST_BYTES]


def _gzipped(x: np.ndarray) -> bytes:
    """Bytes of images in [0, 1], gzipped portion by portion."""
    stream = io.BytesIO()
    with gzip.GzipFile("", "wb", 5, stream, mtime=0) as file:
        for start in range(0, len(x), PORTION):
            file.write((x[start : start + PORTION] * 255).round().astype(np.uint8).tobytes())
    return stream.getvalue()


def sprite_files(dataset_name: str, fingerprint: str) -> dict[str, Path]:
    """Paths of the image sprites of each split, for the browser: gzipped bytes, image by image."""
    folder = data_folder(dataset_name, fingerprint)
    return {split: folder / f"sheet-{split}.gz" for split in ("test", "train")}


def sprite_size(dataset: Dataset, split: str) -> int:
    """Decompressed size in bytes of the images of "test" or "train"."""
    return {"test": dataset.n_test, "train": dataset.n_train}[split] * dataset.n_features


def stored_sprite(file: Path, size: int) -> Path | None:
    """Path of an existing sprite file; raises `Damaged` if it does not hold `size` bytes.

    Decompressed in portions, and no further than that size.
    """
    file = locations.readable(file)
    if not file.is_file():
        return None
    n_bytes = 0
    try:
        with gzip.open(file) as stream:
            while n_bytes <= size and (portion := stream.read(2**20)):
                n_bytes += len(portion)
    except (OSError, EOFError, zlib.error) as error:
        raise artifacts.damaged(file, f"{error}") from error
    if n_bytes != size:
        raise artifacts.damaged(file, f"it does not hold {size:,} bytes of images")
    return file
