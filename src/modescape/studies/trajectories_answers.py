"""The answer of the study ``trajectories`` in numbers, intervals and words."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from modescape.core.diversity.disagreement import normalised_disagreement, pairwise_per_example
from modescape.core.scores.intervals import bootstrap_means, percentile_interval
from modescape.core.seeds import generator
from modescape.studies.trajectories_words import with_sentences
from modescape.studies.words import Row
from modescape.tables import ANSWERS, Table, from_rows

Statistic = Callable[[Mapping[str, Tensor]], Tensor]
"""From item means by group, each [draw, item], to one number for each draw."""


@dataclass(frozen=True)
class Compared:
    """What ``compare`` found, and what the words need to know of the data."""

    tensors: Mapping[str, Tensor]
    has_norm: bool
    class_count: int
    split: str
    steps_per_epoch: int

    def rows_of(self, member: int) -> Tensor:
        """Positions of a member's checkpoints."""
        return (self.tensors["member"] == member).nonzero()[:, 0]

    def last_quarter(self, member: int) -> Tensor:
        """Positions of a member's checkpoints in the last quarter of its steps, at least the last two."""
        rows = self.rows_of(member)
        steps = self.tensors["step"][rows]
        late = rows[steps > 0.75 * steps[-1]]
        return late if len(late) >= 2 else rows[-2:]


def answers(found: Compared, purities: Sequence[float], root: int, draws: int) -> Table:
    """The table of answers, from two members on."""
    tensors = found.tensors
    members = sorted(set(tensors["member"].tolist()))
    classes, targets = tensors["classes"].long(), tensors["targets"].long()
    solutions = torch.stack([found.rows_of(m)[-1] for m in members])
    starts = torch.stack([found.rows_of(m)[0] for m in members])
    pairs = torch.tensor(list(combinations(range(len(members)), 2)))
    final = classes[solutions]
    groups = {
        "within": torch.stack(
            [pairwise_per_example(classes[found.last_quarter(m)], found.class_count) for m in members]
        ),
        "between": (final[pairs[:, 0]] != final[pairs[:, 1]]).double(),
        "error": (final != targets).double(),
        "ends": (classes[starts] != final).double(),
        "ensemble": (tensors["ensemble_classes"].long() != targets).double()[None],
    }
    resampled = _resample(groups, draws, generator(root, "bootstrap", "trajectories"))
    means = {name: values.mean(dim=1)[None] for name, values in groups.items()}
    within_pairs = torch.cat([_upper(tensors["disagreement"], found.last_quarter(m)) for m in members])
    writer = _Writer(means, resampled)
    between = _upper(tensors["disagreement"], solutions)
    normalised = _each_normalised(means, pairs)[0]
    writer.row("disagreement_ratio", lambda g: g["between"].mean(1) / g["within"].mean(1), None)
    writer.row("disagreement_between", lambda g: g["between"].mean(1), between)
    writer.row("disagreement_within", lambda g: g["within"].mean(1), within_pairs)
    writer.row("normalised_disagreement", lambda g: _each_normalised(g, pairs).nanmean(1), normalised)
    writer.fixed("similarity_between", _upper(tensors["similarity"], solutions))
    if found.has_norm:
        writer.fixed("similarity_between_without_norm", _upper(tensors["similarity_without_norm"], solutions))
    writer.fixed("purity_second_half", torch.tensor(list(purities), dtype=torch.float64))
    writer.row("accuracy_member", lambda g: 1 - g["error"].mean(1), 1 - means["error"][0])
    writer.row("accuracy_ensemble", lambda g: 1 - g["ensemble"].mean(1), None)
    writer.row("ensemble_gain", lambda g: g["error"].mean(1) - g["ensemble"].mean(1), None)
    writer.row("disagreement_start_end", lambda g: g["ends"].mean(1), means["ends"][0])
    writer.fixed("similarity_start_end", tensors["similarity"][starts, solutions])
    return from_rows(ANSWERS, with_sentences(writer.rows, found.split, 1 / found.class_count))


def _resample(groups: Mapping[str, Tensor], draws: int, chance: torch.Generator) -> dict[str, Tensor]:
    """Item means of every group over the same resampled examples."""
    sizes = [len(values) for values in groups.values()]
    means = bootstrap_means(torch.cat(list(groups.values())), draws, chance)
    return dict(zip(groups, means.split(sizes, dim=1), strict=True))


def _upper(matrix: Tensor, rows: Tensor) -> Tensor:
    part = matrix[rows][:, rows]
    first, second = torch.triu_indices(len(rows), len(rows), offset=1)
    return part[first, second]


def _each_normalised(groups: Mapping[str, Tensor], pairs: Tensor) -> Tensor:
    """Disagreement over the error of the compared member, for every ordered pair; NaN where it makes none."""
    first, second = groups["error"][:, pairs[:, 0]], groups["error"][:, pairs[:, 1]]
    return torch.cat([normalised_disagreement(groups["between"], error) for error in (second, first)], dim=1)


class _Writer:
    """Collects rows, each with its interval over examples and its spread."""

    def __init__(self, means: Mapping[str, Tensor], resampled: Mapping[str, Tensor]) -> None:
        self.means, self.resampled = means, resampled
        self.rows: list[Row] = []

    def row(self, quantity: str, statistic: Statistic, spread: Tensor | None) -> None:
        value = float(statistic(self.means)[0])
        low, high = percentile_interval(statistic(self.resampled))
        self._add(quantity, value, (low, high), spread)

    def fixed(self, quantity: str, values: Tensor) -> None:
        self._add(quantity, float(values.mean()), (np.nan, np.nan), values)

    def _add(self, quantity: str, value: float, interval: tuple[float, float], spread: Tensor | None) -> None:
        known = spread[~spread.isnan()] if spread is not None else torch.empty(0)
        least, most = (float(known.min()), float(known.max())) if len(known) else (np.nan, np.nan)
        self.rows.append(
            {
                "quantity": quantity,
                "value": value,
                "low": interval[0],
                "high": interval[1],
                "least": least,
                "most": most,
                "count": len(known) if spread is not None else 1,
            }
        )
