"""How a claim's number is computed from the tables of a run."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from modescape.tables import Table

PAPERS = ("random_direction", "weight_dropout", "diagonal_gaussian", "low_rank_gaussian")
"""The subspaces of the paper's figure 6."""
PAPERS_METHODS = ("random_direction", "diagonal_gaussian", "low_rank_gaussian", "random_pca", "weight_average")
"""The methods around one solution of the paper's figure 8."""
POINT = 0.01
ROUNDING = 1e-9
_NAN = math.nan

Cell = Mapping[str, Any]
Tables = Mapping[str, Mapping[str, Table]]
"""Study -> table name -> table."""


class NotMeasured(Exception):
    """Why a run does not tell."""


@dataclass(frozen=True)
class Measured:
    """A number, its 95% interval and its range over members, pairs or subsets if it has them, ``detail`` in words."""

    value: float
    low: float = _NAN
    high: float = _NAN
    least: float = _NAN
    most: float = _NAN
    detail: str = ""


def table_of(tables: Tables, name: str) -> Table:
    """A table by "study.table". Raises ``NotMeasured``."""
    study, _, table = name.partition(".")
    if study not in tables:
        raise NotMeasured(f"the study {study} was not run")
    return tables[study][table]


def cell_in(tables: Tables, cell: Cell) -> Measured:
    """The one row that a cell names. Raises ``NotMeasured``."""
    table = table_of(tables, str(cell["table"]))
    if "split" in cell and not (table["split"] == cell["split"]).any():
        raise NotMeasured(f"the split {cell['split']} was not there")
    rows = _rows(tables, cell)
    if len(rows) != 1:
        named = ", ".join(f"{name} {value}" for name, value in cell.items() if name not in _PLACE)
        raise NotMeasured(f"{cell['table']} has {len(rows) or 'no'} rows with {named}")
    row = rows[0]
    if math.isnan(row["value"]):
        raise NotMeasured(f"{cell['table']}: it has no value here")
    return Measured(*(row.get(name, _NAN) for name in ("value", "low", "high", "least", "most")))


_PLACE = ("table", "data", "network")


def _rows(tables: Tables, cell: Cell) -> list[dict[str, Any]]:
    table = table_of(tables, str(cell["table"]))
    chosen = np.ones(len(table), bool)
    for name, wanted in cell.items():
        if name not in _PLACE:
            chosen &= table[name] == wanted
    return [row for row, kept in zip(table.rows(), chosen.tolist(), strict=True) if kept]


Reader = Callable[[Cell], Measured]
"""Reads a cell of the run that is judged, or of the run that the cell names."""


def _value(read: Reader, cells: Sequence[Cell], tables: Tables) -> Measured:
    return read(cells[0])


def _magnitude(read: Reader, cells: Sequence[Cell], tables: Tables) -> Measured:
    found = read(cells[0])
    return replace(found, value=abs(found.value))


def _smallest(read: Reader, cells: Sequence[Cell], tables: Tables) -> Measured:
    found = [read(cell) for cell in cells]
    return Measured(min(one.value if math.isnan(one.least) else one.least for one in found))


def _range(read: Reader, cells: Sequence[Cell], tables: Tables) -> Measured:
    found = read(cells[0])
    if math.isnan(found.least) or math.isnan(found.most):
        raise NotMeasured("there are too few to have a range")
    return Measured(found.most - found.least, detail=f"from {found.least:.3f} to {found.most:.3f}")


def _difference(read: Reader, cells: Sequence[Cell], tables: Tables) -> Measured:
    first, second = (read(cell) for cell in cells)
    # Tables do not tell how both vary together: the interval is that of the worst case, and so too wide.
    return Measured(
        first.value - second.value,
        first.low - second.high,
        first.high - second.low,
        detail=f"{first.value:.3f} and {second.value:.3f}",
    )


def _ratio(read: Reader, cells: Sequence[Cell], tables: Tables) -> Measured:
    first, second = (read(cell) for cell in cells)
    if second.value == 0:
        raise NotMeasured("its denominator is 0")
    told = f"{first.value:.3f} and {second.value:.3f}"
    if not (first.low >= 0 and second.low > 0):
        return Measured(first.value / second.value, detail=told)
    return Measured(first.value / second.value, first.low / second.high, first.high / second.low, detail=told)


def _falls(read: Reader, cells: Sequence[Cell], tables: Tables) -> Measured:
    values = [read(cell).value for cell in cells]
    steps = [before - after for before, after in pairwise(values)]
    return Measured(min(steps), detail=", ".join(f"{value:.3f}" for value in values))


def _rises(read: Reader, cells: Sequence[Cell], tables: Tables) -> Measured:
    rows = sorted(_rows(tables, cells[0]), key=lambda row: row["severity"])
    if len(rows) < 2:
        raise NotMeasured(f"{cells[0]['table']} has it at fewer than two severities")
    values = [row["value"] for row in rows]
    steps = [after - before for before, after in pairwise(values)]
    return Measured(min(steps), detail=", ".join(f"{value:.3f}" for value in values))


def _without_norm(read: Reader, cells: Sequence[Cell], tables: Tables) -> Measured:
    pairs = table_of(tables, "trajectories.pairs")
    found = _between_solutions(pairs)["similarity_without_norm"]
    return Measured(float(found.mean()), least=float(found.min()), most=float(found.max()))


def _between_solutions(pairs: Table) -> Mapping[str, np.ndarray]:
    """Rows of ``pairs`` whose checkpoints are the last of two different members."""
    last: dict[int, int] = {}
    for side in "ab":
        for member, checkpoint in zip(pairs[f"member_{side}"], pairs[f"checkpoint_{side}"], strict=True):
            last[int(member)] = max(int(checkpoint), last.get(int(member), 0))
    ends = [
        np.array([last[int(member)] for member in pairs[f"member_{side}"]]) == pairs[f"checkpoint_{side}"]
        for side in "ab"
    ]
    chosen = ends[0] & ends[1] & (pairs["member_a"] != pairs["member_b"])
    if not chosen.any():
        raise NotMeasured("there is one solution alone")
    return {name: pairs[name][chosen] for name in pairs.schema.names}


def _first_to_last(column: str) -> Callable[[Reader, Sequence[Cell], Tables], Measured]:
    def measure(read: Reader, cells: Sequence[Cell], tables: Tables) -> Measured:
        pairs, points = table_of(tables, "trajectories.pairs"), table_of(tables, "trajectories.checkpoints")
        first = {int(m): int(c) for m, c, e in _columns(points, "member", "checkpoint", "epoch") if abs(e - 1) < 1e-6}
        last = {int(m): int(c) for m, c in _columns(points, "member", "checkpoint")}
        columns = ("member_a", "checkpoint_a", "member_b", "checkpoint_b", column)
        found = [
            value
            for a, at, b, to, value in _columns(pairs, *columns)
            if a == b and {at, to} == {first.get(a), last[a]} and first.get(a) != last[a]
        ]
        if not found:
            raise NotMeasured("no checkpoint was recorded at the end of the first epoch")
        return Measured(float(np.mean(found)), least=float(min(found)), most=float(max(found)))

    return measure


def _columns(table: Table, *names: str, kept: np.ndarray | None = None) -> Iterator[tuple[Any, ...]]:
    rows = slice(None) if kept is None else kept
    return zip(*(table[name][rows].tolist() for name in names), strict=True)


def _limit_curves(read: Reader, cells: Sequence[Cell], tables: Tables) -> Measured:
    curves, plane = table_of(tables, "diversity_accuracy.curves"), table_of(tables, "diversity_accuracy.plane")
    departures = []
    for origin in sorted(set(curves["origin"].tolist())):
        base = float(plane["accuracy"][(plane["kind"] == "base") & (plane["origin"] == origin)][0])
        for curve in ("lower", "upper"):
            chosen = (curves["origin"] == origin) & (curves["curve"] == curve)
            points = sorted(_columns(curves, "accuracy", "normalised_disagreement", kept=chosen))
            (guessing, one), (largest, zero) = points[0], points[-1]
            # One class in K is right by guessing, and K is a whole number.
            departures += [one - 1, guessing - 1 / round(1 / guessing), largest - base]
            departures += [zero] if curve == "lower" else []
    return Measured(max(abs(departure) for departure in departures))


def _near_base(read: Reader, cells: Sequence[Cell], tables: Tables) -> Measured:
    plane = table_of(tables, "diversity_accuracy.plane")
    found = []
    for origin in sorted(set(plane["origin"].tolist())):
        mine = plane["origin"] == origin
        base = float(plane["accuracy"][mine & (plane["kind"] == "base")][0])
        near = mine & np.isin(plane["kind"], PAPERS) & (np.abs(plane["accuracy"] - base) <= POINT + ROUNDING)
        found.append(float(np.nanmax(plane["normalised_disagreement"][near], initial=0.0)))
    return Measured(float(np.mean(found)), least=min(found), most=max(found))


def _papers_gains(read: Reader, cells: Sequence[Cell], tables: Tables) -> Measured:
    scores = table_of(tables, "ensembling.scores")
    gains = {size: _papers_gain(scores, size) for size in (1, 5)}
    if gains[1] <= 0:
        raise NotMeasured(f"the paper's methods around one solution gain nothing ({100 * gains[1]:+.2f} points)")
    told = f"{100 * gains[5]:+.2f} and {100 * gains[1]:+.2f} points"
    return Measured(gains[5] / gains[1], detail=told)


def _papers_gain(scores: Table, size: int) -> float:
    """What the best of the paper's methods adds to so many independent networks, with all its members."""
    of_size = (scores["split"] == "test") & (scores["solutions"] == size) & (scores["score"] == "accuracy")
    found: dict[str, tuple[int, float]] = {}
    for method, samples, value in _columns(scores, "method", "samples", "value", kept=of_size):
        found[method] = max(found.get(method, (0, _NAN)), (samples, value))
    if "independent" not in found:
        raise NotMeasured(f"there are no {size} independent networks")
    papers = [value for method, (_, value) in found.items() if method in PAPERS_METHODS]
    if not papers:
        raise NotMeasured("none of the paper's methods is among the ensembles")
    return float(max(papers) - found["independent"][1])


def _connector(column: Callable[[dict[str, Any]], float], bent: bool) -> Callable[..., Measured]:
    def measure(read: Reader, cells: Sequence[Cell], tables: Tables) -> Measured:
        rows = table_of(tables, "connectors.connectors").rows()
        found, names = [], []
        for pair in sorted({(row["first"], row["second"]) for row in rows}):
            mine = [r for r in rows if (r["first"], r["second"]) == pair and (r["connector"] != "straight") == bent]
            if mine:
                best = min(mine, key=_lost)
                found.append(column(best))
                names.append(best["connector"])
        if not found:
            raise NotMeasured(f"there is no {'bent path' if bent else 'straight line'} among the connectors")
        detail = ", ".join(dict.fromkeys(names)) if bent else ""
        return Measured(float(np.mean(found)), least=min(found), most=max(found), detail=detail)

    return measure


def _lost(row: Mapping[str, Any]) -> float:
    return float(row["ends_accuracy"] - row["lowest_accuracy"])


def _changed(row: Mapping[str, Any]) -> float:
    return float(row["middle_disagreement"] / row["ends_disagreement"]) if row["ends_disagreement"] else _NAN


MEASURES: dict[str, Callable[[Reader, Sequence[Cell], Tables], Measured]] = {
    "value": _value,
    "magnitude": _magnitude,
    "smallest": _smallest,
    "range": _range,
    "difference": _difference,
    "ratio": _ratio,
    "falls": _falls,
    "rises": _rises,
    "similarity_without_norm": _without_norm,
    "first_to_last_similarity": _first_to_last("similarity"),
    "first_to_last_disagreement": _first_to_last("disagreement"),
    "limit_curves": _limit_curves,
    "near_base": _near_base,
    "papers_gains": _papers_gains,
    "connector_drop_straight": _connector(_lost, bent=False),
    "connector_drop_best": _connector(_lost, bent=True),
    "connector_middle": _connector(_changed, bent=True),
}
"""By name: what is computed from the cells of a check, or from whole tables."""

TOLD = {
    "value": "as it stands in the table",
    "magnitude": "its absolute value",
    "smallest": "the smallest over their ranges",
    "range": "largest less smallest",
    "difference": "the first less the second; the interval is that of the worst case",
    "ratio": "the first over the second; the interval is that of the worst case",
    "falls": "smallest step down in this order",
    "rises": "smallest step up from one severity to the next",
    "similarity_without_norm": "mean over pairs of last checkpoints",
    "first_to_last_similarity": "mean over members",
    "first_to_last_disagreement": "mean over members",
    "limit_curves": "largest absolute departure over bases",
    "near_base": "largest over samples of the four subspaces, mean over bases",
    "papers_gains": "the gain around five solutions over that around one, each of the best of the paper's methods",
    "connector_drop_straight": "mean over pairs",
    "connector_drop_best": "of the kind that loses least, mean over pairs",
    "connector_middle": "of the kind that loses least, mean over pairs",
}
"""The same in words."""

SOURCES = {
    "similarity_without_norm": ("trajectories.pairs",),
    "first_to_last_similarity": ("trajectories.pairs", "trajectories.checkpoints"),
    "first_to_last_disagreement": ("trajectories.pairs", "trajectories.checkpoints"),
    "limit_curves": ("diversity_accuracy.curves", "diversity_accuracy.plane"),
    "near_base": ("diversity_accuracy.plane",),
    "papers_gains": ("ensembling.scores",),
    "connector_drop_straight": ("connectors.connectors",),
    "connector_drop_best": ("connectors.connectors",),
    "connector_middle": ("connectors.connectors",),
}
"""Tables that measures without cells read."""
