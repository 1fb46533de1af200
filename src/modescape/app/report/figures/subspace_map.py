"""Trajectories and the members drawn around their solutions on one map of predictions (figure 4)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from modescape.app.report.figures.omitted import Omitted
from modescape.app.report.figures.style import FAINT, INK, WIDTH, bare, colour, look
from modescape.tables import Table, title_of

TITLE = "A map of predictions: do drawn members stay with their trajectory?"
_PAPER = 30.0


class Group(NamedTuple):
    """One trajectory's checkpoints in order, and the members drawn around its solution."""

    member: int
    walk: np.ndarray
    drawn: np.ndarray


class Panel(NamedTuple):
    """One subspace: the map, and over all seeds and perplexities the purity of the drawn members."""

    subspace: str
    perplexity: float
    groups: tuple[Group, ...]
    purity: tuple[float, ...]


def numbers(tables: Mapping[str, Table]) -> tuple[Panel, ...]:
    """The first seed of t-SNE at the perplexity nearest to the library's default, for every subspace."""
    table = tables["embedding"]
    panels = tuple(
        panel for name in dict.fromkeys(table["subspace"].tolist()) if (panel := _panel(tables, name)) is not None
    )
    if not panels:
        raise Omitted("Omitted: this run holds no t-SNE of drawn members.")
    return panels


def _panel(tables: Mapping[str, Table], name: str) -> Panel | None:
    table, quality = tables["embedding"], tables["embedding_quality"]
    rows = (table["subspace"] == name) & (table["method"] == "tsne")
    if not rows.any():
        return None
    known = np.unique(table["perplexity"][rows])
    perplexity = float(known[np.abs(known - _PAPER).argmin()])
    rows &= (table["perplexity"] == perplexity) & (table["seed"] == table["seed"][rows].min())
    groups = []
    for member in np.unique(table["member"][rows]):
        mine = rows & (table["member"] == member)
        walk, drawn = (np.flatnonzero(mine & (table["drawn"] == flag)) for flag in (False, True))
        walk = walk[np.argsort(table["number"][walk], kind="stable")]
        groups.append(Group(int(member), *(np.column_stack([table["x"][r], table["y"][r]]) for r in (walk, drawn))))
    judged = (quality["subspace"] == name) & (quality["method"] == "tsne")
    return Panel(name, perplexity, tuple(groups), tuple(quality["purity_drawn"][judged].tolist()))


def caption(numbers: tuple[Panel, ...]) -> str:
    """Say what a mark is, and how pure each map is."""
    purity = "; ".join(f"{np.mean(panel.purity):.0%} for {title_of(panel.subspace)}" for panel in numbers)
    members = len(numbers[0].groups)
    return (
        f"Each panel embeds {members} trajectories (dots that grow along the training, a ring at the solution) "
        "together with the members drawn from one subspace around each solution (squares), placed by what they "
        f"predict: t-SNE with perplexity {numbers[0].perplexity:g}, first seed. Drawn members whose nearest neighbour "
        f"on the map is of their own trajectory, over all seeds and perplexities: {purity}."
    )


@look()
def draw(numbers: tuple[Panel, ...]) -> Figure:
    """One square panel a subspace, at most four to a row."""
    columns = len(numbers) if len(numbers) <= 3 else 4 if len(numbers) != 6 else 3
    columns = min(columns, len(numbers))
    rows = -(-len(numbers) // columns)
    figure = Figure(figsize=(WIDTH, 0.5 + rows * min(5.0, 1.2 * WIDTH / columns)), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(numbers) :]:
        axes.set_axis_off()
    for axes, panel in zip(grid.flat, numbers, strict=False):
        for position, group in enumerate(panel.groups):
            _draw(axes, group, colour(position))
        bare(axes)
        axes.set_box_aspect(1)
        axes.set_aspect("equal", adjustable="datalim")
        axes.margins(0.08)
        axes.set_title(title_of(panel.subspace))
        axes.set_xlabel(f"own neighbour: {np.mean(panel.purity):.0%}", fontsize=10, color=FAINT)
    figure.legend(handles=_legend(), loc="outside upper center", ncols=3, columnspacing=2.4)
    return figure


def _draw(axes: Axes, group: Group, shade: str) -> None:
    along = np.linspace(0, 1, len(group.walk))
    axes.plot(*group.walk.T, color=shade, alpha=0.35, linewidth=1.1, zorder=2)
    (x, y), (drawn_x, drawn_y) = group.walk.T, group.drawn.T
    axes.scatter(x, y, s=4 + 18 * along**1.5, color=shade, alpha=0.8, linewidths=0, zorder=3)
    axes.scatter(drawn_x, drawn_y, s=16, marker="s", color=shade, alpha=0.4, linewidths=0, zorder=2.5)
    axes.scatter(x[-1:], y[-1:], s=110, facecolors="none", edgecolors=INK, linewidths=1.3, zorder=6)


def _legend() -> list[Line2D]:
    blank: dict[str, Any] = {"linestyle": "none", "color": INK}
    return [
        Line2D([], [], marker="o", markersize=4, label="checkpoints, growing along the training", **blank),
        Line2D([], [], marker="s", markersize=5, alpha=0.4, label="members drawn around the solution", **blank),
        Line2D(
            [], [], marker="o", markersize=11, markerfacecolor="none", markeredgewidth=1.3, label="solution", **blank
        ),
    ]
