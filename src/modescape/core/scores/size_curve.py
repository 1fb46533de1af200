"""A score as a function of the number of independent networks: what others are worth in it, and where it goes.

Lower is better.
"""

import torch
from torch import Tensor

from modescape.core.settings import require
from modescape.core.shapes import Float, Shaped

LEAST, MOST = 0.05, 2.0
"""Bounds of the power of a law of sizes: errors of independent networks average as 1/size."""
GRID = 101
ROUNDS = 4
"""Grids of powers, each around the best of the one before: 0.02 / 50^3 apart in the end."""


def equivalent(curve: Float[Tensor, "draw size"], value: Float[Tensor, " draw"]) -> Float[Tensor, " draw"]:
    """How many independent networks are as good as ``value``: the deep-ensemble equivalent, float64.

    ``curve`` holds the score of 1, 2, ... independent networks, for each draw; it is interpolated linearly, after its
    running minimum made it monotone (Ashukha et al. 2020, arXiv 2002.06470, of the calibrated log loss). 1 means "at
    most one": also what is worse than one network gets it. +inf means "more than the curve has": better than all of it.
    Raises ``ValueError`` for a curve without sizes and for NaN.
    """
    require(curve.shape[1] > 0, "a size curve needs at least one size")
    require(not bool(curve.isnan().any() or value.isnan().any()), "a size curve and what is compared must not be NaN")
    best, wanted = curve.double().cummin(dim=1).values, value.double()[:, None]
    reached = best <= wanted
    size = reached.double().argmax(dim=1, keepdim=True)
    here, before = best.gather(1, size), best.gather(1, (size - 1).clamp(min=0))
    # From an infinite score the line falls at once, and all of the step is needed.
    share = ((before - wanted) / (before - here)).nan_to_num(nan=1.0)
    found = torch.where(size > 0, size + share, 1.0)
    return torch.where(reached.any(dim=1, keepdim=True), found, torch.inf)[:, 0]


def forecast(
    sizes: Shaped[Tensor, " size"], values: Float[Tensor, "draw size"], at: Shaped[Tensor, " wanted"]
) -> Float[Tensor, "draw wanted"]:
    """Values at other sizes, from the law value = c + b * size^-a fitted to a few sizes by least squares, float64.

    b >= 0, so that a law never rises, and 0.05 <= a <= 2 (Lobacheva et al. 2020, arXiv 2007.08483). Two sizes leave no
    room for a: it is 1, as when errors of independent networks average out. Draws are fitted one by one, so that those
    of a bootstrap give an interval. Raises ``ValueError`` for fewer than two sizes, sizes that are equal or below 1,
    and values that are not finite.
    """
    here, there, wide = sizes.double(), at.double(), values.double()
    require(len(here) >= 2, "a law of sizes needs at least two")
    require(len(here.unique()) == len(here), "sizes of a law must differ")
    require(bool((here >= 1).all() and (there >= 1).all()), "sizes of a law are at least 1")
    require(bool(wide.isfinite().all()), "values of a law must be finite")
    return _law(here, wide, there, _powers(here, wide))


def _powers(sizes: Float[Tensor, " size"], values: Float[Tensor, "draw size"]) -> Float[Tensor, " draw"]:
    """The best power for each draw, by grids: the error has one valley in practice, but a grid needs no promise."""
    centre, reach = torch.full_like(values[:, 0], (LEAST + MOST) / 2), (MOST - LEAST) / 2
    if len(sizes) == 2:
        return torch.ones_like(centre)
    steps = torch.linspace(-1, 1, GRID, dtype=torch.float64, device=values.device)
    for _ in range(ROUNDS):
        powers = (centre[:, None] + reach * steps).clamp(LEAST, MOST)
        falls = _falls(sizes, powers)
        slope, scatter = _slopes(falls, values[:, None])
        # What b * fall explains of the scatter of values, nothing where b would be negative.
        best = (slope.square() * scatter).argmax(dim=1, keepdim=True)
        centre, reach = powers.gather(1, best)[:, 0], 2 * reach / (GRID - 1)
    return centre


def _falls(sizes: Float[Tensor, " size"], powers: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape size"]:
    return sizes ** -powers[..., None]


def _slopes(
    falls: Float[Tensor, "*shape size"], values: Float[Tensor, "*other size"]
) -> tuple[Float[Tensor, "*both"], Float[Tensor, "*shape"]]:
    """Least-squares b >= 0, and the scatter of size^-a about its mean."""
    apart = falls - falls.mean(dim=-1, keepdim=True)
    scatter = apart.square().sum(dim=-1)
    return ((apart * values).sum(dim=-1) / scatter).clamp(min=0), scatter


def _law(
    sizes: Float[Tensor, " size"],
    values: Float[Tensor, "draw size"],
    at: Float[Tensor, " wanted"],
    powers: Float[Tensor, " draw"],
) -> Float[Tensor, "draw wanted"]:
    falls = _falls(sizes, powers)
    slope, _ = _slopes(falls, values)
    level = values.mean(dim=1) - slope * falls.mean(dim=1)
    return level[:, None] + slope[:, None] * _falls(at, powers)
