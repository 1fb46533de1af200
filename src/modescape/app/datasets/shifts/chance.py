"""Random numbers of one named seed path, as arrays."""

import numpy as np
import torch

from modescape.app.datasets.shifts.array import Array, Whole
from modescape.core import seeds


class Chance:
    """Draws one after another from ``core.seeds.generator(root, *path)``."""

    def __init__(self, root: int, *path: str | int) -> None:
        self._generator = seeds.generator(root, *path)

    def normal(self, *shape: int) -> Array:
        """Standard normal numbers, float32."""
        drawn: Array = torch.randn(shape, generator=self._generator).numpy()
        return drawn

    def uniform(self, low: float, high: float, *shape: int) -> Array:
        """Uniform numbers in [low, high), float32."""
        drawn: Array = torch.rand(shape, generator=self._generator).numpy()
        return drawn * np.float32(high - low) + np.float32(low)

    def whole(self, low: int, high: int, *shape: int) -> Whole:
        """Whole numbers from ``low`` to ``high - 1``, all equally likely, int64."""
        drawn: Whole = torch.randint(low, high, shape, generator=self._generator).numpy()
        return drawn

    def poisson(self, means: Array) -> Array:
        """Poisson numbers with these means, float32."""
        rates = torch.from_numpy(np.ascontiguousarray(means, np.float32))
        drawn: Array = torch.poisson(rates, generator=self._generator).numpy()
        return drawn
