"""A core each: worker processes, one operator thread in each, for networks so small that Python is what takes time."""

import atexit
import contextlib
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, final

from modescape.core.engine.events import Advanced, Event, T
from modescape.core.engine.notes import say
from modescape.core.engine.threads import Threads, each_alone
from modescape.core.engine.way import Room, Way
from modescape.core.engine.work import Refused, Stopped, Work, packed
from modescape.errors import in_a_line

PATIENCE = 2.0
"""Seconds that a process has to end by itself once it is let go."""


@final
class Processes(Way):
    """Fastest on a CPU where Python takes longer between operators than they do, so that threads wait for each other.

    A member whose process ends, or that no process can start, is done again in this one.
    """

    devices = frozenset({"cpu"})

    def run(self, work: Work[T], room: Room) -> Iterator[Event[T]]:
        """See ``Way``."""
        travelling = work.tickets()
        if travelling is None:
            return Threads().run(work, room)
        shared, starts = travelling
        try:
            tickets = [packed((start, room.mode)) for start in starts]
            load = _Load(shared, packed(shared))
        except Exception as error:  # noqa: BLE001  (pickling runs the code of whatever is pickled)
            reason = in_a_line(error)
            say(f"the networks cannot be sent to other processes ({reason}); threads are used instead")
            return Threads().run(work, room)
        return _spread(work, room, tickets, load)


@dataclass(frozen=True)
class _Load:
    """What all members start from, as it is and as it is sent."""

    shared: Any
    sent: bytes


class Worker:
    """A process of ours that waits for members. It ends when its input closes, whatever becomes of this process."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "modescape.core.engine.worker"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.holds: Any = None
        self.tell(packed(("paths", list(sys.path))))

    def tell(self, message: bytes) -> None:
        """Send a message. Raises ``OSError`` if the process is gone."""
        assert self.process.stdin is not None
        self.process.stdin.write(message)
        self.process.stdin.flush()

    def hear(self) -> Any:
        """The next message; waits. Raises ``EOFError`` if the process is gone."""
        assert self.process.stdout is not None
        # Bytes within bytes: a message that cannot be opened here is taken as a whole nevertheless.
        message = pickle.load(self.process.stdout)  # noqa: S301  (from a child of ours)
        try:
            return pickle.loads(message)  # noqa: S301
        except Exception as error:  # noqa: BLE001  (opening runs the code of whatever a network raised)
            return Refused(f"what another process said of its member cannot be read ({in_a_line(error)})")

    def dismiss(self) -> None:
        """Let the process end, and wait for it."""
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@cache
def _workers() -> list[Worker]:
    """The workers of this process: they stay until it ends, since starting one takes seconds."""
    workers: list[Worker] = []
    atexit.register(_dismiss, workers)
    return workers


def _dismiss(workers: list[Worker]) -> None:
    for worker in workers:
        worker.dismiss()


def _crew(count: int) -> list[Worker]:
    workers = _workers()
    for worker in [worker for worker in workers if worker.process.poll() is not None]:
        worker.dismiss()
        workers.remove(worker)
    workers += [Worker() for _ in range(count - len(workers))]
    return workers[:count]


def _spread(work: Work[T], room: Room, tickets: list[bytes], load: _Load) -> Iterator[Event[T]]:
    waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    for index, ticket in enumerate(tickets):
        waiting.put(packed(("go", index, ticket)))
    news: queue.SimpleQueue[Any] = queue.SimpleQueue()
    stopped = threading.Event()
    crew = _crew(min(room.cores, len(tickets)))
    threads = [
        threading.Thread(target=_serve, args=(worker, load, waiting, news, stopped), daemon=True) for worker in crew
    ]
    for thread in threads:
        thread.start()
    missing, told, busy = set(range(len(tickets))), dict.fromkeys(range(len(tickets)), 0), len(threads)
    try:
        while busy:
            event = news.get()
            if event is None:
                busy -= 1
            elif isinstance(event, str):
                say(event)
            else:
                if isinstance(event, Advanced):
                    told[event.index] += event.amount
                else:
                    missing.discard(event.index)
                yield event
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
    left = sorted(missing)
    for event in each_alone(work, left, room):
        if not isinstance(event, Advanced):
            yield event
        elif told[event.index] > 0:
            told[event.index] -= event.amount  # progress that was told before its process was lost
        else:
            yield event


def _serve(
    worker: Worker,
    load: _Load,
    waiting: "queue.SimpleQueue[bytes]",
    news: "queue.SimpleQueue[Any]",
    stopped: threading.Event,
) -> None:
    """Give a worker one member after another and pass on what it says of them."""
    try:
        if worker.holds is not load.shared:
            worker.tell(packed(("shared", load.sent)))
            worker.holds = load.shared
        while not stopped.is_set():
            try:
                worker.tell(waiting.get_nowait())
            except queue.Empty:
                break
            told = False
            while not isinstance(event := worker.hear(), Stopped):
                if isinstance(event, Refused):
                    news.put(f"{event.reason}; its member runs in this process instead")
                    break
                news.put(event)
                if not isinstance(event, Advanced):
                    break
                if stopped.is_set() and not told:
                    worker.tell(packed(("stop",)))
                    told = True
    except (OSError, EOFError, pickle.UnpicklingError):
        code = worker.process.wait()
        news.put(f"a worker process ended by itself (exit code {code}); its member runs in this process instead")
    finally:
        news.put(None)
