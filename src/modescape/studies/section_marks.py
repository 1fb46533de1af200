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
        own, missed = place.section.project(weights)
        own, missed, factor = own.cpu(), missed.cpu(), 1.0
        if found[0][0] in job.arguments["drawn"]:
            factor = job.arguments["magnified"]
            centre = place.section.project(materials.trajectories[found[0][1]].solution)[0].cpu()
            own = centre + factor * (own - centre)
        rows.append(torch.column_stack([place.drawn(own), missed, torch.full_like(missed, factor)]))
        labels += found
    if job.arguments["kind"] in ("sector", "ray"):
        rows.append(torch.tensor([[0.0, 0.0, 0.0, 1.0]], dtype=torch.float64))
        labels.append(("origin", -1, 0))
    numbers = torch.cat(rows)
    return dict(zip(("x", "y", "distance", "magnified"), numbers.T, strict=True)), labels


def _networks(materials: Materials, job: Job) -> Iterator[tuple[list[Label], Weights]]:
    members: list[int] = job.arguments["members"]
    for member in members:
        path = materials.trajectories[member]
        last = len(path) - 1
        kinds = ["initialisation"] * (last > 0) + ["checkpoint"] * (last - 1) + ["solution"]
        yield [(kind, member, place) for place, kind in enumerate(kinds)], path.weights
    for name in job.arguments["drawn"]:
        for member in members:
            arguments: dict[str, Any] = {"subspace": name, "member": member, "purpose": "section"}
            sampler = Sampler(materials.context, Job(arguments, job.inputs))
            for number in range(job.arguments["count"]):
                chance = ("member", member, "subspace", name, "section", number)
                drawn = sampler.subspace.draw(sampler.state, 1, generator(materials.context.setup.seed, *chance))
                yield [(name, member, number)], drawn
