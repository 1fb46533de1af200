"""How the kinds of network on a figure look: one colour and one marker for each subspace, wherever it is drawn."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from modescape.app.report.figures.style import COLOURS, INK
from modescape.tables import title_of

BASE, TRAJECTORY, INDEPENDENT = "base", "trajectory", "independent"
LATE, CYCLE_ENDS, BOOTSTRAP = "late_checkpoints", "snapshot", "bootstrap"

INDEPENDENT_COLOUR = COLOURS[1]

# By name, not by place among those of one figure: studies of a run may have other subspaces, and each keeps its look.
_KNOWN = (
    "random_direction",
    "weight_dropout",
    "activation_dropout",
    "diagonal_gaussian",
    "low_rank_gaussian",
    "random_pca",
    "weight_average",
    "swag",
    "laplace",
    "variational",
)

# Tol's muted colours and one between, told apart with every common form of colour blindness and all weaker than that of
# the stars; the markers tell them apart once more, and being one more they do not come round together.
_COLOURS = (
    "#332288", "#117733", "#aa4499", "#ddcc77", "#88ccee", "#44aa99", "#999933", "#cc6677", "#882255", "#6688cc",
)  # fmt: skip
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h")


class Look(NamedTuple):
    """How one kind is drawn and called."""

    colour: str
    marker: str
    title: str


# Methods that are no subspaces: greys for members of one training, ambers for separate trainings.
_OTHERS = {
    BASE: Look(INK, "*", "base solution"),
    INDEPENDENT: Look(INDEPENDENT_COLOUR, "*", "independent solutions"),
    BOOTSTRAP: Look("#a86400", "H", "bootstrap samples"),
    TRAJECTORY: Look("#9aa4ae", "o", "late checkpoints"),
    LATE: Look("#9aa4ae", "o", "late checkpoints"),
    CYCLE_ENDS: Look("#55606b", "d", "snapshots"),
}


def names_in_order(kinds: np.ndarray) -> list[str]:
    """The subspaces among these kinds, each once, in the order in which they first appear."""
    return [name for name in dict.fromkeys(kinds.tolist()) if name not in (BASE, TRAJECTORY, INDEPENDENT)]


def look_of(name: str, names: Sequence[str]) -> Look:
    """The look of a kind; one that nobody knows takes its place among the unknown ``names`` of the figure."""
    if name in _OTHERS:
        return _OTHERS[name]
    unknown = [other for other in names if other not in _KNOWN and other not in _OTHERS]
    place = _KNOWN.index(name) if name in _KNOWN else len(_KNOWN) + unknown.index(name)
    return Look(_COLOURS[place % len(_COLOURS)], _MARKERS[place % len(_MARKERS)], title_of(name))
