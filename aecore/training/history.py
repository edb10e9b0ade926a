"""History of a training: one entry per epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def history_entry(record: Any) -> dict[str, Any]:
    """History entry of an epoch, as JSON."""
    return {
        "epoch": record.epoch,
        "train": record.train,
        "test": record.test.terms,
        "test_mse": float(record.test.mse.mean()),
        "learning_rate": record.learning_rate,
        "seconds": record.seconds,
        "samples_per_second": record.samples_per_second,
        "facts": record.test.facts,
        **({"validation": record.validation} if record.validation else {}),
    }


def loss_of(entry: Mapping[str, Any]) -> float:
    """Loss by which an epoch is compared: on the validation part, or else on the test split."""
    return entry.get("validation", entry["test"])["total"]


def facts_in_words(entry: dict[str, Any]) -> str:
    """Format the facts of a history entry, losses excluded; "" if there are none.

    >>> facts_in_words({"epoch": 3, "facts": {"kl_weight": 0.5, "codebook_dead": 12}})
    'kl_weight 0.5  codebook_dead 12'
    """
    # Runs of earlier versions have no facts.
    return "  ".join(f"{name} {value:.4g}" for name, value in entry.get("facts", {}).items())
