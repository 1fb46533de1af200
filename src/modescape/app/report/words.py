"""Numbers, durations and settings as the words of a page."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

NOTHING = "\N{EN DASH}"


def number(value: float) -> str:
    """Three decimals, fewer for large numbers, two significant digits for tiny ones; NaN is an en dash."""
    if math.isnan(value):
        return NOTHING
    size = abs(value)
    if math.isinf(size) or size == 0:
        text = f"{value:g}"
    elif size < 0.001:
        text = f"{value:.2g}"
    else:
        text = f"{value:,.{3 if size < 10 else 1 if size < 1000 else 0}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def span(low: float, high: float) -> str:
    """Two ends of a range; an en dash alone where there is none."""
    return NOTHING if math.isnan(low) or math.isnan(high) else f"{number(low)} to {number(high)}"


def duration(seconds: float) -> str:
    """Seconds as a person would say them."""
    if math.isnan(seconds):
        return NOTHING
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"


def counted(number: int, noun: str) -> str:
    """A number of things, such as "1 pair" or "1,225 pairs"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def plain(value: Any) -> str:
    """One setting as text; lists are joined by commas, nothing at all is an en dash."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(plain(item) for item in value) or NOTHING
    return str(value) or NOTHING


class Row(NamedTuple):
    """One line of a table of settings; a heading of deeper lines has no value."""

    depth: int
    name: str
    value: str | None


def sections(settings: Mapping[str, Any]) -> list[tuple[str, list[Row]]]:
    """One group of rows for each top-level table of the settings, those outside of any table first."""
    loose = {name: value for name, value in settings.items() if not _nested(value)}
    groups = [("general", rows(loose))] if loose else []
    return groups + [(str(name), rows(_inner(value))) for name, value in settings.items() if _nested(value)]


def rows(settings: Mapping[str, Any], depth: int = 0) -> list[Row]:
    """Every setting as a line, tables inside tables indented under a heading."""
    lines: list[Row] = []
    for name, value in settings.items():
        deeper = _nested(value)
        lines.append(Row(depth, str(name), None if deeper else plain(value)))
        if deeper:
            lines += rows(_inner(value), depth + 1)
    return lines


def _nested(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list | tuple) and any(_nested(item) for item in value))


def _inner(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {str(place): item for place, item in enumerate(value, start=1)}
