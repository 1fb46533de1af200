"""A family of corruptions: one formula, and its parameters at five severities."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from modescape.app.datasets.shifts.array import Array
from modescape.app.datasets.shifts.chance import Chance

Parameters = tuple[float, ...]

Formula = Callable[[Array, Parameters, Chance], Array]
"""Examples, the parameters of one severity and chance give examples of the same shape, not yet clipped.

Images are float64 [example, height, width, channel] from 0 to 1; signals are float64 [example, channel, length], of
mean 0 and standard deviation 1 over the training split.
"""


@dataclass(frozen=True)
class Family:
    """A formula with its parameters at severities 1 to 5, the mildest first.

    ``grey`` says what becomes of images of one channel: the formula takes them as they are, or they go through it as
    three equal channels and come back as their luminance, or the family is left out, because colour is all it changes.
    """

    formula: Formula
    severities: tuple[Parameters, Parameters, Parameters, Parameters, Parameters]
    grey: Literal["as it is", "through colour", "left out"] = "as it is"
