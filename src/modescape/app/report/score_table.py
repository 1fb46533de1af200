"""A table of ensembles and their scores as the page shows it: what stands in a cell, and which cells are best."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from modescape.app.report.ensembles import INDEPENDENT, Ensemble, Score
from modescape.app.report.words import NOTHING
from modescape.tables import title_of


class Column(NamedTuple):
    """A column: its heading, and whether larger (1) or smaller (-1) values are better; 0: neither."""

    title: str
    note: str = ""
    better: int = 0


class Group(NamedTuple):
    """Columns side by side under one heading; no heading if there is but one group."""

    title: str
    columns: tuple[Column, ...]


class Cell(NamedTuple):
    """What stands in a cell: a number, small type under it, and the value that it is compared by."""

    text: str
    note: str = ""
    value: float = float("nan")
    best: bool = False


class Line(NamedTuple):
    """One row: its heading, small type under it, and a cell for every column."""

    name: str
    note: str
    cells: tuple[Cell, ...]


class ScoreTable(NamedTuple):
    """A whole table; ``note`` says how it is to be read."""

    title: str
    note: str
    groups: tuple[Group, ...]
    lines: tuple[Line, ...]


EMPTY = Cell(NOTHING)


def score_table(title: str, note: str, groups: Sequence[Group], lines: Sequence[Line]) -> ScoreTable:
    """The table with the best cells of every column marked; in a single row nothing is best."""
    columns = [column for group in groups for column in group.columns]
    tops = [_top([line.cells[place].value for line in lines], c.better) for place, c in enumerate(columns)]
    marked = tuple(
        line._replace(cells=tuple(c._replace(best=c.value == top) for c, top in zip(line.cells, tops, strict=True)))
        for line in lines
    )
    return ScoreTable(title, note, tuple(groups), marked)


def _top(values: list[float], better: int) -> float | None:
    known = [value for value in values if not math.isnan(value)]
    if not better or len(known) < 2:
        return None
    return max(known) if better > 0 else min(known)


def line_of(ensemble: Ensemble, cells: Sequence[Cell]) -> Line:
    """The row of an ensemble."""
    networks = "1 network" if ensemble.solutions == 1 else f"{ensemble.solutions} networks"
    if ensemble.method == INDEPENDENT:
        return Line(networks, "independent" if ensemble.solutions > 1 else "", tuple(cells))
    members = "" if ensemble.samples == 1 else f" \N{MULTIPLICATION SIGN} {ensemble.samples}"
    return Line(title_of(ensemble.method), networks + members, tuple(cells))


def cell_of(score: Score | None, show: Callable[[float], str], detail: str = "") -> Cell:
    """A score with its interval, and what else is to be said, in small type."""
    if score is None or math.isnan(score.value):
        return EMPTY
    known = not (math.isnan(score.low) or math.isnan(score.high))
    interval = f"{show(score.low)} to {show(score.high)}" if known else ""
    return Cell(show(score.value), "\n".join(part for part in (interval, detail) if part), score.value)


def percent(value: float) -> str:
    """A fraction as a percentage with one decimal."""
    return f"{100 * value:.1f}%"


def decimals(places: int) -> Callable[[float], str]:
    """Numbers with as many decimals in every row, so that they stand under each other."""
    return lambda value: f"{value:.{places}f}".replace("-", "\N{MINUS SIGN}")
