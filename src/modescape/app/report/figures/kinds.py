"""How the kinds of network on a figure look: one colour and one marker for each subspace, wherever it is drawn."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from modescape.app.report.figures.style import COLOURS, INK
from modescape.tables import title_of

BASE, TRAJECTORY, INDEPENDENT = "base", "trajectory", "independent"

INDEPENDENT_COLOUR = COLOURS[1]

# Tol's muted colours, told apart with every common form of colour blindness and all weaker than that of the stars; the
# markers tell them apart once more.
_COLOURS = ("#332288", "#117733", "#aa4499", "#ddcc77", "#88ccee", "#44aa99", "#999933", "#cc6677", "#882255")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")


class Look(NamedTuple):
    """How one kind is drawn and called."""

    colour: str
    marker: str
    title: str


def names_in_order(kinds: np.ndarray) -> list[str]:
    """The subspaces among these kinds, each once, in the order in which they first appear."""
    return [name for name in dict.fromkeys(kinds.tolist()) if name not in (BASE, TRAJECTORY, INDEPENDENT)]


def look_of(name: str, names: Sequence[str]) -> Look:
    """The look of a kind among the subspaces of a figure."""
    if name == INDEPENDENT:
        return Look(INDEPENDENT_COLOUR, "*", "independent solutions")
    if name == TRAJECTORY:
        return Look("#9aa4ae", "o", "late checkpoints")
    if name == BASE:
        return Look(INK, "*", "base solution")
    place = names.index(name)
    return Look(_COLOURS[place % len(_COLOURS)], _MARKERS[place % len(_MARKERS)], title_of(name))
