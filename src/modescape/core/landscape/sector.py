"""Radial sectors: the part of the plane through two solutions and the origin of weight space that figure 5 shows.

Points have polar coordinates: a radius, 1 at the first solution, and an angle in degrees, 0 on its ray. Two layouts say
where that lies, after Fort, Hu and Lakshminarayanan 2019, whose figure does not say which was meant:

- ``oblique``: radius * (cos(angle) * first + sin(angle) * second). The second solution is at radius 1 and 90 degrees
  whatever the angle between the two.
- ``orthonormal``: the second axis is the part of the second solution at right angles to the first, scaled to the second
  solution's length: angles are true if both are equally long. The second solution is off 90 degrees by what the two
  lack of orthogonality.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from modescape.core.landscape.cross_section import CrossSection
from modescape.core.settings import require
from modescape.core.shapes import Float
from modescape.core.weights import Weights, inner_products, stack

Layout = Literal["oblique", "orthonormal"]


def sector(first: Weights, second: Weights, layout: Layout) -> CrossSection:
    """The plane of two solutions, stacks of one, and the origin, its centre; ``cartesian`` turns polar points into its.

    Buffers are the first's: batch-norm statistics must be computed anew.
    """
    both = stack([first, second])
    require(len(both) == 2, f"a sector has two solutions, got {len(both)}")
    shares = torch.eye(2, dtype=torch.float64)
    if layout == "orthonormal":
        gram = inner_products(both).cpu()
        along = float(gram[0, 1] / gram[0, 0])
        across = gram[1, 1] - along * gram[0, 1]
        require(bool(across > 1e-12 * gram[1, 1]), "the solutions lie on one line through the origin: take two others")
        factor = math.sqrt(float(gram[1, 1] / across))
        shares[1] = factor * torch.tensor([-along, 1.0], dtype=torch.float64)
    basis = {name: _combined(shares, tensor) for name, tensor in both.params.items()}
    return CrossSection(_origin(first), Weights(basis, {}, both.origin))


def ray(solution: Weights) -> CrossSection:
    """The ray from the origin of weight space, at 0, through a solution, at 1, and beyond."""
    require(len(solution) == 1, f"a ray goes through a stack of one, got {len(solution)} members")
    return CrossSection(_origin(solution), Weights({n: t.double() for n, t in solution.params.items()}, {}, (0,)))


def cartesian(polar: Float[Tensor, "point 2"]) -> Float[Tensor, "point 2"]:
    """Radius and angle in degrees as coordinates; exact on the axes."""
    radius, angle = polar.double().unbind(dim=1)
    turns = angle.deg2rad()
    # cos(90 degrees) is 6e-17 by way of radians, and the second solution would not be met.
    cosine = torch.where(angle.remainder(180) == 90, 0.0, turns.cos())
    sine = torch.where(angle.remainder(180) == 0, 0.0, turns.sin())
    return torch.stack([radius * cosine, radius * sine], dim=1)


def _combined(shares: Float[Tensor, "2 2"], tensor: Tensor) -> Tensor:
    wide = tensor.double()
    return (shares.to(wide) @ wide.flatten(1)).reshape(wide.shape)


def _origin(like: Weights) -> Weights:
    """All weights zero; buffers as they are."""
    return Weights({name: torch.zeros_like(t) for name, t in like.params.items()}, like.buffers, like.origin)
