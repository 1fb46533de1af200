"""The answers of the study ``curvature``, in numbers and words."""

import math
from collections.abc import Sequence
from statistics import fmean

from modescape.studies.words import Row, over, percent
from modescape.tables import ANSWERS, Table, from_rows

NEAR_ZERO = 0.01
"""Eigenvalues within this part of the largest are called near zero."""


def answers(eigenvalues: Sequence[Row], traces: Sequence[Row]) -> Table:
    """The largest and the smallest eigenvalue, the trace, and how much of the spectrum lies near zero."""
    largest = {row["member"]: row for row in eigenvalues if row["rank"] == 1}
    smallest = {row["member"]: row for row in eigenvalues if row["rank"] == -1}
    top = {row["member"]: 0.0 for row in traces}
    for row in eigenvalues:
        top[row["member"]] += row["value"] if row["rank"] > 0 else 0.0
    rows = [
        _row("largest_eigenvalue", [row["value"] for row in largest.values()]),
        _row("trace", [row["trace"] for row in traces]),
        _row("top_share", [top[row["member"]] / row["trace"] if row["trace"] else math.nan for row in traces]),
        _row("smallest_ratio", [-smallest[m]["value"] / abs(row["value"]) for m, row in largest.items()]),
        _row("near_zero", [row["near_zero"] for row in traces]),
    ]
    count = max(row["rank"] for row in eigenvalues)
    told = [
        _largest(rows[0], max(row["error"] for row in largest.values()), traces[0]["examples"]),
        _trace(rows[1], traces),
        _share(rows[2], count),
        _smallest(rows[3], [row["value"] + row["error"] for row in smallest.values()]),
        _near_zero(rows[4], max(row["near_zero_error"] for row in traces)),
    ]
    return from_rows(ANSWERS, [{**row, "sentence": sentence} for row, sentence in zip(rows, told, strict=True)])


def significant(value: float) -> str:
    """Three significant digits: curvature may have any magnitude."""
    return f"{float(f'{value:.3g}'):,.10g}" if 1e-4 <= abs(value) < 1e7 or value == 0 else f"{value:.2e}"


def _row(quantity: str, values: Sequence[float]) -> Row:
    nothing = {"low": math.nan, "high": math.nan}
    ends = {"least": min(values), "most": max(values), "count": len(values)}
    return {"quantity": quantity, "value": fmean(values), **nothing, **ends}


def _largest(row: Row, error: float, examples: int) -> str:
    return (
        f"The largest eigenvalue of the Hessian of the training loss at a solution is {significant(row['value'])} "
        f"({over(row, 'solution', significant)}; each to within {significant(error)}), for {examples:,} training "
        "examples and in evaluation mode."
    )


def _trace(row: Row, traces: Sequence[Row]) -> str:
    error = max(trace["trace_error"] for trace in traces)
    weights = traces[0]["weights"]
    return (
        f"Its trace is {significant(row['value'])} ({over(row, 'solution', significant)}; each with "
        f"a standard error of {significant(error)} at most), so that its {weights:,} eigenvalues have a mean of "
        f"{significant(row['value'] / weights)}."
    )


def _share(row: Row, count: int) -> str:
    what = "The largest eigenvalue is" if count == 1 else f"The {count} largest eigenvalues are"
    return f"{what} {percent(row['value'])} of the trace ({over(row, 'solution', percent)})."


def _smallest(row: Row, upper: Sequence[float]) -> str:
    below = sum(value < 0 for value in upper)
    if below == 0:
        return "No eigenvalue below zero was found: as far as can be told, the loss curves down in no direction."
    where = "at the solution" if len(upper) == 1 else f"at {below} of {len(upper)} solutions"
    return (
        f"The smallest eigenvalue is below zero {where}: on average the loss curves down along some direction "
        f"{percent(row['value'])} as much as it curves up along the steepest ({over(row, 'solution', percent)})."
    )


def _near_zero(row: Row, error: float) -> str:
    return (
        f"{percent(row['value'])} of the eigenvalues lie within {NEAR_ZERO:.0%} of the largest around zero "
        f"({over(row, 'solution', percent)}; each with a standard error of {100 * error:.2g} points at most)."
    )
