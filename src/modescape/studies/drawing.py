"""Draw members from subspaces around trained solutions and predict with them, one at a time."""

import itertools
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from modescape.core.engine.events import Event
from modescape.core.engine.side_by_side import side_by_side
from modescape.core.evaluation import Scratch, placed, scaled_chunks
from modescape.core.models.dropout import hold_dropout
from modescape.core.predictions import predict_all
from modescape.core.scores.accuracy import accuracy
from modescape.core.seeds import generator
from modescape.core.settings import require
from modescape.core.splits import Split
from modescape.core.subspaces.abstract import Problem, Subspace
from modescape.core.subspaces.activation_dropout import with_masks
from modescape.core.subspaces.catalogue import EXTRAS, SUBSPACES
from modescape.core.subspaces.keep import Attempt, Keep, attempts
from modescape.core.weights import Weights, stack
from modescape.errors import SettingsError
from modescape.studies.abstract import Context, Function, Job, Result, Sizes, Task
from modescape.studies.members import checkpoint_count, own_parts, part_of, scratch, segments, statistics_of, trajectory
from modescape.studies.setup import Setup

TOGETHER, TOGETHER_BYTES = 16, 2**24
"""Drawn members that are held at once, and bytes of their weights, at most."""

PLANE = "plane"
"""The purpose whose scales run up to ``plane_scale``; every other one draws at the subspace's own scale."""


def chosen_subspaces(wanted: Sequence[str] | None, setup: Setup, sizes: Sizes) -> list[str]:
    """Names of the subspaces of a study: those asked for, else all that the network and the trajectories allow.

    Raises ``ValueError`` for one that was asked for and cannot be: an unknown name, activation dropout of a network
    without dropout, too few checkpoints.
    """
    obstacles = {name: _obstacle(name, setup, sizes) for name in SUBSPACES}
    if wanted is None:
        chosen = [name for name, obstacle in obstacles.items() if obstacle is None and name not in EXTRAS]
        require(len(chosen) > 0, "no subspace fits the trajectories; record more with training.checkpoints")
    else:
        for name in wanted:
            require(name in SUBSPACES, f"there is no subspace {name!r}; choose from {', '.join(SUBSPACES)}")
            require(obstacles[name] is None, f"subspace {name}: {obstacles[name]}")
        require(len(wanted) > 0, f"subspaces is empty; choose from {', '.join(SUBSPACES)}, or leave it out for all")
        chosen = [name for name in SUBSPACES if name in wanted]
    for name in chosen:
        require(
            "validation" in sizes.examples or not setup.subspace(name).needs_score,
            f"subspaces.{name}.keep.least needs a validation split, and data.validation is 0",
        )
    return chosen


def _obstacle(name: str, setup: Setup, sizes: Sizes) -> str | None:
    subspace, count = setup.subspace(name), checkpoint_count(setup, sizes)
    if name in EXTRAS and find_spec(EXTRAS[name]) is None:
        return f"it needs an optional library, which is not installed: pip install 'modescape[{name}]'"
    if subspace.holds_masks and not sizes.dropout:
        return (
            f"the network {setup.network.title} has no dropout layers with a rate above 0; "
            "take weight_dropout, or a network with nn.Dropout"
        )
    if subspace.checkpoints_needed > count:
        return (
            f"it needs {subspace.checkpoints_needed} checkpoints, the trajectories have {count}; lower "
            f"subspaces.{name}.last (and rank), or record more with training.checkpoints"
        )
    return None


def require_validation(rule: Keep, sizes: Sizes) -> None:
    """Raise ``ValueError`` if members are to be kept by a validation score and no example is held out."""
    require(
        rule.least is None or "validation" in sizes.examples,
        f"keep.least = {rule.least} needs a validation split, and data.validation is 0",
    )


@dataclass(frozen=True)
class Draws:
    """What one task draws: ``count`` members of a subspace around a member's solution, and what else it must know.

    ``purpose`` names the use and so the chance of the draws: members of two purposes are different members.
    """

    purpose: str
    subspace: str
    member: int
    count: int
    more: Mapping[str, Any]


def drawing_task(setup: Setup, function: Function, draws: Draws, inputs: Mapping[str, str]) -> Task:
    """The task of these draws; its inputs are the member's training and those given.

    Its arguments have the subspace's settings but for those that this purpose does not use, so that another scale for
    ensembles leaves the plane as it is.
    """
    arguments = {"purpose": draws.purpose, "subspace": draws.subspace, "member": draws.member, "count": draws.count}
    idle = ("scale", "uniform") if draws.purpose == PLANE else ("plane_scale",)
    own = {name: value for name, value in asdict(setup.subspace(draws.subspace)).items() if name not in idle}
    return Task(
        f"draw/{draws.purpose}/{draws.subspace}/member/{draws.member}",
        function,
        {**arguments, "settings": own, **draws.more},
        {**{part: part for part in segments(setup, draws.member)}, **inputs},
        weight=draws.count,
        unit="members",
    )


def in_turns(context: Context, work: Sequence[Generator[int, None, Result]]) -> Iterator[Event[Result]]:
    """Work a core each, as many at a time as there are cores: each holds a subspace's state while it is at work."""
    timed = [_timed(context, one) for one in work]
    for start in range(0, len(timed), context.cores):
        for event in side_by_side(timed[start : start + context.cores], context.cores):
            yield replace(event, index=start + event.index)


def _timed(context: Context, work: Generator[int, None, Result]) -> Generator[int, None, Result]:
    """The same work; its result tells the seconds that it took, in slices, whichever thread did them."""
    seconds = 0.0
    while True:
        began = context.clock()
        try:
            done = next(work)
        except StopIteration as stop:
            result: Result = stop.value
            return replace(result, seconds=seconds + context.clock() - began)
        seconds += context.clock() - began
        yield done


def some_examples(context: Context, split: str, count: int | None) -> Tensor:
    """Positions of the examples of a split that a study looks at: all, or a choice that the root seed fixes."""
    available = len(context.splits[split])
    if count is None or count >= available:
        return torch.arange(available)
    chance = generator(context.setup.seed, "examples", split)
    return torch.randperm(available, generator=chance)[:count].sort().values


def together(member: Weights) -> int:
    """How many such members are predicted at once: layers that they share are then computed once for all of them."""
    size = sum(tensor.numel() * tensor.element_size() for tensor in member.params.values())
    return max(1, min(TOGETHER, TOGETHER_BYTES // size))


class Sampler:
    """One subspace around one solution, ready to draw and predict."""

    def __init__(self, context: Context, job: Job) -> None:
        self.context, self.arguments = context, job.arguments
        self.member: int = job.arguments["member"]
        self.name: str = job.arguments["subspace"]
        self.subspace: Subspace = context.setup.subspace(self.name)
        self.module = placed(scratch(context), context.splits["train"])
        self.statistics = statistics_of(context, self.module)
        self.scratch: Scratch | None = None
        self.score = self.validation_accuracy if "validation" in context.splits else None
        train, scaling = context.splits["train"], context.scaling
        self.path = trajectory(own_parts(job, self.member), self.member)
        if self.subspace.holds_masks:
            try:
                hold_dropout(self.module, next(scaled_chunks(part_of(train, torch.tensor([0])), scaling)))
            except ValueError as error:
                raise SettingsError(f"{self.where}: {error}") from error
            self.path = with_masks(self.path, self.module)
        self.problem = Problem(self.module, train, scaling, self.score, context.setup.seed)

    @cached_property
    def state(self) -> Any:
        """The subspace fitted to the trajectory."""
        try:
            return self.subspace.fit(self.path, self.problem)
        except ValueError as error:
            raise SettingsError(f"{self.where}: {error}") from error

    @property
    def where(self) -> str:
        """What is drawn from, in messages."""
        return f"subspace {self.name} around member {self.member}"

    def logits(self, members: Weights, split: Split) -> Tensor:
        """Logits [member, example, class]. Raises ``SettingsError`` unless they are finite."""
        # Made once, after the module has its final layers: preparing a network takes longer than a small one's pass.
        scratch = self.scratch = self.scratch or Scratch(self.module, split, self.context.scaling)
        found = predict_all(lambda: scratch, members, split, self.context.scaling, self.statistics)
        if not found.isfinite().all():
            # Classes and divergences of such a member mean nothing, and would pass for numbers.
            raise SettingsError(
                f"{self.where}: a drawn member gives logits that are not finite; lower subspaces.{self.name}.scale or "
                "plane_scale"
            )
        return found

    def validation_accuracy(self, member: Weights) -> float:
        """Accuracy of a stack of one on the validation split."""
        split = self.context.splits["validation"]
        return float(accuracy(self.logits(member, split).argmax(dim=-1), split.targets)[0])

    def drawn(self, split: Split, scales: Sequence[float] | None, rule: Keep) -> Iterator[Tensor | None]:
        """Logits [example, class] of each drawn member, None if it was not kept, until ``count`` were kept.

        Each has a generator of its own, and one of these scales or the subspace's own.
        """
        chance = ("member", self.member, "subspace", self.name, self.arguments["purpose"])
        places = itertools.count()

        def draw() -> Weights:
            place = next(places)
            exact: dict[str, Any] = {} if scales is None else {"scale": scales[place], "uniform": False}
            named = generator(self.context.setup.seed, *chance, place)
            return replace(self.subspace, **exact).draw(self.state, 1, named)

        try:
            waiting: list[Attempt] = []
            for attempt in attempts(draw, self.score, self.arguments["count"], rule, self.where):
                waiting.append(attempt)
                if len(waiting) >= together(attempt.member):
                    yield from self._predicted(waiting, split)
                    waiting = []
            yield from self._predicted(waiting, split)
        except ValueError as error:
            raise SettingsError(str(error)) from error

    def _predicted(self, waiting: Sequence[Attempt], split: Split) -> Iterator[Tensor | None]:
        kept = [attempt.member for attempt in waiting if attempt.kept]
        logits = iter(self.logits(stack(kept), split)) if kept else iter(())
        for attempt in waiting:
            yield next(logits) if attempt.kept else None
