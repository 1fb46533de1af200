"""The training of many members, as work for the engine."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from modescape.core.engine.events import Event, Member
from modescape.core.engine.work import Mode, Ticket, Work
from modescape.core.training.loop import train
from modescape.core.training.plan import Plan, Segment, State
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


def _train(leg: Leg, plan: Plan, mode: Mode) -> Member[Segment]:
    return train(plan, leg.member, leg.start, leg.epochs, mode)
