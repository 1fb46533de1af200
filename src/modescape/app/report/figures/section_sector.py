"""The sector between two solutions, seen from the origin of weight space (Fort et al. 2019, figure 5)."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from modescape.app.report.figures.omitted import Omitted
from modescape.app.report.figures.section_grid import panels, told_left_out, told_marks
from modescape.app.report.figures.sections import (
    Section,
    how_sure,
    joined,
    measured_on,
    sections_of,
    solutions_of,
    told_not_finite,
)
from modescape.app.report.figures.style import look
from modescape.app.report.words import number
from modescape.tables import Table

TITLE = "Seen from the origin of weight space: two solutions, two functions"
_SHOWN = 2


class Sectors(NamedTuple):
    """The sectors that are drawn, the quantities of each, and how many sectors there are in all."""

    sections: tuple[Section, ...]
    names: Mapping[str, tuple[str, ...]]
    found: tuple[Section, ...]


def numbers(tables: Mapping[str, Table]) -> Sectors:
    """The first sectors: accuracy and normalised agreement above, loss and plain agreement beneath."""
    found = sections_of(tables, ("sector",))
    if not found:
        raise Omitted("Omitted: this run has no sector between two solutions.")
    shown = found[:_SHOWN]
    return Sectors(shown, {one.name: _names(one) for one in shown}, found)


def _names(section: Section) -> tuple[str, ...]:
    above = ["accuracy", *section.with_references("normalised_similarity")[:2]]
    beneath = ["nll", *section.with_references("similarity")[:2]]
    return tuple(name for name in [*above, *beneath] if name in section.values)


def caption(numbers: Sectors) -> str:
    """Say how accurate both solutions are, and how little they agree."""
    first = numbers.sections[0]
    text = (
        f"Every point is a network on the plane of {solutions_of(first)} and the origin of weight space, judged by "
        f"{measured_on(first)}.{_found(first)} Normalised agreement is 1 minus the disagreement over the point's own "
        "error rate: about 0 where it errs independently of the solution; values below are drawn as 0. "
    )
    names = numbers.names[first.name]
    return (
        text
        + how_sure(numbers.sections, names)
        + told_not_finite(numbers.sections, names, "hatched")
        + told_marks(numbers.sections)
        + told_left_out(numbers.found, len(numbers.sections), "sectors")
    )


def _found(section: Section) -> str:
    text = ""
    levels = [section.at_solution("accuracy", member) for member in section.members]
    if levels and np.isfinite(levels).all():
        text = f" Accuracy is {' and '.join(f'{level:.1%}' for level in levels)} at the grid points next to them"
        values = section.values["accuracy"]
        text += f" and {np.nanmin(values[np.isfinite(values)]):.1%} at the lowest."
    pairs = [
        (a, b, section.at_solution(f"normalised_similarity/{b}", a))
        for a in section.members
        for b in section.members
        if a != b
    ]
    told = [f"{number(value)} at solution {a} with solution {b}" for a, b, value in pairs if np.isfinite(value)]
    return text + (f" Normalised agreement is {joined(told)}." if told else "")


@look()
def draw(numbers: Sectors) -> Figure:
    """A block of panels for each sector."""
    return panels(numbers.sections, numbers.names)
