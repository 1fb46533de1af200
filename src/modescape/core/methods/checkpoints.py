"""Several checkpoints of one training: late ones, or those at the ends of the cycles of a cyclical rate.

The newest comes first: it is the solution.
"""

from typing import final

from modescape.core.methods.abstract import Method
from modescape.core.settings import require, settings
from modescape.core.subspaces.abstract import Problem, late
from modescape.core.weights import Trajectory, Weights


@final
@settings
class LateCheckpoints(Method):
    """The last ``count`` checkpoints of an ordinary training (the trajectory of Fort et al. 2019, figure 9)."""

    count: int = 10

    def __post_init__(self) -> None:
        require(self.count >= 1, f"count must be at least 1 checkpoint, got {self.count}")

    def around(self, trajectory: Trajectory, problem: Problem | None = None) -> Weights:
        """The checkpoints, the newest first."""
        return late(trajectory, self.count, 1, "late_checkpoints")[::-1]


@final
@settings
class CycleEnds(Method):
    """Snapshots: the checkpoints at the ends of ``cycles`` equal cycles (Huang et al. 2017, arXiv 1704.00109).

    The trajectory must come from a training whose rate fell to zero once in each cycle (schedule ``cyclical``).
    """

    cycles: int = 5

    def __post_init__(self) -> None:
        require(self.cycles >= 1, f"cycles must be at least 1, got {self.cycles}")

    def around(self, trajectory: Trajectory, problem: Problem | None = None) -> Weights:
        """The checkpoints, the newest first. Raises ``ValueError`` if a cycle ended where none was recorded."""
        total = trajectory.steps[-1]
        ends = [total * cycle / self.cycles for cycle in range(self.cycles, 0, -1)]
        missing = [end for end in ends if end not in trajectory.steps]
        require(
            not missing,
            f"snapshot: {trajectory.seed_path} has no checkpoint at step {missing[0] if missing else 0:g}, the end of "
            f"one of {self.cycles} cycles; choose cycles that divide the epochs, and a checkpoint each epoch",
        )
        return trajectory.weights[[trajectory.steps.index(int(end)) for end in ends]]
