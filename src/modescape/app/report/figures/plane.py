"""The diversity-accuracy plane: samples around a solution, other solutions, and the limit curves (figures 6 and 7)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from modescape.app.report.figures.kinds import BASE, INDEPENDENT, TRAJECTORY, Look, look_of, names_in_order
from modescape.app.report.figures.omitted import Omitted
from modescape.app.report.figures.style import FAINT, GRID, INK, WIDTH, look, percent
from modescape.app.report.words import counted
from modescape.tables import Table

TITLE = "The diversity-accuracy plane: other solutions against samples around one"
_MOST_BASES = 3
_TOP = 1.25


class Plane(NamedTuple):
    """One base solution: points (accuracy, normalised disagreement) by kind, and the limit curves."""

    origin: int
    base: tuple[float, float]
    points: Mapping[str, np.ndarray]
    curves: Mapping[str, np.ndarray]

    @property
    def names(self) -> list[str]:
        """The subspaces of this plane."""
        return [name for name in self.points if name not in (INDEPENDENT, TRAJECTORY)]

    @property
    def close(self) -> tuple[float, float]:
        """The range of accuracies in which solutions lie, with room on both sides."""
        found = self.points[INDEPENDENT][:, 0]
        low, high = min(found.min(), self.base[0]), max(found.max(), self.base[0])
        room = max(0.03, 0.6 * (high - low))
        return low - 1.6 * room, high + room


def numbers(tables: Mapping[str, Table]) -> tuple[Plane, ...]:
    """The planes of the first bases."""
    table = tables["plane"]
    planes = tuple(_plane(tables, int(origin)) for origin in np.unique(table["origin"])[:_MOST_BASES])
    if not planes:
        raise Omitted("Omitted: this run has no base solution to compare with.")
    return planes


def _plane(tables: Mapping[str, Table], origin: int) -> Plane:
    table, curves = tables["plane"], tables["curves"]
    mine = table["origin"] == origin
    points = {
        name: np.column_stack([table[axis][mine & (table["kind"] == name)] for axis in ("accuracy", _Y)])
        for name in (*names_in_order(table["kind"]), TRAJECTORY, INDEPENDENT)
    }
    lines = {
        name: np.column_stack(
            [curves[axis][(curves["origin"] == origin) & (curves["curve"] == name)] for axis in ("accuracy", _Y)]
        )
        for name in ("upper", "lower")
    }
    base = np.flatnonzero(mine & (table["kind"] == BASE))[0]
    return Plane(origin, (float(table["accuracy"][base]), 0.0), points, lines)


_Y = "normalised_disagreement"


def caption(numbers: tuple[Plane, ...]) -> str:
    """Say what a point is and how far up the two kinds of network lie."""
    drawn = sum(len(plane.points[name]) for plane in numbers for name in plane.names)
    others = np.concatenate([plane.points[INDEPENDENT][:, 1] for plane in numbers])
    level = f"at {np.nanmean(others):.2f} on average" if np.isfinite(others).any() else "without an error of their own"
    return (
        "Every point is one network: how accurate it is, and how often it disagrees with the base solution, as a "
        "multiple of its own error rate. The black star is the base, orange stars are solutions from other "
        f"initialisations ({counted(len(others), 'pair')}, {level}), small marks are {drawn:,} members drawn around "
        "the base at rising scales, grey dots its own late checkpoints. On the lower dashed curve the base's labels "
        "are flipped at random, on the upper one errors are independent of the base's. Right: the framed part, where "
        "solutions lie."
    )


@look()
def draw(numbers: tuple[Plane, ...]) -> Figure:
    """A row for each base: the whole plane, and the part where solutions lie."""
    figure = Figure(figsize=(WIDTH, 1.15 + 4.5 * len(numbers)), layout="constrained")
    grid = figure.subplots(len(numbers), 2, squeeze=False, sharey=True)
    # A solution that errs little may disagree more often than it errs; none is cut off.
    top = max(_TOP, *(1.06 * float(np.nanmax(plane.points[INDEPENDENT][:, 1], initial=0.0)) for plane in numbers))
    for (whole, part), plane in zip(grid, numbers, strict=True):
        for axes in (whole, part):
            _draw(axes, plane, close=axes is part)
            axes.set_ylim(-0.06, top)
        low, high = plane.close
        whole.add_patch(Rectangle((low, -0.03), high - low, top, fill=False, edgecolor=FAINT, linewidth=1, zorder=1))
        whole.set_title(f"base: solution {plane.origin}" if len(numbers) > 1 else "the whole plane")
        part.set_title("where solutions lie")
        whole.set_ylabel("normalised disagreement with the base")
    for axes in grid[-1]:
        axes.set_xlabel("accuracy")
    figure.legend(handles=_legend(numbers[0]), loc="outside upper center", ncols=4, columnspacing=1.4)
    return figure


def _draw(axes: Axes, plane: Plane, close: bool) -> None:
    for name in plane.names:
        _scatter(axes, plane.points[name], look_of(name, plane.names), 30 if close else 18)
    _scatter(axes, plane.points[TRAJECTORY], look_of(TRAJECTORY, plane.names), 22 if close else 12)
    for name in ("upper", "lower"):
        axes.plot(*plane.curves[name].T, color=FAINT, linewidth=1.4, linestyle=(0, (4, 2)), zorder=2)
    stars: dict[str, Any] = {"marker": "*", "linewidths": 0.7, "edgecolors": "white", "zorder": 6}
    stars["s"] = 230 if close else 120
    axes.scatter(*plane.points[INDEPENDENT].T, color=look_of(INDEPENDENT, plane.names).colour, **stars)
    axes.scatter(*plane.base, color=INK, clip_on=False, **stars)
    reach = np.concatenate(list(plane.points.values()))[:, 0]
    limits = plane.close if close else (reach.min() - 0.02, max(reach.max(), plane.base[0]) + 0.03)
    axes.set_xlim(*limits)
    axes.xaxis.set_major_formatter(percent)
    axes.grid(color=GRID)
    axes.tick_params(length=0)


def _scatter(axes: Axes, points: np.ndarray, kind: Look, size: float) -> None:
    x, y = points.T
    axes.scatter(x, y, s=size, marker=kind.marker, color=kind.colour, alpha=0.6, linewidths=0, zorder=3)


def _legend(plane: Plane) -> list[Line2D]:
    def entry(kind: Look, size: float) -> Line2D:
        blank: dict[str, Any] = {"linestyle": "none", "color": kind.colour, "label": kind.title}
        return Line2D([], [], marker=kind.marker, markersize=size, **blank)

    names = plane.names
    return [
        entry(look_of(BASE, names), 13),
        entry(look_of(INDEPENDENT, names), 13),
        *(entry(look_of(name, names), 6) for name in names),
        entry(look_of(TRAJECTORY, names), 5),
        Line2D([], [], color=FAINT, linewidth=1.4, linestyle=(0, (4, 2)), label="limit curves"),
    ]
