"""Train several members as one stack: the same steps as each alone, computed by one call for all."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from modescape.core.engine.capture import Replayed
from modescape.core.engine.events import Advanced, Event, Failed, Finished
from modescape.core.engine.stack import Stack
from modescape.core.engine.work import PLAIN, Mode
from modescape.core.training.feed import batches_of
from modescape.core.training.loop import SLICE, factor_at, in_precision, unrounded
from modescape.core.training.masks import Masks
from modescape.core.training.member import InTraining, Ledger
from modescape.core.training.optimiser import make_optimiser, optimiser_state, restore_optimiser, set_rates
from modescape.core.training.plan import Plan, Segment, State, is_checkpoint
from modescape.core.weights import of_module
from modescape.errors import MemberFailed


def train_together(
    plan: Plan, members: Sequence[int], starts: Sequence[State], epochs: int, mode: Mode = PLAIN
) -> Iterator[Event[Segment]]:
    """Train members that have trained equally long for ``epochs`` epochs; events carry positions in ``members``.

    Nothing spans members: each has its own losses, masks, rate and clipping, and the optimiser works by elements. A
    member that diverges keeps its place in the stack, so that the others' sums do not change, and is heard of no more.
    Raises ``CannotStack`` before the first event if the networks cannot be computed so.
    """
    ones = [InTraining(plan, member, start) for member, start in zip(members, starts, strict=True)]
    ledger = Ledger(starts, plan.data.device)
    optimiser = make_optimiser([one.module for one in ones], plan.training.optimiser, [plan.rate(m) for m in members])
    begun = starts[0].epoch
    alive, unreported = dict(enumerate(ones)), 0
    compute: Callable[[Tensor, Tensor], None] | None = None
    for epoch in range(begun, begun + epochs):
        for one in ones:
            one.begin_epoch(epoch)
        ledger.begin(epoch * plan.steps_per_epoch)
        for number, inputs, targets in batches_of(ones, epoch):
            if compute is None:
                compute = gradients_together(ones, ledger, mode, (inputs, targets))
                for one, start in zip(ones, starts, strict=True):
                    restore_optimiser(one.module, optimiser, start.optimiser)
            compute(inputs, targets)
            ledger.steps = [steps + 1 for steps in ledger.steps]
            if not ledger.waits:
                yield from _failures(alive, ledger)
            set_rates(optimiser, factor_at(plan, number))
            optimiser.step()
            if is_checkpoint(plan.training.checkpoints, number + 1, plan.steps_per_epoch, plan.training.epochs):
                yield from _failures(alive, ledger)
                yield from _checkpoints(alive, ledger, number + 1)
            unreported += plan.batch
            if unreported >= SLICE:
                yield from (Advanced(place, unreported) for place in alive)
                unreported = 0
            if not alive:
                return
    yield from _failures(alive, ledger)
    if unreported:
        yield from (Advanced(place, unreported) for place in alive)
    for place, one in alive.items():
        state = optimiser_state(one.module, optimiser)
        sums, steps = float(ledger.sums[place]), ledger.steps[place]
        end = State(of_module(one.module, one.member), state, begun + epochs, sums, steps)
        yield Finished(place, one.segment(end))


def gradients_together(
    ones: Sequence[InTraining], ledger: Ledger, mode: Mode, example: tuple[Tensor, Tensor]
) -> Callable[[Tensor, Tensor], None]:
    """How a stack comes to its members' gradients; ``example`` are inputs and targets of the first step.

    From here on the members' modules are views of the stack. Raises ``CannotStack``.
    """
    plan, count = ones[0].plan, len(ones)
    masks = Masks(plan, example[0][: plan.batch])
    stack = Stack([one.module for one in ones], masks.skeleton)
    smoothing = plan.training.label_smoothing

    def compute(inputs: Tensor, targets: Tensor, *given: Tensor) -> None:
        stack.forget_gradients()
        with in_precision(mode, inputs.device):
            logits = unrounded(
                stack(inputs.unflatten(0, (count, plan.batch)), dict(zip(masks.names, given, strict=True)))
            )
            losses = nn.functional.cross_entropy(
                logits.flatten(0, 1), targets, label_smoothing=smoothing, reduction="none"
            )
        each = losses.view(count, plan.batch).mean(dim=1)
        ledger.add(each.detach())
        each.sum().backward()
        if plan.training.clip_norm is not None:
            clip_each([p.grad for p in stack.params.values() if p.grad is not None], plan.training.clip_norm)
        stack.hand_out_gradients()

    blank = masks.blank(count)
    stack.try_out(example[0].unflatten(0, (count, plan.batch)), dict(zip(masks.names, blank, strict=True)))
    if not mode.captured:
        return lambda inputs, targets: compute(inputs, targets, *masks.draw_all(ones).values())
    kept = [*stack.buffers.values(), *ledger.tensors]
    replayed = Replayed(compute, [*example, *blank], kept)
    return lambda inputs, targets: replayed(inputs, targets, *masks.draw_all(ones).values())


def clip_each(gradients: Sequence[Tensor], longest: float) -> None:
    """Shorten every member's gradient to ``longest``, in place, as ``torch.nn.utils.clip_grad_norm_`` does for one.

    A member whose gradient is not finite touches nobody else's.
    """
    squares = torch.stack([gradient.reshape(len(gradient), -1).square().sum(dim=1) for gradient in gradients])
    factor = (longest / (squares.sum(dim=0).sqrt() + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(factor.view(-1, *(1,) * (gradient.ndim - 1)))


def _failures(alive: dict[int, InTraining], ledger: Ledger) -> Iterator[Event[Segment]]:
    for place, step in ledger.failures().items():
        if place in alive:
            yield Failed(place, alive.pop(place).diverged("the loss is not finite", step))


def _checkpoints(alive: dict[int, InTraining], ledger: Ledger, number: int) -> Iterator[Event[Segment]]:
    for place, one in list(alive.items()):
        try:
            one.checkpoint(number, ledger.mean(place))
        except MemberFailed as error:
            del alive[place]
            yield Failed(place, error)
