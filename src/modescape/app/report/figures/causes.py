"""How much networks differ when one kind of chance in their training does, or everything."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from modescape.app.report.figures.omitted import Omitted
from modescape.app.report.figures.style import COLOURS, FAINT, GRID, WIDTH, look, percent
from modescape.tables import Table

TITLE = "What makes networks differ?"
TITLES = {
    "everything": "everything",
    "init": "initialisation alone",
    "order": "order of the data alone",
    "augment": "augmentation alone",
    "dropout": "dropout alone",
}


class Cause(NamedTuple):
    """What differed, the mean disagreement with its interval, and that of every pair."""

    name: str
    value: float
    low: float
    high: float
    pairs: tuple[float, ...]


def numbers(tables: Mapping[str, Table]) -> tuple[Cause, ...]:
    """One row for each cause."""
    answers = {row["quantity"]: row for row in tables["answers"].rows()}
    causes, found = tables["causes"], []
    for name in TITLES:
        row = answers.get(f"disagreement_{name}")
        if row is not None:
            pairs = causes["disagreement"][causes["cause"] == name].tolist()
            found.append(Cause(name, row["value"], row["low"], row["high"], tuple(pairs)))
    if not found:
        raise Omitted("Omitted: this run compares no causes.")
    return tuple(found)


def caption(numbers: tuple[Cause, ...]) -> str:
    """Say what differs in each row, and by how much."""
    told = ", ".join(f"{TITLES[cause.name]} {cause.value:.1%}" for cause in numbers)
    return (
        "Disagreement of two networks in whose training only one kind of chance differed, all others being the same, "
        f"beside that of two networks of which nothing is the same: {told}. Dots are pairs, bars 95% intervals over "
        "test examples."
    )


@look()
def draw(numbers: tuple[Cause, ...]) -> Figure:
    """A row for each cause."""
    figure = Figure(figsize=(WIDTH, 1.3 + 0.5 * len(numbers)), layout="constrained")
    axes = figure.subplots()
    for place, cause in enumerate(numbers):
        colour = FAINT if cause.name == "everything" else COLOURS[0]
        axes.plot([cause.low, cause.high], [place, place], color=colour, linewidth=5, alpha=0.35, zorder=1)
        axes.scatter(
            cause.pairs, np.full(len(cause.pairs), place), s=22, color=colour, alpha=0.6, linewidths=0, zorder=2
        )
        axes.scatter([cause.value], [place], s=90, marker="|", color=colour, linewidths=2.5, zorder=3)
        axes.annotate(
            f"{cause.value:.1%}",
            (max(*cause.pairs, cause.high), place),
            (8, 0),
            textcoords="offset points",
            va="center",
        )
    axes.set_yticks(range(len(numbers)), [TITLES[cause.name] for cause in numbers])
    axes.set(ylim=(len(numbers) - 0.4, -0.6), xlim=(0, None))
    axes.set_xlabel("disagreement of two solutions")
    axes.xaxis.set_major_formatter(percent)
    axes.margins(x=0.12)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=GRID)
    return figure
