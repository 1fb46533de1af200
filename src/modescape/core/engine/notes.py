"""Say, once, that something else is done than was asked for or expected, and why."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


class EngineNote(UserWarning):
    """What is used instead, and why."""


_said: set[str] = set()
_listeners: list[list[str]] = []
_lock = threading.Lock()


def say(message: str) -> None:
    """Warn with an ``EngineNote``, the first time only in this process; or tell who is ``hearing``."""
    with _lock:
        if _listeners:
            _listeners[-1].append(message)
            return
        new = message not in _said
        _said.add(message)
    if new:
        warnings.warn(message, EngineNote, stacklevel=2)


@contextmanager
def hearing() -> Iterator[list[str]]:
    """Take what any thread says in the meantime, in place of warnings: for a trial, of which nobody need know."""
    said: list[str] = []
    with _lock:
        _listeners.append(said)
    try:
        yield said
    finally:
        with _lock:
            _listeners.remove(said)


def forget() -> None:
    """Say everything anew from now on: for a new command in the same process."""
    with _lock:
        _said.clear()
