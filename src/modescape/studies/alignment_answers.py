"""The tables and the answers of the study ``alignment``: barriers in numbers and intervals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from modescape.core.landscape.alignment import barrier
from modescape.core.scores.intervals import bootstrap_means, percentile_interval
from modescape.core.seeds import generator
from modescape.studies.abstract import Result
from modescape.studies.alignment_words import with_sentences
from modescape.studies.words import Row
from modescape.tables import ANSWERS, Table, from_rows


@dataclass(frozen=True)
class Aligned:
    """One pair by one method: what its task gave, seen on the study's split."""

    result: Result
    split: str

    @property
    def facts(self) -> Mapping[str, Any]:
        """See ``align_pairs``."""
        return self.result.facts

    @property
    def method(self) -> str:
        """How the pair was matched."""
        method: str = self.facts["method"]
        return method

    @property
    def pair(self) -> dict[str, int]:
        """Numbers of the two solutions."""
        first, second = self.facts["pair"]
        return {"member_a": first, "member_b": second}

    @cached_property
    def positions(self) -> Tensor:
        """Places of the points between the ends, from 0 to 1 (float64)."""
        return torch.linspace(0, 1, len(self.losses()), dtype=torch.float64)

    def losses(self, split: str | None = None) -> Tensor:
        """Losses [point, example]."""
        return self.result.files[split or self.split]["losses"]

    def right(self, split: str | None = None) -> Tensor:
        """Whether classes are the targets [point, example]."""
        found = self.result.files[split or self.split]
        return found["classes"] == found["targets"]

    def differing(self, point: int, other: int) -> Tensor:
        """Where the classes of two points differ [example]."""
        classes = self.result.files[self.split]["classes"]
        return classes[point] != classes[other]

    @property
    def middle(self) -> int:
        """The number of the point halfway."""
        return len(self.positions) // 2

    def barrier(self, split: str) -> float:
        """The barrier of the mean loss over examples."""
        return float(barrier(self.losses(split).mean(dim=1), self.positions))


def row_of(aligned: Aligned) -> dict[str, Any]:
    """One row of the table ``alignments``."""
    middle, facts = aligned.middle, aligned.facts
    told = {name: facts[name] for name in ("moved", "similarity", "proof_disagreement", "proof_difference")}
    return {
        **aligned.pair,
        "method": aligned.method,
        **told,
        "disagreement": _mean(aligned.differing(0, -1)),
        "barrier": aligned.barrier(aligned.split),
        "barrier_train": aligned.barrier("train"),
        "middle_accuracy": _mean(aligned.right()[middle]),
        "middle_nll": _mean(aligned.losses()[middle]),
        "middle_disagreement_a": _mean(aligned.differing(middle, 0)),
        "middle_disagreement_b": _mean(aligned.differing(middle, -1)),
    }


def profile_rows(aligned: Aligned) -> list[dict[str, Any]]:
    """Rows of the table ``aligned_lines``: a split after the other, from the first solution to the second."""
    rows = []
    for split in dict.fromkeys((aligned.split, "train")):
        nll, accuracy = aligned.losses(split).mean(dim=1), aligned.right(split).double().mean(dim=1)
        straight = nll[0] * (1 - aligned.positions) + nll[-1] * aligned.positions
        named = {"position": aligned.positions, "accuracy": accuracy, "nll": nll, "straight": straight}
        columns = [column.tolist() for column in named.values()]
        where = {**aligned.pair, "method": aligned.method, "split": split}
        rows += [{**where, **dict(zip(named, values, strict=True))} for values in zip(*columns, strict=True)]
    return rows


def _mean(values: Tensor) -> float:
    return float(values.double().mean())


Statistic = Callable[[Tensor], Tensor]
"""From means over examples [draw, pair, item] to a number for each draw and pair."""


def answers(found: Sequence[Aligned], root: int, draws: int) -> Table:
    """The answers; the spread is over pairs, intervals are over examples."""
    by_method: dict[str, list[Aligned]] = {}
    for aligned in found:
        by_method.setdefault(aligned.method, []).append(aligned)
    positions = found[0].positions
    measured = {method: _Measured(own, root, draws) for method, own in by_method.items()}
    before = measured["none"]
    methods = [method for method in measured if method != "none"]

    def barriers(split: str) -> dict[str, _Number]:
        return {m: own.of(lambda a: a.losses(split), lambda n: barrier(n, positions)) for m, own in measured.items()}

    here, train = barriers(found[0].split), barriers("train")
    # On training examples, so that the choice looks at none that the answer is about.
    best = min(methods, key=lambda method: float(train[method].each.mean()))
    rows = [here[best].over(here["none"], "barrier_left")]
    rows += [own.row(f"barrier_{method}") for method, own in here.items()]
    rows += [own.row(f"barrier_train_{method}") for method, own in train.items()]
    rows.append(before.of(lambda m: m.differing(0, -1)[None], _first).row("disagreement"))
    rows.append(before.of(lambda m: m.right()[[0, -1]], lambda means: means.mean(dim=-1)).row("accuracy_ends"))
    for method, own in measured.items():
        rows.append(own.of(_middle_differs, lambda means: means.mean(dim=-1)).row(f"middle_disagreement_{method}"))
        rows.append(own.of(lambda m: m.right()[[m.middle]], _first).row(f"middle_accuracy_{method}"))
        rows.append(_fixed(f"similarity_{method}", [m.facts["similarity"] for m in by_method[method]]))
    facts = {"best": best, "split": found[0].split, "chance": 1 / found[0].facts["classes"]}
    return from_rows(ANSWERS, with_sentences(rows, facts))


def _first(means: Tensor) -> Tensor:
    return means[..., 0]


def _middle_differs(aligned: Aligned) -> Tensor:
    return torch.stack([aligned.differing(aligned.middle, end) for end in (0, -1)])


@dataclass(frozen=True)
class _Number:
    """A number for every pair, and its mean over pairs in every bootstrap draw."""

    each: Tensor
    drawn: Tensor

    def row(self, quantity: str) -> Row:
        return _row(quantity, float(self.each.mean()), self.drawn, self.each)

    def over(self, before: "_Number", quantity: str) -> Row:
        """The ratio of two means. It has no value where there was nothing before."""
        value = _ratio(self.each.mean()[None], before.each.mean()[None])
        return _row(quantity, float(value[0]), _ratio(self.drawn, before.drawn), _ratio(self.each, before.each))


def _ratio(after: Tensor, before: Tensor) -> Tensor:
    return torch.where(before > 0, after / before, torch.nan)


class _Measured:
    """All pairs by one method; every method sees the same bootstrap draws."""

    def __init__(self, pairs: Sequence[Aligned], root: int, draws: int) -> None:
        self.pairs, self.root, self.draws = pairs, root, draws

    def of(self, values: Callable[[Aligned], Tensor], statistic: Statistic) -> _Number:
        """A statistic of values [item, example]: for every pair, and in bootstrap draws of examples."""
        stacked = torch.stack([values(pair).double() for pair in self.pairs])
        each = statistic(stacked.mean(dim=-1))
        chance = generator(self.root, "bootstrap", "alignment")
        means = bootstrap_means(stacked.flatten(0, 1), self.draws, chance).unflatten(1, stacked.shape[:2])
        return _Number(each, statistic(means).mean(dim=1))


def _fixed(quantity: str, values: Sequence[float]) -> Row:
    numbers = torch.tensor(values, dtype=torch.float64)
    return _row(quantity, float(numbers.mean()), torch.full((1,), torch.nan), numbers)


def _row(quantity: str, value: float, drawn: Tensor, each: Tensor) -> Row:
    low, high = percentile_interval(drawn)
    known = each[~each.isnan()]
    least, most = (float(known.min()), float(known.max())) if len(known) else (torch.nan, torch.nan)
    spread = {"least": least, "most": most, "count": len(each)}
    return {"quantity": quantity, "value": value, "low": low, "high": high, **spread}
