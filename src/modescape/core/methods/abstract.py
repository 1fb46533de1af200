"""A method is a function from trajectories to a stack of weights, each member labelled with its origin.

The ensemble's prediction is the mean of the members' probabilities, first within an origin, then across origins
(``methods.summary``). What a method makes of several solutions is what it makes of each, side by side: so every method
is the product of independent solutions and of what it draws around one of them (with SWAG, that is MultiSWAG: Wilson
and Izmailov 2020, arXiv 2002.08791).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from modescape.core.settings import require, settings
from modescape.core.subspaces.abstract import Problem
from modescape.core.weights import Trajectory, Weights, stack


@settings
class Method(ABC):
    """Hyper-parameters of a method; a concrete one adds its own fields."""

    @abstractmethod
    def around(self, trajectory: Trajectory, problem: Problem | None = None) -> Weights:
        """The members that descend from one trajectory; the first ``n`` of them are its ensemble of ``n``.

        Raises ``ValueError`` if the trajectory does not suffice, or the method needs a problem and has none.
        """

    def members(self, trajectories: Sequence[Trajectory], problem: Problem | None = None) -> Weights:
        """The members of all trajectories, one origin after another. Raises ``ValueError``, see ``around``."""
        require(len(trajectories) > 0, "an ensemble needs at least one trajectory")
        return stack([self.around(trajectory, problem) for trajectory in trajectories])
