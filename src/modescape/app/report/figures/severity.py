"""Accuracy, Brier score and divergence against the severity of corruptions (figures 9 and 10)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from modescape.app.report.ensembles import (
    INDEPENDENT,
    Ensemble,
    Score,
    Scores,
    best_of,
    called,
    fullest,
    methods_of,
    scores_in,
    with_interval,
)
from modescape.app.report.figures.kinds import look_of
from modescape.app.report.figures.legend import entries, legend_above, plain_grid, size_of
from modescape.app.report.figures.omitted import Omitted
from modescape.app.report.figures.style import INK, WIDTH, look, percent
from modescape.app.report.words import counted
from modescape.tables import Table

TITLE = "What is left under shift?"
_PANELS = (
    ("accuracy", "Accuracy", "fraction of the examples"),
    ("brier", "Brier score", "lower is better"),
    ("jensen_shannon", "Jensen-Shannon", "divergence of members (nats)"),
)
_DASHES = (0, (4, 2))


class Severity(NamedTuple):
    """Score -> severity -> ensembles, from one network and from most; how many most are, and the methods."""

    scores: Mapping[str, Mapping[int, Scores]]
    most: int
    methods: tuple[str, ...]

    @property
    def severities(self) -> list[int]:
        """The severities in order; 0 is the test split."""
        return list(self.scores["accuracy"])


def numbers(tables: Mapping[str, Table]) -> Severity:
    """Every method with all its members, from one network and from most, at every severity."""
    table = tables["severities"]
    known = sorted(set(table["severity"].tolist()))
    if len(known) < 2:
        raise Omitted("Omitted: this run has no corrupted inputs to compare with those of the test split.")
    most = int(table["solutions"].max())
    scores = {name: {severity: _scores(table, name, severity, most) for severity in known} for name, *_ in _PANELS}
    methods = methods_of(scores["accuracy"][known[0]])
    return Severity(scores, most, tuple(methods))


def _scores(table: Table, name: str, severity: int, most: int) -> Scores:
    found = scores_in(table, severity=severity, score=name)
    shown = [one for one in fullest(found) if one.solutions in (1, most) and np.isfinite(found[one].value)]
    # The divergence of a single member is zero by definition.
    return {one: found[one] for one in shown if name != "jensen_shannon" or one.passes > 1}


def caption(numbers: Severity) -> str:
    """Say what is kept of the accuracy of one and of most networks, who is best in the end, and who differs most."""
    first, last = numbers.severities[0], numbers.severities[-1]
    right = numbers.scores["accuracy"]
    drops = []
    for size in sorted({1, numbers.most}):
        one = Ensemble(INDEPENDENT, size, 1)
        if one in right[first] and one in right[last]:
            drops.append(f"{called(one)} from {right[first][one].value:.1%} to {right[last][one].value:.1%}")
    text = (
        f"Means over families of corruptions against their severity ({first} is the test split), dashed from one "
        f"network and solid from {counted(numbers.most, 'network')}, every method with all its members; bands are 95% "
        "intervals over examples. "
    )
    text += f"From severity {first} to {last}, accuracy falls for {', for '.join(drops)}. " if drops else ""
    best = best_of(right[last], smallest=False)
    if best is not None:
        text += f"At severity {last} the most accurate is {called(best)}: {with_interval(right[last][best], True)}. "
    apart = numbers.scores["jensen_shannon"][last]
    widest = best_of(apart, smallest=False)
    if widest is not None:
        text += f"The most diverse members are those of {called(widest)}: {with_interval(apart[widest])} nats."
    return text.strip()


@look()
def draw(numbers: Severity) -> Figure:
    """Three panels over one axis of severities."""
    rows = -(-(len(numbers.methods) + 2) // 4)
    figure = Figure(figsize=(WIDTH, 3.7 + 0.25 * rows), layout="constrained")
    for axes, (name, title, unit) in zip(figure.subplots(1, 3), _PANELS, strict=True):
        for method in reversed(numbers.methods):
            for size in sorted({1, numbers.most}):
                _curve(axes, numbers, name, (method, size))
        axes.set(title=title, xlabel="severity", ylabel=unit)
        axes.set_xticks(numbers.severities)
        plain_grid(axes)
    figure.axes[0].yaxis.set_major_formatter(percent)
    figure.axes[-1].set_ylim(bottom=0)
    legend_above(figure, [*entries(numbers.methods), *_strokes(numbers.most)])
    return figure


def _curve(axes: Axes, numbers: Severity, name: str, which: tuple[str, int]) -> None:
    points: list[tuple[int, Score]] = [
        (severity, score)
        for severity, scores in numbers.scores[name].items()
        for one, score in scores.items()
        if (one.method, one.solutions) == which
    ]
    if not points:
        return
    method, size = which
    shown, alone = look_of(method, numbers.methods), method == INDEPENDENT
    x = [severity for severity, _ in points]
    front = 5 if alone else 3
    line: dict[str, Any] = {"color": shown.colour, "linewidth": 2.0 if alone else 1.2, "zorder": front}
    if size == 1 < numbers.most:
        line["linestyle"] = _DASHES
    if alone or len(numbers.methods) < 4:
        low, high = ([score[end] for _, score in points] for end in (1, 2))
        axes.fill_between(x, low, high, color=shown.colour, alpha=0.15, linewidth=0, zorder=1)
    marker: dict[str, Any] = {"marker": shown.marker, "markersize": size_of(shown.marker, 4.2), "markeredgewidth": 0}
    axes.plot(x, [score.value for _, score in points], **line, **marker)


def _strokes(most: int) -> list[Line2D]:
    solid = Line2D([], [], color=INK, linewidth=1.5, label="from one network" if most == 1 else f"from {most} networks")
    if most == 1:
        return [solid]
    return [Line2D([], [], color=INK, linewidth=1.5, linestyle=_DASHES, label="from one network"), solid]
