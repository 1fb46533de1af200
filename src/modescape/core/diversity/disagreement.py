"""Disagreement: the fraction of examples on which two members' predicted classes differ (Fort et al. 2019)."""

import torch
from torch import Tensor

from modescape.core.settings import require
from modescape.core.shapes import Bool, Float, Int

BLOCK = 2**25
"""Numbers in a block of one-hot predictions, so that memory stays bounded whatever the number of examples."""


def differing(
    classes: Int[Tensor, "member example"], reference: Int[Tensor, " example"]
) -> Bool[Tensor, "member example"]:
    """Where each member's predicted class is not the reference's; the mean over examples is their disagreement."""
    return classes != reference


def disagreement_matrix(classes: Int[Tensor, "member example"], count: int) -> Float[Tensor, "member member"]:
    """Disagreement of every pair of members, float64, from predicted classes in [0, count).

    Agreements are counted by products of one-hot matrices, in blocks of examples; float32 counts are exact because a
    block never has 2**24 examples.
    """
    members, examples = classes.shape
    require(examples > 0, "disagreement needs at least one example")
    agreements = torch.zeros(members, members, dtype=torch.float64, device=classes.device)
    for block in classes.split(max(1, BLOCK // (members * count)), dim=1):
        one_hot = torch.nn.functional.one_hot(block.long(), count).to(torch.float32).reshape(members, -1)
        agreements += (one_hot @ one_hot.T).double()
    return 1 - agreements / examples


def pairwise_per_example(classes: Int[Tensor, "member example"], count: int) -> Float[Tensor, " example"]:
    """For each example the fraction of unordered pairs of members that disagree on it, float64.

    Its mean over examples is the mean disagreement over pairs. Needs at least two members.
    """
    members = len(classes)
    require(members >= 2, f"pairs need at least two members, got {members}")
    votes = torch.nn.functional.one_hot(classes.long().T, count).sum(dim=1).double()
    agreeing = (votes * (votes - 1)).sum(dim=1)
    return 1 - agreeing / (members * (members - 1))


def normalised_disagreement(
    disagreement: Float[Tensor, "... member"], error: Float[Tensor, "... member"]
) -> Float[Tensor, "... member"]:
    """Disagreement with a reference over the error rate of *the member being compared* (the column).

    Where that member makes no error at all the ratio has no value: NaN.
    """
    ratio = disagreement / error
    return torch.where(error > 0, ratio, torch.full_like(ratio, torch.nan))
