"""The diversity-accuracy plane of networks alone: each as base, the others relative to it, the limit curves."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from modescape.app.report.figures import plane
from modescape.app.report.figures.kinds import INDEPENDENT, look_of
from modescape.app.report.figures.plane import Plane
from modescape.app.report.figures.style import FAINT, GRID, INK, WIDTH, look, percent
from modescape.app.report.words import counted
from modescape.tables import Table

TITLE = "The diversity-accuracy plane: every network relative to another"


def numbers(tables: Mapping[str, Table]) -> tuple[Plane, ...]:
    """The planes of the first bases."""
    return plane.numbers(tables)


def caption(numbers: tuple[Plane, ...]) -> str:
    """Say what a point is and how far up the others lie."""
    others = np.concatenate([each.points[INDEPENDENT][:, 1] for each in numbers])
    level = f"at {np.nanmean(others):.2f} on average" if np.isfinite(others).any() else "without an error of their own"
    return (
        "Every orange star is one network: how accurate it is, and how often it disagrees with the base (black), as a "
        f"multiple of its own error rate ({counted(len(others), 'pair')} of a base and another, {level}). On the lower "
        "dashed curve the base's labels are flipped at random, on the upper one errors are independent of the base's; "
        "both end at the base's own accuracy."
    )


@look()
def draw(numbers: tuple[Plane, ...]) -> Figure:
    """A panel for each base, from chance to the best network."""
    figure = Figure(figsize=(WIDTH, 4.8), layout="constrained")
    stars: dict[str, Any] = {"marker": "*", "s": 150, "linewidths": 0.7, "edgecolors": "white", "zorder": 6}
    for axes, each in zip(figure.subplots(1, len(numbers), squeeze=False, sharey=True)[0], numbers, strict=True):
        for name in ("upper", "lower"):
            axes.plot(*each.curves[name].T, color=FAINT, linewidth=1.4, linestyle=(0, (4, 2)), zorder=2)
        others = each.points[INDEPENDENT]
        axes.scatter(*others.T, color=look_of(INDEPENDENT, ()).colour, **stars)
        axes.scatter(*each.base, color=INK, clip_on=False, **stars)
        lowest = min(float(each.curves["lower"][:, 0].min()), float(others[:, 0].min()))
        axes.set_xlim(lowest - 0.02, max(float(others[:, 0].max()), each.base[0]) + 0.04)
        axes.set(title=f"base: network {each.origin}", xlabel="accuracy")
        axes.xaxis.set_major_formatter(percent)
        axes.grid(color=GRID)
        axes.tick_params(length=0)
    figure.axes[0].set_ylabel("normalised disagreement with the base")
    return figure
