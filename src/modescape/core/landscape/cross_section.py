"""Cross-sections: a line or a plane through weight space, described by a centre and a basis and never held whole."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from modescape.core.landscape.checks import require_alike
from modescape.core.settings import require
from modescape.core.shapes import Float
from modescape.core.weights import Weights, inner_products

_PARALLEL = 1e-12
"""Least eigenvalue of the directions' cosines: below it they lie within about a millionth of a common line or plane."""


@dataclass(frozen=True)
class CrossSection:
    """The weights ``centre + coordinates @ basis``: a centre (a stack of one) and a stack of one direction per axis.

    The basis has no buffers: those of the centre hold everywhere. Where weights move, batch-norm statistics must be
    computed anew before predicting.
    """

    centre: Weights
    basis: Weights

    def __post_init__(self) -> None:
        require(len(self.centre) == 1, f"the centre is a stack of one, got {len(self.centre)} members")
        require(len(self.basis) > 0, "a cross-section needs at least one direction")
        require_alike(self.centre.params, self.basis.params, "directions")
        gram = inner_products(self.basis)
        norm = gram.diagonal().sqrt()
        require(bool(((norm > 0) & norm.isfinite()).all()), f"directions need finite lengths above 0: {norm.tolist()}")
        least = float(torch.linalg.eigvalsh(gram / torch.outer(norm, norm))[0])
        require(least > _PARALLEL, "the directions depend on each other: they span fewer axes than there are")

    @property
    def axes(self) -> int:
        """How many coordinates a point has."""
        return len(self.basis)

    def at(self, coordinates: Float[Tensor, "point axis"]) -> Weights:
        """The members at some points, all of the centre's origin; ask for few at once.

        Computed in float64 and rounded once. What is the same at every point (buffers, and parameters that no direction
        moves) is expanded and not copied: its stride over members is 0, so that an evaluator can tell.
        """
        require(
            coordinates.shape[1] == self.axes,
            f"{coordinates.shape[1]} coordinates a point for {self.axes} directions",
        )
        count = len(coordinates)

        def moved(name: str, tensor: Tensor) -> Tensor:
            directions = self.basis.params[name]
            if not directions.any():
                return tensor.expand(count, *tensor.shape[1:])
            wide = directions.double().reshape(self.axes, -1)
            step = (coordinates.to(wide) @ wide).reshape(count, *tensor.shape[1:])
            return (tensor.double() + step).to(tensor)

        return Weights(
            {name: moved(name, tensor) for name, tensor in self.centre.params.items()},
            {name: tensor.expand(count, *tensor.shape[1:]) for name, tensor in self.centre.buffers.items()},
            self.centre.origin * count,
        )

    def project(self, weights: Weights) -> tuple[Float[Tensor, "member axis"], Float[Tensor, " member"]]:
        """Coordinates of the nearest point of the cross-section to each member, and how far it is (float64)."""
        require_alike(self.centre.params, weights.params, "weights")
        along = torch.zeros(self.axes, len(weights), dtype=torch.float64, device=self._device)
        for rows, axes in self._pairs(weights):
            along += axes @ rows.T
        coordinates: Tensor = torch.linalg.solve(inner_products(self.basis), along).T
        # Not by Pythagoras: for a member on the cross-section that leaves the rounding of two long vectors.
        missed = torch.zeros(len(weights), dtype=torch.float64, device=self._device)
        for rows, axes in self._pairs(weights):
            missed += (rows - coordinates @ axes).square().sum(dim=1)
        return coordinates, missed.sqrt()

    @property
    def frame(self) -> Float[Tensor, "axis axis"]:
        """Coordinates times this matrix are places at their true distances in weight space, the first axis first."""
        factor: Tensor = torch.linalg.cholesky(inner_products(self.basis))
        return factor

    def _pairs(self, weights: Weights) -> Iterator[tuple[Tensor, Tensor]]:
        """For each tensor the members' way from the centre, and the directions, as rows of float64."""
        for name, directions in self.basis.params.items():
            yield _apart(weights, self.centre, name).flatten(1), directions.double().flatten(1)

    @property
    def _device(self) -> torch.device:
        return next(iter(self.basis.params.values())).device


def line(start: Weights, end: Weights) -> CrossSection:
    """The line on which ``start`` has the coordinate 0 and ``end`` the coordinate 1."""
    return CrossSection(start, _towards(start, end))


def plane_through(first: Weights, second: Weights, third: Weights) -> CrossSection:
    """The plane on which three solutions have the coordinates (0, 0), (1, 0) and (0, 1).

    Differences of float32 weights are kept in float64, so that all three return bit for bit; only a weight more than
    2**29 times smaller than that of ``first`` may be off, by less than 2**-52 of the latter. Of float64 weights the
    second and third return within rounding of the larger of two weights.
    """
    return plane_along(first, _towards(first, second), _towards(first, third))


def plane_along(centre: Weights, direction_a: Weights, direction_b: Weights) -> CrossSection:
    """The plane through the centre along two directions (stacks of one), which need be neither long nor orthogonal."""
    require_alike(direction_a.params, direction_b.params, "directions")
    for direction in (direction_a, direction_b):
        require(len(direction) == 1, f"a direction is a stack of one, got {len(direction)} members")
    both = {name: torch.cat([tensor, direction_b.params[name]]) for name, tensor in direction_a.params.items()}
    return CrossSection(centre, Weights(both, {}, centre.origin * 2))


@dataclass(frozen=True)
class Grid:
    """A rectangular grid on a cross-section: for every axis its increasing coordinates."""

    axes: tuple[Tensor, ...]

    def __post_init__(self) -> None:
        require(len(self.axes) > 0, "a grid needs at least one axis")
        for number, axis in enumerate(self.axes):
            require(axis.ndim == 1 and len(axis) > 0, f"axis {number} has shape {tuple(axis.shape)}, not one dimension")
            rising = bool(axis.isfinite().all()) and bool((axis[1:] > axis[:-1]).all())
            require(rising, f"the coordinates of axis {number} do not increase: {axis.tolist()[:8]}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Points along each axis."""
        return tuple(len(axis) for axis in self.axes)

    def points(self) -> Float[Tensor, "point axis"]:
        """Coordinates of all points in float64, the last axis fastest."""
        mesh = torch.meshgrid([axis.double() for axis in self.axes], indexing="ij")
        return torch.stack(mesh, dim=-1).reshape(-1, len(self.axes))


def _apart(weights: Weights, centre: Weights, name: str) -> Float[Tensor, "member ..."]:
    """How far one tensor lies from the centre, in float64."""
    return weights.params[name].double() - centre.params[name].double()


def _towards(start: Weights, end: Weights) -> Weights:
    """The direction from a start to an end, which are stacks of one."""
    require_alike(start.params, end.params, "weights")
    require(len(start) == len(end) == 1, f"expected stacks of one, got {len(start)} and {len(end)} members")
    return Weights({name: _apart(end, start, name) for name in start.params}, {}, start.origin)
