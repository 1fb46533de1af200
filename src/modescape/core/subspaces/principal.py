"""Principal axes of a stack of weights, and Gaussian steps along them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from modescape.core.settings import require
from modescape.core.shapes import Float
from modescape.core.subspaces.abstract import mean_of, moved, normal
from modescape.core.weights import Weights, inner_products


@dataclass(frozen=True)
class PrincipalAxes:
    """A centre (a stack of one), axes of unit norm (a stack of ``rank``), and the spread along each.

    ``spread[i]`` is the standard deviation (over n - 1) of the points along axis i.
    """

    centre: Weights
    axes: Weights
    spread: Float[Tensor, " axis"]


def principal_axes(points: Weights, rank: int, what: str) -> PrincipalAxes:
    """The first axes of the points about their mean, by the Gram matrix of the deviations.

    Raises ``ValueError`` if the points span fewer axes than ``rank``.
    """
    count = len(points)
    require(
        rank <= count - 1,
        f"{what} has rank {rank}: it needs {rank + 1} points, got {count}; lower `rank` or give it more checkpoints",
    )
    centre = mean_of(points)
    apart = Weights({n: t - centre.params[n] for n, t in points.params.items()}, {}, points.origin)
    values, vectors = torch.linalg.eigh(inner_products(apart))
    values, vectors = values.flip(0)[:rank], vectors.flip(1)[:, :rank]
    spanned = int((values > 1e-12 * values[0].clamp(min=torch.finfo(torch.float64).tiny)).sum())
    require(
        spanned == rank,
        f"{what} has rank {rank}, but the {count} points it is fitted to span only {spanned} axes; "
        "lower `rank`, or record checkpoints that differ",
    )
    # The sign of an axis is free: the largest share is made positive, so that a draw repeats on any machine.
    largest = vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True))
    shares = (vectors * largest.sign() / values.sqrt()).T

    def combined(tensor: Tensor) -> Tensor:
        flat: Tensor = shares.to(tensor.device) @ tensor.reshape(count, -1).double()
        return flat.reshape(rank, *tensor.shape[1:]).to(tensor)

    axes = Weights({n: combined(t) for n, t in apart.params.items()}, {}, points.origin[-1:] * rank)
    return PrincipalAxes(centre, axes, (values / (count - 1)).sqrt())


def step_along(found: PrincipalAxes, lengths: Float[Tensor, " axis"], generator: torch.Generator) -> Weights:
    """The centre plus, for every axis, a standard normal number times its length times the axis."""
    steps = lengths * normal(lengths, generator)

    def combined(name: str, tensor: Tensor) -> Tensor:
        axes = found.axes.params[name]
        return (steps.to(axes) @ axes.reshape(len(steps), -1)).reshape(tensor.shape)

    return moved(found.centre, combined)
