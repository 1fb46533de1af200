"""A cross-section as a surface that can be turned: height by one quantity, colour by another."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.colors import Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from mpl_toolkits.mplot3d.art3d import Poly3DCollection  # type: ignore[import-untyped]

from modescape.app.report.figures.omitted import Omitted
from modescape.app.report.figures.quantities import Quantity, levels_of, quantity
from modescape.app.report.figures.section_panel import colour_scale, corners_of, label_of, ticks_of
from modescape.app.report.figures.sections import (
    SOLUTION,
    SURFACES,
    Section,
    fitted,
    in_turn,
    measured_on,
    sections_of,
    told_not_finite,
)
from modescape.app.report.figures.style import GRID, WIDTH, look
from modescape.tables import Table

TITLE = "A surface to turn"
_DIGITS = 4
_MOST = 12
_STOPS = 33
_PIN = "#2a93d5"
"""A blue that stands out from every colour of the surfaces; `surface.js` has the same."""
# Each of these says the same as its partner, turned round; one of them is enough to choose from.
_PARTNERS = {
    "error": "accuracy",
    "similarity": "disagreement",
    "normalised_similarity": "normalised_disagreement",
}


class Surface(NamedTuple):
    """The cross-sections to choose from, of how many, and what is shown at first."""

    sections: tuple[Section, ...]
    found: int
    first: Section
    height: str
    colour: str


def numbers(tables: Mapping[str, Table]) -> Surface:
    """Planes and sectors, at first a plane's loss, coloured by the disagreement with the first solution."""
    found = sections_of(tables, SURFACES)
    if not found:
        raise Omitted("Omitted: this run has no cross-section of two axes.")
    sections = in_turn(found, _MOST)
    # The square of a plane tells more, seen from one side, than the slice of a sector.
    first = next((one for one in sections if one.kind == "plane"), sections[0])
    return Surface(sections, len(found), first, *_at_first(first))


def _at_first(section: Section) -> tuple[str, str]:
    names = choices(section)
    height = next(name for name in [*(n for n in ("nll", "accuracy") if n in names), *names])
    others = [name for name in section.with_references("disagreement") if name in names]
    return height, next(name for name in [*others, *(n for n in names if n != height), height])


def choices(section: Section) -> list[str]:
    """The quantities that can be chosen, without those that say the same as another one."""
    return [name for name in section.values if _partner(name) not in section.values]


def _partner(name: str) -> str:
    base, slash, other = name.partition("/")
    return f"{_PARTNERS[base]}{slash}{other}" if base in _PARTNERS else ""


def caption(numbers: Surface) -> str:
    """Say what height and colour are, and what can be done with it."""
    first, names = numbers.first, (numbers.height, numbers.colour)
    height, colour = (quantity(name) for name in names)
    count = len(numbers.sections)
    some = f"{count:,}" if count == numbers.found else f"{count:,} of {numbers.found:,}"
    choice = f"any quantity of {some} cross-sections" if count > 1 else "any of its quantities"
    text = (
        f"The cross-section {first.name}: height is {height.title} ({height.unit}), colour is {colour.title} "
        f"({colour.unit}), judged by {measured_on(first)}. On a screen it can be turned, with {choice} as height and "
        "as colour; that takes a browser with scripts and WebGL."
    )
    return text + told_not_finite([first], names, "the surface has a hole")


@look()
def draw(numbers: Surface) -> Figure:
    """The surface from one side, for paper and for browsers without WebGL."""
    section = numbers.first
    height, colour = quantity(numbers.height), quantity(numbers.colour)
    figure = Figure(figsize=(WIDTH, 6.2), layout="constrained")
    axes: Any = figure.add_subplot(projection="3d", computed_zorder=False)
    z, shades = height.drawn(section.values[height.name]), colour.drawn(section.values[colour.name])
    levels = levels_of(colour, [section.values[colour.name]])
    outlines = np.stack([corners_of(part) for part in (*section.places, z)], axis=-1)
    whole = np.isfinite(outlines).all(axis=(2, 3))
    if whole.any():
        # Each cell by itself: the library's own surfaces take a cell's colour from one of its corners.
        shade = colour_of(colour, levels, corners_of(shades).mean(axis=-1)[whole])
        cells = Poly3DCollection(outlines[whole], facecolors=shade, edgecolors=(1, 1, 1, 0.25), linewidths=0.2)
        axes.add_collection3d(cells)
        _pins(axes, section, z)
    _axes(axes, section, height, levels_of(height, [section.values[height.name]]))
    beside = figure.add_axes((0.5, 0.2, 0.38, 0.55), zorder=-1)
    beside.set_axis_off()
    colour_scale(beside, colour, levels, smooth=True)
    beside.child_axes[0].set_ylabel(fitted(f"{colour.title}, {colour.unit}", 64), parse_math=False)
    return figure


def colour_of(shown: Quantity, levels: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Colours as on the scale; grey where there is no value."""
    norm = Normalize(levels[0], levels[-1])
    shades = shown.colours(norm(np.nan_to_num(drawn, nan=levels[0])))
    shades[~np.isfinite(drawn)] = (0.6, 0.6, 0.6, 1.0)
    found: np.ndarray = shades
    return found


def _pins(axes: Any, section: Section, z: np.ndarray) -> None:
    low, high = float(np.nanmin(z)), float(np.nanmax(z))
    top = high + 0.12 * ((high - low) or 1.0)
    for marks in section.of_kind(SOLUTION):
        x, y = marks.points[0]
        axes.plot([x, x], [y, y], [low, top], color=_PIN, linewidth=1.2, zorder=5)
        halo = [withStroke(linewidth=2.5, foreground="white")]
        axes.text(x, y, top, str(marks.member), weight="bold", ha="center", va="bottom", zorder=6, path_effects=halo)


def _axes(axes: Any, section: Section, height: Quantity, levels: np.ndarray) -> None:
    limits = zip("xy", section.places, strict=True)
    axes.set(**{f"{name}lim": (np.nanmin(part), np.nanmax(part)) for name, part in limits})
    axes.set_zlim(levels[0], levels[-1] + 0.12 * (levels[-1] - levels[0]))
    spans = [float(np.ptp(part)) or 1.0 for part in section.places]
    axes.set_box_aspect((spans[0], spans[1], 0.6 * max(spans)), zoom=1.05)
    axes.view_init(elev=32, azim=-58)
    ticks = ticks_of(height, levels)
    axes.set_zticks(ticks, [label_of(height, tick) for tick in ticks])
    axes.set_zlabel(fitted(height.title, 44), parse_math=False)
    axes.set_xlabel(fitted(section.titles[0], 50), parse_math=False)
    axes.set_ylabel(fitted(section.titles[1], 50), parse_math=False)
    axes.tick_params(labelsize=8)
    for side in (axes.xaxis, axes.yaxis, axes.zaxis):
        side.set_pane_color("white")
        side._axinfo["grid"].update(color=GRID, linewidth=0.8)


def scene(numbers: Surface) -> dict[str, Any]:
    """Everything that the page's script draws, as plain values that JSON can hold: null where nothing is finite."""
    names = dict.fromkeys(name for section in numbers.sections for name in choices(section))
    return {
        "quantities": {name: _described(quantity(name), numbers.sections) for name in names},
        "sections": [_plain(section) for section in numbers.sections],
        "first": numbers.sections.index(numbers.first),
        "height": numbers.height,
        "colour": numbers.colour,
    }


def _described(shown: Quantity, sections: tuple[Section, ...]) -> dict[str, Any]:
    levels = levels_of(shown, [one.values[shown.name] for one in sections if shown.name in one.values])
    stops = np.linspace(0, 1, _STOPS)
    scale = Normalize(0, 1)
    return {
        "title": shown.title,
        "unit": shown.unit,
        "logarithmic": shown.logarithmic,
        "percent": shown.percent,
        "low": float(levels[0]),
        "high": float(levels[-1]),
        "ticks": [[round(tick, 6), label_of(shown, tick)] for tick in ticks_of(shown, levels)],
        "colours": [[float(stop), to_hex(shown.colours(scale(stop)))] for stop in stops],
    }


def _plain(section: Section) -> dict[str, Any]:
    return {
        "name": section.name,
        "axes": section.axes,
        "titles": section.titles,
        **_own_coordinates(section),
        "x": _rounded(section.places[0]),
        "y": _rounded(section.places[1]),
        "values": {name: _rounded(section.values[name]) for name in choices(section)},
        "solutions": [
            {"member": marks.member, "x": float(marks.points[0, 0]), "y": float(marks.points[0, 1])}
            for marks in section.of_kind(SOLUTION)
        ],
    }


def _own_coordinates(section: Section) -> dict[str, Any]:
    if section.is_straight:
        return {}
    return {name: _rounded(values) for name, values in zip("ab", section.coordinates, strict=True)}


def _rounded(values: np.ndarray) -> list[list[float | None]]:
    """Four significant digits are finer than a screen shows; more would only make the page longer."""
    return [[float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None for value in row] for row in values.tolist()]
