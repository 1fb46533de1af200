"""Interpolation of scattered points by polyharmonic splines, sum_i w_i |x - x_i|^3 + a cubic polynomial (Duchon 1977).

Cubic polynomials are reproduced, and the points may lie anywhere.
"""

import itertools

import torch
from torch import Tensor

from modescape.core.shapes import Bool, Float, Int

_NEAR = 16
"""Known points that a value is interpolated from, besides those that always take part."""
_DEGREE, _RIDGE = 3, 1e-10
"""Of the polynomial; and what keeps the equations solvable where the points do not determine it."""
_CHUNK = 512
"""Places dealt with at once: memory stays bounded."""


def interpolate(
    known: Float[Tensor, "point axis"],
    values: Float[Tensor, "point quantity"],
    always: Bool[Tensor, " point"],
    places: Float[Tensor, "place axis"],
) -> Float[Tensor, "place quantity"]:
    """Quantities at some places from the nearest of at least two known points; a known point at the place is left out.

    Points that ``always`` take part, wherever the place is, should determine a cubic polynomial: near points alone may
    lie on a line.
    """
    size = min(_NEAR + int(always.sum()), len(known) - 1)
    found = []
    for block in places.split(_CHUNK):
        apart = distances(block, known)
        order = torch.where(apart > 0, torch.where(always, -1.0, apart), torch.inf)
        stencil = order.topk(size, largest=False).indices
        shares = _shares(known[stencil] - block[:, None])
        found.append((shares[..., None] * values[stencil]).sum(dim=1))
    return torch.cat(found)


def nearest(
    places: Float[Tensor, "place axis"], known: Float[Tensor, "point axis"], count: int
) -> tuple[Float[Tensor, "place near"], Int[Tensor, "place near"]]:
    """Distances to the nearest known points in increasing order, and which points these are."""
    found = [distances(block, known).topk(count, largest=False) for block in places.split(_CHUNK)]
    return torch.cat([near.values for near in found]), torch.cat([near.indices for near in found])


def distances(of: Float[Tensor, "one axis"], to: Float[Tensor, "other axis"]) -> Float[Tensor, "one other"]:
    """Distances between points; that of a point to itself is 0, which it would not be by products."""
    return torch.cdist(of, to, compute_mode="donot_use_mm_for_euclid_dist")


def _shares(offsets: Float[Tensor, "place near axis"]) -> Float[Tensor, "place near"]:
    """The shares that known points, by their offsets from a place, have in the value there."""
    count, near, axes = offsets.shape
    scaled = offsets / offsets.abs().amax(dim=(1, 2), keepdim=True)
    powers = [p for p in itertools.product(range(_DEGREE + 1), repeat=axes) if sum(p) <= _DEGREE]
    polynomials = torch.stack([scaled.pow(torch.tensor(p, device=scaled.device)).prod(dim=-1) for p in powers], dim=-1)
    system = scaled.new_zeros(count, near + len(powers), near + len(powers))
    system[:, :near, :near] = torch.cdist(scaled, scaled, compute_mode="donot_use_mm_for_euclid_dist").pow(3)
    system[:, :near, near:] = polynomials
    system[:, near:, :near] = polynomials.mT
    system[:, near:, near:].diagonal(dim1=1, dim2=2).fill_(-_RIDGE)
    at_place = scaled.new_zeros(count, near + len(powers))
    at_place[:, :near] = scaled.norm(dim=-1).pow(3)
    at_place[:, near] = 1.0  # of all polynomials the constant alone, the first, is not 0 at offset 0
    shares: Tensor = torch.linalg.solve(system, at_place)[:, :near]
    return shares
