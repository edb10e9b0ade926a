"""Early stopping and further training of a run, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aecore.training.history import loss_of

if TYPE_CHECKING:
    from aecore.runs.store import Run

RATES = {
    "one-cycle": "one more cycle of the learning rate up to",
    "constant": "a constant learning rate of",
}


def best_epoch(history: Sequence[Mapping[str, Any]]) -> int | None:
    """Epoch with the smallest loss on the validation part; None where there is no such part."""
    if not history or not all(entry.get("validation") for entry in history):
        return None
    return int(min(history, key=loss_of)["epoch"])


def in_words(run: Run) -> str:
    """Sentences: which epoch is stored, why training ended, what it went on from; perhaps none."""
    manifest, settings = run.manifest, run.config.training
    said, epochs = [], _epochs(run.epochs or 0)
    if manifest.continues:
        said.append(
            f"It goes on from '{manifest.continues}' after {_epochs(manifest.epochs_before)}, with "
            f"new moments of the optimiser and {RATES[settings.schedule]} "
            f"{settings.learning_rate:g}."
        )
    if manifest.best_epoch:
        said.append(
            f"The weights are those of epoch {manifest.best_epoch}, the best on the validation "
            f"part ({settings.validation:.0%} of the training split)."
        )
        if manifest.ended == "patience":
            said.append(
                f"Training stopped early, after {epochs} of {settings.epochs}: the last "
                f"{settings.patience} brought no better one."
            )
        else:
            said.append(f"All {epochs} were trained.")
    return " ".join(said)


def _epochs(n: int) -> str:
    return f"{n:,} epoch{'s' * (n != 1)}"
