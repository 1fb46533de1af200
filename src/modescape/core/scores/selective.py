"""Selective prediction: how wrong an ensemble is on the examples of which it is most confident."""

import torch
from torch import Tensor

from modescape.core.scores.intervals import totals
from modescape.core.settings import require
from modescape.core.shapes import Float

CHUNK = 50
"""Draws at a time: their weights stay in the processor's cache."""


def risk_coverage_area(
    confidence: Float[Tensor, " example"], errors: Float[Tensor, " example"], weights: Float[Tensor, "draw example"]
) -> Float[Tensor, " draw"]:
    """Area under the risk-coverage curve (AURC), under each row of example weights, float64 (Geifman et al. 2019).

    The mean over i = 1...N of the error rate among the i most confident examples; ``errors`` are 1 where an example is
    wrong, 0 where it is right, or between. Among examples of equal confidence, of which a bootstrap has many, it is the
    expected value over their random orders. Weights count examples: whole ones give the area of the repeated sample, N
    their sum; between whole numbers sums of 1/i are continued by the digamma function. Raises ``ValueError`` for
    confidence or errors that are not finite and for a row without weight.
    """
    require(bool(confidence.isfinite().all()), "confidence must be finite")
    require(bool(errors.isfinite().all()), "errors must be finite")
    _, level = (-confidence.double()).unique(return_inverse=True)
    # Where an example is right nothing is added, so only levels with errors are told apart, and what lies between them.
    wrong = errors.nonzero()[:, 0]
    levels, own = level[wrong].unique(return_inverse=True)
    segment = torch.bucketize(level, levels) + torch.bucketize(level, levels, right=True)
    amount = errors[wrong].double()[:, None]
    areas = []
    for chunk in weights.split(CHUNK):
        rows = chunk.double().T.contiguous()
        sums = rows.new_zeros(2 * len(levels) + 1, rows.shape[1]).index_add_(0, segment, rows).cumsum(dim=0)
        lost = rows.new_zeros(len(levels), rows.shape[1]).index_add_(0, own, rows[wrong] * amount)
        areas.append((lost * _shares(sums[:-1:2], sums[1::2], sums[-1:])).sum(dim=0))
    return torch.cat(areas) / totals(weights)


def _shares(
    before: Float[Tensor, "level draw"], after: Float[Tensor, "level draw"], whole: Float[Tensor, "one draw"]
) -> Float[Tensor, "level draw"]:
    """What an example that is wrong adds to the sum over i of the error rate among the i most confident.

    Its level has n = after - before examples. It adds 1/i for every i beyond its level, and on average over the places
    that it may have 1/n * (n - before * (sum of 1/i over its level)) within it.
    """
    to_before, to_after, to_end = (torch.digamma(sums + 1) for sums in (before, after, whole))
    count = after - before
    within = before * (to_after - to_before) / count.masked_fill(count == 0, 1.0)
    return to_end - to_after + 1 - within
