"""Similarity and disagreement between all checkpoints of one trajectory (Fort et al. 2019, figure 2a and b)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure, SubFigure

from modescape.app.report.figures.done import done_members, last_quarter, trajectory
from modescape.app.report.figures.matrix import between, colourbar, heatmap, off_diagonal, scale_top
from modescape.app.report.figures.style import DISAGREEMENT_COLOURS, FAINT, SIMILARITY_COLOURS, WIDTH, look
from modescape.tables import Table

TITLE = "Along one trajectory: how far do weights and predictions move?"
_SHOWN = 5


class Path(NamedTuple):
    """One member's checkpoints against each other."""

    member: int
    epochs: np.ndarray
    similarity: np.ndarray
    disagreement: np.ndarray
    settled: float
    """Mean disagreement within the last quarter; NaN for a single checkpoint."""


class AlongTrajectory(NamedTuple):
    """The trajectories that are shown, the first one large, and how many there are in all."""

    paths: tuple[Path, ...]
    done: int


def numbers(tables: Mapping[str, Table]) -> AlongTrajectory:
    """The matrices of the first members that are done."""
    done = done_members(tables)
    return AlongTrajectory(tuple(_path(tables, member) for member in done[:_SHOWN]), len(done))


def _path(tables: Mapping[str, Table], member: int) -> Path:
    columns = trajectory(tables, member)
    points = [(member, int(checkpoint)) for checkpoint in columns["checkpoint"]]
    similarity = between(tables["pairs"], points, "similarity", 1.0)
    disagreement = between(tables["pairs"], points, "disagreement", 0.0)
    late = last_quarter(columns["step"])
    settled = off_diagonal(disagreement[np.ix_(late, late)])
    mean = float(settled.mean()) if len(settled) else float("nan")
    return Path(member, columns["epoch"], similarity, disagreement, mean)


def caption(numbers: AlongTrajectory) -> str:
    """Say how far the first trajectory goes, and how little it still moves at its end."""
    path = numbers.paths[0]
    text = (
        f"Every checkpoint of member {path.member} against every other; bright means alike. From the initialisation "
        f"to the solution, similarity is {path.similarity[0, -1]:.2f} and disagreement {path.disagreement[0, -1]:.1%}."
    )
    if not np.isnan(path.settled):
        text += f" Within the last quarter, disagreement is {path.settled:.1%} on average."
    if len(numbers.paths) > 1:
        others = ", ".join(str(other.member) for other in numbers.paths[1:])
        text += f" Small, on the same scales: member{'s' if len(numbers.paths) > 2 else ''} {others}"
        text += f", of {numbers.done:,} that are done." if numbers.done > len(numbers.paths) else "."
    return text


@look()
def draw(numbers: AlongTrajectory) -> Figure:
    """The first trajectory large, the others in a strip beneath."""
    others = numbers.paths[1:]
    figure = Figure(figsize=(WIDTH, 6.15 if others else 4.7), layout="constrained")
    heights = (4.6, 1.5) if others else (1,)
    parts: Any = figure.subfigures(len(heights), 2, height_ratios=heights, squeeze=False)
    least = min(0.0, *(float(np.nanmin(path.similarity)) for path in numbers.paths))
    limits = {
        "similarity": (np.floor(least * 10) / 10, 1.0),
        "disagreement": (0.0, scale_top([path.disagreement for path in numbers.paths], 0.1)),
    }
    for column, (quantity, shades) in enumerate(
        (("similarity", SIMILARITY_COLOURS), ("disagreement", DISAGREEMENT_COLOURS))
    ):
        _large(parts[0, column], numbers.paths[0], quantity, shades, limits[quantity])
        if others:
            _strip(parts[1, column], others, quantity, shades, limits[quantity])
    return figure


def _large(part: SubFigure, path: Path, quantity: str, shades: Colormap, limits: tuple[float, float]) -> None:
    axes = part.subplots()
    image = heatmap(axes, getattr(path, quantity), shades, limits)
    colourbar(
        axes, image, {"similarity": "cosine of the weights", "disagreement": "fraction of the examples"}[quantity]
    )
    axes.set(title=f"{quantity.capitalize()}, member {path.member}", xlabel="epoch", ylabel="epoch")
    _epoch_ticks(axes, path.epochs)


def _strip(
    part: SubFigure, paths: tuple[Path, ...], quantity: str, shades: Colormap, limits: tuple[float, float]
) -> None:
    # Always the same number of places, so that a strip of one or two stays as small as a strip of four.
    panels = part.subplots(1, _SHOWN - 1, squeeze=False)[0]
    for axes in panels[len(paths) :]:
        axes.set_axis_off()
    for axes, path in zip(panels, paths, strict=False):
        heatmap(axes, getattr(path, quantity), shades, limits)
        axes.set(xticks=[], yticks=[])
        axes.set_title(f"member {path.member}", fontsize=9.5, weight="normal", color=FAINT, pad=4)


def _epoch_ticks(axes: Axes, epochs: np.ndarray, most: int = 7) -> None:
    """Label checkpoints by their epoch at round epochs; checkpoints need not be evenly spaced in epochs."""
    span = float(epochs[-1]) or 1.0
    step = next(s * 10.0**power for power in range(-3, 9) for s in (1, 2, 5) if span / (s * 10.0**power) < most)
    wanted = np.arange(0.0, span + step / 2, step)
    places = np.unique([int(np.argmin(np.abs(epochs - epoch))) for epoch in wanted])
    labels = [f"{epochs[place]:.3g}" for place in places]
    axes.set_xticks(places, labels)
    axes.set_yticks(places, labels)
