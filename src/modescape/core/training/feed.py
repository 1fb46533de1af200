"""The batches of an epoch, for one member or for several at once: gathered, augmented and scaled on the device."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from modescape.core.ahead import ahead
from modescape.core.shapes import Float, Int, Shaped
from modescape.core.training.augment import augment, cuts_of, joined
from modescape.core.training.member import InTraining

Fetched = tuple[Tensor, Tensor]


def batches_of(members: Sequence[InTraining], epoch: int) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Number, inputs and targets of every step of an epoch, one member's examples after another's.

    Streamed examples are fetched by a thread of their own while the steps before are computed. The batches are the
    same. Closing the iterator ends the thread.
    """
    plan = members[0].plan
    numbers = range(epoch * plan.steps_per_epoch, (epoch + 1) * plan.steps_per_epoch)
    fetched = (_fetch(members, number) for number in numbers)
    ready = fetched if plan.data.stream_to is None else ahead(fetched)
    try:
        for number, (inputs, targets) in zip(numbers, ready, strict=True):
            yield number, *_finished(members, number, inputs, targets)
    finally:
        ready.close()


def _fetch(members: Sequence[InTraining], number: int) -> Fetched:
    plan = members[0].plan
    place = number % plan.steps_per_epoch
    index = torch.cat([m.index[place][m.share.rows(plan.batch)] for m in members])
    seeds = [m.cuts[_rows(m, number)] for m in members if m.cuts is not None]
    return plan.data.fetch(index, cuts_of(torch.cat(seeds)) if seeds else None)


def _rows(member: InTraining, number: int) -> slice:
    """Where a step's examples, or the member's share of them, stand among those of the epoch."""
    plan, own = member.plan, member.share.rows(member.plan.batch)
    before = (number % plan.steps_per_epoch) * plan.batch
    return slice(before + own.start, before + own.stop)


def _finished(
    members: Sequence[InTraining],
    number: int,
    stored: Shaped[Tensor, "together *stored"],
    targets: Int[Tensor, " together"],
) -> tuple[Float[Tensor, "together *shape"], Int[Tensor, " together"]]:
    """On the device, augmented and scaled, in the memory format that is fastest."""
    plan = members[0].plan
    moves = [member.moves[_rows(member, number)] for member in members if member.moves is not None]
    stored = stored.to(plan.data.device, non_blocking=True)
    images = augment(stored, plan.training.augmentation, joined(moves) if moves else None)
    layout = torch.channels_last if images.ndim == 4 else torch.contiguous_format
    inputs = plan.scaling(images).contiguous(memory_format=layout)
    return inputs, targets.to(plan.data.device, non_blocking=True)
