"""What makes networks differ: initialisation, order of the data, or other chance? (the paper's appendix B)"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from modescape.cause_tables import CAUSES
from modescape.core.engine.events import Event
from modescape.core.evaluation import placed
from modescape.core.models.checks import norm_parameters
from modescape.core.predictions import predict
from modescape.core.settings import require, settings
from modescape.core.training.plan import Chance
from modescape.core.weights import cosine, inner_products, stack
from modescape.errors import MemberFailed
from modescape.studies.abstract import Context, Job, Result, Results, Sizes, Study, Task, Unfit
from modescape.studies.causes_answers import answers
from modescape.studies.drawing import in_turns
from modescape.studies.members import first_failure, members_table, scratch, segments, training_tasks, unpack
from modescape.studies.setup import Setup
from modescape.studies.variants import ORDINARY, Variant
from modescape.tables import Table, from_rows

ALL: tuple[Chance, ...] = ("init", "order", "augment", "dropout")
EVERYTHING = "everything"
LISTED = "measure/causes"


def compare_solutions(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """Predictions of the solutions of one cause, and how alike their weights are."""
    return in_turns(context, [_compare(context, job) for job in jobs])


def _compare(context: Context, job: Job) -> Generator[int, None, Result]:
    arguments, split = job.arguments, context.splits[job.arguments["split"]]
    left = {m: name for m, name in enumerate(arguments["ends"]) if name in job.inputs}
    if len(left) < 2:
        raise MemberFailed(f"{len(left)} of {len(arguments['ends'])} members came to the end, it takes two", step=0)
    solutions = stack([unpack(job.inputs[name]().files["checkpoints"], member)[-1] for member, name in left.items()])
    module = placed(scratch(context), split)
    logits = yield from predict(module, solutions, split, context.scaling)
    classes = logits.argmax(dim=-1).cpu()
    tensors = {
        "classes": classes.to(torch.int32),
        "targets": split.targets.cpu().to(torch.int32),
        "member": torch.tensor(list(left)),
        "similarity": cosine(inner_products(solutions, without=norm_parameters(module))).contiguous(),
    }
    return Result({"compared": tensors}, {"cause": arguments["cause"], "split": arguments["split"]})


def list_causes(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """Which causes could be compared."""
    return in_turns(context, [_listed(context, job) for job in jobs])


def _listed(context: Context, job: Job) -> Generator[int, None, Result]:
    if len(job.inputs) < 2:
        raise MemberFailed("fewer than two causes could be compared", step=0)
    yield 1
    return Result({}, {"tasks": list(job.inputs), "steps": context.steps})


@final
@settings
class Causes(Study):
    """Settings of the comparison.

    Of each of the ``causes`` ("init", "order", "augment", "dropout") as many networks as ``members`` are trained in
    which that kind of chance differs and all others are those of member 0; beside them stand as many of the ordinary
    members, in which everything differs. What the network or the training does not have (dropout, augmentation) is left
    out. Networks are compared on a split; intervals come from ``draws`` bootstrap samples of its examples.
    """

    split: str = "test"
    causes: tuple[Chance, ...] = ("init", "order", "augment", "dropout")
    members: int = 3
    draws: int = 1000

    def __post_init__(self) -> None:
        require(len(self.causes) > 0, f"causes is empty; choose from {', '.join(ALL)}")
        require(self.members >= 2, f"members must be at least 2, got {self.members}")
        require(self.draws >= 100, f"draws must be at least 100 for an interval, got {self.draws}")

    def _variants(self, setup: Setup, sizes: Sizes) -> dict[str, Variant]:
        """The cause that differs -> how its networks are trained."""
        there = {"init": True, "order": True, "dropout": sizes.dropout}
        there["augment"] = setup.training.augmentation != "none"
        chosen = [cause for cause in dict.fromkeys(self.causes) if there[cause]]
        alone: dict[str, Variant] = {
            c: Variant(f"{c}_alone", shared=tuple(other for other in ALL if other != c)) for c in chosen
        }
        return {EVERYTHING: ORDINARY, **alone}

    def tasks(self, setup: Setup, sizes: Sizes) -> Sequence[Task]:
        """Train the members of every cause, compare their solutions."""
        if setup.imported:
            raise Unfit("networks that were trained elsewhere do not say what differed in their training")
        require(
            setup.training.members >= self.members,
            f"causes.members = {self.members} is above training.members = {setup.training.members}",
        )
        require(self.split in sizes.examples, f"there is no split {self.split!r}; choose {', '.join(sizes.examples)}")
        tasks = training_tasks(setup, sizes)
        first = segments(setup, 0)[-1]
        for cause, variant in self._variants(setup, sizes).items():
            if variant != ORDINARY:
                # Member 0 has its own chance in everything, in every variant: it is the ordinary one.
                trained = training_tasks(setup, sizes, variant, self.members)
                tasks += [task for task in trained if task.arguments["member"] != 0]
            ends = [first, *(segments(setup, member, variant)[-1] for member in range(1, self.members))]
            arguments = {"cause": cause, "split": self.split, "ends": ends}
            inputs = {name: name for name in ends}
            tasks.append(
                Task(_name(cause), compare_solutions, arguments, inputs, self.members, "networks", tolerant=True)
            )
        names = [task.name for task in tasks if task.function is compare_solutions]
        inputs = {name: name for name in names}
        return [*tasks, Task(LISTED, list_causes, {"causes": names}, inputs, tolerant=True)]

    def tables(self, setup: Setup, results: Results) -> Mapping[str, Table]:
        """The answers, and every pair of networks."""
        listed = results.read(LISTED)
        if listed is None:
            raise first_failure(setup, results, LISTED)
        found = [result for name in listed.facts["tasks"] if (result := results.read(name)) is not None]
        compared = {result.facts["cause"]: result.files["compared"] for result in found}
        rows = [row for cause, tensors in compared.items() for row in _pairs(cause, tensors)]
        return {
            "answers": answers(compared, found[0].facts, self.draws, setup.seed),
            "members": members_table(setup, results, listed.facts["steps"]),
            "causes": from_rows(CAUSES, rows),
        }


def _name(cause: str) -> str:
    return f"measure/cause/{cause}"


def _pairs(cause: str, compared: Mapping[str, Tensor]) -> Iterator[dict[str, Any]]:
    classes, targets = compared["classes"], compared["targets"]
    for first, second in combinations(range(len(classes)), 2):
        differ = float((classes[first] != classes[second]).double().mean())
        errors = [float((classes[place] != targets).double().mean()) for place in (first, second)]
        normalised = [differ / error for error in errors if error > 0]
        yield {
            "cause": cause,
            "member_a": int(compared["member"][first]),
            "member_b": int(compared["member"][second]),
            "disagreement": differ,
            "normalised_disagreement": float(np.mean(normalised)) if normalised else np.nan,
            "similarity": float(compared["similarity"][first, second]),
        }
