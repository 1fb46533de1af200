"""Scores of many ensembles, found by method, samples, solutions and score; differences are paired by their draws."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from modescape.core.scores.intervals import percentile_interval


class Ensemble(NamedTuple):
    """One ensemble: a method, how many solutions it starts from, how many members each has."""

    method: str
    solutions: int
    samples: int

    @property
    def passes(self) -> int:
        """Forward passes for a prediction."""
        return self.solutions * self.samples


@dataclass(frozen=True)
class Estimate:
    """A value with its 95% interval."""

    value: float
    low: float
    high: float


def estimate(draws: Tensor) -> Estimate:
    """From a score's draws, of which the first is its value."""
    return Estimate(float(draws[0]), *percentile_interval(draws[1:]))


@dataclass(frozen=True)
class Board:
    """``draws[ensemble]`` is [score, 1 + draw] and ``spread[ensemble]`` [score, least/most/subsets]."""

    scores: Sequence[str]
    draws: Mapping[Ensemble, Tensor]
    spread: Mapping[Ensemble, Tensor]

    def __contains__(self, ensemble: object) -> bool:
        return ensemble in self.draws

    def of(self, ensemble: Ensemble, score: str) -> Tensor:
        """A score's draws [1 + draw]."""
        return self.draws[ensemble][list(self.scores).index(score)]

    def ensembles(self, method: str | None = None) -> list[Ensemble]:
        """All ensembles, or those of one method, in order."""
        return [ensemble for ensemble in self.draws if method in (None, ensemble.method)]

    @property
    def methods(self) -> list[str]:
        """The methods, in order."""
        return list(dict.fromkeys(ensemble.method for ensemble in self.draws))

    def largest(self, method: str) -> int:
        """The most samples of a method around one solution."""
        return max(ensemble.samples for ensemble in self.ensembles(method))

    def rows(self, split: str) -> Iterator[dict[str, Any]]:
        """The rows of the table ``scores``; what an ensemble has no value for is left out."""
        for ensemble, draws in self.draws.items():
            for place, score in enumerate(self.scores):
                least, most, count = self.spread[ensemble][place].tolist()
                if count != count or bool(draws[place].isnan().all()):
                    continue
                found = estimate(draws[place])
                yield {
                    "split": split,
                    **ensemble._asdict(),
                    "score": score,
                    **vars(found),
                    "least": least,
                    "most": most,
                    "subsets": int(count),
                }


def board_of(results: Mapping[str, tuple[Sequence[int], Sequence[str], Mapping[str, Mapping[str, Tensor]]]]) -> Board:
    """The board of several methods: method -> its numbers of samples, its scores, and its files (``packed_scores``)."""
    names = list(dict.fromkeys(name for _, scores, _ in results.values() for name in scores))
    draws: dict[Ensemble, Tensor] = {}
    spread: dict[Ensemble, Tensor] = {}
    for method, (counts, scores, files) in results.items():
        index = torch.tensor([scores.index(name) if name in scores else -1 for name in names])
        for count in counts:
            found = files[f"samples_{count}"]
            for size in range(len(found["draws"])):
                ensemble = Ensemble(method, size + 1, count)
                draws[ensemble] = _aligned(found["draws"][size], index)
                spread[ensemble] = _aligned(found["spread"][size], index)
    return Board(names, draws, spread)


def _aligned(rows: Tensor, index: Tensor) -> Tensor:
    found = rows[index.clamp(min=0)].clone()
    found[index < 0] = torch.nan
    return found
