"""The scorecard: every claim of the paper, what was measured, and whether it holds."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modescape.app.scorecard.claims import Check, Claim, claims
from modescape.app.scorecard.measures import MEASURES, SOURCES, TOLD, Cell, Measured, NotMeasured, Tables, cell_in

HOLDS, PARTLY, FAILS, NOT_TESTED, TOLD_ONLY = "holds", "holds in part", "fails", "not tested", "no verdict"
VERDICTS = (HOLDS, PARTLY, FAILS, NOT_TESTED, TOLD_ONLY)


@dataclass(frozen=True)
class Judged:
    """One run as the card knows it: what it is of, how it departs from the paper's recipe, its tables."""

    name: str
    title: str
    data: str
    network: str
    optimiser: str
    tables: Tables
    departures: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """All but the tables, as plain values."""
        own = {name: getattr(self, name) for name in ("name", "title", "data", "network", "optimiser")}
        return {**own, "departures": list(self.departures), **self.facts}


@dataclass(frozen=True)
class Line:
    """One check of one claim on one run.

    ``sure`` says whether the 95% interval lies on one side of the band's edges; None where there is no interval.
    ``reason`` says why nothing was measured.
    """

    says: str
    how: str
    tables: tuple[str, ...]
    band: tuple[float, float] | None
    verdict: str
    measured: Measured | None = None
    sure: bool | None = None
    reason: str = ""


@dataclass(frozen=True)
class Verdict:
    """One claim on one run, or on none (``run`` is empty); ``elsewhere``: the paper shows it for another network."""

    claim: Claim
    run: str
    verdict: str
    elsewhere: bool = False
    reason: str = ""
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True)
class Card:
    """All verdicts, a claim after the other."""

    runs: tuple[Judged, ...]
    verdicts: tuple[Verdict, ...]

    def of(self, run: str) -> tuple[Verdict, ...]:
        """The verdicts on one run."""
        return tuple(verdict for verdict in self.verdicts if verdict.run == run)


def judge(runs: Sequence[Judged], checklist: Sequence[Claim] | None = None) -> Card:
    """Judge every claim on every run that it can be judged on; a claim without any is "not tested", and says why."""
    found = [verdict for claim in (claims() if checklist is None else checklist) for verdict in _on_all(claim, runs)]
    return Card(tuple(runs), tuple(found))


def _on_all(claim: Claim, runs: Sequence[Judged]) -> Iterator[Verdict]:
    if claim.not_tested:
        yield Verdict(claim, "", NOT_TESTED, reason=claim.not_tested)
        return
    fitting = [run for run in runs if _is_about(claim, run)]
    if not fitting:
        wanted = " or ".join(claim.networks)
        data = " or ".join(claim.data)
        by = f" trained by {claim.optimiser}" if claim.optimiser != "adam" else ""
        yield Verdict(claim, "", NOT_TESTED, reason=f"there is no run of {wanted} on {data}{by}")
    for run in fitting[:1] if claim.across else fitting:
        lines = tuple(_line(check, run, runs) for check in claim.checks)
        yield Verdict(claim, run.name, _overall(lines), run.network not in claim.networks, _why(lines), lines)


def _is_about(claim: Claim, run: Judged) -> bool:
    known = run.network in claim.networks or not claim.only
    return run.data in claim.data and known and run.optimiser == claim.optimiser


def _line(check: Check, run: Judged, runs: Sequence[Judged]) -> Line:
    def read(cell: Cell) -> Measured:
        return cell_in(_tables_for(cell, run, runs), cell)

    band = None if check.band is None else (check.band[0], check.band[1])
    tables = tuple(dict.fromkeys(str(cell["table"]) for cell in check.of)) or SOURCES.get(check.how, ())
    try:
        measured = MEASURES[check.how](read, check.of, run.tables)
    except NotMeasured as reason:
        return Line(check.says, TOLD[check.how], tables, band, NOT_TESTED, reason=str(reason))
    verdict = TOLD_ONLY if band is None else HOLDS if band[0] <= measured.value <= band[1] else FAILS
    return Line(check.says, TOLD[check.how], tables, band, verdict, measured, _sure(measured, band))


def _tables_for(cell: Cell, run: Judged, runs: Sequence[Judged]) -> Tables:
    if "data" not in cell:
        return run.tables
    for one in runs:
        if (one.data, one.network) == (cell["data"], cell["network"]):
            return one.tables
    raise NotMeasured(f"there is no run of {cell['network']} on {cell['data']}")


def _sure(measured: Measured, band: tuple[float, float] | None) -> bool | None:
    if band is None or math.isnan(measured.low) or math.isnan(measured.high):
        return None
    inside = band[0] <= measured.low and measured.high <= band[1]
    return inside or measured.high < band[0] or measured.low > band[1]


def _overall(lines: Sequence[Line]) -> str:
    found = {line.verdict for line in lines} - {TOLD_ONLY}
    if not found:
        return TOLD_ONLY
    if len(found) == 1:
        return found.pop()
    # A claim half of which could not be looked at is not known to hold, but what fails, fails.
    return PARTLY if {HOLDS, FAILS} <= found else FAILS if FAILS in found else NOT_TESTED


def _why(lines: Sequence[Line]) -> str:
    return "; ".join(dict.fromkeys(line.reason for line in lines if line.reason))
