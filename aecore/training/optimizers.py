"""Optimisers and learning rate schedules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from aecore.training.config import TrainingConfig


@dataclass(frozen=True)
class Optimizer:
    """An optimiser class of torch, and its changed defaults."""

    kind: Callable[..., torch.optim.Optimizer]
    options: Mapping[str, Any]
    cycles_momentum: bool
    """Whether the one-cycle schedule lowers its momentum while the rate is high."""


OPTIMIZERS = {
    # Kingma & Ba 2015; Loshchilov & Hutter 2019
    "adam": Optimizer(torch.optim.Adam, {"fused": True}, True),
    "adamw": Optimizer(torch.optim.AdamW, {"fused": True}, True),
    "sgd": Optimizer(torch.optim.SGD, {"fused": True, "momentum": 0.9}, True),
    # Zeiler 2012; Tieleman & Hinton 2012
    "adadelta": Optimizer(torch.optim.Adadelta, {}, False),
    "rmsprop": Optimizer(torch.optim.RMSprop, {"alpha": 0.9}, False),
}


def _schedule(
    settings: TrainingConfig, optimizer: torch.optim.Optimizer, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    if settings.schedule == "constant":
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1)
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        settings.learning_rate,
        total_steps=steps,
        cycle_momentum=OPTIMIZERS[settings.optimizer].cycles_momentum,
    )
