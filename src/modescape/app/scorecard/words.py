"""The scorecard as plain values: for JSON, for pages, for Markdown."""

import math
from collections.abc import Iterator
from typing import Any

from modescape.app.report.words import counted, number, span
from modescape.app.scorecard.card import FAILS, HOLDS, NOT_TESTED, PARTLY, VERDICTS, Card, Line, Verdict
from modescape.app.scorecard.measures import Measured

MARKS = {HOLDS: "✓", PARTLY: "◐", FAILS: "✗", NOT_TESTED: "\N{EN DASH}", VERDICTS[-1]: "·"}
"""A sign for each verdict; never without the word."""


def band_text(band: tuple[float, float] | None) -> str:
    """A band as a reader would say it; empty where there is none."""
    if band is None:
        return ""
    least, most = band
    if least == most:
        return number(least)
    if math.isinf(most):
        return f"{number(least)} or more"
    if math.isinf(least):
        return f"{number(most)} or less"
    return span(least, most)


def record_of(card: Card) -> dict[str, Any]:
    """The whole card, as JSON can hold it: what is not finite is null, and a band's open end too."""
    return {
        "form": 1,
        "runs": [run.record() for run in card.runs],
        "verdicts": [_verdict(verdict) for verdict in card.verdicts],
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    claim = verdict.claim
    told = {name: getattr(claim, name) for name in ("number", "title", "paper", "source", "remark", "networks")}
    return {
        **told,
        "run": verdict.run,
        "verdict": verdict.verdict,
        "elsewhere": verdict.elsewhere,
        "reason": verdict.reason,
        "checks": [_line(line) for line in verdict.lines],
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "says": line.says,
        "how": line.how,
        "tables": list(line.tables),
        "band": None if line.band is None else [_finite(end) for end in line.band],
        "verdict": line.verdict,
        "sure": line.sure,
        "reason": line.reason,
        **_numbers(line.measured),
    }


def _numbers(measured: Measured | None) -> dict[str, Any]:
    found = measured or Measured(math.nan)
    names = ("value", "low", "high", "least", "most")
    return {**{name: _finite(getattr(found, name)) for name in names}, "detail": found.detail}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def rows_of(card: Card, run: str | None = None) -> list[dict[str, Any]]:
    """The verdicts as text, for tables: all of them, or those on one run."""
    return [row_of(verdict) for verdict in card.verdicts if run is None or verdict.run == run]


def row_of(verdict: Verdict) -> dict[str, Any]:
    """One verdict as text."""
    claim = verdict.claim
    return {
        "number": claim.number,
        "title": claim.title,
        "paper": claim.paper,
        "source": claim.source,
        "remark": claim.remark,
        "run": verdict.run,
        "verdict": verdict.verdict,
        "mark": MARKS[verdict.verdict],
        "kind": verdict.verdict.replace(" ", "-"),
        "networks": ", ".join(claim.networks),
        "elsewhere": verdict.elsewhere,
        "reason": verdict.reason,
        "lines": [_told(line) for line in verdict.lines],
    }


def _told(line: Line) -> dict[str, Any]:
    found = line.measured
    value = number(found.value) if found else ""
    doubt = "; within chance of the band's edge" if line.sure is False else ""
    return {
        "says": line.says,
        "value": value,
        "interval": span(found.low, found.high) if found else "",
        "range": span(found.least, found.most) if found else "",
        "band": band_text(line.band),
        "verdict": f"{line.verdict}{doubt}",
        "mark": MARKS[line.verdict],
        "kind": line.verdict.replace(" ", "-"),
        "detail": found.detail if found else line.reason,
        "how": line.how,
        "tables": ", ".join(line.tables),
    }


def summary(card: Card, run: str) -> str:
    """How many claims hold on a run, in a sentence."""
    found = [verdict.verdict for verdict in card.of(run)]
    counts = [f"{found.count(kind)} {_plural(kind, found.count(kind))}" for kind in VERDICTS if kind in found]
    return f"{counted(len(found), 'claim')}: {', '.join(counts)}"


def _plural(kind: str, count: int) -> str:
    return {HOLDS: "hold", PARTLY: "hold in part", FAILS: "fail"}.get(kind, kind) if count != 1 else kind


def lines(card: Card) -> Iterator[str]:
    """The card as lines for a terminal."""
    for verdict in card.verdicts:
        where = f" [{verdict.run}{', another network than the paper shows' if verdict.elsewhere else ''}]"
        yield f"{verdict.claim.number:>3} {verdict.verdict:13} {verdict.claim.title}{where if verdict.run else ''}"
        if not verdict.lines:
            yield f"    {verdict.reason}"
        for line in verdict.lines:
            told = _told(line)
            wanted = f", wanted {told['band']}" if told["band"] else ""
            chance = f" ({told['interval']})" if line.measured and not math.isnan(line.measured.low) else ""
            measured = f"{told['value']}{chance}{wanted}: {told['verdict']}" if line.measured else line.reason
            yield f"    {line.says}: {measured}"
