"""Several solutions joined through one point, so that every two of them are (Fort & Jastrzebski 2019; Benton 2021).

Those works find low-loss sets that hold several solutions: wedges that meet (arXiv 1906.04724), and simplexes whose
vertices are solutions and shared, optimised points (arXiv 2102.13042). This is the least of them: the one-dimensional
skeleton of simplexes that share one vertex. The shared point, the hub, minimises the training loss expected at a point
that is uniform on a leg that is uniform among the legs from every solution to the hub.
"""

from collections.abc import Sequence
from functools import partial
from itertools import combinations
from typing import final

import torch

from modescape.core.landscape.connectors.abstract import Connector, Fit, lowered
from modescape.core.landscape.connectors.descent import Descent, Problem, Slope
from modescape.core.landscape.connectors.path import Connection, Route
from modescape.core.settings import settings
from modescape.core.weights import Weights, stack


@final
@settings
class Star(Connector):
    """The hub starts at the mean of all ends; the path between two of them bends there. Of two ends it is a polygon."""

    @property
    def joins_many(self) -> bool:
        """It does."""
        return True

    def gradients(self, descent: Descent) -> int:
        """One a step."""
        return descent.steps

    def moved(self, ends: Weights, problem: Problem) -> Fit:
        """See ``Connector``."""
        count = len(ends)
        means = {name: t.double().mean(dim=0, keepdim=True).to(t) for name, t in ends.params.items()}
        centre = Weights(means, {name: t[:1] for name, t in ends.buffers.items()}, ends.origin[:1])
        hub = yield from lowered(Slope(problem, ends), ends, centre, partial(_shares, count))
        routes = [Route((first, count, second), (0.0, 0.5, 1.0)) for first, second in combinations(range(count), 2)]
        return Connection(stack([ends, hub]), tuple(routes))


def _shares(count: int, chance: torch.Generator) -> Sequence[float]:
    """What so many ends and the hub count at a random place of a random leg."""
    leg = int(torch.randint(count, (), generator=chance))
    t = float(torch.rand((), generator=chance, dtype=torch.float64))
    return [1 - t if end == leg else 0.0 for end in range(count)] + [t]
