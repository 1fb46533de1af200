"""The engine that a study runs its networks on: a way, and the room that it may use."""

from collections.abc import Iterator
from dataclasses import dataclass

from modescape.core.engine.catalogue import WAYS
from modescape.core.engine.events import Event, T
from modescape.core.engine.way import ONE_CORE, Room
from modescape.core.engine.work import Work
from modescape.core.settings import require


@dataclass(frozen=True)
class Engine:
    """Runs many networks at once by a way of the catalogue."""

    way: str = "threads"
    room: Room = ONE_CORE

    def __post_init__(self) -> None:
        require(self.way in WAYS, f"there is no way {self.way!r}; choose from {', '.join(WAYS)}")

    @property
    def arithmetic(self) -> str:
        """What decides how sums round: runs of one arithmetic may go on from each other."""
        way = WAYS[self.way]
        group = f" of {self.room.group}" if way.arithmetic.startswith(("stacked", "data_parallel")) else ""
        return f"{way.arithmetic}{group}, {self.room.mode.precision}"

    def run(self, work: Work[T]) -> Iterator[Event[T]]:
        """Every member of a piece of work, to its end."""
        return WAYS[self.way].run(work, self.room)
