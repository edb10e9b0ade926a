"""Data: datasets by name, their specifications and subsets, and decoding of user pictures."""

from __future__ import annotations

from aecore.data.builtin import DATASETS as DATASETS
from aecore.data.catalog import add as add
from aecore.data.catalog import entries as entries
from aecore.data.catalog import get as get
from aecore.data.catalog import names as names
from aecore.data.dataset import ROUNDING as ROUNDING
from aecore.data.dataset import Dataset as Dataset
from aecore.data.dataset import Samples as Samples
from aecore.data.dataset import without_rounding as without_rounding
from aecore.data.idx import DEBIAN as DEBIAN
from aecore.data.idx import DIGESTS as DIGESTS
from aecore.data.idx import IDX_FILES as IDX_FILES
from aecore.data.idx import MIRRORS as MIRRORS
from aecore.data.idx import decode_idx as decode_idx
from aecore.data.idx import fetch as fetch
from aecore.data.idx import fetch_data as fetch_data
from aecore.data.idx import is_available as is_available
from aecore.data.idx import locate as locate
from aecore.data.idx import places as places
from aecore.data.pictures import FORMATS as FORMATS
from aecore.data.pictures import Picture as Picture
from aecore.data.pictures import decode as decode
from aecore.data.pictures import filled as filled
from aecore.data.pictures import fit as fit
from aecore.data.pictures import looks_inverted as looks_inverted
from aecore.data.pictures import read as read
from aecore.data.subset import TEST_SPLIT as TEST_SPLIT
from aecore.data.subset import Subset as Subset
