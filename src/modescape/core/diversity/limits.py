"""The diversity-accuracy plane: its two limit curves, and the family of curves between them (Fort et al. 2019, app. D).

All give the *raw* disagreement with a base solution of accuracy a*, with K classes; ``normalised_disagreement`` divides
by 1 - a. Both limits pass through accuracy 1/K, normalised disagreement 1.
"""

import torch
from torch import Tensor

from modescape.core.shapes import Float

LEAST_EXPONENT, LARGEST_EXPONENT = 0.01, 10.0
_NEWTON = 10
_GRID, _SECTIONS = 17, 28
_GOLDEN = (5**0.5 - 1) / 2


def upper_limit(accuracy: Float[Tensor, "*shape"], base: float, classes: int) -> Float[Tensor, "*shape"]:
    """Disagreement of a network whose errors are independent of the base's.

    d = a*(1-a) + a(1-a*) + (1-a*)(1-a)(K-2)/(K-1): two wrong labels differ with probability (K-2)/(K-1).
    """
    wrong = 1 - accuracy
    return base * wrong + accuracy * (1 - base) + (1 - base) * wrong * (classes - 2) / (classes - 1)


def lower_limit(accuracy: Float[Tensor, "*shape"], base: float, classes: int) -> Float[Tensor, "*shape"]:
    """Disagreement of the base with labels flipped at random to another class: d = (K-1)(a*-a) / (K a* - 1).

    NaN for a base that guesses (a* = 1/K): flipping changes its accuracy nowhere.
    """
    return (classes - 1) * (base - accuracy) / torch.tensor(classes * base - 1 or torch.nan, dtype=accuracy.dtype)


def family(
    flipped: Float[Tensor, "*shape"], exponent: Float[Tensor, "*e"], base: Float[Tensor, "*b"], classes: int
) -> tuple[Tensor, Tensor]:
    """Accuracy and disagreement of the base with right labels flipped with probability p, wrong ones with p**e.

    a = a*(1-p) + (1-a*) p**e / (K-1) and d = a* p + (1-a*) p**e. Exponent 1 is the lower limit; the smaller, the more
    diverse.
    """
    wrong = flipped**exponent
    return (
        base * (1 - flipped) + (1 - base) * wrong / (classes - 1),
        base * flipped + (1 - base) * wrong,
    )


def family_accuracy(
    disagreement: Float[Tensor, "*shape"], exponent: Float[Tensor, "*e"], base: Float[Tensor, "*b"], classes: int
) -> Float[Tensor, "*out"]:
    """Accuracy of the curve with this exponent where it has this disagreement.

    Disagreement rises from 0 to 1 along every curve, so that the point is one. Its logarithm is a convex function of
    log p with slopes between 1 and the exponent: Newton's method from above comes down to it without a miss.
    """
    right, wrong = base.double().log(), (1 - base.double()).log()
    wanted = disagreement.double().log()
    log_p = torch.minimum(wanted - right, (wanted - wrong) / exponent)
    for _ in range(_NEWTON):
        flipped_right, flipped_wrong = right + log_p, wrong + exponent * log_p
        total = torch.logaddexp(flipped_right, flipped_wrong)
        share = (flipped_wrong - total).exp()
        log_p = log_p - (total - wanted) / (1 - share + share * exponent)
    found = family(log_p.clamp(max=0).exp(), exponent, base.double(), classes)[0]
    # At no disagreement every logarithm is infinite, and the curve is at the base.
    return torch.where(disagreement > 0, found, base.double())


def fit_exponent(
    accuracy: Float[Tensor, "*draw member"],
    disagreement: Float[Tensor, "*draw member"],
    base: Float[Tensor, "*draw"],
    classes: int,
) -> Float[Tensor, "*draw"]:
    """The exponent whose curve lies nearest to a cloud: least squares of the accuracy at each member's disagreement.

    Raw disagreement is the abscissa because every curve is a function of it (near the base a curve has two points at
    one accuracy). Exponents in [0.01, 10] are searched, by a grid in their logarithm and golden sections. A cloud that
    never leaves the base says nothing of its exponent: NaN.
    """
    wide, apart, centre = accuracy.double(), disagreement.double(), base.double()[..., None]

    def loss(log_exponent: Tensor) -> Tensor:
        found = family_accuracy(apart, log_exponent.exp()[..., None], centre, classes)
        return (found - wide).square().sum(dim=-1)

    ends = torch.tensor([LEAST_EXPONENT, LARGEST_EXPONENT], dtype=torch.float64).log().tolist()
    step = (ends[1] - ends[0]) / (_GRID - 1)
    grid = [torch.full(base.shape, ends[0] + step * i, dtype=torch.float64) for i in range(_GRID)]
    best = torch.stack([loss(point) for point in grid]).argmin(dim=0)
    low = ends[0] + step * (best - 1).clamp(min=0).double()
    high = ends[0] + step * (best + 1).clamp(max=_GRID - 1).double()
    for _ in range(_SECTIONS):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        lefter = loss(left) < loss(right)
        low, high = torch.where(lefter, low, left), torch.where(lefter, right, high)
    exponent = ((low + high) / 2).exp()
    return torch.where((apart > 0).any(dim=-1), exponent, torch.nan)
