"""How much every two networks differ in what they predict: disagreement, and divergence."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from modescape.app.report.figures.matrix import colourbar, heatmap, off_diagonal, scale_top, ticks, write_values
from modescape.app.report.figures.omitted import Omitted
from modescape.app.report.figures.style import DISAGREEMENT_COLOURS, WIDTH, look
from modescape.app.report.words import counted
from modescape.tables import Table

TITLE = "Between networks: how often they disagree, and how far apart their probabilities are"


class FunctionPairs(NamedTuple):
    """Every network against every other; ``divergence`` is None where the files have classes alone."""

    members: tuple[int, ...]
    disagreement: np.ndarray
    divergence: np.ndarray | None


def numbers(tables: Mapping[str, Table]) -> FunctionPairs:
    """The matrices of the table ``pairs``."""
    pairs = tables["pairs"]
    if not len(pairs):
        raise Omitted("Omitted: it takes two networks to compare.")
    members = tuple(int(m) for m in np.unique([pairs["member_a"], pairs["member_b"]]))

    def matrix(quantity: str) -> np.ndarray:
        filled = np.zeros((len(members), len(members)))
        rows, columns = (np.searchsorted(members, pairs[f"member_{side}"]) for side in "ab")
        filled[rows, columns] = filled[columns, rows] = pairs[quantity]
        return filled

    divergence = matrix("jensen_shannon")
    return FunctionPairs(members, matrix("disagreement"), None if np.isnan(divergence).any() else divergence)


def caption(numbers: FunctionPairs) -> str:
    """Say mean and range over the pairs."""
    found = off_diagonal(numbers.disagreement)
    text = f"Every network against every other, {counted(len(found), 'pair')}; bright means alike. They disagree on "
    text += f"{found.mean():.1%} of the examples"
    text += f" on average, from {found.min():.1%} to {found.max():.1%}" if len(found) > 1 else ""
    if numbers.divergence is not None:
        apart = off_diagonal(numbers.divergence)
        text += f"; their Jensen-Shannon divergence is {apart.mean():.3f} nats"
        text += f", from {apart.min():.3f} to {apart.max():.3f}" if len(apart) > 1 else ""
    return f"{text}."


@look()
def draw(numbers: FunctionPairs) -> Figure:
    """The matrices side by side, with their values where there is room."""
    shown = [("Disagreement", numbers.disagreement, "fraction of the examples")]
    if numbers.divergence is not None:
        shown.append(("Jensen-Shannon divergence", numbers.divergence, "nats"))
    figure = Figure(figsize=(WIDTH, 4.7), layout="constrained")
    for axes, (title, matrix, label) in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        image = heatmap(axes, matrix, DISAGREEMENT_COLOURS, (0.0, scale_top([matrix], 0.05)))
        write_values(axes, image, matrix)
        colourbar(axes, image, label)
        axes.set(title=title, xlabel="network", ylabel="network")
        ticks(axes, [str(member) for member in numbers.members])
    return figure
