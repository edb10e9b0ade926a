"""Files of one's own: what is read, understood, decided, refused, prepared and stored."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from conftest import Listener
from PIL import Image
from typer.testing import CliRunner

from aecore import data, locations
from aecore.cli import app
from aecore.data import importers, stored
from aecore.data.importers import Choices, Report
from aecore.data.importers.formats import FORMATS
from aecore.data.importers.pictures import as_sample
from aecore.data.preparation import PictureFit, Preparation
from aecore.errors import Cancelled, InvalidRequest

ROOT = Path(__file__).parents[2]
N = 40


def frame(n: int = N) -> pandas.DataFrame:
    random = np.random.default_rng(0)
    return pandas.DataFrame(
        {
            "length": random.normal(5, 2, n).round(3),
            "width": random.random(n).round(3),
            "colour": np.array(["red", "green", "blue"])[np.arange(n) % 3],
            "species": np.array(["setosa", "virginica"])[np.arange(n) % 2],
        }
    )


def text(n: int = N, **options: Any) -> str:
    return str(frame(n).to_csv(index=False, **options))


def png(pixels: Any, kind: str = "PNG", **options: Any) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def noise(*shape: int, seed: int = 0, dtype: str = "uint8") -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape).astype(dtype)


def archive(members: dict[str, bytes | str]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return stream.getvalue()


def images(**more: bytes) -> dict[str, bytes | str]:
    """Ten images of 6 x 5 pixels in two classes."""
    members: dict[str, bytes | str] = {
        f"things/{kind}/{at}.png": png(noise(6, 5, seed=at)) for kind in "ab" for at in range(5)
    }
    return members | {f"things/a/{name.replace('_', '.')}": more[name] for name in more}


def idx(array: np.ndarray) -> bytes:
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def saved(save: Callable[..., Any], *arguments: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    save(stream, *arguments, **options)
    return stream.getvalue()


def annotated(sparse: str = "", change: Callable[[Any], None] = lambda file: None) -> bytes:
    """An AnnData file, its X as an array, or as "csr" or "csc"."""
    import h5py
    from scipy import sparse as matrices

    x = np.random.default_rng(0).poisson(1, (N, 5)).astype(np.float32)
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        if sparse:
            matrix = getattr(matrices, f"{sparse}_matrix")(x)
            group = file.create_group("X")
            group.attrs.update({"encoding-type": f"{sparse}_matrix", "shape": x.shape})
            for part in ("data", "indices", "indptr"):
                group[part] = getattr(matrix, part)
        else:
            file["X"] = x
        file["var/_index"] = [f"gene {at}" for at in range(5)]
        file["obs/_index"] = [f"cell {at}" for at in range(N)]
        file["obs/kind/categories"], file["obs/kind/codes"] = ["B", "T"], np.arange(N) % 2
        file["obs/batch/categories"] = ["first", "second"]
        file["obs/batch/codes"] = np.where(np.arange(N) == 3, -1, np.arange(N) // 3 % 2)
        file["obs/depth"] = np.arange(N) * 1.5
        change(file)
    return stream.getvalue()


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, bytes | str], Path]:
    def write(name: str, content: bytes | str) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


Put = Callable[[str, "bytes | str"], Path]


def look(path: Path, **choices: Any) -> Report:
    return importers.understand(path, importers.check(choices))


def refusal(path: Path, **choices: Any) -> list[str]:
    """Problems for which a file is not stored."""
    with pytest.raises(InvalidRequest) as error:
        importers.add_file(path, "own", **choices)
    assert stored.names() == []
    assert all(problem.isprintable() and problem.endswith(".") for problem in error.value.problems)
    return error.value.problems


# --- Formats ------------------------------------------------------------------------------------

WHOLE: dict[str, tuple[str, Callable[[], bytes]]] = {
    "CSV file": ("own.csv", lambda: text().encode()),
    "TSV file": ("own.tsv", lambda: text(sep="\t").encode()),
    "Parquet file": ("own.parquet", lambda: saved(lambda file: frame().to_parquet(file))),
    "Feather file": ("own.feather", lambda: saved(lambda file: frame().to_feather(file))),
    "NPY file": ("own.npy", lambda: saved(np.save, np.random.default_rng(0).random((N, 3)))),
    "NPZ file": (
        "own.npz",
        lambda: saved(
            np.savez_compressed, x=np.random.default_rng(0).random((N, 3)), y=np.arange(N) % 2
        ),
    ),
    "AnnData file": ("own.h5ad", lambda: annotated()),
    "IDX file": ("own-idx3-ubyte", lambda: idx(noise(N, 6, 5))),
    "ZIP archive of images": ("own.zip", lambda: archive(images())),
}


def test_every_format_is_tested() -> None:
    assert WHOLE.keys() | {"folder of images"} == FORMATS.keys()


@pytest.mark.parametrize("name", WHOLE)
def test_a_file_of_each_format_becomes_a_dataset(put: Put, name: str) -> None:
    file, content = WHOLE[name]
    path = put(file, content())
    report = look(path)
    dataset = importers.add_file(path, "own")
    assert report.format == name and report.problems == ()
    assert json.loads(report.model_dump_json())["n_train"] == dataset.n_train
    assert (report.n_train, report.n_test) == (len(dataset.train.x), len(dataset.test.x))
    assert (report.shape, report.modality) == (dataset.shape, dataset.modality)
    assert tuple(report.classes) == dataset.label_names
    assert data.get("own") is dataset


def is_read(path: Path) -> bool:
    """Whether a file is understood; false where it is refused."""
    try:
        look(path)
    except InvalidRequest:
        return False
    return True


@pytest.mark.parametrize("name", WHOLE)
def test_a_truncated_file_is_refused_or_stored_but_no_other_error(put: Put, name: str) -> None:
    file, content = WHOLE[name]
    whole = content()
    ends = np.linspace(1, len(whole) - 1, 60).astype(int)
    assert not all(is_read(put(file, whole[:end])) for end in ends)


@pytest.mark.parametrize("name", WHOLE)
def test_a_file_with_changed_bytes_is_refused_or_stored_but_no_other_error(
    put: Put, name: str
) -> None:
    file, content = WHOLE[name]
    whole = content()
    random = np.random.default_rng(0)
    for _ in range(40):
        changed = bytearray(whole)
        for at in random.integers(0, min(len(whole), 400), 3):
            changed[-at if at % 2 else at] = random.integers(256)
        is_read(put(file, bytes(changed)))


def test_a_folder_is_read_as_an_archive_is(tmp_path: Path, put: Put) -> None:
    for name, content in images().items():
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "folder" / "link.png").symlink_to(path)
    own = importers.add_file(tmp_path / "folder", "folder")
    zipped = importers.add_file(put("own.zip", archive(images())), "zipped")
    np.testing.assert_array_equal(own.train.x, zipped.train.x)
    assert own.label_names == zipped.label_names == ("a", "b")


def test_arrays_by_name_bring_their_split_and_labels(put: Put) -> None:
    x = noise(10, 4, 4, 3)
    arrays = {
        "x_train": x,
        "y_train": np.arange(10) % 2,
        "x_test": x[:4],
        "y_test": np.arange(4) % 2,
    }
    path = put("own.npz", saved(np.savez, **arrays))
    dataset = importers.add_file(path, "own", colour="colour")
    assert (dataset.n_train, dataset.n_test, dataset.shape) == (10, 4, (4, 4, 3))
    np.testing.assert_allclose(dataset.train.x, x.reshape(10, -1) / 255, atol=1e-7)
    np.testing.assert_array_equal(dataset.train.labels, np.arange(10) % 2)


def test_idx_files_beside_each_other_are_one_dataset(put: Put) -> None:
    put("t10k-images-idx3-ubyte", idx(noise(6, 5, 5, seed=1)))
    put("t10k-labels-idx1-ubyte.gz", gzip.compress(idx(np.arange(6, dtype=np.uint8) % 2)))
    put("train-labels-idx1-ubyte", idx(np.arange(8, dtype=np.uint8) % 2))
    path = put("train-images-idx3-ubyte.gz", gzip.compress(idx(noise(8, 5, 5))))
    dataset = importers.add_file(path, "own")
    assert (dataset.n_train, dataset.n_test, dataset.label_names) == (8, 6, ("0", "1"))
    np.testing.assert_allclose(
        dataset.test.x, noise(6, 5, 5, seed=1).reshape(6, -1) / 255, atol=1e-7
    )


# --- Text and numbers ---------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encodings_and_delimiters_are_recognised(put: Put, encoding: str, delimiter: str) -> None:
    content = text(sep=delimiter).replace("setosa", "sétosa").encode(encoding)
    report = look(put("own.csv", content))
    assert list(report.classes) == ["sétosa", "virginica"] and report.n_samples == N
    assert any("Latin-1" in note for note in report.notes) == (encoding == "latin-1")


@pytest.mark.parametrize(
    ("numbers", "values", "doubtful"),
    [
        (["1,234", "5,678.5", "7"], [1234, 5678.5, 7], True),
        (["1.234,5", "2,25", "7"], [1234.5, 2.25, 7], True),
        (["0,5", "1,5", "12,75"], [0.5, 1.5, 12.75], True),
        (["0.5", "1e3", "-2"], [0.5, 1000, -2], False),
    ],
)
def test_numbers_with_commas_are_read_and_said(
    put: Put, numbers: list[str], values: list[float], doubtful: bool
) -> None:
    lines = "".join(f"{number};{at % 2}\n" for at, number in enumerate(numbers * 4))
    path = put("own.csv", f"size;label\n{lines}")
    dataset = importers.add_file(path, "own", scale="none", test_share=0.5)
    assert set(np.concatenate([dataset.train.x, dataset.test.x]).ravel()) == set(np.float32(values))
    assert any(doubt.setting == "decimal" for doubt in look(path).doubts) == doubtful


def test_what_is_ambiguous_follows_the_choice(put: Put) -> None:
    path = put("own.csv", 'size,label\n"1,234",a\n"2,500",b\n"3,750",a\n"4,100",b\n')
    assert [look(path, decimal=sign).columns[0].low for sign in ("point", "comma")] == [1234, 1.234]


def test_lines_are_named_also_where_a_field_has_several(put: Put) -> None:
    path = put("own.csv", 'text,size\n"two\nlines",1\na,2\nb,inf\nc,4\nd,5\n')
    assert "in line 5 ('inf')" in refusal(path)[0]


BAD: dict[str, tuple[str, bytes | str, list[str]]] = {
    "empty": ("a.csv", "", ["a.csv is empty"]),
    "blank": ("a.csv", "\n \n", ["a.csv has no text"]),
    "header alone": ("a.csv", "a,b\n", ["has a header and no rows"]),
    "other content": (
        "a.csv",
        WHOLE["Parquet file"][1](),
        ["no CSV file but begins like: Parquet file."],
    ),
    "a spreadsheet": ("a.csv", archive({"xl/sheet.xml": "a"}), ["like: NPZ file or ZIP archive"]),
    "other ending": ("a.parquet", text(), ["a.parquet is no Parquet file"]),
    "unknown ending": ("a.xyz", text(), ["unknown ending: give a file with one of .csv"]),
    "binary": ("a.csv", b"\x89PNG\r\n\x1a\n" + bytes(99), ["a.csv is no text"]),
    "odd UTF-16": ("a.csv", text().encode("utf-16")[:-1], ["is no text, or damaged at byte"]),
    "ragged and named twice": (
        "a.csv",
        "a,a,b\n1,2,3\n1,2\n\n1,2,3,4\n",
        ["Line 3 has 2 fields", "Line 5 has 4 fields", "name 'a' is given 2 times"],
    ),
    "many ragged lines": (
        "a.csv",
        "a,b\n1,2\n" + "1\n" * 30,
        [f"Line {at} " for at in range(3, 23)] + ["10 further lines have such a fault"],
    ),
    "infinite and unreadable": (
        "a.csv",
        "a,b\n" + "".join(f"{at}.5,{at * at}\n" for at in range(30)) + "inf,abc\n3,-1e99\n",
        ["Column 'a' is infinite", "Column 'b' is infinite", "Column 'b' is no number in line 32"],
    ),
    "one value a column": (
        "a.csv",
        "a,b\n" + "1,x\n" * 9,
        ["No column can be a feature. Left out: columns 'a', 'b' (one value only). Give"],
    ),
    "one row": ("a.csv", "a,b\n1,2\n", ["No column can be a feature", "two are needed"]),
    "objects": ("a.npy", saved(np.save, np.array([{}], object)), ["Python objects"]),
    "objects by name": ("a.npz", saved(np.savez, x=np.array([{}], object)), ["Python objects"]),
    "one dimension": ("a.npy", saved(np.save, np.arange(9)), ["is of shape"]),
    "pixels of any size": ("a.npy", saved(np.save, np.full((3, 4, 4), -1.0)), ["scale them to 0"]),
    "pixels that are no numbers": (
        "a.npy",
        saved(np.save, np.full((3, 4, 4), np.nan)),
        ["no finite numbers, in 3 images"],
    ),
    "no images": ("a.zip", archive({"a.txt": "a"}), ["holds no images"]),
    "only broken images": (
        "a.zip",
        archive({"a.png": "a", "b.png": "b"}),
        ["No image of", "a.png is left out", "b.png is left out"],
    ),
    "bomb": ("a.zip", archive({"a.png": bytes(200 * 2**20)}), ["when unpacked"]),
    "labels of IDX": ("a-idx1-ubyte", idx(np.arange(9, dtype=np.uint8)), ["holds labels"]),
    "IDX of an absurd size": (
        "a-ubyte",
        struct.pack(">HBB3I", 0, 8, 3, 2**31, 2**20, 2**20),
        ["give up to"],
    ),
    "NPY of an absurd size": (
        "a.npy",
        saved(np.save, np.zeros(4)).replace(b"(4,), }     ", b"(99999999,)}"),
        ["ends too early"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_everything_wrong_is_said_at_once_and_nothing_is_stored(put: Put, case: str) -> None:
    name, content, said = BAD[case]
    problems = refusal(put(name, content))
    assert len(problems) == len(said)
    for problem, part in zip(problems, said, strict=True):
        assert part in problem


PACKED = {
    "NPZ": ("a.npz", lambda: saved(np.savez_compressed, x=np.zeros((20_000, 99)))),
    "IDX": ("a-ubyte.gz", lambda: gzip.compress(idx(np.zeros((300, 99, 99), np.uint8)))),
    "Parquet": ("a.parquet", lambda: parquet_of(a=np.zeros(200_000), b=np.zeros(200_000))),
    "text of Parquet": ("a.parquet", lambda: parquet_of(a=["x" * 99_999] * 30, b=np.zeros(30))),
    "Feather": (
        "a.feather",
        lambda: saved(lambda file: frame_of_zeros().to_feather(file, compression="zstd")),
    ),
}


def parquet_of(**columns: Any) -> bytes:
    return saved(lambda file: pandas.DataFrame(columns).to_parquet(file))


def frame_of_zeros() -> pandas.DataFrame:
    return pandas.DataFrame({"a": np.zeros(300_000), "b": np.zeros(300_000)})


@pytest.mark.parametrize("case", PACKED)
def test_what_would_be_huge_when_unpacked_is_refused(
    put: Put, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aecore.data.importers.formats.ALWAYS_UNPACKED", 2**20)
    name, content = PACKED[case]
    path = put(name, content())
    assert path.stat().st_size < 2**20
    assert "bytes when unpacked, more than" in refusal(path)[0]
    if case == "Feather":  # of which a report reads one batch alone
        return
    monkeypatch.setattr("aecore.data.importers.formats.LARGE", 0)
    with pytest.raises(InvalidRequest, match="when unpacked"):
        importers.preview(path)


def test_arrays_of_any_byte_order_and_layout_are_read(put: Put) -> None:
    values = np.random.default_rng(0).random((N, 3))
    for number, array in enumerate((values, values.astype(">f8"), np.asfortranarray(values))):
        path = put(f"a{number}.npy", saved(np.save, array))
        dataset = importers.add_file(path, f"own-{number}", scale="none")
        assert {*dataset.train.x[:, 0]} <= {*values[:, 0].astype(np.float32)}
    path = put("b.npz", saved(np.savez, x=values, y=np.arange(N).astype(">i2") % 2))
    assert importers.add_file(path, "own-b").label_names == ("0", "1")
    path = put("c.npz", saved(np.savez, a=values[:, 0].astype(">f4"), b=values[:, 1]))
    assert importers.add_file(path, "own-c").shape == (2,)


def test_identifiers_of_64_bits_are_told_apart(put: Put) -> None:
    table = frame()
    table["id"] = 2**60 + np.arange(N)[::-1] * 7
    path = put("own.parquet", saved(lambda file: table.to_parquet(file)))
    dataset = importers.add_file(path, "own")
    stored_ids = {*dataset.columns("train")["id"].values, *dataset.columns("test")["id"].values}
    assert stored_ids == {str(each) for each in table["id"]}


@pytest.mark.parametrize("side", [1, 30_000])
def test_images_of_one_pixel_are_stored_and_those_of_nearly_a_billion_named(
    put: Put, side: int
) -> None:
    image = png(Image.new("1", (side, side)))
    if side > 1:
        report = look(put("own.zip", archive(images(big_png=image))))
        assert report.n_samples == 10 and "big.png is left out: it has more" in report.notes[0]
        return
    members = {f"{'ab'[at % 2]}/{at}.png": png(np.full((1, 1), at, np.uint8)) for at in range(9)}
    assert importers.add_file(put("own.zip", archive(members)), "own").shape == (1, 1)


def test_a_file_that_is_too_large_is_not_read(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put("own.csv", text())
    monkeypatch.setattr(FORMATS["CSV file"], "largest", 100)
    assert "more than the 100 that are read" in refusal(path)[0]


def test_a_file_that_may_not_be_read_is_a_sentence(
    put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put("own.csv", text())

    def refuse(*arguments: Any) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert "own.csv cannot be used: that is not permitted" in refusal(path)[0]


def test_a_missing_file_and_unknown_choices_are_sentences(put: Put, tmp_path: Path) -> None:
    assert "is no file or folder" in refusal(tmp_path / "nothing.csv")[0]
    path = put("own.csv", text())
    said = refusal(path, label="specis", drop=("x", "y"), split_by="z")
    assert len(said) == 4 and "did you mean 'species'" in said[0]
    with pytest.raises(InvalidRequest, match=r"missing = 'zero' is not possible: give one of drop"):
        importers.check({"missing": "zero"})
    with pytest.raises(InvalidRequest, match="Unknown setting 'lable': did you mean 'label'"):
        importers.check({"lable": "x"})


def test_a_name_that_is_taken_is_said_with_the_faults_of_the_file(put: Put) -> None:
    path = put("own.csv", text())
    with pytest.raises(InvalidRequest) as error:
        importers.add_file(path, "iris", label="nothing")
    assert ["name = 'iris' is taken" in each for each in error.value.problems] == [True, False]


# --- Labels, columns, split ---------------------------------------------------------------------


def test_labels_are_guessed_named_and_can_be_changed(put: Put) -> None:
    path = put("own.csv", text())
    assert look(path).label == "species"
    (doubt,) = (each for each in look(path).doubts if each.setting == "label")
    assert doubt.alternatives == ("none", "length", "width", "colour")
    for alternative in doubt.alternatives:
        report = look(path, label=alternative)
        assert report.label == (None if alternative == "none" else alternative)
        assert report.problems == ()
    low, high = frame()["length"].min(), frame()["length"].max()
    assert look(path, label="length").label_range == pytest.approx((low, high))


def test_labels_in_text_are_numbers_where_all_are(put: Put) -> None:
    lines = [f"{at / 3};{at},5\n" for at in range(20)]
    path = put("own.csv", "size;price\n" + "".join(lines))
    assert look(path, label="price").label_range == (0.5, 19.5)
    path = put("own.csv", "size;price\n" + "".join(lines) + "1;unknown\n")
    assert len(look(path, label="price").classes) == 21
    assert "no number in line 22" in look(path, label="none").problems[0]


def test_coordinates_are_no_labels(put: Put) -> None:
    lines = "".join(f"{at / 3},{at / 7}\n" for at in range(20))
    assert look(put("own.csv", f"x,y\n{lines}")).label is None


def test_labels_that_are_numbers_or_absent_are_stored(put: Put) -> None:
    path = put("own.csv", text())
    numbers = importers.add_file(path, "numbers", label="length")
    assert numbers.label_names == () and numbers.train.labels.dtype == np.float32
    assert not importers.add_file(path, "none", label="none").train.labels.any()


def test_rows_without_a_label_are_left_out_and_said(put: Put) -> None:
    content = text().replace(",setosa\n", ",\n", 2)
    report = look(put("own.csv", content))
    assert report.n_train + report.n_test == N - 2
    assert "2 of 40 rows have no label and are left out (lines 2 and 4)." in report.notes


def test_a_class_of_which_no_row_remains_is_none(put: Put) -> None:
    content = text() + ",2.0,red,arose\n,2.0,red,tulip\n"
    dataset = importers.add_file(put("own.csv", content), "own")
    assert dataset.label_names == ("setosa", "virginica")
    assert np.bincount(dataset.train.labels).tolist() == [16, 16]


@pytest.mark.parametrize(("n_classes", "fine"), [(10_000, True), (10_001, False)])
def test_so_many_classes_and_no_more(put: Put, n_classes: int, fine: bool) -> None:
    lines = "".join(f"{at / 7},name{at % n_classes}\n" for at in range(2 * n_classes))
    report = look(put("own.csv", f"size,label\n{lines}"))
    assert (report.problems == ()) == fine
    assert len(report.classes) == (n_classes if fine else 0)


def test_columns_have_kinds_and_what_is_no_feature_is_said(put: Put) -> None:
    table = frame(60)
    table["id"] = range(60)
    table["again"] = table["width"]
    table["same"] = 3
    table["nothing"] = ""
    table["day"] = [f"2020-{at % 12 + 1:02}-{at % 28 + 1:02}" for at in range(60)]
    table["words"] = [f"word {at % 55}" for at in range(60)]
    table["code"] = [f"code {at}" for at in range(60)]
    table["rare"] = [1.5 if at in (3, 4) else 2.5 if at == 5 else "" for at in range(60)]
    path = put("own.csv", str(table.to_csv(index=False)))
    report = look(path, label="species")
    assert {column.name: column.kind for column in report.columns} == {
        "length": "number",
        "width": "number",
        "colour": "category",
        "species": "category",
        "id": "identifier",
        "again": "duplicate",
        "same": "constant",
        "nothing": "empty",
        "day": "date",
        "words": "text",
        "code": "identifier",
        "rare": "number",
    }
    used = [column.name for column in report.columns if column.role == "feature"]
    assert used == ["length", "width", "colour"] and report.shape == (5,)
    said = " ".join(report.decisions)
    for column in report.columns:
        assert column.role != "left out" or f"'{column.name}'" in said
    assert look(path, keep=("id", "again")).shape == (7,)
    assert "'day' has dates" in look(path, keep="day").problems[0]
    offered = [doubt.alternatives for doubt in report.doubts if doubt.setting == "keep"]
    for name in (name for names in offered for name in names):
        assert look(path, label="species", keep=name).problems == ()


def test_duplicates_of_rows_and_missing_values_are_counted(put: Put) -> None:
    lines = text().splitlines()
    content = "\n".join([*lines, lines[3], lines[4], ",,,setosa", "?,NA,n/a,setosa"])
    report = look(put("own.csv", content))
    assert report.duplicate_rows == 3
    assert [column.missing for column in report.columns] == [2, 2, 2, 0]
    assert report.n_train + report.n_test == N + 2


def test_the_split_is_stratified_and_fixed_by_the_seed(put: Put) -> None:
    path = put("own.csv", text(50))
    drawn = [importers.add_file(path, f"own-{seed}", seed=seed) for seed in (0, 1)]
    for dataset in drawn:
        assert np.bincount(dataset.test.labels).tolist() == [5, 5]
    assert not np.array_equal(drawn[0].test.x, drawn[1].test.x)
    again = importers.add_file(path, "again")
    np.testing.assert_array_equal(again.test.x, drawn[0].test.x)


def test_a_class_of_one_sample_makes_a_plain_split_which_is_said(put: Put) -> None:
    content = text() + "1.0,2.0,red,unique\n"
    report = look(put("own.csv", content))
    assert "without regard to classes, of which 1 with one sample only." in report.notes[-1]
    assert report.n_train + report.n_test == N + 1


def test_a_column_gives_the_split(put: Put) -> None:
    table = frame()
    table["split"] = np.where(np.arange(N) % 4 == 0, "Test", "train")
    path = put("own.csv", str(table.to_csv(index=False)))
    dataset = importers.add_file(path, "own", scale="none", label="species")
    np.testing.assert_allclose(dataset.test.x[:, 0], table["length"][::4], rtol=1e-6)
    assert "split" not in " ".join(dataset.feature_names)
    assert look(path, split_by="random").n_test == 8
    table.loc[2, "split"] = "other"
    path = put("other.csv", str(table.to_csv(index=False)))
    assert "neither train nor test in line 4 ('other')" in look(path, split_by="split").problems[0]


# --- Preparation --------------------------------------------------------------------------------


def with_gaps() -> pandas.DataFrame:
    table = frame(60)
    table.loc[5::11, "length"] = np.nan
    table.loc[7::13, "colour"] = None
    table["split"] = np.where(np.arange(60) >= 45, "test", "train")
    return table


@pytest.mark.parametrize("scale", ["standardise", "unit-range", "none"])
@pytest.mark.parametrize("missing", ["drop-rows", "mean", "median"])
def test_everything_is_fitted_on_the_training_split_alone(
    put: Put, scale: str, missing: str
) -> None:
    """The same training rows with other test rows are prepared alike."""
    table = with_gaps()
    changed = table.copy()
    changed.loc[45:, "length"] = 1_000.0
    changed.loc[45:, "width"] = -70.0
    changed.loc[45:, "colour"] = "a colour of the test split alone"
    choices = {"scale": scale, "missing": missing, "label": "species", "log": "length"}
    cards, features = [], []
    for name, each in (("own", table), ("changed", changed)):
        path = put(f"{name}.csv", str(each.to_csv(index=False)))
        dataset = importers.add_file(path, name, **choices)
        entry = stored.entry(name)
        cards.append(entry.card.preparation.columns)
        features.append(dataset.train.x)
    assert cards[0] == cards[1]
    np.testing.assert_array_equal(*features)
    if scale == "standardise":
        np.testing.assert_allclose(features[0][:, :2].mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(features[0][:, :2].std(axis=0), 1, atol=1e-5)
    if scale == "unit-range":
        assert features[0].min() == 0 and features[0].max() == 1
        assert data.get("changed").value_range == (0, 1)
        said = stored.entry("changed").card.preparation.decisions
        assert any("numbers of the test split are beyond the range" in each for each in said)


def test_a_missing_value_becomes_the_median_of_the_training_split(put: Put) -> None:
    table = with_gaps()
    path = put("own.csv", str(table.to_csv(index=False)))
    importers.add_file(path, "own", missing="median", label="species")
    length, _, colour = stored.entry("own").card.preparation.columns
    train = table[table["split"] == "train"]
    assert length.fill == train["length"].median()
    assert colour.fill == train["colour"].value_counts().index[0]
    assert colour.categories == ("blue", "green", "red")


@pytest.mark.parametrize("scale", ["standardise", "unit-range", "none"])
@pytest.mark.parametrize("log", [(), ("length", "width")])
def test_a_second_file_is_prepared_alike_and_undone(
    put: Put, scale: str, log: tuple[str, ...]
) -> None:
    table = frame()
    table["length"] = table["length"].abs()
    path = put("own.csv", str(table.to_csv(index=False)))
    dataset = importers.add_file(path, "own", scale=scale, log=log, label="species")
    preparation = stored.entry("own").card.preparation
    again = importers.apply(preparation, importers.read(path).table)
    whole = np.concatenate([dataset.train.x, dataset.test.x])
    assert {tuple(row) for row in again.tolist()} == {tuple(row) for row in whole.tolist()}
    columns = importers.undo(preparation, again)
    assert list(columns) == ["length", "width", "colour"]
    tolerance = {"rtol": 1e-4, "atol": 1e-5}
    inside = slice(None)
    if scale == "unit-range":  # beyond the range of the training split values are cut off
        inside = (again[:, :2] > 0).all(axis=1) & (again[:, :2] < 1).all(axis=1)
        assert inside.sum() > N / 2
    for name in ("length", "width"):
        np.testing.assert_allclose(columns[name][inside], table[name][inside], **tolerance)
    assert (columns["colour"] == table["colour"].to_numpy(object)).all()


def test_a_second_file_that_does_not_fit_is_refused_with_every_reason(put: Put) -> None:
    path = put("own.csv", text())
    importers.add_file(path, "own", label="species")
    other = frame().drop(columns="width").astype({"length": object})
    other.loc[3, "length"] = "abc"
    other.loc[4, "colour"] = None
    with pytest.raises(InvalidRequest) as error:
        importers.apply(stored.entry("own").card.preparation, other)
    assert len(error.value.problems) == 3
    assert "Column 'width' is missing" in error.value.problems[0]
    assert "'length' is no number in row 4 ('abc')" in error.value.problems[1]
    assert "'colour' has no value in row 5" in error.value.problems[2]


def test_a_second_file_becomes_a_dataset_of_the_same_columns(put: Put) -> None:
    table = described()
    first = put("own.csv", str(table.to_csv(index=False)))
    chosen = {"label": "species", "metadata": ["place", "height"], "missing": "mean"}
    importers.add_file(first, "own", log="width", **chosen)
    card = stored.entry("own").card
    other = table.head(30).copy()
    other.loc[2, "colour"] = "purple"
    other.loc[3, "species"] = "new"
    other.loc[4, "species"] = ""
    other["further"] = 1
    other["width"] = 2.5
    path = put("other.csv", str(other.drop(columns="note").to_csv(index=False)))
    report = importers.understand(path, like="own")
    assert not report.problems and report.n_samples == 30 and report.shape == (5,)
    said = " ".join(report.decisions)
    assert "'colour' has categories that 'own' has not, 'purple', in line 4" in said
    assert "Classes that 'own' has not were added: 'new'" in said
    assert "1 rows have no label and are left out (line 6)" in said
    assert "no column 'note' of metadata" in said and "such as 'further': left out" in said
    second = importers.apply_file(path, "own", "own-2", test_share=0.5)
    again = stored.entry("own-2").card
    assert again.preparation.columns == card.preparation.columns
    assert second.label_names == (*card.spec.label_names, "new")
    assert (second.n_train, second.n_test) == (15, 14) or second.n_train + second.n_test == 29
    assert second.columns("test").keys() == set(DESCRIBING) - {"note"}
    np.testing.assert_allclose(second.in_units(second.train.x)["width"], 2.5, rtol=1e-5)


def test_a_second_file_needs_the_columns_of_the_first(put: Put) -> None:
    importers.add_file(put("own.csv", text()), "own", label="species")
    other = frame().drop(columns=["width", "species"]).astype({"length": object})
    other.loc[3, "length"] = "abc"
    path = put("other.csv", str(other.to_csv(index=False)))
    with pytest.raises(InvalidRequest) as error:
        importers.apply_file(path, "own", "own-2")
    assert len(error.value.problems) == 2 and stored.names() == ["own"]
    assert "'length' is no number in line 5 ('abc')" in error.value.problems[0]
    assert "Column 'width' is missing" in error.value.problems[1]
    archived = put("own.zip", archive(images()))
    with pytest.raises(InvalidRequest, match="holds images and 'own' a table"):
        importers.apply_file(archived, "own", "own-2")
    with pytest.raises(InvalidRequest, match="Unknown stored dataset 'iris'"):
        importers.apply_file(path, "iris", "own-2")
    unlabelled = put("plain.csv", str(frame().drop(columns="species").to_csv(index=False)))
    assert importers.apply_file(unlabelled, "own", "own-2").n_classes == 0


def test_a_second_archive_of_images_is_fitted_alike(put: Put) -> None:
    importers.add_file(put("own.zip", archive(images())), "own", size=(4, 3), colour="colour")
    path = put("other.zip", archive({f"b/{at}.png": png(noise(9, 9, seed=at)) for at in range(6)}))
    second = importers.apply_file(path, "own", "own-2")
    assert second.shape == (4, 3, 3) and second.label_names == ("a", "b")
    assert set(second.train.labels) == {1}


def test_a_card_without_a_preparation_reads_as_before(put: Put) -> None:
    importers.add_file(put("own.csv", text()), "own")
    path = stored.root() / "own" / stored.CARD
    card = json.loads(path.read_text())
    assert card.pop("preparation")["columns"]
    path.write_text(json.dumps(card))
    assert stored.entry("own").card.preparation is None
    assert data.get("own").n_train == 32


# --- AnnData ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sparse", ["", "csr", "csc"])
def test_an_annotated_matrix_brings_its_columns(put: Put, sparse: str) -> None:
    path = put("own.h5ad", annotated(sparse))
    dataset = importers.add_file(path, "own", label="kind", scale="none")
    assert dataset.feature_names == tuple(f"gene {at}" for at in range(5))
    columns = dataset.columns("train")
    assert dataset.label_names == ("B", "T") and columns.keys() == {"batch", "depth"}
    assert columns["batch"].names == ("first", "no value", "second")
    x = np.random.default_rng(0).poisson(1, (N, 5))
    rows = np.rint(columns["depth"].values / 1.5).astype(int)
    np.testing.assert_array_equal(dataset.train.x, x[rows])
    assert look(path).label in ("kind", "batch")  # and no gene
    assert look(path, label="kind", keep="depth").shape == (6,)


def unlink(file: Any) -> None:
    del file["X"]


def elsewhere(file: Any) -> None:
    import h5py

    del file["X"]
    file["X"] = h5py.ExternalLink("/etc/passwd", "X")


def change(part: str, value: Any) -> Callable[[Any], None]:
    def write(file: Any) -> None:
        values = file[f"X/{part}"][()]
        del file[f"X/{part}"]
        file[f"X/{part}"] = value(values)

    return write


@pytest.mark.parametrize(
    ("sparse", "edit", "said"),
    [
        ("", unlink, "has no matrix X"),
        ("", elsewhere, "is a link, which is not followed"),
        ("csr", change("indices", lambda values: values + 9), "contradict each other"),
        ("csr", change("indptr", lambda values: values[::-1]), "contradict each other"),
        ("csc", change("data", lambda values: values[1:]), "contradict each other"),
        ("csr", lambda file: file["X"].attrs.update({"shape": (10**9, 9)}), "is of shape"),
        ("csr", lambda file: file["X"].attrs.update({"shape": (10**6, 10**3)}), "when unpacked"),
        ("csr", lambda file: file["X"].attrs.update({"shape": (9, 10**5)}), "100,000 columns"),
        ("csr", lambda file: file["X"].attrs.update({"encoding-type": "coo"}), "unknown encoding"),
    ],
)
def test_an_annotated_matrix_that_is_none_is_refused(
    put: Put, sparse: str, edit: Callable[[Any], None], said: str
) -> None:
    assert said in " ".join(refusal(put("own.h5ad", annotated(sparse, edit))))


# --- Large files --------------------------------------------------------------------------------


@pytest.fixture
def all_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aecore.data.importers.formats.LARGE", 0)
    for module in ("table", "arrays"):
        monkeypatch.setattr(f"aecore.data.importers.{module}.PREVIEWED", 10)
    monkeypatch.setattr("aecore.data.importers.table.PREVIEWED_BYTES", 300)
    monkeypatch.setattr("aecore.data.importers.pictures.MOST_PREVIEWED", 4)


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.usefixtures("all_are_large")
def test_of_a_large_file_a_part_is_looked_at(put: Put, name: str) -> None:
    file, content = WHOLE[name]
    path = put(file, content())
    whole, part = importers.read(path), importers.preview(path)
    assert not whole.part and list(part.table.columns) == list(whole.table.columns)
    if name in (
        "NPZ file",
        "IDX file",
        "Feather file",
        "AnnData file",
    ):  # read as a whole; of one batch
        assert not part.part and len(part.table) == len(whole.table)
        return
    assert part.part and 0 < len(part.table) < len(whole.table)
    assert "looked at" in part.notes[0]
    report = importers.understand(path, content=part)
    assert not report.problems and "looked at" in " ".join(report.notes)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-16-le"])
def test_a_part_of_a_text_ends_with_a_row(
    put: Put, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aecore.data.importers.formats.LARGE", 0)
    table = frame()
    table["note"] = [f"first \N{SNOWMAN} {at},\nsecond" for at in range(N)]
    mark = "\N{ZERO WIDTH NO-BREAK SPACE}" if encoding == "utf-16-be" else ""
    path = put("own.csv", (mark + str(table.to_csv(index=False))).encode(encoding))
    for size in range(400, 520):
        monkeypatch.setattr("aecore.data.importers.table.PREVIEWED_BYTES", size)
        part = importers.preview(path)
        n = len(part.table)
        assert part.part and n and part.table["note"].tolist() == table["note"].tolist()[:n]


def test_a_file_is_stored_by_a_job_with_its_progress(put: Put) -> None:
    path = put("own.zip", archive(images()))
    listener = Listener()
    importers.StoreFile(str(path), "own", Choices(), "Mine").run(listener)
    assert data.get("own").title == "Mine" and path.exists()
    assert ("Preparing the samples", 8, 8) in listener.heard
    stop = Listener(lambda heard: Cancelled() if heard.heard[-1][0].startswith("Prep") else None)
    task = importers.StoreFile(importers.incoming(path), "own-2", Choices())
    assert (locations.store() / task.path).read_bytes() == path.read_bytes()
    with pytest.raises(Cancelled):
        task.run(stop)
    assert stored.names() == ["own"] and not list((locations.store() / "_incoming").iterdir())
    forgotten = locations.store() / importers.incoming(path)
    os.utime(forgotten.parent, (0, 0))
    waiting = locations.store() / importers.incoming(path)
    assert waiting.exists() and not forgotten.exists()
    with pytest.raises(InvalidRequest, match="'own' is taken"):
        importers.StoreFile(str(path), "own", Choices()).check()


# --- Metadata -----------------------------------------------------------------------------------


def described(n: int = 60) -> pandas.DataFrame:
    """A table with a column of each kind that describes rows, each with a gap."""
    table = frame(n)
    table["id"] = [f"plant {at}" for at in range(n)]
    table["day"] = [f"2020-{at % 12 + 1:02}-{at % 28 + 1:02}" for at in range(n)]
    table["photo"] = [f"https://example.org/{at}.jpg" for at in range(n)]
    table["note"] = [f"seen {at % 55} times,\nby \u00c5sa" for at in range(n)]
    table["place"] = [("north", "south")[at % 2] for at in range(n)]
    table["height"] = np.arange(n) * 0.5
    table = table.astype({"height": object})
    table.loc[7, ["day", "photo", "note", "place", "height"]] = ""
    return table


DESCRIBING = ("id", "day", "photo", "note", "place", "height")


def test_columns_that_are_no_features_are_stored_and_come_back(put: Put) -> None:
    table = described()
    path = put("own.csv", str(table.to_csv(index=False)))
    report = look(path, label="species", metadata=("place", "height"))
    roles = {column.name: (column.kind, column.role) for column in report.columns}
    assert [roles[name] for name in DESCRIBING] == [
        ("identifier", "metadata"),
        ("date", "metadata"),
        ("link", "metadata"),
        ("text", "metadata"),
        ("category", "metadata"),
        ("number", "metadata"),
    ]
    assert report.shape == (5,) and report.n_train + report.n_test == 60
    dataset = importers.add_file(path, "own", label="species", metadata=["place", "height"])
    assert data.get("own").columns("train").keys() == set(DESCRIBING)
    seen = []
    for split, n in (("train", dataset.n_train), ("test", dataset.n_test)):
        columns = dataset.columns(split)
        assert all(column.values.shape == (n,) for column in columns.values())
        for at in range(n):
            (row,) = np.flatnonzero(table["id"] == columns["id"].values[at])
            seen.append(int(row))
            assert dataset.in_units(getattr(dataset, split).x[at : at + 1])["length"][
                0
            ] == pytest.approx(table["length"][row], abs=1e-4)
            place = columns["place"].names[columns["place"].values[at]]
            if row == 7:
                assert np.isnan(columns["day"].values[at]) and place == "no value"
                assert columns["photo"].values[at] == columns["note"].values[at] == ""
                assert np.isnan(columns["height"].values[at])
                continue
            day = pandas.Timestamp(columns["day"].values[at], unit="s")
            assert f"{day:%Y-%m-%d}" == table["day"][row] and place == table["place"][row]
            assert columns["photo"].values[at] == table["photo"][row]
            assert columns["note"].values[at] == " ".join(table["note"][row].split())
            assert columns["height"].values[at] == table["height"][row]
    assert sorted(seen) == list(range(60))
    assert columns["photo"].kind == "link" and columns["note"].kind == columns["id"].kind == "text"


def test_dates_of_files_with_types_are_seconds_in_utc(put: Put) -> None:
    table = frame()
    table["when"] = pandas.date_range("2001-02-03 04:05:06", periods=N, freq="h", tz="+02:00")
    path = put("own.parquet", saved(lambda file: table.to_parquet(file)))
    columns = importers.add_file(path, "own").columns("train")
    assert columns["when"].kind == "date"
    assert columns["when"].values.min() >= pandas.Timestamp("2001-02-03 02:05:06").timestamp()
    assert set(np.diff(np.sort(columns["when"].values)) % 3600) == {0}


def test_what_may_not_be_a_link_is_text(put: Put) -> None:
    table = frame(60)
    table["photo"] = [f"javascript:alert({at % 59})" for at in range(60)]
    table["page"] = [f"https://example.org/{at % 59}" for at in range(60)]
    table.loc[3, "page"] = "https://a' onclick='x"
    path = put("own.csv", str(table.to_csv(index=False)))
    kinds = {column.name: column.kind for column in look(path).columns}
    assert (kinds["photo"], kinds["page"]) == ("text", "link")


def test_roles_that_contradict_each_other_are_said(put: Put) -> None:
    path = put("own.csv", str(described().to_csv(index=False)))
    problems = look(path, label="species", metadata=("species", "day"), drop="day").problems
    assert len(problems) == 2
    assert "'day' is to be left out and to be used" in problems[0]
    assert "'species' is to be metadata and to be used otherwise" in problems[1]
    left = {c.name: c.role for c in look(path, drop=("day", "id")).columns}
    assert not left.keys() & {"day", "id"} and left["note"] == "metadata"


def test_images_keep_the_columns_of_their_table(put: Put) -> None:
    lines = "".join(f"{at}.png,{'ab'[at % 2]},{at / 4},note {at}\n" for at in range(8))
    members: dict[str, bytes | str] = {
        f"{at}.png": png(np.full((5, 5), 20 * at, np.uint8)) for at in range(8)
    }
    members["metadata.csv"] = f"file_name,kind,age,note\n{lines}"
    dataset = importers.add_file(put("own.zip", archive(members)), "own")
    columns = dataset.columns("train")
    assert dataset.label_names == ("a", "b") and columns.keys() == {"age", "note"}
    shade = np.rint(dataset.train.x[:, 0] * 255 / 20)
    np.testing.assert_array_equal(columns["age"].values, shade / 4)
    assert columns["note"].values.tolist() == [f"note {at:.0f}" for at in shade]


@pytest.mark.parametrize("change", ["cut", "flip", "gone"])
def test_damaged_columns_are_said_and_the_arrays_still_read(put: Put, change: str) -> None:
    importers.add_file(put("own.csv", str(described().to_csv(index=False))), "own")
    path = stored.root() / "own" / stored.COLUMNS
    content = path.read_bytes()
    changed = {"cut": content[:-9], "flip": content[:-1] + bytes([content[-1] ^ 1])}
    if change == "gone":
        path.unlink()
    else:
        path.write_bytes(changed[change])
    entry = stored.entry("own")
    assert entry and len(stored.read(entry, "train")[0]) == data.get("own").n_train
    with pytest.raises(InvalidRequest, match=r"'own' is damaged: columns\.safetensors"):
        stored.read_columns(entry, "train")


# --- Images -------------------------------------------------------------------------------------

FIT = PictureFit(height=4, width=4)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (png(np.full((4, 4), 51, np.uint8)), 0.2),
        (png(np.full((4, 4), 13_107, np.uint16)), 0.2),
        (png(np.full((4, 4), 13_107, np.uint16), "TIFF"), 0.2),
        (png(np.full((4, 4, 3), 51, np.uint8), "JPEG"), 0.2),
        (png(np.full((4, 4, 3), 51, np.uint8), "WEBP", lossless=True), 0.2),
        (png(Image.fromarray(np.full((4, 4, 3), 51, np.uint8)).convert("P")), 0.2),
        (png(np.full((4, 4, 4), (51, 51, 51, 0), np.uint8)), 1.0),
        (png(np.full((4, 4), True)), 1.0),
    ],
    ids=["grey", "16 bits", "TIFF", "JPEG", "WebP", "palette", "transparent", "1 bit"],
)
def test_each_kind_of_image_is_read_with_its_brightness(
    put: Put, content: bytes, expected: float
) -> None:
    path = put("own.zip", archive({"a.img.png": content, "b.png": content}))
    for colour, shape in (("grey", (4, 4)), ("colour", (4, 4, 3))):
        dataset = importers.add_file(path, colour, colour=colour)
        assert dataset.shape == shape
        np.testing.assert_allclose(dataset.train.x, expected, atol=0.01)


def test_transparent_areas_are_white_or_black_as_chosen() -> None:
    image = Image.new("RGBA", (4, 4), (128, 128, 128, 0))
    for background, value in (("white", 1), ("black", 0)):
        fit = FIT.model_copy(update={"background": background})
        assert (as_sample(image, fit) == value).all()


def test_an_image_is_turned_as_its_exif_says(put: Put) -> None:
    pixels = np.zeros((4, 6), np.uint8)
    pixels[:, :2] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    content = png(Image.fromarray(pixels), exif=exif)
    dataset = importers.add_file(
        put("own.zip", archive({"a.png": content, "b.png": content})), "own"
    )
    assert dataset.shape == (6, 4)
    np.testing.assert_array_equal(dataset.train.x[0].reshape(6, 4), np.rot90(pixels, -1) / 255)


def test_proportions_are_preserved_where_asked() -> None:
    image = Image.new("L", (8, 4), 0)
    stretched = as_sample(image, FIT)
    padded = as_sample(image, FIT.model_copy(update={"pad": True})).reshape(4, 4)
    assert not stretched.any()
    assert not padded[1:3].any() and (padded[[0, 3]] == 1).all()


def test_broken_images_are_all_named_and_the_others_stored(put: Put) -> None:
    good = png(noise(6, 5))
    huge = png(Image.new("1", (30_000, 30_000)))
    broken = {"cut_png": good[: len(good) // 2], "no_jpg": b"no image", "huge_png": huge}
    report = look(put("own.zip", archive(images(**broken, tiny_png=png(noise(1, 1))))))
    assert report.n_samples == 11 and report.classes == {"a": 6, "b": 5}
    named = [note.split(" is left out")[0] for note in report.notes if "is left out: it" in note]
    assert named == ["things/a/cut.png", "things/a/no.jpg", "things/a/huge.png"]
    assert report.sizes == {"6 x 5": 10, "1 x 1": 1} and report.channels == 1


def test_folders_are_splits_and_classes(put: Put) -> None:
    members = {
        f"set/{split}/{kind}/{at}.png": png(noise(5, 5, seed=at))
        for split, n in (("Train", 4), ("val", 2))
        for kind in ("cat", "dog")
        for at in range(n)
    }
    dataset = importers.add_file(put("own.zip", archive(members)), "own")
    assert (dataset.n_train, dataset.n_test, dataset.label_names) == (8, 4, ("cat", "dog"))


def test_a_table_of_metadata_gives_the_labels(put: Put) -> None:
    lines = "".join(f"{at}.png,{'ab'[at % 2]}\n" for at in range(6))
    members: dict[str, bytes | str] = {f"{at}.png": png(noise(5, 5, seed=at)) for at in range(6)}
    members["metadata.csv"] = f"file_name,kind\n{lines}absent.png,a\n"
    report = look(put("own.zip", archive(members)))
    assert report.label == "kind" and report.classes == {"a": 3, "b": 3}
    assert "such as that of absent.png" in " ".join(report.notes)


def test_names_in_an_archive_lead_nowhere(put: Put, tmp_path: Path) -> None:
    members = {f"../../{at}.png": png(noise(5, 5, seed=at)) for at in range(4)}
    before = sorted(tmp_path.parent.rglob("*.png"))
    dataset = importers.add_file(put("own.zip", archive(members)), "own")
    assert dataset.n_train + dataset.n_test == 4
    assert sorted(tmp_path.parent.rglob("*.png")) == before


# --- The command line ---------------------------------------------------------------------------


def test_the_command_line_adds_and_trains(put: Put, store_folder: Path) -> None:
    path = put("own.csv", with_gaps().to_csv(index=False))
    command = [sys.executable, "-m", "aecore"]
    options = ["--name", "mine", "--label", "species", "--missing", "mean", "--drop", "width"]
    added = subprocess.run(
        [*command, "data", "add", str(path), *options, "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    row = json.loads(added.stdout)
    assert (row["name"], row["modality"], row["label"]) == ("mine", "table", "species")
    assert (row["n_train"], row["n_test"], row["shape"]) == (45, 15, [4])
    assert row["problems"] == ["Column 'split' says which rows are for training."]
    training = ["--dataset", "mine", "--variant", "ae", "--epochs", "1", "--device", "cpu"]
    done = CliRunner().invoke(app, ["train", *training, "--json"])
    assert json.loads(done.stdout)["dataset"] == "mine", done.stderr


def call(*arguments: str) -> Any:
    result = CliRunner().invoke(app, ["data", *arguments, "--json"])
    return result.exit_code, json.loads(result.stdout)


def test_the_command_line_checks_lists_shows_and_removes(put: Put) -> None:
    path = str(put("own.csv", text()))
    code, report = call("check", path, "--test-share", "0.5")
    assert code == 0 and report["n_test"] == 20 and stored.names() == []
    assert call("add", path, "--name", "mine", "--title", "Mine", "--licence", "CC0")[0] == 0
    assert [row["title"] for row in call("list")[1]] == ["Mine"]
    _, card = call("show", "mine")
    assert card["licence"] == "CC0" and len(card["preparation"]["columns"]) == 3
    assert Preparation.model_validate(card["preparation"]).label == "species"
    for command in (["check", path], ["list"], ["show", "mine"]):
        plain = CliRunner().invoke(app, ["data", *command])
        assert plain.exit_code == 0 and "species" in plain.stdout
    assert call("remove", "mine") == (0, {"removed": "mine"})
    assert call("show", "mine")[0] == 2


def test_the_command_line_applies_a_preparation_to_a_second_file(put: Put) -> None:
    path = str(put("own.csv", text()))
    call("add", path, "--name", "mine", "--label", "species")
    code, row = call("apply", path, "--dataset", "mine", "--name", "mine-2", "--test-share", "0.5")
    assert (code, row["name"], row["n_train"], row["label"]) == (0, "mine-2", 20, "species")
    assert row["problems"][0] == "Prepared as 'mine' was."
    assert call("apply", path, "--dataset", "none", "--name", "other")[0] == 2


def test_refusals_are_sentences_on_the_command_line(put: Put) -> None:
    path = str(put("own.csv", "a,b\n1\n2\n"))
    code, document = call("add", path, "--name", "Mine")
    assert code == 2 and len(document["faults"]) >= 2
    code, document = call("check", path, "--test-share", "2", "--seed", "x")
    assert code == 2 and len(document["faults"]) == 2
    assert "test_share = '2' is not possible: give a number above 0" in document["faults"][1]


def test_every_choice_is_an_option_with_a_description() -> None:
    text = CliRunner().invoke(app, ["data", "add", "--help"]).stdout
    for name, field in Choices.model_fields.items():
        assert field.description and f"--{name.replace('_', '-')}" in text
