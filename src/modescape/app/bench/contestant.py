"""A contestant does the work of a comparison its own way; each lives in a process of its own."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace

from modescape.app.bench.assignment import Assignment


class Contestant(ABC):
    """Prepares in ``__init__``; ``once`` does the whole work and is what is timed."""

    about = ""
    """What it is, for the table: a version, a way."""

    def __init__(self, given: Assignment) -> None:
        self.given = given

    def warm_up(self) -> None:
        """Whatever costs more the first time, before anything is timed: by default, a small part of the work."""
        given = self.given
        type(self)(
            replace(given, train=min(given.train, 2 * given.batch), epochs=1, points=min(given.points, 4))
        ).once()

    @abstractmethod
    def once(self) -> float:
        """Do the work; return how many units of it."""

    def found(self) -> Mapping[str, float | list[float]]:
        """What came out of the last ``once``, by name: contestants of one comparison must agree on it."""
        return {}
