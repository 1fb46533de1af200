"""Square pictures of a quantity between every two points of a list of checkpoints."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.image import AxesImage

from modescape.app.report.figures.style import GRID, INK
from modescape.tables import Table

_SMALL = 200
_WRITTEN, _ROOMY = 12, 8


def between(pairs: Table, points: Sequence[tuple[int, int]], quantity: str, diagonal: float) -> np.ndarray:
    """The symmetric matrix of ``quantity`` between (member, checkpoint) points; NaN where the table has no pair."""
    last = max(int(pairs[side].max(initial=0)) for side in ("checkpoint_a", "checkpoint_b"))
    stride = 1 + max(last, *(checkpoint for _, checkpoint in points))
    codes = np.array([member * stride + checkpoint for member, checkpoint in points])
    order = np.argsort(codes)
    known = np.ones(len(pairs), dtype=bool)
    places = []
    for side in "ab":
        code = pairs[f"member_{side}"] * stride + pairs[f"checkpoint_{side}"]
        place = order[np.searchsorted(codes, code, sorter=order).clip(max=len(codes) - 1)]
        known &= codes[place] == code
        places.append(place)
    rows, columns = (place[known] for place in places)
    filled = np.full((len(points), len(points)), np.nan)
    filled[rows, columns] = filled[columns, rows] = pairs[quantity][known]
    np.fill_diagonal(filled, diagonal)
    return filled


def off_diagonal(matrix: np.ndarray) -> np.ndarray:
    """The known values above the diagonal, one for each pair."""
    values: np.ndarray = matrix[np.triu(np.isfinite(matrix), k=1)]
    return values


def scale_top(matrices: Sequence[np.ndarray], step: float) -> float:
    """The largest value, rounded up to a whole number of ``step``, and never zero."""
    most = max((float(np.nanmax(matrix)) for matrix in matrices), default=0.0)
    return step * max(1.0, float(np.ceil(round(most / step, 6))))


def heatmap(axes: Axes, matrix: np.ndarray, colours: Colormap, limits: tuple[float, float]) -> AxesImage:
    """Draw the matrix as a square image whose first point is at the top left."""
    # Beyond a few hundred points a cell is smaller than a pixel, and taking the nearest one would drop rows.
    interpolation = "nearest" if len(matrix) <= _SMALL else "auto"
    axes.set_facecolor(GRID)
    image = axes.imshow(matrix, cmap=colours, vmin=limits[0], vmax=limits[1], interpolation=interpolation)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return image


def colourbar(axes: Axes, image: AxesImage, label: str) -> None:
    """A slim scale beside the image and exactly as high."""
    bar = image.figure.colorbar(image, cax=axes.inset_axes((1.035, 0.0, 0.035, 1.0)))
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0)
    bar.set_label(label, labelpad=8)


def write_values(axes: Axes, image: AxesImage, matrix: np.ndarray) -> None:
    """Write each value into its cell, in ink that stands out from the cell's colour, where there is room."""
    if len(matrix) > _WRITTEN:
        return
    shades = image.to_rgba(matrix)[..., :3] @ np.array([0.2126, 0.7152, 0.0722])
    tight = len(matrix) > _ROOMY
    size = min(11.0, (94 if tight else 73) / len(matrix))
    for (row, column), value in np.ndenumerate(matrix):
        if np.isfinite(value):
            ink = INK if shades[row, column] > 0.45 else "white"
            text = f"{value:.0f}" if row == column else _two_decimals(value, tight)
            axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=size)


def _two_decimals(value: float, tight: bool) -> str:
    text = f"{value:.2f}".replace("-0.00", "0.00").replace("-", "\N{MINUS SIGN}")
    return text.replace("0.", ".") if tight else text


def ticks(axes: Axes, labels: Sequence[str], most: int = 12) -> None:
    """Label rows and columns, leaving out all but evenly spaced ones when they are many."""
    every = next(s * 10**power for power in range(9) for s in (1, 2, 5) if len(labels) <= most * s * 10**power)
    places = range(0, len(labels), every)
    axes.set_xticks(places, [labels[place] for place in places])
    axes.set_yticks(places, [labels[place] for place in places])
