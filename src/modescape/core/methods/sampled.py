"""Samples of a subspace around each solution: of one solution, or with several the product of both.

A weight average is one sample of the subspace ``weight_average``, whose members are all the same.
"""

import itertools
from collections.abc import Iterator
from dataclasses import field
from typing import final

from modescape.core.methods.abstract import Method
from modescape.core.seeds import generator
from modescape.core.settings import require, settings
from modescape.core.subspaces.abstract import Problem, Subspace
from modescape.core.subspaces.keep import Attempt, Keep, attempts
from modescape.core.subspaces.weight_average import WeightAverage
from modescape.core.weights import Trajectory, Weights, stack


@final
@settings
class Sampled(Method):
    """``count`` members of a subspace, those that ``keep`` lets pass.

    Every member has a generator of its own, named by the trajectory's seed path and by ``purpose``: the first ten of
    twenty are the ten.
    """

    subspace: Subspace = field(default_factory=WeightAverage)
    count: int = 1
    keep: Keep = Keep()
    purpose: str = "ensemble"

    def __post_init__(self) -> None:
        require(self.count >= 1, f"count must be at least 1 member, got {self.count}")

    def attempts(self, trajectory: Trajectory, problem: Problem | None = None) -> Iterator[Attempt]:
        """Fit, then every member as it is drawn, kept or not. Raises ``ValueError`` at the end if none was kept."""
        state = self.subspace.fit(trajectory, problem)
        root, name = problem.root if problem else 0, type(self.subspace).__name__
        places = itertools.count()

        def draw() -> Weights:
            chance = generator(root, trajectory.seed_path, "method", name, self.purpose, next(places))
            return self.subspace.draw(state, 1, chance)

        score = problem.score if problem else None
        yield from attempts(draw, score, self.count, self.keep, f"{name} around {trajectory.seed_path}")

    def around(self, trajectory: Trajectory, problem: Problem | None = None) -> Weights:
        """The members that were kept."""
        return stack([attempt.member for attempt in self.attempts(trajectory, problem) if attempt.kept])
