"""Stacks of predictions: weights times inputs gives logits, in bounded chunks; and the mean of probabilities."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from modescape.core.engine.events import Advanced, Event, Failed, Member, advance
from modescape.core.engine.memory import is_out_of_memory
from modescape.core.engine.work import CannotStack, Mode, Work
from modescape.core.evaluation import Blocks, Evaluation, Scratch, blocks_of, evaluate_block
from modescape.core.reductions import Logits
from modescape.core.settings import require
from modescape.core.shapes import Float, Int
from modescape.core.splits import Scaling, Split
from modescape.core.weights import Weights


@dataclass(frozen=True)
class Predictions:
    """Logits of a stack of weights on a named split, with the targets and each member's origin."""

    logits: Float[Tensor, "member example class"]
    targets: Int[Tensor, " example"]
    origin: tuple[int, ...]
    split: str

    def __post_init__(self) -> None:
        members, examples, _ = self.logits.shape
        require(members == len(self.origin), f"{members} members, {len(self.origin)} origins")
        require(examples == len(self.targets), f"{examples} predictions, {len(self.targets)} targets")

    def __len__(self) -> int:
        return len(self.origin)

    @property
    def classes(self) -> Int[Tensor, "member example"]:
        """Predicted classes."""
        return self.logits.argmax(dim=-1)

    @property
    def probabilities(self) -> Float[Tensor, "member example class"]:
        """Predicted probabilities."""
        return self.logits.softmax(dim=-1)


def predict(
    module: nn.Module | Scratch, weights: Weights, split: Split, scaling: Scaling, statistics: Split | None = None
) -> Generator[int, None, Float[Tensor, "member example class"]]:
    """Logits of every member in evaluation mode; yields the members done.

    The module is a scratch copy whose weights are overwritten; whoever predicts often makes its ``Scratch`` once. At
    most ``CHUNK`` examples are in flight. Where weights were moved, ``statistics`` are training examples from which
    batch-norm statistics are computed anew for each member.
    """
    scratch = module if isinstance(module, Scratch) else Scratch(module, split, scaling)
    everything = Logits()
    asked = Evaluation(split, scaling, (everything,), statistics)
    return (yield from _in_blocks(scratch, blocks_of(weights), asked, everything))


def _in_blocks(
    scratch: Scratch, blocks: Blocks, asked: Evaluation, everything: Logits
) -> Generator[int, None, Float[Tensor, "member example class"]]:
    parts = []
    for place in range(blocks.count):
        (part,) = yield from evaluate_block(scratch, blocks.make(place), asked)
        parts.append(part)
    return everything.merge(parts)


@dataclass(frozen=True)
class Predicting(Work[Tensor]):
    """Stacks of weights to predict with, each a member of the engine's work: gives logits [member, example, class].

    ``read(i)`` gives stack i when its turn comes. In a stack of the engine's, as many of its members pass together as
    the engine has stacks at once.
    """

    count: int
    read: Callable[[int], Weights]
    build: Callable[[], nn.Module]
    split: Split
    scaling: Scaling
    statistics: Split | None = None

    def __len__(self) -> int:
        """How many stacks there are."""
        return self.count

    def alone(self, index: int, mode: Mode) -> Member[Tensor]:
        """See ``Work``."""

        def work() -> Member[Tensor]:
            return (yield from predict(self.build(), self.read(index), self.split, self.scaling, self.statistics))

        return work()

    def together(self, indices: Sequence[int], mode: Mode) -> Iterator[Event[Tensor]]:
        """See ``Work``."""
        everything = Logits()
        asked = Evaluation(self.split, self.scaling, (everything,), self.statistics, stacked=True)
        scratch = Scratch(self.build(), self.split, self.scaling)

        def work(index: int) -> Member[Tensor]:
            return (yield from _in_blocks(scratch, blocks_of(self.read(index), len(indices)), asked, everything))

        for index in indices:
            member = work(index)
            while isinstance(event := advance(member, index), Advanced):
                yield event
            if isinstance(event, Failed) and (isinstance(event.error, CannotStack) or is_out_of_memory(event.error)):
                raise event.error
            yield event


def ensemble_probabilities(predictions: Predictions) -> Float[Tensor, "example class"]:
    """The ensemble's prediction: mean of probabilities within each origin first, then across origins (float64)."""
    probabilities = predictions.logits.double().softmax(dim=-1)
    origins = torch.tensor(predictions.origin, device=probabilities.device)
    within = [probabilities[origins == origin].mean(dim=0) for origin in origins.unique()]
    return torch.stack(within).mean(dim=0)


def predict_all(
    build: Callable[[], nn.Module | Scratch],
    weights: Weights,
    split: Split,
    scaling: Scaling,
    statistics: Split | None = None,
) -> Float[Tensor, "member example class"]:
    """Logits of every member, on the calling thread; see ``predict``."""
    work = predict(build(), weights, split, scaling, statistics)
    while True:
        try:
            next(work)
        except StopIteration as stop:
            logits: Tensor = stop.value
            return logits
