"""Weight average: the mean of the weights of the last checkpoints, one network (Fort et al. 2019, 4.1; Izmailov 2018).

The paper averages the last ten epochs of an ordinary decaying schedule, which is not SWA's.
"""

from dataclasses import dataclass
from typing import final

import torch

from modescape.core.settings import require, settings
from modescape.core.subspaces.abstract import Problem, Subspace, check_scales, each, late, mean_of, moved, scale_of
from modescape.core.weights import Trajectory, Weights


@dataclass(frozen=True)
class Average:
    """The solution and the mean, each a stack of one."""

    solution: Weights
    mean: Weights


@final
@settings
class WeightAverage(Subspace):
    """The point at ``scale`` on the line from the solution (0) to the mean of the ``last`` checkpoints (1)."""

    last: int = 10
    plane_scale: float = 1.0

    def __post_init__(self) -> None:
        check_scales(self)
        require(self.last >= 2, f"last must be at least 2 checkpoints, got {self.last}")

    @property
    def checkpoints_needed(self) -> int:
        """As many as are averaged."""
        return self.last

    def fit(self, trajectory: Trajectory, problem: Problem | None = None) -> Average:
        """The solution and the mean."""
        return Average(trajectory.solution, mean_of(late(trajectory, self.last, 2, "weight_average")))

    def draw(self, state: Average, count: int, generator: torch.Generator) -> Weights:
        """The same member ``count`` times, unless scales are uniform."""

        def member() -> Weights:
            scale = scale_of(self, generator)
            return moved(state.solution, lambda name, tensor: scale * (state.mean.params[name] - tensor))

        return each(count, member)
