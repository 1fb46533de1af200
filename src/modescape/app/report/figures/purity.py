"""How often a drawn member's nearest neighbour is of its own trajectory, by subspace and method."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from modescape.app.report.figures.omitted import Omitted
from modescape.app.report.figures.style import COLOURS, GRID, INK, WIDTH, look, percent
from modescape.tables import Table, title_of

TITLE = "Does the separation depend on the embedding?"
_METHODS = {"tsne": ("t-SNE", "o"), "mds": ("MDS", "s"), "pca": ("PCA", "^")}


class Purity(NamedTuple):
    """Purity of the drawn members: before any embedding for each trajectory, and for every embedding by method."""

    subspace: str
    before: tuple[float, ...]
    after: Mapping[str, tuple[float, ...]]


def numbers(tables: Mapping[str, Table]) -> tuple[Purity, ...]:
    """One row for each subspace."""
    quality, drawn = tables["embedding_quality"], tables["drawn"]
    found = []
    for name in dict.fromkeys(drawn["subspace"].tolist()):
        mine = quality["subspace"] == name
        after = {m: tuple(quality["purity_drawn"][mine & (quality["method"] == m)].tolist()) for m in _METHODS}
        found.append(Purity(name, tuple(drawn["purity_predictions"][drawn["subspace"] == name].tolist()), after))
    if not found:
        raise Omitted("Omitted: this run holds no embedding of drawn members.")
    return tuple(found)


def caption(numbers: tuple[Purity, ...]) -> str:
    """Say where the lowest purity is."""
    before = [value for row in numbers for value in row.before]
    worst = min(((min(v), m, row.subspace) for row in numbers for m, v in row.after.items() if v), default=None)
    text = (
        "The number behind the maps: the fraction of drawn members whose nearest neighbour, among all checkpoints and "
        "drawn members, is of their own trajectory. Bars: in the space of all predictions, before any embedding "
        f"({min(before):.0%} to {max(before):.0%} over trajectories). Marks: on each map, one for each seed and "
        "perplexity"
    )
    if worst is None:
        return text + "."
    return f"{text}; the lowest is {worst[0]:.0%}, with {_METHODS[worst[1]][0]} for {title_of(worst[2])}."


@look()
def draw(numbers: tuple[Purity, ...]) -> Figure:
    """A row for each subspace."""
    figure = Figure(figsize=(WIDTH, 1.4 + 0.42 * len(numbers)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(numbers):
        axes.barh(place, float(np.mean(row.before)), height=0.62, color=GRID, zorder=1)
        for shift, (method, (_, marker)) in zip((-0.18, 0.0, 0.18), _METHODS.items(), strict=True):
            values = row.after[method]
            axes.scatter(
                values,
                np.full(len(values), place + shift),
                s=26,
                marker=marker,
                color=_shade(method),
                alpha=0.75,
                linewidths=0,
                zorder=3,
                clip_on=False,
            )
    axes.set_yticks(range(len(numbers)), [title_of(row.subspace) for row in numbers])
    axes.set(ylim=(len(numbers) - 0.4, -0.6), xlim=(0, 1))
    axes.set_xlabel("drawn members whose nearest neighbour is of their own trajectory")
    axes.xaxis.set_major_formatter(percent)
    axes.tick_params(length=0)
    axes.grid(axis="x", color=GRID)
    handles = [
        Line2D([], [], linestyle="none", marker=marker, color=_shade(method), markersize=6, label=name)
        for method, (name, marker) in _METHODS.items()
    ]
    bar = Line2D([], [], color=GRID, linewidth=9, label="all predictions", solid_capstyle="butt")
    figure.legend(handles=[*handles, bar], loc="outside upper center", ncols=4, columnspacing=2.0, labelcolor=INK)
    return figure


def _shade(method: str) -> str:
    return COLOURS[(0, 1, 2)[list(_METHODS).index(method)]]
