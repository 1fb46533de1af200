"""Loss, accuracy and function along paths between two solutions (Fort et al. 2019, appendix A)."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modescape.app.report.figures.omitted import Omitted
from modescape.app.report.figures.style import COLOURS, FAINT, GRID, WIDTH, look, percent
from modescape.app.report.words import counted
from modescape.tables import Table, title_of

TITLE = "Are two solutions joined by a path of low loss?"
_STRAIGHT = "straight"
_KNOWN = ("bent", "polygon", "bezier", "elastic_band", "star")
_PANELS = (
    ("train_nll", "training loss (nats)"),
    ("accuracy", "accuracy"),
    ("disagreement_first", "disagreement with the first end"),
    ("disagreement_second", "disagreement with the second end"),
)


class Paths(NamedTuple):
    """The paths of one connector: t, and for each quantity a row a path."""

    name: str
    t: np.ndarray
    values: Mapping[str, np.ndarray]


def numbers(tables: Mapping[str, Table]) -> tuple[Paths, ...]:
    """The connectors in the order of the table."""
    table = tables["profiles"]
    found = []
    for name in dict.fromkeys(table["connector"].tolist()):
        mine = table["connector"] == name
        pairs = dict.fromkeys(zip(table["first"][mine].tolist(), table["second"][mine].tolist(), strict=True))
        rows = [mine & (table["first"] == first) & (table["second"] == second) for first, second in pairs]
        values = {quantity: np.stack([table[quantity][row] for row in rows]) for quantity, _ in _PANELS}
        found.append(Paths(name, table["t"][rows[0]], values))
    if not found:
        raise Omitted("Omitted: this run holds no path between solutions.")
    return tuple(found)


def caption(numbers: tuple[Paths, ...]) -> str:
    """Say how deep accuracy falls along the straight line and along the best of the others."""
    lowest = {paths.name: float(paths.values["accuracy"].min(axis=1).mean()) for paths in numbers}
    ends = float(np.mean([paths.values["accuracy"][:, [0, -1]].mean() for paths in numbers]))
    others = {name: value for name, value in lowest.items() if name != _STRAIGHT}
    told = [f"{lowest[_STRAIGHT]:.1%} on the straight line"] if _STRAIGHT in lowest else []
    if others:
        best = max(others, key=lambda name: others[name])
        told.append(f"{others[best]:.1%} along the best path ({title_of(best)})")
    counts = ", ".join(f"{title_of(p.name)} {counted(len(p.values['accuracy']), 'path')}" for p in numbers)
    return (
        "Networks along paths from one solution (t = 0) to another (t = 1), batch-norm statistics computed anew at "
        f"every point. The ends are right on {ends:.1%} of the examples; accuracy falls to {' and '.join(told)}, on "
        "average over paths. Lines are means over paths, bands reach from the lowest path to the highest. Where loss "
        "stays low and both disagreements are high, the networks are as good as the ends and other functions than "
        f"they. Drawn are: {counts}."
    )


@look()
def draw(numbers: tuple[Paths, ...]) -> Figure:
    """Four panels over t."""
    figure = Figure(figsize=(WIDTH, 7.4), layout="constrained")
    grid = figure.subplots(2, 2, sharex=True)
    for axes, (quantity, label) in zip(grid.flat, _PANELS, strict=True):
        for paths in numbers:
            _curve(axes, paths, quantity, numbers)
        axes.set_ylabel(label)
        axes.set_xlim(0, 1)
        axes.set_ylim(bottom=0)
        axes.grid(axis="y", color=GRID)
        axes.tick_params(length=0)
        if quantity != "train_nll":
            axes.yaxis.set_major_formatter(percent)
    # Of both disagreements, so that one can be read against the other.
    top = max(axes.get_ylim()[1] for axes in grid[1])
    for axes in grid[1]:
        axes.set_ylim(0, top)
        axes.set_xlabel("place on the path, t")
    lines, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside upper center", ncols=len(numbers), columnspacing=1.6)
    return figure


def _curve(axes: Axes, paths: Paths, quantity: str, everyone: tuple[Paths, ...]) -> None:
    shade, dashes = _look(paths.name, [other.name for other in everyone])
    values = paths.values[quantity]
    axes.fill_between(paths.t, values.min(axis=0), values.max(axis=0), color=shade, alpha=0.13, linewidth=0)
    axes.plot(paths.t, values.mean(axis=0), color=shade, linewidth=2, linestyle=dashes, label=title_of(paths.name))


def _look(name: str, names: list[str]) -> tuple[str, str | tuple[int, tuple[int, ...]]]:
    """The colour and the dashes of a connector, the same in every run; unknown ones come after those known."""
    if name == _STRAIGHT:
        return FAINT, (0, (4, 2))
    unknown = [other for other in names if other not in _KNOWN and other != _STRAIGHT]
    place = _KNOWN.index(name) if name in _KNOWN else len(_KNOWN) + unknown.index(name)
    return COLOURS[place % len(COLOURS)], "-"
