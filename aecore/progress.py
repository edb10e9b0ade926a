"""Long-running tasks, and the callbacks for progress and cancellation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    import numpy as np

Progress = Callable[[str, float, float], None]
"""Called with a stage in words, how much of it is done, and its total.

It may raise `Cancelled`, which ends the computation.
"""


def no_progress(stage: str, done: float, total: float) -> None:
    """Ignore progress: the default callback."""


class Reporter(Protocol):
    """Receiver of a task's reports. Either method may raise `Cancelled`, which ends the task."""

    def progress(self, stage: str, done: float, total: float) -> None:
        """Receive that `done` of `total` is reached in `stage`; called very often."""

    def epoch(self, entry: dict[str, Any], view: dict[str, np.ndarray]) -> None:
        """Receive the history entry of a completed epoch, and arrays to draw.

        `view` holds `plane` (m, 2) and `labels` (m,) of the first test samples, and of the first
        few of them `originals` and `reconstructions` (p, n_features).
        """


class Task(ABC):
    """A long-running computation: a frozen dataclass whose fields are its arguments.

    Tasks that are equal are the same work. A new kind of work is one subclass, beside what it
    computes; the queue, the worker and the pages use this interface alone.
    """

    @property
    @abstractmethod
    def title(self) -> str:
        """Title of the task in lists and messages."""

    @abstractmethod
    def run(self, reporter: Reporter) -> Any:
        """Carry out the task, in any process; raises `InvalidRequest` if it is impossible."""

    def check(self) -> None:  # noqa: B027 (most tasks have nothing to check)
        """Raise `InvalidRequest` if the task is already known to be impossible."""

    @property
    def reserves(self) -> str:
        """Name of the run that the task writes exclusively; "" for none."""
        return ""

    @property
    def files(self) -> Sequence[str]:
        """Patterns, below the store, of the files and folders in it that the task reads.

        They are sent to a worker that does not reach the store.
        """
        return ()

    @property
    def parallel(self) -> bool:
        """Whether it computes with one thread, beside other such tasks."""
        return False

    @property
    def alike(self) -> Hashable:
        """What tasks have in common that `run_together` takes at once; None for none."""
        return None

    @classmethod
    def run_together(cls, tasks: Sequence[Self], reporters: Sequence[Reporter]) -> Sequence[Any]:
        """Carry out alike tasks; return the result of each, or the `InvalidRequest` it ended by."""
        raise NotImplementedError

    @property
    def history(self) -> Sequence[dict[str, Any]]:
        """History entries of the epochs that a training completed before the task begins."""
        return ()
