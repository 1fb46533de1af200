"""How well unknown inputs are told from known ones: one network, most networks, and the best other method."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from modescape.app.report.ensembles import (
    INDEPENDENT,
    Ensemble,
    Score,
    best_of,
    called,
    largest_independent,
    with_interval,
)
from modescape.app.report.figures.legend import legend_above, plain_grid
from modescape.app.report.figures.omitted import Omitted
from modescape.app.report.figures.style import COLOURS, FAINT, GRID, WIDTH, look
from modescape.app.report.shift_table import DETECTORS, areas, best_detectors, unknown_splits
from modescape.tables import Table

TITLE = "Do ensembles know what they do not know?"
_MARKERS = ("o", "s", "D", "^", "v", "P")
_SHADES = (COLOURS[0], COLOURS[4], COLOURS[2], COLOURS[3], COLOURS[5], COLOURS[6])


class Row(NamedTuple):
    """One ensemble before one unknown dataset: the AUROC by each detector."""

    ensemble: Ensemble
    scores: Mapping[str, Score]


class Detection(NamedTuple):
    """Unknown dataset -> one network, the largest independent ensemble, the best of the other methods."""

    datasets: Mapping[str, tuple[Row, ...]]
    detectors: tuple[str, ...]


def numbers(tables: Mapping[str, Table]) -> Detection:
    """The AUROC of those three ensembles, by every detector."""
    table = tables["detection"]
    datasets, detectors = {}, dict.fromkeys(table["detector"].tolist())
    for split in unknown_splits(table):
        found = areas(table, split)
        shown = _shown({one: score for one, (_, score) in best_detectors(table, split).items()})
        rows = [Row(one, {name: scores[one] for name, scores in found.items() if one in scores}) for one in shown]
        if rows:
            datasets[split.removeprefix("unknown/")] = tuple(rows)
    if not datasets:
        raise Omitted("Omitted: this run has no unknown inputs.")
    return Detection(datasets, tuple(detectors))


def _shown(best: dict[Ensemble, Score]) -> list[Ensemble]:
    others = {one: score for one, score in best.items() if one.method != INDEPENDENT}
    candidates = (Ensemble(INDEPENDENT, 1, 1), largest_independent(best), best_of(others, smallest=False))
    return [one for one in dict.fromkeys(candidates) if one is not None and one in best]


def caption(numbers: Detection) -> str:
    """Say which ensemble and detector lead for every dataset, beside one network's best."""
    told = []
    for name, rows in numbers.datasets.items():
        flat = [(score, row.ensemble, detector) for row in rows for detector, score in row.scores.items()]
        score, one, detector = max(flat, key=lambda entry: entry[0].value)
        text = f"{name} is noticed best by {called(one)} with {_said(detector)}, AUROC {with_interval(score)}"
        single = [entry for entry in flat if entry[1] == Ensemble(INDEPENDENT, 1, 1)]
        if single and one != single[0][1]:
            own, _, detector = max(single, key=lambda entry: entry[0].value)
            text += f"; one network reaches {with_interval(own)} with {_said(detector)}"
        told.append(f"{text}.")
    return (
        "How often an unknown input looks more uncertain than one of the test split (AUROC; 0.5 is chance), by each "
        f"detector; lines are 95% intervals over examples. Of the other methods the best by these examples is shown. "
        f"{' '.join(told)}"
    )


def _said(detector: str) -> str:
    return f"the {DETECTORS.get(detector, detector)}"


@look()
def draw(numbers: Detection) -> Figure:
    """Rows of marks, under a heading for each dataset."""
    rows = sum(len(found) for found in numbers.datasets.values())
    figure = Figure(figsize=(WIDTH, 1.3 + 0.5 * rows + 0.4 * len(numbers.datasets)), layout="constrained")
    axes = figure.subplots()
    height, labels = 0.0, []
    for name, found in numbers.datasets.items():
        axes.text(-0.02, height, name, transform=axes.get_yaxis_transform(), ha="right", va="center", weight="bold")
        if height:
            axes.axhline(height - 0.55, color=GRID, linewidth=1)
        for row in found:
            height += 1
            labels.append((height, called(row.ensemble).replace(", ", ",\n")))
            _row(axes, height, row, numbers.detectors)
        height += 1.1
    axes.set_yticks([place for place, _ in labels], [text for _, text in labels], fontsize=9.5)
    axes.set_ylim(height - 0.5, -0.5)
    axes.set_xlabel("AUROC: unknown inputs against those of the test split")
    axes.margins(x=0.06)
    low, high = axes.get_xlim()
    if low < 0.52:
        axes.axvline(0.5, color=FAINT, linewidth=1, linestyle=(0, (4, 2)), zorder=1)
    axes.set_xlim(low, min(high, 1.01) if low < 1 else high)
    plain_grid(axes, axis="x")
    handles = [
        Line2D([], [], linestyle="none", marker=marker, color=shade, markersize=6.5, label=DETECTORS.get(name, name))
        for name, (marker, shade) in zip(numbers.detectors, _looks(len(numbers.detectors)), strict=True)
    ]
    legend_above(figure, handles)
    return figure


def _looks(count: int) -> list[tuple[str, str]]:
    return [(_MARKERS[place % len(_MARKERS)], _SHADES[place % len(_SHADES)]) for place in range(count)]


def _row(axes: Axes, height: float, row: Row, detectors: tuple[str, ...]) -> None:
    heights = height + (np.linspace(-0.24, 0.24, len(detectors)) if len(detectors) > 1 else np.zeros(1))
    for name, level, (marker, shade) in zip(detectors, heights, _looks(len(detectors)), strict=True):
        score = row.scores.get(name)
        if score is not None:
            axes.plot([score.low, score.high], [level, level], color=shade, linewidth=1.8, alpha=0.5, zorder=2)
            axes.plot([score.value], [level], marker, color=shade, markersize=6, zorder=3)
