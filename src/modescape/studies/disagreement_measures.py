"""The numbers of the study ``disagreement``: each network's scores, every pair's differences, a map."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from modescape.core.diversity.disagreement import normalised_disagreement
from modescape.core.diversity.divergence import jensen_shannon, kullback_leibler, total_variation
from modescape.core.diversity.embedding import isometric, mds, pca
from modescape.core.engine.events import Event
from modescape.core.methods.scoring import Judge
from modescape.core.methods.summary import NotFinite, Summary, pooled, summarise
from modescape.core.scores.accuracy import correct
from modescape.core.scores.intervals import bootstrap_means, percentile_interval
from modescape.core.seeds import generator
from modescape.errors import MemberFailed
from modescape.studies.abstract import Context, Job, Result
from modescape.studies.ensembling_measures import judge_of
from modescape.studies.members import each_alone, logits_of, prediction_name

ENSEMBLE = "ensemble"
OF_CLASSES = ("accuracy", "disagreement", "disagreement_error_ratio", "improvement_rate", "posterior_agreement")
"""Scores that need no more than predicted classes."""

ON_A_MAP = 3
"""Points that a map needs at least: of two there is nothing to see but that they are two."""


def compare_functions(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """Everything that the tables of the study are made from."""
    return each_alone(context, jobs, _compare)


def _compare(context: Context, job: Job) -> Result:
    split, hard = job.arguments["split"], job.arguments["classes_alone"]
    members = [m for m in job.arguments["members"] if prediction_name(m, split) in job.inputs]
    if not members:
        raise MemberFailed("no network came to the end", step=0)
    logits = torch.stack([logits_of(job, m, split)[-1] for m in members]).cpu()
    targets = context.splits[split].targets.cpu()
    names, scores = _scores(judge_of(context, job.arguments), members, logits, split)
    kept = [place for place, name in enumerate(names) if not hard or name in OF_CLASSES]
    classes = logits.argmax(dim=-1)
    pairs = list(combinations(range(len(members)), 2))
    chance = generator(context.setup.seed, "bootstrap", "disagreement", split)
    numbers, answers = _pairs(classes, targets, pairs, job.arguments["draws"], chance)
    files = {"scores": {"draws": scores[:, kept]}, "pairs": {"numbers": numbers}, "answers": {"numbers": answers}}
    files["pairs"]["divergences"] = _divergences(None if hard else logits, pairs)
    if len(members) >= ON_A_MAP:
        files["map"] = _map(logits)
    facts: dict[str, Any] = {"members": members, "scores": [names[place] for place in kept], "split": split}
    facts |= {"classes": context.classes, "steps": context.steps, "classes_alone": hard}
    return Result({name: _whole(tensors) for name, tensors in files.items()}, facts)


def _whole(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _scores(judge: Judge, members: Sequence[int], logits: Tensor, split: str) -> tuple[list[str], Tensor]:
    """Draws [network, score, 1 + draw] of every member, and last of the ensemble if there are several; NaN for none."""
    device = judge.targets.device if judge.targets is not None else logits.device
    parts: list[Summary] = []
    for member, own in zip(members, logits, strict=True):
        try:
            parts.append(summarise(own[None].to(device)))
        except NotFinite as error:
            raise MemberFailed(f"member {member}, split {split}: {error}", step=0) from error
    groups = [[part] for part in parts] + ([parts] if len(parts) > 1 else [])
    found = [judge.score([pooled(group)]).draws for group in groups]
    names = list(dict.fromkeys(name for draws in found for name in draws))
    nothing = torch.full_like(found[0]["accuracy"], torch.nan)
    return names, torch.stack([torch.stack([draws.get(name, nothing) for name in names]) for draws in found]).cpu()


def _pairs(
    classes: Tensor, targets: Tensor, pairs: Sequence[tuple[int, int]], draws: int, chance: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Of each pair [pair, 6]: disagreement, its interval, both normalised, both wrong; and the answers [2, 5].

    The answers are means over pairs of disagreement, and over ordered pairs of normalised disagreement: value, low,
    high, least, most.
    """
    if not pairs:
        return torch.zeros(0, 6, dtype=torch.float64), torch.zeros(0, 5, dtype=torch.float64)
    first, second = torch.tensor(pairs).T
    wrong = ~correct(classes, targets)
    values = torch.cat([classes[first] != classes[second], wrong]).double()
    plain, drawn = values.mean(dim=1)[None], bootstrap_means(values, draws, chance)
    both = (wrong[first] & wrong[second]).double().mean(dim=1)

    def split_up(means: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        apart, error = means[:, : len(pairs)], means[:, len(pairs) :]
        return apart, normalised_disagreement(apart, error[:, first]), normalised_disagreement(apart, error[:, second])

    apart, one, other = split_up(plain)
    low, high = torch.tensor([percentile_interval(column) for column in drawn[:, : len(pairs)].T]).T.double()
    numbers = torch.stack([apart[0], low, high, one[0], other[0], both], dim=1)
    drawn_apart, *drawn_both = split_up(drawn)
    answers = [
        _told(apart[0], drawn_apart.mean(dim=1)),
        _told(torch.cat([one[0], other[0]]), torch.cat(drawn_both, dim=1).nanmean(dim=1)),
    ]
    return numbers, torch.tensor(answers, dtype=torch.float64)


def _told(values: Tensor, drawn: Tensor) -> list[float]:
    known = values[~values.isnan()]
    ends = [float(known.min()), float(known.max())] if len(known) else [torch.nan, torch.nan]
    return [float(known.mean()), *percentile_interval(drawn), *ends]


def _divergences(logits: Tensor | None, pairs: Sequence[tuple[int, int]]) -> Tensor:
    """Of each pair [pair, 4]: both Kullback-Leibler divergences, Jensen-Shannon, total variation; NaN for classes."""
    if logits is None or not pairs:
        return torch.full((len(pairs), 4), torch.nan, dtype=torch.float64)
    rows = []
    for a, b in pairs:
        one, other = logits[a], logits[b]
        apart = (kullback_leibler(one, other), kullback_leibler(other, one))
        found = (*apart, jensen_shannon(torch.stack([one, other])), total_variation(one, other))
        rows.append([float(values.mean()) for values in found])
    return torch.tensor(rows, dtype=torch.float64)


def _map(logits: Tensor) -> dict[str, Tensor]:
    reduced = isometric(logits.double().softmax(dim=-1).flatten(1))
    plain, scaled = pca(reduced), mds(reduced, seed=0)
    fit = torch.tensor([plain.explained, scaled.stress], dtype=torch.float64)
    return {"pca": plain.points.double(), "mds": scaled.points.double(), "fit": fit}
