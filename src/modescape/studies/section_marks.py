"""Networks projected onto a cross-section: solutions, trajectories, members drawn around solutions."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from modescape.core.seeds import generator
from modescape.core.weights import Weights
from modescape.studies.abstract import Job
from modescape.studies.drawing import Sampler
from modescape.studies.sections import Materials, Place

Label = tuple[str, int, int]
"""Kind, member and number of a mark."""


def marks_of(materials: Materials, place: Place, job: Job) -> tuple[dict[str, Tensor], list[Label]]:
    """Where networks are drawn and how far they lie from the cross-section, and what they are."""
    labels: list[Label] = []
    rows: list[Tensor] = []
    for found, weights in _networks(materials, job):
        projected = [tuple(part.cpu() for part in place.section.project(part)) for part in weights]
        own, missed = (torch.cat(parts) for parts in zip(*projected, strict=True))
        factor = job.arguments["magnified"] if found[0][0] in job.arguments["drawn"] else 1.0
        # Around their own mean: many a subspace is centred on an average of checkpoints, off the solution.
        own = own.mean(dim=0) + factor * (own - own.mean(dim=0)) if factor != 1 else own
        rows.append(torch.column_stack([place.drawn(own), missed, torch.full_like(missed, factor)]))
        labels += found
    if job.arguments["kind"] in ("sector", "ray"):
        rows.append(torch.tensor([[0.0, 0.0, 0.0, 1.0]], dtype=torch.float64))
        labels.append(("origin", -1, 0))
    numbers = torch.cat(rows)
    return dict(zip(("x", "y", "distance", "magnified"), numbers.T, strict=True)), labels


def _networks(materials: Materials, job: Job) -> Iterator[tuple[list[Label], Iterator[Weights]]]:
    """Labels, and the networks that bear them, a few at a time."""
    members: list[int] = job.arguments["members"]
    for member in members:
        path = materials.trajectory(member)
        last = len(path) - 1
        kinds = ["initialisation"] * (last > 0) + ["checkpoint"] * (last - 1) + ["solution"]
        yield [(kind, member, place) for place, kind in enumerate(kinds)], iter([path.weights])
    for name in job.arguments["drawn"]:
        for member in members:
            arguments: dict[str, Any] = {"subspace": name, "member": member, "purpose": "section"}
            sampler = Sampler(materials.context, Job(arguments, job.inputs))
            count: int = job.arguments["count"]
            yield [(name, member, number) for number in range(count)], _drawn(sampler, count)


def _drawn(sampler: Sampler, count: int) -> Iterator[Weights]:
    for number in range(count):
        chance = ("member", sampler.member, "subspace", sampler.name, "section", number)
        yield sampler.subspace.draw(sampler.state, 1, generator(sampler.context.setup.seed, *chance))
