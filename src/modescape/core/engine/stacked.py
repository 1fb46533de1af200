"""Many members as one stack: every operator works on all of them at once (``torch.func.vmap``)."""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import final

import torch

from modescape.core.engine.events import Advanced, Event, T
from modescape.core.engine.memory import is_out_of_memory
from modescape.core.engine.notes import say
from modescape.core.engine.threads import each_alone
from modescape.core.engine.way import Room, Way
from modescape.core.engine.work import CannotStack, Work


@final
class Stacked(Way):
    """Fastest where operators are too small to fill the device.

    Sums round otherwise than alone, and otherwise from one group size to another. A group that runs out of memory is
    done again in two halves.
    """

    arithmetic = "stacked"

    def run(self, work: Work[T], room: Room) -> Iterator[Event[T]]:
        """See ``Way``."""
        order = range(len(work))
        return in_groups(work, [list(order[i : i + room.group]) for i in order[:: room.group]], room)


def in_groups(work: Work[T], groups: list[list[int]], room: Room) -> Iterator[Event[T]]:
    """Run groups one after another; halve what runs out of memory, run alone what cannot be stacked."""
    waiting, told = deque(groups), dict.fromkeys(range(len(work)), 0)
    while waiting:
        group = waiting.popleft()
        ended: set[int] = set()
        try:
            yield from _untold(work.together(group, room.mode), told, ended)
        except CannotStack as error:
            say(f"the networks cannot be stacked ({error}); they run one at a time instead")
            left = [index for index in [*group, *(one for more in waiting for one in more)] if index not in ended]
            yield from _untold(each_alone(work, left, room), told, ended)
            return
        except Exception as error:
            if not is_out_of_memory(error) or len(group) == 1:
                raise
            half = (len(group) + 1) // 2
            say(f"{len(group)} networks in one stack need more memory than there is; {half} at a time are used instead")
            left = [index for index in group if index not in ended]
            waiting.extendleft(part for part in (left[half:], left[:half]) if part)
            # What is queued would run out of memory as well.
            waiting = deque(part[i : i + half] for part in waiting for i in range(0, len(part), half))
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


def _untold(events: Iterator[Event[T]], told: dict[int, int], ended: set[int]) -> Iterator[Event[T]]:
    """Events but for the progress that an earlier attempt has told already."""
    done: dict[int, int] = {}
    for event in events:
        if isinstance(event, Advanced):
            before = done.get(event.index, 0)
            done[event.index] = before + event.amount
            news = done[event.index] - max(before, told[event.index])
            if news > 0:
                told[event.index] = done[event.index]
                yield replace(event, amount=news)
        else:
            ended.add(event.index)
            yield event
