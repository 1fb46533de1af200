"""What a benchmark says: a table of ratios with their spread, and the same and more as JSON."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from modescape.app.bench.match import Outcome, Speed


def table(outcomes: Sequence[Outcome], machine: Mapping[str, str], peak: Mapping[str, float]) -> str:
    """A Markdown table, a row for each contestant."""
    lines = [", ".join(f"{name} {value}" for name, value in machine.items()), ""]
    lines += [f"Peak of a large matrix product: {peak['gflops']:,.0f} GFLOP/s. Ratios are medians over rounds that", ""]
    lines[-2] += " alternate, with the least and the largest."
    lines += ["| work | contestant | speed | modescape is faster by | target |", "|---|---|---|---|---|"]
    for outcome in outcomes:
        for place, speed in enumerate(outcome.speeds):
            work = outcome.title if place == 0 else ""
            lines.append(
                f"| {work} | {_named(speed)} | {_speed(outcome, speed)} | {_ratio(outcome, speed, place)} | "
                f"{_target(outcome, place)} |"
            )
        lines += [f"| | **not comparable: {difference}** | | | |" for difference in outcome.differences]
    lines += ["", *(f"- {name}: {value:.0%} of the peak" for name, value in peak.items() if name != "gflops")]
    return "\n".join(lines).rstrip() + "\n"


def _named(speed: Speed) -> str:
    return f"{speed.name} ({speed.about})" if speed.about else speed.name


def _speed(outcome: Outcome, speed: Speed) -> str:
    if speed.error:
        return f"not measured: {speed.error}"
    if outcome.unit == "times/s":
        return f"{statistics.median(speed.seconds):.2f} s"
    return f"{speed.median:,.0f} {outcome.unit}"


def _ratio(outcome: Outcome, speed: Speed, place: int) -> str:
    if place == 0 or speed.error or outcome.speeds[0].error:
        return ""
    median, least, largest = outcome.ratios(speed)
    return f"{median:.2f} ({least:.2f} to {largest:.2f})"


def _target(outcome: Outcome, place: int) -> str:
    verdict = {True: "met", False: "**missed**", None: "not measured"}[outcome.met]
    if place == 0 and outcome.most_seconds is not None:
        return f"{outcome.most_seconds:g} s: {verdict}"
    if place == 1 and outcome.target is not None:
        return f"{outcome.target:.2g}: {verdict}"
    return ""


def record(outcomes: Sequence[Outcome], machine: Mapping[str, str], peak: Mapping[str, float]) -> dict[str, Any]:
    """Everything that was measured, every round of it."""
    return {
        "machine": dict(machine),
        "peak": dict(peak),
        "comparisons": {
            outcome.name: {
                "title": outcome.title,
                "unit": outcome.unit,
                "target": outcome.target,
                "most_seconds": outcome.most_seconds,
                "met": outcome.met,
                "differences": list(outcome.differences),
                "contestants": [
                    {
                        "name": speed.name,
                        "about": speed.about,
                        "error": speed.error,
                        "rates": list(speed.rates),
                        "seconds": list(speed.seconds),
                        "found": {k: v for k, v in speed.found.items() if not isinstance(v, list)},
                        "ratio": list(outcome.ratios(speed)) if outcome.speeds[0].rates and speed.rates else None,
                    }
                    for speed in outcome.speeds
                ],
            }
            for outcome in outcomes
        },
    }
