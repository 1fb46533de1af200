"""Planes along two directions around a solution: random, principal, steepest."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from modescape.app.report.figures.omitted import Omitted
from modescape.app.report.figures.section_grid import panels
from modescape.app.report.figures.section_planes import Planes, planes_of, ranges_of, told
from modescape.app.report.figures.sections import DIRECTIONS, Section, in_turn, joined, measured_on, sections_of
from modescape.app.report.figures.style import look
from modescape.tables import Table

TITLE = "Along two directions: how steep is it around a solution?"
_SHOWN = 4


def numbers(tables: Mapping[str, Table]) -> Planes:
    """The first plane of every kind, then others while there is room."""
    found = sections_of(tables, (DIRECTIONS,))
    if not found:
        raise Omitted("Omitted: this run has no plane along two directions.")
    return planes_of(found, in_turn(found, _SHOWN))


def caption(numbers: Planes) -> str:
    """Say along what each plane extends, and how far the loss rises on it."""
    plane = "the plane" if len(numbers.sections) == 1 else "one of the planes"
    text = f"Every point is a network on {plane} along two directions"
    each = " ".join(_described(one) for one in numbers.sections)
    return f"{text}, judged by {measured_on(numbers.sections[0])}. {each}{told(numbers)}"


def _described(section: Section) -> str:
    around = f" around solution {joined(section.members)}" if section.members else ""
    ranges = ranges_of(section) or "nothing that is finite"
    return f"On {section.name}{around} ({section.axes[0]}; {section.axes[1]}) there is {ranges}."


@look()
def draw(numbers: Planes) -> Figure:
    """A block of panels for each plane."""
    return panels(numbers.sections, numbers.names)
