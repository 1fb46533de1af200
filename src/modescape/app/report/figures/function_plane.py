"""The diversity-accuracy plane of networks alone: each as base, the others relative to it, the limit curves."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from modescape.app.report.figures import plane
from modescape.app.report.figures.kinds import INDEPENDENT
from modescape.app.report.figures.plane import Plane
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
        "Every star is one network: how accurate it is, and how often it disagrees with the base, as a multiple of its "
        f"own error rate ({counted(len(others), 'pair')} of a base and another, {level}). The black star is the base. "
        "On the lower dashed curve the base's labels are flipped at random, on the upper one errors are independent of "
        "the base's. Right: the framed part, where networks lie."
    )


def draw(numbers: tuple[Plane, ...]) -> Figure:
    """A row for each base."""
    return plane.draw(numbers)
