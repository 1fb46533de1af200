"""Where do solutions lie in weight space, and how does the function change between them? (the paper's figure 5)"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

import torch
from torch import Tensor

from modescape.core.engine.events import Event
from modescape.core.landscape.refinement import Picture, Refinement, refine
from modescape.core.landscape.sector import Layout
from modescape.core.seeds import generator
from modescape.core.settings import require, settings
from modescape.core.splits import Split
from modescape.core.subspaces.catalogue import SUBSPACES
from modescape.core.weights import inner_products
from modescape.errors import MemberFailed
from modescape.studies.abstract import Context, Job, Result, Results, Sizes, Study, Task
from modescape.studies.cross_sections_tables import tables_of
from modescape.studies.drawing import chosen_subspaces, in_turns, some_examples
from modescape.studies.members import (
    checkpoint_count,
    first_failure,
    members_table,
    own_parts,
    part_of,
    segments,
    training_tasks,
    trajectory,
)
from modescape.studies.section_marks import marks_of
from modescape.studies.section_measures import Asked, Measurer, Remembered, derived
from modescape.studies.sections import Kind, Materials, Place, place_of
from modescape.studies.setup import Setup
from modescape.tables import Table

STEERING = ("nll", "accuracy", "disagreement", "normalised_disagreement")
"""Quantities that decide where more points are evaluated; the others are carried along."""
PLANES = ("sector", "plane", "principal", "random", "hessian", "gradient")
LISTED = "measure/sections"
MOST = 501
"""Points an axis: the table of a larger plane would take more than a few gigabytes of memory."""


def measure_sections(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """Evaluate each job's cross-section where interpolation would be wrong, and project networks onto it."""
    return in_turns(context, [_section(context, job) for job in jobs])


def _section(context: Context, job: Job) -> Generator[int, None, Result]:
    members = job.arguments["members"]
    solutions = {member: trajectory(own_parts(job, member), member).solution for member in members}
    materials = Materials(context, solutions, lambda m: trajectory(own_parts(job, m), m), job.arguments)
    try:
        place = place_of(materials)
    except (ValueError, torch.linalg.LinAlgError) as error:  # type: ignore[attr-defined]
        raise MemberFailed(f"cross-section {job.arguments['name']}: {error}", step=0) from error
    asked = _asked(context, job.arguments)
    measurer = Measurer(context, asked, [solutions[member] for member in asked.references])
    known = Remembered(place.section.at, measurer, job.pad)
    picture = yield from _picture(context, job.arguments, place, known)
    return _result(materials, place, picture, asked, job)


def _asked(context: Context, arguments: Mapping[str, Any]) -> Asked:
    def some(name: str, count: int | None) -> Split:
        return part_of(context.splits[name], some_examples(context, name, count))

    train = some("train", arguments["train_examples"]) if arguments["train_examples"] else None
    unknown = {name.removeprefix("unknown/"): some(name, arguments["examples"]) for name in arguments["unknown"]}
    references = tuple(arguments["members"])
    return Asked(some(arguments["split"], arguments["examples"]), train, unknown, references)


def _picture(
    context: Context, arguments: Mapping[str, Any], place: Place, known: Remembered
) -> Generator[int, None, Picture]:
    quantities = known.measure.asked.quantities
    steering = [name.split("/")[0] in STEERING for name in quantities]
    rule = Refinement(
        tolerance=tuple(arguments["tolerance"] if steers else float("inf") for steers in steering),
        transforms=tuple("log" if name in ("nll", "train_nll") else "linear" for name in quantities),
        block=known.measure.together,
    )
    chance = generator(context.setup.seed, "section", "checks", arguments["name"])
    return (yield from refine(place.axes, lambda grid: known(place.coordinates(grid)), rule, chance))


def _result(materials: Materials, place: Place, picture: Picture, asked: Asked, job: Job) -> Result:
    grid = torch.stack(torch.meshgrid(*place.axes, indexing="ij"), dim=-1).flatten(0, -2)
    drawn = place.drawn(place.coordinates(grid))
    values = derived(asked.quantities, picture.values.flatten(0, -2))
    numbers = {
        "a": grid[:, 0],
        "b": grid[:, 1] if grid.shape[1] > 1 else torch.zeros_like(grid[:, 0]),
        "x": drawn[:, 0],
        "y": drawn[:, 1],
        "evaluated": picture.evaluated.flatten(),
        **{f"value.{name}": value for name, value in values.items()},
    }
    marks, labels = marks_of(materials, place, job)
    error = picture.error
    facts = {name: job.arguments[name] for name in ("name", "kind", "members", "split", "layout")}
    facts |= {
        "layout": place.layout,
        "titles": list(place.titles),
        "shape": [*picture.evaluated.shape, 1][:2],
        "examples": len(asked.split),
        "lengths": [float(inner_products(solution).sqrt()) for solution in materials.solutions],
        "classes": materials.context.classes,
        "evaluated": picture.evaluations,
        "quantities": asked.quantities,
        "checked": error.checked,
        "marks": labels,
    }
    errors = {"largest": error.largest, "rms": error.rms, "largest_fraction": error.largest_fraction}
    return Result({"grid": _whole(numbers), "errors": _whole(errors), "marks": _whole(marks)}, facts)


def _whole(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    # Cloned: a constant expanded, or one tensor by two names, cannot be written.
    return {name: tensor.contiguous().clone() for name, tensor in tensors.items()}


def list_sections(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """Which cross-sections could be made."""
    return in_turns(context, [_listed(context, job) for job in jobs])


def _listed(context: Context, job: Job) -> Generator[int, None, Result]:
    if not job.inputs:
        raise MemberFailed("no cross-section could be made", step=0)
    yield 1
    return Result({}, {"tasks": list(job.inputs), "steps": context.steps})


def _with_middle(points: int) -> int:
    """The nearest number of points that puts one on both ends of a line and one half way."""
    return 4 * max(1, round((points - 1) / 4)) + 1


def _with_rays(points: int) -> int:
    """The nearest number of angles with one at 0, one at 45 and one at 90 degrees."""
    return 16 * max(1, round((points - 1) / 16)) + 1


@dataclass(frozen=True)
class _Planned:
    """One cross-section before it is made."""

    kind: Kind
    members: tuple[int, ...]
    layout: Layout = "oblique"

    @property
    def name(self) -> str:
        between = "-".join(map(str, self.members))
        return f"{self.kind}/{self.layout}/{between}" if self.kind == "sector" else f"{self.kind}/{between}"


@final
@settings
class CrossSections(Study):
    """Settings of the cross-sections.

    ``kinds`` are "sector" (of the first two solutions and the origin, figure 5, in each of the ``layouts``), "plane"
    (through the first three), "principal" (the first solution's trajectory along its two principal axes), "random"
    (filter-normalised directions around the first solution, to ``extent`` times its filters), "hessian" and "gradient"
    (steepest directions, to a tenth of its length times ``extent``), "line" (between the first ``lines`` pairs of
    solutions) and "ray" (from the origin through each of the first ``rays`` solutions).

    Every quantity is measured on ``examples`` of a split (None: all), the training loss on ``train_examples`` (0: not
    at all), detection on splits of ``unknown`` inputs. Planes have ``grid`` points an axis, lines ``points``; points
    are evaluated until the estimated error of the others is below ``tolerance``, a share of each quantity's range (0:
    all are; numbers of points are rounded so that solutions, and what is half way, lie on the grid). Onto them are
    projected the trajectories and ``count`` members of each subspace in ``drawn`` that can be had, in sectors
    ``magnified`` so many times.
    """

    split: str = "test"
    examples: int | None = 2000
    train_examples: int = 2000
    unknown: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ("sector", "plane", "principal", "random", "line", "ray")
    layouts: tuple[Layout, ...] = ("oblique",)
    lines: int = 3
    rays: int = 2
    extent: float = 1.0
    grid: int = 49
    points: int = 41
    tolerance: float = 0.02
    drawn: tuple[str, ...] = ("diagonal_gaussian",)
    count: int = 20
    magnified: float = 100.0

    def __post_init__(self) -> None:
        require(len(self.kinds) > 0, "kinds is empty; name at least one kind of cross-section")
        require(len(self.layouts) > 0, "layouts is empty; choose oblique, orthonormal or both")
        for name, least in (("lines", 1), ("rays", 1), ("grid", 5), ("points", 5), ("count", 1)):
            require(getattr(self, name) >= least, f"{name} must be at least {least}, got {getattr(self, name)}")
        require(max(self.grid, self.points) <= MOST, f"grid and points must be at most {MOST:,} an axis")
        require(self.examples is None or self.examples >= 1, f"examples must be at least 1, got {self.examples}")
        require(self.train_examples >= 0, f"train_examples must be 0 or more, got {self.train_examples}")
        require(0 <= self.tolerance < 1, f"tolerance must lie in [0, 1), got {self.tolerance}")
        require(self.extent > 0, f"extent must be above 0, got {self.extent}")
        require(self.magnified >= 1, f"magnified must be at least 1, got {self.magnified}")
        unknown = [name for name in self.drawn if name not in SUBSPACES]
        require(not unknown, f"there is no subspace {unknown[:1]}; choose from {', '.join(SUBSPACES)}")

    def _planned(self, members: int, checkpoints: int) -> list[_Planned]:
        pairs = [(a, b) for b in range(members) for a in range(b)][: self.lines]
        needs = {"sector": 2, "plane": 3, "line": 2}
        planned: list[_Planned] = []
        for kind in dict.fromkeys(self.kinds):
            if members < needs.get(kind, 1) or (kind == "principal" and checkpoints < 3):
                continue
            if kind == "sector":
                planned += [_Planned(kind, (0, 1), layout) for layout in dict.fromkeys(self.layouts)]
            elif kind == "line":
                planned += [_Planned(kind, pair) for pair in pairs]
            elif kind == "ray":
                planned += [_Planned(kind, (member,)) for member in range(min(self.rays, members))]
            else:
                planned.append(_Planned(kind, (0, 1, 2) if kind == "plane" else (0,)))
        return planned

    def tasks(self, setup: Setup, sizes: Sizes) -> Sequence[Task]:
        """Train, evaluate each cross-section, list them."""
        sizes.require_function()
        known = {*sizes.examples}
        require(self.split in known, f"there is no split {self.split!r}; choose {', '.join(sorted(known))}")
        for name in self.unknown:
            require(
                f"unknown/{name}" in sizes.others,
                f"there are no unknown inputs {name!r}; choose from "
                f"{', '.join(o.removeprefix('unknown/') for o in sizes.others if o.startswith('unknown/')) or 'none'}",
            )
        planned = self._planned(setup.training.members, checkpoint_count(setup, sizes))
        require(len(planned) > 0, f"{setup.training.members} networks have none of the cross-sections {self.kinds}")
        drawn = [name for name in chosen_subspaces(None, setup, sizes) if name in self.drawn] if self.drawn else []
        measured = [self._task(setup, each, drawn) for each in planned]
        names = {task.name: task.name for task in measured}
        listing = Task(LISTED, list_sections, {"sections": list(names)}, names, tolerant=True)
        return [*training_tasks(setup, sizes), *measured, listing]

    def _task(self, setup: Setup, planned: _Planned, drawn: Sequence[str]) -> Task:
        flat = planned.kind in ("line", "ray")
        points = [_with_middle(self.points)] if flat else [2 * (self.grid // 2) + 1] * 2
        if planned.kind == "sector":
            points[1] = _with_rays(self.grid)
        arguments = {
            "name": planned.name,
            "kind": planned.kind,
            "members": list(planned.members),
            "layout": planned.layout,
            "points": points,
            "split": self.split,
            "examples": self.examples,
            "train_examples": self.train_examples,
            "unknown": [f"unknown/{name}" for name in self.unknown],
            "tolerance": 0.0 if flat else self.tolerance,
            "extent": self.extent,
            "drawn": {} if flat else {name: asdict(setup.subspace(name)) for name in drawn},
            "count": self.count,
            "magnified": self.magnified if planned.kind == "sector" else 1.0,
        }
        inputs = {part: part for member in planned.members for part in segments(setup, member)}
        weight = points[0] if flat else points[0] * points[1]
        return Task(f"measure/section/{planned.name}", measure_sections, arguments, inputs, weight, "points")

    def tables(self, setup: Setup, results: Results) -> Mapping[str, Table]:
        """Answers, cross-sections, their grids, errors and marks."""
        listed = results.read(LISTED)
        if listed is None:
            raise first_failure(setup, results, LISTED)
        found = [result for name in listed.facts["tasks"] if (result := results.read(name)) is not None]
        return {**tables_of(found), "members": members_table(setup, results, listed.facts["steps"])}
