"""The pieces of weight space that are shown: what each is made of, and where its grid lies."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from modescape.core.evaluation import placed
from modescape.core.landscape.cross_section import CrossSection, line, plane_along, plane_through
from modescape.core.landscape.curvature import top_eigenpairs
from modescape.core.landscape.directions import gradient, principal_axes, random_directions
from modescape.core.landscape.mean_loss import MeanLoss
from modescape.core.landscape.sector import Layout, cartesian, ray, sector
from modescape.core.seeds import generator
from modescape.core.settings import require
from modescape.core.shapes import Float
from modescape.core.splits import Split
from modescape.core.weights import Trajectory, Weights, inner_products
from modescape.studies.abstract import Context
from modescape.studies.members import part_of, scratch

Kind = Literal["sector", "plane", "principal", "random", "hessian", "gradient", "line", "ray"]

MARGIN = 0.25
"""Room around what a plane must show, as a share of its larger side."""
SECTOR = ((0.0, 2.0), (-27.0, 117.0))
"""Radii, and angles in degrees: those of the paper's figure 5."""
LINE, RAY = (-0.5, 1.5), (0.0, 2.0)
STEEP = 0.1
"""Length of an eigenvector or a gradient that is drawn, as a share of the solution's."""
ABOUT = 1000
"""Training examples that gradients and eigenvectors are computed from."""

Change = Callable[[Float[Tensor, "point axis"]], Float[Tensor, "point axis"]]


@dataclass(frozen=True)
class Place:
    """A cross-section with a grid of its own: ``coordinates`` turns grid points into the cross-section's coordinates.

    ``drawn`` says where the cross-section's coordinates are drawn; ``titles`` what the grid's axes measure.
    """

    section: CrossSection
    layout: str
    axes: tuple[Float[Tensor, " point"], ...]
    titles: tuple[str, str]
    coordinates: Change
    drawn: Change


@dataclass(frozen=True)
class Materials:
    """What cross-sections are made of: solutions by member, and what decides about directions.

    ``trajectory`` reads that of a member anew whenever it is asked for, so that none is held for long.
    """

    context: Context
    by_member: Mapping[int, Weights]
    trajectory: Callable[[int], Trajectory]
    arguments: Mapping[str, Any]

    @property
    def solutions(self) -> list[Weights]:
        """The solutions that this cross-section is about, stacks of one."""
        return [self.by_member[member] for member in self.arguments["members"]]

    @property
    def points(self) -> tuple[int, ...]:
        """Grid points along each axis."""
        return tuple(self.arguments["points"])


def place_of(materials: Materials) -> Place:
    """The cross-section that a task's arguments ask for. Raises ``ValueError`` if there is none."""
    return _MAKERS[materials.arguments["kind"]](materials)


def _sector(materials: Materials) -> Place:
    layout: Layout = materials.arguments["layout"]
    first, second = materials.solutions
    made = sector(first, second, layout)
    axes = tuple(_even(*ends, count) for ends, count in zip(SECTOR, materials.points, strict=True))
    titles = ("radius (1 at the solution)", "angle from the first solution (degrees)")
    return Place(made, layout, axes, titles, cartesian, _as_it_is)


def _plane(materials: Materials) -> Place:
    first, second, third = materials.solutions
    return _isometric(materials, plane_through(first, second, third), ("distance", "distance"))


def _principal(materials: Materials) -> Place:
    (member,) = materials.arguments["members"]
    path = materials.trajectory(member)
    found = principal_axes(path.weights, 2, about="last")
    titles = [
        f"principal axis {n + 1} of the trajectory ({100 * float(share):.0f}% of it), distance"
        for n, share in enumerate(found.shares)
    ]
    return _isometric(materials, CrossSection(path.solution, found.directions), (titles[0], titles[1]))


def _random(materials: Materials) -> Place:
    (member,), (solution,) = materials.arguments["members"], materials.solutions
    chance = generator(materials.context.setup.seed, "section", "random", member)
    both = random_directions(solution, 2, chance)
    extent = float(materials.arguments["extent"])
    axes = tuple(_even(-extent, extent, count) for count in materials.points)
    section = plane_along(solution, both[0], both[1])
    titles = ("random direction 1 (1: as long as each filter)", "random direction 2")
    return Place(section, "oblique", axes, titles, _as_it_is, _as_it_is)


def _hessian(materials: Materials) -> Place:
    (member,), (solution,) = materials.arguments["members"], materials.solutions
    context = materials.context
    module, chance = _module(context), generator(context.setup.seed, "section", "hessian", member)
    found = top_eigenpairs(MeanLoss(module, solution, _about(context), context.scaling), 2, chance)
    titles = [f"eigenvector {n + 1} of the Hessian ({value:.3g}), distance" for n, value in enumerate(found.values)]
    return _steep(materials, found.vectors, (titles[0], titles[1]))


def _gradient(materials: Materials) -> Place:
    (member,), (solution,) = materials.arguments["members"], materials.solutions
    context = materials.context
    uphill = gradient(_module(context), solution, _about(context), context.scaling)
    require(any(bool(t.any()) for t in uphill.params.values()), "the gradient is zero, and so has no direction")
    chance = generator(context.setup.seed, "section", "gradient", member)
    other = random_directions(solution, 1, chance, normalisation="whole")
    both = {name: torch.cat([tensor.double(), other.params[name].double()]) for name, tensor in uphill.params.items()}
    directions = _orthogonal(Weights(both, {}, (member, member)))
    return _steep(materials, directions, ("gradient, distance", "random direction, distance"))


def _line(materials: Materials) -> Place:
    first, second = materials.arguments["members"]
    start, end = materials.solutions
    return _flat(line(start, end), _even(*LINE, *materials.points), f"way from solution {first} to {second}")


def _ray(materials: Materials) -> Place:
    (solution,) = materials.solutions
    return _flat(ray(solution), _even(*RAY, *materials.points), "radius (1 at the solution)")


_MAKERS: dict[str, Callable[[Materials], Place]] = {
    "sector": _sector,
    "plane": _plane,
    "principal": _principal,
    "random": _random,
    "hessian": _hessian,
    "gradient": _gradient,
    "line": _line,
    "ray": _ray,
}


def _module(context: Context) -> nn.Module:
    return placed(scratch(context), context.splits["train"])


def _about(context: Context) -> Split:
    train = context.splits["train"]
    order = torch.randperm(len(train), generator=generator(context.setup.seed, "section", "examples"))
    return part_of(train, order[:ABOUT].sort().values)


def _orthogonal(directions: Weights) -> Weights:
    """Two directions of unit length at right angles, the first along the first."""
    rows = torch.linalg.inv(torch.linalg.cholesky(inner_products(directions)))
    turned = {n: (rows.to(t) @ t.flatten(1)).reshape(t.shape) for n, t in directions.params.items()}
    return Weights(turned, {}, directions.origin)


def _steep(materials: Materials, directions: Weights, titles: tuple[str, str]) -> Place:
    """A square around the solution whose half side is a tenth of the solution's length, times the extent."""
    (solution,) = materials.solutions
    reach = STEEP * float(materials.arguments["extent"]) * float(inner_products(solution).sqrt())
    section = plane_along(solution, directions[0], directions[1])
    return _window(section, materials.points, (-reach, reach), (-reach, reach), titles)


def _isometric(materials: Materials, section: CrossSection, titles: tuple[str, str]) -> Place:
    """The least window, with a margin, that shows the solutions, or all of a trajectory."""
    members, kind = materials.arguments["members"], materials.arguments["kind"]
    shown = materials.solutions if kind == "plane" else [materials.trajectory(m).weights for m in members]
    where = torch.cat([section.project(weights)[0].cpu() for weights in shown]) @ section.frame.cpu()
    low, high = where.amin(dim=0), where.amax(dim=0)
    room = MARGIN * float((high - low).max())
    (left, right), (bottom, top) = torch.stack([low - room, high + room], dim=1).tolist()
    return _window(section, materials.points, (left, right), (bottom, top), titles)


def _window(
    section: CrossSection,
    points: tuple[int, ...],
    across: tuple[float, float],
    upwards: tuple[float, float],
    titles: tuple[str, str],
) -> Place:
    frame = section.frame.cpu()
    back = torch.linalg.inv(frame)
    axes = (_even(*across, points[0]), _even(*upwards, points[1]))
    return Place(
        section, "isometric", axes, titles, lambda grid: grid.double() @ back, lambda own: own.double() @ frame
    )


def _flat(section: CrossSection, axis: Float[Tensor, " point"], title: str) -> Place:
    def drawn(own: Float[Tensor, "point axis"]) -> Float[Tensor, "point axis"]:
        return torch.cat([own.double(), torch.zeros_like(own, dtype=torch.float64)], dim=1)

    return Place(section, "isometric", (axis,), (title, ""), _as_it_is, drawn)


def _even(low: float, high: float, count: int) -> Float[Tensor, " point"]:
    return torch.linspace(low, high, count, dtype=torch.float64)


def _as_it_is(points: Float[Tensor, "point axis"]) -> Float[Tensor, "point axis"]:
    return points.double()
