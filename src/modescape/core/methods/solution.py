"""Independent networks: the solution of each trajectory (Lakshminarayanan et al. 2017, arXiv 1612.01474).

Trajectories that were trained on bootstrap samples of the data make this bagging.
"""

from typing import final

from modescape.core.methods.abstract import Method
from modescape.core.settings import settings
from modescape.core.subspaces.abstract import Problem
from modescape.core.weights import Trajectory, Weights


@final
@settings
class Solution(Method):
    """One member an origin."""

    def around(self, trajectory: Trajectory, problem: Problem | None = None) -> Weights:
        """The solution, a stack of one."""
        return trajectory.solution
