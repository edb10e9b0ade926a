"""Training: configuration, presets, the loop and its checkpoints."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from aecore.training.config import (
    MOST_EPOCHS as MOST_EPOCHS,
    MOST_STACKED as MOST_STACKED,
    RunConfig as RunConfig,
    TrainingConfig as TrainingConfig,
    architecture as architecture,
    dataset_of as dataset_of,
    defaults as defaults,
    training_memory as training_memory,
)
from aecore.training.presets import PRESETS as PRESETS, preset as preset

if TYPE_CHECKING:
    from aecore.training.checkpoint import (
        Checkpoint as Checkpoint,
        Misfit as Misfit,
        best_of as best_of,
        weights as weights,
    )
    from aecore.training.loop import (
        BESIDE_OTHERS as BESIDE_OTHERS,
        Diverged as Diverged,
        EpochRecord as EpochRecord,
        Evaluation as Evaluation,
        Start as Start,
        build as build,
        evaluate as evaluate,
        fit as fit,
        has_bfloat16 as has_bfloat16,
        pick_device as pick_device,
    )
    from aecore.training.optimizers import OPTIMIZERS as OPTIMIZERS
    from aecore.training.stacked import fit_stacked as fit_stacked
    from aecore.training.threads import one_thread as one_thread

# Torch takes over a second to load, so what needs it is imported when it is first used.
HEAVY = {
    "Checkpoint": "aecore.training.checkpoint",
    "Misfit": "aecore.training.checkpoint",
    "best_of": "aecore.training.checkpoint",
    "weights": "aecore.training.checkpoint",
    "BESIDE_OTHERS": "aecore.training.loop",
    "Diverged": "aecore.training.loop",
    "EpochRecord": "aecore.training.loop",
    "Evaluation": "aecore.training.loop",
    "Start": "aecore.training.loop",
    "build": "aecore.training.loop",
    "evaluate": "aecore.training.loop",
    "fit": "aecore.training.loop",
    "has_bfloat16": "aecore.training.loop",
    "pick_device": "aecore.training.loop",
    "OPTIMIZERS": "aecore.training.optimizers",
    "fit_stacked": "aecore.training.stacked",
    "one_thread": "aecore.training.threads",
}


def __getattr__(name: str) -> Any:
    if name in HEAVY:
        return getattr(import_module(HEAVY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
