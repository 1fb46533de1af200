"""What a training is: the plan that all members share, the state that a member carries on from, and what comes out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from modescape.core.seeds import generator, global_generator, path_name
from modescape.core.shapes import Int
from modescape.core.splits import Scaling, Split
from modescape.core.training.settings import Checkpoints, Training
from modescape.core.weights import Weights, of_module, stack

Chance = Literal["init", "order", "augment", "dropout"]
"""The kinds of chance in a training: initialisation, order of the data, shifts and flips, dropped units."""


@dataclass(frozen=True)
class Plan:
    """What all members share: the settings, the root seed, the training data, and how to build the network.

    With ``bootstrap`` each member trains on a bootstrap sample of the data (bagging, Breiman 1996, doi
    10.1007/BF00058655); all else of a member is as it is without. The kinds of chance in ``shared`` are those of
    member 0 for all members.
    """

    training: Training
    root: int
    data: Split
    scaling: Scaling
    build: Callable[[], nn.Module]
    bootstrap: bool = False
    shared: tuple[Chance, ...] = ()

    def chance(self, member: int, kind: Chance) -> tuple[str | int, ...]:
        """The path under which one kind of a member's chance is named."""
        return "member", 0 if kind in self.shared else member, kind

    @property
    def batch(self) -> int:
        """Examples in a step."""
        return min(self.training.batch, len(self.data))

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in an epoch; what is left of a permutation stays out of that epoch."""
        return len(self.data) // self.batch

    def rate(self, member: int) -> float:
        """A member's learning rate, before any schedule."""
        rate = self.training.optimiser.rate
        return rate[member] if isinstance(rate, tuple) else rate


@dataclass(frozen=True)
class State:
    """Everything that the next step of a member depends on, after a whole number of epochs."""

    weights: Weights
    optimiser: Mapping[str, Tensor]
    epoch: int
    loss_sum: float = 0.0
    loss_steps: int = 0


@dataclass(frozen=True)
class Segment:
    """What some epochs of training gave: the checkpoints on the way (there may be none) and the state at the end.

    ``losses[i]`` is the mean training loss over the steps since the checkpoint before; NaN at the initialisation.
    """

    checkpoints: tuple[Weights, ...]
    steps: tuple[int, ...]
    losses: tuple[float, ...]
    end: State

    @property
    def mean_loss(self) -> float:
        """Mean training loss over the steps since the last checkpoint, or before it if there was none since."""
        return self.end.loss_sum / self.end.loss_steps if self.end.loss_steps else self.losses[-1]

    @property
    def weights(self) -> Weights:
        """The checkpoints as one stack."""
        return stack(self.checkpoints)


def seed_path(member: int) -> str:
    """The path under which all chance of a member's training is named."""
    return path_name("member", member)


def initial_state(plan: Plan, member: int) -> State:
    """A freshly initialised member."""
    with global_generator(plan.root, *plan.chance(member, "init")):
        module = plan.build()
    return State(of_module(module, member), {}, epoch=0)


def bootstrap_sample(plan: Plan, member: int) -> Int[Tensor, " example"]:
    """As many examples as there are, drawn with replacement: the same for every epoch of a member's training."""
    chance = generator(plan.root, "member", member, "bootstrap")
    return torch.randint(0, len(plan.data), (len(plan.data),), generator=chance)


def batches(plan: Plan, member: int, epoch: int) -> Int[Tensor, "step example"]:
    """The examples of each step of one epoch: numbers of ``plan.data``, on the CPU."""
    chance = generator(plan.root, *plan.chance(member, "order"), "epoch", epoch)
    count = plan.steps_per_epoch * plan.batch
    if plan.training.order == "replacement":
        index = torch.randint(0, len(plan.data), (count,), generator=chance)
    else:
        index = torch.randperm(len(plan.data), generator=chance)[:count]
    if plan.bootstrap:
        index = bootstrap_sample(plan, member)[index]
    return index.view(plan.steps_per_epoch, plan.batch)


def is_checkpoint(every: Checkpoints, step: int, steps_per_epoch: int, epochs: int) -> bool:
    """Whether the weights after this many steps belong to the trajectory."""
    stride = every.every if every.unit == "step" else every.every * steps_per_epoch
    return step % stride == 0 or step == steps_per_epoch * epochs
