"""The training of many members, as work for the engine."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch

from modescape.core.engine.events import Event, Member
from modescape.core.engine.work import Mode, Ticket, Work
from modescape.core.training.loop import train
from modescape.core.training.plan import Plan, Segment, State
from modescape.core.training.share import Share
from modescape.core.training.together import train_together


@dataclass(frozen=True)
class Leg:
    """A member, where it starts from, and for how many epochs it trains."""

    member: int
    start: State
    epochs: int


@dataclass(frozen=True)
class Trainings(Work[Segment]):
    """Members of one plan, each from its own start."""

    plan: Plan
    legs: Sequence[Leg]

    def __len__(self) -> int:
        """How many members there are."""
        return len(self.legs)

    def alone(self, index: int, mode: Mode) -> Member[Segment]:
        """See ``Work``."""
        return _train(self.legs[index], self.plan, mode)

    def together(self, indices: Sequence[int], mode: Mode) -> Iterator[Event[Segment]]:
        """See ``Work``. Members that have trained for another time, or go elsewhere, are a stack of their own."""
        alike: dict[tuple[int, int], list[int]] = {}
        for index in indices:
            leg = self.legs[index]
            alike.setdefault((leg.start.epoch, leg.epochs), []).append(index)
        for (_, epochs), same in alike.items():
            legs = [self.legs[index] for index in same]
            events = train_together(self.plan, [leg.member for leg in legs], [leg.start for leg in legs], epochs, mode)
            for event in events:
                yield replace(event, index=same[event.index])

    def tickets(self) -> tuple[Plan, Sequence[Ticket[Segment]]]:
        """See ``Work``."""
        return self.plan, [partial(_train, leg) for leg in self.legs]

    def parted(self, parts: int) -> tuple[Plan, Sequence[Sequence[Ticket[Segment]]]]:
        """See ``Work``: every process takes its part of each batch, on the device of its rank."""
        return _at_home(self.plan), [
            [partial(_train_part, leg, Share(r, parts), self.plan.data.device.type) for r in range(parts)]
            for leg in self.legs
        ]


def _at_home(plan: Plan) -> Plan:
    """The plan where every process can read it; the same one if it lies there."""
    home = torch.device("cpu")
    if plan.data.device == home:
        return plan
    data = replace(plan.data, stream_to=None).on(home)
    return replace(plan, data=data, scaling=plan.scaling.to(home))


def _train_part(leg: Leg, share: Share, kind: str, plan: Plan, mode: Mode) -> Member[Segment]:
    device = torch.device(kind, share.rank) if kind == "cuda" else torch.device(kind)
    if kind != "cpu":
        plan = replace(plan, data=plan.data.on(device), scaling=plan.scaling.to(device))
    segment = yield from train(plan, leg.member, leg.start, leg.epochs, mode, share)
    if kind == "cuda":
        # The process waits for the next member, and others may need the room meanwhile.
        del plan
        torch.cuda.empty_cache()
    # What the others came to is the same, and takes as long to be sent.
    return segment if share.rank == 0 else replace(segment, checkpoints=(), steps=(), losses=())


def _train(leg: Leg, plan: Plan, mode: Mode) -> Member[Segment]:
    return train(plan, leg.member, leg.start, leg.epochs, mode)
