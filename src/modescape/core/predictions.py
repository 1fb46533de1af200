"""Stacks of predictions: weights times inputs gives logits, in bounded chunks; and the mean of probabilities."""

from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from modescape.core.evaluation import CHUNK as CHUNK
from modescape.core.evaluation import Evaluation, Scratch, blocks_of, evaluate_block
from modescape.core.evaluation import placed as placed
from modescape.core.evaluation import scaled_chunks as scaled_chunks
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
    everything, blocks, parts = Logits(), blocks_of(weights), []
    for place in range(blocks.count):
        (part,) = yield from evaluate_block(
            scratch, blocks.make(place), Evaluation(split, scaling, (everything,), statistics)
        )
        parts.append(part)
    return everything.merge(parts)


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
