"""Callbacks by which a long computation reports its progress, and is cancelled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

Progress = Callable[[str, float, float], None]
"""Called with a stage in words, how much of it is done, and its total.

It may raise `Cancelled`, which ends the computation.
"""


def no_progress(stage: str, done: float, total: float) -> None:
    """Report nothing: the default where nobody waits."""


class Reporter(Protocol):
    """Receives what a task reports. Either method may raise `Cancelled`, which ends the task."""

    def progress(self, stage: str, done: float, total: float) -> None:
        """`done` of `total` is reached in `stage`; called very often."""

    def epoch(self, entry: dict[str, Any], view: dict[str, np.ndarray]) -> None:
        """An epoch has ended: its entry of the history, and arrays that can be drawn.

        `view` holds `plane` (m, 2) and `labels` (m,) of the first test samples, and of the first
        few of them `originals` and `reconstructions` (p, n_features).
        """
