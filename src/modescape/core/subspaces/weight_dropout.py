"""Dropout of weights: each weight and bias is zero with probability r, else divided by 1 - r.

This is what the released notebook of Fort et al. 2019 calls dropout, with r uniform in [0, 0.1]; dropout of activations
is ``activation_dropout``. The mean of the members is the solution.
"""

from typing import final

import torch
from torch import Tensor

from modescape.core.settings import require, settings
from modescape.core.subspaces.abstract import Problem, Subspace, check_scales, each, moved, scale_of
from modescape.core.weights import Trajectory, Weights


@final
@settings
class WeightDropout(Subspace):
    """``scale`` is the rate r at which weights are dropped."""

    scale: float = 0.1
    uniform: bool = True
    plane_scale: float = 0.1

    def __post_init__(self) -> None:
        check_scales(self)
        for name in ("scale", "plane_scale"):
            require(getattr(self, name) < 1, f"{name} is a rate and must lie below 1, got {getattr(self, name)}")

    def fit(self, trajectory: Trajectory, problem: Problem | None = None) -> Weights:
        """The solution."""
        return trajectory.solution

    def draw(self, state: Weights, count: int, generator: torch.Generator) -> Weights:
        """Members with weights missing."""

        def member() -> Weights:
            rate = scale_of(self, generator)

            def thinned(name: str, tensor: Tensor) -> Tensor:
                chance = torch.rand(tensor.shape, generator=generator, device=generator.device).to(tensor.device)
                # What a survivor gains and a dropped weight loses, so that rate 0 moves nothing by a single bit.
                return torch.where(chance < rate, -tensor, tensor * (rate / (1 - rate)))

            return moved(state, thinned)

        return each(count, member)
