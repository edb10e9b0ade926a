"""Preparation of a dataset: download, principal components and sprites of its images."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aecore import artifacts, data, locations
from aecore.data.idx import fetch_data
from aecore.progress import Reporter, Task
from aecore.projections.base import data_folder
from aecore.projections.pca import components

if TYPE_CHECKING:
    from aecore.data import Dataset


@dataclass(frozen=True)
class Prepare(Task):
    """Download a dataset, and compute its principal components and sheets of images."""

    dataset_name: str

    @property
    def title(self) -> str:
        return f"preparing {self.dataset_name}"

    def run(self, reporter: Reporter) -> None:
        """Do what has not been done yet."""
        dataset = data.get(self.dataset_name)
        locations.refuse_unwritable()
        fetch_data(dataset, reporter)
        reporter.progress(f"Principal components of {dataset.name}", 0, 1)
        components(dataset)
        for split, file in sheet_files(dataset.name, dataset.fingerprint).items():
            reporter.progress(f"Sheet of the images of {dataset.name}, {split}", 0, 1)
            size = sheet_size(dataset, split)
            if dataset.traits.pictures and artifacts.intact(stored_sheet, file, size) is None:
                pixels = (getattr(dataset, split).x * 255).round().astype(np.uint8)
                artifacts.write_bytes(
                    file, gzip.compress(pixels.tobytes(), compresslevel=5, mtime=0)
                )


def sheet_files(dataset_name: str, fingerprint: str) -> dict[str, Path]:
    """Where the images of each split are kept for a browser: gzipped bytes, image after image."""
    folder = data_folder(dataset_name, fingerprint)
    return {split: folder / f"sheet-{split}.gz" for split in ("test", "train")}


def sheet_size(dataset: Dataset, split: str) -> int:
    """Bytes of the images of "test" or "train", decompressed."""
    return {"test": dataset.n_test, "train": dataset.n_train}[split] * dataset.n_features


def stored_sheet(file: Path, size: int) -> Path | None:
    """The file of a sheet if it is there; raises `Damaged` where it is not of `size` bytes.

    Decompressed in portions, and no further than that size.
    """
    if not file.is_file():
        return None
    found = 0
    try:
        with gzip.open(file) as stream:
            while found <= size and (portion := stream.read(2**20)):
                found += len(portion)
    except (OSError, EOFError, zlib.error) as error:
        raise artifacts.damaged(file, f"{error}") from error
    if found != size:
        raise artifacts.damaged(file, f"it does not hold {size:,} bytes of images")
    return file
