"""Random directions: theta_0 + t v, v uniform on the unit sphere of the whole weight vector (Fort et al. 2019, 4.1).

t is uniform in [0, scale]: 10 for the paper's ensembles, 70 for its diversity-accuracy plane. No layer or filter is
normalised by itself.
"""

from typing import final

import torch

from modescape.core.settings import settings
from modescape.core.subspaces.abstract import Problem, Subspace, each, moved, normal, scale_of
from modescape.core.weights import Trajectory, Weights


@final
@settings
class RandomDirection(Subspace):
    """``scale`` is the Euclidean distance from the solution; every member has a direction of its own."""

    scale: float = 10.0
    uniform: bool = True
    plane_scale: float = 70.0

    def fit(self, trajectory: Trajectory, problem: Problem | None = None) -> Weights:
        """The solution."""
        return trajectory.solution

    def draw(self, state: Weights, count: int, generator: torch.Generator) -> Weights:
        """Members at random directions from the solution."""

        def member() -> Weights:
            distance = scale_of(self, generator)
            noise = {name: normal(tensor, generator) for name, tensor in state.params.items()}
            length = sum(float(part.double().square().sum()) for part in noise.values()) ** 0.5
            return moved(state, lambda name, _: noise[name] * (distance / length))

        return each(count, member)
