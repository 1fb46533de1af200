"""Made-up tables of the study ``cross_sections``: valleys around points of a plane instead of networks."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from modescape.app.report.figures.sections import Section, sections_of
from modescape.tables import CROSS_SECTIONS, Schema, Table, from_rows

NAN, INF = float("nan"), float("inf")
Rows = list[dict[str, Any]]
Grid = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Coordinates a and b, places x and y: [row, column]."""


def table(schema: Schema, rows: Rows) -> Table:
    """A table whose other columns are zero."""
    return from_rows(schema, [{**dict.fromkeys(schema.names, 0), **row} for row in rows])


def window(low: float, high: float, points: int) -> Grid:
    """A square whose grid is drawn as it is."""
    a, b = np.meshgrid(*[np.linspace(low, high, points)] * 2, indexing="ij")
    return a, b, a, b


def sector(points: int) -> Grid:
    """Radii up to 2 and angles from -27 to 117 degrees."""
    radius, angle = np.meshgrid(np.linspace(0, 2, points), np.linspace(-27, 117, points + 4), indexing="ij")
    turn = np.deg2rad(angle)
    return radius, angle, radius * np.cos(turn), radius * np.sin(turn)


def along(low: float, high: float, points: int) -> Grid:
    """A line's grid: one column."""
    a = np.linspace(low, high, points)[:, None]
    return a, np.zeros_like(a), a, np.zeros_like(a)


def valleys(grid: Grid, solutions: Mapping[int, tuple[float, float]], width: float = 0.45) -> dict[str, np.ndarray]:
    """Quantities that are good near a solution and bad elsewhere."""
    _, _, x, y = grid
    far = {m: np.hypot(x - px, y - py) / width for m, (px, py) in solutions.items()}
    nearest = np.min(list(far.values()), axis=0)
    accuracy = 0.1 + 0.65 * np.exp(-(nearest**2))
    found = {"nll": 0.7 + 0.9 * nearest**3, "accuracy": accuracy, "error": 1 - accuracy}
    for member, away in far.items():
        disagreement = 0.9 * (1 - np.exp(-(away**2) / 2))
        found |= {
            f"disagreement/{member}": disagreement,
            f"similarity/{member}": 1 - disagreement,
            f"normalised_disagreement/{member}": disagreement / (1 - accuracy),
            f"normalised_similarity/{member}": 1 - disagreement / (1 - accuracy),
        }
    return found


def grid_rows(name: str, grid: Grid, values: Mapping[str, np.ndarray]) -> Rows:
    """A row for every point and quantity, last point first: their order means nothing."""
    a, b, x, y = grid
    return [
        {"section": name, "row": row, "column": column, "quantity": quantity, "value": float(array[row, column])}
        | {"a": a[row, column], "b": b[row, column], "x": x[row, column], "y": y[row, column]}
        | {"evaluated": (row + column) % 2 == 0}
        for quantity, array in values.items()
        for row, column in reversed(list(np.ndindex(*a.shape)))
    ]


def section_row(name: str, kind: str, members: tuple[int, ...], grid: Grid) -> dict[str, Any]:
    rows, columns = grid[0].shape
    return {
        "section": name,
        "kind": kind,
        "layout": "oblique" if kind == "sector" else "isometric",
        "members": " ".join(map(str, members)),
        "axis_a": "radius" if kind == "sector" else "distance",
        "axis_b": "angle (degrees)" if kind == "sector" else "" if columns == 1 else "distance",
        "split": "test",
        "examples": 1000,
        "rows": rows,
        "columns": columns,
        "evaluated": rows * columns // 2,
    }


def mark(section: str, kind: str, member: int, number: int, place: tuple[float, float, float]) -> dict[str, Any]:
    x, y, distance = place
    return {
        "section": section,
        "kind": kind,
        "member": member,
        "number": number,
        "x": x,
        "y": y,
        "distance": distance,
        "magnified": 100.0 if kind not in ("solution", "checkpoint", "initialisation", "origin") else 1.0,
    }


def path_marks(section: str, solutions: Mapping[int, tuple[float, float]], start: float) -> Rows:
    """A trajectory towards every solution, and five members drawn around it."""
    found = []
    for member, (px, py) in solutions.items():
        steps = np.linspace(start, 1, 7)
        for number, share in enumerate(steps):
            kind = "initialisation" if number == 0 else "solution" if number == len(steps) - 1 else "checkpoint"
            found.append(mark(section, kind, member, number, (share * px, share * py, 12.0 * (1 - share))))
        for number in range(5):
            shift = 1 + 0.06 * (number - 2)
            found.append(mark(section, "low_rank_gaussian", member, number, (shift * px, shift * py, 0.4)))
    return found


PAIR = {0: (1.0, 0.0), 2: (0.0, 1.0)}
PLANE, SECTOR = "plane 0 2 5", "sector 0 2"
"""Names of two cross-sections."""
THREE = {0: (0.0, 0.0), 2: (1.6, 0.0), 5: (0.5, 1.3)}
KINDS = ("sector", "plane", "random", "hessian", "line", "ray")
Spoil = Callable[[str, dict[str, np.ndarray]], None]


def pieces(points: int = 13) -> dict[str, tuple[str, Grid, Mapping[int, tuple[float, float]]]]:
    """Name -> kind, grid, solutions: a sector, two planes, two planes along directions, lines, rays."""
    found: dict[str, tuple[str, Grid, Mapping[int, tuple[float, float]]]] = {
        "sector 0 2": ("sector", sector(points), PAIR),
        "plane 0 2 5": ("plane", window(-0.6, 2.2, points), THREE),
        "plane 2 5 0": ("plane", window(-0.6, 2.2, points + 1), THREE),
        "random 0": ("random", window(-1, 1, points), {0: (0.0, 0.0)}),
        "hessian 0": ("hessian", window(-1.5, 1.5, points), {0: (0.0, 0.0)}),
    }
    for first, second in ((0, 2), (0, 5), (2, 5)):
        ends = {first: (0.0, 0.0), second: (1.0, 0.0)}
        found[f"line {first} {second}"] = ("line", along(-0.5, 1.5, 2 * points), ends)
    for member in (0, 2):
        found[f"ray {member}"] = ("ray", along(0, 2, 2 * points), {member: (1.0, 0.0)})
    return found


def leave(name: str, values: dict[str, np.ndarray]) -> None:
    """Spoil nothing."""


def sections(points: int = 13, spoil: Spoil = leave, kinds: tuple[str, ...] = KINDS, each: int = 9) -> dict[str, Table]:
    """The tables of the study, with so many cross-sections of each kind; ``spoil`` may change values in place."""
    count = dict.fromkeys(KINDS, 0)
    rows: dict[str, Rows] = {name: [] for name in CROSS_SECTIONS}
    for name, (kind, grid, solutions) in pieces(points).items():
        count[kind] += 1
        if kind not in kinds or count[kind] > each:
            continue
        values = valleys(grid, solutions)
        spoil(name, values)
        rows["sections"].append(section_row(name, kind, tuple(solutions), grid))
        rows["grid"] += grid_rows(name, grid, values)
        for number, quantity in enumerate(values):
            error = {"checked": 60, "largest": 0.01 + 0.001 * number, "rms": 0.002, "largest_fraction": 0.02}
            rows["errors"].append({"section": name, "quantity": quantity, **error})
        rows["marks"] += path_marks(name, solutions, 0.14 if kind == "sector" else 0.5)
        if kind == "sector":
            rows["marks"].append(mark(name, "origin", -1, 0, (0.0, 0.0, 0.0)))
    rows["members"] = [{"member": m, "status": "done", "step": 10, "reason": ""} for m in (0, 2, 5)]
    return {name: table(schema, rows[name]) for name, schema in CROSS_SECTIONS.items()}


def spoilt(name: str, values: dict[str, np.ndarray]) -> None:
    """One point without any value, and two with an infinite loss."""
    if name in (PLANE, SECTOR):
        for array in values.values():
            array[3, 4] = NAN
        values["nll"][6:8, 1] = INF
    if name == "line 0 2":
        values["accuracy"][5] = NAN


def changed(tables: dict[str, Table], table: str, **columns: Any) -> dict[str, Table]:
    """The tables with other values in some columns of one of them."""
    return {**tables, table: Table(CROSS_SECTIONS[table], {**tables[table].columns, **columns})}


def the(tables: dict[str, Table], name: str) -> Section:
    kind = pieces()[name][0]
    return next(one for one in sections_of(tables, (kind,)) if one.name == name)


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for one in figure.legends for text in one.get_texts()]
