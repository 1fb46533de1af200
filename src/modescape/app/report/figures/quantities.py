"""What is measured on cross-sections: how each quantity is called, and the colours and steps that it is drawn with."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.colors import Colormap

from modescape.app.report.figures.style import DISAGREEMENT_COLOURS, SIMILARITY_COLOURS
from modescape.app.report.words import number

_LOSS_COLOURS = matplotlib.colormaps["cividis_r"]
_STEPS = 20
_DEPTH = 12
"""Powers of ten that a logarithmic scale reaches down from its largest value."""


class Quantity(NamedTuple):
    """One quantity, such as ``disagreement/0``: disagreement with solution 0."""

    name: str
    title: str
    unit: str
    colours: Colormap
    logarithmic: bool = False

    @property
    def percent(self) -> bool:
        """Whether its values are said as per cent."""
        return self.unit == _FRACTION

    def said(self, value: float) -> str:
        """A value in words."""
        return f"{value:.1%}".replace("-", "\N{MINUS SIGN}") if self.percent else number(value)

    def drawn(self, values: np.ndarray) -> np.ndarray:
        """What is drawn of values: logarithms of a loss, agreement not below 0; NaN for what is not finite."""
        with np.errstate(invalid="ignore", divide="ignore"):
            found = np.where(np.isfinite(values), values, np.nan)
            if self.logarithmic:
                top = np.nanmax(found, initial=0.0)
                found = np.log10(np.maximum(found, (top or 1.0) * 10.0**-_DEPTH))
            elif self.name.startswith("normalised_similarity/"):
                found = np.maximum(found, 0.0)
        shown: np.ndarray = found
        return shown


_FRACTION, _RATIO = "fraction of the examples", "multiple of the own error rate"

# Bright is accurate, sure or alike in all of them, as in the other figures.
_KINDS = {
    "nll": ("negative log-likelihood", "nats, logarithmic", _LOSS_COLOURS, True),
    "train_nll": ("training loss", "nats, logarithmic", _LOSS_COLOURS, True),
    "accuracy": ("accuracy", _FRACTION, SIMILARITY_COLOURS, False),
    "error": ("error rate", _FRACTION, DISAGREEMENT_COLOURS, False),
    "disagreement": ("disagreement", _FRACTION, DISAGREEMENT_COLOURS, False),
    "normalised_disagreement": ("normalised disagreement", _RATIO, DISAGREEMENT_COLOURS, False),
    "similarity": ("agreement", _FRACTION, SIMILARITY_COLOURS, False),
    "normalised_similarity": ("normalised agreement", "1 alike, 0 unrelated", SIMILARITY_COLOURS, False),
    "jensen_shannon": ("Jensen-Shannon divergence", "nats", DISAGREEMENT_COLOURS, False),
    "calibration_error": ("calibration error", "fraction", DISAGREEMENT_COLOURS, False),
    "detection": ("detection", "AUROC", SIMILARITY_COLOURS, False),
}


def quantity(name: str) -> Quantity:
    """What a name in the table stands for; a name that nobody knows is drawn under that name."""
    base, _, other = name.partition("/")
    title, unit, colours, logarithmic = _KINDS.get(base, (name.replace("_", " "), "", SIMILARITY_COLOURS, False))
    if other and base in _KINDS:
        title += f" of {other}" if base == "detection" else f" with solution {other}"
    return Quantity(name, title, unit, colours, logarithmic)


def reference(name: str) -> int | None:
    """The solution that a quantity such as ``similarity/1`` compares with; None if it compares with none."""
    other = name.partition("/")[2]
    return int(other) if other.isdecimal() else None


def levels_of(shown: Quantity, arrays: Iterable[np.ndarray]) -> np.ndarray:
    """Evenly spaced steps, in what is drawn, that span all finite values of the arrays; at least two."""
    drawn = [shown.drawn(values) for values in arrays]
    finite = np.concatenate([values[np.isfinite(values)] for values in drawn] or [np.zeros(0)])
    if not len(finite):
        return np.array([0.0, 1.0])
    low, high = float(finite.min()), float(finite.max())
    step = _step((high - low) / _STEPS)
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(high / step - 1e-9), first + 1)
    return step * np.arange(first, last + 1)


def _step(least: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is no smaller, and never so small that it rounds away."""
    if least <= 1e-9:
        return 0.05
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))
