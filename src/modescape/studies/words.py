"""How the answers of studies say numbers."""

import math
from collections.abc import Callable, Mapping
from typing import Any

Row = Mapping[str, Any]


def percent(value: float) -> str:
    """A fraction as a percentage."""
    return f"{100 * value:.1f}%"


def interval(row: Row, show: Callable[[float], str]) -> str:
    """The row's interval in brackets, with a leading space; nothing where there is none."""
    if math.isnan(row["low"]):
        return ""
    if math.isinf(row["high"]):
        return f" (95% interval {show(row['low'])} or more)"
    return f" (95% interval {show(row['low'])} to {show(row['high'])})"


def spanned(row: Row, show: Callable[[float], str]) -> str:
    """The row's range."""
    return f"{show(row['least'])} to {show(row['most'])}"


def over(row: Row, noun: str, show: Callable[[float], str]) -> str:
    """Over how many things, and their range."""
    if row["count"] == 1:
        return f"one {noun}"
    return f"over {row['count']} {noun}s {spanned(row, show)}"


def number(value: float) -> str:
    """Two decimals."""
    return f"{value:.2f}"


def small(value: float) -> str:
    """Three decimals."""
    return f"{value:.3f}"


def points(fraction: float) -> str:
    """A difference of fractions in percentage points."""
    return f"{100 * fraction:g} point{'' if abs(fraction) == 0.01 else 's'}"


def signed_points(fraction: float) -> str:
    """A difference of fractions in percentage points, with its sign."""
    return f"{100 * fraction:+.2f} points"


UNTRAINED = " But these networks predict no better than chance: of trained ones this says nothing."
"""What is added to an answer where it would mislead."""
