"""What the members of an ensembling method predict on a split, as summaries of each origin."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from modescape.core.engine.events import Event
from modescape.core.evaluation import Evaluation, Scratch, blocks_of, evaluate, placed, scaled_chunks
from modescape.core.methods.summary import Summarise, Summary, summary_of
from modescape.core.models.dropout import hold_dropout
from modescape.core.splits import Split
from modescape.core.subspaces.catalogue import SUBSPACES
from modescape.core.weights import Weights
from modescape.errors import MemberFailed, SettingsError
from modescape.studies.abstract import Context, Job, Result, Sizes, Task
from modescape.studies.drawing import in_turns
from modescape.studies.members import part_of, scratch, statistics_of
from modescape.studies.methods import Chosen, arguments_of, chosen_in, members_of, sources
from modescape.studies.setup import Setup

Summaries = Mapping[int, Mapping[int, Summary]]
"""Origin -> number of its first members -> their summary."""


class Predictor:
    """A network that members of any method are loaded into, for one split."""

    def __init__(self, context: Context, split: Split, where: str) -> None:
        self.context, self.split, self.where = context, split, where
        self.scratches: dict[bool, tuple[Scratch, nn.Module]] = {}

    def _network(self, holds_masks: bool) -> tuple[Scratch, nn.Module]:
        if holds_masks not in self.scratches:
            train, scaling = self.context.splits["train"], self.context.scaling
            module = placed(scratch(self.context), train)
            if holds_masks:
                hold_dropout(module, next(scaled_chunks(part_of(train, torch.tensor([0])), scaling)))
            self.scratches[holds_masks] = (Scratch(module, self.split, scaling), module)
        return self.scratches[holds_masks]

    def summary(self, chosen: Chosen, origin: int, members: Weights) -> Generator[int, None, Summary]:
        """The summary of these members; yields the members done. Raises ``SettingsError`` for logits not finite."""
        masks = chosen.name in SUBSPACES and self.context.setup.subspace(chosen.name).holds_masks
        own, module = self._network(masks)
        # All members, the independent ones too: by running statistics a network would be another function than at
        # scale 0 of a subspace.
        anew = statistics_of(self.context, module)
        asked = Evaluation(self.split, self.context.scaling, (Summarise(),), anew)
        try:
            (found,) = yield from evaluate([own], blocks_of(members), asked)
        except ValueError as error:
            advice = f"; lower subspaces.{chosen.name}.scale" if chosen.draws else ""
            raise SettingsError(f"{chosen.name}, origin {origin}, split {self.where}: {error}{advice}") from error
        summary: Summary = found
        return summary


def predict_name(method: str, split: str) -> str:
    """Name of the task that predicts a split with a method's members."""
    return f"predict/method/{method}/{split}"


def predicting_task(setup: Setup, sizes: Sizes, chosen: Chosen, split: str) -> Task:
    """The task that predicts a split with every member of a method."""
    arguments = {"method": arguments_of(chosen), "split": split, "examples": None}
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


def _predict(context: Context, job: Job) -> Generator[int, None, Result]:
    name = job.arguments["split"]
    chosen = chosen_in(job.arguments["method"])
    predictor = Predictor(context, context.splits[name], name)
    files: dict[str, dict[str, Tensor]] = {}
    kept: dict[int, int] = {}
    for origin, members in members_of(context.setup, chosen, job):
        done: Summary | None = None
        kept[origin] = len(members)
        for count in chosen.counts():
            first, last = (done.count if done else 0), min(count, len(members))
            if last > first:
                part = yield from predictor.summary(chosen, origin, members[first:last])
                done = done + part if done else part
            assert done is not None, "the first count is at least 1, and so is the number of members"
            files[f"origin_{origin}_first_{count}"] = done.tensors()
    if not kept:
        raise MemberFailed(f"no network of the method {chosen.name} came to the end", step=0)
    facts: dict[str, Any] = {"origins": list(kept), "counts": chosen.counts(), "kept": list(kept.values())}
    return Result(files, facts)


def summaries_in(result: Result) -> Summaries:
    """The summaries that ``predict_method`` kept."""
    facts = result.facts
    return {
        origin: {
            count: summary_of(min(count, kept), result.files[f"origin_{origin}_first_{count}"])
            for count in facts["counts"]
        }
        for origin, kept in zip(facts["origins"], facts["kept"], strict=True)
    }
