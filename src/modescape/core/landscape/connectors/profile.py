"""What the networks along a path are like: loss, accuracy, and how far their functions are from those of both ends.

Batch-norm statistics are computed anew at every point, the ends included.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from modescape.core.diversity.disagreement import differing, normalised_disagreement
from modescape.core.diversity.divergence import jensen_shannon
from modescape.core.evaluation import BLOCK, BLOCK_BYTES, Blocks, Evaluation, Scratch, evaluate
from modescape.core.landscape.connectors.path import Path
from modescape.core.predictions import predict
from modescape.core.reductions import Block, Chunk, Classes, MemberScores, Reduction, Scores
from modescape.core.settings import require
from modescape.core.shapes import Float, Int
from modescape.core.splits import Scaling, Split


@final
@dataclass(frozen=True)
class DivergenceFrom(Reduction[list[Tensor], Float[Tensor, "member reference"]]):
    """Mean Jensen-Shannon divergence between every member and every reference, in nats (float64)."""

    logits: Float[Tensor, "reference example class"]

    def start(self, block: Block) -> list[Tensor]:
        """Sums over examples. Raises ``ValueError`` if the references predict another number of examples."""
        count, examples, _ = self.logits.shape
        require(examples == block.examples, f"references predict {examples} examples, members {block.examples}")
        return [torch.zeros(len(block.origin), count, dtype=torch.float64, device=block.device)]

    def add(self, partial: list[Tensor], chunk: Chunk) -> None:
        """See ``Reduction``."""
        for place, reference in enumerate(self.logits[:, chunk.place].to(chunk.logits.device)):
            both = torch.stack([chunk.logits, reference.expand_as(chunk.logits)])
            partial[0][:, place] += jensen_shannon(both).sum(dim=-1)

    def join(self, earlier: list[Tensor], later: list[Tensor]) -> list[Tensor]:
        """See ``Reduction``."""
        return [*earlier, *later]

    def result(self, partial: list[Tensor]) -> Float[Tensor, "member reference"]:
        """See ``Reduction``."""
        return torch.cat(partial) / self.logits.shape[1]


@dataclass(frozen=True)
class Profile:
    """A path at some t on a split: loss in nats, accuracy, predicted classes, divergence from both ends in nats."""

    t: Float[Tensor, " point"]
    scores: Scores
    classes: Int[Tensor, "point example"]
    end_classes: Int[Tensor, "2 example"]
    divergence: Float[Tensor, "point 2"]

    @property
    def disagreement(self) -> Float[Tensor, "point 2"]:
        """With each end; 1 minus it is the agreement that maps of function similarity show."""
        return torch.stack([differing(self.classes, own).double().mean(dim=1) for own in self.end_classes], dim=1)

    @property
    def normalised(self) -> Float[Tensor, "point 2"]:
        """Disagreement over the error rate of the network on the path; NaN where that makes no error.

        1 minus it is the similarity that the paper's figure 5 seems to show: 0 for functions whose errors are
        as unlike as those of independent networks.
        """
        return normalised_disagreement(self.disagreement, (1 - self.scores.accuracy)[:, None].expand(-1, 2))


@dataclass(frozen=True)
class Look:
    """How networks are looked at: with a scratch network, on a split, with statistics from training examples."""

    scratch: Scratch
    split: Split
    scaling: Scaling
    statistics: Split | None


def path_blocks(path: Path, t: Float[Tensor, " point"]) -> Blocks:
    """The members at some t, in blocks of bounded size."""
    each = sum(tensor[0].numel() * tensor.element_size() for tensor in path.controls.params.values())
    size = max(1, min(BLOCK, BLOCK_BYTES // max(1, each)))
    return Blocks(-(-len(t) // size), lambda place: path.at(t[place * size : (place + 1) * size]))


def scores_along(path: Path, t: Float[Tensor, " point"], look: Look) -> Generator[int, None, Scores]:
    """Loss and accuracy along a path; yields the points done."""
    (scores,) = yield from _evaluated(path, t, look, MemberScores())
    found: Scores = scores
    return found


def profile(path: Path, t: Float[Tensor, " point"], look: Look) -> Generator[int, None, Profile]:
    """Everything along a path; yields the points done, and two for the ends."""
    ends = yield from predict(look.scratch, path.ends, look.split, look.scaling, look.statistics)
    asked = (MemberScores(), Classes(), DivergenceFrom(ends))
    scores, classes, divergence = yield from _evaluated(path, t, look, *asked)
    return Profile(t, scores, classes, ends.argmax(dim=-1), divergence)


def _evaluated(
    path: Path, t: Float[Tensor, " point"], look: Look, *asked: Reduction[Any, Any]
) -> Generator[int, None, list[Any]]:
    evaluation = Evaluation(look.split, look.scaling, asked, look.statistics)
    return (yield from evaluate([look.scratch], path_blocks(path, t), evaluation))


def barrier(losses: Float[Tensor, " point"], t: Float[Tensor, " point"]) -> float:
    """How far the loss rises above the straight line between the losses of both ends, at most; 0 if it never does.

    The points are in order, from t = 0 to t = 1. NaN if a loss is not a number.
    """
    require(len(t) >= 2 and float(t[0]) == 0 and float(t[-1]) == 1, "a barrier needs the losses from t = 0 to t = 1")
    wide = losses.double()
    return float((wide - torch.lerp(wide[0], wide[-1], t.to(wide))).max())
