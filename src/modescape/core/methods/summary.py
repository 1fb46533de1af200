"""What the members of one origin sum to on some examples: enough for the ensemble of any set of origins.

Sums over members add up: those of twenty members are those of ten and of the other ten. So one pass over all members
serves every subset of solutions, and no stack of predictions is held.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from modescape.core.reductions import Block, Chunk, Reduction
from modescape.core.settings import require
from modescape.core.shapes import Float, Int

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Summary:
    """Sums over ``count`` members, float64, nats; logarithms are those of the members' probabilities.

    ``log_total`` is the logarithm of the sum of probabilities, ``votes`` how many members predict each class,
    ``entropy`` the sum of entropies, ``energy`` that of -logsumexp of the logits.
    """

    count: int
    log_total: Float[Tensor, "example class"]
    log_probabilities: Float[Tensor, "example class"]
    votes: Int[Tensor, "example class"]
    entropy: Float[Tensor, " example"]
    energy: Float[Tensor, " example"]

    def __add__(self, other: "Summary") -> "Summary":
        """The sums of both sets of members."""
        return Summary(
            self.count + other.count,
            torch.logaddexp(self.log_total, other.log_total),
            self.log_probabilities + other.log_probabilities,
            self.votes + other.votes,
            self.entropy + other.entropy,
            self.energy + other.energy,
        )

    def take(self, rows: Int[Tensor, " chosen"]) -> "Summary":
        """The summary of chosen examples."""
        index = rows.to(self.entropy.device)
        return Summary(
            self.count,
            self.log_total[index],
            self.log_probabilities[index],
            self.votes[index],
            self.entropy[index],
            self.energy[index],
        )

    def tensors(self) -> dict[str, Tensor]:
        """As named tensors, float32: seven digits.

        The logarithm is kept of the mean of probabilities. That of the sum lies about log(count) where members are
        sure, and its seven digits would not tell 1 - 1e-7 from 1 - 3e-7.
        """
        floats = ("log_probabilities", "entropy", "energy")
        kept = {name: getattr(self, name).float() for name in floats}
        log_mean = (self.log_total - math.log(self.count)).float()
        return {"log_mean": log_mean, **kept, "votes": self.votes.to(torch.int16)}


def summarise(logits: Float[Tensor, "member example class"]) -> Summary:
    """The summary of members whose logits are at hand. Raises ``NotFinite`` for logits that are not finite."""
    reduction, (members, examples, classes) = Summarise(), logits.shape
    partial = reduction.start(Block((0,) * members, examples, classes, logits.device))
    reduction.add(partial, Chunk(0, logits, torch.zeros(examples, dtype=torch.int64, device=logits.device)))
    return partial


def summary_of(count: int, tensors: Mapping[str, Tensor], device: torch.device = CPU) -> Summary:
    """A summary from its named tensors, on a device."""
    floats = {name: tensors[name].to(device).double() for name in ("log_probabilities", "entropy", "energy")}
    log_total = tensors["log_mean"].to(device).double() + math.log(count)
    return Summary(count=count, log_total=log_total, votes=tensors["votes"].to(device, torch.int32), **floats)


class NotFinite(ValueError):
    """A member's logits are not finite, first on the example with this number."""

    def __init__(self, example: int) -> None:
        super().__init__(f"logits that are not finite, first on example {example}")
        self.example = example


@final
@dataclass(frozen=True)
class Summarise(Reduction[Summary, Summary]):
    """The summary of all members, whatever their origins. Raises ``NotFinite`` for logits that are not finite."""

    def start(self, block: Block) -> Summary:
        """Sums of no member; of every example nothing was seen yet."""
        shape = (block.examples, block.classes)
        of_classes = [torch.zeros(shape, dtype=torch.float64, device=block.device) for _ in range(2)]
        of_examples = [torch.zeros(block.examples, dtype=torch.float64, device=block.device) for _ in range(2)]
        votes = torch.zeros(shape, dtype=torch.int32, device=block.device)
        return Summary(len(block.origin), of_classes[0], of_classes[1], votes, of_examples[0], of_examples[1])

    def add(self, partial: Summary, chunk: Chunk) -> None:
        """See ``Reduction``."""
        logits, rows = chunk.logits.double(), chunk.place
        good = logits.isfinite().all(dim=-1)
        if not good.all():
            raise NotFinite(chunk.first + int((~good).any(dim=0).nonzero()[0]))
        energy = logits.logsumexp(dim=-1)
        log_p = logits - energy[..., None]
        partial.log_total[rows] = log_p.logsumexp(dim=0)
        partial.log_probabilities[rows] = log_p.sum(dim=0)
        partial.votes[rows] = torch.nn.functional.one_hot(chunk.classes, logits.shape[-1]).sum(dim=0).int()
        partial.entropy[rows] = -(log_p.exp() * log_p).sum(dim=(0, 2))
        partial.energy[rows] = -energy.sum(dim=0)

    def join(self, earlier: Summary, later: Summary) -> Summary:
        """See ``Reduction``."""
        return earlier + later

    def result(self, partial: Summary) -> Summary:
        """See ``Reduction``."""
        return partial


@dataclass(frozen=True)
class Pooled:
    """An ensemble's prediction: everything that scores need, float64, nats.

    ``log_probabilities`` are those of the mean of probabilities, first within an origin, then across origins;
    ``member_entropy`` and ``energy`` are such means, too. ``members`` sums over all members, whatever their origin.
    """

    log_probabilities: Float[Tensor, "example class"]
    member_entropy: Float[Tensor, " example"]
    energy: Float[Tensor, " example"]
    members: Summary

    @property
    def classes(self) -> Int[Tensor, " example"]:
        """Predicted classes."""
        return self.log_probabilities.argmax(dim=-1)


def pooled(parts: Sequence[Summary]) -> Pooled:
    """The ensemble of all members of these origins, a summary each."""
    require(len(parts) > 0, "an ensemble needs at least one origin")
    logs = torch.stack([part.log_total - math.log(part.count) for part in parts])
    flat = parts[0]
    for part in parts[1:]:
        flat = flat + part
    return Pooled(
        # Rounding may leave a sum a hair above 1, whose logarithm would make a negative loss.
        (logs.logsumexp(dim=0) - math.log(len(parts))).clamp(max=0.0),
        torch.stack([part.entropy / part.count for part in parts]).mean(dim=0),
        torch.stack([part.energy / part.count for part in parts]).mean(dim=0),
        flat,
    )
