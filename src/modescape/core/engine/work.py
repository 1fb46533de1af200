"""What many networks of one architecture are to do, described so that every way can do it."""

import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal

from modescape.core.engine.events import Event, Member, T
from modescape.core.settings import settings

Precision = Literal["float32", "tf32", "bf16"]


@settings
class Mode:
    """How a step is computed, whatever the way.

    ``precision`` is that of matrix products and convolutions: "tf32" is for GPUs; "bf16" (autocast) is meant for them,
    and works elsewhere. Both round coarser. Weights and what the optimiser keeps are float32 in any case. A
    ``captured`` step is recorded once as a CUDA graph and replayed.
    """

    precision: Precision = "float32"
    captured: bool = False


PLAIN = Mode()
"""float32, computed as it comes."""


class CannotStack(Exception):
    """The networks cannot compute as one stack; the message says why."""


Ticket = Callable[[Any, Mode], Member[T]]
"""Starts one member in another process from what all of them share. Must survive pickling."""


@dataclass(frozen=True)
class Refused:
    """A process cannot run its member, or what it said of it cannot be read; and why."""

    reason: str


@dataclass(frozen=True)
class Stopped:
    """A process has stopped its member as it was told."""


class Work(ABC, Generic[T]):
    """Members by their position. Each gives the same result alone, together with others, and when started again."""

    @abstractmethod
    def __len__(self) -> int:
        """How many members there are."""

    @abstractmethod
    def alone(self, index: int, mode: Mode) -> Member[T]:
        """One member, with nothing of the others."""

    @abstractmethod
    def together(self, indices: Sequence[int], mode: Mode) -> Iterator[Event[T]]:
        """Several members as one stack; each ends in one ``Finished`` or ``Failed``.

        Raises ``CannotStack`` before the first event if they cannot compute so.
        """

    def tickets(self) -> tuple[Any, Sequence[Ticket[T]]] | None:
        """What all members start from in other processes, and the start of each; None if they are better off here.

        The first is the same object from call to call where it may be: it is sent once.
        """
        return None

    def parted(self, parts: int) -> tuple[Any, Sequence[Sequence[Ticket[T]]]] | None:
        """What all members share, and for each the starts of its parts in so many processes; None if it has no parts.

        The parts of a member run at once, in a group of ``torch.distributed``; the first gives the result.
        """
        return None


def packed(something: Any) -> bytes:
    """Bytes for another process of ours, never for a file. Raises ``pickle.PicklingError`` and its like."""
    return pickle.dumps(something, protocol=pickle.HIGHEST_PROTOCOL)
