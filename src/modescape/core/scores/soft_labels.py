"""Predictions against distributions: what people answered, and a reference posterior predictive.

The reference is given as counts or probabilities [example, class]; rows are divided by their sums.
"""

import math

import torch
from torch import Tensor

from modescape.core.scores.checks import first_row
from modescape.core.settings import require
from modescape.core.shapes import Float, Shaped

TOLERANCE = 1e-3
"""How far from 1 a row of a reference posterior may sum: such references are kept in half precision too."""


def soft_cross_entropy(
    log_probabilities: Float[Tensor, "example class"], counts: Shaped[Tensor, "example class"]
) -> Float[Tensor, " example"]:
    """Mean log loss over the people who were asked, for each example, nats, float64 (Peterson et al. 2019).

    ``counts`` are how many people chose each class. +inf where somebody chose a class of probability 0. Raises
    ``ValueError`` for counts that are negative or not finite, and for examples without any.
    """
    people = _shares(counts)
    return -torch.where(people > 0, people * log_probabilities.double(), 0.0).sum(dim=-1)


def soft_jensen_shannon(
    log_probabilities: Float[Tensor, "example class"], counts: Shaped[Tensor, "example class"]
) -> Float[Tensor, " example"]:
    """Jensen-Shannon divergence of people and prediction with equal weights, for each example, in [0, ln 2] nats.

    Float64; errors as in ``soft_cross_entropy``.
    """
    ours, people = log_probabilities.double(), _shares(counts).log()
    middle = torch.logaddexp(ours, people) - math.log(2)
    apart = [torch.where(one > -torch.inf, one.exp() * (one - middle), 0.0).sum(dim=-1) for one in (ours, people)]
    return (0.5 * (apart[0] + apart[1])).clamp(min=0)


def agreement(
    log_probabilities: Float[Tensor, "example class"], reference: Float[Tensor, "example class"]
) -> Float[Tensor, " example"]:
    """1 where both predict the same class, else 0; float64 (Izmailov et al. 2021, arXiv 2104.14421).

    Of classes with equal probabilities the first is predicted.
    """
    return (log_probabilities.argmax(dim=-1) == reference.argmax(dim=-1)).double()


def total_variation_between(
    log_probabilities: Float[Tensor, "example class"], reference: Float[Tensor, "example class"]
) -> Float[Tensor, " example"]:
    """Half the sum of absolute differences from a reference posterior predictive, for each example, in [0, 1].

    Float64 (Izmailov et al. 2021). Raises ``ValueError`` for a reference that is negative, not finite, or whose rows do
    not sum to 1 within 1e-3.
    """
    shares = _shares(reference)
    off = (reference.double().sum(dim=-1) - 1).abs() > TOLERANCE
    require(not bool(off.any()), f"reference probabilities of row {first_row(off)} do not sum to 1")
    return 0.5 * (log_probabilities.double().exp() - shares).abs().sum(dim=-1)


def _shares(table: Shaped[Tensor, "example class"]) -> Float[Tensor, "example class"]:
    wide = table.double()
    bad = ~((wide >= 0) & wide.isfinite()).all(dim=-1)
    require(not bool(bad.any()), f"row {first_row(bad)} of the reference has entries that are negative or not finite")
    sums = wide.sum(dim=-1)
    require(bool((sums > 0).all()), f"row {first_row(sums == 0)} of the reference is empty")
    return wide / sums[:, None]
