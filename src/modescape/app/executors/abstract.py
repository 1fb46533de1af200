"""An executor performs tasks into a run and tells what happens."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modescape.app.executors.store import RunResults
from modescape.studies.abstract import Context, Task


@dataclass(frozen=True)
class Skipped:
    """The task was performed before."""

    task: Task


@dataclass(frozen=True)
class Progressed:
    """Part of a task was done, in the task's unit."""

    task: Task
    amount: int


@dataclass(frozen=True)
class Done:
    """The task's result is on disk."""

    task: Task


@dataclass(frozen=True)
class FailedTask:
    """The task failed for a reason that repeating it would not change; ``facts`` has ``reason`` and ``step``."""

    task: Task
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Blocked:
    """The task was not performed because an input failed."""

    task: Task
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Damage:
    """The task's result was found damaged and will be made again."""

    task: Task
    reason: str


Happening = Skipped | Progressed | Done | FailedTask | Blocked | Damage


class Executor(ABC):
    """Performs tasks. Holds nothing of a run."""

    @abstractmethod
    def perform(self, tasks: Sequence[Task], context: Context, results: RunResults) -> Iterator[Happening]:
        """Perform what ``results`` does not have yet.

        Each task ends in one ``Skipped``, ``Done``, ``FailedTask`` or ``Blocked``. Errors that are not a member's own
        are raised. Closing the iterator stops the work; what is done stays done.
        """
