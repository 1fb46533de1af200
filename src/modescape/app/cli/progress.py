"""Progress of tasks: a bar a phase on a terminal, a line every ten seconds elsewhere."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Task as Bar
from rich.text import Text

from modescape.app.executors.abstract import Blocked, Damage, FailedTask, Happening, Progressed, Skipped
from modescape.app.jobs.perform import Listener
from modescape.app.report.words import duration
from modescape.studies.abstract import Task

QUIET_SECONDS = 10.0
NAMES = {
    "train": "training",
    "predict": "predicting",
    "draw": "drawing",
    "compare": "comparing",
    "measure": "measuring",
    "embed": "embedding",
}


class _Rate(ProgressColumn):
    """Amount done and its rate, in the phase's unit."""

    def render(self, task: Bar) -> Text:
        speed = f", {task.speed:,.0f}/s" if task.speed and not task.finished else ""
        return Text(f"{task.completed:,.0f}/{task.total:,.0f} {task.fields['unit']}{speed}")


class _Phases:
    """How much of each phase there is and how much is done."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.total: dict[str, int] = {}
        self.unit: dict[str, str] = {}
        self.count: dict[str, int] = {}
        for task in tasks:
            self.total[task.phase] = self.total.get(task.phase, 0) + task.weight
            self.unit[task.phase] = task.unit
            self.count[task.phase] = self.count.get(task.phase, 0) + 1
        self.seen: dict[str, int] = {}

    def amount(self, happening: Happening) -> int:
        """By how much this happening moves its phase."""
        task = happening.task
        if isinstance(happening, Progressed):
            self.seen[task.name] = self.seen.get(task.name, 0) + happening.amount
            return happening.amount
        if isinstance(happening, Damage):
            return 0
        return task.weight - self.seen.get(task.name, 0)


def _remark(happening: Happening) -> str | None:
    match happening:
        case FailedTask(facts=facts):
            return f"failed: {facts['reason']}"
        case Damage(reason=reason):
            return f"found damage, doing it again: {reason}"
    return None


@contextmanager
def progress(tasks: Sequence[Task], quiet: bool) -> Iterator[Listener]:
    """A listener that shows what happens on standard error, if at all."""
    phases = _Phases(tasks)
    if quiet:
        yield lambda happening: None
    elif sys.stderr.isatty():
        yield from _bars(phases)
    else:
        yield _Lines(phases).listen


def _bars(phases: _Phases) -> Iterator[Listener]:
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(bar_width=24),
        _Rate(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as shown:
        bars = {
            phase: shown.add_task(NAMES.get(phase, phase), total=total, unit=phases.unit[phase], start=False)
            for phase, total in phases.total.items()
        }

        def listen(happening: Happening) -> None:
            bar, amount = bars[happening.task.phase], phases.amount(happening)
            if isinstance(happening, Skipped | Blocked):
                # Work that was not done now must not count as speed.
                shown.update(bar, completed=shown.tasks[bar].completed + amount)
                return
            shown.start_task(bar)
            shown.advance(bar, amount)
            if remark := _remark(happening):
                shown.console.print(remark, markup=False, highlight=False)

        yield listen


class _Lines:
    """Plain lines, for logs."""

    def __init__(self, phases: _Phases) -> None:
        self.phases = phases
        self.done = dict.fromkeys(phases.total, 0)
        self.left = dict(phases.count)
        self.begun: dict[str, tuple[float, int]] = {}
        self.last = 0.0

    def listen(self, happening: Happening) -> None:
        phase = happening.task.phase
        self.done[phase] += self.phases.amount(happening)
        if remark := _remark(happening):
            print(remark, file=sys.stderr, flush=True)  # noqa: T201
        if isinstance(happening, Skipped | Blocked):
            self.left[phase] -= 1
            return
        now = time.monotonic()
        if phase not in self.begun:
            self.begun[phase], self.last = (now, self.done[phase]), now
        since, before = self.begun[phase]
        self.left[phase] -= not isinstance(happening, Progressed | Damage)
        whole = self.left[phase] == 0
        if whole or now - self.last >= QUIET_SECONDS:
            self.last = now
            rate = (self.done[phase] - before) / max(now - since, 1e-9)
            left = (self.phases.total[phase] - self.done[phase]) / rate if rate > 0 else float("nan")
            amounts = f"{self.done[phase]:,}/{self.phases.total[phase]:,} {self.phases.unit[phase]}"
            speed = f", {rate:,.1f}/s, {duration(left)} left" if not whole else f" in {duration(now - since)}"
            print(f"{NAMES.get(phase, phase)}: {amounts}{speed}", file=sys.stderr, flush=True)  # noqa: T201
