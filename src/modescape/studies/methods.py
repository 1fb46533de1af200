"""The ensembling methods of a recipe: which they are, what they train and draw, and their members."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from modescape.core.engine.events import Event
from modescape.core.methods.abstract import Method
from modescape.core.methods.checkpoints import CycleEnds, LateCheckpoints
from modescape.core.methods.sampled import Sampled
from modescape.core.methods.solution import Solution
from modescape.core.settings import require
from modescape.core.subspaces.abstract import Subspace
from modescape.core.subspaces.catalogue import SUBSPACES
from modescape.core.subspaces.keep import Keep
from modescape.core.weights import Weights, stack
from modescape.errors import MemberFailed
from modescape.studies.abstract import Context, Job, Result, Sizes, Task
from modescape.studies.drawing import Draws, Sampler, chosen_subspaces, drawing_task, in_turns, require_validation
from modescape.studies.members import checkpoint_count, own_parts, pack, segments, training_tasks, trajectory, unpack
from modescape.studies.setup import Setup
from modescape.studies.variants import ORDINARY, Variant, variant_of

INDEPENDENT, LATE, CYCLES, BOOTSTRAP = (
    "independent",
    "late_checkpoints",
    "snapshot",
    "bootstrap",
)
PURPOSE = "method"


@dataclass(frozen=True)
class Chosen:
    """One method of a recipe: its name, how its networks are trained and how many of them there are.

    ``samples`` are the members around each solution; ``draws`` says whether they are drawn from a subspace.
    """

    name: str
    variant: Variant
    networks: int
    samples: int
    draws: bool

    def counts(self, kept: int | None = None) -> list[int]:
        """Numbers of samples at which the method is scored: 1, 2, 5, 10, 20, 50, ... and all, or all that were kept.

        One late checkpoint is the solution itself, which is another method's.
        """
        steps = [step * 10**power for power in range(4) for step in (1, 2, 5)]
        least, most = 2 if self.name == LATE else 1, self.samples if kept is None else min(kept, self.samples)
        return [step for step in steps if least <= step < most] + [most]

    def count(self, wanted: int, kept: int | None = None) -> int:
        """The largest of them that is not above what is wanted, or the smallest."""
        counts = self.counts(kept)
        return max(count for count in counts if count <= max(wanted, counts[0]))


def chosen_methods(setup: Setup, sizes: Sizes) -> list[Chosen]:
    """The methods of a recipe. Raises ``ValueError`` for one that was asked for and cannot be."""
    choice, known = setup.methods, [INDEPENDENT, LATE, CYCLES, BOOTSTRAP, *SUBSPACES]
    for name in choice.names or ():
        require(name in known, f"methods.names: there is no method {name!r}; choose from {', '.join(known)}")
    if setup.predicted:
        others = [name for name in choice.names or () if name != INDEPENDENT]
        require(not others, f"methods.names: {', '.join(others)} needs weights, and network.predictions has none")
        return [_chosen(INDEPENDENT, setup, sizes)]
    wanted = None if choice.names is None else [name for name in choice.names if name in SUBSPACES]
    subspaces = chosen_subspaces(wanted, setup, sizes) if wanted is None or wanted else []
    require(
        choice.trained is None or choice.trained <= setup.training.members,
        f"methods.trained = {choice.trained} is above training.members = {setup.training.members}",
    )
    late = [LATE] if checkpoint_count(setup, sizes) > 2 else []
    plain = [INDEPENDENT, *late] if choice.names is None else [n for n in known[:4] if n in choice.names]
    if INDEPENDENT not in plain:
        # Everything is compared with it.
        plain = [INDEPENDENT, *plain]
    require_validation(choice.keep, sizes)
    return [_chosen(name, setup, sizes) for name in [*plain, *subspaces]]


def _chosen(name: str, setup: Setup, sizes: Sizes) -> Chosen:
    choice, members, epochs = setup.methods, setup.training.members, setup.training.epochs
    trained = choice.trained or members
    match name:
        case "independent":
            return Chosen(name, ORDINARY, members, 1, draws=False)
        case "late_checkpoints":
            # The first checkpoint is the initialisation, which nobody would ensemble.
            trained_checkpoints = checkpoint_count(setup, sizes) - 1
            require(trained_checkpoints >= 2, "the method late_checkpoints needs at least 2 after the initialisation")
            checkpoints = min(max(choice.samples, 2), trained_checkpoints)
            return Chosen(name, ORDINARY, members, checkpoints, draws=False)
        case "snapshot":
            require(
                epochs % choice.cycles == 0,
                f"methods.cycles = {choice.cycles} does not divide training.epochs = {epochs}: every cycle of the "
                "method snapshot must end with an epoch",
            )
            recorded = setup.training.checkpoints
            stride = recorded.every * (sizes.steps_per_epoch if recorded.unit == "epoch" else 1)
            require(
                epochs // choice.cycles * sizes.steps_per_epoch % stride == 0,
                f"methods.cycles = {choice.cycles}: a cycle of {epochs // choice.cycles} epochs does not end with a "
                "checkpoint; choose other cycles, or record more with training.checkpoints",
            )
            return Chosen(name, Variant(name, cycle=epochs // choice.cycles), trained, choice.cycles, draws=False)
        case "bootstrap":
            return Chosen(name, Variant(name, bootstrap=True), trained, 1, draws=False)
        case "weight_average":
            return Chosen(name, ORDINARY, members, 1, draws=True)
        case _:
            return Chosen(name, ORDINARY, members, choice.samples, draws=True)


def method_of(setup: Setup, chosen: Chosen) -> Method:
    """The method itself."""
    match chosen.name:
        case "independent" | "bootstrap":
            return Solution()
        case "late_checkpoints":
            return LateCheckpoints(count=chosen.samples)
        case "snapshot":
            return CycleEnds(cycles=chosen.samples)
        case name:
            return _sampled(setup.subspace(name), chosen.samples, setup.methods.keep)


def _sampled(subspace: Subspace, count: int, keep: Keep) -> Sampled:
    return Sampled(subspace=subspace, count=count, keep=keep, purpose=PURPOSE)


def method_tasks(setup: Setup, sizes: Sizes, methods: Sequence[Chosen]) -> list[Task]:
    """Train what the methods need, then draw the members of those that draw."""
    ordinary = training_tasks(setup, sizes)
    others = [m for m in methods if m.variant != ORDINARY]
    trained = [task for m in others for task in training_tasks(setup, sizes, m.variant, m.networks)]
    keep = asdict(setup.methods.keep)
    return [
        *ordinary,
        *trained,
        *(
            replace(
                drawing_task(setup, draw_members, Draws(PURPOSE, m.name, origin, m.samples, {"keep": keep}), {}),
                unit="draws",
            )
            for m in methods
            if m.draws
            for origin in range(m.networks)
        ),
    ]


def draw_name(method: str, origin: int) -> str:
    """Name of the task that draws a method's members around one solution."""
    return f"draw/{PURPOSE}/{method}/member/{origin}"


def sources(setup: Setup, chosen: Chosen) -> dict[str, str]:
    """Inputs of a task that needs the members of a method."""
    if chosen.draws:
        names = [draw_name(chosen.name, origin) for origin in range(chosen.networks)]
    else:
        names = [part for origin in range(chosen.networks) for part in segments(setup, origin, chosen.variant)]
    return {name: name for name in names}


def draw_members(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """Fit each job's subspace to a trajectory and draw the members of its ensemble; keep their weights."""
    return in_turns(context, [_draw(context, job) for job in jobs])


def _draw(context: Context, job: Job) -> Generator[int, None, Result]:
    sampler = Sampler(context, job)
    method = _sampled(sampler.subspace, job.arguments["count"], Keep(**job.arguments["keep"]))
    kept, tried = [], 0
    try:
        for attempt in method.attempts(sampler.path, sampler.problem):
            tried += 1
            if attempt.kept:
                kept.append(attempt.member)
                yield 1
    except ValueError as error:
        # One solution around which nothing was kept must not end the others.
        raise MemberFailed(f"{sampler.where}: {error}", step=0) from error
    facts = {"subspace": sampler.name, "member": sampler.member, "tried": tried, "kept": len(kept)}
    return Result({"members": pack(stack(kept))}, facts)


def members_of(setup: Setup, chosen: Chosen, job: Job) -> Iterator[tuple[int, Weights]]:
    """Every origin whose training and drawing came to the end, and its members, read when their turn comes."""
    for origin in range(chosen.networks):
        if chosen.draws:
            read = job.inputs.get(draw_name(chosen.name, origin))
            if read is not None:
                yield origin, unpack(read().files["members"], origin)
        elif (last := segments(setup, origin, chosen.variant)[-1]) in job.inputs:
            method = method_of(setup, chosen)
            if isinstance(method, Solution):
                yield origin, unpack(job.inputs[last]().files["checkpoints"], origin)[-1]
                continue
            path = trajectory(own_parts(job, origin, chosen.variant), origin)
            yield origin, method.around(path)


def arguments_of(chosen: Chosen) -> dict[str, Any]:
    """A method as plain values, for the arguments of a task."""
    return {**asdict(chosen), "variant": chosen.variant.record}


def chosen_in(arguments: Mapping[str, Any]) -> Chosen:
    """A method from the arguments of a task."""
    return Chosen(**{**arguments, "variant": variant_of(arguments["variant"])})
