"""SWAG: a Gaussian whose covariance is half diagonal, half low-rank (Maddox et al. 2019, arXiv 1902.02476, 3.3).

theta = mean + scale * (sigma * z_1 / sqrt(2) + D z_2 / sqrt(2 (K - 1))), with sigma^2 = E[theta^2] - mean^2 over the
last checkpoints and D the last K of their deviations from the running mean. z_2, K numbers, is drawn once for all
tensors: drawn anew for each tensor, the covariance between tensors would be lost.
"""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

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
class Swag:
    """Mean and standard deviation, each a stack of one; deviations from the running mean, a stack of K."""

    mean: Weights
    deviation: Weights
    columns: Weights


@final
@settings
class SWAG(Subspace):
    """``last`` checkpoints give the moments, the ``rank`` last of them the low-rank part."""

    rank: int = 10
    last: int = 10
    plane_scale: float = 10.0

    def __post_init__(self) -> None:
        check_scales(self)
        require(self.rank >= 2, f"rank must be at least 2, got {self.rank}")
        require(
            self.last >= self.rank,
            f"last must be at least rank: {self.last} checkpoints have no {self.rank} deviations",
        )

    @property
    def checkpoints_needed(self) -> int:
        """As many as give the moments."""
        return self.last

    def fit(self, trajectory: Trajectory, problem: Problem | None = None) -> Swag:
        """Moments and deviations of the last checkpoints."""
        recent = late(trajectory, self.last, self.rank, "swag")
        counts = torch.arange(1, len(recent) + 1, dtype=torch.float64)

        def spread(tensor: Tensor) -> Tensor:
            return tensor.double().std(dim=0, correction=0, keepdim=True).to(tensor)

        def columns(tensor: Tensor) -> Tensor:
            wide = tensor.double()
            running = wide.cumsum(dim=0) / counts.to(wide.device).view(-1, *[1] * (wide.ndim - 1))
            return (wide - running)[-self.rank :].to(tensor)

        last = recent.origin[-1:]
        return Swag(
            mean_of(recent),
            Weights({n: spread(t) for n, t in recent.params.items()}, {}, last),
            Weights({n: columns(t) for n, t in recent.params.items()}, {}, last * self.rank),
        )

    def draw(self, state: Swag, count: int, generator: torch.Generator) -> Weights:
        """Members with both parts."""

        def member() -> Weights:
            scale = scale_of(self, generator) / 2**0.5
            shared = normal(torch.empty(self.rank), generator) / (self.rank - 1) ** 0.5

            def step(name: str, tensor: Tensor) -> Tensor:
                columns = state.columns.params[name]
                low_rank = (shared.to(columns) @ columns.reshape(self.rank, -1)).reshape(tensor.shape)
                moved_by: Tensor = scale * (state.deviation.params[name] * normal(tensor, generator) + low_rank)
                return moved_by

            return moved(state.mean, step)

        return each(count, member)
