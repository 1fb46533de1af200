"""Calibrated likelihood against cost, of training and of prediction: which ensemble is worth it."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from modescape.app.report.ensemble_table import training_costs
from modescape.app.report.ensembles import (
    LIKELIHOOD,
    Ensemble,
    Scores,
    best_of,
    called,
    methods_of,
    scores_in,
    with_interval,
)
from modescape.app.report.figures.kinds import look_of
from modescape.app.report.figures.legend import counting_axis, entries, legend_above, plain_grid, size_of
from modescape.app.report.figures.omitted import Omitted
from modescape.app.report.figures.style import INK, WIDTH, look
from modescape.tables import Table

TITLE = "Which ensemble is worth its cost?"
_SLACK = 0.1
"""Trainings count as equally dear that differ by less: drawing members costs little, and clocks are not exact."""
_TOLD = 3
"""Ensembles of a frontier that the caption names."""


class Cost(NamedTuple):
    """One kind of cost: what every ensemble costs, and those that nothing cheaper equals, the cheapest first."""

    name: str
    unit: str
    costs: Mapping[Ensemble, float]
    frontier: tuple[Ensemble, ...]


class Worth(NamedTuple):
    """The calibrated likelihood of every ensemble, and both kinds of cost as far as they are known."""

    scores: Scores
    methods: tuple[str, ...]
    panels: tuple[Cost, ...]


def numbers(tables: Mapping[str, Table]) -> Worth:
    """Every ensemble with its likelihood and its costs."""
    found = scores_in(tables["scores"], score=LIKELIHOOD)
    scores = {one: score for one, score in found.items() if np.isfinite(score.value)}
    if len(scores) < 2:
        raise Omitted("Omitted: this figure compares ensembles, and this run has fewer than two.")
    relative = training_costs(tables["costs"])
    training = {
        one: one.solutions * relative[one.method, one.samples]
        for one in scores
        if relative.get((one.method, one.samples), 0.0) > 0
    }
    passes = {one: float(one.passes) for one in scores}
    panels = [
        Cost(name, unit, costs, _frontier(scores, costs, slack))
        for name, unit, costs, slack in (
            ("training", "training cost, in independent networks", training, _SLACK),
            ("prediction", "forward passes for a prediction", passes, 0.0),
        )
        if costs
    ]
    return Worth(scores, tuple(methods_of(scores)), tuple(panels))


def _frontier(scores: Scores, costs: Mapping[Ensemble, float], slack: float) -> tuple[Ensemble, ...]:
    """The ensembles that are better than all others that cost no more, or more by a share of at most ``slack``."""
    best: list[Ensemble] = []
    for one in sorted(costs, key=lambda one: (costs[one], scores[one].value)):
        if not best or scores[one].value < scores[best[-1]].value:
            best.append(one)
    dearer = zip(best, [*best[1:], None], strict=True)
    return tuple(one for one, then in dearer if then is None or costs[then] > costs[one] * (1 + slack))


def caption(numbers: Worth) -> str:
    """Say who is best of all, and who stands on each frontier."""
    best = best_of(numbers.scores)
    assert best is not None, "there are two ensembles with finite scores"
    told = "; ".join(f"of {panel.name}: {_steps(panel)}" for panel in numbers.panels)
    return (
        f"Every mark is one ensemble; lower is better. The lowest calibrated NLL of all is that of {called(best)}: "
        f"{with_interval(numbers.scores[best])} nats. Ringed marks, joined by the line, are better than everything "
        f"that costs no more (in training: up to a tenth more), by these very examples. "
        f"From the cheapest to the best, by cost {told}."
    )


def _steps(panel: Cost) -> str:
    """The cheapest, the best and one between; one ensemble alone needs no steps."""
    line = panel.frontier
    places = sorted({0, len(line) // 2, len(line) - 1})[:_TOLD]
    return ", ".join(f"{called(line[place])} (at {panel.costs[line[place]]:.3g})" for place in places)


@look()
def draw(numbers: Worth) -> Figure:
    """A panel for each kind of cost."""
    rows = -(-(len(numbers.methods) + 1) // 4)
    figure = Figure(figsize=(WIDTH, 4.3 + 0.25 * rows), layout="constrained")
    grid = figure.subplots(1, len(numbers.panels), squeeze=False, sharey=True)[0]
    for axes, panel in zip(grid, numbers.panels, strict=True):
        _draw(axes, panel, numbers)
        axes.set(title=f"Cost of {panel.name}", xlabel=panel.unit)
    grid[0].set_ylabel("calibrated NLL (nats), lower is better")
    line = Line2D([], [], color=INK, linewidth=1.4, label="best so far")
    legend_above(figure, [*entries(numbers.methods), line])
    return figure


def _draw(axes: Axes, panel: Cost, numbers: Worth) -> None:
    for method in reversed(numbers.methods):
        mine = [one for one in panel.costs if one.method == method]
        shown = look_of(method, numbers.methods)
        x, y = [panel.costs[one] for one in mine], [numbers.scores[one].value for one in mine]
        size = size_of(shown.marker, 5) ** 2
        axes.scatter(x, y, s=size, marker=shown.marker, color=shown.colour, alpha=0.65, linewidths=0, zorder=3)
    x = [panel.costs[one] for one in panel.frontier]
    y = [numbers.scores[one].value for one in panel.frontier]
    last = max(panel.costs.values())
    axes.step([*x, last], [*y, y[-1]], where="post", color=INK, linewidth=1.4, alpha=0.8, zorder=2)
    for one, across, up in zip(panel.frontier, x, y, strict=True):
        shown = look_of(one.method, numbers.methods)
        axes.scatter(
            [across],
            [up],
            s=size_of(shown.marker, 6.5) ** 2,
            marker=shown.marker,
            color=shown.colour,
            edgecolors=INK,
            linewidths=0.9,
            zorder=4,
        )
    counting_axis(axes, min(panel.costs.values()), last)
    plain_grid(axes)
