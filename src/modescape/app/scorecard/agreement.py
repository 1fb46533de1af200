"""Whether two scorecards of the same recipe agree: the same programme run elsewhere, or later."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from modescape.errors import RunError


class Compared(NamedTuple):
    """One number of both cards. ``agree`` is None where neither has an interval or a range to tell by."""

    number: int
    network: str
    says: str
    here: float
    there: float
    agree: bool | None
    same_verdict: bool


def read_card(path: Path) -> dict[str, Any]:
    """A card that was written as JSON. Raises ``RunError`` for anything else."""
    try:
        record = json.loads(path.read_bytes())
        form, _, _ = record["form"], record["runs"], record["verdicts"]
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror or error}; name a scorecard.json") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} is no scorecard; `modescape scorecard RUN --json` writes one") from error
    if form != 1:
        raise RunError(f"{path} has form {form}, this modescape knows form 1; write it again")
    return dict(record)


def compare(here: Mapping[str, Any], there: Mapping[str, Any]) -> list[Compared]:
    """Every number that both cards have, matched by claim, network, data and optimiser.

    Two values agree where the intervals overlap, or one lies within the other's range over members, pairs or subsets:
    the interval is over examples, which both runs share, and not over trainings, which they do not.
    """
    mine, others = _numbers(here), _numbers(there)
    return [
        Compared(
            key[0], key[1], key[4], one["value"], other["value"], _agree(one, other), one["verdict"] == other["verdict"]
        )
        for key, one in mine.items()
        if (other := others.get(key)) is not None and one["value"] is not None and other["value"] is not None
    ]


def _numbers(card: Mapping[str, Any]) -> dict[tuple[Any, ...], Mapping[str, Any]]:
    runs = {run["name"]: run for run in card["runs"]}
    found = {}
    for verdict in card["verdicts"]:
        run = runs.get(verdict["run"])
        for check in verdict["checks"] if run else ():
            found[verdict["number"], run["network"], run["data"], run["optimiser"], check["says"]] = check  # type: ignore[index]
    return found


def _agree(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool | None:
    spans = [[_span(card, *ends) for ends in (("low", "high"), ("least", "most"))] for card in (one, other)]
    known = [span for card in spans for span in card if span is not None]
    if not known:
        return None if one["value"] != other["value"] else True
    intervals = [card[0] for card in spans]
    if intervals[0] and intervals[1] and _overlap(intervals[0], intervals[1]):
        return True
    within = [
        low <= value <= high
        for card, value in ((spans[0], other["value"]), (spans[1], one["value"]))
        for low, high in (span for span in card if span is not None)
    ]
    return any(within)


def _span(check: Mapping[str, Any], first: str, last: str) -> tuple[float, float] | None:
    ends = (check[first], check[last])
    return None if ends[0] is None or ends[1] is None else ends


def _overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]
