"""A polygonal chain with one bend between two solutions (Garipov et al. 2018, arXiv 1802.10026, equation 2)."""

from collections.abc import Sequence
from typing import final

import torch

from modescape.core.landscape.connectors.abstract import Connector, Fit, between, lowered
from modescape.core.landscape.connectors.descent import Descent, Problem, Slope
from modescape.core.landscape.connectors.path import Connection, Route
from modescape.core.settings import settings
from modescape.core.weights import Weights, stack


@final
@settings
class Polygon(Connector):
    """The bend starts at the midpoint and minimises the expected training loss at t ~ U(0, 1), half on each piece."""

    def gradients(self, descent: Descent) -> int:
        """One a step."""
        return descent.steps

    def moved(self, ends: Weights, problem: Problem) -> Fit:
        """See ``Connector``."""
        bend = yield from lowered(Slope(problem, ends), ends, between(ends, [0.5]), _shares)
        return Connection(stack([ends, bend]), (Route((0, 2, 1), (0.0, 0.5, 1.0)),))


def _shares(chance: torch.Generator) -> Sequence[float]:
    """What both ends and the bend count at a random t."""
    t = float(torch.rand((), generator=chance, dtype=torch.float64))
    return max(0.0, 1 - 2 * t), max(0.0, 2 * t - 1), 1 - abs(1 - 2 * t)
