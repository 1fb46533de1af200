"""Are solutions joined by paths of low loss, and is there one function all along? (the paper's appendix A)"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any, final

import numpy as np
import torch

from modescape.core.engine.events import Event
from modescape.core.landscape.connectors.abstract import Connector
from modescape.core.landscape.connectors.catalogue import CONNECTORS
from modescape.core.landscape.connectors.descent import Descent
from modescape.core.settings import require, settings
from modescape.errors import MemberFailed
from modescape.landscape_tables import CONNECTOR_PROFILES, TRIANGLES
from modescape.landscape_tables import CONNECTORS as CONNECTORS_TABLE
from modescape.studies.abstract import Context, Job, Result, Results, Sizes, Study, Task, require_members
from modescape.studies.connector_answers import Found, answered, paths_of
from modescape.studies.connector_tasks import Between, find_paths, measure_paths, measure_triangles
from modescape.studies.connectors_words import answers
from modescape.studies.members import each_alone, first_failure, members_table, segments, training_tasks
from modescape.studies.setup import Setup
from modescape.tables import Table, from_rows

MAPPED = "bent"
"""The connector whose triangles are shown: the paper's."""

_DEFAULTS = {name: kind() for name, kind in CONNECTORS.items()}
ConnectorSettings: Any = settings(
    type("ConnectorSettings", (), {"__module__": __name__, "__annotations__": dict(CONNECTORS), **_DEFAULTS})
)
"""The settings of every connector, a field each by its name in the catalogue."""

_TRIANGLE_QUANTITIES = (
    "train_nll", "nll", "accuracy", "agreement_first", "agreement_second", "normalised_first", "normalised_second",
)  # fmt: skip


def gather_paths(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """All paths and triangles in columns, and the answers as numbers."""
    return each_alone(context, jobs, _gather)


def _gather(context: Context, job: Job) -> Result:
    paths = [Between(**asked) for asked in job.arguments["paths"]]
    kept, found = [], []
    for path in paths:
        name = f"profile/{path.place}"
        if name in job.inputs:
            result = job.inputs[name]()
            kept.append(path)
            found.append(Found(path.connector, path.first, path.second, result.facts, result.files["profile"]))
    if not found:
        raise MemberFailed("no path was found: fewer than two trainings came to the end, or every fit diverged", step=0)
    profiles = torch.cat([one.files["numbers"] for one in found])
    triangles = {place: f"triangles/{path.place}" for place, path in enumerate(kept)}
    maps = {i: job.inputs[name]().files["triangles"]["numbers"] for i, name in triangles.items() if name in job.inputs}
    facts = {
        "paths": [asdict(path) for path in kept],
        "rows": paths_of(found),
        "answers": answered(found, context.setup.seed, job.arguments["draws"]),
        "points": job.arguments["points"],
        "mapped": list(maps),
        "classes": context.classes,
        "steps": context.steps,
        "looked_at": f"{len(found[0].files['targets']):,} {job.arguments['split']}",
    }
    return Result(
        {"profiles": {"numbers": profiles}, **{f"triangles-{i}": {"numbers": t} for i, t in maps.items()}}, facts
    )


@final
@settings
class Connectors(Study):
    """Settings of the paths between solutions.

    Every two of the first ``pairs`` + 1 solutions that follow each other are joined by each of the connectors that
    ``names`` lists (all by default), and the first ``ends`` solutions together by those that join many. ``descent``
    says how the training loss is lowered, ``kinds`` holds what else each connector can be told. Networks are looked at
    in ``points`` points of each path, on ``examples`` of the split and ``train_examples`` of the training set (None:
    all). The triangles that the paper's connector spans with the origin are evaluated for the first ``triangles`` pairs
    on ``rows`` times ``columns`` points each, outwards and along the piece, as far as ``reach`` times the piece's own
    distance. Intervals come from ``draws`` bootstrap samples of the examples.
    """

    split: str = "test"
    examples: int | None = 1000
    train_examples: int | None = 1000
    names: tuple[str, ...] | None = None
    pairs: int = 2
    ends: int = 3
    descent: Descent = Descent()
    kinds: ConnectorSettings = ConnectorSettings()
    points: int = 61
    triangles: int = 1
    rows: int = 13
    columns: int = 9
    reach: float = 1.2
    draws: int = 1000

    def __post_init__(self) -> None:
        for name, least in (("pairs", 1), ("ends", 2), ("points", 3), ("triangles", 0), ("rows", 2), ("columns", 2)):
            require(getattr(self, name) >= least, f"{name} must be at least {least}, got {getattr(self, name)}")
        require(self.points % 2 == 1, f"points must be odd, so that one is at t = 1/2, got {self.points}")
        for name in ("examples", "train_examples"):
            value = getattr(self, name)
            require(value is None or value >= 1, f"{name} must be at least 1, got {value}")
        require(1 <= self.reach < float("inf"), f"reach must be finite and at least 1, got {self.reach}")
        require(self.draws >= 100, f"draws must be at least 100 for an interval, got {self.draws}")
        for name in self.names or ():
            require(name in CONNECTORS, f"there is no connector {name!r}; choose from {', '.join(CONNECTORS)}")
        require(self.names is None or len(self.names) > 0, "names is empty; leave it out for all connectors")

    def _kind(self, name: str) -> Connector:
        found: Connector = getattr(self.kinds, name)
        return found

    def _chosen(self) -> list[str]:
        return [name for name in CONNECTORS if self.names is None or name in self.names]

    def _plan(self, setup: Setup) -> tuple[list[Task], list[Between]]:
        """The tasks that find paths, and the paths."""
        members, tasks, paths = setup.training.members, [], []
        for name in self._chosen():
            kind = self._kind(name)
            several = range(min(self.ends, members))
            joined = [tuple(several)] if kind.joins_many else [(m, m + 1) for m in range(min(self.pairs, members - 1))]
            for ends in joined:
                task = self._task(setup, name, ends)
                tasks.append(task)
                routes = enumerate(combinations(ends, 2))
                paths += [Between(name, task.name, route, *pair) for route, pair in routes]
        return tasks, paths

    def _task(self, setup: Setup, name: str, ends: tuple[int, ...]) -> Task:
        kind = self._kind(name)
        arguments = {"connector": name, "ends": list(ends), "settings": asdict(kind), "descent": asdict(self.descent)}
        weight = max(1, kind.gradients(self.descent))
        inputs = {part: part for part in (segments(setup, member)[-1] for member in ends)}
        where = "-".join(str(end) for end in ends)
        return Task(f"connect/{name}/ends/{where}", find_paths, arguments, inputs, weight=weight, unit="steps")

    def tasks(self, setup: Setup, sizes: Sizes) -> Sequence[Task]:
        """Train, connect, look along, look around, gather."""
        require_members(setup)
        require(self.split in sizes.examples, f"there is no split {self.split!r}; choose {', '.join(sizes.examples)}")
        connecting, paths = self._plan(setup)
        at = {"split": self.split, "examples": self.examples, "train_examples": self.train_examples}
        looking = [
            Task(
                f"profile/{path.place}",
                measure_paths,
                {**at, "points": self.points, "route": path.route},
                {"path": path.task},
                weight=2 * self.points,
                unit="points",
            )
            for path in paths
        ]
        grid = {"rows": self.rows, "columns": self.columns, "reach": self.reach}
        pieces = self.kinds.bent.interior + 1
        mapped = [path for path in paths if path.connector == MAPPED][: self.triangles]
        around = [
            Task(
                f"triangles/{path.place}",
                measure_triangles,
                {**at, **grid, "route": path.route},
                {"path": path.task},
                weight=2 * self.rows * self.columns * pieces,
                unit="points",
            )
            for path in mapped
        ]
        gather = Task(
            "measure/connectors",
            gather_paths,
            {"paths": [asdict(p) for p in paths], "split": self.split, "points": self.points, "draws": self.draws},
            {task.name: task.name for task in [*looking, *around]},
            tolerant=True,
        )
        return [*training_tasks(setup, sizes), *connecting, *looking, *around, gather]

    def tables(self, setup: Setup, results: Results) -> Mapping[str, Table]:
        """Members, paths, the networks along them, triangles, and the answers."""
        gathered = results.read("measure/connectors")
        if gathered is None:
            raise first_failure(setup, results, "measure/connectors")
        facts = gathered.facts
        return {
            "answers": answers(facts["answers"], facts["looked_at"], facts["classes"]),
            "members": members_table(setup, results, facts["steps"]),
            "connectors": from_rows(CONNECTORS_TABLE, facts["rows"]),
            "profiles": _profiles(gathered),
            "triangles": _triangles(gathered),
        }


def _labels(paths: Sequence[Mapping[str, Any]], repeats: int) -> dict[str, np.ndarray]:
    return {n: np.repeat(np.array([path[n] for path in paths]), repeats) for n in ("connector", "first", "second")}


def _profiles(gathered: Result) -> Table:
    numbers = gathered.files["profiles"]["numbers"].numpy()
    labels = _labels(gathered.facts["paths"], gathered.facts["points"])
    return Table(CONNECTOR_PROFILES, labels | dict(zip(CONNECTOR_PROFILES.names[3:], numbers.T, strict=True)))


def _triangles(gathered: Result) -> Table:
    """Every point once for each quantity, quantity after quantity."""
    tables: list[dict[str, np.ndarray]] = []
    for place in gathered.facts["mapped"]:
        numbers = gathered.files[f"triangles-{place}"]["numbers"].numpy()
        where, values = numbers[:, :5], numbers[:, 5:]
        many = len(_TRIANGLE_QUANTITIES)
        columns = _labels([gathered.facts["paths"][place]], len(numbers) * many)
        columns |= dict(zip(TRIANGLES.names[3:8], np.tile(where, (many, 1)).T, strict=True))
        columns |= {"quantity": np.repeat(np.array(_TRIANGLE_QUANTITIES), len(numbers)), "value": values.T.ravel()}
        tables.append(columns)
    if not tables:
        return from_rows(TRIANGLES, [])
    return Table(TRIANGLES, {n: np.concatenate([table[n] for table in tables]) for n in TRIANGLES.names})
