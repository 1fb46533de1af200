"""How far apart predicted probabilities are: Kullback-Leibler, Jensen-Shannon, total variation; nats, float64.

All from log-probabilities, so that probabilities that underflow count as what they are.
"""

import torch
from torch import Tensor

from modescape.core.settings import require
from modescape.core.shapes import Float

BLOCK = 2**21
"""Probabilities in a block, so that memory stays bounded whatever the number of examples."""


def _log(logits: Float[Tensor, "*shape class"]) -> Float[Tensor, "*shape class"]:
    return logits.double().log_softmax(dim=-1)


def _expected(log_p: Tensor, values: Tensor) -> Tensor:
    """Sum over classes of p * values, where p = 0 counts nothing even if the value is infinite."""
    p = log_p.exp()
    return torch.where(p > 0, p * values, torch.zeros_like(values)).sum(dim=-1)


def kullback_leibler(
    logits: Float[Tensor, "*shape class"], reference: Float[Tensor, "*reference_shape class"]
) -> Float[Tensor, "*broadcast"]:
    """KL(p || q) for every example, p from ``logits`` and q from ``reference`` (broadcast), never negative."""
    log_p, log_q = _log(logits), _log(reference)
    return _expected(log_p, log_p - log_q).clamp(min=0)


def divergence_matrix(logits: Float[Tensor, "member example class"]) -> Float[Tensor, "member member"]:
    """Mean over examples of KL(p_i || p_j) for every pair of members, row i and column j, never negative.

    Sums over examples and classes are matrix products, in blocks of examples.
    """
    members, examples, classes = logits.shape
    require(examples > 0, "a divergence needs at least one example")
    own = torch.zeros(members, dtype=torch.float64, device=logits.device)
    cross = torch.zeros(members, members, dtype=torch.float64, device=logits.device)
    for block in logits.split(max(1, BLOCK // (members * classes)), dim=1):
        # As log_softmax does, but with one exponential for the logarithm and the probability.
        log_p = block.double()
        log_p = log_p - log_p.amax(dim=-1, keepdim=True)
        p = log_p.exp()
        total = p.sum(dim=-1, keepdim=True)
        p, log_p = p.div_(total).flatten(1), log_p.sub_(total.log()).flatten(1)
        none = log_p == -torch.inf
        finite = log_p.masked_fill(none, 0.0) if none.any() else log_p
        own += (p * finite).sum(dim=1)
        cross += p @ finite.T
        if none.any():
            # Where q = 0 and p > 0 the divergence is infinite; where both are 0 it counts nothing.
            cross[p @ none.double().T > 0] = -torch.inf
    found = (own[:, None] - cross) / examples
    found.fill_diagonal_(0.0)
    return found.clamp(min=0)


def total_variation(
    logits: Float[Tensor, "*shape class"], reference: Float[Tensor, "*reference_shape class"]
) -> Float[Tensor, "*broadcast"]:
    """Half the sum of absolute differences of probabilities for every example, in [0, 1]."""
    return 0.5 * (_log(logits).exp() - _log(reference).exp()).abs().sum(dim=-1)


def entropy(logits: Float[Tensor, "*shape class"]) -> Float[Tensor, "*shape"]:
    """Entropy of the predicted probabilities for every example."""
    log_p = _log(logits)
    return -_expected(log_p, log_p)


def jensen_shannon(logits: Float[Tensor, "member *shape class"]) -> Float[Tensor, "*shape"]:
    """Entropy of the members' mean probability minus the mean of their entropies, for every example, in [0, ln M].

    This is the spread of an ensemble in Fort et al. 2019, figure 9 (its code; the text leaves out the division by M),
    and the mutual information between class and member. For two members it is the divergence between them.
    """
    require(len(logits) >= 1, "Jensen-Shannon needs at least one member")
    log_p = _log(logits)
    log_mean = log_p.logsumexp(dim=0) - torch.tensor(float(len(logits)), dtype=torch.float64).log()
    # Rounding may leave a difference of equal entropies a little below zero.
    return (-_expected(log_mean, log_mean) - -_expected(log_p, log_p).mean(dim=0)).clamp(min=0)
