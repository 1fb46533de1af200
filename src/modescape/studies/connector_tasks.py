"""The tasks of the study ``connectors``: find paths, look at the networks along them and around one of them."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from modescape.core.engine.events import Event
from modescape.core.evaluation import Blocks, Evaluation, Scratch, evaluate
from modescape.core.landscape.connectors.abstract import ends_of
from modescape.core.landscape.connectors.catalogue import CONNECTORS
from modescape.core.landscape.connectors.descent import Descent, Problem
from modescape.core.landscape.connectors.path import Connection, Path, Route
from modescape.core.landscape.connectors.profile import Look, profile, scores_along
from modescape.core.landscape.cross_section import CrossSection, Grid, plane_along
from modescape.core.predictions import predict
from modescape.core.reductions import AgreementCounts, MemberScores, Reduction
from modescape.core.training.settings import Optimiser
from modescape.core.weights import Weights, flatten, moved_to
from modescape.errors import MemberFailed
from modescape.studies.abstract import Context, Job, Result
from modescape.studies.drawing import in_turns, some_examples
from modescape.studies.members import own_parts, pack, part_of, scratch, statistics_of, unpack

TOGETHER = 32
"""Points of a triangle that are evaluated together, at most."""


@dataclass(frozen=True)
class Between:
    """One path: which task finds it, as which of its routes, between which members."""

    connector: str
    task: str
    route: int
    first: int
    second: int

    @property
    def place(self) -> str:
        """How tasks that look at it are named."""
        return f"{self.connector}/pair/{self.first}-{self.second}"


def find_paths(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """Join the solutions of each job by its connector."""
    return in_turns(context, [_found(context, job) for job in jobs])


def _found(context: Context, job: Job) -> Generator[int, None, Result]:
    name, members = job.arguments["connector"], job.arguments["ends"]
    asked = job.arguments["descent"]
    descent = Descent(**{**asked, "optimiser": Optimiser(**asked["optimiser"])})
    chance = ("connector", name, "ends", *members)
    train = context.splits["train"]
    problem = Problem(scratch(context), train, context.scaling, descent, context.setup.seed, chance)
    # Only the last part of a training is among the inputs, and a solution is its last checkpoint.
    parts = [own_parts(job, member)[-1] for member in members]
    solutions = [unpack(part.files["checkpoints"], m)[-1] for part, m in zip(parts, members, strict=True)]
    ends = moved_to(ends_of(solutions), context.device)
    try:
        found = yield from CONNECTORS[name](**job.arguments["settings"]).fit(ends, problem)
    except ValueError as error:
        raise MemberFailed(f"connector {name} between members {members}: {error}", step=0) from error
    routes = [{"through": r.through, "knots": r.knots, "curve": r.curve} for r in found.routes]
    return Result({"controls": pack(found.controls)}, {"origin": list(found.controls.origin), "routes": routes})


def path_in(job: Job) -> Path:
    """The path that a job looks at."""
    result = job.inputs["path"]()
    stored = unpack(result.files["controls"], 0)
    controls = Weights(stored.params, stored.buffers, tuple(result.facts["origin"]))
    routes = [Route(tuple(r["through"]), tuple(r["knots"]), r["curve"]) for r in result.facts["routes"]]
    return Connection(controls, tuple(routes)).path(job.arguments["route"])


class _Looks:
    """One scratch network, and what it looks at: examples of the study's split and training examples."""

    def __init__(self, context: Context, job: Job) -> None:
        module = scratch(context)
        self.split, train = (
            part_of(context.splits[name], some_examples(context, name, job.arguments[count]))
            for name, count in ((job.arguments["split"], "examples"), ("train", "train_examples"))
        )
        statistics = statistics_of(context, module)
        shared = Scratch(module, self.split, context.scaling)
        self.tested = Look(shared, self.split, context.scaling, statistics)
        self.trained = Look(shared, train, context.scaling, statistics)


def measure_paths(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """Loss, accuracy and function at points of each job's path."""
    return in_turns(context, [_measured(context, job) for job in jobs])


def _measured(context: Context, job: Job) -> Generator[int, None, Result]:
    looks, path = _Looks(context, job), path_in(job)
    t = torch.linspace(0, 1, job.arguments["points"], dtype=torch.float64)
    trained = yield from scores_along(path, t, looks.trained)
    found = yield from profile(path, t, looks.tested)
    columns = [t, trained.nll, trained.accuracy, found.scores.nll, found.scores.accuracy]
    columns += [*found.disagreement.T, *found.normalised.T, *found.divergence.T]
    files = {
        "numbers": torch.stack([column.cpu().double() for column in columns], dim=1),
        "classes": found.classes.cpu(),
        "targets": looks.split.targets.cpu(),
    }
    return Result({"profile": files}, {"length": path.length, "distance": path.distance})


def measure_triangles(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """Loss, accuracy and agreement with both ends on the triangles of each job's path."""
    return in_turns(context, [_triangles(context, job) for job in jobs])


def _triangles(context: Context, job: Job) -> Generator[int, None, Result]:
    looks, path = _Looks(context, job), path_in(job)
    arguments = job.arguments
    v = torch.linspace(0, arguments["reach"], arguments["rows"], dtype=torch.float64)
    u = torch.linspace(0, 1, arguments["columns"], dtype=torch.float64)
    ends = yield from predict(looks.tested.scratch, path.ends, looks.split, context.scaling, looks.tested.statistics)
    references = AgreementCounts(ends.argmax(dim=-1))
    turn, parts = 0.0, []
    for piece in range(len(path.controls) - 1):
        triangle, grid = _triangle(path, piece), Grid((v, u)).points()
        # The whole way out to the piece, shared between both of its ends.
        coordinates = grid[:, :1] * torch.stack([1 - grid[:, 1], grid[:, 1]], dim=1)
        (trained,) = yield from _evaluated(triangle, coordinates, looks.trained, MemberScores())
        scores, counts = yield from _evaluated(triangle, coordinates, looks.tested, MemberScores(), references)
        agreement = counts.double() / len(looks.split)
        normalised = (1 - agreement) / (1 - scores.accuracy)[:, None]
        flat, angle = _laid_out(triangle, coordinates, turn)
        turn += angle
        which = torch.full((len(grid),), float(piece), dtype=torch.float64)
        columns = [which, grid[:, 1], grid[:, 0], *flat.T, trained.nll, scores.nll, scores.accuracy]
        columns += [*agreement.T, *torch.where(normalised.isfinite(), normalised, torch.nan).T]
        parts.append(torch.stack([column.cpu().double() for column in columns], dim=1))
    return Result({"triangles": {"numbers": torch.cat(parts)}}, {})


def _triangle(path: Path, piece: int) -> CrossSection:
    """The plane of one piece of a path and the origin of weight space, which it has for its centre."""
    controls = path.controls
    zero = Weights({n: torch.zeros_like(t[:1]) for n, t in controls.params.items()}, controls[piece].buffers, (0,))
    return plane_along(zero, controls[piece], controls[piece + 1])


def _laid_out(triangle: CrossSection, coordinates: Tensor, turn: float) -> tuple[Tensor, float]:
    """Where points are drawn if the triangle's first side lies at an angle, and the angle between its sides."""
    first, second = flatten(triangle.basis).double()
    angle = torch.acos((first @ second / (first.norm() * second.norm())).clamp(-1, 1))
    directions = torch.stack([torch.zeros(()), angle]) + turn
    sides = (
        torch.stack([directions.cos(), directions.sin()], dim=1) * torch.stack([first.norm(), second.norm()])[:, None]
    )
    return coordinates @ sides.cpu().double(), float(angle)


def _evaluated(
    section: CrossSection, coordinates: Tensor, look: Look, *asked: Reduction[Any, Any]
) -> Generator[int, None, list[Any]]:
    blocks = Blocks(
        -(-len(coordinates) // TOGETHER), lambda i: section.at(coordinates[i * TOGETHER : (i + 1) * TOGETHER])
    )
    return (yield from evaluate([look.scratch], blocks, Evaluation(look.split, look.scaling, asked, look.statistics)))
