"""Datasets by name: a specification, and arrays on demand.

`get` and `names` are the catalogue: the built-in datasets, which are `DATASETS`, and those that a
person stored (`aecore.catalog`). Entries are cheap to list; the arrays are read when `train` or
`test` is first asked for, and are read-only. Every scaler is fitted on the training split alone.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from aecore import catalog, files
from aecore.errors import Damaged, Faults, unknown
from aecore.modalities import Modality
from aecore.progress import Progress
from aecore.spec import DataSpec


class Samples(NamedTuple):
    """One split of a dataset."""

    x: np.ndarray
    """Features, (n, n_features) float32."""
    labels: np.ndarray
    """Class numbers, (n,) int64; or a position along a curve, (n,) float32."""


Read = Callable[[str], Samples]
"""Turns "train" or "test" into that split."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A specification, and the arrays that it describes on demand."""

    spec: DataSpec
    read: Read = field(repr=False)
    digests: tuple[str, ...] = ()
    """Known SHA-256 of the decoded files; empty where the arrays themselves are hashed."""
    missing: str = ""
    """Why there are no arrays, in a sentence; empty where there are."""

    @classmethod
    def without_arrays(cls, spec: DataSpec, reason: str) -> Dataset:
        """The dataset of a specification alone; whoever asks for its arrays gets the reason."""

        def refuse(split: str) -> Samples:
            raise Faults(reason)

        return cls(spec, refuse, missing=reason)

    def derived(self, read: Read | None = None, **changes: Any) -> Dataset:
        """A dataset with other arrays, or with changes of the specification, or both."""
        facts = dict(self.spec) | {"fingerprint": None} | changes
        if read is None:
            return replace(self, spec=DataSpec(**facts))
        return Dataset(DataSpec(**facts), read)

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def title(self) -> str:
        return self.spec.title

    @property
    def modality(self) -> str:
        return self.spec.modality

    @property
    def traits(self) -> type[Modality]:
        """What is common to data of this modality."""
        return self.spec.traits

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample: (height, width) of an image, else (n_features,)."""
        return self.spec.shape

    @property
    def n_features(self) -> int:
        return self.spec.n_features

    @property
    def n_train(self) -> int:
        return self.spec.n_train

    @property
    def n_test(self) -> int:
        return self.spec.n_test

    @property
    def value_range(self) -> tuple[float, float] | None:
        """Smallest and largest possible value; None where the features are standardised."""
        return self.spec.value_range

    @property
    def in_unit_range(self) -> bool:
        """Whether all values lie in [0, 1]."""
        return self.spec.in_unit_range

    @property
    def n_classes(self) -> int:
        """Classes of the labels; 0 where they are not classes."""
        return self.spec.n_classes

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the classes; empty where the labels are positions on a curve."""
        return self.spec.label_names

    @property
    def feature_names(self) -> tuple[str, ...]:
        return self.spec.feature_names

    @cached_property
    def train(self) -> Samples:
        """The training split: features (n_train, n_features) float32, and labels."""
        return _read_only(self.read("train"))

    @cached_property
    def test(self) -> Samples:
        """The test split: features (n_test, n_features) float32, and labels."""
        return _read_only(self.read("test"))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 that changes when any value, label or the split changes."""
        if self.spec.fingerprint:
            return self.spec.fingerprint
        total = hashlib.sha256(f"{self.name} {self.shape} {self.n_train} {self.n_test}".encode())
        for digest in self.digests:
            total.update(digest.encode())
        if not self.digests:
            for array in (*self.train, *self.test):
                # Rounding hides the last bits, in which processors' sines and cosines differ.
                total.update((np.round(array, 4) + 0.0).astype(np.float32).tobytes())
        return total.hexdigest()

    def described(self) -> DataSpec:
        """The specification with the fingerprint, for which arrays may have to be read."""
        return self.spec.model_copy(update={"fingerprint": self.fingerprint})


class Subset(BaseModel):
    """Which samples of a dataset are shown on a map."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: Literal["test", "train", "all"] = Field(
        "test", description="Which samples to show: those held out, those trained on, or both."
    )
    limit: int = Field(
        10_000, ge=10, le=100_000, description="At most so many samples, each class in proportion."
    )
    seed: int = Field(
        0, ge=0, le=2**31 - 1, description="Fixes which samples are chosen where there are more."
    )

    @property
    def key(self) -> str:
        """A name for a folder."""
        return f"{self.split}-{self.limit}-seed{self.seed}"

    def whole_test(self, dataset: str | Dataset) -> bool:
        """Whether this is just the complete test split."""
        dataset = get(dataset) if isinstance(dataset, str) else dataset
        return self.split == "test" and self.limit >= dataset.n_test

    def count(self, dataset: Dataset) -> int:
        """How many samples these are."""
        first, end = self._span(dataset)
        return min(self.limit, end - first)

    def rows(self, dataset: Dataset) -> np.ndarray:
        """Sorted row numbers (n,) int64 into the test split followed by the training split.

        Row i >= n_test is training sample i - n_test. Where there are more than `limit`, each class
        keeps its share, rounded by the largest remainder; labels that are no classes are no strata.
        """
        first, end = self._span(dataset)
        if self.limit >= end - first:
            return np.arange(first, end)
        random = np.random.default_rng(self.seed)
        if not dataset.label_names:
            return first + np.sort(random.choice(end - first, self.limit, replace=False))
        splits = {"test": ("test",), "train": ("train",), "all": ("test", "train")}[self.split]
        labels = np.concatenate([getattr(dataset, split).labels for split in splits])
        counts = np.bincount(labels)
        shares = self.limit * counts / len(labels)
        quotas = shares.astype(np.int64)
        largest = np.argsort(quotas - shares, kind="stable")
        quotas[largest[: self.limit - quotas.sum()]] += 1
        members = (np.flatnonzero(labels == label) for label in range(len(counts)))
        chosen = [random.choice(m, q, replace=False) for m, q in zip(members, quotas, strict=True)]
        return first + np.sort(np.concatenate(chosen))

    def samples(self, dataset: Dataset) -> Samples:
        """The samples in the order of `rows`; whole splits are not copied."""
        rows, n = self.rows(dataset), dataset.n_test
        numbers = {"test": rows[rows < n], "train": rows[rows >= n] - n}
        parts = []
        for split, chosen in numbers.items():
            if len(chosen):
                whole = getattr(dataset, split)
                every = len(chosen) == len(whole.x)
                parts.append(whole if every else Samples(whole.x[chosen], whole.labels[chosen]))
        if len(parts) == 1:
            return _read_only(parts[0])
        return _read_only(Samples(*(np.concatenate(each) for each in zip(*parts, strict=True))))

    def _span(self, dataset: Dataset) -> tuple[int, int]:
        """The first row of the split, and the row after its last."""
        first = dataset.n_test if self.split == "train" else 0
        return first, dataset.n_test + (0 if self.split == "test" else dataset.n_train)


# --- The catalogue ------------------------------------------------------------------------------


TEST_SPLIT = Subset()


def names() -> list[str]:
    """The names of all datasets: the built-in ones, then the stored ones."""
    return [*DATASETS, *(name for name in catalog.names() if name not in DATASETS)]


def get(name: str) -> Dataset:
    """The dataset called `name`.

    Raises `Faults` with the nearest name where there is none, or where its card is damaged.
    """
    if name in DATASETS:
        return DATASETS[name]
    stored = catalog.entry(name) if isinstance(name, str) else None
    if stored is None:
        raise Faults(unknown("dataset", name, names()))
    return _stored(stored)


@lru_cache(maxsize=8)
def _stored(entry: catalog.Entry) -> Dataset:
    """A stored dataset; cached, since it holds the arrays that were read."""
    return Dataset(
        entry.card.spec, lambda split: Samples(*catalog.read(entry, split)), entry.card.digests
    )


def entries() -> tuple[list[Dataset], list[str]]:
    """All datasets that can be used, and what is wrong with the damaged ones, in sentences."""
    usable, damaged = [], []
    for name in names():
        try:
            usable.append(get(name))
        except Damaged as error:
            damaged += error.faults
    return usable, damaged


def add(spec: DataSpec, train: catalog.Split, test: catalog.Split) -> Dataset:
    """Store a dataset in the catalogue, for every process that uses this store.

    Arguments
        train, test: features (n, n_features), and labels (n,): class numbers, or numbers where
            `spec.label_names` is empty.

    Raises `Faults` with every reason why it cannot be stored, such as a name that is taken.
    """
    return _stored(catalog.add(spec, train, test, reserved=DATASETS))


ROUNDING = 1e-6
"""How far outside of [0, 1] a value is still taken for its bound: some steps of float32 at 1."""


def without_rounding(x: np.ndarray) -> np.ndarray:
    """Values that rounding carried out of [0, 1] put back onto its bounds; all others as they are.

    Scaling reaches 1.0000000000000002 where 1 is meant.

    >>> without_rounding(np.array([-1e-16, 0.5, 1 + 2.3e-16, 1.1]))
    array([0. , 0.5, 1. , 1.1])
    """
    bounded = x.clip(0, 1)
    return np.where(np.abs(x - bounded) <= ROUNDING, bounded, x)


def _read_only(samples: Samples) -> Samples:
    for array in samples:
        array.flags.writeable = False
    return samples


# --- MNIST and Fashion-MNIST: IDX files ---------------------------------------------------------

IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
IDX_FILES += ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
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
    """Where downloaded datasets are kept: the user's cache, as the operating system names it."""
    import pooch

    return Path(pooch.os_cache("latent-loupe"))


def places(name: str) -> list[Path]:
    """The folders in which the IDX files of `name` are looked for, in order."""
    own = files.from_environment("AECORE_DATA")
    return ([own / name] if own else []) + [cache_folder() / name, DEBIAN / name]


def locate(name: str, file: str) -> Path | None:
    """The first place that holds the IDX file `file` of dataset `name`, gzipped or not."""
    for folder in places(name):
        for path in (folder / file, folder / f"{file}.gz"):
            if path.is_file():
                return path
    return None


def here(dataset: str | Dataset) -> bool:
    """Whether a dataset can be read without a download."""
    if isinstance(dataset, Dataset) and dataset.missing:
        return False
    name = dataset if isinstance(dataset, str) else dataset.name
    return name not in DIGESTS or all(locate(name, file) for file in IDX_FILES)


def fetch(name: str, download: Progress | None = None) -> None:
    """See to it that the files of `name` are on this machine; download what is missing.

    Raises `Faults` that name the folder where the files may be put by hand.
    """
    if name not in DIGESTS:
        return
    for file in IDX_FILES:
        if locate(name, file) is None:
            _download(name, file, download)


def decode_idx(path: Path, file: str, digest: str) -> np.ndarray:
    """The unsigned bytes of an IDX file, (n, 784) for images or (n,) for labels.

    Raises `Faults` where the file is not exactly the published one. Reading stops one byte after
    the expected size, so that a crafted gzip file cannot fill the memory.
    """
    count = N_TRAIN if file.startswith("train") else N_TEST
    shape = (count, SIDE, SIDE) if "images" in file else (count,)
    header = struct.pack(f">{1 + len(shape)}I", 0x0800 + len(shape), *shape)
    expected = len(header) + math.prod(shape)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            content = stream.read(expected + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise Faults(f"{path} cannot be read ({error}): delete it or replace it.") from error
    if len(content) != expected or not content.startswith(header):
        raise Faults(f"{path} is not the published {file}: delete it or replace it.")
    if hashlib.sha256(content).hexdigest() != digest:
        raise Faults(f"{path} differs from the published {file}: delete it or replace it.")
    values = np.frombuffer(content, np.uint8, offset=len(header))
    return values.reshape(count, -1) if "images" in file else values


class _Progress:
    """What pooch asks of a progress bar, handed on to `Progress`."""

    def __init__(self, file: str, download: Progress) -> None:
        self.file, self.download, self.total, self.done = file, download, 0, 0

    def update(self, arrived: int) -> None:
        # pooch counts the last, shorter chunk as a whole one; some servers give no total.
        self.done = min(self.done + arrived, self.total or math.inf)
        self.download(self.file, self.done, max(self.total, self.done))

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        self.download(self.file, self.done, max(self.total, self.done))


def _download(name: str, file: str, download: Progress | None) -> None:
    """Bring one file from the first mirror that serves it whole; keep nothing else."""
    import pooch
    import requests

    folder = cache_folder() / name
    digest = DIGESTS[name][IDX_FILES.index(file)]
    failures = []
    for mirror in MIRRORS[name]:
        part = folder / f"{file}.{os.getpid()}.part.gz"
        bar = _Progress(f"{name} {file}", download) if download else False
        # A mirror that never answers must not keep anyone waiting for ever.
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
        except Faults:
            failures.append(f"{mirror} delivered a file that is not the published one")
        finally:
            part.unlink(missing_ok=True)
    raise Faults(
        f"The {name} file {file}.gz is not on this machine and could not be downloaded: "
        f"{'; '.join(failures)}. Put the four {name} files into {places(name)[0]} and try again, "
        "or choose the dataset 'digits', which needs no download."
    )


def _idx(name: str) -> Read:
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
        raise Faults(f"{file} of {name} was removed from {places(name)[0]} while it was in use.")
    return path


# --- Datasets that need no file -----------------------------------------------------------------


def _stratified(loader: str, test_size: float, scale: float | None) -> Read:
    """A labelled dataset of scikit-learn, split by class with seed 0.

    Divided by `scale`, or standardised on the training split where that is None.
    """

    def read(split: str) -> Samples:
        from sklearn import datasets
        from sklearn.model_selection import train_test_split

        x, labels = getattr(datasets, loader)(return_X_y=True)
        train, test, train_labels, test_labels = train_test_split(
            x, labels, test_size=test_size, stratify=labels, random_state=0
        )
        if scale is None:
            train, test = _standardise(train, test)
        else:
            train, test = train / scale, test / scale
        chosen = (train, train_labels) if split == "train" else (test, test_labels)
        return Samples(chosen[0].astype(np.float32), chosen[1].astype(np.int64))

    return read


def _standardise(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean, deviation = train.mean(0), train.std(0)
    deviation[deviation == 0] = 1  # a constant feature stays at zero
    return (train - mean) / deviation, (test - mean) / deviation


def _curve(points: Callable[[], tuple[np.ndarray, np.ndarray]], n_train: int) -> Read:
    """Points on a curve or surface, standardised on the first `n_train`, which train."""

    def read(split: str) -> Samples:
        x, position = points()
        train, test = _standardise(x[:n_train], x[n_train:])
        if split == "train":
            return Samples(train.astype(np.float32), position[:n_train].astype(np.float32))
        return Samples(test.astype(np.float32), position[n_train:].astype(np.float32))

    return read


def tilted_ring() -> tuple[np.ndarray, np.ndarray]:
    """200 points of a noisy, tilted three-quarter ring in three dimensions, and their angles.

    a ~ U[-0.5, 3 pi/2 - 0.5), x = cos a + sin a / 2 + 0.05 e, y = 0.7 sin a + 0.05 e,
    z = 0.1 x + 0.3 y + 0.1 e, with e ~ N(0, 1) drawn anew each time; seed 0.
    """
    random = np.random.default_rng(0)
    angle = random.uniform(-0.5, 1.5 * np.pi - 0.5, 200)
    noise = random.standard_normal((3, 200))
    x = np.cos(angle) + np.sin(angle) / 2 + 0.05 * noise[0]
    y = 0.7 * np.sin(angle) + 0.05 * noise[1]
    z = 0.1 * x + 0.3 * y + 0.1 * noise[2]
    return np.stack([x, y, z], axis=1), angle


def _swiss_roll() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import make_swiss_roll

    return make_swiss_roll(3000, noise=0.05, random_state=0)


def _s_curve() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import make_s_curve

    return make_s_curve(3000, noise=0.05, random_state=0)


# --- The registry -------------------------------------------------------------------------------

_DIGIT_NAMES = tuple("0123456789")
_XYZ = ("x", "y", "z")
_UCI = "UCI Machine Learning Repository, through scikit-learn"

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            DataSpec(
                name="digits",
                title="Handwritten digits, 8 x 8",
                modality="image",
                shape=(8, 8),
                n_train=1437,
                n_test=360,
                value_range=(0, 1),
                label_names=_DIGIT_NAMES,
                source="Alpaydin & Kaynak (1998), Optical Recognition of Handwritten Digits, "
                + _UCI,
                licence="CC BY 4.0",
            ),
            read=_stratified("load_digits", test_size=0.2, scale=16),
        ),
        Dataset(
            DataSpec(
                name="mnist",
                title="MNIST, handwritten digits, 28 x 28",
                modality="image",
                shape=(SIDE, SIDE),
                n_train=N_TRAIN,
                n_test=N_TEST,
                value_range=(0, 1),
                label_names=_DIGIT_NAMES,
                source="LeCun, Bottou, Bengio & Haffner (1998), Gradient-based learning applied to "
                "document recognition",
                licence="CC BY-SA 3.0",
            ),
            read=_idx("mnist"),
            digests=DIGESTS["mnist"],
        ),
        Dataset(
            DataSpec(
                name="fashion-mnist",
                title="Fashion-MNIST, clothes, 28 x 28",
                modality="image",
                shape=(SIDE, SIDE),
                n_train=N_TRAIN,
                n_test=N_TEST,
                value_range=(0, 1),
                label_names=(
                    "T-shirt",
                    "Trouser",
                    "Pullover",
                    "Dress",
                    "Coat",
                    "Sandal",
                    "Shirt",
                    "Sneaker",
                    "Bag",
                    "Ankle boot",
                ),
                source="Xiao, Rasul & Vollgraf (2017), Fashion-MNIST: a novel image dataset for "
                "benchmarking machine learning algorithms",
                licence="MIT",
            ),
            read=_idx("fashion-mnist"),
            digests=DIGESTS["fashion-mnist"],
        ),
        Dataset(
            DataSpec(
                name="tilted-ring",
                title="Tilted ring, 200 points in 3-D",
                modality="points",
                shape=(3,),
                n_train=100,
                n_test=100,
                value_range=None,
                label_names=(),
                source="Generated: a noisy three-quarter ring near a tilted plane, seed 0",
                licence="Apache-2.0",
                feature_names=_XYZ,
            ),
            read=_curve(tilted_ring, 100),
        ),
        Dataset(
            DataSpec(
                name="swiss-roll",
                title="Swiss roll, 3,000 points in 3-D",
                modality="points",
                shape=(3,),
                n_train=2000,
                n_test=1000,
                value_range=None,
                label_names=(),
                source="Generated by scikit-learn after Marsland (2009), noise 0.05, seed 0",
                licence="BSD-3-Clause",
                feature_names=_XYZ,
            ),
            read=_curve(_swiss_roll, 2000),
        ),
        Dataset(
            DataSpec(
                name="s-curve",
                title="S-curve, 3,000 points in 3-D",
                modality="points",
                shape=(3,),
                n_train=2000,
                n_test=1000,
                value_range=None,
                label_names=(),
                source="Generated by scikit-learn, noise 0.05, seed 0",
                licence="BSD-3-Clause",
                feature_names=_XYZ,
            ),
            read=_curve(_s_curve, 2000),
        ),
        Dataset(
            DataSpec(
                name="iris",
                title="Iris, 4 measurements of 150 flowers",
                modality="table",
                shape=(4,),
                n_train=100,
                n_test=50,
                value_range=None,
                label_names=("setosa", "versicolor", "virginica"),
                source="Fisher (1936), The use of multiple measurements in taxonomic problems, "
                + _UCI,
                licence="CC BY 4.0",
                feature_names=("sepal length", "sepal width", "petal length", "petal width"),
            ),
            read=_stratified("load_iris", test_size=1 / 3, scale=None),
        ),
        Dataset(
            DataSpec(
                name="wine",
                title="Wine, 13 measurements of 178 wines",
                modality="table",
                shape=(13,),
                n_train=118,
                n_test=60,
                value_range=None,
                label_names=("cultivar 1", "cultivar 2", "cultivar 3"),
                source="Forina and others (1991), PARVUS, " + _UCI,
                licence="CC BY 4.0",
                feature_names=(
                    "alcohol",
                    "malic acid",
                    "ash",
                    "alcalinity of ash",
                    "magnesium",
                    "total phenols",
                    "flavanoids",
                    "nonflavanoid phenols",
                    "proanthocyanins",
                    "colour intensity",
                    "hue",
                    "OD280/OD315",
                    "proline",
                ),
            ),
            read=_stratified("load_wine", test_size=1 / 3, scale=None),
        ),
        Dataset(
            DataSpec(
                name="breast-cancer",
                title="Breast cancer, 30 measurements of 569 tumours",
                modality="table",
                shape=(30,),
                n_train=379,
                n_test=190,
                value_range=None,
                label_names=("malignant", "benign"),
                source="Wolberg, Street & Mangasarian (1995), Wisconsin Diagnostic, " + _UCI,
                licence="CC BY 4.0",
                feature_names=tuple(
                    f"{statistic} {quantity}"
                    for statistic in ("mean", "error of", "worst")
                    for quantity in (
                        "radius",
                        "texture",
                        "perimeter",
                        "area",
                        "smoothness",
                        "compactness",
                        "concavity",
                        "concave points",
                        "symmetry",
                        "fractal dimension",
                    )
                ),
            ),
            read=_stratified("load_breast_cancer", test_size=1 / 3, scale=None),
        ),
    )
}
