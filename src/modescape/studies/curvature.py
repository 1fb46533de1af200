"""How sharp are solutions? Eigenvalues, trace and spectral density of the Hessian of the training loss."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from modescape.core.engine.events import Event
from modescape.core.landscape.curvature import (
    Eigenpairs,
    Quadrature,
    bottom_eigenpairs,
    density,
    quadratures,
    top_eigenpairs,
    trace_samples,
)
from modescape.core.landscape.mean_loss import MeanLoss, Precision
from modescape.core.seeds import generator
from modescape.core.settings import require, settings
from modescape.core.weights import stack
from modescape.errors import MemberFailed
from modescape.landscape_tables import EIGENVALUES, SPECTRUM, TRACES
from modescape.studies.abstract import Context, Job, Result, Results, Sizes, Study, Task
from modescape.studies.curvature_words import NEAR_ZERO, answers
from modescape.studies.drawing import in_turns, some_examples
from modescape.studies.members import (
    first_failure,
    members_table,
    part_of,
    scratch,
    segments,
    training_tasks,
    unpack,
)
from modescape.studies.setup import Setup
from modescape.tables import Table, from_rows

STEPS_WIDE = 2.0
"""Standard deviation of the peak that a node of the spectrum is drawn as, in steps of the grid."""


def measure_curvature(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """The curvature of the training loss at each job's solution."""
    return in_turns(context, [_curvature(context, job) for job in jobs])


def _curvature(context: Context, job: Job) -> Generator[int, None, Result]:
    arguments, member = job.arguments, job.arguments["member"]
    parts = [read().files for read in job.inputs.values()]
    path = stack([unpack(part["checkpoints"], member) for part in parts if "checkpoints" in part])
    train = part_of(context.splits["train"], some_examples(context, "train", arguments["examples"]))

    def chance(purpose: str) -> torch.Generator:
        return generator(context.setup.seed, "member", member, "curvature", purpose)

    try:
        loss = MeanLoss(scratch(context), path[-1], train, context.scaling, arguments["precision"])
        value, slope = loss.gradient()
        # Few weights have few eigenvalues, of which a probe must have some to itself.
        count = min(arguments["top"], loss.size - 1)
        top = top_eigenpairs(loss, count, chance("top"))
        yield 1
        bottom = bottom_eigenpairs(loss, 1, chance("bottom"), float(top.values[0]))
        yield 1
        samples = list(trace_samples(loss, arguments["trace_probes"], chance("trace"), top))
        yield 1
        found = []
        for quadrature in quadratures(loss, arguments["probes"], arguments["steps"], chance("spectrum"), top):
            found.append(quadrature)
            yield 1
    except ValueError as error:
        raise MemberFailed(f"the curvature at member {member} cannot be measured: {error}", step=0) from error
    facts = {"member": member, "examples": loss.examples, "weights": loss.size, "steps": context.steps}
    facts |= {"loss": value, "gradient_norm": float(slope.norm()), "trace": _mean(samples)}
    facts |= {"near_zero": _mean([_near_zero(one, float(top.values[0])) for one in found])}
    facts |= {"eigenvalues": _rows(top, bottom)}
    return Result({"spectrum": _spectrum(found, bottom, arguments["points"])}, facts)


def _mean(samples: Sequence[float]) -> list[float]:
    """Mean and its standard error."""
    return [float(np.mean(samples)), float(np.std(samples, ddof=1) / len(samples) ** 0.5)]


def _near_zero(found: Quadrature, top: float) -> float:
    return found.below(NEAR_ZERO * top) - found.below(-NEAR_ZERO * top)


def _rows(top: Eigenpairs, bottom: Eigenpairs) -> list[dict[str, Any]]:
    """The largest by rank 1, 2, ..., the smallest by rank -1."""
    rows = zip(range(1, len(top.values) + 1), top.values.tolist(), top.errors.tolist(), strict=True)
    found = [{"rank": rank, "value": value, "error": error} for rank, value, error in rows]
    return [*found, {"rank": -1, "value": float(bottom.values[0]), "error": float(bottom.errors[0])}]


def _spectrum(found: Sequence[Quadrature], bottom: Eigenpairs, points: int) -> dict[str, Tensor]:
    """Every probe's density on a grid that has room for the outermost peaks."""
    ends = torch.stack([torch.stack([one.nodes[0], one.nodes[-1]]) for one in found])
    low, high = float(min(ends[:, 0].min(), bottom.values[0])), float(ends[:, 1].max())
    # Four standard deviations on either side, of as many steps as the grid will have.
    step = (high - low) / (points - 1 - 8 * STEPS_WIDE)
    room = 4 * STEPS_WIDE * step
    grid = torch.linspace(low - room, high + room, points, dtype=torch.float64)
    return {"grid": grid, "density": torch.stack([density(one, grid, STEPS_WIDE * step) for one in found])}


@final
@settings
class Curvature(Study):
    """Settings of the curvature.

    At the solutions of the first ``members`` the Hessian of the mean loss over ``examples`` training examples (None:
    all), in evaluation mode and in ``precision``: its ``top`` largest eigenvalues and the smallest, its trace from
    ``trace_probes`` random vectors, its spectral density from ``probes``, of so many ``steps`` of Lanczos each, on a
    grid of ``points``.
    """

    members: int = 3
    examples: int | None = 2000
    top: int = 5
    trace_probes: int = 20
    probes: int = 5
    steps: int = 30
    points: int = 400
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        least = {"members": 1, "top": 1, "trace_probes": 2, "probes": 2, "steps": 2, "points": 50}
        for name, few in least.items():
            require(getattr(self, name) >= few, f"{name} must be at least {few}, got {getattr(self, name)}")
        require(self.examples is None or self.examples >= 1, f"examples must be at least 1, got {self.examples}")

    def tasks(self, setup: Setup, sizes: Sizes) -> Sequence[Task]:
        """Train, and measure at each solution."""
        sizes.require_function()
        asked = {name: getattr(self, name) for name in ("examples", "top", "trace_probes", "probes", "steps", "points")}
        return [
            *training_tasks(setup, sizes),
            *(
                Task(
                    _task(member),
                    measure_curvature,
                    {"member": member, **asked, "precision": self.precision},
                    {segments(setup, member)[-1]: segments(setup, member)[-1]},
                    weight=3 + self.probes,
                    unit="parts",
                )
                for member in self._chosen(setup)
            ),
        ]

    def tables(self, setup: Setup, results: Results) -> Mapping[str, Table]:
        """Members, eigenvalues, traces, spectra, and the answers."""
        found = {m: result for m in self._chosen(setup) if (result := results.read(_task(m))) is not None}
        if not found:
            raise first_failure(setup, results, _task(0))
        facts = [result.facts for result in found.values()]
        traces = from_rows(TRACES, [_trace_row(row) for row in facts])
        values = [{"member": row["member"], **value} for row in facts for value in row["eigenvalues"]]
        eigenvalues = from_rows(EIGENVALUES, values)
        return {
            "answers": answers(eigenvalues.rows(), traces.rows()),
            "members": members_table(setup, results, facts[0]["steps"]),
            "eigenvalues": eigenvalues,
            "traces": traces,
            "spectrum": _spectrum_table(found),
        }

    def _chosen(self, setup: Setup) -> range:
        return range(min(self.members, setup.training.members))


def _task(member: int) -> str:
    return f"curvature/member/{member}"


def _trace_row(facts: Mapping[str, Any]) -> dict[str, Any]:
    same = {name: facts[name] for name in ("member", "examples", "weights", "loss", "gradient_norm")}
    trace, near_zero = facts["trace"], facts["near_zero"]
    return same | {
        "trace": trace[0],
        "trace_error": trace[1],
        "near_zero": near_zero[0],
        "near_zero_error": near_zero[1],
    }


def _spectrum_table(found: Mapping[int, Result]) -> Table:
    parts = []
    for member, result in found.items():
        grid, probes = (result.files["spectrum"][name].numpy() for name in ("grid", "density"))
        ends = [probes.mean(axis=0), probes.min(axis=0), probes.max(axis=0)]
        parts.append(np.column_stack([np.full(len(grid), member), grid, *ends]))
    columns = dict(zip(SPECTRUM.names, np.concatenate(parts).T, strict=True))
    return Table(SPECTRUM, columns)
