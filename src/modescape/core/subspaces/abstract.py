"""A subspace is a distribution of weights around one solution: fit it from a trajectory, draw members from it.

Scale 0 draws the centre of every subspace (Fort et al. 2019, section 4.1).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from modescape.core.settings import require, settings
from modescape.core.splits import Scaling, Split
from modescape.core.weights import Trajectory, Weights, stack


@dataclass(frozen=True)
class Problem:
    """What fitting may need beside the trajectory; most subspaces need none of it.

    ``network`` is a scratch copy whose weights may be overwritten, ``score`` the validation score of a stack of one
    (None without a validation split), ``root`` the root of all chance.
    """

    network: nn.Module
    train: Split
    scaling: Scaling
    score: Callable[[Weights], float] | None
    root: int


@settings
class Subspace(ABC):
    """Hyper-parameters of a distribution of weights; a concrete one adds its own fields.

    ``scale`` multiplies the deviation from the centre. With ``uniform`` every member has a scale of its own, uniform in
    [0, ``scale``]. ``plane_scale`` is the largest scale that the diversity-accuracy plane shows.
    """

    scale: float = 1.0
    uniform: bool = False
    plane_scale: float = 1.0

    def __post_init__(self) -> None:
        check_scales(self)

    @property
    def checkpoints_needed(self) -> int:
        """Fewest checkpoints of a trajectory that ``fit`` accepts."""
        return 1

    @property
    def holds_masks(self) -> bool:
        """Whether members are drawn by masks on activations: the network must hold them (``models.dropout``)."""
        return False

    @property
    def needs_score(self) -> bool:
        """Whether fitting needs a validation score."""
        return False

    @abstractmethod
    def fit(self, trajectory: Trajectory, problem: Problem | None = None) -> Any:
        """What draws depend on, from the checkpoints of one training.

        Raises ``ValueError`` if the trajectory is too short or the subspace needs a problem and has none.
        """

    @abstractmethod
    def draw(self, state: Any, count: int, generator: torch.Generator) -> Weights:
        """New members, a stack of ``count``, of the trajectory's origin.

        Members are drawn one after another: two draws of 3 from one generator give the members of one draw of 6.
        Batch-norm statistics are those of the solution and describe no drawn member: recompute them before predicting.
        """


def check_scales(subspace: Subspace) -> None:
    """Raise ``ValueError`` that names the field unless scales are finite and zero or more."""
    for name, value in (("scale", subspace.scale), ("plane_scale", subspace.plane_scale)):
        require(math.isfinite(value) and value >= 0, f"{name} must be finite and zero or more, got {value}")


def scale_of(subspace: Subspace, generator: torch.Generator) -> float:
    """The scale of the next member."""
    if not subspace.uniform:
        return subspace.scale
    return subspace.scale * float(torch.rand((), generator=generator, dtype=torch.float64, device=generator.device))


def each(count: int, member: Callable[[], Weights]) -> Weights:
    """A stack of ``count`` members, drawn one after another."""
    require(count >= 1, f"count must be at least 1 member, got {count}")
    return stack([member() for _ in range(count)])


def normal(like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal numbers in the shape, dtype and place of a tensor."""
    return torch.randn(like.shape, generator=generator, dtype=like.dtype, device=generator.device).to(like.device)


def late(trajectory: Trajectory, count: int, needed: int, what: str) -> Weights:
    """The last ``count`` checkpoints. Raises ``ValueError`` if there are fewer, or fewer than ``needed``."""
    require(
        len(trajectory) >= max(count, needed),
        f"{what} needs {max(count, needed)} checkpoints, the trajectory {trajectory.seed_path} has {len(trajectory)}; "
        "lower the subspace's `last` or `rank`, or record more checkpoints",
    )
    return trajectory.weights[-count:]


def moved(centre: Weights, by: Callable[[str, Tensor], Tensor]) -> Weights:
    """The centre, a stack of one, with every parameter moved by ``by(name, parameter)``."""
    params = {name: tensor + by(name, tensor) for name, tensor in centre.params.items()}
    return Weights(params, dict(centre.buffers), centre.origin)


def mean_of(weights: Weights) -> Weights:
    """The mean of the members' parameters, a stack of one with the buffers of the last member."""
    params = {name: tensor.double().mean(dim=0, keepdim=True).to(tensor) for name, tensor in weights.params.items()}
    return Weights(params, {name: tensor[-1:] for name, tensor in weights.buffers.items()}, weights.origin[-1:])
