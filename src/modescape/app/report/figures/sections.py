"""Cross-sections as arrays: what every picture of them is drawn from."""

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any, NamedTuple

import numpy as np

from modescape.app.report.figures.quantities import quantity, reference
from modescape.app.report.words import counted, number
from modescape.tables import Table

SOLUTION, CHECKPOINT, INITIALISATION, ORIGIN = "solution", "checkpoint", "initialisation", "origin"
NETWORKS = (SOLUTION, CHECKPOINT, INITIALISATION, ORIGIN)
"""Kinds of mark that are no subspaces."""

LINES, DIRECTIONS = ("line", "ray"), "directions"
SURFACES = ("sector", "plane", DIRECTIONS)
"""Families of cross-sections with one axis, and with two."""


class Errors(NamedTuple):
    """How far the interpolated values of one quantity were off where they were checked."""

    checked: int
    largest: float
    fraction: float


class Marks(NamedTuple):
    """Networks of one kind and one origin, in their order: where they are drawn and how far from there they are."""

    kind: str
    member: int
    points: np.ndarray
    distance: np.ndarray
    magnified: float


class Section(NamedTuple):
    """One cross-section; arrays are [row, column], and what is not finite stays so."""

    name: str
    kind: str
    members: tuple[int, ...]
    axes: tuple[str, str]
    split: str
    examples: int
    evaluated: int
    coordinates: tuple[np.ndarray, np.ndarray]
    places: tuple[np.ndarray, np.ndarray]
    values: Mapping[str, np.ndarray]
    errors: Mapping[str, Errors]
    marks: tuple[Marks, ...]

    @property
    def is_straight(self) -> bool:
        """Whether the grid is drawn as it is."""
        own = zip(self.coordinates, self.places, strict=True)
        return all(np.allclose(axis, drawn, equal_nan=True) for axis, drawn in own)

    @property
    def titles(self) -> tuple[str, str]:
        """What is drawn across and up: the grid's own axes, unless the grid is bent on its way to the picture."""
        if self.is_straight:
            return self.axes
        if self.kind == "sector" and len(self.members) == 2:
            return f"along solution {self.members[0]} (it is at 1)", f"along solution {self.members[1]}"
        return "distance", "distance"

    @property
    def points(self) -> int:
        """How many points the grid has."""
        return int(self.places[0].size)

    def with_references(self, base: str) -> list[str]:
        """The quantities such as ``similarity/0`` that are there: its own members first, in their order."""
        there = [reference(name) for name in self.values if name.partition("/")[0] == base]
        known = [other for other in there if other is not None]
        mine = [member for member in self.members if member in known]
        return [f"{base}/{member}" for member in [*mine, *sorted(set(known) - set(mine))]]

    def of_kind(self, kind: str) -> list[Marks]:
        """The marks of one kind."""
        return [marks for marks in self.marks if marks.kind == kind]

    def at_solution(self, name: str, member: int) -> float:
        """The value at the grid point that is drawn nearest to a solution; NaN where neither is known."""
        marks = [marks for marks in self.of_kind(SOLUTION) if marks.member == member and len(marks.points)]
        if not marks or name not in self.values:
            return float("nan")
        (x, y), (across, up) = marks[0].points[0], self.places
        return float(self.values[name].flat[np.hypot(across - x, up - y).argmin()])


def family(kind: str) -> str:
    """The family of a kind: any plane whose kind is not known by name extends along two directions."""
    return kind if kind in (*LINES, *SURFACES) else DIRECTIONS


def sections_of(tables: Mapping[str, Table], families: Sequence[str]) -> tuple[Section, ...]:
    """The cross-sections of these families, in the table's order; a grid too small to draw is left out."""
    rows = [row for row in tables["sections"].rows() if family(row["kind"]) in families]
    found = [_section(tables, row) for row in rows if row["rows"] > 1 and (row["columns"] > 1 or row["kind"] in LINES)]
    return tuple(section for section in found if section.values)


def in_turn(found: Sequence[Section], most: int) -> tuple[Section, ...]:
    """At most so many of them, the first of every kind before the second of any; in their own order."""
    kinds = [one.kind for one in found]
    turns = [kinds[:place].count(kind) for place, kind in enumerate(kinds)]
    chosen = sorted(sorted(range(len(found)), key=lambda place: turns[place])[:most])
    return tuple(found[place] for place in chosen)


def _section(tables: Mapping[str, Table], row: Mapping[str, Any]) -> Section:
    name, grid = row["section"], tables["grid"]
    mine = np.flatnonzero(grid["section"] == name)
    shape = (row["rows"], row["columns"])
    place = (grid["row"][mine], grid["column"][mine])

    def filled(column: str, these: np.ndarray | slice = slice(None)) -> np.ndarray:
        values = np.full(shape, np.nan)
        values[place[0][these], place[1][these]] = grid[column][mine[these]]
        return values

    quantities = grid["quantity"][mine]
    return Section(
        name,
        row["kind"],
        tuple(int(member) for member in row["members"].split()),
        (row["axis_a"], row["axis_b"]),
        row["split"],
        row["examples"],
        row["evaluated"],
        (filled("a"), filled("b")),
        (filled("x"), filled("y")),
        {one: filled("value", quantities == one) for one in dict.fromkeys(quantities.tolist())},
        _errors(tables["errors"], name),
        _marks(tables["marks"], name),
    )


def _errors(table: Table, name: str) -> dict[str, Errors]:
    rows = (row for row in table.rows() if row["section"] == name)
    return {row["quantity"]: Errors(row["checked"], row["largest"], row["largest_fraction"]) for row in rows}


def _marks(table: Table, name: str) -> tuple[Marks, ...]:
    mine = np.flatnonzero(table["section"] == name)
    mine = mine[np.argsort(table["number"][mine], kind="stable")]
    kinds = list(zip(table["kind"][mine].tolist(), table["member"][mine].tolist(), strict=True))
    found = []
    for kind, member in dict.fromkeys(sorted(kinds, key=lambda one: one[1])):
        these = mine[[one == (kind, member) for one in kinds]]
        points = np.column_stack([table["x"][these], table["y"][these]])
        found.append(Marks(kind, member, points, table["distance"][these], float(table["magnified"][these].max())))
    return tuple(found)


def joined(parts: Sequence[object]) -> str:
    """Words in a row: "0, 1 and 2"."""
    texts = [str(part) for part in parts]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}" if texts else ""


def fitted(text: str, width: int, lines: int = 1) -> str:
    """A text of the run as it fits into a figure: what is longer ends in dots, what cannot be printed is left out."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    found = wrap(" ".join(printable.split()), width)
    if len(found) > lines:
        found = [*found[: lines - 1], found[lines - 1][: width - 1] + "\N{HORIZONTAL ELLIPSIS}"]
    return "\n".join(found)


def solutions_of(section: Section) -> str:
    """The solutions that it runs through, in words."""
    return f"solution{'' if len(section.members) == 1 else 's'} {joined(section.members)}"


def measured_on(section: Section) -> str:
    """The examples behind every value."""
    return f"{counted(section.examples, 'example')} of the split {section.split}"


def how_sure(sections: Sequence[Section], names: Sequence[str]) -> str:
    """How many points were evaluated, and how far the others are off, as sentences."""
    points, evaluated = (sum(getattr(one, part) for one in sections) for part in ("points", "evaluated"))
    if evaluated >= points:
        return f"Networks were evaluated at all {points:,} points."
    text = f"Networks were evaluated at {evaluated:,} of {points:,} points, the others are interpolated"
    checked = [(one, section.errors[one]) for section in sections for one in names if one in section.errors]
    checked = [(one, errors) for one, errors in checked if errors.checked > 0]
    if not checked:
        return f"{text} and were not checked."
    most = max(errors.checked for _, errors in checked)
    return f"{text}; at up to {counted(most, 'checked point')} each they are off by at most {_worst(checked)}."


def _worst(checked: Sequence[tuple[str, Errors]]) -> str:
    """The largest error for each quantity, those with different references together."""
    parts: dict[str, tuple[float, float]] = {}
    for name, errors in checked:
        base = name.partition("/")[0]
        largest, fraction = parts.get(base, (0.0, 0.0))
        # A NaN error is the worst there is; max alone would lose it.
        parts[base] = (float(np.maximum(largest, errors.largest)), float(np.maximum(fraction, errors.fraction)))
    return joined([f"{_amount(base, *found)} for {quantity(base).title}" for base, found in parts.items()])


def _amount(base: str, largest: float, fraction: float) -> str:
    if not np.isfinite([largest, fraction]).all():
        return "an amount that is not finite"
    return f"{fraction:.1%} of its logarithm's range" if quantity(base).logarithmic else number(largest)


def not_finite(sections: Sequence[Section], names: Sequence[str]) -> int:
    """At how many points of the grids one of these quantities is not finite."""
    return sum(int(_missing(section, names).sum()) for section in sections)


def _missing(section: Section, names: Sequence[str]) -> np.ndarray:
    there = [~np.isfinite(section.values[name]) for name in names if name in section.values]
    missing: np.ndarray = np.any(there, axis=0) if there else np.zeros_like(section.places[0], dtype=bool)
    return missing


def told_not_finite(sections: Sequence[Section], names: Sequence[str], look: str) -> str:
    """A sentence on points without a finite value, with how they look; nothing where there is none."""
    count = not_finite(sections, names)
    return f" At {counted(count, 'point')} a value is not finite: {look}." if count else ""
