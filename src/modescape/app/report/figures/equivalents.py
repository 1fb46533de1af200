"""How many independent networks every method is worth that starts from one network alone."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modescape.app.report.ensembles import INDEPENDENT, Ensemble, Score, called, fullest, largest_independent, scores_in
from modescape.app.report.figures.kinds import Look, look_of
from modescape.app.report.figures.legend import plain_grid, size_of
from modescape.app.report.figures.omitted import Omitted
from modescape.app.report.figures.style import FAINT, WIDTH, look
from modescape.tables import Table

TITLE = "How many independent networks is one network with members around it worth?"


class Equivalents(NamedTuple):
    """The methods from one network, the most valuable first, and how many independent networks there are."""

    worth: tuple[tuple[Ensemble, Score], ...]
    networks: int


def numbers(tables: Mapping[str, Table]) -> Equivalents:
    """Every method from one network, with all its members."""
    found = scores_in(tables["equivalents"], "equivalent")
    ones = [one for one in fullest(found) if one.solutions == 1 and one.method != INDEPENDENT]
    if not ones:
        raise Omitted("Omitted: this run has no method to compare with independent networks.")
    largest = largest_independent(found)
    if largest is None or largest.solutions < 2:
        raise Omitted("Omitted: this figure needs an ensemble of independent networks, and this run has none.")
    nll = scores_in(tables["equivalents"], "calibrated_nll")
    order = sorted(ones, key=lambda one: (-found[one].value, nll[one].value if one in nll else 0.0))
    return Equivalents(tuple((one, found[one]) for one in order), largest.solutions)


def caption(numbers: Equivalents) -> str:
    """Say which method is worth most, and how many are worth no more than one network."""
    (best, score), networks = numbers.worth[0], numbers.networks
    few = sum(value.value <= 1 for _, value in numbers.worth)
    start = (
        "The deep-ensemble equivalent: how many independent networks have the calibrated NLL of each method around a "
        f"single network, interpolated between the {networks} that were trained; lines are 95% intervals over examples."
    )
    if score.value <= 1:
        return f"{start} No method is worth more than one network."
    known = (
        "" if np.isnan(score.low) else f" (95% interval {_end(score.low, networks)} to {_end(score.high, networks)})"
    )
    rest = f" {few} of {len(numbers.worth)} are worth no more than one network." if few else ""
    return f"{start} {called(best)} is worth most: {_end(score.value, networks)}{known}.{rest}"


def _end(value: float, networks: int) -> str:
    return f"more than {networks}" if np.isinf(value) else "at most 1" if value <= 1 else f"{value:.1f}"


@look()
def draw(numbers: Equivalents) -> Figure:
    """A row for each method; what lies beyond the networks that there are is an arrow at the edge."""
    figure = Figure(figsize=(WIDTH, 1.3 + 0.4 * len(numbers.worth)), layout="constrained")
    axes = figure.subplots()
    methods = [one.method for one, _ in numbers.worth]
    looks = [look_of(method, methods) for method in methods]
    ends = [score.high if np.isfinite(score.high) else score.low for _, score in numbers.worth]
    ends += [score.value for _, score in numbers.worth]
    beyond = any(np.isinf(end) for _, score in numbers.worth for end in score[:3])
    known = [end for end in ends if np.isfinite(end)]
    # Where nothing reaches the largest ensemble the scale ends earlier, so that small numbers can be told apart.
    top = (
        float(numbers.networks) if beyond else min(float(numbers.networks), max([2.0, *(1.15 * end for end in known)]))
    )
    edge = top + 0.06 * (top - 1)
    for place, ((one, score), shown) in enumerate(zip(numbers.worth, looks, strict=True)):
        _row(axes, place, score, shown, edge)
        members = "" if one.samples == 1 else f"{one.samples} members"
        axes.text(1.02, place, members, transform=axes.get_yaxis_transform(), va="center", fontsize=9.5, color=FAINT)
        if np.isinf(score.value):
            note = f"more than {numbers.networks}"
            axes.text(edge - 0.03 * (top - 1), place - 0.2, note, ha="right", va="bottom", fontsize=9.5, color=FAINT)
        elif score.value <= 1 and not score.high > 1:
            axes.text(1 + 0.025 * (top - 1), place, "at most 1", va="center", fontsize=9.5, color=FAINT)
    axes.axvline(1, color=FAINT, linewidth=1, linestyle=(0, (4, 2)), zorder=1)
    axes.set_yticks(range(len(looks)), [shown.title for shown in looks])
    axes.set(ylim=(len(looks) - 0.4, -0.6), xlim=(1 - 0.03 * (top - 1), edge))
    axes.set_xlabel("deep-ensemble equivalent (independent networks)")
    plain_grid(axes, axis="x")
    return figure


def _row(axes: Axes, place: int, score: Score, shown: Look, edge: float) -> None:
    line: dict[str, Any] = {"color": shown.colour, "linewidth": 2, "alpha": 0.5, "zorder": 2, "solid_capstyle": "butt"}
    if not (np.isnan(score.low) or np.isnan(score.high)):
        axes.plot([min(score.low, edge), min(score.high, edge)], [place, place], **line)
    beyond = np.isinf(score.value)
    if beyond or score.high > edge:
        # The end lies beyond the scale, or beyond all networks: an arrow says that it goes on.
        axes.plot([edge], [place], ">", color=shown.colour, alpha=0.6, markersize=7, clip_on=False, zorder=3)
    if not beyond:
        size = size_of(shown.marker, 7)
        axes.plot([score.value], [place], shown.marker, color=shown.colour, markersize=size, clip_on=False, zorder=4)
