"""A few items computed beforehand, by another thread, while those before are used."""

import queue
import threading
from collections.abc import Generator, Iterator
from typing import TypeVar

Item = TypeVar("Item")

AHEAD = 2
"""Batches that a stream fetches ahead of the step that is computed."""


def ahead(fetched: Iterator[Item], depth: int = AHEAD) -> Generator[Item, None, None]:
    """The same, up to ``depth`` of them computed beforehand on another thread; what it raises is raised here.

    Closing the generator ends the thread.
    """
    ready: queue.Queue[Item | Exception | None] = queue.Queue(depth)
    stopped = threading.Event()

    def put(one: Item | Exception | None) -> bool:
        """Whether somebody still waits."""
        while not stopped.is_set():
            try:
                ready.put(one, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for one in fetched:
                if not put(one):
                    return
            put(None)
        except Exception as error:  # noqa: BLE001  (told where it is waited for)
            put(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while (one := ready.get()) is not None:
            if isinstance(one, Exception):
                raise one
            yield one
    finally:
        stopped.set()
        thread.join()
