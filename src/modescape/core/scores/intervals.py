"""Bootstrap intervals over examples: how far a mean would move on another test set of the same size."""

import math

import torch
from torch import Tensor

from modescape.core.shapes import Float, Shaped


def bootstrap_means(
    values: Shaped[Tensor, "item example"], draws: int, chance: torch.Generator
) -> Float[Tensor, "draw item"]:
    """Means of each item, numbers or flags, over resampled examples (float64); items share the examples of a draw."""
    examples = values.shape[1]
    wide = values.double()
    means: list[Tensor] = []
    for start in range(0, draws, 100):
        count = min(100, draws - start)
        index = torch.randint(0, examples, (count, examples), generator=chance)
        weight = torch.zeros(count, examples, dtype=torch.float64)
        weight.scatter_add_(1, index, torch.ones_like(weight))
        means.append(weight.to(wide.device) @ wide.T / examples)
    return torch.cat(means)


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
