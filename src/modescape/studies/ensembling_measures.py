"""The numbers of the study ``ensembling``: every score of every subset of a method's solutions."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from modescape.core.engine.events import Event
from modescape.core.methods.scoring import Judge, Scored, subsets, weights_with_bootstrap
from modescape.core.methods.summary import Summary, pooled
from modescape.core.scores.intervals import bootstrap_weights
from modescape.core.seeds import generator
from modescape.errors import MemberFailed
from modescape.studies.abstract import Context, Job, Result
from modescape.studies.drawing import in_turns
from modescape.studies.members import each_alone, scratch
from modescape.studies.methods import INDEPENDENT
from modescape.studies.predicting import summaries_in

FORECAST_TASK = "measure/forecast"
BOARD_TASK = "measure/board"
FORETOLD = ("calibrated_nll", "nll", "accuracy")
"""Scores that the size curve is fitted to."""

SPREAD = ("least", "most", "subsets")


def measure_name(method: str) -> str:
    """Name of the task that scores a method."""
    return f"measure/ensembling/{method}"


def measure_method(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """Score every ensemble of each job's method: numbers of samples, numbers of solutions, subsets of these."""
    return in_turns(context, [_measure(context, job) for job in jobs])


def judge_of(context: Context, arguments: Mapping[str, Any]) -> Judge:
    """What a split's ensembles are scored against."""
    split = context.splits[arguments["split"]]
    counts = bootstrap_weights(
        len(split), arguments["draws"], generator(context.setup.seed, "bootstrap", "ensembling", arguments["split"])
    )
    references = {name: context.references[name].double().to(split.device) for name in arguments["references"]}
    weights = weights_with_bootstrap(counts).to(split.device)
    targets = split.targets.to(split.device)
    return Judge(targets, weights, context.setup.seed, references, arguments["split"])


def _measure(context: Context, job: Job) -> Generator[int, None, Result]:
    judge = judge_of(context, job.arguments)
    summaries = summaries_in(job.inputs["predictions"](), context.device)
    origins = list(summaries)
    found: dict[int, list[Scored]] = {}
    for count in summaries[origins[0]]:
        parts = {origin: own[count] for origin, own in summaries.items()}
        found[count] = []
        for size in range(1, len(origins) + 1):
            chosen = subsets(origins, size, job.arguments["subsets"], context.setup.seed)
            found[count].append(judge.score(pooled([parts[origin] for origin in subset]) for subset in chosen))
            yield 1
    # A single member has fewer scores than several have: all files list the same.
    names = list(dict.fromkeys(name for scored in found.values() for each in scored for name in each.draws))
    files = {f"samples_{count}": packed_scores(scored, names) for count, scored in found.items()}
    facts: dict[str, Any] = {"counts": list(summaries[origins[0]]), "origins": origins, "scores": names}
    parameters = sum(tensor.numel() for tensor in scratch(context).parameters())
    facts["parameters"] = parameters
    return Result(files, facts)


def packed_scores(scored: Sequence[Scored], names: Sequence[str]) -> dict[str, Tensor]:
    """Draws [size, score, 1 + draw] and spread [size, score, 3]; NaN where an ensemble has no such score."""
    draws = torch.stack([_padded(each, names) for each in scored])
    spread = torch.stack([_spread(each, names) for each in scored])
    return {"draws": draws, "spread": spread}


def _padded(scored: Scored, names: Sequence[str]) -> Tensor:
    nothing = torch.full_like(next(iter(scored.draws.values())), torch.nan)
    return torch.stack([scored.draws.get(name, nothing) for name in names])


def _spread(scored: Scored, names: Sequence[str]) -> Tensor:
    rows = []
    for name in names:
        each = scored.each.get(name, torch.tensor([torch.nan], dtype=torch.float64))
        rows.append([float(each.min()), float(each.max()), float(len(each))])
    return torch.tensor(rows, dtype=torch.float64)


def measure_forecast(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """Size curves of the first few independent networks alone, and those without each of them in turn."""
    return in_turns(context, [_forecast(context, job) for job in jobs])


def _forecast(context: Context, job: Job) -> Generator[int, None, Result]:
    judge, fitted = judge_of(context, job.arguments), job.arguments["fitted"]
    summaries = summaries_in(job.inputs["predictions"](), context.device)
    first = list(summaries)[:fitted]
    if len(first) < fitted:
        raise MemberFailed(f"{len(first)} networks came to the end, the forecast takes {fitted}", step=0)
    parts: dict[int, Summary] = {origin: summaries[origin][1] for origin in first}
    curves, jackknife = [], torch.full((fitted, len(FORETOLD), fitted - 1), torch.nan, dtype=torch.float64)
    for size in range(1, fitted + 1):
        chosen = subsets(first, size, 10**6, context.setup.seed)
        scored = judge.score(pooled([parts[origin] for origin in subset]) for subset in chosen)
        curves.append(torch.stack([scored.draws[name] for name in FORETOLD]))
        for left_out, origin in enumerate(first):
            rest = torch.tensor([origin not in subset for subset in chosen])
            if size < fitted:
                for place, name in enumerate(FORETOLD):
                    jackknife[left_out, place, size - 1] = scored.each[name][rest].mean()
        yield 1
    tensors = {"draws": torch.stack(curves), "jackknife": jackknife}
    return Result({"curves": tensors}, {"fitted": fitted, "scores": list(FORETOLD)})


def list_measured(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """Say which methods were measured; a job fails where independent networks, the rivals of all, were not."""
    return each_alone(context, jobs, _listed)


def _listed(context: Context, job: Job) -> Result:
    measured = [method for method in job.arguments["methods"] if measure_name(method["name"]) in job.inputs]
    if INDEPENDENT not in [method["name"] for method in measured]:
        raise MemberFailed("no independent network came to the end, and everything is compared with them", step=0)
    foretold = FORECAST_TASK in job.inputs
    return Result({}, {"methods": measured, "forecast": foretold, "steps": context.steps, "classes": context.classes})
