"""What does sampling around one solution buy, compared with other solutions? (the paper's figures 6 and 7)"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import final

import torch

from modescape.core.diversity.divergence import entropy
from modescape.core.engine.events import Event
from modescape.core.settings import require, settings
from modescape.core.subspaces.keep import Keep
from modescape.studies.abstract import Context, Job, Result, Results, Sizes, Study, Task, require_members
from modescape.studies.diversity_accuracy_measures import divergences, measure_plane
from modescape.studies.diversity_accuracy_tables import tables_of
from modescape.studies.drawing import (
    PLANE,
    Draws,
    Sampler,
    chosen_subspaces,
    drawing_task,
    in_turns,
    require_validation,
)
from modescape.studies.members import (
    first_failure,
    logits_of,
    moved_prediction_tasks,
    prediction_name,
    training_tasks,
)
from modescape.studies.setup import Setup
from modescape.tables import Table


def draw_plane(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """Draw each job's subspace over its range of scales; keep classes, and divergences from the base solution."""
    return in_turns(context, [_plane(context, job) for job in jobs])


def scales_up_to(largest: float, count: int) -> list[float]:
    """Scales of a cloud: rising as a square, so that they lie close near the solution, where accuracy still is."""
    return [largest * ((place + 1) / count) ** 2 for place in range(count)]


def _plane(context: Context, job: Job) -> Generator[int, None, Result]:
    split = context.splits[job.arguments["split"]]
    base = logits_of(job, job.arguments["member"], job.arguments["split"])[-1].to(split.device)
    sampler = Sampler(context, job)
    scales = scales_up_to(sampler.subspace.plane_scale, job.arguments["count"])
    classes, scores = [], []
    for found in sampler.drawn(split, scales, Keep()):
        assert found is not None, "nothing is thrown away on the plane"
        classes.append(found.argmax(dim=-1).to(torch.uint8 if context.classes <= 256 else torch.int32))
        scores.append(divergences(found, base, split.targets))
        yield 1
    tensors = {"classes": torch.stack(classes), "scale": torch.tensor(scales, dtype=torch.float64)}
    columns = {name: torch.tensor([score[name] for score in scores], dtype=torch.float64) for name in scores[0]}
    return Result({"drawn": tensors | columns}, {"subspace": sampler.name, "member": sampler.member})


def draw_ensemble(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """Draw each job's subspace at its own scale; keep what the Jensen-Shannon divergence of the members needs."""
    return in_turns(context, [_ensemble(context, job) for job in jobs])


def _ensemble(context: Context, job: Job) -> Generator[int, None, Result]:
    split = context.splits[job.arguments["split"]]
    sampler = Sampler(context, job)
    mean = torch.zeros(len(split), context.classes, dtype=torch.float64, device=split.device)
    entropies = torch.zeros(len(split), dtype=torch.float64, device=split.device)
    tried = kept = 0
    for found in sampler.drawn(split, None, Keep(**job.arguments["keep"])):
        tried += 1
        if found is None:
            continue
        kept += 1
        mean += found.double().softmax(dim=-1)
        entropies += entropy(found)
        yield 1
    mean /= kept
    # log of a probability that is zero in float64 counts nothing: it is multiplied by that zero
    divergence = (entropy(mean.log().clamp(min=-1e4)) - entropies / kept).clamp(min=0)
    facts = {"subspace": sampler.name, "member": sampler.member, "asked": job.arguments["count"]}
    files = {"ensemble": {"jensen_shannon": divergence, "classes": mean.argmax(dim=-1)}}
    return Result(files, facts | {"tried": tried, "kept": kept})


@final
@settings
class DiversityAccuracy(Study):
    """Settings of the plane and of the ensembles beside it.

    ``bases`` solutions (the first ones) get clouds of ``count`` members of each of the ``subspaces`` (None: all that
    fit network and trajectories), at scales from 0 to the subspace's ``plane_scale``. Beside the plane, ensembles of
    ``ensemble`` members are drawn at each subspace's own scale, kept by ``keep``; their divergence is compared with
    that of independent solutions and of the last ``late`` checkpoints of a trajectory. A sample is of equal accuracy
    with a solution if it is at most ``tolerance`` less accurate.
    """

    split: str = "test"
    subspaces: tuple[str, ...] | None = None
    bases: int = 2
    count: int = 50
    ensemble: int = 5
    late: int = 10
    keep: Keep = Keep()
    tolerance: float = 0.01
    draws: int = 1000

    def __post_init__(self) -> None:
        for name in ("bases", "count"):
            require(getattr(self, name) >= 1, f"{name} must be at least 1, got {getattr(self, name)}")
        require(self.ensemble >= 2, f"ensemble must be at least 2 members, got {self.ensemble}")
        require(self.late >= 2, f"late must be at least 2 checkpoints, got {self.late}")
        require(0 <= self.tolerance < 1, f"tolerance must lie in [0, 1), got {self.tolerance}")
        require(self.draws >= 100, f"draws must be at least 100 for an interval, got {self.draws}")

    def tasks(self, setup: Setup, sizes: Sizes) -> Sequence[Task]:
        """Train, predict, draw clouds and ensembles, measure."""
        members = setup.training.members
        require_members(setup)
        require(self.split in sizes.examples, f"there is no split {self.split!r}; choose {', '.join(sizes.examples)}")
        require_validation(self.keep, sizes)
        names = chosen_subspaces(self.subspaces, setup, sizes)
        predicting = moved_prediction_tasks(setup, sizes, self.split)
        bases = range(min(self.bases, members))
        at = {"split": self.split, "examples": sizes.examples[self.split]}
        clouds, ensembles = [], []
        for member in bases:
            name = prediction_name(member, self.split)
            own = {name: predicting[name].name}
            for subspace in names:
                cloud = Draws(PLANE, subspace, member, self.count, at)
                clouds.append(drawing_task(setup, draw_plane, cloud, own))
                few = Draws("ensemble", subspace, member, self.ensemble, {**at, "keep": asdict(self.keep)})
                ensembles.append(drawing_task(setup, draw_ensemble, few, {}))
        arguments = {
            "members": list(range(members)),
            "bases": list(bases),
            "subspaces": names,
            "split": self.split,
            "ensemble": self.ensemble,
            "late": self.late,
            "tolerance": self.tolerance,
            "draws": self.draws,
        }
        inputs = {name: task.name for name, task in predicting.items()}
        inputs |= {task.name: task.name for task in [*clouds, *ensembles]}
        measure = Task("measure/plane", measure_plane, arguments, inputs, tolerant=True)
        return [*training_tasks(setup, sizes), *predicting.values(), *clouds, *ensembles, measure]

    def tables(self, setup: Setup, results: Results) -> Mapping[str, Table]:
        """Members, the plane, its curves, exponents, ensembles, and the answers."""
        measured = results.read("measure/plane")
        if measured is None:
            raise first_failure(setup, results, "measure/plane")
        return tables_of(setup, results, measured)
