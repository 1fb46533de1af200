"""The headline: how often two checkpoints of one trajectory differ, and how often two solutions."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modescape.app.report.figures.done import done_members, last_quarter, trajectory
from modescape.app.report.figures.matrix import between, off_diagonal
from modescape.app.report.figures.omitted import Omitted
from modescape.app.report.figures.style import COLOURS, FAINT, WIDTH, look, percent
from modescape.app.report.words import counted
from modescape.tables import Table

TITLE = "How often do two networks answer differently?"
_DOTS = 400
_BINS = 60


class OneFunction(NamedTuple):
    """Disagreement of late checkpoints of one trajectory, disagreement of solutions, and the solutions' error rates."""

    within: np.ndarray
    between: np.ndarray
    errors: np.ndarray

    @property
    def ratio(self) -> float:
        """How many times as often solutions disagree as late checkpoints of one trajectory; NaN if those never do."""
        within = float(self.within.mean())
        return float(self.between.mean()) / within if within else float("nan")


def numbers(tables: Mapping[str, Table]) -> OneFunction:
    """Gather the three groups over all members that are done."""
    paths = {member: trajectory(tables, member) for member in done_members(tables, at_least=2)}
    ends = [(member, int(path["checkpoint"][-1])) for member, path in paths.items()]
    late = {member: path["checkpoint"][last_quarter(path["step"])] for member, path in paths.items()}
    result = OneFunction(
        _within(tables["pairs"], {member: int(checkpoints[0]) for member, checkpoints in late.items()}),
        off_diagonal(between(tables["pairs"], ends, "disagreement", 0.0)),
        np.array([1.0 - path["accuracy"][-1] for path in paths.values()]),
    )
    if not (len(result.within) and len(result.between)):
        raise Omitted("Omitted: this figure needs pairs of checkpoints both within and between trajectories.")
    return result


def _within(pairs: Table, first: Mapping[int, int]) -> np.ndarray:
    """Disagreement of the pairs inside one trajectory, none of them before that member's ``first`` checkpoint."""
    bounds = np.full(1 + max(*first, int(pairs["member_a"].max(initial=0))), np.iinfo(np.int64).max)
    bounds[list(first)] = list(first.values())
    earlier = np.minimum(pairs["checkpoint_a"], pairs["checkpoint_b"])
    inside = (pairs["member_a"] == pairs["member_b"]) & (earlier >= bounds[pairs["member_a"]])
    values: np.ndarray = pairs["disagreement"][inside]
    return values


def caption(numbers: OneFunction) -> str:
    """Say the three means in words."""
    times = "" if np.isnan(numbers.ratio) else f", {numbers.ratio:.1f} times as often"
    return (
        f"Two checkpoints from the last quarter of one trajectory predict different classes for "
        f"{numbers.within.mean():.1%} of the examples on average ({counted(len(numbers.within), 'pair')}); two "
        f"solutions for {numbers.between.mean():.1%} ({counted(len(numbers.between), 'pair')}){times}. A solution is "
        f"wrong on {numbers.errors.mean():.1%} ({counted(len(numbers.errors), 'member')}). Each dot is one pair or one "
        f"member, each upright bar a mean."
    )


@look()
def draw(numbers: OneFunction) -> Figure:
    """Three rows of dots on one axis."""
    rows = [
        (numbers.within, COLOURS[0], "Same training, a little later", "two checkpoints, last quarter of a trajectory"),
        (numbers.between, COLOURS[1], "Two separate trainings", "two solutions"),
        (numbers.errors, FAINT, "One network and the truth", "error rate of each solution"),
    ]
    figure = Figure(figsize=(WIDTH, 4.4))
    figure.subplots_adjust(left=0.345, right=0.965, top=0.95, bottom=0.15)
    axes = figure.subplots()
    most = max(float(values.max()) for values, *_ in rows) or 1.0
    for height, (values, shade, name, detail) in zip((2.3, 1, 0), rows, strict=True):
        _row(axes, height, values, shade, most)
        aside = axes.get_yaxis_transform()
        axes.text(-0.04, height + 0.03, name, transform=aside, ha="right", va="bottom", weight="bold", color=shade)
        axes.text(-0.04, height - 0.05, detail, transform=aside, ha="right", va="top", fontsize=9.5, color=FAINT)
    _gap(axes, numbers)
    axes.set(ylim=(-0.5, 2.9), xlim=(0, 1.08 * most), yticks=[], xlabel="fraction of the examples")
    axes.xaxis.set_major_formatter(percent)
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    return figure


def _row(axes: Axes, height: float, values: np.ndarray, shade: str, most: float) -> None:
    shown = np.sort(values)
    if len(shown) > _DOTS:
        shown = np.quantile(shown, np.linspace(0, 1, _DOTS))
    size = 34 if len(shown) <= _DOTS // 2 else 18
    axes.scatter(
        shown, height + _spread(shown, most), s=size, color=shade, alpha=0.55, linewidths=0, clip_on=False, zorder=2
    )
    mean = float(values.mean())
    axes.plot([mean, mean], [height - 0.27, height + 0.27], color=shade, linewidth=3, clip_on=False)
    axes.text(mean, height + 0.33, f"{mean:.1%}", ha="center", va="bottom", weight="bold", color=shade)


def _spread(values: np.ndarray, most: float) -> np.ndarray:
    """Move dots that would cover each other up and down within their row, whose axis ends at ``most``."""
    bins = np.floor(values / most * _BINS).astype(int)
    offsets = np.zeros(len(values))
    for found in np.unique(bins):
        here = np.flatnonzero(bins == found)
        # Sorted dots handed out in order would line up in slanted stripes; golden-ratio steps break them up.
        turn = np.argsort(np.arange(len(here)) * 0.618033988749895 % 1.0)
        step = min(0.075, 0.24 / max(1, len(here) // 2))
        offsets[here] = step * ((turn + 1) // 2) * np.where(turn % 2, 1, -1)
    return offsets


def _gap(axes: Axes, numbers: OneFunction) -> None:
    """Join the two means that the paper is about."""
    if np.isnan(numbers.ratio):
        return
    start, end = float(numbers.within.mean()), float(numbers.between.mean())
    level = 1.7
    axes.plot([start, start], [level, 2.0], color=FAINT, linewidth=1, linestyle=(0, (2, 2)))
    arrow = {"arrowstyle": "-|>", "color": FAINT, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (end, level), (start, level), arrowprops=arrow)
    text = f"{numbers.ratio:.1f} times as often"
    axes.text((start + end) / 2, level + 0.04, text, ha="center", va="bottom", color=FAINT)
