"""The look that every figure shares, applied in a context so that nobody else's figures change."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

WIDTH = 10.0
"""Width of every figure in inches: at 160 dots an inch twice the 800 pixels that a page shows."""

INK, FAINT, GRID = "#1f2933", "#6b7785", "#e6e9ee"

# Okabe and Ito's colours, told apart with every common form of colour blindness; their yellow and black are left out
# because one vanishes on white and the other reads as an axis.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5b4b8a")

# In both, bright means alike and dark means different.
SIMILARITY_COLOURS = matplotlib.colormaps["viridis"]
DISAGREEMENT_COLOURS = ListedColormap(matplotlib.colormaps["magma_r"](np.linspace(0.0, 0.85, 256)), "disagreement")

_STYLE: dict[str, Any] = {
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.hashsalt": "modescape",
    "figure.constrained_layout.w_pad": 0.1,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.wspace": 0.04,
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlepad": 10,
    "axes.labelsize": 11,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#aab3bd",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": "#aab3bd",
    "ytick.color": "#aab3bd",
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "lines.solid_capstyle": "round",
}


@contextmanager
def look() -> Iterator[None]:
    """Matplotlib's own defaults with the shared look on top, whatever the user's settings are."""
    with matplotlib.style.context(["default", _STYLE]):
        yield


def colour(position: int) -> str:
    """The colour of the member at this position among those that are drawn."""
    return COLOURS[position % len(COLOURS)]


def percent(value: float, _place: float = 0.0) -> str:
    """A fraction as the label of an axis, with no more decimals than it needs."""
    return f"{100 * value:.6g}%"


def bare(axes: Axes) -> None:
    """Leave a thin frame and nothing to read off: for planes whose coordinates mean nothing."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color=GRID)
