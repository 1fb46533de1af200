"""Proper scoring rules, in log space where logarithms are taken."""

import torch
from torch import Tensor

from modescape.core.shapes import Float, Int


def nll(logits: Float[Tensor, "member example class"], targets: Int[Tensor, " example"]) -> Float[Tensor, " member"]:
    """Mean negative log-likelihood of each member in nats, float64."""
    log_probabilities = logits.double().log_softmax(dim=-1)
    index = targets.expand(len(logits), -1)[..., None]
    return -log_probabilities.gather(-1, index)[..., 0].mean(dim=-1)


def log_loss(
    log_probabilities: Float[Tensor, "example class"], targets: Int[Tensor, " example"]
) -> Float[Tensor, " example"]:
    """Minus the log-probability of the target, in nats, float64; +inf where the probability is exactly 0."""
    return -log_probabilities.double().gather(-1, targets.long()[:, None])[:, 0]


def brier(
    log_probabilities: Float[Tensor, "example class"], targets: Int[Tensor, " example"]
) -> Float[Tensor, " example"]:
    """Sum over classes of (probability - 1 for the target, 0 otherwise) squared, float64, in [0, 2] (Brier 1950).

    Other conventions halve it or divide by the number of classes.
    """
    gaps = log_probabilities.double().exp()
    gaps.scatter_add_(1, targets.long()[:, None], torch.full_like(gaps[:, :1], -1.0))
    return gaps.square().sum(dim=-1)
