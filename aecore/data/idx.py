"""MNIST and Fashion-MNIST: IDX files, located or downloaded, checked against their digests."""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np

from aecore import files
from aecore.data.dataset import Dataset, Samples, SplitReader
from aecore.errors import InvalidRequest
from aecore.progress import Progress, Reporter

IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
N_TRAIN, N_TEST, SIDE = 60_000, 10_000, 28

DIGESTS = {
    "mnist": (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    "fashion-mnist": (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
}
MIRRORS = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    "fashion-mnist": (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
}
DEBIAN = Path("/usr/share/datasets")


def cache_folder() -> Path:
    """Folder of downloaded datasets: the operating system's cache folder of the user."""
    import pooch

    return Path(pooch.os_cache("latent-loupe"))


def places(name: str) -> list[Path]:
    """Folders searched for the IDX files of `name`, in order."""
    own = files.from_environment("AECORE_DATA")
    return ([own / name] if own else []) + [cache_folder() / name, DEBIAN / name]


def locate(name: str, file: str) -> Path | None:
    """Find the IDX file `file` of dataset `name`, gzipped or not, in the first of its folders."""
    for folder in places(name):
        for path in (folder / file, folder / f"{file}.gz"):
            if path.is_file():
                return path
    return None


def is_available(dataset: str | Dataset) -> bool:
    """Whether a dataset can be read without a download."""
    if isinstance(dataset, Dataset) and dataset.missing:
        return False
    name = dataset if isinstance(dataset, str) else dataset.name
    return name not in DIGESTS or all(locate(name, file) for file in IDX_FILES)


def fetch(name: str, download: Progress | None = None) -> None:
    """Ensure that the files of `name` are on this machine; download the missing ones.

    Raises `InvalidRequest` that name the folder where the files may be put by hand.
    """
    if name not in DIGESTS:
        return
    for file in IDX_FILES:
        if locate(name, file) is None:
            _download(name, file, download)


def decode_idx(path: Path, file: str, digest: str) -> np.ndarray:
    """Decode an IDX file: unsigned bytes, (n, 784) for images or (n,) for labels.

    Raises `InvalidRequest` where the file is not exactly the published one. Reading stops one byte
    after the expected size, so that a crafted gzip file cannot fill the memory.
    """
    count = N_TRAIN if file.startswith("train") else N_TEST
    shape = (count, SIDE, SIDE) if "images" in file else (count,)
    header = struct.pack(f">{1 + len(shape)}I", 0x0800 + len(shape), *shape)
    expected = len(header) + math.prod(shape)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            content = stream.read(expected + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidRequest(
            f"{path} cannot be read ({error}): delete it or replace it."
        ) from error
    if len(content) != expected or not content.startswith(header):
        raise InvalidRequest(f"{path} is not the published {file}: delete it or replace it.")
    if hashlib.sha256(content).hexdigest() != digest:
        raise InvalidRequest(f"{path} differs from the published {file}: delete it or replace it.")
    values = np.frombuffer(content, np.uint8, offset=len(header))
    return values.reshape(count, -1) if "images" in file else values


class _Progress:
    """Adapter from pooch's progress bar to `Progress`."""

    def __init__(self, file: str, download: Progress) -> None:
        self.file, self.download, self.total, self.done = file, download, 0, 0

    def update(self, arrived: int) -> None:
        # pooch counts the last, shorter chunk as a whole one; some servers give no total.
        done = self.done + arrived
        self.done = min(done, self.total) if self.total else done
        self.download(self.file, self.done, max(self.total, self.done))

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        self.download(self.file, self.done, max(self.total, self.done))


def _download(name: str, file: str, download: Progress | None) -> None:
    """Download one file from the first mirror that serves it completely."""
    import pooch
    import requests

    folder = cache_folder() / name
    digest = DIGESTS[name][IDX_FILES.index(file)]
    failures = []
    for mirror in MIRRORS[name]:
        part = folder / f"{file}.{os.getpid()}.part.gz"
        bar = _Progress(f"{name} {file}", download) if download else False
        # A mirror that never answers must not block for ever.
        fetcher = pooch.HTTPDownloader(progressbar=bar, timeout=20)
        try:
            pooch.retrieve(
                f"{mirror}{file}.gz", None, fname=part.name, path=folder, downloader=fetcher
            )
            decode_idx(part, file, digest)
            part.replace(folder / f"{file}.gz")
            return
        except (requests.RequestException, OSError) as error:
            failures.append(f"{mirror} did not deliver it ({type(error).__name__})")
        except InvalidRequest:
            failures.append(f"{mirror} delivered a file that is not the published one")
        finally:
            part.unlink(missing_ok=True)
    raise InvalidRequest(
        f"The {name} file {file}.gz is not on this machine and could not be downloaded: "
        f"{'; '.join(failures)}. Put the four {name} files into {places(name)[0]} and try again, "
        "or choose the dataset 'digits', which needs no download."
    )


def read_idx(name: str) -> SplitReader:
    def read(split: str) -> Samples:
        fetch(name)
        first = 0 if split == "train" else 2
        images, labels = (
            decode_idx(_found(name, file), file, digest)
            for file, digest in list(zip(IDX_FILES, DIGESTS[name], strict=True))[first : first + 2]
        )
        return Samples(images.astype(np.float32) / np.float32(255), labels.astype(np.int64))

    return read


def _found(name: str, file: str) -> Path:
    path = locate(name, file)
    if path is None:
        raise InvalidRequest(
            f"{file} of {name} was removed from {places(name)[0]} while it was in use."
        )
    return path


def fetch_data(dataset: Dataset, reporter: Reporter) -> None:
    fetch(
        dataset.name,
        lambda file, done, total: reporter.progress(f"Downloading {file}", done, total),
    )
