"""A Gaussian with independent weights: theta_i ~ N(mu_i, (scale * sigma_i)^2) (Fort et al. 2019, section 4.1).

mu and sigma are mean and standard deviation (over n, as in the released notebook) of the last checkpoints.
"""

from dataclasses import dataclass
from typing import final

import torch

from modescape.core.settings import require, settings
from modescape.core.subspaces.abstract import (
    Problem,
    Subspace,
    check_scales,
    each,
    late,
    mean_of,
    moved,
    normal,
    scale_of,
)
from modescape.core.weights import Trajectory, Weights


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation of every weight, each a stack of one."""

    mean: Weights
    deviation: Weights


@final
@settings
class DiagonalGaussian(Subspace):
    """``last`` checkpoints give the moments; ``scale`` multiplies the standard deviation."""

    last: int = 10
    plane_scale: float = 10.0

    def __post_init__(self) -> None:
        check_scales(self)
        require(self.last >= 2, f"last must be at least 2 checkpoints, got {self.last}")

    @property
    def checkpoints_needed(self) -> int:
        """As many as give the moments."""
        return self.last

    def fit(self, trajectory: Trajectory, problem: Problem | None = None) -> Moments:
        """Mean and standard deviation over the last checkpoints."""
        recent = late(trajectory, self.last, 2, "diagonal_gaussian")
        spread = {n: t.double().std(dim=0, correction=0, keepdim=True).to(t) for n, t in recent.params.items()}
        return Moments(mean_of(recent), Weights(spread, {}, recent.origin[-1:]))

    def draw(self, state: Moments, count: int, generator: torch.Generator) -> Weights:
        """Members with independent weights."""

        def member() -> Weights:
            scale = scale_of(self, generator)
            return moved(
                state.mean, lambda name, tensor: state.deviation.params[name] * normal(tensor, generator) * scale
            )

        return each(count, member)
