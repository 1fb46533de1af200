"""Train one member for some epochs, from a state to the next, and record its checkpoints."""

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from modescape.core.seeds import generator, global_generator, path_name
from modescape.core.shapes import Int
from modescape.core.splits import Scaling, Split
from modescape.core.training.augment import augment
from modescape.core.training.noise import SeededDropout, seed_dropout
from modescape.core.training.optimiser import make_optimiser, optimiser_state, restore_optimiser
from modescape.core.training.schedule import rate_factor
from modescape.core.training.settings import Checkpoints, Training
from modescape.core.weights import Weights, load_into, of_module, stack
from modescape.errors import MemberFailed

SLICE = 512
"""Images between two reports of progress: a fraction of a second on one core."""


@dataclass(frozen=True)
class Plan:
    """What all members share: the settings, the root seed, the training data, and how to build the network."""

    training: Training
    root: int
    data: Split
    scaling: Scaling
    build: Callable[[], nn.Module]

    @property
    def batch(self) -> int:
        """Examples in a step."""
        return min(self.training.batch, len(self.data))

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in an epoch; what is left of a permutation stays out of that epoch."""
        return len(self.data) // self.batch


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
    def weights(self) -> Weights:
        """The checkpoints as one stack."""
        return stack(self.checkpoints)


def seed_path(member: int) -> str:
    """The path under which all chance of a member's training is named."""
    return path_name("member", member)


def initial_state(plan: Plan, member: int) -> State:
    """A freshly initialised member."""
    with global_generator(plan.root, "member", member, "init"):
        module = plan.build()
    return State(of_module(module, member), {}, epoch=0)


def batches(plan: Plan, member: int, epoch: int) -> Int[Tensor, "step example"]:
    """The examples of each step of one epoch."""
    chance = generator(plan.root, "member", member, "order", "epoch", epoch)
    count = plan.steps_per_epoch * plan.batch
    if plan.training.order == "replacement":
        index = torch.randint(0, len(plan.data), (count,), generator=chance)
    else:
        index = torch.randperm(len(plan.data), generator=chance)[:count]
    return index.view(plan.steps_per_epoch, plan.batch)


def is_checkpoint(every: Checkpoints, step: int, steps_per_epoch: int, epochs: int) -> bool:
    """Whether the weights after this many steps belong to the trajectory."""
    stride = every.every if every.unit == "step" else every.every * steps_per_epoch
    return step % stride == 0 or step == steps_per_epoch * epochs


class _InTraining:
    """One member in training: a module, its optimiser, its generators."""

    def __init__(self, plan: Plan, member: int, start: State) -> None:
        self.plan, self.member = plan, member
        with global_generator(plan.root, "member", member, "init"):
            self.module = plan.build()
        self.dropouts: list[SeededDropout] = seed_dropout(self.module)
        device = plan.data.inputs.device
        self.layout = torch.channels_last if plan.data.inputs.ndim == 4 else torch.contiguous_format
        if plan.data.inputs.ndim == 4:
            self.module.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        else:
            self.module.to(device=device)
        load_into(self.module, start.weights, 0)
        self.optimiser = make_optimiser(self.module, plan.training.optimiser)
        restore_optimiser(self.module, self.optimiser, start.optimiser)
        self.module.train()
        self.loss_sum, self.loss_steps = start.loss_sum, start.loss_steps

    def begin_epoch(self, epoch: int) -> None:
        device = self.plan.data.inputs.device
        path = ("member", self.member)
        self.index = batches(self.plan, self.member, epoch).to(device)
        self.chance = generator(self.plan.root, *path, "augment", "epoch", epoch)
        noise = generator(self.plan.root, *path, "dropout", "epoch", epoch, device=device)
        for layer in self.dropouts:
            layer.chance = noise

    def step(self, number: int) -> None:
        plan = self.plan
        factor = rate_factor(plan.training.schedule, number, plan.steps_per_epoch, plan.training.epochs)
        for group in self.optimiser.param_groups:
            group["lr"] = plan.training.optimiser.rate * factor
        index = self.index[number % plan.steps_per_epoch]
        images = augment(plan.data.inputs[index], plan.training.augmentation, self.chance)
        inputs = plan.scaling(images).contiguous(memory_format=self.layout)
        loss = nn.functional.cross_entropy(
            self.module(inputs), plan.data.targets[index], label_smoothing=plan.training.label_smoothing
        )
        value = float(loss.detach())
        if not math.isfinite(value):
            raise self.diverged(f"the loss is {value}", number)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        self.loss_sum += value
        self.loss_steps += 1

    def checkpoint(self, number: int) -> tuple[Weights, float]:
        """The weights after ``number`` steps and the mean loss since the checkpoint before."""
        weights = of_module(self.module, self.member)
        broken = [name for name, tensor in weights.params.items() if not tensor.isfinite().all()]
        if broken:
            raise self.diverged(f"{broken[0]} is not finite", number)
        loss = self.loss_sum / self.loss_steps if self.loss_steps else math.nan
        self.loss_sum, self.loss_steps = 0.0, 0
        return weights, loss

    def diverged(self, what: str, number: int) -> MemberFailed:
        return MemberFailed(
            f"member {self.member} diverged: {what} at step {number} (epoch {number // self.plan.steps_per_epoch}); "
            "lower training.optimiser.rate or change the scaling of the inputs",
            step=number,
        )

    def state(self, epoch: int) -> State:
        weights, optimiser = of_module(self.module, self.member), optimiser_state(self.module, self.optimiser)
        return State(weights, optimiser, epoch, self.loss_sum, self.loss_steps)


def train(plan: Plan, member: int, start: State, epochs: int) -> Generator[int, None, Segment]:
    """Train a member for ``epochs`` epochs from ``start``; yields images trained, returns the segment.

    The result depends on the plan, the member and the start alone: two halves one after the other give the bits of one
    whole. Raises ``MemberFailed`` when the loss or a weight is not finite.
    """
    working = _InTraining(plan, member, start)
    taken: list[tuple[Weights, int, float]] = []
    if start.epoch == 0:
        taken.append((start.weights, 0, math.nan))
    unreported = 0
    for epoch in range(start.epoch, start.epoch + epochs):
        working.begin_epoch(epoch)
        for number in range(epoch * plan.steps_per_epoch, (epoch + 1) * plan.steps_per_epoch):
            working.step(number)
            if is_checkpoint(plan.training.checkpoints, number + 1, plan.steps_per_epoch, plan.training.epochs):
                weights, loss = working.checkpoint(number + 1)
                taken.append((weights, number + 1, loss))
            unreported += plan.batch
            if unreported >= SLICE:
                yield unreported
                unreported = 0
    if unreported:
        yield unreported
    end = working.state(start.epoch + epochs)
    return Segment(tuple(t[0] for t in taken), tuple(t[1] for t in taken), tuple(t[2] for t in taken), end)
