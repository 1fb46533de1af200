"""A core each: Python threads, one operator thread in each."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import final

from modescape.core.engine.events import Event, T
from modescape.core.engine.side_by_side import one_after_another, side_by_side
from modescape.core.engine.way import Room, Way
from modescape.core.engine.work import Work


@final
class Threads(Way):
    """Fastest on a CPU once operators take longer than Python does between them.

    On a CPU torch computes gradients on the thread that asks for them. On a GPU one thread does so for all, and Python
    threads would wait for it: there it is ``streams`` that overlaps members.
    """

    devices = frozenset({"cpu"})

    def run(self, work: Work[T], room: Room) -> Iterator[Event[T]]:
        """See ``Way``."""
        return each_alone(work, range(len(work)), room)


def each_alone(work: Work[T], indices: Sequence[int], room: Room) -> Iterator[Event[T]]:
    """Some of the members, each alone, on as many threads as there are cores."""
    members = [work.alone(index, room.mode) for index in indices]
    for event in side_by_side(members, room.cores) if room.cores > 1 else one_after_another(members):
        yield replace(event, index=indices[event.index])
