"""A connector finds paths of low training loss between solutions."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence

import torch
from torch import Tensor

from modescape.core.landscape.checks import require_alike
from modescape.core.landscape.connectors.descent import SLICE, Descent, Moving, Problem, Slope, row_of
from modescape.core.landscape.connectors.path import Connection, Path
from modescape.core.seeds import generator
from modescape.core.settings import require, settings
from modescape.core.weights import Weights, stack

Fit = Generator[int, None, Connection]
"""Yields gradients computed, returns what was found."""


@settings
class Connector(ABC):
    """Settings of a connector; a concrete one adds its own fields.

    The result of a fit depends on the settings, the ends and the problem alone: the same seed gives the same bytes.
    """

    @property
    def joins_many(self) -> bool:
        """Whether it joins any number of ends at once; otherwise two."""
        return False

    @abstractmethod
    def gradients(self, descent: Descent) -> int:
        """How many gradients of a batch a fit takes: what it costs."""

    @abstractmethod
    def moved(self, ends: Weights, problem: Problem) -> Fit:
        """``fit``, of ends that were checked."""

    def fit(self, ends: Weights, problem: Problem) -> Fit:
        """Join the ends (a stack of solutions): control points and a path for every pair of ends, which stay exact.

        Yields gradients computed. Raises ``ValueError`` for ends that cannot be joined or do not fit the network,
        ``NetworkError`` for a network that is no function of its weights, ``MemberFailed`` if the loss diverges.
        """
        allowed = len(ends) >= 2 if self.joins_many else len(ends) == 2
        name, wanted = type(self).__name__, "two solutions or more" if self.joins_many else "two solutions"
        require(allowed, f"{name} joins {wanted}, got {len(ends)}")
        for key, tensor in ends.params.items():
            require(bool(tensor.isfinite().all()), f"{name} cannot join solutions that are not finite in {key}")
        for second in range(1, len(ends)):
            for first in range(second):
                different = any(not torch.equal(t[first], t[second]) for t in ends.params.values())
                require(different, f"{name} cannot join solutions {first} and {second}: they are the same point")
        return (yield from self.moved(ends, problem))


def ends_of(solutions: Sequence[Weights]) -> Weights:
    """Solutions (stacks of one) as the ends of a connector. Raises ``ValueError`` for different architectures."""
    require(len(solutions) > 0, "there are no solutions to join")
    for other in solutions[1:]:
        require_alike(solutions[0].params, other.params, "solutions")
        require_alike(solutions[0].buffers, other.buffers, "solutions")
    return stack(solutions)


def between(ends: Weights, shares: Sequence[float]) -> Weights:
    """Points of the straight line between two ends, with the buffers of the nearer."""
    return Path(ends, (0.0, 1.0)).at(torch.tensor(shares, dtype=torch.float64))


def lowered(
    slope: Slope,
    fixed: Weights,
    start: Weights,
    coefficients: Callable[[torch.Generator], Sequence[float]],
    hold: Callable[[list[Tensor]], None] | None = None,
) -> Generator[int, None, Weights]:
    """Move one point so that the expected training loss of a random mix of it and fixed points falls.

    ``coefficients`` draws those of a step's mix, the moved point's last. ``hold`` is called with the point after every
    step and may put it back where it is allowed to be.
    """
    problem = slope.problem
    moving, steps = Moving(start, problem.descent), problem.descent.steps
    chance = generator(problem.root, *problem.chance, "mix")
    rows = [row_of(fixed, row) for row in range(len(fixed))]
    point, waiting = moving.at(0), 0
    for step in range(steps):
        *shares, own = coefficients(chance)
        mixed = [own * tensor for tensor in point]
        for share, row in zip(shares, rows, strict=True):
            if share:
                torch._foreach_add_(mixed, row, alpha=share)
        _, gradient = slope.gradient(mixed, next(slope.batches), step)
        torch._foreach_mul_(gradient, own)
        moving.step([gradient], step, steps)
        if hold is not None:
            hold(point)
        waiting += 1
        if waiting == SLICE or step == steps - 1:
            yield waiting
            waiting = 0
    return moving.weights


def fitted(connector: Connector, ends: Weights, problem: Problem) -> Connection:
    """What the connector finds, on the calling thread; see ``Connector.fit``."""
    work = connector.fit(ends, problem)
    while True:
        try:
            next(work)
        except StopIteration as stop:
            found: Connection = stop.value
            return found
