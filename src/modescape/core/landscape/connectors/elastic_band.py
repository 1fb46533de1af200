"""The nudged elastic band, to which pivots are added where the loss between pivots is highest (AutoNEB).

Draxler et al. 2018 (arXiv 1803.00885): every pivot follows the loss's force across the path, and springs keep pivots
apart along it. The tangent at a pivot points to the neighbour with the higher loss. Their springs are infinitely stiff:
pivots are spread evenly over the path before every step. Here it is done after every step, whole or in part. Springs of
finite strength that pull along the tangent, as for molecules, lengthen a path of sharp bends without end.
"""

from itertools import pairwise
from typing import final

import torch
from torch import Tensor

from modescape.core.landscape.connectors.abstract import Connector, Fit, between
from modescape.core.landscape.connectors.descent import (
    SLICE,
    Batch,
    Descent,
    Moving,
    Problem,
    Slope,
    Tensors,
    apart,
    inner,
    row_of,
)
from modescape.core.landscape.connectors.path import Connection, Path, Route
from modescape.core.settings import require, settings
from modescape.core.weights import Weights, stack


@final
@settings
class ElasticBand(Connector):
    """``pivots`` at equal distances on the straight line at first; the steps fall into ``cycles``.

    After each cycle but the last, ``insertions`` pivots are added, each in another piece, where the loss exceeds most
    the straight line between the losses of the piece's ends, at ``looks`` places inside every piece. ``spring`` is
    the share of its way to an even place on the path that a pivot goes after each step: 1 is theirs, 0 is no spring.
    """

    pivots: int = 3
    cycles: int = 3
    insertions: int = 1
    looks: int = 3
    spring: float = 1.0

    def __post_init__(self) -> None:
        for name, least in (("pivots", 1), ("cycles", 1), ("insertions", 0), ("looks", 1)):
            require(getattr(self, name) >= least, f"{name} must be at least {least}, got {getattr(self, name)}")
        require(0 <= self.spring <= 1, f"spring must lie in [0, 1], got {self.spring}")

    def gradients(self, descent: Descent) -> int:
        """One a step for every pivot that there is."""
        return sum(self._count(cycle) * steps for cycle, steps in enumerate(self._steps(descent)))

    def _count(self, cycle: int) -> int:
        """Pivots of a cycle: no piece is given more than one at a time."""
        count = self.pivots
        for _ in range(cycle):
            count += min(self.insertions, count + 1)
        return count

    def _steps(self, descent: Descent) -> list[int]:
        """Steps of each cycle, the first ones longer where they cannot be equal."""
        each, more = divmod(descent.steps, self.cycles)
        return [each + (cycle < more) for cycle in range(self.cycles)]

    def moved(self, ends: Weights, problem: Problem) -> Fit:
        """See ``Connector``."""
        slope = Slope(problem, ends)
        sample, count = slope.sample(), self.pivots + 1
        at_ends = slope.loss(row_of(ends, 0), sample), slope.loss(row_of(ends, 1), sample)
        pivots, first = between(ends, [place / count for place in range(1, count)]), 0
        for cycle, steps in enumerate(self._steps(problem.descent)):
            if cycle and self.insertions:
                pivots = self._with_more(slope, band_of(ends, pivots), sample)
            band = _Band(slope, ends, Moving(pivots, problem.descent), at_ends)
            waiting = 0
            for step in range(steps):
                band.step(step, steps, first, self.spring)
                waiting += len(pivots)
                if waiting >= SLICE or step == steps - 1:
                    yield waiting
                    waiting = 0
            pivots, first = band.moving.weights, first + steps
        path = band_of(ends, pivots)
        through = (0, *range(2, len(pivots) + 2), 1)
        return Connection(stack([ends, pivots]), (Route(through, path.knots),))

    def _with_more(self, slope: Slope, path: Path, sample: Batch) -> Weights:
        """The pivots of a path and those that are added."""
        knots = torch.tensor(path.knots, dtype=torch.float64)
        shares = torch.arange(self.looks + 2, dtype=torch.float64)[:-1] / (self.looks + 1)
        inside = knots[:-1, None] + shares * knots.diff()[:, None]
        places = torch.cat([inside.flatten(), knots[-1:]])
        losses = torch.tensor([slope.loss(row_of(path.at(t[None]), 0), sample) for t in places], dtype=torch.float64)
        starts, ends = losses[:-1].reshape(inside.shape)[:, 0], losses[:: self.looks + 1][1:]
        excess = losses[:-1].reshape(inside.shape) - torch.lerp(starts[:, None], ends[:, None], shares)
        best, place = excess[:, 1:].max(dim=1)
        pieces = best.argsort(descending=True, stable=True)[: self.insertions]
        added = inside[pieces, place[pieces] + 1]
        return path.at(torch.cat([knots[1:-1], added]).sort().values)


def band_of(ends: Weights, pivots: Weights) -> Path:
    """The path from end to end through the pivots, with knots at equal speed."""
    controls = stack([ends[0], pivots, ends[1]])
    rows = [row_of(controls, row) for row in range(len(controls))]
    ways = [apart(after, before) for before, after in pairwise(rows)]
    lengths = torch.tensor([inner(way, way) for way in ways], dtype=torch.float64).sqrt()
    knots = (lengths.cumsum(0) / lengths.sum()).tolist()
    return Path(controls, (0.0, *knots[:-1], 1.0))


class _Band:
    """Pivots between two steps."""

    def __init__(self, slope: Slope, ends: Weights, moving: Moving, at_ends: tuple[float, float]) -> None:
        self.slope, self.moving, self.at_ends = slope, moving, at_ends
        self.first, self.last = row_of(ends, 0), row_of(ends, 1)
        self.pivots: list[list[Tensor]] = [moving.at(row) for row in range(len(moving.points))]

    def step(self, number: int, steps: int, before: int, spring: float) -> None:
        """Move all pivots once, on one batch: across the path by the loss, along it by the springs."""
        batch = next(self.slope.batches)
        found = [self.slope.gradient(pivot, batch, before + number) for pivot in self.pivots]
        losses = [self.at_ends[0], *(loss for loss, _ in found), self.at_ends[1]]
        tangents = self._tangents(losses)
        across = [_across(gradient, tangent) for (_, gradient), tangent in zip(found, tangents, strict=True)]
        self.moving.step(across, number, steps)
        if spring:
            self._spread(spring)

    def _spread(self, spring: float) -> None:
        """Move pivots along the path towards even distances."""
        ways, rows = self._ways(), [self.first, *self.pivots]
        lengths = torch.tensor([inner(way, way) for way in ways], dtype=torch.float64).sqrt()
        stops = torch.cat([torch.zeros(1, dtype=torch.float64), lengths.cumsum(0)])
        wanted = stops[-1] * torch.arange(1, len(ways), dtype=torch.float64) / len(ways)
        pieces = (torch.searchsorted(stops, wanted, right=True) - 1).clamp(0, len(ways) - 1)
        shares = ((wanted - stops[pieces]) / lengths[pieces]).nan_to_num(0.0)
        # All places are found before the first pivot moves.
        even = [
            [start.double() + share * way for start, way in zip(rows[piece], ways[piece], strict=True)]
            for piece, share in zip(pieces.tolist(), shares.tolist(), strict=True)
        ]
        for pivot, place in zip(self.pivots, even, strict=True):
            for tensor, goal in zip(pivot, place, strict=True):
                tensor.copy_(torch.lerp(tensor.double(), goal, spring))

    def _ways(self) -> list[list[Tensor]]:
        rows = [self.first, *self.pivots, self.last]
        return [apart(after, before) for before, after in pairwise(rows)]

    def _tangents(self, losses: list[float]) -> list[list[Tensor]]:
        """Unit vectors along the path at every pivot, towards the neighbour whose loss is higher."""
        ways, found = self._ways(), []
        for place in range(1, len(losses) - 1):
            way = ways[place] if losses[place + 1] > losses[place - 1] else ways[place - 1]
            # Two pivots in one place have no way between them, and no direction that the force must spare.
            length = inner(way, way) ** 0.5 or 1.0
            found.append([tensor / length for tensor in way])
        return found


def _across(gradient: Tensors, tangent: Tensors) -> list[Tensor]:
    """The part of a gradient that is orthogonal to the path."""
    along = inner(gradient, tangent)
    return [(own.double() - along * way).to(own) for own, way in zip(gradient, tangent, strict=True)]
