"""Proper scoring rules, in log space where logarithms are taken."""

from torch import Tensor

from modescape.core.shapes import Float, Int


def nll(logits: Float[Tensor, "member example class"], targets: Int[Tensor, " example"]) -> Float[Tensor, " member"]:
    """Mean negative log-likelihood of each member in nats, float64."""
    log_probabilities = logits.double().log_softmax(dim=-1)
    index = targets.expand(len(logits), -1)[..., None]
    return -log_probabilities.gather(-1, index)[..., 0].mean(dim=-1)
