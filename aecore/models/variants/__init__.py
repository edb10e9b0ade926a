"""Registry of variants: one module a family, one class a variant."""

from __future__ import annotations

# Importing a family enters its variants into the registry, in this order.
# isort: off
from aecore.models.variants import classical as classical
from aecore.models.variants import convolutional as convolutional
from aecore.models.variants import variational as variational
from aecore.models.variants import discrete as discrete

# isort: on
from aecore.models.variants.base import (
    VARIANTS as VARIANTS,
    Activation as Activation,
    Capabilities as Capabilities,
    CodeActivation as CodeActivation,
    Initialization as Initialization,
    LikelihoodName as LikelihoodName,
    Noise as Noise,
    Variant as Variant,
)
from aecore.models.variants.imported import Imported as Imported, kind_of as kind_of
