"""Tasks that take long, and the callbacks by which they report progress and are cancelled."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
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


class Task(ABC):
    """Work that takes long: a frozen dataclass whose fields are its arguments.

    Tasks that are equal are the same work. A new kind of work is one subclass, beside what it
    computes; the queue, the worker and the pages know no more of it than stands here.
    """

    @property
    @abstractmethod
    def title(self) -> str:
        """What is computed, of what: the name of the task in lists and messages."""

    @abstractmethod
    def run(self, reporter: Reporter) -> Any:
        """Carry the task out, in any process; raises `Faults` where it cannot be."""

    def check(self) -> None:  # noqa: B027 (most tasks have nothing to check)
        """Raise `Faults` where it is known already that it cannot be carried out."""

    @property
    def reserves(self) -> str:
        """The name of the run that it writes, which no other task may write meanwhile; or ""."""
        return ""

    @property
    def history(self) -> Sequence[dict[str, Any]]:
        """Entries of the epochs that a training has behind it before the task begins."""
        return ()
