"""Presets that fit a dataset and variant."""

from __future__ import annotations

from aecore.training import PRESETS

DEFAULTS = "defaults"


def presets_for(dataset: str, variant: str) -> list[str]:
    """Names of the presets of a dataset and variant, and of the defaults."""
    fitting = [p.name for p in PRESETS.values() if (p.dataset, p.variant) == (dataset, variant)]
    return [*fitting, DEFAULTS]


def preset_titles(dataset: str, variant: str) -> dict[str, str]:
    """Title of each of them by its name."""
    return {
        name: PRESETS[name].title if name in PRESETS else "Defaults"
        for name in presets_for(dataset, variant)
    }
