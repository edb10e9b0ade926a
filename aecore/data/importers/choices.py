"""Choices in reading a file as a dataset: label, missing values, scale, split, size of images."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from aecore.settings import titles

NO_LABEL = "none"
AT_RANDOM = "random"


def _several(names: Any) -> Any:
    return (names,) if isinstance(names, str) else names


def _sides(size: Any) -> Any:
    """Parse "28", "28,32" or "28x32"."""
    if isinstance(size, str):
        return tuple(side.strip() for side in size.replace("x", ",").split(",") if side.strip())
    return (size,) if isinstance(size, int) else size


Names = Annotated[tuple[str, ...], Field(max_length=16_384), BeforeValidator(_several)]
Sides = Annotated[
    tuple[Annotated[int, Field(ge=1, le=1024)], ...], Field(max_length=2), BeforeValidator(_sides)
]


class Choices(BaseModel):
    """Choices in reading a file as a dataset."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str = Field(
        "",
        max_length=1_000,
        description="Column of the labels, or 'none' for no labels; guessed if it is not given.",
    )
    drop: Names = Field((), title="Leave out", description="A column to leave out.")
    keep: Names = Field(
        (),
        description="A column to use although it looks like an identifier, repeats another one or "
        "has few values.",
    )
    metadata: Names = Field(
        (),
        description="A column that is no feature and is stored beside them, to colour, filter and "
        "describe samples.",
    )
    missing: Annotated[
        Literal["drop-rows", "mean", "median"],
        titles(
            drop_rows="Leave these rows out",
            mean="Mean of the training split",
            median="Median of the training split",
        ),
    ] = Field(
        "drop-rows",
        title="Missing values",
        description="What becomes of missing values: their rows are left out, or the mean or the "
        "median of the training split takes their place, of categories the most frequent one.",
    )
    categories: Annotated[
        Literal["one-hot", "leave-out"],
        titles(one_hot="A feature for each value", leave_out="Leave out"),
    ] = Field("one-hot", description="What becomes of columns of few different texts.")
    scale: Annotated[
        Literal["standardise", "unit-range", "none"],
        titles(standardise="Mean 0, standard deviation 1", unit_range="From 0 to 1"),
    ] = Field(
        "standardise",
        description="Scaling of numbers by the training split: to mean 0 and standard deviation 1, "
        "to the range from 0 to 1, beyond which other rows are cut off, or none.",
    )
    log: Names = Field((), title="Logarithm of", description="A column of which to take log1p.")
    decimal: Literal["guess", "point", "comma"] = Field(
        "guess", title="Decimal sign", description="Decimal sign of numbers with commas."
    )
    test_share: float = Field(
        0.2, gt=0, lt=1, description="Share of the samples that are held out for testing."
    )
    split_by: str = Field(
        "",
        max_length=1_000,
        title="Split by",
        description="Column that says 'train' or 'test', or 'random'; without it a column named "
        "split or the folders train and test are used if there are any.",
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Fixes which samples are held out.")
    size: Sides = Field(
        (),
        title="Size of images",
        description="Height and width of images in pixels, such as 28,28; without it their own.",
    )
    fit: Annotated[
        Literal["resize", "pad"],
        titles(resize="Stretch to the size", pad="Preserve proportions"),
    ] = Field(
        "resize", description="Whether images are stretched to the size, or scaled and padded."
    )
    colour: Annotated[Literal["grey", "colour"], titles(colour="In colour")] = Field(
        "grey", description="Whether images are read in grey or in colour."
    )
    background: Literal["white", "black"] = Field(
        "white", description="Colour under transparent pixels, and around padded images."
    )
