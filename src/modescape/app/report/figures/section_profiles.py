"""Along lines and rays: how loss, accuracy and disagreement change on the way."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullLocator

from modescape.app.report.figures.legend import plain_grid
from modescape.app.report.figures.omitted import Omitted
from modescape.app.report.figures.quantities import quantity
from modescape.app.report.figures.section_panel import HATCH
from modescape.app.report.figures.sections import (
    LINES,
    Section,
    how_sure,
    measured_on,
    sections_of,
    told_not_finite,
)
from modescape.app.report.figures.style import COLOURS, FAINT, INK, WIDTH, look, percent
from modescape.app.report.words import counted
from modescape.tables import Table

TITLE = "On straight lines: what lies between two solutions, and on the way from the origin?"
_FEW = 8
_NAMES = {"line": "lines", "ray": "rays"}


class Bundle(NamedTuple):
    """One quantity along all cross-sections of a kind; each path is (coordinates, values as measured)."""

    name: str
    title: str
    paths: tuple[tuple[np.ndarray, np.ndarray], ...]

    @property
    def alike(self) -> bool:
        """Whether all paths have the same coordinates, so that a mean along them means something."""
        first = self.paths[0][0]
        return all(np.array_equal(a, first) for a, _ in self.paths)

    @property
    def mean(self) -> np.ndarray:
        """The mean over the paths; NaN where one of them is not finite."""
        return np.where(self.finite, np.mean([values for _, values in self.paths], axis=0), np.nan)

    @property
    def finite(self) -> np.ndarray:
        """Where every path has a finite value."""
        return np.asarray(np.isfinite([values for _, values in self.paths]).all(axis=0))


class Profiles(NamedTuple):
    """Kind of cross-section -> panel -> its bundles; and the cross-sections themselves."""

    panels: Mapping[str, Mapping[str, tuple[Bundle, ...]]]
    sections: tuple[Section, ...]


def numbers(tables: Mapping[str, Table]) -> Profiles:
    """All lines and all rays."""
    sections = sections_of(tables, LINES)
    if not sections:
        raise Omitted("Omitted: this run has no line between solutions and no ray from the origin.")
    groups = {kind: [one for one in sections if one.kind == kind] for kind in LINES}
    return Profiles({kind: _panels(found) for kind, found in groups.items() if found}, sections)


def _panels(sections: Sequence[Section]) -> dict[str, tuple[Bundle, ...]]:
    plain = {"negative log-likelihood": ("nll", "train_nll"), "accuracy": ("accuracy",)}
    found = {
        panel: tuple(b for name in names if (b := _bundle(sections, quantity(name).title, [name] * len(sections))))
        for panel, names in plain.items()
    }
    found["disagreement"] = _disagreement(sections)
    return {panel: bundles for panel, bundles in found.items() if bundles}


def _disagreement(sections: Sequence[Section]) -> tuple[Bundle, ...]:
    ends = [[f"disagreement/{member}" for member in one.members] for one in sections]
    most = max(map(len, ends))
    titles = (
        ["disagreement with the solution"]
        if most == 1
        else [f"disagreement with the {n} solution" for n in ("first", "second")]
    )
    bundles = [
        _bundle(sections, title, [names[place] if place < len(names) else "" for names in ends])
        for place, title in enumerate(titles)
    ]
    return tuple(bundle for bundle in bundles if bundle)


def _bundle(sections: Sequence[Section], title: str, names: Sequence[str]) -> Bundle | None:
    paths = [
        (one.coordinates[0][:, 0], one.values[name][:, 0])
        for one, name in zip(sections, names, strict=True)
        if name in one.values
    ]
    return Bundle(next(n for n in names if n).partition("/")[0], title, tuple(paths)) if paths else None


def caption(numbers: Profiles) -> str:
    """Say how far accuracy falls on the way, and what the lines are."""
    text = " ".join(_told(kind, panels, numbers.sections) for kind, panels in numbers.panels.items())
    names = list(dict.fromkeys(name for one in numbers.sections for name in one.values if _is_drawn(name)))
    many = any(len(b.paths) > 1 and b.alike for p in numbers.panels.values() for found in p.values() for b in found)
    if many:
        text += " Thick: the mean; the band reaches from the least to the most, thin lines are single cross-sections."
    losses = [values for one in numbers.sections for name, values in one.values.items() if quantity(name).logarithmic]
    if any((values < _FLOOR).any() for values in losses):
        text += f" Losses below {_FLOOR:g} nats run out of the panel."
    return (
        f"{text} Judged by {measured_on(numbers.sections[0])}. {how_sure(numbers.sections, names)}"
        f"{told_not_finite(numbers.sections, names, 'those places are hatched and the mean breaks off')}"
    )


def _is_drawn(name: str) -> bool:
    return name.partition("/")[0] in ("nll", "train_nll", "accuracy", "disagreement")


def _told(kind: str, panels: Mapping[str, tuple[Bundle, ...]], sections: Sequence[Section]) -> str:
    count = sum(one.kind == kind for one in sections)
    start = {
        "line": f"{counted(count, 'line')} from one solution (0) to another (1)",
        "ray": f"{counted(count, 'ray')} from the origin of weight space (0) through a solution (1)",
    }[kind]
    bundles = panels.get("accuracy", ())
    if not bundles or not bundles[0].alike or not np.isfinite(bundles[0].mean).any():
        return f"{start}."
    places, mean = bundles[0].paths[0][0], bundles[0].mean
    between = np.where((places >= 0) & (places <= 1), mean, np.nan)
    inside = [int(np.abs(places - end).argmin()) for end in (0.0, 1.0)]
    average = " on average" if count > 1 else ""
    if kind == "line":
        ends = float(np.nanmean(mean[inside])) if np.isfinite(mean[inside]).any() else float("nan")
        text = f"{start}: accuracy is {ends:.1%} at the two solutions"
        if np.isfinite(between).any():
            lowest = int(np.nanargmin(between))
            text += f" and {mean[lowest]:.1%} at its lowest between them, at {places[lowest]:.2f}"
        return f"{text}{average}."
    return f"{start}: accuracy is {mean[inside[1]]:.1%} at 1 and {mean[-1]:.1%} at {places[-1]:.2f}{average}."


@look()
def draw(numbers: Profiles) -> Figure:
    """A row for lines, a row for rays; the same scale for the same quantity."""
    names = list(dict.fromkeys(name for panels in numbers.panels.values() for name in panels))
    rows = len(numbers.panels)
    figure = Figure(figsize=(WIDTH, 0.8 + 3.2 * rows), layout="constrained")
    grid = figure.subplots(rows, len(names), squeeze=False, sharey="col")
    for line, (kind, panels) in zip(grid, numbers.panels.items(), strict=True):
        for axes, name in zip(line, names, strict=True):
            if name not in panels:
                axes.set_axis_off()
                continue
            _panel(axes, panels[name])
            axes.set_title(name if rows == 1 else f"{name}, {_NAMES[kind]}", fontsize=11)
            axes.set_xlabel("0: first, 1: second solution" if kind == "line" else "0: origin, 1: solution")
    figure.legend(handles=_entries(numbers), loc="outside upper center", ncols=3, columnspacing=1.6)
    return figure


def _panel(axes: Axes, bundles: Sequence[Bundle]) -> None:
    for shade, bundle in zip(_SHADES, bundles, strict=False):
        _draw(axes, bundle, shade)
    shown = quantity(bundles[0].name)
    if shown.logarithmic and any((values[np.isfinite(values)] > 0).any() for b in bundles for _, values in b.paths):
        axes.set_yscale("log")
        # The training loss falls without end along a ray, and would press all others flat.
        axes.set_ylim(bottom=max(axes.get_ylim()[0], _FLOOR))
        low, high = axes.get_ylim()
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 300 * low else (1,)))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_locator(NullLocator())
    elif shown.percent:
        axes.yaxis.set_major_formatter(percent)
    axes.set_xlim(min(a.min() for b in bundles for a, _ in b.paths), max(a.max() for b in bundles for a, _ in b.paths))
    plain_grid(axes)


_FLOOR = 1e-4
"""Nats: the least loss that a panel shows."""
_SHADES = (COLOURS[0], COLOURS[1])


def _draw(axes: Axes, bundle: Bundle, shade: str) -> None:
    single = len(bundle.paths) == 1
    if single or len(bundle.paths) <= _FEW or not bundle.alike:
        for places, values in bundle.paths:
            finite = np.where(np.isfinite(values), values, np.nan)
            axes.plot(places, finite, color=shade, linewidth=2 if single else 0.8, alpha=1 if single else 0.5)
    if bundle.alike and not single:
        places = bundle.paths[0][0]
        stacked = np.where(bundle.finite, [values for _, values in bundle.paths], np.nan)
        axes.fill_between(places, stacked.min(axis=0), stacked.max(axis=0), color=shade, alpha=0.16, linewidth=0)
        axes.plot(places, bundle.mean, color=shade, linewidth=2.2)
    for places, values in bundle.paths:
        _hatch(axes, places, ~np.isfinite(values))


def _hatch(axes: Axes, places: np.ndarray, missing: np.ndarray) -> None:
    """Hatch from half-way to the neighbour before to half-way to the one after."""
    edges = np.concatenate([places[:1], (places[1:] + places[:-1]) / 2, places[-1:]])
    for place in np.flatnonzero(missing):
        axes.axvspan(edges[place], edges[place + 1], zorder=0, **HATCH)


def _entries(numbers: Profiles) -> list[Line2D | Patch]:
    bundles = [b for panels in numbers.panels.values() for found in panels.values() for b in found]
    entries: list[Line2D | Patch] = []
    for place, shade in enumerate(_SHADES):
        groups = [found for panels in numbers.panels.values() for found in panels.values() if len(found) > 1]
        titles = dict.fromkeys(found[place].title for found in groups)
        entries += [Line2D([], [], color=shade, linewidth=2.2, label="; ".join(titles))] if titles else []
    if any(len(b.paths) > 1 and b.alike for b in bundles):
        entries.append(Line2D([], [], color=INK, linewidth=2.2, label="mean"))
        entries.append(Patch(color=INK, alpha=0.16, linewidth=0, label="least to most"))
    if any(len(b.paths) <= _FEW or not b.alike for b in bundles):
        entries.append(Line2D([], [], color=FAINT, linewidth=0.8, label="single cross-sections"))
    if any(not np.isfinite(values).all() for b in bundles for _, values in b.paths):
        entries.append(Patch(label="not finite", **HATCH))
    return entries
