"""The serial executor: one process; tasks of a kind that are ready together are performed together.

This is the definition of what performing means. How many networks run at once is the engine's business, inside.
"""

import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, final

from modescape.app.executors.abstract import Blocked, Damage, Done, Executor, FailedTask, Happening, Progressed, Skipped
from modescape.app.executors.clock import core_seconds
from modescape.app.executors.store import RunResults
from modescape.core.engine.events import Advanced, Failed
from modescape.errors import MemberFailed
from modescape.studies.abstract import Context, Job, Result, Task


@final
class SerialExecutor(Executor):
    """Performs tasks in this process; ``worked`` is its clock of core-seconds."""

    def __init__(self, worked: Callable[[], float] = core_seconds) -> None:
        self.worked = worked

    def perform(self, tasks: Sequence[Task], context: Context, results: RunResults) -> Iterator[Happening]:
        """Perform what is missing, groups of ready tasks of one function at a time."""
        waiting, news = _take_stock(tasks, results)
        yield from news
        while waiting:
            blocked = [(task, facts) for task in waiting if (facts := _blocked_by(task, results)) is not None]
            for task, facts in blocked:
                results.failures[task.name] = facts
                yield Blocked(task, facts)
            waiting = [task for task in waiting if task.name not in results.failures]
            if blocked or not waiting:
                continue
            names = {task.name for task in waiting}
            ready = [task for task in waiting if names.isdisjoint(task.inputs.values())]
            group = [task for task in ready if task.function is ready[0].function]
            yield from _together(group, context, results, self.worked)
            waiting = [task for task in waiting if task not in group]
        # A kill right after a commit, or a link made again in the middle of a chain, leaves files that nothing needs.
        for task in tasks:
            if task.carries and task.name not in results.failures:
                results.drop_passing(task.inputs[task.carries])


def _take_stock(tasks: Sequence[Task], results: RunResults) -> tuple[list[Task], list[Happening]]:
    """Which tasks are missing, and the news of the others.

    A missing task that carries on from files that were dropped makes its predecessor missing as well.
    """
    news: list[Happening] = []
    missing: set[str] = set()
    for task in tasks:
        there, damage = results.find(task)
        if not there:
            missing.add(task.name)
        if damage:
            news.append(Damage(task, damage))
    for task in reversed(tasks):
        source = task.inputs.get(task.carries) if task.carries else None
        if source is not None and task.name in missing and source not in missing and not results.has_passing(source):
            missing.add(source)
    for task in tasks:
        if task.name not in missing:
            news.append(FailedTask(task, f) if (f := results.failures.get(task.name)) else Skipped(task))
    return [task for task in tasks if task.name in missing], news


def _blocked_by(task: Task, results: RunResults) -> Mapping[str, Any] | None:
    if task.tolerant:
        return None
    return next((results.failures[s] for s in task.inputs.values() if s in results.failures), None)


def _together(
    group: Sequence[Task], context: Context, results: RunResults, clock: Callable[[], float]
) -> Iterator[Happening]:
    """Perform tasks of one function and commit each result as it comes."""
    before, worked = time.monotonic(), clock()
    events = group[0].function(context, [_job(task, results) for task in group])
    try:
        for event in events:
            task = group[event.index]
            if isinstance(event, Advanced):
                yield Progressed(task, event.amount)
            elif isinstance(event, Failed):
                failed = _failed(task, event.error, results)
                results.pad(task).drop()
                before, worked = time.monotonic(), clock()
                yield failed
            else:
                own, sofar = event.result.seconds, clock()
                spent = max(0.0, sofar - worked) if own is None else own
                size = results.write(task, event.result)
                results.pad(task).drop()
                if task.carries:
                    results.drop_passing(task.inputs[task.carries])
                now = time.monotonic()
                record = {"task": task.name, "seconds": round(now - before, 3), "bytes": size}
                record |= {} if math.isnan(spent) else {"core_seconds": round(spent, 4)}
                results.run.journal.append("done", record | {"weight": task.weight, "unit": task.unit})
                before, worked = now, sofar
                yield Done(task)
    finally:
        # An error holds on to this frame, and so would keep its neighbours' threads at work.
        if isinstance(events, Generator):
            events.close()


def _failed(task: Task, error: Exception, results: RunResults) -> FailedTask:
    if not isinstance(error, MemberFailed):
        raise error
    facts = {"reason": str(error), "step": error.step}
    results.write_failure(task, facts)
    results.run.journal.append("failed", {"task": task.name, **facts})
    return FailedTask(task, facts)


def _job(task: Task, results: RunResults) -> Job:
    def read(source: str) -> Result:
        result = results.read(source)
        assert result is not None, "inputs that failed are left out below"
        return result

    alive = {name: source for name, source in task.inputs.items() if source not in results.failures}
    return Job(task.arguments, {name: partial(read, source) for name, source in alive.items()}, results.pad(task))
