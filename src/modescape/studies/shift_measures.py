"""The numbers of the study ``shift``: scores on every split, and how well unknown inputs are told from known ones."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from modescape.core.engine.events import Event
from modescape.core.methods.scoring import Judge, Scored, subsets, weights_with_bootstrap
from modescape.core.methods.summary import Pooled, Summary, pooled
from modescape.core.scores.detection import detection_scores, detectors
from modescape.core.scores.intervals import bootstrap_weights
from modescape.core.seeds import generator
from modescape.errors import MemberFailed
from modescape.studies.abstract import Context, Job, Result
from modescape.studies.drawing import in_turns, some_examples
from modescape.studies.ensembling_measures import packed_scores
from modescape.studies.members import each_alone, part_of
from modescape.studies.methods import INDEPENDENT, Chosen, chosen_in, members_of
from modescape.studies.predicting import Predictor, least_kept, predict_name, summaries_in

CLEAN = "test"
LISTED_TASK = "measure/splits"
FEW = 5
"""Members whose divergence is compared, as in the paper: around one solution, or as many independent ones."""


def split_task(split: str) -> str:
    """Name of the task that measures a split."""
    return f"measure/split/{split}"


def measure_clean(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """Score the same ensembles as under shift on the same examples of the test split."""
    return in_turns(context, [_clean(context, job) for job in jobs])


def measure_split(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """Predict each job's split with the members of every method, one method after the other, and score them."""
    return in_turns(context, [_split(context, job) for job in jobs])


class _Scorer:
    """Collects the scores of one split, method by method."""

    def __init__(self, context: Context, arguments: Mapping[str, Any], judge: Judge) -> None:
        self.context, self.arguments, self.judge = context, arguments, judge
        self.files: dict[str, dict[str, Tensor]] = {}
        self.facts: dict[str, Any] = {"methods": {}, "failed": {}}

    @cached_property
    def known_weights(self) -> Tensor:
        """Weights of the test split's examples, which unknown inputs are told from."""
        chance = generator(self.context.setup.seed, "bootstrap", "detection", self.arguments["split"], "known")
        counts = bootstrap_weights(self.arguments["known"], self.arguments["draws"], chance)
        return weights_with_bootstrap(counts).to(self.judge.weights.device)

    def subsets_of(self, origins: Sequence[int], size: int) -> list[tuple[int, ...]]:
        return subsets(origins, size, self.arguments["subsets"], self.context.setup.seed)

    def sizes(self, origins: Sequence[int]) -> list[int]:
        return [size for size in self.arguments["solutions"] if size <= len(origins)]

    def add(
        self, chosen: Chosen, count: int, parts: Mapping[int, Summary], known: Mapping[int, Summary] | None
    ) -> None:
        """Score a method with so many samples; ``known`` are the same members' summaries of the test split."""
        sizes, scored, found = self.sizes(list(parts)), [], []
        if not sizes:
            return
        for size in sizes:
            chosen_subsets = self.subsets_of(list(parts), size)
            scored.append(self.judge.score(pooled([parts[o] for o in subset]) for subset in chosen_subsets))
            if known is not None:
                pairs = ((pooled([known[o] for o in s]), pooled([parts[o] for o in s])) for s in chosen_subsets)
                found.append(self._detected(pairs))
        names = list(dict.fromkeys(name for each in scored for name in each.draws))
        key = f"{chosen.name}_samples_{count}"
        self.files[key] = packed_scores(scored, names)
        detected = list(found[0].draws) if found else []
        if found:
            self.files[f"{key}_detection"] = packed_scores(found, detected)
        told = self.facts["methods"].setdefault(chosen.name, {"counts": [], "sizes": sizes})
        told["counts"].append(count)
        told["scores"], told["detection"] = names, detected

    def _detected(self, pairs: Iterator[tuple[Pooled, Pooled]]) -> Scored:
        every: dict[str, list[Tensor]] = {}
        for known, unknown in pairs:
            mine, others = detectors(known), detectors(unknown)
            for name in mine:
                found = detection_scores(mine[name], others[name], self.known_weights, self.judge.weights)
                for score, value in found.items():
                    every.setdefault(f"{name}/{score}", []).append(value)
        draws_of = {name: torch.stack(values).mean(dim=0) for name, values in every.items()}
        return Scored(draws_of, {name: torch.stack([v[0] for v in values]) for name, values in every.items()})


def _judge(context: Context, arguments: Mapping[str, Any], targets: Tensor) -> Judge:
    # Splits made from the test split have its examples, and so one bootstrap: means over families are paired.
    name = arguments["split"] if _is_other(arguments["split"]) else CLEAN
    chance = generator(context.setup.seed, "bootstrap", "shift", name)
    weights = weights_with_bootstrap(bootstrap_weights(len(targets), arguments["draws"], chance))
    known = None if name.startswith("unknown/") else targets
    return Judge(known, weights.to(targets.device), context.setup.seed, split=arguments["split"])


def _is_other(split: str) -> bool:
    return split.startswith(("natural/", "unknown/"))


def _clean(context: Context, job: Job) -> Generator[int, None, Result]:
    rows = some_examples(context, CLEAN, job.arguments["examples"])
    targets = part_of(context.splits[CLEAN], rows).targets
    scorer = _Scorer(context, job.arguments, _judge(context, job.arguments, targets))
    for chosen in map(chosen_in, job.arguments["methods"]):
        if (name := predict_name(chosen.name, CLEAN)) in job.inputs:
            predicted = job.inputs[name]()
            count = chosen.count(job.arguments["samples"], predicted.facts["counts"][-1])
            scorer.add(chosen, count, _known(predicted, count, rows, context.device), None)
            yield 0
    return _result(scorer)


def _known(result: Result, count: int, rows: Tensor, device: torch.device) -> dict[int, Summary]:
    """Origin -> summary of its first members on some examples of the test split."""
    return {origin: own[count].take(rows) for origin, own in summaries_in(result, device).items()}


def _split(context: Context, job: Job) -> Generator[int, None, Result]:
    name = job.arguments["split"]
    chosen_rows = _chosen_rows(context, name, job.arguments["examples"])
    split = part_of(context.splits[name], chosen_rows)
    scorer = _Scorer(context, job.arguments, _judge(context, job.arguments, split.targets))
    predictor = Predictor(context, split, name, chosen_rows)
    for chosen in map(chosen_in, job.arguments["methods"]):
        try:
            count = chosen.count(job.arguments["samples"], least_kept(context, chosen, job))
            parts = {}
            for origin, members in members_of(context.setup, chosen, job):
                parts[origin] = yield from predictor.summary(chosen, origin, members[:count])
        except MemberFailed as error:
            # The other methods go on; this one is told and has no rows.
            scorer.facts["failed"][chosen.name] = str(error)
            continue
        known: dict[int, Summary] | None = None
        if name.startswith("unknown/"):
            if (clean := predict_name(chosen.name, CLEAN)) not in job.inputs:
                continue
            rows = some_examples(context, CLEAN, job.arguments["known"])
            known = _known(job.inputs[clean](), count, rows, context.device)
        scorer.add(chosen, count, parts, known)
    return _result(scorer)


def _chosen_rows(context: Context, name: str, count: int) -> Tensor:
    """Which examples of a split are used; those of a shift are the same as those of the test split."""
    return some_examples(context, name if _is_other(name) else CLEAN, count)


def _result(scorer: _Scorer) -> Result:
    if INDEPENDENT not in scorer.facts["methods"]:
        raise MemberFailed("no independent network came to the end, and everything is compared with them", step=0)
    return Result(scorer.files, scorer.facts)


def list_splits(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """Say which splits were measured. Each job fails where not even the test split was."""
    return each_alone(context, jobs, _listed)


def _listed(context: Context, job: Job) -> Result:
    splits = {name: told for name, told in job.arguments["splits"].items() if split_task(name) in job.inputs}
    if CLEAN not in splits:
        raise MemberFailed("the test split could not be measured", step=0)
    return Result(
        {}, {"splits": splits, "methods": job.arguments["methods"], "steps": context.steps, "classes": context.classes}
    )
