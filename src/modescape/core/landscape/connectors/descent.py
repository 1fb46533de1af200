"""How connectors lower the training loss: one vector of weights at a time, through ``functional_call``.

While a path is fitted, dropout is off and batch norm uses the statistics of each batch, as in Garipov et al. 2018; the
loss is the cross-entropy of training examples that are not augmented. Statistics for predicting are computed when the
path is measured, for every point of it.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call

from modescape.core.evaluation import placed
from modescape.core.landscape.checks import require_alike, require_deterministic
from modescape.core.seeds import generator, path_name
from modescape.core.settings import require, settings
from modescape.core.shapes import Float, Int
from modescape.core.splits import Scaling, Split
from modescape.core.training.optimiser import make_optimiser, set_rates
from modescape.core.training.schedule import rate_factor
from modescape.core.training.settings import Optimiser, Schedule
from modescape.core.weights import Weights, load_into, of_module
from modescape.errors import MemberFailed

Batch = tuple[Float[Tensor, "example *shape"], Int[Tensor, " example"]]
Tensors = Sequence[Tensor]
"""A vector of weights: a tensor for each parameter, in the order of the weights' names."""

SLICE = 16
"""Gradients between two reports of progress."""

SAMPLE = 1000
"""Training examples on which losses are compared that no step is made with."""

_BatchNorm = nn.modules.batchnorm._BatchNorm


@settings
class Descent:
    """Steps of an optimiser: ``steps`` for every control point that is moved, each on a batch of training examples.

    Counted in steps and not in epochs, so that one number serves a hundred examples and fifty thousand. The rate falls
    by a cosine to zero, or not at all. A ``weight_decay`` of the optimiser pulls at control points, not at the path.
    """

    steps: int = 600
    batch: int = 64
    optimiser: Optimiser = Optimiser(rate=1e-3)
    rate_falls: Literal["cosine", "constant"] = "cosine"

    def __post_init__(self) -> None:
        for name in ("steps", "batch"):
            require(getattr(self, name) >= 1, f"{name} must be at least 1, got {getattr(self, name)}")
        require(
            not isinstance(self.optimiser.rate, tuple),
            f"optimiser.rate of a connector is one number, got {self.optimiser.rate}",
        )


@dataclass(frozen=True)
class Problem:
    """Where a connector moves: the network, the training data, how to descend, and the name of all chance.

    The network is left as it is. ``chance`` is the path under ``root`` at which all random numbers of a fit are named.
    """

    network: nn.Module
    train: Split
    scaling: Scaling
    descent: Descent
    root: int
    chance: tuple[str | int, ...]


class Slope:
    """The training loss and its gradient at any weights, batch by batch. A network of its own is at work."""

    def __init__(self, problem: Problem, ends: Weights) -> None:
        require(len(problem.train) > 0, "there are no training examples to lower the loss on")
        self.problem = problem
        self.network = placed(copy.deepcopy(problem.network), problem.train)
        require_alike(of_module(self.network, 0).params, ends.params, "network and solutions")
        load_into(self.network, ends, 0)
        self.names = list(ends.params)
        self.batches = self._batches()
        few = torch.arange(min(3, len(problem.train)))
        require_deterministic(self.network, self._batch(few)[0])
        for layer in self.network.modules():
            if isinstance(layer, _BatchNorm):
                layer.train()

    def _batch(self, rows: Int[Tensor, " example"]) -> Batch:
        train = self.problem.train
        stored, targets = train.fetch(rows)
        scaled = self.problem.scaling(stored.to(train.device))
        layout = torch.channels_last if scaled.ndim == 4 else torch.contiguous_format
        return scaled.contiguous(memory_format=layout), targets.to(train.device).long()

    def _batches(self) -> Iterator[Batch]:
        """Batches without end, from a fresh permutation each epoch; what is left of one stays out of that epoch."""
        examples, problem, epoch = len(self.problem.train), self.problem, 0
        size = min(problem.descent.batch, examples)
        while True:
            chance = generator(problem.root, *problem.chance, "order", "epoch", epoch)
            order = torch.randperm(examples, generator=chance)
            for place in range(examples // size):
                yield self._batch(order[place * size : (place + 1) * size])
            epoch += 1

    def sample(self) -> Batch:
        """Training examples that the seed fixes."""
        chance = generator(self.problem.root, *self.problem.chance, "sample")
        return self._batch(torch.randperm(len(self.problem.train), generator=chance)[:SAMPLE])

    def loss(self, weights: Tensors, batch: Batch) -> float:
        """The mean loss in nats."""
        with torch.no_grad():
            return float(self._loss(weights, batch))

    def gradient(self, weights: Tensors, batch: Batch, step: int) -> tuple[float, list[Tensor]]:
        """The mean loss in nats, and its gradient. Raises ``MemberFailed`` if the loss is not finite."""
        leaves = [tensor.detach().requires_grad_() for tensor in weights]
        with torch.enable_grad():
            loss = self._loss(leaves, batch)
            found = torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise MemberFailed(
                f"the fit of {path_name(*self.problem.chance)} diverged: the loss is not finite at step {step}; "
                "lower the rate of its optimiser",
                step=step,
            )
        return value, list(found)

    def _loss(self, weights: Tensors, batch: Batch) -> Tensor:
        inputs, targets = batch
        logits = functional_call(self.network, dict(zip(self.names, weights, strict=True)), (inputs,))
        return nn.functional.cross_entropy(logits, targets)


class Moving:
    """Control points that are moved, each by itself, by an optimiser of the house."""

    def __init__(self, start: Weights, descent: Descent) -> None:
        self.start, self.descent = start, descent
        rate = descent.optimiser.rate
        assert isinstance(rate, float | int), "settings refuse a rate for each member"
        rows = range(len(start))
        self.points = [nn.ParameterList([t[row].clone() for t in start.params.values()]) for row in rows]
        self.optimiser = make_optimiser(self.points, descent.optimiser, [rate] * len(self.points))

    def step(self, gradients: Sequence[Tensors], number: int, steps: int) -> None:
        """Move every point against its gradient; step ``number`` of so many."""
        for point, gradient in zip(self.points, gradients, strict=True):
            for parameter, own in zip(point.parameters(), gradient, strict=True):
                parameter.grad = own
        set_rates(self.optimiser, rate_factor(Schedule(kind=self.descent.rate_falls), number, 1, steps))
        self.optimiser.step()

    def at(self, row: int) -> list[Tensor]:
        """A point as it lies now; writing into it moves it."""
        return [parameter.data for parameter in self.points[row].parameters()]

    @property
    def weights(self) -> Weights:
        """All points as they lie now, copied."""
        columns = zip(*(self.at(row) for row in range(len(self.points))), strict=True)
        params = {name: torch.stack(list(column)) for name, column in zip(self.start.params, columns, strict=True)}
        return Weights(params, self.start.buffers, self.start.origin)


def row_of(weights: Weights, row: int) -> list[Tensor]:
    """One member as a vector of weights."""
    return [tensor[row] for tensor in weights.params.values()]


def inner(one: Tensors, other: Tensors) -> float:
    """Inner product of two vectors of weights, in float64."""
    return sum(float((a.double() * b.double()).sum()) for a, b in zip(one, other, strict=True))


def apart(one: Tensors, other: Tensors) -> list[Tensor]:
    """The way from ``other`` to ``one``, in float64."""
    return [a.double() - b.double() for a, b in zip(one, other, strict=True)]
