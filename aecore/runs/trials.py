"""Training of the trials of a sweep, several of one architecture at once."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aecore import locations, training
from aecore.errors import InvalidRequest
from aecore.runs import store, sweeps
from aecore.runs.train import Paused, Recording, Training, completed, train

if TYPE_CHECKING:
    from aecore.progress import Reporter
    from aecore.training import RunConfig

CHECKPOINT_EVERY = 20
"""Seconds of a trial that are lost at most, with an epoch, where its process is killed."""
Outcome = store.Run | InvalidRequest | None
"""The stored run, or why there is none; None for a trial that is left unfinished."""


@dataclass(frozen=True)
class TrainTrial(Training):
    """Train a trial of a sweep with one thread, from where it got to.

    Arguments
        number: of the trial in its sweep, from 1.
        until: epoch after which it is left unfinished; None for the last.
    """

    config: RunConfig
    name: str
    sweep: str
    number: int
    until: int | None = None

    @property
    def title(self) -> str:
        return f"Trial {self.number} of {self.sweep}"

    @property
    def files(self) -> Sequence[str]:
        plan = f"_sweeps/{self.sweep}/plan.json"
        return [*super().files, store.unfinished_folder(self.name), plan]

    @property
    def parallel(self) -> bool:
        return True

    @property
    def alike(self) -> Hashable:
        return self.sweep, self.until, training.architecture(self.config)

    def check(self) -> None:
        """Raise `InvalidRequest` if another process trains it, or the store takes no files."""
        locations.refuse_unwritable()
        store.refuse_held(self.name)

    def run(self, reporter: Reporter) -> store.Run | None:
        """Train; return the stored run, or None where it is left unfinished.

        Raises `training.Diverged`, and stores that as the end of the trial.
        """
        (outcome,) = self.run_together([self], [reporter])
        if isinstance(outcome, InvalidRequest):
            raise outcome
        return outcome

    @classmethod
    def run_together(
        cls, tasks: Sequence[TrainTrial], reporters: Sequence[Reporter]
    ) -> list[Outcome]:
        """Train trials of one architecture, as one stacked model where that is faster."""
        outcomes: dict[int, Outcome] = {}
        begun: dict[int, Recording] = {}
        with training.one_thread(), ExitStack() as places:
            for at, (task, reporter) in enumerate(zip(tasks, reporters, strict=True)):
                with task._ending(outcomes, at):
                    begun[at] = places.enter_context(task._recording(reporter))
            if (records := _stacked([*begun.values()])) is None:
                for at, recording in begun.items():
                    with tasks[at]._ending(outcomes, at):
                        outcomes[at] = completed(train(recording), recording.reporter)
                return [outcomes[at] for at in range(len(tasks))]
            for epoch in records:
                for at, record in zip(begun, epoch, strict=True):
                    if record is not None and at not in outcomes:
                        with tasks[at]._ending(outcomes, at):
                            begun[at].add(record)
                            if not isinstance(record, training.Diverged) and record.stopped:
                                run = begun[at].finish()
                                outcomes[at] = completed(run, begun[at].reporter)
                if len(outcomes) == len(tasks):
                    break
            for at in begun.keys() - outcomes.keys():
                with tasks[at]._ending(outcomes, at):
                    run = begun[at].finish()
                    outcomes[at] = completed(run, begun[at].reporter)
        return [outcomes[at] for at in range(len(tasks))]

    @contextmanager
    def _ending(self, outcomes: dict[int, Outcome], at: int) -> Iterator[None]:
        """Context that records how a trial ends within it."""
        try:
            yield
        except Paused:
            outcomes[at] = None
        except training.Diverged as error:
            plan = sweeps.load(self.sweep)
            sweeps.write_end(plan, self.number, sweeps.End(state="failed", reason=str(error)))
            outcomes[at] = error
        except InvalidRequest as error:
            outcomes[at] = error

    @contextmanager
    def _recording(self, reporter: Reporter) -> Iterator[Recording]:
        """Context of the reserved name, and of what is recorded of the training.

        A damaged checkpoint is discarded: a trial is no more than some epochs.
        """
        plan = sweeps.load(self.sweep)

        def recording(
            place: store.Reservation, checkpoint: training.Checkpoint | None
        ) -> Recording:
            return Recording(
                self.config,
                place,
                reporter,
                checkpoint,
                until=self.until,
                checkpoint_every=CHECKPOINT_EVERY,
                sweep=plan.name,
                parent=plan.parent,
            )

        if store.has_checkpoint(self.name):
            with store.reserve_unfinished(self.name) as place:
                try:
                    checkpoint = store.read_checkpoint(self.name)[1]
                except InvalidRequest:
                    place.discard()
                else:
                    yield recording(place, checkpoint)
                    return
        with store.reserve(self.name) as place:
            yield recording(place, None)


def _stacked(
    recordings: Sequence[Recording],
) -> Iterator[list[training.EpochRecord | training.Diverged | None]] | None:
    """Records of trainings as one stacked model; None where it is not faster, or not possible."""
    if len(recordings) < 2:
        return None
    checkpoints = [recording.checkpoint for recording in recordings]
    if len({each and each.progress["epochs_done"] for each in checkpoints}) > 1:
        return None

    def progress(what: str, done: float, total: float) -> None:
        for recording in recordings:
            recording.reporter.progress(what, done, total)

    try:
        return training.fit_stacked(
            [recording.config for recording in recordings],
            recordings[0].dataset,
            resume=checkpoints,
            progress=progress,
        )
    except training.Misfit:  # which the training of each alone says
        return None
