"""Tasks that several studies share: train the members, predict along their trajectories."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from modescape.core.engine.events import Event, Finished
from modescape.core.engine.side_by_side import side_by_side
from modescape.core.evaluation import STATISTICS_CHUNK
from modescape.core.models.batch_norm import has_batch_norm
from modescape.core.predictions import Predicting
from modescape.core.seeds import generator, global_generator
from modescape.core.settings import require
from modescape.core.splits import Split
from modescape.core.training.augment import augment, cuts_of, draw_cuts, draw_moves
from modescape.core.training.plan import Plan, Segment, State, initial_state, seed_path
from modescape.core.training.work import Leg, Trainings
from modescape.core.weights import Trajectory, Weights, stack
from modescape.errors import MemberFailed
from modescape.studies.abstract import Context, Job, Result, Results, Sizes, Task, Unfit
from modescape.studies.setup import Setup
from modescape.studies.variants import ORDINARY, Variant, variant_in
from modescape.tables import MEMBERS, Table, from_rows

STATISTICS = 8 * STATISTICS_CHUNK
"""Training examples from which batch-norm statistics are computed anew; whole chunks, since all weigh the same."""


def scratch(context: Context) -> nn.Module:
    """A network whose weights nobody will use; building it draws from no global generator."""
    with global_generator(context.setup.seed, "scratch"):
        return context.build()


def pack(weights: Weights) -> dict[str, Tensor]:
    """A stack of weights as named tensors."""
    params = {f"param.{name}": tensor for name, tensor in weights.params.items()}
    return params | {f"buffer.{name}": tensor for name, tensor in weights.buffers.items()}


def unpack(tensors: Mapping[str, Tensor], origin: int) -> Weights:
    """A stack of weights that all descend from one origin, from named tensors."""
    params = {name.removeprefix("param."): t for name, t in tensors.items() if name.startswith("param.")}
    buffers = {name.removeprefix("buffer."): t for name, t in tensors.items() if name.startswith("buffer.")}
    return Weights(params, buffers, (origin,) * len(next(iter(params.values()))))


def _segment_result(segment: Segment, member: int) -> Result:
    files = {"state": pack(segment.end.weights), "optimiser": dict(segment.end.optimiser)}
    if segment.checkpoints:
        files["checkpoints"] = pack(segment.weights)
    facts = {
        "member": member,
        "epoch": segment.end.epoch,
        "steps": list(segment.steps),
        "losses": [None if loss != loss else loss for loss in segment.losses],
        "loss_sum": segment.end.loss_sum,
        "loss_steps": segment.end.loss_steps,
    }
    return Result(files, facts, passing=frozenset({"state", "optimiser"}))


def _state(result: Result) -> State:
    facts = result.facts
    weights = unpack(result.files["state"], facts["member"])
    return State(weights, result.files["optimiser"], facts["epoch"], facts["loss_sum"], facts["loss_steps"])


def train_members(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """Carry each member of the jobs some epochs further, all at once."""

    alike: dict[Variant, list[int]] = {}
    for place, job in enumerate(jobs):
        alike.setdefault(variant_in(job.arguments), []).append(place)
    for variant, places in alike.items():
        plan = context.plan_of(variant)
        legs = [_leg(jobs[place], plan) for place in places]
        for event in context.engine.run(Trainings(plan, legs)):
            if isinstance(event, Finished):
                yield Finished(places[event.index], _segment_result(event.result, legs[event.index].member))
            else:
                yield replace(event, index=places[event.index])


def _leg(job: Job, plan: Plan) -> Leg:
    member = job.arguments["member"]
    before = _state(job.inputs["before"]()) if "before" in job.inputs else initial_state(plan, member)
    return Leg(member, before, job.arguments["epochs"])


def statistics_of(context: Context, module: nn.Module) -> Split | None:
    """Training examples from which batch-norm statistics are computed anew; None for a network without any.

    They are augmented as in training: by those of images that it never saw so, a network would be another function.
    """
    if not has_batch_norm(module):
        return None
    train = context.splits["train"]
    order = torch.randperm(len(train), generator=generator(context.setup.seed, "statistics"))
    rows, kind = order[:STATISTICS], context.setup.training.augmentation
    chance = generator(context.setup.seed, "statistics", "augment")
    cuts = draw_cuts(len(rows), kind, chance)
    if cuts is not None:
        return Split(*train.fetch(rows, cuts_of(cuts))).on(train.device)
    few = part_of(train, rows)
    moves = draw_moves(len(few), few.inputs.shape[1:], kind, chance)
    return few if moves is None else replace(few, inputs=augment(few.tensor, kind, moves.to(few.inputs.device)))


def part_of(split: Split, rows: Tensor) -> Split:
    """Some examples of a split."""
    return split.part(rows)


def predict_members(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """Logits of every checkpoint of each job's trajectory on a split, side by side.

    With ``fresh`` among a job's arguments, batch-norm statistics are computed anew for every checkpoint.
    """

    alike: dict[tuple[str, bool], list[int]] = {}
    for place, job in enumerate(jobs):
        alike.setdefault((job.arguments["split"], job.arguments.get("fresh", False)), []).append(place)
    for (name, fresh), places in alike.items():
        work = Predicting(
            len(places),
            partial(_checkpoints_of, [jobs[place] for place in places]),
            partial(scratch, context),
            context.splits[name],
            context.scaling,
            statistics_of(context, scratch(context)) if fresh else None,
        )
        for event in context.engine.run(work):
            place = places[event.index]
            if isinstance(event, Finished):
                files = {"predictions": {"logits": event.result}}
                yield Finished(place, Result(files, {"member": jobs[place].arguments["member"]}))
            else:
                yield replace(event, index=place)


def _checkpoints_of(jobs: Sequence[Job], place: int) -> Weights:
    """All checkpoints of the trajectory that a job predicts with."""
    member, parts = jobs[place].arguments["member"], [read() for read in jobs[place].inputs.values()]
    return stack([unpack(part.files["checkpoints"], member) for part in parts if "checkpoints" in part.files])


def import_members(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """Members that were trained elsewhere, each the one checkpoint of its trajectory."""
    for place, job in enumerate(jobs):
        member = job.arguments["member"]
        weights = replace(context.imported[member], origin=(member,))
        yield Finished(
            place, Result({"checkpoints": pack(weights)}, {"member": member, "steps": [0], "losses": [None]})
        )


def import_predictions(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """What members predicted elsewhere, as the one checkpoint of each trajectory."""
    for place, job in enumerate(jobs):
        member = job.arguments["member"]
        yield Finished(
            place, Result({"predictions": {"logits": context.predictions[member][None]}}, {"member": member})
        )


def require_predicted(split: str) -> None:
    """Raise ``Unfit`` unless it is the test split that is asked for: of no other are there predictions."""
    if split != "test":
        raise Unfit(f"network.predictions are those of the split 'test', and {split!r} is asked for")


def segments(setup: Setup, member: int, variant: Variant = ORDINARY) -> list[str]:
    """Names of the tasks that train a member, in order, or of the one that imports it; none where there is no member.

    Raises ``ValueError`` for a variant of members that are not trained here.
    """
    training = setup.training
    if setup.predicted:
        require(variant == ORDINARY, f"{variant.name} needs networks to be trained, and network.predictions are given")
        return []
    if setup.imported:
        require(variant == ORDINARY, f"{variant.name} needs networks to be trained, and network.weights are given")
        return [f"train/member/{member}/imported"]
    ends = [*range(training.save_every, training.epochs, training.save_every), training.epochs]
    return [f"train/{variant.prefix}member/{member}/epoch/{end}" for end in ends]


def training_tasks(setup: Setup, sizes: Sizes, variant: Variant = ORDINARY, members: int | None = None) -> list[Task]:
    """Every member's training (the first ``members``) as a chain of resumable pieces, the members alternating."""
    if not setup.trains:
        names = [name for m in range(members or setup.training.members) for name in segments(setup, m, variant)]
        asked = [{"member": member, "sha256": sizes.imported[member]} for member in range(len(names))]
        return [Task(name, import_members, own, unit="networks") for name, own in zip(names, asked, strict=True)]
    training = setup.training
    images = sizes.steps_per_epoch * min(training.batch, sizes.examples["train"])
    chains = []
    for member in range(members or training.members):
        names = segments(setup, member, variant)
        chain = []
        for position, name in enumerate(names):
            epochs = min(training.save_every, training.epochs - position * training.save_every)
            arguments = {"member": member, "epochs": epochs, "from": position * training.save_every}
            arguments |= variant.arguments
            before = {"before": names[position - 1]} if position else {}
            carries = "before" if before else None
            weight = epochs * images
            chain.append(Task(name, train_members, arguments, before, weight, "images", carries=carries))
        chains.append(chain)
    return [task for row in zip(*chains, strict=True) for task in row]


def prediction_name(member: int, split: str) -> str:
    """Name of the task that predicts a member's trajectory on a split."""
    return f"predict/member/{member}/{split}"


def checkpoint_count(setup: Setup, sizes: Sizes) -> int:
    """Checkpoints of one trajectory, the initialisation included."""
    training = setup.training
    if not setup.trains:
        return 1
    every = training.checkpoints.every * (sizes.steps_per_epoch if training.checkpoints.unit == "epoch" else 1)
    return 1 + -(-sizes.steps_per_epoch * training.epochs // every)


def moved_prediction_tasks(setup: Setup, sizes: Sizes, split: str) -> dict[str, Task]:
    """Predictions that members drawn around a solution may be compared with, by ``prediction_name``.

    A drawn member of a network with batch norm gets statistics of its own. So must what it is compared with: by the
    running statistics of training a member at scale 0 would be another function than its solution.
    """
    plain = prediction_tasks(setup, sizes, split)
    if not sizes.batch_norm:
        return {task.name: task for task in plain}
    moved = [{**task.arguments, "fresh": True} for task in plain]
    return {
        task.name: replace(task, name=f"predict/fresh/member/{arguments['member']}/{split}", arguments=arguments)
        for task, arguments in zip(plain, moved, strict=True)
    }


def prediction_tasks(setup: Setup, sizes: Sizes, split: str) -> list[Task]:
    """Predictions of every trajectory on a split."""
    members = range(setup.training.members)
    if setup.predicted:
        require_predicted(split)
        asked = [{"member": m, "split": split, "sha256": sizes.imported[m]} for m in members]
        return [Task(prediction_name(m, split), import_predictions, asked[m], unit="networks") for m in members]
    return [
        Task(
            prediction_name(member, split),
            predict_members,
            {"member": member, "split": split},
            {name: name for name in segments(setup, member)},
            weight=checkpoint_count(setup, sizes),
            unit="checkpoints",
        )
        for member in members
    ]


def trajectory(parts: Sequence[Result], member: int) -> Trajectory:
    """A member's trajectory from the results of its training tasks in order."""
    weights = [unpack(part.files["checkpoints"], member) for part in parts if "checkpoints" in part.files]
    steps = tuple(step for part in parts for step in part.facts["steps"])
    return Trajectory(stack(weights), steps, seed_path(member))


def losses(parts: Sequence[Result]) -> list[float]:
    """Mean training loss before each checkpoint; NaN at the initialisation."""
    return [torch.nan if loss is None else loss for part in parts for loss in part.facts["losses"]]


def own_parts(job: Job, member: int, variant: Variant = ORDINARY) -> list[Result]:
    """What a member's training gave, from a job that has it among its inputs."""
    first = f"train/{variant.prefix}member/{member}/"
    return [read() for name, read in job.inputs.items() if name.startswith(first)]


def logits_of(job: Job, member: int, split: str) -> Tensor:
    """Logits [checkpoint, example, class] of a member's trajectory, from a job that has them among its inputs."""
    return job.inputs[prediction_name(member, split)]().files["predictions"]["logits"]


def comparable(job: Job, split: str) -> list[int]:
    """Members that were trained and predicted to the end. Raises ``MemberFailed`` if no two are left to compare."""
    members: list[int] = job.arguments["members"]
    left = [m for m in members if prediction_name(m, split) in job.inputs]
    if len(left) < 2:
        raise MemberFailed(
            f"{len(left)} of {len(members)} members came to the end, and it takes two to compare", step=0
        )
    return left


def first_failure(setup: Setup, results: Results, task: str) -> MemberFailed:
    """Why a study has nothing to tell: the reason of its task, and of the first member that failed."""
    failed = [_failure(setup, results, member) for member in range(setup.training.members)]
    first = next((failure for failure in failed if failure is not None), None)
    own = results.failure(task) or first
    assert own is not None, "a task without a result failed or was blocked"
    return MemberFailed(f"{own['reason']}; {first['reason']}" if first else str(own["reason"]), own["step"])


def _failure(setup: Setup, results: Results, member: int) -> Mapping[str, Any] | None:
    """Why a member did not come to the end of its training; None if it did, or had none here."""
    names = segments(setup, member)
    return results.failure(names[-1]) if names else None


def each_alone(
    context: Context, jobs: Sequence[Job], compute: Callable[[Context, Job], Result]
) -> Iterator[Event[Result]]:
    """Perform jobs with a plain function of context and job, a core each."""

    def work(job: Job) -> Generator[int, None, Result]:
        result = compute(context, job)
        yield 1
        return result

    return side_by_side([work(job) for job in jobs], context.cores)


def check_perplexities(perplexities: Sequence[float]) -> None:
    """Raise ``ValueError`` unless perplexities are above 0 and tell their embeddings apart."""
    require(all(p > 0 for p in perplexities), f"perplexities must be above 0, got {list(perplexities)}")
    names = {f"{p:g}" for p in perplexities}
    require(len(names) == len(perplexities), f"perplexities must differ, got {list(perplexities)}")


def members_table(setup: Setup, results: Results, steps: int) -> Table:
    """What became of each member; ``steps`` are those of a whole training."""
    rows = []
    for member in range(setup.training.members):
        failure = _failure(setup, results, member)
        rows.append(
            {
                "member": member,
                "status": "failed" if failure else "done",
                "step": failure["step"] if failure else steps,
                "reason": failure["reason"] if failure else "",
            }
        )
    return from_rows(MEMBERS, rows)
