"""Means under example weights, and bootstrap intervals over examples.

An interval says how far a score would move on another test set of the same size.
"""

import math

import torch
from torch import Tensor

from modescape.core.scores.checks import first_row
from modescape.core.settings import require
from modescape.core.shapes import Float, Shaped

CHUNK = 100
"""Draws at a time, so that memory stays bounded."""


def bootstrap_weights(examples: int, draws: int, chance: torch.Generator) -> Float[Tensor, "draw example"]:
    """How often each example is drawn when as many are drawn with replacement: multinomial counts, float64.

    Every row sums to ``examples``. Raises ``ValueError`` without examples.
    """
    require(examples > 0, "a bootstrap needs at least one example")
    weights = torch.zeros(draws, examples, dtype=torch.float64)
    for block in weights.split(CHUNK):
        index = torch.randint(0, examples, block.shape, generator=chance)
        block.scatter_add_(1, index, torch.ones_like(block))
    return weights


def bootstrap_means(
    values: Shaped[Tensor, "item example"], draws: int, chance: torch.Generator
) -> Float[Tensor, "draw item"]:
    """Means of each item, numbers or flags, over resampled examples (float64); items share the examples of a draw."""
    examples = values.shape[1]
    wide = values.double()
    means: list[Tensor] = []
    for start in range(0, draws, CHUNK):
        weights = bootstrap_weights(examples, min(CHUNK, draws - start), chance)
        means.append(weights.to(wide.device) @ wide.T / examples)
    return torch.cat(means)


def totals(weights: Float[Tensor, "draw example"]) -> Float[Tensor, " draw"]:
    """The sum of each row of example weights, float64. Raises ``ValueError`` where it is not a positive number."""
    found = weights.double().sum(dim=1)
    good = (found > 0) & found.isfinite()
    require(bool(good.all()), f"example weights of row {first_row(~good)} do not sum to a positive number")
    return found


def weighted_means(
    values: Shaped[Tensor, "item example"], weights: Float[Tensor, "draw example"]
) -> Float[Tensor, "draw item"]:
    """Means of each item under each row of non-negative example weights (float64): the one form of most scores.

    A row of ones gives the plain mean, rows of ``bootstrap_weights`` its bootstrap distribution. A value may be +inf:
    the means that count it are +inf, and where its weight is 0 it does not count. Raises ``ValueError`` for values that
    are NaN or -inf, and for weights of which a row has no sum.
    """
    wide, sums = values.double(), totals(weights)
    good = (wide > -torch.inf).all(dim=1)
    require(bool(good.all()), f"values of item {first_row(~good)} are NaN or -inf, which have no mean")
    infinite = wide == torch.inf
    if not infinite.any():
        return weights.double() @ wide.T / sums[:, None]
    # 0 * inf has no value, so what is infinite is counted apart.
    means = weights.double() @ wide.masked_fill(infinite, 0.0).T / sums[:, None]
    return means.masked_fill(weights.double() @ infinite.double().T > 0, torch.inf)


def percentile_interval(draws: Float[Tensor, " draw"], level: float = 0.95) -> tuple[float, float]:
    """The central interval that holds this fraction of the draws, interpolated; draws without a value are left out.

    An end among infinite draws is infinite.
    """
    kept = draws[~draws.isnan()].double().sort().values
    if len(kept) == 0:
        return math.nan, math.nan
    tail = (1 - level) / 2
    low, high = (_interpolated(kept, share * (len(kept) - 1)) for share in (tail, 1 - tail))
    return low, high


def _interpolated(ordered: Float[Tensor, " draw"], position: float) -> float:
    below, above = float(ordered[math.floor(position)]), float(ordered[math.ceil(position)])
    share = position - math.floor(position)
    # Differences of infinities have no value, so equal ends and whole positions are taken as they are.
    return below if share == 0 or below == above else below + share * (above - below)
