"""Similarity and disagreement between the solutions of all members (Fort et al. 2019, figure 3)."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from modescape.app.report.figures.done import done_members, solution
from modescape.app.report.figures.matrix import (
    between,
    colourbar,
    heatmap,
    off_diagonal,
    scale_top,
    ticks,
    write_values,
)
from modescape.app.report.figures.style import DISAGREEMENT_COLOURS, SIMILARITY_COLOURS, WIDTH, look
from modescape.app.report.words import counted
from modescape.tables import Table

TITLE = "Between solutions: are separately trained networks alike?"


class BetweenSolutions(NamedTuple):
    """Every solution against every other."""

    members: tuple[int, ...]
    similarity: np.ndarray
    disagreement: np.ndarray


def numbers(tables: Mapping[str, Table]) -> BetweenSolutions:
    """The matrices between the last checkpoints of the members that are done."""
    members = done_members(tables, at_least=2)
    points = [(member, solution(tables, member)) for member in members]
    similarity = between(tables["pairs"], points, "similarity", 1.0)
    return BetweenSolutions(members, similarity, between(tables["pairs"], points, "disagreement", 0.0))


def caption(numbers: BetweenSolutions) -> str:
    """Say mean and range over the pairs."""
    alike, differ = off_diagonal(numbers.similarity), off_diagonal(numbers.disagreement)
    if not len(differ):
        return "The solution of every member against every other."
    if len(differ) == 1:
        found = f"similarity is {alike[0]:.3f}", f"disagreement is {differ[0]:.1%}"
    else:
        found = (
            f"similarity is {alike.mean():.3f} on average, from {alike.min():.3f} to {alike.max():.3f}",
            f"disagreement is {differ.mean():.1%} on average, from {differ.min():.1%} to {differ.max():.1%}",
        )
    text = (
        f"The solution of every member against every other, {counted(len(differ), 'pair')}; bright means alike. "
        f"Between solutions {found[0]}, where 1 means the same direction and 0 at right angles; {found[1]}."
    )
    return text.replace(" -", " \N{MINUS SIGN}")


@look()
def draw(numbers: BetweenSolutions) -> Figure:
    """Two matrices side by side, with their values where there is room."""
    figure = Figure(figsize=(WIDTH, 4.7), layout="constrained")
    left, right = figure.subplots(1, 2)
    least = min(0.0, float(np.nanmin(numbers.similarity)))
    low = 0.0 if least > -0.1 else float(np.floor(least * 10) / 10)
    alike = heatmap(left, numbers.similarity, SIMILARITY_COLOURS, (low, 1.0))
    top = scale_top([numbers.disagreement], 0.05)
    differ = heatmap(right, numbers.disagreement, DISAGREEMENT_COLOURS, (0.0, top))
    write_values(left, alike, numbers.similarity)
    write_values(right, differ, numbers.disagreement)
    colourbar(left, alike, "cosine of the weights")
    colourbar(right, differ, "fraction of the examples")
    left.set_title("Similarity")
    right.set_title("Disagreement")
    for axes in (left, right):
        ticks(axes, [str(member) for member in numbers.members])
        axes.set(xlabel="member", ylabel="member")
    return figure
