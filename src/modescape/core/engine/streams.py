"""On a GPU: steps recorded once as a CUDA graph and replayed, so that Python and launches cost next to nothing."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import final

import torch

from modescape.core.engine.events import Advanced, Event, Member, T, advance
from modescape.core.engine.side_by_side import one_after_another
from modescape.core.engine.stacked import Stacked
from modescape.core.engine.way import Room, Way
from modescape.core.engine.work import Work

CUDA = frozenset({"cuda"})


def _captured(room: Room) -> Room:
    return replace(room, mode=replace(room.mode, captured=True))


@final
class Graph(Way):
    """One member after another, each with its own graph."""

    devices, arithmetic = CUDA, "graph"

    def run(self, work: Work[T], room: Room) -> Iterator[Event[T]]:
        """See ``Way``."""
        mode = _captured(room).mode
        return one_after_another([work.alone(index, mode) for index in range(len(work))])


@final
class StackedGraph(Way):
    """A stack of members under one graph."""

    devices, arithmetic = CUDA, "stacked-graph"

    def run(self, work: Work[T], room: Room) -> Iterator[Event[T]]:
        """See ``Way``."""
        return Stacked().run(work, _captured(room))


@final
class Streams(Way):
    """Several members in flight, a stream and a graph each: their kernels overlap where one leaves the chip idle."""

    devices, arithmetic = CUDA, "graph"

    def run(self, work: Work[T], room: Room) -> Iterator[Event[T]]:
        """See ``Way``."""
        mode = _captured(room).mode
        members = [work.alone(index, mode) for index in range(len(work))]
        streams: list[torch.cuda.Stream] = []

        def on(lane: int) -> AbstractContextManager[None]:
            if lane == len(streams):
                streams.append(torch.cuda.Stream())
                # The data and the starts of the members were put in place on the stream that is current now.
                streams[lane].wait_stream(torch.cuda.current_stream())
            return torch.cuda.stream(streams[lane])

        for event in in_lanes(members, room.group, on):
            if not isinstance(event, Advanced):
                torch.cuda.synchronize()
            yield event


def in_lanes(
    members: Sequence[Member[T]], lanes: int, on: Callable[[int], AbstractContextManager[None]]
) -> Iterator[Event[T]]:
    """Advance up to ``lanes`` members in turns on the calling thread, each slice within ``on(lane)``.

    A slice only puts kernels into its lane's queue, so that the lanes compute at the same time.
    """
    waiting = list(enumerate(members))[::-1]
    flying: dict[int, tuple[int, Member[T]]] = {}
    while waiting or flying:
        for lane in range(lanes):
            if lane not in flying:
                if not waiting:
                    continue
                flying[lane] = waiting.pop()
            index, member = flying[lane]
            with on(lane):
                event = advance(member, index)
            if not isinstance(event, Advanced):
                del flying[lane]
            yield event
