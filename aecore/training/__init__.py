"""Training: configuration, presets, the loop and its checkpoints."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from aecore.training.config import RunConfig as RunConfig
from aecore.training.config import TrainingConfig as TrainingConfig
from aecore.training.config import dataset_of as dataset_of
from aecore.training.config import defaults as defaults
from aecore.training.config import training_memory as training_memory
from aecore.training.presets import PRESETS as PRESETS
from aecore.training.presets import preset as preset

if TYPE_CHECKING:
    from aecore.training.checkpoint import Checkpoint as Checkpoint
    from aecore.training.checkpoint import Misfit as Misfit
    from aecore.training.checkpoint import weights as weights
    from aecore.training.loop import BESIDE_OTHERS as BESIDE_OTHERS
    from aecore.training.loop import Diverged as Diverged
    from aecore.training.loop import EpochRecord as EpochRecord
    from aecore.training.loop import Evaluation as Evaluation
    from aecore.training.loop import build as build
    from aecore.training.loop import evaluate as evaluate
    from aecore.training.loop import fit as fit
    from aecore.training.loop import has_bfloat16 as has_bfloat16
    from aecore.training.loop import pick_device as pick_device
    from aecore.training.optimizers import OPTIMIZERS as OPTIMIZERS

# Torch takes over a second to load, so what needs it is imported when it is first used.
HEAVY = {
    "Checkpoint": "aecore.training.checkpoint",
    "Misfit": "aecore.training.checkpoint",
    "weights": "aecore.training.checkpoint",
    "BESIDE_OTHERS": "aecore.training.loop",
    "Diverged": "aecore.training.loop",
    "EpochRecord": "aecore.training.loop",
    "Evaluation": "aecore.training.loop",
    "build": "aecore.training.loop",
    "evaluate": "aecore.training.loop",
    "fit": "aecore.training.loop",
    "has_bfloat16": "aecore.training.loop",
    "pick_device": "aecore.training.loop",
    "OPTIMIZERS": "aecore.training.optimizers",
}


def __getattr__(name: str) -> Any:
    if name in HEAVY:
        return getattr(import_module(HEAVY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
