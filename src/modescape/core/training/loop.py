"""Train one member for some epochs, from a state to the next, and record its checkpoints."""

from collections.abc import Callable, Generator

import torch
from torch import Tensor, nn

from modescape.core.engine.capture import Replayed
from modescape.core.engine.work import PLAIN, Mode
from modescape.core.shapes import Float
from modescape.core.training.feed import batches_of
from modescape.core.training.masks import Masks
from modescape.core.training.member import InTraining, Ledger
from modescape.core.training.optimiser import make_optimiser, optimiser_state, restore_optimiser, set_rates
from modescape.core.training.plan import Plan, Segment, State, is_checkpoint
from modescape.core.training.schedule import rate_factor
from modescape.core.training.share import WHOLE, Share, add_up_gradients
from modescape.core.weights import of_module

SLICE = 512
"""Images between two reports of progress: a fraction of a second on one core."""

Compute = Callable[[Tensor, Tensor], None]
"""The part of a step before the optimiser's: from inputs and targets to gradients, and the loss to the ledger."""


def train(
    plan: Plan, member: int, start: State, epochs: int, mode: Mode = PLAIN, share: Share = WHOLE
) -> Generator[int, None, Segment]:
    """Train a member for ``epochs`` epochs from ``start``; yields images trained, returns the segment.

    The result depends on the plan, the member, the start and the mode alone: two halves one after the other give the
    bits of one whole. With a ``share`` other processes train the same member on the rest of every batch, in step.
    Raises ``MemberFailed`` when the loss or a weight is not finite.
    """
    one, ledger = InTraining(plan, member, start, share), Ledger([start], plan.data.device)
    optimiser = make_optimiser([one.module], plan.training.optimiser, [plan.rate(member)])
    restore_optimiser(one.module, optimiser, start.optimiser)
    compute: Compute | None = None
    unreported = 0
    for epoch in range(start.epoch, start.epoch + epochs):
        one.begin_epoch(epoch)
        ledger.begin(epoch * plan.steps_per_epoch)
        for number, inputs, targets in batches_of([one], epoch):
            compute = compute or gradients_alone(one, ledger, mode, (inputs, targets))
            compute(inputs, targets)
            ledger.steps[0] += 1
            if not ledger.waits:
                _raise_failure(one, ledger)
            set_rates(optimiser, factor_at(plan, number))
            optimiser.step()
            if is_checkpoint(plan.training.checkpoints, number + 1, plan.steps_per_epoch, plan.training.epochs):
                _raise_failure(one, ledger)
                one.checkpoint(number + 1, ledger.mean(0))
            unreported += plan.batch
            if unreported >= SLICE:
                yield unreported
                unreported = 0
    if unreported:
        yield unreported
    _raise_failure(one, ledger)
    state = optimiser_state(one.module, optimiser)
    sums, steps = float(ledger.sums[0]), ledger.steps[0]
    return one.segment(State(of_module(one.module, member), state, start.epoch + epochs, sums, steps))


def factor_at(plan: Plan, number: int) -> float:
    """What the schedule multiplies every rate with at a step."""
    return rate_factor(plan.training.schedule, number, plan.steps_per_epoch, plan.training.epochs)


def gradients_alone(one: InTraining, ledger: Ledger, mode: Mode, example: tuple[Tensor, Tensor]) -> Compute:
    """How a member by itself comes to its gradients; ``example`` are inputs and targets of the first step."""
    plan, parameters = one.plan, list(one.module.parameters())

    def compute(inputs: Tensor, targets: Tensor, forward: Callable[[Tensor], Tensor] = one.module) -> None:
        for parameter in parameters:
            parameter.grad = None
        with in_precision(mode, inputs.device):
            logits = unrounded(forward(inputs))
            loss = nn.functional.cross_entropy(logits, targets, label_smoothing=plan.training.label_smoothing)
        if one.share.size > 1:
            loss = loss * one.share.weight(plan.batch)
        loss.backward()
        loss = loss.detach()
        if one.share.size > 1:
            add_up_gradients(parameters, loss)
        ledger.add(loss[None])
        if plan.training.clip_norm is not None:
            nn.utils.clip_grad_norm_(parameters, plan.training.clip_norm)

    if not mode.captured:
        return compute
    masks = Masks(plan, example[0])
    kept = [*one.module.buffers(), *ledger.tensors]
    replayed = Replayed(
        lambda inputs, targets, *given: compute(inputs, targets, masks.forward(one.module, given)),
        [*example, *masks.blank()],
        kept,
    )
    # Masks are drawn outside: a graph would replay the same ones.
    return lambda inputs, targets: replayed(inputs, targets, *masks.draw(one))


def in_precision(mode: Mode, device: torch.device) -> torch.autocast:
    """The precision of a mode, for a forward pass: weights, gradients and the optimiser's state stay in float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=mode.precision == "bf16")


def unrounded(logits: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Logits in whose precision a loss can be told from the next: those of bfloat16 become float32."""
    return logits.float() if logits.dtype == torch.bfloat16 else logits


def _raise_failure(one: InTraining, ledger: Ledger) -> None:
    for step in ledger.failures().values():
        raise one.diverged("the loss is not finite", step)
