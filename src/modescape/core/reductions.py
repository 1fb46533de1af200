"""What is kept of the logits of many members: reduced as they come, so that no stack of them is ever held.

A reduction reads one block of members, chunk by chunk, into a partial; partials are joined in the order of the blocks.
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, final

import torch
from torch import Tensor

from modescape.core.settings import require
from modescape.core.shapes import Float, Int, Shaped

P = TypeVar("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Block:
    """Members that are evaluated together: their origins, and how many examples and classes their logits will have."""

    origin: tuple[int, ...]
    examples: int
    classes: int
    device: torch.device


@dataclass(frozen=True)
class Chunk:
    """Logits of all members of a block on some examples in a row, from number ``first`` on."""

    first: int
    logits: Float[Tensor, "member example class"]
    targets: Int[Tensor, " example"]

    @property
    def place(self) -> slice:
        """Where these examples stand among all."""
        return slice(self.first, self.first + len(self.targets))

    @functools.cached_property
    def classes(self) -> Int[Tensor, "member example"]:
        """Predicted classes."""
        return self.logits.argmax(dim=-1)


class Reduction(ABC, Generic[P, R]):
    """What is kept. Holds nothing that changes; a partial belongs to who asked for it."""

    @abstractmethod
    def start(self, block: Block) -> P:
        """The partial of a block of which no example was seen yet."""

    @abstractmethod
    def add(self, partial: P, chunk: Chunk) -> None:
        """Take in the logits of some examples, in place."""

    @abstractmethod
    def join(self, earlier: P, later: P) -> P:
        """The partial of two blocks that follow each other; either may be used up."""

    @abstractmethod
    def result(self, partial: P) -> R:
        """What is kept, from the partial of all members."""

    def merge(self, parts: Iterable[P]) -> R:
        """What is kept, from the partials of all blocks in order."""
        return self.result(functools.reduce(self.join, parts))


class _ByMember(Reduction[list[Tensor], R]):
    """Rows of members, a tensor for each block: joined once, at the end."""

    def join(self, earlier: list[Tensor], later: list[Tensor]) -> list[Tensor]:
        earlier.extend(later)
        return earlier


@dataclass(frozen=True)
class Scores:
    """Accuracy and mean negative log-likelihood in nats of each member, float64."""

    accuracy: Float[Tensor, " member"]
    nll: Float[Tensor, " member"]


@final
@dataclass(frozen=True)
class MemberScores(_ByMember[Scores]):
    """Accuracy and likelihood of each member: sums over examples in float64."""

    def start(self, block: Block) -> list[Tensor]:
        """Sums of what is right, of the loss, and of examples."""
        return [torch.zeros(len(block.origin), 3, dtype=torch.float64, device=block.device)]

    def add(self, partial: list[Tensor], chunk: Chunk) -> None:
        """See ``Reduction``."""
        wanted = chunk.targets.long().expand(len(chunk.logits), -1)
        losses = -chunk.logits.double().log_softmax(dim=-1).gather(-1, wanted[..., None])[..., 0]
        right = (chunk.classes == wanted).double()
        partial[0] += torch.stack([right, losses, torch.ones_like(losses)], dim=-1).sum(dim=1)

    def result(self, partial: list[Tensor]) -> Scores:
        """Means over examples."""
        right, loss, examples = torch.cat(partial).unbind(dim=1)
        return Scores(right / examples, loss / examples)


@final
@dataclass(frozen=True)
class Classes(_ByMember[Int[Tensor, "member example"]]):
    """Predicted classes, in one byte if there are at most 128 of them, else in two."""

    def start(self, block: Block) -> list[Tensor]:
        """See ``Reduction``."""
        require(block.classes <= 2**15, f"{block.classes} classes do not fit into two bytes")
        small = torch.int8 if block.classes <= 2**7 else torch.int16
        return [torch.empty(len(block.origin), block.examples, dtype=small, device=block.device)]

    def add(self, partial: list[Tensor], chunk: Chunk) -> None:
        """See ``Reduction``."""
        partial[0][:, chunk.place] = chunk.classes

    def result(self, partial: list[Tensor]) -> Int[Tensor, "member example"]:
        """See ``Reduction``."""
        return _whole(partial)


@final
@dataclass(frozen=True)
class Logits(_ByMember[Float[Tensor, "member example class"]]):
    """Everything, float32: for stacks that memory has room for."""

    def start(self, block: Block) -> list[Tensor]:
        """See ``Reduction``."""
        return [torch.empty(len(block.origin), block.examples, block.classes, device=block.device)]

    def add(self, partial: list[Tensor], chunk: Chunk) -> None:
        """See ``Reduction``."""
        partial[0][:, chunk.place] = chunk.logits

    def result(self, partial: list[Tensor]) -> Float[Tensor, "member example class"]:
        """See ``Reduction``."""
        return _whole(partial)


def _whole(parts: Sequence[Shaped[Tensor, "..."]]) -> Shaped[Tensor, "..."]:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


@final
@dataclass(frozen=True)
class AgreementCounts(_ByMember[Int[Tensor, "member reference"]]):
    """On how many examples each member predicts the class that each reference predicts."""

    classes: Int[Tensor, "reference example"]

    def start(self, block: Block) -> list[Tensor]:
        """Counts, int64. Raises ``ValueError`` if the references predict another number of examples."""
        references, examples = self.classes.shape
        require(examples == block.examples, f"references predict {examples} examples, members {block.examples}")
        return [torch.zeros(len(block.origin), references, dtype=torch.int64, device=block.device)]

    def add(self, partial: list[Tensor], chunk: Chunk) -> None:
        """See ``Reduction``."""
        references = self.classes[:, chunk.place].to(chunk.classes.device)
        partial[0] += (chunk.classes[:, None] == references).sum(dim=-1)

    def result(self, partial: list[Tensor]) -> Int[Tensor, "member reference"]:
        """See ``Reduction``."""
        return _whole(partial)


@dataclass(frozen=True)
class OriginSum:
    """Sum of the probabilities of so many members of one origin; ``rows`` are their places in the block."""

    rows: tuple[int, ...]
    members: int
    total: Float[Tensor, "example class"]


@final
@dataclass(frozen=True)
class MeanProbabilities(Reduction[dict[int, OriginSum], Float[Tensor, "example class"]]):
    """The ensemble's prediction, float64: mean of probabilities within each origin first, then across origins.

    One sum is kept for each origin. Sums within a block are added in the order of the blocks.
    """

    def start(self, block: Block) -> dict[int, OriginSum]:
        """See ``Reduction``."""
        found = {}
        for origin in sorted(set(block.origin)):
            rows = tuple(place for place, own in enumerate(block.origin) if own == origin)
            total = torch.zeros(block.examples, block.classes, dtype=torch.float64, device=block.device)
            found[origin] = OriginSum(rows, len(rows), total)
        return found

    def add(self, partial: dict[int, OriginSum], chunk: Chunk) -> None:
        """See ``Reduction``."""
        probabilities = chunk.logits.double().softmax(dim=-1)
        for part in partial.values():
            part.total[chunk.place] += probabilities[list(part.rows)].sum(dim=0)

    def join(self, earlier: dict[int, OriginSum], later: dict[int, OriginSum]) -> dict[int, OriginSum]:
        """See ``Reduction``."""
        for origin, part in later.items():
            if origin in earlier:
                before = earlier[origin]
                part = OriginSum((), before.members + part.members, before.total.add_(part.total))
            earlier[origin] = part
        return earlier

    def result(self, partial: dict[int, OriginSum]) -> Float[Tensor, "example class"]:
        """See ``Reduction``."""
        return torch.stack([partial[origin].total / partial[origin].members for origin in sorted(partial)]).mean(dim=0)
