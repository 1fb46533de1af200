"""One panel of a figure of cross-sections: a quantity as filled contours, and the networks that lie near."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import BoundaryNorm, Normalize, to_rgba
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from modescape.app.report.figures.kinds import look_of
from modescape.app.report.figures.legend import size_of
from modescape.app.report.figures.quantities import Quantity
from modescape.app.report.figures.sections import (
    CHECKPOINT,
    INITIALISATION,
    NETWORKS,
    ORIGIN,
    SOLUTION,
    Marks,
    Section,
    fitted,
)
from modescape.app.report.figures.style import GRID, INK, percent

HATCH: dict[str, Any] = {"facecolor": GRID, "edgecolor": "#8c96a1", "hatch": "////", "linewidth": 0}
"""The look of what is not finite."""

_FAINTEST = 0.3
_ON_IT = 1e-4
"""Distance up to which a network counts as lying on its cross-section: its weights are rounded."""

_SIZES = {SOLUTION: 120.0, CHECKPOINT: 13.0, INITIALISATION: 30.0, ORIGIN: 50.0}


def draw_quantity(axes: Axes, section: Section, shown: Quantity, levels: np.ndarray) -> None:
    """Fill the panel between the levels; cells with a corner that is not finite are hatched instead."""
    (x, y), values = section.places, shown.drawn(section.values[shown.name])
    whole = _whole(values)
    _hatch(axes, section.places, ~whole)
    if whole.any():
        # Without corner masks a cell is filled or hatched, never half of each.
        masked = np.ma.masked_invalid(values)
        axes.contourf(x, y, masked, levels, cmap=shown.colours, norm=norm_of(shown, levels), corner_mask=False)
        # A line at every other step: at each they would hide the colours where values change fast.
        inside = levels[::2]
        inside = inside[(inside > np.nanmin(values)) & (inside < np.nanmax(values))]
        # A level that only hatched cells cross has no line, of which matplotlib would warn.
        inside = inside[_crossed(values, whole, inside)]
        if len(inside):
            axes.contour(x, y, masked, inside, colors="white", linewidths=0.4, alpha=0.55, corner_mask=False)
    axes.set(aspect="equal", xlim=(np.nanmin(x), np.nanmax(x)), ylim=(np.nanmin(y), np.nanmax(y)))
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=8.5)
    axes.locator_params(nbins=5)
    axes.set_title(fitted(shown.title, 38), fontsize=9.8, parse_math=False)


def norm_of(shown: Quantity, levels: np.ndarray) -> BoundaryNorm:
    """Which colour stands for the values between two levels."""
    return BoundaryNorm(levels, shown.colours.N)


def corners_of(values: np.ndarray) -> np.ndarray:
    """The four corners of every cell, in the order of its outline: [row, column, corner]."""
    return np.stack([values[:-1, :-1], values[:-1, 1:], values[1:, 1:], values[1:, :-1]], axis=-1)


def _whole(values: np.ndarray) -> np.ndarray:
    whole: np.ndarray = np.isfinite(corners_of(values)).all(axis=-1)
    return whole


def _crossed(values: np.ndarray, whole: np.ndarray, levels: np.ndarray) -> np.ndarray:
    corners = corners_of(values)[whole]
    low, high = corners.min(axis=-1), corners.max(axis=-1)
    return np.array([bool(((low < level) & (high > level)).any()) for level in levels], dtype=bool)


def _hatch(axes: Axes, places: tuple[np.ndarray, np.ndarray], cells: np.ndarray) -> None:
    outlines = np.stack([corners_of(part)[cells] for part in places], axis=-1)
    if len(outlines):
        # Smoothed edges would let the paper shine through between two cells.
        hatched = PolyCollection(list(outlines), label="not finite", antialiaseds=False, **HATCH)
        axes.add_collection(hatched, autolim=False)


def colour_scale(axes: Axes, shown: Quantity, levels: np.ndarray, smooth: bool = False) -> None:
    """The scale beside the panel and exactly as high, in steps or smooth, with plain numbers at round values."""
    norm = Normalize(levels[0], levels[-1]) if smooth else norm_of(shown, levels)
    place = axes.inset_axes((1.035, 0.0, 0.04, 1.0))
    mapped = ScalarMappable(norm, shown.colours)
    bar = axes.figure.colorbar(mapped, cax=place, ticks=ticks_of(shown, levels))
    bar.outline.set_visible(False)
    bar.ax.minorticks_off()
    bar.ax.tick_params(length=0, labelsize=8.5)
    bar.ax.set_yticklabels([label_of(shown, tick) for tick in ticks_of(shown, levels)])
    bar.set_label(shown.unit, labelpad=5, fontsize=8.5)


def ticks_of(shown: Quantity, levels: np.ndarray) -> list[float]:
    """Where a scale has numbers: round ones, whatever is drawn of a quantity."""
    if shown.logarithmic:
        powers = range(int(np.floor(levels[0])) - 1, int(np.ceil(levels[-1])) + 1)
        for steps in ((1,), (1, 3), (1, 2, 5)):
            ticks = [float(np.log10(step) + power) for power in powers for step in steps]
            ticks = [tick for tick in ticks if levels[0] <= tick <= levels[-1]]
            if len(ticks) >= 4:
                return ticks[:: -(-len(ticks) // 8)]
    step = float(levels[1] - levels[0])
    every = next(every for every in (1, 2, 5, 10, 20) if len(levels) <= 8 * every)
    return [float(level) for level in levels if round(float(level) / step) % every == 0]


def label_of(shown: Quantity, drawn: float) -> str:
    """What stands beside a tick at a value as drawn."""
    if shown.logarithmic:
        return f"{10.0**drawn:.3g}"
    return percent(drawn) if shown.percent else f"{drawn:.4g}"


def faintness(section: Section) -> float:
    """The distance at which a mark is drawn faintest; 0 where every network lies on the cross-section."""
    most = max((float(marks.distance.max()) for marks in section.marks if len(marks.distance)), default=0.0)
    return most if most > _ON_IT else 0.0


def draw_marks(axes: Axes, section: Section, with_numbers: bool = True) -> None:
    """The networks, the fainter the farther from the cross-section; solutions carry their numbers."""
    most, names = faintness(section), subspaces_of([section])
    for layer, marks in enumerate(sorted(section.marks, key=lambda one: _LAYERS.get(one.kind, 1))):
        opacity = 1.0 - (1.0 - _FAINTEST) * (marks.distance / most if most else np.zeros(len(marks.points)))
        _scatter(axes, marks, opacity, names, 10 + layer)
    for marks in section.of_kind(SOLUTION) if with_numbers else []:
        axes.annotate(
            str(marks.member),
            marks.points[0],
            (6, 5),
            textcoords="offset points",
            fontsize=9,
            weight="bold",
            color="white",
            zorder=40,
            path_effects=[withStroke(linewidth=2.2, foreground=INK)],
        )


_LAYERS = {ORIGIN: 0, CHECKPOINT: 2, INITIALISATION: 3, SOLUTION: 4}


def _scatter(axes: Axes, marks: Marks, opacity: np.ndarray, names: Sequence[str], layer: int) -> None:
    def faded(shade: str) -> list[tuple[float, float, float, float]]:
        return [to_rgba(shade, float(share)) for share in opacity]

    looks: dict[str, Any] = {"marker": _marker(marks.kind, names), "zorder": layer, "label": marks.kind}
    if marks.kind in NETWORKS:
        looks |= {"facecolors": faded("white"), "edgecolors": faded(INK), "linewidths": 0.8}
    else:
        shade = look_of(marks.kind, names).colour
        looks |= {"facecolors": faded(shade), "edgecolors": faded("white"), "linewidths": 0.5}
    x, y = marks.points.T
    axes.scatter(x, y, s=_SIZES.get(marks.kind, 15.0), **looks)


def _marker(kind: str, names: Sequence[str]) -> str:
    known = {SOLUTION: "*", CHECKPOINT: "o", INITIALISATION: "D", ORIGIN: "X"}
    return known[kind] if kind in known else look_of(kind, names).marker


def subspaces_of(sections: Sequence[Section]) -> list[str]:
    """The subspaces with members on these cross-sections, each once."""
    return list(dict.fromkeys(marks.kind for one in sections for marks in one.marks if marks.kind not in NETWORKS))


def entries(sections: Sequence[Section], missing: bool) -> list[Line2D | Patch]:
    """The legend of everything that is drawn on these panels."""
    kinds = {marks.kind for section in sections for marks in section.marks}
    names = subspaces_of(sections)
    titles = {
        SOLUTION: "solutions, by number",
        CHECKPOINT: "checkpoints",
        INITIALISATION: "initialisations",
        ORIGIN: "origin of weight space",
    }
    found: list[Line2D | Patch] = [_entry(kind, title, names) for kind, title in titles.items() if kind in kinds]
    found += [_entry(name, title_with_factor(sections, name), names) for name in names]
    return found + ([Patch(label="not finite", **HATCH)] if missing else [])


def title_with_factor(sections: Sequence[Section], name: str) -> str:
    """A subspace's title, with the factor by which its members' way from the solution is drawn longer."""
    factors = {marks.magnified for section in sections for marks in section.of_kind(name)}
    title = look_of(name, subspaces_of(sections)).title
    told = sorted(factor for factor in factors if factor != 1.0)
    return f"{title} (\N{MULTIPLICATION SIGN} {' or '.join(f'{factor:g}' for factor in told)})" if told else title


def _entry(kind: str, title: str, names: Sequence[str]) -> Line2D:
    marker = _marker(kind, names)
    size = {SOLUTION: 6.5, CHECKPOINT: 4.0, INITIALISATION: 5.0, ORIGIN: 6.5}.get(kind, 5.0)
    blank: dict[str, Any] = {"linestyle": "none", "marker": marker, "markersize": size_of(marker, size), "label": title}
    if kind in NETWORKS:
        return Line2D([], [], markerfacecolor="white", markeredgecolor=INK, markeredgewidth=0.9, **blank)
    return Line2D([], [], color=look_of(kind, names).colour, **blank)
