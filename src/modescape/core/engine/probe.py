"""Measure, on the user's own network, which way is fastest here."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from modescape.core.engine.catalogue import WAYS
from modescape.core.engine.engine import Engine
from modescape.core.engine.events import Advanced, Event, Failed, Finished
from modescape.core.engine.memory import is_out_of_memory
from modescape.core.engine.notes import hearing
from modescape.core.engine.work import PLAIN, Work
from modescape.errors import in_a_line

SECONDS = 0.5
"""Of measured work, twice for each engine: enough for ten steps of a network that takes 50 ms for one."""

CLOSE = 1.05
"""A way that demands more must be so much faster to be chosen: less than that is noise."""

SCALES = 0.75
"""Threads that reach so much of the cores are good enough: worker processes are not even started."""


@dataclass(frozen=True)
class Measured:
    """What an engine does in a second, in the work's units; 0, and the reason, where it cannot."""

    engine: Engine
    rate: float
    reason: str = ""


@dataclass(frozen=True)
class Trial:
    """What is measured and how: long work for the speed, short work for the numbers.

    ``alike`` compares the results of the short work, by position, with those of ``serial``, and says what is wrong.
    """

    long: Work[Any]
    short: Work[Any]
    alike: Callable[[Sequence[Any], Sequence[Any]], str]
    clock: Callable[[], float]
    seconds: float = SECONDS


def measure(engine: Engine, trial: Trial) -> Measured:
    """Check the engine's numbers, then its speed. What it cannot do is a result, not an error.

    The faster of two measurements counts: other work on the machine can only make it look slower.
    """
    try:
        with hearing() as said:
            wrong = _wrong(engine, trial)
            if said or wrong:
                return Measured(engine, 0.0, said[0] if said else wrong)
            rate = max(rate_of(engine.run(trial.long), trial.clock, trial.seconds) for _ in range(2))
        return Measured(engine, rate, said[0] if said else "")
    except Exception as error:  # noqa: BLE001  (somebody's network may raise anything, and that is the answer)
        if is_out_of_memory(error):
            return Measured(engine, 0.0, "not enough memory")
        return Measured(engine, 0.0, in_a_line(error))


def _results(engine: Engine, work: Work[Any]) -> list[Any]:
    found: dict[int, Any] = {}
    for event in engine.run(work):
        if isinstance(event, Failed):
            raise event.error
        if isinstance(event, Finished):
            found[event.index] = event.result
    return [found[index] for index in range(len(work))]


def _wrong(engine: Engine, trial: Trial) -> str:
    if WAYS[engine.way].arithmetic == "alone" and engine.room.mode == PLAIN:
        return ""  # the same code as serial: tests hold it to the same bits
    return trial.alike(_results(Engine("serial", engine.room), trial.short), _results(engine, trial.short))


def rate_of(events: Iterator[Event[Any]], clock: Callable[[], float], seconds: float) -> float:
    """Units a second from the first slice on, which warms up; the work is stopped after so many seconds.

    Raises what a member raised, and ``ValueError`` if the work ended too soon.
    """
    start: float | None = None
    amount = 0
    try:
        for event in events:
            if isinstance(event, Failed):
                raise event.error
            if not isinstance(event, Advanced):
                continue
            if start is None:
                start = clock()
                continue
            amount += event.amount
            if clock() - start > seconds:
                break
        if start is None or amount == 0:
            raise ValueError("the work ended before it could be timed")
        return amount / max(clock() - start, 1e-9)
    finally:
        events.close()  # type: ignore[attr-defined]


def fastest(found: Sequence[Measured]) -> Measured:
    """The fastest, or the first of those that are nearly as fast."""
    best = max(found, key=lambda measured: measured.rate)
    return next(measured for measured in found if measured.rate * CLOSE >= best.rate)


def choose_on_cpu(base: Engine, trial: Trial) -> list[Measured]:
    """What was measured on a CPU, among ways of one arithmetic: a choice must not change anybody's numbers."""
    # Threads first, so that it takes a clear lead to do without them: on a busy machine all look alike.
    found = [measure(replace(base, way=way), trial) for way in ("threads", "serial")]
    threads, serial = found
    if threads.rate < SCALES * min(base.room.cores, len(trial.long)) * serial.rate:
        found.append(measure(replace(base, way="processes"), trial))
    return found


def choose_on_cuda(base: Engine, trial: Trial) -> list[Measured]:
    """What was measured on a GPU: every way, and for the fastest one larger groups for as long as they gain."""
    ways = [name for name, way in WAYS.items() if "cuda" in way.devices and not way.shares_batches]
    found = [measure(replace(base, way=way), trial) for way in ways]
    best = fastest(found)
    group = best.engine.room.group
    while best.rate > 0 and best.engine.room.group == group and group < len(trial.long):
        group = min(2 * group, len(trial.long))
        larger = measure(replace(best.engine, room=replace(best.engine.room, group=group)), trial)
        found.append(larger)
        if larger.rate > CLOSE * best.rate:
            best = larger
    return found
