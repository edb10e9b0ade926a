"""Registry of variants: one module a family, one class a variant."""

from __future__ import annotations

# Importing a family enters its members into the registry.
from aecore.models.variants import classical, convolutional, discrete, variational  # noqa: F401
from aecore.models.variants.base import VARIANTS as VARIANTS
from aecore.models.variants.base import Activation as Activation
from aecore.models.variants.base import Capabilities as Capabilities
from aecore.models.variants.base import CodeActivation as CodeActivation
from aecore.models.variants.base import Initialization as Initialization
from aecore.models.variants.base import LikelihoodName as LikelihoodName
from aecore.models.variants.base import Noise as Noise
from aecore.models.variants.base import Variant as Variant
