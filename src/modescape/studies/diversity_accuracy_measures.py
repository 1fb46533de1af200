"""The numbers of the study ``diversity_accuracy``: points of the plane, the gap, exponents, divergences; intervals."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from modescape.core.diversity.disagreement import differing, normalised_disagreement
from modescape.core.diversity.divergence import jensen_shannon, kullback_leibler, total_variation
from modescape.core.diversity.limits import fit_exponent
from modescape.core.engine.events import Event
from modescape.core.predictions import Predictions, ensemble_probabilities
from modescape.core.scores.accuracy import correct
from modescape.core.scores.intervals import bootstrap_means, percentile_interval
from modescape.core.scores.proper import nll
from modescape.core.seeds import generator
from modescape.errors import MemberFailed
from modescape.studies.abstract import Context, Job, Result
from modescape.studies.members import comparable, each_alone, logits_of

INDEPENDENT, TRAJECTORY = "independent", "trajectory"
"""What stands beside the subspaces: other solutions, and late checkpoints of the base's own trajectory."""

SCORES = ("nll", "kl_from_base", "kl_to_base", "jensen_shannon", "total_variation")
"""Scores of a point that need its probabilities."""

ROUNDING = 1e-9
"""Slack for differences of fractions: far below one example, far above what float64 loses."""


def divergences(logits: Tensor, base: Tensor, targets: Tensor) -> dict[str, float]:
    """The scores of one member [example, class] that need its probabilities, means over examples."""
    found = (
        nll(logits[None], targets)[0],
        kullback_leibler(base, logits).mean(),
        kullback_leibler(logits, base).mean(),
        jensen_shannon(torch.stack([base, logits])).mean(),
        total_variation(logits, base).mean(),
    )
    return {name: float(value) for name, value in zip(SCORES, found, strict=True)}


@dataclass(frozen=True)
class Cloud:
    """Members that are compared with one base, in columns, and where they err and differ.

    ``values`` are [item, example]: the base's error, every member's error, every member's disagreement with the base.
    """

    origin: int
    kinds: Sequence[str]
    columns: Mapping[str, Tensor]
    values: Tensor

    def of(self, *kinds: str) -> Tensor:
        """Positions of the members of these kinds."""
        return torch.tensor([place for place, kind in enumerate(self.kinds) if kind in kinds], dtype=torch.int64)


@dataclass(frozen=True)
class Plane:
    """A cloud on the plane, for each of some choices of examples: [draw] for the base, [draw, member] for the rest."""

    base: Tensor
    accuracy: Tensor
    disagreement: Tensor

    @property
    def normalised(self) -> Tensor:
        """Disagreement over each member's own error rate."""
        return normalised_disagreement(self.disagreement, 1 - self.accuracy)


def plane_of(means: Tensor) -> Plane:
    """From a cloud's item means [draw, item]."""
    count = (means.shape[1] - 1) // 2
    return Plane(1 - means[:, 0], 1 - means[:, 1 : 1 + count], means[:, 1 + count :])


def best_of_equal_accuracy(plane: Plane, samples: Tensor, accuracy: Tensor, tolerance: float) -> Tensor:
    """For each draw the largest normalised disagreement among samples at least about as accurate as ``accuracy``.

    About as accurate: at most ``tolerance`` below it, or below the best that samples and base reach if that is less.
    The base itself counts as a sample that never disagrees. The largest of many owes something to luck, here and in
    every draw, so that what solutions lie above it is rather too little than too much.
    """
    reached = torch.maximum(plane.accuracy[:, samples].max(dim=1).values, plane.base)
    enough = torch.minimum(accuracy, reached) - tolerance - ROUNDING
    values = plane.normalised[:, samples].nan_to_num(nan=0.0)
    return torch.where(plane.accuracy[:, samples] >= enough[:, None], values, 0.0).max(dim=1).values


def measure_plane(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """Everything that the tables of the study are made from."""
    return each_alone(context, jobs, _measure)


def _measure(context: Context, job: Job) -> Result:
    arguments = job.arguments
    members = comparable(job, arguments["split"])
    bases = [base for base in arguments["bases"] if base in members]
    if not bases:
        raise MemberFailed(f"none of the base solutions {arguments['bases']} came to the end", step=0)
    names: list[str] = arguments["subspaces"]
    kinds = [*names, TRAJECTORY, INDEPENDENT]
    resample = Resample(context.setup.seed, arguments["draws"], len(members), len(bases))
    points: list[dict[str, Tensor]] = []
    found: list[Mapping[str, Tensor]] = []
    drawn: list[Mapping[str, Tensor]] = []
    ensembles: list[Mapping[str, Any]] = []
    for base in bases:
        cloud = _cloud(context, job, members, base)
        told = partial(statistics, cloud=cloud, members=members, arguments=arguments, classes=context.classes)
        beside = _ensembles(context, job, members, base)
        found.append(told(plane_of(_means(cloud.values))) | _divergences(beside, _means))
        drawn.append(told(plane_of(resample.examples(cloud.values))) | _divergences(beside, resample.examples))
        places = torch.tensor([kinds.index(kind) for kind in cloud.kinds])
        points.append({**cloud.columns, "kind": places})
        ensembles += [
            {**row, "values": None, "interval": percentile_interval(drawn[-1][f"divergence_{row['kind']}"])}
            for row in beside
        ]
    rows = [resample.row(name, [told[name] for told in found], [told[name] for told in drawn]) for name in found[0]]
    facts = {"kinds": kinds, "classes": context.classes, "bases": bases, "members": members, "subspaces": names}
    facts |= {"steps": context.steps, "quantities": list(found[0])}
    facts |= {name: arguments[name] for name in ("split", "tolerance")}
    facts |= {"ensembles": [{n: row[n] for n in ("kind", "origin", "asked", "tried", "kept")} for row in ensembles]}
    files = {
        "points": {name: torch.cat([part[name] for part in points]) for name in points[0]},
        "rows": {"numbers": torch.tensor(rows, dtype=torch.float64)},
        "exponents": _exponents(names, found, drawn),
        "ensembles": {
            "numbers": torch.tensor(
                [[row["mean"], *row["interval"], row["accuracy"]] for row in ensembles], dtype=torch.float64
            )
        },
    }
    return Result(files, facts)


def _means(values: Tensor) -> Tensor:
    """Item means [1, item], one row at a time: the values may be many booleans."""
    return torch.stack([row.double().mean() for row in values])[None]


def statistics(
    plane: Plane, cloud: Cloud, members: Sequence[int], arguments: Mapping[str, Any], classes: int
) -> dict[str, Tensor]:
    """What one base's cloud says, for each draw: of every other solution [draw, member], or of the base [draw].

    The base's own place among the members is NaN.
    """
    samples, others = cloud.of(*arguments["subspaces"]), cloud.of(INDEPENDENT)
    normalised, accuracy = plane.normalised, plane.accuracy
    best = torch.stack(
        [best_of_equal_accuracy(plane, samples, accuracy[:, other], arguments["tolerance"]) for other in others], dim=1
    )
    dominated = torch.stack(
        [
            ((accuracy[:, samples] >= accuracy[:, [o]]) & (normalised[:, samples] >= normalised[:, [o]])).any(dim=1)
            for o in others
        ],
        dim=1,
    )
    near = (accuracy[:, samples] - plane.base[:, None]).abs() <= arguments["tolerance"] + ROUNDING
    places = [members.index(int(number)) for number in cloud.columns["number"][others]]

    def each_member(values: Tensor) -> Tensor:
        whole = torch.full((len(values), len(members)), torch.nan, dtype=torch.float64)
        whole[:, places] = values.double()
        return whole

    return {
        "gap": each_member(normalised[:, others] - best),
        "independent_normalised_disagreement": each_member(normalised[:, others]),
        "sample_of_equal_accuracy": each_member(best),
        "dominated": each_member(dominated),
        "sample_near_base": torch.where(near, normalised[:, samples].nan_to_num(nan=0.0), 0.0).max(dim=1).values,
        "accuracy_base": plane.base,
        "accuracy_independent": each_member(accuracy[:, others]),
    } | {
        f"exponent_{name}": fit_exponent(
            accuracy[:, rows := cloud.of(name)], plane.disagreement[:, rows], plane.base, classes
        )
        for name in arguments["subspaces"]
    }


def _divergences(ensembles: Sequence[Mapping[str, Any]], average: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """The mean Jensen-Shannon divergence of each kind of ensemble around one base, for each draw of examples."""
    means = average(torch.stack([row["values"] for row in ensembles]))
    return {f"divergence_{row['kind']}": means[:, place] for place, row in enumerate(ensembles)}


def _exponents(
    names: Sequence[str], found: Sequence[Mapping[str, Tensor]], drawn: Sequence[Mapping[str, Tensor]]
) -> dict[str, Tensor]:
    """Exponent and its interval for every base and subspace, [base, subspace, 3]."""
    rows = [
        [(float(value[f"exponent_{name}"][0]), *percentile_interval(draws[f"exponent_{name}"])) for name in names]
        for value, draws in zip(found, drawn, strict=True)
    ]
    return {"numbers": torch.tensor(rows, dtype=torch.float64)}


class Resample:
    """Choices of examples, of bases and of solutions, the same ones whatever they are asked of."""

    def __init__(self, root: int, draws: int, members: int, bases: int) -> None:
        self.root, self.draws = root, draws
        chance = generator(root, "bootstrap", "diversity_accuracy", "solutions")
        self.base_weight = _times(bases, draws, chance)
        self.member_weight = _times(members, draws, chance)

    def examples(self, values: Tensor) -> Tensor:
        """Item means [draw, item] over resampled examples."""
        return bootstrap_means(values, self.draws, generator(self.root, "bootstrap", "diversity_accuracy", "examples"))

    def row(self, quantity: str, found: Sequence[Tensor], drawn: Sequence[Tensor]) -> tuple[float, ...]:
        """Value, interval, least, most, count of one quantity, from what each base says at large and in every draw.

        The interval is over examples and bases, for a quantity of pairs over solutions as well.
        """
        values = torch.stack([value[0] for value in found])
        stacked = torch.stack(list(drawn), dim=1)
        weight = self.base_weight if stacked.ndim == 2 else self.base_weight[:, :, None] * self.member_weight[:, None]
        weight = torch.where(stacked.isnan(), 0.0, weight).flatten(1)
        means = (weight * stacked.nan_to_num(nan=0.0).flatten(1)).sum(dim=1) / weight.sum(dim=1)
        known = values[~values.isnan()]
        ends = (float(known.min()), float(known.max())) if len(known) else (torch.nan, torch.nan)
        return (float(known.mean()), *percentile_interval(means), *ends, len(known))


def _times(count: int, draws: int, chance: torch.Generator) -> Tensor:
    """How often each of ``count`` things is drawn in a resampling of them, [draw, thing]."""
    index = torch.randint(0, count, (draws, count), generator=chance)
    return torch.nn.functional.one_hot(index, count).sum(dim=1).double()


def _cloud(context: Context, job: Job, members: Sequence[int], base: int) -> Cloud:
    split = job.arguments["split"]
    targets = context.splits[split].targets.cpu()
    path = logits_of(job, base, split)
    own = path[-1].argmax(dim=-1)
    kinds: list[str] = []
    classes: list[Tensor] = []
    rows: dict[str, list[float]] = {name: [] for name in ("origin", "number", "scale", *SCORES)}
    for name in job.arguments["subspaces"]:
        drawn = job.inputs[f"draw/plane/{name}/member/{base}"]().files["drawn"]
        kinds += [name] * len(drawn["scale"])
        classes.append(drawn["classes"].long())
        rows["number"] += range(len(drawn["scale"]))
        for column in ("scale", *SCORES):
            rows[column] += drawn[column].tolist()
    late = range(max(0, len(path) - job.arguments["late"]), len(path) - 1)
    others = [m for m in members if m != base]
    beside = [(TRAJECTORY, place, path[place]) for place in late]
    beside += [(INDEPENDENT, m, logits_of(job, m, split)[-1]) for m in others]
    for kind, number, logits in beside:
        kinds.append(kind)
        classes.append(logits.argmax(dim=-1)[None])
        rows["number"].append(number)
        rows["scale"].append(torch.nan)
        for column, value in divergences(logits, path[-1], targets).items():
            rows[column].append(value)
    rows["origin"] = [base] * len(kinds)
    stacked = torch.cat(classes)
    values = torch.cat([~correct(own[None], targets), ~correct(stacked, targets), differing(stacked, own)])
    plane = plane_of(_means(values))
    columns = {name: torch.tensor(found, dtype=torch.float64) for name, found in rows.items()}
    columns |= {
        "base_accuracy": plane.base.expand(len(kinds)).clone(),
        "base_nll": nll(path[-1:], targets).expand(len(kinds)).clone(),
        "accuracy": plane.accuracy[0],
        "disagreement": plane.disagreement[0],
        "normalised_disagreement": plane.normalised[0],
    }
    return Cloud(base, kinds, columns, values)


def _ensembles(context: Context, job: Job, members: Sequence[int], base: int) -> list[dict[str, Any]]:
    """Ensembles of each kind around one base: Jensen-Shannon divergence and accuracy, example by example."""
    split, count = job.arguments["split"], job.arguments["ensemble"]
    targets = context.splits[split].targets.cpu()
    found: list[dict[str, Any]] = []
    for name in job.arguments["subspaces"]:
        result = job.inputs[f"draw/ensemble/{name}/member/{base}"]()
        drawn = result.files["ensemble"]
        counts = {n: result.facts[n] for n in ("asked", "tried", "kept")}
        found.append(
            {"kind": name, "origin": base, **counts, "values": drawn["jensen_shannon"], "classes": drawn["classes"]}
        )
    place = members.index(base)
    circle = [*members[place:], *members[:place]][:count]
    path = logits_of(job, base, split)
    late = path[-min(job.arguments["late"], len(path)) :]
    even = torch.linspace(0, len(late) - 1, min(count, len(late))).round().long()
    groups = {
        INDEPENDENT: torch.stack([logits_of(job, m, split)[-1] for m in circle]),
        **({TRAJECTORY: late[even]} if len(late) > 1 else {}),
    }
    for kind, logits in groups.items():
        mean = ensemble_probabilities(Predictions(logits, targets, tuple(range(len(logits))), split))
        counts = {"asked": count, "tried": len(logits), "kept": len(logits)}
        values = {"values": jensen_shannon(logits), "classes": mean.argmax(dim=-1)}
        found.append({"kind": kind, "origin": base, **counts, **values})
    return [
        {
            **row,
            "mean": float(row["values"].mean()),
            "accuracy": float((row["classes"].cpu() == targets).double().mean()),
        }
        for row in found
    ]
