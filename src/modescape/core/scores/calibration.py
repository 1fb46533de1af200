"""Calibration: whether predictions made with confidence c are right in a share c of the cases.

Confidence is the probability of the predicted class. It is sorted into bins:

- ``equal_width``: bin i of B is (i/B, (i+1)/B], the first one closed. A confidence of exactly 1 is in the last bin, one
  of exactly 0.1 in the first of ten. A confidence within ``EDGE`` above an edge counts as on it: the exponential of a
  rounded logarithm does not return exactly to the edge.
- ``adaptive``: equal numbers of examples in each bin, up to one, by rank among the unweighted sample. Examples of
  exactly equal confidence stay together, in the bin of their middle rank, so that the order of examples does not
  matter. Weights that vary leave the bins as they are.

The error is biased upwards for few examples and depends on the bins (Nixon et al. 2019, arXiv 1904.01685).
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from modescape.core.scores.intervals import totals
from modescape.core.settings import require
from modescape.core.shapes import Bool, Float, Int

EDGE = 1e-7
"""Of probability: what a logarithm loses in float32."""

Binning = Literal["equal_width", "adaptive"]


@dataclass(frozen=True)
class Reliability:
    """For each bin its number of examples, and their mean confidence and accuracy, both 0 where it is empty."""

    count: Float[Tensor, " bin"]
    confidence: Float[Tensor, " bin"]
    accuracy: Float[Tensor, " bin"]


def calibration_error(
    log_probabilities: Float[Tensor, "example class"],
    targets: Int[Tensor, " example"],
    weights: Float[Tensor, "draw example"],
    bins: int = 15,
    binning: Binning = "equal_width",
) -> Float[Tensor, " draw"]:
    """Expected calibration error of the predicted class, in [0, 1], under each row of example weights (float64).

    Mean over bins of |mean confidence - accuracy|, weighted by the share of examples (Naeini et al. 2015, Guo et al.
    2017, arXiv 1706.04599). Raises ``ValueError`` without bins, for another binning, and for a row without weight.
    """
    confidence, right = _predicted(log_probabilities, targets)
    gaps = _one_hot(confidence, bins, binning) * (confidence - right.double())[:, None]
    return (weights.double() @ gaps).abs().sum(dim=1) / totals(weights)


def reliability(
    log_probabilities: Float[Tensor, "example class"],
    targets: Int[Tensor, " example"],
    bins: int = 15,
    binning: Binning = "equal_width",
) -> Reliability:
    """The reliability diagram of a sample; its weighted mean gap is ``calibration_error`` under weights of one."""
    confidence, right = _predicted(log_probabilities, targets)
    where = _one_hot(confidence, bins, binning)
    count = where.sum(dim=0)
    sums = torch.stack([confidence, right.double()]) @ where
    found = sums / count.clamp(min=1)
    return Reliability(count, found[0], found[1])


def _predicted(
    log_probabilities: Float[Tensor, "example class"], targets: Int[Tensor, " example"]
) -> tuple[Float[Tensor, " example"], Bool[Tensor, " example"]]:
    top, classes = log_probabilities.double().max(dim=-1)
    return top.exp(), classes == targets


def _one_hot(confidence: Float[Tensor, " example"], bins: int, binning: str) -> Float[Tensor, "example bin"]:
    require(bins >= 1, f"a calibration error needs at least one bin, not {bins}")
    require(binning in ("equal_width", "adaptive"), f"binning is equal_width or adaptive, not {binning!r}")
    index = _equal_width(confidence, bins) if binning == "equal_width" else _adaptive(confidence, bins)
    return torch.nn.functional.one_hot(index, bins).double()


def _equal_width(confidence: Float[Tensor, " example"], bins: int) -> Int[Tensor, " example"]:
    inner = torch.arange(1, bins, dtype=torch.float64, device=confidence.device) / bins
    index: Tensor = torch.bucketize(confidence, inner + EDGE)
    return index


def _adaptive(confidence: Float[Tensor, " example"], bins: int) -> Int[Tensor, " example"]:
    _, place, counts = confidence.unique(return_inverse=True, return_counts=True)
    # Twice the middle of a group's ranks from 1/2 to N - 1/2, as whole numbers: halves of whole ranks stay exact.
    middle = 2 * counts.cumsum(dim=0) - counts
    index: Tensor = (middle * bins // (2 * len(confidence)))[place]
    return index
