"""Ensembles and their scores as the tables of the studies ``ensembling`` and ``shift`` hold them, and their names."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from modescape.tables import Table, title_of

INDEPENDENT, BOOTSTRAP = "independent", "bootstrap"
LIKELIHOOD = "calibrated_nll"
"""The score that verdicts and equivalents go by."""
_NAMED_SIZES = (1, 2, 5)
_NAN = float("nan")


class Ensemble(NamedTuple):
    """One ensemble: a method, how many networks it starts from, how many members each has."""

    method: str
    solutions: int
    samples: int

    @property
    def passes(self) -> int:
        """Forward passes for a prediction."""
        return self.solutions * self.samples


class Score(NamedTuple):
    """A score with its 95% interval, and its range over subsets or families."""

    value: float
    low: float
    high: float
    least: float = _NAN
    most: float = _NAN


Scores = dict[Ensemble, Score]


def scores_in(table: Table, quantity: str = "value", **where: Any) -> Scores:
    """The finite or infinite ``quantity`` of every ensemble, in the rows whose columns are as ``where`` says."""
    rows = ~np.isnan(table[quantity])
    for column, wanted in where.items():
        rows &= table[column] == wanted
    keys = zip(*(table[name][rows].tolist() for name in Ensemble._fields), strict=True)
    ranged = [name for name in ("least", "most") if name in table.schema.names]
    values = zip(*(table[name][rows].tolist() for name in (quantity, "low", "high", *ranged)), strict=True)
    return {Ensemble(*key): Score(*value) for key, value in zip(keys, values, strict=True)}


def methods_of(ensembles: Iterable[Ensemble]) -> list[str]:
    """The methods, each once, in the order in which they first appear."""
    return list(dict.fromkeys(ensemble.method for ensemble in ensembles))


def fullest(ensembles: Iterable[Ensemble]) -> list[Ensemble]:
    """Of every method and number of networks the ensemble with most members around each."""
    most: dict[tuple[str, int], Ensemble] = {}
    for one in ensembles:
        known = most.get((one.method, one.solutions))
        if known is None or one.samples > known.samples:
            most[one.method, one.solutions] = one
    return list(most.values())


def of_size(ensembles: Iterable[Ensemble], method: str, solutions: int) -> Ensemble | None:
    """The fullest ensemble of a method from so many networks; None if there is none."""
    return next((one for one in fullest(ensembles) if (one.method, one.solutions) == (method, solutions)), None)


def largest_independent(ensembles: Iterable[Ensemble]) -> Ensemble | None:
    """The ensemble of most independent networks; None if there is none."""
    return max((e for e in ensembles if e.method == INDEPENDENT), key=lambda e: e.solutions, default=None)


def worth_a_line(ensembles: Iterable[Ensemble]) -> list[Ensemble]:
    """The ensembles of a table: 1, 2, 5 and all independent networks, then the others from one and from most networks.

    Of every method with all its members.
    """
    full = fullest(ensembles)
    largest = largest_independent(full)
    sizes = {*_NAMED_SIZES, largest.solutions if largest else 1}
    lines = sorted(one for one in full if one.method == INDEPENDENT and one.solutions in sizes)
    for method in methods_of(full):
        if method != INDEPENDENT:
            mine = sorted((one.solutions, one) for one in full if one.method == method)
            lines += [one for size, one in mine if size in (1, mine[-1][0])]
    return lines


def called(ensemble: Ensemble) -> str:
    """An ensemble in words, as the studies' answers say it."""
    method, solutions, samples = ensemble
    networks = "one network" if solutions == 1 else f"{solutions} networks"
    if method == INDEPENDENT:
        return "one network" if solutions == 1 else f"{solutions} independent networks"
    if method == BOOTSTRAP:
        return f"{networks} on bootstrap samples"
    few = "" if samples == 1 else f", {samples} members each" if solutions > 1 else f", {samples} members"
    return f"{title_of(method)} of {networks}{few}"


def best_of(scores: Scores, smallest: bool = True) -> Ensemble | None:
    """The ensemble with the best finite value, the first of equals; None if there is none."""
    known = [one for one, score in scores.items() if np.isfinite(score.value)]
    sign = 1 if smallest else -1
    return min(known, key=lambda one: sign * scores[one].value, default=None)


def with_interval(score: Score, percent: bool = False) -> str:
    """A score in a sentence: its value and, where there is one, its interval."""

    def show(value: float) -> str:
        return f"{value:.1%}" if percent else f"{value:.3f}"

    if np.isnan(score.low) or np.isnan(score.high):
        return show(score.value)
    return f"{show(score.value)} (95% interval {show(score.low)} to {show(score.high)})"
