"""The paper's connector: points of the straight line, moved to low loss and joined (Fort et al. 2019, appendix A).

The text of the appendix is not recovered; its cartoon shows three interior points and four pieces. So the procedure is
ours. Every point moves in the hyperplane through its starting point orthogonal to the straight line: by the steps of an
optimiser, after each of which it is put back onto the hyperplane. Points cannot slide down to one end, and keep their
order. All of them see the same batches. Nothing lowers the loss *between* two points.
"""

from typing import final

from torch import Tensor

from modescape.core.landscape.connectors.abstract import Connector, Fit, between, lowered
from modescape.core.landscape.connectors.descent import Descent, Problem, Slope, Tensors, apart, inner, row_of
from modescape.core.landscape.connectors.path import Connection, Route
from modescape.core.settings import require, settings
from modescape.core.weights import Weights, stack


@final
@settings
class Bent(Connector):
    """``interior`` points at equal distances on the straight line, and so one more piece than points."""

    interior: int = 3

    def __post_init__(self) -> None:
        require(self.interior >= 1, f"interior must be at least 1 point, got {self.interior}")

    def gradients(self, descent: Descent) -> int:
        """One a step for every point."""
        return self.interior * descent.steps

    def moved(self, ends: Weights, problem: Problem) -> Fit:
        """See ``Connector``."""
        count = self.interior + 1
        shares = [place / count for place in range(1, count)]
        starts, along = between(ends, shares), apart(row_of(ends, 1), row_of(ends, 0))
        points = []
        for row in range(self.interior):
            begun = starts[row]
            wall = Wall(row_of(begun, 0), along)
            # A slope of its own begins with the first batch again.
            point = yield from lowered(Slope(problem, ends), ends[[]], begun, lambda _: [1.0], wall.hold)
            points.append(point)
        through = (0, *range(2, count + 1), 1)
        return Connection(stack([ends, *points]), (Route(through, (0.0, *shares, 1.0)),))


class Wall:
    """The hyperplane through a point orthogonal to a direction."""

    def __init__(self, foot: Tensors, normal: Tensors) -> None:
        self.foot, self.normal = [tensor.clone() for tensor in foot], normal
        self.squared = inner(normal, normal)

    def hold(self, point: list[Tensor]) -> None:
        """Put a point back onto the hyperplane by the shortest way, in place."""
        off = inner(apart(point, self.foot), self.normal) / self.squared
        for tensor, normal in zip(point, self.normal, strict=True):
            tensor.copy_(tensor.double() - off * normal)
