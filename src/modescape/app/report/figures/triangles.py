"""The triangles between the pieces of a path and the origin of weight space (Fort et al. 2019, appendix A)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure

from modescape.app.report.figures.omitted import Omitted
from modescape.app.report.figures.style import DISAGREEMENT_COLOURS, INK, SIMILARITY_COLOURS, WIDTH, bare, look, percent
from modescape.tables import Table, title_of

TITLE = "Around a bent path: does accuracy stay, does the function change?"
_PANELS = (
    ("train_nll", "training loss (nats)"),
    ("accuracy", "accuracy"),
    ("agreement_first", "agreement with the first end"),
    ("agreement_second", "agreement with the second end"),
)
_AGREEMENTS = ("agreement_first", "agreement_second")


class Piece(NamedTuple):
    """One triangle: places of a grid, outwards by row and along the piece by column, and values there."""

    x: np.ndarray
    y: np.ndarray
    values: Mapping[str, np.ndarray]


class Triangles(NamedTuple):
    """The triangles of one path, laid edge to edge, and where the path runs."""

    connector: str
    first: int
    second: int
    pieces: tuple[Piece, ...]
    path: np.ndarray


def numbers(tables: Mapping[str, Table]) -> Triangles:
    """The first path of the table."""
    table = tables["triangles"]
    if not len(table):
        raise Omitted("Omitted: this run holds no map of the triangles along a path.")
    connector, first, second = (table[name][0].item() for name in ("connector", "first", "second"))
    mine = (table["connector"] == connector) & (table["first"] == first) & (table["second"] == second)
    pieces, path = [], []
    for number in np.unique(table["piece"][mine]):
        rows = mine & (table["piece"] == number)
        grids = {name: _grid(table, rows & (table["quantity"] == name)) for name, _ in _PANELS}
        some = next(iter(grids.values()))
        pieces.append(Piece(some["x"], some["y"], {name: grid["value"] for name, grid in grids.items()}))
        # The row at v = 1 need not be on the grid: a ray is straight, so any row tells where it is.
        ends = np.stack([some["x"], some["y"]], axis=-1)[-1, [0, -1]] / some["v"][-1, [0, -1], None]
        path.append(ends if number == 0 else ends[1:])
    return Triangles(connector, first, second, tuple(pieces), np.concatenate(path))


def _grid(table: Table, rows: np.ndarray) -> dict[str, np.ndarray]:
    """The columns of one quantity on one triangle, as [row, column] of its grid."""
    where = np.flatnonzero(rows)
    order = where[np.lexsort((table["u"][where], table["v"][where]))]
    shape = (len(np.unique(table["v"][where])), len(np.unique(table["u"][where])))
    return {name: table[name][order].reshape(shape) for name in ("v", "x", "y", "value")}


def caption(numbers: Triangles) -> str:
    """Say what is drawn, and how accuracy and agreement range over the path's control points."""
    return (
        f"Between solution {numbers.first} (circle) and solution {numbers.second} (square) runs the "
        f"{title_of(numbers.connector)} path of {len(numbers.pieces)} straight pieces. Each piece and the origin of "
        "weight space (cross) span a triangle; the triangles are laid edge to edge, lengths and angles within each "
        "are true. Agreement is the fraction of examples with the same predicted class: near the other end it stays at "
        "what two independent networks agree on, and never falls to zero."
    )


@look()
def draw(numbers: Triangles) -> Figure:
    """Four maps side by side in two rows."""
    figure = Figure(figsize=(WIDTH, 7.0), layout="constrained")
    grid = figure.subplots(2, 2)
    for axes, (quantity, label) in zip(grid.flat, _PANELS, strict=True):
        _map(axes, numbers, quantity)
        axes.set_title(label)
    return figure


def _limits(numbers: Triangles, quantity: str) -> tuple[float, float]:
    """Where the colours end: they are for what lies around the path, not for the middle of nowhere."""
    values = np.concatenate([piece.values[quantity].ravel() for piece in numbers.pieces])
    known = values[np.isfinite(values)]
    if quantity.endswith("nll"):
        return 0.0, float(np.quantile(known, 0.9)) if len(known) else 1.0
    if quantity == "accuracy":
        return 0.0, 1.0
    outer = np.concatenate([piece.values[name][-1] for piece in numbers.pieces for name in _AGREEMENTS])
    least = float(np.nanmin(outer)) if np.isfinite(outer).any() else 0.0
    return max(0.0, np.floor(20 * least - 1) / 20), 1.0


def _map(axes: Axes, numbers: Triangles, quantity: str) -> None:
    loss, limits = quantity.endswith("nll"), _limits(numbers, quantity)
    colours: Colormap = DISAGREEMENT_COLOURS if loss else SIMILARITY_COLOURS
    shown: dict[str, Any] = {"cmap": colours, "norm": Normalize(*limits), "shading": "gouraud", "rasterized": True}
    for piece in numbers.pieces:
        axes.pcolormesh(piece.x, piece.y, piece.values[quantity], **shown)
    axes.plot(*numbers.path.T, color="white", linewidth=1.6, zorder=3)
    _dots(axes, numbers.path[:1], "o", 70)
    _dots(axes, numbers.path[-1:], "s", 60)
    _dots(axes, numbers.path[1:-1], "o", 16)
    axes.scatter(0, 0, marker="x", s=60, color=INK, linewidths=2, zorder=4, clip_on=False)
    axes.set_aspect("equal")
    bare(axes)
    axes.spines[:].set_visible(False)
    beyond = "max" if loss else "min" if limits[0] > 0 else "neither"
    bar = axes.figure.colorbar(ScalarMappable(shown["norm"], colours), ax=axes, shrink=0.8, extend=beyond)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0)
    if not loss:
        bar.ax.yaxis.set_major_formatter(percent)


def _dots(axes: Axes, places: np.ndarray, marker: str, size: float) -> None:
    x, y = places.T
    axes.scatter(x, y, s=size, marker=marker, color="white", edgecolors=INK, linewidths=1, zorder=4, clip_on=False)
