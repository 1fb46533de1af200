"""Subspaces side by side: the exponent of each cloud, and the divergence of an ensemble drawn from each."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modescape.app.report.figures.kinds import INDEPENDENT, TRAJECTORY, Look, look_of, names_in_order
from modescape.app.report.figures.omitted import Omitted
from modescape.app.report.figures.style import FAINT, GRID, WIDTH, look
from modescape.tables import Table

TITLE = "Which subspace is most diverse?"


class Estimate(NamedTuple):
    """One number of one kind around one base, with its interval."""

    kind: str
    value: float
    low: float
    high: float


class Compared(NamedTuple):
    """Exponents of clouds and divergences of ensembles; the subspaces in the order of their colours."""

    exponents: tuple[Estimate, ...]
    divergences: tuple[Estimate, ...]
    names: tuple[str, ...]


def numbers(tables: Mapping[str, Table]) -> Compared:
    """Everything that has a value."""
    exponents = _estimates(tables["exponents"], "subspace", "exponent")
    divergences = _estimates(tables["ensembles"], "kind", "jensen_shannon")
    if not divergences:
        raise Omitted("Omitted: this run has no ensembles to compare.")
    return Compared(exponents, divergences, tuple(names_in_order(tables["ensembles"]["kind"])))


def _estimates(table: Table, kind: str, quantity: str) -> tuple[Estimate, ...]:
    rows = zip(*(table[name].tolist() for name in (kind, quantity, "low", "high")), strict=True)
    return tuple(Estimate(*row) for row in rows if np.isfinite(row[1]))


def caption(numbers: Compared) -> str:
    """Say what the two numbers mean, and which kind leads."""
    means = _means(numbers.divergences)
    order = ", ".join(f"{look_of(name, numbers.names).title} {value:.3f}" for name, value in means)
    return (
        "Left: the exponent of the curve nearest to each cloud of the plane; 1 is random flipping of labels, and the "
        "smaller it is the more diverse are members of equal accuracy. A cloud that stays close to its base has a wide "
        "interval. Right: the Jensen-Shannon divergence of an ensemble drawn at each subspace's own scale, beside one "
        f"of independent solutions and one of late checkpoints, in nats: {order}. Marks are bases, lines 95% intervals "
        "over examples."
    )


def _means(estimates: tuple[Estimate, ...]) -> list[tuple[str, float]]:
    """Kinds with the mean of their values, the largest first."""
    kinds = dict.fromkeys(estimate.kind for estimate in estimates)
    means = [(kind, float(np.mean([e.value for e in estimates if e.kind == kind]))) for kind in kinds]
    return sorted(means, key=lambda pair: -pair[1])


@look()
def draw(numbers: Compared) -> Figure:
    """Two panels of rows."""
    rows = max(len(_means(numbers.exponents)), len(_means(numbers.divergences)))
    figure = Figure(figsize=(WIDTH, 1.3 + 0.42 * rows), layout="constrained")
    left, right = figure.subplots(1, 2)
    _panel(left, numbers.exponents, list(reversed(_means(numbers.exponents))), numbers.names)
    left.set(xscale="log", xlabel="exponent of the cloud (1: lower limit)", title="more diverse ← cloud → less diverse")
    left.axvline(1, color=FAINT, linewidth=1, linestyle=(0, (4, 2)), zorder=1)
    low, high = left.get_xlim()
    marks = [m * 10.0**power for power in range(-2, 2) for m in (1, 2, 5) if low <= m * 10.0**power <= high]
    left.set_xticks(marks, [f"{mark:g}" for mark in marks])
    left.set_xticks([], minor=True)
    _panel(right, numbers.divergences, _means(numbers.divergences), numbers.names)
    right.set(xlabel="Jensen-Shannon divergence (nats)", title="an ensemble of few members")
    right.set_xlim(left=-0.02 * max(value for _, value in _means(numbers.divergences)))
    return figure


def _panel(axes: Axes, estimates: tuple[Estimate, ...], order: list[tuple[str, float]], names: tuple[str, ...]) -> None:
    looks: list[Look] = [look_of(kind, names) for kind, _ in order]
    for place, ((kind, _), shown) in enumerate(zip(order, looks, strict=True)):
        mine = [estimate for estimate in estimates if estimate.kind == kind]
        heights = place + np.linspace(-0.14, 0.14, len(mine)) if len(mine) > 1 else [place]
        for height, estimate in zip(heights, mine, strict=True):
            axes.plot([estimate.low, estimate.high], [height, height], color=shown.colour, linewidth=2, alpha=0.45)
            size = 11 if kind == INDEPENDENT else 6
            axes.plot([estimate.value], [height], shown.marker, color=shown.colour, markersize=size, zorder=4)
    axes.set_yticks(range(len(order)), [shown.title for shown in looks])
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.tick_params(length=0)
    axes.tick_params(which="minor", length=0)
    axes.grid(axis="x", color=GRID)
    for label, (kind, _) in zip(axes.get_yticklabels(), order, strict=True):
        if kind in (INDEPENDENT, TRAJECTORY):
            label.set_color(look_of(kind, names).colour if kind == INDEPENDENT else FAINT)
            label.set_fontweight("bold")
