"""The table of the study ``ensembling``: every ensemble worth a line, its scores and what it costs."""

import math
from collections.abc import Callable, Mapping

from modescape.app.report.ensembles import INDEPENDENT, Ensemble, Score, largest_independent, scores_in, worth_a_line
from modescape.app.report.score_table import (
    EMPTY,
    Cell,
    Column,
    Group,
    ScoreTable,
    cell_of,
    decimals,
    line_of,
    percent,
    score_table,
)
from modescape.tables import Table

_SCORES: dict[str, tuple[Column, Callable[[float], str]]] = {
    "accuracy": (Column("Accuracy", "", 1), percent),
    "nll": (Column("NLL", "nats", -1), decimals(3)),
    "calibrated_nll": (Column("Calibrated NLL", "nats", -1), decimals(3)),
    "brier": (Column("Brier score", "", -1), decimals(3)),
    "calibration_error": (Column("Calibration error", "", -1), decimals(4)),
    "jensen_shannon": (Column("Jensen-Shannon", "nats"), decimals(3)),
    "risk_coverage_area": (Column("Risk-coverage", "area", -1), decimals(4)),
}
_COSTS = (
    Column("Forward passes", "for a prediction"),
    Column("Training cost", "in networks"),
    Column("Deep-ensemble equivalent", "independent networks", 1),
)
_NOTE = (
    "Every method with all its members, from one network and from most. Scores are means over subsets of as many "
    "networks, small numbers are 95% intervals over examples. Bold and underlined is the best of a column, which "
    "need not be better decidedly; of the divergence between members neither more nor less is better in itself."
)


def ensemble_table(tables: Mapping[str, Table]) -> ScoreTable | None:
    """The table; None if there is nothing to show."""
    scores = {name: scores_in(tables["scores"], score=name) for name in _SCORES}
    lines = worth_a_line(dict.fromkeys(one for found in scores.values() for one in found))
    if not lines:
        return None
    relative = training_costs(tables["costs"])
    equivalents = scores_in(tables["equivalents"], "equivalent")
    largest = largest_independent(lines)
    most = largest.solutions if largest else 1

    def cells(one: Ensemble) -> list[Cell]:
        told = [cell_of(scores[name].get(one), show) for name, (_, show) in _SCORES.items()]
        if one.passes == 1:
            # The divergence of a single member is zero by definition, and says nothing.
            told[list(_SCORES).index("jensen_shannon")] = EMPTY
        cost = relative.get((one.method, one.samples), math.nan) * one.solutions
        training = EMPTY if math.isnan(cost) else Cell(f"{cost:.2f}", "", cost)
        return [*told, Cell(f"{one.passes:,}", "", one.passes), training, _equivalent(equivalents.get(one), most)]

    columns = (*(column for column, _ in _SCORES.values()), *_COSTS)
    return score_table("The ensembles", _NOTE, [Group("", columns)], [line_of(one, cells(one)) for one in lines])


def training_costs(costs: Table) -> dict[tuple[str, int], float]:
    """(method, samples) -> what one of its networks costs, in trainings of one independent network."""
    keys = zip(costs["method"].tolist(), costs["samples"].tolist(), strict=True)
    found = dict(zip(keys, costs["relative"].tolist(), strict=True))
    return {(INDEPENDENT, 1): 1.0} | {key: value for key, value in found.items() if math.isfinite(value)}


def _equivalent(score: Score | None, most: int) -> Cell:
    """How many networks it is worth; the ends of the scale are "at most 1" and "more than all"."""
    if score is None:
        return EMPTY
    low, high = (_end(end, most) for end in (score.low, score.high))
    # Of independent networks it is their own number, by definition.
    note = "" if math.isnan(score.low) or low == high == _end(score.value, most) else _spanned(low, high)
    return Cell(_end(score.value, most), note, score.value)


def _end(value: float, most: int) -> str:
    if value <= 1:
        return "\N{LESS-THAN OR EQUAL TO} 1"
    return f"> {most}" if math.isinf(value) else f"{value:.1f}"


def _spanned(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"
