"""What happens to members while they run, and what a member is to the engine."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

Member = Generator[int, None, T]
"""A member does a slice of work (some tenths of a second), yields how much it has done, and returns its result."""


@dataclass(frozen=True)
class Advanced:
    """A member did a slice of work, ``amount`` units of it."""

    index: int
    amount: int


@dataclass(frozen=True)
class Finished(Generic[T]):
    """A member returned its result."""

    index: int
    result: T


@dataclass(frozen=True)
class Failed:
    """A member raised; its neighbours go on."""

    index: int
    error: Exception


Event = Advanced | Finished[T] | Failed


def advance(member: Member[T], index: int) -> "Event[T]":
    """Let a member do its next slice, and say what came of it."""
    try:
        return Advanced(index, next(member))
    except StopIteration as stop:
        return Finished(index, stop.value)
    except Exception as error:  # noqa: BLE001  (handed to the caller as data, who decides)
        return Failed(index, error)
