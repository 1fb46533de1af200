"""A Gaussian on the principal axes of recent weights: mu + scale * sum_i z_i v_i, z_i ~ N(0, 1) (Fort et al. 2019).

The released notebook takes axes v_i of unit norm and no eigenvalues: ``axes = "unit"``. ``axes = "spread"`` multiplies
each by the standard deviation of the checkpoints along it, which is a Gaussian fitted to them. Neither is SWAG.
"""

from typing import Literal, final

import torch

from modescape.core.settings import require, settings
from modescape.core.subspaces.abstract import Problem, Subspace, check_scales, each, late, scale_of
from modescape.core.subspaces.principal import PrincipalAxes, principal_axes, step_along
from modescape.core.weights import Trajectory, Weights

AxisLength = Literal["unit", "spread"]


@final
@settings
class LowRankGaussian(Subspace):
    """``rank`` principal axes of the ``last`` checkpoints about their mean."""

    rank: int = 5
    last: int = 10
    axes: AxisLength = "unit"
    plane_scale: float = 6.0

    def __post_init__(self) -> None:
        check_scales(self)
        require(self.rank >= 1, f"rank must be at least 1, got {self.rank}")
        require(
            self.last > self.rank, f"last must be above rank: {self.last} checkpoints span {self.last - 1} axes at most"
        )

    @property
    def checkpoints_needed(self) -> int:
        """As many as the axes are fitted to."""
        return self.last

    def fit(self, trajectory: Trajectory, problem: Problem | None = None) -> PrincipalAxes:
        """Mean and principal axes of the last checkpoints."""
        return principal_axes(
            late(trajectory, self.last, self.rank + 1, "low_rank_gaussian"), self.rank, "low_rank_gaussian"
        )

    def draw(self, state: PrincipalAxes, count: int, generator: torch.Generator) -> Weights:
        """Members in the affine span of the axes."""
        lengths = state.spread if self.axes == "spread" else torch.ones_like(state.spread)
        return each(count, lambda: step_along(state, scale_of(self, generator) * lengths, generator))
