"""PCA of random samples: a low-rank Gaussian fitted to random members around the solution (Fort et al. 2019, 4.1).

Random directions are drawn, those with a validation accuracy of at least ``keep.least`` are kept, and the axes are the
principal axes of the kept ones about their mean; text and figure of the paper say rank 4, the released notebook 5.
"""

from typing import final

import torch

from modescape.core.seeds import generator as named_generator
from modescape.core.settings import require, settings
from modescape.core.subspaces.abstract import Problem, Subspace, check_scales, each, scale_of
from modescape.core.subspaces.keep import Keep, attempts
from modescape.core.subspaces.low_rank_gaussian import AxisLength
from modescape.core.subspaces.principal import PrincipalAxes, principal_axes, step_along
from modescape.core.subspaces.random_direction import RandomDirection
from modescape.core.weights import Trajectory, Weights, stack


@final
@settings
class RandomPCA(Subspace):
    """``rank`` principal axes of ``samples`` members at random directions up to ``distance`` from the solution."""

    rank: int = 4
    samples: int = 30
    distance: float = 10.0
    keep: Keep = Keep()
    axes: AxisLength = "unit"
    plane_scale: float = 6.0

    def __post_init__(self) -> None:
        check_scales(self)
        require(self.rank >= 1, f"rank must be at least 1, got {self.rank}")
        require(self.samples > self.rank, f"samples must be above rank, got {self.samples} for rank {self.rank}")
        require(self.distance > 0, f"distance must be above 0, got {self.distance}")

    @property
    def needs_score(self) -> bool:
        """Keeping takes a validation score."""
        return self.keep.least is not None

    def fit(self, trajectory: Trajectory, problem: Problem | None = None) -> PrincipalAxes:
        """Draw, keep and reduce; the samples descend from the root seed and the trajectory's seed path."""
        chance = named_generator(problem.root if problem else 0, trajectory.seed_path, "random_pca")
        directions = RandomDirection(scale=self.distance)
        state = directions.fit(trajectory)
        score = problem.score if problem else None
        drawn = attempts(lambda: directions.draw(state, 1, chance), score, self.samples, self.keep, "random_pca")
        members = [attempt.member for attempt in drawn if attempt.kept]
        return principal_axes(stack(members), self.rank, f"random_pca ({len(members)} of {self.samples} samples kept)")

    def draw(self, state: PrincipalAxes, count: int, generator: torch.Generator) -> Weights:
        """Members in the affine span of the axes."""
        lengths = state.spread if self.axes == "spread" else torch.ones_like(state.spread)
        return each(count, lambda: step_along(state, scale_of(self, generator) * lengths, generator))
