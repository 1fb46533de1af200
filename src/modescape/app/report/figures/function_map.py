"""Networks as points of a plane, by what they predict."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from modescape.app.report.figures.omitted import Omitted
from modescape.app.report.figures.style import COLOURS, FAINT, INK, WIDTH, bare, look
from modescape.tables import Table

TITLE = "A map of the networks, by their predictions"


class Map(NamedTuple):
    """One embedding: points of the members, and what the method says of its fit."""

    name: str
    members: tuple[int, ...]
    points: np.ndarray
    fit: str


def numbers(tables: Mapping[str, Table]) -> tuple[Map, ...]:
    """The embeddings of the table ``map``."""
    table = tables["map"]
    found = []
    for method, name in (("pca", "PCA"), ("mds", "MDS")):
        mine = np.flatnonzero(table["method"] == method)
        if not len(mine):
            continue
        kept, stress = float(table["explained"][mine[0]]), float(table["stress"][mine[0]])
        fit = f"the plane keeps {kept:.0%} of the variance" if method == "pca" else f"stress {stress:.2f} (0 is exact)"
        points = np.column_stack([table["x"][mine], table["y"][mine]])
        found.append(Map(name, tuple(table["member"][mine].tolist()), points, fit))
    if not found:
        raise Omitted("Omitted: a map needs three networks.")
    return tuple(found)


def caption(numbers: tuple[Map, ...]) -> str:
    """Say what a distance is, and how far the pictures can be trusted."""
    told = "; ".join(f"{each.name}: {each.fit}" for each in numbers)
    return (
        f"Each of {len(numbers[0].members)} networks by the probabilities that it predicts for all examples: near is "
        f"alike. {told}."
    )


@look()
def draw(numbers: tuple[Map, ...]) -> Figure:
    """A square panel for each embedding."""
    figure = Figure(figsize=(WIDTH, 5.9), layout="constrained")
    for axes, each in zip(figure.subplots(1, len(numbers), squeeze=False)[0], numbers, strict=True):
        axes.scatter(*each.points.T, s=70, color=COLOURS[0], linewidths=0)
        for member, point in zip(each.members, each.points, strict=True):
            axes.annotate(str(member), point, (6, 6), textcoords="offset points", color=INK)
        bare(axes)
        middle = (each.points.min(axis=0) + each.points.max(axis=0)) / 2
        reach = 0.6 * (float(np.ptp(each.points, axis=0).max()) or 1.0)
        axes.set(xlim=(middle[0] - reach, middle[0] + reach), ylim=(middle[1] - reach, middle[1] + reach))
        axes.set_box_aspect(1)
        axes.set_title(each.name)
        axes.set_xlabel(each.fit, fontsize=10, color=FAINT)
    return figure
