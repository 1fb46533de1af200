"""Where an ensemble's uncertainty comes from, and how its members differ, from sums over members only.

Sums add up over members, so that any subset of solutions costs no more than adding them. With M members: ``count`` is
M; ``probabilities`` and ``log_probabilities`` are sums of theirs, ``votes`` says how many members predict a class, and
``entropy`` is the sum of their entropies.
"""

import torch
from torch import Tensor

from modescape.core.scores.intervals import weighted_means
from modescape.core.settings import require
from modescape.core.shapes import Float, Int

TOLERANCE = 1e-4
"""Nats that rounding, in float32 too, may leave below zero; what is further below is a mistake."""


def entropies(
    log_probabilities: Float[Tensor, "example class"], member_entropy: Float[Tensor, " example"]
) -> tuple[Float[Tensor, " example"], Float[Tensor, " example"], Float[Tensor, " example"]]:
    """Total, aleatoric and epistemic uncertainty of each example, nats, float64 (Depeweg et al. 2018).

    Total is the entropy of the pooled prediction, aleatoric the mean of the members' entropies, epistemic what remains:
    the Jensen-Shannon divergence of the members and the mutual information of class and member. Rounding may leave it a
    little below 0, where it is set to 0. Raises ``ValueError`` if it is further below: then the entropies are not those
    of the members that were pooled.
    """
    logs, aleatoric = log_probabilities.double(), member_entropy.double()
    total = -_expected(logs.exp(), logs)
    epistemic = total - aleatoric
    low = epistemic < -TOLERANCE
    require(not low.any(), "the members' mean entropy exceeds that of their mean: these are not the members pooled")
    return total, aleatoric, epistemic.clamp(min=0)


def pairwise_kl(
    count: int,
    probabilities: Float[Tensor, "example class"],
    log_probabilities: Float[Tensor, "example class"],
    entropy: Float[Tensor, " example"],
) -> Float[Tensor, " example"]:
    """Mean over ordered pairs of different members of KL(p_i || p_j), for each example, nats, float64.

    Sum over i, j of p_i log p_j is the product of the sums, so M members cost M terms. Infinite where one member
    excludes what another expects; never negative. Raises ``ValueError`` for fewer than two members.
    """
    require(count > 1, f"pairs need at least two members, not {count}")
    cross = _expected(probabilities.double(), log_probabilities.double())
    return ((-count * entropy.double() - cross) / (count * (count - 1))).clamp(min=0)


def pairwise_disagreement(count: int, votes: Int[Tensor, "example class"]) -> Float[Tensor, " example"]:
    """Fraction of the pairs of members that predict different classes, for each example, float64.

    Raises ``ValueError`` for fewer than two members.
    """
    require(count > 1, f"pairs need at least two members, not {count}")
    return (count**2 - votes.double().square().sum(dim=-1)) / (count * (count - 1))


def mean_error(
    count: int, votes: Int[Tensor, "example class"], targets: Int[Tensor, " example"]
) -> Float[Tensor, " example"]:
    """Fraction of the members that are wrong, for each example, float64."""
    return 1 - votes.gather(-1, targets.long()[:, None])[:, 0].double() / count


def disagreement_error_ratio(
    disagreement: Float[Tensor, " example"], error: Float[Tensor, " example"], weights: Float[Tensor, "draw example"]
) -> Float[Tensor, " draw"]:
    """DER: mean disagreement of pairs over mean error of members, under each row of weights (Theisen et al. 2023).

    From ``pairwise_disagreement`` and ``mean_error``. NaN if no member is wrong on any example that counts, and for no
    other reason: then the members do not disagree either, and 0/0 says nothing.
    """
    apart, wrong = weighted_means(torch.stack([disagreement.double(), error.double()]), weights).unbind(dim=1)
    return apart / wrong


def improvement_rate(
    ensemble_error: Float[Tensor, " example"], error: Float[Tensor, " example"], weights: Float[Tensor, "draw example"]
) -> Float[Tensor, " draw"]:
    """EIR: (mean error of members - error of the ensemble) / mean error of members (Theisen et al. 2023).

    At most 1, negative where the ensemble is worse. Where no member is wrong on any example that counts it is NaN if
    the ensemble is not wrong either, and for no other reason; -inf if it is.
    """
    whole, wrong = weighted_means(torch.stack([ensemble_error.double(), error.double()]), weights).unbind(dim=1)
    return (wrong - whole) / wrong


def _expected(
    probabilities: Float[Tensor, "example class"], values: Float[Tensor, "example class"]
) -> Float[Tensor, " example"]:
    """Sum over classes of p * value, where p = 0 counts nothing even if the value is infinite."""
    return torch.where(probabilities > 0, probabilities * values, 0.0).sum(dim=-1)
