"""The straight line between two solutions: what every other connector is compared with."""

from typing import final

from modescape.core.landscape.connectors.abstract import Connector, Fit
from modescape.core.landscape.connectors.descent import Descent, Problem, Slope
from modescape.core.landscape.connectors.path import Connection, Route
from modescape.core.settings import settings
from modescape.core.weights import Weights


@final
@settings
class Straight(Connector):
    """Nothing is moved."""

    def gradients(self, descent: Descent) -> int:
        """None."""
        return 0

    def moved(self, ends: Weights, problem: Problem) -> Fit:
        """See ``Connector``; the network is checked all the same."""
        Slope(problem, ends)
        yield from ()
        return Connection(ends, (Route((0, 1), (0.0, 1.0)),))
