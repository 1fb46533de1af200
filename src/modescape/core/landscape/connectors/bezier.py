"""A quadratic Bezier curve between two solutions (Garipov et al. 2018, arXiv 1802.10026, equation 3)."""

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
class Bezier(Connector):
    """Its middle control point starts at the midpoint and minimises the expected training loss at t ~ U(0, 1).

    One t is drawn for each batch, as there.
    """

    def gradients(self, descent: Descent) -> int:
        """One a step."""
        return descent.steps

    def moved(self, ends: Weights, problem: Problem) -> Fit:
        """See ``Connector``."""
        bend = yield from lowered(Slope(problem, ends), ends, between(ends, [0.5]), _shares)
        return Connection(stack([ends, bend]), (Route((0, 2, 1), (0.0, 0.5, 1.0), "bezier"),))


def _shares(chance: torch.Generator) -> Sequence[float]:
    """What both ends and the middle count at a random t."""
    t = float(torch.rand((), generator=chance, dtype=torch.float64))
    return (1 - t) ** 2, t**2, 2 * t * (1 - t)
