"""Along the straight line between two solutions, before and after their hidden units are matched."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from modescape.app.report.figures.legend import plain_grid
from modescape.app.report.figures.omitted import Omitted
from modescape.app.report.figures.style import COLOURS, FAINT, INK, WIDTH, look, percent
from modescape.app.report.words import counted
from modescape.tables import Table

TITLE = "Are two solutions one mode, but for the order of their hidden units?"
_METHODS = {
    "none": ("as they are", FAINT),
    "weights": ("matched by weights", COLOURS[0]),
    "activations": ("matched by activations", COLOURS[1]),
}
_PANELS = (("nll", "Loss", "negative log-likelihood (nats)"), ("accuracy", "Accuracy", "fraction of the examples"))
_TRAIN = "train"
_DASHES = (0, (4, 2))


class Lines(NamedTuple):
    """Scores [pair, point] by method, split and quantity, at these positions; and each method's mean barrier.

    ``barriers`` are (mean, least, most) over pairs, in nats, on the study's split.
    """

    positions: np.ndarray
    split: str
    pairs: int
    scores: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]]
    barriers: Mapping[str, tuple[float, float, float]]


def numbers(tables: Mapping[str, Table]) -> Lines:
    """Every method's profiles, pair by pair."""
    table, pairs = tables["aligned_lines"], tables["alignments"]
    methods = [method for method in _METHODS if method in set(table["method"].tolist())]
    if "none" not in methods or len(methods) < 2:
        raise Omitted("Omitted: no pair of solutions was matched to the end.")
    positions = np.unique(table["position"])
    splits = dict.fromkeys(table["split"].tolist())
    # Where the study looks at the training examples themselves there is one split.
    own = next((split for split in splits if split != _TRAIN), _TRAIN)
    scores = {
        method: {
            split: {name: _profiles(table, method, split, name, len(positions)) for name, *_ in _PANELS}
            for split in splits
        }
        for method in methods
    }
    barriers = {}
    for method in methods:
        found = pairs["barrier"][pairs["method"] == method]
        barriers[method] = (float(found.mean()), float(found.min()), float(found.max()))
    return Lines(positions, own, len(scores["none"][own]["nll"]), scores, barriers)


def _profiles(table: Table, method: str, split: str, name: str, points: int) -> np.ndarray:
    """One quantity [pair, point], pairs in the order of their numbers and points in that of their positions."""
    rows = np.flatnonzero((table["method"] == method) & (table["split"] == split))
    order = np.lexsort((table["position"][rows], table["member_b"][rows], table["member_a"][rows]))
    found: np.ndarray = table[name][rows][order].reshape(-1, points)
    return found


def caption(numbers: Lines) -> str:
    """Say what is drawn, and each method's barrier in words."""
    told = [
        f"{mean:.3f} nats {_METHODS[method][0]}" + (f" ({least:.3f} to {most:.3f})" if numbers.pairs > 1 else "")
        for method, (mean, least, most) in numbers.barriers.items()
    ]
    dashed = "" if numbers.split == _TRAIN else f"; dashed: means on {_TRAIN} examples"
    return (
        f"From one solution (0) to another (1) on a straight line through weight space, on {numbers.split} examples: "
        f"means over {counted(numbers.pairs, 'pair')}, bands from the least to the most of them{dashed}. Matching puts "
        "the second solution's hidden units in another order, which leaves its function as it is. The loss rises above "
        f"the straight line between its ends by {', '.join(told)}."
    )


@look()
def draw(numbers: Lines) -> Figure:
    """Loss and accuracy side by side."""
    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    for axes, (name, title, unit) in zip(figure.subplots(1, 2), _PANELS, strict=True):
        for method, by_split in numbers.scores.items():
            for split, scores in by_split.items():
                _curve(axes, numbers, scores[name], method, dashed=split != numbers.split)
        axes.set(title=title, xlabel="place between two solutions", ylabel=unit, xlim=(-0.02, 1.02))
        plain_grid(axes)
    figure.axes[1].yaxis.set_major_formatter(percent)
    figure.axes[1].set_ylim(bottom=0)
    figure.legend(handles=_legend(numbers), loc="outside upper center", ncols=5, columnspacing=1.4)
    return figure


def _curve(axes: Axes, numbers: Lines, profiles: np.ndarray, method: str, dashed: bool) -> None:
    colour = _METHODS[method][1]
    if dashed:
        axes.plot(numbers.positions, profiles.mean(axis=0), color=colour, linewidth=1.1, linestyle=_DASHES, zorder=3)
        return
    axes.plot(numbers.positions, profiles.mean(axis=0), color=colour, linewidth=2.2, zorder=4)
    if len(profiles) > 1:
        low, high = profiles.min(axis=0), profiles.max(axis=0)
        axes.fill_between(numbers.positions, low, high, color=colour, alpha=0.15, linewidth=0, zorder=2)


def _legend(numbers: Lines) -> list[Line2D | Patch]:
    found: list[Line2D | Patch] = [
        Line2D([], [], color=_METHODS[method][1], linewidth=2.2, label=_METHODS[method][0]) for method in numbers.scores
    ]
    if numbers.split != _TRAIN:
        found.append(Line2D([], [], color=INK, linewidth=1.1, linestyle=_DASHES, label=f"{_TRAIN} examples"))
    return found
