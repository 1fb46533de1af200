"""Rows of panels for cross-sections of two axes, and the sentences that they share."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from modescape.app.report.figures.quantities import levels_of, quantity
from modescape.app.report.figures.section_panel import (
    colour_scale,
    draw_marks,
    draw_quantity,
    entries,
    faintness,
    title_with_factor,
)
from modescape.app.report.figures.sections import Section, fitted, joined, not_finite
from modescape.app.report.figures.style import FAINT, WIDTH

COLUMNS = 3
_WIDEST, _TALLEST = 1.9, 0.55


def panels(sections: Sequence[Section], names: Mapping[str, Sequence[str]]) -> Figure:
    """For each cross-section a block of panels, one a quantity, with the same scale wherever a quantity is the same."""
    rows = [(one, place) for one in sections for place in range(-(-len(names[one.name]) // COLUMNS))]
    height = WIDTH / COLUMNS * 0.72 * _shape(sections) + 0.62
    figure = Figure(figsize=(WIDTH, 0.9 + height * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), COLUMNS, squeeze=False)
    scales = scales_of(sections, names)
    for line, (section, place) in zip(grid, rows, strict=True):
        shown = names[section.name][COLUMNS * place : COLUMNS * (place + 1)]
        for axes in line[len(shown) :]:
            axes.set_axis_off()
        for axes, name in zip(line, shown, strict=False):
            kind = quantity(name)
            draw_quantity(axes, section, kind, scales[name.partition("/")[0]])
            colour_scale(axes, kind, scales[name.partition("/")[0]])
            draw_marks(axes, section)
        _label(line, section, first=place == 0 and len(sections) > 1)
    missing = any(not_finite([one], names[one.name]) for one in sections)
    if handles := entries(sections, missing):
        figure.legend(handles=handles, loc="outside upper center", ncols=min(4, len(handles)), columnspacing=1.6)
    return figure


def _label(line: np.ndarray, section: Section, first: bool) -> None:
    line[0].set_ylabel(fitted(section.titles[1], 36, 2), fontsize=9, color=FAINT, parse_math=False)
    for axes in line:
        axes.set_xlabel(fitted(section.titles[0], 36, 2), fontsize=9, color=FAINT, parse_math=False)
    if first:
        line[0].annotate(
            fitted(section.name, 70), (0, 1), (0, 24), xycoords="axes fraction", textcoords="offset points",
            fontsize=10, color=FAINT, parse_math=False,
        )  # fmt: skip


def _shape(sections: Sequence[Section]) -> float:
    """How high a panel is for its width, so that none leaves most of its place empty."""
    ratios = [float(np.ptp(one.places[1]) / (np.ptp(one.places[0]) or 1.0)) for one in sections]
    return min(max(max(ratios), _TALLEST), _WIDEST)


def scales_of(sections: Sequence[Section], names: Mapping[str, Sequence[str]]) -> dict[str, np.ndarray]:
    """Kind of quantity -> the levels that all panels of that kind share, whichever solution they compare with."""
    found: dict[str, list[np.ndarray]] = {}
    for section in sections:
        for name in names[section.name]:
            found.setdefault(name.partition("/")[0], []).append(section.values[name])
    # The name with a reference, where it has one, decides how values are drawn.
    return {base: levels_of(quantity(f"{base}/0"), arrays) for base, arrays in found.items()}


def told_marks(sections: Sequence[Section]) -> str:
    """Sentences on marks: what fading means, and which of them are drawn longer than they are."""
    far = max((faintness(one) for one in sections), default=0.0)
    text = ""
    if far:
        text += (
            f" A mark is the fainter, the farther its network lies from the {_called(sections)}; the faintest is "
            f"{far:.3g} away in weight space."
        )
    names = dict.fromkeys(m.kind for one in sections for m in one.marks if m.magnified != 1.0)
    if names:
        titles = joined([title_with_factor(sections, name) for name in names])
        text += f" Members drawn from a subspace would hide under its star; their spread is magnified: {titles}."
    return text


def _called(sections: Sequence[Section]) -> str:
    return "sector" if sections[0].kind == "sector" else "plane"


def told_left_out(found: Sequence[Section], shown: int, what: str) -> str:
    """Which of many are shown; nothing where all are."""
    return f" Of {len(found)} {what} {shown} are shown." if len(found) > shown else ""
