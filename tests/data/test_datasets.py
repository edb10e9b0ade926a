"""Datasets of the registry, IDX files, and their download over real HTTP."""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from aecore import data
from aecore.data import DATASETS, DIGESTS, IDX_FILES, Samples, Subset
from aecore.errors import Cancelled, InvalidRequest
from aecore.settings import list_settings

WITHOUT_FILES = [name for name in DATASETS if name not in DIGESTS]

# --- The contract of every dataset --------------------------------------------------------------


@pytest.mark.parametrize("name", WITHOUT_FILES)
def test_splits_have_the_promised_sizes_and_types(name: str) -> None:
    dataset = data.get(name)
    for samples, n in ((dataset.train, dataset.n_train), (dataset.test, dataset.n_test)):
        assert samples.x.shape == (n, dataset.n_features)
        assert samples.x.dtype == np.float32
        assert np.isfinite(samples.x).all()
        assert samples.labels.shape == (n,)


@pytest.mark.parametrize("name", WITHOUT_FILES)
def test_labels_are_classes_or_positions(name: str) -> None:
    dataset = data.get(name)
    for samples in (dataset.train, dataset.test):
        if dataset.label_names:
            assert samples.labels.dtype == np.int64
            assert set(samples.labels) == set(range(len(dataset.label_names)))
        else:
            assert samples.labels.dtype == np.float32
            assert len(set(samples.labels)) > len(samples.labels) / 2


@pytest.mark.parametrize("name", WITHOUT_FILES)
def test_arrays_cannot_be_written_to(name: str) -> None:
    dataset = data.get(name)
    for array in (*dataset.train, *dataset.test):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize("name", WITHOUT_FILES)
def test_values_fill_their_range_or_are_standardised_on_the_training_split(name: str) -> None:
    dataset = data.get(name)
    train, test = (samples.x.astype(np.float64) for samples in (dataset.train, dataset.test))
    if dataset.value_range is not None:
        assert (train.min(), train.max()) == dataset.value_range
        assert test.min() >= dataset.value_range[0]
        assert test.max() <= dataset.value_range[1]
    else:
        np.testing.assert_allclose(train.mean(0), 0, atol=1e-6)
        np.testing.assert_allclose(train.std(0), 1, atol=1e-6)
        # A scaler that had seen the test split would have centred that as well.
        assert np.abs(test.mean(0)).max() > 1e-3
        assert np.abs(test.std(0) - 1).max() > 1e-3


@pytest.mark.parametrize("name", WITHOUT_FILES)
def test_no_sample_is_in_both_splits(name: str) -> None:
    dataset = data.get(name)
    train = {row.tobytes() for row in dataset.train.x}
    shared = sum(row.tobytes() in train for row in dataset.test.x)
    # Iris holds one flower twice, and coarse measurements of others may agree.
    assert shared <= 1


@pytest.mark.parametrize("name", WITHOUT_FILES)
def test_columns_have_a_value_for_each_sample(name: str) -> None:
    dataset = data.get(name)
    assert dataset.columns("train").keys() == dataset.columns("test").keys()
    for split, n in (("train", dataset.n_train), ("test", dataset.n_test)):
        for column in dataset.columns(split).values():
            assert column.values.shape == (n,)
            assert column.values.dtype == (np.int64 if column.names else np.float32)
            if column.names:
                assert set(column.values) == set(range(len(column.names)))
            assert len(column.colors) in (0, len(column.names))


def test_shapes_lie_where_their_factors_say_in_the_colour_of_their_hue() -> None:
    shapes = data.get("shapes")
    factors = shapes.columns("test")
    pictures = shapes.test.x.reshape(-1, *shapes.shape)
    brightness = pictures.max(axis=3)
    total = brightness.sum((1, 2))
    # The middle of a square or an ellipse is its centre; that of a heart is not.
    even = shapes.test.labels < 2
    middle = np.arange(32) + 0.5
    for name, axis in (("x", 1), ("y", 2)):
        found = brightness.sum(axis) @ middle / total
        np.testing.assert_allclose(found[even], factors[name].values[even], atol=0.1)
    # The area grows with the square of the size: 2.56 of it for a square, 0.6 pi for an ellipse.
    for label, area in ((0, 1.6**2), (1, 0.6 * np.pi)):
        own = shapes.test.labels == label
        expected = area * factors["size"].values[own] ** 2
        np.testing.assert_allclose(total[own], expected, rtol=0.05)
    colors = np.array([list(bytes.fromhex(c[1:])) for c in factors["hue"].colors]) / 255
    brightest = pictures.max((1, 2))
    np.testing.assert_allclose(brightest, colors[factors["hue"].values], atol=1 / 255)


def test_no_two_shapes_have_all_factors_alike_and_values_have_eight_bits() -> None:
    shapes = data.get("shapes")
    rows = []
    for split in ("train", "test"):
        samples: Samples = getattr(shapes, split)
        columns = [column.values for column in shapes.columns(split).values()]
        rows.append(np.stack([samples.labels, *columns], axis=1))
        np.testing.assert_allclose(samples.x * 255, np.round(samples.x * 255), atol=1e-4)
    assert len(np.unique(np.concatenate(rows), axis=0)) == shapes.n_train + shapes.n_test


@pytest.mark.parametrize("name", DATASETS)
def test_what_is_known_without_reading_is_complete(name: str) -> None:
    dataset = DATASETS[name]
    assert dataset.name == name
    assert dataset.title and dataset.spec.source and dataset.spec.licence
    assert (dataset.modality == "image") == (len(dataset.shape) > 1)
    if dataset.modality != "image":
        assert len(dataset.feature_names) == dataset.n_features


def test_fingerprints_differ_between_datasets() -> None:
    fingerprints = {dataset.fingerprint for dataset in DATASETS.values()}
    assert len(fingerprints) == len(DATASETS)
    assert all(len(fingerprint) == 64 for fingerprint in fingerprints)


@pytest.mark.parametrize("name", WITHOUT_FILES)
def test_a_fingerprint_is_the_same_when_read_again(name: str) -> None:
    assert replace(DATASETS[name]).fingerprint == DATASETS[name].fingerprint


def test_a_fingerprint_changes_with_one_value_one_label_or_the_split() -> None:
    iris = DATASETS["iris"]

    def changed(where: str) -> str:
        def read(split: str) -> Samples:
            x, labels = (array.copy() for array in iris.read(split))
            if split == "test":
                (x if where == "value" else labels)[7] += 1
            return Samples(x, labels)

        return iris.derived(read).fingerprint

    other_split = iris.derived(n_train=99).fingerprint
    assert len({iris.fingerprint, changed("value"), changed("label"), other_split}) == 4


def test_the_fingerprint_of_digits_is_that_of_the_runs_that_were_stored_before() -> None:
    assert DATASETS["digits"].fingerprint.startswith("0420bafe697e")


def test_the_tilted_ring_follows_its_formula() -> None:
    random = np.random.default_rng(0)
    angles = [float(angle) for angle in random.uniform(-0.5, 1.5 * math.pi - 0.5, 200)]
    e1, e2, e3 = random.standard_normal((3, 200))
    points = []
    for i, a in enumerate(angles):
        x = math.cos(a) + math.sin(a) / 2 + 0.05 * e1[i]
        y = 0.7 * math.sin(a) + 0.05 * e2[i]
        points.append((x, y, 0.1 * x + 0.3 * y + 0.1 * e3[i]))
    train, test = np.array(points[:100]), np.array(points[100:])
    expected = (test - train.mean(0)) / train.std(0)
    ring = data.get("tilted-ring")
    np.testing.assert_allclose(ring.test.x, expected, atol=1e-6)
    np.testing.assert_allclose(ring.train.labels, angles[:100], atol=1e-6)
    np.testing.assert_allclose(ring.test.labels, angles[100:], atol=1e-6)


@pytest.mark.parametrize("name", ["swiss-roll", "s-curve"])
def test_surfaces_are_scikit_learns_with_the_position_of_each_point(name: str) -> None:
    from sklearn import datasets as published

    make = getattr(published, f"make_{name.replace('-', '_')}")
    x, position = make(3000, noise=0.05, random_state=0)
    mean, deviation = x[:2000].mean(0), x[:2000].std(0)
    for samples, rows in (
        (DATASETS[name].train, slice(2000)),
        (DATASETS[name].test, slice(2000, None)),
    ):
        np.testing.assert_allclose(samples.x, (x[rows] - mean) / deviation, atol=1e-5)
        np.testing.assert_allclose(samples.labels, position[rows], atol=1e-5)


@pytest.mark.parametrize("name", ["iris", "wine", "breast-cancer"])
def test_tables_are_standardised_as_scikit_learn_does_it(name: str) -> None:
    from sklearn import datasets as published
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

    loader = getattr(published, f"load_{name.replace('-', '_')}")
    x, labels = loader(return_X_y=True)
    train, test, train_labels, test_labels = train_test_split(
        x, labels, test_size=1 / 3, stratify=labels, random_state=0
    )
    scaler = StandardScaler().fit(train)
    np.testing.assert_allclose(DATASETS[name].train.x, scaler.transform(train), atol=1e-5)
    np.testing.assert_allclose(DATASETS[name].test.x, scaler.transform(test), atol=1e-5)
    np.testing.assert_array_equal(DATASETS[name].train.labels, train_labels)
    np.testing.assert_array_equal(DATASETS[name].test.labels, test_labels)


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(InvalidRequest, match="did you mean 'mnist'"):
        data.get("mnits")


# --- IDX files ----------------------------------------------------------------------------------


class Idx:
    """A small MNIST: contents of its files, and the folders searched for them."""

    def __init__(self, folder: Path, contents: dict[str, bytes]) -> None:
        self.own, self.cache, self.debian = folder / "own", folder / "cache", folder / "debian"
        self.contents = contents

    def write(self, folder: Path, packed: bool = False) -> None:
        """Put the four files into `folder`/mnist."""
        (folder / "mnist").mkdir(parents=True, exist_ok=True)
        for file, content in self.contents.items():
            if packed:
                (folder / "mnist" / f"{file}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / "mnist" / file).write_bytes(content)

    def cached(self) -> list[str]:
        """Names of all files in the cache."""
        return sorted(path.name for path in self.cache.rglob("*") if path.is_file())


@pytest.fixture
def idx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Idx:
    """Twenty training and ten test images under the name of MNIST, without mirrors."""
    random = np.random.default_rng(3)
    contents = {}
    for file in IDX_FILES:
        n = 20 if file.startswith("train") else 10
        if "images" in file:
            values = random.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        else:
            values = random.integers(0, 10, n, dtype=np.uint8)
        header = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
        contents[file] = header + values.tobytes()
    small = Idx(tmp_path, contents)
    digests = tuple(hashlib.sha256(content).hexdigest() for content in contents.values())
    monkeypatch.setattr("aecore.data.idx.N_TRAIN", 20)
    monkeypatch.setattr("aecore.data.idx.N_TEST", 10)
    monkeypatch.setattr("aecore.data.idx.DIGESTS", DIGESTS | {"mnist": digests})
    monkeypatch.setattr("aecore.data.idx.MIRRORS", data.MIRRORS | {"mnist": ()})
    monkeypatch.setattr("aecore.data.idx.cache_folder", lambda: small.cache)
    monkeypatch.setattr("aecore.data.idx.DEBIAN", small.debian)
    monkeypatch.delenv("AECORE_DATA", raising=False)
    return small


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_are_read_gzipped_or_not(idx: Idx, packed: bool) -> None:
    idx.write(idx.cache, packed)
    for split, prefix in (("train", "train"), ("test", "t10k")):
        x, labels = DATASETS["mnist"].read(split)
        pixels = np.frombuffer(idx.contents[f"{prefix}-images-idx3-ubyte"][16:], np.uint8)
        np.testing.assert_array_equal(np.round(x * 255).ravel(), pixels)
        assert x.dtype == np.float32 and x.max() <= 1
        expected = np.frombuffer(idx.contents[f"{prefix}-labels-idx1-ubyte"][8:], np.uint8)
        np.testing.assert_array_equal(labels, expected)
        assert labels.dtype == np.int64


def test_the_folder_that_was_named_goes_before_the_cache_and_that_before_debians(
    idx: Idx, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = IDX_FILES[0]
    assert data.locate("mnist", file) is None
    idx.write(idx.debian)
    assert data.locate("mnist", file) == idx.debian / "mnist" / file
    idx.write(idx.cache, packed=True)
    assert data.locate("mnist", file) == idx.cache / "mnist" / f"{file}.gz"
    idx.write(idx.own)
    monkeypatch.setenv("AECORE_DATA", str(idx.own))
    assert data.locate("mnist", file) == idx.own / "mnist" / file


def test_a_dataset_is_here_when_all_its_files_are(idx: Idx) -> None:
    assert data.is_available("iris")
    assert not data.is_available("mnist")
    idx.write(idx.cache)
    assert data.is_available("mnist")
    (idx.cache / "mnist" / IDX_FILES[3]).unlink()
    assert not data.is_available("mnist")


LABELS = IDX_FILES[3]
DAMAGES: dict[str, Callable[[bytes], tuple[str, bytes]]] = {
    "empty": lambda content: (LABELS, b""),
    "cut short": lambda content: (LABELS, content[:-1]),
    "one byte more": lambda content: (LABELS, content + b"\0"),
    "another header": lambda content: (LABELS, b"\0\0\x09" + content[3:]),
    "another label": lambda content: (LABELS, content[:-1] + bytes([content[-1] ^ 1])),
    "gzip, no gzip at all": lambda content: (f"{LABELS}.gz", content),
    "gzip, cut short": lambda content: (f"{LABELS}.gz", gzip.compress(content)[:-9]),
    "gzip, another checksum": lambda content: (
        f"{LABELS}.gz",
        gzip.compress(content)[:-8] + b"8" * 8,
    ),
    # Blocks of the reserved kind 3, which no decoder accepts.
    "gzip, no deflate inside": lambda content: (
        f"{LABELS}.gz",
        gzip.compress(b"")[:10] + b"\xff" * 20,
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_idx_file_is_named(idx: Idx, damage: str) -> None:
    idx.write(idx.cache)
    (idx.cache / "mnist" / LABELS).unlink()
    name, content = DAMAGES[damage](idx.contents[LABELS])
    path = idx.cache / "mnist" / name
    path.write_bytes(content)
    with pytest.raises(InvalidRequest) as error:
        DATASETS["mnist"].read("test")
    assert str(path) in str(error.value) and "delete it or replace it" in str(error.value)


def test_a_gzip_bomb_does_not_fill_the_memory(idx: Idx) -> None:
    idx.write(idx.cache)
    (idx.cache / "mnist" / LABELS).unlink()
    bomb = idx.cache / "mnist" / f"{LABELS}.gz"
    with gzip.open(bomb, "wb", compresslevel=1) as stream:
        for _ in range(64):
            stream.write(bytes(2**20))
    tracemalloc.start()
    with pytest.raises(InvalidRequest, match="is not the published"):
        data.decode_idx(bomb, LABELS, "")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


# --- Downloads, over real HTTP ------------------------------------------------------------------

Answer = Callable[[BaseHTTPRequestHandler, bytes | None], None]


def send(handler: BaseHTTPRequestHandler, content: bytes | None, missing: int = 0) -> None:
    """Send a file without its last `missing` bytes."""
    if content is None:
        handler.send_error(404)
        return
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content[: len(content) - missing])


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Start servers on the loopback address, return their addresses, stop them at the end."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    servers = []

    def start(files: dict[str, bytes], answer: Answer = send) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                answer(self, files.get(self.path.removeprefix("/")))

            def log_message(self, *args: object) -> None:
                """Log nothing."""

        asked: list[str] = []
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.asked = asked
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    start.servers = servers
    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def packed(idx: Idx) -> dict[str, bytes]:
    return {f"{file}.gz": gzip.compress(content) for file, content in idx.contents.items()}


def mirrors(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    monkeypatch.setattr("aecore.data.idx.MIRRORS", {"mnist": addresses})


def test_missing_files_are_downloaded_once(
    idx: Idx, serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mirrors(monkeypatch, serve(packed(idx)))
    data.fetch("mnist")
    assert idx.cached() == sorted(f"{file}.gz" for file in IDX_FILES)
    data.fetch("mnist")
    DATASETS["mnist"].read("train")
    assert sorted(serve.servers[0].asked) == sorted(f"/{file}.gz" for file in IDX_FILES)


def test_only_what_is_missing_is_downloaded(
    idx: Idx, serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    idx.write(idx.debian)
    (idx.debian / "mnist" / LABELS).unlink()
    mirrors(monkeypatch, serve(packed(idx)))
    DATASETS["mnist"].read("test")
    assert serve.servers[0].asked == [f"/{LABELS}.gz"]


def test_a_download_says_how_far_it_is(
    idx: Idx, serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = packed(idx)
    mirrors(monkeypatch, serve(files))
    heard: list[tuple[str, int, int]] = []
    data.fetch("mnist", lambda *news: heard.append(news))
    for file in IDX_FILES:
        size = len(files[f"{file}.gz"])
        news = [(done, total) for name, done, total in heard if name == f"mnist {file}"]
        assert news[-1] == (size, size)
        assert all(0 < done <= total == size for done, total in news)
        assert news == sorted(news)


def test_progress_begins_anew_with_the_second_mirror(
    idx: Idx, serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = packed(idx)
    mirrors(monkeypatch, serve(files, FAILURES["broken off"]), serve(files))
    heard: list[tuple[str, int, int]] = []
    data.fetch("mnist", lambda *news: heard.append(news))
    first = next(news for news in heard if "train-images" in news[0])
    assert first[1] < first[2] / 2
    assert heard.count(first) == 2


def wrong(handler: BaseHTTPRequestHandler, content: bytes | None) -> None:
    other = gzip.decompress(content or b"")
    send(handler, gzip.compress(other[:-1] + bytes([other[-1] ^ 1])))


def damaged(handler: BaseHTTPRequestHandler, content: bytes | None) -> None:
    send(handler, gzip.compress(b"")[:10] + b"\xff" * 20)


FAILURES: dict[str, Answer] = {
    "not there": lambda handler, content: send(handler, None),
    "an error of the server": lambda handler, content: handler.send_error(500),
    "broken off": lambda handler, content: send(handler, content, missing=5),
    "hung up": lambda handler, content: handler.connection.close(),
    "another file": wrong,
    "a damaged gzip file": damaged,
    "a page instead": lambda handler, content: send(handler, b"<html>Welcome</html>"),
}


def check_refusal(idx: Idx) -> None:
    with pytest.raises(InvalidRequest) as error:
        data.fetch("mnist")
    assert len(error.value.problems) == 1
    assert str(idx.cache / "mnist") in str(error.value)
    assert "'digits'" in str(error.value)
    assert idx.cached() == []


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_download_says_what_to_do_and_leaves_nothing(
    idx: Idx, serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    mirrors(monkeypatch, serve(packed(idx), FAILURES[failure]))
    check_refusal(idx)


@pytest.mark.parametrize("failure", FAILURES)
def test_the_second_mirror_stands_in_for_the_first(
    idx: Idx, serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    files = packed(idx)
    mirrors(monkeypatch, serve(files, FAILURES[failure]), serve(files))
    data.fetch("mnist")
    assert idx.cached() == sorted(files)


def test_where_no_server_answers_the_fault_says_what_to_do(
    idx: Idx, serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    address = serve({})
    server = serve.servers.pop()
    server.shutdown()
    server.server_close()
    mirrors(monkeypatch, address)
    check_refusal(idx)


def test_the_folder_that_was_named_is_the_one_to_put_files_into(
    idx: Idx, serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AECORE_DATA", str(idx.own))
    mirrors(monkeypatch, serve({}))
    with pytest.raises(InvalidRequest) as error:
        data.fetch("mnist")
    assert str(idx.own / "mnist") in str(error.value)


def test_a_cancelled_download_leaves_nothing(
    idx: Idx, serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancel(file: str, done: int, total: int) -> None:
        raise Cancelled

    mirrors(monkeypatch, serve(packed(idx)))
    with pytest.raises(Cancelled):
        data.fetch("mnist", cancel)
    assert idx.cached() == []


# --- Real MNIST ---------------------------------------------------------------------------------


def test_mnist_is_the_published_one(mnist: data.Dataset) -> None:
    assert mnist.train.x.shape == (60_000, 784)
    assert mnist.test.x.shape == (10_000, 784)
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(mnist.train.labels).tolist() == counts
    assert mnist.train.x.mean() == pytest.approx(0.1307, abs=1e-4)
    assert mnist.train.x.std(dtype=np.float64) == pytest.approx(0.3081, abs=1e-4)
    assert not mnist.train.x.flags.writeable


def test_mnist_arrives_over_http(
    mnist: data.Dataset,
    serve: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    files = {}
    for file in IDX_FILES:
        path = data.locate("mnist", file)
        content = path.read_bytes()
        files[f"{file}.gz"] = content if path.suffix == ".gz" else gzip.compress(content, 1)
    monkeypatch.delenv("AECORE_DATA", raising=False)
    monkeypatch.setattr("aecore.data.idx.cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr("aecore.data.idx.DEBIAN", tmp_path / "debian")
    mirrors(monkeypatch, serve(files))
    assert not data.is_available("mnist")
    x, labels = mnist.read("test")
    assert x.shape == (10_000, 784) and labels.shape == (10_000,)
    assert data.is_available("mnist")


# --- Subsets ------------------------------------------------------------------------------------


def both(name: str) -> Samples:
    """Test split followed by the training split."""
    dataset = data.get(name)
    return Samples(*map(np.concatenate, zip(dataset.test, dataset.train, strict=True)))


@pytest.mark.parametrize("name", ["iris", "digits", "tilted-ring"])
@pytest.mark.parametrize("split", ["test", "train", "all"])
@pytest.mark.parametrize("limit", [10, 37, 10_000])
def test_a_subset_is_rows_of_test_and_train(name: str, split: str, limit: int) -> None:
    dataset, subset = data.get(name), Subset(split=split, limit=limit)
    rows, samples = subset.rows(dataset), subset.samples(dataset)
    first = dataset.n_test if split == "train" else 0
    end = dataset.n_test if split == "test" else dataset.n_test + dataset.n_train
    assert rows.dtype == np.int64 and len(rows) == min(limit, end - first) == subset.count(dataset)
    assert (np.diff(rows) > 0).all() and rows[0] >= first and rows[-1] < end
    np.testing.assert_array_equal(samples.x, both(name).x[rows])
    np.testing.assert_array_equal(samples.labels, both(name).labels[rows])
    assert not samples.x.flags.writeable


@pytest.mark.parametrize("limit", [10, 101, 359, 1_000])
def test_each_class_keeps_its_share(limit: int) -> None:
    digits = data.get("digits")
    labels = Subset(split="all", limit=limit).samples(digits).labels
    shares = np.bincount(both("digits").labels) * limit / 1797
    assert (np.abs(np.bincount(labels, minlength=10) - shares) < 1).all()


def test_a_subset_repeats_and_its_seed_gives_another() -> None:
    for name in ("digits", "swiss-roll"):
        dataset = data.get(name)
        first, same, other = (Subset(limit=50, seed=seed).rows(dataset) for seed in (0, 0, 1))
        np.testing.assert_array_equal(first, same)
        assert not np.array_equal(first, other)


def test_whole_splits_are_not_copied() -> None:
    iris = data.get("iris")
    assert Subset().samples(iris).x is iris.test.x
    assert Subset(split="train").samples(iris).x is iris.train.x


def test_the_whole_test_split_is_known_without_its_arrays() -> None:
    def read(split: str) -> Samples:
        raise AssertionError("read")

    iris = data.get("iris").derived(read)
    assert Subset(limit=50).whole_test(iris) and Subset(limit=50).whole_test("iris")
    assert not Subset(limit=49).whole_test(iris)
    assert not Subset(split="all").whole_test(iris)
    assert not Subset(split="train").whole_test("mnist")
    assert Subset().whole_test("mnist")
    np.testing.assert_array_equal(Subset(split="all").rows(iris), np.arange(150))


def test_every_choice_has_a_key_of_its_own_and_a_form_can_be_made_of_it() -> None:
    choices = [Subset(), Subset(split="all"), Subset(limit=11), Subset(seed=1)]
    assert len({choice.key for choice in choices}) == 4
    assert [(s.name, s.kind) for s in list_settings(Subset)] == [
        ("split", "choice"),
        ("limit", "whole number"),
        ("seed", "whole number"),
    ]
    assert all(setting.description and setting.allowed for setting in list_settings(Subset))
