"""Are independent solutions different modes, or one mode whose hidden units are in another order?

Pairs of solutions before and after one's hidden units are permuted to match the other's (Ainsworth et al. 2022, arXiv
2209.04836), and the barrier on the straight line between them.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, final

import torch
from torch import Tensor

from modescape.core.engine.events import Event
from modescape.core.evaluation import Scratch, placed, scaled_chunks
from modescape.core.landscape.alignment import match_activations, match_weights, prove
from modescape.core.landscape.cross_section import line
from modescape.core.landscape.symmetry import Permutations, Symmetry, identity, moved_fraction, permute, symmetry_of
from modescape.core.predictions import predict
from modescape.core.scores.proper import log_loss
from modescape.core.seeds import generator
from modescape.core.settings import require, settings
from modescape.core.splits import Split
from modescape.core.weights import Weights, cosine, inner_products, stack
from modescape.errors import MemberFailed
from modescape.landscape_tables import ALIGNED_LINES, ALIGNMENTS
from modescape.studies.abstract import Context, Job, Result, Results, Sizes, Study, Task, Unfit, require_members
from modescape.studies.alignment_answers import Aligned, answers, profile_rows, row_of
from modescape.studies.drawing import in_turns, some_examples
from modescape.studies.members import (
    first_failure,
    members_table,
    own_parts,
    part_of,
    scratch,
    segments,
    statistics_of,
    training_tasks,
    trajectory,
)
from modescape.studies.setup import Setup
from modescape.tables import Table, from_rows

Method = Literal["weights", "activations"]
NONE = "none"
"""Solutions as they are, which every method is compared with."""


AT_ONCE = 8
"""Points of a line whose weights are held at once."""


def align_pairs(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """Match each job's pair of solutions by its method, prove it, and measure the line between the two."""
    return in_turns(context, [_aligned(context, job) for job in jobs])


def _aligned(context: Context, job: Job) -> Generator[int, None, Result]:
    first, second = job.arguments["pair"]
    method, split = job.arguments["method"], job.arguments["split"]
    one, other = (trajectory(own_parts(job, m), m).solution for m in (first, second))
    looked_at = {name: _examples(context, name, job) for name in dict.fromkeys((split, "train"))}
    module = placed(scratch(context), looked_at[split])
    try:
        symmetry = symmetry_of(module, next(scaled_chunks(looked_at["train"], context.scaling)))
    except ValueError as error:
        raise MemberFailed(f"the study alignment: {error}", step=0) from error
    permutations = _permutations(context, job, symmetry, (one, other), looked_at["train"])
    permuted = permute(other, symmetry, permutations)
    network = Scratch(module, looked_at[split], context.scaling)
    proof = prove(network, (other, permuted), looked_at[split], context.scaling)
    if not proof.holds:
        # Not a member's failure but ours, and told as one, so that other studies go on: numbers of a changed function
        # would pass for an answer.
        raise MemberFailed(
            f"permuting the hidden units of member {second} changes its logits by {proof.difference:.2g}, the largest "
            f"being {proof.largest:.2g}; leave the study alignment out for the network {context.setup.network.title}",
            step=0,
        )
    facts = {
        "pair": [first, second],
        "method": method,
        "moved": moved_fraction(permutations),
        "similarity": float(cosine(inner_products(stack([one, permuted])))[0, 1]),
        "proof_disagreement": proof.disagreement,
        "proof_difference": proof.difference / proof.largest if proof.largest else 0.0,
        "classes": context.classes,
        "steps": context.steps,
    }
    files = {}
    for name, examples in looked_at.items():
        logits = yield from _along(context, job, network, (one, permuted), examples)
        if not logits.isfinite().all():
            raise MemberFailed(f"the line between members {first} and {second} has logits that are not finite", step=0)
        files[name] = _measured(logits, examples.targets.to(logits.device))
    return Result(files, facts)


def _examples(context: Context, name: str, job: Job) -> Split:
    return part_of(context.splits[name], some_examples(context, name, job.arguments["examples"]))


def _permutations(
    context: Context, job: Job, symmetry: Symmetry, members: tuple[Weights, Weights], train: Split
) -> Permutations:
    if job.arguments["method"] == "weights":
        chance = generator(context.setup.seed, "alignment", "pair", *job.arguments["pair"])
        return match_weights(symmetry, *members, chance, job.arguments["starts"]).permutations
    if job.arguments["method"] == "activations":
        return match_activations(scratch(context), symmetry, members, train, context.scaling)
    return identity(symmetry)


def _along(
    context: Context, job: Job, network: Scratch, ends: tuple[Weights, Weights], split: Split
) -> Generator[int, None, Tensor]:
    """Logits [point, example, class] along the line; batch-norm statistics are those of every point, the ends' too."""
    way, statistics = line(*ends), statistics_of(context, network.plain)
    found = []
    for few in torch.linspace(0, 1, job.arguments["points"], dtype=torch.float64)[:, None].split(AT_ONCE):
        found.append((yield from predict(network, way.at(few), split, context.scaling, statistics)))
    return torch.cat(found)


def _measured(logits: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Losses and classes of every point on every example."""
    losses = torch.stack([log_loss(row.double().log_softmax(dim=-1), targets) for row in logits])
    classes = logits.argmax(dim=-1).to(torch.int16)
    tensors = {"losses": losses, "classes": classes, "targets": targets.to(torch.int16)}
    return {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}


@dataclass(frozen=True)
class _Asked:
    """One pair and method."""

    pair: tuple[int, int]
    method: str

    @property
    def task(self) -> str:
        return f"align/{self.method}/pair/{self.pair[0]}-{self.pair[1]}"


@final
@settings
class Alignment(Study):
    """Settings of the alignment.

    At most ``pairs`` pairs of solutions, first those of the first members, are matched by every one of ``methods`` and
    measured at ``points`` along the straight line (an odd number, so that one is halfway) on ``examples`` of the split
    and of the training split (None: all). Matching by weights takes the best of ``starts``; intervals are of ``draws``
    bootstrap draws.
    """

    split: str = "test"
    examples: int | None = 2000
    pairs: int = 3
    methods: tuple[Method, ...] = ("weights", "activations")
    points: int = 25
    starts: int = 5
    draws: int = 1000

    def __post_init__(self) -> None:
        for name, least in (("pairs", 1), ("points", 3), ("starts", 1)):
            require(getattr(self, name) >= least, f"{name} must be at least {least}, got {getattr(self, name)}")
        require(self.points % 2 == 1, f"points must be odd, so that one is halfway, got {self.points}")
        require(self.examples is None or self.examples >= 2, f"examples must be at least 2, got {self.examples}")
        require(self.draws >= 100, f"draws must be at least 100 for an interval, got {self.draws}")
        known = len(set(self.methods)) == len(self.methods) > 0
        require(known, f"methods must be different and at least one, got {list(self.methods)}")

    def _asked(self, setup: Setup) -> list[_Asked]:
        # In the order of the later member, so that few pairs need few members.
        pairs = sorted(combinations(range(setup.training.members), 2), key=lambda pair: pair[::-1])[: self.pairs]
        return [_Asked(pair, method) for pair in pairs for method in (NONE, *self.methods)]

    def tasks(self, setup: Setup, sizes: Sizes) -> Sequence[Task]:
        """Train, then align every pair by every method."""
        sizes.require_function()
        if obstacle := sizes.unmatched():
            raise Unfit(f"hidden units cannot be matched: {obstacle}")
        require_members(setup)
        require(self.split in sizes.examples, f"there is no split {self.split!r}; choose {', '.join(sizes.examples)}")
        at = {"split": self.split, "examples": self.examples, "points": self.points}
        aligning = []
        for asked in self._asked(setup):
            last = [segments(setup, member)[-1] for member in asked.pair]
            arguments: dict[str, Any] = {"pair": list(asked.pair), "method": asked.method, **at}
            if asked.method == "weights":
                arguments["starts"] = self.starts
            weight = self.points * len({self.split, "train"})
            inputs = {name: name for name in last}
            aligning.append(Task(asked.task, align_pairs, arguments, inputs, weight=weight, unit="points"))
        return [*training_tasks(setup, sizes), *aligning]

    def tables(self, setup: Setup, results: Results) -> Mapping[str, Table]:
        """Members, pairs by method, scores along their lines, and the answers."""
        asked = self._asked(setup)
        found = [Aligned(result, self.split) for one in asked if (result := results.read(one.task)) is not None]
        if not found:
            raise first_failure(setup, results, asked[0].task)
        return {
            "answers": answers(found, setup.seed, self.draws),
            "members": members_table(setup, results, found[0].facts["steps"]),
            "alignments": from_rows(ALIGNMENTS, [row_of(aligned) for aligned in found]),
            "aligned_lines": from_rows(ALIGNED_LINES, [row for aligned in found for row in profile_rows(aligned)]),
        }
