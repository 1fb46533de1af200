"""A path through weight space, described by a few control points and never held whole."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from modescape.core.settings import require
from modescape.core.shapes import Float
from modescape.core.weights import Weights, inner_products

Curve = Literal["polygon", "bezier"]

_CHORDS = 1000
"""Chords by which the length of a bent curve is measured: it is missed by about a millionth."""


@dataclass(frozen=True)
class Path:
    """From the first control point at t = 0 to the last at t = 1.

    A ``polygon`` runs straight between the control points, through number i at t = ``knots[i]``. A ``bezier`` is the
    quadratic (1-t)^2 a + 2t(1-t) b + t^2 c of three, whose knots are 0, 1/2 and 1 and do not count.
    """

    controls: Weights
    knots: tuple[float, ...]
    curve: Curve = "polygon"

    def __post_init__(self) -> None:
        count = len(self.controls)
        require(count >= 2, f"a path needs two control points or more, got {count}")
        require(len(self.knots) == count, f"{len(self.knots)} knots for {count} control points")
        rising = all(a < b for a, b in pairwise(self.knots))
        require(rising and self.knots[0] == 0 and self.knots[-1] == 1, f"knots must rise from 0 to 1, got {self.knots}")
        require(self.curve != "bezier" or count == 3, f"a quadratic Bezier curve has 3 control points, got {count}")
        for name, tensor in self.controls.params.items():
            require(bool(tensor.isfinite().all()), f"a control point of the path is not finite in {name}")

    @property
    def ends(self) -> Weights:
        """Both ends, bit for bit."""
        return self.controls[[0, len(self.controls) - 1]]

    def coefficients(self, t: Float[Tensor, " point"]) -> Float[Tensor, "point control"]:
        """What each control point counts at each t (float64, on the CPU); rows sum to 1."""
        wide = t.detach().double().cpu()
        require(bool(((wide >= 0) & (wide <= 1)).all()), f"t must lie in [0, 1], got {t.tolist()[:8]}")
        if self.curve == "bezier":
            return torch.stack([(1 - wide) ** 2, 2 * wide * (1 - wide), wide**2], dim=1)
        knots = torch.tensor(self.knots, dtype=torch.float64)
        piece = (torch.searchsorted(knots, wide, right=True) - 1).clamp(0, len(knots) - 2)
        share = (wide - knots[piece]) / (knots[piece + 1] - knots[piece])
        found = torch.zeros(len(wide), len(knots), dtype=torch.float64)
        found.scatter_(1, piece[:, None], (1 - share)[:, None])
        return found.scatter_(1, piece[:, None] + 1, share[:, None])

    def at(self, t: Float[Tensor, " point"]) -> Weights:
        """The members at some t; ask for few at once.

        Computed in float64 and rounded once. A member that falls on a control point is that point bit for bit: so are
        both ends. Buffers and origin are those of the control point that counts most. Batch-norm statistics describe
        no network between control points: recompute them before predicting.
        """
        coefficients = self.coefficients(t)
        leader = coefficients.argmax(dim=1)
        exact = coefficients.max(dim=1).values == 1

        def moved(tensor: Tensor) -> Tensor:
            wide = tensor.double().flatten(1)
            mixed = (coefficients.to(wide) @ wide).reshape(len(leader), *tensor.shape[1:]).to(tensor)
            # Not only a matter of rounding: 0 * x + 1 * -0.0 is another zero.
            on = exact.to(tensor.device)
            mixed[on] = tensor[leader.to(tensor.device)[on]]
            return mixed

        controls = self.controls
        return Weights(
            {name: moved(tensor) for name, tensor in controls.params.items()},
            {name: tensor[leader.to(tensor.device)] for name, tensor in controls.buffers.items()},
            tuple(controls.origin[place] for place in leader.tolist()),
        )

    @cached_property
    def length(self) -> float:
        """Euclidean length, over all parameters."""
        fine = torch.linspace(0, 1, _CHORDS + 1, dtype=torch.float64)
        stops = torch.tensor(self.knots, dtype=torch.float64) if self.curve == "polygon" else fine
        steps = self.coefficients(stops).diff(dim=0)
        return float(((steps @ self._gram) * steps).sum(dim=1).clamp(min=0).sqrt().sum())

    @property
    def distance(self) -> float:
        """Euclidean distance between the ends."""
        return float(self._gram[-1, -1].clamp(min=0).sqrt())

    @cached_property
    def _gram(self) -> Float[Tensor, "control control"]:
        """Inner products of the control points' ways from the first: steps between points need no more."""
        apart = {n: (t.double() - t[:1].double()) for n, t in self.controls.params.items()}
        return inner_products(Weights(apart, {}, self.controls.origin)).cpu()


@dataclass(frozen=True)
class Route:
    """One path of a connection: the numbers of the control points that it passes, from an end to an end."""

    through: tuple[int, ...]
    knots: tuple[float, ...]
    curve: Curve = "polygon"


@dataclass(frozen=True)
class Connection:
    """What a connector found: control points, the ends before all others, and a route for every pair of ends."""

    controls: Weights
    routes: tuple[Route, ...]

    def path(self, number: int) -> Path:
        """The path of a route."""
        route = self.routes[number]
        return Path(self.controls[list(route.through)], route.knots, route.curve)
