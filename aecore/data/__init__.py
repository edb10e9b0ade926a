"""Data: datasets by name, their specifications and subsets, and decoding of user pictures."""

from __future__ import annotations

from aecore.data.builtin import DATASETS as DATASETS
from aecore.data.catalog import add as add, entries as entries, get as get, names as names
from aecore.data.dataset import (
    ROUNDING as ROUNDING,
    Column as Column,
    Dataset as Dataset,
    Samples as Samples,
    without_rounding as without_rounding,
)
from aecore.data.idx import (
    DEBIAN as DEBIAN,
    DIGESTS as DIGESTS,
    IDX_FILES as IDX_FILES,
    MIRRORS as MIRRORS,
    decode_idx as decode_idx,
    fetch as fetch,
    fetch_data as fetch_data,
    is_available as is_available,
    locate as locate,
    places as places,
)
from aecore.data.pictures import (
    FORMATS as FORMATS,
    Picture as Picture,
    are_drawings as are_drawings,
    decode as decode,
    filled as filled,
    fit as fit,
    looks_inverted as looks_inverted,
    read as read,
)
from aecore.data.subset import TEST_SPLIT as TEST_SPLIT, Subset as Subset
