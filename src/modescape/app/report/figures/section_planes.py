"""Planes through three solutions: the loss, and how often its points disagree with each of them."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from modescape.app.report.figures.omitted import Omitted
from modescape.app.report.figures.quantities import quantity
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
from modescape.tables import Table

TITLE = "Planes through three solutions: are they in one valley?"
_SHOWN, _MOST = 2, 9


class Planes(NamedTuple):
    """The planes that are drawn, the quantities of each, and all planes that there are."""

    sections: tuple[Section, ...]
    names: Mapping[str, tuple[str, ...]]
    found: tuple[Section, ...]


def numbers(tables: Mapping[str, Table]) -> Planes:
    """The first planes through solutions."""
    found = sections_of(tables, ("plane",))
    if not found:
        raise Omitted("Omitted: this run has no plane through three solutions.")
    return planes_of(found, found[:_SHOWN])


def planes_of(found: tuple[Section, ...], shown: tuple[Section, ...]) -> Planes:
    """Some planes of those that were found, with the quantities that each of them shows."""
    return Planes(shown, {one.name: _names(one) for one in shown}, found)


def _names(section: Section) -> tuple[str, ...]:
    wanted = ["nll", "accuracy", *section.with_references("disagreement")[:3], "train_nll", "calibration_error"]
    wanted += [name for name in section.values if name.startswith("detection/")]
    return tuple(name for name in wanted if name in section.values)[:_MOST]


def caption(numbers: Planes) -> str:
    """Say how low and how high the loss is, and how much the solutions disagree."""
    first = numbers.sections[0]
    text = (
        f"Every point is a network on the plane through {solutions_of(first)}, judged by {measured_on(first)}; "
        f"distances are those of weight space."
    )
    apart = [
        first.at_solution(f"disagreement/{b}", a)
        for a in first.members
        for b in first.members
        if a != b and f"disagreement/{b}" in first.values
    ]
    if apart and np.isfinite(apart).all():
        text += f" At one solution, disagreement with another is {np.mean(apart):.1%} on average."
    if ranges := ranges_of(first):
        text += f" On its grid there is {ranges}."
    return text + told(numbers)


def ranges_of(section: Section) -> str:
    """The range of loss and accuracy over a cross-section, as part of a sentence; empty where neither is known."""
    parts = []
    for name in ("nll", "accuracy"):
        values = section.values.get(name, np.zeros(0))
        values = values[np.isfinite(values)]
        if len(values):
            shown = quantity(name)
            unit = " nats" if name == "nll" else ""
            parts.append(f"{shown.title} from {shown.said(values.min())} to {shown.said(values.max())}{unit}")
    return joined(parts)


def told(numbers: Planes) -> str:
    """What captions of planes end with: how sure values are, what is not finite, what marks mean."""
    names = list(dict.fromkeys(name for shown in numbers.names.values() for name in shown))
    return (
        " "
        + how_sure(numbers.sections, names)
        + told_not_finite(numbers.sections, names, "hatched")
        + told_marks(numbers.sections)
        + told_left_out(numbers.found, len(numbers.sections), "planes")
    )


@look()
def draw(numbers: Planes) -> Figure:
    """A block of panels for each plane."""
    return panels(numbers.sections, numbers.names)
