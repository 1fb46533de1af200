"""Predictions of every checkpoint as points of a plane (Fort et al. 2019, figure 2c)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from modescape.app.report.figures.done import done_members
from modescape.app.report.figures.omitted import Omitted
from modescape.app.report.figures.style import FAINT, INK, WIDTH, bare, colour, look
from modescape.tables import Table

TITLE = "A map of predictions: every trajectory from its initialisation to its solution"
_COLUMNS, _CROWDED = 3, 8


class Walk(NamedTuple):
    """One trajectory as points of a plane, in order."""

    member: int
    points: np.ndarray


class Panel(NamedTuple):
    """One embedding, and over all its seeds how often the nearest neighbour belongs to the same trajectory."""

    method: str
    perplexity: float
    seed: int
    walks: tuple[Walk, ...]
    purity: tuple[float, ...]
    explained: float

    @property
    def name(self) -> str:
        """What the panel is called."""
        return "PCA" if self.method == "pca" else f"t-SNE, perplexity {self.perplexity:g}"


def numbers(tables: Mapping[str, Table]) -> tuple[Panel, ...]:
    """The first seed of every perplexity of t-SNE, smallest perplexity first, then PCA."""
    members = done_members(tables)
    table = tables["embedding"]
    kinds = sorted(
        {
            (m != "tsne", m, -1.0 if np.isnan(p) else p)
            for m, p in zip(*_plain(table, "method", "perplexity"), strict=True)
        }
    )
    panels = tuple(_panel(tables, method, perplexity, members) for _, method, perplexity in kinds)
    if not any(panel.walks for panel in panels):
        raise Omitted("Omitted: this run holds no embedding of the predictions of members that are done.")
    return panels


def _plain(table: Table, *names: str) -> list[list[Any]]:
    return [table[name].tolist() for name in names]


def _same(table: Table, method: str, perplexity: float) -> np.ndarray:
    same: np.ndarray = (table["method"] == method) & (np.nan_to_num(table["perplexity"], nan=-1.0) == perplexity)
    return same


def _panel(tables: Mapping[str, Table], method: str, perplexity: float, members: tuple[int, ...]) -> Panel:
    table, quality = tables["embedding"], tables["embedding_quality"]
    rows = _same(table, method, perplexity)
    seed = int(table["seed"][rows].min())
    rows &= table["seed"] == seed
    walks = []
    for member in members:
        mine = np.flatnonzero(rows & (table["member"] == member))
        mine = mine[np.argsort(table["checkpoint"][mine], kind="stable")]
        if len(mine):
            walks.append(Walk(member, np.column_stack([table["x"][mine], table["y"][mine]])))
    judged = np.flatnonzero(_same(quality, method, perplexity))
    judged = judged[np.argsort(quality["seed"][judged] != seed, kind="stable")]
    purity = tuple(value for value in quality["purity_second_half"][judged].tolist() if not np.isnan(value))
    explained = float(quality["explained"][judged[0]]) if len(judged) else float("nan")
    return Panel(method, perplexity, seed, tuple(walks), purity, explained)


def caption(numbers: tuple[Panel, ...]) -> str:
    """Say what a point is, and how far the separation of the trajectories can be trusted."""
    text = (
        "Every dot is one checkpoint, placed by what it predicts: a star is an initialisation, dots grow and darken "
        "along the training, and a numbered ring is the solution of that member. t-SNE keeps neighbours and distorts "
        "long distances; PCA is a plain projection. Under each panel, the fraction of checkpoints in the second halves "
        "of the trajectories whose nearest neighbour on the map is of the same trajectory"
    )
    judged = [(panel.name, panel.purity[0]) for panel in numbers if panel.purity]
    if not judged:
        return text + "."
    return text + ": " + "; ".join(f"{purity:.0%} for {name}" for name, purity in judged) + "."


@look()
def draw(numbers: tuple[Panel, ...]) -> Figure:
    """One square panel for each embedding, three to a row."""
    columns = 2 if len(numbers) == 4 else min(_COLUMNS, len(numbers))
    rows = -(-len(numbers) // columns)
    figure = Figure(figsize=(WIDTH, 0.45 + rows * min(6.2, 1.22 * WIDTH / columns)), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(numbers) :]:
        axes.set_axis_off()
    for axes, panel in zip(grid.flat, numbers, strict=False):
        for position, walk in enumerate(panel.walks):
            _walk(axes, walk, colour(position), crowded=len(panel.walks) > _CROWDED)
        bare(axes)
        _frame(axes, panel.walks)
        axes.set_title(panel.name)
        axes.set_xlabel(_note(panel), fontsize=10, color=FAINT)
    figure.legend(handles=_legend(), loc="outside upper center", ncols=3, handletextpad=0.6, columnspacing=2.4)
    return figure


def _note(panel: Panel) -> str:
    if not panel.purity:
        return ""
    note = f"same-trajectory neighbour: {panel.purity[0]:.0%}"
    if len(panel.purity) > 1:
        least, most = f"{min(panel.purity):.0%}", f"{max(panel.purity):.0%}"
        note += f"\n({least} to {most} over {len(panel.purity)} seeds)" if least != most else "\n(with every seed)"
    if not np.isnan(panel.explained):
        note += f"\n(the plane keeps {panel.explained:.0%} of the variance)"
    return note


def _frame(axes: Axes, walks: tuple[Walk, ...]) -> None:
    """A square window with one scale for both directions, and room for the rings and their numbers."""
    if walks:
        points = np.concatenate([walk.points for walk in walks])
        low, high = points.min(axis=0), points.max(axis=0)
        middle, reach = (low + high) / 2, 0.62 * (float((high - low).max()) or 1.0)
        axes.set(xlim=(middle[0] - reach, middle[0] + reach), ylim=(middle[1] - reach, middle[1] + reach))
    axes.set_box_aspect(1)


def _walk(axes: Axes, walk: Walk, shade: str, crowded: bool) -> None:
    x, y = walk.points.T
    count = len(x)
    along = np.linspace(0.0, 1.0, count)[:, None]
    full = np.array(to_rgb(shade))
    tints = full + (1 - full) * 0.65 * (1 - along)
    axes.plot(x, y, color=shade, alpha=0.4, linewidth=1.3, zorder=2)
    axes.scatter(x[1:], y[1:], s=(8 + 34 * along[1:, 0] ** 1.5), c=tints[1:], linewidths=0, zorder=3)
    axes.scatter(x[:1], y[:1], marker="*", s=150, color=shade, edgecolors="white", linewidths=0.8, zorder=5)
    axes.scatter(x[-1:], y[-1:], s=200, facecolors="none", edgecolors=INK, linewidths=1.5, zorder=6)
    onward = walk.points[-1] - walk.points[0]
    away = 15 * onward / (np.hypot(*onward) or 1.0)
    axes.annotate(
        str(walk.member),
        walk.points[-1],
        away,
        textcoords="offset points",
        ha="center",
        va="center",
        weight="bold",
        fontsize=9 if crowded else 11,
        color=shade,
        path_effects=[withStroke(linewidth=3, foreground="white")],
        zorder=7,
    )


def _legend() -> list[Line2D]:
    blank: dict[str, Any] = {"linestyle": "none", "color": INK}
    return [
        Line2D([], [], marker="*", markersize=11, label="initialisation", **blank),
        Line2D([], [], marker="o", markersize=5, label="checkpoints, growing along the training", **blank),
        Line2D(
            [], [], marker="o", markersize=12, markerfacecolor="none", markeredgewidth=1.5, label="solution", **blank
        ),
    ]
