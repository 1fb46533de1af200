"""The spectrum of the Hessian at each solution: its density with a band over probes, and the extreme eigenvalues."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from modescape.app.report.figures.omitted import Omitted
from modescape.app.report.figures.style import COLOURS, FAINT, GRID, INK, WIDTH, colour, look
from modescape.app.report.words import counted
from modescape.tables import Table

TITLE = "How sharp are solutions? The spectrum of the Hessian"
_FAINTEST = 0.01
"""Eigenvalues in a grid step below which nothing is drawn: a Gaussian far from its peak stands for none."""


class Spectrum(NamedTuple):
    """One member's spectrum, as eigenvalues for each unit of eigenvalue; its largest eigenvalues, and the smallest."""

    member: int
    grid: np.ndarray
    expected: np.ndarray
    low: np.ndarray
    high: np.ndarray
    largest: np.ndarray
    smallest: float
    weights: int
    trace: float


def numbers(tables: Mapping[str, Table]) -> tuple[Spectrum, ...]:
    """The spectra of all members that were measured, at most as many as there are colours."""
    traces, values, table = tables["traces"], tables["eigenvalues"], tables["spectrum"]
    found = []
    for row in traces.rows()[: len(COLOURS)]:
        mine, own = table["member"] == row["member"], values["member"] == row["member"]
        expected, low, high = (table[name][mine] * row["weights"] for name in ("density", "low", "high"))
        extreme = values["value"][own & (values["rank"] == -1)]
        largest = values["value"][own & (values["rank"] > 0)]
        rest = (row["weights"], row["trace"])
        found.append(
            Spectrum(row["member"], table["eigenvalue"][mine], expected, low, high, largest, float(extreme[0]), *rest)
        )
    if not found:
        raise Omitted("Omitted: the curvature of no solution was measured.")
    return tuple(found)


def caption(numbers: tuple[Spectrum, ...]) -> str:
    """Say what a line is, and where the spectra end."""
    top = np.array([one.largest.max() for one in numbers])
    ends = f"{top[0]:.3g}" if len(top) == 1 else f"{top.min():.3g} to {top.max():.3g}"
    below = f"{min(one.smallest for one in numbers):.3g}"
    return (
        f"How many eigenvalues the Hessian of the mean training loss has for each unit of eigenvalue, at "
        f"{counted(len(numbers), 'solution')} of {numbers[0].weights:,} weights: the mean over random probes, with a "
        "band from the smallest to the largest. Eigenvalues are drawn as peaks two grid steps wide. Ticks below are "
        f"the {counted(len(numbers[0].largest), 'largest eigenvalue')} and the smallest, computed by themselves: the "
        f"largest is {ends}, the smallest of all {below}. The vertical axis is logarithmic: nearly all eigenvalues lie "
        "in the peak around zero, and a few stand apart."
    )


@look()
def draw(numbers: tuple[Spectrum, ...]) -> Figure:
    """The densities on one axis, a row of ticks below for each member."""
    figure = Figure(figsize=(WIDTH, 4.4 + 0.22 * len(numbers)), layout="constrained")
    ratios = [4.0, 0.12 + 0.2 * len(numbers)]
    whole, ticks = figure.subplots(2, 1, sharex=True, height_ratios=ratios)
    for position, one in enumerate(numbers):
        _curve(whole, one, colour(position))
        _ticks(ticks, one, position)
    floor = min(_FAINTEST / float(one.grid[1] - one.grid[0]) for one in numbers)
    whole.set(yscale="log", ylabel="eigenvalues for each unit")
    whole.set_ylim(floor, 3 * max(float(one.high.max()) for one in numbers))
    whole.yaxis.set_major_locator(LogLocator(numticks=8))
    whole.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    whole.yaxis.set_minor_formatter(NullFormatter())
    whole.axvline(0, color=FAINT, linewidth=1, linestyle=(0, (4, 2)), zorder=1)
    whole.grid(color=GRID)
    whole.legend(handles=_legend(numbers), loc="upper right")
    ticks.axvline(0, color=FAINT, linewidth=1, linestyle=(0, (4, 2)), zorder=1)
    ticks.set(ylim=(len(numbers) - 0.4, -0.6), yticks=[], xlabel="eigenvalue (nats for each squared unit of a weight)")
    ticks.spines["left"].set_visible(False)
    for axes in (whole, ticks):
        axes.tick_params(which="both", length=0)
        axes.margins(x=0.01)
    return figure


def _curve(axes: Axes, one: Spectrum, shade: str) -> None:
    axes.fill_between(one.grid, one.low, one.high, color=shade, alpha=0.18, linewidth=0, zorder=2)
    axes.plot(one.grid, one.expected, color=shade, linewidth=1.6, zorder=3)


def _ticks(axes: Axes, one: Spectrum, position: int) -> None:
    level = np.full(len(one.largest), position)
    axes.plot(one.largest, level, "|", color=colour(position), markersize=13, markeredgewidth=2.2, clip_on=False)
    axes.plot([one.smallest], [position], "|", color=INK, markersize=13, markeredgewidth=1.6, clip_on=False)


def _legend(numbers: tuple[Spectrum, ...]) -> list[Line2D]:
    lines = [
        Line2D([], [], color=colour(p), linewidth=1.8, label=f"member {one.member}: trace {one.trace:.3g}")
        for p, one in enumerate(numbers)
    ]
    mark: dict[str, Any] = {"linestyle": "none", "marker": "|", "markersize": 11}
    return [
        *lines,
        Line2D([], [], color=colour(0), markeredgewidth=2.2, label="largest eigenvalues", **mark),
        Line2D([], [], color=INK, markeredgewidth=1.6, label="smallest eigenvalue", **mark),
    ]
