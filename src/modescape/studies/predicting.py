"""What the members of an ensembling method predict on a split, as summaries of each origin."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from modescape.core.engine.events import Event, Finished
from modescape.core.evaluation import Evaluation, Scratch, blocks_of, evaluate, placed, scaled_chunks
from modescape.core.methods.summary import NotFinite, Summarise, Summary, summarise, summary_of
from modescape.core.models.dropout import hold_dropout
from modescape.core.splits import Split
from modescape.core.subspaces.catalogue import SUBSPACES
from modescape.core.weights import Weights
from modescape.errors import MemberFailed
from modescape.studies.abstract import Context, Job, Result, Sizes, Task
from modescape.studies.drawing import in_turns
from modescape.studies.members import part_of, require_predicted, scratch, statistics_of
from modescape.studies.methods import Chosen, arguments_of, chosen_in, members_of, sources
from modescape.studies.setup import Setup

Summaries = Mapping[int, Mapping[int, Summary]]
"""Origin -> number of its first members -> their summary."""


class Predictor:
    """A network that members of any method are loaded into, for one split."""

    def __init__(self, context: Context, split: Split, where: str, rows: Tensor | None = None) -> None:
        """``rows`` are the places of the examples in the whole split ``where``, if they are not all of it."""
        self.context, self.split, self.where, self.rows = context, split, where, rows
        self.scratches: dict[bool, tuple[Scratch, nn.Module]] = {}

    def _network(self, holds_masks: bool) -> tuple[Scratch, nn.Module]:
        if holds_masks not in self.scratches:
            train, scaling = self.context.splits["train"], self.context.scaling
            module = placed(scratch(self.context), train)
            if holds_masks:
                hold_dropout(module, next(scaled_chunks(part_of(train, torch.tensor([0])), scaling)))
            self.scratches[holds_masks] = (Scratch(module, self.split, scaling), module)
        return self.scratches[holds_masks]

    def summary(self, chosen: Chosen, origin: int, members: Weights, first: int = 0) -> Generator[int, None, Summary]:
        """The summary of these members, of which ``first`` came before; yields the members done.

        Raises ``MemberFailed`` that names method, origin, member, split and row for logits that are not finite.
        """
        masks = chosen.name in SUBSPACES and self.context.setup.subspace(chosen.name).holds_masks
        own, module = self._network(masks)
        # All members, the independent ones too: by running statistics a network would be another function than at
        # scale 0 of a subspace.
        anew = statistics_of(self.context, module)
        asked = Evaluation(self.split, self.context.scaling, (Summarise(),), anew)
        try:
            (found,) = yield from evaluate([own], blocks_of(members), asked)
        except NotFinite as error:
            member, row = first, error.example
            for place in range(len(members) if len(members) > 1 else 0):
                try:
                    yield from evaluate([own], blocks_of(members[place]), asked)
                except NotFinite as alone:
                    member, row = first + place, alone.example
                    break
            row = row if self.rows is None else int(self.rows[row])
            advice = f"; lower subspaces.{chosen.name}.scale" if chosen.draws else ""
            raise MemberFailed(
                f"{chosen.name}, origin {origin}, member {member}: logits that are not finite on split {self.where}, "
                f"row {row}{advice}",
                step=0,
            ) from error
        summary: Summary = found
        return summary


def predict_name(method: str, split: str) -> str:
    """Name of the task that predicts a split with a method's members."""
    return f"predict/method/{method}/{split}"


def predicting_task(setup: Setup, sizes: Sizes, chosen: Chosen, split: str) -> Task:
    """The task that predicts a split with every member of a method."""
    arguments: dict[str, Any] = {"method": arguments_of(chosen), "split": split, "examples": None}
    if setup.predicted:
        require_predicted(split)
        arguments["sha256"] = list(sizes.imported)
        return Task(predict_name(chosen.name, split), import_summaries, arguments, weight=chosen.networks)
    weight = chosen.networks * chosen.samples
    return Task(
        predict_name(chosen.name, split),
        predict_method,
        arguments,
        sources(setup, chosen),
        weight,
        "members",
        tolerant=True,
    )


def predict_method(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """Predict with all members of each job's method; keep summaries of the first 1, 2, 5, ... of each origin."""
    return in_turns(context, [_predict(context, job) for job in jobs])


def import_summaries(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """Summaries of what members predicted elsewhere, each an origin of its own."""
    for place, _ in enumerate(jobs):
        origins = list(range(len(context.predictions)))
        found = {f"origin_{o}_first_1": summarise(context.predictions[o][None]).tensors() for o in origins}
        yield Finished(place, Result(found, {"origins": origins, "counts": [1]}))


def _predict(context: Context, job: Job) -> Generator[int, None, Result]:
    name = job.arguments["split"]
    chosen = chosen_in(job.arguments["method"])
    predictor = Predictor(context, context.splits[name], name)
    files: dict[str, dict[str, Tensor]] = {}
    kept = least_kept(context, chosen, job)
    origins = []
    for origin, members in members_of(context.setup, chosen, job):
        origins.append(origin)
        done: Summary | None = None
        for count in chosen.counts(kept):
            first = done.count if done else 0
            part = yield from predictor.summary(chosen, origin, members[first:count], first)
            done = done + part if done else part
            files[f"origin_{origin}_first_{count}"] = done.tensors()
    return Result(files, {"origins": origins, "counts": chosen.counts(kept)})


def least_kept(context: Context, chosen: Chosen, job: Job) -> int:
    """Members that every solution has; some may have more. Raises ``MemberFailed`` if there is no solution."""
    lengths = [len(members) for _, members in members_of(context.setup, chosen, job)]
    if not lengths:
        raise MemberFailed(f"no network of the method {chosen.name} came to the end", step=0)
    return min(lengths)


def summaries_in(result: Result, device: torch.device) -> Summaries:
    """The summaries that ``predict_method`` kept, on a device."""
    facts = result.facts
    return {
        origin: {
            count: summary_of(count, result.files[f"origin_{origin}_first_{count}"], device)
            for count in facts["counts"]
        }
        for origin in facts["origins"]
    }
