"""One member in training: its network, its chance, its losses, the checkpoints it has left behind."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from modescape.core.seeds import generator, global_generator
from modescape.core.shapes import Float
from modescape.core.training.augment import draw_cuts, draw_moves
from modescape.core.training.noise import SeededDropout, seed_dropout
from modescape.core.training.plan import Plan, Segment, State, batches
from modescape.core.training.share import WHOLE, Share
from modescape.core.weights import Weights, load_into, of_module
from modescape.errors import MemberFailed


class InTraining:
    """A member between two steps. How a step is computed, alone or in a stack, is not its business."""

    def __init__(self, plan: Plan, member: int, start: State, share: Share = WHOLE) -> None:
        self.plan, self.member, self.share = plan, member, share
        with global_generator(plan.root, "member", member, "init"):
            self.module = plan.build()
        self.dropouts: list[SeededDropout] = seed_dropout(self.module)
        for layer in self.dropouts:
            layer.part = None if share.size == 1 else (share.rows(plan.batch), plan.batch)
        device = plan.data.device
        if plan.data.inputs.ndim == 4:
            self.module.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        else:
            self.module.to(device=device)
        load_into(self.module, start.weights, 0)
        self.module.train()
        self.taken: list[tuple[Weights, int, float]] = []
        if start.epoch == 0:
            self.taken.append((start.weights, 0, math.nan))

    def begin_epoch(self, epoch: int) -> None:
        """Draw what the epoch's steps need: the order, the shifts and flips, a generator for dropout."""
        device = self.plan.data.device
        self.index = batches(self.plan, self.member, epoch).to(self.plan.data.inputs.device)
        chance = generator(self.plan.root, *self.plan.chance(self.member, "augment"), "epoch", epoch)
        kind, shape = self.plan.training.augmentation, self.plan.data.inputs.shape[1:]
        moves = draw_moves(self.index.numel(), shape, kind, chance)
        self.moves = moves if moves is None else moves.to(device)
        self.cuts = draw_cuts(self.index.numel(), kind, chance)
        noise = generator(self.plan.root, *self.plan.chance(self.member, "dropout"), "epoch", epoch, device=device)
        for layer in self.dropouts:
            layer.chance = noise

    def checkpoint(self, number: int, loss: float) -> None:
        """Keep the weights after ``number`` steps; ``loss`` is the mean since the checkpoint before.

        Raises ``MemberFailed`` if a weight is not finite.
        """
        weights = of_module(self.module, self.member)
        broken = [name for name, tensor in weights.params.items() if not tensor.isfinite().all()]
        if broken:
            raise self.diverged(f"{broken[0]} is not finite", number)
        self.taken.append((weights, number, loss))

    def diverged(self, what: str, number: int) -> MemberFailed:
        """The error that ends this member."""
        return MemberFailed(
            f"member {self.member} diverged: {what} at step {number} (epoch {number // self.plan.steps_per_epoch}); "
            "lower training.optimiser.rate or change the scaling of the inputs",
            step=number,
        )

    def segment(self, end: State) -> Segment:
        """What these epochs gave."""
        weights, steps, losses = zip(*self.taken, strict=True) if self.taken else ((), (), ())
        return Segment(weights, steps, losses, end)


class Ledger:
    """The losses of members, kept where they are computed: a GPU need not wait until somebody looks."""

    def __init__(self, starts: Sequence[State], device: torch.device) -> None:
        self.number = torch.tensor(0, device=device)
        self.bad = torch.full((len(starts),), -1, device=device)
        sums = [start.loss_sum for start in starts]
        self.sums = torch.tensor(sums, dtype=torch.float64, device=device)
        self.steps = [start.loss_steps for start in starts]
        self.waits = device.type == "cuda"

    @property
    def tensors(self) -> list[Tensor]:
        """What a step changes."""
        return [self.number, self.bad, self.sums]

    def begin(self, number: int) -> None:
        """The next step has this number."""
        self.number.fill_(number)

    def add(self, losses: Float[Tensor, " member"]) -> None:
        """Take the losses of a step, in place and without looking."""
        self.sums.add_(losses)
        first = (self.bad < 0) & ~losses.isfinite()
        self.bad.copy_(torch.where(first, self.number, self.bad))
        self.number.add_(1)

    def failures(self) -> dict[int, int]:
        """Position of each member whose loss was not finite -> the first step at which."""
        return {place: step for place, step in enumerate(self.bad.tolist()) if step >= 0}

    def mean(self, place: int) -> float:
        """Mean loss since the last call, NaN if there was no step."""
        loss = float(self.sums[place]) / self.steps[place] if self.steps[place] else math.nan
        self.sums[place], self.steps[place] = 0.0, 0
        return loss
