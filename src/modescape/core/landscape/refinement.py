"""Pictures of a line or a plane from few evaluations: evaluate where interpolation would be wrong, say how wrong it is.

Where it is wrong is told by leaving known points out one by one: the error there over the distance to the next known
point is how steeply the error grows around it. That it grows in proportion to the distance is right at a kink and
careful where a quantity is smooth.
"""

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from modescape.core.landscape.cross_section import Grid
from modescape.core.landscape.interpolation import distances, interpolate, nearest
from modescape.core.settings import require, settings
from modescape.core.shapes import Bool, Float, Int

Transform = Literal["linear", "log"]
Evaluate = Callable[[Float[Tensor, "point axis"]], Float[Tensor, "point quantity"]]

_CAUTION = 1.5
"""Estimates are multiplied by this: without it one picture of real networks in seven missed the tolerance a little."""
_AROUND = 4
"""Known points around a place whose steepness, the largest, holds there."""
_FEWEST = 5
"""Finite points on a line below which leaving one out tells nothing."""
_LEAST, _SHARE = 4, 4
"""A round adds 4 points on a line, 16 on a plane, or a quarter of those known: few rounds, and few points wasted."""
_DRAW = 8
"""Of so many points that are left one is drawn at most, so that checking a short line does not evaluate all of it."""


@settings
class Refinement:
    """How true a picture must be; ``tolerance`` and ``transforms`` are one for each quantity, or one for all.

    ``tolerance`` is an estimated error as a fraction of the quantity's range over what was evaluated: 0 evaluates every
    point, ``inf`` lets a quantity be carried along without steering, such as an accuracy on few examples, which is a
    staircase. Under ``log`` a quantity is interpolated, and its range and error are taken, in its logarithm: a loss
    that spans orders of magnitude is then as true in the valley as on the walls. Where it is not above 0 it counts as
    not finite.

    The first points are a lattice of ``start`` an axis. ``checks`` points at most, drawn at random, measure the error
    in the end; half as many must agree with the estimate before that. ``block`` points at most are evaluated at once.
    """

    tolerance: tuple[float, ...] = (0.01,)
    transforms: tuple[Transform, ...] = ("linear",)
    start: int = 5
    checks: int = 64
    block: int = 64

    def __post_init__(self) -> None:
        require(len(self.tolerance) > 0 and len(self.transforms) > 0, "tolerance and transforms must not be empty")
        require(all(t >= 0 for t in self.tolerance), f"tolerance must be at least 0, got {self.tolerance}")
        require(self.start >= 5, f"start must be at least 5, which cubic polynomials need, got {self.start}")
        require(self.checks >= 2, f"checks must be at least 2, got {self.checks}")
        require(self.block >= 1, f"block must be at least 1, got {self.block}")


@dataclass(frozen=True)
class InterpolationError:
    """The error of the interpolated points, measured at ``checked`` of them that were drawn at random.

    In the units of each quantity, and as a fraction of its range (of its logarithm under ``log``). With 95% confidence
    at most a share 3 / ``checked`` of the interpolated points is worse than the largest. All 0 if there are none.
    """

    checked: int
    largest: Float[Tensor, " quantity"]
    rms: Float[Tensor, " quantity"]
    largest_fraction: Float[Tensor, " quantity"]
    rms_fraction: Float[Tensor, " quantity"]


@dataclass(frozen=True)
class Picture:
    """Quantities on a whole grid (float64): as evaluated where ``evaluated``, elsewhere interpolated.

    The points at which ``error`` was measured are among the evaluated ones; nothing was interpolated from them.
    """

    values: Float[Tensor, "*grid quantity"]
    evaluated: Bool[Tensor, "*grid"]
    error: InterpolationError

    @property
    def evaluations(self) -> int:
        """How many points were evaluated, checks included."""
        return int(self.evaluated.sum())


@dataclass(frozen=True)
class _Known:
    """Points by their rows in the grid, and their quantities in float64: as evaluated, or as interpolated."""

    rows: Int[Tensor, " point"]
    values: Float[Tensor, "point quantity"]

    def __len__(self) -> int:
        return len(self.rows)

    def __add__(self, other: "_Known") -> "_Known":
        return _Known(torch.cat([self.rows, other.rows]), torch.cat([self.values, other.values]))


@dataclass(frozen=True)
class _Sheet:
    """What stays: the grid's points, their places in a box with sides of 1, which are the lattice, and the settings."""

    shape: tuple[int, ...]
    points: Float[Tensor, "point axis"]
    places: Float[Tensor, "point axis"]
    lattice: Bool[Tensor, " point"]
    settings: Refinement


def refine(
    axes: Sequence[Tensor], evaluate: Evaluate, settings: Refinement, chance: torch.Generator
) -> Generator[int, None, Picture]:
    """The picture of some quantities on a grid of one or two axes; yields the points newly evaluated, block by block.

    ``evaluate`` gets coordinates in float64. No value is interpolated from one that is not finite nor next to one: all
    points there are evaluated. What is nowhere below 0 where it was evaluated is nowhere below 0. ``chance`` draws the
    points that are checked.
    """
    sheet = _sheet_of(Grid(tuple(axes)), settings)
    known = yield from _ask(sheet, evaluate, sheet.lattice.nonzero()[:, 0])
    count = known.values.shape[1]
    for what, given in (("tolerances", settings.tolerance), ("transforms", settings.transforms)):
        require(len(given) in (1, count), f"{len(given)} {what} for {count} quantities")
    while True:
        known = yield from _settle(sheet, evaluate, known, chance)
        rows = _drawn(sheet, known, settings.checks, chance)
        checked = (yield from _ask(sheet, evaluate, rows)) if len(rows) else _Known(rows, known.values[:0])
        if len(_next_to_gaps(sheet, known + checked)) == 0:
            return _picture(sheet, known, checked)
        known = known + checked


def _sheet_of(grid: Grid, settings: Refinement) -> _Sheet:
    """The sheet of a grid; its lattice takes up to ``start`` points an axis, spread evenly from end to end."""
    require(len(grid.axes) in (1, 2), f"a picture has one or two axes, got {len(grid.axes)}")
    points = grid.points()
    low, high = points.aminmax(dim=0)
    places = (points - low) / torch.where(high > low, high - low, 1.0)
    chosen = [
        torch.linspace(0, n - 1, min(settings.start, n), dtype=torch.float64, device=points.device).round().long()
        for n in grid.shape
    ]
    lattice = torch.zeros(grid.shape, dtype=torch.bool, device=points.device)
    lattice[torch.meshgrid(chosen, indexing="ij")] = True
    return _Sheet(grid.shape, points, places, lattice.flatten(), settings)


def _ask(sheet: _Sheet, evaluate: Evaluate, rows: Int[Tensor, " point"]) -> Generator[int, None, _Known]:
    """Evaluate some points, a block at a time."""
    found = []
    for block in rows.split(sheet.settings.block):
        values = evaluate(sheet.points[block])
        require(
            values.ndim == 2 and len(values) == len(block) and values.shape[1] > 0,
            f"evaluate returned shape {tuple(values.shape)} for {len(block)} points, not [point, quantity]",
        )
        found.append(values.detach().to(sheet.points))
        yield len(block)
    return _Known(rows, torch.cat(found))


def _settle(sheet: _Sheet, evaluate: Evaluate, known: _Known, chance: torch.Generator) -> Generator[int, None, _Known]:
    """Evaluate until no estimate exceeds the tolerance and some points drawn at random agree."""
    while True:
        rows = _wanted(sheet, known)
        if len(rows) > 0:
            known = known + (yield from _ask(sheet, evaluate, rows))
            continue
        rows = _drawn(sheet, known, sheet.settings.checks // 2, chance)
        if len(rows) == 0:
            return known
        usable = _usable(sheet, known)
        guess = _interpolated(sheet, usable, rows)
        found = yield from _ask(sheet, evaluate, rows)
        known = known + found
        if bool((_apart(guess, _transformed(sheet, found.values)) <= _allowed(sheet, usable)).all()):
            return known


def _wanted(sheet: _Sheet, known: _Known) -> Int[Tensor, " row"]:
    """The points to evaluate next; none if the estimated error is nowhere above the tolerance.

    The worst is taken first; estimates around it then fall as if it were known.
    """
    left, usable = _left(sheet, known), _usable(sheet, known)
    if len(left) == 0 or min(sheet.settings.tolerance) == 0 or len(usable) < _FEWEST:
        return left
    places = sheet.places[left]
    near, around = nearest(places, sheet.places[usable.rows], _AROUND)
    judged, which = around.unique(return_inverse=True)
    steepness = _CAUTION * _steepness(sheet, usable, judged)[which].amax(dim=1)
    gap, chosen = near[:, 0], torch.zeros_like(left, dtype=torch.bool)
    for _ in range(max(_LEAST ** len(sheet.shape), len(known) // _SHARE)):
        estimate = steepness * gap
        worst = int(estimate.argmax())
        if not float(estimate[worst]) > 1:
            break
        chosen[worst] = True
        gap = torch.minimum(gap, distances(places, places[worst : worst + 1])[:, 0])
    wanted: Tensor = torch.cat([left[chosen], _next_to_gaps(sheet, known)]).unique()
    return wanted


def _steepness(sheet: _Sheet, usable: _Known, judged: Int[Tensor, " judged"]) -> Float[Tensor, " judged"]:
    """Error at some known points when each is left out, in tolerances, over the distance to the next known point."""
    rows = usable.rows[judged]
    missed = _apart(_interpolated(sheet, usable, rows), usable.values[judged])
    near, _ = nearest(sheet.places[rows], sheet.places[usable.rows], 2)  # the first is the point itself
    return (missed / _allowed(sheet, usable)).amax(dim=1) / near[:, 1]


def _interpolated(sheet: _Sheet, usable: _Known, rows: Int[Tensor, " row"]) -> Float[Tensor, "row quantity"]:
    """Transformed quantities at some rows, each from other points alone."""
    return interpolate(sheet.places[usable.rows], usable.values, sheet.lattice[usable.rows], sheet.places[rows])


def _picture(sheet: _Sheet, known: _Known, checked: _Known) -> Picture:
    """All values, and the error at the points checked, which are put in without being interpolated from."""
    left, everything = _left(sheet, known), known + checked
    values = known.values.new_empty(len(sheet.points), known.values.shape[1])
    if len(left) > 0:
        guess = _interpolated(sheet, _usable(sheet, known), left)
        guess = torch.where(_logarithmic(sheet), guess.exp(), guess)
        values[left] = torch.where((everything.values < 0).any(dim=0), guess, guess.clamp(min=0))
    error = _error(sheet, values[checked.rows], checked, _usable(sheet, everything))
    values[everything.rows] = everything.values
    evaluated = torch.zeros(len(values), dtype=torch.bool, device=values.device)
    evaluated[everything.rows] = True
    return Picture(values.reshape(*sheet.shape, -1), evaluated.reshape(sheet.shape), error)


def _error(
    sheet: _Sheet, guess: Float[Tensor, "point quantity"], checked: _Known, usable: _Known
) -> InterpolationError:
    """The error of guesses, of which there may be none."""
    if len(guess) == 0:
        none = guess.sum(dim=0)
        return InterpolationError(0, none, none, none, none)
    apart = _apart(guess, checked.values)
    fraction = _apart(_transformed(sheet, guess), _transformed(sheet, checked.values)) / _range(usable)
    largest, largest_fraction = apart.amax(dim=0), fraction.amax(dim=0)
    rms, rms_fraction = apart.square().mean(dim=0).sqrt(), fraction.square().mean(dim=0).sqrt()
    return InterpolationError(len(guess), largest, rms, largest_fraction, rms_fraction)


def _left(sheet: _Sheet, known: _Known) -> Int[Tensor, " row"]:
    """The points that are not evaluated."""
    left = torch.ones_like(sheet.lattice)
    left[known.rows] = False
    return left.nonzero()[:, 0]


def _drawn(sheet: _Sheet, known: _Known, most: int, chance: torch.Generator) -> Int[Tensor, " row"]:
    """Points drawn at random from those that are not evaluated."""
    left = _left(sheet, known)
    order = torch.randperm(len(left), generator=chance, device=chance.device).to(left.device)
    return left[order[: min(most, math.ceil(len(left) / _DRAW))]]


def _next_to_gaps(sheet: _Sheet, known: _Known) -> Int[Tensor, " row"]:
    """The points not evaluated that touch, be it at a corner, one that is not finite."""
    gaps = torch.zeros_like(sheet.points[:, 0])
    gaps[known.rows] = (~_transformed(sheet, known.values).isfinite().all(dim=1)).to(gaps)
    height, width = (*sheet.shape, 1)[:2]
    near = functional.max_pool2d(gaps.reshape(1, height, width), 3, stride=1, padding=1).flatten() > 0
    near[known.rows] = False
    return near.nonzero()[:, 0]


def _usable(sheet: _Sheet, known: _Known) -> _Known:
    """The points all of whose quantities are finite, as they are interpolated."""
    values = _transformed(sheet, known.values)
    finite = values.isfinite().all(dim=1)
    return _Known(known.rows[finite], values[finite])


def _logarithmic(sheet: _Sheet) -> Bool[Tensor, " quantity"]:
    return torch.tensor([t == "log" for t in sheet.settings.transforms], device=sheet.points.device)


def _transformed(sheet: _Sheet, values: Float[Tensor, "point quantity"]) -> Float[Tensor, "point quantity"]:
    return torch.where(_logarithmic(sheet), values.log(), values)


def _apart(one: Float[Tensor, "*shape"], other: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Absolute differences, infinite where either is not finite."""
    return (one - other).abs().nan_to_num(nan=torch.inf, posinf=torch.inf)


def _range(usable: _Known) -> Float[Tensor, " quantity"]:
    """Range of each quantity; of a constant one, what is far above its rounding and far below anything to be seen."""
    low, high = usable.values.aminmax(dim=0)
    least = 1e-9 * torch.maximum(low.abs(), high.abs()).clamp(min=1e-200)
    return torch.maximum(high - low, least)


def _allowed(sheet: _Sheet, usable: _Known) -> Float[Tensor, " quantity"]:
    """The error that the tolerance lets pass."""
    wide = _range(usable)
    return torch.tensor(sheet.settings.tolerance, dtype=wide.dtype, device=wide.device) * wide
