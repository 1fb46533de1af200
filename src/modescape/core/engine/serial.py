"""One member after another, on the calling thread."""

from collections.abc import Iterator
from typing import final

from modescape.core.engine.events import Event, T
from modescape.core.engine.side_by_side import one_after_another
from modescape.core.engine.way import Room, Way
from modescape.core.engine.work import Work


@final
class Serial(Way):
    """What every other way must equal."""

    def run(self, work: Work[T], room: Room) -> Iterator[Event[T]]:
        """See ``Way``."""
        return one_after_another([work.alone(index, room.mode) for index in range(len(work))])
