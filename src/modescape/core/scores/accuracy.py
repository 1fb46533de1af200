"""Fraction of examples whose predicted class is the target."""

from torch import Tensor

from modescape.core.shapes import Bool, Float, Int


def correct(classes: Int[Tensor, "member example"], targets: Int[Tensor, " example"]) -> Bool[Tensor, "member example"]:
    """Where each member is right."""
    return classes == targets


def accuracy(classes: Int[Tensor, "member example"], targets: Int[Tensor, " example"]) -> Float[Tensor, " member"]:
    """Accuracy of each member, float64."""
    return correct(classes, targets).double().mean(dim=-1)
