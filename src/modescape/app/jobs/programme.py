"""The paper's programme: its recipes, and which of them a machine can bear."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from modescape.app.jobs.estimate import Estimate, estimate
from modescape.app.jobs.prepare import Options, Prepared, prepare
from modescape.app.jobs.recipe import Recipe, Source, find, read, shipped
from modescape.app.report.words import duration
from modescape.app.runs.run import free_bytes
from modescape.errors import DataError

PROGRAMME = (
    "cifar10-small-cnn",
    "cifar10-small-cnn-sgd",
    "cifar10-medium-cnn",
    "cifar10-resnet20",
    "cifar100-resnet20",
    "imagenet-resnet50v2",
)
"""The paper's networks and data at its settings."""


@dataclass(frozen=True)
class Item:
    """One recipe of the programme: what it takes here, and why it is left out, if it is."""

    source: Source
    recipe: Recipe
    cost: Estimate | None = None
    left_out: str = ""

    @property
    def line(self) -> str:
        """The item in a line."""
        took = "" if self.cost is None else f"about {duration(self.cost.seconds)}"
        return f"{self.source.name:28}{f'left out: {self.left_out}' if self.left_out else took}"


def smaller(name: str) -> str | None:
    """The shipped recipe that reduces another; None if there is none."""
    return next((one for one in shipped() if read(find(one)).reduces == name), None)


def choose(options: Options, hours: float, folder: Path, tell: Callable[[str], None]) -> list[Item]:
    """Every recipe of the programme, and of each that is too much for this machine its reduced version.

    A recipe is left out, with the reason, if its data are not here, if it takes more than so many ``hours``, or more
    memory or disk than there is. What it takes is found by a probe of a few seconds.
    """
    chosen: list[Item] = []
    for name in PROGRAMME:
        item = examine(find(name), options, hours, folder)
        tell(item.line)
        chosen.append(item)
        less = smaller(name) if item.left_out and item.cost is not None else None
        if less is not None:
            reduced = examine(find(less), options, hours, folder)
            tell(reduced.line)
            chosen.append(reduced)
    return chosen


def examine(source: Source, options: Options, hours: float, folder: Path) -> Item:
    """One recipe: what it takes on this machine, and whether that is too much."""
    recipe = read(source)
    try:
        prepared = prepare(recipe, options)
    except DataError as missing:
        return Item(source, recipe, left_out=str(missing))
    cost = estimate(prepared, prepared.tasks(prepared.fitting(recipe.studies)))
    return Item(source, recipe, cost, _too_much(cost, hours, folder))


def _too_much(cost: Estimate, hours: float, folder: Path) -> str:
    memory, disk = psutil.virtual_memory().available, free_bytes(folder)
    if cost.seconds > 3600 * hours:
        return f"it would take about {duration(cost.seconds)}, --hours is {hours:g}"
    if cost.memory > memory:
        return f"it would need about {cost.memory / 2**30:.1f} GiB of memory, {memory / 2**30:.1f} GiB are free"
    if cost.disk > disk:
        return f"it would need about {cost.disk / 2**30:.1f} GiB of disk, {disk / 2**30:.1f} GiB are free"
    return ""


def named(names: Sequence[str]) -> list[Item]:
    """The recipes that were asked for by name, whatever they take. Raises ``SettingsError`` for one that is not."""
    sources = [find(name) for name in names]
    return [Item(source, read(source)) for source in sources]


def prepared_for(item: Item, options: Options) -> tuple[Prepared, tuple[str, ...]]:
    """A recipe made ready, and its studies."""
    prepared = prepare(item.recipe, options)
    return prepared, prepared.fitting(item.recipe.studies)
