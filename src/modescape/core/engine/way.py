"""A way runs the members of a piece of work. To add one: a file like ``serial.py``, and a line of ``catalogue.py``."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from modescape.core.engine.events import Event, T
from modescape.core.engine.work import PLAIN, Mode, Work


@dataclass(frozen=True)
class Room:
    """What a way may use: so many cores, so many members in one stack or in flight on a GPU, this mode.

    ``group`` is the number of processes for a way that shares batches among them.
    """

    cores: int = 1
    group: int = 8
    mode: Mode = PLAIN


ONE_CORE = Room()


class Way(ABC):
    """How networks run at once. Holds nothing.

    Ways of one ``arithmetic`` give the same bits on a CPU: it belongs to a run's identity, the way does not. A way that
    ``shares_batches`` among processes is never chosen unless it is named, and batch norm sees less at a time in it.
    """

    devices: ClassVar[frozenset[str]] = frozenset({"cpu", "cuda"})
    arithmetic: ClassVar[str] = "alone"
    shares_batches: ClassVar[bool] = False

    @abstractmethod
    def run(self, work: Work[T], room: Room) -> Iterator[Event[T]]:
        """Run every member to its end: one ``Finished`` or ``Failed`` for each, ``Advanced`` on the way.

        Closing the iterator early stops the work. A way that turns out impossible says what it does instead
        (``notes.say``) and does that.
        """
