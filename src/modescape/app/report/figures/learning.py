"""Accuracy and negative log-likelihood of every member against epochs."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from modescape.app.report.figures.done import done_members, trajectory
from modescape.app.report.figures.style import COLOURS, FAINT, WIDTH, colour, look, percent
from modescape.tables import Table

TITLE = "Learning: every member, epoch by epoch"
_FLAT = 8


class Curve(NamedTuple):
    """One member's scores along its trajectory."""

    member: int
    epochs: np.ndarray
    accuracy: np.ndarray
    nll: np.ndarray
    training_loss: np.ndarray


def numbers(tables: Mapping[str, Table]) -> tuple[Curve, ...]:
    """The curves of all members that are done."""
    paths = {member: trajectory(tables, member) for member in done_members(tables)}
    return tuple(
        Curve(member, path["epoch"], path["accuracy"], path["nll"], path["training_loss"])
        for member, path in paths.items()
    )


def caption(numbers: tuple[Curve, ...]) -> str:
    """Say where the members end."""
    accuracy = np.array([curve.accuracy[-1] for curve in numbers])
    nll = np.array([curve.nll[-1] for curve in numbers])
    last = max(float(curve.epochs[-1]) for curve in numbers)
    if len(numbers) == 1:
        ends = f"member {numbers[0].member} has an accuracy of {accuracy[0]:.1%} and an NLL of {nll[0]:.3f} nats"
    else:
        ends = (
            f"accuracy is {accuracy.mean():.1%} on average over {len(numbers):,} members, from {accuracy.min():.1%} "
            f"to {accuracy.max():.1%}, and NLL {nll.mean():.3f} nats, from {nll.min():.3f} to {nll.max():.3f}"
        )
    return (
        f"Left, the fraction of examples classified correctly; right, the mean negative log-likelihood (NLL; solid) "
        f"and the training loss (dashed). After {last:.3g} epochs {ends}."
    )


@look()
def draw(numbers: tuple[Curve, ...]) -> Figure:
    """Accuracy on the left; negative log-likelihood, with the training loss dashed, on the right."""
    figure = Figure(figsize=(WIDTH, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    few = len(numbers) <= len(COLOURS)
    width, strength = (1.8, 0.95) if few else (1.1, 0.45)
    for position, curve in enumerate(numbers):
        shade = colour(position)
        line = {"color": shade, "linewidth": width, "alpha": strength}
        left.plot(curve.epochs, curve.accuracy, label=f"member {curve.member}", **line)
        right.plot(curve.epochs, curve.nll, **line)
        dashes = {**line, "linewidth": 0.7 * width, "alpha": 0.8 * strength}
        right.plot(curve.epochs, curve.training_loss, linestyle=(0, (3, 2)), **dashes)
    left.set(title="Accuracy", xlabel="epoch", ylabel="fraction of the examples")
    left.yaxis.set_major_formatter(percent)
    left.yaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10]))
    right.set(title="Negative log-likelihood", xlabel="epoch", ylabel="nats")
    _scale(right, numbers)
    for axes in (left, right):
        axes.grid()
        axes.tick_params(length=0)
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
        axes.margins(x=0.02)
    if few and len(numbers) > 1:
        left.legend(loc="lower right")
    kinds = [Line2D([], [], color=FAINT, linestyle=dash) for dash in ("-", (0, (3, 2)))]
    right.legend(kinds, ["examples of the study", "training loss"], loc="upper right")
    return figure


def _scale(axes: Axes, numbers: tuple[Curve, ...]) -> None:
    """Start at zero, unless fresh networks are so sure and wrong that all the rest would lie flat on the axis."""
    values = np.concatenate([part for curve in numbers for part in (curve.nll, curve.training_loss)])
    values = values[np.isfinite(values) & (values > 0)]
    if len(values) and values.max() > _FLAT * np.median(values):
        axes.set(yscale="log", ylabel="nats (logarithmic scale)")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(bottom=0)
