"""What figures of many methods share: the entries of their legend, and logarithmic axes with plain numbers."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from modescape.app.report.figures.kinds import look_of
from modescape.app.report.figures.style import GRID

_STAR = 1.8
"""A star looks small beside other markers of its size."""


def size_of(marker: str, size: float) -> float:
    """The size at which a marker looks as large as others."""
    return _STAR * size if marker == "*" else size


def entries(methods: Sequence[str]) -> list[Line2D]:
    """A legend's entry for every method."""
    looks = [look_of(name, methods) for name in methods]
    return [
        Line2D(
            [],
            [],
            linestyle="none",
            marker=shown.marker,
            color=shown.colour,
            markersize=size_of(shown.marker, 6.5),
            label=shown.title,
        )
        for shown in looks
    ]


def legend_above(figure: Figure, handles: Sequence[Line2D]) -> None:
    """The legend outside of all axes, above them, where it covers nothing."""
    figure.legend(handles=handles, loc="outside upper center", ncols=min(4, len(handles)), columnspacing=1.6)


def marks_within(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, 20, ... as far as they lie between two positive numbers."""
    marks = [step * 10.0**power for power in range(-3, 7) for step in (1, 2, 5)]
    return [mark for mark in marks if low <= mark <= high * (1 + 1e-9)]


def counting_axis(axes: Axes, low: float, high: float) -> None:
    """A logarithmic abscissa from ``low`` to ``high`` whose ticks are plain numbers."""
    axes.set_xscale("log")
    axes.set_xlim(low / 1.12, high * 1.12)
    marks = marks_within(low, high) or [low, high]
    axes.xaxis.set_major_locator(FixedLocator(marks))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def plain_grid(axes: Axes, **which: Any) -> None:
    """The grid of every axes: faint, and no ticks."""
    axes.grid(color=GRID, **which)
    axes.tick_params(length=0)
