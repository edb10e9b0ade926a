"""Data specifications: validation, and completeness of modalities and datasets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from aecore.data import DATASETS
from aecore.data.modalities import MODALITIES
from aecore.data.spec import DataSpec, StoredSpec

STORED = TypeAdapter(StoredSpec)


def facts(**changes: Any) -> dict[str, Any]:
    return {
        "name": "flowers",
        "title": "Flowers",
        "modality": "table",
        "shape": [3],
        "n_train": 20,
        "n_test": 10,
        "label_names": ["a", "b"],
    } | changes


@pytest.mark.parametrize("name", DATASETS)
def test_every_built_in_specification_can_be_stored_and_comes_back(name: str) -> None:
    spec = DATASETS[name].spec
    assert STORED.validate_json(spec.model_dump_json()) == spec
    assert spec.n_classes == len(spec.label_names)
    assert len(spec.column_names) == spec.n_features
    assert hash(spec) == hash(STORED.validate_json(spec.model_dump_json()))


IMPOSSIBLE: dict[str, dict[str, Any]] = {
    "a path for a name": {"name": "../etc"},
    "an empty name": {"name": ""},
    "a name of 31 letters": {"name": "a" * 31},
    "a line break in a name": {"name": "a\n"},
    "an unknown modality": {"modality": "smell"},
    "no shape": {"shape": []},
    "a table of two dimensions": {"shape": [3, 3]},
    "an image of one dimension": {"modality": "image"},
    "a side of nothing": {"shape": [0]},
    "a side below nothing": {"shape": [-3]},
    "half a feature": {"shape": [2.5]},
    "more features than can be": {"shape": [2**24 + 1]},
    "more pixels than can be": {"modality": "image", "shape": [2**13, 2**13]},
    "no samples": {"n_train": 0},
    "more samples than can be": {"n_test": 10**8 + 1},
    "a count that is text": {"n_test": "10"},
    "an empty range": {"value_range": [1, 1]},
    "a range without end": {"value_range": [0, float("inf")]},
    "a class named twice": {"label_names": ["a", "a"]},
    "a class without a name": {"label_names": [""]},
    "a long name of a class": {"label_names": ["a" * 101]},
    "more classes than can be": {"label_names": [f"{n}" for n in range(10_001)]},
    "what cannot be printed": {"title": "a\x1b[31m"},
    "names of other features": {"feature_names": ["x", "y"]},
    "a fingerprint that is a path": {"fingerprint": "../../x"},
    "a stranger": {"surprise": 1},
}


@pytest.mark.parametrize("wrong", IMPOSSIBLE)
def test_an_impossible_specification_is_refused(wrong: str) -> None:
    DataSpec.model_validate(facts())
    with pytest.raises(ValidationError):
        DataSpec.model_validate(facts(**IMPOSSIBLE[wrong]))


@pytest.mark.parametrize("changes", [{"shape": [4, 4, 2]}, {"value_range": None}])
def test_images_that_cannot_be_shown_are_not_stored(changes: dict[str, Any]) -> None:
    images = facts(modality="image", shape=[4, 4], value_range=[0, 1])
    assert STORED.validate_python(images).in_unit_range
    assert DataSpec.model_validate(images | changes)
    with pytest.raises(ValidationError, match=r"channels|value_range"):
        STORED.validate_python(images | changes)


def test_features_without_names_are_numbered() -> None:
    assert DataSpec(**facts()).column_names == ("feature 1", "feature 2", "feature 3")
    named = DataSpec(**facts(feature_names=["x", "y", "z"]))
    assert named.column_names == ("x", "y", "z")


@pytest.mark.parametrize("change", [{"shape": [4]}, {"n_test": 11}, {"label_names": ["a", "c"]}])
def test_specifications_of_other_samples_do_not_agree(change: dict[str, Any]) -> None:
    spec = DataSpec(**facts())
    assert spec.agrees(DataSpec(**facts(title="Other words", licence="Other")))
    assert not spec.agrees(DataSpec(**facts(**change)))


@pytest.mark.parametrize("name", MODALITIES)
def test_a_modality_shows_samples_as_pictures_or_leaves_them_as_they_are(name: str) -> None:
    modality = MODALITIES[name]
    assert modality.name == name and (modality.__doc__ or "").strip()
    shape = (2, 3, 1)[: modality.dimensions[-1]]
    x = np.arange(6.0 * shape[0]).reshape(-1, int(np.prod(shape)))
    shown = modality.shaped(x, shape)
    assert shown.shape == ((len(x), *shape) if modality.pictures else x.shape)
    assert shown.ravel().tolist() == x.ravel().tolist()
