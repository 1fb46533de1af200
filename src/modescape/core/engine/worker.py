"""The other end of ``processes``: ``python -m modescape.core.engine.worker``, told what to do on its standard input."""

import os
import pickle
import queue
import signal
import sys
import threading
from typing import IO, Any

import torch

from modescape.core.engine.events import Advanced, advance
from modescape.core.engine.work import Refused, Stopped, packed
from modescape.errors import in_a_line


def _listen(source: IO[bytes], messages: "queue.SimpleQueue[Any]") -> None:
    """Take messages as they come, so that "stop" is seen while a member is at work; end with whoever speaks."""
    while True:
        try:
            messages.put(pickle.load(source))  # noqa: S301  (from our own parent)
        except EOFError:
            os._exit(0)


def _send(reply: IO[bytes], what: Any) -> None:
    reply.write(packed(packed(what)))
    reply.flush()


def _answer(index: int, member: Any, messages: "queue.SimpleQueue[Any]", reply: IO[bytes]) -> None:
    while True:
        event = advance(member, index)
        try:
            _send(reply, event)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            _send(reply, Refused(f"what a member gave cannot be sent to another process ({in_a_line(error)})"))
            return
        if not isinstance(event, Advanced):
            return
        if not messages.empty():  # nothing but "stop" is said to a process at work
            messages.get()
            member.close()
            _send(reply, Stopped())
            return


def serve(source: IO[bytes], reply: IO[bytes]) -> None:
    """Do what the parent says until it is gone."""
    messages: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(source, messages), daemon=True).start()
    shared: bytes = b""
    opened: Any = None
    while True:
        kind, *rest = messages.get()
        if kind == "paths":
            sys.path[:] = rest[0]
        elif kind == "shared":
            shared, opened = rest[0], None
        elif kind == "go":
            index, ticket = rest
            try:
                if opened is None:
                    opened = pickle.loads(shared)  # noqa: S301
                start, mode = pickle.loads(ticket)  # noqa: S301
                member = start(opened, mode)
            except Exception as error:  # noqa: BLE001  (unpickling imports whatever code the network is made of)
                _send(reply, Refused(f"another process cannot build the network ({in_a_line(error)})"))
                continue
            _answer(index, member, messages, reply)


def main() -> None:
    """Serve on standard input and output; whatever networks print goes to standard error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    reply = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    torch.set_num_threads(1)
    serve(sys.stdin.buffer, reply)


if __name__ == "__main__":
    main()
