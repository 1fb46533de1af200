"""One member after another, each by several processes that share its batches: for networks that fill a device.

Every process holds the member, takes its part of each batch, and adds its gradients to the others', by
``torch.distributed`` (NCCL between GPUs, Gloo between CPUs). They are on one machine, and answer to this process.
"""

import atexit
import contextlib
import os
import queue
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, final

import torch
from torch import distributed

from modescape.core.engine.events import Advanced, Event, Failed, Finished, Member, T
from modescape.core.engine.processes import Worker
from modescape.core.engine.threads import each_alone
from modescape.core.engine.way import Room, Way
from modescape.core.engine.work import Mode, Refused, Ticket, Work, packed
from modescape.errors import EngineError, ModescapeError, in_a_line

SILENCE = 1800.0
"""Seconds that a process waits for the others' part of a sum: enough for the first images from a cold disk."""

GRACE = 3.0
"""Seconds in which others may tell what ended them too, once one has: the cause is not always heard first."""

HERE = "127.0.0.1"

ANOTHER = "choose another way than data_parallel"


@final
class DataParallel(Way):
    """Never chosen by itself. ``Room.group`` processes train a member; work that cannot be shared runs on threads.

    The numbers are those of one process but for the order in which sums are taken; only batch norm differs: while
    training, each process normalises its own part of the batch, as the paper's replicas do, and the running statistics
    are those of the first. Parts of 32 examples or more are customary. A process that is lost ends the work with an
    ``EngineError``: to go on with fewer would be to train something else.
    """

    arithmetic = "data_parallel"
    shares_batches = True

    def run(self, work: Work[T], room: Room) -> Iterator[Event[T]]:
        """See ``Way``."""
        shared = work.parted(room.group)
        if shared is None:
            return each_alone(work, range(len(work)), room)
        return _one_by_one(*shared, room)


@dataclass(frozen=True)
class Meeting:
    """Where the processes of a group find each other."""

    port: int
    rank: int
    size: int
    patience: float = SILENCE

    def join(self) -> None:
        """Wait for the others, the first time."""
        if distributed.is_initialized():
            return
        backend = "gloo"
        if torch.cuda.is_available() and self.rank < torch.cuda.device_count():
            torch.cuda.set_device(self.rank)
            backend = "cpu:gloo,cuda:nccl"
        # All are on this machine; its name need not be known to any network.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
        patience = timedelta(seconds=self.patience)
        store = distributed.TCPStore(HERE, self.port, is_master=False, timeout=patience)  # type: ignore[attr-defined]
        distributed.init_process_group(backend, store=store, rank=self.rank, world_size=self.size, timeout=patience)


def _meeting_place() -> Any:
    """A store that nobody outside this machine can reach: left to itself torch's listens on all interfaces."""
    listening = socket.socket()
    listening.bind((HERE, 0))
    listening.listen()
    port = listening.getsockname()[1]
    return distributed.TCPStore(  # type: ignore[attr-defined]
        HERE,
        port,
        is_master=True,
        wait_for_workers=False,
        timeout=timedelta(seconds=SILENCE),
        master_listen_fd=listening.detach(),
    )


def joined(start: Ticket[T], meeting: Meeting, shared: Any, mode: Mode) -> Member[T]:
    """Start a member's part once the group is together."""
    meeting.join()
    return start(shared, mode)


class _Crew:
    """The processes of a group, and where they meet. Once one is lost the others are of no use."""

    def __init__(self, size: int) -> None:
        self.size, self.whole, self.holds = size, True, None
        self.store = _meeting_place()
        self.workers = [Worker() for _ in range(size)]

    def end(self) -> None:
        """At once: one that waits for the others' part would wait on."""
        for worker in self.workers:
            worker.process.kill()
        for worker in self.workers:
            worker.dismiss()

    def take(self, shared: Any, load: bytes) -> None:
        """Send what all members start from, unless it is there."""
        if self.holds is not shared:
            for worker in self.workers:
                worker.tell(load)
            self.holds = shared

    def meeting(self, rank: int) -> Meeting:
        """Where a process finds the others."""
        return Meeting(self.store.port, rank, self.size)


_idle: list[_Crew] = []
"""A group that nobody uses: it stays for the next piece of work, since starting one takes seconds."""


def let_go() -> None:
    """End the group that nobody uses."""
    while _idle:
        _idle.pop().end()


atexit.register(let_go)


def _crew(size: int) -> _Crew:
    if _idle and _idle[0].size == size and all(worker.process.poll() is None for worker in _idle[0].workers):
        return _idle.pop()
    let_go()
    return _Crew(size)


@dataclass(frozen=True)
class _Told:
    """What a process said; ``event`` is None if it is gone."""

    rank: int
    event: Any


def _one_by_one(shared: Any, members: Sequence[Sequence[Ticket[T]]], room: Room) -> Iterator[Event[T]]:
    try:
        load = packed(("shared", packed(shared)))
    except Exception as error:  # noqa: BLE001  (pickling runs the code of whatever is pickled)
        what = f"the network cannot be sent to other processes ({in_a_line(error)}); {ANOTHER}"
        yield from (Failed(index, EngineError(what)) for index in range(len(members)))
        return
    left = deque(enumerate(members))
    while left:
        crew, done = _crew(room.group), False
        try:
            crew.take(shared, load)
            while left and crew.whole:
                yield from _shared(crew, *left.popleft(), room.mode)
            done = crew.whole
        finally:
            if done:
                let_go()
                _idle.append(crew)
            else:
                crew.end()


def _shared(crew: _Crew, index: int, tickets: Sequence[Ticket[T]], mode: Mode) -> Iterator[Event[T]]:
    """One member, by all processes. The first tells how far it is and what comes out."""
    news: queue.SimpleQueue[_Told] = queue.SimpleQueue()
    for rank, (worker, ticket) in enumerate(zip(crew.workers, tickets, strict=True)):
        message = packed(("go", index, packed((partial(joined, ticket, crew.meeting(rank)), mode))))
        with contextlib.suppress(OSError):  # it is gone, which is heard below
            worker.tell(message)
        threading.Thread(target=_listen, args=(rank, worker, news), daemon=True).start()
    ends: dict[int, Any] = {}
    while len(ends) < crew.size:
        told = news.get()
        if isinstance(told.event, Advanced):
            if told.rank == 0:
                yield told.event
            continue
        ends[told.rank] = told.event
        if not isinstance(told.event, Finished):
            ends |= _others(news, crew.size - len(ends))
            break
    if len(ends) == crew.size and all(isinstance(event, Finished) for event in ends.values()):
        yield ends[0]
        return
    # All of them ended by the same step, as when a loss is not finite: else some wait for others that are gone.
    crew.whole = len(ends) == crew.size and all(isinstance(event, Failed) for event in ends.values())
    yield Failed(index, _cause(crew, ends))


def _listen(rank: int, worker: Worker, news: "queue.SimpleQueue[_Told]") -> None:
    while True:
        try:
            event = worker.hear()
        except Exception:  # noqa: BLE001  (however it went, nothing more will come)
            news.put(_Told(rank, None))
            return
        news.put(_Told(rank, event))
        if not isinstance(event, Advanced):
            return


def _others(news: "queue.SimpleQueue[_Told]", missing: int) -> dict[int, Any]:
    """The ends that others come to within the time of grace."""
    ends: dict[int, Any] = {}
    until = time.monotonic() + GRACE
    while len(ends) < missing:
        try:
            told = news.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            break
        if not isinstance(told.event, Advanced):
            ends[told.rank] = told.event
    return ends


def _cause(crew: _Crew, ends: dict[int, Any]) -> Exception:
    """What ended a group: a process that is gone, else an error that was foreseen, else the first."""
    for rank, event in ends.items():
        if event is None:
            code = crew.workers[rank].process.wait()
            return EngineError(
                f"process {rank} of {crew.size} that share a member's batches ended by itself (exit code {code}); "
                "run the command again: it goes on from the last epoch that was saved"
            )
    refused = [EngineError(f"{end.reason}; {ANOTHER}") for end in ends.values() if isinstance(end, Refused)]
    errors = [end.error for end in ends.values() if isinstance(end, Failed)]
    foreseen = [error for error in errors if isinstance(error, ModescapeError)]
    return [*foreseen, *refused, *errors][0]
