"""Scores against the number of networks, for every method, and what the first networks foretold (figure 8)."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from modescape.app.report.ensembles import (
    INDEPENDENT,
    LIKELIHOOD,
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
from modescape.app.report.figures.kinds import Look, look_of
from modescape.app.report.figures.legend import counting_axis, entries, legend_above, plain_grid, size_of
from modescape.app.report.figures.omitted import Omitted
from modescape.app.report.figures.style import FAINT, INK, WIDTH, look, percent
from modescape.tables import Table

TITLE = "What does one more network bring, and what do members around it?"
_PANELS = (
    ("accuracy", "Accuracy", "fraction of the examples"),
    (LIKELIHOOD, "Calibrated NLL", "nats, lower is better"),
)
_DASHES = (0, (4, 2))
_FEW = 4


class Forecast(NamedTuple):
    """What the curve of the first networks foretells, with its interval; ``measured`` is NaN beyond what there is."""

    fitted: int
    solutions: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    measured: np.ndarray


class SizeCurves(NamedTuple):
    """Score -> the ensembles of every method with all its members; the methods in order; the forecast if any."""

    scores: Mapping[str, Scores]
    methods: tuple[str, ...]
    forecast: Forecast | None

    @property
    def best_other(self) -> Ensemble | None:
        """The ensemble with the lowest calibrated NLL of those that are not of independent networks alone."""
        return best_of({one: s for one, s in self.scores[LIKELIHOOD].items() if one.method != INDEPENDENT})

    @property
    def banded(self) -> set[str]:
        """The methods whose intervals are drawn: a dozen bands over the same examples would hide every curve."""
        if len(self.methods) <= _FEW:
            return set(self.methods)
        best = self.best_other
        return {INDEPENDENT} | ({best.method} if best else set())


def numbers(tables: Mapping[str, Table]) -> SizeCurves:
    """The curves of all methods, and the forecast of the calibrated likelihood."""
    found = {}
    for score, *_ in _PANELS:
        every = scores_in(tables["scores"], score=score)
        found[score] = {one: every[one] for one in fullest(every) if np.isfinite(every[one].value)}
    sizes = {one.solutions for one in found[LIKELIHOOD]}
    if len(sizes) < 2:
        raise Omitted("Omitted: this figure needs ensembles of several networks, and this run has none.")
    return SizeCurves(found, tuple(methods_of(found[LIKELIHOOD])), _forecast(tables["forecast"]))


def _forecast(table: Table) -> Forecast | None:
    rows = (table["score"] == LIKELIHOOD) & np.isfinite(table["value"])
    if not rows.any():
        return None
    order = np.flatnonzero(rows)[np.argsort(table["solutions"][rows], kind="stable")]
    columns = ("solutions", "value", "low", "high", "measured")
    return Forecast(int(table["fitted"][order[0]]), *(table[name][order] for name in columns))


def caption(numbers: SizeCurves) -> str:
    """Say who is best with one network and with most, and whether the forecast held."""
    scores = numbers.scores[LIKELIHOOD]
    most = max(one.solutions for one in scores)
    told = []
    for size in (1, most):
        mine = {one: score for one, score in scores.items() if one.solutions == size}
        best = best_of(mine)
        if best is not None:
            told.append(f"{called(best)}, {with_interval(mine[best])}")
    return (
        "Accuracy and calibrated NLL (nats) against the number of trained networks, for every method with all its "
        f"members; {_bands(numbers)}, upright lines the range over subsets of independent networks. "
        f"The lowest calibrated NLL from one network is that of {told[0]}; from {most}, of {told[-1]}."
        f"{_foretold(numbers.forecast)}"
    )


def _bands(numbers: SizeCurves) -> str:
    best = numbers.best_other
    if best is None or len(numbers.methods) <= _FEW:
        return "bands are 95% intervals over examples"
    other = look_of(best.method, numbers.methods).title
    return f"bands are 95% intervals over examples (of independent networks and {other})"


def _foretold(forecast: Forecast | None) -> str:
    if forecast is None:
        return ""
    beyond = np.flatnonzero(np.isfinite(forecast.measured) & (forecast.solutions > forecast.fitted))
    text = (
        f" The dashed curve is what the first {forecast.fitted} networks foretell: for {forecast.solutions[-1]}, "
        f"{with_interval(Score(forecast.value[-1], forecast.low[-1], forecast.high[-1]))}"
    )
    if not len(beyond):
        return text + "."
    last = beyond[-1]
    if np.isnan(forecast.low[last]):
        return f"{text}; for {forecast.solutions[last]}, {forecast.measured[last]:.3f} was measured."
    held = "within" if forecast.low[last] <= forecast.measured[last] <= forecast.high[last] else "outside"
    return (
        f"{text}; for {forecast.solutions[last]}, {forecast.measured[last]:.3f} was measured, {held} its interval "
        f"({forecast.low[last]:.3f} to {forecast.high[last]:.3f})."
    )


@look()
def draw(numbers: SizeCurves) -> Figure:
    """Two panels, the forecast on the right one."""
    rows = -(-(len(numbers.methods) + 1) // 4)
    figure = Figure(figsize=(WIDTH, 4.3 + 0.25 * rows), layout="constrained")
    for axes, (score, title, unit) in zip(figure.subplots(1, 2), _PANELS, strict=True):
        banded = numbers.banded
        for method in reversed(numbers.methods):
            mine = {one: found for one, found in numbers.scores[score].items() if one.method == method}
            _curve(axes, mine, look_of(method, numbers.methods), method in banded)
        last = max((one.solutions for one in numbers.scores[score]), default=2)
        if score == LIKELIHOOD and numbers.forecast is not None:
            _draw_forecast(axes, numbers.forecast)
            last = max(last, int(numbers.forecast.solutions[-1]))
        counting_axis(axes, 1, last)
        plain_grid(axes)
        axes.set(title=title, xlabel="trained networks", ylabel=unit)
    figure.axes[0].yaxis.set_major_formatter(percent)
    handles = entries(numbers.methods)
    if numbers.forecast is not None:
        label = f"foretold from the first {numbers.forecast.fitted}"
        handles.append(Line2D([], [], color=INK, linewidth=1.6, linestyle=_DASHES, label=label))
    legend_above(figure, handles)
    return figure


def _curve(axes: Axes, scores: Mapping[Ensemble, Score], shown: Look, banded: bool) -> None:
    """One method: its band, its line, its marks; for independent networks the range over subsets as well."""
    if not scores:
        return
    alone = next(iter(scores)).method == INDEPENDENT
    order = sorted(scores, key=lambda one: one.solutions)
    x = [one.solutions for one in order]
    value, low, high, least, most = (np.array(column) for column in zip(*(scores[one] for one in order), strict=True))
    front = 5 if alone else 3
    if banded:
        axes.fill_between(x, low, high, color=shown.colour, alpha=0.18, linewidth=0, zorder=front - 2)
    if alone:
        axes.vlines(x, least, most, color=shown.colour, linewidth=1.2, alpha=0.8, zorder=front)
    axes.plot(
        x,
        value,
        color=shown.colour,
        marker=shown.marker,
        markersize=size_of(shown.marker, 5),
        markeredgecolor="white",
        markeredgewidth=0.4,
        linewidth=2.2 if alone else 1.3,
        zorder=front,
    )


def _draw_forecast(axes: Axes, forecast: Forecast) -> None:
    axes.fill_between(forecast.solutions, forecast.low, forecast.high, color=INK, alpha=0.08, linewidth=0, zorder=1)
    axes.plot(forecast.solutions, forecast.value, color=INK, linewidth=1.6, linestyle=_DASHES, zorder=6)
    axes.axvline(forecast.fitted, color=FAINT, linewidth=1, linestyle=(0, (1, 2)), zorder=1)
    text = f" fitted to {forecast.fitted} "
    axes.text(forecast.fitted, 0.985, text, transform=axes.get_xaxis_transform(), va="top", fontsize=9, color=FAINT)
